import * as iam from '@aws-sdk/client-iam';
import * as sm from '@aws-sdk/client-secrets-manager';
import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { describe, expect, it } from 'vitest';
import { everything, makeUser, nothing, outcome, practice } from './world.ts';

const document = (...Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });

describe('IAM', () => {
  it('answers a repeat as documented: upserts succeed, deletes say that nothing is there, and neither counts as a change', async () => {
    await using lab = await practice();
    await makeUser(lab, 'u');
    const before = (await lab.ctl.mutations()).at(-1)?.seq ?? 0;
    const hold = { UserName: 'u', PolicyName: 'hold', PolicyDocument: nothing };
    await lab.iam.send(new iam.PutUserPolicyCommand(hold));
    await lab.iam.send(new iam.PutUserPolicyCommand(hold));
    await lab.iam.send(new iam.DeleteUserPolicyCommand(hold));
    expect(await outcome(lab.iam.send(new iam.DeleteUserPolicyCommand(hold)))).toBe('NoSuchEntityException');
    const [AccessKey] = (await lab.iam.send(new iam.ListAccessKeysCommand({ UserName: 'u' }))).AccessKeyMetadata ?? [];
    const key = { UserName: 'u', AccessKeyId: AccessKey?.AccessKeyId };
    await lab.iam.send(new iam.UpdateAccessKeyCommand({ ...key, Status: 'Inactive' }));
    await lab.iam.send(new iam.UpdateAccessKeyCommand({ ...key, Status: 'Inactive' }));
    await lab.iam.send(new iam.DeleteAccessKeyCommand(key));
    expect(await outcome(lab.iam.send(new iam.DeleteAccessKeyCommand(key)))).toBe('NoSuchEntityException');
    expect((await lab.ctl.mutations(before)).map((m) => m.effect)).toEqual([
      'changed',
      'no-op',
      'changed',
      'refused',
      'changed',
      'no-op',
      'changed',
      'refused',
    ]);
    expect((await lab.ctl.mutations(before))[4]).toMatchObject({
      action: 'UpdateAccessKey',
      target: { UserName: 'u', Status: 'Inactive' },
      caller: lab.admin.accessKeyId,
    });
  });

  it('gives a policy back as it was put, and refuses a malformed or an oversized one', async () => {
    await using lab = await practice();
    await makeUser(lab, 'u');
    const put = (PolicyDocument: string) => lab.iam.send(new iam.PutUserPolicyCommand({ UserName: 'u', PolicyName: 'p', PolicyDocument }));
    const text = document({ Effect: 'Deny', Action: 's3:*', Resource: 'arn:aws:s3:::a b/*?&+%' });
    await put(text);
    expect(
      decodeURIComponent((await lab.iam.send(new iam.GetUserPolicyCommand({ UserName: 'u', PolicyName: 'p' }))).PolicyDocument ?? ''),
    ).toBe(text);
    expect(await outcome(put('{'))).toBe('MalformedPolicyDocumentException');
    expect(
      await outcome(
        put(document({ Effect: 'Deny', Action: 's3:*', Resource: Array.from({ length: 100 }, (_, i) => `arn:aws:s3:::bucket-${i}/*`) })),
      ),
    ).toBe('LimitExceededException');
    expect((await lab.iam.send(new iam.ListUserPoliciesCommand({ UserName: 'u' }))).PolicyNames).toEqual(['base', 'p']);
  });

  it('keeps users with paths and tags, pages them, and deletes only empty ones', async () => {
    await using lab = await practice();
    for (const n of ['a', 'b', 'c'])
      await lab.iam.send(new iam.CreateUserCommand({ UserName: n, Path: '/ci/', Tags: [{ Key: 'team', Value: n }] }));
    expect(await outcome(lab.iam.send(new iam.CreateUserCommand({ UserName: 'A' })))).toBe('EntityAlreadyExistsException');
    const { User } = await lab.iam.send(new iam.GetUserCommand({ UserName: 'a' }));
    expect(User).toMatchObject({ Arn: `arn:aws:iam::${lab.accountId}:user/ci/a`, Tags: [{ Key: 'team', Value: 'a' }] });
    expect(User?.UserId).toMatch(/^AIDA[A-Z2-7]{17}$/);
    const first = await lab.iam.send(new iam.ListUsersCommand({ PathPrefix: '/ci/', MaxItems: 2 }));
    expect(first.IsTruncated).toBe(true);
    const second = await lab.iam.send(new iam.ListUsersCommand({ PathPrefix: '/ci/', MaxItems: 2, Marker: first.Marker }));
    expect([...(first.Users ?? []), ...(second.Users ?? [])].map((u) => u.UserName)).toEqual(['a', 'b', 'c']);
    await lab.iam.send(new iam.TagUserCommand({ UserName: 'a', Tags: [{ Key: 'x', Value: '1' }] }));
    await lab.iam.send(new iam.UntagUserCommand({ UserName: 'a', TagKeys: ['team'] }));
    expect((await lab.iam.send(new iam.ListUserTagsCommand({ UserName: 'a' }))).Tags).toEqual([{ Key: 'x', Value: '1' }]);
    await lab.iam.send(new iam.TagUserCommand({ UserName: 'a', Tags: [{ Key: 'X', Value: '2' }] }));
    expect((await lab.iam.send(new iam.ListUserTagsCommand({ UserName: 'a' }))).Tags).toEqual([{ Key: 'X', Value: '2' }]);
    const refused = (tag: iam.Tag) => outcome(lab.iam.send(new iam.TagUserCommand({ UserName: 'a', Tags: [tag] })));
    expect(await refused({ Key: 'aws:mine', Value: '1' })).toBe('InvalidInputException');
    expect(await refused({ Key: 'x', Value: '*' })).toBe('ValidationError');
    expect(await refused({ Key: 'x', Value: 'v'.repeat(257) })).toBe('ValidationError');
    await lab.iam.send(new iam.CreateAccessKeyCommand({ UserName: 'a' }));
    expect(await outcome(lab.iam.send(new iam.DeleteUserCommand({ UserName: 'a' })))).toBe('DeleteConflictException');
    expect(await outcome(lab.iam.send(new iam.DeleteUserCommand({ UserName: 'b' })))).toBe('ok');
    expect(await outcome(lab.iam.send(new iam.GetUserCommand({ UserName: 'b' })))).toBe('NoSuchEntityException');
  });

  it('counts every way to a permission: groups, managed policies, boundaries', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u', document({ Effect: 'Allow', Action: 's3:*', Resource: '*' }));
    const listed = () => outcome(lab.as(key).iam.send(new iam.ListUsersCommand({})));
    expect(await listed()).toBe('AccessDenied');
    await lab.iam.send(new iam.CreateGroupCommand({ GroupName: 'g' }));
    await lab.iam.send(new iam.AttachGroupPolicyCommand({ GroupName: 'g', PolicyArn: 'arn:aws:iam::aws:policy/IAMReadOnlyAccess' }));
    await lab.iam.send(new iam.AddUserToGroupCommand({ GroupName: 'g', UserName: 'u' }));
    expect(await listed()).toBe('ok');
    expect((await lab.iam.send(new iam.ListGroupsForUserCommand({ UserName: 'u' }))).Groups).toHaveLength(1);
    await lab.iam.send(
      new iam.PutUserPermissionsBoundaryCommand({ UserName: 'u', PermissionsBoundary: 'arn:aws:iam::aws:policy/AWSDenyAll' }),
    );
    expect(await listed()).toBe('AccessDenied');
    await lab.iam.send(new iam.DeleteUserPermissionsBoundaryCommand({ UserName: 'u' }));
    expect(await listed()).toBe('ok');
    await lab.iam.send(new iam.AttachUserPolicyCommand({ UserName: 'u', PolicyArn: 'arn:aws:iam::aws:policy/AWSDenyAll' }));
    expect(await listed()).toBe('AccessDenied');
    expect((await lab.iam.send(new iam.ListAttachedUserPoliciesCommand({ UserName: 'u' }))).AttachedPolicies).toEqual([
      { PolicyName: 'AWSDenyAll', PolicyArn: 'arn:aws:iam::aws:policy/AWSDenyAll' },
    ]);
    await lab.iam.send(new iam.DetachUserPolicyCommand({ UserName: 'u', PolicyArn: 'arn:aws:iam::aws:policy/AWSDenyAll' }));
    expect(
      await outcome(lab.iam.send(new iam.DetachUserPolicyCommand({ UserName: 'u', PolicyArn: 'arn:aws:iam::aws:policy/AWSDenyAll' }))),
    ).toBe('NoSuchEntityException');
    const simulated = await lab.iam.send(
      new iam.SimulatePrincipalPolicyCommand({
        PolicySourceArn: `arn:aws:iam::${lab.accountId}:user/u`,
        ActionNames: ['s3:GetObject', 'iam:CreateUser'],
      }),
    );
    expect(simulated.EvaluationResults?.map((r) => r.EvalDecision)).toEqual(['allowed', 'implicitDeny']);
  });

  it('has no off switch for a login profile, and refuses to change a fresh one', async () => {
    await using lab = await practice();
    await makeUser(lab, 'u');
    await lab.iam.send(new iam.CreateLoginProfileCommand({ UserName: 'u', Password: 'Passwort-123456' }));
    expect(await outcome(lab.iam.send(new iam.DeleteLoginProfileCommand({ UserName: 'u' })))).toBe(
      'EntityTemporarilyUnmodifiableException',
    );
    await lab.ctl.advance(10_000);
    expect((await lab.iam.send(new iam.GetLoginProfileCommand({ UserName: 'u' }))).LoginProfile?.UserName).toBe('u');
    await lab.iam.send(new iam.DeleteLoginProfileCommand({ UserName: 'u' }));
    expect(await outcome(lab.iam.send(new iam.DeleteLoginProfileCommand({ UserName: 'u' })))).toBe('NoSuchEntityException');
    expect((await lab.iam.send(new iam.ListMFADevicesCommand({ UserName: 'u' }))).MFADevices).toEqual([]);
    expect((await lab.iam.send(new iam.ListSSHPublicKeysCommand({ UserName: 'u' }))).SSHPublicKeys).toEqual([]);
    expect((await lab.iam.send(new iam.ListSigningCertificatesCommand({ UserName: 'u' }))).Certificates).toEqual([]);
  });

  it('trusts the principal that a role was bound to, not a later namesake', async () => {
    await using lab = await practice();
    const trust = document({ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${lab.accountId}:user/u` }, Action: 'sts:AssumeRole' });
    const create = new iam.CreateRoleCommand({ RoleName: 'r', AssumeRolePolicyDocument: trust });
    expect(await outcome(lab.iam.send(create))).toBe('MalformedPolicyDocumentException');
    const key = await makeUser(lab, 'u');
    const { Role } = await lab.iam.send(create);
    const assume = new AssumeRoleCommand({ RoleArn: Role?.Arn, RoleSessionName: 'job' });
    expect(await outcome(lab.as(key).sts.send(assume))).toBe('ok');
    await lab.iam.send(new iam.DeleteAccessKeyCommand({ UserName: 'u', AccessKeyId: key.accessKeyId }));
    await lab.iam.send(new iam.DeleteUserPolicyCommand({ UserName: 'u', PolicyName: 'base' }));
    await lab.iam.send(new iam.DeleteUserCommand({ UserName: 'u' }));
    const namesake = await makeUser(lab, 'u');
    expect(await outcome(lab.as(namesake).sts.send(assume))).toBe('AccessDenied');
    await lab.iam.send(new iam.UpdateAssumeRolePolicyCommand({ RoleName: 'r', PolicyDocument: trust }));
    expect(await outcome(lab.as(namesake).sts.send(assume))).toBe('ok');
    expect(await outcome(lab.sts.send(assume))).toBe('AccessDenied');
  });
});

describe('Secrets Manager', () => {
  it('moves labels as AWS does, and refuses to move one away unasked', async () => {
    await using lab = await practice();
    const SecretId = 'app/key';
    const [one, two] = ['1'.repeat(32), '2'.repeat(32)];
    await lab.sm.send(new sm.CreateSecretCommand({ Name: SecretId, SecretString: 'one', ClientRequestToken: one }));
    expect(await outcome(lab.sm.send(new sm.CreateSecretCommand({ Name: SecretId, SecretString: 'one', ClientRequestToken: one })))).toBe(
      'ok',
    );
    expect(await outcome(lab.sm.send(new sm.CreateSecretCommand({ Name: SecretId, SecretString: 'two' })))).toBe('ResourceExistsException');
    const put = (SecretString: string) =>
      lab.sm.send(new sm.PutSecretValueCommand({ SecretId, ClientRequestToken: two, SecretString, VersionStages: ['AWSPENDING'] }));
    await put('two');
    await put('two');
    expect(await outcome(put('three'))).toBe('ResourceExistsException');
    const move = (input: object) =>
      outcome(lab.sm.send(new sm.UpdateSecretVersionStageCommand({ SecretId, VersionStage: 'AWSCURRENT', ...input })));
    expect(await move({ MoveToVersionId: two })).toBe('InvalidParameterException');
    expect(await move({ RemoveFromVersionId: one })).toBe('InvalidParameterException');
    expect(await move({ MoveToVersionId: two, RemoveFromVersionId: one })).toBe('ok');
    const { VersionIdsToStages, ARN } = await lab.sm.send(new sm.DescribeSecretCommand({ SecretId }));
    expect(VersionIdsToStages).toEqual({ [one]: ['AWSPREVIOUS'], [two]: ['AWSPENDING', 'AWSCURRENT'] });
    const value = async (input: object) => (await lab.sm.send(new sm.GetSecretValueCommand({ SecretId, ...input }))).SecretString;
    expect([await value({}), await value({ VersionStage: 'AWSPREVIOUS' }), await value({ VersionId: one })]).toEqual(['two', 'one', 'one']);
    expect(await outcome(value({ SecretId: ARN?.slice(0, -7) }))).toBe('ok');
    expect(await outcome(value({ VersionStage: 'NONE' }))).toBe('ResourceNotFoundException');
    expect(await move({ MoveToVersionId: one, RemoveFromVersionId: two })).toBe('ok');
    expect(await value({})).toBe('one');
  });

  it('schedules a deletion that can be taken back until its window is over', async () => {
    await using lab = await practice();
    const SecretId = 's';
    await lab.sm.send(new sm.CreateSecretCommand({ Name: SecretId, SecretBinary: Buffer.from([1, 2, 3]) }));
    expect((await lab.sm.send(new sm.GetSecretValueCommand({ SecretId }))).SecretBinary).toEqual(Uint8Array.of(1, 2, 3));
    expect(await outcome(lab.sm.send(new sm.DeleteSecretCommand({ SecretId, RecoveryWindowInDays: 3 })))).not.toBe('ok');
    await lab.sm.send(new sm.DeleteSecretCommand({ SecretId, RecoveryWindowInDays: 7 }));
    expect(await outcome(lab.sm.send(new sm.DeleteSecretCommand({ SecretId })))).toBe('InvalidRequestException');
    expect(await outcome(lab.sm.send(new sm.GetSecretValueCommand({ SecretId })))).toBe('InvalidRequestException');
    expect((await lab.sm.send(new sm.ListSecretsCommand({}))).SecretList).toEqual([]);
    await lab.sm.send(new sm.RestoreSecretCommand({ SecretId }));
    expect((await lab.sm.send(new sm.ListSecretsCommand({ Filters: [{ Key: 'name', Values: ['s'] }] }))).SecretList).toHaveLength(1);
    await lab.sm.send(new sm.DeleteSecretCommand({ SecretId, RecoveryWindowInDays: 7 }));
    await lab.ctl.advance(8 * 86_400_000);
    expect(await outcome(lab.sm.send(new sm.RestoreSecretCommand({ SecretId })))).toBe('ResourceNotFoundException');
    expect(await outcome(lab.sm.send(new sm.CreateSecretCommand({ Name: SecretId, SecretString: 'again' })))).toBe('ok');
  });

  it('judges by the ARN of the secret', async () => {
    await using lab = await practice();
    const key = await makeUser(
      lab,
      'u',
      document({
        Effect: 'Allow',
        Action: 'secretsmanager:GetSecretValue',
        Resource: `arn:aws:secretsmanager:*:${lab.accountId}:secret:mine/*`,
      }),
    );
    for (const Name of ['mine/a', 'yours/a']) await lab.sm.send(new sm.CreateSecretCommand({ Name, SecretString: 'x' }));
    expect(await outcome(lab.as(key).sm.send(new sm.GetSecretValueCommand({ SecretId: 'mine/a' })))).toBe('ok');
    expect(await outcome(lab.as(key).sm.send(new sm.GetSecretValueCommand({ SecretId: 'yours/a' })))).toBe('AccessDeniedException');
    expect(await outcome(lab.as(key).sm.send(new sm.ListSecretsCommand({})))).toBe('AccessDeniedException');
  });
});

describe('the control port', () => {
  it('refuses whoever has no token', async () => {
    await using lab = await practice();
    expect((await fetch(`${lab.control.url}/state`)).status).toBe(401);
    expect((await fetch(`${lab.control.url}/state`, { headers: { authorization: 'Bearer wrong' } })).status).toBe(401);
  });

  it('shows the whole account and no secret of it', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    await lab.sm.send(new sm.CreateSecretCommand({ Name: 's', SecretString: 'the-very-value' }));
    const world = await lab.ctl.world();
    expect(world.users.find((u) => u.name === 'u')).toMatchObject({
      keys: [{ id: key.accessKeyId, status: 'Active', lastUsed: null }],
      policies: { inline: { base: everything } },
    });
    const text = JSON.stringify(world);
    for (const secret of [key.secretAccessKey, lab.admin.secretAccessKey, 'the-very-value']) expect(text).not.toContain(secret);
  });

  it('moves the clock forward only, and refuses what it does not understand', async () => {
    await using lab = await practice();
    await lab.ctl.advance(1000);
    await expect(lab.ctl.advance(-1)).rejects.toThrow('400');
    await expect(lab.ctl.inject({ kind: 'explode' as never })).rejects.toThrow('400');
    await expect(lab.ctl.setTiming({ propagationMs: 86_400_000 })).rejects.toThrow('400');
  });
});

describe('faults', () => {
  const who = new GetCallerIdentityCommand({});
  it('strike what they match, as often as ordered', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    await lab.ctl.inject({ kind: 'throttle', action: 'GetCallerIdentity', accessKeyId: key.accessKeyId, skip: 1, count: 1 });
    expect(await outcome(lab.sts.send(who))).toBe('ok');
    const outcomes: string[] = [];
    for (let i = 0; i < 3; i++) outcomes.push(await outcome(lab.as(key).sts.send(who)));
    expect(outcomes).toEqual(['ok', 'Throttling', 'ok']);
    await lab.ctl.inject({ kind: 'throttle', service: 'secretsmanager', count: 1 });
    expect(await outcome(lab.sm.send(new sm.ListSecretsCommand({})))).toBe('ThrottlingException');
  });

  it('refuse, cut or delay before any effect', async () => {
    await using lab = await practice();
    const create = (UserName: string) => outcome(lab.iam.send(new iam.CreateUserCommand({ UserName })));
    await lab.ctl.inject({ kind: 'error-500', action: 'CreateUser', count: 1 });
    expect(await create('a')).toBe('ServiceFailureException');
    await lab.ctl.inject({ kind: 'down', action: 'CreateUser' });
    expect(await create('a')).not.toBe('ok');
    expect(await create('a')).not.toBe('ok');
    await lab.ctl.clearFaults();
    expect((await lab.ctl.world()).users.map((u) => u.name)).not.toContain('a');
    const slow = await lab.ctl.inject({ kind: 'slow', ms: 1000, count: 1 });
    const late = create('late');
    while ((await lab.ctl.faults()).find((f) => f.id === slow.id)?.hits !== 1) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await create('early')).toBe('ok');
    expect(await late).toBe('ok');
    const order = (await lab.ctl.mutations()).filter((m) => m.effect === 'changed').map((m) => m.target.UserName);
    expect(order).toEqual(['early', 'late']);
  });

  it('deliver a request twice, and the client learns of the first only', async () => {
    await using lab = await practice();
    await lab.iam.send(new iam.CreateUserCommand({ UserName: 'u' }));
    await lab.ctl.inject({ kind: 'answer-twice', action: 'CreateAccessKey', count: 1 });
    const { AccessKey } = await lab.iam.send(new iam.CreateAccessKeyCommand({ UserName: 'u' }));
    const mints = (await lab.ctl.mutations()).filter((m) => m.action === 'CreateAccessKey');
    expect(mints.map((m) => [m.delivery, m.effect])).toEqual([
      [1, 'changed'],
      [2, 'changed'],
    ]);
    expect(mints[0]?.made).toBe(AccessKey?.AccessKeyId);
    expect((await lab.ctl.world()).users.find((u) => u.name === 'u')?.keys).toHaveLength(2);
  });
});
