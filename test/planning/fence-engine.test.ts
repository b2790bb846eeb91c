import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListUsersCommand } from '@aws-sdk/client-iam';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { sealFor } from '../../audit/sealing.ts';
import { initTrust } from '../../audit/trust.ts';
import { incidentId } from '../../domain/credential.ts';
import type { IncidentStatus } from '../../domain/messages.ts';
import { yes } from '../../domain/observation.ts';
import type { Report } from '../../domain/report.ts';
import { Secret } from '../../domain/secret.ts';
import { loadInventory } from '../../inventory/index.ts';
import { manifest as aws } from '../../providers/aws/manifest.ts';
import type { Action, Connection, Sealing } from '../../providers/contract.ts';
import { manifest as vault } from '../../providers/vault/manifest.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { found } from '../audit/house.ts';
import { clientsOf, everything, outcomeOf, type Pair, practice, timing } from '../providers-aws/practice.ts';

/*
 * Must show 9: a public leak with a consumer in a declared network. The engine whole on a real Temporal server, over the AWS simulator, which tells a fence's networks apart; the store is played. What the fence spares
 * the consumer is printed beside what the deny costs it.
 */

const passphrase = new Secret('a passphrase for tests');
const user = 'ci-deployer';
const [consumerAt, thiefAt] = ['127.0.0.11', '127.0.0.66'];
const manifests = { aws, vault };
const policyText = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');

beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('WARN'), telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
});

/** Calls until told to stop; a consumer holds its old pair beside the new one. Answers how each call fared. */
function caller(endpoint: string, address: string, pairs: () => readonly Pair[], agent: string) {
  const calls: { readonly at: number; readonly said: string }[] = [];
  let going = true;
  const clients = new Map<string, ReturnType<typeof clientsOf>>();
  const clientOf = (pair: Pair) => {
    const there = clients.get(pair.accessKeyId) ?? clientsOf(endpoint, pair, agent, 'us-east-1', address);
    clients.set(pair.accessKeyId, there);
    return there;
  };
  const done = (async () => {
    while (going) {
      let said = 'nothing';
      for (const pair of pairs()) {
        said = await outcomeOf(() => clientOf(pair).iam.send(new ListUsersCommand({})));
        if (said === 'ok') break;
      }
      calls.push({ at: Date.now(), said });
      await new Promise((next) => setTimeout(next, 50));
    }
  })();
  return {
    calls,
    last: () => calls.at(-1)?.said,
    async stop() {
      going = false;
      await done;
    },
  };
}

/** A store that hands on what it is given, to whoever looks. */
function playedStore(handOut: (pair: Pair) => void): Connection {
  const staged = new Map<string, Pair>();
  const actions = Object.fromEntries(
    vault.actions.map((manifest): [string, Action] => [
      manifest.name,
      {
        manifest,
        capture: async (target) => ({ ...target }),
        async apply(target, _before, context) {
          const minted = context.made[String(context.params.mint)];
          const path = target.path ?? '';
          if (manifest.name === 'stage-secret' && minted) {
            const secret = await (context.sealing as Sealing).open(
              minted.sealed as never,
              minted.keyId ?? '',
              `mint:${minted.accessKeyId}`,
            );
            staged.set(path, JSON.parse(secret.reveal()) as Pair);
          }
          const ready = staged.get(path);
          if (manifest.name === 'distribute-secret' && ready) handOut(ready);
          return { outcome: 'changed', acceptedAt: new Date().toISOString(), requestIds: [] };
        },
        async probe() {
          const at = new Date().toISOString();
          return { observation: yes(at, 'administrator', 'seen'), effectiveAt: at, requestIds: [] };
        },
      },
    ]),
  );
  return {
    provider: 'vault',
    account: 'main',
    check: async () => [],
    look: () => Promise.reject(new Error('no look')),
    actions,
    close: async () => undefined,
  };
}

/** Plays the leak with the consumer's networks declared or not, until the old key is off and the consumer on the new one. */
async function play(networks: readonly string[]) {
  const world = await practice();
  const home = mkdtempSync(join(tmpdir(), 'fence-'));
  const code = await workflowCode();
  const { account } = world;
  const arn = `arn:aws:iam::${account}:user/${user}`;
  const made = initTrust({
    keys: join(home, 'keys'),
    trust: join(home, 'trust.yaml'),
    people: join(home, 'people.yaml'),
    accounts: [
      { provider: 'aws', account },
      { provider: 'vault', account: 'main' },
    ],
    persons: [{ id: 'ada', name: 'Ada', roles: ['responder', 'approver'], passphrase }],
    rootPassphrase: passphrase,
    cost: { n: 2, r: 8, p: 1 },
    code: [code.hash],
  });
  mkdirSync(join(home, 'store'), { recursive: true });
  const house = await found(home, made, { trust: () => made.trust, people: () => made.people });
  const inventory = loadInventory(
    `v: 1
stores:
  - { id: ci, provider: vault, account: main, path: kv/ci/deployer, fields: { accessKeyId: id, secretAccessKey: secret }, principal: "${arn}" }
consumers:
  - { id: build, name: build, owner: team-ci, contact: ci@example.test, store: ci, overlap: true, rereads: 1s, criticality: production, networks: ${JSON.stringify(networks)}, seenAs: { userAgent: build } }
repositories:
  - { match: github.com/acme/public, visibility: public }
owners: []
`,
    'inventory.yaml',
  );
  const accounts = [
    { provider: 'aws', account, mode: 'act' as const, credentials: '', settings: { timing } },
    { provider: 'vault', account: 'main', mode: 'act' as const, credentials: '', settings: {} },
  ];
  const leaked = await world.makeUser(user, everything);
  await world.control.setOrigin(consumerAt, { ip: '198.51.100.7' });
  await world.control.setOrigin(thiefAt, { ip: '203.0.113.66' });
  await world.alive(leaked);
  const held: Pair[] = [leaked];
  const consumer = caller(world.sim.endpoint, consumerAt, () => held, 'build');
  const thief = caller(world.sim.endpoint, thiefAt, () => [leaked], 'thief');

  const connections: Record<string, Connection> = { aws: await world.connect(), vault: playedStore((pair) => held.unshift(pair)) };
  const staff = await house.staffed({
    code,
    accounts,
    policy: policyText,
    inventory,
    manifests,
    provider: (entry) => ({
      connection: connections[entry.provider] as Connection,
      timing: entry.provider === 'aws' ? timing : { ...timing, propagationMs: 0, logLagMs: 0 },
    }),
  });
  try {
    const credential = { kind: 'aws.access-key', locator: { accessKeyId: leaked.accessKeyId } };
    const sealed = await sealFor(made.trust, { provider: 'aws', account }, credential, new Secret(leaked.secretAccessKey));
    await house.drop.put(sealed.bytes);
    const report: Report = {
      v: 1,
      id: `rpt_${'1'.padStart(26, '0')}`,
      format: 'trufflehog',
      credential,
      origin: { where: 'repository', repository: 'https://github.com/acme/public', committedAt: new Date().toISOString(), file: '.env' },
      reporter: 'scanner',
      seenAt: new Date().toISOString(),
      sealed: { hash: sealed.hash, keyId: sealed.keyId },
      claims: {},
    };
    while (consumer.last() !== 'ok' || thief.last() !== 'ok') await new Promise((next) => setTimeout(next, 20));
    const reportedAt = Date.now();
    const id = incidentId(credential);
    await house.environment.client.workflow.signalWithStart('leakResponse', {
      workflowId: id,
      taskQueue: 'tourniquet',
      args: [],
      signal: 'sighting',
      signalArgs: [{ report }],
    });
    let status: IncidentStatus | undefined;
    const steps = () => [...(status?.earlier ?? []), ...(status?.steps ?? [])];
    const isDone = (action: string) => steps().some((each) => each.action === action && each.state === 'done');
    // Until nothing is under way: what is left is for a person to answer.
    const isThere = () =>
      isDone('aws/watch-new-use') && isDone('aws/disable-key') && status?.steps.every((each) => each.state !== 'running');
    for (let n = 0; n < 600 && !(isThere() && (status?.state === 'deciding' || status?.state === 'watching')); n++) {
      await new Promise((next) => setTimeout(next, 100));
      status = await house.environment.client.workflow.getHandle(id).query<IncidentStatus>('status');
    }
    if (!isDone('aws/watch-new-use') || !isDone('aws/disable-key'))
      throw new Error(`it never came to that: ${status?.timeline.map((line) => line.what).join(' | ')}`);
    const since = consumer.calls.filter((each) => each.at > reportedAt);
    const refused = since.filter((each) => each.said !== 'ok');
    const outMs = refused.length === 0 ? 0 : (refused.at(-1)?.at ?? 0) - (refused[0]?.at ?? 0);
    const thiefOutAt = thief.calls.find((each) => each.at > reportedAt && each.said !== 'ok')?.at ?? Number.NaN;
    return {
      actions: steps().flatMap((each) => (each.state === 'done' ? [each.action] : [])),
      calls: since.length,
      refused: refused.length,
      outMs,
      thiefOutMs: thiefOutAt - reportedAt,
      thief: thief.last(),
      consumer: consumer.last(),
      thiefBack: thief.calls.filter((each) => each.at > thiefOutAt + 2 * timing.propagationMs && each.said === 'ok').length,
    };
  } finally {
    await Promise.all([consumer.stop(), thief.stop()]);
    await staff.stop();
    await house.environment.teardown();
    await world.close();
  }
}

describe('a key in public, its consumer in a declared network', () => {
  it('the fence leaves it working while the thief is out; the deny does not', { timeout: 240_000 }, async () => {
    const fenced = await play(['198.51.100.0/24']);
    const denied = await play([]);
    console.info(
      `outage of the consumer: ${fenced.outMs} ms behind the fence (${fenced.refused} of ${fenced.calls} calls), ${denied.outMs} ms under the deny (${denied.refused} of ${denied.calls}); the thief was out after ${fenced.thiefOutMs} ms and ${denied.thiefOutMs} ms`,
    );
    expect(fenced.actions).toContain('aws/fence-principal');
    expect(fenced.actions).not.toContain('aws/deny-principal');
    expect(denied.actions).toEqual(expect.arrayContaining(['aws/disable-key', 'aws/deny-principal', 'aws/lift-deny']));
    expect([fenced.refused, fenced.consumer]).toEqual([0, 'ok']);
    expect([denied.refused > 0, denied.consumer]).toEqual([true, 'ok']);
    for (const each of [fenced, denied]) {
      expect(each.thief).not.toBe('ok');
      expect(each.thiefBack).toBe(0);
    }
  });
});
