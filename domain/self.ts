/** One thing that the engine itself stands on: its name as a target or locator would have it, and what it is. Never a secret. */
export interface OwnThing {
  readonly id: string;
  readonly what: string;
}

/** Body of a `self` record: what one worker stands on in its account. It belongs to no incident. */
export interface SelfRecord {
  readonly provider: string;
  readonly account: string;
  readonly things: readonly OwnThing[];
}

/** The incident that a `self` record says it is of, since a record must say one. */
export const selfPlace = (provider: string, account: string): string => `self/${provider}/${account}`;
