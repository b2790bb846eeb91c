import { canonicalJson, type Hash, isHash, sha256Of } from '../domain/canonical.ts';
import { keyIdOf, openEnvelope } from '../domain/envelope.ts';
import { codeOf, fault } from '../domain/errors.ts';
import { type Envelope, emptyHead, PayloadType, RecordType } from '../domain/record.ts';
import { KeyRole, keyAt, type Trust, type TrustedKey } from '../domain/trust.ts';
import { type Signer, verifyEnvelope } from './signing.ts';
import type { BlobStore } from './store.ts';

/** What is entered in the register: what came in, who decided, what was changed, how it ended, what was refused, and by whom and what it was all judged. */
export const RegisterKind = {
  REPORT: 'report',
  DECISION: 'decision',
  CHANGE: 'change',
  REFUSAL: 'refusal',
  CLOSE: 'close',
  TRUST: 'trust',
  PEOPLE: 'people',
  POLICY: 'policy',
} as const;
export type RegisterKind = (typeof RegisterKind)[keyof typeof RegisterKind];

/** What a worker's key may enter; everything else is the judge's. */
const byWorker: ReadonlySet<RegisterKind> = new Set([RegisterKind.CHANGE, RegisterKind.REFUSAL]);

/**
 * One entry, as signed. `n` counts from 1; `prev` is the hash of the envelope before it (zeros for the first). `record` is the blob in the store that the entry
 * stands for: a record, or the canonical content of a trust, people or policy file.
 */
export interface RegisterEntry {
  readonly v: 1;
  readonly n: number;
  readonly prev: Hash;
  readonly kind: RegisterKind;
  readonly engine: string;
  readonly incident?: string;
  readonly run?: string;
  readonly record: Hash;
  /** Of a trust file. */
  readonly serial?: number;
  readonly at: string;
  readonly by: string;
}

/** What the writer says of an entry; the register fills in the rest. */
export type NewEntry = Pick<RegisterEntry, 'kind' | 'incident' | 'run' | 'record' | 'serial'>;

/** What is judged by, as a worker sees it: the content of a file, whose canonical form's hash is what names it elsewhere. */
export interface Edit {
  readonly kind: 'trust' | 'people' | 'policy';
  readonly content: unknown;
  /** Of a trust file. */
  readonly serial?: number;
}

/** Where the register ends: how many entries, and the hash of the last one's envelope. */
export interface RegisterHead {
  readonly n: number;
  readonly hash: Hash;
}

export interface Register {
  /** Appends an entry and says where it stands. Any number of writers in any number of processes: each entry gets the next number, and none is lost or doubled. */
  append(entry: NewEntry): Promise<RegisterHead>;
  /**
   * Enters what a trust, people or policy file says, unless the entry before it of that kind says the same; and keeps the content in the store. What is appended after the call
   * stands after it, whether or not it was waited for.
   */
  note(edit: Edit): Promise<void>;
  /** The end of the register as the store has it now. */
  head(): Promise<RegisterHead>;
  /** The entry of that number, verified in its shape and nothing else; undefined where there is none that can be read. */
  read(n: number): Promise<{ readonly entry: RegisterEntry; readonly envelope: Envelope } | undefined>;
}

/** What the names of entries begin with in the store. */
export const registerPrefix = 'register/';
const digits = 12;

/** The name in the store of the entry of that number. Padded, so that the order of names is that of numbers. */
export function registerName(n: number): string {
  return `${registerPrefix}${String(n).padStart(digits, '0')}`;
}

/** The number in such a name; undefined for any other name. */
export function numberIn(name: string): number | undefined {
  const text = name.startsWith(registerPrefix) ? name.slice(registerPrefix.length) : '';
  const n = Number(text);
  return /^\d{12,16}$/.test(text) && n > 0 && Number.isSafeInteger(n) && registerName(n) === name ? n : undefined;
}

/** Which kind of entry a record makes; undefined where it makes none. Silence that opens a gate decides, so it is entered as what it is. */
export function kindOf(type: RecordType, body: unknown): RegisterKind | undefined {
  switch (type) {
    case RecordType.REPORT:
      return RegisterKind.REPORT;
    case RecordType.DECISION:
      return RegisterKind.DECISION;
    case RecordType.GATE:
      return (body as { event?: unknown } | null)?.event === 'defaulted' ? RegisterKind.DECISION : undefined;
    case RecordType.STEP:
      return RegisterKind.CHANGE;
    case RecordType.REFUSAL:
      return RegisterKind.REFUSAL;
    case RecordType.REVIEW:
      return RegisterKind.CLOSE;
    default:
      return undefined;
  }
}

/**
 * The register in a blob store. An entry is a name that is taken once, so two writers never have one number; whoever loses looks where the end is now and takes the
 * next. The end is kept in memory: where nobody else writes, an append costs one look and one write. Nothing is locked, and a writer killed at any moment leaves
 * a whole entry or none.
 */
export function createRegister(deps: {
  readonly store: BlobStore;
  readonly signer: Signer;
  readonly engine: string;
  readonly clock?: () => Date;
}): Register {
  const { store, signer, engine } = deps;
  const clock = deps.clock ?? (() => new Date());
  let tip: RegisterHead | undefined;
  // Entries of one process are written one after the other: among themselves they would only take each other's numbers.
  let queue: Promise<unknown> = Promise.resolve();

  /** The end as the store has it. The first look lists the names, so that a hole that somebody cut stays a hole; after it, numbers have only to be counted on. */
  const catchUp = async (): Promise<RegisterHead> => {
    tip ??= await lastListed(store);
    let low = tip.n;
    // Strides are doubled while there is something, then halved: others may have written thousands since this process last looked.
    let stride = 1;
    for (; await isTaken(store, low + stride); stride *= 2) low += stride;
    for (stride = Math.floor(stride / 2); stride >= 1; stride = Math.floor(stride / 2)) {
      if (await isTaken(store, low + stride)) low += stride;
    }
    if (low > tip.n) {
      // Behind what cannot be read the chain goes on from the last that could.
      const bytes = await bytesAt(store, low);
      tip = { n: low, hash: bytes instanceof Uint8Array ? sha256Of(bytes) : tip.hash };
    }
    return tip;
  };

  const append = async (given: NewEntry): Promise<RegisterHead> => {
    for (;;) {
      const last = await catchUp();
      const n = last.n + 1;
      const entry: RegisterEntry = {
        v: 1,
        n,
        prev: last.hash,
        kind: given.kind,
        engine,
        ...(given.incident === undefined ? {} : { incident: given.incident }),
        ...(given.run === undefined ? {} : { run: given.run }),
        record: given.record,
        ...(given.serial === undefined ? {} : { serial: given.serial }),
        at: clock().toISOString(),
        by: signer.keyid,
      };
      const bytes = new Uint8Array(Buffer.from(canonicalJson(signer.sign(PayloadType.REGISTER, entry))));
      if (await take(store, n, bytes)) {
        tip = { n, hash: sha256Of(bytes) };
        return tip;
      }
    }
  };

  const marks = new Map<string, number>();
  const note = async ({ kind, content, serial }: Edit): Promise<void> => {
    const text = canonicalJson(content);
    const record = sha256Of(text);
    // Which entry was the last of its kind stands under names of its own, taken one after the other, so that nobody has to read the register backwards for it.
    let count = marks.get(kind) ?? 0;
    let last: Uint8Array | undefined;
    for (; ; count++) {
      const mark = await store.read(`edits/${kind}/${count}`);
      if (mark === undefined) break;
      last = mark;
    }
    if (last === undefined && count > 0) last = await store.read(`edits/${kind}/${count - 1}`);
    marks.set(kind, count);
    if (last !== undefined) {
      const there = await bytesAt(store, Number(new TextDecoder().decode(last)));
      const entry = there instanceof Uint8Array ? openEntry(there).entry : undefined;
      if (entry?.kind === kind && entry.record === record) return;
    }
    await store.put(new Uint8Array(Buffer.from(text)));
    const { n } = await append({ kind, record, ...(serial === undefined ? {} : { serial }) });
    // A writer killed before this line enters the same once more, which says nothing wrong.
    await store.createIfAbsent(`edits/${kind}/${count}`, new TextEncoder().encode(String(n)));
  };

  /** After all that was asked for before it, whether that went well or not. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work);
    queue = done.catch(() => undefined);
    return done;
  };

  return {
    append: (entry) => inTurn(() => append(entry)),
    note: (edit) => inTurn(() => note(edit)),
    head: () => inTurn(catchUp),
    async read(n) {
      const bytes = await bytesAt(store, n);
      return bytes instanceof Uint8Array ? openEntry(bytes) : undefined;
    },
  };
}

/** Takes the number, if nobody has. A number that is taken by what cannot be read is taken all the same. */
async function take(store: BlobStore, n: number, bytes: Uint8Array): Promise<boolean> {
  try {
    return (await store.createIfAbsent(registerName(n), bytes)).created;
  } catch (error) {
    if (codeOf(error) === 'record.unreadable') return false;
    throw error;
  }
}

/** What stands at a number. A file cut short by a power cut must not stop the engine for good: it is passed over, and stays for `audit gaps` to name. */
async function bytesAt(store: BlobStore, n: number): Promise<Uint8Array | 'unreadable' | undefined> {
  try {
    return await store.read(registerName(n));
  } catch (error) {
    if (codeOf(error) === 'record.unreadable') return 'unreadable';
    throw error;
  }
}

async function isTaken(store: BlobStore, n: number): Promise<boolean> {
  return (await bytesAt(store, n)) !== undefined;
}

/** The highest number there is, however far it lies behind the others, with the hash of the last entry that can be read. */
async function lastListed(store: BlobStore): Promise<RegisterHead> {
  const numbers = await numbersIn(store);
  const n = numbers.at(-1) ?? 0;
  for (let at = numbers.length - 1; at >= 0; at--) {
    const bytes = await bytesAt(store, numbers[at] ?? 0);
    if (bytes instanceof Uint8Array) return { n, hash: sha256Of(bytes) };
  }
  return { n, hash: emptyHead };
}

/** All numbers that are taken, in their order. */
export async function numbersIn(store: BlobStore): Promise<number[]> {
  const names = await store.list(registerPrefix);
  return names.flatMap((name) => numberIn(name) ?? []).sort((a, b) => a - b);
}

/** The entry in the bytes of a name. Throws `record.unreadable` where they are not one; says nothing of the signature. */
export function openEntry(bytes: Uint8Array): { readonly entry: RegisterEntry; readonly envelope: Envelope } {
  const text = Buffer.from(bytes).toString('utf8');
  let envelope: unknown;
  try {
    envelope = JSON.parse(text);
  } catch {
    throw fault('record.unreadable', { why: 'not JSON' });
  }
  const entry = openEnvelope<RegisterEntry>(envelope, PayloadType.REGISTER);
  if (canonicalJson(envelope) !== text || !isEntry(entry)) throw fault('record.unreadable', { why: 'not an entry of the register' });
  return { entry, envelope: envelope as Envelope };
}

/** The key that signed an entry and might, at its time; undefined where there is none or the signature does not hold. */
export function signerOf(
  { entry, envelope }: { readonly entry: RegisterEntry; readonly envelope: Envelope },
  trust: Trust,
): TrustedKey | undefined {
  const id = keyIdOf(envelope);
  if (entry.by !== id) return undefined;
  const key =
    keyAt(trust, id, KeyRole.JUDGE, entry.at) ?? (byWorker.has(entry.kind) ? keyAt(trust, id, KeyRole.WORKER, entry.at) : undefined);
  return key && verifyEnvelope(envelope, key.public) ? key : undefined;
}

function isEntry(value: unknown): value is RegisterEntry {
  if (typeof value !== 'object' || value === null) return false;
  const entry = value as Record<string, unknown>;
  const optional = (name: string, type: 'string' | 'number') => entry[name] === undefined || typeof entry[name] === type;
  return (
    entry.v === 1 &&
    Number.isSafeInteger(entry.n) &&
    isHash(entry.prev) &&
    isHash(entry.record) &&
    Object.values<unknown>(RegisterKind).includes(entry.kind) &&
    typeof entry.engine === 'string' &&
    typeof entry.by === 'string' &&
    typeof entry.at === 'string' &&
    !Number.isNaN(Date.parse(entry.at)) &&
    optional('incident', 'string') &&
    optional('run', 'string') &&
    optional('serial', 'number')
  );
}
