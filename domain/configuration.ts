/** The content of tourniquet.yaml, after defaults. Paths are absolute; durations are milliseconds (the file says `4s`, `15m`, `36h`). */
export interface Configuration {
  readonly v: 1;
  /** `eng_…`, also in trust.yaml: what decisions, plans and seals are bound to. */
  readonly engine: string;
  readonly temporal: { readonly address?: string; readonly namespace: string; readonly profile?: string };
  /** The content-addressed blob store: a directory shared by judge, provider workers and whoever exports. */
  readonly store: { readonly directory: string };
  /** Where reporters drop sealed secrets; by default `<store>/sealed`. */
  readonly drop: { readonly directory: string };
  readonly trust: string;
  readonly people: string;
  readonly policy: string;
  readonly inventory: string;
  /** The root's public key, base64 of 32 bytes, pinned here so that a swapped trust file is noticed. */
  readonly root: string;
  readonly accounts: readonly AccountEntry[];
  /** How often a watching incident looks again. */
  readonly recheckMs: number;
  readonly codec: { readonly enabled: boolean };
  readonly pace: Pace;
  /** Whose webhooks count as an issuer's word, and the file with the secret that each signs with; read by the judge alone. */
  readonly issuers?: readonly { readonly name: string; readonly scheme: 'github-webhook'; readonly secret: string }[];
  /** Further names of what the engine itself stands on, besides what its workers find: break-glass users, certificates. */
  readonly self?: readonly string[];
  /** Providers that are not part of the engine, by the name of their package, which is installed where the engine is. A package that is no provider is refused by name, and the rest works. */
  readonly providers?: readonly { readonly package: string }[];
}

/** How patient the engine is with what does not answer. All in milliseconds. */
export interface Pace {
  /** An activity that has not beaten for so long is taken for dead and tried again. Workers beat about once a second. At least 2000. */
  readonly heartbeatMs: number;
  /** The longest pause between two tries of one activity: how soon after an outage the first try comes. */
  readonly retryCeilingMs: number;
  /** A step that cannot be taken back for so long, since its provider does not answer, is `stuck`: a person is told what is left, and it is tried again more slowly. */
  readonly stuckAfterMs: number;
}

/** The pace where the configuration states none. */
export const usualPace: Pace = { heartbeatMs: 30_000, retryCeilingMs: 30_000, stuckAfterMs: 600_000 };

export interface AccountEntry {
  readonly provider: string;
  readonly account: string;
  readonly mode: 'observe' | 'propose' | 'act';
  /** JSON file, 0600, readable by this account's provider worker only. */
  readonly credentials: string;
  /** Provider-specific: region(s), endpoint, auditLog, mounts, …, and `timing` overrides in milliseconds. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The worker's own ceiling: so many changes that nobody was asked about within an hour, whatever a judge has signed. */
  readonly unaskedPerHour?: number;
}
