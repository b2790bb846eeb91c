import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { disableIn, type RowBefore } from './class-actions.ts';
import { signingCertificates } from './classes.ts';

/** Turns one signing certificate off. */
export function disableSigningCertificate(account: AwsAccount): Action<RowBefore> {
  return disableIn(account, signingCertificates);
}
