import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const tracked = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 })
  .stdout.split('\0')
  .filter((path) => path !== '');
/** Where words are quoted that are looked for here. */
const here = 'test/ground/texts.test.ts';

/** `file:line` of each line of a tracked file that the expression fits. */
function linesWith(pattern: RegExp, paths: readonly string[] = tracked): string[] {
  return paths
    .filter((path) => path !== here)
    .flatMap((path) => {
      let text: string;
      try {
        text = readFileSync(join(root, path), 'utf8');
      } catch {
        return []; // Tracked and gone from the checkout: somebody is moving it.
      }
      return text.split('\n').flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1}: ${line.trim().slice(0, 120)}`] : []));
    });
}

describe('what is tracked', () => {
  it('is found at all', () => {
    expect(tracked.length).toBeGreaterThan(100);
    expect(linesWith(/"name": "tourniquet-engine"/)).not.toEqual([]);
  });

  it('names no package registry, so that everybody’s own is used', () => {
    expect(
      linesWith(/registry\.npmjs|registry\.yarnpkg|npmmirror|pypi\.org|pythonhosted|artifactory\.|index-url|^\s*registry\s*=/i),
    ).toEqual([]);
  });

  it('has a lock file that pins by hash and says nothing of where a package came from', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { link?: boolean; resolved?: string; integrity?: string }>;
    };
    const installed = Object.entries(packages).filter(([path, each]) => path.startsWith('node_modules/') && each.link !== true);
    expect(installed.length).toBeGreaterThan(100);
    expect(installed.filter(([, each]) => each.resolved !== undefined).map(([path]) => path)).toEqual([]);
    // npm bundles into its own packages what has a hash with the whole.
    const unpinned = installed.filter(([, each]) => each.integrity === undefined && !('inBundle' in each));
    expect(unpinned.map(([path]) => path)).toEqual([]);
  });

  it('knows no path of the machine it was written on', () => {
    expect(linesWith(/(^|[\s"'`(=:])\/(work|Users|home\/(?!alice|bob)[a-z]+|root)\//)).toEqual([]);
  });

  it('tells nobody to run the plain name by npx, which is somebody else’s on npm', () => {
    expect(linesWith(/npx\s+(-\S+\s+)*tourniquet\b/)).toEqual([]);
    expect(linesWith(/npm (i|install|add)\s+(-\S+\s+)*tourniquet(\s|$|`)/)).toEqual([]);
  });

  it('holds no key and no secret file', () => {
    expect(tracked.filter((path) => /(^|\/)(\.env|secrets|keys)(\/|$)|\.(pem|key)$|stack\.json$/.test(path))).toEqual([]);
    expect(linesWith(/-----BEGIN [A-Z ]*PRIVATE KEY-----/).filter((line) => !/^(test|intake)\//.test(line))).toEqual([]);
  });

  it('has npm scripts of one command each: in `a && b` a node that `a` installs is not the node of `b`', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    expect(Object.entries(scripts).filter(([, script]) => /&&|\|\||;/.test(script))).toEqual([]);
    for (const name of ['start', 'test', 'test:full', 'test:replay', 'check', 'build', 'gen', 'golden', 'bench'])
      expect(scripts[`pre${name}`], name).toBe('node scripts/bootstrap.mjs');
  });
});
