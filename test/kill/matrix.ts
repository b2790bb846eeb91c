import { isDeepStrictEqual } from 'node:util';
import type { Visibility } from '../engine/world.ts';
import { closingStation, type Moment, moments, stationCount, trackCount, variants } from './moments.ts';
import { type Ending, Play } from './play.ts';
import { carryOut, type Strike } from './strikes.ts';
import type { KillWorld } from './world.ts';

/** One cell of the matrix and what came of it. */
export interface Row {
  readonly name: string;
  readonly passed: boolean;
  readonly words: string;
}

export const nameOf = (moment: Moment, strike: Strike): string => `${moment.variant} × ${moment.name} × ${strike.name}`;

const day = 86_400_000;
/** The longest life of a session, which is how long a cut-off stands, and a minute. */
const cutOffMs = 1.5 * day + 60_000;

/** The deployments that a batch plays with. */
export const cast = (batch: string): Readonly<Record<string, Visibility>> =>
  Object.fromEntries(
    variants.flatMap((variant) => Array.from({ length: trackCount }, (_, track) => [`${batch}-${variant}-${track}`, variant])),
  );

/** How an incident of each variant ends that nobody strikes: what every other is held against. */
export async function playCalm(kill: KillWorld, batch: string): Promise<Readonly<Record<Visibility, Ending>>> {
  const plays = await Promise.all(variants.map((variant) => Play.begin(kill, `${batch}-${variant}-0`, variant, [])));
  await Promise.all(plays.map((play) => play.watching()));
  await pass(kill, plays);
  const [open, inside] = await Promise.all(plays.map((play) => play.ending()));
  if (open === undefined || inside === undefined) throw new Error('nothing was played');
  return { public: open, internal: inside };
}

/**
 * Plays eight incidents at once, four of each variant, through five stations: at each, every incident that has a moment there is brought into it, the station's strike falls
 * once for all of them, and they go on. Every moment of the station under that strike is a row.
 */
export async function playBatch(
  kill: KillWorld,
  batch: string,
  falling: readonly Strike[],
  calm: Readonly<Record<Visibility, Ending>>,
): Promise<readonly Row[]> {
  const plays = await Promise.all(
    variants.flatMap((variant) =>
      Array.from({ length: trackCount }, (_, track) =>
        Play.begin(
          kill,
          `${batch}-${variant}-${track}`,
          variant,
          moments.filter((each) => each.variant === variant && each.track === track),
        ),
      ),
    ),
  );
  const missed = new Map<Moment, string>();
  for (let station = 0; station < stationCount; station++) {
    const strike = falling[station % falling.length] as Strike;
    const began = Date.now();
    if (station === closingStation) {
      await Promise.all(plays.map((play) => play.watching().catch(() => {})));
      await pass(kill, plays);
    }
    await Promise.all(
      plays.flatMap((play) =>
        play.moments
          .filter((moment) => moment.station === station)
          .map((moment) => play.reached(moment).catch((error: Error) => missed.set(moment, error.message))),
      ),
    );
    const there = Date.now();
    await carryOut(kill, strike, async () => {
      await Promise.all(plays.map((play) => play.letGo(station)));
    });
    await Promise.all(plays.map((play) => play.letGo(station)));
    await Promise.all(plays.map((play) => play.arm()));
    if (process.env.TOURNIQUET_TIMES)
      console.log(`station ${station}: there after ${there - began} ms, ${strike.name} took ${Date.now() - there} ms`);
  }

  const rows: Row[] = [];
  await Promise.all(
    plays.map(async (play) => {
      const ending = await play.ending().catch((error: Error) => error.message);
      if (typeof ending === 'string') await play.abandon();
      const difference = typeof ending === 'string' ? ending : differenceOf(ending, calm[play.variant]);
      for (const moment of play.moments) {
        const why = missed.get(moment);
        const strike = falling[moment.station % falling.length] as Strike;
        rows.push({
          name: nameOf(moment, strike),
          passed: why === undefined && difference === '',
          words:
            why !== undefined
              ? `NOT STRUCK: ${why}`
              : difference === ''
                ? `as without${play.orphans > 0 ? `; ${play.orphans} key made whose answer was lost, and deleted` : ''}`
                : `ENDED OTHERWISE: ${difference}`,
        });
      }
    }),
  );
  return rows;
}

/** Moves the provider's clock past the date of every cut-off. */
async function pass(kill: KillWorld, plays: readonly Play[]): Promise<void> {
  await Promise.all(plays.map((play) => play.rest()));
  await kill.world.stack.control.advance(cutOffMs);
  await Promise.all(plays.map((play) => play.resume()));
}

/** What differs from the calm ending; empty where nothing does. */
export function differenceOf(ending: Ending, calm: Ending): string {
  return (Object.keys(calm) as (keyof Ending)[])
    .filter((member) => !isDeepStrictEqual(ending[member], calm[member]))
    .map((member) => `${member} is ${JSON.stringify(ending[member])} and not ${JSON.stringify(calm[member])}`)
    .join('; ');
}
