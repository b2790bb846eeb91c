import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { dataConverterFor } from '../../audit/codec.ts';
import { SignalName, UpdateName, WorkflowName } from '../../domain/messages.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { golden } from './golden.ts';

const { History } = proto.temporal.api.history.v1;
type Recorded = ReturnType<typeof History.decode>;
const { histories } = golden.index();
let code: string;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
  code = (await workflowCode()).code;
}, 60_000);

/** What a replay of histories by the code says: the error of each by workflow id, undefined where it fits. */
async function replay(
  bundle: string,
  which: readonly { readonly workflowId: string; readonly history: Recorded }[],
): Promise<Map<string, string | undefined>> {
  const answers = new Map<string, string | undefined>();
  const results = Worker.runReplayHistories(
    { workflowBundle: { code: bundle }, dataConverter: dataConverterFor(), sinks: { audit: { scheduled: { fn() {} } } } },
    which,
  );
  for await (const { workflowId, error } of results) answers.set(workflowId, error?.message);
  return answers;
}
const load = (name: string): Recorded => History.decode(golden.read(name));
const all = () => histories.map(({ name, workflowId }) => ({ workflowId: `${name} ${workflowId}`, history: load(name) }));

describe('the histories recorded from a real server', () => {
  it('are all there, and nothing else is', () => {
    expect(histories.length).toBeGreaterThan(10);
    expect(readdirSync(golden.folder).sort()).toEqual([...histories.map(({ name }) => `${name}.pb`), 'index.json'].sort());
    for (const { name, events } of histories) {
      expect(existsSync(join(golden.folder, `${name}.pb`)), name).toBe(true);
      expect(load(name).events.length, name).toBe(events);
    }
  });

  it('replay with the code as it is: where this fails, patch the change, or record anew with `npm run golden` if no such run can be open', async () => {
    const answers = await replay(code, all());
    expect(answers.size).toBe(histories.length);
    expect([...answers].filter(([, error]) => error !== undefined)).toEqual([]);
  });

  it('have every workflow in them, every message that one takes, and every activity that one calls', () => {
    const workflows = new Set<string>();
    const messages = new Set<string>();
    const activities = new Set<string>();
    for (const { name } of histories) {
      for (const event of load(name).events) {
        const started = event.workflowExecutionStartedEventAttributes?.workflowType?.name;
        if (started) workflows.add(started);
        const signal = event.workflowExecutionSignaledEventAttributes?.signalName;
        if (signal) messages.add(signal);
        const update = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input?.name;
        if (update) messages.add(update);
        const activity = event.activityTaskScheduledEventAttributes?.activityType?.name;
        if (activity) activities.add(activity);
      }
    }
    expect([...workflows].sort()).toEqual(Object.values(WorkflowName).sort());
    expect([...messages].sort()).toEqual([...Object.values(SignalName), ...Object.values(UpdateName)].sort());
    expect([...activities].sort()).toEqual(
      ['receive', 'assess', 'judge', 'rule', 'recordGate', 'reachHold', 'review', 'exportBundle', 'capture', 'apply', 'revert'].sort(),
    );
  });

  it('tell nothing of the machine that recorded them', () => {
    for (const { name } of histories) {
      const text = Buffer.from(golden.read(name)).toString('latin1');
      expect(/\d+@[\w.-]+/.exec(text)?.[0], name).toBeUndefined();
      expect(text, name).not.toContain('node_modules');
    }
  });
});

describe('a change of workflow code', () => {
  /** Changes of the kind that breaks runs that are open. Each must be found in the bundle, or it would show nothing. */
  const changes: readonly (readonly [what: string, from: RegExp, to: string])[] = [
    ['another activity', /\.assess\(/g, '.evaluate('],
    ['an activity taken out', /await (\w+(\.\w+)*)\.review\(/g, "await ((..._) => ({ record: 'sha256:' + '0'.repeat(64) }))("],
    [
      'a timer put before the loop',
      /async function respond\((\w+)\) \{/g,
      'async function respond($1) { await new Promise((done) => setTimeout(done, 5));',
    ],
    ['a workflow by another name', /principalHold/g, 'holdOfPrincipal'],
  ];
  it.each(changes)(
    '%s is noticed',
    async (_what, from, to) => {
      const changed = code.replace(from, to);
      expect(changed).not.toBe(code);
      const answers = await replay(changed, all());
      expect([...answers.values()].filter((error) => error !== undefined).length).toBeGreaterThan(0);
    },
    60_000,
  );
});
