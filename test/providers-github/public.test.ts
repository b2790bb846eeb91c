import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signAuthorisation } from '../../audit/authorisations.ts';
import { unpackBundle } from '../../audit/bundle.ts';
import { readKey } from '../../audit/keys.ts';
import { replayInChild } from '../../audit/replay.ts';
import { sealFor } from '../../audit/sealing.ts';
import { type InitializedTrust, initTrust } from '../../audit/trust.ts';
import { verifyBundle } from '../../audit/verify.ts';
import type { Authorisation, SignedAuthorisation } from '../../domain/authorisation.ts';
import { incidentId } from '../../domain/credential.ts';
import type { ExportResult, IncidentStatus } from '../../domain/messages.ts';
import type { Report } from '../../domain/report.ts';
import { Secret } from '../../domain/secret.ts';
import { parseReports } from '../../intake/index.ts';
import { loadInventory } from '../../inventory/index.ts';
import { manifest } from '../../providers/github/manifest.ts';
import { manifests } from '../../providers/manifests.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { found, type House } from '../audit/house.ts';
import { type Practice, practice, timing } from './practice.ts';

/*
 * The engine whole, on a real Temporal server and with real keys, sealed reports and the stock Octokit, over the simulated GitHub. Nobody answers anything in these tests.
 */

const passphrase = new Secret('a passphrase for tests');
const policyText = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
const inventory = loadInventory(
  'v: 1\nstores: []\nconsumers: []\nrepositories:\n  - { match: github.com/acme/site, visibility: public }\nowners: []\n',
  'inventory.yaml',
);

let world: Practice;
let house: House;
let made: InitializedTrust;
let staff: Awaited<ReturnType<House['staffed']>> | undefined;
let inForce: readonly SignedAuthorisation[] = [];

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('WARN'), telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
  world = await practice();
  const home = mkdtempSync(join(tmpdir(), 'github-public-'));
  const code = await workflowCode();
  made = initTrust({
    keys: join(home, 'keys'),
    trust: join(home, 'trust.yaml'),
    people: join(home, 'people.yaml'),
    accounts: [{ provider: 'github', account: 'acme' }],
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
  const accounts = [{ provider: 'github', account: 'acme', mode: 'act' as const, credentials: '', settings: {} }];
  const connection = await world.connect();
  const ownTargets = ((await connection.self?.()) ?? []).map((thing) => thing.id);
  staff = await house.staffed({
    code,
    accounts,
    policy: policyText,
    inventory,
    manifests,
    more: { authorisations: () => inForce },
    provider: () => ({ manifest, connection, timing, ownTargets }),
  });
}, 120_000);

afterAll(async () => {
  await staff?.stop();
  await house?.environment.teardown();
  await world?.close();
});

/** Two people's leave to revoke such tokens unasked. */
const leave = (over: Partial<Authorisation> = {}): SignedAuthorisation => {
  const authorisation: Authorisation = {
    v: 1,
    engine: made.engine,
    id: `auth_${randomUUID().slice(0, 8)}`,
    kinds: ['github.token'],
    perHour: 5,
    cascadeMs: 600_000,
    reason: 'A token in public is worse than a build that stands still.',
    notBefore: new Date(Date.now() - 60_000).toISOString(),
    expires: new Date(Date.now() + 3_600_000).toISOString(),
    ...over,
  };
  return ['ada', 'ben'].reduce<SignedAuthorisation>(
    (so, person) => signAuthorisation(so, readKey(made.paths.persons[person] as string, passphrase)),
    { authorisation, signatures: [] },
  );
};

/** A scanner finds a token in a public repository; its report is read as any other, and the token sealed. */
async function leak(token: string) {
  const { drafts } = parseReports(
    JSON.stringify([
      {
        RuleID: 'github-pat',
        Secret: token,
        Match: token,
        File: '.env',
        Commit: 'fbc14303ffbf8fb1c2c1914e8dda7d0121633aca',
        Date: '2026-11-01T00:00:00Z',
      },
    ]),
    { repository: 'https://github.com/acme/site' },
  );
  const [draft] = drafts;
  if (!draft?.secret) throw new Error('intake found no token');
  const { secret, ...plain } = draft;
  const sealed = await sealFor(made.trust, { provider: 'github', account: 'acme' }, draft.credential, secret);
  await house.drop.put(sealed.bytes);
  const report: Report = {
    ...plain,
    id: `rpt_${randomUUID().replaceAll('-', '').slice(0, 26)}`,
    reporter: 'scanner',
    sealed: { hash: sealed.hash, keyId: sealed.keyId },
  };
  const id = incidentId(draft.credential);
  await house.environment.client.workflow.signalWithStart('leakResponse', {
    workflowId: id,
    taskQueue: 'tourniquet',
    args: [],
    signal: 'sighting',
    signalArgs: [{ report }],
  });
  const handle = house.environment.client.workflow.getHandle(id);
  return {
    async until(what: (status: IncidentStatus) => boolean): Promise<IncidentStatus> {
      let now: IncidentStatus | undefined;
      for (let n = 0; n < 1_200; n++) {
        now = await handle.query<IncidentStatus>('status');
        if (what(now)) return now;
        await new Promise((done) => setTimeout(done, 50));
      }
      throw new Error(`it never came to that: ${now?.state}: ${now?.timeline.map((line) => line.what).join(' | ')}`);
    },
    async records(run: string) {
      const result: ExportResult = await house.environment.client.workflow.execute('archive', {
        workflowId: `archive/${randomUUID()}`,
        taskQueue: 'tourniquet',
        args: [{ incident: id, run, untilEnded: false }],
      });
      const files = unpackBundle(await house.store.get(result.bundle));
      return { files, text: [...files].map(([, bytes]) => bodyIn(bytes)).join('\n') };
    },
  };
}

/** What stands in a file of a bundle; of a signed one, what was signed. */
function bodyIn(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString();
  try {
    const { payload } = JSON.parse(text) as { payload?: unknown };
    return typeof payload === 'string' ? Buffer.from(payload, 'base64').toString() : text;
  } catch {
    return text;
  }
}

const stepIn = (status: IncidentStatus) => [...status.steps, ...status.earlier].find((each) => each.action === 'github/revoke-token');
const isRevoked = (status: IncidentStatus) => stepIn(status)?.state === 'done';
const isAsked = (status: IncidentStatus) => status.gates.some((gate) => gate.state === 'open');
const mint = () => world.hand.mint({ form: 'classic', login: 'ci-bot', scopes: ['repo', 'workflow'] });

describe('a ghp_ in public, with nobody awake', () => {
  it('is revoked under the standing authorisation and seen refused; the record names GitHub’s requests, holds no token, and verifies', {
    timeout: 180_000,
  }, async () => {
    inForce = [leave()];
    const leaked = mint();
    const incident = await leak(leaked.token);
    const status = await incident.until((each) => isRevoked(each) && each.contained === 'yes');
    expect([world.hand.isAccepted(leaked.token), stepIn(status)?.gate, isAsked(status)]).toEqual([false, undefined, false]);
    expect(world.hand.mails().map(({ to }) => to)).toContain('ci-bot@example.org');
    const { files, text } = await incident.records(status.run);
    const request = world.hand.mutations().find((entry) => entry.action === 'POST /credentials/revoke' && entry.effect === 'changed');
    expect(text).toContain(request?.requestId);
    expect(text).not.toContain(leaked.token);
    const verified = await verifyBundle(files, { trust: made.trust, manifests, replay: replayInChild });
    expect(verified.claims.filter((each) => !each.ok)).toEqual([]);
  });

  it('is revoked once, though GitHub’s first answer is lost', { timeout: 180_000 }, async () => {
    inForce = [leave()];
    const leaked = mint();
    const before = world.hand.mutations().length;
    world.hand.inject({ kind: 'lose-reply-after-effect', action: 'POST /credentials/revoke', count: 1 });
    const incident = await leak(leaked.token);
    await incident.until(isRevoked);
    world.hand.clearFaults();
    expect(
      world.hand
        .mutations()
        .slice(before)
        .filter((entry) => entry.effect === 'changed'),
    ).toHaveLength(1);
    expect(world.hand.isAccepted(leaked.token)).toBe(false);
  });

  it('is asked about first where a deploy key that is in use would die with it, and goes on living meanwhile', {
    timeout: 180_000,
  }, async () => {
    inForce = [leave()];
    const leaked = mint();
    const { keyId } = world.hand.addDeployKey('acme', 'shop', {
      title: 'production',
      addedBy: 'ci-bot',
      madeWith: leaked.sha256,
      lastUsedAgoMs: 60_000,
      ageMs: 86_400_000,
    });
    const incident = await leak(leaked.token);
    const asked = await incident.until(isAsked);
    expect(asked.gates).toMatchObject([{ id: 'g-cascade' }]);
    expect(asked.gates[0]?.question).toContain('would die with it');
    expect([world.hand.isAccepted(leaked.token), world.hand.useDeployKey('acme', 'shop', keyId)]).toEqual([true, true]);
  });

  it('is asked about once the authorisation’s budget is spent', { timeout: 180_000 }, async () => {
    inForce = [leave({ perHour: 1 })];
    const first = mint();
    await (await leak(first.token)).until(isRevoked);
    const second = mint();
    const asked = await (await leak(second.token)).until(isAsked);
    expect([asked.gates[0]?.id, world.hand.isAccepted(second.token)]).toEqual(['g-irreversible', true]);
  });
});
