/** One event: the record as CloudTrail delivers it, and the fields it can be looked up by. */
export interface TrailEntry {
  readonly seq: number;
  /** Simulated milliseconds since 1970. */
  readonly at: number;
  readonly region: string;
  readonly id: string;
  readonly name: string;
  readonly source: string;
  readonly username: string;
  readonly keyId: string;
  readonly readOnly: boolean;
  readonly resources: readonly { readonly type: string; readonly name: string }[];
  /** The record, as JSON. */
  readonly record: string;
}

const callsPerSecond = 2;

/** The events of every Region, the newest `capacity` of each, and the limit on how often they are looked up. */
export class Trail {
  readonly #regions = new Map<string, TrailEntry[]>();
  readonly #capacity: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  #next = 1;
  constructor(capacity: number) {
    this.#capacity = capacity;
  }
  get nextSeq(): number {
    return this.#next;
  }
  add(entry: TrailEntry): void {
    let events = this.#regions.get(entry.region);
    if (events === undefined) {
      events = [];
      this.#regions.set(entry.region, events);
    }
    events.push(entry);
    this.#next = Math.max(this.#next, entry.seq + 1);
    if (events.length > this.#capacity * 1.1) events.splice(0, events.length - this.#capacity);
  }
  /** Events of a Region, oldest first, whether they can be looked up yet or not. */
  of(region: string): readonly TrailEntry[] {
    return this.#regions.get(region) ?? [];
  }
  get all(): readonly TrailEntry[] {
    return [...this.#regions.values()].flat();
  }
  /** Whether one more look-up may be made now. It runs on the machine's clock: a moved clock buys no calls. */
  admit(region: string): boolean {
    const now = performance.now();
    const bucket = this.#buckets.get(region) ?? { tokens: callsPerSecond, at: now };
    bucket.tokens = Math.min(callsPerSecond, bucket.tokens + ((now - bucket.at) / 1000) * callsPerSecond);
    bucket.at = now;
    this.#buckets.set(region, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}
