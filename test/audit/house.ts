import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import type { CommonDeps, JudgeDeps, ProviderDeps } from '../../activities/index.ts';
import { createJudgeActivities, createProviderActivities } from '../../activities/index.ts';
import { dataConverterFor, EncryptionCodec, openKeyring } from '../../audit/codec.ts';
import { readKey, readKeys, readStoreKey } from '../../audit/keys.ts';
import { createRecords } from '../../audit/records.ts';
import { createSealing } from '../../audit/sealing.ts';
import { type Signer, signerFrom, verifyEnvelope } from '../../audit/signing.ts';
import { type BlobStore, openDirectoryDrop, openDirectoryStore, type SealedDrop } from '../../audit/store.ts';
import type { InitializedTrust } from '../../audit/trust.ts';
import { hashOf } from '../../domain/canonical.ts';
import type { AccountEntry, Configuration, Pace } from '../../domain/configuration.ts';
import { judgeQueue, queueOf } from '../../domain/manifest.ts';
import { SearchAttribute } from '../../domain/messages.ts';
import { parsePolicy } from '../../domain/policy.schema.ts';
import { PayloadType } from '../../domain/record.ts';
import { KeyRole, type People, type Trust } from '../../domain/trust.ts';
import type { Inventory } from '../../inventory/index.ts';
import { findServer } from '../../lab/servers/find.ts';
import type { WorkflowCode } from '../../workers/bundle.ts';

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
  /** Starts a judge, and a worker for each account, in this process; they run until they are stopped. */
  staffed(on: Staffing): Promise<{ stop(): Promise<void> }>;
}

/** Who works in a house: what the judge judges by, and what each account's worker works on. */
export interface Staffing {
  readonly code: WorkflowCode;
  readonly accounts: readonly AccountEntry[];
  readonly policy: string;
  readonly inventory: Inventory;
  readonly manifests: JudgeDeps['manifests'];
  /** What judge and workers have besides, such as authorisations. */
  readonly more?: Pick<JudgeDeps, 'authorisations'>;
  /** What the worker of an account has of its own; `keys` is the folder of its keys. */
  provider(entry: AccountEntry, keys: string): Pick<ProviderDeps, 'connection' | 'timing'> & Partial<ProviderDeps>;
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
  const house: House = {
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
    async staffed({ code, accounts, policy: text, inventory, manifests, more = {}, provider }) {
      const policy = parsePolicy(text, 'policy.yaml');
      const judge = house.common(paths.judge);
      const shared = { connection: environment.nativeConnection, namespace: environment.namespace ?? 'default', dataConverter };
      const workers = await Promise.all([
        Worker.create({
          ...shared,
          taskQueue: judgeQueue,
          workflowBundle: { code: code.code },
          sinks: { audit: { scheduled: { fn: () => undefined, callDuringReplay: false } } },
          activities: createJudgeActivities({
            ...judge.deps,
            ...more,
            configuration: house.configured(accounts, text, {
              recheckMs: 200,
              pace: { heartbeatMs: 3_000, retryCeilingMs: 1_000, stuckAfterMs: 20_000 },
            }),
            accounts,
            policy: () => ({ policy, hash: hashOf(policy), text }),
            inventory: () => inventory,
            manifests,
            client: environment.client,
            workflowCode: code,
            codecs: [house.codec],
            signStatement: (content) => judge.signer.sign(PayloadType.STATEMENT, content),
          }),
        }),
        ...accounts.map((entry) => {
          const keys = paths.providers[`${entry.provider}-${entry.account}`] as string;
          const sealing = createSealing({
            drop: house.drop,
            keys: readKeys(join(keys, 'sealing')).filter((key) => key.role === KeyRole.SEALING),
            trust: now.trust,
            engine,
          });
          return Worker.create({
            ...shared,
            taskQueue: queueOf(entry.provider, entry.account),
            activities: createProviderActivities({
              ...house.common(keys).deps,
              ...more,
              provider: entry.provider,
              account: entry.account,
              mode: entry.mode,
              sealing,
              ownTargets: [],
              ...provider(entry, keys),
            }),
          });
        }),
      ]);
      const running = workers.map((worker) => worker.run());
      return {
        async stop() {
          for (const worker of workers) worker.shutdown();
          await Promise.all(running);
        },
      };
    },
  };
  return house;
}
