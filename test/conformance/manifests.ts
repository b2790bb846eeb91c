import type { ProviderManifest, Way } from '../../domain/manifest.ts';

/** What a manifest does not say though somebody reads it: docs, planner, policies, or a person at night. Each gap by name; empty for a whole one. */
export function gapsOf(manifest: ProviderManifest): readonly string[] {
  const out: string[] = [];
  const actions = new Set(manifest.actions.map((action) => action.name));
  // What others have made ends with them or by what their `killedBy` says; a lever of its own is not owed.
  const made = new Set(manifest.kinds.flatMap((kind) => kind.mints.filter((each) => each.kind !== kind.kind).map((each) => each.kind)));
  for (const kind of manifest.kinds) {
    const gap = (what: string) => out.push(`kinds ${kind.kind}: ${what}`);
    if (!kind.identified) gap('identified');
    if (!kind.survives) gap('survives');
    if (!kind.holderNotices) gap('holderNotices');
    if (!kind.ways && !kind.stoppedBy && !made.has(kind.kind)) gap('ways');
    for (const [name, way] of Object.entries((kind.ways ?? {}) as Record<string, Way | undefined>))
      if (way && !actions.has(way.action)) gap(`ways.${name} names ${way.action}, which is no action`);
    for (const name of kind.stoppedBy ?? []) if (!actions.has(name)) gap(`it is stopped by ${name}, which is no action`);
  }
  for (const action of manifest.actions) {
    const gap = (what: string) => out.push(`actions ${action.name}: ${what}`);
    if (!action.byHand) gap('byHand');
    if (!action.source) gap('source');
    if (action.reversibility === 'irreversible' && !action.irreversibleBecause) gap('irreversibleBecause');
    if (action.reversibility === 'reversible' && !action.watches && !action.byHandUndo) gap('byHandUndo');
    if (action.lifts !== undefined && !actions.has(action.lifts)) gap(`it lifts ${action.lifts}, which is no action`);
    const known = new Set([...manifest.kinds.flatMap((kind) => kind.locator), ...placeholders, ...targetsOf(manifest, action.name)]);
    for (const [, name = ''] of action.title.matchAll(/\{([A-Za-z]+)\}/g))
      if (!known.has(name)) gap(`{${name}} in its title is no member of a locator, and none that the engine knows`);
  }
  if (!manifest.reads) out.push('reads');
  if (manifest.logs.length === 0) out.push('logs');
  if (manifest.links.length === 0) out.push('links');
  return out;
}

/** Placeholders that the planner fills in whatever the kind. */
const placeholders: readonly string[] = [
  'account',
  'principal',
  'principalId',
  'consumer',
  'user',
  'role',
  'store',
  'path',
  'credential',
  'of',
];

const targetsOf = (manifest: ProviderManifest, action: string): readonly string[] =>
  manifest.kinds.flatMap((kind) =>
    Object.values((kind.ways ?? {}) as Record<string, Way | undefined>).flatMap((way) =>
      way?.action === action ? Object.keys(way.target) : [],
    ),
  );
