import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { liftDenial } from './deny.ts';
import { fence } from './fence-principal.ts';
import type { PolicyBefore } from './policies.ts';

/** Takes the fence off a user whose leaked keys are dead. */
export function liftFence(account: AwsAccount): Action<PolicyBefore> {
  return liftDenial(account, fence);
}
