import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import type { CommonDeps } from '../../activities/index.ts';
import { dataConverterFor, EncryptionCodec, openKeyring } from '../../audit/codec.ts';
import { readKey, readStoreKey } from '../../audit/keys.ts';
import { createRecords } from '../../audit/records.ts';
import { type Signer, signerFrom, verifyEnvelope } from '../../audit/signing.ts';
import { type BlobStore, openDirectoryDrop, openDirectoryStore, type SealedDrop } from '../../audit/store.ts';
import type { InitializedTrust } from '../../audit/trust.ts';
import type { AccountEntry, Configuration, Pace } from '../../domain/configuration.ts';
import { SearchAttribute } from '../../domain/messages.ts';
import type { People, Trust } from '../../domain/trust.ts';
import { findServer } from '../../lab/servers/find.ts';

/** What an engine whose workers are in the test's own process stands on: a real Temporal server, a store and a drop below a folder, and its configuration. */
export interface House {
  readonly environment: TestWorkflowEnvironment;
  readonly codec: EncryptionCodec;
  readonly dataConverter: ReturnType<typeof dataConverterFor>;
  readonly store: BlobStore;
  readonly drop: SealedDrop;
  /** The configuration; its policy is written into the folder. */
  configured(accounts: readonly AccountEntry[], policy: string, times: { readonly recheckMs: number; readonly pace: Pace }): Configuration;
  /** What every worker has, signing with the key in that folder. */
  common(folder: string): { readonly signer: Signer; readonly deps: CommonDeps };
}

/** Founds it in `home` for keys that were made before; `trust` and `people` are asked anew for each use. The environment is the caller's to tear down. */
export async function found(
  home: string,
  made: InitializedTrust,
  now: { readonly trust: () => Trust; readonly people: () => People },
): Promise<House> {
  const { engine, paths } = made;
  const keyring = openKeyring(join(paths.judge, 'codec.json'));
  const dataConverter = dataConverterFor(keyring);
  const environment = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: findServer('temporal').path },
      extraArgs: Object.values(SearchAttribute).flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
    },
    client: { dataConverter },
  });
  const store = openDirectoryStore(join(home, 'store'), readStoreKey(join(paths.judge, 'store.key')));
  return {
    environment,
    codec: new EncryptionCodec(keyring),
    dataConverter,
    store,
    drop: openDirectoryDrop(join(home, 'drop')),
    configured(accounts, policy, times) {
      const configuration: Configuration = {
        v: 1,
        engine,
        temporal: { namespace: 'default' },
        store: { directory: join(home, 'store') },
        drop: { directory: join(home, 'drop') },
        trust: paths.trust,
        people: paths.people,
        policy: join(home, 'policy.yaml'),
        inventory: join(home, 'inventory.yaml'),
        root: made.rootPublic,
        accounts,
        codec: { enabled: true },
        ...times,
      };
      writeFileSync(configuration.policy, policy);
      return configuration;
    },
    common(folder) {
      const signer = signerFrom(readKey(join(folder, 'signing.json')));
      const deps: CommonDeps = {
        engine,
        store,
        records: createRecords({ store, signer, trust: now.trust, engine }),
        trust: now.trust,
        people: now.people,
        clock: () => new Date(),
        verify: verifyEnvelope,
      };
      return { signer, deps };
    },
  };
}
