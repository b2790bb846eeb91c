import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isAllowed, refusedLicences } from '../../scripts/licences.mjs';
import { protobufCopies } from '../../scripts/protobuf.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folders: string[] = [];
afterEach(() => {
  for (const each of folders.splice(0)) rmSync(each, { recursive: true, force: true });
});

/** A project of the given files, by path. */
function project(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-checks-'));
  folders.push(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const manifest = (name: string, version: string, more: object = {}) => JSON.stringify({ name, version, ...more });

describe('the check of arrows', () => {
  /** A small house in which every arrow is one of the drawing. */
  const house = {
    'package.json': manifest('house', '1.0.0', {
      type: 'module',
      dependencies: { zod: '4', canonicalize: '4', '@temporalio/workflow': '1' },
    }),
    'domain/report.ts': "import canonicalize from 'canonicalize';\nexport interface Report { v: 1 }\nexport const text = canonicalize;\n",
    'domain/report.schema.ts': "import { z } from 'zod';\nexport const schema = z.string();\nexport type Text = z.infer<typeof schema>;\n",
    'providers/aws/manifest.ts': "import type { Report } from '../../domain/report.ts';\nexport type Manifest = Report;\n",
    'planning/plan.ts': "import type { Manifest } from '../providers/aws/manifest.ts';\nexport type Plan = Manifest;\n",
    'audit/store.ts': "import { readFileSync } from 'node:fs';\nexport const read = readFileSync;\n",
    'activities/index.ts':
      "import type { Plan } from '../planning/plan.ts';\nexport { read } from '../audit/store.ts';\nexport type P = Plan;\n",
    'workflows/index.ts':
      "import { sleep } from '@temporalio/workflow';\nimport type * as activities from '../activities/index.ts';\nexport type A = typeof activities;\nexport const nap = sleep;\n",
    'workers/bundle.ts': 'export const code = 1;\n',
    'workers/main.ts':
      "import { read } from '../activities/index.ts';\nimport { code } from './bundle.ts';\nexport const all = [read, code];\n",
    'client/index.ts': "import type { Report } from '../domain/report.ts';\nexport type R = Report;\n",
    'lab/stack.ts': "import { all } from '../workers/main.ts';\nexport const stack = all;\n",
    'cli/main.ts':
      "import type { R } from '../client/index.ts';\nimport { stack } from '../lab/stack.ts';\nexport const cli = stack;\nexport type C = R;\n",
    'test/any.test.ts':
      "import { nap } from '../workflows/index.ts';\nimport { stack } from '../lab/stack.ts';\nexport const t = [nap, stack];\n",
  };

  /** The violations found, as `rule file`, and how the check ended. */
  function arrows(planted: Record<string, string>): { status: number | null; found: string[] } {
    const files = { ...house, ...planted };
    const folder = project(files);
    for (const file of ['.dependency-cruiser.mjs', 'tsconfig.json']) copyFileSync(join(root, file), join(folder, file));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const rooms = Object.keys(files).flatMap((path) => (path.includes('/') ? [path.split('/')[0] ?? ''] : []));
    const cruise = (output: string) =>
      spawnSync(process.execPath, [join(root, 'scripts', 'arrows.mjs'), '-c', '.dependency-cruiser.mjs', '-T', output, ...new Set(rooms)], {
        cwd: folder,
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
      });
    const { summary } = JSON.parse(cruise('json').stdout) as { summary: { violations: { from: string; rule: { name: string } }[] } };
    // As the check itself runs it, for its exit code.
    return { status: cruise('err-long').status, found: summary.violations.map(({ rule, from }) => `${rule.name} ${from}`) };
  }

  it('passes a house whose arrows are those of the drawing', () => {
    expect(arrows({})).toEqual({ status: 0, found: [] });
  });

  const forbidden: readonly (readonly [rule: string, path: string, text: string])[] = [
    ['domain-imports-only-itself', 'domain/x.ts', "import type { P } from '../activities/index.ts';\nexport type X = P;\n"],
    ['planning-imports-domain', 'planning/x.ts', "import { read } from '../audit/store.ts';\nexport const x = read;\n"],
    ['activities-imports-', 'activities/x.ts', "import type { R } from '../client/index.ts';\nexport type X = R;\n"],
    [
      'workflows-know-types-of-activities-only',
      'workflows/x.ts',
      "import { read } from '../activities/index.ts';\nexport const x = read;\n",
    ],
    ['workflows-import-only-the-sdk', 'workflows/x.ts', "import { readFileSync } from 'node:fs';\nexport const x = readFileSync;\n"],
    ['workflows-import-only-the-sdk', 'workflows/x.ts', "import { z } from 'zod';\nexport const x = z;\n"],
    [
      'workflows-take-only-types-from-schemas',
      'workflows/x.ts',
      "import { schema } from '../domain/report.schema.ts';\nexport const x = schema;\n",
    ],
    [
      'plain-domain-takes-only-types-from-schemas',
      'domain/x.ts',
      "import { schema } from './report.schema.ts';\nexport const x = schema;\n",
    ],
    ['plain-domain-imports-only-canonicalize-and-noble', 'domain/x.ts', "import { z } from 'zod';\nexport const x = z;\n"],
    [
      'plain-domain-imports-only-canonicalize-and-noble',
      'domain/x.ts',
      "import { randomUUID } from 'node:crypto';\nexport const x = randomUUID;\n",
    ],
    ['schemas-import-zod', 'domain/x.schema.ts', "import { readFileSync } from 'node:fs';\nexport const x = readFileSync;\n"],
    ['nobody-imports-workflows', 'client/x.ts', "import type { A } from '../workflows/index.ts';\nexport type X = A;\n"],
    ['only-workers-import-the-built-bundle', 'cli/x.ts', "import { code } from '../workers/bundle.ts';\nexport const x = code;\n"],
    ['nothing-but-tests-and-cli-imports-lab', 'client/x.ts', "import { stack } from '../lab/stack.ts';\nexport const x = stack;\n"],
    ['planning-and-manifests-are-pure', 'planning/x.ts', "import { readFileSync } from 'node:fs';\nexport const x = readFileSync;\n"],
    [
      'providers-do-not-know-each-other',
      'providers/vault/x.ts',
      "import type { Manifest } from '../aws/manifest.ts';\nexport type X = Manifest;\n",
    ],
    ['no-circle', 'domain/x.ts', "import type { Y } from './y.ts';\nexport type X = Y;\n"],
    ['every-import-is-found', 'client/x.ts', "import { gone } from './gone.ts';\nexport const x = gone;\n"],
  ];

  /** Each arrow in a file of its own, so that one run shows all of them. */
  const planted = forbidden.map(([rule, path, text], n) => ({ rule, path: path.replace('x.', `planted-${n}.`), text }));
  let found: string[] = [];
  let status: number | null = null;
  beforeAll(() => {
    const circle = { 'domain/y.ts': `import type { X } from './planted-${forbidden.length - 2}.ts';\nexport type Y = X;\n` };
    ({ found, status } = arrows({ ...Object.fromEntries(planted.map(({ path, text }) => [path, text])), ...circle }));
  });

  it.each(planted)('finds $rule in $path', ({ rule, path }) => {
    expect(found.filter((each) => each.startsWith(rule) && each.endsWith(` ${path}`)).length, found.join('\n')).toBeGreaterThan(0);
  });

  it('fails when it finds something', () => {
    expect(status).not.toBe(0);
  });
});

describe('the check of protobufjs', () => {
  const scope = { dependencies: { protobufjs: '^8.0.0' } };
  const one = {
    'node_modules/@temporalio/common/package.json': manifest('@temporalio/common', '1.0.0', scope),
    'node_modules/@temporalio/worker/package.json': manifest('@temporalio/worker', '1.0.0', scope),
    'node_modules/protobufjs/package.json': manifest('protobufjs', '8.8.1'),
    'node_modules/protobufjs/index.js': '',
  };

  it('passes one copy of version 8', () => {
    expect(protobufCopies(project(one))).toEqual([]);
  });

  it('names a second copy and who loads it', () => {
    const folder = project({
      ...one,
      'node_modules/@temporalio/worker/node_modules/protobufjs/package.json': manifest('protobufjs', '8.8.1'),
      'node_modules/@temporalio/worker/node_modules/protobufjs/index.js': '',
    });
    expect(protobufCopies(folder).join('\n')).toMatch(/@temporalio\/worker load .*@temporalio\/worker\/node_modules\/protobufjs/);
  });

  it('refuses version 7, and a tree in which there is nothing to look at', () => {
    expect(protobufCopies(project({ ...one, 'node_modules/protobufjs/package.json': manifest('protobufjs', '7.6.6') }))).toEqual([
      expect.stringContaining('7.6.6'),
    ]);
    expect(protobufCopies(project({ 'package.json': '{}' }))).not.toEqual([]);
  });
});

describe('the check of licences', () => {
  const tree = (licence: object, dev = false) =>
    project({
      'package.json': manifest('house', '1.0.0', { license: 'Apache-2.0', [dev ? 'devDependencies' : 'dependencies']: { thing: '1.0.0' } }),
      'node_modules/thing/package.json': manifest('thing', '1.0.0', licence),
    });

  it('passes permissive licences, a choice with one among them included', () => {
    for (const each of ['MIT', '(MIT OR GPL-3.0-only)', 'Apache-2.0 AND MIT', ['Public Domain', 'MIT']])
      expect(isAllowed(each), String(each)).toBe(true);
  });

  it('refuses copyleft, source-available, a guess and none', () => {
    for (const each of [
      'GPL-3.0-only',
      'AGPL-3.0',
      'BUSL-1.1',
      'SSPL-1.0',
      'MIT AND GPL-2.0-only',
      'MIT*',
      'UNLICENSED',
      'UNKNOWN',
      'Custom: LICENSE',
      ['MIT', 'GPL-3.0'],
      [],
      undefined,
    ]) {
      expect(isAllowed(each), String(each)).toBe(false);
    }
  });

  it.each([
    ['GPL-3.0-only', false],
    ['AGPL-3.0-or-later', true],
    ['BUSL-1.1', false],
  ])('names a package under %s, development or not', async (license, dev) => {
    expect(await refusedLicences(tree({ license }, dev))).toEqual([`thing@1.0.0: ${license}`]);
  });

  it('passes a tree that is permissive', async () => {
    expect(await refusedLicences(tree({ license: 'MIT' }))).toEqual([]);
  });
});
