import { BlockList, isIP } from 'node:net';

/**
 * Whether text fits a pattern in which `*` stands for any run of characters and `?` for exactly one. It walks both once with a single point
 * to fall back to, so a pattern with many stars costs no more than their product.
 */
export function wildcard(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let mark = 0;
  while (t < text.length) {
    const c = pattern[p];
    if (c === '*') {
      star = p++;
      mark = t;
    } else if (c !== undefined && (c === '?' || c === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++mark;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/** The six parts of an ARN; the last keeps its colons. */
function arnParts(text: string): string[] {
  const parts = text.split(':');
  return parts.length <= 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join(':')];
}

/** ARNs are compared part by part, so that a `*` does not reach across a colon of the first five parts. */
export function arnLike(pattern: string, text: string): boolean {
  const a = arnParts(pattern);
  const b = arnParts(text);
  if (a.length < 6 || b.length < 6) return wildcard(pattern, text);
  return a.every((part, i) => wildcard(part, b[i] ?? ''));
}

const ranges = new Map<string, BlockList | undefined>();

/** Whether an address lies in a range (`10.0.0.0/8`, or a single address). An unreadable range holds nothing. */
export function inRange(range: string, address: string): boolean {
  let list = ranges.get(range);
  if (!ranges.has(range)) {
    const [net = '', width] = range.split('/');
    const family = isIP(net);
    const bits = width === undefined ? (family === 6 ? 128 : 32) : Number(width);
    if (family !== 0 && Number.isInteger(bits) && bits >= 0 && bits <= (family === 6 ? 128 : 32)) {
      list = new BlockList();
      list.addSubnet(net, bits, family === 6 ? 'ipv6' : 'ipv4');
    }
    if (ranges.size > 10_000) ranges.clear();
    ranges.set(range, list);
  }
  const family = isIP(address);
  return list !== undefined && family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
}
