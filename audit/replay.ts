import { spawn } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
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

/** What a replay may take, before it is ended: time, memory beside the heap, and bytes of answer. */
export interface ReplayLimits {
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly outputBytes: number;
  /** The Node that runs it; by default this one. */
  readonly node?: string;
}

const usual: ReplayLimits = { timeoutMs: 120_000, memoryBytes: 3 * 1024 ** 3, outputBytes: 256 * 1024 ** 2 };
/** How often the child's memory is looked at, in milliseconds. */
const lookMs = 100;

/**
 * Replays in a child process. Node's permission model keeps the child from writing files, starting processes and reading anything but this package and its
 * libraries; the environment is empty, so it has no credential to leak. What the model of Node 22 and 24 has no lock for is taken away before the code is looked at (replay-doors):
 * the network, signals to other processes, threads and native libraries that are not Temporal's. The code itself runs in Temporal's sandbox, in a thread, which gives it no module at all.
 * A replay that takes too long, too much memory or says too much is ended. What is left is a flaw in that sandbox and in Node at once; hence code runs only if its hash is known.
 */
export const replayInChild: Replay = (input) => replayWithin(usual)(input);

/** The same with other limits. */
export function replayWithin(limits: Partial<ReplayLimits>): Replay {
  const within = { ...usual, ...limits };
  return async (input) => await inChild(input, within);
}

async function inChild(input: ReplayInput, limits: ReplayLimits): Promise<ReplayOutcome> {
  const here = dirname(fileURLToPath(import.meta.url));
  const suffix = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const child = spawn(
    limits.node ?? process.execPath,
    [
      '--permission',
      ...readable(here).map((path) => `--allow-fs-read=${path}`),
      // Temporal's core is a native library and runs workflows in threads; neither can be done without.
      '--allow-addons',
      '--allow-worker',
      '--no-warnings',
      '--max-old-space-size=1024',
      // Threads load it too.
      `--import=${pathToFileURL(join(here, `replay-doors${suffix}`)).href}`,
      join(here, `replay-child${suffix}`),
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { TZ: 'UTC' }, cwd: here },
  );
  const out: Buffer[] = [];
  const said: Buffer[] = [];
  let ended: string | undefined;
  const end = (why: string): void => {
    ended ??= why;
    child.kill('SIGKILL');
  };
  let bytes = 0;
  const into = (kept: Buffer[]) => (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limits.outputBytes) end('it said more than a replay can say');
    else kept.push(chunk);
  };
  child.stdout.on('data', into(out));
  child.stderr.on('data', into(said));
  child.stdin.on('error', () => undefined);
  child.stdin.end(
    JSON.stringify({ code: input.code, history: Buffer.from(input.history).toString('base64'), workflowId: input.workflowId }),
  );
  const timer = setTimeout(() => end(`it took more than ${limits.timeoutMs / 1000} s`), limits.timeoutMs);
  const look = setInterval(() => {
    if (residentBytes(child.pid) > limits.memoryBytes) end('it took more memory than a replay can need');
  }, lookMs);
  const exit = await new Promise<string>((done) => {
    child.once('error', (error) => done(error.message));
    child.once('close', (code, signal) => done(signal ?? String(code)));
  });
  clearTimeout(timer);
  clearInterval(look);
  if (ended !== undefined) return { scheduled: [], error: `the replay was ended: ${ended}` };
  const last = Buffer.concat(out).toString('utf8').trim().split('\n').at(-1) ?? '';
  try {
    const outcome: unknown = JSON.parse(last);
    if (typeof outcome === 'object' && outcome !== null && 'scheduled' in outcome) return outcome as ReplayOutcome;
  } catch {
    // Falls through: the child ended without an answer.
  }
  const words = Buffer.concat(said).toString('utf8').trim().split('\n').at(-1) ?? '';
  return { scheduled: [], error: `the replay ended without an answer (${exit}) ${words.slice(0, 300)}`.trim() };
}

/** The resident memory of a process, where the system tells; the heap has a limit of its own everywhere. */
function residentBytes(pid: number | undefined): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    return Number.isFinite(pages) ? pages * 4096 : 0;
  } catch {
    return 0;
  }
}

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
