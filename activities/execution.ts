import { activityInfo } from '@temporalio/activity';
import type { InventoryFinding, Snapshot } from '../domain/assessment.ts';
import type { Hash } from '../domain/canonical.ts';
import { codeOf, type ErrorCode, fault, isFault } from '../domain/errors.ts';
import type { ApplyInput, ApplyResult, RefusalRecord, RevertInput, RevertResult, StepRecord, Warrant } from '../domain/execution.ts';
import type { CaptureInput } from '../domain/messages.ts';
import { type Observation, unknown } from '../domain/observation.ts';
import { type Plan, type PlanStep, planHash, stepKey } from '../domain/plan.ts';
import { checkWarrant } from '../domain/warrant.ts';
import type { Action, Probed, StepContext } from '../providers/contract.ts';
import type { ProviderDeps } from './deps.ts';
import { guarded } from './failure.ts';
import { type Pulse, withPulse } from './pulse.ts';

/** Captures the before-states of the steps named, all of this worker's account. Read-only; needs no warrant. */
export function createCapture(deps: ProviderDeps) {
  return async function capture(input: CaptureInput): Promise<{ readonly snapshot: Hash }> {
    return await guarded(() =>
      withPulse(async (pulse) => {
        const plan = (await deps.records.read(input.plan, 'plan')).body;
        const inventory = await inventoryOf(deps, plan);
        const steps = plan.steps.filter(
          (step) => input.steps.includes(step.id) && step.provider === deps.provider && step.account === deps.account,
        );
        const befores: Record<string, unknown> = {};
        await Promise.all(
          steps.map(async (step) => {
            const context = contextOf(deps, pulse, plan, step, {}, inventory);
            befores[stepKey(step.action, step.target)] = await actionFor(deps, step).capture(step.target, context);
          }),
        );
        const body: Snapshot = { befores, evidence: {} };
        const snapshot = await deps.records.write('snapshot', { ...placeOf(plan), standsOn: [input.plan], body });
        return { snapshot };
      }),
    );
  };
}

/** Applies one step under a warrant, then probes until the change is seen in effect or the account's patience ends. */
export function createApply(deps: ProviderDeps) {
  return async function apply(input: ApplyInput): Promise<ApplyResult> {
    const course = new Course(deps, input.warrant, 'apply');
    return await guarded(
      () =>
        withPulse(async (pulse) => {
          const { plan, step, before, action, attested } = await course.admit(input.warrant.decisions);
          const context = {
            ...contextOf(deps, pulse, plan, step, await madeBy(deps, input.made), await inventoryOf(deps, plan), input.heldBy),
            attested,
          };
          const applied = await action.apply(step.target, before, context);
          course.requestIds.push(...applied.requestIds);
          const probed = await probeUntilSeen(action, step, before, context, pulse, course.requestIds, applied.made);
          const clocks = {
            acceptedAt: applied.acceptedAt,
            ...(probed.effectiveAt ? { effectiveAt: probed.effectiveAt } : {}),
            ...(applied.descendantsDieAt ? { descendantsDieAt: applied.descendantsDieAt } : {}),
          };
          const facts = { ...applied.facts, ...probed.facts };
          const record = await course.write({
            outcome: applied.outcome,
            observation: probed.observation,
            clocks,
            ...(applied.made ? { made: applied.made } : {}),
            ...(applied.residual ? { residual: applied.residual } : {}),
            ...(Object.keys(facts).length > 0 ? { facts } : {}),
          });
          return {
            record,
            outcome: applied.outcome,
            observation: probed.observation,
            clocks,
            ...(applied.made ? { made: applied.made } : {}),
            ...(applied.residual ? { residual: applied.residual } : {}),
          };
        }),
      (error) => course.recordFailure(error),
    );
  };
}

/** Takes one step back, from what `capture` wrote down alone. */
export function createRevert(deps: ProviderDeps) {
  return async function revert(input: RevertInput): Promise<RevertResult> {
    const course = new Course(deps, input.warrant, 'revert');
    return await guarded(
      () =>
        withPulse(async (pulse) => {
          const { plan, step, before, action } = await course.admit([input.because], input);
          const made = { ...(await madeBy(deps, input.made)) };
          const context = contextOf(deps, pulse, plan, step, made, await inventoryOf(deps, plan), input.heldBy);
          const reverted = action.revert
            ? await action.revert(step.target, before, context)
            : {
                outcome: 'already' as const,
                requestIds: [],
                observation: unknown(deps.clock().toISOString(), 'engine', 'there is nothing to take back'),
              };
          course.requestIds.push(...reverted.requestIds);
          const record = await course.write({
            outcome: reverted.outcome,
            observation: reverted.observation,
            ...(reverted.residual ? { residual: reverted.residual } : {}),
            ...(reverted.facts ? { facts: reverted.facts } : {}),
          });
          return {
            record,
            outcome: reverted.outcome,
            observation: reverted.observation,
            ...(reverted.residual ? { residual: reverted.residual } : {}),
          };
        }),
      (error) => course.recordFailure(error),
    );
  };
}

/** One admitted step: the warrant checked against this worker's own trust, people and clock, and spent; and the records it leaves. */
class Course {
  readonly #deps: ProviderDeps;
  readonly #warrant: Warrant;
  readonly #direction: 'apply' | 'revert';
  readonly requestIds: string[] = [];
  #admitted: { plan: Plan; step: PlanStep } | undefined;

  constructor(deps: ProviderDeps, warrant: Warrant, direction: 'apply' | 'revert') {
    this.#deps = deps;
    this.#warrant = warrant;
    this.#direction = direction;
  }

  async admit(
    decisions: readonly Hash[],
    revert?: RevertInput,
  ): Promise<{ plan: Plan; step: PlanStep; before: unknown; action: Action; attested: NonNullable<StepContext['attested']> }> {
    const deps = this.#deps;
    const warrant = this.#warrant;
    const execution = activityInfo().workflowExecution;
    // A change is spent by one activity of one run. An undo may be tried again by the same incident or hold, since it does nothing twice.
    const spender = revert
      ? `${execution?.workflowId ?? ''}`
      : `${execution?.workflowId ?? ''}|${execution?.runId ?? ''}|${activityInfo().activityId}`;
    const planRecord = await readOr(deps, warrant.plan, 'plan', 'warrant.unsigned');
    const plan = planRecord.body;
    const snapshot = await readOr(deps, warrant.snapshot, 'snapshot', 'warrant.not-captured');
    const authorities = await Promise.all(decisions.map((hash) => deps.records.readAny(hash)));
    // Who may not roll back stands in the verdict, since a plan without gates bars nobody.
    const barred = revert ? (await deps.records.read(plan.verdict, 'verdict')).body.barred : undefined;
    const checked = checkWarrant({
      warrant,
      ...(revert ? { revert } : {}),
      ...(barred ? { barred } : {}),
      plan: planRecord,
      snapshot,
      authorities,
      provider: deps.provider,
      account: deps.account,
      mode: deps.mode,
      irreversible: isIrreversible(deps, plan, warrant.step),
      ownTargets: deps.ownTargets,
      trust: deps.trust(),
      people: deps.people(),
      now: deps.clock().toISOString(),
      executing: execution ? { workflowId: execution.workflowId, runId: execution.runId } : undefined,
      verify: deps.verify,
    });
    if (!checked.ok) throw fault(checked.code, { incident: warrant.incident, step: warrant.step, because: checked.words });
    // A step is spent once. A retry of the same activity is the same spender; anybody else comes too late.
    const spent = `spent/${planHash(plan)}/${warrant.step}/${this.#direction}`;
    const mark = await deps.store.createIfAbsent(spent, new TextEncoder().encode(spender));
    if (!mark.created && new TextDecoder().decode(mark.existing) !== spender) {
      throw fault('warrant.spent', { incident: warrant.incident, step: warrant.step });
    }
    this.#admitted = { plan, step: checked.step };
    const action = actionFor(deps, checked.step);
    const before = snapshot.body.befores[stepKey(checked.step.action, checked.step.target)];
    return { plan, step: checked.step, before, action, attested: checked.approvals ?? [] };
  }

  async write(body: Partial<StepRecord> & { observation: Observation }): Promise<Hash> {
    const { plan, step } = this.#admitted ?? {};
    if (!plan || !step) throw fault('engine.unexpected', { step: this.#warrant.step });
    const full: StepRecord = {
      plan: this.#warrant.plan,
      step: step.id,
      action: step.action,
      direction: this.#direction,
      attempt: activityInfo().attempt,
      requestIds: this.requestIds,
      ...body,
    };
    return await this.#deps.records.write('step', {
      ...placeOf(plan),
      standsOn: [this.#warrant.plan, this.#warrant.snapshot, ...this.#warrant.decisions],
      body: full,
    });
  }

  /** Leaves a record of what went wrong: a step record for an admitted step, a refusal for everything else. */
  async recordFailure(error: unknown): Promise<Hash | undefined> {
    const code = codeOf(error);
    if (this.#admitted) {
      const at = this.#deps.clock().toISOString();
      return await this.write({ observation: unknown(at, 'engine', 'the step failed'), failure: { code, words: wordsOf(error, code) } });
    }
    const execution = activityInfo().workflowExecution;
    const body: RefusalRecord = {
      code,
      attempted: `${this.#direction} of ${this.#warrant.step} by activity ${activityInfo().activityId}`,
      words: wordsOf(error, code),
      by: execution ? `${execution.workflowId} ${execution.runId}` : 'no workflow',
    };
    return await this.#deps.records.write('refusal', {
      incident: this.#warrant.incident,
      run: this.#warrant.run,
      round: this.#warrant.round,
      standsOn: [],
      body,
    });
  }
}

function wordsOf(error: unknown, code: ErrorCode): string {
  return isFault(error) ? error.message : code;
}

async function readOr<T extends 'plan' | 'snapshot'>(deps: ProviderDeps, hash: Hash, type: T, otherwise: ErrorCode) {
  try {
    return await deps.records.read(hash, type);
  } catch (error) {
    if (codeOf(error) === 'record.missing') throw fault(type === 'plan' ? 'warrant.plan-missing' : otherwise, { [type]: hash }, error);
    throw fault(otherwise, { [type]: hash }, error);
  }
}

/** The address of a plan's records. */
function placeOf(plan: Plan): { incident: string; run: string; round: number } {
  return { incident: plan.incident, run: plan.run, round: plan.round };
}

/** By this worker's own manifest, and by no word of the plan. A step it does not know is refused elsewhere. */
function isIrreversible(deps: ProviderDeps, plan: Plan, id: string): boolean {
  const step = plan.steps.find((each) => each.id === id);
  return (
    step !== undefined && deps.connection.actions[step.action.slice(step.provider.length + 1)]?.manifest.reversibility === 'irreversible'
  );
}

function actionFor(deps: ProviderDeps, step: PlanStep): Action {
  const action = deps.connection.actions[step.action.slice(step.provider.length + 1)];
  if (!action) throw fault('provider.unsupported', { action: step.action });
  return action;
}

async function inventoryOf(deps: ProviderDeps, plan: Plan): Promise<InventoryFinding> {
  const assessment = (await deps.records.read(plan.assessment, 'assessment')).body;
  if (!assessment.inventory) throw fault('record.missing', { record: 'inventory' });
  return (await deps.records.read(assessment.inventory, 'inventory')).body;
}

/** The references that earlier mints made: out of the signed step records and out of nothing else. */
async function madeBy(deps: ProviderDeps, made: Readonly<Record<string, Hash>>): Promise<Record<string, Readonly<Record<string, string>>>> {
  const out: Record<string, Readonly<Record<string, string>>> = {};
  for (const [step, hash] of Object.entries(made)) {
    const record = await deps.records.read(hash, 'step');
    if (record.body.step === step && record.body.made) out[step] = record.body.made;
  }
  return out;
}

function contextOf(
  deps: ProviderDeps,
  pulse: Pulse,
  plan: Plan,
  step: PlanStep,
  made: Readonly<Record<string, Readonly<Record<string, string>>>>,
  inventory: InventoryFinding,
  heldBy?: readonly string[],
): StepContext {
  return {
    incident: plan.incident,
    run: plan.run,
    step: step.id,
    signal: pulse.signal,
    heartbeat: pulse.heartbeat,
    sleep: pulse.sleep,
    timing: deps.timing,
    sealing: deps.sealing,
    params: heldBy && heldBy.length > 0 ? { ...step.params, heldBy } : step.params,
    made,
    inventory,
  };
}

/** Probes until the answer is yes or the account's patience ends; what is unknown then stays unknown. */
async function probeUntilSeen(
  action: Action,
  step: PlanStep,
  before: unknown,
  context: StepContext,
  pulse: Pulse,
  requestIds: string[],
  made: Readonly<Record<string, string>> | undefined,
): Promise<Probed> {
  const seeing: StepContext = made ? { ...context, made: { ...context.made, [step.id]: made } } : context;
  const until = Date.now() + context.timing.giveUpMs;
  for (;;) {
    const probed = await action.probe(step.target, before, seeing);
    requestIds.push(...probed.requestIds.slice(0, 1));
    if (probed.observation.state === 'yes' || Date.now() > until || action.manifest.watches) return probed;
    pulse.heartbeat();
    await pulse.sleep(context.timing.pollMs);
  }
}
