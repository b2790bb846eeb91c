import { CreateAccessKeyCommand, DeleteAccessKeyCommand, UpdateAccessKeyCommand } from '@aws-sdk/client-iam';
import { afterEach, expect, it } from 'vitest';
import { type ErrorCode, isFault } from '../../domain/errors.ts';
import type { Applied, Sealing } from '../../providers/contract.ts';
import { consumer } from './harnesses.ts';
import { type Pair, type Practice, pairOf, practice, timing } from './practice.ts';
import { stepOf } from './steps.ts';

const user = 'ci-deployer';
const params = { sealTo: { provider: 'vault', account: 'main' } };
const open: Practice[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});
async function house(): Promise<{ world: Practice; leaked: Pair }> {
  const world = await practice();
  open.push(world);
  return { world, leaked: await world.makeUser(user) };
}
async function codeOf(run: () => Promise<unknown>): Promise<ErrorCode | 'ok' | 'no fault'> {
  try {
    await run();
    return 'ok';
  } catch (error) {
    return isFault(error) ? error.code : 'no fault';
  }
}
const keysOf = async (world: Practice) => (await world.control.world()).users.find((row) => row.name === user)?.keys ?? [];

it('what it made is a reference: the sealed secret opens for the id, and works', async () => {
  const { world } = await house();
  const step = stepOf(await world.connect(), 'mint-key', { account: world.account, user }, { params });
  const before = await step.capture();
  const { made, outcome } = await step.apply(before);
  expect(outcome).toBe('changed');
  expect(Object.keys(made ?? {}).sort()).toEqual(['accessKeyId', 'keyId', 'sealed']);
  const secret = await step
    .context()
    .sealing.open(made?.['sealed'] as `sha256:${string}`, made?.['keyId'] ?? '', `mint:${made?.['accessKeyId']}`);
  const opened = JSON.parse(secret.reveal()) as Pair;
  expect(opened.accessKeyId).toBe(made?.['accessKeyId']);
  await world.alive(opened);
});

it('lost replies to CreateAccessKey leave never more than two keys, and none unaccounted for', async () => {
  const { world, leaked } = await house();
  const step = stepOf(await world.connect(), 'mint-key', { account: world.account, user }, { params });
  const before = await step.capture();
  await world.control.inject({ kind: 'lose-reply-after-effect', service: 'iam', action: 'CreateAccessKey', count: 2 });
  expect(await codeOf(() => step.apply(before))).toBe('provider.uncertain');
  expect(await keysOf(world)).toHaveLength(2);
  expect(await codeOf(() => step.apply(before))).toBe('provider.uncertain');
  expect(await keysOf(world)).toHaveLength(2);
  const { made } = await step.apply(before);
  expect((await keysOf(world)).map((key) => [key.id, key.status])).toEqual([
    [leaked.accessKeyId, 'Active'],
    [made?.['accessKeyId'], 'Active'],
  ]);
  const made3 = (await world.control.mutations()).filter(
    (entry) => entry.action === 'CreateAccessKey' && entry.target['UserName'] === user,
  );
  const gone = (await world.control.mutations()).filter((entry) => entry.action === 'DeleteAccessKey');
  expect(made3).toHaveLength(4);
  expect(gone).toHaveLength(2);
});

it('a key that somebody else made meanwhile is turned off and kept, and the step is a conflict', async () => {
  const { world, leaked } = await house();
  await world.alive(leaked);
  const step = stepOf(await world.connect(), 'mint-key', { account: world.account, user }, { params });
  const before = await step.capture();
  // The thief imitates the engine's user agent; the log tells them apart by who called.
  const disguise = `tourniquet/${'leak'}/${'c'.repeat(64)}/conformance-run/${step.context().step}`;
  const thief = pairOf((await world.as(leaked, disguise).iam.send(new CreateAccessKeyCommand({ UserName: user }))).AccessKey);
  expect(await codeOf(() => step.apply(before))).toBe('provider.conflict');
  expect((await keysOf(world)).map((key) => [key.id, key.status])).toEqual([
    [leaked.accessKeyId, 'Active'],
    [thief.accessKeyId, 'Inactive'],
  ]);
  // And the undo of such a step leaves the thief's key alone.
  expect((await step.revert(before)).outcome).toBe('already');
  expect(await keysOf(world)).toHaveLength(2);
});

it('both slots taken is a conflict, and no key is touched', async () => {
  const { world } = await house();
  await world.makeKey(user);
  const step = stepOf(await world.connect(), 'mint-key', { account: world.account, user }, { params });
  const before = await step.capture();
  const keys = await keysOf(world);
  expect(await codeOf(() => step.apply(before))).toBe('provider.conflict');
  expect(await keysOf(world)).toEqual(keys);
});

it('a secret that cannot be sealed leaves no key behind', async () => {
  const { world } = await house();
  const sealing: Sealing = {
    open: () => Promise.reject(new Error('never')),
    seal: () => Promise.reject(new Error('no sealing key')),
    shred: () => Promise.resolve(),
  };
  const step = stepOf(await world.connect(), 'mint-key', { account: world.account, user }, { params, sealing });
  const before = await step.capture();
  await expect(step.apply(before)).rejects.toThrow('no sealing key');
  expect(await keysOf(world)).toHaveLength(1);
});

it('a result that was lost after the secret was sealed is made anew, and the first key is gone', async () => {
  const { world, leaked } = await house();
  const step = stepOf(await world.connect(), 'mint-key', { account: world.account, user }, { params });
  const before = await step.capture();
  const first: Applied = await step.apply(before);
  // Another process, which knows nothing of the first try, is given the same step.
  const connection = await world.connect();
  const again = await connection.actions['mint-key']?.apply({ account: world.account, user }, before, step.context());
  expect(again?.made?.['accessKeyId']).not.toBe(first.made?.['accessKeyId']);
  expect((await keysOf(world)).map((key) => key.id)).toEqual([leaked.accessKeyId, again?.made?.['accessKeyId']]);
});

it('a log that shows nothing in time makes a key nobody’s, so that it is turned off and not deleted', async () => {
  const { world, leaked } = await house();
  const step = stepOf(
    await world.connect(),
    'mint-key',
    { account: world.account, user },
    { params, timing: { ...timing, giveUpMs: 1500 } },
  );
  const before = await step.capture();
  await world.control.inject({ kind: 'lose-reply-after-effect', service: 'iam', action: 'CreateAccessKey', count: 1 });
  expect(await codeOf(() => step.apply(before))).toBe('provider.uncertain');
  await world.control.setTiming({ logLagMs: 600_000 });
  expect(await codeOf(() => step.apply(before))).toBe('provider.conflict');
  expect((await keysOf(world)).map((key) => key.status)).toEqual(['Active', 'Inactive']);
  expect((await keysOf(world))[0]?.id).toBe(leaked.accessKeyId);
});

const turn = (world: Practice, accessKeyId: string, status: 'Active' | 'Inactive') =>
  world.admin.iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: accessKeyId, Status: status }));

it('the undo waits until the old key is back in effect and the slowest consumer has read it again, and deletes only then', async () => {
  const { world } = await house();
  const consumers = [
    { ...consumer('fast'), rereads: 2 },
    { ...consumer('slow'), rereads: 600 },
    { ...consumer('baked'), rereads: 'never' as const },
  ];
  const waits: { readonly ms: number; readonly keys: number }[] = [];
  const sleep = async (ms: number) => {
    waits.push({ ms, keys: (await keysOf(world)).length });
  };
  const connection = await world.connect();
  const step = stepOf(connection, 'mint-key', { account: world.account, user }, { params, inventory: { consumers, stores: [] } });
  const before = await step.capture();
  const { made } = await step.apply(before);
  const context = { ...step.context(), sleep, made: { [step.context().step]: made ?? {} } };
  const undo = () => connection.actions['mint-key']?.revert?.({ account: world.account, user }, before, context);
  expect((await undo())?.outcome).toBe('changed');
  expect(waits).toEqual([{ ms: timing.propagationMs + timing.marginMs + 600_000, keys: 2 }]);
  expect(await keysOf(world)).toHaveLength(1);
  // With nothing left to delete there is nothing to wait for.
  expect((await undo())?.outcome).toBe('already');
  expect(waits).toHaveLength(1);
});

it.each(['off', 'deleted'])('the undo is refused while the key from before is %s, since nothing would be left that works', async (how) => {
  const { world, leaked } = await house();
  const step = stepOf(await world.connect(), 'mint-key', { account: world.account, user }, { params });
  const before = await step.capture();
  const { made } = await step.apply(before);
  const known = { [step.context().step]: made ?? {} };
  if (how === 'off') await turn(world, leaked.accessKeyId, 'Inactive');
  else await world.admin.iam.send(new DeleteAccessKeyCommand({ UserName: user, AccessKeyId: leaked.accessKeyId }));
  if (how === 'deleted') await world.makeKey(user);
  const keys = await keysOf(world);
  expect(await codeOf(() => step.revert(before, known))).toBe('provider.conflict');
  expect(await keysOf(world)).toEqual(keys);
  if (how === 'deleted') return;
  await turn(world, leaked.accessKeyId, 'Active');
  expect((await step.revert(before, known)).outcome).toBe('changed');
  expect((await keysOf(world)).map((key) => [key.id, key.status])).toEqual([[leaked.accessKeyId, 'Active']]);
});

it('the undo leaves a user without a key where there was none before', async () => {
  const { world, leaked } = await house();
  await world.admin.iam.send(new DeleteAccessKeyCommand({ UserName: user, AccessKeyId: leaked.accessKeyId }));
  const step = stepOf(await world.connect(), 'mint-key', { account: world.account, user }, { params });
  const before = await step.capture();
  const { made } = await step.apply(before);
  expect((await step.revert(before, { [step.context().step]: made ?? {} })).outcome).toBe('changed');
  expect(await keysOf(world)).toEqual([]);
});
