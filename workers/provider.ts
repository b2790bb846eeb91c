import { join } from 'node:path';
import { type NativeConnection, Worker } from '@temporalio/worker';
import { createProviderActivities } from '../activities/index.ts';
import { dataConverterFor } from '../audit/codec.ts';
import { readCredentials, readKeys } from '../audit/keys.ts';
import { createSealing } from '../audit/sealing.ts';
import { publishSelf } from '../audit/self.ts';
import { openDirectoryDrop } from '../audit/store.ts';
import { codeOf, fault } from '../domain/errors.ts';
import { queueOf } from '../domain/manifest.ts';
import { KeyRole } from '../domain/trust.ts';
import type { Connection, Provider, Sealing } from '../providers/contract.ts';
import { manifests } from '../providers/manifests.ts';
import { providers } from '../providers/registry.ts';
import { timingOf } from '../providers/timing.ts';
import { expectCodecKeys } from './codec-keys.ts';
import { commonDeps, type Settings, strangers } from './settings.ts';

/** One provider worker: one system, one account, its credential, its worker key and its sealing key, and nothing else. */
export async function createProviderWorker(settings: Settings, connection: NativeConnection, namespace: string): Promise<Worker[]> {
  const { configuration, provider, account, keys } = settings;
  const entry = configuration.accounts.find((each) => each.provider === provider && each.account === account);
  if (!entry) throw fault('usage.invalid', { provider, account, problem: 'the configuration has no such account' });
  const load = (Object.hasOwn(providers, provider) ? providers[provider] : undefined) ?? (await stranger(settings));
  const common = commonDeps(settings);
  await expectCodecKeys(common.store, common.keyring);
  const system = await load();
  const credentials = readCredentials(entry.credentials);
  const connected = await system.connect({ provider, account, mode: entry.mode, settings: entry.settings, credentials });
  const drop = openDirectoryDrop(configuration.drop.directory);
  const sealing = createSealing({
    drop,
    engine: configuration.engine,
    keys: readKeys(join(keys, 'sealing')).filter((key) => key.role === KeyRole.SEALING),
    trust: common.trust,
  });
  const own = new Set(configuration.self ?? []);
  const ownKey = credentials.accessKeyId?.reveal();
  if (ownKey) own.add(ownKey);
  await Promise.race([learnSelf(connected, own, { ...common, provider, account }), new Promise((go) => setTimeout(go, 5_000).unref())]);
  const worker = await Worker.create({
    connection,
    namespace,
    dataConverter: dataConverterFor(common.keyring),
    taskQueue: queueOf(provider, account),
    identity: `${provider}-${account}@${process.pid}`,
    shutdownGraceTime: '5s',
    maxConcurrentActivityTaskExecutions: 50,
    activities: {
      ...createProviderActivities({
        ...common,
        provider,
        account,
        mode: entry.mode,
        connection: connected,
        sealing,
        manifest: system.manifest,
        timing: timingOf(entry.settings, system.manifest),
        get ownTargets() {
          return [...own];
        },
        ...(entry.unaskedPerHour === undefined ? {} : { unaskedPerHour: entry.unaskedPerHour }),
      }),
    },
  });
  return [worker];
}

/** A provider of somebody else's, by the name that its manifest has. Throws `provider.unsupported` where no package has it, with what is wrong with those that are refused. */
async function stranger(settings: Settings): Promise<() => Promise<Provider>> {
  const { provider } = settings;
  const { providers: found, refused } = await strangers(settings, manifests);
  const own = Object.hasOwn(found, provider) ? found[provider] : undefined;
  if (own) return async () => own;
  throw fault('provider.unsupported', {
    provider,
    ...(refused.length > 0 ? { refused: refused.map((each) => `${each.package}: ${each.problems.join('; ')}`).join(' | ') } : {}),
  });
}

/** What we stand on may change under us, and the provider may be away at the start. */
const learnEveryMs = 600_000;
const learnAgainMs = 5_000;

/** Asks the provider what we stand on, says so to the judge, and goes on asking. Resolves after the first try, whatever came of it; what was once ours stays so for as long as the process lives. */
async function learnSelf(connected: Connection, own: Set<string>, deps: Parameters<typeof publishSelf>[0]): Promise<void> {
  if (!connected.self) return;
  let next = learnEveryMs;
  try {
    const things = await connected.self();
    for (const { id } of things) own.add(id);
    await publishSelf(deps, things);
  } catch (error) {
    next = learnAgainMs;
    process.stderr.write(
      `${JSON.stringify({ level: 'warning', message: 'what the engine itself stands on is not known yet', code: codeOf(error) })}\n`,
    );
  }
  setTimeout(() => void learnSelf(connected, own, deps), next).unref();
}

/** The sealing of a worker that has no sealing key: everything is refused by name. */
export const noSealing: Sealing = {
  open: async () => {
    throw fault('key.missing', { role: 'sealing' });
  },
  seal: async () => {
    throw fault('key.missing', { role: 'sealing' });
  },
  shred: async () => undefined,
};
