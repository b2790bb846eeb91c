import { z } from 'zod';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Reverted } from '../contract.ts';
import type { GithubAccount } from './account.ts';
import { manifest } from './manifest.ts';
import { newValues, placeOf, putSecrets, readSecrets, removeSecrets, stagingPrefix, storeOf, textsByName } from './secrets.ts';

export interface StageBefore {
  /** Names of the step's own that stood there: what an earlier attempt left. */
  readonly standing: readonly string[];
}

/** What a stage leaves for the step that distributes: what its secrets are called, and when each was written. */
export const stagedSchema = z.object({
  prefix: z.string().min(1),
  written: textsByName,
});

/**
 * Writes the new credential beside the live one, under names that no workflow asks for. It shows that GitHub takes it, before anything that runs is touched. The sealed one stays: GitHub gives no value back, so
 * that the live ones are written from it too.
 */
export function stageSecret(account: GithubAccount): Action<StageBefore> {
  return {
    manifest: actionOf(manifest, 'stage-secret') as ActionManifest,

    async capture(target, context) {
      const place = placeOf(account, target);
      const prefix = stagingPrefix(place.path, context);
      const there = await readSecrets(account.step(context), place);
      return { standing: [...there.keys()].filter((name) => name.startsWith(prefix)) };
    },

    async apply(target, _before, context) {
      const place = placeOf(account, target);
      const store = storeOf(target, context);
      const prefix = stagingPrefix(place.path, context);
      const calls = account.step(context);
      const wanted = Object.values(store.fields).map((name) => `${prefix}${name}`);
      const there = await readSecrets(calls, place);
      const missing = wanted.filter((name) => !there.has(name));
      if (missing.length > 0) {
        const values = await newValues(context, store);
        const staged = Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}${name}`, value]));
        await putSecrets(calls, place, Object.fromEntries(Object.entries(staged).filter(([name]) => missing.includes(name))));
      }
      const read = missing.length > 0 ? await readSecrets(calls, place) : there;
      if (!wanted.every((name) => read.has(name)))
        throw fault('provider.uncertain', { path: place.path, because: 'what was written is not in the list' });
      return {
        outcome: missing.length > 0 ? 'changed' : 'already',
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        made: { prefix, written: JSON.stringify(Object.fromEntries(wanted.map((name) => [name, read.get(name)]))) },
      };
    },

    async probe(target, _before, context) {
      const place = placeOf(account, target);
      const prefix = stagingPrefix(place.path, context);
      const calls = account.step(context);
      const there = await readSecrets(calls, place);
      const missing = Object.values(storeOf(target, context).fields).filter((name) => !there.has(`${prefix}${name}`));
      const requestIds = calls.requestIds;
      if (missing.length > 0)
        return { observation: no(calls.at, 'administrator', `${place.path} has no ${prefix}${missing[0]}`), requestIds };
      return {
        observation: yes(calls.at, 'administrator', `what was staged is in the list of ${place.path}; request ${calls.lastRequest}`),
        effectiveAt: calls.atMost,
        requestIds,
      };
    },

    async revert(target, _before, context): Promise<Reverted> {
      const place = placeOf(account, target);
      const prefix = stagingPrefix(place.path, context);
      const calls = account.step(context);
      const there = await readSecrets(calls, place);
      const own = [...there.keys()].filter((name) => name.startsWith(prefix));
      const gone = (outcome: Reverted['outcome']): Reverted => ({
        outcome,
        observation: yes(calls.at, 'administrator', `nothing is staged in ${place.path}; request ${calls.lastRequest}`),
        requestIds: calls.requestIds,
      });
      if (own.length === 0) return gone('absent');
      const made = context.made[context.step];
      const written = made === undefined ? undefined : stagedSchema.safeParse(made).data?.written;
      if (written !== undefined && own.some((name) => written[name] !== there.get(name)))
        throw fault('provider.conflict', { path: place.path, because: 'somebody has written to what was staged since' });
      await removeSecrets(calls, place, own);
      const left = [...(await readSecrets(calls, place)).keys()].filter((name) => name.startsWith(prefix));
      if (left.length > 0) throw fault('provider.uncertain', { path: place.path, because: 'what was staged is still in the list' });
      return gone('changed');
    },
  };
}
