import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashOf } from '../../domain/canonical.ts';
import type { DoneStep, Plan } from '../../domain/plan.ts';
import { Secret } from '../../domain/secret.ts';
import { containedExtent } from '../../planning/facts.ts';
import { knowledgeOf } from '../../planning/kinds/index.ts';
import { planRound } from '../../planning/plan.ts';
import { brokenRules } from '../../planning/rules.ts';
import { manifests } from '../../providers/manifests.ts';
import { octokit } from '../lab-github/world.ts';
import { a } from '../planning/fixtures.ts';
import { credentialOf, lookOf, type Practice, practice, timing } from './practice.ts';

let world: Practice;
beforeEach(async () => {
  world = await practice();
});
afterEach(() => world.close());

const sealed = { hash: hashOf('sealed'), keyId: 'seal_1' } as const;

/** The plan of the first round about a token that stands in public, made of what the provider really finds, with two people's leave given beforehand. */
async function planAbout(token: string): Promise<Plan> {
  const exposedSince = new Date(world.hand.clock().now - 30_000).toISOString();
  const { finding } = await (await world.connect()).look(
    lookOf(token, { secret: new Secret(token), depth: 'minimal', since: exposedSince }),
  );
  const now = finding.providerTime;
  const assessment = a.assessment(finding, { credential: credentialOf(token), depth: 'minimal', exposure: 'public', exposedSince, sealed });
  const verdict = a.verdict({
    authorised: {
      authorisation: hashOf('leave'),
      id: 'auth_1',
      cascadeMs: 600_000,
      expires: new Date(Date.parse(now) + 3_600_000).toISOString(),
    },
  });
  const input = a.input(assessment, { now, verdict, inventory: a.inventory({ consumers: [], stores: [], exposure: 'public' }), manifests });
  const plan = planRound(input);
  expect(brokenRules(plan, input)).toEqual([]);
  return plan;
}

const revocationIn = (plan: Plan) => plan.steps.find((step) => step.action === 'github/revoke-token');

describe('a classic token in public, with leave given beforehand', () => {
  it('is revoked without a question, with the token itself at hand', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'ci-bot', scopes: ['repo'] });
    const step = revocationIn(await planAbout(leaked.token));
    expect(step).toMatchObject({
      provider: 'github',
      account: 'acme',
      target: { account: 'acme', sha256: leaked.sha256 },
      reversibility: 'irreversible',
      params: { sealed },
      authorisation: hashOf('leave'),
    });
    expect(step?.gate).toBeUndefined();
  });

  it.each([true, false])(
    'is asked about where a deploy key that is in use would die, whether or not the log says how it was made: %s',
    async (logged) => {
      const leaked = world.hand.mint({ form: 'classic', login: 'ci-bot', scopes: ['repo'] });
      world.hand.addDeployKey('acme', 'shop', {
        title: 'production',
        addedBy: 'ci-bot',
        madeWith: leaked.sha256,
        lastUsedAgoMs: 3_600_000,
        logged,
        ageMs: 86_400_000,
      });
      const plan = await planAbout(leaked.token);
      const step = revocationIn(plan);
      expect(step?.gate).toBeDefined();
      expect(plan.steps.map((each) => each.action)).not.toContain('github/delete-deploy-key');
    },
  );

  it('the keys of somebody else make no question of it', async () => {
    const leaked = world.hand.mint({ form: 'classic', login: 'ci-bot', scopes: ['repo'] });
    world.hand.addDeployKey('acme', 'shop', { title: 'production', addedBy: 'olga', lastUsedAgoMs: 3_600_000, ageMs: 86_400_000 });
    expect(revocationIn(await planAbout(leaked.token))?.gate).toBeUndefined();
  });
});

it.each([true, false])('what is revoked is contained, whether or not the log shows its end: %s', async (revocationLogged) => {
  world.hand.settings({ revocationLogged });
  const leaked = world.hand.mint({ form: 'classic', login: 'ci-bot', scopes: ['repo'] });
  const first = await planAbout(leaked.token);
  const step = revocationIn(first);
  if (!step) throw new Error('nothing is revoked');
  await octokit(world.sim).request('POST /credentials/revoke', { credentials: [leaked.token] });
  world.hand.advance(timing.propagationMs + 1);
  const effectiveAt = new Date(world.hand.clock().now).toISOString();
  const done: DoneStep[] = [{ round: 1, step, state: 'done', effectiveAt }];
  const { finding } = await (await world.connect()).look(lookOf(leaked.token, { containedAt: effectiveAt }));
  expect([finding.live.state, finding.swept.state]).toEqual([revocationLogged ? 'no' : 'unknown', 'yes']);
  const assessment = a.assessment(finding, { credential: credentialOf(leaked.token), exposure: 'public', sealed });
  expect(containedExtent(assessment, done, manifests)).toBe('yes');
  const input = a.input(assessment, {
    round: 2,
    now: finding.providerTime,
    done,
    inventory: a.inventory({ consumers: [], stores: [], exposure: 'public' }),
    manifests,
  });
  expect(planRound(input).steps.map((each) => each.action)).not.toContain('github/revoke-token');
});

it('an installation’s token is ended, and its installation can be suspended and let work again', async () => {
  const { appId, installationId } = world.builder;
  const leaked = world.hand.mint({ form: 'installation', appId, installationId, stateless: true, permissions: { metadata: 'read' } });
  const { finding } = await (await world.connect()).look(lookOf(leaked.token, { secret: new Secret(leaked.token) }));
  const knowledge = knowledgeOf('github', manifests);
  const principal = knowledge?.principal(finding.principal, 'acme');
  expect(principal?.id).toBe(`installation/${installationId}`);
  if (!principal) return;
  const target = { account: 'acme', installationId: String(installationId) };
  expect(knowledge?.deny(principal)).toMatchObject({ action: 'suspend-installation', target, hold: `installation/${installationId}` });
  expect(knowledge?.liftDeny(principal)).toMatchObject({ action: 'unsuspend-installation', target });
  const root = finding.graph.nodes.find((node) => node.credential?.kind === 'github.installation-token')?.credential;
  expect(root && knowledge?.remove(root, principal)).toMatchObject({
    action: 'revoke-token',
    target: { account: 'acme', sha256: leaked.sha256 },
  });
});

it('a login is a principal, by its name or as the inventory may have it, and an installation is none', () => {
  const knowledge = knowledgeOf('github', manifests);
  for (const text of ['ci-bot', 'github.com/ci-bot', 'user/ci-bot'])
    expect(knowledge?.principal(text, 'acme')).toMatchObject({ id: 'user/ci-bot', name: 'ci-bot' });
  for (const text of ['arn:aws:iam::1:user/x', 'a b', '-x', 'ci*']) expect(knowledge?.principal(text, 'acme')).toBeUndefined();
});
