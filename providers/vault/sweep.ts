import type { Vault } from './client.ts';
import { listAccessors, lookUpAccessor, type TokenRow } from './tokens.ts';

/** What a sweep of all tokens found. `gaps`: why it is not the whole of them; empty where it is. */
export interface Swept {
  readonly rows: readonly TokenRow[];
  readonly gaps: readonly string[];
}

/** Lookups between two pauses. */
const chunk = 25;

/**
 * Looks up every token there is, by its accessor, as fast as the account allows and no faster. Tokens come and go meanwhile: one that is gone when it is asked for is none, and one that came
 * after the list is not in it, so that a thief who is quick enough is met by the next sweep only.
 */
export async function sweepTokens(
  vault: Vault,
  on: {
    readonly lookupsPerSecond: number;
    readonly mostTokens: number;
    readonly signal: AbortSignal;
    heartbeat(detail?: unknown): void;
    sleep(ms: number): Promise<void>;
  },
): Promise<Swept> {
  const accessors = await listAccessors(vault);
  if (accessors.length > on.mostTokens)
    return {
      rows: [],
      gaps: [`there are ${accessors.length} tokens, more than the ${on.mostTokens} that are looked at: a person has to sweep`],
    };
  const rows: TokenRow[] = [];
  for (let from = 0; from < accessors.length; from += chunk) {
    on.signal.throwIfAborted();
    const began = performance.now();
    const some = accessors.slice(from, from + chunk);
    for (const row of await Promise.all(some.map((accessor) => lookUpAccessor(vault, accessor)))) if (row) rows.push(row);
    on.heartbeat({ lookedUp: from + some.length, of: accessors.length });
    const rest = (some.length * 1_000) / on.lookupsPerSecond - (performance.now() - began);
    if (rest > 0 && from + chunk < accessors.length) await on.sleep(rest);
  }
  return { rows, gaps: [] };
}
