import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  DeleteUserPolicyCommand,
  IAMClient,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Actor, startActor } from '../../lab/actor.ts';
import { type AttackerConfig, type AttackerLine, Loot } from '../../lab/attacker/messages.ts';
import { type AwsSimulator, startAwsSimulator } from '../../lab/aws/index.ts';
import type { ConsumerConfig, ConsumerLine } from '../../lab/consumer/messages.ts';
import { refusals, Tally } from '../../lab/consumer/tally.ts';
import { type AwsWorld, type KeyPair, provisionAws, untilAccepted } from '../../lab/world/aws.ts';
import { deployments, fields, region } from '../../lab/world/cast.ts';

const folder = mkdtempSync(join(tmpdir(), 'tourniquet-actors-'));
const consumerEntry = new URL('../../lab/consumer/main.ts', import.meta.url);
const attackerEntry = new URL('../../lab/attacker/main.ts', import.meta.url);
let simulator: AwsSimulator;
let world: AwsWorld;
let iam: IAMClient;
/** A store that answers as KV version 2 does, and says what the test puts there. */
let kept: KeyPair;
const store = createServer((_request, response) => {
  response.setHeader('content-type', 'application/json');
  const data = { [fields.accessKeyId]: kept.accessKeyId, [fields.secretAccessKey]: kept.secretAccessKey };
  response.end(JSON.stringify({ data: { data, metadata: { version: 1 } } }));
});

beforeAll(async () => {
  simulator = await startAwsSimulator({ propagationMs: 300, logLagMs: 0 });
  await new Promise<void>((done) => store.listen(0, '127.0.0.1', done));
  world = await provisionAws({ endpoint: simulator.endpoint, accountId: simulator.accountId, admin: simulator.admin });
  iam = new IAMClient({ endpoint: simulator.endpoint, region, credentials: simulator.admin });
  await Promise.all(Object.values(world.deployers).map((pair) => untilAccepted(simulator, pair)));
});
afterAll(async () => {
  iam?.destroy();
  store.close();
  store.closeAllConnections();
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

function startConsumer(name: string, given: Partial<ConsumerConfig> = {}): Actor<ConsumerLine> {
  const config: ConsumerConfig = {
    name,
    vault: { address: `http://127.0.0.1:${(store.address() as AddressInfo).port}`, token: 'practice', path: 'secret/ci/deployer' },
    fields,
    aws: { endpoint: simulator.endpoint, region },
    callsPerSecond: 20,
    rereadMs: 200,
    ...given,
  };
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return startActor<ConsumerLine>(name, consumerEntry, file);
}

test('a consumer moves to a new key of its store without one failed call, and loses calls only once its key is cut off', async () => {
  const { user } = deployments.internal;
  kept = world.deployers.internal;
  const old = kept.accessKeyId;
  const consumer = startConsumer('mover');
  await consumer.said('second', ({ tally }) => tally.ok > 0);

  // The new key is in the store at once, and AWS knows it a moment later: whoever switches blindly fails in between.
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: user }));
  kept = { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
  const moved = await consumer.said('moved');
  expect(moved).toMatchObject({ from: old, to: kept.accessKeyId });
  expect(moved.probes).toBeGreaterThan(1);
  const before = await consumer.said('second', ({ at, accessKeyId }) => at > moved.at && accessKeyId === kept.accessKeyId);
  expect(before.tally).toMatchObject({ failed: {}, unreachable: 0, outages: [] });

  await iam.send(new PutUserPolicyCommand({ UserName: user, PolicyName: 'stop', PolicyDocument: denyAll }));
  await consumer.said('second', ({ tally }) => refusals(tally) > 2);
  await iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName: 'stop' }));
  await consumer.said('second', ({ tally }) => tally.outages[0]?.backAt !== undefined);
  const { tally } = await consumer.finish();
  expect(Object.keys(tally.failed)).toEqual(['AccessDeniedException']);
  expect(tally.unreachable).toBe(0);
  expect(tally.outages).toHaveLength(1);
  const [outage] = tally.outages;
  expect(outage?.failed).toEqual(tally.failed);
  expect(tally.longestGapMs).toBeGreaterThanOrEqual((outage?.backAt ?? 0) - (outage?.from ?? 0));
});

test('the attacker ends up with four credentials that work, and each is refused in its own way when the engine has done its part', async () => {
  const { user } = deployments.public;
  const config: AttackerConfig = { aws: { endpoint: simulator.endpoint, region }, leaked: world.deployers.public, everyMs: 100 };
  const file = join(folder, 'attacker.json');
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  const attacker = startActor<AttackerLine>('attacker', attackerEntry, file);
  const all = Object.values(Loot);
  for (const loot of all) await attacker.said('turned', (line) => line.loot === loot && line.to === 'ok');
  const second = await attacker.said('made', ({ loot }) => loot === Loot.SECOND);

  await iam.send(new PutUserPolicyCommand({ UserName: user, PolicyName: 'stop', PolicyDocument: denyAll }));
  for (const key of [config.leaked.accessKeyId, second.accessKeyId]) {
    await iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: key, Status: 'Inactive' }));
  }
  await attacker.said('fates', ({ fates }) => fates.length === 4 && fates.every(({ loot, answer }) => answer === expected[loot]));
  const { fates } = await attacker.finish();
  expect(Object.fromEntries(fates.map(({ loot, answer }) => [loot, answer]))).toEqual(expected);
  for (const { ok, firstOkAt, lastOkAt } of fates) {
    expect(ok).toBeGreaterThan(0);
    expect(firstOkAt).toBeLessThanOrEqual(lastOkAt ?? 0);
  }
});

const denyAll = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }] });
const expected: Record<string, string> = {
  [Loot.LEAKED]: 'InvalidClientTokenId',
  [Loot.SECOND]: 'InvalidClientTokenId',
  [Loot.SESSION]: 'AccessDeniedException',
  [Loot.FEDERATION]: 'AccessDeniedException',
};

test('a tally keeps refusals, silence and the longest time without success apart', () => {
  const tally = new Tally();
  tally.success(1_000);
  tally.success(1_200);
  tally.miss(1_400, { refused: 'AccessDeniedException' });
  tally.miss(1_500, 'unreachable');
  tally.miss(1_600, { refused: 'InvalidClientTokenId' });
  tally.success(2_100);
  tally.miss(2_200, { refused: 'InvalidClientTokenId' });
  expect(tally.snapshot(3_500)).toEqual({
    ok: 3,
    failed: { AccessDeniedException: 1, InvalidClientTokenId: 2 },
    unreachable: 1,
    firstOkAt: 1_000,
    lastOkAt: 2_100,
    longestGapMs: 1_400,
    outages: [
      { from: 1_400, lastFailedAt: 1_600, backAt: 2_100, failed: { AccessDeniedException: 1, InvalidClientTokenId: 1 }, unreachable: 1 },
      { from: 2_200, lastFailedAt: 2_200, failed: { InvalidClientTokenId: 1 }, unreachable: 0 },
    ],
  });
});
