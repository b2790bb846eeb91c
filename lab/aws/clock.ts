/**
 * The simulator's time: the machine's time plus an offset that only grows. Everything AWS would judge by its own clock (expiry, propagation,
 * log lag, dates in answers) is judged by this one, so that a test can live through 36 hours in a second.
 */
export class Clock {
  #offset: number;
  constructor(offsetMs = 0) {
    this.#offset = offsetMs;
  }
  /** Milliseconds since 1970 as the simulated account sees them. */
  now(): number {
    return Date.now() + this.#offset;
  }
  /** The machine's own milliseconds since 1970. */
  wall(): number {
    return Date.now();
  }
  get offsetMs(): number {
    return this.#offset;
  }
  /**
   * Moves the clock forward. It never goes back, because histories of key status and policies are kept in order of time, and a clock that
   * went back would make the later of two changes the earlier one.
   */
  moveTo(offsetMs: number): void {
    if (!Number.isFinite(offsetMs) || offsetMs < this.#offset) throw new RangeError('the clock only moves forward');
    this.#offset = offsetMs;
  }
}

/** Seconds with a Z, the form of every date in AWS XML and CloudTrail. */
export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
