import { isIP } from 'node:net';

/**
 * Where a connection is taken to come from, in place of the loopback address that it has. A call through a VPC endpoint has no `aws:SourceIp`, and one that an AWS service makes on the caller's
 * behalf has neither an address nor a network of the caller's (IAM User Guide, "Global condition context keys"; that the address is absent there is the careful reading: a condition may not rest on it).
 */
export type Origin =
  | { readonly ip: string }
  | { readonly vpc: string; readonly vpce: string; readonly ip?: string }
  | { readonly via: string };

/** Reads an origin that a control request orders; undefined where it is none. */
export function readOrigin(value: unknown): Origin | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { ip, vpc, vpce, via, ...rest } = value as Record<string, unknown>;
  if (Object.keys(rest).length > 0) return undefined;
  if (ip !== undefined && (typeof ip !== 'string' || isIP(ip) === 0)) return undefined;
  if (via !== undefined) {
    if (typeof via !== 'string' || !/^[a-z0-9.-]+\.amazonaws\.com$/.test(via) || ip !== undefined || vpc !== undefined) return undefined;
    return { via };
  }
  if (vpc !== undefined || vpce !== undefined) {
    if (typeof vpc !== 'string' || !/^vpc-[0-9a-f]{8,17}$/.test(vpc)) return undefined;
    if (typeof vpce !== 'string' || !/^vpce-[0-9a-f]{8,17}$/.test(vpce)) return undefined;
    return { vpc, vpce, ...(ip === undefined ? {} : { ip }) };
  }
  return ip === undefined ? undefined : { ip };
}

/** Origins by the loopback address that a client binds itself to: it cannot be chosen by a header, so that nobody passes for another who does not hold the control port. */
export class Origins {
  readonly #of = new Map<string, Origin>();
  /** `origin` undefined takes the address for itself again. */
  set(address: string, origin: Origin | undefined): void {
    if (origin === undefined) this.#of.delete(address);
    else this.#of.set(address, origin);
  }
  of(address: string): Origin {
    return this.#of.get(address) ?? { ip: address };
  }
  get all(): Readonly<Record<string, Origin>> {
    return Object.fromEntries(this.#of);
  }
}

/** The condition keys that tell where a call comes from. */
export function originKeys(origin: Origin): ReadonlyMap<string, readonly string[]> {
  const keys = new Map<string, readonly string[]>([
    ['aws:viaawsservice', [String('via' in origin)]],
    ['aws:principalisawsservice', ['false']],
  ]);
  if ('via' in origin) {
    keys.set('aws:calledvia', [origin.via]);
    keys.set('aws:calledviafirst', [origin.via]);
    keys.set('aws:calledvialast', [origin.via]);
  } else if ('vpc' in origin) {
    keys.set('aws:sourcevpc', [origin.vpc]);
    keys.set('aws:sourcevpce', [origin.vpce]);
    if (origin.ip !== undefined) keys.set('aws:vpcsourceip', [origin.ip]);
  } else keys.set('aws:sourceip', [origin.ip]);
  return keys;
}

/** What the log writes as the caller's address. */
export function addressOf(origin: Origin): string {
  return 'via' in origin ? origin.via : (origin.ip ?? '10.0.0.1');
}
