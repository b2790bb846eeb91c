import type { InventoryFinding } from './assessment.ts';
import type { Verdict } from './policy.ts';

/** What a condition of the policy can ask about, with the words each answer can be. `unknown` is a word of its own everywhere. */
export const situationWords = {
  proof: ['possession', 'issuer-signed', 'person-signed', 'claim'],
  exposure: ['public', 'internal', 'unknown'],
  live: ['yes', 'no', 'unknown'],
  misused: ['yes', 'no', 'unknown'],
  foreign: ['yes', 'no', 'unknown'],
  privilege: ['administrator', 'elevated', 'ordinary', 'unknown'],
} as const;
type Words = typeof situationWords;

/**
 * The situation of an incident as policy sees it. `live` is as it was before the engine touched it, so that a verdict does not fall because it was carried out.
 * `standing` counts what the leak made and is not contained.
 */
export interface Situation extends Readonly<{ [K in keyof Words]: Words[K][number] }> {
  readonly kind: string;
  readonly provider: string;
  readonly account: string;
  /** A provider knows what to do with it. */
  readonly handled: boolean;
  /** It can be stopped in a way that can be taken back. */
  readonly reversible: boolean;
  readonly canary: boolean;
  /** Somebody said it must not be touched unasked. */
  readonly protected: boolean;
  /** The engine itself stands on it. */
  readonly own: boolean;
  /** Nobody who reported it signed. */
  readonly unsigned: boolean;
  readonly standing: number;
  readonly consumers: { readonly total: number; readonly production: number; readonly internal: number; readonly test: number };
  readonly budget: { readonly spent: boolean };
  /** Tags that the inventory gives its principal, or a consumer of it. */
  readonly tags?: readonly string[];

  // What follows is no condition's business.
  /** Names of the leaked credential and its principal, to be found in lists of protected things. */
  readonly identifiers: readonly string[];
  readonly protectedTargets: readonly string[];
  /** Names with their tags, so that what a tag protects is protected by name in every step. */
  readonly tagged?: NonNullable<InventoryFinding['tagged']>;
  /** All that the engine itself stands on. */
  readonly self?: readonly string[];
  /** The standing authorisation in force for its kind, and why one is not. */
  readonly authorised?: NonNullable<Verdict['authorised']>;
  readonly withheld?: string;
  /** The budget that is spent, by name. */
  readonly budgetName?: string;
  /** Reporters and owner: they decide nothing. */
  readonly barred: readonly string[];
  /** People by role, where known: a quorum never asks for more of them than there are. */
  readonly people?: Readonly<Record<string, readonly string[]>>;
  readonly accounts?: NonNullable<Verdict['accounts']>;
}
