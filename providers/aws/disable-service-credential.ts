import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { disableIn, type RowBefore } from './class-actions.ts';
import { serviceCredentials } from './classes.ts';

/** Turns one service-specific credential off: a password of CodeCommit or Keyspaces, or a long-lived API key of Bedrock. Short-lived API keys come of sessions and are stopped with those. */
export function disableServiceCredential(account: AwsAccount): Action<RowBefore> {
  return disableIn(account, serviceCredentials);
}
