import type { ProviderManifest } from '../../domain/manifest.ts';
import type { Action } from '../../providers/contract.ts';
import { manifests } from '../../providers/manifests.ts';
import { harnesses as gcp } from '../providers-gcp/harnesses.ts';
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
