/** What a call that may change the world did: `refused` changed nothing and said so, `no-op` succeeded and changed nothing. */
export type Effect = 'changed' | 'no-op' | 'refused';

/** One delivery of a mutating call, as received. It is what a test counts to say that a transition happened once. */
export interface LedgerEntry {
  readonly seq: number;
  /** Milliseconds since 1970 by the machine's clock, when the request had been received whole. */
  readonly receivedAt: number;
  /** The same moment by the simulated clock. */
  readonly at: number;
  readonly service: string;
  readonly action: string;
  readonly region: string;
  /** The identifying parameters of the call, by their names at AWS; never a secret or a document. */
  readonly target: Readonly<Record<string, string>>;
  /** The access key that signed it. */
  readonly caller: string;
  readonly requestId: string;
  readonly effect: Effect;
  /** For a refusal, the error code. */
  readonly code?: string;
  /** The access key id or other identifier that the call made. */
  readonly made?: string;
  /** 2 for the second delivery of a request that a fault delivered twice. */
  readonly delivery: 1 | 2;
  readonly reply: 'sent' | 'lost';
}

/** How often an action was called, and how that ended. `refused` counts every error answer, authentication failures included. */
export interface Counter {
  calls: number;
  refused: number;
}

/** Everything mutating that was received, and counters of all calls. The list is journaled, the counters start at zero with the server. */
export class Ledger {
  readonly counters = new Map<string, Counter>();
  readonly #entries: LedgerEntry[] = [];
  readonly #capacity: number;
  #next = 1;
  constructor(capacity = 200_000) {
    this.#capacity = capacity;
  }
  get nextSeq(): number {
    return this.#next;
  }
  add(entry: LedgerEntry): void {
    this.#entries.push(entry);
    this.#next = entry.seq + 1;
    if (this.#entries.length > this.#capacity * 1.1) this.#entries.splice(0, this.#entries.length - this.#capacity);
  }
  /** Entries after a sequence number, oldest first. */
  since(seq: number): LedgerEntry[] {
    return seq <= 0 ? [...this.#entries] : this.#entries.filter((e) => e.seq > seq);
  }
  count(name: string, refused: boolean): void {
    let counter = this.counters.get(name);
    if (counter === undefined) {
      counter = { calls: 0, refused: 0 };
      this.counters.set(name, counter);
    }
    counter.calls++;
    if (refused) counter.refused++;
  }
}
