import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { run } from '../../cli/program.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line in this process, with its own streams, folder and environment. Nobody sits at the terminal. */
export async function tourniquet(
  argv: readonly string[],
  options: { readonly cwd: string; readonly stdin?: string; readonly environment?: NodeJS.ProcessEnv; readonly signal?: AbortSignal },
): Promise<Ran> {
  const collect = () => {
    const stream = new PassThrough();
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
  };
  const [stdout, stderr] = [collect(), collect()];
  const stdin = new PassThrough();
  stdin.end(options.stdin ?? '');
  const code = await run(argv, {
    stdin,
    stdout: stdout.stream,
    stderr: stderr.stream,
    environment: options.environment ?? {},
    cwd: options.cwd,
    signal: options.signal ?? new AbortController().signal,
  });
  return { code, out: stdout.text(), err: stderr.text() };
}

export const passphrase = 'correct horse battery staple';

/** A folder with an engine in it, as `tourniquet init` makes it: alice and bob may approve, carol may not. */
export async function madeEngine(address = '127.0.0.1:1'): Promise<{ readonly folder: string; remove(): void }> {
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-cli-'));
  const file = join(folder, 'passphrase');
  writeFileSync(file, `${passphrase}\n`, { mode: 0o600 });
  const people = ['alice:approver,responder', 'bob:approver', 'carol:owner'].flatMap((person) => ['--person', person]);
  const ran = await tourniquet(
    ['init', 'engine', '--account', 'aws/609629065308', ...people, '--address', address, '--passphrase-file', file],
    { cwd: folder },
  );
  if (ran.code !== 0) throw new Error(`init failed: ${ran.err}`);
  return { folder: join(folder, 'engine'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}
