import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, Probed, StepContext } from '../contract.ts';
import { type AwsAccount, numberOf } from './account.ts';
import type { Calls } from './api.ts';
import type { LogEvent } from './log.ts';
import { manifest } from './manifest.ts';
import { markOf } from './policies.ts';
import { isOwnProbe, readTime, type WatchBefore } from './watching.ts';

/**
 * Waits until the log shows no call with the old key for `quietMs` (params; by default the log's lag and the margin), and has itself passed the end of that time.
 * Patience that ends is no error: the probe then says who called last.
 */
export function watchOldQuiet(account: AwsAccount): Action<WatchBefore> {
  const wait = async (target: Target, context: StepContext, calls: Calls): Promise<Probed> => {
    const { accessKeyId } = await account.targetOf(target, 'accessKeyId');
    const quietMs = numberOf(context, 'quietMs') ?? context.timing.logLagMs + context.timing.marginMs;
    const deadline = performance.now() + context.timing.giveUpMs;
    const overdue = () => performance.now() > deadline;
    await readTime(calls);
    let from = calls.now;
    let last: LogEvent | undefined;
    for (;;) {
      const end = from + quietMs;
      const passed = await account.log.passed(calls, end, context);
      const behind = [...passed.values()].find((each) => each.state !== 'yes');
      const { events } = await account.log.newestCallsWith(calls, accessKeyId, from, context);
      // Times of the log are whole seconds: a call of the second in which the quiet began may be from before it.
      const call = events.find((event) => !isOwnProbe(event) && Date.parse(event.at) > from);
      if (!call && behind) return { observation: behind, requestIds: [...calls.requestIds.slice(-3)] };
      if (!call) {
        const words = `no call with ${accessKeyId} from ${iso(from)} to ${iso(end)}, and the log has passed that; request ${calls.requestIds.at(-1) ?? 'unknown'}`;
        return {
          observation: yes(calls.at, 'log', words),
          effectiveAt: iso(end),
          requestIds: [...calls.requestIds.slice(-3)],
          facts: { quietFrom: iso(from), quietTo: iso(end) },
        };
      }
      last = call;
      from = Math.max(from + 1000, Date.parse(call.at));
      if (overdue()) {
        const words = `${accessKeyId} called ${last.name} at ${last.at} from ${last.address}; event ${last.id}`;
        return { observation: no(calls.at, 'log', words), requestIds: [...calls.requestIds.slice(-3)] };
      }
      await context.sleep(context.timing.pollMs);
    }
  };
  return {
    manifest: actionOf(manifest, 'watch-old-quiet') as ActionManifest,

    async capture(target, context) {
      await account.targetOf(target, 'accessKeyId');
      return { at: await readTime(account.step(context)) };
    },

    async apply(target, _before, context) {
      const calls = account.step(context);
      const probed = await wait(target, context, calls);
      account.keepWatched(markOf(context), probed);
      return {
        outcome: 'already',
        acceptedAt: calls.at,
        requestIds: calls.requestIds.slice(-1),
        ...(probed.facts ? { facts: probed.facts } : {}),
      };
    },

    async probe(target, before, context) {
      const { accessKeyId } = await account.targetOf(target, 'accessKeyId');
      const seen = account.watched(markOf(context));
      if (seen) return seen;
      // Another process did the waiting, or nobody did. One look cannot show quiet, only its opposite.
      const calls = account.step(context);
      const { events } = await account.log.newestCallsWith(calls, accessKeyId, Date.parse(before.at), context);
      const call = events.find((event) => !isOwnProbe(event) && Date.parse(event.at) > Date.parse(before.at));
      const observation = call
        ? no(calls.at, 'log', `${accessKeyId} called ${call.name} at ${call.at} from ${call.address}; event ${call.id}`)
        : unknown(calls.at, 'log', `nobody has waited for ${accessKeyId} to be quiet`);
      return { observation, requestIds: calls.requestIds };
    },

    async revert(target, _before, context) {
      await account.targetOf(target, 'accessKeyId');
      const calls = account.step(context);
      const at = await readTime(calls);
      return { outcome: 'already', requestIds: calls.requestIds, observation: yes(at, 'engine', 'a watch changes nothing') };
    },
  };
}

const iso = (ms: number): string => new Date(ms).toISOString();
