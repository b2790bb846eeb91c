import type { Clock } from './clock.ts';
import type { Faults } from './faults.ts';
import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import type { Origins } from './origin.ts';
import { type Rows, rowKey, type Settings, type State, type TableName } from './state.ts';
import type { Trail } from './trail.ts';

/** Everything a server has, handed to whoever answers a call. */
export interface World {
  readonly accountId: string;
  readonly regions: readonly string[];
  readonly clock: Clock;
  readonly state: State;
  readonly trail: Trail;
  readonly ledger: Ledger;
  readonly faults: Faults;
  /** Where connections are taken to come from; a restart forgets it, as it does faults. */
  readonly origins: Origins;
  readonly settings: Settings;
  readonly journal: Journal | undefined;
}

/** The moment whose key statuses and principals decide now who a caller is. */
export const authenticationTime = (world: World): number => world.clock.now() - world.settings.authenticationPropagationMs;
/** The moment whose policies decide now what a caller may do. */
export const authorizationTime = (world: World): number => world.clock.now() - world.settings.authorizationPropagationMs;

/** What one call changes, gathered for the journal. An operation checks everything first, and only then puts rows: nothing is undone. */
export class Change {
  readonly #state: State;
  readonly #rows = new Map<string, [TableName, string, unknown]>();
  /** Whether the world is another than before. Bookkeeping, as of when a secret was last read, is put with `note` and does not count. */
  effective = false;
  constructor(state: State) {
    this.#state = state;
  }
  put<T extends TableName>(table: T, row: Rows[T]): void {
    this.note(table, row);
    this.effective = true;
  }
  note<T extends TableName>(table: T, row: Rows[T]): void {
    this.#state.put(table, row);
    const key = rowKey(table, row);
    this.#rows.set(`${table} ${key}`, [table, key, row]);
  }
  remove(table: TableName, key: string): void {
    this.#state.remove(table, key);
    this.#rows.set(`${table} ${key}`, [table, key, null]);
    this.effective = true;
  }
  get rows(): [TableName, string, unknown][] {
    return [...this.#rows.values()];
  }
}
