import { uuid } from './identifiers.ts';

/** What goes wrong; see `Fault.kind`. */
export const faultKinds = [
  'lose-reply-after-effect',
  'answer-twice',
  'throttle',
  'error-500',
  'refuse',
  'down',
  'slow',
  'hold',
  'html',
  'truncated',
  'empty',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** A fault to inject: the next `count` requests that match suffer it. An absent matcher matches everything. */
export interface FaultOrder {
  readonly service?: string;
  readonly action?: string;
  readonly accessKeyId?: string;
  /** Only requests among whose parameters each of these stands as a value, whole. */
  readonly mentions?: readonly string[];
  /** How many requests; absent means every one until the fault is taken back. */
  readonly count?: number;
  /** Let this many matching requests through first. */
  readonly skip?: number;
  /** Which of the matching requests suffer it, over and over: `xx.` strikes two of three and lets the third through. Absent: all. */
  readonly rhythm?: string;
  /**
   * `lose-reply-after-effect`: the call is done and the connection cut instead of an answer. `answer-twice`: the request is delivered twice,
   * as a network may do, and the client sees the answer to the first delivery. `throttle` and `error-500`: refused before any effect;
   * `refuse`: by the error `code` instead, with `status` (400).
   * `down`: the connection is cut before any effect. `slow`: delayed by `ms` before any effect. `hold`: the call is done and its answer kept back until the fault is
   * released or taken back, or the connection ends. `html`: a page of somebody in between, 200, instead of any effect. `truncated` and `empty`: the call is done, and of its
   * answer, whatever it was, half arrives or nothing, with status 200.
   */
  readonly kind: FaultKind;
  readonly ms?: number;
  readonly code?: string;
  readonly status?: number;
}

export interface Fault extends FaultOrder {
  readonly id: string;
  /** Matching requests seen, the skipped ones included. */
  seen: number;
  /** Requests that suffered it. */
  hits: number;
  /** Of a `hold`: how many answers are kept back now. */
  held: number;
}

interface Kept {
  readonly fault: Fault;
  readonly free: () => void;
}

/** The faults in force. They are orders of a test, not part of the simulated account: a restart forgets them. */
export class Faults {
  #list: Fault[] = [];
  #kept: Kept[] = [];
  readonly #waiting = new Set<() => void>();
  get list(): readonly Fault[] {
    return this.#list;
  }
  add(order: FaultOrder): Fault {
    const fault: Fault = { ...order, id: uuid(), seen: 0, hits: 0, held: 0 };
    this.#list.push(fault);
    return fault;
  }
  remove(id: string): boolean {
    const before = this.#list.length;
    this.#list = this.#list.filter((f) => f.id !== id);
    this.release(id);
    return this.#list.length < before;
  }
  clear(): void {
    for (const { id } of this.#list) this.remove(id);
  }
  /** Lets go the answers that a `hold` keeps back, and gives their number. Those that come later are kept back as before. */
  release(id: string): number {
    const kept = this.#kept.filter(({ fault }) => fault.id === id);
    for (const { free } of kept) free();
    return kept.length;
  }
  /** Keeps an answer back until its fault is released or taken back; `gone` ends the wait as well. */
  async keep(fault: Fault, gone: AbortSignal): Promise<void> {
    await new Promise<void>((done) => {
      const kept: Kept = {
        fault,
        free: () => {
          if (!this.#kept.includes(kept)) return;
          this.#kept = this.#kept.filter((each) => each !== kept);
          fault.held -= 1;
          done();
        },
      };
      this.#kept.push(kept);
      fault.held += 1;
      for (const wake of [...this.#waiting]) wake();
      gone.addEventListener('abort', kept.free, { once: true });
      if (gone.aborted) kept.free();
    });
  }
  /** Resolves with the fault once it keeps an answer back, or as it stands after `ms`; undefined where there is none of that id. */
  async holding(id: string, ms: number): Promise<Fault | undefined> {
    const fault = this.#list.find((f) => f.id === id);
    if (fault === undefined || fault.held > 0) return fault;
    await new Promise<void>((done) => {
      const look = () => {
        if (fault.held > 0) finish();
      };
      const finish = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        done();
      };
      const timer = setTimeout(finish, ms);
      this.#waiting.add(look);
    });
    return fault;
  }
  /** The faults that a request suffers, in the order in which they were given; each is counted. Several may strike one request. */
  strike(request: { service: string; action: string; accessKeyId: string; input: unknown }): Fault[] {
    if (this.#list.length === 0) return [];
    const parameters = this.#list.some((f) => f.mentions !== undefined) ? JSON.stringify(request.input) : '';
    return this.#list.filter((f) => {
      if (f.service !== undefined && f.service !== request.service) return false;
      if (f.action !== undefined && f.action !== request.action) return false;
      if (f.accessKeyId !== undefined && f.accessKeyId !== request.accessKeyId) return false;
      if (f.mentions?.some((word) => !parameters.includes(JSON.stringify(word)))) return false;
      if (f.count !== undefined && f.hits >= f.count) return false;
      f.seen++;
      if (f.seen <= (f.skip ?? 0)) return false;
      if (f.rhythm !== undefined && f.rhythm[(f.seen - (f.skip ?? 0) - 1) % f.rhythm.length] !== 'x') return false;
      f.hits++;
      return true;
    });
  }
}
