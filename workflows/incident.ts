import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { type CancellationScope, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { Hash } from '../domain/canonical.ts';
import { type Pace, usualPace } from '../domain/configuration.ts';
import type { Residual } from '../domain/credential.ts';
import type { DecisionRuling } from '../domain/decision.ts';
import {
  type GateStatus,
  type IncidentStatus,
  type JudgeResult,
  type ReceiveResult,
  SearchAttribute,
  type StepStatus,
  type TimelineEntry,
} from '../domain/messages.ts';
import { type Observation, unknown } from '../domain/observation.ts';
import type { DoneStep, PlanStep } from '../domain/plan.ts';
import { type ChainEntry, extendChain, headOf, type RecordType } from '../domain/record.ts';
import type { Sighting } from '../domain/report.ts';
import { type Extent, type IncidentState, moveIncident, moveStep, type StepState } from '../domain/states.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A message with a decision in it, waiting to be ruled on. `answer` is set for an update, which waits for it. */
export interface InboxEntry {
  readonly signed: unknown;
  readonly via: 'decide' | 'approve' | 'reject' | 'rollback';
  readonly receivedAt: string;
  ruling?: DecisionRuling;
}

/** A step as the run knows it: its state, and what its apply left. */
export interface StepCourse {
  readonly step: PlanStep;
  readonly round: number;
  readonly status: Mutable<StepStatus>;
  /** The record of the apply, where one came back. */
  record?: Hash;
  made?: Readonly<Record<string, string>>;
  effectiveAt?: string;
  acceptedAt?: string;
  residual?: Residual;
  refusedBy?: string;
  /** It cannot be undone, it failed, and whether it was done all the same is not known. */
  perhaps?: boolean;
  /** Why it was left as it is, as last said. */
  kept?: string;
  /** The record of its undo, and of the decision by which it was refused or taken back. */
  undo?: Hash;
  because?: Hash;
  readonly warrant: { readonly plan: Hash; snapshot: Hash };
  /** While its apply runs: what interrupts it. */
  scope?: CancellationScope;
  /** While somebody's word that it was finished by hand is looked into. */
  inspected?: boolean;
}

const attributes = {
  state: defineSearchAttributeKey(SearchAttribute.STATE, SearchAttributeType.KEYWORD),
  kind: defineSearchAttributeKey(SearchAttribute.KIND, SearchAttributeType.KEYWORD),
  contained: defineSearchAttributeKey(SearchAttribute.CONTAINED, SearchAttributeType.KEYWORD),
  stuck: defineSearchAttributeKey(SearchAttribute.STUCK, SearchAttributeType.KEYWORD),
};

/** The clock of the run, ISO, UTC; deterministic. */
export const now = (): string => new Date().toISOString();

/** The whole state of one run. Handlers put messages in synchronously; the run's own coroutines do the rest. */
export class Incident {
  readonly id = workflowInfo().workflowId;
  readonly run = workflowInfo().runId;
  readonly startedAt = now();
  state: IncidentState = 'assessing';
  contained: Extent = 'unknown';
  rotated: Extent = 'no';
  round = 0;
  live: Observation = unknown(this.startedAt, 'engine', 'not yet assessed');

  /** Sightings not yet received; and how many messages could not be read at all. */
  readonly sightings: Sighting[] = [];
  /** Hashes of the sealed secrets that have been tried; none is tried twice. */
  readonly tried = new Set<string>();
  /** Ids of the reports that have come. */
  readonly seen = new Set<string>();
  undecodable = 0;
  /** Names of messages that this run does not know, not yet on record; and how many more came than are named. */
  readonly strange: string[] = [];
  strangeMore = 0;
  /** What the judge said of the reports could not be used: it is asked again. */
  renew = false;
  sightingCount = 0;
  readonly inbox: InboxEntry[] = [];

  received: ReceiveResult | undefined;
  readonly reports: Hash[] = [];
  judged: JudgeResult | undefined;
  known: readonly string[] = [];

  gates = new Map<string, Mutable<GateStatus>>();
  /** Records that satisfy a gate of the present plan. */
  gateRecords = new Map<string, Hash[]>();
  /** Who rejected a gate, by its id. */
  readonly refusedAt = new Map<string, { readonly by: string; readonly record: Hash }>();
  courses: StepCourse[] = [];
  readonly past: StepCourse[] = [];

  readonly refused: DecisionRuling[] = [];
  rollback: { record: Hash; by: string } | undefined;
  dismissal: { record: Hash; by: string } | undefined;
  /** What a rollback came to, as last said. */
  cameTo = '';
  /** The rollback or dismissal has been carried out; what is planned after it only lifts residuals. */
  unwound = false;
  /** A worse sighting came: finish what runs, then assess again. */
  reassess = false;
  /** Somebody spoke: a watching incident looks at once. */
  stirred = false;
  ended = false;

  chain: ChainEntry[] = [];
  readonly timeline: TimelineEntry[] = [];
  residuals: readonly Residual[] = [];
  firstChangeAt: string | undefined;
  containedAt: string | undefined;
  rotatedAt: string | undefined;
  revision = 0;

  #shown = '';

  /** Enters a record in the chain. */
  enter(type: RecordType, record: Hash): void {
    this.chain.push(extendChain(this.chain, type, record));
    this.revision++;
  }

  /** Adds a line to the timeline; the oldest lines go when there are very many, the records stay. */
  note(who: string, what: string, record?: Hash): void {
    this.timeline.push({ at: now(), who, what, ...(record ? { record } : {}) });
    if (this.timeline.length > 400) this.timeline.splice(50, 1);
    this.revision++;
  }

  move(to: IncidentState): void {
    if (to === this.state) return;
    this.state = moveIncident(this.state, to);
    this.revision++;
  }

  moveStep(course: StepCourse, to: StepState): void {
    course.status.state = moveStep(course.status.state, to);
    this.revision++;
  }

  /** Makes the list show what is true, in one event and only where something changed. */
  show(): void {
    const stuck =
      this.state === 'stuck' || [...this.courses, ...this.past].some((course) => course.status.state === 'stuck') ? 'yes' : 'no';
    const shown = `${this.state}|${this.contained}|${stuck}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    upsertSearchAttributes([
      { key: attributes.state, value: this.state },
      { key: attributes.kind, value: this.received?.credential.kind ?? 'unknown' },
      { key: attributes.contained, value: this.contained },
      { key: attributes.stuck, value: stuck },
    ]);
  }

  get all(): readonly StepCourse[] {
    return [...this.past, ...this.courses];
  }

  /** Whether anything has been applied that a rollback could take back. */
  get undoable(): boolean {
    return this.all.some(
      (course) =>
        (course.status.state === 'done' || course.status.state === 'failed' || course.status.state === 'stuck') &&
        course.step.reversibility === 'reversible',
    );
  }

  /** What the planner is told of earlier steps. */
  get done(): DoneStep[] {
    const out: DoneStep[] = [];
    for (const course of this.all) {
      const state = course.status.state;
      if (state !== 'done' && state !== 'failed' && state !== 'undone' && state !== 'skipped' && state !== 'stuck') continue;
      out.push({
        round: course.round,
        step: course.step,
        state,
        ...(course.made ? { made: course.made } : {}),
        ...(course.effectiveAt ? { effectiveAt: course.effectiveAt } : {}),
        ...(course.residual ? { residual: course.residual } : {}),
        ...(course.refusedBy ? { refusedBy: course.refusedBy } : {}),
        plan: course.warrant.plan,
        ...(course.record ? { record: course.record } : {}),
        ...(course.undo ? { undo: course.undo } : {}),
        ...(course.because ? { because: course.because } : {}),
      });
    }
    return out;
  }

  /** The latest moment at which something that contains took effect; by the provider's clock. */
  get lastContainment(): string | undefined {
    let latest: string | undefined;
    for (const course of this.all) {
      const containing = course.step.phase === 'contain' || course.step.phase === 'revoke';
      if (!containing || course.status.state !== 'done' || !course.effectiveAt) continue;
      if (!latest || Date.parse(course.effectiveAt) > Date.parse(latest)) latest = course.effectiveAt;
    }
    return latest;
  }

  /** No new step may start: somebody called the whole off, or the situation has become worse and is judged again. */
  get halted(): boolean {
    return this.reassess || (!this.unwound && (this.rollback !== undefined || this.dismissal !== undefined));
  }

  /** How patient to be; the judge says so with the first report. */
  get pace(): Pace {
    return this.received?.pace ?? usualPace;
  }

  /** Interrupts what runs, since the whole was called off. What it may have done is then taken back. */
  callOff(): void {
    for (const course of this.courses) course.scope?.cancel();
  }

  /** Whether anything waits to be received. */
  get unheard(): boolean {
    return this.sightings.length > 0 || this.undecodable > 0 || this.strange.length > 0 || this.renew;
  }

  status(engine: string): IncidentStatus {
    const { received, judged } = this;
    return {
      v: 1,
      id: this.id,
      run: this.run,
      engine,
      credential: received?.credential ?? this.sightings[0]?.report.credential ?? { kind: 'unknown', locator: {} },
      ...(received ? { account: received.account } : {}),
      state: this.state,
      contained: this.contained,
      rotated: this.rotated,
      round: this.round,
      sightings: this.sightingCount,
      live: this.live,
      ...(judged ? { mode: judged.mode, rule: judged.rule, plan: judged.content, planHash: judged.planHash, planRecord: judged.plan } : {}),
      gates: [...this.gates.values()],
      steps: this.courses.map((course) => course.status),
      earlier: this.past.map((course) => ({ ...course.status, round: course.round })),
      residuals: this.residuals,
      predicted: judged?.content.predicted ?? [],
      refused: this.refused,
      timeline: this.timeline,
      head: headOf(this.chain),
      records: this.chain.length,
      startedAt: this.startedAt,
      ...(this.firstChangeAt ? { firstChangeAt: this.firstChangeAt } : {}),
      ...(this.containedAt ? { containedAt: this.containedAt } : {}),
      ...(this.rotatedAt ? { rotatedAt: this.rotatedAt } : {}),
      ...(received?.previousRun ? { previousRun: received.previousRun } : {}),
      revision: this.revision,
    };
  }
}
