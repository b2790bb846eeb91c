import { Context } from '@temporalio/activity';
import { fault } from '../domain/errors.ts';

/** What an activity waits with: it heartbeats by itself once a second while the body runs, and its waits end at once when it is cancelled. */
export interface Pulse {
  readonly signal: AbortSignal;
  heartbeat(detail?: unknown): void;
  sleep(ms: number): Promise<void>;
}

/** How far apart two beats may be at least before a worker counts as having slept, in milliseconds: they are a second apart, and an event loop may be busy. */
const leastSleepMs = 2_000;

/**
 * Runs `body` with a heartbeat. A worker that hangs stops beating, since the beat is in the same event loop as the work. One that was stopped and woken finds out before it does anything more: where
 * the beat before is so far back that the server may have given the task to another, who may have undone it since, `signal` is aborted. Timers run before answers are read when an event loop wakes, and
 * providers ask the signal right before each change. The SDK sends beats on after four fifths of the time-out at the latest, so that one fifth is what a sleep may last.
 */
export async function withPulse<T>(body: (pulse: Pulse) => Promise<T>): Promise<T> {
  const context = Context.current();
  const lease = new AbortController();
  const longest = Math.max(leastSleepMs, (context.info.heartbeatTimeoutMs ?? 0) / 5);
  let last = performance.now();
  // The first beat comes after a second: most bodies are over by then, and a beat is a call to the server.
  const timer = setInterval(() => {
    const now = performance.now();
    if (now - last > longest) lease.abort(fault('engine.unavailable', { problem: 'this worker was asleep' }));
    last = now;
    context.heartbeat();
  }, 1000);
  const signal = AbortSignal.any([context.cancellationSignal, lease.signal]);
  try {
    return await body({
      signal,
      heartbeat: (detail) => context.heartbeat(detail),
      sleep: async (ms) => {
        await context.sleep(Math.max(0, ms));
        lease.signal.throwIfAborted();
      },
    });
  } finally {
    clearInterval(timer);
  }
}
