import type { ProviderManifest } from '../domain/manifest.ts';
import { manifest as aws } from './aws/manifest.ts';
import { manifest as gcp } from './gcp/manifest.ts';
import { manifest as github } from './github/manifest.ts';
import { manifest as manual } from './manual/manifest.ts';
import { manifest as vault } from './vault/manifest.ts';
import { manifest as webhook } from './webhook/manifest.ts';

/** What every provider can do, as pure data; planner, docs and judge read it without loading a provider. */
export const manifests: Readonly<Record<string, ProviderManifest>> = { aws, gcp, vault, webhook, github, manual };
