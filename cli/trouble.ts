import { type ErrorEntry, isFault, registry } from '../domain/errors.ts';
import type { Terminal } from './terminal.ts';

/** A fault as a person needs it: what, where, why, what to do. */
export interface Trouble {
  readonly code: string;
  readonly what: string;
  readonly where: string;
  readonly why: readonly string[];
  readonly next: string;
  readonly exit: number;
}

/** Any error as a trouble. What is not a fault is `engine.unexpected`, with its own words as the reason. */
export function troubleOf(error: unknown): Trouble {
  if (isFault(error)) {
    const entry: ErrorEntry = registry[error.code];
    const { remedy, ...context } = error.context;
    return {
      code: error.code,
      what: entry.title,
      where: placeIn(context),
      why: causesOf(error.cause),
      next: typeof remedy === 'string' ? `${remedy}. ${entry.remedy}` : entry.remedy,
      exit: entry.exit,
    };
  }
  const entry = registry['engine.unexpected'];
  return { code: 'engine.unexpected', what: entry.title, where: '', why: causesOf(error), next: entry.remedy, exit: entry.exit };
}

/** Prints a trouble on stderr: four parts, none of which repeats another. */
export function printTrouble(terminal: Terminal, trouble: Trouble): void {
  const lines = [`${terminal.paint('red', '✕')} ${trouble.what} (${trouble.code})`];
  if (trouble.where !== '') lines.push(`  where: ${trouble.where}`);
  for (const [index, why] of trouble.why.entries()) lines.push(`  ${index === 0 ? 'why:  ' : '      '} ${why}`);
  lines.push(`  do:    ${trouble.next}`);
  terminal.trouble({ error: trouble }, lines.join('\n'));
}

/** `file:line:column` as editors take it, then the rest of what the fault says. */
function placeIn(context: Readonly<Record<string, string | number | boolean>>): string {
  const { file, line, column, problem, path, more, ...rest } = context;
  const parts: string[] = [];
  if (file !== undefined) parts.push([file, line, line === undefined ? undefined : column].filter((part) => part !== undefined).join(':'));
  if (path !== undefined) parts.push(String(path));
  for (const [name, value] of Object.entries(rest)) parts.push(`${name} ${String(value)}`);
  const place = parts.join(', ');
  const said = problem === undefined ? place : `${place}${place === '' ? '' : ': '}${String(problem)}`;
  return more === undefined ? said : `${said} (and ${String(more)} more)`;
}

/** The chain of causes, outermost first, each once and on one line. */
function causesOf(error: unknown): readonly string[] {
  const said: string[] = [];
  for (let at: unknown = error, depth = 0; at !== undefined && at !== null && depth < 6; depth += 1) {
    const words = at instanceof Error ? `${at.name === 'Error' ? '' : `${at.name}: `}${at.message}` : String(at);
    const line = (words.split('\n', 1)[0] ?? '').slice(0, 300);
    if (line !== '' && !said.some((before) => before.includes(line))) said.push(line);
    at = at instanceof Error ? at.cause : undefined;
  }
  return said;
}
