import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { huntAfter } from './hunt.ts';
import { cast, nameOf, playBatch, playCalm, type Row } from './matrix.ts';
import { moments, stationCount } from './moments.ts';
import type { Ending } from './play.ts';
import { type Strike, strikes } from './strikes.ts';
import { type KillWorld, startKillWorld } from './world.ts';

const whole = process.env.TOURNIQUET_FULL === '1';
/** Which strikes fall in the sample. Printed; the same seed gives the same rows. */
const seed = Number(process.env.TOURNIQUET_SEED ?? Math.floor(Math.random() * 1_000_000));
/** Batches on one stack. The log grows with each, and a look at it becomes dearer. */
const batchesPerStack = 7;
const batchMs = 150_000;

vi.setConfig({ testTimeout: (whole ? strikes.length : 1) * batchMs, hookTimeout: 120_000 });

/**
 * The strikes of each batch, by station. In the whole matrix every strike falls at every station once. In the sample they are drawn.
 */
function draw(): readonly (readonly Strike[])[] {
  const at = (index: number): Strike => strikes[index % strikes.length] as Strike;
  // Neighbours in the list are of one kind, so the stations of a batch are a few apart.
  const batch = (first: number) => Array.from({ length: stationCount }, (_, station) => at(first + station * 4));
  return whole ? strikes.map((_, first) => batch(first)) : [batch(seed)];
}

const batches = draw();
const rows: Row[] = [];
let kill: KillWorld | undefined;
let calm: Readonly<Record<'public' | 'internal', Ending>>;

const began = Date.now();
let played: string[] = [];
const found: unknown[] = [];

const nameFor = (index: number): string => `b${index}`;

async function freshStack(first: number): Promise<KillWorld> {
  await leave();
  const names = batches.slice(first, first + batchesPerStack).map((_, index) => nameFor(first + index));
  kill = await startKillWorld({
    ...(first === 0 ? { 'calm-public-0': 'public', 'calm-internal-0': 'internal' } : {}),
    ...Object.assign({}, ...names.map(cast)),
  });
  return kill;
}

/** Hunts for secrets on the stack that was played on, and ends it. */
async function leave(): Promise<void> {
  if (kill === undefined) return;
  const { findings, looked } = await huntAfter(kill, played, began);
  console.log(`secrets hunted for in ${looked} places: ${findings.length} found`);
  found.push(...findings);
  played = [];
  await kill.stop();
  kill = undefined;
}

beforeAll(async () => {
  const world = await freshStack(0);
  calm = await playCalm(world, 'calm');
});
afterAll(async () => {
  await kill?.stop();
});

test('what nobody strikes ends closed, contained and rotated, with one key, which its store holds, and nobody noticed', () => {
  for (const variant of ['public', 'internal'] as const) {
    expect(calm[variant], variant).toMatchObject({
      state: 'closed',
      contained: 'yes',
      rotated: 'yes',
      left: [],
      keys: ['in the store: Active'],
      versions: 2,
      staged: 0,
      noticed: [],
      bundle: 'closed, contained yes, rotated yes',
    });
    expect(calm[variant].watched).toHaveLength(1);
    expect(new Set(calm[variant].transitions).size, 'no transition twice').toBe(calm[variant].transitions.length);
  }
});

test('whoever is killed, paused or cut off at whatever moment: every incident ends as without, no transition happens twice, no key is unaccounted for, no consumer notices', async () => {
  console.log(
    whole
      ? `the whole matrix: ${batches.length} batches`
      : `a sample: seed ${seed} of ${strikes.length} strikes × ${moments.length} moments`,
  );
  for (const [index, falling] of batches.entries()) {
    if (index > 0 && index % batchesPerStack === 0) await freshStack(index);
    const start = Date.now();
    played.push(...Object.keys(cast(nameFor(index))));
    const ended = await playBatch(kill as KillWorld, nameFor(index), falling, calm);
    rows.push(...ended);
    for (const { name, passed, words } of [...ended].sort((a, b) => a.name.localeCompare(b.name)))
      console.log(`${passed ? 'held  ' : 'FAILED'} ${name} → ${words}`);
    console.log(`batch ${index + 1} of ${batches.length}: ${((Date.now() - start) / 1_000).toFixed(1)} s`);
  }
  const wanted = batches.flatMap((falling) => moments.map((moment) => nameOf(moment, falling[moment.station] as Strike)));
  const names = new Set(rows.map(({ name }) => name));
  console.log(`rows: ${rows.length} of ${wanted.length}${whole ? ` (${strikes.length} strikes × ${moments.length} moments)` : ''}`);
  expect(
    wanted.filter((name) => !names.has(name)),
    'rows that did not happen',
  ).toEqual([]);
  expect(new Set(wanted).size).toBe(wanted.length);
  expect(rows.filter(({ passed }) => !passed)).toEqual([]);
  await leave();
  expect(found, 'secrets where none may be').toEqual([]);
});
