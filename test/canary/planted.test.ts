import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import proto from '@temporalio/proto';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataConverterFor, openKeyring } from '../../audit/codec.ts';
import { openDirectoryDrop } from '../../audit/store.ts';
import { startWorld, until, type World } from '../engine/world.ts';
import { type FormName, formNames, formsOf, Needles } from './forms.ts';
import { Hunt, huntAfter, huntThrough, looseFiles, type PlaceKind, placeKinds } from './hunt.ts';

const queue = 'canary-queue';
const canary = (): string => `cAnary/+">>>???>>>???${randomBytes(15).toString('base64')}&é?>>>`;
const nameOf = (kind: PlaceKind, form: FormName): string => `${kind} × ${form}`;

/** Every canary by its name, and how it is spelt where it is planted. */
const canaries = Object.fromEntries(placeKinds.flatMap((kind) => formNames.map((form) => [nameOf(kind, form), canary()])));
function spelt(kind: PlaceKind, form: FormName): string {
  const found = formsOf(canaries[nameOf(kind, form)] ?? '').find((each) => each.form === form);
  if (!found) throw new Error(`no ${form}`);
  return found.text;
}

let world: World;
let child: ChildProcess;
const since = Date.now() - 1000;
const temporary = join(tmpdir(), `canary-${process.pid}.txt`);

beforeAll(async () => {
  world = await startWorld();
}, 120_000);
afterAll(async () => {
  child?.kill('SIGKILL');
  rmSync(temporary, { force: true });
  await world?.stop();
});

const all = (kind: PlaceKind): string => formNames.map((form) => spelt(kind, form)).join('\n');

/** Puts a canary in every place, each in every spelling. */
async function plant(): Promise<void> {
  const { stack, store } = world;
  const { paths } = stack;
  const connection = await Connection.connect({ address: stack.temporal.address });
  const { workflowService } = connection;
  const plain = new Client({
    connection,
    interceptors: {
      workflow: [{ start: (input, next) => next({ ...input, headers: { planted: defaultPayloadConverter.toPayload(all('header')) } }) }],
    },
  });
  const coded = new Client({ connection, dataConverter: dataConverterFor(openKeyring(join(paths.keys, 'operator', 'codec.json'))) });
  await plain.workflow.start('nobody', {
    workflowId: `planted\n${all('workflow id')}`.slice(0, 990),
    taskQueue: queue,
    args: [all('history')],
    memo: { planted: all('memo') },
    searchAttributes: { TourniquetKind: [all('search attribute')] },
  });
  for (const form of formNames)
    await plain.workflow.start('nobody', { workflowId: `planted ${spelt('workflow id', form)}`, taskQueue: queue });
  await coded.workflow.start('nobody', { workflowId: 'planted coded', taskQueue: `${queue}-coded`, args: [all('decoded history')] });
  const polled = workflowService.pollWorkflowTaskQueue.bind(workflowService, {
    namespace: 'default',
    taskQueue: { name: queue },
    identity: 'canary',
  });
  const task = await connection.withDeadline(Date.now() + 20_000, () => polled());
  await workflowService.respondWorkflowTaskCompleted({
    taskToken: task.taskToken,
    identity: 'canary',
    commands: [
      {
        commandType: proto.temporal.api.enums.v1.CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
        failWorkflowExecutionCommandAttributes: { failure: { message: all('failure'), source: 'canary' } },
      },
    ],
  });
  await connection.close();

  writeFileSync(join(paths.logs, 'planted.log'), all('log'));
  writeFileSync(join(paths.directory, 'planted.txt'), all('file'));
  writeFileSync(join(paths.directory, 'core.4711'), all('core or heap file'));
  writeFileSync(temporary, all('temporary file'));
  const serve = `require('node:http').createServer((q, r) => r.end('# TYPE planted counter\\n' + process.argv[1])).listen(0, '127.0.0.1', () => console.log('up'))`;
  child = spawn(process.execPath, ['-e', serve, all('metric'), all('process argument')], {
    env: { PLANTED: all('environment') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((done) => child.stdout?.once('data', () => done()));

  const text = (kind: PlaceKind) => Buffer.from(all(kind));
  await store.put(text('blob'));
  const envelope = { payloadType: 'planted', payload: text('record').toString('base64'), signatures: [{ keyid: 'k', sig: 'c2ln' }] };
  await store.put(Buffer.from(JSON.stringify(envelope)));
  await store.createIfAbsent('planted/name', text('name in the store'));
  await openDirectoryDrop(paths.drop).put(text('sealed blob'));
  await store.put(zipSync({ 'history.json': text('bundle'), 'report.json': text('report') }));
  await until('the visibility store has the planted runs', async () => {
    const seen = new Set<string>();
    for await (const { workflowId } of world.client.temporal.workflow.list()) seen.add(workflowId);
    return seen.size >= formNames.length + 2;
  });
}

describe('the canary hunt', { timeout: 120_000 }, () => {
  it('finds every spelling of a secret, wherever it begins, and tells which it was', () => {
    const secret = canary();
    const needles = new Needles({ it: secret });
    for (const { form, text } of formsOf(secret))
      expect(
        needles.in(Buffer.from(`..${text}..`)).map((each) => each.form),
        text,
      ).toContain(form);
    for (const before of ['', 'a', 'ab', 'abc']) {
      const within = Buffer.from(`${before}${secret}zz`);
      expect(needles.in(Buffer.from(within.toString('base64'))).map(({ form }) => form)).toContain('base64');
      expect(needles.in(Buffer.from(within.toString('base64url'))).map(({ form }) => form)).toContain('base64url');
    }
    expect(needles.in(Buffer.from(canary().repeat(50)))).toEqual([]);
    expect(() => new Needles({ short: 'abc' })).toThrow('too short');
  });

  it('finds nothing in a stack at rest, whose exempt files are for their owner only', async () => {
    const { findings, unlooked } = await huntAfter({ stack: world.stack, client: world.client, store: world.store, since });
    expect(findings).toEqual([]);
    expect(looseFiles(world.stack.paths.directory)).toEqual([]);
    // Without an incident there are no runs, records or bundles to look into; all else there is.
    expect(
      unlooked.filter((kind) => ['log', 'file', 'process argument', 'environment', 'metric', 'temporary file'].includes(kind)),
    ).toEqual([]);
  });

  it('one canary planted in every place and every spelling: all found', async () => {
    await plant();
    const hunt = new Hunt(canaries);
    await huntThrough(hunt, {
      stack: world.stack,
      client: world.client,
      store: world.store,
      since,
      errors: [all('error')],
      processes: [child.pid ?? 0],
    });
    const found = new Set(
      hunt.findings.filter(({ kind, secret }) => secret.startsWith(`${kind} × `)).map(({ secret, form }) => `${secret}|${form}`),
    );
    const missed: string[] = [];
    for (const kind of placeKinds) {
      const row = formNames.map((form) => {
        const hit = found.has(`${nameOf(kind, form)}|${form}`);
        if (!hit) missed.push(nameOf(kind, form));
        return `${form} ${hit ? 'found' : 'MISSED'}`;
      });
      console.log(`${kind.padEnd(20)} ${row.join(' · ')}`);
    }
    expect(missed).toEqual([]);
  });
});
