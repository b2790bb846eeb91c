import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A run of `play.ts` in a process of its own. */
export interface Play {
  readonly child: ChildProcess;
  readonly lines: Record<string, unknown>[];
  readonly ended: Promise<number | string>;
  /** Everything it said on stderr so far. */
  talk(): string;
  /** The first line of that type. Rejects with what it said on stderr where it ends without. */
  line(type: string): Promise<Record<string, unknown>>;
}

export function startPlay(options: Readonly<Record<string, unknown>>, environment: NodeJS.ProcessEnv = process.env): Play {
  const script = fileURLToPath(new URL('./play.ts', import.meta.url));
  const child = spawn(process.execPath, ['--no-warnings', script, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment,
  });
  let talk = '';
  child.stderr.on('data', (chunk: Buffer) => {
    talk += chunk;
  });
  const lines: Record<string, unknown>[] = [];
  const heard = new EventTarget();
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text) as Record<string, unknown>);
    heard.dispatchEvent(new Event('line'));
  });
  const ended = new Promise<number | string>((done) => child.once('close', (code, signal) => done(code ?? signal ?? 'unknown')));
  return {
    child,
    lines,
    ended,
    talk: () => talk,
    async line(type) {
      let over = false;
      void ended.then(() => {
        over = true;
        heard.dispatchEvent(new Event('line'));
      });
      for (;;) {
        const found = lines.find((line) => line.type === type);
        if (found !== undefined) return found;
        if (over) throw new Error(`it ended without a line of type ${type}: ${talk.slice(-2_000)}`);
        await new Promise<void>((done) => heard.addEventListener('line', () => done(), { once: true }));
      }
    },
  };
}
