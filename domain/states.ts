import { fault } from './errors.ts';

/** Where an incident stands. `contained` and `rotated` are facts of their own and not states. */
export const IncidentState = {
  ASSESSING: 'assessing',
  DECIDING: 'deciding',
  EXECUTING: 'executing',
  WATCHING: 'watching',
  CLOSED: 'closed',
  DISMISSED: 'dismissed',
  ROLLED_BACK: 'rolled-back',
  STUCK: 'stuck',
} as const;
export type IncidentState = (typeof IncidentState)[keyof typeof IncidentState];

/** Where a step stands. The words and glyphs are the same in the CLI, the report and every page. */
export const StepState = {
  PENDING: 'pending',
  WAITING: 'waiting',
  RUNNING: 'running',
  RETRYING: 'retrying',
  DONE: 'done',
  FAILED: 'failed',
  UNDOING: 'undoing',
  UNDONE: 'undone',
  STUCK: 'stuck',
  SKIPPED: 'skipped',
} as const;
export type StepState = (typeof StepState)[keyof typeof StepState];

/** Where a gate stands. `defaulted`: the deadline passed and what silence means has happened. */
export const GateState = {
  PENDING: 'pending',
  OPEN: 'open',
  APPROVED: 'approved',
  REJECTED: 'rejected',
  DEFAULTED: 'defaulted',
  SUPERSEDED: 'superseded',
} as const;
export type GateState = (typeof GateState)[keyof typeof GateState];

/** How far a fact holds: of containment and of rotation. */
export const Extent = { NO: 'no', PARTIAL: 'partial', YES: 'yes', UNKNOWN: 'unknown' } as const;
export type Extent = (typeof Extent)[keyof typeof Extent];

const incident: Record<IncidentState, readonly IncidentState[]> = {
  assessing: ['deciding', 'executing', 'watching', 'dismissed', 'rolled-back', 'stuck'],
  deciding: ['assessing', 'executing', 'watching', 'dismissed', 'rolled-back', 'stuck'],
  executing: ['assessing', 'deciding', 'watching', 'rolled-back', 'stuck', 'dismissed'],
  watching: ['assessing', 'deciding', 'executing', 'closed', 'dismissed', 'rolled-back', 'stuck'],
  stuck: ['assessing', 'deciding', 'executing', 'watching', 'rolled-back', 'dismissed'],
  closed: [],
  dismissed: [],
  'rolled-back': [],
};

const step: Record<StepState, readonly StepState[]> = {
  pending: ['waiting', 'running', 'skipped'],
  waiting: ['running', 'skipped', 'pending'],
  running: ['done', 'retrying', 'failed', 'stuck'],
  retrying: ['running', 'done', 'failed', 'stuck'],
  done: ['undoing'],
  failed: ['undoing', 'retrying', 'stuck', 'skipped', 'done'],
  undoing: ['undone', 'stuck'],
  undone: [],
  stuck: ['undoing', 'retrying', 'done', 'undone'],
  skipped: [],
};

const gate: Record<GateState, readonly GateState[]> = {
  pending: ['open', 'superseded'],
  open: ['approved', 'rejected', 'defaulted', 'superseded'],
  approved: [],
  rejected: [],
  defaulted: [],
  superseded: [],
};

function move<S extends string>(machine: string, table: Record<S, readonly S[]>, from: S, to: S): S {
  if (from === to) return to;
  if (!table[from].includes(to)) throw fault('engine.illegal-transition', { machine, from, to });
  return to;
}

/** The next state of an incident; throws `engine.illegal-transition` where the table has no such arrow. Staying is allowed. */
export const moveIncident = (from: IncidentState, to: IncidentState): IncidentState => move('incident', incident, from, to);
/** The next state of a step; see {@link moveIncident}. */
export const moveStep = (from: StepState, to: StepState): StepState => move('step', step, from, to);
/** The next state of a gate; see {@link moveIncident}. */
export const moveGate = (from: GateState, to: GateState): GateState => move('gate', gate, from, to);

/** True where no message can move the incident any more. */
export function isEnded(state: IncidentState): boolean {
  return incident[state].length === 0;
}

/** One glyph per step state, for the CLI and the report. */
export const stepGlyph: Record<StepState, string> = {
  pending: '○',
  waiting: '⏸',
  running: '◐',
  retrying: '↻',
  done: '✓',
  failed: '✕',
  undoing: '↶',
  undone: '⊘',
  stuck: '‼',
  skipped: '–',
};
