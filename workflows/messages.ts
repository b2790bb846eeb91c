import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { DecisionRuling, SignedDecision } from '../domain/decision.ts';
import {
  type FinishRequest,
  type FinishResult,
  type HoldAnswer,
  type HoldInput,
  type HoldStatus,
  type IncidentStatus,
  QueryName,
  SignalName,
  UpdateName,
} from '../domain/messages.ts';
import type { ChainEntry } from '../domain/record.ts';
import type { Sighting } from '../domain/report.ts';

export const sightingSignal = defineSignal<[Sighting]>(SignalName.SIGHTING);
export const approveSignal = defineSignal<[SignedDecision]>(SignalName.APPROVE);
export const rejectSignal = defineSignal<[SignedDecision]>(SignalName.REJECT);
export const rollbackSignal = defineSignal<[SignedDecision]>(SignalName.ROLLBACK);
export const decideUpdate = defineUpdate<DecisionRuling, [SignedDecision]>(UpdateName.DECIDE);
export const finishUpdate = defineUpdate<FinishResult, [FinishRequest]>(UpdateName.FINISH);
export const holdUpdate = defineUpdate<HoldAnswer, [HoldInput & { readonly key: string }]>(UpdateName.HOLD);
export const statusQuery = defineQuery<IncidentStatus>(QueryName.STATUS);
export const heldQuery = defineQuery<HoldStatus>(QueryName.HELD);
export const chainQuery = defineQuery<readonly ChainEntry[]>(QueryName.CHAIN);
