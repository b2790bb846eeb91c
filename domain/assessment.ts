import type { Hash } from './canonical.ts';
import type { CredentialRef, Graph } from './credential.ts';
import type { Observation } from './observation.ts';
import type { Proof, SealedRef } from './report.ts';

/** How widely the leak could be read. Decided from the inventory's word on the place, else from an issuer's, else `unknown`. */
export const Exposure = { PUBLIC: 'public', INTERNAL: 'internal', UNKNOWN: 'unknown' } as const;
export type Exposure = (typeof Exposure)[keyof typeof Exposure];

/** What the inventory says of one consumer of a credential. `overlap`: can hold old and new at once; `rereads`: seconds between looks at its store, or never. */
export interface Consumer {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly contact: string;
  readonly store: string;
  readonly overlap: boolean;
  readonly rereads: number | 'never';
  readonly criticality: 'production' | 'internal' | 'test';
  /** Where it calls from, as the provider sees it: a fence leaves these open and nothing else. */
  readonly networks: readonly string[];
  /** Virtual private clouds that it calls out of, or endpoints of one, by id: AWS sees no address of such a call. */
  readonly vpcs?: readonly string[];
  /** How its calls are told apart in the provider's log. */
  readonly seenAs: { readonly userAgent?: string; readonly sourceAddress?: string };
  /** Its name in the audit log of its store, where it differs. */
  readonly readsAs?: string;
  /** Roles that it acts as, by ARN: a cut-off of one of them refuses its sessions too. */
  readonly assumes?: readonly string[];
}

/** A place a credential is kept in and handed out from. `fields` maps our field names to the store's. */
export interface Store {
  readonly id: string;
  readonly provider: string;
  readonly account: string;
  readonly path: string;
  readonly fields: Readonly<Record<string, string>>;
  /** The principal whose credential it holds. */
  readonly principal: string;
  /**
   * Who can read it besides its consumers: principals by ARN, users by name too, and secrets whose holder can, by the name or ARN under which a log shows them read. While one
   * of them is not contained, a replacement that is put there leaks at once.
   */
  readonly readableBy?: readonly string[];
}

/** How far a log is known to be complete: `until`, by the provider's clock, and how that is known. A marker alone is no proof, since a log may deliver out of order. */
export type Watermark = Observation & {
  readonly until?: string;
  /** A call of our own: when it was made, and when it was first seen in the log. */
  readonly marker?: { readonly requestId: string; readonly at: string; readonly seenAt: string };
  /** How long after the moment it was waited, in milliseconds: the log's usual lag and the margin, or longer where the marker showed that it is further behind. */
  readonly lagMs?: number;
};

/** How far back and how close to now a log can be read. One for each source: a Region's trail is one of its own. */
export interface LogReach {
  readonly source: string;
  readonly region?: string;
  readonly from: string;
  /** A moment the log is known to have passed. A source that is away, turned off or behind is `unknown`. */
  readonly passed: Watermark;
  readonly blind: readonly string[];
}

/** What a provider's read-only look gives: graph fragment with liveness, principal, logs. All times by the provider's clock. */
export interface ProviderFinding {
  readonly provider: string;
  readonly account: string;
  readonly providerTime: string;
  /** Whether the account is one we run. `no`: foreign. */
  readonly ours: Observation;
  readonly canary: boolean;
  readonly live: Observation;
  /** Whether the sealed secret was shown to be the real one. */
  readonly possession: Observation;
  /** The sealed blobs, by hash, that held the secret which was shown to be the real one: whoever sent one of them had it. */
  readonly provenBy?: readonly Hash[];
  /** What was looked at: the finding proves nothing of any other. */
  readonly credential?: CredentialRef;
  /** What the engine itself stands on in this account, as its worker knows it: never touched by the engine. */
  readonly own?: readonly string[];
  readonly principal?: string;
  readonly privilege: 'administrator' | 'elevated' | 'ordinary' | 'unknown';
  readonly graph: Graph;
  /** Credential node ids that derive from the leak and still stand. */
  readonly descendants: readonly string[];
  /** Nodes of the graph that the engine itself made, in whichever incident, by its own signed records: none of them is the leak's, whenever it was made. */
  readonly made?: readonly string[];
  /** Calls in the log that no declared consumer explains. */
  readonly misuse: Observation;
  /** The principal's last session can have been minted at the latest then, and lives at most that long. */
  readonly sessions: { readonly maxLifeSeconds: number };
  readonly logs: readonly LogReach[];
  /** Secrets that the leaked credential read, by the log. */
  readonly secretsRead: readonly string[];
  readonly slots?: { readonly used: number; readonly limit: number };
  /** Whether every log has passed the last containment, so that the look counts as a sweep. */
  readonly swept: Observation;
  /** The provider's own ids of the requests behind this finding. */
  readonly requestIds: readonly string[];
  /** Consumers seen in the log, with the credential node they last used and when. */
  readonly seen: readonly { readonly consumer: string; readonly credential: string; readonly lastAt: string }[];
}

/** Body of an `assessment` record: all that is known at the start of a round. */
export interface Assessment {
  readonly credential: CredentialRef;
  readonly depth: 'minimal' | 'full';
  readonly reports: readonly Hash[];
  /** The inventory record it was made with. */
  readonly inventory?: Hash;
  readonly sightings: number;
  readonly proof: Proof;
  /** Every name that a report came under. Only {@link signers} are more than the sender's word. */
  readonly reporters: readonly string[];
  /** Who signed a report. They decide nothing in this incident. */
  readonly signers?: readonly string[];
  /** Nobody who brought what proves it signed: the reporters are unknown, and the quorum rises by one. */
  readonly unsigned?: boolean;
  /** The sealed blobs that were shown to hold the real secret, of all rounds. */
  readonly provenBy?: readonly Hash[];
  /** By the places of the reports that prove something; of all, where none does. */
  readonly exposure: Exposure;
  /** The leaked secret as a reporter sealed it, where it was shown to be the real one: with it a step can see the credential refused. */
  readonly sealed?: SealedRef;
  /** Since when it was open, as somebody says who signed. What a claim says of it is not here: it would widen what is turned off unasked. */
  readonly exposedSince?: string;
  readonly finding: ProviderFinding;
  /** Node ids that the round before did not know. */
  readonly fresh: readonly string[];
  /** Whether the sweep counts: every source's log has passed the last containment. `yes` before anything was contained only if nothing was to be. */
  readonly swept: Observation;
}

/** What the inventory adds, merged by the judge. */
export interface InventoryFinding {
  readonly consumers: readonly Consumer[];
  readonly stores: readonly Store[];
  readonly owner?: string;
  readonly exposure: Exposure;
  /** The exposure of each report's place, by the hash of its record. */
  readonly exposures?: Readonly<Record<Hash, Exposure>>;
  readonly protectedTargets: readonly string[];
  /** Names of principals and consumers that bear tags. */
  readonly tagged?: readonly { readonly name: string; readonly tags: readonly string[] }[];
}

/**
 * Body of a `snapshot` record: the before-states of the changes that containment might need, captured before any of them.
 * Keyed by {@link stepKey} of action and target; a before-state holds no secret.
 */
export interface Snapshot {
  readonly befores: Readonly<Record<string, unknown>>;
  readonly evidence: Readonly<Record<string, unknown>>;
}
