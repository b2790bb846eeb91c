import { uuid } from './identifiers.ts';

/** What goes wrong; see `Fault.kind`. */
export type FaultKind = 'lose-reply-after-effect' | 'answer-twice' | 'throttle' | 'error-500' | 'down' | 'slow';
export const faultKinds: readonly FaultKind[] = ['lose-reply-after-effect', 'answer-twice', 'throttle', 'error-500', 'down', 'slow'];

/** A fault to inject: the next `count` requests that match suffer it. An absent matcher matches everything. */
export interface FaultOrder {
  readonly service?: string;
  readonly action?: string;
  readonly accessKeyId?: string;
  /** How many requests; absent means every one until the fault is taken back. */
  readonly count?: number;
  /** Let this many matching requests through first. */
  readonly skip?: number;
  /**
   * `lose-reply-after-effect`: the call is done and the connection cut instead of an answer. `answer-twice`: the request is delivered twice,
   * as a network may do, and the client sees the answer to the first delivery. `throttle` and `error-500`: refused before any effect.
   * `down`: the connection is cut before any effect. `slow`: delayed by `ms` before any effect.
   */
  readonly kind: FaultKind;
  readonly ms?: number;
}

export interface Fault extends FaultOrder {
  readonly id: string;
  /** Matching requests seen, the skipped ones included. */
  seen: number;
  /** Requests that suffered it. */
  hits: number;
}

/** The faults in force. They are orders of a test, not part of the simulated account: a restart forgets them. */
export class Faults {
  #list: Fault[] = [];
  get list(): readonly Fault[] {
    return this.#list;
  }
  add(order: FaultOrder): Fault {
    const fault: Fault = { ...order, id: uuid(), seen: 0, hits: 0 };
    this.#list.push(fault);
    return fault;
  }
  remove(id: string): boolean {
    const before = this.#list.length;
    this.#list = this.#list.filter((f) => f.id !== id);
    return this.#list.length < before;
  }
  clear(): void {
    this.#list = [];
  }
  /** The faults that a request suffers, in the order in which they were given; each is counted. Several may strike one request. */
  strike(request: { service: string; action: string; accessKeyId: string }): Fault[] {
    if (this.#list.length === 0) return [];
    return this.#list.filter((f) => {
      if (f.service !== undefined && f.service !== request.service) return false;
      if (f.action !== undefined && f.action !== request.action) return false;
      if (f.accessKeyId !== undefined && f.accessKeyId !== request.accessKeyId) return false;
      if (f.count !== undefined && f.hits >= f.count) return false;
      f.seen++;
      if (f.seen <= (f.skip ?? 0)) return false;
      f.hits++;
      return true;
    });
  }
}
