import { activityInfo, Context } from '@temporalio/activity';
import { WithStartWorkflowOperation } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, WorkflowNotFoundError } from '@temporalio/common';
import { fault } from '../domain/errors.ts';
import { holdId, judgeQueue } from '../domain/manifest.ts';
import { type EndedInput, type EndedResult, type HoldAnswer, type HoldInput, UpdateName, WorkflowName } from '../domain/messages.ts';
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
        // A hold is reached with a warrant only, and must not wait behind a flood of reports.
        priority: { priorityKey: 1 },
        workflowIdConflictPolicy: 'USE_EXISTING',
      });
      try {
        // Called off, it waits no longer: the undo that follows goes to the hold itself, which gives the step up there.
        const asked = deps.client.workflow.executeUpdateWithStart<
          (memory?: never) => Promise<unknown>,
          HoldAnswer,
          [HoldInput & { key: string }]
        >(UpdateName.HOLD, {
          updateId: key,
          args: [{ ...input, key }],
          startWorkflowOperation: operation,
        });
        return await Promise.race([asked, Context.current().cancelled]);
      } catch (error) {
        if (error instanceof CancelledFailure) throw error;
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

/** Says which of the runs named are over, by the server: closed, terminated or not there at all. A run that cannot be asked after counts as going on. */
export function createEndedHolders(deps: JudgeDeps) {
  return async function endedHolders(input: EndedInput): Promise<EndedResult> {
    const ended: string[] = [];
    for (const each of input.runs) {
      const [workflowId = '', runId = ''] = each.split('|');
      try {
        const { status } = await deps.client.workflow.getHandle(workflowId, runId || undefined).describe();
        if (status.name !== 'RUNNING' && status.name !== 'PAUSED') ended.push(each);
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) ended.push(each);
      }
    }
    return { ended };
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
