import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { type NativeConnection, Worker } from '@temporalio/worker';
import { createJudgeActivities, createProviderActivities } from '../activities/index.ts';
import { dataConverterFor } from '../audit/codec.ts';
import { readKey, readPrivateFile } from '../audit/keys.ts';
import { signerFrom } from '../audit/signing.ts';
import { hashOf } from '../domain/canonical.ts';
import { fault } from '../domain/errors.ts';
import { judgeQueue, queueOf } from '../domain/manifest.ts';
import { parsePolicy } from '../domain/policy.schema.ts';
import { PayloadType } from '../domain/record.ts';
import { KeyRole } from '../domain/trust.ts';
import { loadInventory } from '../inventory/index.ts';
import { manifests } from '../providers/manifests.ts';
import { providers } from '../providers/registry.ts';
import { timingOf } from '../providers/timing.ts';
import { workflowCode } from './bundle.ts';
import { expectCodecKeys } from './codec-keys.ts';
import { noSealing } from './provider.ts';
import { commonDeps, fresh, readText, type Settings, strangers } from './settings.ts';

/** The judge: workflows, triage, policy, planning. It holds the engine's signing key and no credential of any provider. The `manual` provider, which touches nothing, lives here too. */
export async function createJudge(settings: Settings, connection: NativeConnection, namespace: string): Promise<Worker[]> {
  const { configuration, keys } = settings;
  const common = commonDeps(settings);
  await expectCodecKeys(common.store, common.keyring);
  const code = await workflowCode();
  const dataConverter = dataConverterFor(common.keyring);
  const client = new Client({ connection, namespace, dataConverter });
  const signing = readKey(join(keys, 'signing.json'));
  if (signing.role !== KeyRole.JUDGE) throw fault('key.missing', { folder: keys, role: 'judge' });
  const signer = signerFrom(signing);
  const policy = fresh(configuration.policy, () => {
    const text = readText(configuration.policy);
    const parsed = parsePolicy(text, configuration.policy);
    return { policy: parsed, hash: hashOf(parsed), text };
  });
  const inventory = fresh(configuration.inventory, () => loadInventory(readText(configuration.inventory), configuration.inventory));
  // A file that does not parse is said before anything starts.
  policy();
  inventory();
  common.people();

  const { manifests: foreign } = await strangers(settings, manifests);

  const activities = createJudgeActivities({
    ...common,
    configuration,
    accounts: configuration.accounts,
    policy,
    inventory,
    manifests: { ...manifests, ...foreign },
    client,
    issuers: (configuration.issuers ?? []).map(({ name, scheme, secret }) => ({
      name,
      scheme,
      secret: readPrivateFile(secret).replace(/\r?\n$/, ''),
    })),
    workflowCode: code,
    codecs: dataConverter.payloadCodecs ?? [],
    signStatement: (body) => signer.sign(PayloadType.STATEMENT, body),
  });
  const shared = { connection, namespace, dataConverter, shutdownGraceTime: '5s' as const };
  const judge = await Worker.create({
    ...shared,
    taskQueue: judgeQueue,
    identity: `judge@${process.pid}`,
    workflowBundle: { code: code.code },
    // Only a replay listens to what the code reports of its activities; here it is dropped.
    sinks: { audit: { scheduled: { fn: () => undefined, callDuringReplay: false } } },
    activities: { ...activities },
    maxCachedWorkflows: 500,
    // Workflows run on one thread, so more at once make none faster; what is fetched ahead only stands before what is more urgent, since priority is the server's and holds among what waits there.
    maxConcurrentWorkflowTaskExecutions: 6,
    maxConcurrentActivityTaskExecutions: 200,
  });

  const load = providers.manual;
  if (!load) throw fault('engine.unexpected', { provider: 'manual' });
  const manual = await load();
  const connected = await manual.connect({ provider: 'manual', account: 'manual', mode: 'act', settings: {}, credentials: {} });
  const manualWorker = await Worker.create({
    ...shared,
    taskQueue: queueOf('manual', 'manual'),
    identity: `manual@${process.pid}`,
    activities: {
      ...createProviderActivities({
        ...common,
        provider: 'manual',
        account: 'manual',
        mode: 'act',
        connection: connected,
        sealing: noSealing,
        timing: timingOf({}, manual.manifest),
        ownTargets: [],
      }),
    },
  });
  return [judge, manualWorker];
}
