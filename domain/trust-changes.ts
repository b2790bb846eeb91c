import { canonicalJson } from './canonical.ts';
import { type Edition, KeyRole, type Person, type TrustedKey } from './trust.ts';
import { mayCountersign } from './trust-succession.ts';

/** Whose key it is: a person, or the account that a worker serves; nothing for a judge's and the root's. */
export const ownerOf = (key: TrustedKey): string =>
  key.person ?? (key.provider === undefined ? '' : `${key.provider}/${key.account ?? ''}`);

const named = (key: TrustedKey): string => [key.role, 'key', ownerOf(key), key.id].filter((part) => part !== '').join(' ');
const rolesOf = (person: Person): string => person.roles.join(', ') || 'no role';

/** What an edition changes of another, one line each, for whoever is asked to sign it. Empty where nothing is another but serial and times. */
export function changesBetween(before: Edition, next: Edition): readonly string[] {
  const lines: string[] = [];
  const old = new Map(before.trust.keys.map((key) => [key.id, key]));
  for (const key of next.trust.keys) {
    const was = old.get(key.id);
    old.delete(key.id);
    if (was === undefined) lines.push(`+ ${named(key)}, ${key.from} to ${key.until}`);
    else if (canonicalJson({ ...was, until: '' }) !== canonicalJson({ ...key, until: '' }))
      lines.push(`! ${named(key)} has become another key`);
    else if (was.until !== key.until) lines.push(`~ ${named(key)} ends ${key.until}, not ${was.until}`);
  }
  for (const key of old.values()) lines.push(`! ${named(key)} is gone`);
  const persons = new Map(before.people.people.map((person) => [person.id, person]));
  for (const person of next.people.people) {
    const was = persons.get(person.id);
    persons.delete(person.id);
    if (was === undefined) lines.push(`+ person ${person.id} (${person.name}): ${rolesOf(person)}`);
    else if (canonicalJson(was) !== canonicalJson(person)) lines.push(`~ person ${person.id}: ${differenceOf(was, person)}`);
  }
  for (const person of persons.values()) lines.push(`- person ${person.id}: ${rolesOf(person)}`);
  for (const hash of next.trust.code) if (!before.trust.code.includes(hash)) lines.push(`+ code ${hash}`);
  for (const hash of before.trust.code) if (!next.trust.code.includes(hash)) lines.push(`- code ${hash}`);
  return lines;
}

function differenceOf(was: Person, is: Person): string {
  const parts: string[] = [];
  if (rolesOf(was) !== rolesOf(is)) parts.push(`${rolesOf(is)}, not ${rolesOf(was)}`);
  const lent = (person: Person): string => person.delegates?.join(', ') || 'nobody';
  if (lent(was) !== lent(is)) parts.push(`delegates to ${lent(is)}, not ${lent(was)}`);
  if (was.name !== is.name) parts.push(`is called ${is.name}, not ${was.name}`);
  if (was.contact !== is.contact) parts.push(`contact ${is.contact ?? 'none'}`);
  return parts.join('; ');
}

/** What an edition leaves nobody able to do, at a time (ISO): said before it is signed, since the way back needs the very thing that is missing. */
export function wantsOf({ trust, people, ...rest }: Edition, at: string): readonly string[] {
  const edition: Edition = { trust, people, ...rest };
  const time = Date.parse(at);
  const good = trust.keys.filter((key) => Date.parse(key.from) <= time && time < Date.parse(key.until));
  const wants: string[] = [];
  if (!good.some((key) => key.role === KeyRole.JUDGE)) wants.push('no judge has a key that is good: no plan is carried out');
  const accounts = new Set(trust.keys.filter((key) => key.role === KeyRole.WORKER).map(ownerOf));
  for (const account of accounts) {
    for (const role of [KeyRole.WORKER, KeyRole.SEALING])
      if (!good.some((key) => key.role === role && ownerOf(key) === account)) wants.push(`${account} has no ${role} key that is good`);
  }
  const persons = new Set(
    people.people.filter(({ id }) => good.some((key) => key.role === KeyRole.PERSON && key.person === id)).map(({ id }) => id),
  );
  if (persons.size < 2 || ![...persons].some((id) => mayCountersign(edition, id)))
    wants.push('no edit of trust can be made: it takes two persons with good keys, one of them with the role security-lead or approver');
  return wants;
}
