/**
 * Many incidents open at once: `node --import tsx bench/crowd.ts [open] [active]`, 1000 and 50 where it is not said. The whole embedded stack, each part its own process. First ten are opened and ten more become active
 * at once, for comparison; then as many are opened as are wanted, each waiting at a question, and ten and then `active` more leak in public at once. Prints what each part holds in memory, how long the
 * active ones took, and whether every incident is still there and knows its report.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { CreateAccessKeyCommand, CreateUserCommand, IAMClient } from '@aws-sdk/client-iam';
import { createClient, type IncidentStatus, openKeyring, parseReports, readTrust, sealInto } from '../client/index.ts';
import { parseConfiguration } from '../domain/configuration.schema.ts';
import { isEnded } from '../domain/states.ts';
import { trufflehogFinding } from '../lab/scenarios/finding.ts';
import { partNames, startStack } from '../lab/stack.ts';
import { deployments } from '../lab/world/cast.ts';
import { percentile, row } from './figures.ts';

const open = Number(process.argv[2] ?? 1000);
const active = Number(process.argv[3] ?? 50);
const folder = mkdtempSync(join(tmpdir(), 'tourniquet-bench-'));
const stack = await startStack({
  directory: folder,
  propagationMs: 200,
  logLagMs: 300,
  recheckMs: 3_600_000,
  lookUpsPerSecond: 100_000,
  ui: false,
});
const configuration = parseConfiguration(readFileSync(stack.paths.configuration, 'utf8'), stack.paths.configuration);
// What one hour may do unasked is not what is measured here.
writeFileSync(configuration.policy, readFileSync(configuration.policy, 'utf8').replaceAll(/(most|burst): \d+/g, '$1: 100000'));
const client = createClient({
  address: stack.temporal.address,
  keyring: openKeyring(join(stack.paths.keys, 'operator', 'codec.json')),
  seal: sealInto({ trust: readTrust(configuration.trust, configuration.root), drop: configuration.drop.directory }),
  reporter: 'bench',
});
const iam = new IAMClient({ region: stack.aws.region, endpoint: stack.aws.endpoint, credentials: stack.aws, maxAttempts: 5 });

interface Leaked {
  readonly id: string;
  readonly user: string;
}
let made = 0;
const ids: string[] = [];

/** Runs `body` for each number below `count`, so many at a time. */
async function each(count: number, atOnce: number, body: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(atOnce, count) }, async () => {
      while (next < count) await body(next++);
    }),
  );
}

/** Makes so many users with a key, and reports all the keys at once. */
async function leak(count: number, variant: 'public' | 'internal', atOnce: number): Promise<readonly Leaked[]> {
  const keys: { user: string; pair: { accessKeyId: string; secretAccessKey: string } }[] = [];
  await each(count, 8, async () => {
    const user = `crowd-${made++}`;
    await iam.send(new CreateUserCommand({ UserName: user }));
    const key = (await iam.send(new CreateAccessKeyCommand({ UserName: user }))).AccessKey;
    keys.push({ user, pair: { accessKeyId: key?.AccessKeyId ?? '', secretAccessKey: key?.SecretAccessKey ?? '' } });
  });
  await wait(1500);
  const out: Leaked[] = [];
  await each(count, atOnce, async (n) => {
    const { user, pair } = keys[n] ?? { user: '', pair: { accessKeyId: '', secretAccessKey: '' } };
    const arn = `arn:aws:iam::${stack.aws.accountId}:user/${user}`;
    const text = trufflehogFinding({
      repository: deployments[variant].repository,
      pair,
      accountId: stack.aws.accountId,
      arn,
      committedAt: new Date(),
    });
    const [received] = await client.report(parseReports(text, { name: 'bench.json' }).drafts);
    if (!received) throw new Error('not received');
    out.push({ id: received.id, user });
    ids.push(received.id);
  });
  return out;
}

/** Looks until the incident's status passes; ten minutes at most. A look that is not answered is one that did not pass. */
async function untilStatus(id: string, everyMs: number, passes: (status: IncidentStatus) => boolean): Promise<IncidentStatus> {
  const end = Date.now() + 600_000;
  for (;;) {
    const status = await client
      .incident(id)
      .status()
      .catch(() => undefined);
    if (status && passes(status)) return status;
    if (Date.now() > end) throw new Error(`${id} did not get there: ${status?.state} ${status?.contained}`);
    await wait(everyMs);
  }
}

/** Waits until each of them stands at a question. */
async function untilAsking(incidents: readonly Leaked[]): Promise<void> {
  await each(incidents.length, 4, async (n) => {
    await untilStatus(incidents[n]?.id ?? '', 500, ({ gates }) => gates.some((gate) => gate.state === 'open'));
  });
}

/** Milliseconds from the start event to the first change, and to containment in effect. */
async function contain(count: number): Promise<{ readonly first: number[]; readonly contained: number[] }> {
  const incidents = await leak(count, 'public', count);
  const first: number[] = [];
  const contained: number[] = [];
  await each(count, count, async (n) => {
    const done = await untilStatus(incidents[n]?.id ?? '', 400, (status) => status.contained === 'yes' && status.containedAt !== undefined);
    contained.push(Date.parse(done.containedAt ?? '') - Date.parse(done.startedAt));
  });
  const changes = await stack.control.mutations();
  for (const { id, user } of incidents) {
    const start = (await client.temporal.workflow.getHandle(id).fetchHistory()).events?.[0]?.eventTime;
    const startedAt = Number(start?.seconds) * 1000 + Number(start?.nanos) / 1e6;
    const own = changes.filter(
      ({ caller, target, effect }) => caller === stack.world.responder.accessKeyId && target.UserName === user && effect === 'changed',
    );
    first.push(Math.min(...own.map(({ receivedAt }) => receivedAt)) - startedAt);
  }
  return { first, contained };
}

/** Resident memory of each part, in MiB. */
const memory = (): readonly number[] =>
  partNames.map((name) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${stack.part(name).pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);

console.log(`${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? ''}`);
console.log(
  row('open', 'active at once', 'first change p50 ms', 'p95', 'contained p50 ms', 'p95', ...partNames.map((name) => `${name} MiB`)),
);
console.log(row(...Array.from({ length: 6 + partNames.length }, () => '---')));
const report = async (count: number): Promise<void> => {
  const before = ids.length;
  const { first, contained } = await contain(count);
  console.log(
    row(
      `${before + count}`,
      `${count}`,
      percentile(first, 0.5),
      percentile(first, 0.95),
      percentile(contained, 0.5),
      percentile(contained, 0.95),
      ...memory(),
    ),
  );
};
await report(10);
const waiting = await leak(open - active - 20, 'internal', 8);
await untilAsking(waiting);
await report(10);
await report(active);

let lost = 0;
await each(ids.length, 8, async (n) => {
  const status = await client
    .incident(ids[n] ?? '')
    .status()
    .catch(() => undefined);
  if (!status || isEnded(status.state) || status.sightings !== 1) lost++;
});
console.log(`${ids.length} incidents open, ${lost} lost`);
await client.close();
iam.destroy();
await stack.stop();
rmSync(folder, { recursive: true, force: true });
process.exit(lost === 0 ? 0 : 1);
