import type { Assessment, InventoryFinding } from '../domain/assessment.ts';
import type { Hash } from '../domain/canonical.ts';
import type { ProviderManifest } from '../domain/manifest.ts';
import type { DoneStep } from '../domain/plan.ts';
import type { Verdict } from '../domain/policy.ts';
import type { AccountTerms } from './draft.ts';

/** All that a plan is made of. `now` is the judge's clock, ISO; everything else comes from records. */
export interface PlanInput {
  readonly engine: string;
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly now: string;
  readonly assessment: Assessment;
  readonly assessmentHash: Hash;
  readonly verdict: Verdict;
  readonly verdictHash: Hash;
  readonly snapshotHash?: Hash;
  readonly inventory: InventoryFinding;
  readonly done: readonly DoneStep[];
  readonly manifests: Readonly<Record<string, ProviderManifest>>;
  /** Modes of the accounts, and their timing where it is configured. Where the verdict names them, its word counts, as it is in the record. */
  readonly accounts?: readonly AccountTerms[];
  /** A person has rolled the incident back: only what lifts dated residuals is planned. */
  readonly rolledBack?: boolean;
}
