import type { JudgeActivities, ProviderActivities } from '../domain/messages.ts';
import { createAssess } from './assessment.ts';
import { createExportBundle } from './audit.ts';
import { createRecordGate, createRule } from './decision.ts';
import type { JudgeDeps, ProviderDeps } from './deps.ts';
import { createApply, createCapture, createRevert } from './execution.ts';
import { createReachHold } from './hold.ts';
import { createJudge } from './plan.ts';
import { createReceive } from './report.ts';
import { createReview } from './review.ts';

/** The judge's activities over their ports. */
export function createJudgeActivities(deps: JudgeDeps): JudgeActivities {
  return {
    receive: createReceive(deps),
    judge: createJudge(deps),
    rule: createRule(deps),
    recordGate: createRecordGate(deps),
    reachHold: createReachHold(deps),
    review: createReview(deps),
    exportBundle: createExportBundle(deps),
  };
}

/** A provider worker's activities over its ports. */
export function createProviderActivities(deps: ProviderDeps): ProviderActivities {
  return { assess: createAssess(deps), capture: createCapture(deps), apply: createApply(deps), revert: createRevert(deps) };
}

export type { CommonDeps, JudgeDeps, ProviderDeps } from './deps.ts';
