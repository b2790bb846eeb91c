import sodium from 'libsodium-wrappers';
import { afterEach, describe, expect, it } from 'vitest';
import { type GithubSimulator, githubControl } from '../../lab/github/index.ts';
import { jwt } from '../../lab/github/tokens.ts';
import { octokit, publicKey, start, statusOf } from './world.ts';

const open: GithubSimulator[] = [];
const begin = async (options?: Parameters<typeof start>[0]) => {
  const world = await start(options);
  open.push(world.sim);
  return world;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((sim) => sim.close()));
});
const seconds = () => Math.floor(Date.now() / 1000);

describe('revocation of leaked credentials', () => {
  it('is refused to whoever says who they are, with 403 and without an effect', async () => {
    const { sim, hand, owner } = await begin();
    const leaked = hand.mint({ form: 'classic', login: 'otto', scopes: ['repo'] });
    const revoke = (token?: string) => octokit(sim, token).request('POST /credentials/revoke', { credentials: [leaked.token] });
    expect(await statusOf(() => revoke(owner.token))).toBe(403);
    expect(await statusOf(() => revoke('ghp_of_nobody'))).toBe(403);
    expect(hand.isAccepted(leaked.token)).toBe(true);
    expect((await revoke()).status).toBe(202);
    expect(hand.isAccepted(leaked.token)).toBe(false);
  });

  it('says 202 to whatever text, mails the owner of a real one once, and takes no installation’s token', async () => {
    const { sim, hand } = await begin();
    const leaked = hand.mint({ form: 'fine-grained', login: 'otto' });
    const { appId } = hand.addApp('builder', 'acme');
    const { installationId } = hand.install(appId, 'acme', {});
    const machine = hand.mint({ form: 'installation', appId, installationId });
    const credentials = ['nonsense', leaked.token, machine.token];
    for (const _ of [1, 2]) expect((await octokit(sim).request('POST /credentials/revoke', { credentials })).status).toBe(202);
    expect(hand.isAccepted(machine.token)).toBe(true);
    expect(hand.mails().map(({ to }) => to)).toEqual(['otto@example.org']);
  });

  it('says 422 to a list that is empty, too long or none, and counts sixty an hour', async () => {
    const { sim } = await begin();
    const client = octokit(sim);
    for (const credentials of [[], Array(1001).fill('x'), [7], 'ghp_x'])
      expect(await statusOf(() => client.request('POST /credentials/revoke', { credentials: credentials as string[] }))).toBe(422);
    const answers = new Set<number>();
    for (let i = 0; i < 60; i++) answers.add(await statusOf(() => client.request('GET /orgs/{org}', { org: 'acme' })));
    expect([...answers]).toEqual([200, 403]);
    const refusal = await client.request('POST /credentials/revoke', { credentials: ['x'] }).catch((error) => error);
    expect(refusal.response.headers).toMatchObject({ 'x-ratelimit-limit': '60', 'x-ratelimit-remaining': '0' });
  });

  it('ends a token one propagation time after it said yes', async () => {
    const { sim, hand } = await begin({ propagationMs: 4000 });
    const leaked = hand.mint({ form: 'classic', login: 'otto' });
    await octokit(sim).request('POST /credentials/revoke', { credentials: [leaked.token] });
    expect(await statusOf(() => octokit(sim, leaked.token).request('GET /user'))).toBe(200);
    hand.advance(4001);
    expect(await statusOf(() => octokit(sim, leaked.token).request('GET /user'))).toBe(401);
  });
});

describe('what a token has made', () => {
  it.each(['classic', 'fine-grained', 'oauth'] as const)(
    'a deploy key that a %s token made dies with it; SSH keys and webhooks live on',
    async (form) => {
      const { sim, hand } = await begin();
      const permissions = { administration: 'write', repository_hooks: 'write' };
      const leaked = hand.mint({
        form,
        login: 'olga',
        scopes: ['repo', 'admin:repo_hook', 'admin:public_key'],
        permissions,
        orgs: ['acme'],
      });
      const client = octokit(sim, leaked.token);
      const { data } = await client.request('POST /repos/{owner}/{repo}/keys', {
        owner: 'acme',
        repo: 'shop',
        title: 'ci',
        key: publicKey(),
      });
      await client.request('POST /repos/{owner}/{repo}/hooks', { owner: 'acme', repo: 'shop', config: { url: 'https://example.org' } });
      await client.request('POST /user/keys', { title: 'laptop', key: publicKey() });
      const other = hand.addDeployKey('acme', 'shop', { title: 'other', addedBy: 'olga' });
      await octokit(sim).request('POST /credentials/revoke', { credentials: [leaked.token] });
      expect(hand.useDeployKey('acme', 'shop', data.id)).toBe(false);
      expect(hand.useDeployKey('acme', 'shop', other.keyId)).toBe(true);
      const { repositories, sshKeys } = hand.picture();
      expect([repositories[0]?.hooks.length, sshKeys.length]).toEqual([1, 1]);
    },
  );

  it('one that an App made outlives the App’s tokens', async () => {
    const { sim, hand } = await begin();
    const { appId } = hand.addApp('builder', 'acme');
    const { installationId } = hand.install(appId, 'acme', { administration: 'write' });
    const machine = hand.mint({ form: 'installation', appId, installationId, permissions: { administration: 'write' } });
    const client = octokit(sim, machine.token);
    const { data } = await client.request('POST /repos/{owner}/{repo}/keys', {
      owner: 'acme',
      repo: 'shop',
      title: 'ci',
      key: publicKey(),
    });
    expect((await client.request('DELETE /installation/token')).status).toBe(204);
    expect(hand.isAccepted(machine.token)).toBe(false);
    expect(hand.useDeployKey('acme', 'shop', data.id)).toBe(true);
  });

  it('the organization’s own revocation only unlinks a fine-grained token, and only Apps may ask', async () => {
    const { sim, hand, owner } = await begin();
    const leaked = hand.mint({ form: 'fine-grained', login: 'otto', orgs: ['acme'], permissions: { secrets: 'read' } });
    const { appId } = hand.addApp('responder', 'acme');
    const permissions = { organization_personal_access_tokens: 'write' };
    const { installationId } = hand.install(appId, 'acme', permissions);
    const app = octokit(sim, hand.mint({ form: 'installation', appId, installationId, permissions }).token);
    expect(await statusOf(() => octokit(sim, owner.token).request('GET /orgs/{org}/personal-access-tokens', { org: 'acme' }))).toBe(403);
    const { data } = await app.request('GET /orgs/{org}/personal-access-tokens', { org: 'acme' });
    expect(data.map((row) => row.token_id)).toEqual([leaked.tokenId]);
    await app.request('POST /orgs/{org}/personal-access-tokens/{pat_id}', { org: 'acme', pat_id: leaked.tokenId, action: 'revoke' });
    expect(hand.isAccepted(leaked.token)).toBe(true);
    expect(
      await statusOf(() =>
        octokit(sim, leaked.token).request('GET /repos/{owner}/{repo}/actions/secrets', { owner: 'acme', repo: 'shop' }),
      ),
    ).toBe(404);
  });
});

describe('the audit log', () => {
  const search = (world: Awaited<ReturnType<typeof begin>>, phrase: string, token = world.owner.token) =>
    octokit(world.sim, token).request('GET /orgs/{org}/audit-log', { org: 'acme', phrase });

  it('names a token by the base64 of its SHA-256, in quotation marks, and is behind', async () => {
    const world = await begin({ auditLagMs: 60_000 });
    const leaked = world.hand.mint({ form: 'classic', login: 'olga', scopes: ['repo'] });
    await octokit(world.sim, leaked.token).request('POST /repos/{owner}/{repo}/keys', {
      owner: 'acme',
      repo: 'shop',
      title: 'ci',
      key: publicKey(),
    });
    expect((await search(world, `hashed_token:"${leaked.sha256}"`)).data).toEqual([]);
    world.hand.advance(60_001);
    const { data } = await search(world, `hashed_token:"${leaked.sha256}"`);
    expect(data).toMatchObject([
      { action: 'public_key.create', actor: 'olga', token_scopes: 'repo', repo: 'acme/shop', token_id: leaked.tokenId },
    ]);
    expect((await search(world, `hashed_token:${leaked.sha256}`)).data).toEqual([]);
    expect((await search(world, 'action:public_key created:>=2020-01-01')).data).toHaveLength(1);
    expect(await statusOf(() => search(world, 'something else'))).toBe(422);
  });

  it('is walked page by page with the stock client, and is an owner’s to read', async () => {
    const world = await begin();
    for (let i = 0; i < 7; i++) world.hand.addDeployKey('acme', 'shop', { title: `key ${i}`, addedBy: 'olga' });
    const client = octokit(world.sim, world.owner.token);
    const events = (await client.paginate('GET /orgs/{org}/audit-log', { org: 'acme', per_page: 3 })) as { title: string }[];
    expect(events.map((event) => event.title)).toEqual([6, 5, 4, 3, 2, 1, 0].map((i) => `key ${i}`));
    const member = world.hand.mint({ form: 'classic', login: 'otto', scopes: ['repo', 'read:audit_log'] });
    expect(await statusOf(() => search(world, '', member.token))).toBe(403);
  });

  it('is not there for an organization of a plan without it', async () => {
    const world = await begin();
    world.hand.addOrg('small', { auditApi: false, members: { olga: 'admin' } });
    expect(await statusOf(() => octokit(world.sim, world.owner.token).request('GET /orgs/{org}/audit-log', { org: 'small' }))).toBe(404);
  });
});

describe('Apps and clients', () => {
  it('an App signs with its key, for ten minutes at most, and suspends its own installations only', async () => {
    const { sim, hand } = await begin();
    const app = hand.addApp('builder', 'acme');
    const other = hand.addApp('other', 'acme');
    const { installationId } = hand.install(app.appId, 'acme', { metadata: 'read' });
    const as = (of: typeof app, life: number) =>
      octokit(sim, jwt(of, { iss: String(of.appId), iat: seconds() - 10, exp: seconds() + life }));
    const suspend = (of: typeof app, life = 300) =>
      as(of, life).request('PUT /app/installations/{installation_id}/suspended', { installation_id: installationId });
    expect(await statusOf(() => suspend(app, 3600))).toBe(401);
    expect(await statusOf(() => suspend({ ...app, privateKey: other.privateKey }))).toBe(401);
    expect(await statusOf(() => suspend(other))).toBe(404);
    const { data } = await as(app, 300).request('POST /app/installations/{installation_id}/access_tokens', {
      installation_id: installationId,
    });
    const machine = octokit(sim, data.token);
    expect((await machine.request('GET /installation/repositories')).data.total_count).toBe(2);
    expect((await suspend(app)).status).toBe(204);
    expect(await statusOf(() => machine.request('GET /installation/repositories'))).toBe(403);
    await as(app, 300).request('DELETE /app/installations/{installation_id}/suspended', { installation_id: installationId });
    expect(await statusOf(() => machine.request('GET /installation/repositories'))).toBe(200);
  });

  it('a client asks after a token of its own without using it, and ends it', async () => {
    const { sim, hand } = await begin();
    const { clientId, clientSecret } = hand.addApp('desk', 'acme');
    const leaked = hand.mint({ form: 'oauth', login: 'otto', clientId, scopes: ['repo'] });
    const foreign = hand.mint({ form: 'oauth', login: 'otto', clientId: 'Iv23other' });
    const client = octokit(sim);
    const authorization = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
    const ask = (token: string) =>
      client.request('POST /applications/{client_id}/token', { client_id: clientId, access_token: token, headers: { authorization } });
    expect((await ask(leaked.token)).data).toMatchObject({ user: { login: 'otto' }, scopes: ['repo'] });
    expect(await statusOf(() => ask(foreign.token))).toBe(404);
    await client.request('DELETE /applications/{client_id}/token', {
      client_id: clientId,
      access_token: leaked.token,
      headers: { authorization },
    });
    expect(await statusOf(() => ask(leaked.token))).toBe(404);
    expect(hand.isAccepted(leaked.token)).toBe(false);
  });
});

describe('secrets of Actions', () => {
  it('are sealed to the key of their place, are never read back, and a run keeps the one it started with', async () => {
    const { sim, hand, owner } = await begin();
    const client = octokit(sim, owner.token);
    const at = { owner: 'acme', repo: 'shop' };
    hand.putSecret('acme', 'shop', 'DEPLOY_KEY', 'old');
    const { jobId } = hand.startJob('acme', 'shop');
    const { data } = await client.request('GET /repos/{owner}/{repo}/actions/secrets/public-key', at);
    const box = sodium.crypto_box_seal('new', Buffer.from(data.key, 'base64'));
    const put = (more: object) =>
      client.request('PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}', {
        ...at,
        secret_name: 'DEPLOY_KEY',
        encrypted_value: Buffer.from(box).toString('base64'),
        key_id: data.key_id,
        ...more,
      });
    expect(await statusOf(() => put({ key_id: '1' }))).toBe(422);
    expect(await statusOf(() => put({ encrypted_value: Buffer.from('new').toString('base64') }))).toBe(422);
    expect((await put({})).status).toBe(204);
    const listed = await client.request('GET /repos/{owner}/{repo}/actions/secrets', at);
    expect(listed.data).toMatchObject({ total_count: 1, secrets: [{ name: 'DEPLOY_KEY' }] });
    expect(JSON.stringify(listed.data)).not.toContain('new');
    expect([hand.jobValue(jobId, 'DEPLOY_KEY'), hand.jobValue(hand.startJob('acme', 'shop').jobId, 'DEPLOY_KEY')]).toEqual(['old', 'new']);
    expect(
      await statusOf(() =>
        client.request('GET /repos/{owner}/{repo}/environments/{environment_name}/secrets', { ...at, environment_name: 'nowhere' }),
      ),
    ).toBe(404);
  });
});

describe('manners', () => {
  it('what one may not see is not there, and what a fine-grained token may not do is forbidden', async () => {
    const { sim, hand } = await begin();
    const at = { owner: 'acme', repo: 'shop' };
    const member = hand.mint({ form: 'classic', login: 'otto', scopes: ['repo'] });
    expect(await statusOf(() => octokit(sim, member.token).request('GET /repos/{owner}/{repo}/keys', at))).toBe(404);
    const fine = hand.mint({ form: 'fine-grained', login: 'otto', orgs: ['acme'] });
    expect(await statusOf(() => octokit(sim, fine.token).request('GET /repos/{owner}/{repo}/keys', at))).toBe(403);
    expect(await statusOf(() => octokit(sim).request('GET /repos/{owner}/{repo}', at))).toBe(404);
    expect(await statusOf(() => octokit(sim).request('GET /nonsense'))).toBe(404);
  });

  it('too many changes a minute are asked to wait, by a header that says how long', async () => {
    const { sim, hand, owner } = await begin({ secondaryPerMinute: 2 });
    const add = () =>
      octokit(sim, owner.token).request('POST /repos/{owner}/{repo}/keys', { owner: 'acme', repo: 'shop', title: 'k', key: publicKey() });
    expect([await statusOf(add), await statusOf(add), await statusOf(add)]).toEqual([200, 200, 403]);
    const refusal = await add().catch((error) => error);
    expect(Number(refusal.response.headers['retry-after'])).toBeGreaterThan(0);
    hand.advance(61_000);
    expect(await statusOf(add)).toBe(200);
  });

  it('the control port does what the hand does, for whoever has its token', async () => {
    const { sim, hand } = await begin();
    const control = githubControl(sim.control);
    const { token } = await control.mint({ form: 'classic', login: 'otto' });
    expect([await control.isAccepted(token), hand.isAccepted(token)]).toEqual([true, true]);
    await control.advance(1000);
    await expect(githubControl({ ...sim.control, token: 'wrong' }).clock()).rejects.toThrow('401');
  });

  it('a lost reply has had its effect', async () => {
    const { sim, hand } = await begin();
    const leaked = hand.mint({ form: 'classic', login: 'otto' });
    hand.inject({ kind: 'lose-reply-after-effect', action: 'POST /credentials/revoke', count: 1 });
    await expect(octokit(sim).request('POST /credentials/revoke', { credentials: [leaked.token] })).rejects.toThrow();
    expect(hand.isAccepted(leaked.token)).toBe(false);
    expect(hand.mutations()).toMatchObject([{ action: 'POST /credentials/revoke', effect: 'changed', reply: 'lost' }]);
  });
});
