import { CancellationScope } from '@temporalio/workflow';
import { canonicalJson, type Hash, isHash } from '../domain/canonical.ts';
import type { Residual } from '../domain/credential.ts';
import type { RevertInput, RevertResult } from '../domain/execution.ts';
import { liftedByStep } from '../domain/lifts.ts';
import type { FinishRequest, FinishResult, InspectResult } from '../domain/messages.ts';
import { madeSoFar, warrantOf } from './execution.ts';
import { failureOf } from './failure.ts';
import type { Incident, StepCourse } from './incident.ts';
import { holds, provider } from './ports.ts';
import { expectResult } from './shapes.ts';

/**
 * Takes back what can be taken back: rounds from the last to the first, steps within a round against the order of their needs. It cannot be cancelled half way.
 * A step whose undo fails is `stuck`: what is left, and how to finish by hand, stands in its status.
 */
export async function unwind(incident: Incident, because: { readonly record: Hash; readonly by: string }): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    await settleIrreversible(incident);
    const courses = incident.all.filter(({ status: { state } }) => state === 'done' || state === 'failed' || state === 'stuck');
    for (const course of reverseOrder(courses)) {
      if (course.step.reversibility === 'irreversible') {
        if (course.status.state === 'done') leave(incident, course, 'cannot be taken back');
        continue;
      }
      const kept = cancelled(course, incident.all) ?? keptBy(course, courses);
      if (kept) leave(incident, course, `left as it is, since ${kept}`);
      else await revert(incident, course, because);
    }
  });
  const left = distinct(incident.all.flatMap((course) => (course.residual ? [course.residual] : [])));
  incident.residuals = left;
  const words = incident.rollback ? 'rolled back' : 'dismissed, and what was done taken back';
  const told =
    left.length > 0
      ? `${words}; what must stand on: ${left.map((each) => `${each.what} until ${each.until ?? 'a person says otherwise'}`).join('; ')}`
      : words;
  // An undo that is tried again and again says what is new, and not the same each time.
  if (told !== incident.cameTo) incident.note('engine', told);
  incident.cameTo = told;
}

/** Says why a step is left as it is; once, until there is another reason. */
function leave(incident: Incident, course: StepCourse, why: string): void {
  if (course.kept !== why) incident.note('engine', `${course.step.title}: ${why}`);
  course.kept = why;
}

/**
 * Finds out of every step that cannot be undone, and failed, whether it was done after all: its answer may have been lost. Where that cannot be found out it counts as done, since taking back what
 * replaces a deleted key would leave nobody with one that works.
 */
async function settleIrreversible(incident: Incident): Promise<void> {
  for (const course of incident.all) {
    if (course.step.reversibility !== 'irreversible' || course.status.state !== 'failed') continue;
    course.perhaps = true;
    try {
      const { record, observation } = await inspect(incident, course);
      incident.enter('step', record);
      course.perhaps = observation.state === 'unknown';
      if (observation.state !== 'yes') continue;
      course.record = record;
      course.status.observation = observation;
      delete course.status.failure;
      incident.moveStep(course, 'done');
      incident.note('engine', `${course.step.title}: was done after all (${observation.evidence})`, record);
    } catch (error) {
      leave(incident, course, `whether it was done is not known (${failureOf(error).words}); what replaces it is left`);
    }
  }
}

async function inspect(incident: Incident, course: StepCourse): Promise<InspectResult> {
  const { step } = course;
  const { pace } = incident;
  const input = { warrant: warrantOf(incident, course), made: madeSoFar(incident) };
  return expectResult('inspect', await provider(step.provider, step.account, pace, pace.stuckAfterMs).inspect(input));
}

/**
 * Why a step must be left as it is; undefined where it may be taken back. Once a key is deleted, taking back what replaced it would leave nobody with one that works; and what
 * a step needed stays for as long as that step could not be taken back itself.
 */
export function keptBy(course: StepCourse, courses: readonly StepCourse[]): string | undefined {
  const gone = courses.filter((each) => each.step.reversibility === 'irreversible' && (each.status.state === 'done' || each.perhaps));
  // A mint that never answered replaces nothing: what it may have made was handed to nobody.
  const answered = course.step.phase !== 'mint' || course.made !== undefined;
  const replacing = answered && (course.step.phase === 'mint' || course.step.phase === 'distribute' || course.step.phase === 'verify');
  const [first] = gone;
  if (first && replacing) return `"${first.step.title}" cannot be taken back and nothing else would work`;
  const same = gone.find((each) => canonicalJson(each.step.target) === canonicalJson(course.step.target));
  if (same) return `"${same.step.title}" cannot be taken back`;
  const standing = (each: StepCourse): boolean => gone.includes(each) || each.status.state === 'stuck';
  const dependant = courses.find((each) => each !== course && standing(each) && needs(each, course, courses));
  return dependant ? `"${dependant.step.title}" stands and needs it` : undefined;
}

/**
 * A lift and the control it lifted, both taken back, are nothing: putting the control on again only to take it off would be an outage for nothing, and one that stays where the second half is stuck.
 * The control's own undo copes with its having been lifted.
 */
function cancelled(course: StepCourse, courses: readonly StepCourse[]): string | undefined {
  const { provider, hold } = course.step;
  const lifted = liftedByStep(course.step);
  if (lifted === undefined || hold === undefined) return undefined;
  const control = courses.find(({ step }) => step.hold === hold && step.action === `${provider}/${lifted}`);
  return control && `what it lifted is taken back too ("${control.step.title}")`;
}

/** Whether a step needed another of its round, directly or through others. */
function needs(course: StepCourse, other: StepCourse, courses: readonly StepCourse[], seen = new Set<string>()): boolean {
  if (course.round !== other.round || seen.has(course.step.id)) return false;
  seen.add(course.step.id);
  if (course.step.needs.includes(other.step.id)) return true;
  return courses.some(
    (each) => each.round === course.round && course.step.needs.includes(each.step.id) && needs(each, other, courses, seen),
  );
}

/** Each residual once: taking back a deny leaves the cut-off standing as much as taking back the cut-off itself does. */
function distinct(residuals: readonly Residual[]): readonly Residual[] {
  const seen = new Map(residuals.map((each) => [`${each.what}|${each.target}|${each.until ?? ''}`, each]));
  return [...seen.values()];
}

/** Later rounds first; within a round a step comes before everything it needed; mints last of all. */
export function reverseOrder(courses: readonly StepCourse[]): StepCourse[] {
  const rounds = [...new Set(courses.map((course) => course.round))].sort((a, b) => b - a);
  const out: StepCourse[] = [];
  for (const round of rounds) {
    const left = courses.filter((course) => course.round === round);
    while (left.length > 0) {
      const index = left.findIndex((course) => !left.some((other) => other !== course && other.step.needs.includes(course.step.id)));
      out.push(...left.splice(Math.max(index, 0), 1));
    }
  }
  // Make before break holds backwards too: a new credential goes once the old one is on again, which may be the undo of an earlier round.
  return [...out.filter(({ step }) => step.phase !== 'mint'), ...out.filter(({ step }) => step.phase === 'mint')];
}

async function revert(incident: Incident, course: StepCourse, because: { readonly record: Hash; readonly by: string }): Promise<void> {
  const { step } = course;
  incident.moveStep(course, 'undoing');
  const input: RevertInput = {
    warrant: warrantOf(incident, course),
    because: because.record,
    ...(course.record ? { applied: course.record } : {}),
    made: madeSoFar(incident),
  };
  try {
    const { pace } = incident;
    const result = expectResult(
      'revert',
      step.hold
        ? ((await holds(pace, 2 * pace.stuckAfterMs).reachHold({
            principal: step.hold,
            provider: step.provider,
            account: step.account,
            action: step.action.split('/')[1] ?? step.action,
            ...(step.lifts === undefined ? {} : { lifts: step.lifts }),
            direction: 'revert',
            revert: input,
            pace,
          })) as RevertResult)
        : await provider(step.provider, step.account, pace, pace.stuckAfterMs).revert(input),
    );
    incident.enter('step', result.record);
    course.status.outcome = result.outcome;
    course.status.observation = result.observation;
    if (result.residual) course.residual = result.residual;
    else delete course.residual;
    course.refusedBy = because.by;
    course.because = because.record;
    course.undo = result.record;
    incident.moveStep(course, 'undone');
    incident.note('engine', `${step.title}: taken back (${result.outcome})`, result.record);
  } catch (error) {
    const failure = failureOf(error);
    if (isHash(failure.record)) incident.enter('step', failure.record);
    course.status.failure = { code: failure.code, words: failure.words };
    const byHand = step.byHandUndo ?? `take back: ${step.title}`;
    course.status.byHand = byHand;
    incident.moveStep(course, 'stuck');
    incident.note('engine', `${step.title}: could not be taken back, ${failure.words} (${failure.code}); by hand: ${byHand}`);
  }
}

/**
 * Somebody says that a stuck step has been finished by hand. Nobody's word ends it: the provider's worker looks, and signs what it saw. Never throws, since it runs in the handler
 * of an update.
 */
export async function finish(incident: Incident, { step: id }: FinishRequest): Promise<FinishResult> {
  const course = incident.all.findLast((each) => each.step.id === id && each.status.state === 'stuck');
  if (!course) return { step: id, finished: false, why: 'no step of that id is stuck' };
  if (course.inspected) return { step: id, finished: false, why: 'it is being looked at' };
  const { step } = course;
  course.inspected = true;
  try {
    const { record, observation } = await inspect(incident, course);
    incident.enter('step', record);
    const why = observation.state === 'unknown' ? observation.why : (observation.evidence ?? '');
    const finished = observation.state === 'no' && course.status.state === 'stuck';
    if (finished) {
      course.status.observation = observation;
      delete course.status.failure;
      delete course.residual;
      course.undo = record;
      const called = incident.rollback ?? incident.dismissal;
      if (called) {
        course.refusedBy = called.by;
        course.because = called.record;
      }
      incident.moveStep(course, 'undone');
      incident.stirred = true;
      // What was left as it is because this stood in the way is taken back now.
      incident.unwound = false;
      incident.note('engine', `${step.title}: finished by hand, and seen to be (${why})`, record);
      incident.show();
    } else incident.note('engine', `${step.title}: said to be finished by hand; still in effect: ${observation.state} (${why})`, record);
    return { step: id, finished, why: finished ? why : `still in effect: ${observation.state} (${why})`, observation, record };
  } catch (error) {
    const failure = failureOf(error);
    incident.note('engine', `${step.title}: could not be looked at, ${failure.words} (${failure.code})`);
    return { step: id, finished: false, why: `it could not be looked at: ${failure.words} (${failure.code})` };
  } finally {
    course.inspected = false;
  }
}
