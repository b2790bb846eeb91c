import type { TallySnapshot } from './tally.ts';

/** What a consumer process is started with: the path of this as a JSON file, 0600, as it holds the consumer's own token. */
export interface ConsumerConfig {
  /** Its id in the inventory; the word in its user agent and, through its token's display name, in the audit log of its store. */
  readonly name: string;
  readonly vault: { readonly address: string; readonly token: string; readonly path: string };
  /** Our names of the fields, and the store's. */
  readonly fields: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly aws: { readonly endpoint: string; readonly region: string };
  readonly callsPerSecond: number;
  /** Milliseconds between two looks at the store, give or take a tenth. */
  readonly rereadMs: number;
  /** How far AWS's clock is ahead of the machine's, in milliseconds, where a test has moved it: a signature of another time is refused. */
  readonly clockOffsetMs?: number;
}

/** A line on a consumer's stdout. Times are milliseconds since 1970; nothing in it is secret. */
export type ConsumerLine =
  | { readonly type: 'ready'; readonly at: number; readonly pid: number; readonly accessKeyId: string }
  /** Once a second. */
  | { readonly type: 'second'; readonly at: number; readonly accessKeyId: string; readonly tally: TallySnapshot }
  /** The store holds another key, and that key has been accepted: from here on it is the one that is used. */
  | { readonly type: 'moved'; readonly at: number; readonly from: string; readonly to: string; readonly probes: number }
  | { readonly type: 'store-away'; readonly at: number; readonly why: string }
  /** The last line. */
  | { readonly type: 'total'; readonly at: number; readonly accessKeyId: string; readonly tally: TallySnapshot };
