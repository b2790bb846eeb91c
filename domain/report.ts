import type { Hash } from './canonical.ts';
import type { CredentialRef } from './credential.ts';
import type { Envelope } from './record.ts';

/** Where a leak was seen. */
export const OriginPlace = {
  REPOSITORY: 'repository',
  TICKET: 'ticket',
  CHAT: 'chat',
  DOCUMENT: 'document',
  MODEL: 'model',
  LOG: 'log',
  HOST: 'host',
  STORE: 'store',
  VENDOR: 'vendor',
  UNKNOWN: 'unknown',
} as const;
export type OriginPlace = (typeof OriginPlace)[keyof typeof OriginPlace];

/**
 * What a sighting proves, decided by the engine and by no field of the report: `possession` (the sealed secret opened, and was accepted by its
 * system), `issuer-signed` (a webhook with the issuer's signature), `person-signed` (a key of people.yaml), or `claim`.
 */
export const Proof = { POSSESSION: 'possession', ISSUER_SIGNED: 'issuer-signed', PERSON_SIGNED: 'person-signed', CLAIM: 'claim' } as const;
export type Proof = (typeof Proof)[keyof typeof Proof];

export const ReportFormat = {
  TRUFFLEHOG: 'trufflehog',
  GITLEAKS: 'gitleaks',
  GITHUB_ALERT: 'github-alert',
  MANUAL: 'manual',
} as const;
export type ReportFormat = (typeof ReportFormat)[keyof typeof ReportFormat];

/** A sealed secret by reference: the blob lies in the sealed drop under `hash`; `keyId` names the sealing key it was sealed to. */
export interface SealedRef {
  readonly hash: Hash;
  readonly keyId: string;
}

/**
 * A sighting as the reporter's side sends it. Nothing in it is secret, and everything in it is the sender's word.
 * `seenAt` and `origin.committedAt` are ISO, UTC. `excerpt` is free text with every recognised secret taken out.
 */
export interface Report {
  readonly v: 1;
  /** `rpt_` and 26 characters; the reporter's idempotency key: the same id twice is one sighting. */
  readonly id: string;
  readonly format: ReportFormat;
  readonly tool?: string;
  /** Undefined where nothing in the report names a credential: the report is kept as `unidentified`. */
  readonly credential: CredentialRef;
  readonly account?: string;
  readonly origin: {
    readonly where: OriginPlace;
    readonly repository?: string;
    readonly commit?: string;
    readonly file?: string;
    readonly line?: number;
    readonly url?: string;
    readonly author?: string;
    readonly committedAt?: string;
  };
  readonly reporter: string;
  readonly seenAt: string;
  readonly sealed?: SealedRef;
  /** The sender's words, kept as such. */
  readonly claims: { readonly validity?: 'active' | 'inactive' | 'unknown'; readonly publiclyLeaked?: boolean; readonly severity?: string };
  readonly note?: string;
  /** What a person's signature over the report is bound to. Without it, for another engine, or too old, a signature is worth no more than a claim. `at` is ISO, UTC. */
  readonly signed?: { readonly engine: string; readonly at: string };
}

/**
 * What an issuer sent, as it came: the body of its webhook to the byte, and the signature header. A body that holds a secret never travels; the secret itself, sealed, proves more.
 */
export interface IssuerWord {
  readonly scheme: 'github-webhook';
  readonly body: string;
  readonly signature: string;
}

/** What a verified {@link IssuerWord} says of the credential. Times are ISO, UTC. */
export interface IssuerSays {
  /** The name of the issuer in `tourniquet.yaml`. */
  readonly by: string;
  readonly publiclyLeaked: boolean;
  /** Since when the issuer has known. */
  readonly since?: string;
}

/** The one argument of the `sighting` signal. `signature`, where there is one, is a DSSE envelope over the report by a person's key. */
export interface Sighting {
  readonly report: Report;
  readonly signature?: Envelope;
  readonly issuer?: IssuerWord;
}

/** Body of a `report` record: the sighting as it came, and when the engine had it. */
export interface ReportRecord {
  readonly report: Report;
  readonly signature?: Envelope;
  readonly receivedAt: string;
  /** What the signature proved, if there was one; possession is decided by the assessment. */
  readonly proof: Proof;
  readonly signedBy?: string;
  readonly issuer?: IssuerWord;
  readonly issuerSays?: IssuerSays;
  /** Why something that came with it and looks like proof is none: in words, each. */
  readonly notProof?: readonly string[];
}
