import { afterEach, describe, expect, it } from 'vitest';
import type { ProviderFinding } from '../../domain/assessment.ts';
import type { CredentialRef } from '../../domain/credential.ts';
import { type DoneStep, type Plan, stepKey } from '../../domain/plan.ts';
import type { System } from '../../examples/webhook/server.ts';
import { memory } from '../../examples/webhook/server.ts';
import { planRound } from '../../planning/plan.ts';
import { brokenRules } from '../../planning/rules.ts';
import type { Action, Connection, Looked, StepContext } from '../../providers/contract.ts';
import { provider } from '../../providers/webhook/index.ts';
import { manifest } from '../../providers/webhook/manifest.ts';
import { sealingOf, waitFor } from '../conformance/world.ts';
import { a } from '../planning/fixtures.ts';
import { type Place, place, timing } from './bench.ts';

/*
 * Rounds as the engine plays them, without the engine: what the provider's look finds, what the planner makes of it by the manifest alone, and what the actions do at the reference endpoint. A step done by hand counts as
 * done; a gate as answered.
 */

let at: Place | undefined;
afterEach(async () => at?.close());

async function looked(connection: Connection, credential: CredentialRef, more: { containedAt?: string } = {}): Promise<Looked> {
  const { signal } = new AbortController();
  return await connection.look({
    credential,
    depth: 'full',
    known: [],
    ours: [],
    inventory: { consumers: [], stores: [] },
    signal,
    heartbeat: () => undefined,
    sleep: (ms) => waitFor(ms, signal),
    timing,
    ...more,
  });
}
const lookAt = async (...given: Parameters<typeof looked>): Promise<ProviderFinding> => (await looked(...given)).finding;

function planOf(finding: ProviderFinding, credential: CredentialRef, done: readonly DoneStep[], round: number): Plan {
  const input = a.input(a.assessment(finding, { credential }), {
    inventory: a.inventory({ stores: [], consumers: [] }),
    manifests: { webhook: manifest },
    round,
    done,
  });
  const plan = planRound(input);
  expect(brokenRules(plan, input)).toEqual([]);
  return plan;
}

/** Carries out the steps of a plan, in its order, as far as `allowed`. */
async function carryOut(connection: Connection, plan: Plan, allowed: (step: Plan['steps'][number]) => boolean): Promise<DoneStep[]> {
  const done: DoneStep[] = [];
  const { signal } = new AbortController();
  for (const step of plan.steps) {
    if (!allowed(step)) continue;
    const by = { round: plan.round, step, state: 'done' as const };
    if (step.provider !== 'webhook') {
      done.push({ ...by, effectiveAt: new Date().toISOString() });
      continue;
    }
    const context: StepContext = {
      incident: plan.incident,
      run: plan.run,
      step: step.id,
      signal,
      heartbeat: () => undefined,
      timing,
      sealing: sealingOf([]),
      params: step.params,
      made: {},
      inventory: { consumers: [], stores: [] },
      sleep: (ms) => waitFor(ms, signal),
    };
    const action = connection.actions[step.action.split('/')[1] ?? ''] as Action;
    const before = await action.capture(step.target, context);
    const applied = await action.apply(step.target, before, context);
    const { observation, effectiveAt } = await action.probe(step.target, before, context);
    expect(observation.state, step.action).toBe('yes');
    done.push({
      ...by,
      ...(effectiveAt ? { effectiveAt } : {}),
      ...(applied.made ? { made: applied.made } : {}),
      ...(applied.residual ? { residual: applied.residual } : {}),
    });
  }
  return done;
}

const credentialOf = (text: string): CredentialRef => provider.identify(text)?.credential as CredentialRef;
const actions = (plan: Plan): string[] => plan.steps.map(({ action }) => action);

describe('a credential of a team’s system', () => {
  it('is contained first and unasked, then replaced by a person who knows its store, and revoked only when somebody has agreed', async () => {
    at = await place();
    const connection = await at.connect();
    const credential = credentialOf('webhook:billing/leaked');
    const first = planOf(await lookAt(connection, credential), credential, [], 1);
    expect(actions(first)[0]).toBe('webhook/contain');
    const contain = first.steps[0];
    expect(contain).toMatchObject({ target: { account: 'billing', system: 'billing', id: 'leaked' }, reversibility: 'reversible' });
    expect(contain?.gate).toBeUndefined();
    const done = await carryOut(connection, first, (step) => step.action === 'webhook/contain' || step.provider === 'manual');
    expect(at.keys.get('leaked')?.state).toBe('contained');

    for (let round = 2; round < 6; round++) {
      const finding = await lookAt(connection, credential, {
        containedAt: done.find(({ step }) => step.action === 'webhook/contain')?.effectiveAt ?? '',
      });
      expect([finding.live.state, finding.swept.state]).toEqual(['no', 'yes']);
      const plan = planOf(finding, credential, done, round);
      if (plan.steps.length === 0) break;
      for (const step of plan.steps.filter(({ action }) => action === 'webhook/revoke')) {
        expect(plan.gates.find(({ id }) => id === step.gate)?.reason, 'a person is asked before what cannot be undone').toBe(
          'irreversible',
        );
      }
      done.push(...(await carryOut(connection, plan, () => true)));
    }
    expect(done.map(({ step }) => step.action)).toContain('webhook/revoke');
    expect(Object.fromEntries([...at.keys].map(([id, { state }]) => [id, state]))).toEqual({
      leaked: 'revoked',
      other: 'active',
      third: 'active',
    });
  });

  it('of a system that cannot undo is asked about before anything is done to it', async () => {
    const oneWay = (keys: Parameters<typeof memory>[0]): System => {
      const { capabilities, operations } = memory(keys);
      const { contain: _c, uncontain: _u, ...rest } = operations;
      return { capabilities: { ...capabilities, reversible: false }, operations: rest };
    };
    at = await place({ system: oneWay });
    const connection = await at.connect({ settings: { reversible: false } });
    const credential = credentialOf('webhook-one-way:billing/leaked');
    const plan = planOf(await lookAt(connection, credential), credential, [], 1);
    expect(actions(plan)).not.toContain('webhook/contain');
    const revoke = plan.steps.find(({ action }) => action === 'webhook/revoke');
    expect(revoke).toMatchObject({ reversibility: 'irreversible', target: { id: 'leaked' } });
    expect(plan.gates.map(({ id }) => id)).toContain(revoke?.gate);
    await carryOut(connection, plan, ({ gate }) => gate === undefined);
    expect(at.keys.get('leaked')?.state, 'without an answer nothing is revoked').toBe('active');
  });
});

describe('a look', () => {
  const credential = credentialOf('webhook:billing/leaked');
  const hour = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString();

  it('finds what the credential made and what of it stands, who used it, and who nobody knows', async () => {
    at = await place();
    at.keys
      .get('leaked')
      ?.made.push(
        { id: 'old', via: 'token', issuedAt: hour(-3), expiresAt: hour(-2) },
        { id: 'new', via: 'token', issuedAt: hour(-1), expiresAt: hour(1) },
      );
    at.keys.get('leaked')?.uses.push({ at: hour(-0.5), what: 'invoice.export', by: 'curl/8', from: '203.0.113.9' });
    const connection = await at.connect();
    const finding = await lookAt(connection, credential);
    expect(finding.descendants).toEqual(['webhook.derived:new/billing']);
    expect(finding.graph.edges.map(({ from, to, kind }) => [from, kind, to])).toEqual([
      ['webhook.credential:leaked/billing', 'derives', 'webhook.derived:old/billing'],
      ['webhook.credential:leaked/billing', 'derives', 'webhook.derived:new/billing'],
    ]);
    expect([finding.ours.state, finding.live.state, finding.misuse.state, finding.possession.state]).toEqual([
      'yes',
      'yes',
      'yes',
      'unknown',
    ]);
    expect(finding.logs[0]?.passed.state).toBe('yes');
  });

  it('captures what the first containment will want, of the credential and of what it made that can be contained', async () => {
    at = await place({
      system: (keys) => {
        const right = memory(keys);
        const other = { id: 'other', state: 'active', via: 'clone', controllable: true };
        return {
          ...right,
          operations: {
            ...right.operations,
            listDescendants: () => ({ complete: true, asOf: new Date().toISOString(), descendants: [other] }),
          },
        };
      },
    });
    const connection = await at.connect();
    const { befores, finding } = await looked(connection, credential);
    const { signal } = new AbortController();
    const context = { signal, heartbeat: () => undefined, sleep: (ms: number) => waitFor(ms, signal), timing } as unknown as StepContext;
    for (const id of ['leaked', 'other'])
      for (const name of ['contain', 'revoke']) {
        const target = { account: 'billing', system: 'billing', id };
        expect(befores[stepKey(`webhook/${name}`, target)], `${name} ${id}`).toEqual(
          await connection.actions[name]?.capture(target, context),
        );
      }
    const plan = planOf(finding, credential, [], 1);
    const wanted = plan.steps
      .filter(({ provider: of }) => of === 'webhook')
      .map((step) => [step.target.id, stepKey(step.action, step.target) in befores]);
    expect(wanted).toEqual([
      ['leaked', true],
      ['other', true],
    ]);
    const oneWay = await looked(await at.connect({ settings: { reversible: false } }), credential);
    expect(Object.keys(oneWay.befores)).toHaveLength(2);
    expect(oneWay.finding.descendants, 'and what can be ended only for good is of the kind that says so').toEqual([
      'webhook.one-way:other/billing',
    ]);
  });

  it('stops what was made with the credential, as the endpoint says, once that is contained', async () => {
    at = await place();
    at.keys.get('leaked')?.made.push({ id: 'new', via: 'token', issuedAt: hour(-1), expiresAt: hour(1) });
    const connection = await at.connect();
    const done = await carryOut(
      connection,
      planOf(await lookAt(connection, credential), credential, [], 1),
      ({ action }) => action === 'webhook/contain',
    );
    const finding = await lookAt(connection, credential, { containedAt: done[0]?.effectiveAt ?? '' });
    expect([finding.live.state, finding.swept.state, finding.descendants]).toEqual(['no', 'yes', []]);
  });

  it('says unknown where the endpoint cannot say: an incomplete list is no sweep, incomplete evidence no innocence, an unknown id nobody’s', async () => {
    at = await place({
      system: (keys) => {
        const right = memory(keys);
        const less = (name: string): System['operations'] => ({
          [name]: async (request) => ({ ...(await right.operations[name]?.(request)), complete: false }),
        });
        return { ...right, operations: { ...right.operations, ...less('listDescendants'), ...less('evidence') } };
      },
    });
    const connection = await at.connect();
    const finding = await lookAt(connection, credential, { containedAt: new Date(Date.now() - 1000).toISOString() });
    expect([finding.swept.state, finding.misuse.state, finding.logs[0]?.passed.state]).toEqual(['unknown', 'unknown', 'unknown']);
    const stranger = await lookAt(connection, credentialOf('webhook:billing/nobody'));
    expect([stranger.ours.state, stranger.live.state]).toEqual(['unknown', 'unknown']);
  });
});
