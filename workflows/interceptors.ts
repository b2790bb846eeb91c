import {
  type ActivityInput,
  type Next,
  proxySinks,
  type Sinks,
  type WorkflowInterceptors,
  type WorkflowOutboundCallsInterceptor,
} from '@temporalio/workflow';

/** What a replay reports of each activity that the code schedules: compared by the verifier with the arguments in the history. */
export interface AuditSinks extends Sinks {
  audit: { scheduled(seq: number, activityType: string, args: readonly unknown[]): void };
}

const { audit } = proxySinks<AuditSinks>();

/** Part of every workflow bundle, so that the code that ran and the code that is replayed are the same. Outside a replay nobody listens. */
export const interceptors = (): WorkflowInterceptors => ({
  outbound: [
    {
      async scheduleActivity(input: ActivityInput, next: Next<WorkflowOutboundCallsInterceptor, 'scheduleActivity'>): Promise<unknown> {
        audit.scheduled(input.seq, input.activityType, input.args);
        return await next(input);
      },
    },
  ],
});
