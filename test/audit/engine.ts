import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { createJudgeActivities, createProviderActivities, type ProviderDeps } from '../../activities/index.ts';
import { type BundleFiles, unpackBundle } from '../../audit/bundle.ts';
import { newDecision, signDecision } from '../../audit/decision.ts';
import type { History } from '../../audit/history.ts';
import { readKey } from '../../audit/keys.ts';
import type { Records } from '../../audit/records.ts';
import { createSealing, sealFor } from '../../audit/sealing.ts';
import { signerFrom } from '../../audit/signing.ts';
import type { BlobStore } from '../../audit/store.ts';
import { type InitializedTrust, initTrust } from '../../audit/trust.ts';
import { hashOf } from '../../domain/canonical.ts';
import { incidentId } from '../../domain/credential.ts';
import type { Decision, DecisionVerdict } from '../../domain/decision.ts';
import type { ExportResult, IncidentStatus } from '../../domain/messages.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import { stepKey } from '../../domain/plan.ts';
import { parsePolicy } from '../../domain/policy.schema.ts';
import { PayloadType } from '../../domain/record.ts';
import type { Report } from '../../domain/report.ts';
import { Secret } from '../../domain/secret.ts';
import type { People, Trust } from '../../domain/trust.ts';
import { loadInventory } from '../../inventory/index.ts';
import { knowledgeOf } from '../../planning/kinds/index.ts';
import { manifest as awsManifest } from '../../providers/aws/manifest.ts';
import type { Action, Connection, Looked } from '../../providers/contract.ts';
import { manifest as vaultManifest } from '../../providers/vault/manifest.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { a, account, arn, user } from '../planning/fixtures.ts';
import { found } from './house.ts';

/*
 * The engine whole, on a real Temporal server and with real keys, over accounts that are played: for bundles with everything in them that a real one has, in a
 * few seconds. What providers really do is other tests' matter.
 */

export const manifests = { aws: awsManifest, vault: vaultManifest };
/** A key id that names the played account, as AWS's own do. */
export const leakedKey = 'AKIARTX3GSDSQLEAKED2';
const passphrase = new Secret('a passphrase for tests');
const secretValue = 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxx';
const credential = { kind: 'aws.access-key', locator: { accessKeyId: leakedKey } };

const inventoryText = `
v: 1
stores:
  - { id: ci, provider: vault, account: main, path: kv/ci/deployer, fields: { accessKeyId: id, secretAccessKey: secret }, principal: "${arn}" }
consumers:
  - { id: build, name: build, owner: team-ci, contact: ci@example.test, store: ci, overlap: true, rereads: 2s, criticality: production, seenAs: { userAgent: build } }
repositories:
  - { match: github.com/acme/private, visibility: internal }
  - { match: github.com/acme/public, visibility: public }
owners:
  - { principal: "${arn}", owner: olga }
`;

/** The played accounts: which keys there are, and what time it is there. */
class PlayedWorld {
  readonly keys = new Map<string, { active: boolean; issuedAt: string }>([
    [leakedKey, { active: true, issuedAt: '2026-01-01T00:00:00.000Z' }],
  ]);
  aheadMs = 0;
  minted = 0;
  readonly changes: string[] = [];
  now = (): string => new Date(Date.now() + this.aheadMs).toISOString();
}

function actionsOf(world: PlayedWorld, provider: 'aws' | 'vault'): Record<string, Action> {
  const request = () => [`req-${randomUUID().slice(0, 8)}`];
  return Object.fromEntries(
    manifests[provider].actions.map((manifest): [string, Action] => [
      manifest.name,
      {
        manifest,
        capture: async (target) => ({ ...target, at: world.now() }),
        async apply(target, _before, context) {
          const key = world.keys.get(target.accessKeyId ?? '');
          const at = world.now();
          world.changes.push(`${provider}/${manifest.name} ${Object.values(target).join(' ')}`);
          const applied = { outcome: 'changed' as const, acceptedAt: at, requestIds: request() };
          switch (manifest.name) {
            case 'disable-key':
              if (key) key.active = false;
              return applied;
            case 'delete-key':
              world.keys.delete(target.accessKeyId ?? '');
              return applied;
            case 'mint-key': {
              const accessKeyId = `AKIAQOURS${String(++world.minted).padStart(11, '0')}`;
              world.keys.set(accessKeyId, { active: true, issuedAt: at });
              const sealed = await context.sealing.seal(new Secret('a new secret'), { provider: 'vault', account: 'main' }, accessKeyId);
              return { ...applied, made: { accessKeyId, sealed: sealed.hash, keyId: sealed.keyId } };
            }
            case 'cut-off-sessions': {
              const until = new Date(Date.parse(at) + 36 * 3_600_000).toISOString();
              return { ...applied, descendantsDieAt: until, residual: { what: `cut-off on ${user}`, target: arn, until } };
            }
            case 'stage-secret':
              return { ...applied, made: { stagedPath: `${target.path}--staged/${context.step}`, version: '1' } };
            default:
              return applied;
          }
        },
        async probe() {
          const at = world.now();
          return { observation: yes(at, 'administrator', 'seen in effect'), effectiveAt: at, requestIds: request() };
        },
        async revert(target, before) {
          world.changes.push(`undo ${provider}/${manifest.name} ${Object.values(target).join(' ')} to ${JSON.stringify(before)}`);
          const key = world.keys.get(target.accessKeyId ?? '');
          if (manifest.name === 'disable-key' && key) key.active = true;
          return { outcome: 'changed' as const, requestIds: request(), observation: yes(world.now(), 'administrator', 'taken back') };
        },
      } satisfies Action,
    ]),
  );
}

function awsConnection(world: PlayedWorld): Connection {
  return {
    provider: 'aws',
    account,
    check: async () => [],
    async look(): Promise<Looked> {
      const at = world.now();
      const nodes = [...new Set([leakedKey, ...world.keys.keys()])].map((id) => {
        const key = world.keys.get(id);
        const live = key?.active
          ? yes(at, 'administrator', 'listed as Active')
          : no(at, 'administrator', key ? 'listed as Inactive' : 'not listed');
        return a.keyNode(id, { issuedAt: key?.issuedAt ?? at, ...(key && { status: key.active ? 'Active' : 'Inactive' }), live });
      });
      const leaked = nodes[0]?.credential;
      const finding = a.finding(nodes, {
        ...(leaked && { live: leaked.live }),
        providerTime: at,
        possession: yes(at, 'probe', 'accepted once'),
        misuse: unknown(at, 'log', 'it was not read'),
        logs: [{ source: 'cloudtrail', from: '2026-01-01T00:00:00.000Z', passed: yes(at, 'log', 'marker seen'), blind: ['data events'] }],
        slots: { used: world.keys.size, limit: 2 },
        swept: yes(at, 'log', 'the marker came by'),
        requestIds: ['req-look'],
      });
      const aws = knowledgeOf('aws');
      const principal = aws?.principal(arn, account);
      const befores: Record<string, unknown> = {};
      if (aws && principal) {
        const levers = [
          aws.deny(principal),
          aws.cutOff(principal),
          ...nodes.flatMap(({ credential: node }) => (node ? [aws.disable(node, principal), aws.remove(node, principal)] : [])),
        ];
        for (const lever of levers) if (lever) befores[stepKey(`aws/${lever.action}`, lever.target)] = { at };
      }
      return { finding, befores, evidence: { keys: [...world.keys.keys()] } };
    },
    actions: actionsOf(world, 'aws'),
    close: async () => undefined,
  };
}

export interface Played {
  /** Sends anything under any signal's name. */
  signal(name: string, value: unknown): Promise<void>;
  readonly trust: InitializedTrust;
  readonly incident: string;
  status(): Promise<IncidentStatus>;
  until(what: (status: IncidentStatus) => boolean): Promise<IncidentStatus>;
  /** Signs and sends a decision over the present plan; `change` makes it wrong. */
  decide(by: string, gate: string, verdict: DecisionVerdict, change?: Partial<Decision>): Promise<unknown>;
  report(id: string): Promise<void>;
  /** Moves the clock of the accounts on, so that dated residuals come due. */
  later(ms: number): void;
  /** What somebody has who got at everything but the signing keys: the server's history as it stands there, the store, and the codec. */
  readonly loot: { history(): Promise<History>; readonly store: BlobStore; readonly codec: PayloadCodec };
  /** What somebody has who may do everything in the namespace. */
  readonly inside: { readonly client: Client; readonly namespace: string; readonly records: Records };
  /** What was done in the accounts, and taken back: action and target, in order. */
  changes(): readonly string[];
  /** Another trust, and other people, for all workers at once. */
  trusting(trust: Trust, people?: People): void;
  /** The provider worker's activities by themselves, as another configuration would have them. */
  worker(of: Partial<ProviderDeps>): ReturnType<typeof createProviderActivities>;
  /** The bundle as the engine exports it. */
  export(untilEnded: boolean): Promise<{ files: BundleFiles; zip: Uint8Array }>;
}

let quieted = false;
function quiet(): void {
  if (!quieted) Runtime.install({ logger: new DefaultLogger('WARN'), telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
  quieted = true;
}

/** Plays one incident of the leaked key found in the given repository. */
export async function play<T>(repository: 'acme/private' | 'acme/public', body: (played: Played) => Promise<T>): Promise<T> {
  quiet();
  const home = mkdtempSync(join(tmpdir(), 'engine-'));
  const at = (...parts: string[]) => join(home, ...parts);
  const code = await workflowCode();
  const made = initTrust({
    keys: at('keys'),
    trust: at('trust.yaml'),
    people: at('people.yaml'),
    accounts: [
      { provider: 'aws', account },
      { provider: 'vault', account: 'main' },
    ],
    persons: [
      { id: 'ada', name: 'Ada', roles: ['responder', 'approver'], passphrase },
      { id: 'ben', name: 'Ben', roles: ['approver', 'security-lead'], passphrase },
      { id: 'cleo', name: 'Cleo', roles: ['guest'], passphrase },
      { id: 'olga', name: 'Olga', roles: ['approver'], passphrase },
    ],
    rootPassphrase: passphrase,
    cost: { n: 2, r: 8, p: 1 },
    code: [code.hash],
  });
  mkdirSync(at('store'), { recursive: true });
  const { engine, paths } = made;
  let { trust, people } = made;
  const { environment, codec, dataConverter, store, drop, configured, common } = await found(at(), made, {
    trust: () => trust,
    people: () => people,
  });
  const policyText = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
  const policy = parsePolicy(policyText, 'default.yaml');
  const inventory = loadInventory(inventoryText, 'inventory.yaml');
  const world = new PlayedWorld();
  const accounts = [
    { provider: 'aws', account, mode: 'act' as const, credentials: '', settings: {} },
    { provider: 'vault', account: 'main', mode: 'act' as const, credentials: '', settings: {} },
  ];
  const configuration = configured(accounts, policyText, {
    recheckMs: 200,
    pace: { heartbeatMs: 3_000, retryCeilingMs: 1_000, stuckAfterMs: 20_000 },
  });
  const judge = common(paths.judge);
  const connections: Record<string, Connection> = {
    aws: awsConnection(world),
    vault: {
      provider: 'vault',
      account: 'main',
      check: async () => [],
      look: async () => Promise.reject(new Error('not looked at')),
      actions: actionsOf(world, 'vault'),
      close: async () => undefined,
    },
  };
  const workerDeps = (entry: (typeof accounts)[number]): ProviderDeps => ({
    ...common(paths.providers[`${entry.provider}-${entry.account}`] as string).deps,
    provider: entry.provider,
    account: entry.account,
    mode: entry.mode,
    connection: connections[entry.provider] as Connection,
    sealing: createSealing({ drop, keys: [], trust: () => trust, engine }),
    timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 20, giveUpMs: 2000 },
    ownTargets: [],
  });
  const shared = { connection: environment.nativeConnection, namespace: environment.namespace ?? 'default', dataConverter };
  const workers = [
    await Worker.create({
      ...shared,
      taskQueue: 'tourniquet',
      workflowBundle: { code: code.code },
      sinks: { audit: { scheduled: { fn: () => undefined, callDuringReplay: false } } },
      activities: {
        ...createJudgeActivities({
          ...judge.deps,
          configuration,
          accounts,
          policy: () => ({ policy, hash: hashOf(policy), text: policyText }),
          inventory: () => inventory,
          manifests,
          client: environment.client,
          workflowCode: code,
          codecs: [codec],
          signStatement: (content) => judge.signer.sign(PayloadType.STATEMENT, content),
        }),
      },
    }),
    ...(await Promise.all(
      accounts.map(async (entry) =>
        Worker.create({
          ...shared,
          taskQueue: `tourniquet-${entry.provider}-${entry.account}`,
          activities: { ...createProviderActivities(workerDeps(entry)) },
        }),
      ),
    )),
  ];
  const incident = incidentId(credential);
  const sealed = await sealFor(trust, { provider: 'aws', account }, credential, new Secret(secretValue));
  await drop.put(sealed.bytes);
  const report = async (id: string): Promise<void> => {
    const sighting: Report = {
      v: 1,
      id,
      format: 'trufflehog',
      credential,
      origin: {
        where: 'repository',
        repository: `https://github.com/${repository}`,
        committedAt: '2026-11-01T00:00:00.000Z',
        file: '<script>.env',
      },
      reporter: 'scanner',
      seenAt: new Date().toISOString(),
      sealed: { hash: sealed.hash, keyId: sealed.keyId },
      claims: {},
    };
    await environment.client.workflow.signalWithStart('leakResponse', {
      workflowId: incident,
      taskQueue: 'tourniquet',
      args: [],
      signal: 'sighting',
      signalArgs: [{ report: sighting }],
    });
  };
  const handle = environment.client.workflow.getHandle(incident);
  const status = () => handle.query<IncidentStatus>('status');
  const played: Played = {
    trust: made,
    incident,
    status,
    report,
    later: (ms) => {
      world.aheadMs += ms;
    },
    async until(what) {
      let now: IncidentStatus | undefined;
      for (let n = 0; n < 200; n++) {
        now = await status();
        if (what(now)) return now;
        await new Promise((done) => setTimeout(done, 50));
      }
      throw new Error(
        `it never came to that: ${now?.state}, round ${now?.round}: ${now?.timeline
          .slice(-12)
          .map((line) => line.what)
          .join(' | ')}`,
      );
    },
    async decide(by, gate, verdict, change = {}) {
      const now = await status();
      const { engine: _, incident: _i, run: _r, ...rest } = change;
      const saying = {
        engine: change.engine ?? engine,
        incident: change.incident ?? incident,
        run: change.run ?? now.run,
        round: now.round,
        gate,
        planHash: now.planHash ?? now.head,
        evidenceHead: now.head,
        verdict,
        reason: 'as agreed',
        by,
      };
      const signer = signerFrom(readKey(paths.persons[by] as string, passphrase));
      const signed = signDecision(signer, { ...newDecision(saying), ...rest });
      return handle.executeUpdate('decide', { args: [signed] });
    },
    signal: (name, value) => handle.signal(name, value),
    loot: {
      history: async () => await environment.client.workflow.getHandle(incident, runs.at(-1)).fetchHistory(),
      store,
      codec,
    },
    inside: { client: environment.client, namespace: environment.namespace ?? 'default', records: judge.deps.records },
    changes: () => [...world.changes],
    trusting(next, others) {
      trust = next;
      people = others ?? people;
    },
    worker: (of) => createProviderActivities({ ...workerDeps(accounts[0] as (typeof accounts)[number]), ...of }),
    async export(untilEnded) {
      const { run } = untilEnded ? { run: runs.at(-1) as string } : await status();
      const result: ExportResult = await environment.client.workflow.execute('archive', {
        workflowId: `archive/${randomUUID()}`,
        taskQueue: 'tourniquet',
        args: [{ incident, run, untilEnded }],
      });
      const zip = await store.get(result.bundle);
      return { files: unpackBundle(zip), zip };
    },
  };
  const runs: string[] = [];
  const running = workers.map((worker) => worker.run());
  try {
    await report(`rpt_${'1'.padStart(26, '0')}`);
    runs.push((await played.until(() => true)).run);
    return await body(played);
  } finally {
    for (const worker of workers) worker.shutdown();
    await Promise.all(running);
    await environment.teardown();
  }
}
