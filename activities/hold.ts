import { activityInfo } from '@temporalio/activity';
import { WithStartWorkflowOperation } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { fault } from '../domain/errors.ts';
import { holdId, judgeQueue } from '../domain/manifest.ts';
import { type HoldAnswer, type HoldInput, UpdateName, WorkflowName } from '../domain/messages.ts';
import type { JudgeDeps } from './deps.ts';
import { withPulse } from './pulse.ts';

/**
 * Takes one request to the hold of a principal, which is started if it is not there, and waits for its answer. The update's id is run and step, so that a retry of this
 * activity asks for the same answer and not for the change again.
 */
export function createReachHold(deps: JudgeDeps) {
  return async function reachHold(input: HoldInput): Promise<HoldAnswer> {
    const warrant = input.apply?.warrant ?? input.revert?.warrant;
    if (!warrant) throw fault('usage.invalid', { problem: 'a hold needs a warrant' });
    // A retry of this activity asks for the same answer; a later try of the run, by another activity, asks anew.
    const key = `${warrant.run}/${warrant.step}/${input.direction}/${activityInfo().activityId}`;
    const workflowId = holdId(input.provider, input.account, input.principal);
    return await withPulse(async () => {
      const operation = new WithStartWorkflowOperation<(memory?: never) => Promise<unknown>>(WorkflowName.PRINCIPAL_HOLD, {
        workflowId,
        taskQueue: judgeQueue,
        args: [],
        workflowIdConflictPolicy: 'USE_EXISTING',
      });
      try {
        return await deps.client.workflow.executeUpdateWithStart<
          (memory?: never) => Promise<unknown>,
          HoldAnswer,
          [HoldInput & { key: string }]
        >(UpdateName.HOLD, {
          updateId: key,
          args: [{ ...input, key }],
          startWorkflowOperation: operation,
        });
      } catch (error) {
        const cause = rootOf(error);
        // The hold's own failure keeps its code; anything else (a server that is away) is tried again.
        if (cause)
          throw ApplicationFailure.create({
            message: cause.message,
            ...(cause.type ? { type: cause.type } : {}),
            nonRetryable: cause.nonRetryable ?? false,
            details: cause.details ?? [],
          });
        throw ApplicationFailure.create({
          message: `the hold could not be reached on attempt ${activityInfo().attempt}`,
          type: 'engine.unavailable',
          nonRetryable: false,
        });
      }
    });
  };
}

function rootOf(error: unknown): ApplicationFailure | undefined {
  let cause: unknown = error;
  while (cause instanceof Error) {
    if (cause instanceof ApplicationFailure) return cause;
    cause = cause.cause;
  }
  return undefined;
}
