import {
  type ActivityInput,
  type Next,
  proxySinks,
  type Sinks,
  type WorkflowInterceptors,
  type WorkflowOutboundCallsInterceptor,
  workflowInfo,
} from '@temporalio/workflow';

/** What a replay reports of each activity that the code schedules: compared by the verifier with the arguments in the history. */
export interface AuditSinks extends Sinks {
  audit: { scheduled(seq: number, activityType: string, argsJson: string): void };
}

const { audit } = proxySinks<AuditSinks>();

/** Part of every workflow bundle, so that the code that ran and the code that is replayed are the same. Outside a replay nobody listens. */
export const interceptors = (): WorkflowInterceptors => ({
  outbound: [
    {
      async scheduleActivity(input: ActivityInput, next: Next<WorkflowOutboundCallsInterceptor, 'scheduleActivity'>): Promise<unknown> {
        // As text, at once: what is passed on is looked at after the activation, when the run may have changed it already.
        if (workflowInfo().unsafe.isReplaying) audit.scheduled(input.seq, input.activityType, JSON.stringify(input.args));
        return await next(input);
      },
    },
  ],
});
