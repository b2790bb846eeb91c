import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256Of } from '../../domain/canonical.ts';
import type { CredentialRef, GraphNode } from '../../domain/credential.ts';
import { Secret } from '../../domain/secret.ts';
import type { Action, Connection, Look, Looked, StepContext } from '../../providers/contract.ts';
import { manifest } from '../../providers/vault/manifest.ts';
import { codeOf, sealings } from '../providers-vault/bench.ts';
import {
  account,
  closeLab,
  connectAs,
  type Lab,
  type Login,
  openLab,
  startProxy,
  timing,
  tokenUnder,
  wholePolicy,
} from '../providers-vault/practice.ts';
import type { FaultProxy } from '../providers-vault/server.ts';
import { until } from '../until.ts';
import { type Broker, startBroker } from './broker.ts';

/*
 * The traps of Vault, each on the real server and each twice. First a script as a tired person would write it, word for word: it ends well, and a call that is named still succeeds with a credential
 * that survived. Then the engine's own look and actions in the same world: the call is refused, or the engine says that it is not.
 */

let lab: Lab;
let release: () => Promise<void>;
let proxy: FaultProxy;
let broker: Broker;
let engine: Connection;

beforeAll(async () => {
  ({ lab, release } = await openLab());
  proxy = await startProxy(lab.server.address);
  broker = await startBroker();
  engine = await connectAs((await tokenUnder(lab, wholePolicy())).token, proxy, { auditLog: lab.server.auditLog });
  await lab.must('POST', 'sys/mounts/rabbit', { type: 'rabbitmq' });
  await lab.must('POST', 'rabbit/config/connection', {
    connection_uri: broker.address,
    username: 'engine',
    password: 'of the broker',
    verify_connection: false,
  });
  await lab.must('POST', 'rabbit/roles/app', { vhosts: '{"/":{"write":".*","read":".*"}}' });
  await lab.must('POST', 'sys/policies/acl/rabbit', { policy: 'path "rabbit/creds/app" { capabilities = ["read"] }' });
}, 60_000);
afterAll(async () => {
  await engine?.close();
  await proxy?.stop();
  await broker?.stop();
  await release?.();
  await closeLab();
});
beforeEach(() => {
  broker.broken = false;
});

const context = (params: Readonly<Record<string, unknown>> = {}): StepContext => ({
  incident: `leak/${'e'.repeat(64)}`,
  run: 'trap',
  step: 'trap',
  signal: new AbortController().signal,
  heartbeat: () => undefined,
  timing,
  sealing: sealings(),
  params,
  made: {},
  inventory: { consumers: [], stores: [] },
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
});

/** As the engine does it: captured, applied, and done only by the probe. */
async function act(name: string, target: Record<string, string>, params?: Readonly<Record<string, unknown>>, by: Connection = engine) {
  const action = by.actions[name] as Action;
  const full = { account, ...target };
  const before = await action.capture(full, context(params));
  const applied = await action.apply(full, before, context(params));
  const { observation } = await action.probe(full, before, context(params));
  return { outcome: applied.outcome, state: observation.state };
}

const look = (credential: CredentialRef, more: Partial<Look> = {}, by: Connection = engine): Promise<Looked> =>
  by.look({
    credential,
    depth: 'full',
    known: [],
    ours: [],
    inventory: { consumers: [], stores: [] },
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    timing: { ...timing, giveUpMs: 1_500 },
    ...more,
  });
const tokenRef = (accessor: string): CredentialRef => ({ kind: 'vault.token', locator: { accessor } });

/** Pulls the levers of the manifest on everything that a look says derives from the leak, as a plan would: each by the `remove` of its kind. */
async function endAll(looked: Looked): Promise<void> {
  for (const id of looked.finding.descendants) {
    const { credential } = looked.finding.graph.nodes.find((node) => node.id === id) as GraphNode;
    const way = manifest.kinds.find(({ kind }) => kind === credential?.kind)?.ways?.remove;
    if (!way || !credential) continue;
    const target = Object.fromEntries(
      Object.entries(way.target).map(([name, text]) => [
        name,
        text.replace(/\{(\w+)\}/g, (_, of: string) => (of === 'account' ? account : (credential.locator[of] ?? ''))),
      ]),
    );
    expect((await act(way.action, target)).state).toBe('yes');
  }
}

/** What a script has: a method, a path, a body, and the status. */
const curl = async (method: string, path: string, body?: unknown, token?: string): Promise<number> =>
  (await lab.server.call(method, path, body, token)).status;

async function leakedRole() {
  const role = await lab.role();
  const { secretId, accessor } = await role.secretId();
  return { role, secretId, accessor, login: await role.login(secretId) };
}

describe('12: a secret id is destroyed, and the periodic token that it was exchanged for renews itself for ever', () => {
  it('the script: `auth/approle/role/:r/secret-id-accessor/destroy`; then `kv/data/ci/app` is read with the token, which is renewed too', async () => {
    const { role, accessor, login } = await leakedRole();
    const status = await curl('POST', `auth/approle/role/${role.name}/secret-id-accessor/destroy`, { secret_id_accessor: accessor });
    expect(status).toBe(204);
    expect(await curl('POST', 'auth/token/renew-self', {}, login.token)).toBe(200);
    expect(await lab.works(login.token)).toBe(true);
  });

  it('the engine: its look names the tokens of the role, and each is ended', async () => {
    const { role, accessor, login } = await leakedRole();
    const bystander = await leakedRole();
    const ref: CredentialRef = { kind: 'vault.approle-secret-id', locator: { mount: 'approle', appRole: role.name, accessor } };
    expect(await act('destroy-secret-id', { mount: 'approle', appRole: role.name, accessor })).toEqual({
      outcome: 'changed',
      state: 'yes',
    });
    const looked = await look(ref);
    expect(looked.finding.descendants).toEqual([`vault.token:${login.accessor}`]);
    await endAll(looked);
    expect(await lab.works(login.token)).toBe(false);
    expect(await lab.works(bystander.login.token)).toBe(true);
    expect((await look(ref)).finding.descendants).toEqual([]);
  });
});

describe('13: an orphan that the leaked token made outlives its tree and its entity', () => {
  const world = async () => {
    const { login } = await leakedRole();
    return { login, orphan: await lab.token({ policies: ['user'], period: '1h' }, login.token, 'auth/token/create-orphan') };
  };

  it('the script: the entity is disabled and the tree revoked; then `kv/data/ci/app` is read with the orphan', async () => {
    const { login, orphan } = await world();
    expect(await curl('POST', `identity/entity/id/${login.entity}`, { disabled: true })).toBe(204);
    expect(await curl('POST', 'auth/token/revoke-accessor', { accessor: login.accessor })).toBe(204);
    expect(await lab.works(login.token)).toBe(false);
    expect(await lab.works(orphan.token)).toBe(true);
  });

  it('the engine: the log gives the orphan away, and it is ended by its own accessor', async () => {
    const { login, orphan } = await world();
    expect((await act('disable-entity', { entity: login.entity })).state).toBe('yes');
    expect(await lab.works(orphan.token)).toBe(true);
    const looked = await look(tokenRef(login.accessor));
    expect(looked.finding.descendants).toEqual([`vault.token:${orphan.accessor}`]);
    await endAll(looked);
    expect((await act('revoke-token', { accessor: login.accessor })).state).toBe('yes');
    for (const { token } of [login, orphan]) expect(await lab.works(token)).toBe(false);
  });
});

describe('14: a batch token is revoked by nobody', () => {
  const world = async (): Promise<{ login: Login; batch: Login }> => {
    const { login } = await leakedRole();
    return { login, batch: await lab.token({ policies: ['user'], type: 'batch', ttl: '10m' }, login.token) };
  };

  it('the script: `auth/token/revoke` and on to the next; then `kv/data/ci/app` is read with it', async () => {
    const { batch } = await world();
    // Its 400 says so. Nobody reads the answer of a loop.
    await curl('POST', 'auth/token/revoke', { token: batch.token });
    expect(await lab.works(batch.token)).toBe(true);
  });

  it('the engine: has no action that says it did; its entity is disabled, and enabled no sooner than it expires', async () => {
    const { login, batch } = await world();
    const kind = manifest.kinds.find((each) => each.kind === 'vault.batch-token');
    expect(kind?.ways).not.toHaveProperty('remove');
    const ref: CredentialRef = { kind: 'vault.batch-token', locator: { sha256: sha256Of(batch.token).slice('sha256:'.length) } };
    const { finding } = await look(ref, { secret: new Secret(batch.token) });
    expect(finding).toMatchObject({ principal: `entity:${login.entity}`, live: { state: 'yes' }, possession: { state: 'yes' } });
    expect((await act('disable-entity', { entity: login.entity })).state).toBe('yes');
    expect(await lab.works(batch.token)).toBe(false);
    const notBefore = finding.graph.nodes.find((node) => node.credential?.kind === 'vault.batch-token')?.credential?.expiresAt;
    expect(notBefore).toBeDefined();
    expect(await codeOf(act('enable-entity', { entity: login.entity }, { accessors: [], notBefore }))).toBe('provider.conflict');
    expect(await lab.works(batch.token)).toBe(false);
  });
});

describe('15: the log-in path of a mount names no role', () => {
  it('the script: `sys/leases/revoke-prefix/auth/approle/login`; the bystander’s read of `kv/data/ci/app` fails', async () => {
    const { login } = await leakedRole();
    const bystander = await leakedRole();
    expect(await curl('POST', 'sys/leases/revoke-prefix/auth/approle/login', { sync: true })).toBe(204);
    expect(await lab.works(login.token)).toBe(false);
    expect(await lab.works(bystander.login.token)).toBe(false);
    // And the secret id that leaked still logs in, where the script thought of tokens only.
    const again = await bystander.role.login(bystander.secretId);
    expect(await lab.works(again.token)).toBe(true);
  });

  it('the engine: has no such action and no permission for one; it ends one role’s tokens and no other’s', async () => {
    const { role, accessor, login } = await leakedRole();
    const bystander = await leakedRole();
    const asked = [...manifest.actions.flatMap(({ permissions }) => permissions), ...(manifest.reads ?? [])].join('\n');
    expect(asked).not.toMatch(/revoke-(prefix|force)/);
    await endAll(await look({ kind: 'vault.approle-secret-id', locator: { mount: 'approle', appRole: role.name, accessor } }));
    expect(await lab.works(login.token)).toBe(false);
    expect(await lab.works(bystander.login.token)).toBe(true);
  });
});

describe('16: a lease is revoked, and its account at the origin lives on', () => {
  const world = async () => {
    const reader = await lab.token({ policies: ['rabbit'] });
    const { lease_id: lease, data } = await lab.must('GET', 'rabbit/creds/app', undefined, reader.token);
    return { reader, lease: lease as string, user: data.username as string, password: data.password as string };
  };

  it('the script: revokes the token and with it its leases, 204; then the account still logs in at the broker', async () => {
    const { reader, lease, user, password } = await world();
    broker.broken = true;
    expect(await curl('POST', 'auth/token/revoke-accessor', { accessor: reader.accessor })).toBe(204);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await broker.lets(user, password)).toBe(true);
    expect(await curl('POST', 'sys/leases/lookup', { lease_id: lease })).toBe(200);
  });

  it('the second script: revokes by force, since the first way failed: the lease is gone, and the account logs in', async () => {
    const { lease, user, password } = await world();
    broker.broken = true;
    expect(await curl('POST', `sys/leases/revoke-force/${lease}`, {})).toBe(204);
    expect(await curl('POST', 'sys/leases/lookup', { lease_id: lease })).toBe(400);
    expect(await broker.lets(user, password)).toBe(true);
  });

  it('the engine: is not done while it stands, and is once the origin lets it go', async () => {
    const { lease, user, password } = await world();
    broker.broken = true;
    const action = engine.actions['revoke-lease'] as Action;
    const target = { account, lease };
    const before = await action.capture(target, context());
    expect(await codeOf(action.apply(target, before, context()))).toBe('provider.uncertain');
    expect((await action.probe(target, before, context())).observation.state).toBe('no');
    broker.broken = false;
    expect((await action.apply(target, before, context())).outcome).toBe('changed');
    expect((await action.probe(target, before, context())).observation.state).toBe('yes');
    expect(await broker.lets(user, password)).toBe(false);
  });

  it('the engine: finds the lease of a token that is gone by the log, and says that it stands', async () => {
    const { reader, lease, user, password } = await world();
    broker.broken = true;
    expect((await act('revoke-token', { accessor: reader.accessor })).state).toBe('yes');
    const { finding } = await look(tokenRef(reader.accessor));
    expect(finding.descendants).toEqual([`vault.lease:${lease}`]);
    expect(await broker.lets(user, password)).toBe(true);
  });
});

describe('18: the audit device was made anew, and its old hashes fit nothing', () => {
  const reload = async (change: (text: string) => string) => {
    const file = join(lab.server.dir, 'openbao.hcl');
    const text = await readFile(file, 'utf8');
    await writeFile(file, change(text));
    process.kill(lab.server.pid, 'SIGHUP');
    return text;
  };
  const devices = async () => Object.keys((await lab.must('GET', 'sys/audit')).data ?? {});

  it('the script matches the log by today’s hashes, finds nothing, and the orphan reads `kv/data/ci/app`; the engine does not know, and names it', async () => {
    const { login } = await leakedRole();
    const orphan = await lab.token({ policies: ['user'] }, login.token, 'auth/token/create-orphan');
    const whole = await reload((text) => text.replace(/audit "file" "to-file" \{[\s\S]*?\n\}\n/, ''));
    await until('the device to be gone', async () => !(await devices()).includes('to-file/'));
    await reload(() => whole);
    await until('the device to be back', async () => (await devices()).includes('to-file/'));

    const { data } = await lab.must('POST', 'sys/audit-hash/to-file', { input: login.accessor });
    const lines = (await readFile(lab.server.auditLog, 'utf8'))
      .split('\n')
      .filter((line) => line.includes('auth/token/create') && line.includes(data.hash));
    expect(lines).toEqual([]);
    expect(await lab.works(orphan.token)).toBe(true);

    const looked = await look(tokenRef(login.accessor), { containedAt: new Date(Date.now() - 5_000).toISOString() });
    expect(looked.finding.swept).toMatchObject({ state: 'unknown' });
    expect(looked.finding.graph.nodes.find(({ id }) => id === `vault.token:${orphan.accessor}`)?.provenance.confidence).toBe('suspected');
  });
});

describe('19: asking whether a token is good uses it up', () => {
  const world = async () => await lab.token({ policies: ['user'], num_uses: 2 });
  const uses = async (accessor: string): Promise<number | undefined> =>
    (await lab.server.call('POST', 'auth/token/lookup-accessor', { accessor })).body.data?.num_uses;

  it('the script: `auth/token/lookup-self` with the leaked token; the thief’s read of `kv/data/ci/app` still succeeds, and with it the token is gone with all that was known of it', async () => {
    const token = await world();
    expect(await curl('GET', 'auth/token/lookup-self', undefined, token.token)).toBe(200);
    expect(await uses(token.accessor)).toBe(1);
    expect(await lab.works(token.token)).toBe(true);
    // The server removes it behind the answer; until it has, its uses are told as -1.
    await until('the token to be gone', async () => (await uses(token.accessor)) === undefined);
  });

  it('the engine: looks it up with its own, leaves both uses, and ends it', async () => {
    const token = await world();
    const ref: CredentialRef = { kind: 'vault.token', locator: { sha256: sha256Of(token.token).slice('sha256:'.length) } };
    const looked = await look(ref, { secret: new Secret(token.token) });
    expect(looked.finding).toMatchObject({ live: { state: 'yes' }, possession: { state: 'yes' } });
    expect(await uses(token.accessor)).toBe(2);
    const accessor = looked.finding.graph.nodes.find(({ credential }) => credential?.locator.sha256)?.credential?.locator.accessor ?? '';
    expect((await act('revoke-token', { accessor })).state).toBe('yes');
    expect(await lab.works(token.token)).toBe(false);
  });
});

describe('20: a 403 of our own is taken for the end of the leaked token', () => {
  it('the script: revokes and looks up with a token that may do neither, reads 403 and 403 as gone; then `kv/data/ci/app` is read', async () => {
    const { login } = await leakedRole();
    const { token: weak } = await tokenUnder(lab, 'path "kv/none" { capabilities = ["read"] }');
    await curl('POST', 'auth/token/revoke-accessor', { accessor: login.accessor }, weak);
    const gone = (await curl('POST', 'auth/token/lookup-accessor', { accessor: login.accessor }, weak)) === 403;
    expect(gone).toBe(true);
    expect(await lab.works(login.token)).toBe(true);
  });

  it.each(['a policy that lacks it', 'a token of its own that was revoked'])(
    'the engine, with %s: stops and says whose the refusal is',
    async (why) => {
      const { login } = await leakedRole();
      const weak = await tokenUnder(lab, why.startsWith('a policy') ? 'path "kv/none" { capabilities = ["read"] }' : wholePolicy());
      if (!why.startsWith('a policy')) await lab.must('POST', 'auth/token/revoke-accessor', { accessor: weak.accessor });
      const poor = await connectAs(weak.token, proxy);
      const action = poor.actions['revoke-token'] as Action;
      const target = { account, accessor: login.accessor };
      const attempts = [
        () => action.capture(target, context()),
        () => action.apply(target, { found: true }, context()),
        () => action.probe(target, { found: true }, context()),
      ];
      for (const attempt of attempts) expect(await codeOf(attempt())).toBe('provider.denied');
      expect(await codeOf(look(tokenRef(login.accessor), {}, poor))).toBe('provider.denied');
      expect(await lab.works(login.token)).toBe(true);
    },
  );

  it('the engine, with what it needs: the token is gone, in the server’s own words', async () => {
    const { login } = await leakedRole();
    expect(await act('revoke-token', { accessor: login.accessor })).toEqual({ outcome: 'changed', state: 'yes' });
    expect(await lab.works(login.token)).toBe(false);
  });
});
