import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { deleteIn, type RowBefore } from './class-actions.ts';
import { signingCertificates } from './classes.ts';

/** Deletes a signing certificate that is off. */
export function deleteSigningCertificate(account: AwsAccount): Action<RowBefore> {
  return deleteIn(account, signingCertificates);
}
