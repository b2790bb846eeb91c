import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import type { Records } from '../audit/records.ts';
import type { BlobStore } from '../audit/store.ts';
import type { SignedAuthorisation } from '../domain/authorisation.ts';
import type { Hash } from '../domain/canonical.ts';
import type { AccountEntry, Configuration } from '../domain/configuration.ts';
import type { ProviderManifest } from '../domain/manifest.ts';
import type { Policy } from '../domain/policy.schema.ts';
import type { Envelope } from '../domain/record.ts';
import type { Edition, People, Trust } from '../domain/trust.ts';
import type { Issuer } from '../intake/issuer.ts';
import type { Inventory } from '../inventory/index.ts';
import type { Connection, Sealing, StepContext } from '../providers/contract.ts';

/** What every worker has: its records, its own copy of trust and people (read anew when the files change), and a clock. */
export interface CommonDeps {
  readonly engine: string;
  readonly store: BlobStore;
  readonly records: Records;
  readonly trust: () => Trust;
  readonly people: () => People;
  /** Every trust that has been in force, serial 1 first, with its people; left out where trust is no sequence, as in tests. */
  readonly editions?: () => readonly Edition[];
  /** What people have signed beforehand, as this worker reads it; nothing where it is left out. */
  readonly authorisations?: () => readonly SignedAuthorisation[];
  readonly clock: () => Date;
  /** Whether an envelope bears a good signature by that raw public key (base64). */
  readonly verify: (envelope: Envelope, publicKey: string) => boolean;
}

/** The judge's: policy, inventory and a Temporal client, and no credential of any provider. */
export interface JudgeDeps extends CommonDeps {
  readonly configuration: Configuration;
  readonly accounts: readonly Pick<AccountEntry, 'provider' | 'account' | 'mode'>[];
  readonly policy: () => { readonly policy: Policy; readonly hash: Hash; readonly text: string };
  readonly inventory: () => Inventory;
  readonly manifests: Readonly<Record<string, ProviderManifest>>;
  readonly client: Client;
  /** Whose webhooks count, with the secrets they are signed with. */
  readonly issuers?: readonly Issuer[];
  /** The bundle's code, for its hash; and the files as used, for the export. */
  readonly workflowCode: { readonly hash: Hash; readonly code: string };
  /** Undo what the data converter's codec did to a fetched history. */
  readonly codecs: readonly PayloadCodec[];
  /** Signs the statement of a bundle. */
  readonly signStatement: (body: unknown) => Envelope;
}

/** A provider worker's: one account, one connection, one sealing key. */
export interface ProviderDeps extends CommonDeps {
  readonly provider: string;
  readonly account: string;
  readonly mode: AccountEntry['mode'];
  readonly connection: Connection;
  /** What the provider declares. Without it no standing authorisation is leave for anything. */
  readonly manifest?: ProviderManifest;
  readonly sealing: Sealing;
  readonly timing: StepContext['timing'];
  /** What the engine itself stands on in this account: targets of such identifiers are never touched. */
  readonly ownTargets: readonly string[];
  /** So many changes that nobody was asked about within an hour; {@link usualCeiling} where the account states none. */
  readonly unaskedPerHour?: number;
}
