import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Consumer, Store } from '../../domain/assessment.ts';
import { stepKey } from '../../domain/plan.ts';
import { Secret } from '../../domain/secret.ts';
import { octokit, publicKey } from '../lab-github/world.ts';
import { stepOf } from './harnesses.ts';
import { lookOf, type Practice, practice } from './practice.ts';

let world: Practice;
beforeEach(async () => {
  world = await practice();
});
afterEach(() => world.close());

const consumer = (id: string, store: string, seenAs: Consumer['seenAs'] = {}): Consumer => ({
  id,
  name: id,
  owner: 'platform',
  contact: 'platform@example.org',
  store,
  overlap: true,
  rereads: 2,
  criticality: 'production',
  networks: [],
  seenAs,
});
const store = (id: string, principal: string): Store => ({
  id,
  provider: 'vault',
  account: 'main',
  path: `kv/${id}`,
  fields: {},
  principal,
});

describe('a token that leaked with its secret', () => {
  it('is ours, live and possessed, and its owner and scopes are told, by one call with it', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'otto', scopes: ['repo', 'workflow'] });
    const { finding } = await (await world.connect()).look(lookOf(leaked.token, { secret: new Secret(leaked.token) }));
    expect(finding).toMatchObject({
      ours: { state: 'yes', source: 'administrator' },
      live: { state: 'yes', source: 'probe' },
      possession: { state: 'yes', source: 'probe' },
      principal: 'otto',
      privilege: 'elevated',
    });
    expect(world.hand.counters()['github:GET /user']?.calls).toBe(1);
    expect(finding.requestIds.length).toBeGreaterThan(3);
    expect(JSON.stringify(finding)).not.toContain(leaked.token);
  });

  it('is not possessed by whoever sealed another text, and that text is not tried', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'otto' });
    const other = world.hand.mint({ form: 'classic', login: 'olga' });
    const { finding } = await (await world.connect()).look(lookOf(leaked.token, { secret: new Secret(other.token) }));
    expect(finding.possession).toMatchObject({ state: 'no' });
    expect(finding.live.state).toBe('unknown');
    expect(Object.keys(world.hand.counters())).not.toContain('github:GET /user');
  });

  it('that is refused is dead, and it is not known whether it was ever real', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'otto', lifeMs: 1 });
    world.hand.advance(10);
    const { finding } = await (await world.connect()).look(lookOf(leaked.token, { secret: new Secret(leaked.token) }));
    expect([finding.live.state, finding.possession.state]).toEqual(['no', 'unknown']);
  });

  it('is not tried where the account’s settings do not allow it', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'otto' });
    const { finding } = await (await world.connect({ settings: { activeProbe: false } })).look(
      lookOf(leaked.token, { secret: new Secret(leaked.token) }),
    );
    expect([finding.live.state, finding.possession.state]).toEqual(['unknown', 'unknown']);
    expect(Object.keys(world.hand.counters())).not.toContain('github:GET /user');
  });

  it('of an OAuth client of ours is looked up without being used', async () => {
    const { clientId, clientSecret } = world.hand.addApp('desk', 'acme');
    const leaked = world.hand.mint({ form: 'oauth', login: 'otto', clientId, scopes: ['read:user'] });
    const credentials = { token: new Secret(world.own.token), clientId: new Secret(clientId), clientSecret: new Secret(clientSecret) };
    const connection = await world.connect({ credentials, settings: { activeProbe: false } });
    const { finding } = await connection.look(lookOf(leaked.token, { secret: new Secret(leaked.token) }));
    expect(finding).toMatchObject({
      live: { state: 'yes', source: 'administrator' },
      possession: { state: 'yes' },
      principal: 'otto',
      privilege: 'ordinary',
    });
  });

  it('of an installation names the installation of the App whose key we have', async () => {
    const { appId, installationId } = world.builder;
    const leaked = world.hand.mint({ form: 'installation', appId, installationId, stateless: true, permissions: { metadata: 'read' } });
    const { finding } = await (await world.connect()).look(lookOf(leaked.token, { secret: new Secret(leaked.token) }));
    expect(finding).toMatchObject({ principal: `installation/${installationId}`, live: { state: 'yes' }, possession: { state: 'yes' } });
  });
});

describe('a token that is known by its hash alone', () => {
  it('is told from the log: its owner, its scopes, and that it ended', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'olga', scopes: ['repo', 'admin:org'] });
    await octokit(world.sim, leaked.token).request('POST /repos/{owner}/{repo}/keys', {
      owner: 'acme',
      repo: 'shop',
      title: 'ci',
      key: publicKey(),
    });
    const connection = await world.connect();
    const { finding } = await connection.look(lookOf(leaked.token));
    expect(finding).toMatchObject({
      ours: { state: 'yes', source: 'log' },
      principal: 'olga',
      privilege: 'administrator',
      live: { state: 'unknown' },
    });
    world.hand.deleteToken(leaked.sha256);
    const after = await connection.look(lookOf(leaked.token));
    expect(after.finding.live).toMatchObject({ state: 'no', source: 'log' });
  });

  it('is live where the organization’s list has it, with its last use from before anybody tried it', async () => {
    const leaked = world.hand.mint({
      form: 'fine-grained',
      login: 'otto',
      orgs: ['acme'],
      permissions: { administration: 'write' },
      name: 'ci',
    });
    await octokit(world.sim, leaked.token).request('POST /repos/{owner}/{repo}/keys', {
      owner: 'acme',
      repo: 'shop',
      title: 'ci',
      key: publicKey(),
    });
    const used = new Date(Math.floor(world.hand.clock().now / 1000) * 1000).getTime();
    const { finding, befores } = await (await world.connect()).look(lookOf(leaked.token));
    expect(finding.live).toMatchObject({ state: 'yes', source: 'administrator' });
    const root = finding.graph.nodes.find((node) => node.credential?.kind === 'github.token');
    expect(Math.abs(Date.parse(root?.credential?.lastUsed?.at ?? '') - used)).toBeLessThan(2000);
    expect(befores[stepKey('github/revoke-token', { account: 'acme', sha256: leaked.sha256 })]).toMatchObject({
      owner: 'otto',
      lastUsedAt: expect.any(String),
    });
  });

  it('of nobody that we know is unknown, and never said to be foreign', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'mallory' });
    const { finding } = await (await world.connect()).look(lookOf(leaked.token));
    expect([finding.ours.state, finding.live.state, finding.principal]).toEqual(['unknown', 'unknown', undefined]);
  });
});

describe('what a token has made', () => {
  it('is a graph: deploy keys with their fate and who uses them, SSH keys and webhooks of which nobody can say whether they stand', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'olga', scopes: ['repo', 'admin:public_key', 'admin:repo_hook'] });
    const client = octokit(world.sim, leaked.token);
    const { data: key } = await client.request('POST /repos/{owner}/{repo}/keys', {
      owner: 'acme',
      repo: 'shop',
      title: 'deploy',
      key: publicKey(),
    });
    const { data: gone } = await client.request('POST /repos/{owner}/{repo}/keys', {
      owner: 'acme',
      repo: 'shop',
      title: 'was',
      key: publicKey(),
    });
    await client.request('POST /user/keys', { title: 'laptop', key: publicKey() });
    await client.request('POST /repos/{owner}/{repo}/hooks', { owner: 'acme', repo: 'shop', config: { url: 'https://example.org' } });
    world.hand.removeDeployKey('acme', 'shop', gone.id);
    world.hand.useDeployKey('acme', 'shop', key.id);
    const inventory = { stores: [store('deploy', `acme/shop#${key.id}`)], consumers: [consumer('deployer', 'deploy')] };
    const { finding, befores } = await (await world.connect()).look(lookOf(leaked.token, { inventory }));
    const kinds = Object.fromEntries(
      finding.graph.nodes.flatMap((node) => (node.credential ? [[node.title, [node.credential.kind, node.credential.live.state]]] : [])),
    );
    expect(kinds).toMatchObject({
      [`deploy key ${key.id} of acme/shop (deploy)`]: ['github.deploy-key', 'yes'],
      'deploy key was': ['github.deploy-key', 'no'],
      'ssh key laptop': ['github.ssh-key', 'unknown'],
    });
    const node = finding.graph.nodes.find((each) => each.credential?.locator.key === String(key.id));
    expect(node).toMatchObject({
      id: `github.deploy-key:${key.id}/acme/shop`,
      credential: {
        status: 'dies with the token',
        derivedVia: 'POST /repos/{owner}/{repo}/keys',
        issuedAt: expect.any(String),
        lastUsed: { at: expect.any(String) },
      },
      provenance: { confidence: 'certain' },
    });
    expect(finding.graph.edges).toContainEqual(expect.objectContaining({ from: node?.id, to: 'deployer', kind: 'used-by' }));
    expect(finding.descendants).toHaveLength(3);
    expect(befores).toHaveProperty([
      stepKey('github/delete-deploy-key', { account: 'acme', repository: 'acme/shop', key: String(key.id) }),
    ]);
  });

  it('outlives an App’s token', async () => {
    const { appId, installationId } = world.builder;
    const leaked = world.hand.mint({ form: 'installation', appId, installationId, permissions: { administration: 'write' } });
    await octokit(world.sim, leaked.token).request('POST /repos/{owner}/{repo}/keys', {
      owner: 'acme',
      repo: 'shop',
      title: 'deploy',
      key: publicKey(),
    });
    const { finding, evidence } = await (await world.connect()).look(lookOf(leaked.token));
    const node = finding.graph.nodes.find((each) => each.credential?.kind === 'github.deploy-key');
    expect(node?.credential).toMatchObject({ status: 'outlives the token', derivedVia: 'POST /repos/{owner}/{repo}/keys, by an App' });
    expect(evidence.goesWithIt).toEqual([]);
  });

  it('is not known where there is no log, and every key of its owner is suspected', async () => {
    world.hand.addOrg('small', { auditApi: false, members: { olga: 'admin' } });
    world.hand.addRepository('small', 'tool');
    const { keyId } = world.hand.addDeployKey('small', 'tool', { title: 'ci', addedBy: 'olga', lastUsedAgoMs: 5000 });
    const { installationId } = world.hand.install(world.responder.appId, 'small', {
      administration: 'read',
      metadata: 'read',
      members: 'read',
      organization_administration: 'read',
    });
    const own = world.hand.mint({
      form: 'installation',
      appId: world.responder.appId,
      installationId,
      permissions: { administration: 'read', metadata: 'read', members: 'read', organization_administration: 'read' },
    });
    const leaked = world.hand.mint({ form: 'classic', login: 'olga', scopes: ['repo'] });
    const connection = await world.connect({ account: 'small', credentials: { token: new Secret(own.token) } });
    const { finding } = await connection.look(
      lookOf(leaked.token, { secret: new Secret(leaked.token), containedAt: new Date().toISOString() }),
    );
    const node = finding.graph.nodes.find((each) => each.credential?.locator.key === String(keyId));
    expect(node).toMatchObject({ provenance: { confidence: 'suspected' }, credential: { live: { state: 'yes' } } });
    expect([finding.swept.state, finding.misuse.state, finding.logs[0]?.passed.state]).toEqual(['unknown', 'unknown', 'unknown']);
  });
});

describe('the log', () => {
  it('is waited for: a sweep counts once its usual lag has gone by since the containment', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'olga', scopes: ['repo'] });
    const connection = await world.connect();
    const containedAt = new Date(world.hand.clock().now).toISOString();
    const swept = await connection.look(lookOf(leaked.token, { containedAt }));
    expect(swept.finding.swept.state).toBe('yes');
    expect(swept.finding.logs[0]?.passed).toMatchObject({ state: 'yes', until: containedAt });
    expect((await connection.look(lookOf(leaked.token))).finding.swept.state).toBe('unknown');
  });

  it('shows misuse where a change is of no declared consumer, once it is known since when it leaked', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'olga', scopes: ['repo'] });
    const since = new Date(Date.now() - 60_000).toISOString();
    await octokit(world.sim, leaked.token).request('POST /repos/{owner}/{repo}/keys', {
      owner: 'acme',
      repo: 'shop',
      title: 'mine',
      key: publicKey(),
    });
    const inventory = { stores: [store('ci', 'olga')], consumers: [consumer('ci', 'ci', { userAgent: 'ci-runner/7' })] };
    const connection = await world.connect();
    expect((await connection.look(lookOf(leaked.token, { inventory, since }))).finding.misuse).toMatchObject({
      state: 'yes',
      evidence: expect.stringContaining('public_key.create'),
    });
    expect((await connection.look(lookOf(leaked.token, { inventory }))).finding.misuse.state).toBe('unknown');
    const quiet = world.hand.mint({ form: 'classic', login: 'olga' });
    // Reads are not in it, so that silence is no proof.
    expect((await connection.look(lookOf(quiet.token, { inventory, since }))).finding.misuse.state).toBe('unknown');
  });
});

it('a deploy key is live while its repository’s list has it', async () => {
  const { keyId } = world.hand.addDeployKey('acme', 'shop', { title: 'leaked', addedBy: 'olga', readOnly: false });
  const connection = await world.connect();
  const credential = { kind: 'github.deploy-key', locator: { repository: 'acme/shop', key: String(keyId) } };
  const look = async () => (await connection.look({ ...lookOf(world.own.token), credential })).finding;
  expect(await look()).toMatchObject({ live: { state: 'yes' }, ours: { state: 'yes' }, privilege: 'elevated' });
  const remove = connection.actions['delete-deploy-key'];
  await remove?.apply({ account: 'acme', ...credential.locator }, {}, stepOf('s1'));
  expect((await look()).live.state).toBe('no');
});

it('a look at what nothing can be asked of says so', async () => {
  const credential = { kind: 'github.webhook-secret', locator: { repository: 'acme/shop', hookId: '7' } };
  const { finding } = await (await world.connect()).look({ ...lookOf(world.own.token), credential });
  expect([finding.ours.state, finding.live.state]).toEqual(['unknown', 'unknown']);
});

it('a look changes nothing', async () => {
  const leaked = world.hand.mint({ form: 'classic', login: 'olga', scopes: ['repo'] });
  world.hand.addDeployKey('acme', 'shop', { title: 'ci', addedBy: 'olga', madeWith: leaked.sha256 });
  const before = world.hand.picture();
  await (await world.connect()).look(lookOf(leaked.token, { secret: new Secret(leaked.token) }));
  expect([world.hand.picture(), world.hand.mutations()]).toEqual([before, []]);
});
