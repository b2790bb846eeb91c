import type { Hash } from './canonical.ts';
import type { Pace } from './configuration.ts';
import type { CredentialRef, Residual } from './credential.ts';
import type { DecisionRuling, GateStanding, SignedDecision } from './decision.ts';
import type { ErrorCode } from './errors.ts';
import type { ApplyInput, ApplyResult, RevertInput, RevertResult, Warrant } from './execution.ts';
import type { Observation } from './observation.ts';
import type { DoneStep, Plan, PlanGate, PlanStep, PredictedOutage } from './plan.ts';
import type { Mode } from './policy.ts';
import type { ChainEntry, RecordType } from './record.ts';
import type { SealedRef, Sighting } from './report.ts';
import type { Extent, GateState, IncidentState, StepState } from './states.ts';

/** Names of workflows, signals, updates and queries. Whoever talks to the engine needs these and nothing of `workflows`. */
export const WorkflowName = { LEAK_RESPONSE: 'leakResponse', PRINCIPAL_HOLD: 'principalHold', ARCHIVE: 'archive' } as const;
export const SignalName = { SIGHTING: 'sighting', APPROVE: 'approve', REJECT: 'reject', ROLLBACK: 'rollback' } as const;
export const UpdateName = { DECIDE: 'decide', HOLD: 'hold', FINISH: 'finish' } as const;
export const QueryName = { STATUS: 'status', CHAIN: 'chain', HELD: 'held' } as const;

/** Search attributes, all of type Keyword; they are never encrypted and hold nothing but states. */
export const SearchAttribute = {
  STATE: 'TourniquetState',
  KIND: 'TourniquetKind',
  CONTAINED: 'TourniquetContained',
  STUCK: 'TourniquetStuck',
} as const;

/** A line of the incident's timeline: what was done or said, by whom, when (ISO, UTC, the workflow's clock). */
export interface TimelineEntry {
  readonly at: string;
  readonly who: string;
  readonly what: string;
  readonly record?: Hash;
}

export interface StepStatus {
  readonly id: string;
  readonly title: string;
  readonly action: string;
  readonly phase: string;
  readonly state: StepState;
  readonly gate?: string;
  readonly reversibility: 'reversible' | 'irreversible';
  readonly impact: string;
  readonly outcome?: string;
  readonly observation?: Observation;
  readonly effectiveAt?: string;
  readonly failure?: { readonly code: ErrorCode; readonly words: string };
  /** For a stuck step: what is left and how to finish by hand. */
  readonly byHand?: string;
}

export interface GateStatus extends PlanGate {
  readonly state: GateState;
  readonly openedAt?: string;
  readonly deadlineAt?: string;
  readonly approvals: readonly string[];
}

/** Answer of the `status` query: all that `show`, `watch` and `plan` need. Nothing in it is secret. */
export interface IncidentStatus {
  readonly v: 1;
  readonly id: string;
  readonly run: string;
  readonly engine: string;
  readonly credential: CredentialRef;
  readonly account?: string;
  readonly state: IncidentState;
  readonly contained: Extent;
  readonly rotated: Extent;
  readonly round: number;
  readonly sightings: number;
  readonly live: Observation;
  readonly mode?: Mode;
  readonly rule?: string;
  readonly plan?: Plan;
  readonly planHash?: Hash;
  readonly planRecord?: Hash;
  readonly gates: readonly GateStatus[];
  /** Steps of the present round. */
  readonly steps: readonly StepStatus[];
  /** Steps of earlier rounds, as they ended. */
  readonly earlier: readonly (StepStatus & { readonly round: number })[];
  readonly residuals: readonly Residual[];
  readonly predicted: readonly PredictedOutage[];
  readonly refused: readonly DecisionRuling[];
  readonly timeline: readonly TimelineEntry[];
  readonly head: Hash;
  readonly records: number;
  readonly startedAt: string;
  readonly firstChangeAt?: string;
  readonly containedAt?: string;
  readonly rotatedAt?: string;
  readonly previousRun?: string;
  /** Grows with every change of the state, so that a watcher can tell whether anything is new. */
  readonly revision: number;
}

/** The result of a run: where it ended, and the chain's head. */
export interface IncidentResult {
  readonly id: string;
  readonly run: string;
  readonly state: IncidentState;
  readonly contained: Extent;
  readonly rotated: Extent;
  readonly residuals: readonly Residual[];
  readonly head: Hash;
  readonly chain: readonly ChainEntry[];
}

// ---- activities of the judge (queue `tourniquet`) ----

export interface ReceiveInput {
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly sightings: readonly Sighting[];
  /** Reports received before: exposure and the rest are judged over all of them, so that facts only rise. */
  readonly earlier: readonly Hash[];
  /** Messages that could not be read, as far as they could be described. */
  readonly undecodable: number;
  /** What else came and was refused before it could be read: in a few words each. */
  readonly strange?: readonly string[];
  /** True in the first round: look up the run before this one. */
  readonly opening: boolean;
}
export interface ReceiveResult {
  readonly reports: readonly Hash[];
  /** Records of what reached the run and could not be read. */
  readonly refusals: readonly Hash[];
  readonly inventory: Hash;
  readonly credential: CredentialRef;
  readonly provider: string;
  readonly account: string;
  /** False where no provider worker is configured for it: the `manual` provider takes it. */
  readonly handled: boolean;
  /** Every sealed secret that came with a report so far. */
  readonly sealed: readonly SealedRef[];
  /** Whether the first look may be the minimal one: a secret is at hand and policy might act at once. */
  readonly depth: 'minimal' | 'full';
  readonly exposedSince?: string;
  readonly previousRun?: string;
  readonly recheckMs: number;
  /** Nothing proves it, and so many such reports have come that its turn to be looked at is then, ISO. */
  readonly lookAt?: string;
  /** How patient the run is with what does not answer. */
  readonly pace: Pace;
  /** How bad the worst sighting is; a higher one than before makes the loop assess and judge again. */
  readonly weight: number;
}

export interface JudgeInput {
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly reports: readonly Hash[];
  readonly inventory: Hash;
  readonly finding: Hash;
  readonly snapshot: Hash;
  /** Node ids known before this round. */
  readonly known: readonly string[];
  readonly done: readonly DoneStep[];
  readonly previousPlan?: Hash;
  readonly previousVerdict?: Hash;
  /** A person has rolled the incident back: nothing is planned but what lifts dated residuals. */
  readonly rolledBack: boolean;
}
export interface JudgeResult {
  readonly assessment: Hash;
  readonly verdict: Hash;
  readonly plan: Hash;
  readonly planHash: Hash;
  readonly content: Plan;
  readonly mode: Mode;
  readonly rule: string;
  readonly live: Observation;
  readonly contained: Extent;
  readonly rotated: Extent;
  readonly nodes: readonly string[];
  /** Whether the sweep of this round counts. */
  readonly swept: Observation;
  /** The sweep found what the round before did not know: it is swept once more at once. */
  readonly again: boolean;
  /** Nothing lives, nothing is owed and the sweep counts: the incident may close once no residual is left. */
  readonly settled: boolean;
  /** When the provider's clock says a residual may be taken up again, ISO; undefined where none is dated. */
  readonly nextAt?: string;
}

export interface RuleInput {
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  /** As it came; anything. */
  readonly signed: unknown;
  readonly via: 'decide' | 'approve' | 'reject' | 'rollback';
  readonly receivedAt: string;
  readonly plan?: Hash;
  readonly planHash?: Hash;
  readonly standing: readonly GateStanding[];
  /** Something has been applied that could be taken back. */
  readonly undoable: boolean;
  readonly standsOn: readonly Hash[];
}

export interface GateEventInput {
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly plan: Hash;
  readonly planHash: Hash;
  readonly gate: string;
  readonly event: 'opened' | 'reminded' | 'escalated' | 'defaulted' | 'extended';
  readonly openedAt: string;
  readonly deadlineAt: string;
}
export interface GateEventResult {
  readonly record: Hash;
  readonly told: readonly string[];
  /** Whether silence counts: a delivery was acknowledged. */
  readonly acknowledged: boolean;
}

export interface HoldInput {
  readonly principal: string;
  readonly provider: string;
  readonly account: string;
  /** The action's name without the provider's, e.g. `deny-principal`. */
  readonly action: string;
  /** The action whose control it takes off, where the step says so. */
  readonly lifts?: string;
  readonly direction: 'apply' | 'revert';
  readonly apply?: ApplyInput;
  readonly revert?: RevertInput;
  readonly pace?: Pace;
}

/** Which of the runs named are over: `<workflow id>|<run id>` each. */
export interface EndedInput {
  readonly runs: readonly string[];
}
export interface EndedResult {
  readonly ended: readonly string[];
}

/** What `finish` asks for: that a stuck step is looked at again, since somebody has finished it by hand. */
export interface FinishRequest {
  readonly step: string;
}
/** What came of it. `finished` only where the provider's worker has seen that nothing of the step stands any more. */
export interface FinishResult {
  readonly step: string;
  readonly finished: boolean;
  readonly why: string;
  readonly observation?: Observation;
  readonly record?: Hash;
}

/** Who holds a principal. `holders`: by action, the run of each incident that holds it so. `orphaned`: controls whose last holder ended without lifting them. */
export interface HoldStatus {
  readonly holders: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly orphaned: Readonly<Record<string, string>>;
}

export interface ReviewInput {
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly state: IncidentState;
  readonly contained: Extent;
  readonly rotated: Extent;
  readonly done: readonly DoneStep[];
  readonly residuals: readonly Residual[];
  readonly chain: readonly ChainEntry[];
  readonly assessment?: Hash;
  readonly startedAt: string;
  readonly firstChangeAt?: string;
  readonly containedAt?: string;
  readonly rotatedAt?: string;
}

export interface ExportInput {
  readonly incident: string;
  readonly run: string;
  /** Wait for the run to end; otherwise the bundle is of the run as it stands. */
  readonly untilEnded?: boolean;
  readonly pace?: Pace;
}
export interface ExportResult {
  /** Where the bundle lies in the store. */
  readonly bundle: Hash;
  readonly events: number;
}

/** What the judge does. */
export interface JudgeActivities {
  receive(input: ReceiveInput): Promise<ReceiveResult>;
  judge(input: JudgeInput): Promise<JudgeResult>;
  rule(input: RuleInput): Promise<DecisionRuling>;
  recordGate(input: GateEventInput): Promise<GateEventResult>;
  reachHold(input: HoldInput): Promise<ApplyResult | RevertResult>;
  endedHolders(input: EndedInput): Promise<EndedResult>;
  review(input: ReviewInput): Promise<{ readonly record: Hash }>;
  exportBundle(input: ExportInput): Promise<ExportResult>;
}

// ---- activities of a provider worker (queue `tourniquet-<provider>-<account>`) ----

export interface AssessInput {
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly credential: CredentialRef;
  /** Sealed secrets not tried yet. Each is tried once, until one is shown to be the real one. */
  readonly sealed: readonly SealedRef[];
  readonly depth: 'minimal' | 'full';
  readonly inventory: Hash;
  readonly reports: readonly Hash[];
  readonly known: readonly string[];
  /** The last containment took effect then, by the provider's clock; the sweep counts once every log has passed it. */
  readonly containedAt?: string;
  readonly exposedSince?: string;
  /** The step records of earlier mints, by step id, so that our own new credential is not taken for the attacker's. */
  readonly made: Readonly<Record<string, Hash>>;
}
export interface AssessResult {
  readonly finding: Hash;
  readonly snapshot: Hash;
  readonly live: Observation;
  readonly nodes: readonly string[];
  readonly swept: Observation;
}

export interface CaptureInput {
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly plan: Hash;
  readonly steps: readonly string[];
}

/** Look whether what a step did still stands; changes nothing and needs no warrant. */
export interface InspectInput {
  readonly warrant: Warrant;
  readonly made: Readonly<Record<string, Hash>>;
}
export interface InspectResult {
  readonly record: Hash;
  /** Whether the step's change is in effect. */
  readonly observation: Observation;
}

/** What a provider worker does. Only `apply` and `revert` change anything, and only with a warrant. */
export interface ProviderActivities {
  assess(input: AssessInput): Promise<AssessResult>;
  capture(input: CaptureInput): Promise<{ readonly snapshot: Hash }>;
  apply(input: ApplyInput): Promise<ApplyResult>;
  revert(input: RevertInput): Promise<RevertResult>;
  inspect(input: InspectInput): Promise<InspectResult>;
}

/** For the principal-hold: what it answers to `hold`. */
export type HoldAnswer = ApplyResult | RevertResult;

export type { PlanStep, RecordType, SignedDecision };
