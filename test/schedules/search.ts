import type { Code } from './build.ts';
import { openRealm, type Realm } from './realm.ts';
import { faultsOf, type Order, type Outcome, play } from './schedule.ts';

/** A schedule that broke a promise, made as small as it gets. */
export interface Broken {
  readonly order: Order;
  readonly rule: string;
  readonly words: string;
  readonly faults: readonly string[];
  readonly story: readonly string[];
  readonly tried: number;
}

export interface Found {
  readonly schedules: number;
  readonly events: number;
  readonly replays: number;
  readonly faults: number;
  readonly ended: Readonly<Record<string, number>>;
  readonly broken: readonly Broken[];
}

/** What a thread is to do: seeds one by one, or all from `from` on in steps of `stride`, until a moment of the machine's clock or a first failure. */
export interface Search {
  readonly code: Code;
  readonly seeds?: readonly number[];
  readonly from?: number;
  readonly stride?: number;
  readonly mostSchedules?: number;
  readonly forMs: number;
  readonly mostBroken: number;
  /** The promises whose breach is looked for; any where it is left out. */
  readonly rules?: readonly string[];
  readonly shrinkForMs: number;
}

export async function search(order: Search): Promise<Found> {
  const realm = openRealm(order.code);
  const end = Date.now() + order.forMs;
  const ended: Record<string, number> = {};
  const broken: Broken[] = [];
  let schedules = 0;
  let events = 0;
  let replays = 0;
  let faults = 0;
  for (let n = 0; ; n++) {
    const seed = order.seeds ? order.seeds[n] : (order.from ?? 1) + n * (order.stride ?? 1);
    if (seed === undefined || (order.mostSchedules !== undefined && schedules >= order.mostSchedules)) break;
    if (!order.seeds && Date.now() > end) break;
    const outcome = await play(realm, { seed });
    schedules++;
    events += outcome.events;
    replays += outcome.replays;
    faults += outcome.struck;
    for (const state of outcome.ended) {
      const name = state.replaceAll('"', '');
      ended[name] = (ended[name] ?? 0) + 1;
    }
    const [breach] = outcome.breaches;
    if (!breach || (order.rules && !order.rules.includes(breach.rule))) continue;
    broken.push(await shrink(realm, outcome, order.shrinkForMs));
    if (broken.length >= order.mostBroken) break;
  }
  return { schedules, events, replays, faults, ended, broken };
}

/** Takes away faults one after the other, then free choices, for as long as the same promise is broken. */
export async function shrink(realm: Realm, outcome: Outcome, forMs: number): Promise<Broken> {
  const end = Date.now() + forMs;
  const rule = outcome.breaches[0]?.rule ?? '';
  let best = outcome;
  let tried = 0;
  const better = async (order: Order): Promise<boolean> => {
    tried++;
    const again = await play(realm, order);
    if (again.breaches[0]?.rule !== rule) return false;
    best = again;
    return true;
  };
  const { seed } = outcome.order;
  let keep = faultsOf(seed).map((_fault, index) => index);
  for (const index of [...keep].reverse()) {
    if (Date.now() > end) break;
    const fewer = keep.filter((each) => each !== index);
    if (await better({ seed, keep: fewer })) keep = fewer;
  }
  let low = 0;
  let high = best.choices;
  while (low < high && Date.now() < end) {
    const middle = (low + high) >> 1;
    if (await better({ seed, keep, calmAfter: middle })) high = middle;
    else low = middle + 1;
  }
  const all = faultsOf(seed);
  return {
    order: best.order,
    rule,
    words: best.breaches[0]?.words ?? '',
    faults: keep.flatMap((index) => {
      const fault = all[index];
      return fault ? [`${fault.kind} of ${fault.who} at its ${fault.at}th${fault.ms ? `, ${fault.ms} ms` : ''}`] : [];
    }),
    story: best.story,
    tried,
  };
}

/** A schedule in one word, as `TOURNIQUET_SEED` takes it: seed, faults kept, free choices. */
export function written({ seed, keep, calmAfter }: Order): string {
  return [
    String(seed),
    ...(keep ? [`keep=${keep.join(',')}`] : []),
    ...(calmAfter !== undefined && Number.isFinite(calmAfter) ? [`calm=${calmAfter}`] : []),
  ].join('/');
}

/** Reads what {@link written} wrote. */
export function readOrder(text: string): Order {
  const [seed = '', ...rest] = text.split('/');
  const order: { seed: number; keep?: number[]; calmAfter?: number } = { seed: Number(seed) };
  if (!Number.isInteger(order.seed)) throw new RangeError(`${text} is no schedule: expected a seed, such as 17 or 17/keep=0,2/calm=30`);
  for (const part of rest) {
    const [name, value = ''] = part.split('=');
    if (name === 'keep') order.keep = value === '' ? [] : value.split(',').map(Number);
    if (name === 'calm') order.calmAfter = Number(value);
  }
  return order;
}
