import { setTimeout as wait } from 'node:timers/promises';
import { WithStartWorkflowOperation, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { type IncidentStatus, SignalName, UpdateName, WorkflowName } from '../../domain/messages.ts';
import type { Envelope } from '../../domain/record.ts';
import { gate, type newJournal, type Script, sighting, step } from '../saga/scripted-world.ts';

/** One incident that is played for its history: what the world says in it, and what is sent. */
export interface Scene {
  /** Also the name of the file. */
  readonly name: string;
  readonly what: string;
  readonly script: Script;
  /** Until the history is to be taken; after it the run is ended. */
  play(stage: SceneStage): Promise<void>;
  /** Records this workflow's history instead of the incident's. */
  readonly of?: (stage: SceneStage) => Promise<{ readonly workflowId: string; readonly runId: string }>;
}

export interface SceneStage {
  readonly environment: TestWorkflowEnvironment;
  readonly handle: WorkflowHandle;
  readonly journal: ReturnType<typeof newJournal>;
  until(what: (status: IncidentStatus) => boolean): Promise<IncidentStatus>;
  signal(name: string, value: unknown): Promise<void>;
  decide(): Promise<unknown>;
}

const envelope: Envelope = { payloadType: 'x', payload: 'e30=', signatures: [{ keyid: 'k', sig: 's' }] };
const once =
  <T>(first: T) =>
  (round: number): Partial<T> & { readonly steps: readonly ReturnType<typeof step>[] } =>
    round === 1 ? (first as T & { steps: ReturnType<typeof step>[] }) : ({ steps: [] } as never);
const openGate = (now: IncidentStatus): boolean => now.gates.some((each) => each.state === 'open');
const ended = async ({ handle }: SceneStage): Promise<void> => void (await handle.result());
const one = gate('g1');
const answered = (verdict: 'approve' | 'reject' | 'rollback', at = 'g1') => ({ rule: () => ({ verdict, gate: at }) });
const failing = (code: string): NonNullable<Script['apply']> => {
  return async ({ warrant }) => {
    if (warrant.step === 'a') throw ApplicationFailure.nonRetryable('it failed', code);
    return undefined;
  };
};

/** A history for every way a run can go: each message, each end, each kind of wait. */
export const scenes: readonly Scene[] = [
  {
    name: 'closed-in-two-rounds',
    what: 'steps one after the other and side by side, a sweep, the review, the archive begun',
    script: { plan: once({ steps: [step('a'), step('b'), step('c', { needs: ['a', 'b'] })] }) },
    play: ended,
  },
  {
    name: 'three-rounds',
    what: 'a sweep finds more, so that there is another plan',
    script: { plan: (round) => ({ steps: round < 3 ? [step(`r${round}-a`)] : [] }) },
    play: ended,
  },
  {
    name: 'approved-by-update',
    what: 'a gate holds its steps until a decision comes by update',
    script: { plan: once({ purpose: 'rotate', gates: [one], steps: [step('a'), step('b', { needs: ['a'], gate: 'g1' })] }) },
    async play(stage) {
      await stage.until(openGate);
      await stage.decide();
      await ended(stage);
    },
  },
  {
    name: 'approved-by-signal',
    what: 'a gate is opened by signal; a refused decision came before',
    script: {
      plan: once({ gates: [one], steps: [step('a', { gate: 'g1' })] }),
      rule: ({ via }) => (via === 'decide' ? { accepted: false, code: 'decision.stale', why: 'over an earlier plan' } : {}),
    },
    async play(stage) {
      await stage.until(openGate);
      await stage.decide();
      await stage.signal(SignalName.APPROVE, envelope);
      await ended(stage);
    },
  },
  {
    name: 'quorum-of-two',
    what: 'the first approval leaves one missing',
    script: {
      plan: once({ gates: [gate('g1', { quorum: 2 })], steps: [step('a', { gate: 'g1' })] }),
      rule: ({ via }) => (via === 'decide' ? { missing: 1 } : { by: 'una', missing: 0 }),
    },
    async play(stage) {
      await stage.until(openGate);
      await stage.decide();
      await stage.signal(SignalName.APPROVE, envelope);
      await ended(stage);
    },
  },
  {
    name: 'rejected',
    what: 'a gate is refused, and the run goes on without its steps',
    script: { plan: once({ gates: [one], steps: [step('a'), step('b', { gate: 'g1' })] }), ...answered('reject') },
    async play(stage) {
      await stage.until(openGate);
      await stage.signal(SignalName.REJECT, envelope);
      await ended(stage);
    },
  },
  {
    name: 'silence-does-what-is-harmless',
    what: 'reminder, escalation, deadline, and the declared default',
    script: {
      plan: once({
        purpose: 'rotate',
        gates: [gate('g1', { reminderMs: [60], deadlineMs: 200, onSilence: 'harmless' })],
        steps: [step('a', { gate: 'g1' }), step('b', { gate: 'g1', impact: 'outage' })],
      }),
    },
    play: ended,
  },
  {
    name: 'silence-holds',
    what: 'a deadline passes whose default is to do nothing, and a decision comes after it',
    script: { plan: once({ gates: [gate('g1', { deadlineMs: 100 })], steps: [step('a', { gate: 'g1' })] }) },
    async play({ until, signal, journal }) {
      await until((now) => now.timeline.some((line) => line.what.includes('passed in silence')));
      await signal(SignalName.APPROVE, envelope);
      await until((now) => journal.inputs.rule.length > 0 && now.timeline.some((line) => line.what.startsWith('approve of g1')));
    },
  },
  {
    name: 'rolled-back',
    what: 'two steps are done, a rollback takes them back while a gate is open',
    script: {
      plan: once({ gates: [one], steps: [step('a'), step('b', { needs: ['a'] }), step('c', { needs: ['b'], gate: 'g1' })] }),
      ...answered('rollback', 'incident'),
    },
    async play(stage) {
      await stage.until((now) => openGate(now) && now.steps.filter((each) => each.state === 'done').length === 2);
      await stage.signal(SignalName.ROLLBACK, envelope);
      await ended(stage);
    },
  },
  {
    name: 'a-step-fails',
    what: 'what needs it is skipped, and the next round plans again',
    script: { plan: once({ steps: [step('a'), step('b', { needs: ['a'] }), step('c')] }), apply: failing('provider.conflict') },
    play: ended,
  },
  {
    name: 'held-principal',
    what: 'steps that hit a whole principal go by its hold',
    script: {
      plan: (round) =>
        round === 1
          ? { steps: [step('deny', { hold: 'user/ci', action: 'test/deny-principal' })] }
          : round === 2
            ? { purpose: 'release', steps: [step('lift', { hold: 'user/ci', action: 'test/lift-deny' })] }
            : { steps: [] },
    },
    play: ended,
  },
  {
    name: 'residual-watched-and-lifted',
    what: 'something dated remains: watching, a timer, and the plan that lifts it',
    script: {
      plan: (round) =>
        round === 1
          ? { steps: [step('cut')] }
          : round === 2
            ? { steps: [], residuals: [{ what: 'a cut-off', target: 'user/ci', until: '2026-01-01T00:01:00.000Z' }] }
            : round === 3
              ? { purpose: 'release', steps: [step('lift')] }
              : { steps: [] },
      settled: (round) => round >= 4,
    },
    play: ended,
  },
  {
    name: 'many-sightings-and-nonsense',
    what: 'late sightings of the same run, one that is none, and a decision that is none',
    script: { plan: once({ gates: [one], steps: [step('a', { gate: 'g1' })] }) },
    async play(stage) {
      await stage.until(openGate);
      for (const id of ['rpt_2', 'rpt_3']) await stage.signal(SignalName.SIGHTING, sighting(id));
      await stage.signal(SignalName.SIGHTING, 'nonsense');
      await stage.signal(SignalName.APPROVE, { not: 'an envelope' });
      await stage.until((now) => now.sightings >= 3);
      await stage.decide().catch(() => undefined);
      await ended(stage);
    },
  },
  {
    name: 'archive',
    what: 'the export after the end',
    script: { plan: () => ({ steps: [] }) },
    play: ended,
    async of({ environment, handle }) {
      const { runId } = await handle.describe();
      const workflowId = `archive/${runId}`;
      const archive = environment.client.workflow.getHandle(workflowId);
      await archive.result();
      return { workflowId, runId: (await archive.describe()).runId };
    },
  },
  {
    name: 'principal-hold',
    what: 'applied by two incidents, lifted by one, asked the same twice, reverted, and a request that is none',
    script: { plan: () => ({ steps: [] }) },
    play: ended,
    async of({ environment }) {
      const { client } = environment;
      const workflowId = 'hold/test/one/user/ci';
      const warrant = (incident: string, name: string) => ({
        plan: `sha256:${'a'.repeat(64)}`,
        step: name,
        incident,
        run: 'r',
        round: 1,
        snapshot: `sha256:${'b'.repeat(64)}`,
        decisions: [],
      });
      const ask = async (incident: string, action: string, direction: 'apply' | 'revert'): Promise<void> => {
        const right = warrant(incident, action);
        const key = `${incident}/${action}/${direction}`;
        const input =
          direction === 'apply' ? { apply: { warrant: right, made: {} } } : { revert: { warrant: right, because: right.plan, made: {} } };
        await client.workflow.executeUpdateWithStart(UpdateName.HOLD, {
          updateId: `${key}/${Math.random()}`,
          args: [{ key, principal: 'user/ci', provider: 'test', account: 'one', action, direction, ...input }],
          startWorkflowOperation: new WithStartWorkflowOperation(WorkflowName.PRINCIPAL_HOLD, {
            workflowId,
            taskQueue: 'tourniquet',
            args: [],
            workflowIdConflictPolicy: 'USE_EXISTING',
          }),
        });
      };
      await ask('leak/1', 'deny-principal', 'apply');
      await ask('leak/2', 'deny-principal', 'apply');
      await ask('leak/1', 'lift-deny', 'apply');
      await ask('leak/1', 'lift-deny', 'apply');
      await ask('leak/2', 'deny-principal', 'revert');
      await client.workflow
        .getHandle(workflowId)
        .executeUpdate(UpdateName.HOLD, { args: [{}] })
        .catch(() => undefined);
      return { workflowId, runId: (await client.workflow.getHandle(workflowId).describe()).runId };
    },
  },
];

/** Polls the incident's status until it is as wanted. */
export async function untilStatus(handle: WorkflowHandle, what: (status: IncidentStatus) => boolean): Promise<IncidentStatus> {
  let now: IncidentStatus | undefined;
  for (let n = 0; n < 600; n++) {
    now = await handle.query<IncidentStatus>('status');
    if (what(now)) return now;
    await wait(50);
  }
  throw new Error(`it never came to that: ${now?.state}, round ${now?.round}, ${now?.timeline.at(-1)?.what}`);
}

export { envelope };
