import { z } from 'zod';
import type { ProviderManifest } from './manifest.ts';

const name = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'expected 1 to 40 small letters, digits and dashes, with a letter first');
const words = z.string().min(1, 'expected words').max(2000, 'expected at most 2000 characters');
const member = z.string().regex(/^[a-zA-Z][a-zA-Z0-9]{0,39}$/, 'expected a member’s name: letters and digits');
const kindName = z
  .string()
  .regex(/^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]{0,59}$/, 'expected the provider’s name, a dot and the kind, such as acme.token');
const way = z.strictObject({ action: name, target: z.record(member, z.string().min(1).max(500)), subject: z.string().min(1).max(500) });
const pattern = z
  .string()
  .max(500)
  .refine((text) => {
    try {
      return /\(\?<name>/.test(text) && new RegExp(text) instanceof RegExp;
    } catch {
      return false;
    }
  }, 'expected a regular expression with a group `name`');

const action = z.strictObject({
  name,
  title: words,
  phase: z.enum(['contain', 'mint', 'distribute', 'verify', 'revoke', 'watch']),
  reversibility: z.enum(['reversible', 'irreversible']),
  irreversibleBecause: words.exactOptional(),
  scope: z.enum(['credential', 'principal', 'store', 'none']),
  watches: z.boolean().exactOptional(),
  mints: z.boolean().exactOptional(),
  lifts: name.exactOptional(),
  part: z.enum(['read', 'contain', 'mint', 'eradicate']).exactOptional(),
  permissions: z.array(z.string().min(1).max(500)),
  byHand: words,
  byHandUndo: words.exactOptional(),
  source: words,
});

const kind = z.strictObject({
  kind: kindName,
  title: words,
  locator: z.array(member).min(1, 'expected a member at least: without one no two credentials could be told apart'),
  identified: words,
  mints: z.array(
    z.strictObject({
      kind: kindName,
      via: words,
      logged: z.enum(['always', 'sometimes', 'never']),
      maxLife: z.union([z.number().nonnegative(), z.literal('unlimited')]),
      killedBy: z.array(words),
    }),
  ),
  overlap: z.union([z.int().min(1), z.literal('unlimited')]),
  survives: z.array(words),
  holderNotices: words,
  limits: z.array(words).exactOptional(),
  principal: z.strictObject({ pattern, id: words }).exactOptional(),
  stoppedBy: z.array(name).exactOptional(),
  ways: z
    .strictObject({
      disable: way.exactOptional(),
      remove: way.exactOptional(),
      deny: way.exactOptional(),
      liftDeny: way.exactOptional(),
      cutOff: way.exactOptional(),
      liftCutOff: way.exactOptional(),
      mint: way.exactOptional(),
      watchNewUse: way.exactOptional(),
      watchOldQuiet: way.exactOptional(),
    })
    .exactOptional(),
});

/**
 * The manifest of a provider that is not part of the engine: it comes from somebody else's package, and planner, judge and policies act on it, so that nothing of it is believed that does not fit together. What the
 * engine's own manifests may leave out (how a kind is told, what survives, who notices) it has to say.
 */
export const manifestSchema = z
  .strictObject({
    name,
    title: words,
    kinds: z.array(kind),
    actions: z.array(action).min(1, 'expected an action: a provider that can do nothing is none'),
    reads: z.array(z.string().min(1).max(500)).exactOptional(),
    propagationMs: z.number().nonnegative(),
    logs: z.array(
      z.strictObject({ source: words, usualLagMs: z.number().nonnegative(), reachDays: z.number().nonnegative(), blind: z.array(words) }),
    ),
    links: z.array(z.url('expected an address')),
  })
  .superRefine((manifest, context) => {
    const wrong = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    const actions = new Map(manifest.actions.map((each) => [each.name, each]));
    const twice = <T>(list: readonly T[], at: number) => list.indexOf(list[at] as T) !== at;
    manifest.actions.forEach((each, at) => {
      const here = (field: string): (string | number)[] => ['actions', at, field];
      if (
        twice(
          manifest.actions.map((one) => one.name),
          at,
        )
      )
        wrong(here('name'), 'the name is taken');
      if (each.reversibility === 'irreversible' && each.irreversibleBecause === undefined)
        wrong(here('irreversibleBecause'), 'what cannot be undone says why');
      if (each.reversibility === 'reversible' && each.irreversibleBecause !== undefined)
        wrong(here('irreversibleBecause'), 'what can be undone has no reason why not');
      if (each.reversibility === 'reversible' && !each.watches && each.byHandUndo === undefined)
        wrong(here('byHandUndo'), 'what can be undone says how a person would undo it');
      if (each.watches && each.scope !== 'none') wrong(here('scope'), 'what only watches hits nobody: none');
      const lifted = each.lifts === undefined ? undefined : actions.get(each.lifts);
      if (each.lifts !== undefined && lifted === undefined) wrong(here('lifts'), 'no action of this manifest');
      if (lifted && (lifted.scope !== 'principal' || each.scope !== 'principal'))
        wrong(here('lifts'), 'what is put on and taken off again hits a whole principal, both ways');
    });
    manifest.kinds.forEach((each, at) => {
      if (!each.kind.startsWith(`${manifest.name}.`)) wrong(['kinds', at, 'kind'], `expected a kind of this provider: ${manifest.name}.…`);
      if (
        twice(
          manifest.kinds.map((one) => one.kind),
          at,
        )
      )
        wrong(['kinds', at, 'kind'], 'the kind stands here a second time');
      // The engine's mints name what was sealed, and for whom, under these.
      for (const taken of ['keyId', 'sealed'])
        if (each.locator.includes(taken)) wrong(['kinds', at, 'locator'], `${taken} is the engine’s own word; call it otherwise`);
      for (const [which, lever] of Object.entries(each.ways ?? {})) {
        const pulled = actions.get(lever.action);
        const here = ['kinds', at, 'ways', which, 'action'];
        if (!pulled) wrong(here, 'no action of this manifest');
        else if (/^(deny|liftDeny|cutOff|liftCutOff)$/.test(which) && (pulled.scope !== 'principal' || !each.principal))
          wrong(here, 'it hits a whole principal: the action’s scope is `principal`, and the kind says whose it is');
        else if (which === 'disable' && pulled.reversibility === 'irreversible') wrong(here, 'what cannot be taken back is `remove`');
        else if (which === 'mint' && !pulled.mints) wrong(here, 'the action does not say that it mints');
        else if (/^watch/.test(which) && !pulled.watches) wrong(here, 'the action does not say that it only watches');
      }
      for (const stopper of each.stoppedBy ?? [])
        if (!actions.has(stopper)) wrong(['kinds', at, 'stoppedBy'], `${stopper} is no action of this manifest`);
    });
  });

/** A manifest as somebody's package exports it, or all that is wrong with it: `kinds[0].ways.disable.action: no action of this manifest`. What is returned is a copy that the package cannot change. */
export function readManifest(value: unknown): { readonly manifest: ProviderManifest } | { readonly problems: readonly string[] } {
  let plain: unknown;
  try {
    plain = JSON.parse(JSON.stringify(value ?? null)) as unknown;
  } catch {
    return { problems: ['(whole manifest): not plain data'] };
  }
  const parsed = manifestSchema.safeParse(plain);
  if (parsed.success) return { manifest: frozen(parsed.data as ProviderManifest) };
  return {
    problems: parsed.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `${pathOf([...issue.path, key])}: no such member is known here`)
        : [`${pathOf(issue.path)}: ${issue.message}`],
    ),
  };
}

const pathOf = (path: readonly PropertyKey[]): string =>
  path.length === 0
    ? '(whole manifest)'
    : path.map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${String(part)}`)).join('');

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) frozen(each);
    Object.freeze(value);
  }
  return value;
}
