import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { cutOffOn, roleBearer } from './bearer.ts';
import type { PolicyBefore } from './policies.ts';

/** Denies everything to the sessions of a role that were issued before a moment: the leak's, and everybody else's, who have to assume the role again; see {@link cutOffOn}. */
export function cutOffRole(account: AwsAccount): Action<PolicyBefore> {
  return cutOffOn(roleBearer(account), 'cut-off-role');
}
