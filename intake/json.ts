/** Where in a text something is; both count from 1, columns in characters (not bytes). */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A JSON text read, with the offset of each element of a top-level array; or where it stops being JSON, and what stands there. */
export type JsonRead =
  | { readonly ok: true; readonly value: unknown; readonly elements: readonly number[] }
  | { readonly ok: false; readonly place: Place; readonly words: string };

/** The line and column of an offset. Lines end with LF; a CR before it counts as the last column. */
export function placeOf(text: string, offset: number): Place {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) {
    line += 1;
    start = at + 1;
  }
  return { line, column: [...text.slice(start, offset)].length + 1 };
}

/**
 * Reads one JSON text as RFC 8259 has it: no comments, no trailing commas. The value is what `JSON.parse` makes of it; the scan beside it only
 * finds places, which `JSON.parse` gives in no fixed form. Neither recurses, so depth costs memory and no stack.
 */
export function readJson(text: string): JsonRead {
  const scanned = scan(text);
  if ('words' in scanned) return { ok: false, place: placeOf(text, scanned.offset), words: scanned.words };
  return { ok: true, value: JSON.parse(text), elements: scanned.elements };
}

const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them unescaped in strings, so the scan has to name them.
const plain = /[^"\\\u0000-\u001f]*/y;
const blank = /[ \t\n\r]*/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

function matchAt(pattern: RegExp, text: string, offset: number): number {
  pattern.lastIndex = offset;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

/** The character at an offset, in words that are safe to print. */
function named(text: string, offset: number): string {
  const point = text.codePointAt(offset);
  if (point === undefined) return 'the end of the text';
  const code = `U+${point.toString(16).toUpperCase().padStart(4, '0')}`;
  return point > 0x20 && point < 0x7f ? `"${String.fromCodePoint(point)}"` : code;
}

function scan(text: string): { readonly elements: readonly number[] } | { readonly offset: number; readonly words: string } {
  const open: ('[' | '{')[] = [];
  const elements: number[] = [];
  let at = matchAt(blank, text, 0);
  let wanted: 'value' | 'value or end' | 'key' | 'key or end' | 'after' = 'value';
  const stop = (offset: number, what: string) => ({ offset, words: `expected ${what}, found ${named(text, offset)}` });

  for (;;) {
    const character = text[at];
    if (wanted === 'after') {
      const inside = open.at(-1);
      if (inside === undefined) return at === text.length ? { elements } : stop(at, 'the end of the text');
      const close = inside === '[' ? ']' : '}';
      if (character === ',') {
        wanted = inside === '[' ? 'value' : 'key';
        at += 1;
      } else if (character === close) {
        open.pop();
        at += 1;
      } else return stop(at, `"," or "${close}"`);
    } else if (wanted === 'key' || wanted === 'key or end') {
      if (character === '}' && wanted === 'key or end') {
        open.pop();
        at += 1;
        wanted = 'after';
      } else {
        if (character !== '"') return stop(at, 'a member name in double quotes');
        const end = stringEnd(text, at);
        if (typeof end !== 'number') return end;
        at = matchAt(blank, text, end);
        if (text[at] !== ':') return stop(at, '":"');
        at += 1;
        wanted = 'value';
      }
    } else {
      if (character === ']' && wanted === 'value or end') {
        open.pop();
        at += 1;
        wanted = 'after';
      } else {
        if (open.length === 1 && open[0] === '[') elements.push(at);
        if (character === '[' || character === '{') {
          open.push(character);
          at += 1;
          wanted = character === '[' ? 'value or end' : 'key or end';
        } else if (character === '"') {
          const end = stringEnd(text, at);
          if (typeof end !== 'number') return end;
          at = end;
          wanted = 'after';
        } else {
          const word = ['true', 'false', 'null'].find((candidate) => text.startsWith(candidate, at));
          const end: number = word !== undefined ? at + word.length : matchAt(number, text, at);
          if (end < 0) return stop(at, 'a value');
          at = end;
          wanted = 'after';
        }
      }
    }
    at = matchAt(blank, text, at);
  }
}

/** The offset after a string that begins at `start`, or why it does not end as one. */
function stringEnd(text: string, start: number): number | { readonly offset: number; readonly words: string } {
  let at = start + 1;
  for (;;) {
    at = matchAt(plain, text, at);
    const character = text[at];
    if (character === '"') return at + 1;
    if (character === undefined) return { offset: at, words: `the string that begins at offset ${start} does not end` };
    if (character !== '\\') return { offset: at, words: `${named(text, at)} may not stand unescaped in a string` };
    const end = matchAt(escaped, text, at);
    if (end < 0) return { offset: at, words: 'an escape that JSON does not have' };
    at = end;
  }
}
