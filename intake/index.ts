import { type ErrorCode, isFault } from '../domain/errors.ts';
import { ReportFormat } from '../domain/report.ts';
import { draftOf, type Finding, type IntakeOptions, learnFrom, type Problem, problem, type ReportDraft } from './draft.ts';
import { isGithubAlert, readGithubAlert } from './github-alert.ts';
import { isGitleaks, pairAwsKeys, readGitleaks, readSarif, sarifResults } from './gitleaks.ts';
import { type Place, placeOf, readJson } from './json.ts';
import { draftsOfText } from './manual.ts';
import { Scrubber } from './scrub.ts';
import { isTrufflehog, isTrufflehogLog, readTrufflehog } from './trufflehog.ts';

export { fingerprintOfSecret, type IntakeOptions, type Problem, type ReportDraft } from './draft.ts';
export { identify } from './identify.ts';
export { type ByHand, draftByHand } from './manual.ts';

/** What a text held: the drafts in its order, and everything in it that could not be used. Both may be empty: a scanner may have found nothing. */
export interface Intake {
  readonly format?: ReportFormat;
  readonly drafts: readonly ReportDraft[];
  readonly problems: readonly Problem[];
}

interface Located {
  readonly entry: number;
  readonly value: unknown;
  readonly place?: Place;
}

type Reader = (value: object) => Finding | string;

const formats: Readonly<Record<string, { readonly is: (value: object) => boolean; readonly read: Reader }>> = {
  [ReportFormat.TRUFFLEHOG]: { is: isTrufflehog, read: readTrufflehog },
  [ReportFormat.GITLEAKS]: { is: isGitleaks, read: readGitleaks },
  [ReportFormat.GITHUB_ALERT]: { is: isGithubAlert, read: readGithubAlert },
};

/**
 * Reads a report of any format: the bytes or text of TruffleHog (lines or array), Gitleaks (JSON of any version, SARIF), GitHub alerts (one, a list,
 * a webhook), or, if `format` says so, free text. Never throws for what the text holds. What is no JSON gives one problem `report.syntax` with line
 * and column; JSON that is no report one `report.not-a-report`; an entry that cannot be used one `report.entry-unusable`, while the others go on.
 * `name` is the file's: it decides only what an empty list is the empty list of.
 */
export function parseReports(source: string | Uint8Array, options: IntakeOptions & { readonly name?: string } = {}): Intake {
  const decoded = decode(source);
  if (typeof decoded !== 'string') return { drafts: [], problems: [decoded] };
  const text = decoded;
  if (options.format === ReportFormat.MANUAL) return { format: ReportFormat.MANUAL, drafts: draftsOfText(text, options), problems: [] };
  if (/^[ \t\r\n]*$/.test(text)) {
    // A scanner that found nothing writes an empty file; only who knows that it is a scanner's can tell it from a lost one.
    if (options.format !== undefined) return { format: options.format, drafts: [], problems: [] };
    return { drafts: [], problems: [problem(0, 'report.syntax', 'the text is empty', { line: 1, column: 1 })] };
  }
  const lines = linesOf(text, options);
  if (lines !== undefined) return assemble(ReportFormat.TRUFFLEHOG, lines.entries, readTrufflehog, lines.problems, options);
  const read = readJson(text);
  if (!read.ok) return { drafts: [], problems: [problem(0, 'report.syntax', read.words, read.place)] };
  return parseValue(read.value, (index) => placeOf(text, read.elements[index] ?? 0), options);
}

function parseValue(value: unknown, placeAt: (index: number) => Place, options: IntakeOptions & { readonly name?: string }): Intake {
  const refuse = (words: string): Intake => ({ drafts: [], problems: [problem(0, 'report.not-a-report', words, { line: 1, column: 1 })] });
  if (value === null || (Array.isArray(value) && value.length === 0)) {
    const format =
      options.format ?? Object.values(ReportFormat).find((name) => options.name?.toLowerCase().includes(name.replace(/-.*/, '')));
    if (format !== undefined) return { format, drafts: [], problems: [] };
    return refuse('it is empty; if it is a scanner that found nothing, say which by --format');
  }
  if (Array.isArray(value)) {
    const entries: Located[] = value.map((item: unknown, index) => ({ entry: index + 1, value: item, place: placeAt(index) }));
    const format =
      options.format ?? entries.map((item) => (isObject(item.value) ? formatOf(item.value) : undefined)).find((name) => name !== undefined);
    const reader = format === undefined ? undefined : formats[format];
    if (format === undefined || reader === undefined) return refuse('a list whose entries have the form of no known report');
    return assemble(format as ReportFormat, entries, reader.read, [], options);
  }
  if (!isObject(value)) return refuse(`a ${typeof value} stands where a report should`);
  const results = sarifResults(value);
  if (results !== undefined) {
    const tools = new Map(results.map((result) => [result.result, result.tool]));
    const entries = results.map((result, index) => ({ entry: index + 1, value: result.result }));
    return assemble(ReportFormat.GITLEAKS, entries, (entry) => readSarif(tools.get(entry) ?? 'gitleaks', entry), [], options);
  }
  const format = options.format ?? formatOf(value);
  const reader = format === undefined ? undefined : formats[format];
  if (format === undefined || reader === undefined) return refuse('an object with the form of no known report');
  if (options.format !== undefined && !reader.is(value)) return refuse(`an object that has not the form of a ${options.format} report`);
  return assemble(format as ReportFormat, [{ entry: 1, value, place: { line: 1, column: 1 } }], reader.read, [], options);
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

function formatOf(value: object): string | undefined {
  return Object.keys(formats).find((name) => formats[name]?.is(value));
}

function assemble(
  format: ReportFormat,
  entries: readonly Located[],
  read: Reader,
  before: readonly Problem[],
  options: IntakeOptions,
): Intake {
  const problems = [...before];
  let findings: Finding[] = [];
  for (const { entry, value, place } of entries) {
    if (!isObject(value)) {
      problems.push(
        problem(
          entry,
          'report.entry-unusable',
          `a ${value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value} stands where a finding should`,
          place,
        ),
      );
      continue;
    }
    const found = attempt(() => read(value));
    if (typeof found === 'string') problems.push(problem(entry, 'report.entry-unusable', found, place));
    else findings.push(found);
  }
  if (format === ReportFormat.GITLEAKS) findings = pairAwsKeys(findings);
  const scrubber = new Scrubber();
  for (const finding of findings) learnFrom(finding, scrubber);
  problems.sort((a, b) => a.entry - b.entry);
  return { format, drafts: findings.map((finding) => draftOf(finding, options, scrubber)), problems };
}

/** One entry must not take the others with it, whatever a reader has not thought of. */
function attempt(read: () => Finding | string): Finding | string {
  try {
    return read();
  } catch (error) {
    const code: ErrorCode | undefined = isFault(error) ? error.code : undefined;
    return code === undefined ? 'it has a form that no reader expects' : `it cannot be read (${code})`;
  }
}

/**
 * The entries of a text of one JSON object a line, with a problem for each line that is none; undefined where the text is something else. It is taken
 * for lines if it has more than one line, some line is a TruffleHog result by itself, and it is not one JSON text as a whole.
 */
function linesOf(
  text: string,
  options: IntakeOptions,
): { readonly entries: readonly Located[]; readonly problems: readonly Problem[] } | undefined {
  if (options.format !== undefined && options.format !== ReportFormat.TRUFFLEHOG) return undefined;
  const lines = text
    .split('\n')
    .map((line, index) => ({ line: line.trim(), number: index + 1, column: line.length - line.trimStart().length + 1 }));
  const filled = lines.filter(({ line }) => line !== '');
  if (filled.length < 2 && options.format === undefined) return undefined;
  const first = filled[0]?.line[0];
  if (first === '[' || (filled.length === 1 && readJson(text).ok)) return undefined;
  const entries: Located[] = [];
  const problems: Problem[] = [];
  let recognised = false;
  let entry = 0;
  for (const { line, number, column } of filled) {
    const read = line.startsWith('{') ? readJson(line) : undefined;
    if (read?.ok && isObject(read.value)) {
      if (isTrufflehogLog(read.value)) continue;
      entry += 1;
      recognised ||= isTrufflehog(read.value);
      entries.push({ entry, value: read.value, place: { line: number, column } });
      continue;
    }
    entry += 1;
    const place = read !== undefined && !read.ok ? { line: number, column: column + read.place.column - 1 } : { line: number, column };
    problems.push(
      problem(entry, 'report.entry-unusable', read !== undefined && !read.ok ? read.words : 'the line is no JSON object', place),
    );
  }
  if (!recognised && (options.format === undefined || readJson(text).ok)) return undefined;
  return { entries, problems };
}

/** Bytes to text: UTF-8 with or without byte order mark. A line that is not UTF-8 keeps marks in its place and is refused as an entry, not the whole. */
function decode(source: string | Uint8Array): string | Problem {
  if (typeof source === 'string') return source.startsWith('\ufeff') ? source.slice(1) : source;
  if ((source[0] === 0xff && source[1] === 0xfe) || (source[0] === 0xfe && source[1] === 0xff)) {
    return problem(0, 'report.syntax', 'the text is UTF-16; save it as UTF-8', { line: 1, column: 1 });
  }
  const text = new TextDecoder('utf-8').decode(source);
  if (text.includes('\ufffd')) {
    const broken = brokenAt(source);
    // Lines that are UTF-8 are still worth having where each line is a report of its own.
    if (broken !== undefined && !(text.trimStart().startsWith('{') && text.trimEnd().includes('\n'))) {
      return problem(0, 'report.syntax', 'a byte that is not UTF-8', broken);
    }
    if (broken !== undefined) return withoutBrokenLines(source, broken);
  }
  return text;
}

/** The place of the first byte that is not UTF-8; undefined where all are. */
function brokenAt(bytes: Uint8Array): Place | undefined {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let line = 0;
  for (let from = 0; from <= whole.length; ) {
    line += 1;
    const end = whole.indexOf(0x0a, from);
    const part = whole.subarray(from, end < 0 ? whole.length : end);
    try {
      decoder.decode(part);
    } catch {
      const text = new TextDecoder('utf-8').decode(part);
      return { line, column: [...text.slice(0, Math.max(0, text.indexOf('\ufffd')))].length + 1 };
    }
    if (end < 0) return undefined;
    from = end + 1;
  }
  return undefined;
}

/** The text with every line that is not UTF-8 made into one that is no JSON, so that the reader of lines refuses it in its place. */
function withoutBrokenLines(bytes: Uint8Array, broken: Place): string | Problem {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let good = 0;
  const lines = [];
  for (let from = 0; from <= whole.length; ) {
    const end = whole.indexOf(0x0a, from);
    const part = whole.subarray(from, end < 0 ? whole.length : end);
    try {
      lines.push(decoder.decode(part));
      good += part.length > 0 ? 1 : 0;
    } catch {
      lines.push('(a line that is not UTF-8)');
    }
    if (end < 0) break;
    from = end + 1;
  }
  return good === 0 ? problem(0, 'report.syntax', 'a byte that is not UTF-8', broken) : lines.join('\n');
}
