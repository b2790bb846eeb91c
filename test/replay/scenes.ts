import { ApplicationFailure } from '@temporalio/common';
import { withPulse } from '../../activities/pulse.ts';
import type { Residual } from '../../domain/credential.ts';
import type { DecisionRuling } from '../../domain/decision.ts';
import type { ErrorCode } from '../../domain/errors.ts';
import { holdId } from '../../domain/manifest.ts';
import { type HoldInput, type IncidentStatus, type JudgeActivities, type ProviderActivities, SignalName } from '../../domain/messages.ts';
import { unknown } from '../../domain/observation.ts';
import type { Plan, PlanStep } from '../../domain/plan.ts';
import type { Envelope } from '../../domain/record.ts';
import { gate, type Journal, type Script, sighting, step } from '../saga/scripted-world.ts';

type Activities = JudgeActivities & ProviderActivities;

/** A course that a run can take, played for its history: what the world says in it, and what is sent. */
export interface Scene {
  /** The golden's name, which says what it shows. */
  readonly name: string;
  readonly what: string;
  readonly script: Script;
  /** What this world does otherwise than the script can say. */
  otherwise?(scripted: Activities): Partial<Activities>;
  /** Plays until the history is to be taken, and answers with the id of the workflow whose it is where that is not the incident. */
  play(stage: Stage): Promise<unknown>;
}

export interface Stage {
  /** The scene's incident, which has been reported once. */
  readonly incident: Incident;
  /** Opens another one in the same world. */
  open(suffix: string): Promise<Incident>;
  askHold(input: HoldInput, key: string): Promise<unknown>;
  /** Waits for the end of a workflow. */
  result(workflowId: string): Promise<void>;
}

export interface Incident {
  readonly id: string;
  readonly journal: Journal;
  until(what: (status: IncidentStatus) => boolean): Promise<IncidentStatus>;
  signal(name: string, value: unknown): Promise<void>;
  signalBytes(name: string, payload: { readonly metadata: Record<string, Uint8Array>; readonly data: Uint8Array }): Promise<void>;
  decide(value?: unknown): Promise<unknown>;
  finish(step: string): Promise<unknown>;
  ended(): Promise<void>;
  run(): Promise<string>;
}

/** A decision by its shape; what it says is what the scene's `rule` says. */
export const envelope: Envelope = { payloadType: 'x', payload: 'e30=', signatures: [{ keyid: 'k', sig: 's' }] };

/** What a worker sees that looks twice: first that the change stands, then that it is gone. */
function standsOnce(): () => 'yes' | 'no' {
  let looks = 0;
  return () => (looks++ === 0 ? 'yes' : 'no');
}

type Content = Partial<Plan> & { readonly steps: readonly PlanStep[] };
const nothing: Content = { steps: [] };
/** The plans of the first rounds; then there is nothing to do. */
const rounds =
  (...plans: readonly Content[]) =>
  (round: number): Content =>
    plans[round - 1] ?? nothing;
const asked = (now: IncidentStatus): boolean => now.gates.some((each) => each.state === 'open');
const toTheEnd = ({ incident }: Stage): Promise<void> => incident.ended();
const failure = (code: ErrorCode): ApplicationFailure => ApplicationFailure.nonRetryable('it would not', code);
const ruling = (verdict: DecisionRuling['verdict'], at = 'g1') => ({ rule: () => ({ verdict, gate: at }) });
const cutOff: Residual = { what: 'a cut-off of sessions', target: 'user/ci', until: '2026-01-01T00:01:00.000Z' };
const g1 = gate('g1');
/** The activity as scripted, but for its first call that fits. */
function firstFails<I, O>(
  scripted: (input: I) => Promise<O>,
  error: Error,
  fits: (input: I) => boolean = () => true,
): (input: I) => Promise<O> {
  let failed = false;
  return async (input) => {
    if (failed || !fits(input)) return await scripted(input);
    failed = true;
    throw error;
  };
}

/** A history for every message that a run takes, every way it ends, and every kind of wait. */
export const scenes: readonly Scene[] = [
  {
    name: 'closed-without-gates',
    what: 'steps side by side and after one another, a sweep that finds nothing, the review, the archive begun',
    script: { plan: rounds({ steps: [step('a'), step('b'), step('c', { needs: ['a', 'b'] })] }) },
    play: toTheEnd,
  },
  {
    name: 'sweep-finds-more',
    what: 'each sweep finds something new, twice, so that there is another plan',
    script: { plan: rounds({ steps: [step('r1-a')] }, { steps: [step('r2-a')] }, { steps: [step('r3-a')] }) },
    play: toTheEnd,
  },
  {
    name: 'sweep-waits-for-the-log',
    what: 'the log has not passed the containment yet, and is looked at again',
    script: { plan: rounds({ steps: [step('a')] }) },
    otherwise: (scripted) => ({
      async judge(input) {
        const judged = await scripted.judge(input);
        return input.round === 2 ? { ...judged, swept: unknown(judged.live.at, 'log', 'not passed yet'), settled: false } : judged;
      },
    }),
    play: toTheEnd,
  },
  {
    name: 'gate-approved-by-update',
    what: 'a gate holds its step, which was captured before any change, until a decision comes by update',
    script: { plan: rounds({ purpose: 'rotate', gates: [g1], steps: [step('a'), step('b', { needs: ['a'], gate: 'g1' })] }) },
    async play({ incident }) {
      await incident.until(asked);
      await incident.decide();
      await incident.ended();
    },
  },
  {
    name: 'gate-approved-by-signal-after-a-refusal',
    what: 'a decision over an earlier plan is refused; another comes by signal and counts',
    script: {
      plan: rounds({ gates: [g1], steps: [step('a', { gate: 'g1' })] }),
      rule: ({ via }) => (via === 'decide' ? { accepted: false, code: 'decision.stale', why: 'over an earlier plan' } : {}),
    },
    async play({ incident }) {
      await incident.until(asked);
      await incident.decide();
      await incident.signal(SignalName.APPROVE, envelope);
      await incident.ended();
    },
  },
  {
    name: 'gate-approved-by-two',
    what: 'the first approval leaves one missing',
    script: {
      plan: rounds({ gates: [gate('g1', { quorum: 2 })], steps: [step('a', { gate: 'g1' })] }),
      rule: ({ via }) => (via === 'decide' ? { missing: 1 } : { by: 'una', missing: 0 }),
    },
    async play({ incident }) {
      await incident.until(asked);
      await incident.decide();
      await incident.signal(SignalName.APPROVE, envelope);
      await incident.ended();
    },
  },
  {
    name: 'gate-extended-then-approved',
    what: 'somebody asks for more time before the deadline, and gets it',
    script: {
      plan: rounds({ gates: [g1], steps: [step('a', { gate: 'g1' })] }),
      rule: ({ via, standing }) =>
        via === 'decide' ? { verdict: 'extend', until: later(standing.find((each) => each.gate === 'g1')?.deadlineAt) } : {},
    },
    async play({ incident }) {
      await incident.until(asked);
      await incident.decide();
      await incident.signal(SignalName.APPROVE, envelope);
      await incident.ended();
    },
  },
  {
    name: 'gate-defaulted-after-reminder-and-escalation',
    what: 'nobody answers: reminder, escalation, and at the deadline the harmless steps and no others',
    script: {
      plan: rounds({
        purpose: 'rotate',
        gates: [gate('g1', { reminderMs: [500], deadlineMs: 1500, onSilence: 'harmless' })],
        steps: [step('a', { gate: 'g1' }), step('b', { gate: 'g1', impact: 'outage' })],
      }),
    },
    play: toTheEnd,
  },
  {
    name: 'gate-defaulted-to-nothing',
    what: 'nobody answers, and silence means that nothing is done',
    script: { plan: rounds({ gates: [gate('g1', { deadlineMs: 1000 })], steps: [step('a', { gate: 'g1' })] }) },
    play: toTheEnd,
  },
  {
    name: 'gate-asked-again-while-nobody-is-reached',
    what: 'no delivery was acknowledged, so silence does not count and the question is asked again',
    script: { plan: rounds({ gates: [gate('g1', { deadlineMs: 1000, onSilence: 'proceed' })], steps: [step('a', { gate: 'g1' })] }) },
    otherwise: (scripted) => ({ recordGate: async (input) => ({ ...(await scripted.recordGate(input)), acknowledged: false }) }),
    async play({ incident }) {
      await incident.until(() => incident.journal.events.includes('gate g1 extended'));
      await incident.decide();
      await incident.ended();
    },
  },
  {
    name: 'gate-rejected',
    what: 'a gate is refused, and the run goes on without its steps',
    script: {
      plan: rounds({ gates: [g1], steps: [step('a'), step('b', { gate: 'g1' }), step('c', { needs: ['b'] })] }),
      ...ruling('reject'),
    },
    async play({ incident }) {
      await incident.until(asked);
      await incident.signal(SignalName.REJECT, envelope);
      await incident.ended();
    },
  },
  {
    name: 'decision-ruled-on-at-the-second-try',
    what: 'the judge cannot rule on a decision at first',
    script: { plan: rounds({ gates: [g1], steps: [step('a', { gate: 'g1' })] }) },
    otherwise: (scripted) => ({
      rule: firstFails(scripted.rule, failure('engine.unavailable')),
    }),
    async play({ incident }) {
      await incident.until(asked);
      await incident.decide();
      await incident.ended();
    },
  },
  {
    name: 'rolled-back-in-reverse',
    what: 'a step and one by a hold are done; a rollback by signal takes them back while a gate is open',
    script: {
      plan: rounds({
        gates: [g1],
        steps: [
          step('a', { action: 'test/deny-principal', hold: 'user/rolled-back' }),
          step('b', { needs: ['a'] }),
          step('c', { needs: ['b'], gate: 'g1' }),
        ],
      }),
      ...ruling('rollback', 'incident'),
    },
    async play({ incident }) {
      await incident.until((now) => asked(now) && now.steps.filter((each) => each.state === 'done').length === 2);
      await incident.signal(SignalName.ROLLBACK, envelope);
      await incident.ended();
    },
  },
  {
    name: 'rollback-leaves-a-step-stuck',
    what: 'one undo fails and stays for a person; the others are taken back all the same',
    script: {
      plan: rounds({
        gates: [g1],
        steps: [
          step('a'),
          step('b', { needs: ['a'] }),
          step('i', { reversibility: 'irreversible' }),
          step('c', { needs: ['b', 'i'], gate: 'g1' }),
        ],
      }),
      ...ruling('rollback', 'incident'),
    },
    otherwise: (scripted) => ({
      async receive(input) {
        return { ...(await scripted.receive(input)), recheckMs: 60_000 };
      },
      async revert(input) {
        if (input.warrant.step === 'b') throw failure('provider.conflict');
        return await scripted.revert(input);
      },
    }),
    async play({ incident }) {
      await incident.until((now) => asked(now) && now.steps.filter((each) => each.state === 'done').length === 3);
      await incident.signal(SignalName.ROLLBACK, envelope);
      await incident.until((now) => now.state === 'stuck');
    },
  },
  {
    name: 'stuck-step-is-finished-by-hand',
    what: 'somebody says that a stuck step is finished; the worker looks, first it is not and then it is, and the run ends',
    script: {
      plan: rounds({ gates: [g1], steps: [step('a'), step('b', { needs: ['a'], gate: 'g1' })] }),
      inspect: standsOnce(),
      ...ruling('rollback', 'incident'),
    },
    otherwise: (scripted) => ({
      async receive(input) {
        return { ...(await scripted.receive(input)), recheckMs: 60_000 };
      },
      async revert() {
        throw failure('provider.conflict');
      },
    }),
    async play({ incident }) {
      await incident.until(asked);
      await incident.signal(SignalName.ROLLBACK, envelope);
      await incident.until((now) => now.state === 'stuck');
      await incident.finish('a');
      await incident.finish('a');
      await incident.ended();
    },
  },
  {
    name: 'called-off-while-a-step-runs',
    what: 'a rollback interrupts the step that is being tried, and takes it back',
    script: {
      plan: rounds({ steps: [step('a')] }),
      apply: async () => {
        await withPulse((pulse) => pulse.sleep(3_600_000));
        return undefined;
      },
      ...ruling('rollback', 'incident'),
    },
    async play({ incident }) {
      await incident.until((now) => now.steps[0]?.state === 'running');
      await incident.signal(SignalName.ROLLBACK, envelope);
      await incident.ended();
    },
  },
  {
    name: 'rollback-waits-for-what-is-dated',
    what: 'what a rollback must leave standing until a date is watched, lifted, and only then the run ends',
    script: {
      plan: (round, { rolledBack, done }) => {
        if (!rolledBack) return { gates: [g1], steps: [step('cut'), step('b', { needs: ['cut'], gate: 'g1' })] };
        if (done.some((each) => each.step.id === 'lift')) return nothing;
        return round < 4 ? { steps: [], residuals: [cutOff] } : { purpose: 'release', steps: [step('lift')] };
      },
      apply: async ({ warrant }) => (warrant.step === 'cut' ? { residual: cutOff } : undefined),
      ...ruling('rollback', 'incident'),
    },
    otherwise: (scripted) => ({
      async revert(input) {
        return { ...(await scripted.revert(input)), residual: cutOff };
      },
    }),
    async play({ incident }) {
      await incident.until(asked);
      await incident.signal(SignalName.ROLLBACK, envelope);
      await incident.ended();
    },
  },
  {
    name: 'dismissed',
    what: 'a person says that it is nothing, before anything was done',
    script: { plan: rounds({ gates: [g1], steps: [step('a', { gate: 'g1' })] }), ...ruling('dismiss', 'incident') },
    async play({ incident }) {
      await incident.until(asked);
      await incident.decide();
      await incident.ended();
    },
  },
  {
    name: 'step-fails-and-is-planned-again',
    what: 'one step fails for good and what needs it is skipped; one is tried twice; one is not seen to take effect; the next round plans again',
    script: {
      plan: rounds({ steps: [step('a'), step('b', { needs: ['a'] }), step('c'), step('d')] }, { steps: [step('r2-a')] }),
      async apply({ warrant }) {
        if (warrant.step === 'a') throw failure('provider.conflict');
        if (warrant.step === 'd') return { observation: unknown('2026-01-01T00:00:00.000Z', 'probe', 'no answer') };
        return undefined;
      },
    },
    otherwise: (scripted) => ({
      apply: firstFails(
        scripted.apply,
        ApplicationFailure.retryable('not now', 'engine.unavailable'),
        ({ warrant }) => warrant.step === 'c',
      ),
    }),
    play: toTheEnd,
  },
  {
    name: 'assessment-fails-three-times',
    what: 'a round that fails is tried again, the third failure shows as stuck, and it goes on when the provider answers',
    script: { plan: (round) => (round === 4 ? { steps: [step('a')] } : nothing) },
    otherwise: (scripted) => ({
      async assess(input) {
        if (input.round <= 3) throw failure('provider.denied');
        return await scripted.assess(input);
      },
    }),
    play: toTheEnd,
  },
  {
    name: 'report-received-at-the-second-try',
    what: 'the judge cannot take the report at first, and nothing of it is lost',
    script: { plan: rounds({ steps: [step('a')] }) },
    otherwise: (scripted) => ({
      receive: firstFails(scripted.receive, failure('engine.unavailable')),
    }),
    play: toTheEnd,
  },
  {
    name: 'late-sightings-and-poison',
    what: 'two late sightings, one of them twice, one that is none, bytes that cannot be read, and a decision that is none',
    script: { plan: rounds({ gates: [g1], steps: [step('a', { gate: 'g1' })] }) },
    async play({ incident }) {
      await incident.until(asked);
      await incident.signal(SignalName.SIGHTING, sighting('rpt_2'));
      await incident.signal(SignalName.SIGHTING, sighting('rpt_2'));
      await incident.signal(SignalName.SIGHTING, sighting('rpt_3'));
      await incident.until((now) => now.sightings === 3);
      await incident.signal(SignalName.SIGHTING, 'nonsense');
      const text = new TextEncoder();
      await incident.signalBytes(SignalName.SIGHTING, { metadata: { encoding: text.encode('json/plain') }, data: text.encode('{') });
      await incident.until(() => incident.journal.inputs.receive.reduce((sum, each) => sum + each.undecodable, 0) === 2);
      await incident.signal(SignalName.APPROVE, { not: 'an envelope' });
      await incident.until(() => incident.journal.events.includes('rule approve'));
      await incident.ended();
    },
  },
  {
    name: 'worse-sighting-is-judged-anew',
    what: 'while a gate is open a worse sighting comes: what was asked is superseded, and the next round asks anew',
    script: {
      plan: rounds({ gates: [g1], steps: [step('a', { gate: 'g1' })] }, { gates: [g1], steps: [step('r2-a', { gate: 'g1' })] }),
    },
    otherwise: (scripted) => ({
      async receive(input) {
        return { ...(await scripted.receive(input)), weight: input.opening ? 1 : 2 };
      },
    }),
    async play({ incident }) {
      await incident.until(asked);
      await incident.signal(SignalName.SIGHTING, sighting('rpt_worse'));
      await incident.until((now) => now.round === 2 && asked(now));
      await incident.decide();
      await incident.ended();
    },
  },
  {
    name: 'watching-until-a-residual-is-lifted',
    what: 'something dated remains: watching, a timer, the plan that lifts it, the last sweep, the close',
    script: {
      plan: rounds(
        { steps: [step('cut')] },
        { steps: [], residuals: [cutOff] },
        { steps: [], residuals: [cutOff] },
        { purpose: 'release', steps: [step('lift')] },
      ),
      settled: (round) => round >= 5,
    },
    play: toTheEnd,
  },
  {
    name: 'held-step-beside-others',
    what: 'a step that hits a whole principal goes by its hold, beside one that does not',
    script: {
      plan: rounds(
        { steps: [step('key'), step('deny', { action: 'test/deny-principal', hold: 'user/beside' })] },
        { purpose: 'release', steps: [step('lift', { action: 'test/lift-deny', hold: 'user/beside' })] },
      ),
    },
    play: toTheEnd,
  },
  {
    name: 'hold-of-two-incidents',
    what: 'two incidents deny one principal; the first lift leaves it denied, the last one lifts it; a request is sent twice; nobody holds it any more and the hold rests',
    script: {
      plan: rounds(
        { steps: [step('deny', { action: 'test/deny-principal', hold: 'user/two' })] },
        { purpose: 'release', gates: [g1], steps: [step('lift', { action: 'test/lift-deny', hold: 'user/two', gate: 'g1' })] },
      ),
    },
    async play({ incident, open, askHold, result }) {
      const hold = holdId('test', 'one', 'user/two');
      const other = await open('-other');
      for (const each of [incident, other]) await each.until((now) => now.round === 2 && asked(now));
      const first = incident.journal.inputs.apply[0];
      if (!first) throw new TypeError('the first incident has applied nothing');
      await askHold(
        { principal: 'user/two', provider: 'test', account: 'one', action: 'deny-principal', direction: 'apply', apply: first },
        `${first.warrant.run}/deny/apply`,
      );
      for (const each of [incident, other]) {
        await each.decide();
        await each.ended();
      }
      await result(hold);
      return hold;
    },
  },
  {
    name: 'hold-taken-back-and-refused',
    what: 'what a hold put on is taken back by a rollback while another incident holds; the provider refuses one request',
    script: {
      plan: rounds({
        gates: [g1],
        steps: [
          step('deny', { action: 'test/deny-principal', hold: 'user/back' }),
          step('cut', { action: 'test/cut-off-sessions', hold: 'user/back', needs: ['deny'] }),
          step('later', { needs: ['deny'], gate: 'g1' }),
        ],
      }),
      async apply({ warrant }) {
        if (warrant.step === 'cut') throw failure('provider.conflict');
        return undefined;
      },
      ...ruling('rollback', 'incident'),
    },
    async play({ incident, open }) {
      const other = await open('-other');
      for (const each of [incident, other])
        await each.until((now) => asked(now) && now.steps.some((one) => one.id === 'cut' && one.state === 'failed'));
      await incident.signal(SignalName.ROLLBACK, envelope);
      await incident.ended();
      return holdId('test', 'one', 'user/back');
    },
  },
  {
    name: 'archive-after-the-end',
    what: 'the export of the bundle',
    script: { plan: () => nothing },
    async play({ incident, result }) {
      await incident.ended();
      const archive = `archive/${await incident.run()}`;
      await result(archive);
      return archive;
    },
  },
];

/** An hour after a moment. */
function later(at: string | undefined): string {
  return new Date(Date.parse(at ?? '2026-01-01T00:00:00.000Z') + 3_600_000).toISOString();
}
