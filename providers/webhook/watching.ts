import { BlockList, isIP } from 'node:net';
import type { Consumer } from '../../domain/assessment.ts';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, Probed, StepContext } from '../contract.ts';
import { check, namedBy, type WebhookAccount } from './account.ts';
import type { Patience, Reply } from './endpoint.ts';
import { manifest } from './manifest.ts';
import { type Evidence, evidenceSchema, type Named, Operation } from './wire.ts';

/** When the watch was set up, by the endpoint's clock. */
export interface WatchBefore {
  readonly at: string;
}

/** What was used, as the endpoint's log has it. */
export async function evidenceOf(account: WebhookAccount, credential: Named, since: string, patience: Patience): Promise<Reply<Evidence>> {
  return await account.endpoint.ask(Operation.EVIDENCE, { credential, since }, evidenceSchema, patience);
}

/** True where a use bears every mark that the inventory gives of the consumer. `by` is what the caller says of itself, so that a thief who knows it can pass for the consumer; an address is harder to choose. */
export function isSeenAs(consumer: Consumer, use: { readonly by?: string; readonly from?: string }): boolean {
  const { userAgent, sourceAddress } = consumer.seenAs;
  if (userAgent === undefined && sourceAddress === undefined) return false;
  if (userAgent !== undefined && use.by?.includes(userAgent) !== true) return false;
  return sourceAddress === undefined || (use.from !== undefined && isAt(use.from, sourceAddress));
}

function isAt(address: string, place: string): boolean {
  if (address === place) return true;
  const [network, prefix] = place.split('/');
  const family = isIP(address);
  if (prefix === undefined || family === 0 || network === undefined || isIP(network) !== family) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
  return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** A watch: it changes nothing, so that all there is to it is a look that is repeated. What the waiting saw is kept for the probe after it. */
function watch(
  account: WebhookAccount,
  name: string,
  wait: (target: Target, before: WatchBefore, context: StepContext, patient: boolean) => Promise<Probed>,
): Action<WatchBefore> {
  const kept = new Map<string, Probed>();
  const markOf = ({ incident, run, step }: StepContext): string => JSON.stringify([incident, run, step]);
  const timeOf = async (target: Target, context: StepContext) => await check(account, namedBy(account, target), context);
  return {
    manifest: actionOf(manifest, name) as ActionManifest,

    capture: async (target, context) => ({ at: (await timeOf(target, context)).at }),

    async apply(target, before, context) {
      const probed = await wait(target, before, context, true);
      if (kept.size > 10_000) kept.clear();
      kept.set(markOf(context), probed);
      return {
        outcome: 'already',
        acceptedAt: probed.observation.at,
        requestIds: probed.requestIds,
        ...(probed.facts ? { facts: probed.facts } : {}),
      };
    },

    probe: async (target, before, context) => kept.get(markOf(context)) ?? (await wait(target, before, context, false)),

    async revert(target, _before, context) {
      const { at, message } = await timeOf(target, context);
      return { outcome: 'already', requestIds: [message], observation: yes(at, 'engine', 'a watch changes nothing') };
    },
  };
}

/** Waits until the endpoint's evidence shows a use of the successor that bears the marks of the consumer. Params: `mint`, the step that made it. */
export function watchNewUse(account: WebhookAccount): Action<WatchBefore> {
  return watch(account, 'watch-new-use', async (target, before, context, patient) => {
    const { system } = namedBy(account, target);
    const consumer = context.inventory.consumers.find((each) => each.id === target.consumer);
    if (!consumer) throw fault('provider.invalid', { consumer: target.consumer ?? '', because: 'the inventory does not declare it' });
    const id = successorOf(context);
    const deadline = performance.now() + (patient ? context.timing.giveUpMs : 0);
    for (;;) {
      const { value, at, message } = await evidenceOf(account, { system, id }, before.at, context);
      // The capture's time is told in whole seconds.
      const seen = value.uses.find((each) => isSeenAs(consumer, each) && Date.parse(each.at) >= Date.parse(before.at) - 1000);
      const told = (observation: Probed['observation']): Probed => ({ observation, requestIds: [message] });
      if (seen) {
        const words = `${consumer.name} used ${id} at ${seen.at} for ${seen.what}; message ${message}`;
        return { ...told(yes(at, 'log', words)), effectiveAt: seen.at, facts: { seenAt: seen.at } };
      }
      const unmarked = consumer.seenAs.userAgent === undefined && consumer.seenAs.sourceAddress === undefined;
      if (unmarked) return told(unknown(at, 'log', `the inventory does not say how ${consumer.name} can be told apart`));
      if (performance.now() >= deadline) return told(unknown(at, 'log', `the endpoint shows no use of ${id} by ${consumer.name} yet`));
      await context.sleep(context.timing.pollMs);
    }
  });
}

/** Waits until the endpoint's evidence, complete and past the end of it, shows no use of the old one for `quietMs` (params; by default the log's lag and the margin). */
export function watchOldQuiet(account: WebhookAccount): Action<WatchBefore> {
  return watch(account, 'watch-old-quiet', async (target, before, context, patient) => {
    const credential = namedBy(account, target);
    const quietMs = numberOf(context.params.quietMs) ?? context.timing.logLagMs + context.timing.marginMs;
    const deadline = performance.now() + (patient ? context.timing.giveUpMs : 0);
    // One look cannot show quiet where nobody has waited; it can show the opposite.
    let from = patient ? Date.parse((await check(account, credential, context)).at) : Date.parse(before.at);
    for (;;) {
      const { value, at, message } = await evidenceOf(account, credential, iso(from), context);
      const told = (observation: Probed['observation']): Probed => ({ observation, requestIds: [message] });
      const last = value.uses.filter((each) => Date.parse(each.at) > from).sort((a, b) => Date.parse(b.at) - Date.parse(a.at))[0];
      const overdue = performance.now() >= deadline;
      if (last) {
        const words = `${credential.id} was used for ${last.what} at ${last.at} from ${last.from ?? 'somewhere'}; message ${message}`;
        if (overdue) return told(no(at, 'log', words));
        from = Date.parse(last.at);
      } else if (!value.complete)
        return told(unknown(at, 'log', `the endpoint says that its evidence is not complete; message ${message}`));
      else if (Date.parse(value.from) > from)
        return told(unknown(at, 'log', `the endpoint’s evidence begins only at ${value.from}; message ${message}`));
      else if (patient && Date.parse(value.until) >= from + quietMs) {
        const words = `no use of ${credential.id} from ${iso(from)} to ${iso(from + quietMs)}; message ${message}`;
        return {
          ...told(yes(at, 'log', words)),
          effectiveAt: iso(from + quietMs),
          facts: { quietFrom: iso(from), quietTo: iso(from + quietMs) },
        };
      } else if (overdue)
        return told(unknown(at, 'log', `the endpoint’s evidence ends at ${value.until}, before the quiet would be long enough`));
      await context.sleep(context.timing.pollMs);
    }
  });
}

/** The successor that the step named in `mint` made; without one, the only one that was made. */
function successorOf(context: StepContext): string {
  const mint = context.params.mint;
  const made = typeof mint === 'string' ? [context.made[mint]?.accessKeyId] : Object.values(context.made).map((each) => each.accessKeyId);
  const ids = [...new Set(made.filter((id) => id !== undefined))];
  const id = ids[0];
  if (id === undefined || ids.length !== 1)
    throw fault('provider.invalid', { missing: 'mint', because: 'no earlier step made a successor' });
  return id;
}

const iso = (ms: number): string => new Date(ms).toISOString();
const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
