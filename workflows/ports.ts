import type { RetryPolicy } from '@temporalio/common';
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import { type Pace, usualPace } from '../domain/configuration.ts';
import { judgeQueue, queueOf } from '../domain/manifest.ts';
import type { JudgeActivities, ProviderActivities } from '../domain/messages.ts';

/** Tried again for as long as it takes: an outage of half an hour is ridden out, the ceiling keeps the first try after it near. */
const patient = (pace: Pace): RetryPolicy => ({
  initialInterval: Math.min(1000, pace.retryCeilingMs),
  backoffCoefficient: 2,
  maximumInterval: pace.retryCeilingMs,
});

/** The judge's own activities. They are over in a moment, and beat while they are not. */
export function judge(pace: Pace = usualPace): JudgeActivities {
  return proxyActivities<JudgeActivities>({
    taskQueue: judgeQueue,
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: pace.heartbeatMs,
    retry: patient(pace),
  });
}

/**
 * The judge's way to a principal-hold: as long as the change behind it may take. What is called off there is waited for, like at a provider. `within`: how long in all before the
 * caller is told that it could not be done.
 */
export function holds(pace: Pace, within?: number): Pick<JudgeActivities, 'reachHold'> {
  return proxyActivities<Pick<JudgeActivities, 'reachHold'>>({
    taskQueue: judgeQueue,
    startToCloseTimeout: '2 hours',
    heartbeatTimeout: pace.heartbeatMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: patient(pace),
    ...(within === undefined ? {} : { scheduleToCloseTimeout: within }),
  });
}

/**
 * A provider worker's activities, by its queue. They heartbeat; a worker that dies is noticed within the heartbeat's time-out. One that is called off is waited for, so that what
 * it did is over before it is taken back. `within`: how long in all before the caller is told that it could not be done.
 */
export function provider(name: string, account: string, pace: Pace, within?: number): ProviderActivities {
  return proxyActivities<ProviderActivities>({
    taskQueue: queueOf(name, account),
    startToCloseTimeout: '2 hours',
    heartbeatTimeout: pace.heartbeatMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: patient(pace),
    ...(within === undefined ? {} : { scheduleToCloseTimeout: within }),
  });
}
