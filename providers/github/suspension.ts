import { codeOf, fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { yes } from '../../domain/observation.ts';
import type { Action } from '../contract.ts';
import type { GithubAccount } from './account.ts';
import type { As, Calls } from './api.ts';
import { manifest } from './manifest.ts';

/** How an installation stood. `gone`: there was none. */
export interface SuspensionBefore {
  readonly found: 'active' | 'suspended' | 'gone';
  readonly suspendedAt?: string;
  readonly by?: string;
}

interface Standing extends SuspensionBefore {
  /** Whether a person suspended it, as opposed to an App. */
  readonly byPerson: boolean;
  readonly as: As;
}

/**
 * Suspends an installation of one of our Apps: all its tokens are refused, those of its users for the account as well. Only the App itself may, with a signature of its own key. Other incidents'
 * holds on it are counted by the principal-hold.
 */
export const suspendInstallation = (account: GithubAccount): Action<SuspensionBefore> => turn(account, 'suspend-installation');

/** Lets an installation work again. Its inverse suspends it. */
export const unsuspendInstallation = (account: GithubAccount): Action<SuspensionBefore> => turn(account, 'unsuspend-installation');

function turn(account: GithubAccount, name: 'suspend-installation' | 'unsuspend-installation'): Action<SuspensionBefore> {
  const wanted = name === 'suspend-installation' ? 'suspended' : 'active';
  const numberOf = (target: Parameters<Action['capture']>[0]): string => {
    const { installationId } = account.targetOf(target, 'installationId');
    if (!/^[1-9][0-9]*$/.test(installationId)) throw fault('provider.invalid', { installationId, because: 'an installation has a number' });
    if (account.api.keys.responder?.installationId === installationId)
      throw fault('warrant.own-credential', { installation: installationId });
    return installationId;
  };
  return {
    manifest: actionOf(manifest, name) as ActionManifest,

    async capture(target, context) {
      const { found, suspendedAt, by } = await read(account, account.step(context), numberOf(target));
      return { found, ...(suspendedAt === undefined ? {} : { suspendedAt }), ...(by === undefined ? {} : { by }) };
    },

    async apply(target, _before, context) {
      const id = numberOf(target);
      const calls = account.step(context);
      const standing = await read(account, calls, id);
      const done = (outcome: 'changed' | 'already' | 'absent') => ({ outcome, acceptedAt: calls.at, requestIds: calls.requestIds });
      if (standing.found === 'gone') return done('absent');
      if (standing.found === wanted) return done('already');
      // An owner of the account has their reasons, and only they know whether they are over.
      if (standing.byPerson)
        throw fault('provider.conflict', { installation: id, because: `${standing.by ?? 'a person'} has suspended it` });
      if (!(await set(calls, standing.as, id, wanted))) return done('absent');
      account.settling.accepted(context);
      return done('changed');
    },

    async probe(target, _before, context) {
      const id = numberOf(target);
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const { found } = await read(account, calls, id);
        if (found === 'gone') return { so: true, words: `there is no installation ${id}` };
        return { so: found === wanted, words: `installation ${id} is ${found}` };
      });
    },

    async revert(target, before, context) {
      const id = numberOf(target);
      const calls = account.step(context);
      const standing = await read(account, calls, id);
      const answer = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: yes(calls.at, 'administrator', `${words}; request ${calls.lastRequest}`),
      });
      if (standing.found === before.found) return answer('already', `installation ${id} is ${standing.found}, as captured`);
      // It stood as we want it, or was gone, before us: whatever it is now is not our doing.
      if (before.found === wanted || before.found === 'gone') return answer('already', `installation ${id} was ${before.found} before us`);
      if (standing.found === 'gone') throw fault('provider.conflict', { installation: id, captured: before.found, found: 'gone' });
      // Who suspended it is told: what a person has suspended since is theirs.
      if (standing.byPerson)
        throw fault('provider.conflict', { installation: id, because: `${standing.by ?? 'a person'} has suspended it since` });
      if (!(await set(calls, standing.as, id, before.found))) throw fault('provider.conflict', { installation: id, found: 'gone' });
      return answer('changed', `installation ${id} is ${before.found} again`);
    },
  };
}

/** Suspends an installation or lets it work; false where it is gone. */
async function set(calls: Calls, as: As, id: string, to: 'suspended' | 'active'): Promise<boolean> {
  const method = to === 'suspended' ? 'PUT' : 'DELETE';
  try {
    await calls.write(`${method} /app/installations/{installation_id}/suspended`, { installation_id: Number(id) }, as);
    return true;
  } catch (error) {
    if (codeOf(error) === 'provider.gone') return false;
    throw error;
  }
}

/** How an installation stands, by whichever of our Apps it is of. Gone is what all of them are told of it, if at least one is known. */
async function read(account: GithubAccount, calls: Calls, id: string): Promise<Standing> {
  const apps = Object.keys(account.api.keys.apps);
  if (apps.length === 0)
    throw fault('provider.denied', { installation: id, because: 'the account’s credentials hold no App’s private key' });
  let as: As | undefined;
  for (const appId of apps) {
    as = { kind: 'app', appId };
    try {
      const { data } = await calls.read('GET /app/installations/{installation_id}', { installation_id: Number(id) }, as);
      const row = data as {
        account?: { login?: unknown };
        suspended_at?: unknown;
        suspended_by?: { login?: unknown; type?: unknown } | null;
      };
      if (String(row.account?.login).toLowerCase() !== account.login.toLowerCase())
        throw fault('provider.invalid', { installation: id, because: `it is not on ${account.login}` });
      const since = typeof row.suspended_at === 'string' ? row.suspended_at : undefined;
      const by = typeof row.suspended_by?.login === 'string' ? row.suspended_by.login : undefined;
      return {
        found: since === undefined ? 'active' : 'suspended',
        byPerson: since !== undefined && row.suspended_by?.type === 'User',
        as,
        ...(since === undefined ? {} : { suspendedAt: since }),
        ...(by === undefined ? {} : { by }),
      };
    } catch (error) {
      if (codeOf(error) !== 'provider.gone') throw error;
    }
  }
  return { found: 'gone', byPerson: false, as: as as As };
}
