import type { Streams, Terminal } from './terminal.ts';

/** One command, as data: the parser, the help, docs/cli.md and the tests are made from it. */
export interface CommandDefinition {
  /** The words that call it: `list`, `audit verify`. */
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** Whole sentences, for the help and the page. */
  readonly description: string;
  readonly arguments: readonly { readonly name: string; readonly summary: string; readonly optional?: boolean; readonly many?: boolean }[];
  readonly options: readonly CommandOption[];
  /** The exit codes it may end with, besides 0, 1 and 2. */
  readonly exits: readonly number[];
  readonly examples: readonly string[];
  /** Does it. Answers the exit code; nothing is 0. Throws faults. */
  run(call: Call): Promise<number | undefined>;
}

export interface CommandOption {
  /** As the parser wants it: `--where <place>`, `--stuck`. */
  readonly flags: string;
  readonly summary: string;
  readonly many?: boolean;
  readonly choices?: readonly string[];
}

/** One call of a command. Options are under their long name in camel case. */
export interface Call {
  readonly arguments: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly terminal: Terminal;
  /** Beneath the terminal, for a command that draws by itself. */
  readonly streams: Streams;
  /** `--config`, where it was given. */
  readonly config: string | undefined;
  readonly environment: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Aborts on Ctrl-C and SIGTERM; its reason is the exit code that goes with it. Of use only after {@link heed}: a command that has not said so is ended at once. */
  readonly signal: AbortSignal;
  /** All commands, and the help of one or of all of them by their words; undefined where there is no such command. */
  manual(): Promise<Manual>;
  /** Says that this command ends by itself when the signal aborts. */
  heed(): void;
}

export interface Manual {
  readonly definitions: readonly CommandDefinition[];
  helpOf(words: readonly string[]): string | undefined;
}

/** The text of an option; undefined where it was not given. */
export function text(call: Call, name: string): string | undefined {
  const value = call.options[name];
  return typeof value === 'string' ? value : undefined;
}

/** The texts of an option that may be repeated. */
export function texts(call: Call, name: string): readonly string[] {
  const value = call.options[name];
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

export const flag = (call: Call, name: string): boolean => call.options[name] === true;
