import type { Assessment, InventoryFinding, ProviderFinding, Snapshot } from './assessment.ts';
import type { DecisionRecord, GateRecord } from './decision.ts';
import type { RefusalRecord, StepRecord } from './execution.ts';
import type { Plan } from './plan.ts';
import type { Verdict } from './policy.ts';
import type { RecordOf, RecordType } from './record.ts';
import type { ReportRecord } from './report.ts';
import type { Review } from './review.ts';
import type { SelfRecord } from './self.ts';

/** The body of each type of record. */
export interface RecordBodies {
  readonly report: ReportRecord;
  readonly inventory: InventoryFinding;
  readonly finding: ProviderFinding;
  readonly assessment: Assessment;
  readonly verdict: Verdict;
  readonly snapshot: Snapshot;
  readonly plan: Plan;
  readonly gate: GateRecord;
  readonly decision: DecisionRecord;
  readonly step: StepRecord;
  readonly refusal: RefusalRecord;
  readonly review: Review;
  readonly self: SelfRecord;
}

/** A record of any type; its `type` tells its body. */
export type AnyRecord = { [T in RecordType]: RecordOf<T, RecordBodies[T]> }[RecordType];

/** A record of that type. */
export type RecordAs<T extends RecordType> = Extract<AnyRecord, { readonly type: T }>;
