import type { Residual } from '../../domain/credential.ts';
import type { StepContext } from '../contract.ts';
import { type AwsAccount, type KeyRow, numberOf, readPolicy, textsOf, writePolicy } from './account.ts';
import type { Calls } from './api.ts';
import { cutOffDocument, cutOffIn, cutOffPolicy, longestSessionSeconds, markOf } from './policies.ts';

/** What stands of the cut-off on a user. */
export interface CutOff {
  readonly found: 'policy' | 'none' | 'no-user';
  readonly document?: string;
  /** Milliseconds; undefined where the document is none of ours. */
  readonly at?: number;
}

export async function readCutOff(calls: Calls, user: string): Promise<CutOff> {
  const read = await readPolicy(calls, user, cutOffPolicy);
  if (read.found !== 'policy') return { found: read.found };
  const at = cutOffIn(read.document);
  return { found: 'policy', document: read.document, ...(at === undefined ? {} : { at }) };
}

/** Milliseconds for which a session of the user may live; from the step's `maxLifeSeconds`, else the longest there is. */
export function lifeOf(context: StepContext): number {
  return (numberOf(context, 'maxLifeSeconds') ?? longestSessionSeconds) * 1000;
}

/** Until when a cut-off has to stand: the last session that it stops was issued just before it. */
export function standsUntil(cutOff: number, context: StepContext): number {
  return cutOff + lifeOf(context);
}

export function residualOf(account: AwsAccount, user: string, cutOff: number, context: StepContext): Residual {
  return {
    what: `sessions issued before ${second(cutOff)} are denied everything and live on until they expire`,
    target: account.userArn(user),
    until: new Date(standsUntil(cutOff, context)).toISOString(),
    stamp: new Date(cutOff).toISOString(),
  };
}

/**
 * The moment before which sessions are to be cut off. With the params' `cutoffAt` (ISO, one or several: when the keys were seen to be dead) it is the
 * latest of them and the margin. Without, the keys have been disabled by now at the latest, so they are dead one propagation time from now: that,
 * and the margin. It is never now: a key goes on minting for some seconds after the API has said that it is off.
 */
export function momentOf(calls: Calls, context: StepContext): number {
  const { propagationMs, marginMs } = context.timing;
  const given = (textsOf(context, 'cutoffAt') ?? []).map((text) => Date.parse(text)).filter((ms) => !Number.isNaN(ms));
  const dead = given.length > 0 ? Math.max(...given) : calls.nowAtMost + propagationMs;
  // Issue times are whole seconds, rounded down, and so is the comparison.
  return Math.ceil((dead + marginMs) / 1000) * 1000;
}

/** Keys named in the params' `keys` that are still on; all others of the user are nobody's business here. */
export function stillActive(rows: readonly KeyRow[], context: StepContext): readonly string[] {
  const keys = textsOf(context, 'keys') ?? [];
  return rows.filter((row) => row.status === 'Active' && keys.includes(row.accessKeyId)).map((row) => row.accessKeyId);
}

/** Puts a cut-off, keeping the later one of what stands and what is wanted. Gives the moment that stands then; undefined where the user is gone. */
export async function stamp(
  calls: Calls,
  user: string,
  standing: CutOff,
  wanted: number,
  context: StepContext,
): Promise<number | undefined> {
  const at = Math.max(wanted, standing.at ?? 0);
  return (await writePolicy(calls, user, cutOffPolicy, cutOffDocument(markOf(context), second(at)))) ? at : undefined;
}

/** ISO 8601 without fractions, the form that IAM's date conditions are documented in. */
export function second(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
