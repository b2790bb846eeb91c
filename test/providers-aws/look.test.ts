import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  PutRolePolicyCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { CreateSecretCommand, GetSecretValueCommand, ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { AssumeRoleCommand, GetFederationTokenCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { afterEach, describe, expect, it } from 'vitest';
import { stepKey } from '../../domain/plan.ts';
import { Secret } from '../../domain/secret.ts';
import { consumer } from './harnesses.ts';
import { everything, outcomeOf, type Pair, type Practice, pairOf, practice, timing, until, useKey } from './practice.ts';
import { lookAt, stepOf } from './steps.ts';

const user = 'ci-deployer';
const open: Practice[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});
async function house(): Promise<{ world: Practice; leaked: Pair }> {
  const world = await practice();
  open.push(world);
  const leaked = await world.makeUser(user);
  await world.alive(leaked);
  return { world, leaked };
}
const text = (value: unknown) => JSON.stringify(value);
const counted = async (world: Practice) => Object.values(await world.control.counters()).reduce((sum, each) => sum + each.calls, 0);

describe('the minimal look', () => {
  it('reads the last use before the probe overwrites it, and says possession and liveness by probe', async () => {
    const { world, leaked } = await house();
    await world.as(leaked).secrets.send(new ListSecretsCommand({}));
    const connection = await world.connect();
    const looked = await connection.look(lookAt(leaked.accessKeyId, { secret: new Secret(leaked.secretAccessKey) }));
    const { finding } = looked;
    expect(finding.possession).toMatchObject({ state: 'yes', source: 'probe' });
    expect(finding.live).toMatchObject({ state: 'yes', source: 'probe' });
    expect(finding.ours.state).toBe('yes');
    expect(finding.principal).toBe(`arn:aws:iam::${world.account}:user/${user}`);
    expect(finding.graph.nodes.find((node) => node.id === `aws.access-key:${leaked.accessKeyId}`)?.credential?.lastUsed).toMatchObject({
      service: 'secretsmanager',
    });
    // The probe has been made by then, so that the order shows.
    const { users } = await world.control.world();
    expect(users.find((row) => row.name === user)?.keys[0]?.lastUsed?.service).toBe('sts');
    expect(finding.swept.state).toBe('unknown');
    expect(finding.misuse.state).toBe('unknown');
    expect(finding.privilege).toBe('administrator');
    expect(text(looked)).not.toContain(leaked.secretAccessKey);
  });

  it('brings the before-states of every containment, as a capture would', async () => {
    const { world, leaked } = await house();
    const second = await world.makeKey(user);
    const connection = await world.connect();
    const { befores } = await connection.look(lookAt(leaked.accessKeyId));
    for (const [name, target] of [
      ['disable-key', { account: world.account, user, accessKeyId: leaked.accessKeyId }],
      ['disable-key', { account: world.account, user, accessKeyId: second.accessKeyId }],
      ['deny-principal', { account: world.account, user }],
      ['cut-off-sessions', { account: world.account, user }],
    ] as const) {
      expect(befores[stepKey(`aws/${name}`, target)], name).toEqual(await stepOf(connection, name, target).capture());
    }
  });

  it('tells a wrong secret from a dead key', async () => {
    const { world, leaked } = await house();
    const connection = await world.connect();
    const wrong = await connection.look(lookAt(leaked.accessKeyId, { secret: new Secret('x'.repeat(40)) }));
    expect(wrong.finding.possession.state).toBe('no');
    expect(wrong.finding.live.state).toBe('yes');
    await world.admin.iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: leaked.accessKeyId, Status: 'Inactive' }));
    await until(
      'the key is refused',
      () => outcomeOf(() => world.as(leaked).secrets.send(new ListSecretsCommand({}))),
      (said) => said !== 'ok',
    );
    const dead = await connection.look(lookAt(leaked.accessKeyId, { secret: new Secret(leaked.secretAccessKey) }));
    expect(dead.finding.live).toMatchObject({ state: 'no', source: 'probe' });
    expect(dead.finding.possession.state).toBe('unknown');
  });

  it('does not take a key for dead that was turned off a moment ago', async () => {
    const { world, leaked } = await house();
    const connection = await world.connect();
    await world.admin.iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: leaked.accessKeyId, Status: 'Inactive' }));
    expect((await connection.look(lookAt(leaked.accessKeyId))).finding.live.state).toBe('unknown');
  });

  it('suspects a key that was made after the leak began, and no other', async () => {
    const { world, leaked } = await house();
    const connection = await world.connect();
    const since = new Date(Date.now() - 1000).toISOString();
    const second = await world.makeKey(user);
    const id = `aws.access-key:${second.accessKeyId}`;
    const confidence = async (more: object) =>
      (await connection.look(lookAt(leaked.accessKeyId, more))).finding.graph.nodes.find((node) => node.id === id)?.provenance.confidence;
    expect(await confidence({ since })).toBe('suspected');
    expect(await confidence({ since, ours: [{ accessKeyId: second.accessKeyId }] })).toBe('certain');
    expect(await confidence({ since: new Date(Date.now() + 60_000).toISOString() })).toBe('certain');
  });

  it('makes no call at all about a foreign key, a bait key, or what is no key', async () => {
    const { world } = await house();
    const connection = await world.connect(world.sim.admin, { canaries: ['609629065308'] });
    const before = await counted(world);
    const foreign = await connection.look(lookAt('AKIAQNZGKIQY56JQ7WML', { depth: 'full', secret: new Secret('x') }));
    expect(foreign.finding).toMatchObject({ canary: false, ours: { state: 'no' }, live: { state: 'unknown' } });
    const bait = await connection.look(lookAt('AKIAY34FZKBOKMUTVV7A', { depth: 'full', secret: new Secret('x') }));
    expect(bait.finding).toMatchObject({ canary: true, ours: { state: 'no' } });
    const known = await connection.look(lookAt('AKIASP2TPHJSQH3FJXYZ', { secret: new Secret('x') }));
    expect(known.finding.canary).toBe(true);
    const none = await connection.look(lookAt('not a key'));
    expect(none.finding.ours.state).toBe('unknown');
    expect(await counted(world)).toBe(before);
  });

  it('asks about an id of the old form, and says that the account is not known where nobody knows the key', async () => {
    const { world } = await house();
    const connection = await world.connect();
    const { finding } = await connection.look(lookAt('AKIAIOSFODNN7EXAMPLE'));
    expect(finding.ours.state).toBe('unknown');
  });

  it('takes a handful of calls', async () => {
    const { world, leaked } = await house();
    const connection = await world.connect();
    const before = await counted(world);
    await connection.look(lookAt(leaked.accessKeyId, { secret: new Secret(leaked.secretAccessKey) }));
    // Last use, then all of these at once: keys, policies inline and attached, the five other classes of credentials, the probe, and who we are.
    expect((await counted(world)) - before).toBeLessThanOrEqual(12);
  });
});

describe('the full look', () => {
  it('finds what the leaked key made, and what that made, however far down, and never a session token', async () => {
    const { world, leaked } = await house();
    const since = new Date(Date.now() - 5000).toISOString();
    const trust = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${world.account}:user/${user}` }, Action: 'sts:AssumeRole' }],
    };
    const role = await world.admin.iam.send(new CreateRoleCommand({ RoleName: 'deploy', AssumeRolePolicyDocument: JSON.stringify(trust) }));
    await world.admin.iam.send(new PutRolePolicyCommand({ RoleName: 'deploy', PolicyName: 'base', PolicyDocument: everything }));
    const thief = world.as(leaked, 'thief/1');
    const session = pairOf((await thief.sts.send(new GetSessionTokenCommand({}))).Credentials);
    const federated = pairOf((await thief.sts.send(new GetFederationTokenCommand({ Name: 'fed', Policy: everything }))).Credentials);
    const second = pairOf((await thief.iam.send(new CreateAccessKeyCommand({ UserName: user }))).AccessKey);
    const walked = await until('the role can be assumed', async () => {
      try {
        return await world.as(session, 'thief/1').sts.send(new AssumeRoleCommand({ RoleArn: role.Role?.Arn, RoleSessionName: 'walk' }));
      } catch {
        return undefined;
      }
    });
    const roleSession = pairOf(walked?.Credentials);
    await world.alive(second);
    await world.as(second, 'thief/1').iam.send(new CreateUserCommand({ UserName: 'backdoor' }));
    const backdoor = pairOf((await world.as(second, 'thief/1').iam.send(new CreateAccessKeyCommand({ UserName: 'backdoor' }))).AccessKey);
    await world.admin.secrets.send(new CreateSecretCommand({ Name: 'payments/db', SecretString: 'hunter2' }));
    await world.as(roleSession, 'thief/1').secrets.send(new GetSecretValueCommand({ SecretId: 'payments/db' }));

    const connection = await world.connect();
    const full = lookAt(leaked.accessKeyId, {
      depth: 'full',
      since,
      inventory: { consumers: [consumer('runner', 'ci-runner/7')], stores: [] },
    });
    const looked = await until(
      'the log shows it all',
      () => connection.look(full),
      (answer) => answer.finding.secretsRead.length > 0 && answer.finding.descendants.length === 5,
    );
    const { finding } = looked;
    expect([...finding.descendants].sort()).toEqual(
      [
        `aws.session:${session.accessKeyId}`,
        `aws.session:${federated.accessKeyId}`,
        `aws.session:${roleSession.accessKeyId}`,
        `aws.access-key:${second.accessKeyId}`,
        `aws.access-key:${backdoor.accessKeyId}`,
      ].sort(),
    );
    const credential = (id: string) => finding.graph.nodes.find((node) => node.id === id)?.credential;
    const arn = `arn:aws:iam::${world.account}:user/${user}`;
    expect(credential(`aws.session:${session.accessKeyId}`)).toMatchObject({
      derivedVia: 'GetSessionToken',
      principal: arn,
      live: { state: 'yes' },
    });
    expect(credential(`aws.session:${federated.accessKeyId}`)).toMatchObject({ derivedVia: 'GetFederationToken', principal: arn });
    expect(credential(`aws.session:${federated.accessKeyId}`)?.expiresAt).toMatch(/^20/);
    expect(credential(`aws.session:${roleSession.accessKeyId}`)).toMatchObject({ derivedVia: 'AssumeRole', principal: role.Role?.Arn });
    expect(credential(`aws.access-key:${second.accessKeyId}`)).toMatchObject({
      derivedVia: 'CreateAccessKey',
      status: 'Active',
      live: { state: 'yes' },
    });
    const edges = finding.graph.edges.filter((edge) => edge.kind === 'derives');
    expect(edges).toContainEqual(
      expect.objectContaining({ from: `aws.session:${session.accessKeyId}`, to: `aws.session:${roleSession.accessKeyId}` }),
    );
    expect(edges.find((edge) => edge.to === `aws.access-key:${second.accessKeyId}`)?.provenance.confidence).toBe('certain');
    expect(edges.map((edge) => edge.to)).toContain(`arn:aws:iam::${world.account}:user/backdoor`);
    expect(finding.secretsRead).toEqual(['payments/db']);
    expect(finding.misuse.state).toBe('yes');
    expect(finding.slots).toEqual({ used: 2, limit: 2 });
    const all = text(looked);
    for (const pair of [session, federated, roleSession]) expect(all).not.toContain(pair.sessionToken);
    for (const pair of [leaked, second, backdoor, session]) expect(all).not.toContain(pair.secretAccessKey);
    expect(all).not.toContain('hunter2');
  });

  it('says who made a key that came after the leak began, where that was somebody else', async () => {
    const { world, leaked } = await house();
    const since = new Date(Date.now() - 5000).toISOString();
    const second = await world.makeKey(user);
    const connection = await world.connect();
    const looked = await until(
      'the log shows the making',
      () => connection.look(lookAt(leaked.accessKeyId, { depth: 'full', since })),
      (answer) => answer.evidence['makers'] !== undefined,
    );
    expect(looked.finding.descendants).toEqual([]);
    expect(looked.finding.graph.edges).toContainEqual(
      expect.objectContaining({
        from: `aws.access-key:${world.sim.admin.accessKeyId}`,
        to: `aws.access-key:${second.accessKeyId}`,
        kind: 'derives',
      }),
    );
  });

  it('knows consumers by their marks: misuse is what none of them explains, and our own probe is none', async () => {
    const { world, leaked } = await house();
    const since = new Date(Date.now() - 5000).toISOString();
    await useKey(world, leaked, 'ci-runner/7');
    const connection = await world.connect();
    await connection.look(lookAt(leaked.accessKeyId, { secret: new Secret(leaked.secretAccessKey) }));
    const ask = (consumers: ReturnType<typeof consumer>[]) =>
      connection.look(lookAt(leaked.accessKeyId, { depth: 'full', since, inventory: { consumers, stores: [] } }));
    const runner = consumer('runner', 'ci-runner/7');
    const clean = await until(
      'the log shows the probe',
      () => ask([runner]),
      (answer) => {
        const read = answer.evidence['callsRead'] as Record<string, number>;
        return (read[leaked.accessKeyId] ?? 0) >= 3;
      },
    );
    // The call by which the test saw that the key works is a stranger's, and is before the exposure.
    const strangers = (clean.evidence['unexplained'] as { events: { name: string; agent: string }[] }).events;
    expect(strangers.every((event) => !event.agent.includes('tourniquet') && !event.agent.includes('ci-runner'))).toBe(true);
    expect(clean.finding.seen).toEqual([
      expect.objectContaining({ consumer: 'runner', credential: `aws.access-key:${leaked.accessKeyId}` }),
    ]);
    expect((await ask([])).finding.misuse.state).toBe('unknown');
    expect((await ask([runner, consumer('mystery')])).finding.misuse.state).toBe('unknown');
  });

  it('counts as a sweep only once the log has passed the containment, and waits for that', async () => {
    const { world, leaked } = await house();
    const connection = await world.connect();
    const containedAt = new Date(Date.now() + 300).toISOString();
    const swept = await connection.look(lookAt(leaked.accessKeyId, { depth: 'full', containedAt }));
    expect(swept.finding.swept.state).toBe('yes');
    expect(Date.parse(swept.finding.providerTime)).toBeGreaterThanOrEqual(Date.parse(containedAt) - 1000);
    for (const log of swept.finding.logs) {
      expect(log.passed.state).toBe('yes');
      expect(Date.parse(log.passed.until ?? '')).toBeGreaterThanOrEqual(Math.floor(Date.parse(containedAt) / 1000) * 1000);
    }
    // A log that is further behind than patience lasts has shown nothing.
    await world.control.setTiming({ logLagMs: 600_000 });
    const late = await connection.look(
      lookAt(leaked.accessKeyId, {
        depth: 'full',
        containedAt: new Date().toISOString(),
        timing: { ...timing, giveUpMs: 2500 },
      }),
    );
    expect(late.finding.swept.state).toBe('unknown');
    expect(text(late.finding.swept)).toContain('is not in the log');
  });

  it('waits out the limit of two look-ups a second without being throttled', async () => {
    const { world, leaked } = await house();
    const connection = await world.connect();
    await connection.look(lookAt(leaked.accessKeyId, { depth: 'full' }));
    await connection.look(lookAt(leaked.accessKeyId, { depth: 'full' }));
    const counter = (await world.control.counters())['cloudtrail:LookupEvents'];
    expect(counter?.calls).toBeGreaterThanOrEqual(4);
    expect(counter?.refused).toBe(0);
  });

  it('looks at a dead key all the same: what it made lives on', async () => {
    const { world, leaked } = await house();
    const session = pairOf((await world.as(leaked).sts.send(new GetSessionTokenCommand({}))).Credentials);
    await world.admin.iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: leaked.accessKeyId, Status: 'Inactive' }));
    const connection = await world.connect();
    const { finding } = await until(
      'the log shows the session',
      () => connection.look(lookAt(leaked.accessKeyId, { depth: 'full' })),
      (answer) => answer.finding.descendants.length > 0,
    );
    expect(finding.live).toMatchObject({ state: 'no', source: 'administrator' });
    expect(finding.descendants).toEqual([`aws.session:${session.accessKeyId}`]);
    await world.control.advance(37 * 3_600_000);
    const later = await connection.look(lookAt(leaked.accessKeyId, { depth: 'full' }));
    expect(later.finding.descendants).toEqual([]);
  });

  it('says what it could not read of a user’s powers rather than calling them ordinary', async () => {
    const { world, leaked } = await house();
    const weak = await world.makeUser(
      'reader',
      JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: ['iam:GetAccessKeyLastUsed', 'iam:ListAccessKeys', 'cloudtrail:*'], Resource: '*' }],
      }),
    );
    await world.alive(weak);
    const connection = await world.connect(weak);
    const { finding, befores } = await connection.look(lookAt(leaked.accessKeyId));
    expect(finding.privilege).toBe('unknown');
    expect(Object.keys(befores)).toEqual([stepKey('aws/disable-key', { account: world.account, user, accessKeyId: leaked.accessKeyId })]);
  });
});

it('check names the identity, the account and what is refused', async () => {
  const { world } = await house();
  const good = await (await world.connect()).check();
  expect(good.filter((each) => each.observation.state !== 'yes')).toEqual([]);
  const weak = await world.makeUser('powerless', '');
  await world.alive(weak);
  const bad = await (await world.connect(weak)).check();
  expect(bad.filter((each) => each.observation.state === 'no').map((each) => each.what)).toContain('iam:ListAccessKeys');
  expect(bad.every((each) => each.observation.state !== 'no' || each.remedy !== undefined)).toBe(true);
});
