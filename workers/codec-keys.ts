import type { Keyring } from '../audit/codec.ts';
import type { BlobStore } from '../audit/store.ts';
import { fault } from '../domain/errors.ts';

/**
 * Refuses to start with a ring from which a key is gone that this engine has encrypted with, and marks the present one as used. A run that met its own history without the key would
 * read other values than it read the first time, and could not go on from them; without a worker it waits, and goes on once the key is back. A key of an id that this engine never
 * used is another matter: what comes under such a one is refused as unreadable, now and in every replay.
 */
export async function expectCodecKeys(store: BlobStore, ring: Keyring | undefined): Promise<void> {
  if (ring === undefined) return;
  for (const name of await store.list('codec/')) {
    const key = name.slice('codec/'.length);
    if (!Object.hasOwn(ring.keys, key))
      throw fault('key.missing', { key, role: 'codec', why: 'histories of this engine are encrypted with it' });
  }
  await store.createIfAbsent(`codec/${ring.current}`, new TextEncoder().encode('used'));
}
