import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { converterPaths } from '../audit/codec.ts';
import { type Hash, sha256Of } from '../domain/canonical.ts';

/** The workflow code as it runs, and the hash by which histories and auditors name it. */
export interface WorkflowCode {
  readonly code: string;
  readonly hash: Hash;
}

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..');
const suffix = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
/** A built package carries its bundle, so that every installation of a release runs, and names, the same code. */
const shipped = join(root, 'workflow-bundle.cjs');

/** The hash of a bundle is of its code without the source map, which holds the paths of the machine that made it. */
export function codeHash(code: string): Hash {
  return sha256Of(withoutMap(code));
}

function withoutMap(code: string): string {
  const at = code.lastIndexOf('\n//# sourceMappingURL=');
  return at < 0 ? code : code.slice(0, at + 1);
}

/** The bundle of this release: the shipped one, else one made now and kept beside the dependencies until a source of it changes. */
export async function workflowCode(): Promise<WorkflowCode> {
  if (suffix === '.js' && existsSync(shipped)) return named(readFileSync(shipped, 'utf8'));
  const cache = join(root, 'node_modules', '.cache', 'tourniquet');
  const kept = join(cache, `workflows-${sourcesDigest()}.cjs`);
  if (existsSync(kept)) return named(readFileSync(kept, 'utf8'));
  const made = await bundleNow();
  mkdirSync(cache, { recursive: true });
  const tmp = `${kept}.${process.pid}`;
  writeFileSync(tmp, made.code);
  renameSync(tmp, kept);
  return made;
}

/** Bundles from source, whatever is kept; `from` is where the rooms of the sources are. */
export async function bundleNow(from = root): Promise<WorkflowCode> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(from, 'workflows', `index${suffix}`),
    workflowInterceptorModules: [join(from, 'workflows', `interceptors${suffix}`)],
    // Modules are named by their path from here. From the working directory, the default, the same sources would have as many hashes as there are places to start from.
    webpackConfigHook: (config) => ({ ...config, context: from }),
    payloadConverterPath: converterPaths.payloadConverterPath,
    failureConverterPath: converterPaths.failureConverterPath,
    logger: {
      log() {},
      trace() {},
      debug() {},
      info() {},
      warn: (message) => process.stderr.write(`${message}\n`),
      error: (message) => process.stderr.write(`${message}\n`),
    },
  });
  return named(withoutMap(code));
}

function named(code: string): WorkflowCode {
  const bare = withoutMap(code);
  return { code: `${bare}${emptyMap}`, hash: sha256Of(bare) };
}

/** The worker insists on a source map; an empty one keeps the bundle the same on every machine. */
const emptyMap = `//# sourceMappingURL=data:application/json;charset=utf-8;base64,${Buffer.from('{"version":3,"file":"tourniquet-workflows.cjs","sources":[],"names":[],"mappings":""}').toString('base64')}`;

function sourcesDigest(): string {
  const digest = createHash('sha256');
  for (const room of ['domain', 'workflows']) {
    for (const name of readdirSync(join(root, room)).sort()) {
      if (name.endsWith(suffix) && !name.includes('.test.'))
        digest.update(`${room}/${name}\0`).update(readFileSync(join(root, room, name)));
    }
  }
  digest.update(readFileSync(join(root, 'package.json'))).update(readFileSync(join(here, `bundle${suffix}`)));
  return digest.digest('hex').slice(0, 24);
}
