import { askedAt, faultOfPlace, faultOfRight, faultOfSigner, incidentGate, readDecision, type Verify } from './authority.ts';
import type { Hash } from './canonical.ts';
import { type Decision, type DecisionRuling, DecisionVerdict, type GateStanding } from './decision.ts';
import type { ErrorCode } from './errors.ts';
import type { RuleInput } from './messages.ts';
import type { Plan } from './plan.ts';
import type { People, Trust } from './trust.ts';

/** All that a ruling is a function of. */
export interface RulingQuestion {
  readonly input: RuleInput;
  /** Ids of decisions that have been counted, as far as they are of account here. */
  readonly counted?: readonly string[];
  /** Every head that the run's chain has had. Without them nobody asks over which evidence a decision was signed. */
  readonly heads?: readonly Hash[];
  /** The present plan, as signed; undefined before the first. */
  readonly plan?: Plan;
  readonly engine: string;
  readonly trust: Trust;
  readonly people: People;
  readonly verify: Verify;
  /** Who may not decide on the incident as a whole: the verdict's reporters and owner. Those of the plan's gates are barred anyway. */
  readonly barred?: readonly string[];
  /**
   * The judge's own clock (ISO, UTC). The time of receipt comes with the message, and a message is no authority on whether a decision has expired:
   * both must be before its end. Without it only the time of receipt counts.
   */
  readonly now?: string;
}

/** How far a person's clock may be ahead of ours, in milliseconds. */
const skewMs = 5 * 60_000;

/**
 * Rules on one decision. The checks come in this order, and the first that fails names the refusal:
 *
 * 1. `malformed`: no envelope, no decision, a verdict that does not belong to the way it came, dated in the future;
 * 2. `unknown-person`, `bad-signature`: everything after these is said by a person and no longer by the sender;
 * 3. `wrong-engine`;
 * 4. `duplicate`: the id has been counted;
 * 5. `replayed`: another incident or run, or this plan under another round;
 * 6. `expired`;
 * 7. `nothing-to-roll-back`, for a rollback;
 * 8. `stale`: signed over another plan than the present one;
 * 9. `no-such-gate`: none, not open yet, or answered;
 * 10. `late`: the deadline has passed, whether or not its default has happened;
 * 11. `own-incident`, `wrong-role`;
 * 12. `duplicate` again: the person has approved this gate by another decision;
 * 13. `stale` again: signed over evidence that the run never had. It comes last, since the judge has to ask the run for it, and asks only of what would count.
 *
 * A refused decision still says who and what, as far as it could be read; before step 2 has passed that is the sender's word.
 */
export function ruleOnDecision(question: RulingQuestion): DecisionRuling {
  const { input, plan, trust, people } = question;
  const read = readDecision(input.signed);
  const spoken = read.ok ? (read.decision as unknown as Readonly<Record<string, unknown>>) : read.partial;
  const told = {
    id: textOf(spoken.id),
    by: textOf(spoken.by),
    gate: textOf(spoken.gate),
    verdict: Object.values<unknown>(DecisionVerdict).includes(spoken.verdict)
      ? (spoken.verdict as DecisionVerdict)
      : ('unreadable' as const),
  };
  const refuse = (code: ErrorCode, why: string): DecisionRuling => ({ accepted: false, code, why, ...told });

  if (!read.ok) return refuse('decision.malformed', read.why);
  const { decision } = read;
  if (input.via !== 'decide' && input.via !== decision.verdict) {
    return refuse('decision.malformed', `a ${decision.verdict} came by ${input.via}`);
  }
  const received = Date.parse(input.receivedAt);
  const now = Math.max(received, question.now === undefined ? received : Date.parse(question.now));
  if (Date.parse(decision.issuedAt) > now + skewMs) return refuse('decision.malformed', 'it is dated in the future');

  const at = question.now ?? input.receivedAt;
  const signer = faultOfSigner(read, { trust, people, at, verify: question.verify });
  if (signer) return refuse(signer.code, signer.why);

  if (decision.engine !== question.engine) return refuse('decision.wrong-engine', `it was signed for the engine ${decision.engine}`);
  if (question.counted?.includes(decision.id)) return refuse('decision.duplicate', `${decision.id} has been counted`);
  const place = faultOfPlace(decision, { engine: question.engine, incident: input.incident, run: input.run });
  if (place) return refuse(place.code, place.why);
  const stale = decision.planHash !== input.planHash;
  if (!stale && decision.round !== input.round) return refuse('decision.replayed', `it was signed for round ${decision.round}`);
  if (Date.parse(decision.expiresAt) <= now) return refuse('decision.expired', `it was good until ${decision.expiresAt}`);
  if (decision.verdict === DecisionVerdict.ROLLBACK && !input.undoable)
    return refuse('decision.nothing-to-roll-back', 'nothing has been changed');
  if (stale)
    return refuse('decision.stale', `it was signed over ${decision.planHash}, and the plan is ${input.planHash ?? 'not made yet'}`);

  const standing = input.standing.find((each) => each.gate === decision.gate);
  const asked = plan && askedAt(decision.gate, plan, question.barred);
  if (asked === undefined) return refuse('decision.no-such-gate', `the plan has no gate ${decision.gate}`);
  if (decision.gate !== incidentGate) {
    const closed = faultOfStanding(decision, standing, received);
    if (closed) return refuse(closed.code, closed.why);
  }
  const right = faultOfRight(decision.by, { people, roles: asked.roles, barred: asked.barred });
  if (right) return refuse(right.code, right.why);
  if (decision.verdict === DecisionVerdict.APPROVE && standing?.approvals.includes(decision.by)) {
    return refuse('decision.duplicate', `${decision.by} has approved this gate already`);
  }
  if (question.heads !== undefined && !question.heads.includes(decision.evidenceHead)) {
    return refuse('decision.stale', `it was signed over the evidence ${decision.evidenceHead}, which this run has never had`);
  }
  if (decision.verdict !== DecisionVerdict.APPROVE) {
    return { accepted: true, why: decision.reason, ...told, ...(decision.until !== undefined && { until: decision.until }) };
  }
  const approvals = new Set([...(standing?.approvals ?? []), decision.by]);
  return { accepted: true, why: decision.reason, ...told, missing: Math.max(0, asked.quorum - approvals.size) };
}

function faultOfStanding(
  decision: Decision,
  standing: GateStanding | undefined,
  received: number,
): { readonly code: ErrorCode; readonly why: string } | undefined {
  if (standing === undefined) return { code: 'decision.no-such-gate', why: `no gate ${decision.gate} stands` };
  if (standing.state === 'defaulted') return { code: 'decision.late', why: 'the deadline has passed and its default has happened' };
  if (standing.state !== 'open') {
    return {
      code: 'decision.no-such-gate',
      why: standing.state === 'pending' ? `the gate ${decision.gate} is not open yet` : `the gate ${decision.gate} is ${standing.state}`,
    };
  }
  const deadline = standing.deadlineAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(standing.deadlineAt);
  if (received > deadline) return { code: 'decision.late', why: `the deadline was ${standing.deadlineAt}` };
  if (decision.until !== undefined && Date.parse(decision.until) <= deadline) {
    return { code: 'decision.malformed', why: 'an extension ends before the deadline it extends' };
  }
  return undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 200) : '';
}
