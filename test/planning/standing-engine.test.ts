import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signAuthorisation } from '../../audit/authorisations.ts';
import { authorisationPath, type BundleFiles, unpackBundle } from '../../audit/bundle.ts';
import { readKey } from '../../audit/keys.ts';
import { replayInChild } from '../../audit/replay.ts';
import { sealFor } from '../../audit/sealing.ts';
import { type InitializedTrust, initTrust } from '../../audit/trust.ts';
import { verifyBundle } from '../../audit/verify.ts';
import { type Authorisation, authorisationHash, type SignedAuthorisation } from '../../domain/authorisation.ts';
import { incidentId, nodeId } from '../../domain/credential.ts';
import type { ExportResult, IncidentStatus } from '../../domain/messages.ts';
import { no, yes } from '../../domain/observation.ts';
import { stepKey } from '../../domain/plan.ts';
import type { Report } from '../../domain/report.ts';
import { Secret } from '../../domain/secret.ts';
import { loadInventory } from '../../inventory/index.ts';
import type { Action, Connection, Looked } from '../../providers/contract.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { found, type House } from '../audit/house.ts';
import { a } from './fixtures.ts';
import { forge, node } from './systems.ts';

/*
 * The engine whole, on a real Temporal server and with real keys, over a played system whose tokens can only be ended for good. Nobody answers anything in these tests.
 */

const passphrase = new Secret('a passphrase for tests');
const manifests = { forge };
const policyText = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
const inventory = loadInventory(
  'v: 1\nstores: []\nconsumers: []\nrepositories:\n  - { match: github.com/acme/public, visibility: public }\n  - { match: github.com/acme/private, visibility: internal }\nowners: []\n',
  'inventory.yaml',
);

/** Tokens by name; a deploy key that somebody uses hangs on those that have one. */
const tokens = new Map<string, { alive: boolean; readonly bears: boolean }>();
const calls: string[] = [];

function connection(): Connection {
  const actions = Object.fromEntries(
    forge.actions.map((manifest): [string, Action] => [
      manifest.name,
      {
        manifest,
        capture: async (target) => ({ ...target }),
        async apply(target) {
          calls.push(`${manifest.name} ${target.hashed ?? target.id}`);
          const token = tokens.get(target.hashed ?? '');
          if (token) token.alive = false;
          return { outcome: 'changed', acceptedAt: new Date().toISOString(), requestIds: [randomUUID()] };
        },
        async probe(target) {
          const at = new Date().toISOString();
          const gone = tokens.get(target.hashed ?? '')?.alive === false;
          return { observation: gone ? yes(at, 'probe', 'refused') : no(at, 'probe', 'accepted'), effectiveAt: at, requestIds: [] };
        },
      },
    ]),
  );
  return {
    provider: 'forge',
    account: 'here',
    check: async () => [],
    async look({ credential }): Promise<Looked> {
      const at = new Date().toISOString();
      const hashed = credential.locator.hashed ?? '';
      const token = tokens.get(hashed);
      const live = token?.alive ? yes(at, 'administrator', 'listed') : no(at, 'administrator', 'not listed');
      const root = node(
        'forge.token',
        { hashed },
        { live, issuedAt: '2026-01-01T00:00:00.000Z', ...(token?.alive ? {} : { status: 'absent' }) },
      );
      const key = node(
        'forge.deploy-key',
        { repository: 'shop', id: '7' },
        { derivedVia: 'personal token', issuedAt: '2026-02-01T00:00:00.000Z', lastUsed: { at: '2026-10-01T00:00:00.000Z' }, live },
      );
      const nodes = token?.bears ? [root, key] : [root];
      const edges = token?.bears ? [a.edge(root.id, key.id)] : [];
      const { principal: _, ...finding } = a.finding(
        nodes,
        { provider: 'forge', account: 'here', live, providerTime: at, swept: yes(at, 'log', 'passed') },
        edges,
      );
      const target = { account: 'here', hashed };
      return {
        finding: { ...finding, possession: yes(at, 'probe', 'accepted') },
        befores: { [stepKey('forge/revoke-token', target)]: target },
        evidence: {},
      };
    },
    actions,
    close: async () => undefined,
  };
}

let house: House;
let made: InitializedTrust;
let staff: Awaited<ReturnType<House['staffed']>>;
let inForce: readonly SignedAuthorisation[] = [];

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('WARN'), telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
  const home = mkdtempSync(join(tmpdir(), 'standing-'));
  const code = await workflowCode();
  made = initTrust({
    keys: join(home, 'keys'),
    trust: join(home, 'trust.yaml'),
    people: join(home, 'people.yaml'),
    accounts: [{ provider: 'forge', account: 'here' }],
    persons: [
      { id: 'ada', name: 'Ada', roles: ['responder', 'approver'], passphrase },
      { id: 'ben', name: 'Ben', roles: ['security-lead'], passphrase },
    ],
    rootPassphrase: passphrase,
    cost: { n: 2, r: 8, p: 1 },
    code: [code.hash],
  });
  mkdirSync(join(home, 'store'), { recursive: true });
  house = await found(home, made, { trust: () => made.trust, people: () => made.people });
  const accounts = [{ provider: 'forge', account: 'here', mode: 'act' as const, credentials: '', settings: {} }];
  staff = await house.staffed({
    code,
    accounts,
    policy: policyText,
    inventory,
    manifests,
    more: { authorisations: () => inForce },
    provider: () => ({
      manifest: forge,
      connection: connection(),
      timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 20, giveUpMs: 2000 },
    }),
  });
}, 120_000);

afterAll(async () => {
  await staff.stop();
  await house.environment.teardown();
});

const signed = (over: Partial<Authorisation> = {}): SignedAuthorisation => {
  const authorisation: Authorisation = {
    v: 1,
    engine: made.engine,
    id: `auth_${randomUUID().slice(0, 8)}`,
    kinds: ['forge.token'],
    perHour: 5,
    cascadeMs: 600_000,
    reason: 'as agreed',
    notBefore: new Date(Date.now() - 60_000).toISOString(),
    expires: new Date(Date.now() + 3_600_000).toISOString(),
    ...over,
  };
  return ['ada', 'ben'].reduce<SignedAuthorisation>(
    (so, person) => signAuthorisation(so, readKey(made.paths.persons[person] as string, passphrase)),
    { authorisation, signatures: [] },
  );
};

/** Reports a token as found in a repository, with its secret, and follows the incident. */
async function leak(bears: boolean, repository = 'acme/public') {
  const hashed = randomUUID().replaceAll('-', '');
  tokens.set(hashed, { alive: true, bears });
  const credential = { kind: 'forge.token', locator: { hashed } };
  const sealed = await sealFor(made.trust, { provider: 'forge', account: 'here' }, credential, new Secret('the token itself'));
  await house.drop.put(sealed.bytes);
  const report: Report = {
    v: 1,
    id: `rpt_${randomUUID().replaceAll('-', '').slice(0, 26)}`,
    format: 'trufflehog',
    credential,
    origin: { where: 'repository', repository: `https://github.com/${repository}`, committedAt: '2026-11-01T00:00:00.000Z', file: '.env' },
    reporter: 'scanner',
    seenAt: new Date().toISOString(),
    sealed: { hash: sealed.hash, keyId: sealed.keyId },
    claims: {},
  };
  const id = incidentId(credential);
  await house.environment.client.workflow.signalWithStart('leakResponse', {
    workflowId: id,
    taskQueue: 'tourniquet',
    args: [],
    signal: 'sighting',
    signalArgs: [{ report }],
  });
  const handle = house.environment.client.workflow.getHandle(id);
  return {
    hashed,
    credential,
    async until(what: (status: IncidentStatus) => boolean): Promise<IncidentStatus> {
      let now: IncidentStatus | undefined;
      for (let n = 0; n < 300; n++) {
        now = await handle.query<IncidentStatus>('status');
        if (what(now)) return now;
        await new Promise((done) => setTimeout(done, 50));
      }
      throw new Error(`it never came to that: ${now?.state}: ${now?.timeline.map((line) => line.what).join(' | ')}`);
    },
    async bundle(run: string): Promise<BundleFiles> {
      const result: ExportResult = await house.environment.client.workflow.execute('archive', {
        workflowId: `archive/${randomUUID()}`,
        taskQueue: 'tourniquet',
        args: [{ incident: id, run, untilEnded: false }],
      });
      return unpackBundle(await house.store.get(result.bundle));
    },
  };
}
const stepOf = (status: IncidentStatus) => [...status.steps, ...status.earlier].find((each) => each.action === 'forge/revoke-token');
const isRevoked = (status: IncidentStatus) => stepOf(status)?.state === 'done';
const isAsked = (status: IncidentStatus) => status.gates.some((gate) => gate.state === 'open');

describe('a token in public, nobody awake', () => {
  it('is revoked under the standing authorisation, which the record names and an auditor judges again', { timeout: 120_000 }, async () => {
    const leave = signed();
    inForce = [leave];
    const incident = await leak(false);
    const status = await incident.until((each) => isRevoked(each) && each.contained === 'yes');
    expect([tokens.get(incident.hashed)?.alive, stepOf(status)?.gate]).toEqual([false, undefined]);
    const files = await incident.bundle(status.run);
    const hash = authorisationHash(leave);
    const records = [...files]
      .filter(([path]) => path.startsWith('records/'))
      .map(([, bytes]) => Buffer.from(JSON.parse(Buffer.from(bytes).toString()).payload, 'base64').toString());
    expect(records.filter((each) => JSON.parse(each).type === 'step').map((each) => JSON.parse(each).body.authorisation)).toEqual([hash]);
    const verify = async (changed: BundleFiles) => await verifyBundle(changed, { trust: made.trust, manifests, replay: replayInChild });
    const good = await verify(files);
    expect(good.claims.filter((each) => !each.ok)).toEqual([]);
    expect(good.claims.find((each) => each.kind === 'warrants')).toMatchObject({ ok: true });

    // Without it, and with one of which a signature is gone, the same change had no leave.
    const without = new Map(files);
    without.delete(authorisationPath(hash));
    const stripped = new Map(files).set(
      authorisationPath(hash),
      Buffer.from(JSON.stringify({ ...leave, signatures: leave.signatures.slice(1) })),
    );
    for (const changed of [without, stripped]) {
      const broken = (await verify(changed)).claims.filter((each) => !each.ok).map((each) => each.kind);
      expect(broken).toEqual(expect.arrayContaining(['files', 'plans', 'warrants']));
    }
  });

  it('with none in force, or another’s kind, or an internal place: is asked about, and lives until somebody answers', {
    timeout: 120_000,
  }, async () => {
    inForce = [];
    const none = await leak(false);
    const asked = await none.until(isAsked);
    expect(asked.gates).toMatchObject([{ id: 'g-irreversible', rule: { onSilence: 'hold' } }]);
    inForce = [signed({ kinds: ['forge.deploy-key'] })];
    const other = await leak(false);
    expect((await other.until(isAsked)).gates).toMatchObject([{ id: 'g-irreversible' }]);
    inForce = [signed()];
    const inside = await leak(false, 'acme/private');
    const planned = (await inside.until((each) => each.plan !== undefined)).plan?.steps.find(
      (each) => each.action === 'forge/revoke-token',
    );
    expect([planned?.gate, planned?.authorisation]).toEqual(['g-irreversible', undefined]);
    expect([none, other, inside].map((each) => tokens.get(each.hashed)?.alive)).toEqual([true, true, true]);
  });

  it('is asked about once the authorisation is spent, and the question says so', { timeout: 120_000 }, async () => {
    inForce = [signed({ perHour: 1 })];
    const first = await leak(false);
    await first.until(isRevoked);
    const second = await leak(false);
    const asked = await second.until(isAsked);
    expect([asked.gates[0]?.id, tokens.get(second.hashed)?.alive]).toEqual(['g-irreversible', true]);
    const verdicts = [...(await second.bundle(asked.run))]
      .filter(([path]) => path.startsWith('records/'))
      .map(([, bytes]) => JSON.parse(Buffer.from(JSON.parse(Buffer.from(bytes).toString()).payload, 'base64').toString()))
      .filter((each) => each.type === 'verdict');
    expect(verdicts.at(-1)?.body.reason).toContain('is spent: 1 an hour');
  });

  it('one whose deploy key would die is asked about first, and after silence revoked', { timeout: 120_000 }, async () => {
    const leave = signed({ cascadeMs: 3_000 });
    inForce = [leave];
    const incident = await leak(true);
    const asked = await incident.until(isAsked);
    expect(asked.gates).toMatchObject([{ id: 'g-cascade', rule: { onSilence: 'proceed', deadlineMs: 3_000 } }]);
    expect(asked.gates[0]?.question).toContain('would die with it');
    expect(tokens.get(incident.hashed)?.alive).toBe(true);
    const done = await incident.until(isRevoked);
    expect(done.timeline.map((line) => line.what).join(' | ')).toContain('passed in silence, which means: proceed');
    const files = await incident.bundle(done.run);
    const verified = await verifyBundle(files, { trust: made.trust, manifests, replay: replayInChild });
    expect(verified.claims.filter((each) => !each.ok)).toEqual([]);
    expect(nodeId(incident.credential)).toContain(incident.hashed);
  });
});
