import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256Of } from '../../domain/canonical.ts';
import type { CredentialRef } from '../../domain/credential.ts';
import type { Plan } from '../../domain/plan.ts';
import { Secret } from '../../domain/secret.ts';
import { planRound } from '../../planning/plan.ts';
import { brokenRules } from '../../planning/rules.ts';
import type { Action, Connection, Look, StepContext } from '../../providers/contract.ts';
import { manifest } from '../../providers/vault/manifest.ts';
import { a } from '../planning/fixtures.ts';
import { sealings } from './bench.ts';
import { closeLab, connectAs, type Lab, openLab, startProxy, timing, tokenUnder, wholePolicy } from './practice.ts';
import type { FaultProxy } from './server.ts';

let lab: Lab;
let release: () => Promise<void>;
let proxy: FaultProxy;
let engine: Connection;

beforeAll(async () => {
  ({ lab, release } = await openLab());
  proxy = await startProxy(lab.server.address);
  engine = await connectAs((await tokenUnder(lab, wholePolicy())).token, proxy, { auditLog: lab.server.auditLog });
}, 60_000);
afterAll(async () => {
  await engine?.close();
  await proxy?.stop();
  await release?.();
  await closeLab();
});

const look = (credential: CredentialRef, more: Partial<Look> = {}) =>
  engine.look({
    credential,
    depth: 'full',
    known: [],
    ours: [],
    inventory: { consumers: [], stores: [] },
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    timing,
    ...more,
  });

async function planOf(credential: CredentialRef, more: Partial<Look> = {}, rules = true): Promise<Plan> {
  const { finding } = await look(credential, more);
  const input = a.input(a.assessment(finding, { credential }), {
    inventory: a.inventory({ stores: [], consumers: [] }),
    manifests: { vault: manifest },
  });
  const plan = planRound(input);
  if (rules) expect(brokenRules(plan, input)).toEqual([]);
  return plan;
}

/** Carries every step of a plan out, gates open, in the order that its needs give. */
async function carryOut(plan: Plan): Promise<void> {
  const context = (step: string): StepContext => ({
    incident: 'leak/plan',
    run: 'r',
    step,
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    timing,
    sealing: sealings(),
    params: {},
    made: {},
    inventory: { consumers: [], stores: [] },
    sleep: async () => undefined,
  });
  for (const step of plan.steps) {
    const action = engine.actions[step.action.replace(/^vault\//, '')] as Action;
    const before = await action.capture(step.target, context(step.id));
    await action.apply(step.target, before, context(step.id));
    expect((await action.probe(step.target, before, context(step.id))).observation.state).toBe('yes');
  }
}
const levers = (plan: Plan) => plan.steps.map((step) => `${step.action} ${step.target.accessor ?? step.target.entity}`).sort();

it('a token with an orphan, a grandchild and a batch child: the planner’s own plan, made from the manifest and a real look, leaves none of them', async () => {
  const role = await lab.role();
  const leaked = await role.login((await role.secretId()).secretId);
  const orphan = await lab.token({ policies: ['user'], period: '1h' }, leaked.token, 'auth/token/create-orphan');
  const grandchild = await lab.token({ policies: ['user'] }, orphan.token);
  const batch = await lab.token({ policies: ['user'], type: 'batch', ttl: '10m' }, leaked.token);
  const ref: CredentialRef = { kind: 'vault.token', locator: { accessor: leaked.accessor } };
  const plan = await planOf(ref);
  expect(levers(plan)).toEqual(
    [
      `vault/disable-entity ${leaked.entity}`,
      ...[leaked, orphan, grandchild].map(({ accessor }) => `vault/revoke-token ${accessor}`),
    ].sort(),
  );
  // What can be undone is done unasked; what cannot waits for somebody.
  for (const step of plan.steps) expect(step.gate !== undefined).toBe(step.action === 'vault/revoke-token');
  await carryOut(plan);
  for (const { token } of [leaked, orphan, grandchild, batch]) expect(await lab.works(token)).toBe(false);
});

it('a secret id with a periodic token: both are ended, and nobody else’s', async () => {
  const role = await lab.role();
  const { secretId, accessor } = await role.secretId();
  const login = await role.login(secretId);
  const other = await lab.role();
  const bystander = await other.login((await other.secretId()).secretId);
  const plan = await planOf({ kind: 'vault.approle-secret-id', locator: { mount: 'approle', appRole: role.name, accessor } });
  expect(levers(plan)).toEqual(
    [`vault/destroy-secret-id ${accessor}`, `vault/disable-entity ${login.entity}`, `vault/revoke-token ${login.accessor}`].sort(),
  );
  await carryOut(plan);
  expect(await lab.works(login.token)).toBe(false);
  expect(await lab.works(bystander.token)).toBe(true);
});

it('a batch token: its entity is disabled, and no step says that it was revoked', async () => {
  const role = await lab.role();
  const login = await role.login((await role.secretId()).secretId);
  const batch = await lab.token({ policies: ['user'], type: 'batch', ttl: '10m' }, login.token);
  const ref: CredentialRef = { kind: 'vault.batch-token', locator: { sha256: sha256Of(batch.token).slice('sha256:'.length) } };
  const plan = await planOf(ref, { secret: new Secret(batch.token) });
  expect(levers(plan)).toEqual([`vault/disable-entity ${login.entity}`]);
  await carryOut(plan);
  expect(await lab.works(batch.token)).toBe(false);
});

it('a token that was reported by its hash and sealed to us is revoked by the accessor that the look found', async () => {
  const orphan = await lab.token({ policies: ['user'] }, undefined, 'auth/token/create-orphan');
  const ref: CredentialRef = { kind: 'vault.token', locator: { sha256: sha256Of(orphan.token).slice('sha256:'.length) } };
  // The rules want every member of a locator in the target, and the hash of a token is not what it is revoked by.
  const plan = await planOf(ref, { secret: new Secret(orphan.token) }, false);
  expect(levers(plan)).toEqual([`vault/revoke-token ${orphan.accessor}`]);
});
