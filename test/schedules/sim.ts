import { AsyncLocalStorage } from 'node:async_hooks';

/*
 * Time, chance and processes. Everything that happens is an event at a moment of virtual time; what comes first is decided by how long things take, and that by the seed. Nothing real
 * is waited for, so that an incident of two days is over in a fraction of a second, and the same seed gives the same history.
 */

/** What goes wrong in a schedule. Each strikes once, at the `at`-th moment of its kind. */
export interface Fault {
  readonly kind: FaultKind;
  /** For crash and pause: whose. For a call: of which service. */
  readonly who: string;
  /** Which moment of its kind: the how-manieth boundary, call, completion. */
  readonly at: number;
  /** Milliseconds, where it lasts: a downtime, a pause, an outage. */
  readonly ms: number;
}

export const FaultKind = {
  /** The process dies between two steps of its work, and a new one is there after `ms`. */
  CRASH: 'crash',
  /** The process stands still for `ms` and goes on as if nothing had been. */
  PAUSE: 'pause',
  /** A worker to which a task has just been given sleeps for `ms`, while a new process takes its place. */
  SLEEPER: 'sleeper',
  /** The provider has done it, and the reply is lost. */
  LOSE_REPLY: 'lose-reply',
  /** The connection is cut before the request arrives, for `ms`. */
  UNREACHABLE: 'unreachable',
  /** The activity is over, and its worker never gets that across to the server. */
  LOSE_COMPLETION: 'lose-completion',
  /** The server gives an activity out again while its attempt is still at work. */
  GIVE_TWICE: 'give-twice',
  /** Somebody starts an apply that was done once more after `ms`, as another activity of the same run. */
  REPEAT_APPLY: 'repeat-apply',
  /** The judge forgets every run it holds in memory. */
  EVICT: 'evict',
  /** The provider's log falls behind by a minute and a half, for `ms`. */
  LATE_LOG: 'late-log',
  /** A message to a run is delivered twice. */
  DOUBLE_MESSAGE: 'double-message',
} as const;
export type FaultKind = (typeof FaultKind)[keyof typeof FaultKind];

/** One operating-system process: what it awaits never comes once it is dead, and comes late while it is paused. */
export interface Process {
  readonly name: string;
  readonly generation: number;
  dead: boolean;
  pausedUntil: number;
}

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  readonly owner: Process | undefined;
  off: boolean;
}

/** Broken promises of the engine, with when. */
export interface Breach {
  readonly rule: string;
  readonly words: string;
  readonly at: number;
}

const never = new Promise<never>(() => undefined);

/** A stream of numbers in [0, 1) that is a function of seed and name. */
export function chance(seed: number, name: string): () => number {
  let h = 2166136261 ^ seed;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 16777619);
  let a = h >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const epoch = Date.parse('2026-11-24T08:00:00.000Z');

/** One world's time, its pending events, and what is to go wrong in it. */
export class Sim {
  now = epoch;
  events = 0;
  readonly breaches: Breach[] = [];
  readonly story: string[] = [];
  /** How many choices are free; every later one is the quickest. */
  readonly calmAfter: number;
  choices = 0;
  readonly faults: Fault[];
  readonly struck: Fault[] = [];
  /** No fault strikes after this. */
  quiet = false;
  readonly als = new AsyncLocalStorage<{ process: Process; attempt?: unknown }>();
  readonly #heap: Scheduled[] = [];
  #order = 0;
  readonly #moments = new Map<string, number>();
  readonly #random: () => number;
  readonly ids: () => number;
  onDeath: (process: Process, downMs: number) => void = () => undefined;
  onSleeper: (process: Process, ms: number) => void = () => undefined;

  constructor(seed: number, faults: readonly Fault[], calmAfter = Number.POSITIVE_INFINITY) {
    this.#random = chance(seed, 'choices');
    this.ids = chance(seed, 'ids');
    this.faults = [...faults];
    this.calmAfter = calmAfter;
  }

  breach(rule: string, words: string): void {
    this.breaches.push({ rule, words, at: this.now });
    this.tell(`BROKEN ${rule}: ${words}`);
  }

  tell(line: string): void {
    if (this.story.length < 4000) this.story.push(`${((this.now - epoch) / 1000).toFixed(3)}  ${line}`);
  }

  /** One choice, in [0, 1). */
  pick(): number {
    const value = this.#random();
    return this.choices++ < this.calmAfter ? value : 0;
  }

  /** How long something takes: usually about `usual`, now and then `long`. */
  takes(usual: number, long: number): number {
    const value = this.pick();
    if (value < 0.93) return 1 + Math.floor((value / 0.93) * usual);
    return usual + Math.floor(((value - 0.93) / 0.07) * long);
  }

  /** Runs something after `ms`; in the name of a process where it is that process that does it. */
  after(ms: number, run: () => void, owner?: Process): Scheduled {
    const event: Scheduled = { at: this.now + Math.max(0, Math.ceil(ms)), order: this.#order++, run, owner, off: false };
    this.#push(event);
    return event;
  }

  get process(): Process | undefined {
    return this.als.getStore()?.process;
  }

  /** The fault that strikes at this moment, if there is one. */
  strike(kind: FaultKind, who: string): Fault | undefined {
    const name = `${kind} ${who}`;
    const at = (this.#moments.get(name) ?? 0) + 1;
    this.#moments.set(name, at);
    if (this.quiet) return undefined;
    const index = this.faults.findIndex((fault) => fault.kind === kind && fault.who === who && fault.at === at);
    if (index < 0) return undefined;
    const [fault] = this.faults.splice(index, 1);
    if (fault) {
      this.struck.push(fault);
      this.tell(`FAULT ${fault.kind} of ${fault.who} at its ${fault.at}th${fault.ms ? `, for ${fault.ms} ms` : ''}`);
    }
    return fault;
  }

  /** How many moments of a kind there have been. */
  moments(kind: FaultKind, who: string): number {
    return this.#moments.get(`${kind} ${who}`) ?? 0;
  }

  /**
   * A place between two steps of a process's work, at which it may die or stop. It comes back at once where nothing happens, later where the process was paused, and never where
   * it is dead.
   */
  boundary(process = this.process): Promise<void> | undefined {
    if (!process) return undefined;
    if (process.dead) return never;
    const crash = this.strike(FaultKind.CRASH, process.name);
    if (crash) {
      this.kill(process, crash.ms);
      return never;
    }
    const pause = this.strike(FaultKind.PAUSE, process.name);
    if (pause) process.pausedUntil = Math.max(process.pausedUntil, this.now + pause.ms);
    if (process.pausedUntil > this.now) return new Promise((resolve) => this.after(0, resolve, process));
    return undefined;
  }

  kill(process: Process, downMs: number): void {
    process.dead = true;
    this.onDeath(process, downMs);
  }

  /** Takes the next event that is due and whose owner lives; false where nothing is left or the next lies beyond `until`. */
  step(until: number): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.at > until) return false;
      this.#pop();
      if (next.off || next.owner?.dead) continue;
      this.now = Math.max(this.now, next.at);
      if (next.owner && next.owner.pausedUntil > this.now) {
        this.#push({ ...next, at: next.owner.pausedUntil, order: this.#order++ });
        continue;
      }
      this.events++;
      next.run();
      return true;
    }
  }

  #push(event: Scheduled): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Scheduled;
      if (before(above, event)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Scheduled;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child++;
      if (before(last, heap[child] as Scheduled)) break;
      heap[i] = heap[child] as Scheduled;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Lets everything that can go on without further events do so. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
