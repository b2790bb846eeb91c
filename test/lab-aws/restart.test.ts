import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateLoginProfileCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteUserCommand,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { CreateSecretCommand, GetSecretValueCommand, ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { GetFederationTokenCommand } from '@aws-sdk/client-sts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AwsControl } from '../../lab/aws/index.ts';
import type { AwsSimulatorReady } from '../../lab/aws/main.ts';
import { clients, everything, makeUser, outcome, pair, practice } from './world.ts';

let dir = '';
let running: ChildProcess | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lab-aws-'));
});
afterEach(() => {
  running?.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

/** Starts the process and waits for its ready file. */
async function start(options: object = {}): Promise<AwsSimulatorReady> {
  const readyFile = join(dir, 'ready.json');
  rmSync(readyFile, { force: true });
  writeFileSync(
    join(dir, 'config.json'),
    JSON.stringify({ readyFile, journalDir: join(dir, 'journal'), propagationMs: 0, logLagMs: 0, ...options }),
  );
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../lab/aws/main.ts'), join(dir, 'config.json')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  running = child;
  while (child.exitCode === null) {
    try {
      const ready = JSON.parse(readFileSync(readyFile, 'utf8')) as AwsSimulatorReady;
      expect(statSync(readyFile).mode & 0o777).toBe(0o600);
      return ready;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  throw new Error('the simulator did not start');
}

async function kill(): Promise<void> {
  const child = running;
  child?.kill('SIGKILL');
  if (child !== undefined && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

it('a kill -9 in mid-flight loses nothing that was answered: keys, policies, sessions, secrets, events, clock and ledger', async () => {
  let sim = await start();
  let admin = clients(sim.endpoint, sim.admin);
  const key = await makeUser(admin, 'u');
  const fed = pair(
    (await clients(sim.endpoint, key).sts.send(new GetFederationTokenCommand({ Name: 'fed', Policy: everything }))).Credentials,
  );
  await admin.sm.send(new CreateSecretCommand({ Name: 's', SecretString: 'value' }));
  await admin.iam.send(new CreateLoginProfileCommand({ UserName: 'u', Password: 'Passwort-123456' }));
  await admin.iam.send(new CreateUserCommand({ UserName: 'gone' }));
  await admin.iam.send(new DeleteUserCommand({ UserName: 'gone' }));
  const trust = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${sim.accountId}:user/u` }, Action: 'sts:AssumeRole' }],
  });
  await admin.iam.send(new CreateRoleCommand({ RoleName: 'r', AssumeRolePolicyDocument: trust }));
  await new AwsControl(sim.control).advance(3_600_000);
  await new AwsControl(sim.control).setTiming({ logLagMs: 1234 });

  // Calls go on until the kill cuts them off; each that was answered has to be there afterwards.
  const answered: string[] = [];
  let go = true;
  const hammer = (async () => {
    for (let i = 0; go; i++) {
      const AccessKeyStatus = i % 2 === 0 ? 'Inactive' : 'Active';
      if (
        (await outcome(
          admin.iam.send(new UpdateAccessKeyCommand({ UserName: 'u', AccessKeyId: key.accessKeyId, Status: AccessKeyStatus })),
        )) !== 'ok'
      )
        return;
      answered.push(AccessKeyStatus);
    }
  })();
  while (answered.length < 50) await new Promise((resolve) => setTimeout(resolve, 5));
  const before = await new AwsControl(sim.control).world();
  const mutations = await new AwsControl(sim.control).mutations();
  const events = await new AwsControl(sim.control).events('us-east-1', 100_000);
  await kill();
  go = false;
  await hammer;

  sim = await start();
  admin = clients(sim.endpoint, sim.admin);
  const ctl = new AwsControl(sim.control);
  const after = await ctl.world();
  const still = (w: typeof before) =>
    JSON.parse(
      JSON.stringify({
        ...w,
        now: '',
        users: w.users.map((u) => ({ ...u, keys: u.keys.map((k) => ({ ...k, status: '', lastUsed: null })) })),
        sessions: w.sessions,
      }),
    );
  expect(still(after)).toEqual(still(before));
  expect((await ctl.clock()).offsetMs).toBe(3_600_000);
  expect((await ctl.timing()).logLagMs).toBe(1234);
  expect((await ctl.mutations()).slice(0, mutations.length)).toEqual(mutations);
  const eventsAfter = await ctl.events('us-east-1', 100_000);
  expect(eventsAfter.slice(0, events.length)).toEqual(events);

  // The last answered change stands, or the one that was in flight when the process died.
  const status = after.users.find((u) => u.name === 'u')?.keys[0]?.status;
  const updates = (await ctl.mutations()).filter((m) => m.action === 'UpdateAccessKey');
  expect(updates.length - answered.length).toBeLessThanOrEqual(1);
  expect(updates.length).toBeGreaterThanOrEqual(answered.length);
  expect(status).toBe(updates.at(-1)?.target.Status);
  expect(eventsAfter.filter((e) => e.name === 'UpdateAccessKey')).toHaveLength(updates.length);

  await admin.iam.send(new UpdateAccessKeyCommand({ UserName: 'u', AccessKeyId: key.accessKeyId, Status: 'Inactive' }));
  expect(await outcome(clients(sim.endpoint, key).sm.send(new ListSecretsCommand({})))).toBe('InvalidClientTokenId');
  expect(await outcome(clients(sim.endpoint, fed).sm.send(new ListSecretsCommand({})))).toBe('ok');
  expect((await admin.sm.send(new GetSecretValueCommand({ SecretId: 's' }))).SecretString).toBe('value');
  await admin.iam.send(new CreateAccessKeyCommand({ UserName: 'u' }));
  expect(await outcome(admin.iam.send(new CreateAccessKeyCommand({ UserName: 'u' })))).toBe('LimitExceededException');
});

it('a journal whose last line was cut short opens, and one damaged in the middle does not', async () => {
  const journalDir = join(dir, 'journal');
  const file = join(journalDir, 'journal.ndjson');
  {
    await using lab = await practice({ journalDir });
    await makeUser(lab, 'u');
  }
  appendFileSync(file, '{"rows":[["users","AIDAX",{"id":"AI');
  {
    await using lab = await practice({ journalDir });
    expect((await lab.ctl.world()).users.map((u) => u.name)).toContain('u');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, `${text.slice(0, 200)}${text.slice(210)}`);
  await expect(practice({ journalDir })).rejects.toThrow('damaged');
});

it('a restart within the propagation does not make a change effective sooner or later', async () => {
  const journalDir = join(dir, 'journal');
  let key = { accessKeyId: '', secretAccessKey: '' };
  {
    await using lab = await practice({ journalDir });
    key = await makeUser(lab, 'u');
    await lab.ctl.setTiming({ propagationMs: 60_000 });
    await lab.ctl.advance(60_000);
    await lab.iam.send(new UpdateAccessKeyCommand({ UserName: 'u', AccessKeyId: key.accessKeyId, Status: 'Inactive' }));
    await lab.iam.send(new PutUserPolicyCommand({ UserName: 'u', PolicyName: 'more', PolicyDocument: everything }));
  }
  await using lab = await practice({ journalDir });
  expect(await outcome(lab.as(key).sm.send(new ListSecretsCommand({})))).toBe('ok');
  await lab.ctl.advance(60_000);
  expect(await outcome(lab.as(key).sm.send(new ListSecretsCommand({})))).toBe('InvalidClientTokenId');
});
