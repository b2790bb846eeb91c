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
  /** Milliseconds on top of the usual lag: this event is delivered late, after events that came after it. */
  readonly lateMs?: number;
}

/** Delivers events late; an absent matcher matches everything. The first order that matches an event is the one that it suffers. */
export interface DelayOrder {
  readonly region?: string;
  /** The name of the call, e.g. `AssumeRole`. */
  readonly action?: string;
  /** The access key id of the caller. */
  readonly accessKeyId?: string;
  /** Milliseconds on top of the usual lag. */
  readonly ms: number;
  /** How many events; absent means every one until the orders are taken back. */
  readonly count?: number;
}

const callsPerSecond = 2;

/** The events of every Region, the newest `capacity` of each, and the limit on how often they are looked up. */
export class Trail {
  readonly #regions = new Map<string, TrailEntry[]>();
  readonly #capacity: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  #next = 1;
  #delays: { readonly order: DelayOrder; left: number }[] = [];
  readonly #behind = new Map<string, number>();
  readonly #perSecond: number;
  constructor(capacity: number, perSecond = callsPerSecond) {
    this.#perSecond = perSecond;
    this.#capacity = capacity;
  }
  get nextSeq(): number {
    return this.#next;
  }
  /** Orders of a test, and no part of the account: a restart forgets them, and the events that were made late stay late. */
  delay(order: DelayOrder): void {
    this.#delays.push({ order, left: order.count ?? Number.POSITIVE_INFINITY });
  }
  clearDelays(): void {
    this.#delays = [];
    this.#behind.clear();
  }
  /** How late an event is delivered, counted against the order that says so. */
  lateness(event: Pick<TrailEntry, 'region' | 'name' | 'keyId'>): number {
    const found = this.#delays.find(
      ({ order, left }) =>
        left > 0 &&
        (order.region === undefined || order.region === event.region) &&
        (order.action === undefined || order.action === event.name) &&
        (order.accessKeyId === undefined || order.accessKeyId === event.keyId),
    );
    if (found === undefined) return 0;
    found.left--;
    return found.order.ms;
  }
  /** Keeps the whole log of a Region so many milliseconds further behind from now on, events made before included; 0 lets it catch up. */
  setBehind(region: string, ms: number): void {
    this.#behind.set(region, ms);
  }
  behind(region: string): number {
    return this.#behind.get(region) ?? 0;
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
    const bucket = this.#buckets.get(region) ?? { tokens: this.#perSecond, at: now };
    bucket.tokens = Math.min(this.#perSecond, bucket.tokens + ((now - bucket.at) / 1000) * this.#perSecond);
    bucket.at = now;
    this.#buckets.set(region, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}
