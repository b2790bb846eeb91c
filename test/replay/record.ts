import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { dataConverterFor } from '../../audit/codec.ts';
import { findServer } from '../../lab/servers/find.ts';
import { enterPracticeEnvironment } from '../../scripts/environment.mjs';
import { workflowCode } from '../../workers/bundle.ts';
import { newJournal, scriptedActivities, sighting } from '../saga/scripted-world.ts';
import { type Golden, golden } from './golden.ts';
import { envelope, type SceneStage, scenes, untilStatus } from './scenes.ts';

/*
 * Records the goldens: every scene is played on a real server with the workflow code as it is, and its history kept. `npm run golden` does it. Whoever runs it says with
 * that: no history of the code before is open anywhere that matters.
 */

enterPracticeEnvironment();
Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });

const { History } = proto.temporal.api.history.v1;
const { code, hash } = await workflowCode();
const environment = await TestWorkflowEnvironment.createLocal({
  server: {
    executable: { type: 'existing-path', path: findServer('temporal').path },
    extraArgs: ['TourniquetState', 'TourniquetKind', 'TourniquetContained', 'TourniquetStuck'].flatMap((name) => [
      '--search-attribute',
      `${name}=Keyword`,
    ]),
  },
  client: { dataConverter: dataConverterFor(), identity: 'recorder' },
});

/** Takes out what tells of the machine and of nothing else: who called itself what, and where in which file something was thrown. */
function withoutMachine(value: unknown): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  const bag = value as Record<string, unknown>;
  for (const key of Object.keys(bag)) {
    if (key === 'identity' && typeof bag[key] === 'string' && bag[key] !== '') bag[key] = 'recorder';
    else if (key === 'stackTrace' && typeof bag[key] === 'string') bag[key] = '';
    else if (key === 'encodedAttributes' && bag[key]) {
      const payload = bag[key] as { data: Uint8Array };
      const attributes = JSON.parse(Buffer.from(payload.data).toString('utf8')) as Record<string, unknown>;
      payload.data = Buffer.from(JSON.stringify({ ...attributes, stack_trace: '' }));
    } else withoutMachine(bag[key]);
  }
}

mkdirSync(golden.folder, { recursive: true });
for (const file of readdirSync(golden.folder)) rmSync(join(golden.folder, file));
const entries: Golden[] = [];
try {
  for (const scene of scenes) {
    const journal = newJournal();
    const scripted = scriptedActivities(scene.script, journal);
    const activities = { ...scripted, reachHold: scripted.reachHold.bind(scripted) };
    const common = {
      connection: environment.nativeConnection,
      namespace: environment.namespace ?? 'default',
      dataConverter: dataConverterFor(),
      identity: 'recorder',
    };
    const judge = await Worker.create({
      ...common,
      taskQueue: 'tourniquet',
      workflowBundle: { code },
      activities,
      sinks: { audit: { scheduled: { fn() {} } } },
    });
    const provider = await Worker.create({ ...common, taskQueue: 'tourniquet-test-one', activities });
    const entry = await judge.runUntil(
      provider.runUntil(async () => {
        const handle = await environment.client.workflow.signalWithStart('leakResponse', {
          workflowId: `leak/${randomUUID()}`,
          taskQueue: 'tourniquet',
          args: [],
          signal: 'sighting',
          signalArgs: [sighting('rpt_1')],
        });
        const stage: SceneStage = {
          environment,
          handle,
          journal,
          until: (what) => untilStatus(handle, what),
          signal: (name, value) => handle.signal(name, value),
          decide: () => handle.executeUpdate('decide', { args: [envelope] }),
        };
        await scene.play(stage);
        const of = (await scene.of?.(stage)) ?? { workflowId: handle.workflowId, runId: (await handle.describe()).runId };
        const history = await environment.client.workflow.getHandle(of.workflowId, of.runId).fetchHistory();
        const copy = History.decode(History.encode(History.fromObject(history)).finish());
        withoutMachine(copy);
        // What goes on would be taken up by the next scene's worker, in whose world it is not.
        for (const each of [handle, environment.client.workflow.getHandle(of.workflowId, of.runId)])
          await each.terminate().catch(() => undefined);
        writeFileSync(join(golden.folder, `${scene.name}.pb`), History.encode(copy).finish());
        return {
          name: scene.name,
          what: scene.what,
          workflow: copy.events[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name ?? '',
          workflowId: of.workflowId,
          events: copy.events.length,
        };
      }),
    );
    entries.push(entry);
    console.log(`${entry.name}: ${entry.workflow}, ${entry.events} events`);
  }
} finally {
  await environment.teardown();
}
writeFileSync(join(golden.folder, 'index.json'), `${JSON.stringify({ code: hash, histories: entries }, null, 2)}\n`);
console.log(`${entries.length} histories of the code ${hash}`);
process.exit(0);
