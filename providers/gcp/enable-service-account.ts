import { incidentId } from '../../domain/credential.ts';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import type { Action } from '../contract.ts';
import { type GcpAccount, heldBy, markOf, readKeys, seen, textsOf } from './account.ts';
import { manifest } from './manifest.ts';
import { type AccountBefore, accountBefore, accountGone, enableIfQuiet, setAccount, standstillOf } from './service-account.ts';

/**
 * Enables an account again whose leaked keys are dead. It refuses while a token that was issued before the disabling may be alive, as enabling revives it, and where the log does not say when that was.
 * Params: `keys`, the leaked and derived key ids, each of which has to be off or gone; without them the leaked one has to be, which the incident's id tells. `maxLifeSeconds`.
 */
export function enableServiceAccount(account: GcpAccount): Action<AccountBefore> {
  return {
    manifest: actionOf(manifest, 'enable-service-account') as ActionManifest,

    async capture(target, context) {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      return await accountBefore(account, account.step(context), serviceAccount);
    },

    async apply(target, before, context) {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      const calls = account.step(context);
      const found = await accountBefore(account, calls, serviceAccount);
      const done = (outcome: 'changed' | 'already' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (found.state === 'absent') return done('absent');
      if (found.state === 'enabled') return done('already');
      const others = heldBy(context);
      if (others.length > 0) return done('already', { heldBy: others });
      if (before.state !== 'disabled') throw fault('provider.conflict', { serviceAccount, captured: before.state, found: found.state });
      const rows = (await readKeys(account, calls, serviceAccount)) ?? [];
      const named = textsOf(context, 'keys');
      const leaked = (id: string) =>
        named
          ? named.includes(id)
          : incidentId({ kind: 'gcp.service-account-key', locator: { clientEmail: serviceAccount, privateKeyId: id } }) ===
            context.incident;
      const on = rows.filter((row) => leaked(row.id) && !row.disabled).map((row) => row.id);
      if (on.length > 0) throw fault('provider.conflict', { serviceAccount, enabled: on.join(' '), because: 'a leaked key is still on' });
      const standing = await standstillOf(account, calls, serviceAccount);
      if (!(await enableIfQuiet(account, calls, serviceAccount, standing, context))) return done('absent');
      account.settling.accepted(markOf(context));
      return done('changed', { disabledSince: standing.since });
    },

    async probe(target, _before, context) {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      const calls = account.step(context);
      const others = heldBy(context);
      return await account.settled(context, calls, async () => {
        const { state } = await accountBefore(account, calls, serviceAccount);
        if (state === 'absent') return { so: true, words: `there is no account ${serviceAccount}` };
        // This incident's hold is let go, and that is all this step can promise.
        if (state === 'disabled' && others.length > 0)
          return { so: true, words: `${serviceAccount} stays disabled, now for incidents ${others.join(', ')} alone` };
        return { so: state === 'enabled', words: `${serviceAccount} is ${state}` };
      });
    },

    async revert(target, before, context) {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      const calls = account.step(context);
      const found = await accountBefore(account, calls, serviceAccount);
      const gone = () => ({ outcome: 'absent' as const, requestIds: calls.requestIds, observation: accountGone(calls, serviceAccount) });
      if (found.state === 'absent') return gone();
      const answer = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: seen(calls, words),
      });
      if (found.state === before.state || before.state !== 'disabled')
        return answer('already', `${serviceAccount} is ${found.state}, and was ${before.state} before us`);
      if (!(await setAccount(account, calls, serviceAccount, 'disabled'))) return gone();
      return answer('changed', `${serviceAccount} is disabled again`);
    },
  };
}
