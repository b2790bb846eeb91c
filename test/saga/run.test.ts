import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withPulse } from '../../activities/pulse.ts';
import { dataConverterFor } from '../../audit/codec.ts';
import type { FinishRequest, FinishResult, IncidentResult, IncidentStatus } from '../../domain/messages.ts';
import type { Envelope } from '../../domain/record.ts';
import { brokenLink } from '../../domain/record.ts';
import { findServer } from '../../lab/servers/find.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { gate, type Journal, newJournal, type Script, scriptedActivities, sighting, step } from './scripted-world.ts';

let environment: TestWorkflowEnvironment;
let code: string;

beforeAll(async () => {
  code = (await workflowCode()).code;
  environment = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: findServer('temporal').path },
      extraArgs: ['TourniquetState', 'TourniquetKind', 'TourniquetContained', 'TourniquetStuck'].flatMap((name) => [
        '--search-attribute',
        `${name}=Keyword`,
      ]),
    },
    client: { dataConverter: dataConverterFor() },
  });
}, 60_000);
afterAll(async () => {
  await environment?.teardown();
});

const envelope: Envelope = { payloadType: 'x', payload: 'e30=', signatures: [{ keyid: 'k', sig: 's' }] };

interface Play {
  readonly id: string;
  readonly journal: Journal;
  status(): Promise<IncidentStatus>;
  until(what: (status: IncidentStatus) => boolean): Promise<IncidentStatus>;
  signal(name: string, value: unknown): Promise<void>;
  decide(): Promise<unknown>;
  finish(step: string): Promise<FinishResult>;
  result(): Promise<IncidentResult>;
}

/** Runs one incident over a script, with judge and provider in this process. */
async function play(script: Script, body: (play: Play) => Promise<void>): Promise<void> {
  const journal = newJournal();
  const activities = scriptedActivities(script, journal);
  const common = {
    connection: environment.nativeConnection,
    namespace: environment.namespace ?? 'default',
    dataConverter: dataConverterFor(),
  };
  const judge = await Worker.create({
    ...common,
    taskQueue: 'tourniquet',
    workflowBundle: { code },
    activities: { ...activities },
    sinks: { audit: { scheduled: { fn() {} } } },
  });
  const provider = await Worker.create({ ...common, taskQueue: 'tourniquet-test-one', activities: { ...activities } });
  await judge.runUntil(
    provider.runUntil(async () => {
      const id = `leak/${randomUUID()}`;
      const handle = await environment.client.workflow.signalWithStart('leakResponse', {
        workflowId: id,
        taskQueue: 'tourniquet',
        args: [],
        signal: 'sighting',
        signalArgs: [sighting('rpt_1')],
      });
      const status = () => handle.query<IncidentStatus>('status');
      await body({
        id,
        journal,
        status,
        async until(what) {
          for (let n = 0; n < 400; n++) {
            const now = await status();
            if (what(now)) return now;
            await new Promise((done) => setTimeout(done, 50));
          }
          throw new Error(`it never came to that: ${JSON.stringify(await status())}`);
        },
        signal: (name, value) => handle.signal(name, value),
        decide: () => handle.executeUpdate('decide', { args: [envelope] }),
        finish: (step) => handle.executeUpdate<FinishResult, [FinishRequest]>('finish', { args: [{ step }] }),
        result: () => handle.result() as Promise<IncidentResult>,
      });
    }),
  );
}

describe('a run', { timeout: 60_000 }, () => {
  it('goes round until nothing is left to do, reviews, closes, and leaves a chain that holds', async () => {
    await play(
      { plan: (round) => ({ steps: round === 1 ? [step('a'), step('b', { needs: ['a'] })] : [] }) },
      async ({ result, journal }) => {
        const ended = await result();
        expect(ended.state).toBe('closed');
        expect(brokenLink(ended.chain)).toBeUndefined();
        expect(journal.events.filter((event) => event.startsWith('apply'))).toEqual(['apply a', 'apply b']);
        expect(journal.events.indexOf('review')).toBeGreaterThan(journal.events.indexOf('judge 2'));
      },
    );
  });

  it('lets nothing behind a gate go before the approval, and everything after it', async () => {
    const g1 = gate('g1');
    await play(
      { plan: (round) => ({ purpose: 'rotate', gates: round === 1 ? [g1] : [], steps: round === 1 ? [step('a', { gate: 'g1' })] : [] }) },
      async ({ until, journal, decide, result }) => {
        await until((now) => now.gates[0]?.state === 'open');
        expect(journal.events.some((event) => event.startsWith('apply'))).toBe(false);
        await decide();
        await result();
        expect(journal.events).toContain('apply a');
        expect(journal.inputs.apply[0]?.warrant.decisions).toHaveLength(1);
      },
    );
  });

  it('does at the deadline what silence means: the harmless steps and no others', async () => {
    const g1 = gate('g1', { deadlineMs: 200, onSilence: 'harmless' });
    await play(
      {
        plan: (round) => ({
          purpose: 'rotate',
          gates: round === 1 ? [g1] : [],
          steps: round === 1 ? [step('mint', { gate: 'g1' }), step('cut', { gate: 'g1', impact: 'outage' })] : [],
        }),
      },
      async ({ result, journal }) => {
        await result();
        expect(journal.events).toContain('gate g1 defaulted');
        expect(journal.events).toContain('apply mint');
        expect(journal.events).not.toContain('apply cut');
      },
    );
  });

  it('rolls back in reverse order of needs, and ends as rolled-back', async () => {
    const g1 = gate('g1');
    await play(
      {
        plan: (round) => ({
          gates: round === 1 ? [g1] : [],
          steps: round === 1 ? [step('a'), step('b', { needs: ['a'] }), step('c', { needs: ['b'], gate: 'g1' })] : [],
        }),
        rule: () => ({ verdict: 'rollback', gate: 'incident' }),
      },
      async ({ until, signal, journal, result }) => {
        await until((now) => now.gates[0]?.state === 'open');
        await signal('rollback', envelope);
        const ended = await result();
        expect(ended.state).toBe('rolled-back');
        expect(journal.events.filter((event) => event.startsWith('revert'))).toEqual(['revert b', 'revert a']);
        expect(journal.events).not.toContain('apply c');
      },
    );
  });

  it('is not wedged by a sighting that is none, a decision that is none, or bytes that cannot be read', async () => {
    const g1 = gate('g1');
    await play(
      { plan: (round) => ({ gates: round === 1 ? [g1] : [], steps: round === 1 ? [step('a', { gate: 'g1' })] : [] }) },
      async ({ until, signal, decide, result, journal }) => {
        await until((now) => now.gates[0]?.state === 'open');
        await signal('sighting', 'nonsense');
        await until((now) => now.timeline.some((line) => line.what.includes('could not be read')));
        await signal('approve', { not: 'an envelope' });
        await until(() => journal.events.includes('rule approve'));
        await decide().catch(() => undefined);
        const ended = await result();
        expect(ended.state).toBe('closed');
        expect(ended.chain.some((entry) => entry.type === 'refusal')).toBe(true);
      },
    );
  });

  it('keeps a failed step out of what needs it, and plans again', async () => {
    await play(
      {
        plan: (round) => ({ steps: round === 1 ? [step('a'), step('b', { needs: ['a'] })] : [] }),
        apply: async (input) => {
          if (input.warrant.step === 'a') throw ApplicationFailure.nonRetryable('moved', 'provider.conflict');
          return undefined;
        },
      },
      async ({ result, journal }) => {
        await result();
        expect(journal.events).not.toContain('apply b');
        expect(journal.inputs.judge[1]?.done.find((each) => each.step.id === 'a')?.state).toBe('failed');
      },
    );
  });

  it('takes late sightings into the same run, each of them', async () => {
    const g1 = gate('g1');
    await play(
      { plan: (round) => ({ gates: round === 1 ? [g1] : [], steps: round === 1 ? [step('a', { gate: 'g1' })] : [] }) },
      async ({ until, signal, decide, result }) => {
        await until((now) => now.gates[0]?.state === 'open');
        await signal('sighting', sighting('rpt_2'));
        await signal('sighting', sighting('rpt_3'));
        const seen = await until((now) => now.sightings === 3);
        expect(seen.gates[0]?.state).toBe('open');
        await decide();
        await result();
      },
    );
  });

  it('takes back nothing that would leave nobody with a working key, once one has been deleted', async () => {
    const g1 = gate('g1');
    await play(
      {
        plan: (round) => ({
          purpose: 'rotate',
          gates: round === 1 ? [g1] : [],
          steps:
            round === 1
              ? [
                  step('deny', { target: { user: 'u' } }),
                  step('mint', { phase: 'mint' }),
                  step('distribute', { phase: 'distribute', needs: ['mint'] }),
                  step('disable', { target: { key: 'old' }, needs: ['distribute'] }),
                  step('delete', { target: { key: 'old' }, phase: 'revoke', reversibility: 'irreversible', needs: ['disable'] }),
                  step('last', { needs: ['delete'], gate: 'g1' }),
                ]
              : [],
        }),
        rule: () => ({ verdict: 'rollback', gate: 'incident' }),
      },
      async ({ until, signal, journal, result }) => {
        await until((now) => now.gates[0]?.state === 'open');
        await signal('rollback', envelope);
        const ended = await result();
        expect(ended.state).toBe('rolled-back');
        expect(journal.events.filter((event) => event.startsWith('revert'))).toEqual(['revert deny']);
      },
    );
  });

  it('tries again what could not be taken back, and ends once it could', async () => {
    const g1 = gate('g1');
    let failing = 2;
    await play(
      {
        plan: (round) => ({
          gates: round === 1 ? [g1] : [],
          steps: round === 1 ? [step('a'), step('b', { needs: ['a'], gate: 'g1' })] : [],
        }),
        rule: () => ({ verdict: 'rollback', gate: 'incident' }),
        revert: async () => {
          if (failing-- > 0) throw ApplicationFailure.nonRetryable('moved', 'provider.conflict');
        },
      },
      async ({ until, signal, result, journal }) => {
        await until((now) => now.gates[0]?.state === 'open');
        await signal('rollback', envelope);
        await until((now) => now.state === 'stuck');
        expect((await result()).state).toBe('rolled-back');
        expect(journal.events.filter((event) => event === 'revert a')).toHaveLength(3);
      },
    );
  });

  it('answers a decision that came as its question was closing, and does not heed it', async () => {
    const g1 = gate('g1', { deadlineMs: 300 });
    await play(
      {
        plan: (round) => ({ gates: round === 1 ? [g1] : [], steps: round === 1 ? [step('a', { gate: 'g1' })] : [] }),
        ruleAfterMs: 1500,
      },
      async ({ until, decide, result, journal }) => {
        await until((now) => now.gates[0]?.state === 'open');
        expect(await decide()).toMatchObject({ accepted: true });
        expect((await result()).state).toBe('closed');
        expect(journal.events).not.toContain('apply a');
      },
    );
  });

  it('ends a stuck step that was finished by hand only once the worker has seen it, and then ends itself', async () => {
    const g1 = gate('g1');
    let seen: 'yes' | 'no' = 'yes';
    await play(
      {
        plan: (round) => ({
          gates: round === 1 ? [g1] : [],
          steps: round === 1 ? [step('a'), step('b', { needs: ['a'], gate: 'g1' })] : [],
        }),
        rule: () => ({ verdict: 'rollback', gate: 'incident' }),
        revert: async () => {
          throw ApplicationFailure.nonRetryable('moved', 'provider.conflict');
        },
        inspect: () => seen,
      },
      async ({ until, signal, finish, result, journal }) => {
        await until((now) => now.gates[0]?.state === 'open');
        expect(await finish('a')).toMatchObject({ finished: false });
        await signal('rollback', envelope);
        await until((now) => now.state === 'stuck');
        expect(await finish('a')).toMatchObject({ finished: false });
        seen = 'no';
        await until((now) => [...now.steps, ...now.earlier].some((each) => each.id === 'a' && each.state === 'stuck'));
        expect(await finish('a')).toMatchObject({ finished: true });
        expect((await result()).state).toBe('rolled-back');
        expect(journal.events).toContain('inspect a');
      },
    );
  });

  it('interrupts what runs when the whole is called off, and takes it back', async () => {
    let interrupted = false;
    await play(
      {
        plan: (round) => ({ steps: round === 1 ? [step('a')] : [] }),
        rule: () => ({ verdict: 'rollback', gate: 'incident' }),
        apply: async () => {
          try {
            await withPulse((pulse) => pulse.sleep(3_600_000));
          } catch (error) {
            interrupted = true;
            throw error;
          }
          return undefined;
        },
      },
      async ({ until, signal, journal, result }) => {
        await until((now) => now.steps[0]?.state === 'running');
        await signal('rollback', envelope);
        expect((await result()).state).toBe('rolled-back');
        expect(interrupted).toBe(true);
        expect(journal.events).toContain('revert a');
      },
    );
  });

  it('writes down what came under a name it does not know, what is too large, and results of no shape, and goes on', async () => {
    const g1 = gate('g1');
    let odd = 2;
    await play(
      {
        plan: (round) => ({ gates: round === 1 ? [g1] : [], steps: round === 1 ? [step('a', { gate: 'g1' }), step('b')] : [] }),
        apply: async ({ warrant }) => (warrant.step === 'b' && odd-- > 0 ? ({ observation: 'fine', clocks: 7 } as never) : undefined),
      },
      async ({ until, signal, decide, result, journal }) => {
        await until((now) => now.gates[0]?.state === 'open');
        await signal('no-such-thing', { any: 'thing' });
        await signal('sighting', { ...sighting('rpt_9'), report: { ...sighting('rpt_9').report, claims: { text: 'x'.repeat(300_000) } } });
        await signal('approve', { ...envelope, payload: 'x'.repeat(1_500_000) });
        await until((now) => now.timeline.some((line) => line.what.includes('no-such-thing')));
        await until(() => journal.events.includes('rule approve'));
        expect(JSON.stringify(journal.inputs.rule[0]).length).toBeLessThan(10_000);
        await decide().catch(() => undefined);
        const ended = await result();
        expect(ended.state).toBe('closed');
        expect(ended.chain.filter((entry) => entry.type === 'refusal').length).toBeGreaterThan(0);
        expect(journal.inputs.receive.flatMap(({ strange }) => strange ?? [])).toContain('a signal named no-such-thing');
      },
    );
  });
});
