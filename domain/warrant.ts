import { faultOfStanding, type SignedAuthorisation } from './authorisation.ts';
import { askedAt, faultOfPlace, faultOfRight, faultOfSigner, incidentGate, incidentRoles, readDecision, type Verify } from './authority.ts';
import { type Hash, hashOf } from './canonical.ts';
import { DecisionVerdict } from './decision.ts';
import type { ErrorCode } from './errors.ts';
import type { RevertInput, Warrant } from './execution.ts';
import { holdId, type ProviderManifest } from './manifest.ts';
import { type Plan, type PlanGate, type PlanStep, stepKey } from './plan.ts';
import type { AnyRecord, RecordAs } from './record-bodies.ts';
import { KeyRole, keyAt, type People, type Trust } from './trust.ts';

/** All that a warrant is judged by. Records are opened and their signatures verified by whoever calls; who may have signed what is judged here again. */
export interface WarrantQuestion {
  readonly warrant: Warrant;
  /** Set for a revert. `authorities` then hold the record its `because` names. */
  readonly revert?: RevertInput;
  readonly plan: RecordAs<'plan'>;
  readonly snapshot: RecordAs<'snapshot'>;
  /** The records the warrant names as its right to act: decisions, a gate's default, or for a revert the signed rollback or dismissal. */
  readonly authorities: readonly AnyRecord[];
  /** The step records that the warrant names for what the step needs, by step id. */
  readonly needs?: Readonly<Record<string, AnyRecord>>;
  /** The worker's own account and mode, out of its own configuration. */
  readonly provider: string;
  readonly account: string;
  readonly mode: 'observe' | 'propose' | 'act';
  /** The worker's own manifest says that the step cannot be undone: whatever the plan says, it then takes people's signatures, and silence gives none. */
  readonly irreversible?: boolean;
  /** For a step that names a standing authorisation: the worker's own copy of it and its own manifest, and the records that the plan stands on. */
  readonly standing?: {
    readonly signed: SignedAuthorisation | undefined;
    readonly manifest: ProviderManifest | undefined;
    readonly assessment: { readonly hash: Hash; readonly record: RecordAs<'assessment'> };
    readonly verdict: { readonly hash: Hash; readonly record: RecordAs<'verdict'> };
    readonly finding: { readonly hash: Hash; readonly record: RecordAs<'finding'> } | undefined;
    readonly findings: readonly RecordAs<'finding'>[];
  };
  /** Identifiers of what the engine itself stands on in this account. */
  readonly ownTargets: readonly string[];
  /** The worker's own copies. */
  readonly trust: Trust;
  readonly people: People;
  /** The worker's own clock, ISO, UTC. */
  readonly now: string;
  /** Which workflow asks, as the server says. */
  readonly executing: { readonly workflowId: string; readonly runId: string } | undefined;
  readonly verify: Verify;
  /** Who may not decide on the incident as a whole: the verdict's reporters and owner. */
  readonly barred?: readonly string[];
}

/** The step that may be taken, or why not. */
export type WarrantAnswer =
  | {
      readonly ok: true;
      readonly plan: Plan;
      readonly step: PlanStep;
      /** Whether people have approved the step's gate: neither without a gate nor where silence opened it. */
      readonly approved: boolean;
      /** Who approved the step's gate, and when the judge had it. Left out where nobody did: without a gate, or by silence. */
      readonly approvals?: readonly { readonly by: string; readonly at: string }[];
      /** The standing authorisation that was the leave, where no person gave any in this incident. Its rate is for the caller to count. */
      readonly authorised?: SignedAuthorisation;
    }
  | { readonly ok: false; readonly code: ErrorCode; readonly words: string };

type Refusal = { readonly code: ErrorCode; readonly words: string } | undefined;

/** How far apart the clocks of two judges may be, in milliseconds, when the time a gate was open is measured. */
const skewMs = 2000;

/**
 * Judges whether a step may be taken. Pure; nothing in it is believed for having come by message. The checks come in this order and the first that fails is the
 * refusal: signed by a judge whose key is valid now too (`warrant.unsigned`); engine, incident, run, round and asking workflow (`other-run`); step, account
 * and target (`no-such-step`); `expired`, which a revert is spared, since what was done under a plan must be undoable after it; `mode`;
 * `own-credential`; `not-captured`; `gate-unsatisfied`; `needs-unmet`. That a step is spent once is for the caller to see to, with a mark in the store that only one can make.
 */
export function checkWarrant(question: WarrantQuestion): WarrantAnswer {
  const plan = question.plan.body;
  const step = plan.steps?.find?.((each) => each.id === question.warrant.step);
  const refusal =
    faultOfPlan(question) ??
    faultOfRun(question, step) ??
    faultOfStep(question, step) ??
    (step &&
      (faultOfCapture(question, step) ??
        (question.revert ? faultOfRevert(question) : (faultOfGate(question, step) ?? faultOfNeeds(question, step)))));
  if (refusal) return { ok: false, ...refusal };
  // faultOfStep has refused a step that is not there.
  if (!step) return { ok: false, code: 'warrant.no-such-step', words: 'the plan holds no such step' };
  const approvals = question.revert ? [] : approvalsOf(question, step);
  const signed = question.standing?.signed;
  const authorised = !question.revert && signed && question.irreversible && !isApproved(question, step) ? { authorised: signed } : {};
  return { ok: true, plan, step, approved: isApproved(question, step), ...(approvals.length > 0 ? { approvals } : {}), ...authorised };
}

function approvalsOf(question: WarrantQuestion, step: PlanStep): readonly { readonly by: string; readonly at: string }[] {
  const { gate } = step;
  if (gate === undefined) return [];
  return question.authorities.flatMap((record) => {
    const read = decisionIn(question, record, gate, DecisionVerdict.APPROVE);
    return typeof read === 'string' ? [] : [{ by: read.by, at: record.at }];
  });
}

function faultOfPlan({ plan, trust, now }: WarrantQuestion): Refusal {
  // The key must be good now as well as then: one that was lost after its end could date a plan back.
  if (plan.type === 'plan' && keyAt(trust, plan.by, KeyRole.JUDGE, plan.at) && keyAt(trust, plan.by, KeyRole.JUDGE, now)) return undefined;
  return { code: 'warrant.unsigned', words: `${plan.by} is no judge that the trust file names, then and now` };
}

function faultOfRun({ plan, warrant, trust, executing, revert }: WarrantQuestion, step: PlanStep | undefined): Refusal {
  const other = (words: string): Refusal => ({ code: 'warrant.other-run', words });
  const { body } = plan;
  if (body.engine !== trust.engine || plan.engine !== trust.engine) return other('the plan is of another engine');
  for (const part of ['incident', 'run', 'round'] as const) {
    if (body[part] !== warrant[part] || plan[part] !== warrant[part]) return other(`the plan is of another ${part} than the warrant says`);
  }
  if (revert && hashOf(revert.warrant) !== hashOf(warrant)) return other('the revert carries another warrant');
  if (executing === undefined) return other('no workflow asks');
  if (step?.hold !== undefined) {
    const hold = holdId(step.provider, step.account, step.hold);
    return executing.workflowId === hold ? undefined : other(`the step is for ${hold} to take, and ${executing.workflowId} asks`);
  }
  if (executing.workflowId === body.incident && executing.runId === body.run) return undefined;
  return other(`${executing.workflowId} in run ${executing.runId} asks`);
}

function faultOfStep({ plan, warrant, provider, account, ...question }: WarrantQuestion, step: PlanStep | undefined): Refusal {
  const none = (words: string): Refusal => ({ code: 'warrant.no-such-step', words });
  const { body } = plan;
  if (step === undefined) return none(`no step ${warrant.step}`);
  if (body.steps.filter((each) => each.id === step.id).length > 1) return none(`${step.id} stands twice`);
  if (step.provider !== provider || step.account !== account || !step.action.startsWith(`${provider}/`)) {
    return none(`${step.action} is for ${step.provider}/${step.account}`);
  }
  const values = Object.values(step.target);
  if (values.length === 0 || values.some((value) => typeof value !== 'string' || value === '' || /[*?]/.test(value))) {
    return none('its target is not one thing named exactly');
  }
  if (step.target.account !== undefined && step.target.account !== account) return none(`its target is in ${step.target.account}`);
  if (!question.revert && !(Date.parse(question.now) < Date.parse(body.expiresAt))) {
    return { code: 'warrant.expired', words: `the plan was good until ${body.expiresAt}` };
  }
  if (question.mode !== 'act') return { code: 'warrant.mode', words: `the account is in mode ${question.mode}` };
  const own = [...values, ...(step.hold === undefined ? [] : [step.hold])].find((value) => question.ownTargets.includes(value));
  if (own !== undefined) return { code: 'warrant.own-credential', words: `the engine itself stands on ${own}` };
  return undefined;
}

function faultOfCapture({ snapshot, plan, trust, provider, account }: WarrantQuestion, step: PlanStep): Refusal {
  const none = (words: string): Refusal => ({ code: 'warrant.not-captured', words });
  const worker = keyAt(trust, snapshot.by, KeyRole.WORKER, snapshot.at);
  // The manual provider has no worker of its own, the judge writes for it.
  const judge = provider === 'manual' && keyAt(trust, snapshot.by, KeyRole.JUDGE, snapshot.at) !== undefined;
  const ours = judge || (worker?.provider === provider && worker.account === account);
  if (snapshot.type !== 'snapshot' || !ours) return none('the snapshot is not by a worker of this account');
  if (snapshot.incident !== plan.incident || snapshot.run !== plan.run) return none('the snapshot is of another run');
  if (!Object.hasOwn(snapshot.body.befores, stepKey(step.action, step.target))) return none(`the snapshot holds nothing of ${step.id}`);
  return undefined;
}

/**
 * The order of a plan is the plan's, and no message's: each need has a record, signed by the worker of that need's account (or the judge, for what a person did), which says
 * of this very plan that the need was applied and was seen in effect.
 */
function faultOfNeeds({ plan, warrant, needs = {}, trust }: WarrantQuestion, step: PlanStep): Refusal {
  const unmet = (words: string): Refusal => ({ code: 'warrant.needs-unmet', words });
  for (const id of step.needs) {
    const need = plan.body.steps.find((each) => each.id === id);
    const record = Object.hasOwn(needs, id) ? needs[id] : undefined;
    if (need === undefined || record === undefined) return unmet(`nothing shows that ${id} is done`);
    if (record.type !== 'step') return unmet(`a ${record.type} does not show that ${id} is done`);
    const worker = keyAt(trust, record.by, KeyRole.WORKER, record.at);
    const judge = need.provider === 'manual' && keyAt(trust, record.by, KeyRole.JUDGE, record.at) !== undefined;
    if (!judge && !(worker?.provider === need.provider && worker.account === need.account))
      return unmet(`${record.by} does not speak for ${need.provider}/${need.account}`);
    const { body } = record;
    const here =
      record.engine === trust.engine && record.incident === plan.incident && record.run === plan.run && record.round === plan.round;
    if (!here || body.plan !== warrant.plan || body.step !== id) return unmet(`what is shown for ${id} is of another plan or step`);
    if (body.direction !== 'apply' || body.outcome === undefined || body.observation.state !== 'yes')
      return unmet(`${id} was not seen in effect`);
  }
  return undefined;
}

function faultOfGate(question: WarrantQuestion, step: PlanStep): Refusal {
  if (step.gate === undefined) {
    if (!question.irreversible) return undefined;
    const because = step.authorisation === undefined ? undefined : faultOfLeave(question, step);
    if (step.authorisation !== undefined && because === undefined) return undefined;
    const words = `${step.id} cannot be undone, and the plan asks nobody${because === undefined ? '' : `: ${because}`}`;
    return { code: 'warrant.gate-unsatisfied', words };
  }
  const plan = question.plan.body;
  const gate = plan.gates.find((each) => each.id === step.gate);
  const asked = askedAt(step.gate, plan);
  if (gate === undefined || asked === undefined) return { code: 'warrant.gate-unsatisfied', words: `the plan has no gate ${step.gate}` };
  // Silence is leave for what cannot be undone only where people have signed so beforehand.
  const silent = question.authorities.some((record) => isDefault(question, record, gate, step));
  const because = silent && question.irreversible ? faultOfLeave(question, step) : undefined;
  if (silent && because === undefined) return undefined;
  const { approvers, last } = approversAt(question, gate);
  const quorum = Math.max(1, asked.quorum);
  if (approvers.size >= quorum) return undefined;
  const words = `${approvers.size} of ${quorum} approvals at ${gate.id}${approvers.size === 0 ? `: ${because ?? last}` : ''}`;
  return { code: 'warrant.gate-unsatisfied', words };
}

/** Whose approvals count at a gate, and why the last one that does not does not. */
function approversAt(question: WarrantQuestion, gate: PlanGate): { readonly approvers: ReadonlySet<string>; readonly last: string } {
  const approvers = new Set<string>();
  let last = 'no approval is there';
  for (const record of question.authorities) {
    const read = decisionIn(question, record, gate.id, DecisionVerdict.APPROVE);
    if (typeof read === 'string') last = read;
    // Whom a gate asks is the plan's word. What cannot be undone takes somebody who answers for incidents, whatever the plan says.
    else if (question.irreversible && faultOfRight(read.by, { people: question.people, roles: incidentRoles, barred: gate.barred }))
      last = `${read.by} may not decide what cannot be undone`;
    else approvers.add(read.by);
  }
  return { approvers, last };
}

/** Why what was signed beforehand is no leave for the step. */
function faultOfLeave(question: WarrantQuestion, step: PlanStep): string | undefined {
  const { standing, trust, people, now, verify } = question;
  if (!standing) return 'no standing authorisation is known here';
  return faultOfStanding({ ...standing, engine: trust.engine, trust, people, now, verify, plan: question.plan.body, step });
}

/** Whether people have approved the step's gate in this incident. */
function isApproved(question: WarrantQuestion, step: PlanStep): boolean {
  const gate = question.plan.body.gates.find((each) => each.id === step.gate);
  return gate !== undefined && approversAt(question, gate).approvers.size >= Math.max(1, gate.rule.quorum);
}

/**
 * Whether a record is the gate's own default, and lets this step pass. What silence means is the plan's word; that the gate was open long enough is measured on the
 * judge's clock from the plan to the default, since the deadline in the record may have come by message.
 */
function isDefault(question: WarrantQuestion, record: AnyRecord, gate: PlanGate, step: PlanStep): boolean {
  if (record.type !== 'gate' || !isJudges(question, record) || !isOfRound(question, record)) return false;
  const { body } = record;
  if (body.event !== 'defaulted' || body.gate !== gate.id || body.planHash !== hashOf(question.plan.body)) return false;
  if (body.acknowledgedBy === undefined) return false;
  if (Date.parse(record.at) + skewMs < Date.parse(question.plan.body.issuedAt) + gate.rule.deadlineMs) return false;
  return gate.rule.onSilence === 'proceed' || (gate.rule.onSilence === 'harmless' && step.impact === 'none');
}

/**
 * A revert takes a person's signature: a rollback, or a dismissal, by the same people at the same gate. That a step failed is no right to take others back: whoever
 * can make a provider refuse a call could then have a leaked key turned on again.
 */
function faultOfRevert(question: WarrantQuestion): Refusal {
  const reasons = question.authorities.map((record) => {
    const rollback = decisionIn(question, record, incidentGate, DecisionVerdict.ROLLBACK);
    return typeof rollback === 'string' ? decisionIn(question, record, incidentGate, DecisionVerdict.DISMISS) : rollback;
  });
  if (reasons.some((reason) => typeof reason !== 'string')) return undefined;
  return {
    code: 'warrant.gate-unsatisfied',
    words: `a revert needs a signed rollback or a signed dismissal: ${reasons.at(-1) ?? 'none is there'}`,
  };
}

/**
 * Who signed the decision in a record, if it is the one wanted and holds by our own trust and people at the time the judge recorded it; otherwise why not.
 * The judge must have accepted it too: what was late, or came after a rejection, is refused there, and only the judge knows.
 */
function decisionIn(
  question: WarrantQuestion,
  record: AnyRecord,
  gate: string,
  verdict: DecisionVerdict,
): { readonly by: string } | string {
  if (record.type !== 'decision') return `a ${record.type} is no decision`;
  if (!isJudges(question, record)) return 'no judge recorded the decision';
  const { plan, trust, people, verify } = question;
  const read = readDecision(record.body.signed);
  if (!read.ok) return read.why;
  if (!record.body.ruling.accepted) return `the judge refused it (${record.body.ruling.code ?? ''})`;
  const { decision } = read;
  if (decision.verdict !== verdict || decision.gate !== gate) return `it is a ${decision.verdict} of ${decision.gate}`;
  const signer = faultOfSigner(read, { trust, people, at: record.at, verify });
  if (signer) return signer.why;
  const place = faultOfPlace(decision, { engine: trust.engine, incident: plan.incident, run: plan.run });
  if (place) return place.why;
  if (gate === incidentGate) {
    // A rollback takes back earlier rounds too, so it may have been signed over a later plan than the step's.
    if (decision.round < plan.round) return 'it was signed before the plan';
  } else if (decision.round !== plan.round || decision.planHash !== hashOf(plan.body)) {
    return 'it was signed over another plan';
  }
  if (Date.parse(decision.expiresAt) <= Date.parse(record.at)) return 'it had expired';
  const asked = askedAt(gate, plan.body, question.barred);
  const right = asked && faultOfRight(decision.by, { people, roles: asked.roles, barred: asked.barred });
  return right ? right.why : { by: decision.by };
}

function isJudges({ trust, plan }: WarrantQuestion, record: AnyRecord): boolean {
  return (
    keyAt(trust, record.by, KeyRole.JUDGE, record.at) !== undefined &&
    record.engine === trust.engine &&
    record.incident === plan.incident &&
    record.run === plan.run
  );
}

function isOfRound({ plan, trust }: WarrantQuestion, record: AnyRecord): boolean {
  return record.engine === trust.engine && record.incident === plan.incident && record.run === plan.run && record.round === plan.round;
}
