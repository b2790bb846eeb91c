import type { Action } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import { liftDenial } from './deny.ts';
import { hold } from './deny-principal.ts';
import type { PolicyBefore } from './policies.ts';

/** Takes the deny-all off a user whose leaked keys are dead. */
export function liftDeny(account: AwsAccount): Action<PolicyBefore> {
  return liftDenial(account, hold);
}
