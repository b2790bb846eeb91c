import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { IncidentStatus } from '../../client/index.ts';
import type { FaultOrder } from '../../lab/aws/control.ts';
import { type Deployed, gateOf, tell, type UserPicture, until } from '../engine/world.ts';
import { huntAfter } from './hunt.ts';
import { within } from './play.ts';
import { type KillWorld, pace, startKillWorld } from './world.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 90_000 });

/** Where in an apply the worker falls asleep: it has read what stands and not written yet, or what it wrote is done and it has not heard of it. */
interface Sleep {
  readonly name: string;
  readonly order: (deployed: Deployed) => FaultOrder;
  /** When the answer comes: it lies there as it wakes, or comes once it is awake. */
  readonly answered: 'asleep' | 'awake';
}
const hold =
  (action: string) =>
  ({ user }: Deployed): FaultOrder => ({ kind: 'hold', service: 'iam', action, mentions: [user], count: 1 });
const sleeps: readonly Sleep[] = [
  { name: 'mint-before', order: hold('ListAccessKeys'), answered: 'asleep' },
  { name: 'mint-before-late', order: hold('ListAccessKeys'), answered: 'awake' },
  { name: 'mint-after', order: hold('CreateAccessKey'), answered: 'asleep' },
  { name: 'disable-after', order: hold('UpdateAccessKey'), answered: 'awake' },
];

const began = Date.now();
let kill: KillWorld;
beforeAll(async () => {
  kill = await startKillWorld(Object.fromEntries(sleeps.map(({ name }) => [name, 'internal'] as const)), { requestTimeoutMs: 120_000 });
});
afterAll(() => kill?.stop());

/**
 * Three incidents whose provider worker falls asleep in the middle of an apply. A person rolls each back; a second worker with the same keys takes the steps back; then the
 * first one wakes, its answers there or still to come, and must not do again what was undone.
 */
test('a provider worker that sleeps in the middle of an apply while a rollback goes through does nothing again when it wakes', async () => {
  const { world } = kill;
  const { control } = world.stack;
  const sleeper = world.stack.part('aws-worker');
  const played = await Promise.all(
    sleeps.map(async (sleep) => {
      const deployed = world.deployed(sleep.name);
      const before: UserPicture = await world.picture(deployed.user);
      const since = await world.lastChange();
      await kill.employ(deployed);
      const id = await world.leak(deployed);
      await world.follow(id, (status) => gateOf(status, 'g-outage')?.state === 'open');
      // While the question is open nobody asks about the user, so that the hold falls on the apply.
      const fault = await control.inject(sleep.order(deployed));
      await world.decide(id, { verdict: 'approve', gate: 'g-outage', by: 'scripted-responder' });
      await until(`${sleep.name} sleeps in its apply`, async () => await control.holding(fault.id, 500), 40_000);
      return { sleep, deployed, before, since, id, fault };
    }),
  );
  sleeper.pause();
  let woken = false;
  try {
    await world.stack.twin('aws-worker');
    for (const { id } of played) {
      const ruling = await world.client
        .incident(id)
        .rollback(world.sign(await world.client.incident(id).status(), { verdict: 'rollback', by: 'ada' }));
      expect(ruling, ruling.why).toMatchObject({ accepted: true });
    }
    const undone = ({ state, timeline }: IncidentStatus): boolean =>
      state === 'rolled-back' || timeline.some(({ what }) => what.startsWith('rolled back'));
    for (const { id, sleep } of played)
      await until(
        `${sleep.name} is taken back`,
        async () => {
          const status = await world.client.incident(id).status();
          return undone(status) ? true : undefined;
        },
        60_000,
      ).catch(async (error: Error) => {
        throw new Error(`${error.message}\n${tell(await world.client.incident(id).status())}`);
      });
    const pictures = await Promise.all(played.map(({ deployed }) => world.picture(deployed.user)));
    const last = await world.lastChange();
    const log = () => readFileSync(sleeper.log, 'utf8').length;
    const quiet = log();
    for (const { fault, sleep } of played) if (sleep.answered === 'asleep') await within(control.removeFault(fault.id), 5_000);
    sleeper.resume();
    woken = true;
    for (const { fault } of played) await within(control.removeFault(fault.id), 5_000);
    // The server refuses what a late attempt answers, which stands in the worker's log; one that ends unheard has half its beat more.
    await until('the sleeper has come to its end', async () => log() > quiet, 10_000).catch(() => {});
    await wait(pace.heartbeatMs);
    for (const [at, { sleep, deployed, before }] of played.entries()) {
      const since = (await world.changes(deployed.user, last)).filter(({ effect }) => effect === 'changed');
      console.log(
        `${sleep.name.padEnd(17)} woken after its undo → ${since.length === 0 ? 'nothing done again' : since.map(({ action }) => action).join(', ')}`,
      );
      expect(since, sleep.name).toEqual([]);
      expect(await world.picture(deployed.user), sleep.name).toEqual(pictures[at]);
      expect((await world.picture(deployed.user)).keys, sleep.name).toEqual(before.keys);
    }
  } finally {
    if (!woken) sleeper.resume();
  }
});

test('and after all of it no secret stands anywhere', async () => {
  const { findings, looked } = await huntAfter(
    kill,
    sleeps.map(({ name }) => name),
    began,
  );
  console.log(`secrets hunted for in ${looked} places`);
  expect(findings).toEqual([]);
});
