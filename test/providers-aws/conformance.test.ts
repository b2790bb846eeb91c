import { expect, it } from 'vitest';
import { provider } from '../../providers/aws/index.ts';
import { manifest } from '../../providers/aws/manifest.ts';
import { describeAction, expectAllRun } from '../conformance/index.ts';
import { harnesses } from './harnesses.ts';
import { practice } from './practice.ts';

for (const { name, open, options } of harnesses) describeAction(name, open, options);

it('every action of the manifest has a conformance run', () => {
  expectAllRun(
    manifest,
    harnesses.map((each) => each.name),
  );
});

it('a connection has exactly the actions of the manifest', async () => {
  const world = await practice();
  try {
    const connection = await world.connect();
    expect(Object.keys(connection.actions).sort()).toEqual(provider.manifest.actions.map((action) => action.name).sort());
  } finally {
    await world.close();
  }
});
