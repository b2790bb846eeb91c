import type { RetryPolicy } from '@temporalio/common';
import { proxyActivities } from '@temporalio/workflow';
import { judgeQueue, queueOf } from '../domain/manifest.ts';
import type { JudgeActivities, ProviderActivities } from '../domain/messages.ts';

/** Tried again for as long as it takes: an outage of half an hour is ridden out, the ceiling keeps the first try after it near. */
const patient: RetryPolicy = { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' };

const quick = '1 minute';

/** The judge's own activities. */
export const judge = proxyActivities<JudgeActivities>({ taskQueue: judgeQueue, startToCloseTimeout: quick, retry: patient });

/** The judge's way to a principal-hold: as long as the change behind it may take. */
export const holds = proxyActivities<Pick<JudgeActivities, 'reachHold'>>({
  taskQueue: judgeQueue,
  startToCloseTimeout: '2 hours',
  heartbeatTimeout: '30s',
  retry: patient,
});

/** A provider worker's activities, by its queue. They heartbeat; a worker that dies is noticed within the heartbeat's time-out. */
export function provider(name: string, account: string): ProviderActivities {
  return proxyActivities<ProviderActivities>({
    taskQueue: queueOf(name, account),
    startToCloseTimeout: '2 hours',
    heartbeatTimeout: '30s',
    retry: patient,
  });
}
