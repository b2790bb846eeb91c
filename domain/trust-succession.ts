import type { Verify } from './authority.ts';
import { canonicalJson, hashOf } from './canonical.ts';
import type { ErrorCode } from './errors.ts';
import { type Envelope, PayloadType } from './record.ts';
import { type Edition, KeyRole, keyAt, type Trust, type TrustedKey } from './trust.ts';

/** By what a succession is judged: the root's public key as pinned, how signatures are verified, the time (ISO), and whether what is judged has only just come in. */
export interface Judging {
  readonly root: string;
  readonly verify: Verify;
  readonly now: string;
  readonly fresh?: boolean;
}

/** Who may be the second person of an edit. */
export const countersigningRoles: readonly string[] = ['security-lead', 'approver'];

/** Why an edition is not accepted. */
export interface TrustFault {
  readonly code: ErrorCode;
  readonly why: string;
}

/** How far a proposer's clock may be ahead of ours, in milliseconds. */
const skewMs = 5 * 60_000;

/** The envelope that each signature of an edition is one of: all are over the same content. */
export function envelopesOf(trust: Trust, signatures: Envelope['signatures']): readonly Envelope[] {
  let binary = '';
  for (const byte of new TextEncoder().encode(canonicalJson(trust))) binary += String.fromCharCode(byte);
  const payload = btoa(binary);
  return signatures.map((signature) => ({ payloadType: PayloadType.TRUST, payload, signatures: [signature] }));
}

/** Why an edition does not stand by itself: not signed by the root pinned, or with other people than it names. */
export function faultOfEdition(
  edition: Edition,
  { root, verify }: { readonly root: string; readonly verify: Verify },
): TrustFault | undefined {
  const envelopes = envelopesOf(edition.trust, edition.signatures);
  if (envelopes.length !== 1 || !envelopes.every((envelope) => verify(envelope, root))) {
    return { code: 'trust.bad-signature', why: 'the root that is pinned has not signed it' };
  }
  if (hashOf(edition.people) !== edition.trust.people) return { code: 'trust.people-changed', why: 'the people are not those it names' };
  return undefined;
}

/** Why an edition cannot be the first: it is not of serial 1, or names one before it. It needs no second person, since there is nobody yet. */
export function faultOfFirst(edition: Edition, by: { readonly root: string; readonly verify: Verify }): TrustFault | undefined {
  const alone = faultOfEdition(edition, by);
  if (alone) return alone;
  const { serial, previous } = edition.trust;
  if (serial !== 1)
    return { code: 'trust.gap', why: `serial ${serial} stands on ${serial - 1} before it, and nothing has been accepted yet` };
  return previous === undefined ? undefined : { code: 'trust.not-next', why: 'the first serial stands on nothing' };
}

/**
 * Why an edition may not follow another that is in force; undefined where it may, or where it is the same. The checks come in this order: `trust.bad-signature`;
 * `trust.people-changed`; `trust.rolled-back`, `trust.forked` and `trust.gap` by its serial; `trust.forked` where it follows from another file of that serial; `trust.not-next` for
 * another engine, a time out of order, or a key that has vanished or become another; `trust.uncountersigned`.
 *
 * Two persons must have signed, by keys that the edition *before* vouches for at the time of issue: the one who proposes, and another with one of {@link countersigningRoles}. A root
 * that is stolen cannot name its own second person, and one person who has the root too is still one person. No edition is dated
 * ahead of `now` (ISO); where it has just come in (`fresh`) the persons' keys must still be good now too. A key that an edition has ended is no use for dating another back in any
 * case, since none may be older than the one before it.
 */
export function faultOfSuccession(before: Edition, next: Edition, by: Judging): TrustFault | undefined {
  const alone = faultOfEdition(next, by);
  if (alone) return alone;
  return faultOfPlace(before, next, by.now) ?? faultOfKeys(before.trust, next.trust) ?? faultOfPersons(before, next, by);
}

/** As {@link faultOfSuccession}, for a draft that the root has not signed yet, and as far as the persons have: whether it follows at all. */
export function faultOfDraft(before: Edition, draft: Edition): TrustFault | undefined {
  if (hashOf(draft.people) !== draft.trust.people) return { code: 'trust.people-changed', why: 'the people are not those it names' };
  return faultOfPlace(before, draft) ?? faultOfKeys(before.trust, draft.trust);
}

function faultOfPlace(before: Edition, next: Edition, now?: string): TrustFault | undefined {
  const [old, trust] = [before.trust, next.trust];
  if (trust.serial < old.serial) return { code: 'trust.rolled-back', why: `it is serial ${trust.serial}, and ${old.serial} is in force` };
  if (trust.serial === old.serial) {
    return hashOf(trust) === hashOf(old) ? undefined : { code: 'trust.forked', why: `another file of serial ${old.serial} is in force` };
  }
  if (trust.serial > old.serial + 1) return { code: 'trust.gap', why: `it is serial ${trust.serial}, and ${old.serial} is in force` };
  if (trust.engine !== old.engine) return { code: 'trust.not-next', why: `it is of the engine ${trust.engine}` };
  if (trust.previous !== hashOf(old)) return { code: 'trust.forked', why: `it follows from another file of serial ${old.serial}` };
  const issued = Date.parse(trust.issuedAt);
  if (issued < Date.parse(old.issuedAt)) return { code: 'trust.not-next', why: 'it was issued before the one it follows' };
  if (now !== undefined && issued > Date.parse(now) + skewMs) return { code: 'trust.not-next', why: 'it is dated in the future' };
  return undefined;
}

/** A key that has once been trusted stays in the file: what it signed in its time must stay verifiable. Only the end of its period moves. */
function faultOfKeys(old: Trust, trust: Trust): TrustFault | undefined {
  if (old.serial === trust.serial) return undefined;
  for (const key of old.keys) {
    const now = trust.keys.find((each) => each.id === key.id);
    if (now === undefined) return { code: 'trust.not-next', why: `the key ${key.id} is gone; end its period instead` };
    if (canonicalJson({ ...now, until: '' }) !== canonicalJson({ ...key, until: '' })) {
      return { code: 'trust.not-next', why: `the key ${key.id} has become another; only the end of its period may move` };
    }
  }
  return undefined;
}

function faultOfPersons(before: Edition, next: Edition, by: Judging): TrustFault | undefined {
  const { trust } = next;
  if (trust.serial === before.trust.serial) return undefined;
  const lacking = (why: string): TrustFault => ({ code: 'trust.uncountersigned', why });
  const signers = signersOf(before, next, by);
  const { proposedBy } = trust;
  if (proposedBy === undefined) return lacking('nobody proposes it');
  if (!signers.includes(proposedBy))
    return lacking(`${proposedBy}, who proposes it, has not signed it with a key good under serial ${before.trust.serial}`);
  const seconds = signers.filter((person) => person !== proposedBy);
  if (seconds.some((person) => mayCountersign(before, person))) return undefined;
  return lacking(
    seconds.length === 0
      ? `nobody but ${proposedBy} has signed it with a key good under serial ${before.trust.serial}`
      : `${seconds.join(', ')} had none of the roles ${countersigningRoles.join(', ')} under serial ${before.trust.serial}`,
  );
}

/** The persons whose countersignature on an edition holds by the edition before it, each once. A signature of anybody else is none. */
export function signersOf(before: Edition, next: Edition, by: Judging): readonly string[] {
  const found = new Set<string>();
  for (const envelope of envelopesOf(next.trust, next.countersignatures)) {
    const key = personKeyAt(before, envelope.signatures[0]?.keyid ?? '', next.trust.issuedAt, by.fresh === true ? by.now : undefined);
    if (key?.person !== undefined && key.public !== by.root && by.verify(envelope, key.public)) found.add(key.person);
  }
  return [...found];
}

function personKeyAt(before: Edition, id: string, issuedAt: string, now?: string): TrustedKey | undefined {
  const key = keyAt(before.trust, id, KeyRole.PERSON, issuedAt);
  if (now !== undefined && !keyAt(before.trust, id, KeyRole.PERSON, now)) return undefined;
  return before.people.people.some((person) => person.id === key?.person) ? key : undefined;
}

/** Whether a person of an edition may be the second one of the edit that follows it. Delegates may not: nobody lends another the right to say who is trusted. */
export function mayCountersign({ people }: Edition, person: string): boolean {
  return people.people.some((each) => each.id === person && each.roles.some((role) => countersigningRoles.includes(role)));
}
