import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  DeleteUserPolicyCommand,
  ListAccessKeysCommand,
  ListUsersCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { AssumeRoleCommand, GetCallerIdentityCommand, GetFederationTokenCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { describe, expect, it } from 'vitest';
import { organizations } from './signer.ts';
import { type Clients, everything, makeUser, nothing, olderThan, outcome, pair, practice } from './world.ts';

const list = new ListSecretsCommand({});
const iso = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
const disable = (admin: Clients, UserName: string, AccessKeyId: string) =>
  admin.iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId, Status: 'Inactive' }));
const put = (admin: Clients, UserName: string, PolicyName: string, PolicyDocument: string) =>
  admin.iam.send(new PutUserPolicyCommand({ UserName, PolicyName, PolicyDocument }));

describe('a naive revocation script fails here because', () => {
  it('1: a federation session outlives its disabled key until the user is denied', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    const fed = pair((await lab.as(key).sts.send(new GetFederationTokenCommand({ Name: 'fed', Policy: everything }))).Credentials);
    await disable(lab, 'u', key.accessKeyId);
    expect(await outcome(lab.as(key).sm.send(list))).toBe('InvalidClientTokenId');
    expect(await outcome(lab.as(fed).sm.send(list))).toBe('ok');
    await put(lab, 'u', 'hold', nothing);
    expect(await outcome(lab.as(fed).sm.send(list))).toBe('AccessDeniedException');
  });

  it('2: a role session outlives a deny on the user it came from, and only a cut-off on the role ends it', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    const trust = (AWS: string) =>
      JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS }, Action: 'sts:AssumeRole' }] });
    const role = async (RoleName: string, by: string) => {
      const { Role } = await lab.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust(by) }));
      await lab.iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: 'base', PolicyDocument: everything }));
      return Role?.Arn ?? '';
    };
    const a = await role('a', `arn:aws:iam::${lab.accountId}:user/u`);
    const b = await role('b', a);
    const token = lab.as(pair((await lab.as(key).sts.send(new GetSessionTokenCommand({}))).Credentials));
    const first = lab.as(pair((await token.sts.send(new AssumeRoleCommand({ RoleArn: a, RoleSessionName: 'walk' }))).Credentials));
    const chained = lab.as(pair((await first.sts.send(new AssumeRoleCommand({ RoleArn: b, RoleSessionName: 'walk' }))).Credentials));
    const tooLong = first.sts.send(new AssumeRoleCommand({ RoleArn: b, RoleSessionName: 'walk', DurationSeconds: 3601 }));
    expect((await outcome(tooLong)).startsWith('Validation')).toBe(true);
    await put(lab, 'u', 'hold', nothing);
    await disable(lab, 'u', key.accessKeyId);
    expect(await outcome(token.sm.send(list))).toBe('AccessDeniedException');
    expect(await outcome(first.sm.send(list))).toBe('ok');
    await lab.ctl.advance(2000);
    const cut = olderThan(iso((await lab.ctl.clock()).now));
    await lab.iam.send(new PutRolePolicyCommand({ RoleName: 'a', PolicyName: 'AWSRevokeOlderSessions', PolicyDocument: cut }));
    expect(await outcome(first.sm.send(list))).toBe('AccessDeniedException');
    expect(await outcome(chained.sm.send(list))).toBe('ok');
    await lab.iam.send(new PutRolePolicyCommand({ RoleName: 'b', PolicyName: 'AWSRevokeOlderSessions', PolicyDocument: cut }));
    expect(await outcome(chained.sm.send(list))).toBe('AccessDeniedException');
    const edges = (await lab.ctl.world()).sessions.map((s) => s.mintedBy);
    expect(edges[0]).toBe(key.accessKeyId);
    expect(new Set(edges).size).toBe(3);
  });

  it('3: a session minted while the disable is not yet effective escapes a cut-off stamped at the disable', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    await lab.ctl.setTiming({ propagationMs: 4000 });
    await lab.ctl.advance(10_000);
    await disable(lab, 'u', key.accessKeyId);
    await put(lab, 'u', 'cutoff', olderThan(iso((await lab.ctl.clock()).now)));
    await lab.ctl.advance(2000);
    const late = pair((await lab.as(key).sts.send(new GetSessionTokenCommand({}))).Credentials);
    await lab.ctl.advance(4000);
    expect(await outcome(lab.as(key).sm.send(list))).toBe('InvalidClientTokenId');
    expect(await outcome(lab.as(late).sm.send(list))).toBe('ok');
    await put(lab, 'u', 'cutoff', olderThan(iso((await lab.ctl.clock()).now)));
    await lab.ctl.advance(4000);
    expect(await outcome(lab.as(late).sm.send(list))).toBe('AccessDeniedException');
  });

  it('4: lifting a deny-all after two hours wakes a session of 36', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    await put(lab, 'u', 'hold', nothing);
    // Not even the deny stops this one being minted: the key was denied and not disabled.
    const session = pair((await lab.as(key).sts.send(new GetSessionTokenCommand({ DurationSeconds: 129_600 }))).Credentials);
    await disable(lab, 'u', key.accessKeyId);
    expect(await outcome(lab.as(session).sm.send(list))).toBe('AccessDeniedException');
    await lab.ctl.advance(2 * 3_600_000);
    await lab.iam.send(new DeleteUserPolicyCommand({ UserName: 'u', PolicyName: 'hold' }));
    expect(await outcome(lab.as(session).sm.send(list))).toBe('ok');
    await lab.ctl.advance(35 * 3_600_000);
    expect(await outcome(lab.as(session).sm.send(list))).toBe('ExpiredTokenException');
  });

  it('5: with both slots full there is no minting first', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    await lab.as(key).iam.send(new CreateAccessKeyCommand({}));
    expect(await outcome(lab.iam.send(new CreateAccessKeyCommand({ UserName: 'u' })))).toBe('LimitExceededException');
    await disable(lab, 'u', key.accessKeyId);
    expect(await outcome(lab.iam.send(new CreateAccessKeyCommand({ UserName: 'u' })))).toBe('LimitExceededException');
  });

  it('6: a mint whose reply was lost has made a key that a retry does not know of', async () => {
    await using lab = await practice();
    await makeUser(lab, 'u');
    await lab.ctl.inject({ kind: 'lose-reply-after-effect', service: 'iam', action: 'CreateAccessKey', count: 1 });
    expect(await outcome(lab.iam.send(new CreateAccessKeyCommand({ UserName: 'u' })))).not.toBe('ok');
    expect((await lab.iam.send(new ListAccessKeysCommand({ UserName: 'u' }))).AccessKeyMetadata).toHaveLength(2);
    expect(await outcome(lab.iam.send(new CreateAccessKeyCommand({ UserName: 'u' })))).toBe('LimitExceededException');
    const mints = (await lab.ctl.mutations()).filter((m) => m.action === 'CreateAccessKey');
    expect(mints.map((m) => [m.effect, m.reply])).toEqual([
      ['changed', 'sent'],
      ['changed', 'lost'],
      ['refused', 'sent'],
    ]);
  });

  it('7: a control policy on the user does not reach its federation sessions', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    const fed = pair((await lab.as(key).sts.send(new GetFederationTokenCommand({ Name: 'walker', Policy: everything }))).Credentials);
    const arns = [`arn:aws:iam::${lab.accountId}:user/u`];
    const deny = () =>
      JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Deny', Action: '*', Resource: '*', Condition: { ArnLike: { 'aws:PrincipalArn': arns } } }],
      });
    const org = (action: string, input: object) => organizations(lab.endpoint, lab.admin, action, input);
    const made = await org('CreatePolicy', { Name: 'hold', Description: 'd', Type: 'SERVICE_CONTROL_POLICY', Content: deny() });
    const PolicyId = (made.answer.Policy as { PolicySummary: { Id: string } }).PolicySummary.Id;
    expect((await org('AttachPolicy', { PolicyId, TargetId: lab.accountId })).code).toBe('ok');
    expect((await org('AttachPolicy', { PolicyId, TargetId: lab.accountId })).code).toBe('DuplicatePolicyAttachmentException');
    expect((await org('DeletePolicy', { PolicyId })).code).toBe('PolicyInUseException');
    expect(await outcome(lab.as(key).iam.send(new ListUsersCommand({})))).toBe('AccessDenied');
    expect(await outcome(lab.as(fed).sm.send(list))).toBe('ok');
    arns.push(`arn:aws:sts::${lab.accountId}:federated-user/walker`);
    expect((await org('UpdatePolicy', { PolicyId, Content: deny() })).code).toBe('ok');
    expect(await outcome(lab.as(fed).sm.send(list))).toBe('AccessDeniedException');
    expect((await org('DetachPolicy', { PolicyId, TargetId: lab.accountId })).code).toBe('ok');
    expect((await org('DetachPolicy', { PolicyId, TargetId: lab.accountId })).code).toBe('PolicyNotAttachedException');
    expect((await org('DeletePolicy', { PolicyId })).code).toBe('ok');
    expect(await outcome(lab.as(fed).sm.send(list))).toBe('ok');
  });

  it('8: GetCallerIdentity says that a denied user is alive', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    await put(lab, 'u', 'hold', nothing);
    expect(await outcome(lab.as(key).sts.send(new GetCallerIdentityCommand({})))).toBe('ok');
    expect(await outcome(lab.as(key).sm.send(list))).toBe('AccessDeniedException');
  });

  it('and an omitted user name means the caller, not the owner of the key', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    const status = 'Inactive' as const;
    expect(await outcome(lab.iam.send(new UpdateAccessKeyCommand({ AccessKeyId: key.accessKeyId, Status: status })))).toBe(
      'NoSuchEntityException',
    );
    expect(await outcome(lab.as(key).iam.send(new UpdateAccessKeyCommand({ AccessKeyId: key.accessKeyId, Status: status })))).toBe('ok');
    expect(await outcome(lab.as(key).sm.send(list))).toBe('InvalidClientTokenId');
  });
});

describe('a deny can be narrowed', () => {
  it('to one session of a role by aws:userid, and to addresses outside a network', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    const fenced = (cidr: string) =>
      JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Deny',
            Action: '*',
            Resource: '*',
            Condition: { NotIpAddress: { 'aws:SourceIp': [cidr] }, Bool: { 'aws:ViaAWSService': 'false' } },
          },
        ],
      });
    await put(lab, 'u', 'fence', fenced('127.0.0.0/8'));
    expect(await outcome(lab.as(key).sm.send(list))).toBe('ok');
    await put(lab, 'u', 'fence', fenced('192.0.2.0/24'));
    expect(await outcome(lab.as(key).sm.send(list))).toBe('AccessDeniedException');
    const trust = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { AWS: lab.accountId }, Action: 'sts:AssumeRole' }],
    });
    const { Role } = await lab.iam.send(new CreateRoleCommand({ RoleName: 'r', AssumeRolePolicyDocument: trust }));
    await lab.iam.send(new PutRolePolicyCommand({ RoleName: 'r', PolicyName: 'base', PolicyDocument: everything }));
    const session = async (RoleSessionName: string) =>
      lab.as(pair((await lab.sts.send(new AssumeRoleCommand({ RoleArn: Role?.Arn ?? '', RoleSessionName }))).Credentials));
    const [good, bad] = [await session('job'), await session('attacker')];
    const one = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Deny', Action: '*', Resource: '*', Condition: { StringEquals: { 'aws:userid': `${Role?.RoleId}:attacker` } } },
      ],
    });
    await lab.iam.send(new PutRolePolicyCommand({ RoleName: 'r', PolicyName: 'one', PolicyDocument: one }));
    expect(await outcome(bad.sm.send(list))).toBe('AccessDeniedException');
    expect(await outcome(good.sm.send(list))).toBe('ok');
  });
});
