import { ListUsersCommand, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { GetSecretValueCommand, ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand, GetScopedCredentialsCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { describe, expect, it } from 'vitest';
import { makeUser, nothing, olderThan, outcome, type Pair, pair, practice } from './world.ts';

const list = new ListSecretsCommand({});
const only = (...Action: string[]) => JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource: '*' }] });

describe('credentials that are scoped down from a session', () => {
  it('have its name, may do what every one of their policies allows, and live no longer', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    expect(await outcome(lab.as(key).sts.send(new GetScopedCredentialsCommand({ DurationSeconds: 60 })))).not.toBe('ok');
    const session = pair((await lab.as(key).sts.send(new GetSessionTokenCommand({ DurationSeconds: 900 }))).Credentials);
    const scope = async (of: Pair, given: { Policy?: string; DurationSeconds?: number }) =>
      await lab.as(of).sts.send(new GetScopedCredentialsCommand(given));
    const first = await scope(session, { Policy: only('secretsmanager:*', 'sts:*') });
    const one = pair(first.Credentials);
    expect(first.ScopedPoliciesCount).toBe(1);
    const who = async (of: Pair) => (await lab.as(of).sts.send(new GetCallerIdentityCommand({}))).Arn;
    expect(await who(one)).toBe(await who(session));
    expect(first.SessionInfo?.Arn).toBe(await who(session));
    expect(await outcome(lab.as(one).sm.send(list))).toBe('ok');
    // The second allows what the first does not: neither alone is enough.
    const two = pair((await scope(one, { Policy: only('secretsmanager:GetSecretValue', 'iam:*') })).Credentials);
    expect(await outcome(lab.as(two).sm.send(list))).toBe('AccessDeniedException');
    expect(await outcome(lab.as(two).sm.send(new GetSecretValueCommand({ SecretId: 'none' })))).toBe('ResourceNotFoundException');
    expect(await outcome(lab.as(two).iam.send(new ListUsersCommand({})))).not.toBe('ok');
    const three = pair((await scope(two, { Policy: only('secretsmanager:*') })).Credentials);
    expect(await outcome(scope(three, { Policy: only('secretsmanager:*') }))).toBe('AccessDenied');
    expect(await outcome(scope(three, { DurationSeconds: 30 }))).toBe('ok');
    expect(await outcome(scope(session, {}))).not.toBe('ok');
    expect(await outcome(scope(session, { DurationSeconds: 3600 }))).toBe('InsufficientSessionLifetimeException');
    expect(await outcome(scope(session, { Policy: 'none' }))).toBe('MalformedPolicyDocumentException');
    await lab.ctl.advance(901_000);
    expect(await outcome(lab.as(one).sm.send(list))).toBe('ExpiredTokenException');
  });

  it.each([
    ['own', 'ok', 'a cut-off from before they were issued does not reach'],
    ['parent', 'AccessDeniedException', 'a cut-off of the session reaches'],
  ] as const)('with the issue time read as %s: %s, which %s', async (scopedIssueTime, said, _which) => {
    await using lab = await practice();
    await lab.ctl.setTiming({ scopedIssueTime });
    const key = await makeUser(lab, 'u');
    const session = pair((await lab.as(key).sts.send(new GetSessionTokenCommand({}))).Credentials);
    await lab.ctl.advance(5_000);
    const cut = async () => {
      const at = `${new Date((await lab.ctl.clock()).now).toISOString().slice(0, 19)}Z`;
      await lab.iam.send(new PutUserPolicyCommand({ UserName: 'u', PolicyName: 'cut', PolicyDocument: olderThan(at) }));
    };
    await cut();
    expect(await outcome(lab.as(session).sm.send(list))).toBe('AccessDeniedException');
    await lab.ctl.advance(5_000);
    const scoped = pair((await lab.as(session).sts.send(new GetScopedCredentialsCommand({ DurationSeconds: 600 }))).Credentials);
    expect(await outcome(lab.as(scoped).sm.send(list))).toBe(said);
    await lab.ctl.advance(5_000);
    await cut();
    expect(await outcome(lab.as(scoped).sm.send(list))).toBe('AccessDeniedException');
    await lab.iam.send(new PutUserPolicyCommand({ UserName: 'u', PolicyName: 'cut', PolicyDocument: nothing }));
    expect(await outcome(lab.as(scoped).sm.send(list))).toBe('AccessDeniedException');
  });
});
