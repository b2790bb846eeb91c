import { type Hash, hashOf } from './canonical.ts';
import type { CredentialRef, Residual } from './credential.ts';
import type { GateRule, Mode } from './policy.ts';

export const Phase = {
  CONTAIN: 'contain',
  MINT: 'mint',
  DISTRIBUTE: 'distribute',
  VERIFY: 'verify',
  REVOKE: 'revoke',
  WATCH: 'watch',
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

/** Why a gate is there. */
export const GateReason = { OUTAGE: 'outage', IRREVERSIBLE: 'irreversible', PROTECTED: 'protected', MANUAL: 'manual' } as const;
export type GateReason = (typeof GateReason)[keyof typeof GateReason];

/** What a step acts on: exact identifiers only, never a prefix or a wildcard. */
export type Target = Readonly<Record<string, string>>;

/**
 * One step of a plan. `action` is `provider/action`; `account` says which provider worker. `needs` are ids of steps that must be done before.
 * `hold` names the principal-hold that applies it. `affects` are consumer ids that will or may notice; `impact` how much.
 * `params` are the action's further arguments, without secrets.
 */
export interface PlanStep {
  readonly id: string;
  readonly action: string;
  readonly provider: string;
  readonly account: string;
  readonly target: Target;
  readonly params: Readonly<Record<string, unknown>>;
  readonly title: string;
  readonly phase: Phase;
  readonly needs: readonly string[];
  readonly reversibility: 'reversible' | 'irreversible';
  readonly impact: 'none' | 'possible' | 'outage';
  readonly affects: readonly string[];
  readonly gate?: string;
  readonly hold?: string;
  /** The action whose control on the hold this step takes off, and the one that takes off what it puts on; without the provider's name. Left out where `domain/lifts.ts` knows it. */
  readonly lifts?: string;
  readonly liftedBy?: string;
  /** A standing authorisation, by hash: with it what cannot be undone is done though nobody is asked, or nobody answers. */
  readonly authorisation?: Hash;
  /** What a person would type instead. */
  readonly byHand: string;
  /** What a person would type to take it back; left out where nothing is typed for that. */
  readonly byHandUndo?: string;
}

/** A question to people. Deadlines count from its opening. `barred` may not answer it. */
export interface PlanGate {
  readonly id: string;
  readonly reason: GateReason;
  readonly question: string;
  readonly rule: GateRule;
  readonly barred: readonly string[];
}

/** What a consumer is predicted to lose. Seconds; `to` undefined: until a person acts. */
export interface PredictedOutage {
  readonly consumer: string;
  readonly because: string;
  readonly fromStep: string;
  readonly untilStep?: string;
  readonly seconds?: number;
}

/** Body of a `plan` record, and what decisions sign the hash of. A pure function of assessment, verdict and what is done. */
export interface Plan {
  readonly v: 1;
  readonly engine: string;
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly credential: CredentialRef;
  readonly purpose: 'contain' | 'rotate' | 'release' | 'manual' | 'nothing';
  readonly mode: Mode;
  readonly assessment: Hash;
  readonly verdict: Hash;
  readonly snapshot?: Hash;
  readonly gates: readonly PlanGate[];
  readonly steps: readonly PlanStep[];
  readonly predicted: readonly PredictedOutage[];
  readonly residuals: readonly Residual[];
  /** Why there is nothing to do, or what is awaited, in whole sentences. */
  readonly notes: readonly string[];
  readonly issuedAt: string;
  readonly expiresAt: string;
}

/** The hash a decision signs: of the plan itself, without the envelope around it. */
export function planHash(plan: Plan): Hash {
  return hashOf(plan);
}

/** The key under which a before-state is kept: of action and target, so that a snapshot serves a plan made after it. */
export function stepKey(action: string, target: Target): string {
  return hashOf({ action, target });
}

/** A step that earlier rounds have finished, as the planner sees it. */
export interface DoneStep {
  readonly round: number;
  readonly step: PlanStep;
  readonly state: 'done' | 'failed' | 'undone' | 'skipped' | 'stuck';
  /** Made by a mint: the reference, never the secret. */
  readonly made?: Readonly<Record<string, string>>;
  /** By the provider's clock. */
  readonly effectiveAt?: string;
  readonly residual?: Residual;
  /** A person refused the step; it is not planned again unasked. */
  readonly refusedBy?: string;
  /** The records that bear it out: the plan it is of, its apply, its undo, and the decision by which somebody refused it. */
  readonly plan?: Hash;
  readonly record?: Hash;
  readonly undo?: Hash;
  readonly because?: Hash;
}
