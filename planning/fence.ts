import type { Consumer } from '../domain/assessment.ts';
import { type Draft, listed, type View, type Wanted } from './draft.ts';
import { Standing } from './facts.ts';

/** What a fence lets in: networks of the internet and ids of VPCs or their endpoints, as the inventory declares them; never an address that a log merely shows. */
export interface Gates {
  readonly networks: readonly string[];
  readonly vpcs: readonly string[];
}

/** A network that a call can come from over the internet, and no larger than a fence may let in: what is private is seen by no provider as a source. */
export function isOnTheInternet(network: string): boolean {
  const [address = '', width = ''] = network.split('/');
  const bits = Number(width);
  if (address.includes(':')) return bits >= 32 && !/^(f[cd]|fe[89ab]|::)/i.test(address);
  const [a = 0, b = 0] = address.split('.').map(Number);
  const reserved =
    a === 0 ||
    a === 10 ||
    a === 127 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254);
  return bits >= 8 && !reserved;
}

const gatesOf = (consumer: Consumer): Gates => ({ networks: consumer.networks.filter(isOnTheInternet), vpcs: consumer.vpcs ?? [] });

/** What a fence for these consumers would let in; undefined where one of them would stand outside, or there is none: then it saves nobody. */
export function fenceFor(consumers: readonly Consumer[]): Gates | undefined {
  const gates = consumers.map(gatesOf);
  if (gates.length === 0 || gates.some(({ networks, vpcs }) => networks.length + vpcs.length === 0)) return undefined;
  const all = (name: keyof Gates) => [...new Set(gates.flatMap((each) => each[name]))].sort();
  return { networks: all('networks'), vpcs: all('vpcs') };
}

/** Whether a fence of ours stands about the principal, and the leaked credential has not been seen to be used in spite of it. */
export function isFenced({ reach, knowledge, principal }: View): boolean {
  return reach.root.standing === Standing.STOPPED && reach.done.active(knowledge.provider, knowledge.fence?.(principal)) !== undefined;
}

/**
 * Whether the leaked credential is fenced in rather than turned off: whoever holds it elsewhere is out at once, and its consumers, all of which stand in networks that they declare, go on until they have a new one. Only where
 * nobody needs to be asked, once, and not where it failed or was refused: then the credential is turned off and its principal denied.
 */
export function wantsFence(view: View): Gates | undefined {
  const { reach, knowledge, principal, consumers } = view;
  const { done, root } = reach;
  const lever = knowledge.fence?.(principal);
  if (!lever || view.asking || !knowledge.isKey(root.credential)) return undefined;
  if (root.standing !== Standing.STANDS && root.standing !== Standing.UNKNOWN) return undefined;
  const spent =
    done.steps.some((each) => each.step.action === `${knowledge.provider}/${lever.action}` && each.step.hold === lever.hold) ||
    [knowledge.deny(principal), knowledge.mint(principal, root.credential), knowledge.disable(root.credential, principal)].some((each) =>
      done.active(knowledge.provider, each),
    );
  return spent || !view.manifests[knowledge.provider]?.actions.some((each) => each.name === lever.action) ? undefined : fenceFor(consumers);
}

/** Plans the fence. */
export function fenceIn(view: View, draft: Draft, gates: Gates): Wanted | undefined {
  const { knowledge, principal, consumers } = view;
  const lever = knowledge.fence?.(principal);
  if (!lever) return undefined;
  draft.note(
    `${principal.name} is fenced in: calls from elsewhere than ${listed([...gates.networks, ...gates.vpcs])} are refused, so that ${listed(consumers.map((each) => each.name))} ${consumers.length === 1 ? 'goes' : 'go'} on until there is a new key. Whoever holds the leaked one within these networks is not stopped by that.`,
  );
  return draft.want({
    provider: knowledge.provider,
    account: principal.account,
    lever,
    params: { networks: gates.networks, vpcs: gates.vpcs },
    impact: 'none',
    affects: consumers.map((each) => each.id),
  });
}
