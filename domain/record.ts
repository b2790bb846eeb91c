import { type Hash, hashOf } from './canonical.ts';

/** The kinds of record, one per stage or event worth proving. */
export const RecordType = {
  REPORT: 'report',
  INVENTORY: 'inventory',
  FINDING: 'finding',
  ASSESSMENT: 'assessment',
  VERDICT: 'verdict',
  SNAPSHOT: 'snapshot',
  PLAN: 'plan',
  GATE: 'gate',
  DECISION: 'decision',
  STEP: 'step',
  REFUSAL: 'refusal',
  REVIEW: 'review',
  SELF: 'self',
} as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/**
 * What every stage and step leaves: a signed, content-addressed blob. `by` is the key id of the worker that signed; `at` its clock (ISO, UTC);
 * `standsOn` the hashes of the records it was made from. `incident` is the workflow id, `run` the run id, `round` counts from 1 (0 before the first).
 */
export interface RecordOf<T extends RecordType, B> {
  readonly v: 1;
  readonly type: T;
  readonly engine: string;
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly at: string;
  readonly by: string;
  readonly standsOn: readonly Hash[];
  readonly body: B;
}

/** DSSE v1. `payload` is base64 of the canonical JSON; signatures are Ed25519, base64, over the pre-authentication encoding. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

export const PayloadType = {
  RECORD: 'application/vnd.tourniquet.record+json',
  DECISION: 'application/vnd.tourniquet.decision+json',
  REPORT: 'application/vnd.tourniquet.report+json',
  TRUST: 'application/vnd.tourniquet.trust+json',
  REGISTER: 'application/vnd.tourniquet.register+json',
  AUTHORISATION: 'application/vnd.tourniquet.authorisation+json',
  /** in-toto's own: what a bundle's statement is signed under. */
  STATEMENT: 'application/vnd.in-toto+json',
} as const;

/** One entry of an incident's chain. `head` covers all that came before. */
export interface ChainEntry {
  readonly seq: number;
  readonly type: RecordType;
  readonly record: Hash;
  readonly head: Hash;
}

export const emptyHead: Hash = `sha256:${'0'.repeat(64)}`;

/** The chain with one more record. Pure: the caller keeps the result. */
export function extendChain(chain: readonly ChainEntry[], type: RecordType, record: Hash): ChainEntry {
  const last = chain.at(-1);
  const seq = (last?.seq ?? 0) + 1;
  return { seq, type, record, head: hashOf({ prev: last?.head ?? emptyHead, seq, type, record }) };
}

/** The head of a chain; sixty-four zeros for an empty one. */
export function headOf(chain: readonly ChainEntry[]): Hash {
  return chain.at(-1)?.head ?? emptyHead;
}

/** The sequence number of the first entry that does not follow from the ones before it; undefined where the whole chain holds. */
export function brokenLink(chain: readonly ChainEntry[]): number | undefined {
  const seen: ChainEntry[] = [];
  for (const entry of chain) {
    const made = extendChain(seen, entry.type, entry.record);
    if (made.seq !== entry.seq || made.head !== entry.head) return entry.seq;
    seen.push(entry);
  }
  return undefined;
}
