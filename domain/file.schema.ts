import { type Document, isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, type Pair, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { isDuration, parseDuration } from './duration.ts';
import { type Fault, fault } from './errors.ts';

/** One thing wrong with a file, and where. Lines and columns count from 1; `path` reads like `consumers[0].store`. */
export interface FileProblem {
  readonly code: 'file.syntax' | 'file.invalid';
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly path: string;
  /** What is wrong and, where it can be said, how to mend it. Quotes no value of the file. */
  readonly problem: string;
}

/** A parsed file, or everything that is wrong with it in the order of the file. */
export type FileRead<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly [FileProblem, ...FileProblem[]] };

type Path = readonly PropertyKey[];

const wholeFile = '(whole file)';

/** The duration of a YAML file (`4s`, `15m`, `36h`), as milliseconds. */
export const durationField = z
  .string()
  .refine(isDuration, 'expected a duration such as 500ms, 4s, 15m, 36h or 7d')
  .transform((text) => parseDuration(text));

/**
 * Reads YAML 1.2 (and so JSON) against a zod schema and returns what the schema makes of it. Throws `file.syntax` where the text is not well-formed
 * (duplicate keys, several documents and unknown tags included) and `file.invalid` where the schema refuses it, each with `{ file, line, column,
 * path, problem }` of the first problem and `more`, the number of further ones, where there are any. Rules across members belong into the
 * schema's `superRefine`, whose issues carry a path and so get a place as well. Unknown keys are refused by `z.strictObject` only.
 */
export function parseYaml<S extends z.ZodType>(text: string, file: string, schema: S): z.output<S> {
  const read = readYaml(text, file, schema);
  if (!read.ok) throw faultOf(read.problems);
  return read.value;
}

/** The fault that {@link parseYaml} throws for these problems. */
export function faultOf(problems: readonly [FileProblem, ...FileProblem[]]): Fault {
  const [{ code, file, line, column, path, problem }, ...rest] = problems;
  return fault(code, { file, line, column, path, problem, ...(rest.length > 0 ? { more: rest.length } : {}) });
}

/** As {@link parseYaml}, with all problems instead of a fault for the first. */
export function readYaml<S extends z.ZodType>(text: string, file: string, schema: S): FileRead<z.output<S>> {
  const lines = new LineCounter();
  const problem = (code: FileProblem['code'], offset: number, path: Path, words: string): FileProblem => {
    // An empty file has no line at all in the counter, and so offset 0 is line 1 by decree.
    const { line, col } = lines.linePos(offset);
    return { code, file, line: Math.max(line, 1), column: Math.max(col, 1), path: wordsOf(path), problem: words };
  };
  let document: Document.Parsed;
  let value: unknown;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true, uniqueKeys: true, version: '1.2' });
    const [first, ...rest] = [...document.errors, ...document.warnings].map((error) =>
      problem('file.syntax', error.pos[0], [], firstLine(error.message)),
    );
    if (first !== undefined) return { ok: false, problems: [first, ...rest] };
    let dangling: number | undefined;
    visit(document, {
      Alias(_key, alias) {
        if (alias.resolve(document) !== undefined) return undefined;
        dangling = alias.range?.[0] ?? 0;
        return visit.BREAK;
      },
    });
    if (dangling !== undefined)
      return { ok: false, problems: [problem('file.syntax', dangling, [], 'an alias whose anchor is not set before it')] };
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // The library recurses, so absurd nesting ends in a RangeError; aliases without measure end in a ReferenceError.
    const words = error instanceof RangeError ? 'nested too deeply' : 'refers to itself, or to other places too often';
    return { ok: false, problems: [problem('file.syntax', 0, [], words)] };
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, value: parsed.data };
  const problems = parsed.error.issues.flatMap((issue) =>
    expand(issue).map(({ path, key, words }) =>
      problem('file.invalid', offsetOf(document, path, key), key === undefined ? path : [...path, key], words),
    ),
  );
  problems.sort((a, b) => a.line - b.line || a.column - b.column);
  const [first, ...rest] = problems;
  return { ok: false, problems: [first ?? problem('file.invalid', 0, [], 'says something it may not'), ...rest] };
}

interface Finding {
  readonly path: Path;
  /** The key itself is wrong, not its value. */
  readonly key?: string;
  readonly words: string;
}

/** The findings of one zod issue: one per unknown key, and for a union those of the member that came closest. */
function expand(issue: z.core.$ZodIssue): readonly Finding[] {
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: issue.path, key, words: 'no such key is known here' }));
    case 'invalid_key':
      return [
        {
          path: issue.path.slice(0, -1),
          key: String(issue.path.at(-1)),
          words: `the key is not allowed: ${issue.issues[0]?.message ?? issue.message}`,
        },
      ];
    case 'invalid_union': {
      const closest = [...issue.errors].sort((a, b) => depth(b) - depth(a) || a.length - b.length)[0];
      if (closest === undefined || depth(closest) === 0) return [{ path: issue.path, words: issue.message }];
      return closest.flatMap((inner) => expand({ ...inner, path: [...issue.path, ...inner.path] }));
    }
    case 'invalid_type': {
      if (issue.input === undefined && issue.message.endsWith('received undefined'))
        return [{ path: issue.path, words: `is missing: ${issue.message}` }];
      const hint = issue.expected === 'string' && /received (number|boolean)$/.test(issue.message) ? '; put it in quotes' : '';
      return [{ path: issue.path, words: `${issue.message}${hint}` }];
    }
    default:
      return [{ path: issue.path, words: issue.message }];
  }
}

const depth = (issues: readonly z.core.$ZodIssue[]): number => Math.max(0, ...issues.map((issue) => issue.path.length));

/** Where the thing at `path` begins in the text; of what is missing, where its nearest parent begins. */
function offsetOf(document: Document.Parsed, path: Path, key: string | undefined): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const [index, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    let next: unknown;
    if (isMap(node)) {
      const pair = pairOf(node.items, part);
      if (pair === undefined) return offset;
      const last = index === path.length - 1;
      // A wrong value is shown where it stands; a value that stands nowhere (`key:`) is shown at its key.
      next = pair.value;
      const shown = last && isNode(next) && next.range && next.range[0] !== next.range[1] ? next : pair.key;
      offset = isNode(shown) ? (shown.range?.[0] ?? offset) : offset;
    } else if (isSeq(node)) {
      next = node.items[Number(part)];
      if (next === undefined) return offset;
      offset = isNode(next) ? (next.range?.[0] ?? offset) : offset;
    } else return offset;
    node = next;
  }
  if (key === undefined) return offset;
  if (isAlias(node)) node = node.resolve(document);
  const named = isMap(node) ? pairOf(node.items, key)?.key : undefined;
  return isNode(named) ? (named.range?.[0] ?? offset) : offset;
}

function pairOf(items: readonly unknown[], name: PropertyKey): Pair | undefined {
  for (const item of items) {
    if (!isPair(item)) continue;
    const key = isScalar(item.key) ? item.key.value : item.key;
    if (String(key) === String(name)) return item;
  }
  return undefined;
}

function wordsOf(path: Path): string {
  if (path.length === 0) return wholeFile;
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`)).join('');
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? text;
