import { noticingEdits } from '../audit/register-edits.ts';
import type { JudgeActivities, ProviderActivities } from '../domain/messages.ts';
import { createAssess } from './assessment.ts';
import { createExportBundle } from './audit.ts';
import { createRecordGate, createRule } from './decision.ts';
import type { JudgeDeps, ProviderDeps } from './deps.ts';
import { createApply, createCapture, createInspect, createRevert } from './execution.ts';
import { createEndedHolders, createReachHold } from './hold.ts';
import { Lanes } from './lane.ts';
import { createJudge } from './plan.ts';
import { withPulse } from './pulse.ts';
import { createReceive } from './report.ts';
import { createReview } from './review.ts';

/** The judge's activities over their ports. */
export function createJudgeActivities(given: JudgeDeps): JudgeActivities {
  const deps = noticingEdits(given, given.records.register);
  return {
    receive: beating(createReceive(deps)),
    judge: beating(createJudge(deps)),
    rule: beating(createRule(deps)),
    recordGate: beating(createRecordGate(deps)),
    reachHold: createReachHold(deps),
    endedHolders: beating(createEndedHolders(deps)),
    review: beating(createReview(deps)),
    exportBundle: beating(createExportBundle(deps)),
  };
}

/** An activity that beats while it runs, so that a judge that dies in it is noticed within a heartbeat's time. */
function beating<I, O>(activity: (input: I) => Promise<O>): (input: I) => Promise<O> {
  return (input) => withPulse(() => activity(input));
}

/** A provider worker's activities over its ports. */
export function createProviderActivities(deps: ProviderDeps): ProviderActivities {
  const lanes = new Lanes();
  return {
    assess: createAssess(deps),
    capture: createCapture(deps),
    apply: createApply(deps, lanes),
    revert: createRevert(deps, lanes),
    inspect: createInspect(deps),
  };
}

export type { CommonDeps, JudgeDeps, ProviderDeps } from './deps.ts';
