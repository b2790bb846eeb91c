import { proxyActivities } from '@temporalio/workflow';

const { noop } = proxyActivities<{ noop(): Promise<void> }>({ startToCloseTimeout: '1 minute', taskQueue: 'floor' });

/** As many activities as the engine's run had, in the same waves, and nothing else: what Temporal itself costs. */
export async function floor(waves: readonly number[]): Promise<void> {
  for (const width of waves) await Promise.all(Array.from({ length: width }, () => noop()));
}
