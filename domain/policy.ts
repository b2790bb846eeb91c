import type { Hash } from './canonical.ts';

/** What the policy says of a situation. `fence` and least impact come with the planner; `watch`: nothing to do but look. */
export const Mode = { ACT: 'act', ASK: 'ask', HOLD: 'hold', PASS: 'pass' } as const;
export type Mode = (typeof Mode)[keyof typeof Mode];

/** What silence means at a gate. `harmless`: the steps without predicted outage go on; `hold`: nothing happens; `proceed`: everything behind the gate. */
export const Silence = { HOLD: 'hold', HARMLESS: 'harmless', PROCEED: 'proceed' } as const;
export type Silence = (typeof Silence)[keyof typeof Silence];

/** How a kind of gate is asked. Durations in milliseconds from the opening of the gate. */
export interface GateRule {
  readonly roles: readonly string[];
  readonly quorum: number;
  readonly deadlineMs: number;
  readonly reminderMs: readonly number[];
  readonly escalateTo: readonly string[];
  readonly onSilence: Silence;
}

/** Body of a `verdict` record: which rule matched and what follows. `rule` is its name in the policy file. */
export interface Verdict {
  readonly policy: Hash;
  readonly rule: string;
  readonly mode: Mode;
  readonly reason: string;
  /** Rules for the two kinds of gate: where an outage is at stake, and where something cannot be undone. */
  readonly gates: { readonly outage: GateRule; readonly irreversible: GateRule };
  /** Nobody in this list decides: reporters and the owner. */
  readonly barred: readonly string[];
  /** Anything the engine must not touch unasked. */
  readonly protected: readonly string[];
  /** How long the plan stays valid, in milliseconds. */
  readonly planValidMs: number;
  /** The terms under which accounts are used, as they were then: with them in the record a plan can be made again from records alone. */
  readonly accounts?: readonly {
    readonly provider: string;
    readonly account: string;
    readonly mode: 'observe' | 'propose' | 'act';
    readonly settings?: Readonly<Record<string, unknown>>;
  }[];
  /** What the engine itself stands on, as its workers have said: nothing of it is planned for the engine to touch. */
  readonly self?: readonly string[];
  /** The standing authorisation under which the leaked credential may be ended for good though nobody is asked; where others would die with it, after so long a silence. */
  readonly authorised?: { readonly authorisation: Hash; readonly id: string; readonly cascadeMs: number; readonly expires: string };
  /** Why a standing authorisation for its kind gives no leave. */
  readonly withheld?: string;
  /** Set where it would have acted unasked but for a spent budget, which is named. */
  readonly budget?: { readonly spent: string };
}
