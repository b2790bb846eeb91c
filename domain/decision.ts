import type { Hash } from './canonical.ts';
import type { ErrorCode } from './errors.ts';
import type { Envelope } from './record.ts';

export const DecisionVerdict = {
  APPROVE: 'approve',
  REJECT: 'reject',
  ROLLBACK: 'rollback',
  EXTEND: 'extend',
  DISMISS: 'dismiss',
} as const;
export type DecisionVerdict = (typeof DecisionVerdict)[keyof typeof DecisionVerdict];

/**
 * What a person signs. `gate` is a gate id of the plan, or `incident` for a rollback or dismissal; `planHash` the plan shown; `evidenceHead` the
 * head of the chain then (kept for the record; the plan's hash is what makes a decision stale). Times ISO, UTC. An `id` counts once.
 */
export interface Decision {
  readonly v: 1;
  readonly engine: string;
  readonly incident: string;
  readonly run: string;
  readonly round: number;
  readonly gate: string;
  readonly planHash: Hash;
  readonly evidenceHead: Hash;
  readonly verdict: DecisionVerdict;
  readonly reason: string;
  readonly by: string;
  readonly id: string;
  readonly issuedAt: string;
  readonly expiresAt: string;
  /** For `extend`: the new deadline. */
  readonly until?: string;
}

/** DSSE envelope over a {@link Decision}, one signature by the person's key. The only argument of `decide`, `approve`, `reject`, `rollback`. */
export type SignedDecision = Envelope;

/** How a decision was judged. `counted`: it holds; `quorum` says how many are still missing at its gate. */
export interface DecisionRuling {
  readonly accepted: boolean;
  readonly code?: ErrorCode;
  readonly why: string;
  readonly id: string;
  readonly by: string;
  readonly verdict: DecisionVerdict | 'unreadable';
  readonly gate: string;
  readonly missing?: number;
  /** For an accepted `extend`: the new deadline. */
  readonly until?: string;
  readonly record?: Hash;
}

/** What stands at the gates when a decision is judged; comes from workflow state, and the ruling's record keeps it. */
export interface GateStanding {
  readonly gate: string;
  readonly state: 'pending' | 'open' | 'approved' | 'rejected' | 'defaulted' | 'superseded';
  readonly openedAt?: string;
  readonly deadlineAt?: string;
  readonly approvals: readonly string[];
}

/** Body of a `decision` record: the envelope as it came and the ruling on it, accepted or not. */
export interface DecisionRecord {
  readonly signed: unknown;
  readonly receivedAt: string;
  readonly standing: GateStanding | null;
  readonly ruling: Omit<DecisionRuling, 'record'>;
}

/** Body of a `gate` record: a gate opened, reminded, escalated or defaulted. A defaulted one is the warrant of what silence does. */
export interface GateRecord {
  readonly gate: string;
  readonly planHash: Hash;
  readonly event: 'opened' | 'reminded' | 'escalated' | 'defaulted' | 'extended';
  readonly at: string;
  readonly deadlineAt: string;
  readonly onSilence: string;
  readonly told: readonly string[];
  /** Silence counts only after a delivery was acknowledged: by which outlet. */
  readonly acknowledgedBy?: string;
}
