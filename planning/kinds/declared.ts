import { type CredentialNode, type CredentialRef, nodeId } from '../../domain/credential.ts';
import { actionOf, type KindManifest, type ProviderManifest, type Way } from '../../domain/manifest.ts';
import { type KindKnowledge, type Lever, Part, type Principal } from './kind.ts';

/** A manifest says of all but a fence how it is put on, since what a fence lets in is not its word. */
type Said = Exclude<Part, 'fence' | 'liftFence'>;
const parts = Object.values(Part).filter((part): part is Said => part !== Part.FENCE && part !== Part.LIFT_FENCE);

/** Whose credentials are counted together: all kinds that read their principal alike. */
interface Family {
  readonly whole: RegExp;
  /** The template of the principal's id, and what reads its parts out of such an id again. */
  readonly template: string;
  readonly fromId: RegExp;
  readonly kinds: readonly KindManifest[];
}

/** A principal whose name has parts that a target may want. */
interface Declared extends Principal {
  readonly parts: Readonly<Record<string, string>>;
  /** Undefined for a credential that stands for itself. */
  readonly family: Family | undefined;
}

type Values = Readonly<Record<string, string | undefined>>;

const placeholder = /\{(\w+)\}/g;

/** Undefined where a placeholder has no value, or one that names more than one thing: a lever with a hole in it is none. */
function filled(template: string, values: Values): string | undefined {
  let whole = true;
  const text = template.replace(placeholder, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined || value === '' || /[*?]/.test(value)) whole = false;
    return value ?? '';
  });
  return whole && text !== '' ? text : undefined;
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Reads the parts out of an id that the template made: each name once, as little of the text as will do, the last one all that is left. */
function inverse(template: string): RegExp {
  const seen = new Set<string>();
  const source = template.split(placeholder).map((text, at) => {
    if (at % 2 === 0) return escaped(text);
    if (seen.has(text)) return `\\k<${text}>`;
    seen.add(text);
    return `(?<${text}>.+?)`;
  });
  return new RegExp(`^${source.join('')}$`);
}

/**
 * What the planner knows of a system that it has no file for: all of it out of the manifest. Undefined where the manifest says of no kind what can be done about it. Patterns are the provider's, and always have
 * to match the whole text: one that forgot to say so would take part of a name for the name.
 */
export function declared(manifest: ProviderManifest): KindKnowledge | undefined {
  const byKind = new Map(manifest.kinds.map((each) => [each.kind, each]));
  const handled = (kind: KindManifest | undefined): kind is KindManifest =>
    kind !== undefined && (kind.ways?.disable ?? kind.ways?.remove ?? kind.stoppedBy?.[0]) !== undefined;
  if (!manifest.kinds.some(handled)) return undefined;

  const families = familiesOf(manifest);
  // What a finding writes first, in whichever family; only then an id that was made of it.
  const readings = [...families.map((each) => [each.whole, each] as const), ...families.map((each) => [each.fromId, each] as const)];
  const familyOf = (kind: KindManifest | undefined): Family | undefined => kind && families.find((each) => each.kinds.includes(kind));
  const kindOf = (credential: CredentialRef): KindManifest | undefined => byKind.get(credential.kind);
  const scopeOf = (action: string) => actionOf(manifest, action)?.scope;

  const isStray = (principal: Principal): boolean =>
    (principal as Partial<Declared>).family === undefined && ownKind(principal)?.principal !== undefined;
  const ownKind = ({ id }: Principal): KindManifest | undefined => byKind.get(id.slice(0, id.indexOf(':')));

  const pull = (way: Way | undefined, principal: Principal, more: Values = {}): Lever | undefined => {
    if (!way) return undefined;
    const values: Values = {
      ...more,
      ...(principal as Partial<Declared>).parts,
      account: principal.account,
      // One that belongs to somebody whom nobody knows has no name to put there.
      ...(isStray(principal) ? {} : { principal: principal.name, principalId: principal.id }),
    };
    const target: Record<string, string> = {};
    for (const [name, template] of Object.entries(way.target)) {
      const value = filled(template, values);
      if (value === undefined) return undefined;
      target[name] = value;
    }
    const subject = filled(way.subject, values);
    if (subject === undefined) return undefined;
    return { action: way.action, target, subject, ...(scopeOf(way.action) === 'principal' ? { hold: principal.id } : {}) };
  };

  /** The kinds that a principal has credentials of; of a credential that stands for itself, its own. */
  const kindsOf = (principal: Principal): readonly KindManifest[] => {
    const family = (principal as Partial<Declared>).family;
    const own = ownKind(principal);
    return family?.kinds ?? (own ? [own] : []);
  };
  const wayOf = (principal: Principal, part: Said): Way | undefined => kindsOf(principal).find((each) => each.ways?.[part])?.ways?.[part];
  const onPrincipal = (part: Said) => (principal: Principal) => pull(wayOf(principal, part), principal);
  const onCredential = (part: Said) => (credential: CredentialNode, principal: Principal) =>
    pull(kindOf(credential)?.ways?.[part], principal, credential.locator);

  const turnOffOf = (kind: KindManifest): Way | undefined => kind.ways?.disable ?? kind.ways?.remove;
  const denyOf = (kind: KindManifest): string | undefined =>
    (familyOf(kind)?.kinds ?? [kind]).find((each) => each.ways?.deny)?.ways?.deny?.action;
  const cutOffOf = (kind: KindManifest): string | undefined =>
    (familyOf(kind)?.kinds ?? [kind]).find((each) => each.ways?.cutOff)?.ways?.cutOff?.action;
  const killersOf = (credential: CredentialNode): readonly string[] =>
    manifest.kinds.flatMap((each) =>
      each.mints.flatMap((mint) => (mint.kind === credential.kind && mint.via === credential.derivedVia ? mint.killedBy : [])),
    );
  const lives = (mints: KindManifest['mints']): number =>
    Math.max(0, ...mints.map((mint) => (mint.maxLife === 'unlimited' ? Number.POSITIVE_INFINITY : mint.maxLife)));

  return {
    provider: manifest.name,
    actions: Object.fromEntries([
      [Part.FENCE, []],
      [Part.LIFT_FENCE, []],
      ...parts.map((part): [Said, string[]] => [part, [...new Set(manifest.kinds.flatMap((each) => each.ways?.[part]?.action ?? []))]]),
    ]) as Record<Part, string[]>,
    handles: (credential) => handled(kindOf(credential)),
    principal(text, account): Declared | undefined {
      if (!text || /[*?]/.test(text)) return undefined;
      const kind = byKind.get(text.slice(0, text.indexOf(':')));
      const own = kind && text.slice(kind.kind.length + 1);
      if (handled(kind)) return own ? { id: text, account, name: own, kind: 'user', parts: {}, family: undefined } : undefined;
      for (const [pattern, family] of readings) {
        const found = pattern.exec(text);
        if (!found) continue;
        const groups: Values = found.groups ?? {};
        const of = groups.account ?? account;
        const name = groups.name ?? groups.principal ?? text;
        const id = filled(family.template, { ...groups, name, account: of, principal: name });
        // An id read back that does not come out the same was none.
        if (id === undefined || (pattern === family.fromId && id !== text)) continue;
        const given = Object.entries(groups).filter((each): each is [string, string] => each[1] !== undefined);
        return { id, account: of, name, kind: 'user', parts: Object.fromEntries(given), family };
      }
      return undefined;
    },
    principalOf(credential, text, account) {
      const kind = kindOf(credential);
      const named = kind?.principal || !handled(kind) ? this.principal(text, account) : undefined;
      if (named || !handled(kind)) return named;
      // Where its own levers ask for no principal, it can be dealt with whoever it belongs to.
      const way = turnOffOf(kind);
      const free = way !== undefined && [...Object.values(way.target), way.subject].every((each) => isFree(each, credential));
      return free || !kind.principal ? this.principal(nodeId(credential), account) : undefined;
    },
    standsAlone(credential) {
      const kind = kindOf(credential);
      const way = kind && turnOffOf(kind);
      if (!kind || !way) return false;
      // Whose it is may be found out; what is missing in the locator may not.
      const given = new Set(['account', 'principal', 'principalId', ...(kind.principal ? groupsOf(kind.principal.pattern) : [])]);
      return [...Object.values(way.target), way.subject].every((template) =>
        [...template.matchAll(placeholder)].every(([, name = '']) => given.has(name) || (credential.locator[name] ?? '') !== ''),
      );
    },
    isKey(credential) {
      return this.standsAlone(credential);
    },
    nameOf(credential) {
      const last = kindOf(credential)?.locator.at(-1);
      return (last === undefined ? undefined : credential.locator[last]) ?? Object.values(credential.locator).at(-1) ?? '';
    },
    madeBy(credential, made) {
      const names = Object.keys(credential.locator);
      const last = kindOf(credential)?.locator.at(-1) ?? names.at(-1) ?? '';
      return made[last] !== undefined && names.every((name) => made[name] === undefined || made[name] === credential.locator[name]);
    },
    stoppedBy: (credential) =>
      [...new Set([...(kindOf(credential)?.stoppedBy ?? []), ...killersOf(credential)])].filter((each) => scopeOf(each) === 'principal'),
    diesBy(credential) {
      // What names the action by which the child itself is ended says nothing of the end of its maker.
      const { disable, remove } = kindOf(credential)?.ways ?? {};
      return killersOf(credential).filter((each) => scopeOf(each) === 'credential' && each !== disable?.action && each !== remove?.action);
    },
    needsDeny(credential) {
      const kind = kindOf(credential);
      const deny = kind && denyOf(kind);
      if (!kind || deny === undefined) return false;
      if (!kind.ways?.disable && kind.stoppedBy?.includes(deny)) return true;
      const others = [turnOffOf(kind)?.action, cutOffOf(kind)];
      return kind.mints.some(
        ({ logged, killedBy }) => logged !== 'always' && killedBy.includes(deny) && !killedBy.some((each) => others.includes(each)),
      );
    },
    disable: onCredential(Part.DISABLE),
    remove: onCredential(Part.REMOVE),
    deny: onPrincipal(Part.DENY),
    liftDeny: onPrincipal(Part.LIFT_DENY),
    wakesFor(principal) {
      const deny = wayOf(principal, Part.DENY)?.action;
      if (deny === undefined || wayOf(principal, Part.CUT_OFF)) return undefined;
      // What a log always shows, or what is ended by an id of its own, is known by the sweep, and is stopped or waited for by name.
      const unseen = (mint: KindManifest['mints'][number]) => {
        const child = byKind.get(mint.kind);
        return (
          mint.killedBy.includes(deny) && mint.logged !== 'always' && (!child || turnOffOf(child) === undefined || mint.logged === 'never')
        );
      };
      return lives(kindsOf(principal).flatMap((each) => each.mints.filter(unseen)));
    },
    cutOff: onPrincipal(Part.CUT_OFF),
    liftCutOff: onPrincipal(Part.LIFT_CUT_OFF),
    mint: (principal, credential) => pull(kindOf(credential)?.ways?.mint, principal, credential.locator),
    watchNewUse: (principal, consumer, credential) =>
      pull(kindOf(credential)?.ways?.watchNewUse, principal, { ...credential.locator, consumer }),
    watchOldQuiet: onCredential(Part.WATCH_OLD_QUIET),
    longestChild: lives(manifest.kinds.flatMap((each) => each.mints)),
  };
}

/** Whether a template can be filled without knowing whose the credential is. */
const isFree = (template: string, { locator }: CredentialRef): boolean =>
  [...template.matchAll(placeholder)].every(([, name = '']) => name === 'account' || Object.hasOwn(locator, name));

const groupsOf = (pattern: string): string[] => [...pattern.matchAll(/\(\?<(\w+)>/g)].map(([, name = '']) => name);

function familiesOf(manifest: ProviderManifest): readonly Family[] {
  const families = new Map<string, KindManifest[]>();
  for (const kind of manifest.kinds) {
    if (!kind.principal) continue;
    const key = `${kind.principal.pattern}\n${kind.principal.id}`;
    families.set(key, [...(families.get(key) ?? []), kind]);
  }
  return [...families.values()].map((kinds) => {
    const { pattern, id } = kinds[0]?.principal ?? { pattern: '', id: '' };
    return { whole: new RegExp(`^(?:${pattern})$`), template: id, fromId: inverse(id), kinds };
  });
}
