import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CreateAccessKeyCommand } from '@aws-sdk/client-iam';
import type { WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import nodeVault from 'node-vault';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { dataConverterFor, openKeyring } from '../../audit/codec.ts';
import { openEntry, RegisterKind, registerPrefix } from '../../audit/register.ts';
import type { IncidentStatus } from '../../client/index.ts';
import { type Hash, hashOf } from '../../domain/canonical.ts';
import { holdId, judgeQueue, queueOf } from '../../domain/manifest.ts';
import { SignalName, WorkflowName } from '../../domain/messages.ts';
import { yes } from '../../domain/observation.ts';
import type { Plan, PlanStep } from '../../domain/plan.ts';
import type { ChainEntry } from '../../domain/record.ts';
import { isEnded } from '../../domain/states.ts';
import type { KeyPair } from '../../lab/world/aws.ts';
import { kvMount, vaultAccount } from '../../lab/world/cast.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { huntAfter } from '../canary/hunt.ts';
import { attempt } from '../engine/intruder.ts';
import { type Deployed, gateOf, startWorld, until, type World } from '../engine/world.ts';

/*
 * Somebody with every right on the Temporal namespace and the codec key, and none of our signing keys. Nobody approves anything here but where a row says so, so that every change
 * must be one that a judge's signed plan holds without a gate; and every attempt that reaches a worker must stand in the register as refused.
 */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

// An intruder's worker is asked for what it does not have, again and again, and its library says so each time.
Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });

const since = Date.now();
const madeUp: Hash = `sha256:${'0123456789abcdef'.repeat(4)}`;
const rows: { readonly attack: string; readonly refused: number; readonly changes: number }[] = [];

let world: World;
/** The second key of a user whose two keys leak, one after the other. */
let pair: KeyPair;
let aws: string;
let vault: string;
let asking: { readonly id: string; readonly status: IncidentStatus; readonly chain: readonly ChainEntry[]; readonly deployed: Deployed };

beforeAll(async () => {
  world = await startWorld(
    { asking: 'internal', forged: 'public', lied: 'internal', polled: 'public', reset: 'public', second: 'internal' },
    { heartbeatMs: 3_000, retryCeilingMs: 500, stuckAfterMs: 20_000 },
  );
  aws = queueOf('aws', world.stack.aws.accountId);
  vault = queueOf('vault', vaultAccount);
  const { AccessKey } = await world.iam.send(new CreateAccessKeyCommand({ UserName: world.deployed('public').user }));
  pair = { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
  const deployed = world.deployed('asking');
  const id = await world.leak(deployed);
  const status = await world.follow(id, (now) => gateOf(now, 'g-outage')?.state === 'open');
  asking = { id, status, chain: await world.client.incident(id).chain(), deployed };
  stored = await versions();
});
afterAll(async () => {
  console.table(rows);
  await world?.stop();
});

// --- what is counted

/** Steps of plans that a judge signed, and that nobody has to be asked for. */
async function honestSteps(): Promise<readonly PlanStep[]> {
  const steps: PlanStep[] = [];
  const folder = join(world.stack.paths.store, 'blobs');
  for (const start of readdirSync(folder))
    for (const rest of readdirSync(join(folder, start))) {
      try {
        const plan = await world.record(`sha256:${start}${rest}`, 'plan');
        steps.push(...plan.body.steps.filter(({ gate }) => gate === undefined));
      } catch {
        // Another blob.
      }
    }
  return steps;
}

const policyOf: Readonly<Record<string, readonly string[]>> = {
  'tourniquet-hold': ['aws/deny-principal', 'aws/lift-deny'],
  'tourniquet-cutoff': ['aws/cut-off-sessions', 'aws/lift-cut-off'],
};

/** Changes at the simulator, by whomever but the administrator, that no honest plan holds; and new versions in the store of secrets that none does. */
async function unplanned(from: number, undo: readonly string[] = []): Promise<readonly string[]> {
  const steps = await honestSteps();
  const made = new Set<string>();
  const entries = (await world.stack.control.mutations()).filter(
    ({ caller, effect }) => effect === 'changed' && caller !== world.stack.aws.accessKeyId,
  );
  const changes = entries.flatMap(({ seq, action, target, made: key }) => {
    if (action === 'CreateAccessKey' && key) made.add(key);
    if (seq <= from) return [];
    const wanted = steps.some(({ action: step, target: { user, accessKeyId } }) => {
      if (action === 'UpdateAccessKey') return step === 'aws/disable-key' && accessKeyId === target.AccessKeyId;
      if (action === 'PutUserPolicy' || action === 'DeleteUserPolicy')
        return step === policyOf[target.PolicyName ?? '']?.[action === 'PutUserPolicy' ? 0 : 1] && user === target.UserName;
      // A mint whose answer was lost starts anew: it deletes the key it had made, which nobody has ever seen.
      if (action === 'CreateAccessKey' || (action === 'DeleteAccessKey' && made.has(target.AccessKeyId ?? '')))
        return step === 'aws/mint-key' && user === target.UserName;
      return false;
    });
    const words = `${action} ${target.UserName ?? ''} ${target.AccessKeyId ?? target.PolicyName ?? ''}`.trim();
    return wanted || undo.includes(words) ? [] : [words];
  });
  const distributed = new Set(steps.flatMap(({ action, target }) => (action === 'vault/distribute-secret' ? [target.path] : [])));
  const versionsNow = await versions();
  for (const [path, version] of Object.entries(versionsNow)) {
    const most = (stored[path] ?? 0) + (distributed.has(`${kvMount}/${path}`) ? 1 : 0);
    if (stored[path] !== undefined && version > most) changes.push(`version ${version} of ${path}`);
  }
  return changes;
}

/** Every secret in the store's mount, with the number of its versions. */
let stored: Readonly<Record<string, number>>;
async function versions(): Promise<Record<string, number>> {
  const client = nodeVault({ endpoint: world.stack.vault.address, token: world.stack.vault.token });
  const out: Record<string, number> = {};
  const walk = async (path: string): Promise<void> => {
    const { data } = (await client.list(`${kvMount}/metadata/${path}`)) as { data: { keys: string[] } };
    for (const key of data.keys) {
      if (key.endsWith('/')) await walk(`${path}${key}`);
      else out[`${path}${key}`] = (await client.read(`${kvMount}/metadata/${path}${key}`)).data.current_version as number;
    }
  };
  await walk('');
  return out;
}

async function refusals(): Promise<number> {
  let count = 0;
  for (const name of await world.store.list(registerPrefix)) {
    const bytes = await world.store.read(name);
    if (bytes && openEntry(bytes).entry.kind === RegisterKind.REFUSAL) count++;
  }
  return count;
}

/** One attack: what it changed is to be nothing but what an honest plan holds, and where it reaches a worker it is on record. */
async function row(attack: string, reaches: boolean, body: () => Promise<void>, undo: readonly string[] = []): Promise<void> {
  const [from, before] = [await world.lastChange(), await refusals()];
  await body();
  const after = reaches
    ? await until(`${attack} is on record`, async () => {
        const count = await refusals();
        return count > before && count;
      })
    : await refusals();
  const changes = await unplanned(from, undo);
  rows.push({ attack, refused: after - before, changes: changes.length });
  expect(changes, attack).toEqual([]);
}

// --- tools of the intruder

const warrantFor = (step: string) => ({
  incident: asking.id,
  run: asking.status.run,
  round: asking.status.round,
  plan: asking.status.planRecord ?? madeUp,
  step,
  decisions: [],
  snapshot: asking.chain.findLast(({ type }) => type === 'snapshot')?.record ?? madeUp,
});
const stepOf = (plan: Plan | undefined, action: string): PlanStep => {
  const found = plan?.steps.find((each) => each.action === action);
  if (!found) throw new Error(`no ${action}`);
  return found;
};

/** An activity of ours that nobody's workflow has scheduled. */
async function standalone(name: string, queue: string, input: unknown): Promise<void> {
  const started = await world.client.temporal.activity.start(name, {
    id: randomUUID(),
    taskQueue: queue,
    args: [input],
    startToCloseTimeout: '20s',
    scheduleToCloseTimeout: '20s',
    retry: { maximumAttempts: 1 },
  });
  await started.result().catch(() => undefined);
}

/** The activities of a run that are waiting or running, by type. */
async function pending(handle: WorkflowHandle, type: string): Promise<string | undefined> {
  const { raw } = await handle.describe();
  return (raw.pendingActivities ?? []).find((each) => each.activityType?.name === type)?.activityId ?? undefined;
}

const applied = {
  record: madeUp,
  outcome: 'changed',
  observation: yes(new Date().toISOString(), 'probe', 'believe me'),
  clocks: { acceptedAt: new Date().toISOString(), effectiveAt: new Date().toISOString() },
};

/** A worker of the intruder's that polls one of our queues with the real code and answers as it likes. */
async function pollAs<T>(
  queue: string,
  activities: Record<string, (input: never) => Promise<unknown>>,
  body: () => Promise<T>,
): Promise<T> {
  const connection = await NativeConnection.connect({ address: world.stack.temporal.address });
  const { code } = await workflowCode();
  const worker = await Worker.create({
    connection,
    namespace: world.stack.temporal.namespace,
    taskQueue: queue,
    dataConverter: dataConverterFor(openKeyring(join(world.stack.paths.keys, 'operator', 'codec.json'))),
    ...(queue === judgeQueue ? { workflowBundle: { code }, sinks: { audit: { scheduled: { fn: () => undefined } } } } : {}),
    activities,
    shutdownGraceTime: '1s',
  });
  try {
    return await worker.runUntil(body);
  } finally {
    await connection.close();
  }
}

/** Runs `body` while one of our own workers is away. */
async function without<T>(name: 'judge' | 'aws-worker', body: () => Promise<T>): Promise<T> {
  const part = world.stack.part(name);
  await part.kill();
  try {
    return await body();
  } finally {
    await part.restart();
  }
}

// --- the rows

test('each provider activity, started standalone, is refused and on record', async () => {
  const mint = stepOf(asking.status.plan, 'aws/mint-key');
  const stage = stepOf(asking.status.plan, 'vault/stage-secret');
  const place = { incident: asking.id, run: asking.status.run, round: asking.status.round };
  for (const [queue, step] of [
    [aws, mint],
    [vault, stage],
  ] as const) {
    const warrant = warrantFor(step.id);
    await row(`standalone apply of ${step.action}`, true, () => standalone('apply', queue, { warrant, made: {} }));
    await row(`standalone revert of ${step.action}`, true, () => standalone('revert', queue, { warrant, because: warrant.plan, made: {} }));
    await row(`standalone inspect of ${step.action}`, true, () => standalone('inspect', queue, { warrant, made: {} }));
    await row(`standalone capture at ${queue}`, true, () =>
      standalone('capture', queue, { ...place, plan: warrant.plan, steps: [step.id] }),
    );
    await row(`standalone assess at ${queue}`, true, () =>
      standalone('assess', queue, {
        ...place,
        credential: asking.status.credential,
        sealed: [],
        depth: 'full',
        inventory: asking.chain.find(({ type }) => type === 'inventory')?.record,
        reports: [],
        known: [],
        made: {},
      }),
    );
  }
});

test('an old warrant and an old decision move no worker, whoever carries them', async () => {
  const mint = stepOf(asking.status.plan, 'aws/mint-key');
  const elsewhere = { workflowId: `leak/${randomUUID()}`, queue: aws };
  await row('a warrant of another run, by a workflow of one’s own', true, async () => {
    await attempt(world, { ...elsewhere, activity: 'apply', input: () => ({ warrant: warrantFor(mint.id), made: {} }) });
  });
  await row('a warrant under one’s own run’s name', true, async () => {
    await attempt(world, { ...elsewhere, activity: 'apply', input: (run) => ({ warrant: { ...warrantFor(mint.id), run }, made: {} }) });
  });
  await row('a revert on the word of a plan', true, async () => {
    const warrant = warrantFor(mint.id);
    await attempt(world, { ...elsewhere, activity: 'revert', input: () => ({ warrant, because: warrant.plan, made: {} }) });
  });
  const old = world.sign(asking.status, { verdict: 'approve', gate: 'g-outage', by: 'sam' });
  const second = world.deployed('second');
  const id = await world.leak(second);
  await world.follow(id, (now) => gateOf(now, 'g-outage')?.state === 'open');
  await row('a decision of another incident, by signal and by update', false, async () => {
    const handle = world.client.temporal.workflow.getHandle(id);
    await handle.signal(SignalName.APPROVE, old);
    expect(await world.client.incident(id).decide(old)).toMatchObject({ accepted: false, code: 'decision.replayed' });
    const refused = await world.follow(id, (now) => now.refused.length >= 2);
    expect(new Set(refused.refused.map(({ code }) => code))).toEqual(new Set(['decision.replayed']));
  });
  await row('ciphertext of another incident’s signal', false, async () => {
    await world.client.temporal.workflow
      .getHandle(asking.id)
      .signal(SignalName.APPROVE, { payloadType: 'x', payload: 'e30=', signatures: [{ keyid: 'k', sig: 's' }] });
    const { events } = await world.client.temporal.workflow.getHandle(id).fetchHistory();
    const input = (events ?? []).find((event) => event.workflowExecutionSignaledEventAttributes?.signalName === SignalName.APPROVE)
      ?.workflowExecutionSignaledEventAttributes?.input;
    await world.client.temporal.workflowService.signalWorkflowExecution({
      namespace: world.stack.temporal.namespace,
      workflowExecution: { workflowId: id },
      signalName: SignalName.ROLLBACK,
      ...(input ? { input } : {}),
    });
    await world.follow(id, (now) => now.refused.length >= 3);
  });
});

test('signals as anybody: unsigned, garbled and unknown ones are refused on record and wedge nothing', async () => {
  const handle = world.client.temporal.workflow.getHandle(asking.id);
  await row('signals of any name and content', true, async () => {
    await handle.signal('approve', 'sam says yes');
    await handle.signal('rollback', null);
    await handle.signal('do-as-i-say', { key: 'value' });
    await handle.signal('sighting', { report: { v: 1 } });
    await handle.executeUpdate('decide', { args: [{ verdict: 'approve' }] }).catch(() => undefined);
    await handle.executeUpdate('no-such-update', { args: [] }).catch(() => undefined);
  });
  const status = await world.client.incident(asking.id).status();
  expect(gateOf(status, 'g-outage')).toMatchObject({ state: 'open', approvals: [] });
});

test('pending activities completed with forged results: what they say was done is found not to be, and is then done', async () => {
  const deployed = world.deployed('forged');
  const { control } = world.stack;
  const responder = world.stack.world.responder.accessKeyId;
  await row('a pending apply and a pending hold, completed by hand', true, async () => {
    for (const action of ['UpdateAccessKey', 'PutUserPolicy'])
      await control.inject({ kind: 'down', service: 'iam', action, accessKeyId: responder });
    const id = await world.leak(deployed);
    const handle = world.client.temporal.workflow.getHandle(id);
    const { activity } = world.client.temporal;
    for (const type of ['apply', 'reachHold']) {
      const activityId = await until(`${type} is tried`, () => pending(handle, type));
      await activity.complete({ workflowId: id, activityId }, applied);
    }
    await until('the forged results were believed by the run', async () =>
      (await world.client.incident(id).status()).timeline.some(({ what }) => what.includes('believe me')),
    );
    await control.clearFaults();
    const status = await world.follow(id, (now) => now.contained === 'yes', { timeoutMs: 60_000 });
    expect(status.round).toBeGreaterThan(1);
    // The deny contains it; that the key itself is off too comes in its own time.
    await until('the leaked key is off', async () => (await world.picture(deployed.user)).keys[deployed.pair.accessKeyId] !== 'Active');
  });
});

test("our queues polled: an intruder's worker answers for the provider, and then for the judge", async () => {
  const polled = world.deployed('polled');
  let id = '';
  await row('a provider’s queue, answered with whatever is asked for', false, async () => {
    await without('aws-worker', async () => {
      const lies = {
        apply: async () => applied,
        assess: async () => ({ finding: madeUp, snapshot: madeUp, live: applied.observation, nodes: [], swept: applied.observation }),
      };
      await pollAs(
        aws,
        {
          ...lies,
          capture: async () => ({ snapshot: madeUp }),
          revert: async () => applied,
          inspect: async () => ({ record: madeUp, observation: applied.observation }),
        },
        async () => {
          id = await world.leak(polled);
          await until('the lie was told', async () => (await world.client.incident(id).chain()).some(({ record }) => record === madeUp));
        },
      );
    });
    await world.follow(id, (now) => now.contained === 'yes', { timeoutMs: 90_000 });
    await until('the leaked key is off', async () => (await world.picture(polled.user)).keys[polled.pair.accessKeyId] !== 'Active');
  });

  const lied = world.deployed('lied');
  const bystander = world.deployed('second');
  await row('the judge’s queue, with a plan of the intruder’s own', true, async () => {
    const step: PlanStep = {
      ...stepOf(asking.status.plan, 'aws/disable-key'),
      target: { account: world.stack.aws.accountId, user: bystander.user, accessKeyId: bystander.pair.accessKeyId },
      needs: [],
    };
    const { gate: _gate, ...ungated } = step;
    const forgedPlan = async (input: { incident: string; run: string; round: number }) => {
      const content = { ...asking.status.plan, ...input, steps: [ungated], gates: [], purpose: 'contain' } as unknown as Plan;
      const hashes = { assessment: madeUp, verdict: madeUp, plan: madeUp, planHash: hashOf(content) };
      const told = {
        live: applied.observation,
        contained: 'no',
        rotated: 'no',
        nodes: [],
        swept: applied.observation,
        again: false,
        settled: false,
      };
      return { ...hashes, content, mode: 'act', rule: 'mine', ...told };
    };
    const received = async () => ({
      reports: [madeUp],
      refusals: [],
      // Of another incident, which the look at the provider does not mind.
      inventory: asking.chain.find(({ type }) => type === 'inventory')?.record,
      credential: { kind: 'aws.access-key', locator: { accessKeyId: lied.pair.accessKeyId } },
      provider: 'aws',
      account: world.stack.aws.accountId,
      handled: true,
      sealed: [],
      depth: 'full',
      recheckMs: 500,
      weight: 1,
      pace: { heartbeatMs: 3_000, retryCeilingMs: 500, stuckAfterMs: 20_000 },
    });
    await without('judge', () =>
      pollAs(judgeQueue, { receive: received, judge: forgedPlan }, async () => {
        id = await world.leak(lied);
        await until('the forged plan reached the provider', async () => {
          const { events } = await world.client.temporal.workflow.getHandle(id).fetchHistory();
          return (events ?? []).some((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'apply');
        });
      }),
    );
    // The real judge is back. What the intruder answered stands in the history; the run goes on by what records say.
    await until(
      'the made-up plan is given up',
      async () => (await world.client.incident(id).status()).state === 'stuck' || (await world.client.incident(id).status()).round > 1,
      60_000,
    );
  });
  // The sighting was swallowed by the intruder; sent again it is taken.
  await world.leak(lied);
  await world.follow(id, (now) => gateOf(now, 'g-outage')?.state === 'open', { timeoutMs: 90_000 });
});

test('a run that is reset does nothing a second time that its first did', async () => {
  const deployed = world.deployed('reset');
  const id = await world.leak(deployed);
  // Everything that asks nobody has been done by then, the replacement included.
  const first = await world.follow(id, (now) => gateOf(now, 'g-irreversible')?.state === 'open', { timeoutMs: 90_000 });
  await row('a reset to the first task', false, async () => {
    const from = await world.lastChange();
    const { events } = await world.client.temporal.workflow.getHandle(id, first.run).fetchHistory();
    const task = (events ?? []).find((event) => event.workflowTaskCompletedEventAttributes)?.eventId;
    const { runId } = await world.client.temporal.workflowService.resetWorkflowExecution({
      namespace: world.stack.temporal.namespace,
      workflowExecution: { workflowId: id, runId: first.run },
      workflowTaskFinishEventId: task as never,
      requestId: randomUUID(),
      reason: 'as I like',
    });
    expect(runId).not.toBe(first.run);
    // It finds the key dead and what replaced it made by the engine itself, so that it may close after one look more.
    await world.follow(id, (now) => now.run === runId && (now.round > 2 || isEnded(now.state)), { run: runId ?? '', timeoutMs: 60_000 });
    const again = (await world.changes(deployed.user, from)).filter(({ effect }) => effect === 'changed');
    // A cut-off is stamped anew, later than the first; nothing else changes.
    expect(
      again.map(({ action, target }) => `${action} ${target.PolicyName ?? ''}`).filter((each) => !each.includes('tourniquet-cutoff')),
    ).toEqual([]);
  });
});

test('our workflows started by hand: an archive, a response and a hold that knows of nobody', async () => {
  const { workflow } = world.client.temporal;
  await row('a response of another’s credential', true, async () => {
    const handle = await workflow.start(WorkflowName.LEAK_RESPONSE, {
      workflowId: `leak/${randomUUID()}`,
      taskQueue: judgeQueue,
      args: [],
    });
    await handle.signal(SignalName.SIGHTING, {
      report: { ...world.finding(world.deployed('second')), id: `rpt_${'0'.repeat(26)}`, reporter: 'olu', secret: undefined },
    });
    await until('it was refused', async () => (await handle.query<IncidentStatus>('status')).timeline.length > 0);
    await handle.terminate();
  });
  await row('an archive of a run that goes on', false, async () => {
    const handle = await workflow.start(WorkflowName.ARCHIVE, {
      workflowId: `archive/${randomUUID()}`,
      taskQueue: judgeQueue,
      args: [{ incident: asking.id, run: asking.status.run }],
    });
    await handle.result();
  });

  // Two incidents of one user. The intruder ends its hold and starts another that knows of neither; then one incident is rolled back by right.
  const user = world.deployed('public');
  const one = await world.leak(user);
  await world.follow(one, (now) => now.contained === 'yes');
  const two = await world.leak({ ...user, pair });
  await world.follow(
    two,
    (now) => now.contained === 'yes' && now.earlier.concat(now.steps as never).some(({ action }) => action === 'aws/deny-principal'),
  );
  await row(
    'a hold ended, and another started that knows of nobody',
    false,
    async () => {
      const workflowId = holdId('aws', world.stack.aws.accountId, user.arn);
      await workflow.getHandle(workflowId).terminate('its name is wanted');
      await workflow.start(WorkflowName.PRINCIPAL_HOLD, {
        workflowId,
        taskQueue: judgeQueue,
        args: [{ holders: {}, orphaned: {}, answers: {} }],
      });
      expect(await world.decide(one, { verdict: 'rollback', by: 'ada' })).toMatchObject({ accepted: true });
      await world.follow(one, (now) => now.timeline.some(({ what }) => what.startsWith('rolled back')));
      const { policies } = await world.picture(user.user);
      expect(Object.keys(policies)).toContain('tourniquet-hold');
    },
    [`UpdateAccessKey ${user.user} ${user.pair.accessKeyId}`, `UpdateAccessKey ${user.user} ${pair.accessKeyId}`],
  );
});

test('and after all of it no secret stands anywhere', async () => {
  const { stack, client, store } = world;
  const { findings } = await huntAfter({ stack, client, store, since });
  expect(findings).toEqual([]);
});
