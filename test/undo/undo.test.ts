import { beforeAll, describe, expect, it } from 'vitest';
import type { Hunted } from './engine.ts';
import { defects } from './planted.ts';
import { lineOf, type Outcome, play, type Row, rowsOf, steps } from './rows.ts';

/*
 * What is undone is as it was. One incident a row, all on one engine: each step under each failure, and a person's rollback at every point. `npm run test:full` plays every row, `npm test` a
 * sample that the seed chooses (TOURNIQUET_SEED), with one of each kind always in it; TOURNIQUET_ROWS picks rows by a pattern.
 */

const whole = process.env.TOURNIQUET_FULL === '1';
const seed = Number(process.env.TOURNIQUET_SEED ?? 20261124);
const all = (['public', 'internal', 'crowded'] as const).flatMap(rowsOf);
/** One of each kind of failure and of each kind of point, whatever the seed. */
const always = [
  'public: rolled back when all is done',
  'internal: rolled back when all is done',
  'internal: aws/mint-key has its effect and the reply is lost, the retry fails',
  'internal: vault/distribute-secret cannot be taken back',
  'public: aws/deny-principal never gets through',
  'public: aws/disable-key leaked fails before its effect',
  'internal: rolled back while g-outage is open',
  'public: rolled back while aws/cut-off-sessions runs, after its effect',
];

/** A generator of numbers from 0 up to 1, the same for the same seed (mulberry32). */
function numbers(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function sample(count: number): readonly Row[] {
  const next = numbers(seed);
  const fixed = all.filter((row) => always.includes(row.name));
  const rest = all.filter((row) => !always.includes(row.name) && !row.later);
  const chosen = rest.map((row) => ({ row, at: next() })).sort((a, b) => a.at - b.at);
  return [...fixed, ...chosen.slice(0, count).map(({ row }) => row)];
}

/** To look at some rows alone: a pattern of their names. */
const wanted = process.env.TOURNIQUET_ROWS;
const rows = wanted ? all.filter(({ name }) => new RegExp(wanted).test(name)) : whole ? all : sample(8);
const planted = wanted ? defects.filter(({ row }) => new RegExp(wanted).test(row.name)) : defects;

describe('every step of any plan, failed before its effect, after it and in its undo, and a rollback at every point: no difference that nobody names', () => {
  let outcomes: readonly Outcome[] = [];
  let hunted: Hunted | undefined;
  beforeAll(async () => {
    outcomes = await play([...rows, ...planted.map(({ row }) => row)], async (world) => {
      hunted = await world.hunt();
    });
    console.log(
      [
        `${rows.length} of ${all.length} rows${whole ? '' : `, seed ${seed}`}; ${planted.length} planted defects`,
        ...outcomes.map(lineOf),
      ].join('\n'),
    );
  }, 1_800_000);

  it('has every row that the plans give cause for, each once', () => {
    expect(new Set(all.map((row) => row.name)).size).toBe(all.length);
    expect(always.filter((name) => !all.some((row) => row.name === name))).toEqual([]);
    expect(outcomes.map(({ row }) => row.name)).toEqual([...rows, ...planted.map(({ row }) => row)].map((row) => row.name));
  });

  it.skipIf(wanted !== undefined).each(['public', 'internal'] as const)(
    'the rows of %s are about the steps that its plans really have',
    (variant) => {
      const course = outcomes.find(({ row }) => row.name === `${variant}: rolled back when all is done`);
      expect([...(course?.applied ?? [])].sort()).toEqual([...steps[variant]].sort());
    },
  );

  it.each(rows.map((row) => [row.name, row] as const))('%s', (_name, row) => {
    const outcome = outcomes.find((each) => each.row.name === row.name);
    expect(outcome?.unexplained ?? ['it did not happen']).toEqual([]);
  });

  it.each(planted.map((defect) => [defect.words, defect] as const))('finds %s', (_words, { row, found }) => {
    const outcome = outcomes.find((each) => each.row.name === row.name);
    expect(outcome?.unexplained.filter((words) => found.test(words)) ?? []).not.toEqual([]);
  });

  it('and after all of it no secret stands anywhere, nor one that was made and taken back', () => {
    console.log(`secrets hunted for in ${hunted?.looked} places`);
    expect(hunted).toMatchObject({ findings: [], unlooked: [] });
  });
});
