import { afterAll, expect, it } from 'vitest';
import { manifest } from '../../providers/vault/manifest.ts';
import { describeAction, expectAllRun } from '../conformance/index.ts';
import { harnesses } from './harnesses.ts';
import { closeLab } from './practice.ts';

afterAll(closeLab);

for (const { name, open, options } of harnesses) describeAction(name, open, options);

it('every action of the manifest has a conformance run', () => {
  expectAllRun(
    manifest,
    harnesses.map((each) => each.name),
  );
});

it('a connection has exactly the actions of the manifest', async () => {
  const { provider } = await import('../../providers/vault/index.ts');
  const { Secret } = await import('../../domain/secret.ts');
  const connection = await provider.connect({
    provider: 'vault',
    account: 'lab',
    mode: 'act',
    settings: {},
    credentials: { address: new Secret('http://127.0.0.1:1'), token: new Secret('x') },
  });
  expect(Object.keys(connection.actions).sort()).toEqual(manifest.actions.map((action) => action.name).sort());
});
