/**
 * The engine against the floor, in one run: `node --import tsx bench/engine.ts [incidents per block]`. One Temporal development server, both kinds of worker in this process, the same codec. The engine
 * runs whole (records, signatures, store, policy, planner, warrants, holds) up to the first gate over a provider whose answers are a recording and take no time; the floor is a bare
 * workflow with the same number of no-op activities in the same waves. Blocks of both alternate and the first pair is thrown away.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CreateAccessKeyCommand, CreateUserCommand, IAMClient, PutUserPolicyCommand, UpdateAccessKeyCommand } from '@aws-sdk/client-iam';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createJudgeActivities, createProviderActivities } from '../activities/index.ts';
import { dataConverterFor, openKeyring } from '../audit/codec.ts';
import { readKey, readKeys } from '../audit/keys.ts';
import { createSealing, sealFor } from '../audit/sealing.ts';
import { signerFrom } from '../audit/signing.ts';
import { openDirectoryDrop } from '../audit/store.ts';
import { initTrust, readPeople, readTrust } from '../audit/trust.ts';
import { hashOf } from '../domain/canonical.ts';
import { parseConfiguration } from '../domain/configuration.schema.ts';
import { incidentId } from '../domain/credential.ts';
import { judgeQueue, queueOf } from '../domain/manifest.ts';
import { type IncidentStatus, QueryName, SearchAttribute } from '../domain/messages.ts';
import { yes } from '../domain/observation.ts';
import { parsePolicy } from '../domain/policy.schema.ts';
import { PayloadType } from '../domain/record.ts';
import type { Report } from '../domain/report.ts';
import { Secret } from '../domain/secret.ts';
import { loadInventory } from '../inventory/index.ts';
import { startAwsSimulator } from '../lab/aws/index.ts';
import { enterPracticeEnvironment } from '../lab/environment.ts';
import { startTemporal } from '../lab/servers/temporal.ts';
import type { Action, Looked, Connection as ProviderConnection } from '../providers/contract.ts';
import { manifests } from '../providers/manifests.ts';
import { providers } from '../providers/registry.ts';
import { workflowCode } from '../workers/bundle.ts';
import { commonDeps } from '../workers/settings.ts';
import { cpuOf, percentile, row } from './figures.ts';

const perBlock = Number(process.argv[2] ?? 20);
const blocks = Number(process.argv[3] ?? 4);
const folder = mkdtempSync(join(tmpdir(), 'tourniquet-bench-'));
enterPracticeEnvironment({ home: join(folder, 'home') });
Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: 'ERROR', forward: {} } } });

const account = '210987654321';
/** Ten principals, so that fifty incidents at once are five to a hold: a run takes ten updates in flight. */
const pool = Array.from({ length: 10 }, (_, n) => `bench${n}`);
const cheap = { n: 1024, r: 8, p: 1 };
const made = initTrust({
  keys: join(folder, 'keys'),
  trust: join(folder, 'trust.yaml'),
  people: join(folder, 'people.yaml'),
  accounts: [
    { provider: 'aws', account },
    { provider: 'vault', account: 'lab' },
  ],
  persons: [{ id: 'sam', name: 'Sam', roles: ['responder', 'approver', 'security-lead'], passphrase: new Secret('bench') }],
  rootPassphrase: new Secret('bench'),
  cost: cheap,
} as Parameters<typeof initTrust>[0]);

// ---- the recording: one look before and one after a containment, from the real provider on the simulator ----
const simulator = await startAwsSimulator({
  accountId: account,
  propagationMs: 0,
  logLagMs: 0,
  journalDir: join(folder, 'aws'),
  regions: ['us-east-1'],
} as never);
const adminIam = new IAMClient({ region: 'us-east-1', endpoint: simulator.endpoint, credentials: simulator.admin });
await adminIam.send(new CreateUserCommand({ UserName: 'benchuser' }));
await adminIam.send(
  new PutUserPolicyCommand({
    UserName: 'benchuser',
    PolicyName: 'base',
    PolicyDocument: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:ListSecrets","Resource":"*"}]}',
  }),
);
const key = (await adminIam.send(new CreateAccessKeyCommand({ UserName: 'benchuser' }))).AccessKey;
const recordedId = key?.AccessKeyId ?? '';
const timing = { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 20, giveUpMs: 5000 };
const aws = await providers.aws?.();
if (!aws || !key) throw new Error('no aws provider');
const real = await aws.connect({
  provider: 'aws',
  account,
  mode: 'act',
  settings: { endpoint: simulator.endpoint, regions: ['us-east-1'], timing },
  credentials: { accessKeyId: new Secret(simulator.admin.accessKeyId), secretAccessKey: new Secret(simulator.admin.secretAccessKey) },
});
const inventoryText = JSON.stringify({
  v: 1,
  stores: pool.map((user) => ({
    id: `kv-${user}`,
    provider: 'vault',
    account: 'lab',
    path: `secret/${user}`,
    fields: { accessKeyId: 'id', secretAccessKey: 'secret' },
    principal: `arn:aws:iam::${account}:user/${user}`,
  })),
  consumers: pool.map((user) => ({
    id: `job-${user}`,
    name: 'Job',
    owner: 'olu',
    contact: 'olu@example.test',
    store: `kv-${user}`,
    overlap: true,
    rereads: '2s',
    criticality: 'production',
    networks: [],
    seenAs: { userAgent: `job-${user}` },
  })),
  repositories: [{ match: 'https://github.com/acme/', visibility: 'public', owner: 'olu' }],
  owners: [],
  protected: [],
});
const inventory = loadInventory(inventoryText, 'inventory.yaml');
const credential = { kind: 'aws.access-key', locator: { accessKeyId: recordedId } };
const lookBase = {
  credential,
  known: [],
  ours: [],
  inventory: { consumers: inventory.consumers, stores: inventory.stores } as never,
  signal: new AbortController().signal,
  heartbeat() {},
  sleep: (ms: number) => wait(ms),
  timing,
};
const before = await real.look({
  ...lookBase,
  depth: 'minimal',
  secret: new Secret(key.SecretAccessKey ?? ''),
});
await adminIam.send(new UpdateAccessKeyCommand({ UserName: 'benchuser', AccessKeyId: recordedId, Status: 'Inactive' }));
const after = await real.look({
  ...lookBase,
  depth: 'full',
  known: before.finding.graph.nodes.map((node) => node.id),
  containedAt: new Date(Date.now() - 1000).toISOString(),
});
await real.close();
await simulator.close();

const userOf = (id: string): string => pool[(id.charCodeAt(19) + id.charCodeAt(18)) % pool.length] ?? 'bench0';

function recorded(provider: string): ProviderConnection {
  const manifest = manifests[provider];
  if (!manifest) throw new Error(provider);
  const actions: Record<string, Action> = {};
  for (const entry of manifest.actions) {
    const now = () => new Date().toISOString();
    actions[entry.name] = {
      manifest: entry,
      capture: async () => ({}),
      apply: async () => ({
        outcome: 'changed',
        acceptedAt: now(),
        requestIds: ['recorded'],
        ...(entry.mints ? { made: { accessKeyId: `AKIA${'B'.repeat(16)}`, sealed: hashOf('sealed'), keyId: 'k' } } : {}),
      }),
      probe: async () => ({ observation: yes(now(), 'administrator', 'recorded'), effectiveAt: now(), requestIds: ['recorded'] }),
      ...(entry.reversibility === 'reversible'
        ? { revert: async () => ({ outcome: 'changed' as const, requestIds: [], observation: yes(now(), 'administrator', 'recorded') }) }
        : {}),
    };
  }
  const texts = { before: JSON.stringify(before), after: JSON.stringify(after) };
  return {
    provider,
    account: provider === 'aws' ? account : 'lab',
    check: async () => [],
    actions,
    close: async () => undefined,
    // The bench's incidents differ in key id and user; befores are keyed by them and are made anew.
    look: async (on) => {
      const id = on.credential.locator.accessKeyId ?? '';
      const looked = JSON.parse(
        (on.depth === 'minimal' ? texts.before : texts.after).replaceAll(recordedId, id).replaceAll('benchuser', userOf(id)),
      ) as Looked;
      const { stepKey } = await import('../domain/plan.ts');
      const befores: Record<string, unknown> = { ...looked.befores };
      const target = { account, user: userOf(id) };
      befores[stepKey('aws/disable-key', { ...target, accessKeyId: id })] = {};
      for (const name of ['deny-principal', 'cut-off-sessions']) befores[stepKey(`aws/${name}`, target)] = {};
      return { ...looked, befores };
    },
  };
}

// ---- the stage ----
writeFileSync(join(folder, 'inventory.yaml'), inventoryText);
writeFileSync(join(folder, 'policy.yaml'), readFileSync(fileURLToPath(new URL('../policies/default.yaml', import.meta.url)), 'utf8'));
for (const name of ['aws', 'vault']) writeFileSync(join(folder, `${name}.json`), '{}', { mode: 0o600 });
mkdirSync(join(folder, 'store', 'sealed'), { recursive: true });
writeFileSync(
  join(folder, 'tourniquet.yaml'),
  JSON.stringify({
    v: 1,
    engine: made.engine,
    store: { directory: 'store' },
    root: made.rootPublic,
    accounts: [
      { provider: 'aws', account, mode: 'act', credentials: 'aws.json', settings: { timing } },
      { provider: 'vault', account: 'lab', mode: 'act', credentials: 'vault.json', settings: { timing } },
    ],
    recheck: '1h',
  }),
);
const configuration = parseConfiguration(readFileSync(join(folder, 'tourniquet.yaml'), 'utf8'), join(folder, 'tourniquet.yaml'));
const temporal = await startTemporal({ directory: folder, headless: true, searchAttributes: Object.values(SearchAttribute) });
const connection = await NativeConnection.connect({ address: temporal.address });
const dataConverter = dataConverterFor(openKeyring(join(made.paths.operator, 'codec.json')));
const clientConnection = await Connection.connect({ address: temporal.address });
const client = new Client({ connection: clientConnection, dataConverter });

const gateAt = new Map<string, (at: number) => void>();
const code = await workflowCode();
const judgeCommon = commonDeps({ role: 'judge', provider: 'manual', account: 'manual', configuration, keys: made.paths.judge });
const judgeKey = readKey(join(made.paths.judge, 'signing.json'));

const policyText = readFileSync(configuration.policy, 'utf8');
const policy = parsePolicy(policyText, 'policy.yaml');
const judgeActivities = createJudgeActivities({
  ...judgeCommon,
  configuration,
  accounts: configuration.accounts,
  policy: () => ({ policy, hash: hashOf(policy), text: policyText }),
  inventory: () => inventory,
  manifests,
  client: new Client({ connection, dataConverter }),
  workflowCode: code,
  codecs: dataConverter.payloadCodecs ?? [],
  signStatement: (body) => signerFrom(judgeKey).sign(PayloadType.STATEMENT, body),
});
const shared = { connection, dataConverter, maxConcurrentActivityTaskExecutions: 200 };
const sinks = { audit: { scheduled: { fn: () => undefined, callDuringReplay: false } } };
const workers = [
  await Worker.create({
    ...shared,
    taskQueue: judgeQueue,
    workflowBundle: { code: code.code },
    sinks,
    maxCachedWorkflows: 500,
    activities: {
      ...judgeActivities,
      recordGate: async (input: Parameters<typeof judgeActivities.recordGate>[0]) => {
        if (input.event === 'opened') gateAt.get(input.incident)?.(performance.now());
        return await judgeActivities.recordGate(input);
      },
    },
  }),
];
for (const [provider, name] of [
  ['aws', account],
  ['vault', 'lab'],
] as const) {
  const keys = made.paths.providers[`${provider}-${name}`] ?? '';
  const common = commonDeps({ role: 'provider', provider, account: name, configuration, keys });
  workers.push(
    await Worker.create({
      ...shared,
      taskQueue: queueOf(provider, name),
      activities: {
        ...createProviderActivities({
          ...common,
          provider,
          account: name,
          mode: 'act',
          connection: recorded(provider),
          sealing: createSealing({
            drop: openDirectoryDrop(configuration.drop.directory),
            engine: configuration.engine,
            keys: readKeys(join(keys, 'sealing')),
            trust: common.trust,
          }),
          timing,
          ownTargets: [],
        }),
      },
    }),
  );
}
const floorBundle = await bundleWorkflowCode({
  workflowsPath: fileURLToPath(new URL('./floor-workflow.ts', import.meta.url)),
  logger: new DefaultLogger('ERROR'),
});
workers.push(
  await Worker.create({
    ...shared,
    taskQueue: 'floor',
    workflowBundle: floorBundle,
    maxCachedWorkflows: 500,
    activities: { noop: async () => undefined },
  }),
);
const running = workers.map((worker) => worker.run());

// ---- the two variants ----
const trust = readTrust(configuration.trust, configuration.root);
readPeople(configuration.people, trust);
const drop = openDirectoryDrop(configuration.drop.directory);
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const suffix = () => [...randomBytes(8)].map((byte) => alphabet[byte % 32]).join('');

async function reported(): Promise<{ report: Report; id: string }> {
  // The first fourteen characters of an id hold the account, so only the rest differs.
  const accessKeyId = `${recordedId.slice(0, 14)}${suffix().slice(0, 6)}`;
  const leaked = { kind: 'aws.access-key', locator: { accessKeyId } };
  const sealed = await sealFor(trust, { provider: 'aws', account }, leaked, new Secret('x'.repeat(40)));
  await drop.put(sealed.bytes);
  const report: Report = {
    v: 1,
    id: `rpt_${suffix()}${suffix()}${suffix()}aa`.toLowerCase(),
    format: 'trufflehog',
    credential: leaked,
    account,
    origin: { where: 'repository', repository: 'https://github.com/acme/site', committedAt: new Date(Date.now() - 60_000).toISOString() },
    reporter: 'bench',
    seenAt: new Date().toISOString(),
    sealed: { hash: sealed.hash, keyId: sealed.keyId },
    claims: {},
  };
  return { report, id: incidentId(leaked) };
}

async function engineOnce(): Promise<{ ms: number; id: string }> {
  const { report, id } = await reported();
  const opened = new Promise<number>((done) => gateAt.set(id, done));
  const t0 = performance.now();
  await client.workflow.signalWithStart('leakResponse', {
    workflowId: id,
    taskQueue: judgeQueue,
    args: [],
    signal: 'sighting',
    signalArgs: [{ report }],
  });
  const late = wait(60_000, undefined, { ref: false }).then(async () => {
    const status = await client.workflow.getHandle(id).query<IncidentStatus>(QueryName.STATUS);
    throw new Error(`no gate after a minute: ${status.timeline.map((line) => line.what).join(' / ')}`);
  });
  const at = await Promise.race([opened, late]);
  gateAt.delete(id);
  return { ms: at - t0, id };
}

async function shapeOf(id: string): Promise<{ waves: number[]; events: number }> {
  const history = await client.workflow.getHandle(id).fetchHistory();
  const events = history.events ?? [];
  const gate = events.find((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'recordGate');
  const upTo = gate ? Number(gate.eventId) : events.length;
  const waves = new Map<string, number>();
  for (const event of events.slice(0, upTo)) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (!scheduled) continue;
    const task = String(scheduled.workflowTaskCompletedEventId);
    // A request to a principal-hold is an activity here and another in the hold's own run: the floor does both, one after the other.
    waves.set(task, (waves.get(task) ?? 0) + 1);
    if (scheduled.activityType?.name === 'reachHold') waves.set(`${task}h`, (waves.get(`${task}h`) ?? 0) + 1);
  }
  return { waves: [...waves.values()], events: upTo };
}

let floors = 0;
async function floorOnce(waves: readonly number[]): Promise<number> {
  const t0 = performance.now();
  await client.workflow.execute('floor', { workflowId: `floor/${process.pid}/${floors++}`, taskQueue: 'floor', args: [waves] });
  return performance.now() - t0;
}

async function block<T>(count: number, width: number, once: () => Promise<T>): Promise<{ out: T[]; worker: number; server: number }> {
  const cpu = process.cpuUsage();
  const server = cpuOf(temporal.pid);
  const out: T[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (left-- > 0) out.push(await once());
    }),
  );
  const used = process.cpuUsage(cpu);
  return { out, worker: (used.user + used.system) / 1000 / count, server: (cpuOf(temporal.pid) - server) / count };
}

const first = await engineOnce();
const shape = await shapeOf(first.id);

const activities = shape.waves.reduce((sum, each) => sum + each, 0);
console.log(
  `${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? ''}; ${activities} activities in ${shape.waves.length} waves, ${shape.events} events up to the first gate`,
);
console.log(
  row(
    'at once',
    'engine p50 ms',
    'p95',
    'floor p50 ms',
    'p95',
    'ratio p95',
    'engine CPU ms (worker + server)',
    'floor CPU ms (worker + server)',
    'ratio CPU',
  ),
);
console.log(row('---', '---', '---', '---', '---', '---', '---', '---', '---'));
for (const width of [1, 10, 50]) {
  const engineMs: number[] = [];
  const floorMs: number[] = [];
  const cpu = { engine: [0, 0], floor: [0, 0] };
  for (let n = 0; n < blocks; n++) {
    const count = Math.max(perBlock, width);
    const engine = await block(count, width, engineOnce);
    for (const { id } of engine.out)
      await client.workflow
        .getHandle(id)
        .terminate('bench')
        .catch(() => undefined);
    const floor = await block(count, width, () => floorOnce(shape.waves));
    if (n === 0) continue;
    engineMs.push(...engine.out.map((each) => each.ms));
    floorMs.push(...floor.out);
    cpu.engine[0] = (cpu.engine[0] ?? 0) + engine.worker / (blocks - 1);
    cpu.engine[1] = (cpu.engine[1] ?? 0) + engine.server / (blocks - 1);
    cpu.floor[0] = (cpu.floor[0] ?? 0) + floor.worker / (blocks - 1);
    cpu.floor[1] = (cpu.floor[1] ?? 0) + floor.server / (blocks - 1);
  }
  const [ew = 0, es = 0] = cpu.engine;
  const [fw = 0, fs = 0] = cpu.floor;
  console.log(
    row(
      width,
      percentile(engineMs, 0.5),
      percentile(engineMs, 0.95),
      percentile(floorMs, 0.5),
      percentile(floorMs, 0.95),
      (percentile(engineMs, 0.95) / percentile(floorMs, 0.95)).toFixed(2),
      `${(ew + es).toFixed(0)} (${ew.toFixed(0)} + ${es.toFixed(0)})`,
      `${(fw + fs).toFixed(0)} (${fw.toFixed(0)} + ${fs.toFixed(0)})`,
      ((ew + es) / (fw + fs)).toFixed(2),
    ),
  );
}

for (const worker of workers) worker.shutdown();
await Promise.allSettled(running);
await clientConnection.close();
await connection.close();
await temporal.stop();
rmSync(folder, { recursive: true, force: true });
process.exit(0);
