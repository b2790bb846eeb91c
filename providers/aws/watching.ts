import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { agentWord, bearsAgent, type Calls } from './api.ts';
import type { LogEvent } from './log.ts';

/** When the watch was set up, by the provider's clock. */
export interface WatchBefore {
  readonly at: string;
}

/** Reads the provider's clock, to the second. */
export async function readTime(calls: Calls): Promise<string> {
  await calls.read('sts:GetCallerIdentity', (aws, options) => aws.sts().send(new GetCallerIdentityCommand({}), options));
  return calls.at;
}

/**
 * True for the one call that we make with a leaked key: `GetCallerIdentity` under our own user agent. A thief can imitate the user agent, and hides nothing by it but
 * calls that change nothing.
 */
export function isOwnProbe(event: LogEvent): boolean {
  return event.name === 'GetCallerIdentity' && bearsAgent(event.agent, agentWord('probe'));
}
