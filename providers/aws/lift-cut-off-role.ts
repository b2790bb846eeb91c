import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { liftFrom, roleBearer } from './bearer.ts';
import type { PolicyBefore } from './policies.ts';

/** Takes the cut-off off a role; see {@link liftFrom}. */
export function liftCutOffRole(account: AwsAccount): Action<PolicyBefore> {
  return liftFrom(roleBearer(account), 'lift-cut-off-role');
}
