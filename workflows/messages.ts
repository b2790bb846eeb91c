import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { DecisionRuling, SignedDecision } from '../domain/decision.ts';
import { type HoldAnswer, type HoldInput, type IncidentStatus, QueryName, SignalName, UpdateName } from '../domain/messages.ts';
import type { ChainEntry } from '../domain/record.ts';
import type { Sighting } from '../domain/report.ts';

export const sightingSignal = defineSignal<[Sighting]>(SignalName.SIGHTING);
export const approveSignal = defineSignal<[SignedDecision]>(SignalName.APPROVE);
export const rejectSignal = defineSignal<[SignedDecision]>(SignalName.REJECT);
export const rollbackSignal = defineSignal<[SignedDecision]>(SignalName.ROLLBACK);
export const decideUpdate = defineUpdate<DecisionRuling, [SignedDecision]>(UpdateName.DECIDE);
export const holdUpdate = defineUpdate<HoldAnswer, [HoldInput & { readonly key: string }]>(UpdateName.HOLD);
export const statusQuery = defineQuery<IncidentStatus>(QueryName.STATUS);
export const chainQuery = defineQuery<readonly ChainEntry[]>(QueryName.CHAIN);
