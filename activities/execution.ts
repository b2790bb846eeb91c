import { activityInfo } from '@temporalio/activity';
import type { InventoryFinding, Snapshot } from '../domain/assessment.ts';
import { authorisationHash } from '../domain/authorisation.ts';
import { type Hash, isHash } from '../domain/canonical.ts';
import { codeOf, type ErrorCode, fault, isFault } from '../domain/errors.ts';
import type { ApplyInput, ApplyResult, RefusalRecord, RevertInput, RevertResult, StepRecord, Warrant } from '../domain/execution.ts';
import { liftedByStep, liftOfStep } from '../domain/lifts.ts';
import type { CaptureInput, InspectInput, InspectResult } from '../domain/messages.ts';
import { type Observation, unknown } from '../domain/observation.ts';
import { type Plan, type PlanStep, planHash, stepKey } from '../domain/plan.ts';
import type { AnyRecord, RecordAs } from '../domain/record-bodies.ts';
import { checkWarrant, type WarrantQuestion } from '../domain/warrant.ts';
import type { Action, Probed, StepContext } from '../providers/contract.ts';
import { spendLeave, spendUnasked } from './budget.ts';
import type { ProviderDeps } from './deps.ts';
import { guarded } from './failure.ts';
import { Holders } from './holders.ts';
import { Lanes } from './lane.ts';
import { type Pulse, withPulse } from './pulse.ts';

/** Captures the before-states of the steps named, all of this worker's account. Read-only; needs no warrant. */
export function createCapture(deps: ProviderDeps) {
  return async function capture(input: CaptureInput): Promise<{ readonly snapshot: Hash }> {
    return await guarded(
      () =>
        withPulse(async (pulse) => {
          expectWorkflow();
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
      (error) => recordStray(deps, input, 'a capture', error),
    );
  };
}

/** Applies one step under a warrant, then probes until the change is seen in effect or the account's patience ends. */
export function createApply(deps: ProviderDeps, lanes = new Lanes()) {
  return async function apply(input: ApplyInput): Promise<ApplyResult> {
    const course = new Course(deps, input.warrant, 'apply');
    return await guarded(
      () =>
        withPulse((pulse) =>
          lanes.run(laneOf(input.warrant), pulse.signal, async () => {
            const { plan, step, before, action, attested } = await course.admit(input.warrant.decisions);
            const held = await heldOf(deps, plan, step, 'apply', input.heldBy);
            const made = await madeBy(deps, plan, input.made);
            const context = { ...contextOf(deps, pulse, plan, step, made, await inventoryOf(deps, plan), held), attested };
            await course.expectStanding();
            // What an earlier attempt has done and recorded is not done again: only its answer was lost.
            const earlier = await course.earlier();
            if (earlier) return earlier;
            pulse.signal.throwIfAborted();
            const applied = await action.apply(step.target, before, context);
            await held.settle();
            course.requestIds.push(...applied.requestIds);
            const probed = await probeUntilSeen(action, step, before, context, pulse, course.requestIds, applied.made);
            const clocks = {
              acceptedAt: applied.acceptedAt,
              ...(probed.effectiveAt ? { effectiveAt: probed.effectiveAt } : {}),
              ...(applied.descendantsDieAt ? { descendantsDieAt: applied.descendantsDieAt } : {}),
            };
            const facts = { ...applied.facts, ...probed.facts };
            const told = {
              outcome: applied.outcome,
              observation: probed.observation,
              clocks,
              ...(applied.made ? { made: applied.made } : {}),
              ...(applied.residual ? { residual: applied.residual } : {}),
            };
            const record = await course.write({ ...told, ...(Object.keys(facts).length > 0 ? { facts } : {}) });
            if (applied.made && step.phase === 'mint') await markMade(deps, step, applied.made, record);
            if (told.observation.state === 'yes') await course.keep(record);
            return { record, ...told };
          }),
        ),
      (error) => course.recordFailure(error),
    );
  };
}

/** Takes one step back, from what `capture` wrote down alone. */
export function createRevert(deps: ProviderDeps, lanes = new Lanes()) {
  return async function revert(input: RevertInput): Promise<RevertResult> {
    const course = new Course(deps, input.warrant, 'revert');
    return await guarded(
      () =>
        withPulse((pulse) =>
          lanes.run(laneOf(input.warrant), pulse.signal, async () => {
            const { plan, step, before, action } = await course.admit([input.because], input);
            const held = await heldOf(deps, plan, step, 'revert', input.heldBy);
            const made = await madeBy(deps, plan, input.made);
            const context = contextOf(deps, pulse, plan, step, made, await inventoryOf(deps, plan), held);
            // A watch has changed nothing.
            const reverted =
              action.revert && !action.manifest.watches
                ? await action.revert(step.target, before, context)
                : {
                    outcome: 'already' as const,
                    requestIds: [],
                    observation: unknown(deps.clock().toISOString(), 'engine', 'there is nothing to take back'),
                  };
            await held.settle();
            course.requestIds.push(...reverted.requestIds);
            const told = {
              outcome: reverted.outcome,
              observation: reverted.observation,
              ...(reverted.residual ? { residual: reverted.residual } : {}),
            };
            const record = await course.write({ ...told, ...(reverted.facts ? { facts: reverted.facts } : {}) });
            return { record, ...told };
          }),
        ),
      (error) => course.recordFailure(error),
    );
  };
}

/**
 * Looks whether what a step did still stands, for a person who has finished it by hand. It changes nothing, hence needs no warrant; what it saw is signed, and it is that and no
 * word of anybody that ends a stuck step.
 */
export function createInspect(deps: ProviderDeps) {
  return async function inspect(input: InspectInput): Promise<InspectResult> {
    return await guarded(
      () =>
        withPulse(async (pulse) => {
          expectWorkflow();
          const { warrant } = input;
          const plan = (await deps.records.read(warrant.plan, 'plan')).body;
          const snapshot = await deps.records.read(warrant.snapshot, 'snapshot');
          const step = plan.steps.find((each) => each.id === warrant.step);
          if (!step || step.provider !== deps.provider || step.account !== deps.account)
            throw fault('warrant.no-such-step', { incident: warrant.incident, step: warrant.step });
          const action = actionFor(deps, step);
          const made = await madeBy(deps, plan, input.made);
          const context = contextOf(deps, pulse, plan, step, made, await inventoryOf(deps, plan));
          const before = snapshot.body.befores[stepKey(step.action, step.target)];
          // Of what cannot be undone the question is whether it was done; of what can, whether something of it is left.
          const look = step.reversibility === 'reversible' && action.stands ? action.stands : action.probe;
          const { observation, requestIds } = await look.call(action, step.target, before, context);
          const body: StepRecord = {
            plan: warrant.plan,
            step: step.id,
            action: step.action,
            direction: 'inspect',
            attempt: activityInfo().attempt,
            observation,
            requestIds,
          };
          const record = await deps.records.write('step', { ...placeOf(plan), standsOn: [warrant.plan, warrant.snapshot], body });
          return { record, observation };
        }),
      (error) => recordStray(deps, input.warrant, 'an inspection', error),
    );
  };
}

/** Reads are for workflows. An activity that somebody started by itself has no run whose record it could stand in, and nobody who needs the answer. */
export function expectWorkflow(): void {
  if (activityInfo().workflowExecution === undefined) throw fault('warrant.other-run', { because: 'no workflow asks' });
}

/** A refusal record for a read that came without a workflow; whatever else a read fails of is in the failure itself. */
export async function recordStray(
  deps: ProviderDeps,
  place: { readonly incident: string; readonly run: string; readonly round: number },
  attempted: string,
  error: unknown,
): Promise<Hash | undefined> {
  const code = codeOf(error);
  if (code !== 'warrant.other-run') return undefined;
  const { incident, run, round } = place;
  const body: RefusalRecord = {
    code,
    attempted: `${attempted} by activity ${activityInfo().activityId}`,
    words: wordsOf(error, code),
    by: 'no workflow',
  };
  return await deps.records.write('refusal', { incident, run, round, standsOn: [], body });
}

/**
 * Who else holds what a step is about to take off, by the store's own marks and by what the hold says on top of that; and, for when the step is through, the mark that it leaves itself.
 */
async function heldOf(
  deps: ProviderDeps,
  plan: Plan,
  step: PlanStep,
  direction: 'apply' | 'revert',
  told: readonly string[] = [],
): Promise<{ readonly by: readonly string[]; readonly counted: boolean; settle(): Promise<void> }> {
  const name = step.action.slice(step.provider.length + 1);
  const { hold } = step;
  // An undo lets go of what the step itself put on; the undo of a lift takes nothing off.
  const lifts = liftedByStep(step);
  const lifted = direction === 'apply' ? lifts : name;
  const counts = (direction === 'apply' && lifts !== undefined) || liftOfStep(step) !== undefined;
  if (hold === undefined || !counts) return { by: told, counted: false, settle: async () => undefined };
  const holders = new Holders(deps.store);
  const control = { provider: deps.provider, account: deps.account, principal: hold, action: lifted ?? name };
  if (lifted === undefined) return { by: told, counted: true, settle: () => holders.take(control, plan.incident) };
  const by = new Set([...told, ...(await holders.others(control, plan.incident))]);
  return { by: [...by].sort(), counted: true, settle: () => holders.letGo(control, plan.incident) };
}

/** Everything that is done to one step goes through one lane. */
const laneOf = (warrant: Warrant): string => `${warrant.plan}/${warrant.step}`;

/** One admitted step: the warrant checked against this worker's own trust, people and clock, and spent; and the records it leaves. */
class Course {
  readonly #deps: ProviderDeps;
  readonly #warrant: Warrant;
  readonly #direction: 'apply' | 'revert';
  readonly requestIds: string[] = [];
  #admitted: { plan: Plan; step: PlanStep; authorisation?: Hash } | undefined;

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
    const needs = revert ? {} : await readNeeds(deps, warrant);
    // Who may not roll back stands in the verdict, since a plan without gates bars nobody.
    const barred = revert ? (await deps.records.read(plan.verdict, 'verdict')).body.barred : undefined;
    const standing = revert ? undefined : await standingOf(deps, planRecord, warrant.step);
    const checked = checkWarrant({
      warrant,
      ...(standing ? { standing } : {}),
      ...(revert ? { revert } : {}),
      ...(barred ? { barred } : {}),
      plan: planRecord,
      snapshot,
      authorities,
      needs,
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
    // The worker's own count, whatever a judge has signed.
    if (!revert) await spendUnasked(deps, plan, checked.step, checked.approved);
    if (checked.authorised) await spendLeave(deps, checked.authorised, plan, checked.step);
    // A step is spent once. A retry of the same activity is the same spender; anybody else comes too late.
    const spent = `spent/${planHash(plan)}/${warrant.step}/${this.#direction}`;
    const mark = await deps.store.createIfAbsent(spent, new TextEncoder().encode(spender));
    if (!mark.created && new TextDecoder().decode(mark.existing) !== spender) {
      throw fault('warrant.spent', { incident: warrant.incident, step: warrant.step });
    }
    await this.#expectCapture(plan, checked.step);
    this.#admitted = { plan, step: checked.step, ...(checked.authorised ? { authorisation: authorisationHash(checked.authorised) } : {}) };
    const action = actionFor(deps, checked.step);
    const before = snapshot.body.befores[stepKey(checked.step.action, checked.step.target)];
    return { plan, step: checked.step, before, action, attested: checked.approvals ?? [] };
  }

  /**
   * What a step is taken back to is what it was applied over: the snapshot that its apply named. Another one, made later by whoever holds a worker's key, could have an undo write what
   * never stood there.
   */
  async #expectCapture(plan: Plan, step: PlanStep): Promise<void> {
    const name = `captured/${planHash(plan)}/${step.id}`;
    const { incident, snapshot } = this.#warrant;
    const there =
      this.#direction === 'apply'
        ? (await this.#deps.store.createIfAbsent(name, new TextEncoder().encode(snapshot))).existing
        : await this.#deps.store.read(name);
    if (there !== undefined && new TextDecoder().decode(there) !== snapshot)
      throw fault('warrant.not-captured', { incident, step: step.id, because: 'the step was applied over another snapshot' });
  }

  /**
   * Refuses an apply that comes after the step's undo was admitted: an attempt that slept through a rollback must not do again what was undone. Asked for right before the
   * change, since between the two nothing holds a worker of another process back.
   */
  async expectStanding(): Promise<void> {
    const { plan, step } = this.#admitted ?? {};
    if (!plan || !step) throw fault('engine.unexpected', { step: this.#warrant.step });
    if (await this.#deps.store.read(`spent/${planHash(plan)}/${step.id}/revert`))
      throw fault('warrant.taken-back', { incident: this.#warrant.incident, step: step.id });
  }

  /** Keeps which record says that the step was applied and seen in effect. */
  async keep(record: Hash): Promise<void> {
    await this.#deps.store.createIfAbsent(this.#doneName(), new TextEncoder().encode(record));
  }

  /** What an earlier attempt of this very activity answered, out of its signed record; undefined where none was seen in effect. */
  async earlier(): Promise<ApplyResult | undefined> {
    const mark = await this.#deps.store.read(this.#doneName());
    const hash = mark && new TextDecoder().decode(mark);
    if (!isHash(hash)) return undefined;
    const { step, plan, direction, outcome, observation, clocks, made, residual } = (await this.#deps.records.read(hash, 'step')).body;
    if (step !== this.#warrant.step || plan !== this.#warrant.plan || direction !== 'apply' || !outcome || !clocks) return undefined;
    return { record: hash, outcome, observation, clocks, ...(made ? { made } : {}), ...(residual ? { residual } : {}) };
  }

  #doneName(): string {
    const { plan, step } = this.#admitted ?? {};
    if (!plan || !step) throw fault('engine.unexpected', { step: this.#warrant.step });
    return `done/${planHash(plan)}/${step.id}`;
  }

  async write(body: Partial<StepRecord> & { observation: Observation }): Promise<Hash> {
    const { plan, step, authorisation } = this.#admitted ?? {};
    if (!plan || !step) throw fault('engine.unexpected', { step: this.#warrant.step });
    const full: StepRecord = {
      plan: this.#warrant.plan,
      step: step.id,
      action: step.action,
      direction: this.#direction,
      attempt: activityInfo().attempt,
      requestIds: this.requestIds,
      ...(authorisation === undefined ? {} : { authorisation }),
      ...body,
    };
    return await this.#deps.records.write('step', {
      ...placeOf(plan),
      standsOn: [this.#warrant.plan, this.#warrant.snapshot, ...this.#warrant.decisions, ...Object.values(this.#warrant.needs ?? {})],
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

/** The records a warrant names for what the step needs. One that is not there or not good is as if it were not named: the check says which need is unmet. */
async function readNeeds(deps: ProviderDeps, warrant: Warrant): Promise<Record<string, AnyRecord>> {
  const out: Record<string, AnyRecord> = {};
  for (const [id, hash] of Object.entries(warrant.needs ?? {})) {
    try {
      out[id] = await deps.records.readAny(hash);
    } catch (error) {
      if (!codeOf(error).startsWith('record.')) throw error;
    }
  }
  return out;
}

/** How many rounds back it is looked for the one in which a leaked secret was tried. */
const mostRounds = 50;

/** For a step that names a standing authorisation: this worker's own copy of that, and the records it has to fit. Undefined for any other step. */
async function standingOf(deps: ProviderDeps, plan: RecordAs<'plan'>, id: string): Promise<WarrantQuestion['standing']> {
  const wanted = plan.body.steps.find((each) => each.id === id)?.authorisation;
  if (wanted === undefined) return undefined;
  const { assessment, verdict } = plan.body;
  const [assessed, judged] = [await deps.records.read(assessment, 'assessment'), await deps.records.read(verdict, 'verdict')];
  // The secret is tried once: in which round it was shown to be real, the earlier ones say.
  const found: { readonly hash: Hash; readonly record: RecordAs<'finding'> }[] = [];
  for (let round: RecordAs<'assessment'> | undefined = assessed, n = 0; round && n < mostRounds; n++) {
    let previous: RecordAs<'plan'> | undefined;
    for (const hash of round.standsOn) {
      const record = await deps.records.readAny(hash);
      if (record.type === 'finding') found.push({ hash, record });
      if (record.type === 'plan') previous = record;
    }
    round = previous && (await deps.records.read(previous.body.assessment, 'assessment'));
  }
  return {
    signed: deps.authorisations?.().find((each) => authorisationHash(each) === wanted),
    manifest: deps.manifest,
    assessment: { hash: assessment, record: assessed },
    verdict: { hash: verdict, record: judged },
    finding: found[0],
    findings: found.map(({ record }) => record),
  };
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

/** The references that earlier mints of a run made: out of the signed step records of that run and out of nothing else. */
export async function madeBy(
  deps: ProviderDeps,
  place: { readonly incident: string; readonly run: string },
  made: Readonly<Record<string, Hash>>,
): Promise<Record<string, Readonly<Record<string, string>>>> {
  const out: Record<string, Readonly<Record<string, string>>> = {};
  for (const [step, hash] of Object.entries(made)) {
    const record = await deps.records.read(hash, 'step');
    const here = record.incident === place.incident && record.run === place.run;
    if (here && record.body.step === step && record.body.direction === 'apply' && record.body.made) out[step] = record.body.made;
  }
  return out;
}

const madeName = (deps: ProviderDeps, id: string): string => `made/${deps.provider}/${deps.account}/${id}`;

/** What a mint says of the secret and not of the credential: the sealed blob, and the key it is sealed to. Everything else names what was made. */
const ofTheSecret: readonly string[] = ['sealed', 'keyId'];
const namesMade = (made: Readonly<Record<string, string>>): string[] =>
  Object.entries(made).flatMap(([name, value]) => (ofTheSecret.includes(name) ? [] : [value]));

/** Marks what a mint made by each of its ids, so that a look of any incident knows whose it is. What the target named already was there before. */
async function markMade(deps: ProviderDeps, step: PlanStep, made: Readonly<Record<string, string>>, record: Hash): Promise<void> {
  const before = Object.values(step.target);
  for (const id of namesMade(made).filter((each) => !before.includes(each)))
    await deps.store.createIfAbsent(madeName(deps, id), new TextEncoder().encode(record));
}

/** Whether the engine made the credential of that id: by a signed record of a step, to which the mark only leads. */
export async function isMade(deps: ProviderDeps, id: string): Promise<boolean> {
  const mark = await deps.store.read(madeName(deps, id));
  const hash = mark && new TextDecoder().decode(mark);
  if (!isHash(hash)) return false;
  try {
    const { body } = await deps.records.read(hash, 'step');
    return body.direction === 'apply' && body.made !== undefined && namesMade(body.made).includes(id);
  } catch (error) {
    if (codeOf(error).startsWith('record.')) return false;
    throw error;
  }
}

function contextOf(
  deps: ProviderDeps,
  pulse: Pulse,
  plan: Plan,
  step: PlanStep,
  made: Readonly<Record<string, Readonly<Record<string, string>>>>,
  inventory: InventoryFinding,
  held: { readonly by: readonly string[]; readonly counted: boolean } = { by: [], counted: false },
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
    params: {
      ...step.params,
      ...(held.by.length > 0 ? { heldBy: held.by } : {}),
      ...(held.counted ? { counted: true } : {}),
    },
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
