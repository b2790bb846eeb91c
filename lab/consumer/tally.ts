/** Counts of a consumer's calls. Times are milliseconds since 1970 by the machine's clock; a call counts when its answer is there. */
export interface TallySnapshot {
  readonly ok: number;
  /** Calls that were refused, by the error's name. */
  readonly failed: Readonly<Record<string, number>>;
  /** Calls that got no answer at all: nobody refused them, so they say nothing about the key. */
  readonly unreachable: number;
  readonly firstOkAt?: number;
  readonly lastOkAt?: number;
  /** The longest time between two successes that followed each other, and from the last one until now, in milliseconds. */
  readonly longestGapMs: number;
  readonly outages: readonly Outage[];
}

/** A stretch of calls that did not succeed. It begins with the first refusal and ends with the next success; `backAt` is missing while it goes on. */
export interface Outage {
  readonly from: number;
  readonly lastFailedAt: number;
  readonly backAt?: number;
  readonly failed: Readonly<Record<string, number>>;
  readonly unreachable: number;
}

type Open = { -readonly [K in keyof Outage]: Outage[K] } & { failed: Record<string, number> };

/** What a call that was not answered with success was: refused by name, or not answered. */
export type Miss = { readonly refused: string } | 'unreachable';

/** Counts every call of one consumer. */
export class Tally {
  #ok = 0;
  #unreachable = 0;
  readonly #failed: Record<string, number> = {};
  #firstOkAt: number | undefined;
  #lastOkAt: number | undefined;
  #longestGapMs = 0;
  readonly #outages: Open[] = [];

  success(at: number): void {
    this.#ok += 1;
    this.#firstOkAt ??= at;
    if (this.#lastOkAt !== undefined) this.#longestGapMs = Math.max(this.#longestGapMs, at - this.#lastOkAt);
    this.#lastOkAt = at;
    const open = this.#outages.at(-1);
    if (open !== undefined && open.backAt === undefined) open.backAt = at;
  }

  miss(at: number, miss: Miss): void {
    const last = this.#outages.at(-1);
    const open: Open = last !== undefined && last.backAt === undefined ? last : { from: at, lastFailedAt: at, failed: {}, unreachable: 0 };
    if (open !== last) this.#outages.push(open);
    open.lastFailedAt = at;
    if (miss === 'unreachable') {
      this.#unreachable += 1;
      open.unreachable += 1;
      return;
    }
    this.#failed[miss.refused] = (this.#failed[miss.refused] ?? 0) + 1;
    open.failed[miss.refused] = (open.failed[miss.refused] ?? 0) + 1;
  }

  /** The counts as of `now`. */
  snapshot(now: number): TallySnapshot {
    const running = this.#lastOkAt === undefined ? 0 : now - this.#lastOkAt;
    return {
      ok: this.#ok,
      failed: { ...this.#failed },
      unreachable: this.#unreachable,
      ...(this.#firstOkAt === undefined ? {} : { firstOkAt: this.#firstOkAt }),
      ...(this.#lastOkAt === undefined ? {} : { lastOkAt: this.#lastOkAt }),
      longestGapMs: Math.max(this.#longestGapMs, running),
      outages: this.#outages.map((outage) => ({ ...outage, failed: { ...outage.failed } })),
    };
  }
}

/** How many calls a snapshot counts as refused, whatever for. */
export function refusals(snapshot: Pick<TallySnapshot, 'failed'>): number {
  return Object.values(snapshot.failed).reduce((sum, count) => sum + count, 0);
}
