import { BlockList, isIP } from 'node:net';
import { fault } from '../../domain/errors.ts';
import { isFence, listOf, statementsOf } from './policies.ts';

/** Where a fence lets calls come from. */
export interface Gates {
  readonly networks: readonly string[];
  readonly vpcs: readonly string[];
  readonly endpoints: readonly string[];
}

/** A network wider than this is no consumer's. The registries give nobody an IPv4 network wider than /8, and providers IPv6 ones of /32. */
const widest = { 4: 8, 6: 32 } as const;

/** Addresses that AWS never sees a call come from: it sees the public one behind them, or a VPC endpoint (RFC 1918, 6598, 3927, 4193, 4291). */
const unseen = new BlockList();
for (const [network, prefix] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
] as const)
  unseen.addSubnet(network, prefix, 'ipv4');
unseen.addSubnet('fc00::', 7, 'ipv6');
unseen.addSubnet('fe80::', 10, 'ipv6');
/** What is routed at all, and this host for practice. An IPv4 address in the clothes of IPv6 is neither. */
const routed = new BlockList();
routed.addSubnet('2000::', 3, 'ipv6');
routed.addAddress('::1', 'ipv6');

/**
 * Reads what a plan leaves open. Refuses (`provider.invalid`) what is no network or VPC, what is wider than any consumer's, and nothing at all: that would be a deny-all by another name. Private networks are
 * passed over, since a fence that names them keeps nothing open; one of nothing else is refused.
 */
export function gatesOf(networks: readonly string[], vpcs: readonly string[]): Gates {
  const open = [...new Set(networks.map((text) => text.trim().toLowerCase()))].filter(isSeen).sort();
  const ids = [...new Set(vpcs.map((text) => text.trim()))].sort();
  for (const id of ids) if (!/^vpce?-[0-9a-f]{8,17}$/.test(id)) throw refused(id, 'this is no VPC and no endpoint of one');
  if (open.length === 0 && ids.length === 0)
    throw refused(networks.join(' '), 'no network or VPC is declared that AWS could see a call come from');
  return {
    networks: open,
    vpcs: ids.filter((id) => id.startsWith('vpc-')),
    endpoints: ids.filter((id) => id.startsWith('vpce-')),
  };
}

/** False for a private network; throws for what is none, or too wide. */
function isSeen(network: string): boolean {
  const [address = '', width = '', ...more] = network.split('/');
  const family = isIP(address);
  const bits = /^\d{1,3}$/.test(width) ? Number(width) : Number.NaN;
  if (family === 0 || more.length > 0 || Number.isNaN(bits) || bits > (family === 4 ? 32 : 128))
    throw refused(network, 'this is no network, such as 198.51.100.0/24');
  const name = family === 4 ? 'ipv4' : 'ipv6';
  if (bits < widest[family as 4 | 6]) throw refused(network, `it is wider than /${widest[family as 4 | 6]}, and no consumer’s`);
  if (unseen.check(address, name)) return false;
  if (family === 6 && !routed.check(address, name)) throw refused(network, 'no address in it is routed');
  return true;
}

const refused = (fence: string, because: string) => fault('provider.invalid', { fence, because });

/** The gates of a fence that stands; undefined for a document that is none of an engine's, or is no longer whole. */
export function gatesIn(document: string): Gates | undefined {
  if (!isFence(document)) return undefined;
  const condition = statementsOf(document)[0]?.Condition as Record<string, Record<string, unknown>>;
  const texts = (operator: string, key: string) => listOf(condition[operator]?.[key]).map(String);
  return {
    networks: texts('NotIpAddress', 'aws:SourceIp'),
    vpcs: texts('StringNotEquals', 'aws:SourceVpc'),
    endpoints: texts('StringNotEquals', 'aws:SourceVpce'),
  };
}
