import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { EncryptionCodec, openKeyring } from '../../audit/codec.ts';
import { SignalName } from '../../domain/messages.ts';
import { huntAfter } from '../canary/hunt.ts';
import { pairsOf } from '../canary/pairs.ts';
import { type Deployed, gateOf, startWorld, until, type World } from '../engine/world.ts';

/*
 * Messages and answers that cannot be read, or are not what they should be. None wedges a run, and each shows: in a refusal, in a refused decision, or in a failed step or round.
 */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const rows: { readonly poison: string; readonly shows: string }[] = [];
const began = Date.now();
let world: World;
let id: string;
let handle: WorkflowHandle;
let connection: Connection;

beforeAll(async () => {
  world = await startWorld(
    { waiting: 'internal', shaped: 'public', gone: 'internal' },
    { heartbeatMs: 3_000, retryCeilingMs: 500, stuckAfterMs: 20_000 },
  );
  connection = await Connection.connect({ address: world.stack.temporal.address });
  id = await world.leak(world.deployed('waiting'));
  handle = world.client.temporal.workflow.getHandle(id);
  await world.follow(id, (now) => gateOf(now, 'g-outage')?.state === 'open');
});
afterAll(async () => {
  console.table(rows);
  await connection?.close();
  await world?.stop();
});

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const raw = async (signalName: string, payload: Payload): Promise<void> => {
  await connection.workflowService.signalWorkflowExecution({
    namespace: world.stack.temporal.namespace,
    workflowExecution: { workflowId: id },
    signalName,
    input: { payloads: [payload] },
  });
};

/** Sends a poison and waits until the run has something new to show of it; the question it asked stands open all the while. */
async function row(poison: string, send: () => Promise<unknown>, recorded: 'refusal' | 'decision' | 'none' = 'refusal'): Promise<void> {
  const incident = world.client.incident(id);
  const count = async () => (await incident.chain()).filter(({ type }) => type === recorded).length;
  const before = await count();
  await send();
  if (recorded !== 'none') await until(`${poison} is on record`, async () => (await count()) > before);
  const status = await incident.status();
  expect(gateOf(status, 'g-outage'), poison).toMatchObject({ state: 'open', approvals: [] });
  rows.push({ poison, shows: recorded === 'none' ? 'answered with an error' : `a ${recorded} record` });
}

test('undecodable, wrong-key, plain, oversized and unknown-name signals and updates wedge no run, and each shows', async () => {
  const stranger = new EncryptionCodec({ current: 'codec-stranger', keys: { 'codec-stranger': randomBytes(32) } });
  const current = openKeyring(join(world.stack.paths.keys, 'operator', 'codec.json')).current;
  const wrongKey = new EncryptionCodec({ current, keys: { [current]: randomBytes(32) } });
  const [strange, wrong] = await Promise.all(
    [stranger, wrongKey].map(async (codec) => (await codec.encode([defaultPayloadConverter.toPayload({ any: 'thing' })]))[0] as Payload),
  );
  if (!strange || !wrong) throw new Error('no payloads');
  const garbage: Payload = { metadata: { encoding: text('binary/encrypted'), kid: text(current) }, data: randomBytes(200) };
  const unknownEncoding: Payload = { metadata: { encoding: text('json/nobody') }, data: text('{') };
  const brokenJson: Payload = { metadata: { encoding: text('json/plain') }, data: text('{"report":') };
  const large = 'x'.repeat(1_500_000);
  for (const [words, payload] of [
    ['of a key nobody has', strange],
    ['of our key’s name and another key', wrong],
    ['of random bytes', garbage],
    ['of an unknown encoding', unknownEncoding],
    ['of broken JSON', brokenJson],
    ['without metadata', { data: text('x') } as Payload],
  ] as const) {
    await row(`a sighting ${words}`, () => raw(SignalName.SIGHTING, payload));
    await row(`an approval ${words}`, () => raw(SignalName.APPROVE, payload), 'decision');
  }
  const plain = new Client({ connection });
  await row('a plain sighting of no shape', () => plain.workflow.getHandle(id).signal(SignalName.SIGHTING, 'leaked!'));
  await row('a plain approval of no shape', () => plain.workflow.getHandle(id).signal(SignalName.APPROVE, { yes: true }), 'decision');
  await row('an oversized sighting', () => handle.signal(SignalName.SIGHTING, { report: { v: 1, text: large } }));
  await row(
    'an oversized approval',
    () => handle.signal(SignalName.APPROVE, { payloadType: 'x', payload: large, signatures: [{ keyid: 'k', sig: 's' }] }),
    'decision',
  );
  await row('a signal of an unknown name', () => handle.signal('no-such-signal', large.slice(0, 1000)));
  await row('many signals of unknown names', () => Promise.all(Array.from({ length: 60 }, (_, n) => handle.signal(`no-such-${n}`))));
  await row('an update of an unknown name', () => handle.executeUpdate('no-such-update').catch(() => undefined), 'none');
  await row('an update of no shape', () => handle.executeUpdate('decide', { args: [null] }).catch(() => undefined), 'none');
  await row(
    'a request to finish of no shape',
    () => handle.executeUpdate('finish', { args: [{ step: 7 }] }).catch(() => undefined),
    'none',
  );

  const ruling = await world.decide(id, { verdict: 'approve', gate: 'g-outage', by: 'sam' });
  expect(ruling).toMatchObject({ accepted: true });
  await world.follow(id, (now) => now.rotated !== 'no' || now.steps.some(({ state }) => state === 'done'));
});

test('activity results of the wrong shape fail a step or a round, which is tried again', async () => {
  const { control } = world.stack;
  const deployed: Deployed = world.deployed('shaped');
  const responder = world.stack.world.responder.accessKeyId;
  await control.inject({ kind: 'down', service: 'iam', action: 'UpdateAccessKey', accessKeyId: responder });
  const incident = await world.leak(deployed);
  const run = world.client.temporal.workflow.getHandle(incident);
  const shapes: readonly unknown[] = [null, { record: `sha256:${'0'.repeat(64)}`, outcome: 'changed' }];
  for (const shape of shapes) {
    const activityId = await until('the step is tried', async () => {
      const { raw: described } = await run.describe();
      return (described.pendingActivities ?? []).find((each) => each.activityType?.name === 'apply')?.activityId ?? undefined;
    });
    await world.client.temporal.activity.complete({ workflowId: incident, activityId }, shape);
    await until('the answer shows', async () => {
      const status = await world.client.incident(incident).status();
      return [...status.steps, ...status.earlier].some(({ failure }) => failure?.code === 'engine.unexpected') || status.round > 1;
    });
    rows.push({ poison: `an answer that is ${JSON.stringify(shape)?.slice(0, 50)}`, shows: 'a failed step, tried again' });
  }
  await control.clearFaults();
  await world.follow(incident, (now) => now.contained === 'yes', { timeoutMs: 90_000 });
});

test('a codec key that is gone keeps the judge from starting, by name; with the key back the run goes on', async () => {
  const incident = await world.leak(world.deployed('gone'));
  await world.follow(incident, (now) => gateOf(now, 'g-outage')?.state === 'open');
  const file = join(world.stack.paths.keys, 'judge', 'codec.json');
  const whole = readFileSync(file, 'utf8');
  const judge = world.stack.part('judge');
  await judge.kill();
  writeFileSync(file, JSON.stringify({ current: 'codec-new', keys: { 'codec-new': randomBytes(32).toString('base64') } }), { mode: 0o600 });
  await expect(judge.restart()).rejects.toThrow();
  expect(readFileSync(judge.log, 'utf8')).toMatch(/histories of this engine are encrypted with it/);
  writeFileSync(file, whole, { mode: 0o600 });
  await judge.restart();
  await world.follow(incident, (now) => gateOf(now, 'g-outage')?.state === 'open');
  expect(await world.decide(incident, { verdict: 'dismiss', by: 'ada' })).toMatchObject({ accepted: true });
  rows.push({ poison: 'a codec key that is gone', shows: 'the judge says which, and waits for it' });
});

test('and after all of it no secret stands anywhere', async () => {
  const { stack, client, store } = world;
  const more = await pairsOf(world, ['waiting', 'shaped', 'gone']);
  const { findings } = await huntAfter({ stack, client, store, since: began }, more);
  expect(findings).toEqual([]);
});
