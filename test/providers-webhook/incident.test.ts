import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createJudgeActivities, createProviderActivities, type ProviderDeps } from '../../activities/index.ts';
import { newDecision, signDecision } from '../../audit/decision.ts';
import { readKey, readKeys } from '../../audit/keys.ts';
import { createSealing, sealFor } from '../../audit/sealing.ts';
import { signerFrom } from '../../audit/signing.ts';
import { initTrust } from '../../audit/trust.ts';
import type { TourniquetClient } from '../../client/index.ts';
import { hashOf } from '../../domain/canonical.ts';
import { type CredentialRef, incidentId } from '../../domain/credential.ts';
import type { IncidentStatus } from '../../domain/messages.ts';
import { yes } from '../../domain/observation.ts';
import { parsePolicy } from '../../domain/policy.schema.ts';
import { PayloadType } from '../../domain/record.ts';
import type { Report } from '../../domain/report.ts';
import { Secret } from '../../domain/secret.ts';
import { isEnded } from '../../domain/states.ts';
import { loadInventory } from '../../inventory/index.ts';
import type { Action, Connection } from '../../providers/contract.ts';
import { provider as manual } from '../../providers/manual/index.ts';
import { manifest as manualManifest } from '../../providers/manual/manifest.ts';
import { manifest as vaultManifest } from '../../providers/vault/manifest.ts';
import { provider } from '../../providers/webhook/index.ts';
import { manifest } from '../../providers/webhook/manifest.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { found } from '../audit/house.ts';
import { Hunt, throughFiles, throughRuns, throughStore } from '../canary/hunt.ts';
import { type Place, place } from './bench.ts';

/*
 * An incident of a team's own credential on the engine whole: a real Temporal server, real keys, warrants and records, and the reference endpoint of the kit.
 */

const passphrase = new Secret('a passphrase for tests');
const account = 'billing';
const policyText = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');

let closing: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});
beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('WARN'), telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
});

interface Wanted {
  readonly settings?: Record<string, unknown>;
  readonly inventory?: string;
  /** The store that a successor goes to, where the inventory has one. */
  readonly vault?: Connection;
}

async function engineAt(at: Place, credential: CredentialRef, { settings = {}, inventory: inventoryText = '', vault }: Wanted) {
  const home = mkdtempSync(join(tmpdir(), 'webhook-incident-'));
  closing.push(() => rmSync(home, { recursive: true, force: true }));
  const code = await workflowCode();
  const made = initTrust({
    keys: join(home, 'keys'),
    trust: join(home, 'trust.yaml'),
    people: join(home, 'people.yaml'),
    accounts: [
      { provider: 'webhook', account },
      { provider: 'vault', account: 'main' },
    ],
    persons: [
      { id: 'ada', name: 'Ada', roles: ['responder', 'approver'], passphrase },
      { id: 'ben', name: 'Ben', roles: ['approver', 'security-lead'], passphrase },
    ],
    rootPassphrase: passphrase,
    cost: { n: 2, r: 8, p: 1 },
    code: [code.hash],
  });
  mkdirSync(join(home, 'store'), { recursive: true });
  const { engine, paths } = made;
  const { environment, codec, dataConverter, drop, configured, common } = await found(home, made, {
    trust: () => made.trust,
    people: () => made.people,
  });
  closing.push(() => environment.teardown());
  const policy = parsePolicy(policyText, 'default.yaml');
  const inventory = loadInventory(
    `v: 1\nrepositories:\n  - { match: github.com/acme/public, visibility: public }\n${inventoryText}`,
    'inventory.yaml',
  );
  const accounts = [
    { provider: 'webhook', account, mode: 'act' as const, credentials: '', settings: {} },
    ...(vault ? [{ provider: 'vault', account: 'main', mode: 'act' as const, credentials: '', settings: {} }] : []),
  ];
  const configuration = configured(accounts, policyText, {
    recheckMs: 200,
    pace: { heartbeatMs: 3_000, retryCeilingMs: 1_000, stuckAfterMs: 20_000 },
  });
  const judge = common(paths.judge);
  const folder = paths.providers[`webhook-${account}`] as string;
  const timing = { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 20, giveUpMs: 2000 };
  const webhook: ProviderDeps = {
    ...common(folder).deps,
    provider: 'webhook',
    account,
    mode: 'act',
    connection: await provider.connect({
      provider: 'webhook',
      account,
      mode: 'act',
      settings: { url: at.url, signedAnswers: true, passSecret: ['identify'], mints: true, ...settings },
      credentials: { secret: new Secret(at.secret) },
    }),
    sealing: createSealing({ drop, keys: readKeys(join(folder, 'sealing')), trust: () => made.trust, engine }),
    timing,
    ownTargets: [],
  };
  const byHand: ProviderDeps = {
    ...judge.deps,
    provider: 'manual',
    account: 'manual',
    mode: 'act',
    connection: await manual.connect({ provider: 'manual', account: 'manual', mode: 'act', settings: {}, credentials: {} }),
    sealing: createSealing({ drop, keys: [], trust: () => made.trust, engine }),
    timing,
    ownTargets: [],
  };
  const ofVault = paths.providers['vault-main'] as string;
  const store: ProviderDeps | undefined = vault && {
    ...common(ofVault).deps,
    provider: 'vault',
    account: 'main',
    mode: 'act',
    connection: vault,
    sealing: createSealing({ drop, keys: readKeys(join(ofVault, 'sealing')), trust: () => made.trust, engine }),
    timing,
    ownTargets: [],
  };
  const shared = { connection: environment.nativeConnection, namespace: environment.namespace ?? 'default', dataConverter };
  const workers = await Promise.all([
    Worker.create({
      ...shared,
      taskQueue: 'tourniquet',
      workflowBundle: { code: code.code },
      sinks: { audit: { scheduled: { fn: () => undefined, callDuringReplay: false } } },
      activities: createJudgeActivities({
        ...judge.deps,
        configuration,
        accounts,
        policy: () => ({ policy, hash: hashOf(policy), text: policyText }),
        inventory: () => inventory,
        manifests: { webhook: manifest, vault: vaultManifest, manual: manualManifest },
        client: environment.client,
        workflowCode: code,
        codecs: [codec],
        signStatement: (content) => judge.signer.sign(PayloadType.STATEMENT, content),
      }),
    }),
    Worker.create({ ...shared, taskQueue: `tourniquet-webhook-${account}`, activities: createProviderActivities(webhook) }),
    ...(store ? [Worker.create({ ...shared, taskQueue: 'tourniquet-vault-main', activities: createProviderActivities(store) })] : []),
    Worker.create({ ...shared, taskQueue: 'tourniquet-manual-manual', activities: createProviderActivities(byHand) }),
  ]);
  const running = workers.map((worker) => worker.run());
  closing.push(async () => {
    for (const worker of workers) worker.shutdown();
    await Promise.all(running);
  });

  const leaked = at.keys.get(credential.locator.id ?? '')?.secret ?? '';
  const sealed = await sealFor(made.trust, { provider: 'webhook', account }, credential, new Secret(leaked));
  await drop.put(sealed.bytes);
  const incident = incidentId(credential);
  const report: Report = {
    v: 1,
    id: `rpt_${'1'.padStart(26, '0')}`,
    format: 'trufflehog',
    credential,
    origin: { where: 'repository', repository: 'https://github.com/acme/public', committedAt: '2026-11-01T00:00:00.000Z' },
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
    signalArgs: [{ report }],
  });
  const handle = environment.client.workflow.getHandle(incident);
  const status = () => handle.query<IncidentStatus>('status');
  const approve = async (gate: string, by: string): Promise<void> => {
    const now = await status();
    const saying = {
      engine,
      incident,
      run: now.run,
      round: now.round,
      gate,
      planHash: now.planHash ?? now.head,
      evidenceHead: now.head,
      verdict: 'approve' as const,
      reason: 'as agreed',
      by,
    };
    await handle.executeUpdate('decide', {
      args: [signDecision(signerFrom(readKey(paths.persons[by] as string, passphrase)), newDecision(saying))],
    });
  };
  return {
    status,
    /** Everywhere that something was written down: history as it stands and decoded, store and records, files but the keys'. */
    async hunt(secrets: Readonly<Record<string, string>>): Promise<Hunt> {
      const hunt = new Hunt(secrets);
      await throughRuns(hunt, { temporal: environment.client } as unknown as TourniquetClient, [codec]);
      await throughStore(hunt, judge.deps.store, join(home, 'store'));
      throughFiles(hunt, home, ['keys']);
      return hunt;
    },
    /** Waits for a status; on the way every open gate that `answer` is true of is approved, by both people. */
    async until(
      what: (status: IncidentStatus) => boolean,
      answer: (gate: IncidentStatus['gates'][number]) => boolean = () => false,
    ): Promise<IncidentStatus> {
      let now = await status();
      for (let n = 0; n < 400 && !what(now); n++) {
        for (const gate of now.gates.filter((each) => each.state === 'open' && answer(each)))
          for (const by of ['ada', 'ben']) await approve(gate.id, by).catch(() => undefined);
        await new Promise((done) => setTimeout(done, 50));
        now = await status();
      }
      if (!what(now))
        throw new Error(
          `${now.state}, round ${now.round}: ${now.timeline
            .slice(-12)
            .map(({ what: said }) => said)
            .join(' | ')}`,
        );
      return now;
    },
  };
}

/** A store that is played: it opens what the mint has sealed to it, hands it out, and its consumer then uses it. */
function playedStore(live: Map<string, string>, use: (id: string) => void): Connection {
  const now = (): string => new Date().toISOString();
  const done = (more: object = {}) => ({ outcome: 'changed' as const, acceptedAt: now(), requestIds: [], ...more });
  const actions = Object.fromEntries(
    vaultManifest.actions.map((own): [string, Action] => [
      own.name,
      {
        manifest: own,
        capture: async () => ({}),
        async apply(_target, _before, context) {
          const minted = context.made[String(context.params.mint)];
          if (own.name === 'stage-secret') {
            const secret = await context.sealing.open(minted?.sealed as never, minted?.keyId ?? '', `mint:${minted?.accessKeyId}`);
            live.set('staged', secret.reveal());
            return done({ made: { stagedPath: 'kv/ci/billing--staged/1', version: '1', accessKeyId: minted?.accessKeyId ?? '' } });
          }
          if (own.name === 'distribute-secret') {
            live.set('live', live.get('staged') ?? '');
            use((JSON.parse(live.get('live') ?? '{}') as { accessKeyId: string }).accessKeyId);
          }
          return done();
        },
        probe: async () => ({ observation: yes(now(), 'administrator', 'seen'), effectiveAt: now(), requestIds: [] }),
        ...(own.reversibility === 'reversible'
          ? { revert: async () => ({ outcome: 'already' as const, requestIds: [], observation: yes(now(), 'administrator', 'as it was') }) }
          : {}),
      },
    ]),
  );
  return {
    provider: 'vault',
    account: 'main',
    check: async () => [],
    look: () => Promise.reject(new Error('nobody looks')),
    actions,
    close: async () => undefined,
  };
}

describe('an incident of a credential of a team’s own system', () => {
  it('is contained unasked, replaced by hand, revoked once people have agreed, and comes to its end', async () => {
    const at = await place();
    closing.push(() => at.close());
    const credential = provider.identify('webhook:billing/leaked')?.credential as CredentialRef;
    const engine = await engineAt(at, credential, {});
    await engine.until(() => at.keys.get('leaked')?.state === 'contained');
    expect(
      at.calls.filter(({ changed }) => changed).map(({ permission }) => permission),
      'nothing else was changed unasked',
    ).toEqual(['contain']);
    await engine.until(
      () => at.keys.get('leaked')?.state === 'revoked',
      () => true,
    );
    const ended = await engine.until(
      ({ state }) => isEnded(state),
      () => true,
    );
    expect([ended.state, ended.contained, ended.rotated]).toEqual(['closed', 'yes', 'yes']);
    expect(['other', 'third'].map((id) => at.keys.get(id)?.state)).toEqual(['active', 'active']);
    expect(at.calls.filter(({ changed }) => changed).map(({ permission }) => permission)).toEqual(['contain', 'revoke']);
  }, 120_000);

  it('is replaced where a store is known: minted once, sealed, handed out, seen used, the old one seen quiet, and then revoked', async () => {
    const at = await place();
    closing.push(() => at.close());
    const credential = provider.identify('webhook:billing/leaked')?.credential as CredentialRef;
    const live = new Map<string, string>();
    const vault = playedStore(live, (id) => {
      const again = setInterval(
        () => at.keys.get(id)?.uses.push({ at: new Date().toISOString(), what: 'invoice.read', by: 'build/2', from: '10.1.0.7' }),
        50,
      );
      closing.push(() => clearInterval(again));
    });
    const inventory = `stores:
  - { id: ci, provider: vault, account: main, path: kv/ci/billing, fields: { accessKeyId: id, secret: secret }, principal: "webhook.credential:leaked/billing" }
consumers:
  - { id: build, name: build, owner: team-ci, contact: ci@example.test, store: ci, overlap: true, rereads: 1s, criticality: production, seenAs: { userAgent: build } }
`;
    const engine = await engineAt(at, credential, { inventory, vault });
    const ended = await engine.until(
      ({ state }) => isEnded(state),
      () => true,
    );
    expect([ended.state, ended.contained, ended.rotated]).toEqual(['closed', 'yes', 'yes']);
    const successors = [...at.keys.values()].filter(({ mintedBy }) => mintedBy !== undefined);
    expect(successors.map(({ state }) => state)).toEqual(['active']);
    expect(JSON.parse(live.get('live') ?? '{}')).toEqual({ accessKeyId: successors[0]?.id, secret: successors[0]?.secret });
    expect(at.keys.get('leaked')?.state).toBe('revoked');
    expect(at.calls.filter(({ changed }) => changed).map(({ permission }) => permission)).toEqual([
      'contain',
      'mint',
      'activate',
      'revoke',
    ]);

    // Neither what both sides sign with nor any credential's secret is anywhere; an id, which is no secret, shows that the hunt finds what is there.
    const hunted = await engine.hunt({
      'the signing secret': at.secret,
      'its bytes': at.secret.slice('whsec_'.length),
      ...Object.fromEntries([...at.keys.values()].map(({ id, secret }) => [`the secret of ${id}`, secret])),
    });
    expect(hunted.findings).toEqual([]);
    const control = await engine.hunt({ 'the id of the successor': successors[0]?.id ?? '' });
    expect(new Set(control.findings.map(({ kind }) => kind))).toContain('record');
  }, 120_000);

  it('of a system that cannot undo is revoked only once people have agreed', async () => {
    const at = await place();
    closing.push(() => at.close());
    const credential = provider.identify('webhook-one-way:billing/leaked')?.credential as CredentialRef;
    const engine = await engineAt(at, credential, { settings: { reversible: false } });
    const asked = await engine.until(({ gates }) => gates.some(({ state }) => state === 'open'));
    expect(at.keys.get('leaked')?.state).toBe('active');
    expect(asked.gates.map(({ reason }) => reason)).toContain('irreversible');
    await engine.until(
      () => at.keys.get('leaked')?.state === 'revoked',
      () => true,
    );
  }, 120_000);
});
