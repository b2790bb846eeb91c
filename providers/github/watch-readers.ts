import { z } from 'zod';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { unknown, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, Probed, StepContext } from '../contract.ts';
import type { GithubAccount } from './account.ts';
import { manifest } from './manifest.ts';
import { madeBy, placeOf, storeOf } from './secrets.ts';

const distributedSchema = z.object({ writtenAt: z.string().refine((text) => !Number.isNaN(Date.parse(text))) });

/** A run of a workflow, as far as it is looked at. */
interface Run {
  readonly names: readonly string[];
  readonly startedAt: number;
  readonly over: boolean;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/**
 * Waits until every consumer of the place has begun a run since the new secret was written, and none of their runs from before is under way: a run gets its secrets when it starts and keeps them. A consumer is a
 * workflow, by its name or its file. Whoever has not been seen when patience ends is named, and the answer is *unknown*.
 */
export function watchReaders(account: GithubAccount): Action<Record<string, never>> {
  async function seenNow(target: Target, context: StepContext): Promise<{ readonly whole: boolean; readonly probed: Probed }> {
    const place = placeOf(account, target);
    const distributed = madeBy('distribute', distributedSchema, context);
    if (distributed === undefined) throw fault('provider.invalid', { path: place.path, because: 'nothing has been distributed' });
    const store = storeOf(target, context);
    const consumers = context.inventory.consumers.filter((consumer) => consumer.store === store.id);
    const calls = account.step(context);
    const { owner = '', repo = '' } = place.params;
    const { rows, whole } = await calls.list(
      'GET /repos/{owner}/{repo}/actions/runs',
      { owner, repo },
      (data) => {
        const list = (data as { workflow_runs?: unknown }).workflow_runs;
        return Array.isArray(list) ? list.map(runOf) : undefined;
      },
      5,
    );
    const since = Date.parse(distributed.writtenAt);
    const by = (name: string) => rows.filter((run) => run.names.includes(name));
    // Strictly after, to the second that GitHub tells: a run of that very second may have got the old one.
    const fresh = new Map(
      consumers.map((consumer) => [
        consumer.id,
        by(consumer.readsAs ?? consumer.id)
          .filter((run) => run.startedAt > since)
          .map((run) => run.startedAt),
      ]),
    );
    const missing = consumers.filter((consumer) => (fresh.get(consumer.id) ?? []).length === 0).map((consumer) => consumer.id);
    const old = consumers
      .filter((consumer) => by(consumer.readsAs ?? consumer.id).some((run) => !run.over && run.startedAt <= since))
      .map((each) => each.id);
    const requestIds = calls.requestIds;
    const facts = { missing, stillOnTheOldOne: old };
    if (consumers.length > 0 && missing.length === 0 && old.length === 0 && whole) {
      const last = Math.max(...[...fresh.values()].map((times) => Math.min(...times)));
      const words = `each of ${consumers.length} consumers has started a run since ${distributed.writtenAt}, and none from before is under way; request ${calls.lastRequest}`;
      return {
        whole: true,
        probed: { observation: yes(calls.at, 'log', words), effectiveAt: new Date(last).toISOString(), requestIds, facts },
      };
    }
    const why =
      consumers.length === 0
        ? `the inventory names no consumer of ${place.path}`
        : !whole
          ? 'there are more runs than were read'
          : missing.length > 0
            ? `no run since the write: ${missing.join(', ')}`
            : `a run from before the write is under way and keeps the old one: ${old.join(', ')}`;
    return { whole: false, probed: { observation: unknown(calls.at, 'log', why), requestIds, facts } };
  }

  return {
    manifest: actionOf(manifest, 'watch-readers') as ActionManifest,

    async capture(target, context) {
      // Reads once, so that what may not be read is known before anything is changed.
      const { owner = '', repo = '' } = placeOf(account, target).params;
      await account.step(context).read('GET /repos/{owner}/{repo}/actions/runs', { owner, repo, per_page: 1 });
      return {};
    },

    async apply(target, _before, context) {
      const until = performance.now() + context.timing.giveUpMs;
      for (;;) {
        const { whole, probed } = await seenNow(target, context);
        const consumers = context.inventory.consumers.some((consumer) => consumer.store === storeOf(target, context).id);
        if (whole || !consumers || performance.now() >= until)
          return { outcome: 'already', acceptedAt: probed.observation.at, requestIds: probed.requestIds };
        context.heartbeat();
        await context.sleep(context.timing.pollMs);
      }
    },

    async probe(target, _before, context) {
      return (await seenNow(target, context)).probed;
    },

    async revert(target, _before, context) {
      const { owner = '', repo = '' } = placeOf(account, target).params;
      const calls = account.step(context);
      await calls.read('GET /repos/{owner}/{repo}/actions/runs', { owner, repo, per_page: 1 });
      return { outcome: 'already', requestIds: calls.requestIds, observation: yes(calls.at, 'engine', 'a watch changes nothing') };
    },
  };
}

function runOf(row: unknown): Run {
  const fields = (row ?? {}) as Readonly<Record<string, unknown>>;
  const path = text(fields.path).replace(/@.*$/, '');
  return {
    names: [text(fields.name), path, path.replace(/^.*\//, '')].filter((name) => name !== ''),
    startedAt: Date.parse(text(fields.run_started_at)) || Date.parse(text(fields.created_at)) || 0,
    over: fields.status === 'completed',
  };
}
