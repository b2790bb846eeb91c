import { codeOf, fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import type { Action } from '../contract.ts';
import type { GithubAccount } from './account.ts';
import type { Calls } from './api.ts';
import { type DeployKey, readKeys } from './deploy-keys.ts';
import { manifest } from './manifest.ts';

/** What is kept of a key that will not be there to be asked. Empty: there was none. */
export interface KeyBefore {
  readonly key?: DeployKey;
}

/** Deletes one deploy key. It cannot be taken back. */
export function deleteDeployKey(account: GithubAccount): Action<KeyBefore> {
  const members = (target: Parameters<Action['capture']>[0]) => {
    const { repository, key: keyId } = account.targetOf(target, 'repository', 'key');
    if (!/^[1-9][0-9]*$/.test(keyId)) throw fault('provider.invalid', { keyId, because: 'a deploy key has a number' });
    return { repository, keyId };
  };
  return {
    manifest: actionOf(manifest, 'delete-deploy-key') as ActionManifest,

    async capture(target, context) {
      const { repository, keyId } = members(target);
      const key = await find(account, account.step(context), repository, keyId);
      return key === undefined ? {} : { key };
    },

    async apply(target, _before, context) {
      const { repository, keyId } = members(target);
      const calls = account.step(context);
      const done = (outcome: 'changed' | 'absent') => ({ outcome, acceptedAt: calls.at, requestIds: calls.requestIds });
      if ((await find(account, calls, repository, keyId)) === undefined) return done('absent');
      try {
        await calls.write('DELETE /repos/{owner}/{repo}/keys/{key_id}', { ...account.repositoryOf(repository), key_id: Number(keyId) });
      } catch (error) {
        if (codeOf(error) !== 'provider.gone') throw error;
        // Also what is said of a key that one may see and not delete: only the list tells.
        if ((await find(account, calls, repository, keyId)) === undefined) return done('absent');
        throw fault('provider.denied', {
          repository,
          keyId,
          because: 'GitHub says of a key that is there that it is not: it may not be deleted by us',
        });
      }
      account.settling.accepted(context);
      return done('changed');
    },

    async probe(target, _before, context) {
      const { repository, keyId } = members(target);
      const calls = account.step(context);
      return await account.settled(context, calls, async () =>
        (await find(account, calls, repository, keyId)) === undefined
          ? { so: true, words: `${repository} has no deploy key ${keyId}` }
          : { so: false, words: `${repository} has the deploy key ${keyId}` },
      );
    },
  };
}

/**
 * The key out of the repository's list; undefined where the list, read whole, does not have it. GitHub says 404 of what is gone and of what may not be seen alike, so that a repository
 * that is not there is a refusal and no proof.
 */
async function find(account: GithubAccount, calls: Calls, repository: string, keyId: string): Promise<DeployKey | undefined> {
  try {
    return (await readKeys(account, calls, repository)).find((key) => key.keyId === keyId);
  } catch (error) {
    if (codeOf(error) !== 'provider.gone') throw error;
    throw fault('provider.denied', { repository, because: 'GitHub says that it is not there, as it does of what we may not see' });
  }
}
