import type { Edit } from './build.ts';
import { Rule } from './invariants.ts';

/** A defect of the engine, planted by an edit of its source, that the schedules must find. */
export interface Defect {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** The promise that it breaks. */
  readonly breaks: readonly string[];
  /** A seed that is known to find it. */
  readonly seed: number;
}

export const defects: readonly Defect[] = [
  {
    name: 'undo registered after the effect',
    breaks: [Rule.RESTORED],
    seed: 4,
    edits: [
      {
        file: 'workflows/rollback.ts',
        find: "state === 'done' || state === 'failed' || state === 'stuck');",
        replace: "state === 'done' || state === 'stuck');",
      },
    ],
  },
  {
    name: 'hold released early',
    breaks: [Rule.HOLD, Rule.WAKES],
    seed: 52,
    edits: [
      {
        file: 'activities/execution.ts',
        find: 'counted: true, settle: () => holders.letGo(control, plan.incident) };',
        replace: 'counted: true, settle: async () => undefined };',
      },
      { file: 'activities/execution.ts', find: 'return { by: [...by].sort(), ', replace: 'return { by: [], ' },
    ],
  },
  {
    name: 'retry mints twice',
    breaks: [Rule.MINTED, Rule.ACCOUNTED, Rule.ENDS],
    seed: 242,
    edits: [
      {
        file: 'providers/aws/mint-key.ts',
        find: 'const foreign: string[] = [];\n  for (const row of rows) {',
        replace: 'const foreign: string[] = [];\n  for (const row of rows.slice(0, 0)) {',
      },
    ],
  },
  {
    name: 'sweep before the watermark',
    breaks: [Rule.SWEEP],
    seed: 1,
    edits: [
      {
        file: 'providers/aws/log.ts',
        find: 'await waiting.sleep(Math.max(0, Math.min(moment + lag - calls.now, waiting.timing.giveUpMs)));',
        replace: '',
      },
      {
        file: 'providers/aws/log.ts',
        find: 'if (seen && calls.now >= moment + seen.lagMs) return this.#says(calls, region, seen);',
        replace: 'return this.#says(calls, region, seen ?? { ...marker, seenAt: calls.now, lagMs: 0 });',
      },
    ],
  },
  {
    name: 'spent mark not checked',
    breaks: [Rule.SPENT],
    seed: 5,
    edits: [
      {
        file: 'activities/execution.ts',
        find: 'if (!mark.created && new TextDecoder().decode(mark.existing) !== spender) {',
        replace: 'if (spender === undefined) {',
      },
    ],
  },
  {
    name: 'cut-off stamped before the disable took effect',
    breaks: [Rule.STAMP],
    seed: 1,
    edits: [
      {
        file: 'providers/aws/cut-off.ts',
        find: 'Math.max(...given) : calls.nowAtMost + propagationMs;',
        replace: 'Math.max(...given) : calls.now - propagationMs;',
      },
    ],
  },
  {
    name: 'gate approval of another plan accepted',
    breaks: [Rule.IRREVERSIBLE, Rule.GATE],
    seed: 13,
    edits: [
      { file: 'domain/ruling.ts', find: 'const stale = decision.planHash !== input.planHash;', replace: 'const stale = false;' },
      {
        file: 'domain/warrant.ts',
        find: 'decision.round !== plan.round || decision.planHash !== hashOf(plan.body)',
        replace: 'decision.round !== plan.round',
      },
    ],
  },
  {
    name: 'a step run before its need',
    breaks: [Rule.NEEDS],
    seed: 1,
    edits: [
      { file: 'workflows/execution.ts', find: "if (state !== 'done') ready = false;", replace: '' },
      { file: 'domain/warrant.ts', find: 'for (const id of step.needs) {', replace: 'for (const id of step.needs.slice(0, 0)) {' },
    ],
  },
  {
    name: 'rollback in forward order',
    breaks: [Rule.ORDER],
    seed: 8,
    edits: [
      { file: 'workflows/rollback.ts', find: 'for (const course of reverseOrder(courses)) {', replace: 'for (const course of courses) {' },
    ],
  },
  {
    name: 'a retry stamps the cut-off anew',
    breaks: [Rule.ONCE],
    seed: 49,
    edits: [
      {
        file: 'providers/aws/bearer.ts',
        find: 'const enough = standing.at !== undefined && (',
        replace: 'const enough = !context.step && (',
      },
    ],
  },
  {
    name: 'a wait that replay does not repeat',
    breaks: [Rule.REPLAY],
    seed: 1,
    edits: [
      {
        file: 'workflows/leak-response.ts',
        find: 'const wait = Math.min(slowest, Math.round(base * 1.5 ** Math.min(quiet, 30)));',
        replace:
          'const wait = Math.min(slowest, Math.round(base * 1.5 ** Math.min(quiet, 30))) + (workflowInfo().unsafe.isReplaying ? 1000 : 0);',
      },
    ],
  },
];
