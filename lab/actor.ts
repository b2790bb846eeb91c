import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fault } from '../domain/errors.ts';
import { entryOf } from './entry.ts';
import { practiceEnvironment } from './environment.ts';

/** A process of the scenario that talks JSON lines: a consumer or the attacker. It ends when whoever started it does. */
export interface Actor<Line> {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** The newest line of each type. */
  latest<T extends string>(type: T): Extract<Line, { type: T }> | undefined;
  /** Resolves with the first line of that type that passes, those already said included. Throws `stack.failed` if the actor ends or the time is over first. */
  said<T extends string>(
    type: T,
    test?: (line: Extract<Line, { type: T }>) => boolean,
    timeoutMs?: number,
  ): Promise<Extract<Line, { type: T }>>;
  /** Asks it to end, and gives its last line of type `total`. */
  finish(): Promise<Extract<Line, { type: 'total' }>>;
  /** Ends it at once. */
  kill(): void;
}

/** Starts an actor in the practice environment. `onLine` hears every line; what it writes on stderr is kept for the failure's words. */
export function startActor<Line extends { readonly type: string }>(
  name: string,
  entry: URL,
  config: string,
  onLine: (line: Line) => void = () => {},
): Actor<Line> {
  const { command, args } = entryOf(entry);
  const environment = practiceEnvironment();
  delete environment.DEBUG;
  const child = spawn(command, [...args, config], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...environment, TZ: 'UTC' }, detached: true });
  if (child.pid === undefined) throw fault('stack.failed', { part: name });
  const lines: Line[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const each of [...waiting]) each();
  };
  let complaint = '';
  let ended = false;
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk}`.slice(-600);
  });
  // A reader that is slower than the actor must not be the reason why it fails.
  child.stdin?.on('error', () => {});
  const closed = new Promise<void>((done) => {
    child.once('close', () => {
      ended = true;
      wake();
      done();
    });
    child.once('error', () => {
      ended = true;
      wake();
      done();
    });
  });
  createInterface({ input: child.stdout }).on('line', (text) => {
    let line: Line;
    try {
      line = JSON.parse(text) as Line;
    } catch {
      return;
    }
    // One line a second of counts would fill the memory of a long run; only the newest of each kind is looked at.
    const repeated = line.type === 'second' || line.type === 'fates';
    const at = repeated ? lines.findIndex((each) => each.type === line.type) : -1;
    if (at >= 0) lines.splice(at, 1);
    lines.push(line);
    onLine(line);
    wake();
  });

  type Of<T extends string> = Extract<Line, { type: T }>;
  async function said<T extends string>(type: T, test: (line: Of<T>) => boolean = () => true, timeoutMs = 30_000): Promise<Of<T>> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const found = lines.find((line): line is Of<T> => line.type === type && test(line as Of<T>));
      if (found !== undefined) return found;
      if (ended) throw fault('stack.failed', { part: name, awaited: type, said: complaint.trim().split('\n').at(-1) ?? '' });
      if (Date.now() >= until) throw fault('stack.failed', { part: name, awaited: type, waited: `${timeoutMs} ms` });
      await new Promise<void>((done) => {
        const timer = setTimeout(finished, Math.max(0, until - Date.now()));
        function finished(): void {
          clearTimeout(timer);
          waiting.delete(finished);
          done();
        }
        waiting.add(finished);
      });
    }
  }

  return {
    name,
    pid: child.pid,
    child,
    latest: <T extends string>(type: T) => lines.findLast((line): line is Of<T> => line.type === type),
    said,
    async finish() {
      if (!ended) child.kill('SIGTERM');
      const total = await said('total', () => true, 10_000);
      await closed;
      return total;
    },
    kill() {
      if (!ended) child.kill('SIGKILL');
    },
  };
}
