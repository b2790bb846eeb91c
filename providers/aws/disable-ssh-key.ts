import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { disableIn, type RowBefore } from './class-actions.ts';
import { sshKeys } from './classes.ts';

/** Turns one SSH key off. */
export function disableSshKey(account: AwsAccount): Action<RowBefore> {
  return disableIn(account, sshKeys);
}
