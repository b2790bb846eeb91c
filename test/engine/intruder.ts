import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { defaultPayloadConverter } from '@temporalio/common';
import { msToTs } from '@temporalio/common/lib/time.js';
import { temporal } from '@temporalio/proto';
import { EncryptionCodec, openKeyring } from '../../audit/codec.ts';
import type { Hash } from '../../domain/canonical.ts';
import { until, type World } from './world.ts';

/** How an activity ended that somebody without right had scheduled. */
export interface Attempted {
  readonly outcome: 'completed' | 'failed';
  /** The failure's type, which is a code of ours. */
  readonly code: string;
  readonly message: string;
  /** The record that the worker left of it. */
  readonly record: Hash | undefined;
  /** What it answered, for whoever has the codec key. */
  readonly result?: unknown;
}

/**
 * Whoever may write to the namespace: starts a workflow of any id on a queue of its own, answers its task by hand, and so has a real worker execute any activity with any
 * argument. The workflow is terminated when the activity has ended. The argument goes in the clear, as the codec key is one of the things an intruder need not have.
 */
export async function attempt(
  world: {
    readonly client: Pick<World['client'], 'temporal'>;
    readonly stack: { readonly paths: { readonly keys: string }; readonly temporal: { readonly namespace: string } };
  },
  what: {
    readonly workflowId: string;
    readonly queue: string;
    readonly activity: string;
    readonly input: (run: string) => unknown | Promise<unknown>;
  },
): Promise<Attempted> {
  const { temporal: client } = world.client;
  const codec = new EncryptionCodec(openKeyring(join(world.stack.paths.keys, 'operator', 'codec.json')));
  const { workflowService: service } = client;
  const namespace = world.stack.temporal.namespace;
  const own = { name: `intruder-${randomUUID()}` };
  const handle = await client.workflow.start('anything', { workflowId: what.workflowId, taskQueue: own.name });
  try {
    const { taskToken } = await until('the task of a workflow of one’s own', async () => {
      const task = await client.connection.withDeadline(Date.now() + 20_000, () =>
        service.pollWorkflowTaskQueue({ namespace, taskQueue: own, identity: 'intruder' }),
      );
      return task.taskToken !== undefined && task.taskToken.length > 0 && task;
    });
    await service.respondWorkflowTaskCompleted({
      namespace,
      taskToken,
      identity: 'intruder',
      commands: [
        {
          commandType: temporal.api.enums.v1.CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
          scheduleActivityTaskCommandAttributes: {
            activityId: '1',
            activityType: { name: what.activity },
            taskQueue: { name: what.queue },
            input: { payloads: [defaultPayloadConverter.toPayload(await what.input(handle.firstExecutionRunId))] },
            startToCloseTimeout: msToTs('20s'),
            scheduleToCloseTimeout: msToTs('20s'),
            retryPolicy: { maximumAttempts: 1 },
          },
        },
      ],
    });
    return await until('the activity ends', async () => {
      for (const event of (await handle.fetchHistory()).events ?? []) {
        if (event.activityTaskCompletedEventAttributes) {
          const [answer] = await codec.decode([...(event.activityTaskCompletedEventAttributes.result?.payloads ?? [])]);
          const result: unknown = answer ? defaultPayloadConverter.fromPayload(answer) : undefined;
          return { outcome: 'completed', code: '', message: '', record: undefined, result } as const;
        }
        if (event.activityTaskTimedOutEventAttributes) throw new Error('no worker took the activity');
        const failure = event.activityTaskFailedEventAttributes?.failure;
        if (!failure) continue;
        const [detail] = failure.applicationFailureInfo?.details?.payloads ?? [];
        const [clear] = detail ? await codec.decode([detail]) : [];
        return {
          outcome: 'failed',
          code: failure.applicationFailureInfo?.type ?? '',
          message: failure.message ?? '',
          record: clear ? defaultPayloadConverter.fromPayload<Hash>(clear) : undefined,
        } as const;
      }
      return undefined;
    });
  } finally {
    await handle.terminate('over').catch(() => {});
  }
}
