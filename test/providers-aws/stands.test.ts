import { DeleteAccessKeyCommand, UpdateAccessKeyCommand } from '@aws-sdk/client-iam';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Practice, practice } from './practice.ts';
import { stepOf } from './steps.ts';

let world: Practice;
beforeAll(async () => {
  world = await practice();
});
afterAll(() => world?.close());

it('of turning off a key nothing stands any more once somebody has deleted it, so that a stuck undo can be finished', async () => {
  const { accessKeyId } = await world.makeUser('builder');
  const connection = await world.connect();
  const target = { account: world.account, user: 'builder', accessKeyId };
  const step = stepOf(connection, 'disable-key', target);
  const stands = async () =>
    (await connection.actions['disable-key']?.stands?.(target, { status: 'Active' }, step.context()))?.observation.state;
  expect(await stands()).toBe('no');
  await world.admin.iam.send(new UpdateAccessKeyCommand({ UserName: 'builder', AccessKeyId: accessKeyId, Status: 'Inactive' }));
  expect(await stands()).toBe('yes');
  await world.admin.iam.send(new DeleteAccessKeyCommand({ UserName: 'builder', AccessKeyId: accessKeyId }));
  expect(await stands()).toBe('no');
  await expect(step.revert({ status: 'Active' })).rejects.toThrow(/absent/);
});
