import { afterAll } from 'vitest';
import { manifest } from '../../providers/vault/manifest.ts';
import { describeProvider } from '../conformance/index.ts';
import { harnesses } from './harnesses.ts';
import { closeLab } from './practice.ts';

afterAll(closeLab);

describeProvider(manifest, harnesses, async () => {
  const { provider } = await import('../../providers/vault/index.ts');
  const { Secret } = await import('../../domain/secret.ts');
  const connection = await provider.connect({
    provider: 'vault',
    account: 'lab',
    mode: 'act',
    settings: {},
    credentials: { address: new Secret('http://127.0.0.1:1'), token: new Secret('x') },
  });
  return Object.keys(connection.actions);
});
