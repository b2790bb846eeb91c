import { isHash } from '../domain/canonical.ts';
import type { SignedDecision } from '../domain/decision.ts';
import type { HoldInput } from '../domain/messages.ts';
import type { Sighting } from '../domain/report.ts';

type Loose = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Loose => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown, most = 4096): value is string => typeof value === 'string' && value.length <= most;

/** The shape of a DSSE envelope of reasonable size. Synchronous and by hand: a schema library in the bundle costs more than the run itself. */
export function isSigned(value: unknown): value is SignedDecision {
  if (!isObject(value) || !isText(value.payloadType, 120) || !isText(value.payload, 32_768)) return false;
  const signatures = value.signatures;
  return (
    Array.isArray(signatures) &&
    signatures.length >= 1 &&
    signatures.length <= 4 &&
    signatures.every((each) => isObject(each) && isText(each.keyid, 200) && isText(each.sig, 400))
  );
}

/** The shape of a sighting. What it says is judged, and recorded, by the judge. */
export function isSighting(value: unknown): value is Sighting {
  if (!isObject(value) || !isObject(value.report)) return false;
  const report = value.report;
  const credential = report.credential;
  const origin = report.origin;
  return (
    report.v === 1 &&
    isText(report.id, 120) &&
    isText(report.reporter, 200) &&
    isText(report.seenAt, 40) &&
    isObject(credential) &&
    isText(credential.kind, 120) &&
    isObject(credential.locator) &&
    Object.values(credential.locator).every((each) => isText(each, 1024)) &&
    isObject(origin) &&
    isText(origin.where, 40) &&
    isObject(report.claims) &&
    (report.sealed === undefined || (isObject(report.sealed) && isHash(report.sealed.hash) && isText(report.sealed.keyId, 200))) &&
    (value.signature === undefined || isSigned(value.signature))
  );
}

/** The shape of a request to a principal-hold. */
export function isHoldRequest(value: unknown): value is HoldInput & { readonly key: string } {
  if (!isObject(value) || !isText(value.key, 400) || !isText(value.principal, 400)) return false;
  const direction = value.direction;
  const input = direction === 'apply' ? value.apply : direction === 'revert' ? value.revert : undefined;
  return (
    isObject(input) && isObject(input.warrant) && isHash(input.warrant.plan) && isText(value.provider, 60) && isText(value.account, 200)
  );
}

/**
 * An activity's result, if it has the hashes it must have; throws a plain error otherwise, which the caller turns into a failed step. A forged completion of
 * any other shape ends here and wedges nothing.
 */
export function expectHashes<T>(result: T, ...members: readonly (keyof T & string)[]): T {
  if (!isObject(result)) throw new TypeError('an activity answered with something that is no object');
  for (const member of members) {
    if (!isHash((result as Loose)[member])) throw new TypeError(`an activity answered without a hash for ${member}`);
  }
  return result;
}
