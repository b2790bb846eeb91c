import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { fault } from '../../domain/errors.ts';

/** One address that a name stands for. */
export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Looks a name up: every address it has. */
export type Resolve = (host: string) => Promise<readonly Address[]>;

export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true, verbatim: true })).map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));

function listOf(...ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network, bits] = range.split('/') as [string, string];
    list.addSubnet(network, Number(bits), isIP(network) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

// Ranges by the IANA special-purpose address registries (RFC 6890 and its updates).
const loopback = listOf('127.0.0.0/8', '::1/128');
const inside = listOf('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7');
// Link-local addresses hold the metadata services of clouds, which give credentials to whoever asks; two clouds have theirs elsewhere.
const never = listOf(
  ...['0.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '198.18.0.0/15', '198.51.100.0/24'],
  ...['203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4', '100.100.100.200/32', '168.63.129.16/32'],
  ...['::/128', 'fe80::/10', 'fec0::/10', 'ff00::/8', '100::/64', '2001:db8::/32', '2001::/32', 'fd00:ec2::254/128', '64:ff9b:1::/48'],
);

/** What kind of place an address is. An IPv6 address that carries an IPv4 one is what that one is. */
export function placeOf({ address, family }: Address): 'loopback' | 'private' | 'public' | 'never' {
  const carried = family === 6 ? carriedBy(address) : undefined;
  if (carried !== undefined) return placeOf({ address: carried, family: 4 });
  const type = family === 6 ? 'ipv6' : 'ipv4';
  if (isIP(address) !== family || never.check(address, type)) return 'never';
  if (loopback.check(address, type)) return 'loopback';
  return inside.check(address, type) ? 'private' : 'public';
}

/** The IPv4 address within a mapped, NAT64 or 6to4 address. */
function carriedBy(address: string): string | undefined {
  const words = wordsOf(address);
  if (words === undefined) return undefined;
  const quad = (high: number, low: number): string => [high >> 8, high & 255, low >> 8, low & 255].join('.');
  const [a, b, c, d, e, f, g, h] = words as [number, number, number, number, number, number, number, number];
  if (a === 0 && b === 0 && c === 0 && d === 0 && e === 0 && f === 0xffff) return quad(g, h);
  if (a === 0x64 && b === 0xff9b && c === 0 && d === 0 && e === 0 && f === 0) return quad(g, h);
  if (a === 0x2002) return quad(b, c);
  return undefined;
}

/** The eight words of an IPv6 address. */
function wordsOf(address: string): readonly number[] | undefined {
  const text = (address.split('%')[0] ?? '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts: string[]) => {
    const [a, b, c, d] = parts.map(Number) as [number, number, number, number];
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const filled = tail === undefined ? left : [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  const words = filled.map((each) => Number.parseInt(each, 16));
  return words.length === 8 && words.every((each) => each >= 0 && each <= 0xffff) ? words : undefined;
}

/** Whether a URL's host is this machine by its own words: without TLS nothing else is spoken to. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || (isIP(bare) === 4 && loopback.check(bare, 'ipv4')) || (isIP(bare) === 6 && loopback.check(bare, 'ipv6'));
}

/**
 * The one URL that an account may speak to, parsed. `provider.invalid` for anything but https, save http on loopback; for one with a name, password, query or fragment in it.
 */
export function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw fault('provider.invalid', { because: 'its settings hold no url' });
  const flaw =
    url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url.hostname))
      ? 'only https is spoken, except on this very machine'
      : url.username !== '' || url.password !== ''
        ? 'a url that holds a name or password'
        : url.search !== '' || url.hash !== ''
          ? 'a url with a query or fragment'
          : undefined;
  if (flaw !== undefined) throw fault('provider.invalid', { host: url.host, because: flaw });
  return url;
}

/**
 * The address to connect to. Every address of the name is judged and not only the one that is used, since a name that also stands for a place inside is one that somebody is playing with.
 * Whoever connects uses the address returned and does not look the name up again: it could mean another place by then.
 */
export async function admit(url: URL, resolve: Resolve, allowPrivate: boolean): Promise<Address> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const literal = isIP(host);
  let addresses: readonly Address[];
  try {
    addresses = literal === 0 ? await resolve(host) : [{ address: host, family: literal === 6 ? 6 : 4 }];
  } catch {
    throw fault('provider.unavailable', { host: url.host, because: 'its name cannot be looked up' });
  }
  const first = addresses[0];
  if (first === undefined) throw fault('provider.unavailable', { host: url.host, because: 'its name has no address' });
  for (const each of addresses) {
    const place = placeOf(each);
    const fine =
      place === 'loopback' ? isLoopbackHost(host) : !isLoopbackHost(host) && (place === 'public' || (place === 'private' && allowPrivate));
    if (!fine) throw fault('provider.invalid', { host: url.host, because: `it stands for an address that is not spoken to (${place})` });
  }
  return first;
}
