import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { deleteIn, type RowBefore } from './class-actions.ts';
import { serviceCredentials } from './classes.ts';

/** Deletes a service-specific credential that is off. */
export function deleteServiceCredential(account: AwsAccount): Action<RowBefore> {
  return deleteIn(account, serviceCredentials);
}
