import { join } from 'node:path';
import type { TourniquetClient } from '../client/index.ts';
import type { Hash } from '../domain/canonical.ts';
import type { Setting } from './engine.ts';

/** Has the judge make the bundle of a run, takes it out of the store and writes it to a path; answers its hash and what is in it. */
export async function exportTo(
  client: TourniquetClient,
  setting: Setting,
  wanted: { readonly id: string; readonly out: string; readonly run?: string | undefined },
): Promise<{ readonly bundle: Hash; readonly events: number; readonly files: number }> {
  const { readStoreKey } = await import('../audit/keys.ts');
  const { openDirectoryStore } = await import('../audit/store.ts');
  const { unpackBundle, writeBundle } = await import('../audit/bundle.ts');
  const store = openDirectoryStore(setting.configuration.store.directory, readStoreKey(join(setting.keys, 'operator', 'store.key')));
  const { bundle, events } = await client.incident(wanted.id, wanted.run).exported();
  const files = unpackBundle(await store.get(bundle));
  writeBundle(wanted.out, files);
  return { bundle, events, files: files.size };
}
