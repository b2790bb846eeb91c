import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Action } from '../../providers/contract.ts';
import { newCredential, stagedBy, stepOf } from './harnesses.ts';
import { type Practice, practice } from './practice.ts';

let world: Practice;
beforeEach(async () => {
  world = await practice();
  for (const environment of [undefined, 'production']) {
    world.hand.putSecret('acme', 'shop', 'AWS_ACCESS_KEY_ID', 'old id', environment);
    world.hand.putSecret('acme', 'shop', 'AWS_SECRET_ACCESS_KEY', 'old secret', environment);
  }
});
afterEach(() => world.close());

const action = async (name: string) => (await world.connect()).actions[name] as Action;
const valuesOf = (jobId: number) => ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'].map((name) => world.hand.jobValue(jobId, name));
const secretNames = (environment?: string) => {
  const row = world.hand.picture().repositories.find((each) => each.name === 'acme/shop');
  return Object.keys((environment === undefined ? row?.secrets : row?.environments[environment]) ?? {}).sort();
};

async function distributing(path: string) {
  const fresh = newCredential(path);
  const made = await stagedBy(world, fresh);
  const distribute = await action('distribute-secret');
  let shredded = 0;
  const context = stepOf('distribute', {
    params: { mint: 'mint', stage: 'stage' },
    made,
    inventory: fresh.inventory,
    sealing: {
      ...fresh.sealing,
      shred: async () => {
        shredded++;
      },
    },
  });
  return { fresh, made, distribute, context, target: fresh.target, shredded: () => shredded };
}

describe.each([
  ['a repository', 'acme/shop', undefined],
  ['an environment', 'acme/shop/production', 'production'],
] as const)('the secrets of %s', (_, path, environment) => {
  it('are new to a run that starts after the write, and old to the end to one that is under way', async () => {
    const running = world.hand.startJob('acme', 'shop', environment === undefined ? {} : { environment });
    const { fresh, distribute, context, target, shredded } = await distributing(path);
    const before = await distribute.capture(target, context);
    const applied = await distribute.apply(target, before, context);
    const made = { ...context.made, distribute: applied.made ?? {} };
    expect((await distribute.probe(target, before, { ...context, made })).observation.state).toBe('yes');
    const next = world.hand.startJob('acme', 'shop', environment === undefined ? {} : { environment });
    expect(valuesOf(running.jobId)).toEqual(['old id', 'old secret']);
    expect(valuesOf(next.jobId)).toEqual(['AKIAIOSFODNN7EXAMPLE', fresh.secretAccessKey]);
    expect(secretNames(environment)).toEqual(['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']);
    expect(shredded()).toBe(1);
  });
});

it('nothing is written over what somebody wrote since the capture', async () => {
  const { distribute, context, target } = await distributing('acme/shop');
  const before = await distribute.capture(target, context);
  world.hand.advance(2_000);
  world.hand.putSecret('acme', 'shop', 'AWS_ACCESS_KEY_ID', 'olga’s');
  await expect(distribute.apply(target, before, context)).rejects.toMatchObject({ code: 'provider.conflict' });
  expect(valuesOf(world.hand.startJob('acme', 'shop').jobId)).toEqual(['olga’s', 'old secret']);
});

it('a process that ended between two writes leaves a conflict, and one that ended behind the last is done', async () => {
  const { distribute, context, target } = await distributing('acme/shop');
  const before = await distribute.capture(target, context);
  world.hand.inject({ kind: 'lose-reply-after-effect', action: 'PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}', count: 1 });
  await expect(distribute.apply(target, before, context)).rejects.toMatchObject({ code: 'provider.uncertain' });
  const successor = await action('distribute-secret');
  await expect(successor.apply(target, before, context)).rejects.toMatchObject({ code: 'provider.conflict' });
  await distribute.apply(target, before, context);
  expect((await successor.apply(target, before, context)).outcome).toBe('already');
});

it('a write within the second of the last one is told from it', async () => {
  const { distribute, context, target } = await distributing('acme/shop');
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) world.hand.putSecret('acme', 'shop', name, 'just now');
  const before = await distribute.capture(target, context);
  const applied = await distribute.apply(target, before, context);
  expect(
    (await distribute.probe(target, before, { ...context, made: { ...context.made, distribute: applied.made ?? {} } })).observation.state,
  ).toBe('yes');
});

it('somebody’s later write is seen by the probe', async () => {
  const { distribute, context, target } = await distributing('acme/shop');
  const before = await distribute.capture(target, context);
  const applied = await distribute.apply(target, before, context);
  world.hand.advance(2_000);
  world.hand.putSecret('acme', 'shop', 'AWS_ACCESS_KEY_ID', 'olga’s');
  expect(
    (await distribute.probe(target, before, { ...context, made: { ...context.made, distribute: applied.made ?? {} } })).observation,
  ).toMatchObject({
    state: 'no',
    evidence: expect.stringContaining('AWS_ACCESS_KEY_ID'),
  });
});

it.each([
  [
    'a field that the new credential lacks',
    { accessKeyId: 'AWS_ACCESS_KEY_ID', secretAccessKey: 'AWS_SECRET_ACCESS_KEY', region: 'AWS_REGION' },
  ],
  ['no field for a member of it', { accessKeyId: 'AWS_ACCESS_KEY_ID' }],
  ['a field that is no name of a secret', { accessKeyId: 'github_token', secretAccessKey: 'AWS_SECRET_ACCESS_KEY' }],
])('half a credential is not staged: %s', async (_, fields) => {
  const fresh = newCredential('acme/shop');
  const stage = await action('stage-secret');
  const inventory = { ...fresh.inventory, stores: [{ ...fresh.store, fields: fields as Record<string, string> }] };
  const context = stepOf('stage', { params: fresh.params, made: fresh.made, inventory, sealing: fresh.sealing });
  await expect(stage.apply(fresh.target, { standing: [] }, context)).rejects.toMatchObject({ code: 'provider.invalid' });
  expect(world.hand.mutations()).toEqual([]);
});

it('a place that is not there or may not be seen is refused, and not taken for empty', async () => {
  const stage = await action('stage-secret');
  for (const path of ['acme/nowhere', 'acme/shop/nowhere']) {
    const fresh = newCredential(path);
    const context = stepOf('stage', { params: fresh.params, made: fresh.made, inventory: fresh.inventory, sealing: fresh.sealing });
    await expect(stage.capture(fresh.target, context)).rejects.toMatchObject({ code: 'provider.denied' });
  }
});

describe('the watch over the workflows', () => {
  const watching = async (writtenAt: string) => {
    const fresh = newCredential('acme/shop');
    const watch = await action('watch-readers');
    const context = stepOf('watch', {
      params: { distribute: 'distribute' },
      made: { distribute: { writtenAt } },
      inventory: fresh.inventory,
    });
    return async () => (await watch.probe(fresh.target, {}, context)).observation;
  };

  it('is over once each has started since, and none from before is under way', async () => {
    const old = world.hand.startJob('acme', 'shop', { workflow: 'deploy' });
    const look = await watching(new Date(world.hand.clock().now).toISOString());
    expect(await look()).toMatchObject({ state: 'unknown', why: expect.stringContaining('no run since the write: deployer') });
    world.hand.advance(2_000);
    world.hand.startJob('acme', 'shop', { workflow: 'deploy' });
    expect(await look()).toMatchObject({ state: 'unknown', why: expect.stringContaining('keeps the old one: deployer') });
    world.hand.finishJob(old.jobId);
    expect((await look()).state).toBe('yes');
  });

  it('does not take another workflow’s run for it, nor one of the very second of the write', async () => {
    const look = await watching(new Date(world.hand.clock().now + 1_000).toISOString());
    const job = world.hand.startJob('acme', 'shop', { workflow: 'deploy' });
    world.hand.finishJob(job.jobId);
    world.hand.advance(3_000);
    world.hand.startJob('acme', 'shop', { workflow: 'lint' });
    expect((await look()).state).toBe('unknown');
  });
});
