import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { deleteIn, type RowBefore } from './class-actions.ts';
import { sshKeys } from './classes.ts';

/** Deletes an SSH key that is off. */
export function deleteSshKey(account: AwsAccount): Action<RowBefore> {
  return deleteIn(account, sshKeys);
}
