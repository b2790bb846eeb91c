import { randomBytes } from 'node:crypto';
import type { Signer } from '../audit/signing.ts';
import type { Hash } from '../domain/canonical.ts';
import type { Decision, DecisionVerdict, SignedDecision } from '../domain/decision.ts';
import { fault } from '../domain/errors.ts';
import type { IncidentStatus } from '../domain/messages.ts';
import { PayloadType } from '../domain/record.ts';

/** What a person wants to say. */
export interface Ask {
  readonly verdict: DecisionVerdict;
  /** The person's id in people.yaml. */
  readonly by: string;
  readonly reason: string;
  /** The hash of the plan that the person has read. It has to be the present one. */
  readonly planHash: string;
  /** The gate, where more than one is open. A rollback and a dismissal are of the whole incident. */
  readonly gate?: string;
  /** For `extend`: the new deadline, ISO, UTC. */
  readonly until?: string;
  /** How long the signed decision holds, in milliseconds; a quarter of an hour where it is not said. */
  readonly validMs?: number;
}

/**
 * The decision that says this of an incident as it stands. A whole hash is signed as it was given, so that a stale approval is refused by the engine and
 * stands in its record; of a hash that was only begun the present plan has to be the one. Throws `decision.stale` where it is not,
 * `decision.no-such-gate` where none is open and none is named, `usage.invalid` where several are and none is named.
 */
export function decisionFor(status: IncidentStatus, ask: Ask, at: Date = new Date()): Decision {
  const present = status.planHash;
  if (present === undefined || status.plan === undefined)
    throw fault('decision.no-such-gate', { incident: status.id, why: 'there is no plan yet' });
  const meant = planMeant(ask.planHash, present);
  if (meant === undefined) throw fault('decision.stale', { incident: status.id, signed: ask.planHash.slice(0, 80), present });
  if (ask.reason.trim() === '') throw fault('usage.invalid', { member: 'reason', problem: 'a decision needs its reason' });
  return {
    v: 1,
    engine: status.plan.engine,
    incident: status.id,
    run: status.run,
    round: status.round,
    gate: ask.verdict === 'rollback' || ask.verdict === 'dismiss' ? 'incident' : gateFor(status, ask.gate),
    planHash: meant,
    evidenceHead: status.head,
    verdict: ask.verdict,
    reason: ask.reason.trim(),
    by: ask.by,
    id: `dec_${randomBytes(13).toString('hex')}`,
    issuedAt: at.toISOString(),
    expiresAt: new Date(at.getTime() + (ask.validMs ?? 900_000)).toISOString(),
    ...(ask.until === undefined ? {} : { until: ask.until }),
  };
}

/** The decision as the engine takes it, through `decide` or as the argument of the signals `approve`, `reject` and `rollback`. */
export function signDecision(decision: Decision, signer: Signer): SignedDecision {
  return signer.sign(PayloadType.DECISION, decision);
}

function gateFor(status: IncidentStatus, named: string | undefined): string {
  const open = status.gates.filter((gate) => gate.state === 'open');
  if (named !== undefined) {
    // Whether that gate is open is for the engine to judge, and to record.
    return named;
  }
  const [only] = open;
  if (only === undefined) throw fault('decision.no-such-gate', { incident: status.id, why: 'no gate is open' });
  if (open.length > 1) throw fault('usage.invalid', { missing: 'gate', open: open.map((gate) => gate.id).join(', ') });
  return only.id;
}

/** The hash that a person means: a whole one as it is, twelve or more digits of the present one as the present one; undefined for anything else. */
function planMeant(given: string, present: Hash): Hash | undefined {
  const digits = /^(?:sha256:)?([0-9a-f]{12,64})…?$/.exec(given.trim())?.[1];
  if (digits === undefined) return undefined;
  if (digits.length === 64) return `sha256:${digits}`;
  return present.slice('sha256:'.length).startsWith(digits) ? present : undefined;
}
