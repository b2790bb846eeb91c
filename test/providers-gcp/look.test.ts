import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Of } from '../../domain/canonical.ts';
import type { GraphNode } from '../../domain/credential.ts';
import { stepKey } from '../../domain/plan.ts';
import { Secret } from '../../domain/secret.ts';
import type { KeyFile } from '../../lab/gcp/index.ts';
import type { Connection, Look } from '../../providers/contract.ts';
import { provider } from '../../providers/gcp/index.ts';
import { type Practice, practice, timing } from './practice.ts';
import { keyRef, lookAt, stepOf } from './steps.ts';

let world: Practice;
let connection: Connection;
let email: string;
let file: KeyFile;
const minute = 60_000;
const scope = ['https://www.googleapis.com/auth/cloud-platform'];

beforeEach(async () => {
  world = await practice();
  connection = await world.connect();
  email = await world.makeAccount('ci-deployer');
  file = await world.makeKey(email);
});
afterEach(() => world.close());

const elapse = () => world.control.advance(timing.logLagMs + timing.propagationMs + 50);
const since = async (ms = minute) => new Date((await world.now()) - ms).toISOString();
const nodeOf = (nodes: readonly GraphNode[], kind: string, of: string) =>
  nodes.find(
    (node) =>
      node.credential?.kind === kind &&
      [of, `serviceAccount:${of}`].some((each) => Object.values(node.credential?.locator ?? {}).includes(each)),
  );
const secretIn = (value: unknown) =>
  JSON.stringify(value, (_, each: unknown) => (each instanceof Secret ? '[secret]' : each)).includes('PRIVATE KEY');

describe('a key', () => {
  it('is found live, of this project and whose it is, by what an administrator sees; nothing is changed', async () => {
    await world.alive(file);
    const before = await world.control.world();
    const { finding, befores } = await connection.look(lookAt(keyRef(file), { depth: 'minimal' }));
    expect(finding).toMatchObject({ provider: 'gcp', account: world.project, principal: `serviceAccount:${email}`, privilege: 'ordinary' });
    expect([finding.ours.state, finding.live.state, finding.possession.state]).toEqual(['yes', 'yes', 'unknown']);
    expect(finding.slots).toEqual({ used: 1, limit: 10 });
    const target = { account: world.project, serviceAccount: email };
    const own = stepOf(connection, 'disable-key', { ...target, keyId: file.private_key_id ?? '' });
    expect(befores[stepKey('gcp/disable-key', { ...target, keyId: file.private_key_id ?? '' })]).toMatchObject({
      ...((await own.capture()) as object),
      at: expect.any(String),
    });
    expect(befores[stepKey('gcp/disable-service-account', target)]).toEqual({ state: 'enabled' });
    const after = await world.control.world();
    expect({ ...after, now: '', tokens: [] }).toEqual({ ...before, now: '', tokens: [] });
    expect((await world.control.journal()).filter((entry) => entry.path.includes('/projects/-/') && entry.method !== 'token')).toEqual([]);
  });

  it('that was sealed to us is tried once, at the token endpoint, and shown to be the real one', async () => {
    await world.alive(file);
    const from = (await world.control.journal()).length;
    const { finding } = await connection.look(lookAt(keyRef(file), { secret: new Secret(JSON.stringify(file)) }));
    expect([finding.live.state, finding.live.source, finding.possession.state]).toEqual(['yes', 'probe', 'yes']);
    const tokens = (await world.control.journal(from)).filter((entry) => entry.method === 'token');
    expect(tokens.length, 'one for the key, and one of our own').toBeLessThanOrEqual(2);
    expect(secretIn([finding])).toBe(false);
  });

  it('whose private half is another’s is not shown to be the real one', async () => {
    const other = await world.makeKey(email);
    await world.alive(other);
    const { finding } = await connection.look(lookAt(keyRef(file), { secret: new Secret(other.private_key ?? '') }));
    expect(finding.possession.state).toBe('no');
    expect(finding.live.state, 'it is enabled, and yet refused').toBe('unknown');
  });

  it('of another project is not asked about at all', async () => {
    const from = (await world.control.journal()).length;
    const credential = {
      kind: 'gcp.service-account-key',
      locator: { clientEmail: 'ci@some-other-project.iam.gserviceaccount.com', privateKeyId: 'a'.repeat(40) },
    };
    const { finding } = await connection.look(lookAt(credential, { secret: new Secret(JSON.stringify(file)) }));
    expect(finding.ours.state).toBe('no');
    expect(finding.live.state).toBe('unknown');
    expect(await world.control.journal(from)).toEqual([]);
  });

  it('that is off is dead, and the tokens that it was exchanged for are not until their time is over or their account is off', async () => {
    await stepOf(connection, 'disable-key', { account: world.project, serviceAccount: email, keyId: file.private_key_id ?? '' }).play();
    const containedAt = new Date(await world.now()).toISOString();
    const look = async (more: Partial<Look> = {}) =>
      (await connection.look(lookAt(keyRef(file), { since: await since(), containedAt, ...more }))).finding;
    const first = await look();
    expect(first.live.state).toBe('no');
    expect(first.swept.state).toBe('yes');
    const tokens = (finding: typeof first) => nodeOf(finding.graph.nodes, 'gcp.access-token', email);
    expect(tokens(first)?.credential?.live.state).toBe('unknown');
    expect(first.descendants).toContain(tokens(first)?.id);
    await world.control.advance(11 * 60 * minute);
    expect(tokens(await look())?.credential?.live.state, 'eleven hours later').toBe('unknown');
    await world.control.advance(70 * minute);
    expect((await look()).descendants).toEqual([]);
  });
});

describe('what a leak has made', () => {
  it('keys, HMAC keys and API keys made with it are its descendants, with the entry that says so', async () => {
    await world.grant(email, 'roles/owner');
    const from = await since();
    const token = await world.alive(file);
    const made = await world.call(token, 'POST', `${world.account(email)}/keys`, {});
    const key = String(made.body.name).split('/').pop() ?? '';
    const hmac = await world.call(token, 'POST', `/storage/v1/projects/${world.project}/hmacKeys?serviceAccountEmail=${email}`);
    const accessId = (hmac.body.metadata as { accessId: string }).accessId;
    await world.call(token, 'POST', `/v2/projects/${world.project}/locations/global/keys`, {});
    await elapse();
    const uid = (await world.control.world()).apiKeys[0]?.uid ?? '';
    const { finding, evidence } = await connection.look(lookAt(keyRef(file), { since: from }));
    expect(finding.privilege).toBe('administrator');
    for (const [kind, of] of [
      ['gcp.service-account-key', key],
      ['gcp.hmac-key', accessId],
      ['gcp.api-key', uid],
    ] as const) {
      const node = nodeOf(finding.graph.nodes, kind, of);
      expect(node?.provenance, kind).toMatchObject({ source: 'cloudaudit', confidence: 'certain' });
      expect(node?.provenance.evidence).toMatch(/log entry/);
      expect(finding.descendants, kind).toContain(node?.id);
    }
    expect(secretIn([finding, evidence])).toBe(false);
    expect(JSON.stringify([finding, evidence])).not.toContain(String(hmac.body.secret));
  });

  it('an HMAC key from long before is found as well, as nothing that is done to keys touches it', async () => {
    const { accessId } = await world.makeHmac(email);
    const { finding, befores } = await connection.look(lookAt(keyRef(file)));
    expect(nodeOf(finding.graph.nodes, 'gcp.hmac-key', accessId)?.credential).toMatchObject({
      principal: `serviceAccount:${email}`,
      live: { state: 'yes' },
    });
    expect(befores[stepKey('gcp/deactivate-hmac-key', { account: world.project, accessId })]).toMatchObject({ state: 'ACTIVE' });
  });

  it('a chain of accounts is followed to its end, through roles of the account, of the project and of somebody’s own making', async () => {
    const [b, c, d, e] = await Promise.all(['account-bb', 'account-cc', 'account-dd', 'account-ee'].map((id) => world.makeAccount(id)));
    await world.grant(email, 'roles/iam.serviceAccountTokenCreator', b);
    await world.grant(b ?? '', `projects/${world.project}/roles/unknown`, c);
    await world.grant(c ?? '', 'roles/iam.serviceAccountUser', d);
    await world.grant(e ?? '', 'roles/iam.serviceAccountTokenCreator', b);
    await world.grant(email, 'roles/storage.objectViewer', e);
    const { finding } = await connection.look(lookAt(keyRef(file)));
    const reached = finding.graph.nodes
      .filter((node) => node.credential?.kind === 'gcp.access-token')
      .map((node) => node.credential?.principal?.replace('serviceAccount:', ''));
    expect(reached.sort()).toEqual([email, b, c, d].sort());
  });

  it('a group may hold anybody, and a role on the project reaches every account of it', async () => {
    const other = await world.makeAccount('account-bb');
    const { etag, bindings } = await world.admin<{ etag: string; bindings: unknown[] }>(
      'POST',
      `/v3/projects/${world.project}:getIamPolicy`,
      {},
    );
    const grown = [...bindings, { role: 'roles/iam.serviceAccountTokenCreator', members: ['group:everybody@example.org'] }];
    await world.admin('POST', `/v3/projects/${world.project}:setIamPolicy`, { policy: { etag, bindings: grown } });
    const { finding } = await connection.look(lookAt(keyRef(file)));
    expect(nodeOf(finding.graph.nodes, 'gcp.access-token', other)?.provenance.confidence).toBe('suspected');
  });

  it.each([
    ['what is logged was changed since the leak', async (on: Practice) => on.setAudit(true), minute],
    ['Data Access is off', async () => undefined, minute],
  ])('every account that could be acted as counts where %s', async (_words, prepare, ms) => {
    const other = await world.makeAccount('account-bb');
    await world.grant(email, 'roles/iam.serviceAccountTokenCreator', other);
    const from = await since(ms);
    await prepare(world);
    await elapse();
    const { finding } = await connection.look(lookAt(keyRef(file), { since: from }));
    expect(nodeOf(finding.graph.nodes, 'gcp.access-token', other)?.provenance.confidence).toBe('suspected');
    expect(finding.logs.find((log) => log.source.endsWith('data_access'))?.passed.state).toBe('unknown');
  });

  it('and where we may not read who acted as whom, of which Google says nothing', async () => {
    await world.setAudit(true);
    const other = await world.makeAccount('account-bb');
    await world.grant(email, 'roles/iam.serviceAccountTokenCreator', other);
    const reader = await world.makeAccount('poor-reader');
    const role = `projects/${world.project}/roles/reader`;
    await world.control.defineRole(
      role,
      (provider.manifest.reads ?? []).filter((each) => each !== 'logging.privateLogEntries.list'),
    );
    await world.grant(reader, role);
    const own = await world.makeKey(reader);
    await world.alive(own);
    await world.control.advance(10 * minute);
    const from = await since(minute);
    const seen = (await connection.look(lookAt(keyRef(file), { since: from }))).finding;
    expect(nodeOf(seen.graph.nodes, 'gcp.access-token', other), 'an owner sees that nobody did').toBeUndefined();
    const blind = (await (await world.connect(own)).look(lookAt(keyRef(file), { since: from }))).finding;
    expect(nodeOf(blind.graph.nodes, 'gcp.access-token', other)?.credential?.live).toMatchObject({
      state: 'unknown',
      why: expect.stringMatching(/may not read/),
    });
  });

  it('a mint that the log shows is dead when its time is over', async () => {
    await world.setAudit(true);
    const other = await world.makeAccount('account-bb');
    await world.grant(email, 'roles/iam.serviceAccountTokenCreator', other);
    await world.control.advance(10 * minute);
    const from = await since(minute);
    const token = await world.alive(file);
    await world.call(token, 'POST', `/v1/projects/-/serviceAccounts/${other}:generateAccessToken`, { scope, lifetime: '600s' });
    await elapse();
    const state = async () =>
      nodeOf((await connection.look(lookAt(keyRef(file), { since: from }))).finding.graph.nodes, 'gcp.access-token', other)?.credential
        ?.live.state;
    expect(await state()).toBe('unknown');
    await world.control.advance(11 * minute);
    expect(await state()).toBe('no');
  });
});

describe('other kinds', () => {
  const hashed = (text: string) => sha256Of(text).slice('sha256:'.length);

  it('whose token it is Google says to whoever holds it, and a disabled account is not taken for a dead token', async () => {
    await world.grant(email, 'roles/viewer');
    const token = await world.alive(file);
    const credential = { kind: 'gcp.access-token', locator: { sha256: hashed(token) } };
    const look = async (secret = true) => (await connection.look(lookAt(credential, secret ? { secret: new Secret(token) } : {}))).finding;
    expect(await look(false)).toMatchObject({ live: { state: 'unknown' }, ours: { state: 'unknown' } });
    expect(await look()).toMatchObject({ live: { state: 'yes' }, possession: { state: 'yes' }, principal: `serviceAccount:${email}` });
    await world.admin('POST', `${world.account(email)}:disable`, {});
    const off = await look();
    expect(off.live).toMatchObject({ state: 'no', evidence: expect.stringMatching(/revive/) });
    await world.control.advance(61 * minute);
    expect((await look()).live).toMatchObject({ state: 'no', source: 'probe' });
  });

  it('an API key that was sealed to us is found by its name, and can be closed by it', async () => {
    const { uid, text } = await world.makeApiKey({ serviceAccountEmail: email });
    const credential = { kind: 'gcp.api-key', locator: { sha256: hashed(text) } };
    expect((await connection.look(lookAt(credential))).finding.live.state).toBe('unknown');
    const { finding, befores, evidence } = await connection.look(lookAt(credential, { secret: new Secret(text) }));
    expect(finding).toMatchObject({ live: { state: 'yes' }, possession: { state: 'yes' }, principal: `serviceAccount:${email}` });
    expect(nodeOf(finding.graph.nodes, 'gcp.api-key', uid)?.credential?.live.state).toBe('yes');
    expect(befores[stepKey('gcp/restrict-api-key', { account: world.project, key: uid })]).toMatchObject({ state: 'there' });
    expect(JSON.stringify([finding, evidence])).not.toContain(text);
  });

  it('an HMAC key is unknown for the time that its deactivation takes', async () => {
    const slow = await world.connect(undefined, { hmacPropagationMs: 3 * minute });
    const { accessId } = await world.makeHmac(email);
    const credential = { kind: 'gcp.hmac-key', locator: { accessId } };
    const state = async () => (await slow.look(lookAt(credential))).finding.live.state;
    expect(await state()).toBe('yes');
    await world.admin('PUT', `/storage/v1/projects/${world.project}/hmacKeys/${accessId}`, { state: 'INACTIVE' });
    expect(await state()).toBe('unknown');
    await world.control.advance(3 * minute + 2000);
    expect(await state()).toBe('no');
  });
});

describe('misuse', () => {
  const consumer = (userAgent: string): Look['inventory']['consumers'][number] => ({
    id: 'runner',
    name: 'runner',
    owner: 'platform',
    contact: 'platform@example.org',
    store: 'ci',
    overlap: true,
    rereads: 2,
    criticality: 'production',
    networks: [],
    seenAs: { userAgent },
  });

  it('a call that no declared consumer explains is misuse, one that is explained is not, and silence proves nothing where most is not logged', async () => {
    await world.grant(email, 'roles/owner');
    const from = await since();
    const inventory = { consumers: [consumer('node')], stores: [] };
    const misuse = async (consumers = inventory) =>
      (await connection.look(lookAt(keyRef(file), { since: from, inventory: consumers }))).finding.misuse.state;
    expect(await misuse()).toBe('unknown');
    const token = await world.alive(file);
    await world.call(token, 'POST', `/v1/projects/${world.project}/serviceAccounts`, { accountId: 'backdoor-account' });
    await elapse();
    expect(await misuse({ consumers: [consumer('ci-runner/7')], stores: [] })).toBe('yes');
    expect(await misuse(), 'all that was seen is explained, and most is not seen').toBe('unknown');
    expect(await misuse({ consumers: [], stores: [] })).toBe('unknown');
  });
});

it('with exactly the permissions that the manifest reads a look and a check find all they need', async () => {
  const reader = await world.makeAccount('plain-reader');
  const role = `projects/${world.project}/roles/reader`;
  await world.control.defineRole(role, provider.manifest.reads ?? []);
  await world.grant(reader, role);
  const own = await world.makeKey(reader);
  await world.alive(own);
  const narrow = await world.connect(own);
  const { finding } = await narrow.look(lookAt(keyRef(file), { since: await since() }));
  expect(finding.live.state).toBe('yes');
  expect((await narrow.check()).filter(({ observation }) => observation.state !== 'yes').map(({ what }) => what)).toEqual([
    'Data Access logs of IAM',
  ]);
});
