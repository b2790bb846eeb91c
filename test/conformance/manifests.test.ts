import { describe, expect, it } from 'vitest';
import type { ProviderManifest } from '../../domain/manifest.ts';
import { manifests } from '../../providers/manifests.ts';
import { partOf, policiesOf } from '../../providers/permissions.ts';
import { gapsOf } from './manifests.ts';
import { type HarnessEntry, uncovered } from './runner.ts';

/** What is not owed, with why. */
const exempt: Readonly<Record<string, string>> = {
  // Its kinds are whatever nobody else takes: what outlives them and who notices is in words that are chosen by the kind's name (wordsFor), and it touches no system that has permissions or a log.
  manual: 'a person does it, in a system that is not known here',
};

describe.each(Object.values(manifests).map((manifest) => [manifest.name, manifest] as const))('the manifest of %s', (name, manifest) => {
  it.skipIf(name in exempt)('says all that the docs, the planner and the policies read', () => {
    expect(gapsOf(manifest)).toEqual([]);
  });

  it.skipIf(name in exempt)('has a case of conformance for every action, where the run finds it', async () => {
    const { harnesses } = (await import(new URL(`../providers-${name}/harnesses.ts`, import.meta.url).href)) as {
      harnesses: readonly HarnessEntry[];
    };
    expect(uncovered([manifest], harnesses)).toEqual({ actions: [], harnesses: [] });
  });

  it('has every action in a part, and in `read` none that its provider would call a change', () => {
    const writes = manifest.actions
      .filter((action) => partOf(manifest, action) === 'read' && !action.watches && action.permissions.length > 0)
      .map((action) => action.name);
    expect(writes, 'actions of the part `read` that are no watches: say `part`').toEqual([]);
  });

  it('has policies in which every permission of every action stands', () => {
    const policies = policiesOf(manifest);
    for (const action of manifest.actions) {
      const own =
        policies
          .find((policy) => policy.part === partOf(manifest, action))
          ?.statements.filter((each) => each.neededBy.includes(action.name)) ?? [];
      const given = own.flatMap((each) => each.permissions);
      expect(
        action.permissions.filter((each) => !given.includes(each) && each !== 'sts:GetCallerIdentity'),
        action.name,
      ).toEqual([]);
    }
  });
});

describe('what a manifest lacks is named', () => {
  const whole: ProviderManifest = {
    name: 'acme',
    title: 'Acme',
    kinds: [
      {
        kind: 'acme.key',
        title: 'key',
        locator: ['id'],
        identified: 'by its prefix',
        mints: [],
        overlap: 1,
        survives: [],
        holderNotices: 'at the next call',
        ways: { disable: { action: 'off', target: { id: '{id}' }, subject: '{id}' } },
      },
    ],
    actions: [
      {
        name: 'off',
        title: 'turn {id} off',
        phase: 'contain',
        reversibility: 'reversible',
        scope: 'credential',
        permissions: ['keys.write'],
        byHand: 'acme off {id}',
        byHandUndo: 'acme on {id}',
        source: 'its manual',
      },
    ],
    reads: ['keys.read'],
    propagationMs: 0,
    logs: [{ source: 'log', usualLagMs: 0, reachDays: 1, blind: [] }],
    links: ['https://example.org/'],
  };
  const [kind, action] = [whole.kinds[0] as (typeof whole.kinds)[0], whole.actions[0] as (typeof whole.actions)[0]];

  it('and a whole one lacks nothing', () => expect(gapsOf(whole)).toEqual([]));
  it.each([
    ['kinds acme.key: identified', { kinds: [{ ...kind, identified: undefined }] }],
    ['kinds acme.key: survives', { kinds: [{ ...kind, survives: undefined }] }],
    ['kinds acme.key: holderNotices', { kinds: [{ ...kind, holderNotices: '' }] }],
    ['kinds acme.key: ways', { kinds: [{ ...kind, ways: undefined }] }],
    [
      'kinds acme.key: ways.disable names up, which is no action',
      { kinds: [{ ...kind, ways: { disable: { action: 'up', target: {}, subject: '' } } }] },
    ],
    ['actions off: byHandUndo', { actions: [{ ...action, byHandUndo: undefined }] }],
    ['actions off: irreversibleBecause', { actions: [{ ...action, reversibility: 'irreversible' }] }],
    ['actions off: source', { actions: [{ ...action, source: '' }] }],
    ['actions off: it lifts on, which is no action', { actions: [{ ...action, lifts: 'on' }] }],
    [
      'actions off: {name} in its title is no member of a locator, and none that the engine knows',
      { actions: [{ ...action, title: 'turn {name} off' }] },
    ],
    ['reads', { reads: undefined }],
    ['logs', { logs: [] }],
    ['links', { links: [] }],
  ])('%s', (gap, without) => {
    expect(gapsOf({ ...whole, ...without } as unknown as ProviderManifest)).toEqual([gap]);
  });
});
