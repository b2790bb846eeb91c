import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { type Denial, denyOn } from './deny.ts';
import { deniesAll, holdDocument, holdPolicy, isHold, markOf, type PolicyBefore } from './policies.ts';

export const hold: Denial = {
  on: 'deny-principal',
  off: 'lift-deny',
  policy: holdPolicy,
  document: (context) => holdDocument(markOf(context)),
  serves: deniesAll,
  isOurs: isHold,
  words: (user) => `denies ${user} everything`,
};

/** Denies a user everything, its sessions included, its roles' sessions not. */
export function denyPrincipal(account: AwsAccount): Action<PolicyBefore> {
  return denyOn(account, hold);
}
