import { CancellationScope, condition } from '@temporalio/workflow';
import { type Hash, isHash } from '../domain/canonical.ts';
import type { ApplyInput, ApplyResult } from '../domain/execution.ts';
import type { JudgeResult } from '../domain/messages.ts';
import type { PlanStep } from '../domain/plan.ts';
import { GateState } from '../domain/states.ts';
import { watchGates } from './decision.ts';
import { failureOf } from './failure.ts';
import type { Incident, StepCourse } from './incident.ts';
import { holds, provider } from './ports.ts';
import { expectResult } from './shapes.ts';

/**
 * Carries a plan out: captures what the snapshot does not hold, for the whole plan at once and before any change; then lets every step go as soon as what it
 * needs is done and its gate is answered. It comes back when every step has ended, or when the incident was halted and what ran has finished.
 */
export async function execute(incident: Incident, judged: JudgeResult, snapshot: Hash): Promise<void> {
  const plan = judged.content;
  for (const step of plan.steps) {
    incident.courses.push({
      step,
      round: plan.round,
      warrant: { plan: judged.plan, snapshot },
      status: {
        id: step.id,
        title: step.title,
        action: step.action,
        phase: step.phase,
        state: 'pending',
        reversibility: step.reversibility,
        impact: step.impact,
        ...(step.gate ? { gate: step.gate } : {}),
      },
    });
  }
  for (const gate of plan.gates) incident.gates.set(gate.id, { ...gate, state: 'pending', approvals: [] });
  incident.move(plan.gates.length > 0 && plan.steps.every((step) => step.gate !== undefined) ? 'deciding' : 'executing');
  incident.show();

  // The look of a first containment has captured already what its own account needs; everything else is captured now.
  const received = incident.received;
  const captured = (step: PlanStep) =>
    plan.purpose === 'contain' && plan.round === 1 && step.provider === received?.provider && step.account === received.account;
  await captureAll(
    incident,
    judged,
    incident.courses.filter((course) => !captured(course.step)),
  );
  const over = { done: false };
  const gates = watchGates(incident, judged, over);
  await Promise.all(incident.courses.map((course) => run(incident, course)));
  over.done = true;
  await gates;
}

/** Every worker captures the steps of its account, side by side. */
async function captureAll(incident: Incident, judged: JudgeResult, all: readonly StepCourse[]): Promise<void> {
  const groups = new Map<string, StepCourse[]>();
  for (const course of all) {
    const key = `${course.step.provider}\n${course.step.account}`;
    groups.set(key, [...(groups.get(key) ?? []), course]);
  }
  await Promise.all(
    [...groups].map(async ([key, courses]) => {
      const [name = '', account = ''] = key.split('\n');
      const { snapshot } = expectResult(
        'capture',
        await provider(name, account, incident.pace).capture({
          incident: incident.id,
          run: incident.run,
          round: incident.round,
          plan: judged.plan,
          steps: courses.map((course) => course.step.id),
        }),
      );
      incident.enter('snapshot', snapshot);
      for (const course of courses) course.warrant.snapshot = snapshot;
    }),
  );
}

function settled(incident: Incident, step: PlanStep): 'ready' | 'wait' | 'never' {
  let ready = true;
  for (const need of step.needs) {
    const state = incident.courses.find((course) => course.step.id === need)?.status.state;
    if (state === 'failed' || state === 'skipped' || state === 'stuck' || state === 'undone' || state === 'undoing') return 'never';
    if (state !== 'done') ready = false;
  }
  return ready ? 'ready' : 'wait';
}

/** Whether the step's gate lets it pass; undefined while the gate is open. */
function passage(incident: Incident, step: PlanStep): boolean | undefined {
  if (!step.gate) return true;
  const gate = incident.gates.get(step.gate);
  switch (gate?.state) {
    case GateState.APPROVED:
      return true;
    case GateState.DEFAULTED:
      return (
        gate.rule.onSilence === 'proceed' ||
        (gate.rule.onSilence === 'harmless' && step.impact === 'none' && step.reversibility === 'reversible')
      );
    case GateState.REJECTED:
    case GateState.SUPERSEDED:
      return false;
    default:
      return undefined;
  }
}

async function run(incident: Incident, course: StepCourse): Promise<void> {
  const { step } = course;
  await condition(() => incident.halted || settled(incident, step) !== 'wait');
  if (!incident.halted && settled(incident, step) === 'ready' && step.gate) {
    if (passage(incident, step) === undefined) incident.moveStep(course, 'waiting');
    await condition(() => incident.halted || passage(incident, step) !== undefined);
  }
  if (incident.halted || settled(incident, step) !== 'ready' || passage(incident, step) !== true) {
    const gate = step.gate ? incident.gates.get(step.gate) : undefined;
    const refused = gate?.state === GateState.REJECTED ? incident.refusedAt.get(gate.id) : undefined;
    if (refused) {
      course.refusedBy = refused.by;
      course.because = refused.record;
    }
    incident.moveStep(course, 'skipped');
    return;
  }

  incident.moveStep(course, 'running');
  if (incident.state === 'deciding') incident.move('executing');
  incident.show();
  try {
    // Registered before the effect: whoever calls the whole off from now on finds a step to interrupt, and to take back.
    course.scope = new CancellationScope();
    const result = expectResult('apply', await course.scope.run(() => apply(incident, course)));
    course.record = result.record;
    incident.enter('step', result.record);
    if (result.made) course.made = result.made;
    course.acceptedAt = result.clocks.acceptedAt;
    course.status.outcome = result.outcome;
    course.status.observation = result.observation;
    if (result.clocks.effectiveAt) {
      course.effectiveAt = result.clocks.effectiveAt;
      course.status.effectiveAt = result.clocks.effectiveAt;
    }
    if (result.residual) course.residual = result.residual;
    if (result.outcome === 'changed' && !incident.firstChangeAt) incident.firstChangeAt = result.clocks.acceptedAt;
    // No step is done until a probe says so; what is not known is not done.
    incident.moveStep(course, result.observation.state === 'yes' ? 'done' : 'failed');
    const words = result.observation.state === 'unknown' ? result.observation.why : result.observation.evidence;
    incident.note('engine', `${step.title}: ${result.outcome}, in effect: ${result.observation.state} (${words})`, result.record);
  } catch (error) {
    const failure = failureOf(error);
    course.status.failure = { code: failure.code, words: failure.words };
    course.status.byHand = step.byHand;
    if (isHash(failure.record)) {
      course.record = failure.record;
      incident.enter('step', failure.record);
    }
    incident.moveStep(course, 'failed');
    incident.note('engine', `${step.title}: failed, ${failure.words} (${failure.code})`);
  } finally {
    delete course.scope;
  }
}

/** References earlier mints of this run made, by step id, with the record that says so. */
export function madeSoFar(incident: Incident): Record<string, Hash> {
  const made: Record<string, Hash> = {};
  for (const course of incident.all) if (course.made && course.record) made[course.step.id] = course.record;
  return made;
}

/** What authorises the step: plan, decisions, before-state. */
export function warrantOf(incident: Incident, course: StepCourse): ApplyInput['warrant'] {
  return {
    incident: incident.id,
    run: incident.run,
    round: course.round,
    plan: course.warrant.plan,
    step: course.step.id,
    decisions: course.step.gate ? (incident.gateRecords.get(course.step.gate) ?? []) : [],
    snapshot: course.warrant.snapshot,
    ...(course.step.needs.length > 0 ? { needs: needsOf(incident, course) } : {}),
  };
}

/** The records of what the step needs, which its own round has done. */
function needsOf(incident: Incident, course: StepCourse): Record<string, Hash> {
  const needs: Record<string, Hash> = {};
  for (const id of course.step.needs) {
    const record = incident.all.find((each) => each.round === course.round && each.step.id === id)?.record;
    if (record) needs[id] = record;
  }
  return needs;
}

async function apply(incident: Incident, course: StepCourse): Promise<ApplyResult> {
  const { step } = course;
  const input: ApplyInput = { warrant: warrantOf(incident, course), made: madeSoFar(incident) };
  if (step.hold) {
    return (await holds(incident.pace).reachHold({
      principal: step.hold,
      provider: step.provider,
      account: step.account,
      action: step.action.split('/')[1] ?? step.action,
      ...(step.lifts === undefined ? {} : { lifts: step.lifts }),
      direction: 'apply',
      apply: input,
      pace: incident.pace,
    })) as ApplyResult;
  }
  return await provider(step.provider, step.account, incident.pace).apply(input);
}
