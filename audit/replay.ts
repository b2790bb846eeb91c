import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Hash, sha256Of } from '../domain/canonical.ts';

/** What a replay is asked: code and decoded history, as bytes of the bundle. */
export interface ReplayInput {
  readonly code: string;
  readonly history: Uint8Array;
  readonly workflowId: string;
}

/** What the code asked for when it ran over the history, in order; or why it could not be run over it. */
export interface ReplayOutcome {
  readonly scheduled: readonly { readonly seq: number; readonly type: string; readonly args: readonly unknown[] }[];
  readonly error?: string;
}

export type Replay = (input: ReplayInput) => Promise<ReplayOutcome>;

/** The hash by which code is known: of the bundle without its source map, which tells of the machine that made it and nothing of what runs. */
export function codeHash(code: string): Hash {
  const at = code.lastIndexOf('\n//# sourceMappingURL=');
  return sha256Of(at < 0 ? code : code.slice(0, at + 1));
}

const timeoutMs = 120_000;

/**
 * Replays in a child process. Node's permission model keeps the child from writing files, starting processes and reading anything but this package and its
 * libraries; the environment is empty, so it has no credential to leak. Against the network the model of Node 24 has no lock: every way out of
 * Node's own modules is taken away before the code is looked at (replay-doors), and the code runs in Temporal's sandbox, which gives it no module at all. What is left is a
 * flaw in that sandbox and in Node at once; hence code runs only if its hash is known.
 */
export const replayInChild: Replay = async (input) => {
  const here = dirname(fileURLToPath(import.meta.url));
  const suffix = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const child = spawn(
    process.execPath,
    [
      '--permission',
      ...readable(here).map((path) => `--allow-fs-read=${path}`),
      // Temporal's core is a native library and runs workflows in threads; neither can be done without.
      '--allow-addons',
      '--allow-worker',
      '--no-warnings',
      // Threads load it too.
      `--import=${pathToFileURL(join(here, `replay-doors${suffix}`)).href}`,
      join(here, `replay-child${suffix}`),
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { TZ: 'UTC' } },
  );
  const out: Buffer[] = [];
  const said: Buffer[] = [];
  child.stdout.on('data', (chunk) => out.push(chunk));
  child.stderr.on('data', (chunk) => said.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(
    JSON.stringify({ code: input.code, history: Buffer.from(input.history).toString('base64'), workflowId: input.workflowId }),
  );
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const exit = await new Promise<string>((done) => {
    child.once('error', (error) => done(error.message));
    child.once('close', (code, signal) => done(signal ?? String(code)));
  });
  clearTimeout(timer);
  const last = Buffer.concat(out).toString('utf8').trim().split('\n').at(-1) ?? '';
  try {
    const outcome: unknown = JSON.parse(last);
    if (typeof outcome === 'object' && outcome !== null && 'scheduled' in outcome) return outcome as ReplayOutcome;
  } catch {
    // Falls through: the child ended without an answer.
  }
  const words = Buffer.concat(said).toString('utf8').trim().split('\n').at(-1) ?? '';
  return { scheduled: [], error: `the replay ended without an answer (${exit}) ${words.slice(0, 300)}`.trim() };
};

/** The folders the child may read: this package, and the libraries wherever they are installed. */
function readable(here: string): string[] {
  const paths = new Set<string>();
  for (let folder = realpathSync(join(here, '..')); ; folder = dirname(folder)) {
    for (const name of ['node_modules', 'package.json']) if (existsSync(join(folder, name))) paths.add(realpathSync(join(folder, name)));
    if (dirname(folder) === folder) break;
  }
  const root = realpathSync(join(here, '..'));
  for (const name of ['audit', 'domain', 'workflows']) if (existsSync(join(root, name))) paths.add(join(root, name));
  return [...paths];
}
