import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { unknown, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, Probed, StepContext } from '../contract.ts';
import type { AwsAccount } from './account.ts';
import type { Calls } from './api.ts';
import { isAuthorised, isSeenAs, isUnmarked } from './consumers.ts';
import type { LogEvent } from './log.ts';
import { manifest } from './manifest.ts';
import { markOf } from './policies.ts';
import { readTime, type WatchBefore } from './watching.ts';

/** How far down a key's calls are read for a consumer, fifty a page: at two pages a second, what may be waited for without a word. */
const mostPages = 20;

/**
 * Waits until the log shows a call that a consumer made with the new key and was let through. Params: `mint`, the step that made the key. Patience that ends is no
 * error: the probe then says that it is not known.
 */
export function watchNewUse(account: AwsAccount): Action<WatchBefore> {
  const look = async (target: Target, before: WatchBefore, context: StepContext, calls: Calls): Promise<Probed> => {
    const consumer = context.inventory.consumers.find((each) => each.id === target['consumer']);
    if (!consumer) throw fault('provider.invalid', { consumer: target['consumer'] ?? '', because: 'the inventory does not declare it' });
    const accessKeyId = newKey(context);
    const answer = (observation: Probed['observation'], facts?: Record<string, unknown>) => ({
      observation,
      requestIds: [...calls.requestIds],
      ...(facts ? { facts } : {}),
    });
    if (isUnmarked(consumer)) {
      return answer(unknown(await readTime(calls), 'log', `the inventory does not say how ${consumer.name} can be told apart in the log`));
    }
    const isIt = (event: LogEvent) => isAuthorised(event) && isSeenAs(consumer, event);
    // Beside a busy consumer of the same key a quiet one is many pages down; the newest call of it ends the look.
    const { events, whole } = await account.log.newestCallsWith(calls, accessKeyId, Date.parse(before.at) - 1000, context, {
      mostPages,
      until: isIt,
    });
    const seen = events.find(isIt);
    if (seen) {
      const words = `${consumer.name} called ${seen.name} with ${accessKeyId} at ${seen.at}; event ${seen.id}, request ${seen.requestId}`;
      return { ...answer(yes(calls.at, 'log', words), { event: seen.id, seenAt: seen.at }), effectiveAt: seen.at };
    }
    const words = whole
      ? `the log shows no call of ${consumer.name} with ${accessKeyId} yet`
      : `the newest ${mostPages * 50} calls with ${accessKeyId} are all of others than ${consumer.name}; older ones were not read`;
    return answer(unknown(calls.at, 'log', words));
  };
  return {
    manifest: actionOf(manifest, 'watch-new-use') as ActionManifest,

    async capture(target, context) {
      await account.targetOf(target, 'consumer');
      return { at: await readTime(account.step(context)) };
    },

    async apply(target, before, context) {
      await account.targetOf(target, 'consumer');
      const calls = account.step(context);
      const deadline = performance.now() + context.timing.giveUpMs;
      let probed = await look(target, before, context, calls);
      // What cannot be told apart is not worth waiting for.
      const hopeless = probed.observation.state === 'unknown' && probed.observation.why.startsWith('the inventory');
      while (probed.observation.state !== 'yes' && !hopeless && performance.now() < deadline) {
        await context.sleep(context.timing.pollMs);
        probed = await look(target, before, context, calls);
      }
      account.keepWatched(markOf(context), probed);
      return {
        outcome: 'already',
        acceptedAt: calls.at,
        requestIds: calls.requestIds.slice(-1),
        ...(probed.facts ? { facts: probed.facts } : {}),
      };
    },

    async probe(target, before, context) {
      await account.targetOf(target, 'consumer');
      return account.watched(markOf(context)) ?? (await look(target, before, context, account.step(context)));
    },

    async revert(target, _before, context) {
      await account.targetOf(target, 'consumer');
      const calls = account.step(context);
      const at = await readTime(calls);
      return { outcome: 'already', requestIds: calls.requestIds, observation: yes(at, 'engine', 'a watch changes nothing') };
    },
  };
}

/** The key that the step named in `mint` made; without one, the only key that was made. */
function newKey(context: StepContext): string {
  const mint = context.params['mint'];
  const made =
    typeof mint === 'string'
      ? [context.made[mint]?.['accessKeyId']]
      : Object.values(context.made).map((references) => references['accessKeyId']);
  const ids = [...new Set(made.filter((id) => id !== undefined))];
  const id = ids[0];
  if (id === undefined || ids.length !== 1) throw fault('provider.invalid', { missing: 'mint', because: 'no earlier step made a key' });
  return id;
}
