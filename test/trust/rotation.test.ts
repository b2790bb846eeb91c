import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { createClient, type IncidentStatus, readTrust, sealInto } from '../../client/index.ts';
import type { Warrant } from '../../domain/execution.ts';
import { queueOf } from '../../domain/manifest.ts';
import type { TrustedKey } from '../../domain/trust.ts';
import { type Ran, tourniquet } from '../cli/harness.ts';
import { attempt } from '../engine/intruder.ts';
import { gateOf, isWatching, startWorld, until, type World } from '../engine/world.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 120_000 });

/* Rotation as a person does it: the commands of docs/trust.md, over the practice stack, whose workers are processes with files of their own. */

let world: World;
let id: string;
let waiting: IncidentStatus;
let elsewhere: string;
let oldJudge: string;

beforeAll(async () => {
  world = await startWorld({ inside: 'internal', later: 'public' });
  id = await world.leak(world.deployed('inside'));
  waiting = await world.follow(id, (status) => gateOf(status, 'g-outage')?.state === 'open');
  // A machine with nothing of the engine on it but the root's key.
  elsewhere = join(world.stack.paths.directory, 'offline');
  mkdirSync(elsewhere, { mode: 0o700 });
  renameSync(join(world.stack.paths.keys, 'root', 'root.json'), join(elsewhere, 'root.json'));
  oldJudge = (await shown()).keys.find(({ role }) => role === 'judge')?.id ?? '';
});
afterAll(() => world?.stop());

const run = async (...argv: string[]): Promise<Ran> => {
  const { paths, file } = world.stack;
  const ran = await tourniquet([...argv, '--config', paths.configuration], {
    cwd: paths.directory,
    environment: { TOURNIQUET_PASSPHRASE_FILE: file.passphraseFile },
  });
  expect(ran, `${argv.join(' ')}: ${ran.err}`).toMatchObject({ code: 0 });
  return ran;
};
const refused = async (code: string, ...argv: string[]): Promise<void> => {
  const { paths, file } = world.stack;
  const ran = await tourniquet([...argv, '--config', paths.configuration], {
    cwd: paths.directory,
    environment: { TOURNIQUET_PASSPHRASE_FILE: file.passphraseFile },
  });
  expect(ran.err).toContain(`(${code})`);
  expect(ran.err).toMatch(/ do: {4}\S/);
  expect(ran.code).toBe(4);
};
const shown = async () =>
  JSON.parse((await run('trust', 'show', '--json')).out) as { serial: number; files: string; keys: (TrustedKey & { standing: string })[] };

/** The root's signature, made where nothing else of the engine is. */
async function signAway(draft: string): Promise<void> {
  const { directory } = world.stack.paths;
  copyFileSync(join(directory, draft), join(elsewhere, draft));
  const ran = await tourniquet(['trust', 'sign', draft, '--key', 'root.json', '--passphrase-file', world.stack.file.passphraseFile ?? ''], {
    cwd: elsewhere,
  });
  expect(ran, ran.err).toMatchObject({ code: 0 });
  copyFileSync(join(elsewhere, draft), join(directory, draft));
}

/** Workers look at their files at most twice a second; this is when they have to have done so. */
const looked = async (): Promise<void> => {
  const since = Date.now();
  await until('workers have looked again', async () => Date.now() > since + 500);
};

/** A step of the plan that waits, as an intruder would have it taken; what the worker says of it. */
async function tried(): Promise<string> {
  const { stack, client } = world;
  const chain = await client.incident(id).chain();
  const step = waiting.plan?.steps.find(({ provider, hold }) => provider === 'aws' && hold === undefined);
  const warrant: Warrant = {
    incident: id,
    run: waiting.run,
    round: waiting.round,
    plan: waiting.planRecord ?? 'sha256:',
    step: step?.id ?? '',
    decisions: [],
    snapshot: chain.findLast(({ type }) => type === 'snapshot')?.record ?? 'sha256:',
  };
  const queue = queueOf('aws', stack.aws.accountId);
  const attempted = await attempt(world, { workflowId: 'leak/anything', queue, activity: 'apply', input: () => ({ warrant, made: {} }) });
  return attempted.code;
}

test('a judge’s key is replaced: five commands, and no worker takes a plan of the old one any more', async () => {
  const { paths } = world.stack;
  // The plan is the judge's, only not for this workflow.
  expect(await tried()).toBe('warrant.other-run');

  const made = await run('key', 'new', 'judge-next.json', '--role', 'judge');
  writeFileSync(join(paths.directory, 'judge.pub.yaml'), made.out);
  await run('trust', 'propose', 'next.yaml', '--as', 'ada', '--add', 'judge.pub.yaml', '--until', `${oldJudge}=now`);
  await refused('trust.bad-signature', 'trust', 'publish', 'next.yaml');
  await signAway('next.yaml');
  await refused('trust.uncountersigned', 'trust', 'publish', 'next.yaml');
  await refused('trust.uncountersigned', 'trust', 'sign', 'next.yaml', '--as', 'olu');
  expect((await run('trust', 'show', 'next.yaml')).out).toMatch(/~ judge key judge-\w+ ends/);
  expect(await tried()).toBe('warrant.other-run');
  await run('trust', 'sign', 'next.yaml', '--as', 'scripted-responder');
  expect((await run('trust', 'show', 'next.yaml')).out).toContain('It lacks nothing');
  expect((await run('trust', 'publish', 'next.yaml')).out).toContain('Serial 2');
  await looked();
  expect(await tried()).toBe('warrant.unsigned');
  expect(await shown()).toMatchObject({ serial: 2, files: 'in force' });
  expect(readdirSync(join(paths.directory, 'trust-history')).sort()).toEqual(['1.yaml', '2.yaml']);
});

test('the incident that waited goes on under the new judge: its round is planned again, and ends rotated', async () => {
  const { stack } = world;
  const judge = stack.part('judge');
  await judge.kill('SIGTERM');
  renameSync(join(stack.paths.directory, 'judge-next.json'), join(stack.paths.keys, 'judge', 'signing.json'));
  await judge.restart();
  const status = await world.follow(id, isWatching, { answer: () => true, timeoutMs: 80_000 });
  const plans = await world.records(await world.client.incident(id).chain(), 'plan');
  expect(plans.map(({ by }) => by === oldJudge)).toContain(true);
  expect(plans.at(-1)?.by).not.toBe(oldJudge);
  expect(status.contained).toBe('yes');
});

test('its bundle, plans of both judges in it, is verified under the trust in force now, and holds the one before', async () => {
  const { paths } = world.stack;
  const { bundle } = await world.client.incident(id).exported();
  const { files } = await world.bundle(bundle);
  expect([...files.keys()].filter((path) => path.startsWith('trust'))).toEqual(['trust.yaml', 'trust/1.yaml']);
  writeFileSync(join(paths.directory, 'bundle.zip'), await world.store.get(bundle));
  const ran = await run('audit', 'verify', 'bundle.zip', '--trust', paths.trust);
  expect(ran.out).toContain('verified');
});

test('an old file put back and people edited alone change nothing, are said in the worker’s log and by trust show, and are put right by one command', async () => {
  const { paths } = world.stack;
  const [trust, people] = [readFileSync(paths.trust, 'utf8'), readFileSync(paths.people, 'utf8')];
  const first = parse(readFileSync(join(paths.directory, 'trust-history', '1.yaml'), 'utf8'));
  const rows: readonly (readonly [string, () => void])[] = [
    ['trust.rolled-back', () => writeFileSync(paths.trust, stringify({ trust: first.trust, signatures: first.signatures }))],
    ['trust.people-changed', () => writeFileSync(paths.people, people.replace('- owner', '- approver'))],
  ];
  for (const [code, harm] of rows) {
    harm();
    await looked();
    expect(await tried(), code).toBe('warrant.unsigned');
    const ran = await tourniquet(['trust', 'show', '--json', '--config', paths.configuration], { cwd: paths.directory });
    expect(ran.code).toBe(4);
    expect(JSON.parse(ran.out)).toMatchObject({ serial: 2, files: 'other', trouble: { code, next: expect.stringMatching(/./) } });
    const doctor = await tourniquet(['doctor', '--json', '--config', paths.configuration], { cwd: paths.directory });
    const check = (JSON.parse(doctor.out) as { checks: { what: string }[] }).checks.find(
      ({ what }) => what === 'trust files are the ones in force',
    );
    expect(check).toMatchObject({ state: 'no', says: expect.stringContaining('serial 2 stays in force') });
    const log = readFileSync(world.stack.part('aws-worker').log, 'utf8');
    expect(log).toContain(`"code":"${code}"`);
    await run('trust', 'publish');
    expect([readFileSync(paths.trust, 'utf8'), readFileSync(paths.people, 'utf8')]).toEqual([trust, people]);
    console.log(`refused  ${code}`);
  }
});

test('a person is enrolled and may decide a second later, and whose key is ended may not', async () => {
  const { paths } = world.stack;
  const made = await run('key', 'new', 'keys/people/dora.json', '--as', 'dora');
  writeFileSync(join(paths.directory, 'dora.pub.yaml'), made.out);
  const people = parse(readFileSync(paths.people, 'utf8'));
  people.people.push({ id: 'dora', name: 'Dora', roles: ['approver', 'security-lead'] });
  writeFileSync(join(paths.directory, 'people-next.yaml'), stringify(people));
  const sam = (await shown()).keys.find(({ person }) => person === 'sam')?.id ?? '';
  await run(
    'trust',
    'propose',
    'third.yaml',
    '--as',
    'ada',
    '--add',
    'dora.pub.yaml',
    '--people',
    'people-next.yaml',
    '--until',
    `${sam}=now`,
  );
  await run('trust', 'sign', 'third.yaml', '--as', 'second-scripted-responder');
  await signAway('third.yaml');
  await run('trust', 'publish', 'third.yaml');
  await looked();
  expect(existsSync(join(paths.directory, 'trust-history', '3.yaml'))).toBe(true);
  const incident = world.client.incident(id);
  const ask = { verdict: 'extend' as const, gate: 'g-none', until: new Date(Date.now() + 3_600_000).toISOString() };
  const by = async (person: string) => (await incident.decide(world.sign(await incident.status(), { ...ask, by: person }))).code;
  // There is no such gate, and the plan may be another by now; either is said only to somebody who is known, with a key that is good.
  expect(await by('dora')).toMatch(/^decision\.(?:no-such-gate|stale)$/);
  expect(await by('sam')).toBe('decision.bad-signature');
});

test('a worker’s keys are replaced, of both kinds, and what leaks next is found and contained with the new ones', async () => {
  const { stack } = world;
  const { paths, aws } = stack;
  const of = ['--provider', 'aws', '--account', aws.accountId];
  const adding: string[] = [];
  for (const role of ['worker', 'sealing']) {
    const made = await run('key', 'new', `${role}-next.json`, '--role', role, ...of);
    writeFileSync(join(paths.directory, `${role}.pub.yaml`), made.out);
    adding.push('--add', `${role}.pub.yaml`);
  }
  const ending = (await shown()).keys
    .filter(({ role, provider }) => (role === 'worker' || role === 'sealing') && provider === 'aws')
    .flatMap(({ id: key }) => ['--until', `${key}=now`]);
  expect(ending).toHaveLength(4);
  await run('trust', 'propose', 'fourth.yaml', '--as', 'scripted-responder', ...adding, ...ending);
  await run('trust', 'sign', 'fourth.yaml', '--as', 'ada');
  await signAway('fourth.yaml');
  await run('trust', 'publish', 'fourth.yaml');
  const own = join(paths.keys, `provider-aws-${aws.accountId}`);
  await until('the worker says that nobody believes it any more', async () =>
    readFileSync(stack.part('aws-worker').log, 'utf8').includes('does not vouch for our own key'),
  );
  await stack.part('aws-worker').kill('SIGTERM');
  renameSync(join(paths.directory, 'worker-next.json'), join(own, 'signing.json'));
  renameSync(join(paths.directory, 'sealing-next.json'), join(own, 'sealing', 'next.json'));
  await stack.part('aws-worker').restart();

  // Reported as a scanner does that has the new trust file: sealed to the new key.
  const trust = readTrust(paths.trust, stack.root);
  const reporter = createClient({
    address: stack.temporal.address,
    namespace: stack.temporal.namespace,
    seal: sealInto({ trust, drop: paths.drop }),
  });
  await reporter.connect();
  try {
    const leaked = world.deployed('later');
    const { id: later } = await reporter.report(world.finding(leaked), { reporter: 'scanner', signer: world.signer('scanner') });
    await world.follow(later, ({ contained }) => contained === 'yes');
    const chain = await world.client.incident(later).chain();
    const fresh = trust.keys
      .filter(({ role, from }) => role === 'worker' && Date.parse(from) > Date.parse(waiting.startedAt))
      .map(({ id: key }) => key);
    const findings = await world.records(chain, 'finding');
    for (const { by } of findings) expect(fresh).toContain(by);
    // The secret was opened with the new sealing key: later rounds find it dead.
    expect(findings[0]?.body.possession.state).toBe('yes');
  } finally {
    await reporter.close();
  }
});
