import { z } from 'zod';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { Action, Applied, StepContext } from '../contract.ts';
import type { GithubAccount } from './account.ts';
import { manifest } from './manifest.ts';
import {
  isOnly,
  madeBy,
  newValues,
  placeOf,
  putSecrets,
  readSecrets,
  recalled,
  removeSecrets,
  shred,
  storeOf,
  textsByName,
} from './secrets.ts';
import { stagedSchema } from './stage-secret.ts';

/** When each live secret was last written; null where there was none. More than that of it nobody but a run can know. */
const beforeSchema = z.object({ at: z.string(), written: z.record(z.string(), z.string().nullable()) });
export type DistributeBefore = z.output<typeof beforeSchema>;

/**
 * Writes the new credential over the live one. Runs get their secrets when they start: those that are under way keep the old one to their end. What stood there cannot be read, and so cannot be put back.
 */
export function distributeSecret(account: GithubAccount): Action<DistributeBefore> {
  /** Steps whose first write this process has sent: what is written there since the capture is then theirs. */
  const begun = new Set<string>();
  const markOf = ({ incident, run, step }: StepContext) => JSON.stringify([incident, run, step]);

  return {
    manifest: actionOf(manifest, 'distribute-secret') as ActionManifest,

    async capture(target, context) {
      const place = placeOf(account, target);
      const calls = account.step(context);
      const there = await readSecrets(calls, place);
      const names = Object.values(storeOf(target, context).fields);
      return { at: calls.at, written: Object.fromEntries(names.map((name) => [name, there.get(name) ?? null])) };
    },

    async apply(target, captured, context): Promise<Applied> {
      const place = placeOf(account, target);
      const before = recalled(beforeSchema, captured);
      const store = storeOf(target, context);
      const names = Object.values(store.fields);
      const calls = account.step(context);
      const staged = madeBy('stage', stagedSchema, context);
      if (staged === undefined) throw fault('provider.invalid', { path: place.path, because: 'nothing has been staged' });
      const there = await readSecrets(calls, place);
      const shelf = [...there.keys()].filter((name) => name.startsWith(staged.prefix));
      const moved = names.filter((name) => (there.get(name) ?? null) !== (before.written[name] ?? null));
      const done = (outcome: Applied['outcome'], read: ReadonlyMap<string, string>): Applied => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        made: {
          writtenAt:
            names
              .map((name) => read.get(name) ?? '')
              .sort()
              .at(-1) ?? '',
          written: JSON.stringify(Object.fromEntries(names.map((name) => [name, read.get(name)]))),
        },
        facts: { runs: 'those that started before keep the old one until they end' },
      });
      if (shelf.length === 0) {
        // What was staged is taken away last of all, and by nobody else.
        if (moved.length < names.length)
          throw fault('provider.conflict', { path: place.path, because: 'what was staged is not there any more' });
        if (isOnly(store, context)) await shred(context);
        return done('already', there);
      }
      if (moved.length > 0 && !begun.has(markOf(context)))
        throw fault('provider.conflict', { path: place.path, because: `somebody has written ${moved.join(', ')} since the capture` });
      const values = await newValues(context, store);
      // GitHub tells when a secret was written to the second: a write within the second of the last one could not be told from it.
      const newest = Math.max(0, ...Object.values(before.written).map((at) => Date.parse(at ?? '') || 0));
      if (calls.now <= newest) await context.sleep(newest + 1000 - calls.now);
      context.signal.throwIfAborted();
      if (begun.size > 10_000) begun.clear();
      begun.add(markOf(context));
      await putSecrets(calls, place, values);
      const read = await readSecrets(calls, place);
      if (names.some((name) => (read.get(name) ?? null) === (before.written[name] ?? null)))
        throw fault('provider.uncertain', { path: place.path, because: 'what was written is not shown as written' });
      await removeSecrets(calls, place, shelf);
      if (isOnly(store, context)) await shred(context);
      return done('changed', read);
    },

    async probe(target, captured, context) {
      const place = placeOf(account, target);
      const before = recalled(beforeSchema, captured);
      const names = Object.values(storeOf(target, context).fields);
      const calls = account.step(context);
      const staged = madeBy('stage', stagedSchema, context);
      const there = await readSecrets(calls, place);
      const requestIds = calls.requestIds;
      if (staged === undefined) return { observation: unknown(calls.at, 'engine', 'what was staged is not known here'), requestIds };
      const written = textsByName.safeParse(context.made[context.step]?.written).data;
      const stale = names.find((name) => (there.get(name) ?? null) === (before.written[name] ?? null));
      if (stale !== undefined) return { observation: no(calls.at, 'administrator', `${stale} stands as it was captured`), requestIds };
      const strange = written === undefined ? undefined : names.find((name) => there.get(name) !== written[name]);
      if (strange !== undefined) return { observation: no(calls.at, 'administrator', `somebody has written ${strange} since`), requestIds };
      if ([...there.keys()].some((name) => name.startsWith(staged.prefix)))
        return { observation: no(calls.at, 'administrator', 'what was staged is still there: it was not finished'), requestIds };
      const words = `${names.join(', ')} of ${place.path} were written after the capture; runs that start now get them; request ${calls.lastRequest}`;
      return { observation: yes(calls.at, 'administrator', words), effectiveAt: calls.atMost, requestIds };
    },
  };
}
