import { expect, it } from 'vitest';
import { manifest } from '../../providers/github/manifest.ts';
import { actionsIn, describeProvider } from '../conformance/index.ts';
import { describePage } from '../conformance/page.ts';
import { harnesses, stepOf } from './harnesses.ts';
import { permissionOf, practice } from './practice.ts';

describeProvider(manifest, harnesses, async () => actionsIn(await practice()));

it('every way of a kind pulls a lever that is there, on what its locator or principal gives', () => {
  for (const kind of manifest.kinds) {
    for (const way of Object.values(kind.ways ?? {})) {
      expect(manifest.actions.map((action) => action.name)).toContain(way.action);
      const holes = JSON.stringify([way.target, way.subject]).match(/\{\w+\}/g) ?? [];
      for (const hole of holes) expect(['{account}', '{principal}', ...kind.locator.map((name) => `{${name}}`)]).toContain(hole);
    }
  }
});

it.each(['suspend-installation', 'unsuspend-installation'])('%s makes no call but of the App itself', async (name) => {
  const world = await practice();
  try {
    const action = (await world.connect()).actions[name];
    const target = { account: 'acme', installationId: String(world.builder.installationId) };
    if (name === 'unsuspend-installation')
      await (await world.connect()).actions['suspend-installation']?.apply(target, { found: 'active' }, stepOf('s0'));
    const before = await action?.capture(target, stepOf('s1'));
    await action?.apply(target, before, stepOf('s1'));
    await action?.probe(target, before, stepOf('s1'));
    await action?.revert?.(target, before, stepOf('s1'));
    const made = Object.keys(world.hand.counters()).map((key) => permissionOf[key.slice('github:'.length)]);
    expect([...new Set(made)]).toEqual(['App JWT']);
  } finally {
    await world.close();
  }
});

it('nothing revokes for a whole enterprise: that is a manual step', () => {
  expect(JSON.stringify(manifest.actions)).not.toMatch(/enterprises?\//);
});

describePage(manifest);
