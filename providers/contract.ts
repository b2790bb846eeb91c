import type { Consumer, ProviderFinding, Store } from '../domain/assessment.ts';
import type { Hash } from '../domain/canonical.ts';
import type { CredentialRef, Residual } from '../domain/credential.ts';
import type { Clocks, Outcome } from '../domain/execution.ts';
import type { ActionManifest, Identified, ProviderManifest } from '../domain/manifest.ts';
import type { Observation } from '../domain/observation.ts';
import type { Target } from '../domain/plan.ts';
import type { Secret } from '../domain/secret.ts';
import type { OwnThing } from '../domain/self.ts';

/** What the engine lends a provider while one step runs. */
export interface StepContext {
  readonly incident: string;
  readonly run: string;
  readonly step: string;
  /** Aborted when the activity is cancelled or loses its lease; stop between two writes, never within one. */
  readonly signal: AbortSignal;
  /** Call at least every few seconds while waiting. */
  heartbeat(detail?: unknown): void;
  /** Milliseconds: how long a change takes to be effective here, how far the log is behind, and the margin on top. */
  readonly timing: {
    readonly propagationMs: number;
    readonly logLagMs: number;
    readonly marginMs: number;
    readonly pollMs: number;
    readonly giveUpMs: number;
  };
  readonly sealing: Sealing;
  /** The step's own parameters and what earlier mints made, by step id. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly made: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The consumers and stores the plan's inventory record declares. */
  readonly inventory: { readonly consumers: readonly Consumer[]; readonly stores: readonly Store[] };
  /** The accepted approvals of the step's gate, by person: what a step done by hand stands on. None where silence opened the gate. */
  readonly attested?: readonly { readonly by: string; readonly at: string }[];
  /** Waits, heartbeating, until `ms` have passed or the signal aborts (then it throws). */
  sleep(ms: number): Promise<void>;
}

/** Opens and seals secrets for one worker. Opening needs the worker's own private key; sealing only somebody's public one. */
export interface Sealing {
  /** Opens a blob sealed to this worker. Throws `record.missing`, `record.unreadable` or `key.missing`. */
  open(hash: Hash, keyId: string, context: CredentialRef | string): Promise<Secret>;
  /** Seals to the sealing key of a provider and account as the trust file has it, and stores the blob. Returns the reference. */
  seal(secret: Secret, to: { provider: string; account: string }, context: CredentialRef | string): Promise<{ hash: Hash; keyId: string }>;
  /** Deletes a sealed blob after its last use. */
  shred(hash: Hash): Promise<void>;
}

/** What `apply` answers. */
export interface Applied {
  readonly outcome: Outcome;
  /** When the API said yes, by the provider's clock. */
  readonly acceptedAt: string;
  readonly requestIds: readonly string[];
  /** A mint's references; never a secret. */
  readonly made?: Readonly<Record<string, string>>;
  readonly descendantsDieAt?: string;
  readonly residual?: Residual;
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** What `probe` answers: whether the change is in effect. `effectiveAt` by the provider's clock, where yes. */
export interface Probed {
  readonly observation: Observation;
  readonly effectiveAt?: string;
  readonly requestIds: readonly string[];
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** What `revert` answers. `residual`: what must stand on, and until when. */
export interface Reverted {
  readonly outcome: Outcome;
  readonly requestIds: readonly string[];
  readonly observation: Observation;
  readonly residual?: Residual;
  readonly facts?: Readonly<Record<string, unknown>>;
}

/**
 * One thing a provider can do. `capture` is read-only and returns all that `revert` will need, without a secret. `apply` twice is `apply` once, and
 * survives a lost reply. A target that is gone already is the success `absent`. `revert` needs only what `capture` wrote down, is harmless without an apply, and
 * throws `provider.conflict` rather than overwrite somebody's later change. `probe` says whether the change is in effect, `unknown` included.
 * Every failure is a Fault with one of the `provider.*` codes; what is not recognised is `provider.uncertain`.
 */
export interface Action<Before = unknown> {
  readonly manifest: ActionManifest;
  capture(target: Target, context: StepContext): Promise<Before>;
  apply(target: Target, before: Before, context: StepContext): Promise<Applied>;
  probe(target: Target, before: Before, context: StepContext): Promise<Probed>;
  /** Whether anything of what `apply` did is still there, for a step whose undo a person has finished by hand. Where it is not there, that is what `probe` sees. */
  stands?(target: Target, before: Before, context: StepContext): Promise<Probed>;
  revert?(target: Target, before: Before, context: StepContext): Promise<Reverted>;
}

/** What a provider is asked to look at. */
export interface Look {
  readonly credential: CredentialRef;
  readonly depth: 'minimal' | 'full';
  /** The leaked secret, where one was sealed to us and policy allows the one active probe. */
  readonly secret?: Secret;
  readonly since?: string;
  readonly containedAt?: string;
  readonly known: readonly string[];
  readonly ours: readonly Readonly<Record<string, string>>[];
  /** Whether the engine itself made the credential of that id, in whichever incident, by its own signed record. */
  made?(id: string): Promise<boolean>;
  readonly inventory: { readonly consumers: readonly Consumer[]; readonly stores: readonly Store[] };
  readonly signal: AbortSignal;
  heartbeat(detail?: unknown): void;
  sleep(ms: number): Promise<void>;
  readonly timing: StepContext['timing'];
}

/** A finding, and the before-states of the containment it might lead to, by `stepKey`. */
export interface Looked {
  readonly finding: ProviderFinding;
  readonly befores: Readonly<Record<string, unknown>>;
  /** Evidence worth keeping: policies as they stood, key listings, log events with session tokens taken out. */
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** One thing that a doctor looked at. `yes`: it is as it should be. `breaks`: what does not work, or is not seen, where it is not so. */
export interface Examined {
  readonly what: string;
  readonly observation: Observation;
  readonly breaks: string;
  readonly remedy?: string;
}

/** What a doctor knows that the provider cannot: whose credentials the inventory names here, and which principals a hold of ours claims. */
export interface Examination {
  readonly principals: readonly string[];
  /** Ids of principals that a principal-hold stands for; undefined where that could not be asked. */
  readonly held?: readonly string[];
  readonly signal: AbortSignal;
}

/** A connection with one account, made by `connect`. Actions are keyed by their manifest's name. */
export interface Connection {
  readonly provider: string;
  readonly account: string;
  /** Reachable, whose identity, what is missing; never changes anything. */
  check(): Promise<readonly { readonly what: string; readonly observation: Observation; readonly remedy?: string }[]>;
  /** What a response would stumble over here: permissions, logs, free places, controls that nobody claims, ourselves within reach of what we would contain. Reads and simulations only; never throws for what it finds. */
  examine?(on: Examination): Promise<readonly Examined[]>;
  /** What the engine itself stands on here: its credential, its user or role, the policies and places it lives by. Read-only; no secret in it. Throws where it cannot say. */
  self?(): Promise<readonly OwnThing[]>;
  look(look: Look): Promise<Looked>;
  readonly actions: Readonly<Record<string, Action>>;
  close(): Promise<void>;
}

/**
 * A rehearsal on the real system with a credential that is made for it and is worth nothing. Made with credentials of its own, that may make and remove what is under the drill's path and nothing else; the
 * engine's own are not given such rights for it.
 */
export interface Drill {
  /** What will be made, in words, for whoever has to consent. */
  readonly makes: readonly string[];
  /** Makes it. Whatever was made before a failure is removed by {@link end}. */
  begin(): Promise<{ readonly credential: CredentialRef; readonly secret: Secret; readonly principal: string }>;
  /** One call with the throw-away credential. */
  attempt(): Promise<'accepted' | 'refused' | 'unknown'>;
  /** Whether the provider's log shows that the credential was made. */
  isLogged(): Promise<boolean>;
  /** Removes all that is under the drill's path and bears this drill's name, and says what. May be called again. */
  end(): Promise<readonly string[]>;
}

/** One account of one system, as configured. `credentials` is the parsed content of the account's credentials file. */
export interface AccountConfig {
  readonly provider: string;
  readonly account: string;
  readonly mode: 'observe' | 'propose' | 'act';
  readonly settings: Readonly<Record<string, unknown>>;
  readonly credentials: Readonly<Record<string, Secret>>;
}

/** What `connect` found of an account. */
export interface Discovered {
  readonly account: string;
  /** As whom the credentials act there. */
  readonly identity: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** What was found, and what could not be, in whole sentences. */
  readonly told: readonly string[];
}

/** A system that Tourniquet can act on. */
export interface Provider {
  readonly manifest: ProviderManifest;
  /** Says offline what a locator or text is; undefined if it is none of ours. */
  identify(text: string): Identified | undefined;
  connect(config: AccountConfig): Promise<Connection>;
  /** What an account's entry should say besides where its credentials are: found by reads alone, with what could not be found in words. */
  discover?(config: Omit<AccountConfig, 'account'>, signal: AbortSignal): Promise<Discovered>;
  /** Prepares a rehearsal with the credentials of the configuration given; makes nothing yet. */
  drill?(config: AccountConfig): Drill;
}

export type { Clocks };
