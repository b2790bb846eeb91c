import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no } from '../../domain/observation.ts';
import type { Action, Reverted } from '../contract.ts';
import { type GcpAccount, heldBy, markOf, seen } from './account.ts';
import { manifest } from './manifest.ts';
import { type AccountBefore, accountBefore, accountGone, enableIfQuiet, setAccount, standstillOf } from './service-account.ts';

/**
 * Disables an account: every token of it is rejected, whatever it came from, and nothing more can be exchanged or impersonated. All workloads of the account stop with it.
 * Its undo revives the tokens that have not expired, so that it waits until none can be left: params `maxLifeSeconds`, `heldBy`, `counted`.
 */
export function disableServiceAccount(account: GcpAccount): Action<AccountBefore> {
  return {
    manifest: actionOf(manifest, 'disable-service-account') as ActionManifest,

    async capture(target, context) {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      return await accountBefore(account, account.step(context), serviceAccount);
    },

    async apply(target, before, context) {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      const calls = account.step(context);
      const found = await accountBefore(account, calls, serviceAccount);
      const done = (outcome: 'changed' | 'already' | 'absent') => ({ outcome, acceptedAt: calls.at, requestIds: calls.requestIds });
      if (found.state === 'absent') return done('absent');
      if (found.state === 'disabled') return done('already');
      // It was off when it was captured, and the undo would leave it off.
      if (before.state !== 'enabled') throw fault('provider.conflict', { serviceAccount, captured: before.state, found: found.state });
      if (!(await setAccount(account, calls, serviceAccount, 'disabled'))) return done('absent');
      account.settling.accepted(markOf(context));
      return done('changed');
    },

    async probe(target, _before, context) {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const { state } = await accountBefore(account, calls, serviceAccount);
        return {
          so: state !== 'enabled',
          words: state === 'absent' ? `there is no account ${serviceAccount}` : `${serviceAccount} is ${state}`,
        };
      });
    },

    async revert(target, before, context): Promise<Reverted> {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      const calls = account.step(context);
      const found = await accountBefore(account, calls, serviceAccount);
      const answer = (outcome: 'changed' | 'already', words: string): Reverted => ({
        outcome,
        requestIds: calls.requestIds,
        observation: seen(calls, words),
      });
      if (found.state === 'absent')
        return { outcome: 'absent', requestIds: calls.requestIds, observation: accountGone(calls, serviceAccount) };
      if (found.state === 'enabled') return answer('already', `${serviceAccount} is enabled`);
      const others = heldBy(context);
      if (others.length > 0) {
        return {
          outcome: 'already',
          requestIds: calls.requestIds,
          observation: no(calls.at, 'engine', `it stays disabled: incidents ${others.join(', ')} hold ${serviceAccount}`),
          facts: { heldBy: others },
        };
      }
      const last = context.params.counted === true;
      // It was disabled before us. With the engine's count at hand the last holder enables it, if the engine it was that disabled it.
      if (before.state !== 'enabled' && !last) return answer('already', `${serviceAccount} was ${before.state} before us`);
      const standing = await standstillOf(account, calls, serviceAccount);
      const own = await account.api.ownEmail();
      const ours = (event: (typeof standing.by)[number]) =>
        event.by.toLowerCase() === own.toLowerCase() &&
        (last ? event.reason?.startsWith('tourniquet/') === true : event.reason === account.stepWord(context));
      const theirs = standing.by.find((event) => !ours(event));
      if (before.state !== 'enabled' && theirs !== undefined) return answer('already', `${serviceAccount} was ${before.state} before us`);
      if (theirs !== undefined)
        throw fault('provider.conflict', {
          serviceAccount,
          by: theirs.by,
          at: theirs.at,
          because: 'somebody else has disabled it as well',
        });
      if (!(await enableIfQuiet(account, calls, serviceAccount, standing, context)))
        return { outcome: 'absent', requestIds: calls.requestIds, observation: accountGone(calls, serviceAccount) };
      return answer('changed', `${serviceAccount} is enabled again`);
    },
  };
}
