import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import type { Action } from '../contract.ts';
import { type GcpAccount, markOf, readKey } from './account.ts';
import type { Calls } from './api.ts';
import { type KeyBefore, keyBefore, lastTokenDies } from './disable-key.ts';
import { manifest } from './manifest.ts';

/** Deletes a key that is off. It cannot be taken back, and a key that is on is a conflict: somebody may be using it. Tokens that it was exchanged for live on all the same. */
export function deleteKey(account: GcpAccount): Action<KeyBefore> {
  return {
    manifest: actionOf(manifest, 'delete-key') as ActionManifest,

    async capture(target, context) {
      const { serviceAccount, keyId } = await account.targetOf(target, 'serviceAccount', 'keyId');
      const calls = account.step(context);
      const row = await readKey(account, calls, serviceAccount, keyId);
      return keyBefore(row, calls.at);
    },

    async apply(target, _before, context) {
      const { serviceAccount, keyId } = await account.targetOf(target, 'serviceAccount', 'keyId');
      const calls = account.step(context);
      const row = await readKey(account, calls, serviceAccount, keyId);
      const done = (outcome: 'changed' | 'absent') => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        descendantsDieAt: lastTokenDies(account, calls, context),
      });
      if (!row) return done('absent');
      if (!row.disabled) throw fault('provider.conflict', { keyId, found: 'enabled', because: 'only a key that is off is deleted' });
      if (!(await removeKey(account, calls, serviceAccount, keyId))) return done('absent');
      account.settling.accepted(markOf(context));
      return done('changed');
    },

    async probe(target, _before, context) {
      const { serviceAccount, keyId } = await account.targetOf(target, 'serviceAccount', 'keyId');
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const row = await readKey(account, calls, serviceAccount, keyId);
        return row
          ? { so: false, words: `${serviceAccount} has the key ${keyId}` }
          : { so: true, words: `${serviceAccount} has no key ${keyId}` };
      });
    },
  };
}

/** Deletes a key; false where it, or its account, is gone. */
export async function removeKey(account: GcpAccount, calls: Calls, serviceAccount: string, keyId: string): Promise<boolean> {
  return await calls.writeIfThere('iam.serviceAccountKeys.delete', ({ iam, options }) =>
    iam.projects.serviceAccounts.keys.delete({ name: account.keyName(serviceAccount, keyId) }, options),
  );
}
