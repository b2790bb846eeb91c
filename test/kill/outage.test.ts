import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { IncidentStatus } from '../../client/index.ts';
import type { FaultKind, LedgerEntry } from '../../lab/aws/control.ts';
import { fields } from '../../lab/world/cast.ts';
import { tourniquet } from '../cli/harness.ts';
import { type Deployed, gateOf, isWatching, tell, until } from '../engine/world.ts';
import { huntAfter } from './hunt.ts';
import { type KillWorld, noticed, startKillWorld } from './world.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 90_000 });

const retryCeilingMs = 100;
/** Sixty times the ceiling, as half an hour is for the usual one of thirty seconds. */
const outageMs = 60 * retryCeilingMs;
/** What a provider may answer instead of an answer. `down` cuts the connection. */
const rubbish: readonly FaultKind[] = ['down', 'error-500', 'throttle', 'html', 'truncated', 'empty'];
const nobodyAnswers = (): boolean => false;

const played: Readonly<Record<string, 'public' | 'internal'>> = {
  away: 'public',
  ...Object.fromEntries(rubbish.map((kind) => [kind, 'public'] as const)),
  'throttled-public': 'public',
  'throttled-internal': 'internal',
  'garbled-public': 'public',
  'garbled-internal': 'internal',
  'store-away': 'internal',
};
const began = Date.now();
let kill: KillWorld;
beforeAll(async () => {
  kill = await startKillWorld(played, { retryCeilingMs });
});
afterAll(() => kill?.stop());

/** What a person sees of an incident, by the commands as typed. */
interface Seen {
  readonly show: string;
  readonly list: string | undefined;
  readonly contained: readonly string[];
}

async function command(...argv: readonly string[]) {
  return await tourniquet(argv, { cwd: kill.world.stack.paths.directory });
}

async function look(id: string): Promise<Seen> {
  const [shown, told, listed] = await Promise.all([
    command('show', id, '--json'),
    command('show', id),
    command('list', '--open', '--json'),
  ]);
  const status = JSON.parse(shown.out) as IncidentStatus;
  const entry = (JSON.parse(listed.out) as { id: string; contained?: string }[]).find((each) => each.id === id);
  return { show: status.contained, list: entry?.contained, contained: told.out.match(/contained: \w+/g) ?? [] };
}

/** Watches by the command until the incident is contained; gives its lines and its exit. */
function watch(id: string, timeoutMs: number) {
  const over = AbortSignal.timeout(timeoutMs);
  return Promise.all([
    tourniquet(['watch', id, '--until', 'contained', '--json'], { cwd: kill.world.stack.paths.directory, signal: over }),
    tourniquet(['watch', id, '--until', 'contained'], { cwd: kill.world.stack.paths.directory, signal: over }),
  ]);
}

/** Nothing of ours changed twice: one transition for each control, by the provider's own ledger. */
function expectOnce(changes: readonly LedgerEntry[]): void {
  const controls = changes
    .filter(({ effect, action }) => effect === 'changed' && (action === 'UpdateAccessKey' || action === 'PutUserPolicy'))
    .map(({ action, target }) => `${action} ${target.PolicyName ?? target.AccessKeyId}`);
  expect(controls.length).toBe(3);
  expect(new Set(controls).size).toBe(3);
}

/** Holds the views to "not contained" while the provider is away, then waits for the containment that nobody helps with. */
async function rideOut(id: string, deployed: Deployed, since: number, back: () => Promise<void>): Promise<void> {
  const { world } = kill;
  const watching = watch(id, outageMs + 60_000);
  // The server's list may be a moment behind; from its first word on it must be the right one.
  await until('the incident stands in the list with its state', async () => (await look(id)).list);
  const seen: Seen[] = [];
  const end = Date.now() + outageMs;
  while (Date.now() < end) {
    seen.push(await look(id));
    await wait(outageMs / 6);
  }
  for (const { show, list, contained } of seen) {
    expect(show).toMatch(/^(no|unknown)$/);
    expect(list, 'list shows it').toMatch(/^(no|unknown)$/);
    expect(contained.length, 'show says it in words').toBeGreaterThan(0);
    for (const words of contained) expect(words).toMatch(/^contained: (no|unknown)$/);
  }
  await back();
  const [lines, words] = await watching;
  const stands = lines.code === 0 ? '' : tell(await world.client.incident(id).status());
  expect([lines.code, words.code], `${deployed.name}: ${words.err}\n${stands}`).toEqual([0, 0]);
  const statuses = lines.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as IncidentStatus);
  expect(statuses.at(-1)?.contained).toBe('yes');
  expect(statuses.slice(0, -1).every(({ contained }) => contained !== 'yes')).toBe(true);
  expect(words.out).toMatch(/contained: (no|unknown)/);
  expect(words.out).toMatch(/contained: yes/);
  expect((await look(id)).show).toBe('yes');
  expectOnce(await world.changes(deployed.user, since));
}

test('a provider that is away for sixty times the retry ceiling is ridden out: shown as not contained meanwhile, contained without help afterwards', async () => {
  const { world } = kill;
  const deployed = world.deployed('away');
  const since = await world.lastChange();
  const simulator = world.stack.part('simulator');
  await simulator.kill();
  const id = await world.leak(deployed);
  await until(
    'the incident has begun',
    async () =>
      await world.client
        .incident(id)
        .status()
        .catch(() => undefined),
  );
  try {
    await rideOut(id, deployed, since, () => simulator.restart());
  } finally {
    if (!simulator.running) await simulator.restart();
  }
});

test.concurrent('a provider that answers rubbish for as long (cut, 500, throttled, a page of HTML, half of an answer, nothing at all) is ridden out likewise, each kind by itself', async () => {
  const { world } = kill;
  const { control, ...stack } = world.stack;
  void stack;
  await Promise.all(
    rubbish.map(async (kind) => {
      const deployed = world.deployed(kind);
      const since = await world.lastChange();
      // Whatever the engine asks about this user or its key suffers it; what it asks about others does not, so that the kinds are played side by side.
      const faults = await Promise.all(
        [deployed.user, deployed.pair.accessKeyId].map((word) =>
          control.inject({ kind, accessKeyId: world.stack.world.responder.accessKeyId, mentions: [word] }),
        ),
      );
      const id = await world.leak(deployed);
      await until(`the incident of ${kind} has met it`, async () =>
        (await control.faults()).some((fault) => faults.some(({ id }) => id === fault.id) && fault.hits > 0),
      );
      await rideOut(id, deployed, since, async () => {
        for (const fault of faults) await control.removeFault(fault.id);
      });
    }),
  );
});

test.concurrent.each([
  { name: 'throttled', kind: 'throttle', rhythm: '..x', words: 'every third call' },
  { name: 'garbled', kind: 'truncated', rhythm: '..........x', words: 'every eleventh call' },
] as const)(
  'an incident whose provider is $name at $words from its beginning to its end is contained and rotated without help, in both variants, with no key unaccounted for',
  async ({ name, kind, rhythm }) => {
    const { world } = kill;
    const { control } = world.stack;
    await Promise.all(
      (['public', 'internal'] as const).map(async (variant) => {
        const deployed = world.deployed(`${name}-${variant}`);
        const consumer = await kill.employ(deployed);
        for (const word of [deployed.user, deployed.pair.accessKeyId])
          await control.inject({ kind, accessKeyId: world.stack.world.responder.accessKeyId, mentions: [word], rhythm });
        const id = await world.leak(deployed);
        const done = await world.follow(id, isWatching, { answer: () => true, timeoutMs: 100_000 });
        expect(done).toMatchObject({ contained: 'yes', rotated: 'yes' });
        const stored = await world.stored(deployed);
        expect((await world.picture(deployed.user)).keys).toEqual({ [stored[fields.accessKeyId] ?? '']: 'Active' });
        if (consumer) expect(noticed(await consumer.stop())).toEqual([]);
      }),
    );
  },
);

test('a store that is away for as long keeps the old key working, is shown as not rotated meanwhile, and nobody notices', async () => {
  const { world } = kill;
  const deployed = world.deployed('store-away');
  const consumer = await kill.employ(deployed);
  const id = await world.leak(deployed);
  await world.follow(id, (status) => gateOf(status, 'g-outage')?.state === 'open', { answer: nobodyAnswers });
  const openbao = world.stack.part('openbao');
  await openbao.kill();
  const before = await world.client.incident(id).status();
  await world.decide(id, { verdict: 'approve', gate: 'g-outage', by: 'scripted-responder' });
  const end = Date.now() + outageMs;
  while (Date.now() < end) {
    const seen = await look(id);
    expect([seen.show, seen.list]).toEqual(['no', 'no']);
    const status = await world.client.incident(id).status();
    expect(status.rotated).not.toBe('yes');
    expect(status.steps.find(({ action }) => action === 'aws/disable-key')?.state).not.toBe('done');
    await wait(outageMs / 4);
  }
  expect(before.contained).toBe('no');
  await openbao.restart();
  const done = await world.follow(id, isWatching, { answer: () => true, timeoutMs: 60_000 });
  expect(done).toMatchObject({ contained: 'yes', rotated: 'yes' });
  if (consumer) expect(noticed(await consumer.stop())).toEqual([]);
});

test('and after all of it no secret stands anywhere', async () => {
  const { findings, looked } = await huntAfter(kill, Object.keys(played), began);
  console.log(`secrets hunted for in ${looked} places`);
  expect(findings).toEqual([]);
});
