import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Check } from '../../lab/scenarios/summary.ts';
import { type Play, startPlay } from './child.ts';
import { poisoned, setTrap, type Trap } from './trap.ts';

/**
 * The scenario whole, in a world whose changes take a second: both variants, then the simulated clock is moved past the cut-off. It runs in an environment in which
 * everything that could lead to a real account leads to a trap.
 */
const root = mkdtempSync(join(tmpdir(), 'tourniquet-ci-key-'));
let trap: Trap;
let play: Play;

beforeAll(async () => {
  trap = await setTrap();
  play = startPlay(
    {
      directory: join(root, 'world'),
      variants: ['internal', 'public'],
      propagationMs: 1_000,
      logLagMs: 1_000,
      recheckMs: 1_000,
      close: true,
    },
    poisoned(trap.address, join(root, 'home')),
  );
  await play.line('ended');
}, 600_000);
afterAll(async () => {
  play?.child.kill('SIGTERM');
  await play?.ended;
  trap?.close();
  rmSync(root, { recursive: true, force: true });
});

const checksOf = (variant: string): readonly Check[] =>
  (play.lines.find((line) => line.type === 'played' && line.variant === variant)?.checks ?? []) as readonly Check[];
/** What a busy machine decides is left to the summary of `npm start`. */
const failing = (variant: string): readonly Check[] => checksOf(variant).filter(({ holds, timed }) => !holds && !timed);

test('internal: asked first, rotated without one failed call, the old key dead by probe and deleted only after approval', () => {
  expect(checksOf('internal').length).toBeGreaterThan(8);
  expect(failing('internal'), play.talk().slice(-6_000)).toEqual([]);
});

test('public: four stolen credentials had worked, all are refused in their own way, and the jobs work again on a new key', () => {
  expect(checksOf('public').length).toBeGreaterThan(10);
  expect(failing('public'), play.talk().slice(-6_000)).toEqual([]);
});

describe('once the simulated clock has passed the cut-off', () => {
  test('both incidents close, contained and rotated, with nothing left', () => {
    const closed = play.lines.filter((line) => line.type === 'closed');
    const expected = { type: 'closed', state: 'closed', contained: 'yes', rotated: 'yes', residuals: [], id: expect.any(String) };
    expect(closed, play.talk().slice(-6_000)).toEqual([expected, expected]);
  });

  test('no policy of ours is left on either user', () => {
    const world = play.lines.find((line) => line.type === 'world') as { users: { name: string; inline: string[] }[] } | undefined;
    const users = world?.users.filter(({ name }) => name.startsWith('ci-deployer'));
    expect(users?.map(({ inline }) => inline)).toEqual([['deploy'], ['deploy']]);
  });
});

test('nothing of it calls what the environment and the home profiles lead to', async () => {
  expect(trap.caught).toEqual([]);
  // The trap does catch: an empty one would prove nothing.
  await fetch(`http://${trap.address}/`).catch(() => undefined);
  expect(trap.caught).toHaveLength(1);
});
