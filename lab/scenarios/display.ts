import type { Readable, Writable } from 'node:stream';
import { styleText } from 'node:util';

/** Where a scenario is shown, and where a person at a keyboard answers. */
export interface Display {
  /** True where a person can be asked. */
  readonly asks: boolean;
  /** One line of what has happened, by whom. It stays. */
  event(who: string, what: string, colour?: Colour): void;
  /** A block of lines that stays, such as a plan or a summary. */
  block(lines: readonly string[]): void;
  /** The lines that change: on a terminal redrawn below everything else, elsewhere written once in a while. */
  pulse(lines: readonly string[]): void;
  /** Starts the clock that events are dated with anew. */
  restart(): void;
  paint(colour: Colour, words: string): string;
  /** Waits for one of these keys. Rejects when `signal` aborts. */
  key(question: string, keys: readonly string[], signal: AbortSignal): Promise<string>;
  /** Takes the changing lines away. */
  close(): void;
}
export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

export interface DisplayStreams {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly environment: NodeJS.ProcessEnv;
}

/** How often the changing lines are written where they cannot be redrawn, in milliseconds. */
const quietMs = 10_000;

/** Characters of one event; the record has all of it. */
const longest = 240;

/** Shows on a terminal with the changing lines below, or as plain lines on anything else. */
export function displayOn({ stdin, stdout, environment }: DisplayStreams): Display {
  const live = stdout.isTTY === true && environment.TERM !== 'dumb';
  const colours = (live || Boolean(environment.FORCE_COLOR)) && !environment.NO_COLOR;
  const asks = stdin.isTTY === true && stdout.isTTY === true && stdin.setRawMode !== undefined;
  let began = Date.now();
  let footer: readonly string[] = [];
  let shown = 0;
  let pulsedAt = 0;
  const paint = (colour: Colour, words: string): string => (colours ? styleText(colour, words, { validateStream: false }) : words);
  const clear = (): void => {
    if (shown > 0) stdout.write(`\x1b[${shown}A\x1b[J`);
    shown = 0;
  };
  const draw = (): void => {
    if (!live || footer.length === 0) return;
    const width = stdout.columns ?? 100;
    // A line that wraps would be two, and the next redraw would leave one of them standing.
    for (const line of footer) stdout.write(`${cut(line, width - 1)}\n`);
    shown = footer.length;
  };
  const keep = (lines: readonly string[]): void => {
    clear();
    for (const line of lines) stdout.write(`${line}\n`);
    draw();
  };
  const stamp = (): string => `${((Date.now() - began) / 1_000).toFixed(1).padStart(6)} s`;
  return {
    asks,
    paint,
    event(who, what, colour) {
      const said = what.length > longest ? `${what.slice(0, longest - 1)}…` : what;
      keep([`${paint('dim', stamp())}  ${who.padEnd(20)} ${colour === undefined ? said : paint(colour, said)}`]);
    },
    block: keep,
    pulse(lines) {
      if (live) {
        clear();
        footer = ['', ...lines];
        draw();
      } else if (Date.now() - pulsedAt >= quietMs) {
        pulsedAt = Date.now();
        for (const line of lines) stdout.write(`${stamp()}  ${line}\n`);
      }
    },
    restart() {
      began = Date.now();
      pulsedAt = Date.now();
    },
    async key(question, keys, signal) {
      keep([paint('yellow', question)]);
      stdin.setRawMode?.(true);
      stdin.resume();
      try {
        return await new Promise<string>((take, give) => {
          const heard = (chunk: Buffer | string): void => {
            const typed = chunk.toString().toLowerCase();
            if (typed.includes('\u0003')) {
              // Raw mode takes the terminal's own meaning of Ctrl-C away. What the signal does is the process's to say, and ends the wait by `signal`.
              process.kill(process.pid, 'SIGINT');
              return;
            }
            const found = keys.find((key) => typed.includes(key));
            if (found === undefined) return;
            done();
            take(found);
          };
          const stopped = (): void => {
            done();
            give(new DOMException('given up', 'AbortError'));
          };
          const done = (): void => {
            stdin.off('data', heard);
            signal.removeEventListener('abort', stopped);
          };
          if (signal.aborted) return stopped();
          stdin.on('data', heard);
          signal.addEventListener('abort', stopped, { once: true });
        });
      } finally {
        stdin.setRawMode?.(false);
        stdin.pause();
      }
    },
    close() {
      clear();
      footer = [];
    },
  };
}

/** The beginning of a line that fits; escape sequences take no room. */
function cut(line: string, width: number): string {
  let room = width;
  let out = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (part.startsWith('\x1b[')) out += part;
    else {
      out += part.slice(0, Math.max(0, room));
      room -= part.length;
    }
  }
  return out;
}
