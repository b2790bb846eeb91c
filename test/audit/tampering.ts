import { BundleFile, type BundleFiles, bytesOf, recordPath, textOf } from '../../audit/bundle.ts';
import { encodeHistory, type History, historyJson, parseHistory, readHistory } from '../../audit/history.ts';
import { parseEnvelope } from '../../audit/records.ts';
import { makeReport, reportHtml, reportJson } from '../../audit/report.ts';
import { openStatement, type Statement, subjectsOf } from '../../audit/statement.ts';
import { canonicalJson, type Hash, sha256Of } from '../../domain/canonical.ts';
import { openEnvelope } from '../../domain/envelope.ts';
import { type ChainEntry, type Envelope, extendChain, headOf, PayloadType } from '../../domain/record.ts';
import type { AnyRecord } from '../../domain/record-bodies.ts';

/** Numbers that look random and are the same for the same seed, so that a table that fails can be made again. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

type Random = (below: number) => number;
type Tamper = (files: Map<string, Uint8Array>, random: Random) => string;

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T;
}

/** Something else of the same type. */
function other(value: unknown, random: Random): unknown {
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') return value + 1 + random(1000);
  if (typeof value === 'string') {
    if (value === '') return 'x';
    const at = random(value.length);
    return `${value.slice(0, at)}${value[at] === 'a' ? 'b' : 'a'}${value.slice(at + 1)}`;
  }
  return 'x';
}

/** Changes one leaf of a JSON value in place, and says which. */
function changeLeaf(value: unknown, random: Random): string {
  const leaves: { holder: Record<string, unknown>; name: string; path: string }[] = [];
  const walk = (holder: Record<string, unknown>, path: string): void => {
    for (const name of Object.keys(holder)) {
      const child = holder[name];
      if (typeof child === 'object' && child !== null) walk(child as Record<string, unknown>, `${path}.${name}`);
      else leaves.push({ holder, name, path: `${path}.${name}` });
    }
  };
  walk({ value } as Record<string, unknown>, '');
  const leaf = pick(random, leaves);
  leaf.holder[leaf.name] = other(leaf.holder[leaf.name], random);
  return leaf.path;
}

interface MutablePayload {
  data?: Uint8Array | null;
  metadata?: Record<string, Uint8Array> | null;
}

/** The JSON payloads of a history, with the number of their event. */
function payloadsOf(history: History): { eventId: number; payload: MutablePayload }[] {
  const found: { eventId: number; payload: MutablePayload }[] = [];
  for (const event of history.events ?? []) {
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
      const payload = value as MutablePayload;
      if (payload.metadata?.encoding && payload.data && Buffer.from(payload.metadata.encoding).toString() === 'json/plain') {
        // Search attributes are the server's to keep and are in nobody's record.
        if (!payload.metadata.type) found.push({ eventId: Number(event.eventId), payload });
        return;
      }
      for (const child of Object.values(value)) walk(child);
    };
    walk(event);
  }
  return found;
}

function withHistory(files: Map<string, Uint8Array>, change: (history: History) => string): string {
  const history = parseHistory(files.get(BundleFile.HISTORY) as Uint8Array);
  const words = change(history);
  files.set(BundleFile.HISTORY, encodeHistory(history));
  files.set(BundleFile.HISTORY_JSON, bytesOf(historyJson(history)));
  return words;
}

const records = (files: BundleFiles): string[] => [...files.keys()].filter((path) => path.startsWith('records/')).sort();

function flipByte(files: Map<string, Uint8Array>, path: string, random: Random): string {
  const bytes = new Uint8Array(files.get(path) as Uint8Array);
  const at = random(bytes.length);
  bytes[at] = (bytes[at] as number) ^ (1 << random(8));
  files.set(path, bytes);
  return `byte ${at} of ${path}`;
}

function bodyOf(files: BundleFiles, path: string): { envelope: Envelope; record: AnyRecord } {
  const envelope = parseEnvelope(files.get(path) as Uint8Array, path);
  return { envelope, record: openEnvelope<AnyRecord>(envelope, PayloadType.RECORD) };
}

/** Puts other content under the old signature, as somebody without the key must. */
function putRecord(files: Map<string, Uint8Array>, path: string, envelope: Envelope, record: unknown): void {
  files.set(path, bytesOf(canonicalJson({ ...envelope, payload: Buffer.from(canonicalJson(record)).toString('base64') })));
}

/** One change of each kind. Each says what it changed. */
export const tampers: Readonly<Record<string, Tamper>> = {
  payload: (files, random) =>
    withHistory(files, (history) => {
      const { eventId, payload } = pick(random, payloadsOf(history));
      const box = { value: JSON.parse(Buffer.from(payload.data ?? []).toString()) };
      const path = changeLeaf(box, random);
      payload.data = bytesOf(JSON.stringify(box.value));
      return `${path} in event ${eventId}`;
    }),
  time: (files, random) =>
    withHistory(files, (history) => {
      const event = pick(random, history.events ?? []);
      const shift = (random(2) === 0 ? -1 : 1) * (1 + random(3600));
      if (event.eventTime) Object.assign(event.eventTime, { seconds: Number(event.eventTime.seconds) + shift });
      return `event ${event.eventId} by ${shift} s`;
    }),
  order: (files, random) =>
    withHistory(files, (history) => {
      const events = history.events ?? [];
      const at = 1 + random(events.length - 2);
      const [one, two] = [events[at], events[at + 1]];
      if (!one || !two) throw new Error('a history has more than two events');
      events[at] = two;
      events[at + 1] = one;
      if (random(2) === 0) [one.eventId, two.eventId] = [two.eventId ?? null, one.eventId ?? null];
      return `events ${at + 1} and ${at + 2}`;
    }),
  decision: (files, random) => {
    const path = pick(
      random,
      records(files).filter((each) => bodyOf(files, each).record.type === 'decision'),
    );
    const { envelope, record } = bodyOf(files, path);
    const body = record.body as { signed: Envelope; ruling: unknown };
    if (random(2) === 0) {
      const words = changeLeaf(body.ruling, random);
      putRecord(files, path, envelope, record);
      return `ruling${words} in ${path}`;
    }
    const decision = openEnvelope<Record<string, unknown>>(body.signed, PayloadType.DECISION);
    const words = changeLeaf(decision, random);
    Object.assign(body, { signed: { ...body.signed, payload: Buffer.from(canonicalJson(decision)).toString('base64') } });
    putRecord(files, path, envelope, record);
    return `decision${words} in ${path}`;
  },
  signature: (files, random) => {
    const path = pick(random, [...records(files), BundleFile.STATEMENT]);
    const text = textOf(files.get(path)) ?? '';
    const envelope = JSON.parse(text) as { signatures: { sig: string }[] };
    const signature = envelope.signatures[0];
    if (!signature) throw new Error('every envelope has a signature');
    const raw = Buffer.from(signature.sig, 'base64');
    const at = random(raw.length);
    raw[at] = (raw[at] as number) ^ (1 << random(8));
    signature.sig = raw.toString('base64');
    files.set(path, bytesOf(`${canonicalJson(envelope)}${path === BundleFile.STATEMENT ? '\n' : ''}`));
    return `of ${path}`;
  },
  record: (files, random) => flipByte(files, pick(random, records(files)), random),
  body: (files, random) => {
    const path = pick(random, records(files));
    const { envelope, record } = bodyOf(files, path);
    const words = changeLeaf(record, random);
    putRecord(files, path, envelope, record);
    return `${words} in ${path}`;
  },
  report: (files, random) => flipByte(files, pick(random, [BundleFile.REPORT, BundleFile.REPORT_HTML]), random),
  manifest: (files, random) => flipByte(files, BundleFile.STATEMENT, random),
  chain: (files, random) => flipByte(files, BundleFile.CHAIN, random),
  trust: (files, random) => flipByte(files, pick(random, [BundleFile.TRUST, BundleFile.PEOPLE]), random),
  policy: (files, random) =>
    flipByte(
      files,
      pick(
        random,
        [...files.keys()].filter((path) => path.startsWith('policies/')),
      ),
      random,
    ),
  missing: (files, random) => {
    const path = pick(random, [...files.keys()].filter((each) => each !== BundleFile.STATEMENT).sort());
    files.delete(path);
    return path;
  },
  added: (files, random) => {
    const bytes = bytesOf(canonicalJson({ some: random(1000) }));
    files.set(recordPath(sha256Of(bytes)), bytes);
    return 'a file that is no record';
  },
};

/**
 * Makes everything right that can be made right without a key: records under the hashes of their content, the chain linked anew, hashes in the history
 * replaced, the report made again, the list in the statement brought up to date. What was tampered with stays tampered with: where the change is to a file that
 * would be made again, it is left, since making it again would take the change back.
 */
export function recompute(files: Map<string, Uint8Array>, original: BundleFiles, sign?: (statement: Statement) => Envelope): void {
  const same = (a: Uint8Array | undefined, b: Uint8Array | undefined) => a !== undefined && b !== undefined && Buffer.from(a).equals(b);
  const changed = new Set([...original.keys()].filter((path) => !same(files.get(path), original.get(path))));
  const put = (path: string, text: string): void => {
    if (!changed.has(path)) files.set(path, bytesOf(text));
  };
  const renamed = new Map<Hash, Hash>();
  for (const path of records(files)) {
    const bytes = files.get(path) as Uint8Array;
    const hash = sha256Of(bytes);
    if (recordPath(hash) === path) continue;
    files.delete(path);
    files.set(recordPath(hash), bytes);
    renamed.set(`sha256:${path.slice('records/'.length, -'.json'.length)}`, hash);
  }
  const replace = (text: string): string => [...renamed].reduce((now, [from, to]) => now.replaceAll(from, to), text);
  const lost = !files.has(BundleFile.HISTORY_JSON);
  let head: Hash | undefined;
  let links: ChainEntry[] = [];
  try {
    const chain = JSON.parse(replace(textOf(files.get(BundleFile.CHAIN)) ?? '')) as ChainEntry[];
    const before = headOf(chain);
    links = [];
    for (const entry of chain) links.push(extendChain(links, entry.type, entry.record));
    head = headOf(links);
    if (before !== head) renamed.set(before, head);
    put(BundleFile.CHAIN, `${canonicalJson(links)}\n`);
  } catch {
    // A chain that cannot be read cannot be mended either.
  }
  try {
    withHistory(files, (history) => {
      for (const { payload } of payloadsOf(history)) {
        const text = Buffer.from(payload.data ?? []).toString();
        const value = JSON.parse(replace(text));
        if (typeof value === 'object' && value !== null && 'chain' in value && 'head' in value)
          Object.assign(value, { chain: links, head });
        const now = JSON.stringify(value);
        if (now !== text) payload.data = bytesOf(now);
      }
      return '';
    });
    if (!original.has(BundleFile.HISTORY_JSON) || lost) files.delete(BundleFile.HISTORY_JSON);
    const opened = new Map<Hash, AnyRecord>();
    for (const path of records(files)) opened.set(sha256Of(files.get(path) as Uint8Array), bodyOf(files, path).record);
    const facts = readHistory(parseHistory(files.get(BundleFile.HISTORY) as Uint8Array));
    const engine = [...opened.values()][0]?.engine ?? '';
    const report = makeReport({ engine, chain: links, records: opened, facts });
    put(BundleFile.REPORT, reportJson(report));
    put(BundleFile.REPORT_HTML, reportHtml(report));
  } catch {
    // Nor can what is made of it.
  }
  try {
    const { envelope, statement } = openStatement(files);
    const predicate = { ...statement.predicate, ...(head && { head }), records: links.length };
    const now: Statement = { ...statement, subject: subjectsOf(files), predicate };
    if (canonicalJson(now) === canonicalJson(statement)) return;
    const signed = sign ? sign(now) : { ...envelope, payload: Buffer.from(canonicalJson(now)).toString('base64') };
    put(BundleFile.STATEMENT, `${canonicalJson(signed)}\n`);
  } catch {
    // A statement that cannot be read stays as it is.
  }
}
