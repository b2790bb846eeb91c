/** What an attacker process is started with, as the path of a JSON file, 0600. */
export interface AttackerConfig {
  readonly aws: { readonly endpoint: string; readonly region: string };
  readonly leaked: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly everyMs: number;
}

/** The four things the attacker ends up holding. */
export const Loot = { LEAKED: 'leaked-key', FEDERATION: 'federation-session', SESSION: 'session-token', SECOND: 'second-key' } as const;
export type Loot = (typeof Loot)[keyof typeof Loot];

/** How one credential has fared. Times are milliseconds since 1970; `answer` is `ok`, an error's name, or `unreachable`. */
export interface Fate {
  readonly loot: Loot;
  readonly accessKeyId: string;
  readonly firstOkAt?: number;
  readonly lastOkAt?: number;
  /** The last answer, and since when it has been the same. */
  readonly answer?: string;
  readonly since?: number;
  readonly ok: number;
  readonly refused: number;
}

/** A line on the attacker's stdout; nothing in it is secret. */
export type AttackerLine =
  | { readonly type: 'ready'; readonly at: number; readonly pid: number }
  | { readonly type: 'made'; readonly at: number; readonly loot: Loot; readonly accessKeyId: string; readonly via: string }
  | { readonly type: 'not-made'; readonly at: number; readonly loot: Loot; readonly via: string; readonly answer: string }
  /** The answer to a credential has changed. */
  | { readonly type: 'turned'; readonly at: number; readonly loot: Loot; readonly from: string | null; readonly to: string }
  | { readonly type: 'fates'; readonly at: number; readonly fates: readonly Fate[] }
  | { readonly type: 'total'; readonly at: number; readonly fates: readonly Fate[] };
