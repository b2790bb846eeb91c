import { Context } from '@temporalio/activity';

/** What an activity waits with: it heartbeats by itself once a second while the body runs, and its waits end at once when it is cancelled. */
export interface Pulse {
  readonly signal: AbortSignal;
  heartbeat(detail?: unknown): void;
  sleep(ms: number): Promise<void>;
}

/** Runs `body` with a heartbeat. A worker that hangs stops beating, since the beat is in the same event loop as the work. */
export async function withPulse<T>(body: (pulse: Pulse) => Promise<T>): Promise<T> {
  const context = Context.current();
  // The first beat comes after a second: most bodies are over by then, and a beat is a call to the server.
  const timer = setInterval(() => context.heartbeat(), 1000);
  try {
    return await body({
      signal: context.cancellationSignal,
      heartbeat: (detail) => context.heartbeat(detail),
      sleep: async (ms) => {
        await context.sleep(Math.max(0, ms));
      },
    });
  } finally {
    clearInterval(timer);
  }
}
