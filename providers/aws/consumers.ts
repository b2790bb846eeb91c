import { BlockList, isIP } from 'node:net';
import type { Consumer, Store } from '../../domain/assessment.ts';
import { userNameIn } from './account.ts';
import type { LogEvent } from './log.ts';

/**
 * True where a call looks like that consumer's: by every mark that the inventory gives, all of which have to fit. The user agent is what the caller says of
 * itself, so that a thief who knows it can pass for the consumer; an address cannot be chosen as easily.
 */
export function isSeenAs(consumer: Consumer, event: LogEvent): boolean {
  const { userAgent, sourceAddress } = consumer.seenAs;
  if (userAgent === undefined && sourceAddress === undefined) return false;
  if (userAgent !== undefined && !event.agent.includes(userAgent)) return false;
  return sourceAddress === undefined || isAt(event.address, sourceAddress);
}

/** True where an address is the one, or in the network, that is named. */
function isAt(address: string, place: string): boolean {
  if (address === place) return true;
  const [network, prefix] = place.split('/');
  const family = isIP(address);
  if (prefix === undefined || family === 0 || network === undefined || isIP(network) !== family) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
  return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** True for a consumer whose calls cannot be told from anybody else's. */
export function isUnmarked(consumer: Consumer): boolean {
  return consumer.seenAs.userAgent === undefined && consumer.seenAs.sourceAddress === undefined;
}

/** The consumers whose store holds a credential of the principal; all that are declared, where no store names it. */
export function consumersOf(
  inventory: { readonly consumers: readonly Consumer[]; readonly stores: readonly Store[] },
  principal: string | undefined,
): readonly Consumer[] {
  const names = new Set([principal, principal === undefined ? undefined : userNameIn(principal)]);
  const stores = new Set(inventory.stores.filter((store) => names.has(store.principal)).map((store) => store.id));
  const own = inventory.consumers.filter((consumer) => stores.has(consumer.store));
  return own.length > 0 ? own : inventory.consumers;
}

/** Calls that succeed whatever policy says, and so show nothing of what a credential may do (STS API reference). */
const always = new Set(['GetCallerIdentity', 'GetSessionToken']);

/** True for a call that AWS let through because the caller may make it. */
export function isAuthorised(event: LogEvent): boolean {
  return event.error === undefined && !always.has(event.name);
}
