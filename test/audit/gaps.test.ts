import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBundle } from '../../audit/bundle.ts';
import { openEntry, type RegisterEntry, registerName } from '../../audit/register.ts';
import type { Examination } from '../../audit/register-gaps.ts';
import { openStatement } from '../../audit/statement.ts';
import { tourniquet } from '../cli/harness.ts';
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

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gaps-'));
  world = await startWorld({ kept: 'internal', deleted: 'internal' });
  [kept, deleted] = (await Promise.all(['kept', 'deleted'].map((name) => world.leak(world.deployed(name))))) as [string, string];
  // Both stand at their question, and one is refused once.
  for (const id of [kept, deleted]) await world.follow(id, (status) => status.gates.some((gate) => gate.state === 'open'));
  const asked = (await world.client.incident(deleted).status()).gates.find((gate) => gate.state === 'open');
  await world.decide(deleted, { verdict: 'approve', gate: asked?.id ?? '', by: world.deployed('deleted').owner });
  bundle = join(folder, 'kept.zip');
  const { configuration, keys } = world.stack.paths;
  const ran = await tourniquet(['audit', 'export', kept, '--out', bundle, '--config', configuration, '--keys', keys], { cwd: folder });
  expect(ran).toMatchObject({ code: 0 });
}, 120_000);
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('an incident deleted from the store and the namespace leaves a gap that audit gaps names', { timeout: 60_000 }, () => {
  it('names none while nothing was taken away', async () => {
    const { code, found } = await gaps('--bundle', bundle);
    expect(found.gaps).toEqual([]);
    expect(found.unknown).toEqual([]);
    expect(found.incidents).toEqual({ reported: 2, ended: 0, running: 2, unknown: 0 });
    expect(code).toBe(0);
  });

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
    expect((await gaps('--bundle', bundle)).found.gaps.map((gap) => gap.kind)).toEqual(['gone', 'unfinished']);
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
