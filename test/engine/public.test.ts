import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { BundleFiles } from '../../audit/bundle.ts';
import { EncryptionCodec } from '../../audit/codec.ts';
import { decodeHistory, encodeHistory, historyJson } from '../../audit/history.ts';
import { type IncidentStatus, openKeyring } from '../../client/index.ts';
import { isEnvelope, strictBase64 } from '../../domain/envelope.ts';
import type { ExportResult, IncidentResult } from '../../domain/messages.ts';
import { type Actor, startActor } from '../../lab/actor.ts';
import { type AttackerConfig, type AttackerLine, type Fate, Loot } from '../../lab/attacker/messages.ts';
import type { ConsumerConfig, ConsumerLine } from '../../lab/consumer/messages.ts';
import { deployments, fields, region } from '../../lab/world/cast.ts';
import { type Finding, findIn, formsOf } from './canary.ts';
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

/** Plays the leak up to the point at which nothing but dated residuals is left; the tests then look at it from their sides. */
beforeAll(async () => {
  world = await startWorld();
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

test('no secret stands in a history, a log, a blob, a name or a bundle, in whatever spelling', async () => {
  const { stack, client } = world;
  const { paths } = stack;
  const minted = (await world.stored(deployed))[fields.secretAccessKey] ?? '';
  const tokens = (await stack.control.events(region, 100_000)).flatMap(({ record }) => tokensIn(JSON.parse(record)));
  const account = (name: string) => JSON.parse(readFileSync(join(paths.accounts, name), 'utf8')) as Record<string, string>;
  const secrets: Readonly<Record<string, string>> = {
    'the leaked secret': deployed.pair.secretAccessKey,
    'the minted secret': minted,
    "the engine's own AWS secret": stack.world.responder.secretAccessKey,
    "the vault worker's token": account('vault.json').token ?? '',
    'the root token': stack.vault.token,
    'the passphrase of people': stack.passphrase.reveal(),
    ...Object.fromEntries(Object.entries(stack.world.consumers).map(([name, token]) => [`the token of ${name}`, token])),
    ...Object.fromEntries(tokens.map((token, at) => [`session token ${at + 1} of the thief`, token])),
  };
  for (const [name, secret] of Object.entries(secrets)) expect(secret.length, name).toBeGreaterThan(15);
  expect(tokens.length, 'the session and the federation of the thief').toBeGreaterThanOrEqual(2);

  const found: Finding[] = [];
  const look = (place: string, bytes: Uint8Array | string): number => {
    found.push(...findIn(place, Buffer.from(bytes), secrets));
    return 1;
  };
  // What the search has to be able to find: a secret where it belongs, and every spelling of one.
  expect(findIn('accounts/aws.json', readFileSync(join(paths.accounts, 'aws.json')), secrets).map(({ secret }) => secret)).toContain(
    "the engine's own AWS secret",
  );
  for (const { form, text } of formsOf(minted)) expect(findIn(form, Buffer.from(`..${text}..`), secrets), form).not.toEqual([]);
  const within = Buffer.from(JSON.stringify({ key: { secret: minted } })).toString('base64');
  expect(findIn('base64 of more', Buffer.from(within), secrets).map(({ form }) => form)).toContain('base64');

  const codecs = [new EncryptionCodec(openKeyring(join(paths.keys, 'operator', 'codec.json')))];
  const kinds = new Set<string>();
  for await (const { workflowId, runId, type } of client.temporal.workflow.list()) {
    kinds.add(type);
    const history = await client.temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    look(`raw history of ${workflowId}`, encodeHistory(history));
    const clear = await decodeHistory(history, codecs);
    look(`history of ${workflowId}`, encodeHistory(clear));
    look(`history of ${workflowId} as JSON`, historyJson(clear));
  }
  expect(kinds).toEqual(new Set(['leakResponse', 'principalHold', 'archive']));

  let logs = 0;
  for (const name of readdirSync(paths.logs)) logs += look(`log ${name}`, readFileSync(join(paths.logs, name)));
  expect(logs).toBeGreaterThanOrEqual(3);

  let blobs = 0;
  let bundle: BundleFiles | undefined;
  const { bundle: bundleHash } = (await client.temporal.workflow.getHandle(`archive/${watching.run}`).result()) as ExportResult;
  for (const folder of readdirSync(join(paths.store, 'blobs'))) {
    for (const rest of readdirSync(join(paths.store, 'blobs', folder))) {
      const hash = `sha256:${folder}${rest}` as const;
      const bytes = await world.store.get(hash);
      blobs += look(`blob ${hash}`, bytes);
      look(`content of blob ${hash}`, contentOf(bytes));
      if (hash === bundleHash) bundle = (await world.bundle(hash)).files;
    }
  }
  for (const name of await world.store.list(''))
    look(`name ${name}`, Buffer.concat([Buffer.from(name), (await world.store.read(name)) ?? Buffer.of()]));
  for (const name of readdirSync(paths.drop)) look(`sealed ${name}`, readFileSync(join(paths.drop, name)));
  expect(blobs).toBeGreaterThan(30);
  for (const [path, bytes] of bundle ?? []) look(`bundle ${path}`, bytes);
  expect(bundle?.size).toBeGreaterThan(30);
  expect(found).toEqual([]);
});

/** What a signed record says, out of its base64. */
function contentOf(bytes: Uint8Array): Uint8Array {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return isEnvelope(value) ? (strictBase64(value.payload) ?? Buffer.of()) : Buffer.of();
  } catch {
    return Buffer.of();
  }
}

/** Every session token in a log event of the provider, wherever it stands. */
function tokensIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    /^sessionToken$/i.test(name) && typeof member === 'string' ? [member] : tokensIn(member),
  );
}
