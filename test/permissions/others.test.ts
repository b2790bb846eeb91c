import type { ProviderManifest } from '../../domain/manifest.ts';
import type { Action } from '../../providers/contract.ts';
import { manifests } from '../../providers/manifests.ts';
import { harnesses as gcp } from '../providers-gcp/harnesses.ts';
import { harnesses as github } from '../providers-github/harnesses.ts';
import { harnesses as webhook } from '../providers-webhook/harnesses.ts';
import { describeLeast, type Under } from './least.ts';

/** Systems whose stand-ins take a policy as the list of its permissions. */
const under: Under = async (world, policy) =>
  (await world.under?.(JSON.stringify(policy.statements.flatMap((each) => each.permissions)))) as Action;

describeLeast(manifests.webhook as ProviderManifest, webhook, under);
describeLeast(
  manifests.gcp as ProviderManifest,
  gcp,
  under,
  process.env.TOURNIQUET_FULL === '1' ? {} : { only: ['disable-key', 'upload-key'] },
);
const oneStore = 'a store is a repository’s or an environment’s, and the case is of one';
describeLeast(manifests.github as ProviderManifest, github, under, {
  spared: {
    'revoke-token': [
      { which: /:read$/, because: 'revoking takes no permission; what it reads is to say what goes along with it, and is unknown then' },
    ],
    'stage-secret': [{ which: /^secrets:/, because: oneStore }],
    'distribute-secret': [{ which: /^environments:/, because: oneStore }],
  },
});
