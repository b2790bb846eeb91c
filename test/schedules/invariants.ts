import type { Decision } from '../../domain/decision.ts';
import type { RevertInput, Warrant } from '../../domain/execution.ts';
import type { AssessInput } from '../../domain/messages.ts';
import type { Plan, PlanStep } from '../../domain/plan.ts';
import type { AnyRecord, RecordAs } from '../../domain/record-bodies.ts';
import type { Realm } from './realm.ts';
import type { Sim } from './sim.ts';
import type { Activity, Attempt, Run, Temporal } from './temporal.ts';
import { type Effect, storeKey, times, user, type World } from './world.ts';

/** What the design promises, looked at where it would be broken. Names are the promises. */
export const Rule = {
  READS: 'what only looks changes nothing',
  NAMED: 'a step touches only what the plan names',
  EVIDENCE: 'evidence before change',
  NEEDS: 'no step before what it needs is in effect',
  GATE: 'what is asked about waits for its answer, over this very plan',
  IRREVERSIBLE: 'what cannot be undone is approved by hash',
  SPENT: 'a step is spent by one activity',
  ONCE: 'applied twice is applied once',
  UNDONE: 'what was taken back is not done again',
  RIGHT: 'a revert takes a signed rollback or dismissal',
  ORDER: 'a rollback goes against the order of needs',
  STAMP: 'cut-off stamps come after the disable took effect',
  HOLD: "no incident lifts another's hold",
  WAKES: 'lifting a deny or a cut-off wakes no session',
  SWEEP: 'a sweep counts only past the watermark',
  CLOSE: 'no close while a descendant lives',
  AFTER: 'nothing is changed after the close',
  MINTED: 'at most one live key for each mint',
  ACCOUNTED: 'no key is unaccounted for',
  RESTORED: 'a rollback leaves the world as it was',
  LOST: 'what the engine did is in its record',
  REPLAY: 'replay',
  ENDS: 'every incident ends or watches a dated residual',
} as const;

interface Course {
  readonly run: string;
  readonly incident: string;
  readonly step: PlanStep;
  readonly plan: Plan;
  /** What its applies have changed, and its reverts. */
  readonly applied: Effect[];
  readonly reverted: Effect[];
  spender?: string;
  /** An apply of it has reached a worker, whatever became of it: from then on its incident may hold the control. */
  begun?: boolean;
  /** Records of it: seen in effect, and taken back. */
  done?: RecordAs<'step'>;
  undone?: RecordAs<'step'>;
  made?: string | undefined;
}

const skewMs = 5000;
const policyName = (effect: Effect): string => String(effect.input.PolicyName ?? '');

const spenderOf = ({ workflow, id }: Activity): string => `${workflow.workflowId} ${workflow.runId} ${id}`;

/** What of a play is watched. */
export interface Watched {
  readonly realm: Realm;
  readonly sim: Sim;
  readonly world: World;
  readonly temporal: Temporal;
  readonly records: ReadonlyMap<string, AnyRecord>;
}

export class Watch {
  readonly #play: Watched;
  readonly #courses = new Map<string, Course>();
  readonly #decisions: Decision[] = [];
  readonly #initial: { keys?: Map<string, string>; live?: string } = {};
  readonly #findings = new Map<string, { finding: RecordAs<'finding'>; input: AssessInput }>();
  readonly #stamps: { readonly at: number; readonly cutOff: number }[] = [];
  refusals = 0;

  constructor(play: Watched) {
    this.#play = play;
  }

  #breach(rule: string, words: string) {
    this.#play.sim.breach(rule, words);
  }

  /** The world before anything was done to it. */
  begin() {
    const { world } = this.#play;
    this.#initial.keys = new Map(world.keys().map((key) => [key.id, key.status]));
    this.#initial.live = this.#live();
  }

  #live(): string {
    return JSON.stringify(this.#play.world.kv.get(storeKey)?.versions.at(-1)?.data ?? null);
  }

  signed(decision: Decision): void {
    this.#decisions.push(decision);
  }

  started(attempt: Attempt) {
    const { type, input } = attempt.activity;
    const warrant = (input as { warrant?: Warrant } | undefined)?.warrant;
    const step = warrant?.step;
    if (type === 'apply' && warrant) {
      const course = this.#courses.get(`${warrant.run} ${warrant.step}`);
      if (course) course.begun = true;
    }
    this.#play.sim.tell(`${attempt.process.name} begins ${type}${step ? ` of ${step}` : ''}, attempt ${attempt.number}`);
  }

  ended(attempt: Attempt, ended: Record<string, unknown>) {
    const how = Object.keys(ended)[0] ?? '';
    const failure = (ended.failed ?? ended.cancelled) as { message?: string; applicationFailureInfo?: { type?: string } } | undefined;
    const done = ended.completed as
      | { outcome?: string; observation?: { state?: string }; accepted?: boolean; why?: string; swept?: { state?: string } }
      | undefined;
    const words = failure
      ? `${failure.applicationFailureInfo?.type ?? ''} ${failure.message ?? ''}`
      : [done?.outcome, done?.observation?.state, done?.accepted, done?.why, done?.swept?.state]
          .filter((each) => each !== undefined)
          .join(' ');
    if (attempt.activity.type === 'apply' && ended.completed !== undefined) this.#answered(attempt);
    const step = (attempt.activity.input as { warrant?: Warrant } | undefined)?.warrant?.step;
    this.#play.sim.tell(`${attempt.process.name} ${how} ${attempt.activity.type}${step ? ` of ${step}` : ''}: ${words.slice(0, 160)}`);
  }

  /** Whoever is answered has been let in: one activity for each step, whatever it then found to do. */
  #answered(attempt: Attempt): void {
    const { activity } = attempt;
    const { run, step } = (activity.input as { warrant: Warrant }).warrant;
    const course = this.#courses.get(`${run} ${step}`);
    if (!course) return;
    const spender = spenderOf(activity);
    course.spender ??= spender;
    if (course.spender !== spender)
      this.#breach(
        Rule.SPENT,
        `${step}: activity ${activity.id} was let in, and activity ${course.spender.split(' ').at(-1)} had spent it`,
      );
  }

  refusedConsumer(id: string, error: Error) {
    this.refusals++;
    this.#play.sim.tell(`consumer ${id} is refused: ${error.name}`);
  }

  // ---- records ----

  recorded(_hash: string, record: AnyRecord) {
    if (record.type === 'plan') {
      for (const step of record.body.steps)
        this.#courses.set(`${record.run} ${step.id}`, {
          run: record.run,
          incident: record.incident,
          step,
          plan: record.body,
          applied: this.#courses.get(`${record.run} ${step.id}`)?.applied ?? [],
          reverted: this.#courses.get(`${record.run} ${step.id}`)?.reverted ?? [],
        });
    }
    if (record.type === 'step') this.#stepRecorded(record);
    if (record.type === 'finding') this.#found(record);
  }

  #stepRecorded(record: RecordAs<'step'>) {
    const course = this.#courses.get(`${record.run} ${record.body.step}`);
    if (!course || record.body.failure) return;
    if (record.body.direction === 'apply') {
      if (record.body.made?.accessKeyId) course.made = record.body.made.accessKeyId;
      if (record.body.observation.state === 'yes') course.done = record;
    }
    if (record.body.direction === 'revert') course.undone = record;
  }

  #found(record: RecordAs<'finding'>) {
    const attempt = this.#play.sim.als.getStore()?.attempt as Attempt | undefined;
    if (attempt?.activity.type !== 'assess') return;
    const input = attempt.activity.input as AssessInput;
    this.#findings.set(record.run, { finding: record, input });
    const { swept, graph } = record.body;
    if (swept.state !== 'yes') return;
    const { world, sim } = this.#play;
    const containedAt = Date.parse(input.containedAt ?? '');
    if (Number.isNaN(containedAt))
      return this.#breach(Rule.SWEEP, `a sweep of ${record.incident.slice(0, 16)} counts though nothing says what it had to pass`);
    if (sim.now < containedAt + times.logLagMs)
      return this.#breach(
        Rule.SWEEP,
        `a sweep counts ${sim.now - containedAt} ms after ${input.containedAt}, and the log is ${times.logLagMs} ms behind`,
      );
    const nodes = new Set(graph.nodes.map((node) => node.id));
    const leaked = input.credential.locator.accessKeyId;
    for (const session of world.sessions) {
      // Issue times are whole seconds, rounded down.
      if (session.mintedBy !== leaked || session.issuedAt + 1000 > containedAt || session.expiresAt <= sim.now) continue;
      if (!nodes.has(`aws.session:${session.id}`))
        return this.#breach(
          Rule.SWEEP,
          `a sweep that counts past ${input.containedAt} has not seen the session ${session.id} of ${new Date(session.issuedAt).toISOString()}`,
        );
    }
  }

  // ---- changes ----

  effect(effect: Effect) {
    const { attempt } = effect;
    if (!attempt) return;
    const { type, input } = attempt.activity;
    // A session of its own that a look asks for changes nothing.
    if (effect.action === 'GetSessionToken') return;
    if (!effect.changed) return;
    if (type !== 'apply' && type !== 'revert') return this.#breach(Rule.READS, `${type} did ${effect.action}`);
    const { warrant } = input as { warrant: Warrant };
    const record = this.#play.records.get(warrant.plan);
    const course = this.#courses.get(`${warrant.run} ${warrant.step}`);
    if (record?.type !== 'plan' || !course) return this.#breach(Rule.NAMED, `${effect.action} for ${warrant.step}, which is in no plan`);
    const of = `${warrant.step} of ${warrant.incident.slice(0, 16)}`;
    this.#named(effect, course, of, type);
    this.#holds(effect, course, of, type);
    if (type === 'apply') this.#applied(effect, course, record, warrant, of);
    else this.#reverted(effect, course, input as RevertInput, of);
  }

  #named(effect: Effect, course: Course, of: string, type: string) {
    const { target, action } = course.step;
    const wrong = (words: string): void => this.#breach(Rule.NAMED, `${of}: ${type} did ${effect.action} ${words}`);
    if (effect.provider === 'vault') {
      const path = String(effect.input.path);
      const staging = path.startsWith(`${storeKey}--staged/`);
      if (action === 'vault/stage-secret' ? !staging : action === 'vault/distribute-secret' ? !staging && path !== storeKey : true)
        wrong(`at ${path}`);
      return;
    }
    if (effect.input.UserName !== target.user) return wrong(`to ${effect.input.UserName}`);
    const key = effect.input.AccessKeyId;
    if (key !== undefined) {
      const ours = course.applied.some((each) => each.made === key);
      if (action === 'aws/mint-key') {
        if (effect.action === 'DeleteAccessKey' ? !ours : this.#initial.keys?.has(String(key))) wrong(`to ${key}`);
      } else if (key !== target.accessKeyId) wrong(`to ${key}`);
    }
    if (effect.input.PolicyName !== undefined) {
      const allowed: Record<string, readonly string[]> = {
        'aws/deny-principal': ['tourniquet-hold', ...(type === 'revert' ? ['tourniquet-cutoff'] : [])],
        'aws/lift-deny': ['tourniquet-hold'],
        'aws/cut-off-sessions': ['tourniquet-cutoff'],
        'aws/lift-cut-off': ['tourniquet-cutoff'],
      };
      if (!allowed[action]?.includes(policyName(effect))) wrong(`to the policy ${policyName(effect)}`);
    }
  }

  #applied(effect: Effect, course: Course, record: RecordAs<'plan'>, warrant: Warrant, of: string) {
    const { engine } = this.#play.realm;
    const { step } = course;
    const plan = record.body;
    const { activity } = effect.attempt as Attempt;
    const snapshot = this.#play.records.get(warrant.snapshot);
    if (snapshot?.type !== 'snapshot' || !Object.hasOwn(snapshot.body.befores, engine.stepKey(step.action, step.target)))
      this.#breach(Rule.EVIDENCE, `${of}: ${effect.action} before its before-state was recorded`);
    for (const id of step.needs) {
      const need = this.#courses.get(`${warrant.run} ${id}`);
      if (!need?.done) this.#breach(Rule.NEEDS, `${of}: ${effect.action} before ${id} was seen in effect`);
      else if (need.undone) this.#breach(Rule.NEEDS, `${of}: ${effect.action} after ${id} was taken back`);
    }
    this.#asked(course, plan, warrant.run, of, effect);
    const spender = spenderOf(activity);
    course.spender ??= spender;
    if (course.spender !== spender)
      this.#breach(
        Rule.SPENT,
        `${of}: ${effect.action} by activity ${activity.id}, and activity ${course.spender.split(' ').at(-1)} had spent it`,
      );
    if (course.undone) this.#breach(Rule.UNDONE, `${of}: ${effect.action} after it had been taken back`);
    const run = this.#play.temporal.all.find((each) => each.runId === warrant.run);
    if (run && run.status !== 'running') this.#breach(Rule.AFTER, `${of}: ${effect.action} after its run had ended`);
    if (effect.action === 'CreateAccessKey') {
      course.applied.push(effect);
      const live = this.#liveOf(course);
      if (live.length > 1) this.#breach(Rule.MINTED, `${of}: ${live.join(' and ')} live at once`);
      return;
    }
    if (step.action !== 'aws/mint-key') {
      // Two processes at once on one step may both have read before either wrote: a twin's later stamp is the same change, made later.
      const twin = (each: Effect): boolean => step.action === 'aws/cut-off-sessions' && each.attempt?.process !== effect.attempt?.process;
      const same = course.applied.some(
        (each) =>
          !twin(each) && each.action === effect.action && each.input.path === effect.input.path && policyName(each) === policyName(effect),
      );
      if (same && effect.action !== 'annotate') this.#breach(Rule.ONCE, `${of}: ${effect.action} changed something a second time`);
    }
    course.applied.push(effect);
    if (step.action === 'aws/cut-off-sessions' && effect.action === 'PutUserPolicy') this.#stamped(effect, course, of);
  }

  #asked(course: Course, plan: Plan, run: string, of: string, effect: Effect) {
    const { step } = course;
    const irreversible = effect.action === 'DeleteAccessKey' && step.action === 'aws/delete-key';
    if (!step.gate) {
      if (irreversible) this.#breach(Rule.IRREVERSIBLE, `${of}: ${effect.action} unasked`);
      return;
    }
    const gate = plan.gates.find((each) => each.id === step.gate);
    const hash = this.#play.realm.engine.planHash(plan);
    const approvers = new Set(
      this.#decisions
        .filter(
          (each) =>
            each.verdict === 'approve' &&
            each.run === run &&
            each.gate === step.gate &&
            each.planHash === hash &&
            !gate?.barred.includes(each.by),
        )
        .map((each) => each.by),
    );
    if (gate && approvers.size >= Math.max(1, gate.rule.quorum)) return;
    const silence =
      gate !== undefined &&
      !irreversible &&
      step.reversibility === 'reversible' &&
      this.#play.sim.now + skewMs >= Date.parse(plan.issuedAt) + gate.rule.deadlineMs &&
      (gate.rule.onSilence === 'proceed' || (gate.rule.onSilence === 'harmless' && step.impact === 'none'));
    if (silence) return;
    this.#breach(
      irreversible ? Rule.IRREVERSIBLE : Rule.GATE,
      `${of}: ${effect.action} with ${approvers.size} of ${gate?.rule.quorum} approvals of this plan at ${step.gate}`,
    );
  }

  #stamped(effect: Effect, course: Course, of: string) {
    const cutOff = this.#cutOffOf(String(effect.input.PolicyDocument));
    this.#stamps.push({ at: effect.at, cutOff });
    const keys = course.step.params.keys;
    const { world } = this.#play;
    for (const id of Array.isArray(keys) ? keys : []) {
      const key = world.aws.state.tables.keys.get(id);
      const last = key?.status.at(-1) as { at: number; value: string } | undefined;
      if (!last) continue;
      if (last.value === 'Active' || last.at + times.propagationMs > cutOff)
        this.#breach(
          Rule.STAMP,
          `${of}: stamped at ${new Date(cutOff).toISOString()}, and ${id} is ${last.value} since ${new Date(last.at).toISOString()}`,
        );
    }
  }

  #cutOffOf(document: string): number {
    return Date.parse(/"aws:TokenIssueTime":"([^"]+)"/.exec(document)?.[1] ?? '');
  }

  /** A control of a whole principal goes: nobody else may need it, and no session may wake. */
  #holds(effect: Effect, course: Course, of: string, type: string) {
    if (policyName(effect) === '') return;
    const gone = effect.action === 'DeleteUserPolicy';
    const name = policyName(effect);
    if (!gone && type !== 'revert') return;
    if (gone && name === 'tourniquet-hold') {
      for (const other of this.#courses.values()) {
        if (other.step.action !== 'aws/deny-principal' || other.incident === course.incident || !other.done || other.undone) continue;
        const lifted = [...this.#courses.values()].some(
          (each) => each.run === other.run && each.step.action === 'aws/lift-deny' && each.done,
        );
        const run = this.#play.temporal.all.find((each) => each.runId === other.run);
        if (!lifted && run?.status === 'running')
          this.#breach(Rule.HOLD, `${of}: the deny is gone, and ${other.incident.slice(0, 16)} holds ${user}`);
      }
    }
    if (!gone) return;
    const { world, sim } = this.#play;
    const inline = world.inline();
    if (inline['tourniquet-hold'] !== undefined) return;
    const stands = inline['tourniquet-cutoff'] === undefined ? Number.NEGATIVE_INFINITY : this.#cutOffOf(inline['tourniquet-cutoff']);
    for (const session of world.sessions) {
      if (session.expiresAt <= sim.now || session.issuedAt < stands) continue;
      this.#breach(
        Rule.WAKES,
        `${of}: ${effect.action} of ${name} wakes the session ${session.id} of ${new Date(session.issuedAt).toISOString()}`,
      );
    }
  }

  #reverted(effect: Effect, course: Course, input: RevertInput, of: string) {
    course.reverted.push(effect);
    const because = this.#play.records.get(input.because);
    const signed = this.#decisions.some((each) => (each.verdict === 'rollback' || each.verdict === 'dismiss') && each.run === course.run);
    if (!signed || because?.type !== 'decision' || !because.body.ruling.accepted)
      this.#breach(Rule.RIGHT, `${of}: ${effect.action} without a signed rollback or dismissal`);
    for (const other of this.#courses.values()) {
      if (other.run !== course.run || other.plan.round !== course.plan.round || other === course) continue;
      if (other.applied.length === 0 || other.undone || !this.#needs(other.step, course.step, course.plan)) continue;
      // A lift whose control is taken back in the same rollback stands: undoing it would put the control on again.
      if (other.step.action === 'aws/lift-deny' || other.step.action === 'aws/lift-cut-off') continue;
      this.#breach(Rule.ORDER, `${of} is taken back while ${other.step.id}, which needed it, stands`);
    }
    const run = this.#play.temporal.all.find((each) => each.runId === course.run);
    if (run && run.status !== 'running') this.#breach(Rule.AFTER, `${of}: ${effect.action} after its run had ended`);
  }

  #needs(step: PlanStep, other: PlanStep, plan: Plan, seen = new Set<string>()): boolean {
    if (seen.has(step.id)) return false;
    seen.add(step.id);
    return step.needs.some((id) => {
      if (id === other.id) return true;
      const next = plan.steps.find((each) => each.id === id);
      return next !== undefined && this.#needs(next, other, plan, seen);
    });
  }

  #liveOf(course: Course): string[] {
    const there = new Set(this.#play.world.keys().map((key) => key.id));
    return course.applied.flatMap((each) => (each.made && there.has(each.made) ? [each.made] : []));
  }

  // ---- ends ----

  closed(run: Run) {
    const state = (run.result as { state?: string } | undefined)?.state;
    this.#play.sim.tell(`${run.workflowId.slice(0, 40)} is over: ${run.status} ${state ?? ''}`);
    if (run.type !== 'leakResponse') return;
    if (run.status !== 'completed') return this.#breach(Rule.LOST, `the run of ${run.workflowId.slice(0, 16)} ended as ${run.status}`);
    if (state === 'closed') this.#closedWell(run);
    if (state === 'rolled-back' || state === 'dismissed') this.#restored(run.runId);
  }

  #closedWell(run: Run) {
    const { world, sim } = this.#play;
    const last = this.#findings.get(run.runId);
    if (last?.finding.body.swept.state !== 'yes')
      return this.#breach(Rule.CLOSE, `closed though the last sweep is ${last?.finding.body.swept.state ?? 'none'}`);
    const leaked = last.input.credential.locator.accessKeyId ?? '';
    const passed = Date.parse(last.input.containedAt ?? '');
    for (const course of this.#courses.values()) {
      const effective = course.done?.body.clocks?.effectiveAt;
      if (course.run !== run.runId || (course.step.phase !== 'contain' && course.step.phase !== 'revoke') || course.undone || !effective)
        continue;
      if (Date.parse(effective) > passed)
        this.#breach(Rule.CLOSE, `closed by a sweep past ${last.input.containedAt}, and ${course.step.id} took effect at ${effective}`);
    }
    const key = world.keys().find((each) => each.id === leaked);
    if (key?.status === 'Active') this.#breach(Rule.CLOSE, `closed while ${leaked} is Active`);
    for (const session of world.sessions)
      if (session.mintedBy === leaked && session.expiresAt > sim.now && world.sessionWorks(session))
        this.#breach(Rule.CLOSE, `closed while the session ${session.id} works`);
    for (const effect of world.effects) {
      if (effect.attempt !== undefined || effect.action !== 'CreateAccessKey' || !effect.made) continue;
      if (world.keys().some((each) => each.id === effect.made && each.status === 'Active'))
        this.#breach(Rule.CLOSE, `closed while the thief's key ${effect.made} is Active`);
    }
  }

  /** What a run that was called off has changed must be as it was, but for what it names. */
  #restored(runId: string) {
    const { world } = this.#play;
    const courses = [...this.#courses.values()].filter((each) => each.run === runId);
    const others = [...this.#courses.values()].filter((each) => each.run !== runId && (each.applied.length > 0 || each.done !== undefined));
    const deleted = courses.some((each) => each.step.action === 'aws/delete-key' && each.applied.length > 0);
    const wrong = (words: string): void => this.#breach(Rule.RESTORED, words);
    for (const course of courses) {
      if (course.applied.length === 0) continue;
      const { target, action, id } = course.step;
      if (action === 'aws/disable-key') {
        const key = world.keys().find((each) => each.id === target.accessKeyId);
        const other = others.some((each) => each.step.target.accessKeyId === target.accessKeyId);
        // Once a key is deleted, what had to be done before it stays.
        const kept = courses.some(
          (each) =>
            each.step.action === 'aws/delete-key' &&
            each.applied.length > 0 &&
            (each.step.target.accessKeyId === target.accessKeyId || this.#needs(each.step, course.step, course.plan)),
        );
        if (key?.status === 'Inactive' && !other && !kept) wrong(`${id}: ${target.accessKeyId} is still Inactive`);
      }
      if (
        action === 'aws/deny-principal' &&
        world.inline()['tourniquet-hold'] !== undefined &&
        // Another incident whose apply has begun may hold the deny, though it changed nothing as it found it there, until its own undo is done; that one answers for it then.
        ![...this.#courses.values()].some((each) => each.run !== runId && each.step.action === action && each.begun && !each.undone)
      )
        wrong(`${id}: ${user} is still denied everything`);
      if (action === 'aws/mint-key' && !deleted && this.#liveOf(course).length > 0)
        wrong(`${id}: ${this.#liveOf(course).join(', ')} is still there`);
      if (
        action === 'vault/distribute-secret' &&
        !deleted &&
        others.every((each) => each.step.action !== action) &&
        this.#live() !== this.#initial.live
      )
        wrong(`${id}: the store does not hold what it held`);
      if (
        action === 'vault/stage-secret' &&
        !deleted &&
        [...world.kv.keys()].some((path) => path.includes('--staged/')) &&
        others.every((each) => each.step.action !== action)
      )
        wrong(`${id}: the staged copy is still there`);
    }
  }

  #lastPlan(runId: string): Plan | undefined {
    let last: Plan | undefined;
    for (const record of this.#play.records.values()) if (record.type === 'plan' && record.run === runId) last = record.body;
    return last;
  }

  /** What a run's last plan says, for a report. */
  lastWords(run: Run): string {
    const last = this.#lastPlan(run.runId);
    const finding = this.#findings.get(run.runId)?.finding.body;
    const living = finding?.graph.nodes
      .filter((node) => node.credential && node.credential.live.state !== 'no')
      .map((node) => `${node.id} ${node.credential?.live.state}`);
    return last
      ? `living ${living?.join(', ')}; swept ${finding?.swept.state}; round ${last.round}, ${last.steps.length} steps, residuals ${JSON.stringify(last.residuals.map((each) => each.until ?? each.acceptedBy ?? 'undated'))}, "${last.notes.join(' ')}"`
      : '';
  }

  /** Whether a watching run has something to watch, and it is said until when, or by whom it was accepted. */
  rests(run: Run): boolean {
    if (run.inFlight !== undefined || run.inbox.length > 0 || [...run.activities.values()].some((each) => each.state !== 'over'))
      return false;
    const last = this.#lastPlan(run.runId);
    if (last && last.steps.length === 0 && last.residuals.length > 0)
      return last.residuals.every((each) => each.until !== undefined || each.acceptedBy !== undefined);
    // A run that was called off names what stays in the records of its undoing.
    if (!this.#calledOff.has(run.runId)) return false;
    return [...this.#courses.values()].some((each) => each.run === run.runId && each.undone?.body.residual?.until !== undefined);
  }

  /** Whether it waits for nothing but a person's further word. */
  accepted(run: Run): boolean {
    const last = this.#lastPlan(run.runId);
    return (
      last !== undefined &&
      last.steps.length === 0 &&
      last.residuals.some((each) => each.until === undefined && each.acceptedBy !== undefined)
    );
  }

  get #calledOff(): Set<string> {
    return new Set(this.#decisions.filter((each) => each.verdict === 'rollback' || each.verdict === 'dismiss').map((each) => each.run));
  }

  atEnd() {
    const { world, temporal } = this.#play;
    const rolledBack = this.#calledOff;
    for (const run of temporal.all) {
      if (run.type !== 'leakResponse' || run.status !== 'running' || !rolledBack.has(run.runId)) continue;
      const taken = [...this.#courses.values()].some((each) => each.run === run.runId && each.undone);
      if (taken && !String(run.attributes.TourniquetStuck ?? '').includes('yes')) this.#restored(run.runId);
    }
    const known = new Set<string>(this.#initial.keys?.keys());
    for (const effect of world.effects) if (effect.attempt === undefined && effect.made) known.add(effect.made);
    for (const course of this.#courses.values()) {
      if (course.step.action !== 'aws/mint-key') continue;
      const live = this.#liveOf(course);
      if (live.length > 1) this.#breach(Rule.MINTED, `${course.step.id}: ${live.join(' and ')} live at once`);
      if (course.made) known.add(course.made);
      if (live.length === 1 && course.made !== live[0])
        this.#breach(Rule.ACCOUNTED, `${course.step.id} made ${live[0]}, which is there, and its record names ${course.made ?? 'none'}`);
    }
    for (const key of world.keys()) if (!known.has(key.id)) this.#breach(Rule.ACCOUNTED, `nobody has accounted for ${key.id}`);
  }
}
