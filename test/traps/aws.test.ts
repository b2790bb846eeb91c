import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  DeleteUserPolicyCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { AssumeRoleCommand, GetCallerIdentityCommand, GetFederationTokenCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { Connection, StepContext } from '../../providers/contract.ts';
import { organizations } from '../lab-aws/signer.ts';
import { everything, outcomeOf, type Pair, type Practice, pairOf, practice, refusalOf, timing, until } from '../providers-aws/practice.ts';
import { lookAt, stepOf } from '../providers-aws/steps.ts';

/*
 * The traps of AWS, each twice in a simulated account. First a script as a tired person would write it: it ends well, and a call that is named still succeeds with a credential that survived. Then the
 * engine's own looks and actions in the same world: the call is refused, or the engine says that it is not.
 */

const user = 'ci-deployer';
const deny = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }] });
const second = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
const olderThan = (time: string) =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Deny', Action: '*', Resource: '*', Condition: { DateLessThan: { 'aws:TokenIssueTime': time } } }],
  });

interface Town {
  readonly world: Practice;
  readonly leaked: Pair;
  readonly engine: Connection;
  readonly timing: StepContext['timing'];
}
const open: Practice[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});

/** An account with a user whose key has leaked, and that is known everywhere by now. */
async function town(propagationMs = timing.propagationMs): Promise<Town> {
  const world = await practice({ propagationMs });
  open.push(world);
  const leaked = await world.makeUser(user, everything);
  await until(
    'the leaked key works',
    () => lists(world, leaked),
    (said) => said === 'ok',
  );
  return { world, leaked, engine: await world.connect(), timing: { ...timing, propagationMs } };
}

/** The call that is named everywhere here: what a thief does first, and what only a policy allows. */
const lists = (world: Practice, pair: Pair): Promise<string> => outcomeOf(() => world.as(pair).secrets.send(new ListSecretsCommand({})));
const federated = async (world: Practice, pair: Pair): Promise<Pair> =>
  pairOf(
    (await world.as(pair).sts.send(new GetFederationTokenCommand({ Name: 'thief', Policy: everything, DurationSeconds: 129_600 })))
      .Credentials,
  );
const sessionOf = async (world: Practice, pair: Pair): Promise<Pair> =>
  pairOf((await world.as(pair).sts.send(new GetSessionTokenCommand({ DurationSeconds: 129_600 }))).Credentials);

const off = (world: Practice, accessKeyId: string) =>
  world.admin.iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: accessKeyId, Status: 'Inactive' }));
const put = (world: Practice, name: string, document: string) =>
  world.admin.iam.send(new PutUserPolicyCommand({ UserName: user, PolicyName: name, PolicyDocument: document }));
/** Every change has taken by then. */
const settled = ({ timing: { propagationMs } }: Town) => new Promise((resolve) => setTimeout(resolve, propagationMs + 200));

/** A step as the engine does it: captured, applied, and done only by the probe. */
async function act(
  { engine, world, timing: of }: Town,
  name: string,
  more: Record<string, string> = {},
  params: Record<string, unknown> = {},
) {
  const step = stepOf(engine, name, { account: world.account, ...('role' in more ? {} : { user }), ...more }, { params, timing: of });
  const before = await step.capture();
  const applied = await step.apply(before);
  const probed = await step.probe(before);
  return { step, before, outcome: applied.outcome, state: probed.observation.state, effectiveAt: probed.effectiveAt, made: applied.made };
}

/** What the engine does first about a key: off, its user denied, and its sessions cut off once the key is dead. */
async function contain(of: Town): Promise<void> {
  const { accessKeyId } = of.leaked;
  const [disabled, denied] = await Promise.all([act(of, 'disable-key', { accessKeyId }), act(of, 'deny-principal')]);
  const cut = await act(of, 'cut-off-sessions', {}, { keys: [accessKeyId], cutoffAt: [disabled.effectiveAt] });
  expect([disabled.state, denied.state, cut.state]).toEqual(['yes', 'yes', 'yes']);
}

const rows: { readonly trap: number; readonly script: string; readonly engine: string }[] = [];
const row = (trap: number, part: 'script' | 'engine', words: string) => {
  const at = rows.findIndex((each) => each.trap === trap);
  const { script, engine } = at < 0 ? { script: '', engine: '' } : (rows.splice(at, 1)[0] as (typeof rows)[number]);
  rows.push({ trap, script, engine, [part]: words });
};
afterAll(() => {
  const lines = rows.sort((a, b) => a.trap - b.trap).map(({ trap, script, engine }) => `| ${trap} | ${script} | ${engine} |`);
  process.stdout.write(`\n| trap | after the script | after the engine |\n|---|---|---|\n${lines.join('\n')}\n`);
});

describe('1: a federation session outlives the key that minted it', () => {
  it('the script: `update-access-key --status Inactive`; then `secretsmanager:ListSecrets` with the session', async () => {
    const of = await town();
    const session = await federated(of.world, of.leaked);
    await off(of.world, of.leaked.accessKeyId);
    await settled(of);
    expect(await lists(of.world, of.leaked)).not.toBe('ok');
    expect(await lists(of.world, session)).toBe('ok');
    row(1, 'script', 'federation session: ListSecrets ok');
  });
  it('the engine: the session is denied with its user', async () => {
    const of = await town();
    const session = await federated(of.world, of.leaked);
    await contain(of);
    expect(await lists(of.world, session)).toBe('AccessDeniedException');
    row(1, 'engine', 'federation session: AccessDenied');
  });
});

describe('2: a session that assumed a role is out of reach of a deny on its user', () => {
  const assumed = async () => {
    const of = await town();
    const { world, leaked } = of;
    const trust = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${world.account}:user/${user}` }, Action: 'sts:AssumeRole' }],
    });
    const { Role } = await world.admin.iam.send(new CreateRoleCommand({ RoleName: 'deploy', AssumeRolePolicyDocument: trust }));
    await world.admin.iam.send(new PutRolePolicyCommand({ RoleName: 'deploy', PolicyName: 'base', PolicyDocument: everything }));
    const token = await sessionOf(world, leaked);
    const assume = () => world.as(token).sts.send(new AssumeRoleCommand({ RoleArn: Role?.Arn, RoleSessionName: 'walk' }));
    await until(
      'the role is known',
      () => outcomeOf(assume),
      (said) => said === 'ok',
    );
    const walker = pairOf((await assume()).Credentials);
    await until(
      'its policy is known',
      () => lists(world, walker),
      (said) => said === 'ok',
    );
    return { of, walker };
  };
  it('the script: the key is turned off and the user denied everything; then `secretsmanager:ListSecrets` as the role', async () => {
    const { of, walker } = await assumed();
    await off(of.world, of.leaked.accessKeyId);
    await put(of.world, 'incident-deny', deny);
    await settled(of);
    expect(await lists(of.world, walker)).toBe('ok');
    row(2, 'script', 'role session: ListSecrets ok');
  });
  it('the engine: its look finds the role’s session in the log, and the role’s sessions are cut off', async () => {
    const { of, walker } = await assumed();
    await contain(of);
    const containedAt = new Date().toISOString();
    const { finding } = await of.engine.look(lookAt(of.leaked.accessKeyId, { depth: 'full', containedAt }));
    const node = finding.graph.nodes.find((each) => each.credential?.locator.accessKeyId === walker.accessKeyId);
    expect(finding.descendants).toContain(node?.id);
    expect(node?.credential).toMatchObject({ derivedVia: 'AssumeRole', principal: `arn:aws:iam::${of.world.account}:role/deploy` });
    expect((await act(of, 'cut-off-role', { role: 'deploy' })).state).toBe('yes');
    await until(
      'the cut-off has come to pass',
      () => lists(of.world, walker),
      (said) => said !== 'ok',
    );
    expect(await lists(of.world, walker)).toBe('AccessDeniedException');
    row(2, 'engine', 'role session: AccessDenied');
  });
});

describe('3: a key goes on minting for seconds after it was turned off', { timeout: 30_000 }, () => {
  const window = 2_500;
  it('the script: the key is turned off and sessions are cut off as of now; then `secretsmanager:ListSecrets` with one minted a second later', async () => {
    const of = await town(window);
    await off(of.world, of.leaked.accessKeyId);
    await put(of.world, 'incident-cutoff', olderThan(second(Date.now())));
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    const late = await sessionOf(of.world, of.leaked);
    await settled(of);
    expect(await lists(of.world, of.leaked)).not.toBe('ok');
    expect(await lists(of.world, late)).toBe('ok');
    row(3, 'script', 'session of the window: ListSecrets ok');
  });
  it('the engine: the stamp is of when the key was seen to be dead, and the margin', async () => {
    const of = await town(window);
    const { accessKeyId } = of.leaked;
    const disabling = act(of, 'disable-key', { accessKeyId });
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    const late = await sessionOf(of.world, of.leaked);
    const { effectiveAt } = await disabling;
    await act(of, 'cut-off-sessions', {}, { keys: [accessKeyId], cutoffAt: [effectiveAt] });
    expect(await lists(of.world, late)).toBe('AccessDeniedException');
    row(3, 'engine', 'session of the window: AccessDenied');
  });
});

describe('4: a deny that is taken back after two hours wakes a session of 36', () => {
  it('the script: the user is denied, and after two hours of calm it is not; then `secretsmanager:ListSecrets` with the session', async () => {
    const of = await town();
    const session = await sessionOf(of.world, of.leaked);
    await put(of.world, 'incident-deny', deny);
    await off(of.world, of.leaked.accessKeyId);
    await settled(of);
    expect(await lists(of.world, session)).toBe('AccessDeniedException');
    await of.world.control.advance(2 * 3_600_000);
    await of.world.admin.iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName: 'incident-deny' }));
    await settled(of);
    expect(await lists(of.world, session)).toBe('ok');
    row(4, 'script', 'session of 36 hours: ListSecrets ok');
  });
  it('the engine: the undo of its deny puts the cut-off first, and leaves it with a date', async () => {
    const of = await town();
    const session = await sessionOf(of.world, of.leaked);
    const denied = await act(of, 'deny-principal');
    await act(of, 'disable-key', { accessKeyId: of.leaked.accessKeyId });
    await of.world.control.advance(2 * 3_600_000);
    const reverted = await denied.step.revert(denied.before);
    expect(reverted).toMatchObject({ outcome: 'changed', residual: { until: expect.any(String) } });
    await settled(of);
    expect(await lists(of.world, session)).toBe('AccessDeniedException');
    row(4, 'engine', 'session of 36 hours: AccessDenied');
  });
});

describe('5: with both places taken there is no new key before the old one is gone', () => {
  it('the script: `create-access-key` first, and it ends there; then `secretsmanager:ListSecrets` with the leaked key', async () => {
    const of = await town();
    await of.world.makeKey(user);
    const rotate = async () => {
      await of.world.admin.iam.send(new CreateAccessKeyCommand({ UserName: user }));
      await off(of.world, of.leaked.accessKeyId);
    };
    expect(await outcomeOf(rotate)).toBe('LimitExceededException');
    await settled(of);
    expect(await lists(of.world, of.leaked)).toBe('ok');
    row(5, 'script', 'leaked key: ListSecrets ok');
  });
  it('the engine: contains without a replacement, tells beforehand that there is no place, and touches no other key', async () => {
    const of = await town();
    const other = await of.world.makeKey(user);
    const { finding } = await of.engine.look(lookAt(of.leaked.accessKeyId));
    expect(finding.slots).toEqual({ used: 2, limit: 2 });
    await act(of, 'disable-key', { accessKeyId: of.leaked.accessKeyId });
    expect(await lists(of.world, of.leaked)).toBe('InvalidClientTokenId');
    const params = { sealTo: { provider: 'vault', account: 'main' } };
    expect(await refusalOf(() => act(of, 'mint-key', {}, params))).toBe('provider.conflict');
    expect(await lists(of.world, other)).toBe('ok');
    row(5, 'engine', 'leaked key: refused; no other key touched');
  });
});

describe('6: a mint whose answer was lost has made a key that nobody has', () => {
  it('the script: tries again and gives up; a key stands that nobody accounts for, and `secretsmanager:ListSecrets` goes on with the leaked one', async () => {
    const of = await town();
    const { control, admin } = of.world;
    await control.inject({ kind: 'lose-reply-after-effect', service: 'iam', action: 'CreateAccessKey', count: 1 });
    const create = () => admin.iam.send(new CreateAccessKeyCommand({ UserName: user }));
    const rotate = async () => {
      await create().catch(create);
      await off(of.world, of.leaked.accessKeyId);
    };
    expect(await outcomeOf(rotate)).toBe('LimitExceededException');
    await settled(of);
    const keys = (await control.world()).users.find((each) => each.name === user)?.keys ?? [];
    expect(keys.map((key) => key.status)).toEqual(['Active', 'Active']);
    expect(await lists(of.world, of.leaked)).toBe('ok');
    row(6, 'script', 'leaked key: ListSecrets ok; one key of nobody’s');
  });
  it('the engine: the retry knows the lost key by its maker in the log, deletes it, and makes one; there is no third', async () => {
    const of = await town();
    const { control, account } = of.world;
    const params = { sealTo: { provider: 'vault', account: 'main' } };
    const step = stepOf(of.engine, 'mint-key', { account, user }, { params });
    const before = await step.capture();
    await control.inject({ kind: 'lose-reply-after-effect', service: 'iam', action: 'CreateAccessKey', count: 1 });
    expect(await refusalOf(() => step.apply(before))).toBe('provider.uncertain');
    const { made } = await step.apply(before);
    await act(of, 'disable-key', { accessKeyId: of.leaked.accessKeyId });
    const keys = (await control.world()).users.find((each) => each.name === user)?.keys ?? [];
    expect(keys.map((key) => [key.id, key.status])).toEqual([
      [of.leaked.accessKeyId, 'Inactive'],
      [made?.accessKeyId, 'Active'],
    ]);
    expect(await lists(of.world, of.leaked)).toBe('InvalidClientTokenId');
    row(6, 'engine', 'leaked key: refused; two keys, both accounted for');
  });
});

describe('7: a service control policy on the user’s ARN misses its federation sessions', () => {
  it('the script: `organizations attach-policy` with the user’s ARN; then `secretsmanager:ListSecrets` with the session', async () => {
    const of = await town();
    const { sim, account } = of.world;
    const session = await federated(of.world, of.leaked);
    const Content = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Deny',
          Action: '*',
          Resource: '*',
          Condition: { ArnLike: { 'aws:PrincipalArn': [`arn:aws:iam::${account}:user/${user}`] } },
        },
      ],
    });
    const org = (action: string, input: object) => organizations(sim.endpoint, sim.admin, action, input);
    const made = await org('CreatePolicy', { Name: 'incident', Description: 'deny', Type: 'SERVICE_CONTROL_POLICY', Content });
    const { Id } = (made.answer.Policy as { PolicySummary: { Id: string } }).PolicySummary;
    expect((await org('AttachPolicy', { PolicyId: Id, TargetId: account })).code).toBe('ok');
    await settled(of);
    expect(await lists(of.world, of.leaked)).toBe('AccessDeniedException');
    expect(await lists(of.world, session)).toBe('ok');
    row(7, 'script', 'federation session: ListSecrets ok');
  });
  it('the engine: denies on the user itself, whose permissions the session has under whichever ARN', async () => {
    const of = await town();
    const session = await federated(of.world, of.leaked);
    expect((await act(of, 'deny-principal')).state).toBe('yes');
    for (const pair of [of.leaked, session]) expect(await lists(of.world, pair)).toBe('AccessDeniedException');
    row(7, 'engine', 'federation session: AccessDenied');
  });
});

describe('8: GetCallerIdentity answers to whoever is denied everything', () => {
  it('the script: takes the answer for a deny that does not work and takes it off again; then `secretsmanager:ListSecrets` with the leaked key', async () => {
    const of = await town();
    await put(of.world, 'incident-deny', deny);
    await settled(of);
    const alive = (await outcomeOf(() => of.world.as(of.leaked).sts.send(new GetCallerIdentityCommand({})))) === 'ok';
    if (alive) await of.world.admin.iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName: 'incident-deny' }));
    await settled(of);
    expect(alive).toBe(true);
    expect(await lists(of.world, of.leaked)).toBe('ok');
    row(8, 'script', 'leaked key: ListSecrets ok');
  });
  it('the engine: reads back what it has put, and concludes nothing from a call that nobody can be denied', async () => {
    const of = await town();
    const denied = await act(of, 'deny-principal');
    expect(denied.state).toBe('yes');
    expect(await outcomeOf(() => of.world.as(of.leaked).sts.send(new GetCallerIdentityCommand({})))).toBe('ok');
    expect((await denied.step.probe(denied.before)).observation).toMatchObject({ state: 'yes', source: 'administrator' });
    expect(await lists(of.world, of.leaked)).toBe('AccessDeniedException');
    row(8, 'engine', 'leaked key: AccessDenied');
  });
});

describe('24: the thief deletes the deny before it has come to pass', () => {
  const deleted = async (of: Town, name: string) =>
    outcomeOf(() => of.world.as(of.leaked).iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName: name })));
  it('the script: `put-user-policy` said yes; then `secretsmanager:ListSecrets` with the leaked key', async () => {
    const of = await town(1_000);
    await put(of.world, 'incident-deny', deny);
    expect(await deleted(of, 'incident-deny')).toBe('ok');
    await settled(of);
    expect(await lists(of.world, of.leaked)).toBe('ok');
    row(24, 'script', 'leaked key: ListSecrets ok');
  });
  it('the engine: its probe says that the deny is gone, the step puts it again, and by then the key that took it off is dead', async () => {
    const of = await town(1_000);
    const { accessKeyId } = of.leaked;
    const step = stepOf(of.engine, 'deny-principal', { account: of.world.account, user }, { timing: of.timing });
    const before = await step.capture();
    const disabling = act(of, 'disable-key', { accessKeyId });
    expect((await step.apply(before)).outcome).toBe('changed');
    expect(await deleted(of, 'tourniquet-hold')).toBe('ok');
    expect((await step.probe(before)).observation.state).toBe('no');
    expect((await step.apply(before)).outcome).toBe('changed');
    expect((await step.probe(before)).observation.state).toBe('yes');
    expect((await disabling).state).toBe('yes');
    expect(await deleted(of, 'tourniquet-hold')).not.toBe('ok');
    expect(await lists(of.world, of.leaked)).not.toBe('ok');
    // Whatever was minted in between is denied as well.
    const held = (await of.world.control.world()).users.find((each) => each.name === user)?.policies.inline ?? {};
    expect(Object.keys(held)).toContain('tourniquet-hold');
    row(24, 'engine', 'leaked key: refused; the deny stands again');
  });
});
