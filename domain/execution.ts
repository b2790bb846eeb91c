import type { Hash } from './canonical.ts';
import type { Residual } from './credential.ts';
import type { ErrorCode } from './errors.ts';
import type { Observation } from './observation.ts';

/** Three kinds of success. */
export const Outcome = { CHANGED: 'changed', ALREADY: 'already', ABSENT: 'absent' } as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** The three clocks of a change, ISO, UTC: when the API said yes, when it took effect, when the last descendant dies. By the provider's clock. */
export interface Clocks {
  readonly acceptedAt: string;
  readonly effectiveAt?: string;
  readonly descendantsDieAt?: string;
}

/**
 * What authorises a change: the plan by hash, the step in it, and the records of the decisions (or of the gate's default) that its gate needs.
 * The provider worker checks all of it against its own copy of trust, people and clock, whoever sends it.
 */
export interface Warrant {
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  /** The stored, signed plan record. */
  readonly plan: Hash;
  readonly step: string;
  /** Records that satisfy the step's gate. */
  readonly decisions: readonly Hash[];
  /** Where the before-state stands: a snapshot record that holds it. */
  readonly snapshot: Hash;
  /** The signed step records of what the step needs, by step id: each says that the need was applied and is in effect. */
  readonly needs?: Readonly<Record<string, Hash>>;
}

/** The argument of an `apply` activity. `made` are the references earlier mints of this plan made, by step id, with the record that says so. */
export interface ApplyInput {
  readonly warrant: Warrant;
  readonly made: Readonly<Record<string, Hash>>;
  /** Other incidents that hold the principal: what would lift a control then leaves it, and says so. */
  readonly heldBy?: readonly string[];
}

/** What an `apply` leaves in history; the record holds the rest. */
export interface ApplyResult {
  readonly record: Hash;
  readonly outcome: Outcome;
  readonly observation: Observation;
  readonly clocks: Clocks;
  readonly made?: Readonly<Record<string, string>>;
  /** What the step leaves standing, and until when. */
  readonly residual?: Residual;
}

/** The argument of a `revert`: the warrant of the step, and as `because` the record of the signed rollback or dismissal. Nothing else authorises one, a failed step neither. */
export interface RevertInput {
  readonly warrant: Warrant;
  readonly because: Hash;
  /** The step record of the apply, where there is one: a lost reply leaves none. */
  readonly applied?: Hash;
  readonly made: Readonly<Record<string, Hash>>;
  /** See {@link ApplyInput}. */
  readonly heldBy?: readonly string[];
}

export interface RevertResult {
  readonly record: Hash;
  readonly outcome: Outcome;
  readonly observation: Observation;
  readonly residual?: Residual;
}

/** Body of a `step` record: what a step did, and how we know. `requestIds` are the provider's own. */
export interface StepRecord {
  readonly plan: Hash;
  readonly step: string;
  readonly action: string;
  /** `inspect`: somebody said that it was finished by hand, and the worker looked. */
  readonly direction: 'apply' | 'revert' | 'inspect';
  readonly attempt: number;
  readonly outcome?: Outcome;
  readonly observation: Observation;
  readonly clocks?: Clocks;
  readonly made?: Readonly<Record<string, string>>;
  readonly requestIds: readonly string[];
  readonly residual?: Residual;
  /** The standing authorisation that was the leave for it, where no person gave any. */
  readonly authorisation?: Hash;
  readonly failure?: { readonly code: ErrorCode; readonly words: string };
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** Body of a `refusal` record: something that reached a worker without right. */
export interface RefusalRecord {
  readonly code: ErrorCode;
  readonly attempted: string;
  readonly words: string;
  readonly by: string;
}
