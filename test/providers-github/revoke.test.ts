import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import type { Action } from '../../providers/contract.ts';
import { sealedToken, stepOf } from './harnesses.ts';
import { credentialOf, type Practice, practice, timing } from './practice.ts';

let world: Practice;
beforeEach(async () => {
  world = await practice();
});
afterEach(() => world.close());

/** A step whose sealed blob holds a text, and opens for the credential that it was sealed for only, as sealing does. */
function withToken(token: string, sealedAs = credentialOf(token)) {
  const { params, sha256 } = sealedToken(token);
  const context = stepOf('s1', {
    params,
    sealing: {
      ...stepOf('s1').sealing,
      open: async (_hash, _keyId, context) => {
        if (JSON.stringify(context) !== JSON.stringify(sealedAs)) throw fault('record.unreadable', {});
        return new Secret(token);
      },
    },
  });
  return { context, target: { account: 'acme', sha256 } };
}

const revokeOf = async (settings: Record<string, unknown> = {}): Promise<Action> =>
  (await world.connect({ settings })).actions['revoke-token'] as Action;

describe.each(['classic', 'fine-grained', 'oauth', 'app-user'] as const)('a leaked %s token', (form) => {
  it('is revoked by nobody, is seen refused, and each answer’s request id is kept', async () => {
    const leaked = world.hand.mint({ form, login: 'otto', orgs: ['acme'] });
    const revoke = await revokeOf();
    const { context, target } = withToken(leaked.token);
    const before = await revoke.capture(target, context);
    const applied = await revoke.apply(target, before, context);
    expect(applied.outcome).toBe('changed');
    expect(applied.requestIds).toHaveLength(1);
    const probed = await revoke.probe(target, before, context);
    expect(probed.observation).toMatchObject({ state: 'yes', source: 'probe' });
    expect(probed.requestIds.length).toBeGreaterThan(0);
    expect(world.hand.isAccepted(leaked.token)).toBe(false);
    expect(world.hand.mails()).toHaveLength(1);
    expect(world.hand.mutations().map((entry) => entry.caller)).toEqual(['ip 127.0.0.1']);
  });
});

it.each([false, true])('an installation’s token ends by itself, of the form that names its App: %s', async (stateless) => {
  const { appId, installationId } = world.builder;
  const leaked = world.hand.mint({ form: 'installation', appId, installationId, stateless, permissions: { metadata: 'read' } });
  const revoke = await revokeOf();
  const { context, target } = withToken(leaked.token);
  const applied = await revoke.apply(target, { deployKeys: [], unread: [] }, context);
  expect([applied.outcome, (await revoke.probe(target, {}, context)).observation.state]).toEqual(['changed', 'yes']);
  expect(world.hand.mutations().map((entry) => entry.action)).toEqual(['DELETE /installation/token']);
  expect((await revoke.apply(target, { deployKeys: [], unread: [] }, context)).outcome).toBe('absent');
});

it('a refresh token is revoked though it cannot be tried, and the log tells of its end', async () => {
  const leaked = world.hand.mint({ form: 'refresh', login: 'otto' });
  const revoke = await revokeOf();
  const { context, target } = withToken(leaked.token);
  expect((await revoke.probe(target, {}, context)).observation.state).toBe('unknown');
  await revoke.apply(target, { deployKeys: [], unread: [] }, context);
  expect((await revoke.probe(target, {}, context)).observation).toMatchObject({ state: 'yes', source: 'log' });
  expect(Object.keys(world.hand.counters())).not.toContain('github:GET /user');
});

describe('where a token may not be tried', () => {
  it('202 proves nothing: it is unknown until the log shows the end', async () => {
    world.hand.settings({ auditLagMs: 60_000 });
    const leaked = world.hand.mint({ form: 'classic', login: 'otto' });
    const revoke = await revokeOf({ activeProbe: false });
    const { context, target } = withToken(leaked.token);
    const before = await revoke.capture(target, context);
    await revoke.apply(target, before, context);
    expect((await revoke.probe(target, before, context)).observation.state).toBe('unknown');
    world.hand.advance(60_001);
    expect((await revoke.probe(target, before, context)).observation).toMatchObject({ state: 'yes', source: 'log' });
    expect(Object.keys(world.hand.counters())).not.toContain('github:GET /user');
  });

  it('it stays unknown where the log does not speak of revocations, or is not there', async () => {
    world.hand.settings({ revocationLogged: false });
    const leaked = world.hand.mint({ form: 'classic', login: 'otto' });
    const revoke = await revokeOf({ activeProbe: false });
    const { context, target } = withToken(leaked.token);
    await revoke.apply(target, { deployKeys: [], unread: [] }, context);
    expect((await revoke.probe(target, {}, context)).observation).toMatchObject({ state: 'unknown', why: expect.stringContaining('202') });
    world.hand.addOrg('small', { auditApi: false, members: { otto: 'member' } });
    const small = (await world.connect({ account: 'small', settings: { activeProbe: false } })).actions['revoke-token'] as Action;
    expect((await small.probe({ ...target, account: 'small' }, {}, context)).observation).toMatchObject({
      state: 'unknown',
      why: expect.stringContaining('audit log'),
    });
  });

  it('losing the organization is not taken for the token’s end', async () => {
    const leaked = world.hand.mint({ form: 'fine-grained', login: 'otto', orgs: ['acme'] });
    world.hand.unlinkByHand('acme', leaked.sha256);
    const revoke = await revokeOf({ activeProbe: false });
    const { context, target } = withToken(leaked.token);
    expect((await revoke.probe(target, {}, context)).observation.state).toBe('unknown');
    expect((await revoke.apply(target, await revoke.capture(target, context), context)).outcome).toBe('changed');
    expect(world.hand.isAccepted(leaked.token)).toBe(true);
    world.hand.advance(timing.propagationMs + 1);
    expect(world.hand.isAccepted(leaked.token)).toBe(false);
  });
});

it('a token that was sealed with a line’s end behind it is revoked all the same', async () => {
  const leaked = world.hand.mint({ form: 'classic', login: 'otto' });
  const revoke = await revokeOf();
  const { context, target } = withToken(`${leaked.token}\n`, credentialOf(leaked.token));
  await revoke.apply({ ...target, sha256: leaked.sha256 }, { deployKeys: [], unread: [] }, context);
  world.hand.advance(timing.propagationMs + 1);
  expect(world.hand.isAccepted(leaked.token)).toBe(false);
});

describe('what is not sent', () => {
  it('another token than the one that was planned for', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'otto' });
    const other = world.hand.mint({ form: 'classic', login: 'olga' });
    const revoke = await revokeOf();
    const { context, target } = withToken(other.token, credentialOf(leaked.token));
    await expect(revoke.apply({ ...target, sha256: leaked.sha256 }, { deployKeys: [] }, context)).rejects.toMatchObject({
      code: 'provider.conflict',
    });
    expect([world.hand.isAccepted(other.token), world.hand.mutations()]).toEqual([true, []]);
  });

  it('nothing, where no token was sealed or it is of another account', async () => {
    const revoke = await revokeOf();
    const target = { account: 'acme', sha256: 'AAAA' };
    await expect(revoke.apply(target, { deployKeys: [] }, stepOf('s1'))).rejects.toMatchObject({ code: 'provider.invalid' });
    await expect(revoke.apply({ ...target, account: 'other' }, { deployKeys: [] }, stepOf('s1'))).rejects.toMatchObject({
      code: 'provider.invalid',
    });
    expect(world.hand.mutations()).toEqual([]);
  });

  it('our own', async () => {
    const revoke = await revokeOf();
    const { context, target } = withToken(world.own.token);
    await expect(revoke.apply(target, { deployKeys: [] }, context)).rejects.toMatchObject({ code: 'warrant.own-credential' });
    expect(world.hand.isAccepted(world.own.token)).toBe(true);
    expect(await (await world.connect()).self?.()).toContainEqual({ id: world.own.sha256, what: expect.any(String) });
  });
});

it('the before-state names the deploy keys that will go, and not those that stay', async () => {
  const leaked = world.hand.mint({ form: 'classic', login: 'ci-bot', scopes: ['repo'] });
  const with_ = world.hand.addDeployKey('acme', 'shop', {
    title: 'made with it',
    addedBy: 'ci-bot',
    madeWith: leaked.sha256,
    lastUsedAgoMs: 1000,
  });
  const unsaid = world.hand.addDeployKey('acme', 'shop', { title: 'nobody knows how', addedBy: 'ci-bot', logged: false });
  world.hand.addDeployKey('acme', 'shop', { title: 'in the web pages', addedBy: 'ci-bot' });
  world.hand.addDeployKey('acme', 'site', { title: 'of somebody else', addedBy: 'olga', logged: false });
  const revoke = await revokeOf();
  const { context, target } = withToken(leaked.token);
  const before = (await revoke.capture(target, context)) as { owner: string; deployKeys: { keyId: string; certain: boolean }[] };
  expect(before.owner).toBe('ci-bot');
  expect(before.deployKeys.map(({ keyId, certain }) => [Number(keyId), certain])).toEqual([
    [with_.keyId, true],
    [unsaid.keyId, false],
  ]);
  const applied = await revoke.apply(target, before, context);
  expect(applied.facts).toMatchObject({ deployKeysThatGoWithIt: [`acme/shop#${with_.keyId}`, `acme/shop#${unsaid.keyId}`] });
  expect(world.hand.useDeployKey('acme', 'shop', with_.keyId)).toBe(false);
});

it('a deploy key of a repository that may not be seen is no key that is gone', async () => {
  world.hand.addRepository('elsewhere', 'private');
  const remove = (await world.connect()).actions['delete-deploy-key'] as Action;
  const target = { account: 'acme', repository: 'elsewhere/private', key: '77' };
  await expect(remove.apply(target, {}, stepOf('s1'))).rejects.toMatchObject({ code: 'provider.denied' });
});

it('an installation that a person has suspended stays so', async () => {
  const target = { account: 'acme', installationId: String(world.builder.installationId) };
  world.hand.suspendByHand(world.builder.installationId, 'olga', true);
  const connection = await world.connect();
  const lift = connection.actions['unsuspend-installation'] as Action;
  await expect(lift.apply(target, await lift.capture(target, stepOf('s1')), stepOf('s1'))).rejects.toMatchObject({
    code: 'provider.conflict',
  });
  const suspend = connection.actions['suspend-installation'] as Action;
  const before = await suspend.capture(target, stepOf('s2'));
  expect((await suspend.apply(target, before, stepOf('s2'))).outcome).toBe('already');
  expect((await suspend.revert?.(target, before, stepOf('s2')))?.outcome).toBe('already');
  expect(world.hand.suspension(world.builder.installationId).since).not.toBeNull();
});

it('an App of ours acts with tokens that it makes by itself, and is not asked to suspend itself', async () => {
  const { appId, privateKey, installationId } = world.responder;
  const credentials = {
    appId: new Secret(String(appId)),
    privateKey: new Secret(privateKey),
    installationId: new Secret(String(installationId)),
  };
  const connection = await world.connect({ credentials });
  expect((await connection.check()).map(({ observation }) => observation.state)).toEqual(['yes', 'yes', 'yes', 'yes', 'yes']);
  const made = world.hand.counters()['github:POST /app/installations/{installation_id}/access_tokens']?.calls;
  expect(made).toBe(1);
  const suspend = connection.actions['suspend-installation'] as Action;
  await expect(suspend.capture({ account: 'acme', installationId: String(installationId) }, stepOf('s1'))).rejects.toMatchObject({
    code: 'warrant.own-credential',
  });
});
