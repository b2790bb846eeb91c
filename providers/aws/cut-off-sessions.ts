import type { Action } from '../contract.ts';
import { type AwsAccount, readKeys } from './account.ts';
import { cutOffOn, userBearer } from './bearer.ts';
import { stillActive } from './cut-off.ts';
import type { PolicyBefore } from './policies.ts';

/**
 * Denies everything to the sessions that a user's keys have minted, by their issue time; see {@link cutOffOn}. Param `keys`: the ids that may mint no more, refused while one of them
 * is on.
 */
export function cutOffSessions(account: AwsAccount): Action<PolicyBefore> {
  return cutOffOn(userBearer(account), 'cut-off-sessions', async (calls, user, context) => {
    const rows = await readKeys(calls, user);
    return rows && stillActive(rows, context);
  });
}
