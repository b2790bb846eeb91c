import { CreateRoleCommand, GetRolePolicyCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { AssumeRoleCommand } from '@aws-sdk/client-sts';
import { afterEach, expect, it } from 'vitest';
import { incidentId } from '../../domain/credential.ts';
import { cutOffDocument, cutOffIn, cutOffPolicy } from '../../providers/aws/policies.ts';
import { everything, outcomeOf, type Pair, type Practice, pairOf, practice, refusalOf, until } from './practice.ts';
import { stepOf } from './steps.ts';

const user = 'ci-deployer';
const role = 'deploy-role';
const hour = 3_600_000;
const open: Practice[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});

/** A user with a key, and a role that it may assume for up to two hours. */
async function house(maxSessionSeconds = 7_200) {
  const world = await practice();
  open.push(world);
  const leaked = await world.makeUser(user);
  await world.admin.iam.send(
    new CreateRoleCommand({
      RoleName: role,
      MaxSessionDuration: maxSessionSeconds,
      AssumeRolePolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${world.account}:user/${user}` }, Action: 'sts:AssumeRole' }],
      }),
    }),
  );
  await world.admin.iam.send(new PutRolePolicyCommand({ RoleName: role, PolicyName: 'work', PolicyDocument: everything }));
  const assume = async (seconds = 3_600): Promise<Pair> => {
    const RoleArn = `arn:aws:iam::${world.account}:role/${role}`;
    const { Credentials } = await world
      .as(leaked)
      .sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'walk', DurationSeconds: seconds }));
    return pairOf(Credentials);
  };
  await until(
    'the role can be assumed',
    () => outcomeOf(() => assume()),
    (said) => said === 'ok',
  );
  return { world, leaked, assume, target: { account: world.account, role } };
}
const listed = (world: Practice, pair: Pair) => outcomeOf(() => world.as(pair).secrets.send(new ListSecretsCommand({})));
const standing = async (world: Practice) => {
  try {
    const { PolicyDocument } = await world.admin.iam.send(new GetRolePolicyCommand({ RoleName: role, PolicyName: cutOffPolicy }));
    return decodeURIComponent(PolicyDocument ?? '');
  } catch {
    return undefined;
  }
};

it('a cut-off refuses the sessions of a role from before it, and lets those from after it through', async () => {
  const { world, assume, target } = await house();
  const session = await assume();
  expect(await listed(world, session)).toBe('ok');
  const step = stepOf(await world.connect(), 'cut-off-role', target);
  const before = await step.capture();
  const applied = await step.apply(before);
  expect((await step.probe(before)).observation.state).toBe('yes');
  expect(await listed(world, session)).toBe('AccessDeniedException');
  const stamp = cutOffIn((await standing(world)) ?? '') ?? 0;
  // It lies ahead of the moment at which the policy is in effect: what is assumed until then is refused as well.
  expect(stamp).toBeGreaterThanOrEqual(Date.parse(applied.acceptedAt));
  await until('the stamp is past', async () => (await world.control.clock()).now > stamp + 1_000);
  expect(await listed(world, await assume())).toBe('ok');
  expect(applied.residual).toMatchObject({
    target: `arn:aws:iam::${world.account}:role/${role}`,
    stamp: new Date(stamp).toISOString(),
    until: new Date(stamp + 2 * hour + 1_000).toISOString(),
  });
  expect(applied.descendantsDieAt).toBe(applied.residual?.until);
});

it('it stands for the longest session that was seen, where the role allows only shorter ones now', async () => {
  const { target, world } = await house(3_600);
  const step = stepOf(await world.connect(), 'cut-off-role', target, { params: { maxLifeSeconds: 43_200 } });
  const applied = await step.apply(await step.capture());
  const { stamp = '', until: date = '' } = applied.residual ?? {};
  expect(Date.parse(date) - Date.parse(stamp)).toBe(12 * hour + 1_000);
});

it('the undo leaves it standing while a session from before it may live, and says until when; then it takes it away', async () => {
  const { world, target } = await house();
  const step = stepOf(await world.connect(), 'cut-off-role', target);
  const before = await step.capture();
  const applied = await step.apply(before);
  const early = await step.revert(before);
  expect(early).toMatchObject({ outcome: 'already', observation: { state: 'no' }, residual: { until: applied.residual?.until } });
  expect(await standing(world)).toBeDefined();
  await world.control.advance(2 * hour + 60_000);
  expect((await step.revert(before)).outcome).toBe('changed');
  expect(await standing(world)).toBeUndefined();
});

it('the later of two stamps is kept, and what another incident holds is lifted by nobody else', async () => {
  const { world, target } = await house();
  const ahead = new Date(Math.ceil((Date.now() + 600_000) / 1000) * 1000).toISOString();
  const theirs = cutOffDocument('fedcba9876543210fedcba98', ahead);
  await world.admin.iam.send(new PutRolePolicyCommand({ RoleName: role, PolicyName: cutOffPolicy, PolicyDocument: theirs }));
  const connection = await world.connect();
  const step = stepOf(connection, 'cut-off-role', target);
  const before = await step.capture();
  const applied = await step.apply(before);
  expect([applied.outcome, applied.residual?.stamp]).toEqual(['already', ahead]);
  expect(await standing(world)).toBe(theirs);
  await world.control.advance(4 * hour);
  const other = incidentId({ kind: 'aws.access-key', locator: { accessKeyId: 'AKIAOTHER' } });
  const held = stepOf(connection, 'lift-cut-off-role', target, { params: { heldBy: [other] } });
  expect((await held.apply(await held.capture())).outcome).toBe('already');
  expect(await standing(world)).toBe(theirs);
  const alone = stepOf(connection, 'lift-cut-off-role', target);
  expect((await alone.apply(await alone.capture())).outcome).toBe('changed');
  expect(await standing(world)).toBeUndefined();
});

it('it is not lifted before its date, nor before the one that is given', async () => {
  const { world, target } = await house();
  const connection = await world.connect();
  const cut = stepOf(connection, 'cut-off-role', target);
  await cut.apply(await cut.capture());
  const lift = stepOf(connection, 'lift-cut-off-role', target);
  const captured = await lift.capture();
  expect(await refusalOf(() => lift.apply(captured))).toBe('provider.conflict');
  await world.control.advance(2 * hour + 60_000);
  const later = stepOf(connection, 'lift-cut-off-role', target, { params: { until: [new Date(Date.now() + 5 * hour).toISOString()] } });
  expect(await refusalOf(() => later.apply(captured))).toBe('provider.conflict');
  expect((await lift.apply(captured)).outcome).toBe('changed');
});

it('the role that the engine itself acts as is never touched', async () => {
  const { world, assume, target } = await house();
  const connection = await world.connect(await assume());
  for (const name of ['cut-off-role', 'lift-cut-off-role']) {
    const step = stepOf(connection, name, target);
    expect(await refusalOf(() => step.capture())).toBe('warrant.own-credential');
    expect(await refusalOf(() => step.apply({}))).toBe('warrant.own-credential');
  }
  expect(await refusalOf(() => stepOf(connection, 'cut-off-role', { account: '111111111111', role }).capture())).toBe('provider.invalid');
});
