import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { tsToMs } from '@temporalio/common/lib/time.js';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { newKey, readKey } from '../../audit/keys.ts';
import { type Signer, signerFrom } from '../../audit/signing.ts';
import type { IncidentStatus } from '../../client/index.ts';
import { canonicalJson, type Hash } from '../../domain/canonical.ts';
import type { Warrant } from '../../domain/execution.ts';
import { holdId, queueOf } from '../../domain/manifest.ts';
import type { IncidentResult } from '../../domain/messages.ts';
import { type PlanStep, stepKey } from '../../domain/plan.ts';
import { type ChainEntry, PayloadType } from '../../domain/record.ts';
import { type Attempted, attempt } from './intruder.ts';
import { secondKey } from './lost-reply.ts';
import { type Deployed, gateOf, startWorld, type UserPicture, until, type World } from './world.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 90_000 });

/** An incident that waits at a gate and does nothing of its own meanwhile, so that whatever changes is an intruder's doing. */
interface Waiting {
  readonly deployed: Deployed;
  readonly before: UserPicture;
  readonly id: string;
  readonly status: IncidentStatus;
  readonly chain: readonly ChainEntry[];
}

let world: World;
let open: Waiting;
let inside: Waiting;
let queue: string;
beforeAll(async () => {
  world = await startWorld({ open: 'public', inside: 'internal' });
  queue = queueOf('aws', world.stack.aws.accountId);
  const wait = async (name: string, gate: string, thief: boolean): Promise<Waiting> => {
    const deployed = world.deployed(name);
    if (thief) await secondKey(world, deployed);
    const before = await world.picture(deployed.user);
    const id = await world.leak(deployed);
    const status = await world.follow(id, (now) => gateOf(now, gate)?.state === 'open');
    return { deployed, before, id, status, chain: await world.client.incident(id).chain() };
  };
  [open, inside] = await Promise.all([wait('open', 'g-irreversible', true), wait('inside', 'g-outage', false)]);
});
afterAll(() => world?.stop());

/** The warrant that a run would send for a step of its present plan. */
function warrantOf({ id, status, chain }: Waiting, step: PlanStep, changed: Partial<Warrant> = {}): Warrant {
  return {
    incident: id,
    run: status.run,
    round: status.round,
    plan: status.planRecord ?? 'sha256:',
    step: step.id,
    decisions: [],
    snapshot: chain.findLast(({ type }) => type === 'snapshot')?.record ?? 'sha256:',
    ...changed,
  };
}

const stepOf = (steps: readonly PlanStep[] | undefined, action: string): PlanStep => {
  const step = steps?.find((each) => each.action === action);
  if (step === undefined) throw new Error(`no step ${action}`);
  return step;
};

/** The plan in a record as somebody else signs it: for themselves, without a gate, and of the run that carries it. */
async function forge(waiting: Waiting, signer: Signer, run: string): Promise<Hash> {
  const record = await world.record(waiting.status.planRecord ?? 'sha256:', 'plan');
  const steps = record.body.steps.map(({ gate: _, ...step }) => step);
  const body = { ...record, by: signer.keyid, run, body: { ...record.body, run, gates: [], steps } };
  return await world.store.put(Buffer.from(canonicalJson(signer.sign(PayloadType.RECORD, body))));
}

/** Holds an attempt to its refusal: of that code, in a signed record of the worker, and without any change to the account by anybody. */
async function expectRefused(attempting: () => Promise<Attempted>, code: string): Promise<void> {
  const since = await world.lastChange();
  const world0 = await world.stack.control.world();
  const attempted = await attempting();
  expect(attempted, attempted.message).toMatchObject({ outcome: 'failed', code });
  const { body } = await world.record(attempted.record ?? 'sha256:', 'refusal');
  expect(body).toMatchObject({ code });
  expect(await world.stack.control.mutations(since)).toEqual([]);
  const { now: _now, ...rest } = await world.stack.control.world();
  const { now: _then, ...earlier } = world0;
  expect(withoutUse(rest)).toEqual(withoutUse(earlier));
}

/** The account without when its keys were used, which looking at it changes. */
const withoutUse = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (name, member) => (name === 'lastUsed' ? undefined : member)));

test('a plan that no key of the trust file has signed moves no worker, though it is of the run that carries it', async () => {
  const stranger = signerFrom(
    newKey({ role: 'judge', from: new Date().toISOString(), until: new Date(Date.now() + 3_600_000).toISOString() }),
  );
  const workflowId = `leak/${randomUUID()}`;
  const step = stepOf(inside.status.plan?.steps, 'aws/mint-key');
  let plan: Hash = 'sha256:';
  await expectRefused(
    () =>
      attempt(world, {
        workflowId,
        queue,
        activity: 'apply',
        input: async (run) => {
          plan = await forge(inside, stranger, run);
          return { warrant: warrantOf(inside, step, { run, plan }), made: {} };
        },
      }),
    'warrant.unsigned',
  );
});

test("a plan that a worker's key has signed moves no worker: who may act may not say what is to be done", async () => {
  const worker = signerFrom(readKey(join(world.stack.paths.keys, `provider-aws-${world.stack.aws.accountId}`, 'signing.json')));
  const step = stepOf(inside.status.plan?.steps, 'aws/mint-key');
  await expectRefused(
    () =>
      attempt(world, {
        workflowId: `leak/${randomUUID()}`,
        queue,
        activity: 'apply',
        input: async (run) => ({ warrant: warrantOf(inside, step, { run, plan: await forge(inside, worker, run) }), made: {} }),
      }),
    'warrant.unsigned',
  );
});

test("a judge's own plan moves no worker for any workflow but the run it was made for", async () => {
  const step = stepOf(inside.status.plan?.steps, 'aws/mint-key');
  const anotherRun = { workflowId: `leak/${randomUUID()}`, queue, activity: 'apply' };
  await expectRefused(
    () => attempt(world, { ...anotherRun, input: () => ({ warrant: warrantOf(inside, step), made: {} }) }),
    'warrant.other-run',
  );
  await expectRefused(
    () => attempt(world, { ...anotherRun, input: (run) => ({ warrant: warrantOf(inside, step, { run }), made: {} }) }),
    'warrant.other-run',
  );
  // The step of one incident under the name of another, which is as real.
  await expectRefused(
    () =>
      attempt(world, {
        ...anotherRun,
        input: () => ({ warrant: warrantOf(open, step, { plan: inside.status.planRecord ?? 'sha256:' }), made: {} }),
      }),
    'warrant.other-run',
  );
});

test('a step that was taken is spent, and is not taken again for whoever has got hold of the name of its hold', async () => {
  const [first] = await world.records(open.chain, 'plan');
  const [snapshot] = open.chain.filter(({ type }) => type === 'snapshot');
  const [plan] = open.chain.filter(({ type }) => type === 'plan');
  if (first === undefined || snapshot === undefined || plan === undefined) throw new Error('no first plan');
  const step = stepOf(first.body.steps, 'aws/deny-principal');
  const warrant = warrantOf(open, step, { round: first.round, plan: plan.record, snapshot: snapshot.record });
  const workflowId = holdId('aws', world.stack.aws.accountId, step.hold ?? '');
  await world.client.temporal.workflow.getHandle(workflowId).terminate('its name is wanted');
  await expectRefused(
    () => attempt(world, { workflowId, queue, activity: 'apply', input: () => ({ warrant, made: {} }) }),
    'warrant.spent',
  );
  // Nor is it taken back without somebody's signed word: neither on that of the plan, nor on that of a record of another kind.
  for (const because of [plan.record, snapshot.record]) {
    await expectRefused(
      () => attempt(world, { workflowId, queue, activity: 'revert', input: () => ({ warrant, because, made: {} }) }),
      'warrant.gate-unsatisfied',
    );
  }
});

test('a gate opens for no decision that was refused, that was signed for another incident, or that is none', async () => {
  const step = stepOf(inside.status.plan?.steps, 'aws/cut-off-sessions');
  expect(step.gate).toBe('g-outage');
  const workflowId = holdId('aws', world.stack.aws.accountId, step.hold ?? '');
  const snapshots = inside.chain.filter(({ type }) => type === 'snapshot').map(({ record }) => record);
  const held = await Promise.all(snapshots.map(async (record) => ({ record, body: (await world.record(record, 'snapshot')).body })));
  const snapshot = held.findLast(({ body }) => Object.hasOwn(body.befores, stepKey(step.action, step.target)))?.record ?? 'sha256:';
  const refusedHere = await world.client
    .incident(inside.id)
    .decide(world.sign(inside.status, { verdict: 'approve', gate: 'g-outage', by: 'scanner' }));
  const refusedThere = await world.client
    .incident(open.id)
    .decide(world.sign(inside.status, { verdict: 'approve', gate: 'g-outage', by: 'sam' }));
  expect([refusedHere, refusedThere].map(({ code }) => code)).toEqual(['decision.own-incident', 'decision.replayed']);
  const authorities = [undefined, refusedHere.record, refusedThere.record, inside.status.planRecord];
  for (const authority of authorities) {
    const warrant = warrantOf(inside, step, { snapshot, decisions: authority === undefined ? [] : [authority] });
    await expectRefused(
      () => attempt(world, { workflowId, queue, activity: 'apply', input: () => ({ warrant, made: {} }) }),
      'warrant.gate-unsatisfied',
    );
  }
});

test('a rollback at the gate brings keys and policies back to what they were, but for the cut-off, which stands until its date and then goes', async () => {
  const { deployed, id, before } = open;
  const incident = world.client.incident(id);
  const contained = await world.picture(deployed.user);
  expect(Object.values(contained.keys)).toEqual(['Inactive', 'Inactive']);
  expect(Object.keys(contained.policies).sort()).toEqual(['deploy', 'tourniquet-cutoff', 'tourniquet-hold']);

  const ruling = await incident.rollback(world.sign(await incident.status(), { verdict: 'rollback', by: 'ada' }));
  expect(ruling).toMatchObject({ accepted: true });
  const back = await world.follow(
    id,
    (status) => status.timeline.some(({ what }) => what.startsWith('rolled back')) && status.state === 'watching',
  );
  expect(back.residuals).toHaveLength(1);
  const [residual] = back.residuals;
  expect(residual?.what).toMatch(/^sessions issued before/);
  expect(Date.parse(residual?.until ?? '')).toBeGreaterThan(Date.now());
  expect([...back.steps, ...back.earlier].filter(({ state }) => state === 'stuck')).toEqual([]);

  const after = await world.picture(deployed.user);
  expect(after.keys).toEqual(before.keys);
  const { 'tourniquet-cutoff': cutOff, ...others } = after.policies;
  expect(others).toEqual(before.policies);
  expect(cutOff).toContain('aws:TokenIssueTime');
  const { report } = await world.bundle((await incident.exported()).bundle);
  expect(report.residuals).toEqual(back.residuals);

  // While nothing is due the run rests, longer each time: a cut-off stands for days, and a history has an end.
  const rests = await until('the run has rested three times', async () => {
    const { events } = await world.client.temporal.workflow.getHandle(id).fetchHistory();
    const all = (events ?? []).flatMap((event) => (event.timerStartedEventAttributes ? [event.timerStartedEventAttributes] : []));
    const lengths = all.map(({ startToFireTimeout }) => tsToMs(startToFireTimeout)).filter((ms) => ms < 60_000);
    return lengths.length >= 3 && lengths.slice(-3);
  });
  expect([...rests].sort((a, b) => a - b)).toEqual(rests);
  expect(new Set(rests).size).toBe(3);

  await world.stack.control.advance(36 * 3_600_000 + 60_000);
  const result: IncidentResult = await incident.result({ signal: AbortSignal.timeout(40_000) });
  expect(result).toMatchObject({ state: 'rolled-back', residuals: [] });
  expect(await world.picture(deployed.user)).toEqual(before);
});
