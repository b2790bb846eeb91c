import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../domain/secret.ts';
import type { Action } from '../../providers/contract.ts';
import { octokit, publicKey, statusOf } from '../lab-github/world.ts';
import { sealedToken, stepOf } from '../providers-github/harnesses.ts';
import { lookOf, type Practice, practice } from '../providers-github/practice.ts';

let world: Practice;
beforeEach(async () => {
  world = await practice();
});
afterEach(() => world.close());

const shop = { owner: 'acme', repo: 'shop' };
const leak = () => world.hand.mint({ form: 'classic', login: 'olga', scopes: ['repo', 'workflow', 'admin:public_key'] });

/** The call that a thief makes with what is left: named, since a trap is one only where something still succeeds. */
const stillPushesAKey = (token: string) =>
  statusOf(() => octokit(world.sim, token).request('POST /repos/{owner}/{repo}/keys', { ...shop, title: 'thief', key: publicKey() }));

async function revokedByTheEngine(token: string) {
  const revoke = (await world.connect()).actions['revoke-token'] as Action;
  const { params, sha256 } = sealedToken(token);
  const context = stepOf('s1', { params, sealing: { ...stepOf('s1').sealing, open: async () => new Secret(token) } });
  const target = { account: 'acme', sha256 };
  const before = await revoke.capture(target, context);
  const applied = await revoke.apply(target, before, context);
  return { applied, probed: await revoke.probe(target, before, context) };
}

describe('trap 21: revocation is refused to whoever says who they are', () => {
  it('the naive script uses the client that it has, meets 403 and goes on: POST /repos/acme/shop/keys still succeeds', async () => {
    const leaked = leak();
    const admin = world.hand.mint({ form: 'classic', login: 'olga', scopes: ['admin:org'] });
    const script = async () => {
      const github = octokit(world.sim, admin.token);
      try {
        await github.request('POST /credentials/revoke', { credentials: [leaked.token] });
      } catch (error) {
        // 403: it must be gone already, since the token cannot be seen any more.
        if ((error as { status?: number }).status !== 403) throw error;
      }
      return 'revoked';
    };
    expect(await script()).toBe('revoked');
    world.hand.advance(60_000);
    expect(await stillPushesAKey(leaked.token)).toBe(200);
  });

  it('the engine’s action is nobody, and the token is refused everywhere', async () => {
    const leaked = leak();
    const { applied, probed } = await revokedByTheEngine(leaked.token);
    expect([applied.outcome, probed.observation.state]).toEqual(['changed', 'yes']);
    expect(await stillPushesAKey(leaked.token)).toBe(401);
  });

  it('the naive script that sends a text with a slip in it is told 202 and believes it: POST /repos/acme/shop/keys still succeeds', async () => {
    const leaked = leak();
    const answer = await octokit(world.sim).request('POST /credentials/revoke', { credentials: [` ${leaked.token}`] });
    expect(answer.status).toBe(202);
    world.hand.advance(60_000);
    expect(await stillPushesAKey(leaked.token)).toBe(200);
  });

  it('the engine calls nothing dead that is accepted: under a 202 without an effect the probe says no', async () => {
    const leaked = leak();
    // As if GitHub took the revocation and did not carry it out in time.
    world.hand.settings({ propagationMs: 3_600_000 });
    const { applied, probed } = await revokedByTheEngine(leaked.token);
    expect([applied.outcome, probed.observation.state]).toEqual(['changed', 'no']);
  });
});

describe('what a revocation takes along, and what it leaves', () => {
  it('the naive script breaks a deployment that it never heard of; the engine says so before anything is done', async () => {
    const leaked = leak();
    const { keyId } = world.hand.addDeployKey('acme', 'shop', {
      title: 'production',
      addedBy: 'olga',
      madeWith: leaked.sha256,
      lastUsedAgoMs: 1000,
    });
    const { finding } = await (await world.connect()).look(lookOf(leaked.token, { secret: new Secret(leaked.token), depth: 'minimal' }));
    expect(finding.graph.nodes.map((node) => node.credential?.status)).toContain('dies with the token');
    expect(world.hand.useDeployKey('acme', 'shop', keyId)).toBe(true);
    await octokit(world.sim).request('POST /credentials/revoke', { credentials: [leaked.token] });
    expect(world.hand.useDeployKey('acme', 'shop', keyId)).toBe(false);
  });

  it('the naive script takes the organization’s own revocation for the end: GET /user still succeeds, and an SSH key outlives both', async () => {
    const leaked = world.hand.mint({ form: 'fine-grained', login: 'otto', orgs: ['acme'], scopes: ['admin:public_key'] });
    await octokit(world.sim, leaked.token).request('POST /user/keys', { title: 'laptop', key: publicKey() });
    const app = octokit(world.sim, world.lend({ organization_personal_access_tokens: 'write' }).token);
    const answer = await app.request('POST /orgs/{org}/personal-access-tokens/{pat_id}', {
      org: 'acme',
      pat_id: leaked.tokenId,
      action: 'revoke',
    });
    expect(answer.status).toBe(204);
    expect(await statusOf(() => octokit(world.sim, leaked.token).request('GET /user'))).toBe(200);
    expect((await revokedByTheEngine(leaked.token)).probed.observation.state).toBe('yes');
    expect(await statusOf(() => octokit(world.sim, leaked.token).request('GET /user'))).toBe(401);
    expect(world.hand.picture().sshKeys).toHaveLength(1);
    const { finding } = await (await world.connect()).look(lookOf(leaked.token));
    expect(finding.graph.nodes.find((node) => node.credential?.kind === 'github.ssh-key')?.credential?.live.state).toBe('unknown');
  });
});
