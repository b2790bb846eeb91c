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
 * The decision that says this of an incident as it stands. Throws `decision.stale` where the plan is no longer the one that was read,
 * `decision.no-such-gate` where no such gate is open, `usage.invalid` where several are and none is named.
 */
export function decisionFor(status: IncidentStatus, ask: Ask, at: Date = new Date()): Decision {
  const present = status.planHash;
  if (present === undefined || status.plan === undefined)
    throw fault('decision.no-such-gate', { incident: status.id, why: 'there is no plan yet' });
  if (!samePlan(ask.planHash, present)) throw fault('decision.stale', { incident: status.id, signed: ask.planHash.slice(0, 80), present });
  if (ask.reason.trim() === '') throw fault('usage.invalid', { member: 'reason', problem: 'a decision needs its reason' });
  return {
    v: 1,
    engine: status.plan.engine,
    incident: status.id,
    run: status.run,
    round: status.round,
    gate: ask.verdict === 'rollback' || ask.verdict === 'dismiss' ? 'incident' : gateFor(status, ask.gate),
    planHash: present,
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
    // A gate that is closed by now is for the engine to refuse, and to record; one that the plan never had is a slip of the pen.
    if (status.gates.some((gate) => gate.id === named)) return named;
    throw fault('decision.no-such-gate', { incident: status.id, gate: named.slice(0, 80) });
  }
  const [only] = open;
  if (only === undefined) throw fault('decision.no-such-gate', { incident: status.id, why: 'no gate is open' });
  if (open.length > 1) throw fault('usage.invalid', { missing: 'gate', open: open.map((gate) => gate.id).join(', ') });
  return only.id;
}

/** A person may type the hash without its name, or twelve or more of its digits: enough to show that the plan was read, and the whole is what is signed. */
function samePlan(given: string, present: Hash): boolean {
  const digits = /^(?:sha256:)?([0-9a-f]{12,64})…?$/.exec(given.trim())?.[1];
  return digits !== undefined && present.slice('sha256:'.length).startsWith(digits);
}
