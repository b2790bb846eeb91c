import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { liftFrom, userBearer } from './bearer.ts';
import type { PolicyBefore } from './policies.ts';

/** Takes the cut-off off a user; see {@link liftFrom}. */
export function liftCutOff(account: AwsAccount): Action<PolicyBefore> {
  return liftFrom(userBearer(account), 'lift-cut-off');
}
