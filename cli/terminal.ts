import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { styleText } from 'node:util';
import { fault } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** Where a command's words go: answers to stdout, all else to stderr. */
export interface Terminal {
  readonly json: boolean;
  /** Stdout is a terminal, so that a picture may be redrawn on it. */
  readonly live: boolean;
  /** Somebody sits at stdin and stderr and can be asked. */
  readonly asks: boolean;
  readonly stdout: Writable;
  /** The answer: the value as one JSON text with `--json`, the words otherwise. */
  answer(value: unknown, words: string | readonly string[]): void;
  /** One line of a stream of answers: JSON on one line, or the words. */
  line(value: unknown, words: string): void;
  /** Talk that is no answer. Silent with `--json`. */
  say(words: string): void;
  /** A trouble, also with `--json`: there as JSON on one line. */
  trouble(value: unknown, words: string): void;
  paint(colour: Colour, words: string): string;
  /** Asks for a line. Throws `usage.invalid`, naming `instead`, where nobody can be asked. */
  ask(question: string, instead: string): Promise<string>;
  /** SECRET: asks for a line without showing it. */
  askSecret(question: string, instead: string): Promise<Secret>;
  /** SECRET: all of stdin. */
  readStdin(): Promise<Buffer>;
}

export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown };
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly environment: NodeJS.ProcessEnv;
  readonly cwd: string;
}

export function terminalOf(streams: Streams, json: boolean): Terminal {
  const { stdin, stdout, stderr, environment } = streams;
  const colours = (stream: { readonly isTTY?: boolean }): boolean =>
    !environment.NO_COLOR && environment.TERM !== 'dumb' && (stream.isTTY === true || Boolean(environment.FORCE_COLOR)) && !json;
  const asks = stdin.isTTY === true && stderr.isTTY === true;
  const write = (stream: Writable, words: string) => stream.write(words.endsWith('\n') ? words : `${words}\n`);
  const refuse = (question: string, instead: string): never => {
    throw fault('usage.invalid', { missing: question.replace(/[?: ]+$/, ''), problem: `nobody can be asked here; ${instead}` });
  };
  return {
    json,
    live: stdout.isTTY === true && !json && environment.TERM !== 'dumb',
    asks,
    stdout,
    answer(value, words) {
      if (json) write(stdout, JSON.stringify(value, null, 2));
      else for (const line of typeof words === 'string' ? [words] : words) write(stdout, line);
    },
    line(value, words) {
      write(stdout, json ? JSON.stringify(value) : words);
    },
    say(words) {
      if (!json) write(stderr, words);
    },
    trouble(value, words) {
      write(stderr, json ? JSON.stringify(value) : words);
    },
    paint: (colour, words) => (colours(stdout) ? styleText(colour, words, { validateStream: false }) : words),
    async ask(question, instead) {
      if (!asks) return refuse(question, instead);
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return (await new Promise<string>((done) => lines.question(question, done))).trim();
      } finally {
        lines.close();
      }
    },
    async askSecret(question, instead) {
      if (!asks || stdin.setRawMode === undefined) return refuse(question, instead);
      stderr.write(question);
      return new Secret(await hidden(stdin as Required<Streams['stdin']>, () => stderr.write('\n')));
    },
    async readStdin() {
      const chunks: Buffer[] = [];
      for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array));
      return Buffer.concat(chunks);
    },
  };
}

/** A line typed without echo. Ctrl-C gives up as it does anywhere else. */
async function hidden(stdin: Required<Streams['stdin']>, done: () => void): Promise<string> {
  stdin.setRawMode(true);
  stdin.resume();
  try {
    return await new Promise<string>((take, give) => {
      let typed = '';
      const onTyped = (chunk: Buffer | string) => {
        for (const character of chunk.toString()) {
          if (character === '\r' || character === '\n' || character === '\u0004') {
            stdin.off('data', onTyped);
            return take(typed);
          }
          if (character === '\u0003') {
            stdin.off('data', onTyped);
            return give(fault('usage.invalid', { problem: 'given up' }));
          }
          if (character === '\u007f' || character === '\b') typed = [...typed].slice(0, -1).join('');
          else if (character >= ' ') typed += character;
        }
      };
      stdin.on('data', onTyped);
    });
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    done();
  }
}
