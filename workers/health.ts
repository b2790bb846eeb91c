import { Connection } from '@temporalio/client';
import { judgeQueue, queueOf } from '../domain/manifest.ts';
import { readSettings } from './settings.ts';

/**
 * Exits 0 if the server sees this container's worker polling its queue, 1 and a line on stderr otherwise. For a container's health check: takes the
 * environment that the worker takes, and answers within ten seconds.
 */
async function main(): Promise<void> {
  const { role, provider, account, configuration } = readSettings(process.env);
  const address = process.env.TEMPORAL_ADDRESS ?? configuration.temporal.address ?? '127.0.0.1:7233';
  const namespace = process.env.TEMPORAL_NAMESPACE ?? configuration.temporal.namespace;
  const queue = role === 'judge' ? judgeQueue : queueOf(provider, account);
  const connection = await Connection.connect({ address, connectTimeout: '5s' });
  const { pollers } = await connection.withDeadline(Date.now() + 5_000, () =>
    connection.workflowService.describeTaskQueue({ namespace, taskQueue: { name: queue }, taskQueueType: 2 }),
  );
  await connection.close();
  // The server keeps a poller on its list for minutes after its last poll; one of the last minute is alive.
  const recent = (pollers ?? []).some(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1_000 > Date.now() - 70_000);
  if (!recent) throw new Error(`nobody polls ${queue}`);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : 'unwell'}\n`);
    process.exit(1);
  },
);
