import { WithStartWorkflowOperation, type WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import type { JudgeDeps } from '../../activities/deps.ts';
import { createReachHold } from '../../activities/hold.ts';
import { dataConverterFor } from '../../audit/codec.ts';
import { type History, parseHistory } from '../../audit/history.ts';
import { holdId, judgeQueue, queueOf } from '../../domain/manifest.ts';
import {
  type HoldInput,
  type IncidentStatus,
  type JudgeActivities,
  type ProviderActivities,
  SearchAttribute,
  SignalName,
  UpdateName,
  WorkflowName,
} from '../../domain/messages.ts';
import { findServer } from '../../lab/servers/find.ts';
import { newJournal, scriptedActivities, sighting } from '../saga/scripted-world.ts';
import { envelope, type Incident, type Scene } from './scenes.ts';

const { History: HistoryMessage } = proto.temporal.api.history.v1;
type Activities = JudgeActivities & ProviderActivities;
type Input = Partial<Record<'incident' | 'warrant' | 'apply' | 'revert', unknown>>;

/** Plays every scene on a real server, all at once, and answers with the history of each, by the scene's name. */
export async function record(code: string, scenes: readonly Scene[]): Promise<Map<string, History>> {
  const identity = 'recorder';
  const environment = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: findServer('temporal').path },
      extraArgs: Object.values(SearchAttribute).flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
    },
    client: { dataConverter: dataConverterFor(), identity },
  });
  try {
    const casts = new Map<string, Activities>();
    const activities = dispatched(casts, createReachHold({ client: environment.client } as JudgeDeps));
    const common = { connection: environment.nativeConnection, dataConverter: dataConverterFor(), identity, activities };
    const judge = await Worker.create({
      ...common,
      taskQueue: judgeQueue,
      workflowBundle: { code },
      sinks: { audit: { scheduled: { fn() {} } } },
    });
    const provider = await Worker.create({ ...common, taskQueue: queueOf('test', 'one') });
    return await judge.runUntil(
      provider.runUntil(async () => new Map(await Promise.all(scenes.map((scene) => playScene(environment, casts, scene))))),
    );
  } finally {
    await environment.teardown();
  }
}

/** One set of activities for all scenes, since the queues are the engine's own: each call goes to the world of the incident that it is for. */
function dispatched(
  casts: ReadonlyMap<string, Activities>,
  reachHold: (input: HoldInput) => unknown,
): Record<string, (input: Input) => unknown> {
  const incidentOf = (input: Input): string => {
    const inside = (input.incident ? input : (input.warrant ?? input.apply ?? input.revert)) as Input;
    return typeof inside.incident === 'string' ? inside.incident : incidentOf(inside);
  };
  const names = [
    'receive',
    'judge',
    'rule',
    'recordGate',
    'review',
    'exportBundle',
    'assess',
    'capture',
    'apply',
    'revert',
    'inspect',
  ] as const;
  const all: Record<string, (input: Input) => unknown> = {
    reachHold: reachHold as (input: Input) => unknown,
    // Of no incident: whoever holds is still there.
    endedHolders: () => ({ ended: [] }),
  };
  for (const name of names) {
    all[name] = (input) => (casts.get(incidentOf(input))?.[name] as ((input: Input) => unknown) | undefined)?.(input);
  }
  return all;
}

async function playScene(environment: TestWorkflowEnvironment, casts: Map<string, Activities>, scene: Scene): Promise<[string, History]> {
  const { client } = environment;
  const opened: WorkflowHandle[] = [];
  const open = async (suffix = ''): Promise<Incident> => {
    const id = `leak/${scene.name}${suffix}`;
    const journal = newJournal();
    const scripted = scriptedActivities(scene.script, journal);
    casts.set(id, { ...scripted, ...scene.otherwise?.(scripted) });
    const handle = await client.workflow.signalWithStart(WorkflowName.LEAK_RESPONSE, {
      workflowId: id,
      taskQueue: judgeQueue,
      args: [],
      signal: SignalName.SIGHTING,
      signalArgs: [sighting('rpt_1')],
    });
    opened.push(handle);
    return {
      id,
      journal,
      until: (what) => untilStatus(scene.name, handle, what),
      signal: (name, value) => handle.signal(name, value),
      signalBytes: async (name, payload) => {
        await client.workflowService.signalWorkflowExecution({
          namespace: client.options.namespace,
          workflowExecution: { workflowId: id },
          signalName: name,
          input: { payloads: [payload] },
          identity: 'recorder',
        });
      },
      decide: (value = envelope) => handle.executeUpdate(UpdateName.DECIDE, { args: [value] }),
      finish: (step) => handle.executeUpdate(UpdateName.FINISH, { args: [{ step }] }),
      ended: async () => void (await handle.result()),
      run: async () => (await handle.describe()).runId,
    };
  };
  const incident = await open();
  const of = await scene.play({
    incident,
    open,
    async askHold(input, key) {
      return await client.workflow.executeUpdateWithStart(UpdateName.HOLD, {
        args: [{ ...input, key }],
        startWorkflowOperation: new WithStartWorkflowOperation(WorkflowName.PRINCIPAL_HOLD, {
          workflowId: holdId(input.provider, input.account, input.principal),
          taskQueue: judgeQueue,
          args: [],
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      });
    },
    result: async (workflowId) => void (await client.workflow.getHandle(workflowId).result()),
  });
  const fetched = await client.workflow.getHandle(typeof of === 'string' ? of : incident.id).fetchHistory();
  // What is left open would go on and on while the others are played.
  for (const handle of opened) await handle.terminate('recorded').catch(() => undefined);
  return [scene.name, withoutMachine(fetched)];
}

/** A copy without what tells of the machine and of nothing else: in which file of it something was thrown. */
function withoutMachine(fetched: History): History {
  const copy = parseHistory(new Uint8Array(HistoryMessage.encode(HistoryMessage.fromObject(fetched)).finish()));
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
    const bag = value as Record<string, unknown>;
    for (const [key, child] of Object.entries(bag)) {
      if (key === 'stackTrace') bag[key] = '';
      else if (key === 'encodedAttributes' && child) {
        const payload = child as { data: Uint8Array };
        const attributes = JSON.parse(Buffer.from(payload.data).toString('utf8'));
        payload.data = new Uint8Array(Buffer.from(JSON.stringify({ ...attributes, stack_trace: '' })));
      } else visit(child);
    }
  };
  visit(copy);
  return copy;
}

async function untilStatus(scene: string, handle: WorkflowHandle, what: (status: IncidentStatus) => boolean): Promise<IncidentStatus> {
  let now: IncidentStatus | undefined;
  for (let n = 0; n < 600; n++) {
    now = await handle.query<IncidentStatus>('status');
    if (what(now)) return now;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${scene}: it never came to that: ${now?.state}, round ${now?.round}, ${now?.timeline.at(-1)?.what}`);
}
