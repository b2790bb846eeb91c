import type { PayloadCodec } from '@temporalio/common';
import { BundleFile, type BundleFiles, bytesOf, recordPath, textOf } from '../../audit/bundle.ts';
import { decodeHistory, encodeHistory, type History, historyJson, parseHistory, readHistory } from '../../audit/history.ts';
import { newKey, type PrivateKey, trustedKeyOf } from '../../audit/keys.ts';
import { parseEnvelope } from '../../audit/records.ts';
import { makeReport, reportHtml, reportJson } from '../../audit/report.ts';
import { signerFrom } from '../../audit/signing.ts';
import { openStatement, predicateOf, type Statement, subjectsOf } from '../../audit/statement.ts';
import type { BlobStore } from '../../audit/store.ts';
import { parsePeople, parseTrust, signTrust } from '../../audit/trust.ts';
import { canonicalJson, type Hash, hashOf, sha256Of } from '../../domain/canonical.ts';
import { isEnvelope, openEnvelope } from '../../domain/envelope.ts';
import { type ChainEntry, type Envelope, extendChain, headOf, PayloadType, RecordType } from '../../domain/record.ts';
import type { AnyRecord } from '../../domain/record-bodies.ts';
import { KeyRole, type Trust } from '../../domain/trust.ts';

/*
 * The forger: somebody who has the server's database, the codec's key, the store with its key and every file of the operator's, and no key that signs. It changes an incident
 * wherever it stands, makes right whatever can be made right without a key, exports the bundle itself, and tries another way when a claim has caught it.
 */

/** What the forger got at. */
export interface Loot {
  readonly history: History;
  readonly codec: PayloadCodec;
  readonly store: BlobStore;
  /** Any bundle of the run, for the chain's order and for the statement that a judge once signed. */
  readonly bundle: BundleFiles;
}

/** How it goes about it. */
export interface Means {
  /** Under what changed records lie: the old signature, one of its own under the old key's name, or one of its own under its own name. */
  readonly records: 'old' | 'name' | 'own';
  /** The same of the statement; `judge`: a judge that signs whatever it is asked to export. */
  readonly statement: 'old' | 'name' | 'own' | 'judge';
  /** The trust file in the bundle: as it was, with its own keys in the list, or under a root of its own. */
  readonly trust: 'as it is' | 'listed' | 'own root';
  /** What it changes: records and history alike, or one of the two. */
  readonly touch: 'both' | 'history' | 'records';
  /** Everything after the change is left out. */
  readonly cut: boolean;
  /** Whether what is signed is rewritten too where something that it names has changed; otherwise it stays as it was signed. */
  readonly ripple: boolean;
  /** Workflow code that nobody knows. */
  readonly code: 'as it is' | 'own';
}

export const plainly: Means = {
  records: 'old',
  statement: 'old',
  trust: 'as it is',
  touch: 'both',
  cut: false,
  ripple: false,
  code: 'as it is',
};

interface Entry {
  readonly was: Hash;
  readonly type: RecordType;
  readonly envelope: Envelope;
  readonly before: string;
  record: Mutable;
  dropped?: boolean;
  /** Stands in the place of the one that was there, as it was signed. */
  instead?: Envelope;
}
// biome-ignore lint/suspicious/noExplicitAny: a forger writes what it likes wherever it likes.
export type Mutable = any;
type Event = NonNullable<History['events']>[number] & { [name: string]: Mutable };
interface Payload {
  data?: Uint8Array | null;
  metadata?: Record<string, Uint8Array> | null;
}

const period = { from: '2020-01-01T00:00:00.000Z', until: '2040-01-01T00:00:00.000Z' };

/** The forger's own keys: one for each that it would need. */
export class OwnKeys {
  readonly root = newKey({ role: KeyRole.ROOT, ...period });
  readonly #made = new Map<string, PrivateKey>();

  /** In the place of a key that the trust file names. */
  insteadOf(trust: Trust, id: string): PrivateKey {
    const there = this.#made.get(id);
    if (there) return there;
    const { role = KeyRole.JUDGE, provider, account, person } = trust.keys.find((key) => key.id === id) ?? {};
    const made = newKey({ role, ...period, ...(provider && { provider }), ...(account && { account }), ...(person && { person }) });
    this.#made.set(id, made);
    return made;
  }
  get all(): readonly PrivateKey[] {
    return [...this.#made.values()];
  }
}

/** One incident on the forger's desk. Attacks change it; {@link export} makes a bundle of it by the means given. */
export class Forgery {
  readonly entries: Entry[];
  readonly files: Map<string, Uint8Array>;
  readonly keys = new OwnKeys();
  readonly trust: Trust;
  readonly original: BundleFiles;
  touch: Means['touch'] = 'both';
  #history: History;
  #dropped = new Set<number>();
  #renamed = new Map<string, string>();
  readonly #says: ((value: Mutable, event: Event) => void)[] = [];
  #chainLast: Entry[] | undefined;

  private constructor(history: History, entries: Entry[], bundle: BundleFiles) {
    this.#history = history;
    this.entries = entries;
    this.files = new Map(bundle);
    this.original = bundle;
    this.trust = parseTrust(textOf(bundle.get(BundleFile.TRUST)) ?? '', 'trust.yaml').trust;
  }

  /** Decrypts what was taken. */
  static async of({ history, codec, store, bundle }: Loot): Promise<Forgery> {
    const chain = JSON.parse(textOf(bundle.get(BundleFile.CHAIN)) ?? '') as ChainEntry[];
    const entries: Entry[] = [];
    for (const { record: was, type } of chain) {
      const envelope = parseEnvelope(await store.get(was), was);
      const record = openEnvelope<AnyRecord>(envelope, PayloadType.RECORD);
      entries.push({ was, type, envelope, before: canonicalJson(record), record: structuredClone(record) });
    }
    const decoded = await decodeHistory(history, [codec]);
    return new Forgery(parseHistory(encodeHistory(decoded)), entries, bundle);
  }

  // ---- what attacks do ----

  /** The records of a type, in the order of the chain. */
  of(type: RecordType): Entry[] {
    return this.entries.filter((entry) => entry.type === type && !entry.dropped);
  }
  find(type: RecordType, what: (record: Mutable) => boolean = () => true): Entry {
    const found = this.of(type).find((entry) => what(entry.record));
    if (!found) throw new Error(`the incident has no such ${type}`);
    return found;
  }
  /** Changes a record, and whatever the history says of it is made to say the same when it is exported. */
  edit(entry: Entry, change: (record: Mutable) => void): void {
    change(entry.record);
  }
  /** Puts another honestly signed record where this one was. */
  instead(entry: Entry, envelope: Envelope): void {
    entry.instead = envelope;
    entry.record = structuredClone(openEnvelope<AnyRecord>(envelope, PayloadType.RECORD));
  }
  drop(entry: Entry): void {
    entry.dropped = true;
  }
  get events(): Event[] {
    return (this.#history.events ?? []) as Event[];
  }
  dropEvents(what: (event: Event) => boolean): void {
    for (const event of this.events) if (what(event)) this.#dropped.add(Number(event.eventId));
  }
  /** Takes the whole of an activity out of the history: asked for, begun and ended. */
  dropActivity(what: (result: Mutable, type: string, args: Mutable[]) => boolean): void {
    const scheduled = new Map(
      this.events.flatMap((event) => (event.activityTaskScheduledEventAttributes ? [[Number(event.eventId), event]] : [])),
    );
    for (const event of this.events) {
      const ended: Mutable = event.activityTaskCompletedEventAttributes ?? event.activityTaskFailedEventAttributes;
      const begun = ended && scheduled.get(Number(ended.scheduledEventId));
      if (!begun) continue;
      const attributes = begun.activityTaskScheduledEventAttributes as Mutable;
      if (!what(valueIn(ended.result?.payloads?.[0]), attributes.activityType.name, (attributes.input?.payloads ?? []).map(valueIn)))
        continue;
      this.#dropped.add(Number(begun.eventId));
      this.dropEvents((each) => {
        const of =
          each.activityTaskStartedEventAttributes ?? each.activityTaskCompletedEventAttributes ?? each.activityTaskFailedEventAttributes;
        return Number(of?.scheduledEventId ?? -1) === Number(begun.eventId);
      });
    }
  }
  /** Changes any value in the history, after all else has been made to agree. */
  say(change: (value: Mutable, event: Event) => void): void {
    this.#says.push(change);
  }
  #say(history: History, change: (value: Mutable, event: Event) => void): void {
    for (const event of (history.events ?? []) as Event[]) {
      for (const payload of payloadsIn(event)) {
        const value = valueIn(payload);
        if (value === undefined) continue;
        const before = JSON.stringify(value);
        change(value, event);
        const after = JSON.stringify(value);
        if (after !== before) payload.data = bytesOf(after);
      }
    }
  }
  /** Moves events in time, in seconds. */
  shift(seconds: number, what: (event: Event) => boolean): void {
    for (const event of this.events)
      if (what(event) && event.eventTime) event.eventTime.seconds = (Number(event.eventTime.seconds) + seconds) as never;
  }
  /** Replaces a word wherever it stands: in records, history and files. */
  rename(from: string, to: string): void {
    this.#renamed.set(from, to);
  }
  /** Adds an event's copy right behind it, and the record once more to the chain. */
  duplicate(entry: Entry): void {
    this.entries.splice(this.entries.indexOf(entry) + 1, 0, { ...entry, record: structuredClone(entry.record) });
  }
  swap(a: Entry, b: Entry): void {
    const [i, j] = [this.entries.indexOf(a), this.entries.indexOf(b)];
    this.entries[i] = b;
    this.entries[j] = a;
  }
  /** The order of the chain as it will be written. */
  reorder(order: Entry[]): void {
    this.#chainLast = order;
  }

  // ---- the export ----

  /** Makes the bundle. `judge`: signs whatever it is given, as a judge does that was asked to export what lies in the database. */
  export(means: Means, judge: (statement: Statement) => Envelope): BundleFiles {
    const words = new Map(this.#renamed);
    const replace = (text: string): string => {
      let now = text;
      for (const [from, to] of words) now = now.replaceAll(from, to);
      return now;
    };
    const envelopes = new Map<string, Envelope>();
    const out = new Map(this.files);
    for (const path of [...out.keys()]) if (path.startsWith('records/')) out.delete(path);

    // 1. Records, in the order of the chain: what stands on a changed one changes too, and so does its hash.
    let chain: ChainEntry[] = [];
    const heads = (JSON.parse(textOf(this.original.get(BundleFile.CHAIN)) ?? '[]') as ChainEntry[]).map((entry) => entry.head);
    const now = new Map<Hash, AnyRecord>();
    /** What the records would say, for a history that says it though they do not. */
    const told = new Map<Hash, AnyRecord>();
    const written: { entry: Entry; hash: Hash; record: AnyRecord }[] = [];
    const order = this.#chainLast ?? this.entries;
    const firstChange = order.findIndex((entry) => entry.dropped || entry.instead || canonicalJson(entry.record) !== entry.before);
    let ended = true;
    for (const [index, entry] of order.entries()) {
      if (entry.dropped) continue;
      if (means.cut && firstChange >= 0 && index >= firstChange) {
        ended = false;
        break;
      }
      const changed = means.touch === 'history' && !entry.instead ? JSON.parse(entry.before) : entry.record;
      const edited = canonicalJson(changed) !== entry.before || this.#renamed.size > 0;
      const record = edited || means.ripple ? this.#rewritten(changed, means, replace, envelopes) : changed;
      let envelope = entry.envelope;
      if (entry.instead) envelope = entry.instead;
      else if (canonicalJson(record) !== entry.before) envelope = this.#signed(record, entry.envelope, means);
      const written1 = openEnvelope<AnyRecord>(envelope, PayloadType.RECORD);
      const bytes = bytesOf(canonicalJson(envelope));
      const hash = sha256Of(bytes);
      out.set(recordPath(hash), bytes);
      if (hash !== entry.was) words.set(entry.was, hash);
      if (entry.type === RecordType.PLAN) {
        const [was, is] = [hashOf(JSON.parse(entry.before).body), hashOf(written1.body)];
        if (was !== is) words.set(was, is);
      }
      chain = [...chain, extendChain(chain, entry.type, hash)];
      const at = heads[this.entries.indexOf(entry)];
      const head = headOf(chain);
      if (at !== undefined && at !== head) words.set(at, head);
      now.set(hash, written1);
      told.set(hash, entry.record);
      written.push({ entry, hash, record: written1 });
    }
    out.set(BundleFile.CHAIN, bytesOf(`${canonicalJson(chain)}\n`));

    // 2. The history: every hash renamed, every result made to say what its record says, events counted anew.
    const history = parseHistory(encodeHistory(this.#history));
    if (means.touch !== 'records') {
      this.#withoutDropped(history, means.cut ? this.#cutAt(written) : undefined);
      for (const event of (history.events ?? []) as Event[]) {
        const started = event.workflowExecutionStartedEventAttributes;
        if (started?.workflowId) started.workflowId = replace(started.workflowId);
        for (const name of ['originalExecutionRunId', 'firstExecutionRunId'] as const)
          if (started?.[name]) started[name] = replace(started[name] as string);
        for (const payload of payloadsIn(event)) {
          const text = Buffer.from(payload.data ?? []).toString();
          let value: Mutable;
          try {
            value = withEnvelopes(JSON.parse(replace(text)), envelopes);
          } catch {
            continue;
          }
          if (typeof value === 'object' && value !== null) {
            if ('chain' in value && 'head' in value) Object.assign(value, { chain, head: headOf(chain) });
            if (event.activityTaskCompletedEventAttributes) inTune(value, means.touch === 'history' ? told : now);
          }
          const after = JSON.stringify(value);
          if (after !== JSON.stringify(JSON.parse(text))) payload.data = bytesOf(after);
        }
      }
    }
    if (means.touch !== 'records') for (const change of this.#says) this.#say(history, change);
    out.set(BundleFile.HISTORY, encodeHistory(history));
    out.set(BundleFile.HISTORY_JSON, bytesOf(historyJson(parseHistory(encodeHistory(history)))));

    // 3. Trust, code, report, statement.
    if (means.trust !== 'as it is') out.set(BundleFile.TRUST, bytesOf(this.#trustText(means)));
    if (means.code === 'own') out.set(BundleFile.CODE, bytesOf('globalThis.x = 1;\n'));
    const facts = readHistory(parseHistory(encodeHistory(history)));
    const report = makeReport({ engine: this.trust.engine, chain, records: now, facts });
    out.set(BundleFile.REPORT, bytesOf(reportJson(report)));
    out.set(BundleFile.REPORT_HTML, bytesOf(reportHtml(report)));
    const { envelope, statement } = openStatement(this.original);
    const policies = [...out.keys()].filter((path) => path.startsWith('policies/')).map((path): Hash => `sha256:${path.slice(9, -5)}`);
    const predicate = predicateOf({
      report,
      chain,
      events: facts.events,
      ended: ended && statement.predicate.ended && facts.end !== undefined,
      code: means.code === 'own' ? sha256Of('globalThis.x = 1;\n') : statement.predicate.code,
      trust: parseTrust(textOf(out.get(BundleFile.TRUST)) ?? '', 'trust.yaml').trust,
      people: parsePeople(textOf(out.get(BundleFile.PEOPLE)) ?? '', 'people.yaml'),
      policies,
      register: statement.predicate.register,
      madeAt: statement.predicate.madeAt,
    });
    const said: Statement = { ...statement, subject: subjectsOf(out), predicate };
    out.set(
      BundleFile.STATEMENT,
      bytesOf(
        `${canonicalJson(means.statement === 'judge' ? judge(said) : this.#resign(PayloadType.STATEMENT, said, envelope, means.statement))}\n`,
      ),
    );
    return out;
  }

  #trustText(means: Means): string {
    const file = parseTrust(textOf(this.original.get(BundleFile.TRUST)) ?? '', 'trust.yaml');
    for (const key of file.trust.keys)
      if (key.role !== KeyRole.ROOT && key.role !== KeyRole.SEALING) this.keys.insteadOf(file.trust, key.id);
    const own = this.keys.all.map(trustedKeyOf);
    if (means.trust === 'own root') {
      const keys = [...file.trust.keys.filter((key) => key.role !== KeyRole.ROOT), trustedKeyOf(this.keys.root), ...own];
      return signTrust({ ...file.trust, keys }, this.keys.root);
    }
    const text = signTrust({ ...file.trust, keys: [...file.trust.keys, ...own] }, this.keys.root);
    return text.replace(/signatures:[\s\S]*$/, (textOf(this.original.get(BundleFile.TRUST)) ?? '').match(/signatures:[\s\S]*$/)?.[0] ?? '');
  }

  #signed(record: Mutable, before: Envelope, means: Means): Envelope {
    return this.#resign(PayloadType.RECORD, record, before, means.records);
  }

  #resign(type: string, body: Mutable, before: Envelope, how: 'old' | 'name' | 'own'): Envelope {
    const keyid = before.signatures[0]?.keyid ?? '';
    if (how === 'old') return { ...before, payload: Buffer.from(canonicalJson(body)).toString('base64') };
    const own = this.keys.insteadOf(this.trust, keyid);
    if (how === 'own') return signerFrom(own).sign(type, 'by' in body && type === PayloadType.RECORD ? { ...body, by: own.id } : body);
    const signed = signerFrom(own).sign(type, body);
    return { ...signed, signatures: signed.signatures.map(({ sig }) => ({ keyid, sig })) };
  }

  /** A record with the new names in it, in the decision inside it too. */
  #rewritten(record: Mutable, means: Means, replace: (text: string) => string, envelopes: Map<string, Envelope>): Mutable {
    const again = JSON.parse(replace(canonicalJson(record)));
    const signed = record.type === RecordType.DECISION ? again.body.signed : undefined;
    if (isEnvelope(signed)) {
      try {
        const decision = openEnvelope<Mutable>(signed, PayloadType.DECISION);
        const renamed = JSON.parse(replace(canonicalJson(decision)));
        const edited = record.body.decision ? { ...renamed, ...record.body.decision } : renamed;
        delete again.body.decision;
        if (canonicalJson(edited) !== canonicalJson(decision)) {
          const person = this.trust.keys.find((key) => key.person === edited.by)?.id ?? signed.signatures[0]?.keyid ?? '';
          const how =
            means.records === 'own' ? { ...signed, signatures: [{ keyid: person, sig: signed.signatures[0]?.sig ?? '' }] } : signed;
          const forged = this.#resign(PayloadType.DECISION, edited, how, means.records);
          envelopes.set(canonicalJson(signed), forged);
          again.body.signed = forged;
        }
      } catch {
        // What is no decision stays as it came.
      }
    }
    if (record.type === RecordType.REVIEW && again.body.head) again.body.head = replace(again.body.head);
    return again;
  }

  /** The event after which nothing is kept: the end of the last activity whose record is kept. */
  #cutAt(written: { entry: Entry }[]): number {
    const last = written.at(-1)?.entry.was ?? '';
    let at = Number.POSITIVE_INFINITY;
    for (const event of this.events) {
      const result = event.activityTaskCompletedEventAttributes?.result;
      if (result && JSON.stringify(valueIn(result.payloads?.[0]) ?? null).includes(last)) at = Number(event.eventId);
    }
    return at;
  }

  #withoutDropped(history: History, cutAt: number | undefined): void {
    const kept = ((history.events ?? []) as Event[]).filter(
      (event) => !this.#dropped.has(Number(event.eventId)) && (cutAt === undefined || Number(event.eventId) <= cutAt),
    );
    const numbers = new Map(kept.map((event, index) => [Number(event.eventId), index + 1]));
    const renumber = (value: Mutable): void => {
      if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
      for (const [name, child] of Object.entries(value)) {
        if (/EventId$/.test(name) || name === 'eventId') {
          const to = numbers.get(Number(child));
          if (to !== undefined && to !== Number(child)) value[name] = to;
        } else renumber(child);
      }
    };
    if (kept.length !== history.events?.length) for (const event of kept) renumber(event);
    history.events = kept as never;
  }
}

/** What an activity's result says in the history, made to agree with the records it names. */
function inTune(value: Mutable, records: ReadonlyMap<Hash, AnyRecord>): void {
  const of = (hash: unknown): Mutable => records.get(hash as Hash)?.body;
  const put = (said: Mutable): void => {
    for (const [name, to] of Object.entries(said)) if (canonicalJson(value[name] ?? null) !== canonicalJson(to ?? null)) value[name] = to;
  };
  const left = of(value.record);
  if (records.get(value.record)?.type === RecordType.STEP) {
    for (const name of ['outcome', 'observation', 'clocks', 'made', 'residual']) if (name in value) put({ [name]: left[name] });
  }
  if (records.get(value.record)?.type === RecordType.DECISION) put(left.ruling);
  const plan = of(value.plan);
  if (plan) {
    const { mode, rule } = of(value.verdict) ?? {};
    const { finding, swept } = of(value.assessment) ?? {};
    put({ content: plan, planHash: hashOf(plan), ...(mode && { mode, rule }), ...(finding && { live: finding.live, swept }) });
  }
  const finding = of(value.finding);
  if (finding) put({ live: finding.live, swept: finding.swept });
}

function withEnvelopes(value: Mutable, envelopes: ReadonlyMap<string, Envelope>): Mutable {
  if (typeof value !== 'object' || value === null || envelopes.size === 0) return value;
  if (isEnvelope(value)) return envelopes.get(canonicalJson(value)) ?? value;
  for (const [name, child] of Object.entries(value)) value[name] = withEnvelopes(child, envelopes);
  return value;
}

/** The value in a payload of JSON. */
export function valueIn(payload: Payload | undefined): Mutable {
  if (!payload?.data || Buffer.from(payload.metadata?.encoding ?? []).toString() !== 'json/plain') return undefined;
  try {
    return JSON.parse(Buffer.from(payload.data).toString());
  } catch {
    return undefined;
  }
}

/** All payloads of an event that hold JSON. */
export function payloadsIn(event: unknown): Payload[] {
  const found: Payload[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
    const payload = value as Payload;
    if (payload.metadata?.encoding && payload.data && Buffer.from(payload.metadata.encoding).toString() === 'json/plain') {
      if (!payload.metadata.type) found.push(payload);
      return;
    }
    for (const child of Object.values(value)) walk(child);
  };
  walk(event);
  return found;
}
