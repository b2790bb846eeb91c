import { canonicalJson, type Hash, isHash } from '../domain/canonical.ts';
import { keyIdOf, openEnvelope } from '../domain/envelope.ts';
import { type Fault, fault, isFault } from '../domain/errors.ts';
import { type Envelope, PayloadType, RecordType } from '../domain/record.ts';
import type { AnyRecord, RecordAs, RecordBodies } from '../domain/record-bodies.ts';
import { KeyRole, keyAt, type Trust, type TrustedKey } from '../domain/trust.ts';
import { createRegister, kindOf, type Register } from './register.ts';
import { type Signer, verifyEnvelope } from './signing.ts';
import type { BlobStore } from './store.ts';

export type { AnyRecord, RecordAs, RecordBodies } from '../domain/record-bodies.ts';

/** Who may sign what. A judge may sign also what a worker may: the `manual` provider has no worker of its own. */
const byWorker: ReadonlySet<RecordType> = new Set([
  RecordType.FINDING,
  RecordType.SNAPSHOT,
  RecordType.STEP,
  RecordType.REFUSAL,
  RecordType.SELF,
]);

/** What a writer says of a record; the rest is filled in. */
export interface NewRecord<T extends RecordType> {
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly standsOn: readonly Hash[];
  readonly body: RecordBodies[T];
}

/** Writes and reads records of one engine. */
export interface Records {
  /** Signs and stores a record, enters it in the register where it is of a kind that belongs there, and then returns its hash. */
  write<T extends RecordType>(type: T, record: NewRecord<T>): Promise<Hash>;
  /** Reads a record and verifies it as {@link openRecord} does. Throws `record.missing`, `record.unreadable` or `record.forged`. */
  read<T extends RecordType>(hash: Hash, type: T): Promise<RecordAs<T>>;
  /** As `read`, for a record of any type. */
  readAny(hash: Hash): Promise<AnyRecord>;
  /** The envelope as it lies in the store, verified in nothing but its hash. */
  envelope(hash: Hash): Promise<Envelope>;
  /** The engine's register, written with the same key. */
  readonly register: Register;
}

/** Bytes of envelopes whose records are kept opened: a step's plan and snapshot are asked for by every other step of the plan. */
const keptBytes = 32 * 1024 * 1024;

/** Makes the records of one engine; `trust` is asked anew for every read, so that a changed file counts at once. */
export function createRecords(deps: {
  readonly store: BlobStore;
  readonly signer: Signer;
  readonly trust: () => Trust;
  readonly engine: string;
  readonly clock?: () => Date;
}): Records {
  const clock = deps.clock ?? (() => new Date());
  const register = createRegister(deps);
  const envelope = async (hash: Hash): Promise<Envelope> => parseEnvelope(await deps.store.get(hash), hash);
  // A record is named by its hash, so what has been verified once under a trust file stays so; under another file everything is verified anew.
  const kept = new Map<Hash, { readonly record: AnyRecord; readonly size: number }>();
  let keptUnder: Trust | undefined;
  let size = 0;
  const readAny = async (hash: Hash): Promise<AnyRecord> => {
    const trust = deps.trust();
    if (trust !== keptUnder) {
      kept.clear();
      size = 0;
      keptUnder = trust;
    }
    const there = kept.get(hash);
    if (there) return there.record;
    const bytes = await deps.store.get(hash);
    const record = openRecord(parseEnvelope(bytes, hash), { trust, engine: deps.engine, hash }) as AnyRecord;
    if (trust === keptUnder && !kept.has(hash)) {
      kept.set(hash, { record, size: bytes.length });
      size += bytes.length;
      for (const [oldest, { size: freed }] of kept) {
        if (size <= keptBytes) break;
        kept.delete(oldest);
        size -= freed;
      }
    }
    return record;
  };
  return {
    async write(type, { incident, run, round, standsOn, body }) {
      const at = clock().toISOString();
      const record = { v: 1, type, engine: deps.engine, incident, run, round, at, by: deps.signer.keyid, standsOn, body };
      const hash = await deps.store.put(Buffer.from(canonicalJson(deps.signer.sign(PayloadType.RECORD, record))));
      // Nobody learns of a record before it is registered. A writer killed between the two leaves a blob that nothing names, and its retry is registered.
      const kind = kindOf(type, body);
      if (kind !== undefined) await register.append({ kind, incident, run, record: hash });
      return hash;
    },
    async read<T extends RecordType>(hash: Hash, type: T) {
      const record = await readAny(hash);
      if (record.type !== type)
        throw fault('record.unreadable', { hash, why: 'another type of record', expected: type, found: record.type });
      return record as RecordAs<T>;
    },
    readAny,
    envelope,
    register,
  };
}

/** The envelope in a blob. Throws `record.unreadable` where the bytes are not the canonical JSON of one. */
export function parseEnvelope(bytes: Uint8Array, hash: string): Envelope {
  const text = Buffer.from(bytes).toString('utf8');
  try {
    const value = JSON.parse(text);
    if (canonicalJson(value) === text) return value;
  } catch (cause) {
    throw fault('record.unreadable', { hash, why: 'not JSON' }, cause);
  }
  throw fault('record.unreadable', { hash, why: 'not canonical JSON' });
}

/**
 * Opens a record's envelope and verifies it: the type expected, this engine, the key known to `trust` and valid at the record's own time, in a role that
 * may sign this type, and where the key serves one account only, that the record is of that account as far as its type says so.
 * Throws `record.forged` or `record.unreadable`. Pure.
 */
export function openRecord<T extends RecordType>(
  envelope: Envelope,
  expected: { readonly trust: Trust; readonly engine: string; readonly type?: T; readonly hash?: string },
): RecordAs<T> {
  const hash = expected.hash ?? '';
  let record: AnyRecord;
  try {
    record = openEnvelope<AnyRecord>(envelope, PayloadType.RECORD);
  } catch (error) {
    throw named(error, hash);
  }
  if (!hasRecordShape(record)) throw fault('record.unreadable', { hash, why: 'not a record' });
  if (expected.type !== undefined && record.type !== expected.type) {
    throw fault('record.unreadable', { hash, why: 'another type of record', expected: expected.type, found: record.type });
  }
  if (record.engine !== expected.engine) throw fault('record.forged', { hash, why: 'another engine' });
  const id = keyIdOf(envelope);
  const key = signingKeyAt(expected.trust, id, record);
  if (key === undefined)
    throw fault('record.forged', { hash, key: id.slice(0, 80), why: `no key of that id may sign a ${record.type} at ${record.at}` });
  if (record.by !== id) throw fault('record.forged', { hash, key: id, why: 'it names another signer than the envelope' });
  if (!verifyEnvelope(envelope, key.public)) throw fault('record.forged', { hash, key: id, why: 'the signature does not hold' });
  const foreign = foreignTo(record, key);
  if (foreign !== undefined) throw fault('record.forged', { hash, key: id, why: foreign });
  return record as RecordAs<T>;
}

function signingKeyAt(trust: Trust, id: string, record: AnyRecord): TrustedKey | undefined {
  return (
    keyAt(trust, id, KeyRole.JUDGE, record.at) ?? (byWorker.has(record.type) ? keyAt(trust, id, KeyRole.WORKER, record.at) : undefined)
  );
}

/** Why a worker's key may not have signed this record; undefined where it may. A snapshot and a refusal name no account; who reads them compares the key. */
function foreignTo(record: AnyRecord, key: TrustedKey): string | undefined {
  if (key.role !== KeyRole.WORKER) return undefined;
  const { body } = record as { body: unknown };
  if (typeof body !== 'object' || body === null) return 'it has no body';
  if (record.type === RecordType.FINDING && (record.body.provider !== key.provider || record.body.account !== key.account)) {
    return `a finding of ${String(record.body.provider)}/${String(record.body.account)} by the worker of ${key.provider}/${key.account}`;
  }
  if (record.type === RecordType.STEP && !String(record.body.action).startsWith(`${key.provider}/`)) {
    return `a step ${String(record.body.action)} by a worker of ${key.provider}`;
  }
  return undefined;
}

function hasRecordShape(value: unknown): value is AnyRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  const names = ['v', 'type', 'engine', 'incident', 'run', 'round', 'at', 'by', 'standsOn', 'body'];
  return (
    Object.keys(record).length === names.length &&
    names.every((name) => Object.hasOwn(record, name)) &&
    record.v === 1 &&
    Object.values<unknown>(RecordType).includes(record.type) &&
    [record.engine, record.incident, record.run, record.by].every((text) => typeof text === 'string') &&
    Number.isSafeInteger(record.round) &&
    typeof record.at === 'string' &&
    isIsoTime(record.at) &&
    Array.isArray(record.standsOn) &&
    record.standsOn.every(isHash)
  );
}

function isIsoTime(text: string): boolean {
  const time = Date.parse(text);
  return !Number.isNaN(time) && new Date(time).toISOString() === text;
}

function named(error: unknown, hash: string): Fault {
  return isFault(error) ? fault(error.code, { hash, ...error.context }, error) : fault('record.unreadable', { hash }, error);
}
