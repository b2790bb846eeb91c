import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type DecisionRuling, decisionFor, type IncidentStatus, type SignedDecision, signDecision } from '../../client/index.ts';
import type { Hash } from '../../domain/canonical.ts';
import { SignalName } from '../../domain/messages.ts';
import { emptyHead } from '../../domain/record.ts';
import { findServer } from '../../lab/servers/find.ts';
import { fields } from '../../lab/world/cast.ts';
import { tourniquet } from '../cli/harness.ts';
import { gateOf, startWorld, until, type World } from './world.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

let world: World;
beforeAll(async () => {
  world = await startWorld({ refusals: 'internal', again: 'internal', silent: 'internal', plain: 'internal', headless: 'internal' });
});
afterAll(() => world?.stop());

const isAsking = (status: IncidentStatus): boolean => gateOf(status, 'g-outage')?.state === 'open';

/** Holds a refusal to the chain, to its record, and to the report of the run's bundle. */
async function expectRecorded(id: string, run: string, refused: readonly DecisionRuling[]): Promise<void> {
  const incident = world.client.incident(id, run);
  const chain = await incident.chain();
  const { report, files } = await world.bundle((await incident.exported()).bundle);
  const html = Buffer.from(files.get('report.html') ?? []).toString('utf8');
  for (const { code = '', record, by, verdict } of refused) {
    const entry = chain.find((each) => each.record === record);
    expect(entry?.type, code).toBe('decision');
    const { body } = await world.record(entry?.record ?? 'sha256:', 'decision');
    expect(body.ruling, code).toMatchObject({ accepted: false, code, by, verdict });
    expect(report.decisions, code).toContainEqual(expect.objectContaining({ accepted: false, code, by, verdict, record }));
    expect(html).toContain(code);
  }
}

test('a stale hash, a wrong role, the own incident, a bad signature and the same again are each refused with a code of its own, in record and report', async () => {
  const deployed = world.deployed('refusals');
  const before = await world.picture(deployed.user);
  const id = await world.leak(deployed, 'ada');
  const status = await world.follow(id, isAsking);
  const incident = world.client.incident(id);
  const approve = { verdict: 'approve', gate: 'g-outage' } as const;
  const forSam = decisionFor(status, { ...approve, by: 'sam', reason: 'looked at it', planHash: status.planHash ?? '' });
  const bySam = signDecision(forSam, world.signer('sam'));
  const another = world.sign(status, { ...approve, by: 'sam' });

  const attempts: readonly (readonly [string, SignedDecision])[] = [
    ['decision.stale', world.sign(status, { ...approve, by: 'sam', planHash: `sha256:${'ab'.repeat(32)}` })],
    ['decision.wrong-role', world.sign(status, { ...approve, by: 'scanner' })],
    // Whoever reported it has the role; whoever owns it is as little impartial.
    ['decision.own-incident', world.sign(status, { ...approve, by: 'ada' })],
    ['decision.own-incident', world.sign(status, { ...approve, by: 'olu' })],
    [
      'decision.bad-signature',
      signDecision(decisionFor(status, { ...approve, by: 'sam', reason: 'as sam', planHash: status.planHash ?? '' }), world.signer('ada')),
    ],
    ['decision.bad-signature', { ...another, signatures: bySam.signatures }],
  ];
  const refused: DecisionRuling[] = [];
  for (const [code, signed] of attempts) {
    const ruling = await incident.decide(signed);
    expect(ruling).toMatchObject({ accepted: false, code });
    refused.push(ruling);
  }
  const still = await incident.status();
  expect(gateOf(still, 'g-outage')).toMatchObject({ state: 'open', approvals: [] });
  expect(still.planHash).toBe(status.planHash);
  expect(await world.picture(deployed.user)).toEqual(before);

  expect(await incident.decide(bySam)).toMatchObject({ accepted: true });
  // By a signal: an update of the same id would be given its first answer again, and never reach the run.
  await world.client.temporal.workflow.getHandle(id).signal(SignalName.APPROVE, bySam);
  const twice = await world.follow(id, (now) => now.refused.length > refused.length && gateOf(now, 'g-irreversible')?.state === 'open');
  expect(twice.refused.map(({ code }) => code)).toEqual([...attempts.map(([code]) => code), 'decision.duplicate']);
  refused.push(...twice.refused.slice(-1));
  await expectRecorded(id, status.run, refused);
});

test('a decision over a head that the run never had is refused as stale, in record and report, and the bundle verifies; one over an earlier head counts', async () => {
  const { stack } = world;
  const id = await world.leak(world.deployed('headless'));
  const asking = await world.follow(id, isAsking);
  const incident = world.client.incident(id);
  const over = (evidenceHead: Hash, ask: { readonly verdict: 'approve' | 'dismiss'; readonly gate?: string; readonly by: string }) =>
    signDecision(
      { ...decisionFor(asking, { ...ask, reason: 'looked at it', planHash: asking.planHash ?? '' }), evidenceHead },
      world.signer(ask.by),
    );
  const approve = { verdict: 'approve', gate: 'g-outage', by: 'sam' } as const;
  const never = `sha256:${'cd'.repeat(32)}` as const;
  // A record of the incident is no head of it, nor is what there was before the first.
  const refused: DecisionRuling[] = [];
  for (const head of [never, (await incident.chain())[0]?.record ?? never, emptyHead]) {
    const ruling = await incident.decide(over(head, approve));
    expect(ruling).toMatchObject({ accepted: false, code: 'decision.stale', by: 'sam' });
    expect(ruling.why).toContain('which this run has never had');
    refused.push(ruling);
  }
  refused.push(await incident.decide(over(never, { verdict: 'dismiss', by: 'ada' })));
  expect(refused.at(-1)).toMatchObject({ accepted: false, code: 'decision.stale' });
  expect(gateOf(await incident.status(), 'g-outage')).toMatchObject({ state: 'open', approvals: [] });

  // What it was signed over need not be the latest.
  const [, second] = await incident.chain();
  expect(await incident.decide(over(second?.head ?? never, { verdict: 'dismiss', by: 'ada' }))).toMatchObject({ accepted: true });
  await world.client.incident(id, asking.run).result();
  await expectRecorded(id, asking.run, refused);
  const file = join(stack.paths.directory, 'headless.zip');
  const cwd = stack.paths.directory;
  expect(await tourniquet(['audit', 'export', id, '--out', file], { cwd })).toMatchObject({ code: 0 });
  const verified = await tourniquet(['audit', 'verify', file, '--trust', stack.paths.trust, '--json'], { cwd });
  expect(verified, verified.out).toMatchObject({ code: 0 });
});

test('a decision that was signed for an earlier run of the incident is refused as replayed, in record and report', async () => {
  const deployed = world.deployed('again');
  const id = await world.leak(deployed);
  const first = await world.follow(id, isAsking);
  const kept = world.sign(first, { verdict: 'approve', gate: 'g-outage', by: 'sam' });
  expect(await world.decide(id, { verdict: 'dismiss', by: 'ada' })).toMatchObject({ accepted: true });
  await world.client.incident(id, first.run).result();

  expect(await world.leak(deployed)).toBe(id);
  const second = await world.follow(id, (status) => status.run !== first.run && isAsking(status));
  expect(second.previousRun).toBe(first.run);
  const ruling = await world.client.incident(id).decide(kept);
  expect(ruling).toMatchObject({ accepted: false, code: 'decision.replayed' });
  expect(gateOf(await world.client.incident(id).status(), 'g-outage')?.state).toBe('open');
  await expectRecorded(id, second.run, [ruling]);
});

test('after the deadline the default happens and says so, and whoever comes then is refused as late, in record and report', async () => {
  const deployed = world.deployed('silent');
  const before = await world.picture(deployed.user);
  const since = await world.lastChange();
  const usual = 'deadline: 15m\n    reminders: [5m, 10m]';
  const short = 'deadline: 2s\n    reminders: [500ms]';
  await world.setPolicy((text) => text.replace(usual, short));
  const id = await world.leak(deployed);
  const asking = await world.follow(id, isAsking);
  // The rounds that follow have time again: one default is enough.
  await world.setPolicy((text) => text.replace(short, usual));
  expect(gateOf(asking, 'g-outage')?.rule).toMatchObject({ deadlineMs: 2_000, onSilence: 'harmless' });
  const late = world.sign(asking, { verdict: 'approve', gate: 'g-outage', by: 'sam' });
  await world.follow(id, (status) => gateOf(status, 'g-outage')?.state === 'defaulted');
  const ruling = await world.client.incident(id).decide(late);
  expect(ruling).toMatchObject({ accepted: false, code: 'decision.late' });

  const next = await world.follow(id, (status) => status.round > asking.round && isAsking(status));
  expect(next.timeline.map(({ what }) => what)).toContainEqual(expect.stringMatching(/passed in silence, which means: harmless/));
  const states = Object.fromEntries(next.earlier.map(({ action, state }) => [action, state]));
  expect(states).toMatchObject({
    'aws/mint-key': 'done',
    'vault/distribute-secret': 'done',
    'aws/disable-key': 'skipped',
    'aws/cut-off-sessions': 'skipped',
  });
  // What silence means is what was done: a new key, and nothing about the old one.
  expect((await world.changes(deployed.user, since)).map(({ action }) => action)).toEqual(['CreateAccessKey']);
  const { [fields.accessKeyId]: made = '' } = await world.stored(deployed);
  expect(made).not.toBe(deployed.pair.accessKeyId);
  expect(await world.picture(deployed.user)).toEqual({ ...before, keys: { ...before.keys, [made]: 'Active' } });

  const gates = await world.records(await world.client.incident(id).chain(), 'gate');
  const first = gates.filter(({ round }) => round === asking.round).map(({ body }) => body.event);
  expect(first).toEqual(['opened', 'reminded', 'escalated', 'defaulted']);
  const { report } = await world.bundle((await world.client.incident(id).exported()).bundle);
  expect(report.gates).toContainEqual(expect.objectContaining({ gate: 'g-outage', event: 'defaulted', onSilence: 'harmless' }));
  await expectRecorded(id, asking.run, [ruling]);
});

test('the plain temporal command approves and rolls back, with what `tourniquet decision sign` prints', async () => {
  const { stack } = world;
  const deployed = world.deployed('plain');
  const before = { picture: await world.picture(deployed.user), stored: await world.stored(deployed) };
  const id = await world.leak(deployed);
  const asking = await world.follow(id, isAsking);

  const say = async (verdict: 'approve' | 'rollback', ...more: readonly string[]): Promise<void> => {
    const signed = await tourniquet(
      [
        'decision',
        'sign',
        id,
        '--verdict',
        verdict,
        ...more,
        '--as',
        'ada',
        '--reason',
        'by a plain client',
        '--passphrase-file',
        stack.paths.passphrase,
      ],
      { cwd: stack.paths.directory },
    );
    expect(signed, signed.err).toMatchObject({ code: 0 });
    const file = join(stack.paths.directory, `${verdict}.json`);
    writeFileSync(file, signed.out);
    await promisify(execFile)(findServer('temporal').path, [
      ...['workflow', 'signal', '--address', stack.temporal.address, '--namespace', stack.temporal.namespace],
      ...['--workflow-id', id, '--name', verdict, '--input-file', file],
    ]);
  };

  await say('approve', '--gate', 'g-outage');
  const changed = await world.follow(id, (status) => gateOf(status, 'g-irreversible')?.state === 'open');
  expect(gateOf(changed, 'g-outage')).toMatchObject({ state: 'approved', approvals: ['ada'] });
  expect(changed.refused).toEqual([]);
  expect((await world.picture(deployed.user)).keys[deployed.pair.accessKeyId]).toBe('Inactive');

  await say('rollback');
  const back = await world.follow(id, (status) =>
    status.timeline.some(({ who, what }) => who === 'engine' && what.startsWith('rolled back')),
  );
  expect(back.timeline.map(({ who, what }) => `${who}: ${what}`)).toContainEqual('ada: rollback of incident: by a plain client');
  expect(back.run).toBe(asking.run);
  const after = await world.picture(deployed.user);
  expect(after.keys).toEqual(before.picture.keys);
  expect(await world.stored(deployed)).toEqual(before.stored);
  const decisions = await until('both decisions are in the record', async () => {
    const all = await world.records(await world.client.incident(id, asking.run).chain(), 'decision');
    return all.length >= 2 && all;
  });
  expect(decisions.map(({ body }) => [body.ruling.verdict, body.ruling.by, body.ruling.accepted])).toEqual([
    ['approve', 'ada', true],
    ['rollback', 'ada', true],
  ]);
});
