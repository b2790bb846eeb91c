import { type Hash, hashOf } from './canonical.ts';
import type { DoneStep } from './plan.ts';
import type { AnyRecord, RecordAs } from './record-bodies.ts';
import { KeyRole, keyAt, type Trust } from './trust.ts';

/** Where a run's word on its own steps is looked up. */
export interface DoneQuestion {
  readonly engine: string;
  readonly incident: string;
  readonly run: string;
  readonly trust: Trust;
  /** A record, opened and verified; undefined where there is none that is good. */
  readonly record: (hash: Hash) => AnyRecord | undefined;
}

/** The records that a step names for what it says of itself. */
export function namedBy(step: DoneStep): readonly Hash[] {
  return [step.plan, step.record, step.undo, step.because].filter((hash) => hash !== undefined);
}

/**
 * What a run says of its earlier steps, as far as signed records bear it out. A run's own state came together from answers that anybody may have forged who can write to the namespace, so
 * none of it is believed for having been said: a step is of a plan that a judge signed for this run, it is done if the worker of its account says so, it is undone if that worker says
 * so too, and somebody refused it if a judge recorded that person's signed word. What is not borne out is a step that failed, or that nobody tried. Pure; for an honest run it
 * gives back what it was given.
 */
export function provenDone(done: readonly DoneStep[], question: DoneQuestion): readonly DoneStep[] {
  return done.flatMap((step) => {
    const proven = proveStep(step, question);
    return proven === undefined ? [] : [proven];
  });
}

function proveStep(step: DoneStep, question: DoneQuestion): DoneStep | undefined {
  const plan = step.plan === undefined ? undefined : question.record(step.plan);
  if (step.plan === undefined || plan?.type !== 'plan' || !isJudges(plan, question)) return undefined;
  if (plan.round !== step.round || !plan.body.steps.some((each) => hashOf(each) === hashOf(step.step))) return undefined;
  const applied = recordOfStep(step, step.record, question);
  const took = applied?.body.direction === 'apply' && applied.body.outcome !== undefined ? applied.body : undefined;
  // What was found done after its answer was lost is shown by the look that found it.
  const seen = applied?.body.direction === 'inspect' && step.step.reversibility === 'irreversible' ? applied.body : undefined;
  const undone = recordOfStep(step, step.undo, question);
  const gone =
    (undone?.body.direction === 'revert' && undone.body.outcome !== undefined) ||
    (undone?.body.direction === 'inspect' && undone.body.observation.state === 'no');
  const residual = gone ? undone?.body.residual : took?.residual;
  const refusedBy = refuserOf(step, question);
  const told = {
    round: step.round,
    step: step.step,
    plan: step.plan,
    ...(step.record === undefined ? {} : { record: step.record }),
    ...(step.undo === undefined ? {} : { undo: step.undo }),
    ...(step.because === undefined ? {} : { because: step.because }),
    ...(took?.made ? { made: took.made } : {}),
    ...(took?.clocks?.effectiveAt ? { effectiveAt: took.clocks.effectiveAt } : {}),
    ...(residual ? { residual } : {}),
    ...(refusedBy === undefined ? {} : { refusedBy }),
  };
  switch (step.state) {
    case 'done':
      return { ...told, state: (took ?? seen)?.observation.state === 'yes' ? 'done' : 'failed' };
    case 'undone':
      return { ...told, state: gone ? 'undone' : 'stuck' };
    default:
      return { ...told, state: step.state };
  }
}

/** The record of what was done to a step, by the worker of its account (or the judge, for what a person did), of the plan that the step is of. */
function recordOfStep(step: DoneStep, hash: Hash | undefined, question: DoneQuestion): RecordAs<'step'> | undefined {
  const record = hash === undefined ? undefined : question.record(hash);
  if (record?.type !== 'step' || !isHere(record, question) || record.round !== step.round) return undefined;
  const worker = keyAt(question.trust, record.by, KeyRole.WORKER, record.at);
  const judge = step.step.provider === 'manual' && keyAt(question.trust, record.by, KeyRole.JUDGE, record.at) !== undefined;
  if (!judge && !(worker?.provider === step.step.provider && worker.account === step.step.account)) return undefined;
  return record.body.plan === step.plan && record.body.step === step.step.id ? record : undefined;
}

/** Who refused the step, by the judge's record of a rejection, a rollback or a dismissal that counted. */
function refuserOf(step: DoneStep, question: DoneQuestion): string | undefined {
  const record = step.because === undefined ? undefined : question.record(step.because);
  if (record?.type !== 'decision' || !isJudges(record, question)) return undefined;
  const { ruling } = record.body;
  const heard = ruling.accepted && ruling.by === step.refusedBy;
  const whole = ruling.verdict === 'rollback' || ruling.verdict === 'dismiss';
  const here = ruling.verdict === 'reject' && record.round === step.round && ruling.gate === step.step.gate;
  return heard && (whole || here) ? ruling.by : undefined;
}

function isHere(record: AnyRecord, { engine, incident, run }: DoneQuestion): boolean {
  return record.engine === engine && record.incident === incident && record.run === run;
}

function isJudges(record: AnyRecord, question: DoneQuestion): boolean {
  return isHere(record, question) && keyAt(question.trust, record.by, KeyRole.JUDGE, record.at) !== undefined;
}
