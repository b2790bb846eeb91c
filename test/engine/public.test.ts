import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { writeBundle } from '../../audit/bundle.ts';
import { matchTrail, readTrail } from '../../audit/cloudtrail.ts';
import type { IncidentStatus } from '../../client/index.ts';
import type { ExportResult, IncidentResult } from '../../domain/messages.ts';
import { type Actor, startActor } from '../../lab/actor.ts';
import { type AttackerConfig, type AttackerLine, type Fate, Loot } from '../../lab/attacker/messages.ts';
import type { ConsumerConfig, ConsumerLine } from '../../lab/consumer/messages.ts';
import { deployments, fields, region } from '../../lab/world/cast.ts';
import { manifest } from '../../providers/aws/manifest.ts';
import { TrailFiles } from '../audit/trail-files.ts';
import { huntAfter, looseFiles, secretsOf } from '../canary/hunt.ts';
import { tourniquet } from '../cli/harness.ts';
import { type Deployed, isWatching, startWorld, type UserPicture, type World } from './world.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const refusalOf: Readonly<Record<Loot, string>> = {
  [Loot.LEAKED]: 'InvalidClientTokenId',
  [Loot.SECOND]: 'InvalidClientTokenId',
  [Loot.FEDERATION]: 'AccessDeniedException',
  [Loot.SESSION]: 'AccessDeniedException',
};
const day = 24 * 3_600_000;

let world: World;
let deployed: Deployed;
let id: string;
let watching: IncidentStatus;
let before: UserPicture;
let fates: readonly Fate[];
let consumers: readonly Actor<ConsumerLine>[] = [];
let attacker: Actor<AttackerLine>;
const startedAt = Date.now();

/** Plays the leak up to the point at which nothing but dated residuals is left; the tests then look at it from their sides. */
beforeAll(async () => {
  world = await startWorld({}, { debug: '*' });
  const { stack } = world;
  deployed = world.deployed('public');
  before = await world.picture(deployed.user);
  consumers = deployments.public.consumers.map((consumer) => {
    const config: ConsumerConfig = {
      name: consumer.id,
      vault: { address: stack.vault.address, token: stack.world.consumers[consumer.id] ?? '', path: deployed.path },
      fields,
      aws: { endpoint: stack.aws.endpoint, region },
      callsPerSecond: 5,
      rereadMs: 500,
    };
    return startActor<ConsumerLine>(consumer.id, new URL('../../lab/consumer/main.ts', import.meta.url), written(consumer.id, config));
  });
  const config: AttackerConfig = { aws: { endpoint: stack.aws.endpoint, region }, leaked: deployed.pair, everyMs: 200 };
  attacker = startActor<AttackerLine>('attacker', new URL('../../lab/attacker/main.ts', import.meta.url), written('attacker', config));
  for (const loot of Object.values(Loot)) await attacker.said('turned', (line) => line.loot === loot && line.to === 'ok');
  await Promise.all(consumers.map((consumer) => consumer.said('second', ({ tally }) => tally.ok > 0)));

  id = await world.leak(deployed);
  watching = await world.follow(id, isWatching, { answer: () => true, timeoutMs: 90_000 });
  await attacker.said('fates', (line) => line.fates.every(({ loot, answer }) => answer === refusalOf[loot]));
  fates = (await attacker.finish()).fates;
  await Promise.all(consumers.map((consumer) => consumer.said('second', ({ accessKeyId }) => accessKeyId !== deployed.pair.accessKeyId)));
  await Promise.all(consumers.map((consumer) => consumer.finish()));
});
afterAll(async () => {
  attacker?.kill();
  for (const consumer of consumers) consumer.kill();
  await world?.stop();
});

function written(name: string, config: unknown): string {
  const file = join(world.stack.paths.cast, `${name}.json`);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

test("each of the thief's four credentials lists secrets at first, and in the end gets the refusal of its kind", () => {
  expect(Object.fromEntries(fates.map(({ loot, answer }) => [loot, answer]))).toEqual(refusalOf);
  for (const { loot, ok, firstOkAt = Number.NaN, lastOkAt = Number.NaN, since = 0 } of fates) {
    expect(ok, loot).toBeGreaterThan(0);
    expect(firstOkAt, loot).toBeLessThanOrEqual(lastOkAt);
    expect(lastOkAt, loot).toBeLessThan(since);
  }
});

test('at the end the user has the one new key that its store holds, and of ours only the dated cut-off', async () => {
  const after = await world.picture(deployed.user);
  const { [fields.accessKeyId]: inStore = '' } = await world.stored(deployed);
  expect(Object.keys(before.keys)).toEqual([deployed.pair.accessKeyId]);
  expect(after.keys).toEqual({ [inStore]: 'Active' });
  expect(inStore).not.toBe(deployed.pair.accessKeyId);
  expect(Object.keys(after.policies).sort()).toEqual(['deploy', 'tourniquet-cutoff']);
  expect(after.policies.deploy).toBe(before.policies.deploy);
  expect(watching.residuals).toHaveLength(1);
  expect(watching.residuals[0]?.what).toMatch(/^sessions issued before/);
  const until36 = Date.parse(watching.residuals[0]?.until ?? '') - Date.now();
  expect(until36).toBeGreaterThan(1.4 * day);
  expect(until36).toBeLessThanOrEqual(1.5 * day + 60_000);
});

test("when the provider's clock has passed the cut-off's date, the cut-off is lifted, the incident closes, and its archive has the bundle", async () => {
  const incident = world.client.incident(id, watching.run);
  await world.stack.control.advance(1.5 * day + 60_000);
  const result: IncidentResult = await incident.result({ signal: AbortSignal.timeout(45_000) });
  expect(result).toMatchObject({ state: 'closed', contained: 'yes', rotated: 'yes', residuals: [] });
  const after = await world.picture(deployed.user);
  expect(Object.keys(after.policies).filter((name) => name.startsWith('tourniquet-'))).toEqual([]);
  expect(after.policies).toEqual(before.policies);
  expect(await incident.status()).toMatchObject({ state: 'closed' });

  const archive = world.client.temporal.workflow.getHandle(`archive/${watching.run}`);
  const { bundle } = (await archive.result()) as ExportResult;
  const described = await archive.describe();
  expect(described.raw.workflowExecutionInfo?.parentExecution).toMatchObject({ workflowId: id, runId: watching.run });
  const { files, report } = await world.bundle(bundle);
  expect(files.get('statement.json')).toBeDefined();
  expect(report).toMatchObject({ incident: id, run: watching.run, state: 'closed', contained: 'yes', rotated: 'yes', residuals: [] });
  expect(report.head).toBe(result.head);
});

test('the log of the provider bears out the bundle; an apply that it does not know is found, and a change in it that the bundle does not know', async () => {
  const { stack } = world;
  const archive = world.client.temporal.workflow.getHandle(`archive/${watching.run}`);
  const { bundle } = (await archive.result()) as ExportResult;
  const { files } = await world.bundle(bundle);
  const events = (await stack.control.events(region, 100_000)).map(({ record }) => record);
  const own = events.filter((text) => {
    const { readOnly, userIdentity, errorCode } = JSON.parse(text) as Record<string, unknown> & { userIdentity: { accessKeyId?: string } };
    return readOnly === false && errorCode === undefined && userIdentity.accessKeyId === stack.world.responder.accessKeyId;
  });
  expect(own.length, 'disables, deny, cut-off, mint, lift, deletions').toBeGreaterThan(5);
  const held = (records: readonly string[], name: string) => {
    const trail = new TrailFiles(join(stack.paths.directory, 'cloudtrail', name), region);
    const [from, to] = [new Date(startedAt - 3_600_000), new Date(Date.now() + 10 * day)].map((at) => at.toISOString()) as [string, string];
    trail.add(from, to, [records]);
    return Object.fromEntries(matchTrail(files, readTrail(trail.folder), manifest).map((each) => [each.kind, each]));
  };
  expect(held(events, 'whole')).toMatchObject({ 'log-files': { state: 'yes' }, witnessed: { state: 'yes' }, accounted: { state: 'yes' } });
  for (const [at, gone] of own.entries()) {
    const { eventName, requestID } = JSON.parse(gone) as { eventName: string; requestID: string };
    const { witnessed } = held(
      events.filter((each) => each !== gone),
      `without-${at}`,
    );
    expect(witnessed?.state, `${eventName} ${requestID} gone from the log`).toBe('no');
  }
  const strange = JSON.stringify({ ...JSON.parse(own[0] ?? ''), requestID: 'of-no-record', eventName: 'CreateAccessKey' });
  const { accounted } = held([...events, strange], 'more');
  expect(accounted).toMatchObject({ state: 'no' });
  expect(accounted?.words).toContain('CreateAccessKey');

  // As an auditor types it.
  const cwd = stack.paths.directory;
  writeBundle(join(cwd, 'evidence.zip'), files);
  const verify = (name: string) =>
    tourniquet(['audit', 'verify', 'evidence.zip', '--trust', stack.paths.trust, '--cloudtrail', join('cloudtrail', name)], { cwd });
  expect(await verify('whole')).toMatchObject({ code: 0, out: expect.stringMatching(/✓ witnessed .*\n✓ accounted .*\n\n✓ verified/) });
  expect(await verify('without-0')).toMatchObject({ code: 1, out: expect.stringMatching(/✕ witnessed .*audit\.log-disagrees/s) });
  expect(await verify('more')).toMatchObject({ code: 1, out: expect.stringMatching(/✕ accounted .*CreateAccessKey/) });
});

test('canary hunt: no secret stands anywhere, in whatever spelling, with DEBUG=* or without', async () => {
  const { stack, client, store } = world;
  const minted = (await world.stored(deployed))[fields.secretAccessKey] ?? '';
  const more = { 'the leaked secret': deployed.pair.secretAccessKey, 'the minted secret': minted };
  const tokens = Object.keys(await secretsOf(stack)).filter((name) => name.startsWith('session token'));
  expect(tokens.length, 'the session and the federation of the thief').toBeGreaterThanOrEqual(2);
  const errors = [(await client.incident('leak/none').status().catch(String)) as string];
  const { findings, unlooked } = await huntAfter({ stack, client, store, since: startedAt, errors }, more);
  expect(findings).toEqual([]);
  expect(unlooked).toEqual([]);
  expect(looseFiles(stack.paths.directory)).toEqual([]);
});
