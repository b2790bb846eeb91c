import { setTimeout as wait } from 'node:timers/promises';

/** Resolves once `attempt` gives something true, and fails by name where it does not in time. */
export async function until<T>(what: string, attempt: () => Promise<T | undefined | false>, timeoutMs = 30_000): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await attempt();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await wait(50);
  }
}
