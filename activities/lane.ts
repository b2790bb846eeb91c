/**
 * One lane per step in one worker: whatever is done to a step is done one after the other. A worker that was paused and woken may hold a late attempt and its retry at once, or an
 * apply and the undo that followed it.
 */
export class Lanes {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `body` once everything that was asked for under the same key before has ended, however it ended. `signal` ends the wait, by throwing its reason. */
  async run<T>(key: string, signal: AbortSignal, body: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    const turn = Promise.allSettled([before, promise]);
    this.#last.set(key, turn);
    try {
      if (before) await unlessAborted(before, signal);
      return await body();
    } finally {
      resolve();
      void turn.then(() => {
        if (this.#last.get(key) === turn) this.#last.delete(key);
      });
    }
  }
}

async function unlessAborted(before: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([before, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
