import type { ProviderManifest } from '../../domain/manifest.ts';
import { manifests as shipped } from '../../providers/manifests.ts';
import { aws } from './aws.ts';
import { declared } from './declared.ts';
import type { KindKnowledge } from './kind.ts';

/** Manifests by provider name. */
export type Manifests = Readonly<Record<string, ProviderManifest>>;

/** What takes more than a manifest can say. */
const ofItsOwn: Readonly<Record<string, KindKnowledge>> = { aws };

/** A manifest is pure data, and what is known by it is made once. */
const known = new WeakMap<ProviderManifest, { readonly knowledge: KindKnowledge | undefined }>();

/** How to contain and rotate in a system, by its manifest; undefined where nobody knows, and everything goes to a person. */
export function knowledgeOf(provider: string, manifests: Manifests = shipped): KindKnowledge | undefined {
  const own = Object.hasOwn(ofItsOwn, provider) ? ofItsOwn[provider] : undefined;
  if (own) return own;
  const manifest = Object.hasOwn(manifests, provider) ? manifests[provider] : undefined;
  if (!manifest) return undefined;
  const there = known.get(manifest);
  if (there) return there.knowledge;
  const knowledge = declared(manifest);
  known.set(manifest, { knowledge });
  return knowledge;
}
