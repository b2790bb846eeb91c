import { randomUUID } from 'node:crypto';
import { readDecision } from '../domain/authority.ts';
import type { Hash } from '../domain/canonical.ts';
import type { Decision, DecisionVerdict, SignedDecision } from '../domain/decision.ts';
import { fault } from '../domain/errors.ts';
import { PayloadType } from '../domain/record.ts';
import type { Signer } from './signing.ts';

/** What a person says; the rest of a decision is filled in. */
export interface Saying {
  readonly engine: string;
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly gate: string;
  readonly planHash: Hash;
  readonly evidenceHead: Hash;
  readonly verdict: DecisionVerdict;
  readonly reason: string;
  readonly by: string;
  /** For `extend`: the new deadline, ISO, UTC. */
  readonly until?: string;
}

/** How long a decision is good for where nobody says otherwise: long enough to carry a file to another machine. */
export const decisionValidMs = 60 * 60_000;

/** A decision with an id of its own, issued `at` (now) and good for `validMs`. */
export function newDecision(saying: Saying, at: Date = new Date(), validMs: number = decisionValidMs): Decision {
  const expiresAt = new Date(at.getTime() + validMs).toISOString();
  return { v: 1, ...saying, id: `dec_${randomUUID()}`, issuedAt: at.toISOString(), expiresAt };
}

/** Signs a decision with a person's key. Throws `decision.malformed` where the engine would not read it. */
export function signDecision(signer: Signer, decision: Decision): SignedDecision {
  const signed = signer.sign(PayloadType.DECISION, decision);
  const read = readDecision(signed);
  if (!read.ok) throw fault('decision.malformed', { why: read.why });
  return signed;
}

/**
 * What `temporal workflow signal --input-file` takes: the one argument as plain JSON. It needs no codec: plain payloads are accepted, since the authority of a
 * decision is its signature.
 */
export function signalFile(signed: SignedDecision): string {
  return `${JSON.stringify(signed)}\n`;
}

/** Reads such a file back. Throws `decision.malformed`; says nothing of the signature. */
export function parseSignalFile(text: string): { readonly signed: SignedDecision; readonly decision: Decision } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fault('decision.malformed', { why: 'the file is not JSON' });
  }
  const read = readDecision(value);
  if (!read.ok) throw fault('decision.malformed', { why: read.why });
  return { signed: read.envelope, decision: read.decision };
}
