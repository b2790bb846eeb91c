import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBundle, recordPath } from '../../audit/bundle.ts';
import { openEntry, type RegisterEntry, registerName } from '../../audit/register.ts';
import type { Examination } from '../../audit/register-gaps.ts';
import { openStatement } from '../../audit/statement.ts';
import { queueOf } from '../../domain/manifest.ts';
import type { IncidentStatus } from '../../domain/messages.ts';
import { tourniquet } from '../cli/harness.ts';
import { attempt } from '../engine/intruder.ts';
import { startWorld, until, type World } from '../engine/world.ts';

/*
 * `tourniquet audit gaps` on the embedded stack: the workers of a real engine write, somebody with the folder of the store and every right on the namespace takes away.
 */

let world: World;
let folder: string;
let kept: string;
let deleted: string;
let bundle: string;

const gaps = async (
  ...argv: string[]
): Promise<{ readonly code: number; readonly found: Examination & { code?: string }; readonly err: string }> => {
  const { configuration, keys } = world.stack.paths;
  const ran = await tourniquet(['audit', 'gaps', '--config', configuration, '--keys', keys, '--json', ...argv], { cwd: folder });
  return { code: ran.code, found: ran.out === '' ? undefined : JSON.parse(ran.out), err: ran.err } as never;
};
const entries = async (): Promise<RegisterEntry[]> => {
  const names = await world.store.list('register/');
  return await Promise.all(names.map(async (name) => openEntry((await world.store.read(name)) as Uint8Array).entry));
};

/** The bundle of an incident as it stands, by the command. */
const exported = async (id: string, name: string): Promise<string> => {
  const { configuration, keys } = world.stack.paths;
  const file = join(folder, `${name}.zip`);
  const ran = await tourniquet(['audit', 'export', id, '--out', file, '--config', configuration, '--keys', keys], { cwd: folder });
  expect(ran).toMatchObject({ code: 0 });
  return file;
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gaps-'));
  world = await startWorld({ kept: 'internal', deleted: 'internal', tried: 'internal', 'called-off': 'internal' }, { retryCeilingMs: 500 });
  [kept, deleted] = (await Promise.all(['kept', 'deleted'].map((name) => world.leak(world.deployed(name))))) as [string, string];
  // Both stand at their question, and one is refused once.
  for (const id of [kept, deleted]) await world.follow(id, (status) => status.gates.some((gate) => gate.state === 'open'));
  const asked = (await world.client.incident(deleted).status()).gates.find((gate) => gate.state === 'open');
  await world.decide(deleted, { verdict: 'approve', gate: asked?.id ?? '', by: world.deployed('deleted').owner });
  bundle = await exported(kept, 'kept');
}, 120_000);
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

it('names none while nothing was taken away', async () => {
  const { code, found } = await gaps('--bundle', bundle);
  expect(found.gaps).toEqual([]);
  expect(found.unknown).toEqual([]);
  expect(found.incidents).toEqual({ reported: 2, ended: 0, running: 2, unknown: 0 });
  expect(code).toBe(0);
});

describe('a registered record that a bundle leaves out is named', { timeout: 60_000 }, () => {
  let ended: string;

  /** An incident whose mint fails again and again; rolled back once `far`, and its bundle. */
  const rolledBack = async (name: string, count: number, far: (status: IncidentStatus, tries: number) => boolean): Promise<string> => {
    const { control } = world.stack;
    const deployed = world.deployed(name);
    const id = await world.leak(deployed);
    const asking = await world.follow(id, (status) => status.gates.some((gate) => gate.state === 'open'));
    const { run } = asking;
    const fault = await control.inject({ kind: 'error-500', service: 'iam', action: 'CreateAccessKey', mentions: [deployed.user], count });
    const gate = asking.gates.find((each) => each.state === 'open')?.id ?? '';
    expect(await world.decide(id, { verdict: 'approve', gate, by: 'sam' })).toMatchObject({ accepted: true });
    const tries = async () => (await entries()).filter((entry) => entry.run === run && entry.kind === 'change').length;
    await until(`${name} is far enough`, async () => far(await world.client.incident(id).status(), await tries()), 40_000);
    expect(await world.decide(id, { verdict: 'rollback', by: 'ada' })).toMatchObject({ accepted: true });
    await control.removeFault(fault.id);
    const { state } = await world.client.incident(id, run).result({ signal: AbortSignal.timeout(45_000) });
    expect(state).toBe('rolled-back');
    const file = await exported(id, name);
    const held = readBundle(file);
    const beside = (await entries()).filter((entry) => entry.run === run && !held.has(recordPath(entry.record)));
    expect(beside.map((entry) => entry.kind)).toContain('change');
    return file;
  };

  it('each try of a step has a record, and a bundle that tells how the tries ended leaves none out, whether the last went well or was called off', async () => {
    const isMinted = ({ steps }: IncidentStatus) => steps.some(({ action, state }) => action === 'aws/mint-key' && state === 'done');
    const [mended, calledOff] = await Promise.all([
      rolledBack('tried', 12, isMinted),
      rolledBack('called-off', 100_000, (_status, tries) => tries >= 3),
    ]);
    ended = mended;
    const { code, found } = await gaps('--bundle', mended, '--bundle', calledOff);
    expect(found.gaps).toEqual([]);
    expect(code).toBe(0);
  });

  it('what reached a worker in the name of the run, and is not told there, is named with its number', async () => {
    const { incident = '', run = '' } = openStatement(readBundle(ended)).statement.predicate;
    const plan = `sha256:${'7'.repeat(64)}`;
    const { record, code: refused } = await attempt(world, {
      workflowId: `leak/${randomUUID()}`,
      queue: queueOf('aws', world.stack.aws.accountId),
      activity: 'apply',
      input: () => ({ warrant: { incident, run, round: 1, plan, step: 's1', decisions: [], snapshot: plan }, made: {} }),
    });
    expect(refused).toBe('warrant.plan-missing');
    const entry = (await entries()).find((each) => each.record === record);
    const { code, found } = await gaps('--bundle', ended);
    expect(found.gaps).toMatchObject([{ kind: 'left-out', incident, run, numbers: [[entry?.n, entry?.n]] }]);
    expect(found.gaps[0]?.words).toContain('tried.zip leaves out 1 record of it that is registered');
    expect(found.gaps[0]?.words).toContain('1 refusal');
    expect([code, found.code]).toEqual([1, 'audit.gaps']);
  });

  it('a bundle that was made while the run went on is named as one that ends before what is registered since, unless a later one is given with it', async () => {
    const asked = (await world.client.incident(kept).status()).gates.find((gate) => gate.state === 'open');
    for (const by of ['olu', 'scanner']) await world.decide(kept, { verdict: 'approve', gate: asked?.id ?? '', by });
    const { code, found } = await gaps('--bundle', bundle);
    const since = (await entries()).slice(-2).map((entry) => entry.n);
    expect(found.gaps).toMatchObject([{ kind: 'left-out', incident: kept, numbers: [since] }]);
    expect(found.gaps[0]?.words).toContain('this bundle ends before 2 records that are registered');
    expect(found.gaps[0]?.words).toContain('2 decision');
    expect([code, found.code]).toEqual([1, 'audit.gaps']);
    const later = await exported(kept, 'later');
    expect((await gaps('--bundle', bundle, '--bundle', later)).found.gaps).toEqual([]);
  });
});

describe('an incident deleted from the store and the namespace leaves a gap that audit gaps names', { timeout: 60_000 }, () => {
  it('names the incident, its numbers and its times, with the server and without', async () => {
    const its = (await entries()).filter((entry) => entry.incident === deleted);
    expect(its.map((entry) => entry.kind)).toEqual(expect.arrayContaining(['report', 'decision']));
    const { run } = await world.client.incident(deleted).status();
    const { temporal } = world.client;
    // A running one is ended and forgotten at once; one that was terminated first would be remembered for half a minute more.
    await temporal.workflowService.deleteWorkflowExecution({
      namespace: world.stack.temporal.namespace,
      workflowExecution: { workflowId: deleted, runId: run },
    });
    for (const entry of its) await world.store.remove(entry.record);
    await until('the namespace has forgotten it', async () => {
      const gone = await temporal.workflow
        .getHandle(deleted, run)
        .describe()
        .then(
          () => false,
          () => true,
        );
      return gone;
    });

    const online = await gaps();
    const mark = { incident: deleted, run, from: its[0]?.at, to: its.at(-1)?.at };
    expect(online.found.gaps).toMatchObject([
      { kind: 'gone', ...mark },
      { kind: 'unfinished', ...mark },
    ]);
    expect(online.found.gaps[0]?.numbers.flat()).toEqual(expect.arrayContaining([its[0]?.n, its.at(-1)?.n]));
    expect([online.code, online.found.code]).toEqual([1, 'audit.gaps']);
    expect(online.found.gaps[1]?.words).toContain('the server knows of no such run');

    const offline = await gaps('--offline');
    expect(offline.found.gaps.map((gap) => [gap.kind, gap.incident])).toEqual([['gone', deleted]]);
    expect(offline.found.unknown.join('\n')).toContain('the 2 incidents that were reported and not ended');
    expect(offline.code).toBe(1);
  });

  it('an edit of the policy stands in the register of the running engine, before what is judged by it', async () => {
    const before = await entries();
    expect(before.filter((entry) => ['trust', 'people', 'policy'].includes(entry.kind)).map((entry) => entry.kind)).toEqual([
      'trust',
      'people',
      'policy',
    ]);
    await world.setPolicy((text) => text.replace('rules:', '# somebody was here\nrules:').replace(/(deadline|remind\w*): 15m/, '$1: 14m'));
    expect(readFileSync(world.stack.paths.policy, 'utf8')).toContain('14m');
    await world.leak(world.deployed('kept'), 'olu');
    const edit = await until('the edit is in the register', async () =>
      (await entries()).slice(before.length).find((entry) => entry.kind === 'policy'),
    );
    const said = JSON.parse(Buffer.from(await world.store.get(edit.record)).toString());
    expect(JSON.stringify(said)).toContain(String(14 * 60_000));
  });

  it('a rewritten tail is caught with a bundle as an anchor', async () => {
    const { n } = openStatement(readBundle(bundle)).statement.predicate.register;
    expect((await gaps('--bundle', bundle)).found.gaps.map((gap) => gap.kind)).toEqual(['gone', 'left-out', 'unfinished']);
    // Cut off from before the bundle on.
    for (const entry of (await entries()).filter((each) => each.n >= n)) {
      rmSync(join(world.stack.paths.store, 'names', `${registerName(entry.n)}.n`));
    }
    const cut = await gaps('--bundle', bundle);
    expect(cut.found.gaps.map((gap) => gap.kind)).toContain('cut-off');
    expect(cut.found.gaps.find((gap) => gap.kind === 'cut-off')?.words).toContain('the end is cut off');
    expect(cut.code).toBe(1);
    // The workers know where they were and go on behind the hole, so that it is seen without the bundle too.
    const asked = (await world.client.incident(kept).status()).gates.find((gate) => gate.state === 'open');
    await world.decide(kept, { verdict: 'approve', gate: asked?.id ?? '', by: world.deployed('kept').owner });
    expect((await gaps()).found.gaps.find((gap) => gap.kind === 'missing')?.numbers[0]?.[0]).toBe(n);
  });

  it('a folder that is no store, a bundle that is none and a trust file of somebody else are refused by name', async () => {
    writeFileSync(join(folder, 'none.zip'), 'no zip');
    expect((await gaps('--bundle', join(folder, 'none.zip'))).err).toContain('audit.broken');
    expect((await gaps('--trust', world.stack.paths.trust, '--root', Buffer.alloc(32, 1).toString('base64'))).err).toContain(
      'trust.bad-signature',
    );
  });
});
