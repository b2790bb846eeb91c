import { afterAll } from 'vitest';
import type { Action } from '../../providers/contract.ts';
import { renderPolicy } from '../../providers/permissions.ts';
import { manifest } from '../../providers/vault/manifest.ts';
import { harnesses } from '../providers-vault/harnesses.ts';
import { closeLab } from '../providers-vault/practice.ts';
import { describeLeast, type Under } from './least.ts';

afterAll(() => closeLab());

/** A token whose policy is exactly the generated HCL, on the real server; `{mount}` and `{path}` are those of the store that the case is about. */
const under: Under = async (world, policy) => {
  const [mount = 'kv', ...path] = (world.target.path ?? 'kv/none').split('/');
  const filled = renderPolicy(manifest, policy).replaceAll('{mount}', mount).replaceAll('{path}', path.join('/'));
  return (await world.under?.(filled === '' ? 'path "kv/none" { capabilities = ["deny"] }' : filled)) as Action;
};

/** Their worlds lend no connection under a policy; what a 403 comes to is tried in their own tests. */
const unlent = ['vault/stage-secret', 'vault/distribute-secret'];
describeLeast(
  manifest,
  harnesses.filter(({ name }) => !unlent.includes(name)),
  under,
  {
    ...(process.env.TOURNIQUET_FULL === '1' ? {} : { only: ['disable-entity', 'revoke-token'] }),
    // Where no token is named that has to be gone, it looks through all of them.
    ways: { 'enable-entity': [{ without: ['accessors'], ends: 'provider.conflict' }] },
  },
);
