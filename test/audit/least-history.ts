import { encodeHistory } from '../../audit/history.ts';

const time = { seconds: 1_790_000_000, nanos: 0 };

/** The least that can be replayed: a run that began and whose first task was taken. */
export const leastHistory = encodeHistory({
  events: [
    {
      eventId: 1 as never,
      eventType: 1,
      eventTime: time as never,
      workflowExecutionStartedEventAttributes: {
        workflowType: { name: 'leakResponse' },
        workflowId: 'leak/x',
        taskQueue: { name: 'tourniquet' },
        originalExecutionRunId: 'run-1',
        firstExecutionRunId: 'run-1',
        attempt: 1,
      },
    },
    {
      eventId: 2 as never,
      eventType: 5,
      eventTime: time as never,
      workflowTaskScheduledEventAttributes: { taskQueue: { name: 'tourniquet' }, attempt: 1 },
    },
    { eventId: 3 as never, eventType: 6, eventTime: time as never, workflowTaskStartedEventAttributes: { scheduledEventId: 2 as never } },
  ],
});
