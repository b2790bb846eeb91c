import { afterEach, beforeEach, expect, it } from 'vitest';
import { hashOf } from '../../domain/canonical.ts';
import { nodeId } from '../../domain/credential.ts';
import type { DoneStep, Plan } from '../../domain/plan.ts';
import { planRound } from '../../planning/plan.ts';
import { brokenRules } from '../../planning/rules.ts';
import type { Connection } from '../../providers/contract.ts';
import { manifest } from '../../providers/gcp/manifest.ts';
import { manifest as vault } from '../../providers/vault/manifest.ts';
import { a } from '../planning/fixtures.ts';
import { type Practice, practice } from './practice.ts';
import { keyRef, lookAt, stepOf } from './steps.ts';

/* Looks, plans and actions as the engine plays them one after the other, with no engine between: what the manifest says, the planner plans, and what it plans, the actions can do. */

const minute = 60_000;
let world: Practice;
let connection: Connection;
beforeEach(async () => {
  world = await practice();
  connection = await world.connect();
});
afterEach(() => world.close());

it('a leaked key that was exchanged is contained, replaced and ended, its account comes back when no token can be left, and an account that it could act as is put to a person', async () => {
  const email = await world.makeAccount('ci-deployer');
  const other = await world.makeAccount('payments');
  await world.grant(email, 'roles/viewer');
  await world.grant(other, 'roles/viewer');
  await world.grant(email, 'roles/iam.serviceAccountTokenCreator', other);
  const file = await world.makeKey(email);
  const token = await world.alive(file);
  const scope = ['https://www.googleapis.com/auth/cloud-platform'];
  const acted = await world.call(token, 'POST', `/v1/projects/-/serviceAccounts/${other}:generateAccessToken`, { scope });
  const acting = String(acted.body.accessToken);
  expect([await world.lists(token), await world.lists(acting)]).toEqual([true, true]);

  const credential = keyRef(file);
  const store = a.store('ci', { principal: email, fields: {} });
  const inventory = { consumers: [a.consumer('build', { store: 'ci' })], stores: [store] };
  const since = new Date((await world.now()) - minute).toISOString();
  const done: DoneStep[] = [];
  let containedAt: string | undefined;

  const round = async (number: number): Promise<Plan> => {
    const made = done.flatMap((each) => (each.made ? [each.made] : []));
    const { finding } = await connection.look(
      lookAt(credential, { since, inventory, ours: made, ...(containedAt ? { containedAt } : {}) }),
    );
    const assessment = a.assessment(finding, { credential, exposedSince: since });
    const now = new Date(await world.now()).toISOString();
    const input = a.input(assessment, {
      round: number,
      now,
      done: [...done],
      inventory: a.inventory(inventory),
      manifests: { gcp: manifest, vault },
    });
    const plan = planRound(input);
    expect(brokenRules(plan, input)).toEqual([]);
    for (const step of plan.steps) {
      const [system, name = ''] = step.action.split('/');
      if (step.action === 'manual/contain') {
        // The planner leaves an account that was there before the leak to a person, who has the engine's own action for it.
        expect(step.target.credential).toContain(other);
        const { probed } = await stepOf(connection, 'disable-service-account', { account: world.project, serviceAccount: other }).play();
        expect(probed.observation.state).toBe('yes');
        done.push({ round: number, step, state: 'done', effectiveAt: probed.effectiveAt ?? now });
        continue;
      }
      if (system !== 'gcp') {
        // The store is not Google's, and what a person would do is done.
        done.push({
          round: number,
          step,
          state: 'done',
          effectiveAt: now,
          ...(name === 'stage-secret' ? { made: { stagedPath: 'x', version: '1', content: hashOf('x') } } : {}),
        });
        continue;
      }
      const played = stepOf(connection, name, step.target, { params: { ...step.params }, inventory, step: step.id });
      const before = await played.capture();
      const applied = await played.apply(before);
      const { observation, effectiveAt } = await played.probe(before, applied.made ? { [step.id]: applied.made } : undefined);
      expect([step.action, observation.state]).toEqual([step.action, 'yes']);
      if (step.phase === 'contain' || step.phase === 'revoke') containedAt = effectiveAt ?? containedAt;
      done.push({
        round: number,
        step,
        state: 'done',
        ...(effectiveAt ? { effectiveAt } : {}),
        ...(applied.made ? { made: applied.made } : {}),
      });
    }
    return plan;
  };
  const named = (plan: Plan) => plan.steps.map((each) => `${each.action} ${each.target.serviceAccount ?? ''}`.trim()).sort();

  const first = await round(1);
  expect(named(first)).toEqual([`gcp/disable-key ${email}`, `gcp/disable-service-account ${email}`, 'manual/contain']);
  expect([await world.lists(token), await world.lists(acting), await world.exchange(file)]).toEqual([false, false, undefined]);
  expect(first.steps.find((each) => each.action === 'gcp/disable-service-account')).toMatchObject({
    liftedBy: 'enable-service-account',
    hold: `serviceAccount:${email}`,
  });

  let number = 2;
  const seen: string[] = [];
  for (const wait of [0, 0, 5 * 60 * minute, 6 * 60 * minute, 70 * minute, 0, 0]) {
    await world.control.advance(wait);
    const plan = await round(number++);
    seen.push(...named(plan));
    const back = plan.steps.some((each) => each.action === 'gcp/enable-service-account');
    if (back) expect(seen.filter((each) => each.startsWith('gcp/upload-key'))).toHaveLength(1);
    // Whatever was planned, the thief has nothing.
    expect([await world.lists(token), await world.lists(acting), await world.exchange(file)]).toEqual([false, false, undefined]);
  }
  expect(seen).toEqual(
    expect.arrayContaining([`gcp/upload-key ${email}`, `gcp/enable-service-account ${email}`, `gcp/delete-key ${email}`]),
  );
  const { accounts } = await world.control.world();
  expect(accounts.filter((row) => row.disabled).map((row) => row.email)).toEqual([other]);
  const [left, ...more] = accounts.find((row) => row.email === email)?.keys ?? [];
  expect([more.length, left?.origin, nodeId(credential).includes(left?.id ?? '?')]).toEqual([0, 'USER_PROVIDED', false]);
});
