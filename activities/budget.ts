import type { BlobStore } from '../audit/store.ts';
import { authorisationHash, type SignedAuthorisation } from '../domain/authorisation.ts';
import { hashOf } from '../domain/canonical.ts';
import { fault } from '../domain/errors.ts';
import type { Plan, PlanStep } from '../domain/plan.ts';
import type { Policy } from '../domain/policy.schema.ts';
import type { CommonDeps } from './deps.ts';

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const decode = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes)) as Place;

/** A place that somebody has taken; `at` in milliseconds. */
interface Place {
  readonly by: string;
  readonly at: number;
}

/** A name is never changed, so that what was read once need not be read again. */
const places = new WeakMap<object, Map<string, Place>>();
const mostKept = 50_000;
function keep(store: object, name: string, place: Place): void {
  const there = places.get(store) ?? new Map<string, Place>();
  if (there.size >= mostKept) there.clear();
  there.set(name, place);
  places.set(store, there);
}

/** So many places within a time that slides; in milliseconds. */
export interface Allowance {
  readonly name: string;
  readonly withinMs: number;
  readonly most: number;
}

/** A part of a name in the store: of any text, and short. */
const partOf = (text: string): string => hashOf(text).slice('sha256:'.length, 'sha256:'.length + 24);

/**
 * Counts in the store, where everybody who counts sees it, and where a place is taken by one only: each place is a name that can be created once. Time is cut into stretches of the
 * allowance's length; what was taken within that length of now, in the stretch before, counts with this one's. Two processes whose clocks differ at the turn of a stretch may overdraw by
 * what one of them takes within the difference.
 */
class Counter {
  readonly #store: Pick<BlobStore, 'createIfAbsent' | 'list' | 'read'>;
  readonly #allowance: Allowance;
  readonly #folder: string;

  constructor(store: Pick<BlobStore, 'createIfAbsent' | 'list' | 'read'>, allowance: Allowance, key: string) {
    this.#store = store;
    this.#allowance = allowance;
    this.#folder = `budget/${allowance.name}/${partOf(key)}`;
  }

  /** Takes a place for `by`; true where it has one, also from before. */
  async take(by: string, now: number): Promise<boolean> {
    const { withinMs, most } = this.#allowance;
    const stretch = Math.floor(now / withinMs);
    const before = [...(await this.#taken(stretch - 1)).values()].filter((each) => each.at > now - withinMs);
    const here = await this.#taken(stretch);
    if ([...before, ...here.values()].some((each) => each.by === by)) return true;
    for (let n = here.size; n < most - before.length; n++) {
      const mark = await this.#store.createIfAbsent(this.#name(stretch, n), encode({ by, at: now } satisfies Place));
      if (mark.created || decode(mark.existing as Uint8Array).by === by) return true;
    }
    return false;
  }

  /** Whether a place is left, or taken by `by` already. Takes none. */
  async has(by: string, now: number): Promise<boolean> {
    const { withinMs, most } = this.#allowance;
    const stretch = Math.floor(now / withinMs);
    const before = [...(await this.#taken(stretch - 1)).values()].filter((each) => each.at > now - withinMs);
    const here = [...(await this.#taken(stretch)).values()];
    return [...before, ...here].some((each) => each.by === by) || before.length + here.length < most;
  }

  #name(stretch: number, n: number): string {
    return `${this.#folder}/${stretch}/${String(n).padStart(6, '0')}`;
  }

  async #taken(stretch: number): Promise<Map<string, Place>> {
    const out = new Map<string, Place>();
    for (const name of await this.#store.list(`${this.#folder}/${stretch}/`)) {
      const known = places.get(this.#store)?.get(name);
      const bytes = known ? undefined : await this.#store.read(name);
      const place = known ?? (bytes && decode(bytes));
      if (place) out.set(name, place);
      if (place && !known) keep(this.#store, name, place);
    }
    return out;
  }
}

/** Whom a verdict of acting unasked is counted against. `reporter`: who signed what proves it; undefined where nobody did. */
export interface Spending {
  readonly incident: string;
  readonly run: string;
  readonly provider: string;
  readonly account: string;
  readonly reporter: string | undefined;
}

/**
 * Counts one incident's run against every budget of the policy, once however often it is judged. Answers the name of a budget that is spent; undefined where none is. Everybody who did not sign is
 * one reporter: a name that anybody may write would be a budget that nobody spends, or somebody else's.
 */
export async function spendOn(
  store: Pick<BlobStore, 'createIfAbsent' | 'list' | 'read'>,
  budgets: Policy['budgets'],
  on: Spending,
  now: number,
): Promise<string | undefined> {
  const by = `${on.incident}|${on.run}`;
  const granted = `budget/granted/${partOf(by)}`;
  if (await store.read(granted)) return undefined;
  const counters = budgets.map((budget) => {
    const key = { engine: 'engine', account: `${on.provider}/${on.account}`, reporter: on.reporter ?? '' }[budget.per];
    return { budget, counter: new Counter(store, { name: budget.name, withinMs: budget.within, most: budget.most }, key) };
  });
  // Looked at before any is taken: an incident that one budget refuses must not use up the others.
  for (const { budget, counter } of counters) if (!(await counter.has(by, now))) return budget.name;
  for (const { budget, counter } of counters) if (!(await counter.take(by, now))) return budget.name;
  await store.createIfAbsent(granted, encode({ by, at: now } satisfies Place));
  return undefined;
}

/** How many changes without a question a worker makes within an hour where its account states no ceiling: well above what the default policy lets a judge ask for. */
export const usualCeiling = 600;

/**
 * The worker's own count: a change that nobody has approved, because no gate asks or because silence opened it, takes one of the account's places of this hour, whatever a judge has signed; a retry of the same step takes none. Throws
 * `warrant.budget-spent`. A thief of the judge's key is held by it to `ceiling` changes an hour.
 */
export async function spendUnasked(
  deps: Pick<CommonDeps, 'store' | 'clock'> & { readonly provider: string; readonly account: string; readonly unaskedPerHour?: number },
  plan: Pick<Plan, 'incident' | 'run' | 'round'>,
  step: Pick<PlanStep, 'id' | 'phase' | 'provider'>,
  approved: boolean,
): Promise<void> {
  if (approved || step.phase === 'watch' || step.phase === 'verify') return;
  const most = deps.unaskedPerHour ?? usualCeiling;
  const counter = new Counter(deps.store, { name: 'unasked', withinMs: 3_600_000, most }, `${deps.provider}/${deps.account}`);
  if (!(await counter.take(`${plan.incident}|${plan.run}|${plan.round}|${step.id}`, deps.clock().getTime()))) {
    throw fault('warrant.budget-spent', { account: `${deps.provider}/${deps.account}`, step: step.id, most });
  }
}

/** Credentials that a standing authorisation gives leave for, within the hour before now: counted by incident and run, so that a step tried again takes no second place. */
function underAuthority(store: Pick<BlobStore, 'createIfAbsent' | 'list' | 'read'>, signed: SignedAuthorisation): Counter {
  const { perHour } = signed.authorisation;
  return new Counter(store, { name: 'standing', withinMs: 3_600_000, most: perHour }, authorisationHash(signed));
}

/** Whether a standing authorisation has a place left for that run, or has given it one. Takes none. */
export async function hasLeave(
  store: Pick<BlobStore, 'createIfAbsent' | 'list' | 'read'>,
  signed: SignedAuthorisation,
  of: { readonly incident: string; readonly run: string },
  now: number,
): Promise<boolean> {
  return await underAuthority(store, signed).has(`${of.incident}|${of.run}`, now);
}

/** Takes a run's place under a standing authorisation, for the worker that is about to act on it. Throws `warrant.budget-spent` where none is left. */
export async function spendLeave(
  deps: Pick<CommonDeps, 'store' | 'clock'>,
  signed: SignedAuthorisation,
  plan: Pick<Plan, 'incident' | 'run'>,
  step: Pick<PlanStep, 'id'>,
): Promise<void> {
  if (await underAuthority(deps.store, signed).take(`${plan.incident}|${plan.run}`, deps.clock().getTime())) return;
  const { id, perHour } = signed.authorisation;
  throw fault('warrant.budget-spent', { authorisation: id, step: step.id, most: perHour });
}

/** How far ahead a turn is given out; who comes after that many waits as long, and takes its chance. */
const horizonMs = 30 * 86_400_000;

/**
 * When an incident that nothing proves may be looked at: now, or its turn. Each turn is a name in the store that is taken once, so that of any number of them no more than the policy allows are
 * looked at together. An incident's run keeps its turn. In milliseconds.
 */
export async function turnOf(
  store: Pick<BlobStore, 'createIfAbsent' | 'list' | 'read'>,
  looks: Policy['looks'],
  on: { readonly of: 'claim' | 'sealed'; readonly incident: string; readonly run: string; readonly reporter: string },
  now: number,
): Promise<number> {
  let turn = now;
  for (const look of looks.filter((each) => each.of === on.of)) {
    turn = Math.max(turn, await turnAt(store, look, look.per === 'reporter' ? on.reporter : 'engine', `${on.incident}|${on.run}`, now));
  }
  return turn;
}

async function turnAt(
  store: Pick<BlobStore, 'createIfAbsent' | 'list' | 'read'>,
  look: Policy['looks'][number],
  key: string,
  by: string,
  now: number,
): Promise<number> {
  const kept = `budget/turn/${look.name}/${partOf(by)}`;
  const before = await store.read(kept);
  if (before) return decode(before).at;
  const { within, most, burst } = look;
  const spacing = within / (most - burst + 1);
  let turn = now + horizonMs;
  search: for (let stretch = Math.floor(now / within); stretch * within < now + horizonMs; stretch++) {
    const folder = `budget/${look.name}/${partOf(key)}/${stretch}/`;
    const taken = new Set(await store.list(folder));
    if (taken.size >= most) continue;
    for (let n = 0; n < most; n++) {
      // The first ones of a stretch at once, the others spread over it. One whose moment is past is gone: else all of an hour could be had in its last minute.
      const at = stretch * within + (n < burst ? 0 : (n - burst + 1) * spacing);
      const name = `${folder}${String(n).padStart(6, '0')}`;
      if ((n >= burst && at < now) || taken.has(name)) continue;
      const mark = await store.createIfAbsent(name, encode({ by, at } satisfies Place));
      if (!mark.created && decode(mark.existing as Uint8Array).by !== by) continue;
      turn = Math.max(now, at);
      break search;
    }
  }
  const mark = await store.createIfAbsent(kept, encode({ by, at: turn } satisfies Place));
  return mark.created ? turn : decode(mark.existing as Uint8Array).at;
}
