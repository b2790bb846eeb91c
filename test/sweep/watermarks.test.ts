import { CreateRoleCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { AssumeRoleCommand, GetCallerIdentityCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ProviderFinding } from '../../domain/assessment.ts';
import { actionOf } from '../../domain/manifest.ts';
import { manifest } from '../../providers/aws/manifest.ts';
import { stageOf } from '../conformance/index.ts';
import { consumer, user } from '../providers-aws/harnesses.ts';
import {
  clientsOf,
  everything,
  listing,
  outcomeOf,
  type Practice,
  pairOf,
  practice,
  timing,
  until,
  useKey,
} from '../providers-aws/practice.ts';
import { lookAt } from '../providers-aws/steps.ts';

vi.setConfig({ testTimeout: 60_000 });

const open: Practice[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

async function house(policy = everything) {
  const world = await practice();
  open.push(world);
  const leaked = await world.makeUser(user, policy);
  await world.alive(leaked);
  return { world, leaked };
}

/** A role that whoever is named may assume, and that may do what the policy says. */
async function makeRole(world: Practice, name: string, trusted: string, policy = listing): Promise<string> {
  const { Role } = await world.admin.iam.send(
    new CreateRoleCommand({
      RoleName: name,
      AssumeRolePolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { AWS: trusted }, Action: 'sts:AssumeRole' }],
      }),
    }),
  );
  await world.admin.iam.send(new PutRolePolicyCommand({ RoleName: name, PolicyName: 'work', PolicyDocument: policy }));
  return Role?.Arn ?? '';
}

const marks = ({ logs }: Pick<ProviderFinding, 'logs'>) => Object.fromEntries(logs.map(({ region, passed }) => [region, passed.state]));
const now = () => new Date().toISOString();

describe('a sweep counts once every log has passed the containment', () => {
  it('and each log says up to when it is complete and how that is known', async () => {
    const { world, leaked } = await house();
    const connection = await world.connect();
    const containedAt = now();
    const { finding } = await connection.look(lookAt(leaked.accessKeyId, { depth: 'full', containedAt }));
    expect(finding.swept.state).toBe('yes');
    expect(finding.logs.map(({ source, region }) => [source, region])).toEqual([
      ['cloudtrail us-east-1', 'us-east-1'],
      ['cloudtrail eu-central-1', 'eu-central-1'],
    ]);
    for (const { passed } of finding.logs) {
      const { marker, lagMs = 0 } = passed;
      expect(marker?.requestId).toMatch(/./);
      expect(lagMs).toBeGreaterThanOrEqual(timing.logLagMs + timing.marginMs);
      expect(Date.parse(passed.until ?? '')).toBeLessThanOrEqual(Date.parse(marker?.at ?? ''));
      expect(Date.parse(passed.until ?? '')).toBeLessThanOrEqual(Date.parse(passed.at) - lagMs + 1_000);
      expect(Date.parse(marker?.seenAt ?? '')).toBeGreaterThanOrEqual(Date.parse(marker?.at ?? ''));
    }
  });

  it('and not where one Region alone is behind, which is named', async () => {
    const { world, leaked } = await house();
    await world.control.setLogBehind('eu-central-1', 600_000);
    const connection = await world.connect();
    const ask = { depth: 'full', containedAt: now(), timing: { ...timing, giveUpMs: 2_500 } } as const;
    const { finding } = await connection.look(lookAt(leaked.accessKeyId, ask));
    expect(marks(finding)).toEqual({ 'us-east-1': 'yes', 'eu-central-1': 'unknown' });
    expect(finding.swept).toMatchObject({ state: 'unknown', why: expect.stringContaining('eu-central-1') });
    await world.control.clearDelays();
    expect((await connection.look(lookAt(leaked.accessKeyId, { depth: 'full', containedAt: now() }))).finding.swept.state).toBe('yes');
  });

  it('nor where one Region does not let us read it, while the others are read all the same', async () => {
    const { world, leaked } = await house();
    const session = pairOf((await world.as(leaked).sts.send(new GetSessionTokenCommand({}))).Credentials);
    const weak = await world.makeUser(
      'half-blind',
      JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Action: '*', Resource: '*' },
          {
            Effect: 'Deny',
            Action: 'cloudtrail:*',
            Resource: '*',
            Condition: { StringEquals: { 'aws:RequestedRegion': 'eu-central-1' } },
          },
        ],
      }),
    );
    await world.alive(weak);
    const connection = await world.connect(weak);
    const { finding } = await until(
      'the log shows the session',
      () => connection.look(lookAt(leaked.accessKeyId, { depth: 'full', containedAt: now(), timing: { ...timing, giveUpMs: 1_500 } })),
      (answer) => answer.finding.descendants.length > 0,
    );
    expect(finding.descendants).toEqual([`aws.session:${session.accessKeyId}`]);
    expect(marks(finding)).toEqual({ 'us-east-1': 'yes', 'eu-central-1': 'unknown' });
    expect(finding.swept).toMatchObject({ state: 'unknown', why: expect.stringMatching(/eu-central-1.*provider\.denied/) });
  });
});

describe('a log that promises no order', () => {
  it('shows a session minted before the containment after calls that came later, and the sweep waits for it', async () => {
    const { world, leaked } = await house();
    await world.control.delayEvents({ action: 'GetSessionToken', ms: 1_500, count: 1 });
    const session = pairOf((await world.as(leaked).sts.send(new GetSessionTokenCommand({}))).Credentials);
    const containedAt = now();
    const connection = await world.connect();
    // The log's lag as configured covers the late one; its own marker is there long before.
    const slow = { ...timing, logLagMs: 2_000 };
    const { finding } = await connection.look(lookAt(leaked.accessKeyId, { depth: 'full', containedAt, timing: slow }));
    expect(finding.swept.state).toBe('yes');
    expect(finding.descendants).toEqual([`aws.session:${session.accessKeyId}`]);
  });

  it('is waited for as long as it is seen to be behind, where that is longer than it was said to be', async () => {
    const { world, leaked } = await house();
    for (const region of world.sim.regions) await world.control.setLogBehind(region, 1_500);
    const session = pairOf((await world.as(leaked).sts.send(new GetSessionTokenCommand({}))).Credentials);
    const connection = await world.connect();
    const { finding } = await connection.look(lookAt(leaked.accessKeyId, { depth: 'full', containedAt: now() }));
    expect(finding.swept.state).toBe('yes');
    expect(finding.descendants).toEqual([`aws.session:${session.accessKeyId}`]);
    expect(Math.min(...finding.logs.map(({ passed }) => passed.lagMs ?? 0))).toBeGreaterThan(timing.logLagMs + timing.marginMs);
  });

  it('shows a straggler to a later look, though an earlier one took that time for read', async () => {
    const { world, leaked } = await house();
    await world.control.delayEvents({ action: 'GetSessionToken', ms: 3_000, count: 1 });
    const session = pairOf((await world.as(leaked).sts.send(new GetSessionTokenCommand({}))).Credentials);
    const connection = await world.connect();
    const look = () => connection.look(lookAt(leaked.accessKeyId, { depth: 'full', containedAt: now() }));
    expect((await look()).finding.descendants).toEqual([]);
    await until('the straggler is there', look, ({ finding }) => finding.descendants.includes(`aws.session:${session.accessKeyId}`));
  });
});

it('sessions of roles, and of roles that those assumed, are descendants that name their role', async () => {
  const { world, leaked } = await house();
  const first = await makeRole(world, 'first', `arn:aws:iam::${world.account}:user/${user}`, everything);
  const second = await makeRole(world, 'second', first);
  const assume = async (as: ReturnType<typeof clientsOf>, RoleArn: string) =>
    await until(
      `role ${RoleArn} is assumed`,
      async () => {
        try {
          return pairOf((await as.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'walk' }))).Credentials);
        } catch {
          return undefined;
        }
      },
      (pair) => pair !== undefined,
    );
  const one = await assume(world.as(leaked), first);
  if (!one) throw new Error('no session');
  // Made in another Region: the walk goes through every one.
  const two = await assume(clientsOf(world.sim.endpoint, one, undefined, 'eu-central-1'), second);
  const connection = await world.connect();
  const { finding } = await connection.look(lookAt(leaked.accessKeyId, { depth: 'full', containedAt: now() }));
  const node = (id = '') => finding.graph.nodes.find((each) => each.credential?.locator.accessKeyId === id)?.credential;
  expect(node(one.accessKeyId)).toMatchObject({ principal: first, derivedVia: 'AssumeRole' });
  expect(node(two?.accessKeyId)).toMatchObject({ principal: second, derivedVia: 'AssumeRole' });
  expect(finding.graph.edges).toContainEqual(
    expect.objectContaining({ from: `aws.session:${one.accessKeyId}`, to: `aws.session:${two?.accessKeyId}`, kind: 'derives' }),
  );
});

it('a quiet consumer is seen beside a busy one that has filled the newest page', async () => {
  const { world } = await house();
  const fresh = await world.makeKey(user);
  const connection = await world.connect();
  const action = connection.actions['watch-new-use'];
  if (!action) throw new Error('no such action');
  const stage = stageOf({
    action,
    target: { account: world.account, user, consumer: 'quiet' },
    params: { mint: 'mint-step' },
    made: { 'mint-step': { accessKeyId: fresh.accessKeyId } },
    inventory: { consumers: [consumer('quiet', 'quiet-app'), consumer('busy', 'busy-app')], stores: [] },
    timing: { ...timing, giveUpMs: 6_000 },
    snapshot: async () => undefined,
    calls: async () => [],
    trouble: async () => undefined,
    calm: async () => undefined,
    secrets: [],
    close: async () => undefined,
  });
  const target = stage.world.target;
  const before = await action.capture(target, stage.context());
  await useKey(world, fresh, 'quiet-app');
  const busy = world.as(fresh, 'busy-app');
  for (let n = 0; n < 120; n++) expect(await outcomeOf(() => busy.sts.send(new GetCallerIdentityCommand({})))).toBe('ok');
  const made = (await world.control.events('us-east-1')).at(-1)?.at ?? 0;
  await until('the log shows all of them', async () => (await world.control.clock()).now > made + timing.logLagMs);
  await action.apply(target, before, stage.context());
  expect((await action.probe(target, before, stage.context())).observation.state).toBe('yes');
  expect(actionOf(manifest, 'watch-new-use')?.watches).toBe(true);
});
