import { afterAll, beforeAll, test, vi } from 'vitest';
import { playLostReply } from './lost-reply.ts';
import { startWorld, type World } from './world.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 90_000 });

let world: World;
beforeAll(async () => {
  world = await startWorld({ once: 'internal', twice: 'internal' });
});
afterAll(() => world?.stop());

test.each([
  { name: 'once', lost: 1, at: 'the first call' },
  { name: 'twice', lost: 2, at: 'the first call and at the retried one' },
])(
  "internal, while somebody is asked first: a reply to CreateAccessKey lost at $at leaves no key unaccounted for, never more than two, and deletes nobody else's unasked",
  async ({ name, lost }) => {
    await playLostReply(world, world.deployed(name), { lost, thief: false });
  },
);
