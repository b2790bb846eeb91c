import { LookupEventsCommand, type LookupEventsCommandInput } from '@aws-sdk/client-cloudtrail';
import {
  CreateAccessKeyCommand,
  CreateLoginProfileCommand,
  GetAccessKeyLastUsedCommand,
  ListUsersCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { CreateSecretCommand, ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand, GetFederationTokenCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { describe, expect, it } from 'vitest';
import { proseDate } from '../../lab/aws/record.ts';
import { clients, everything, makeUser, nothing, outcome, pair, practice } from './world.ts';

const who = new GetCallerIdentityCommand({});

/** Looks up, waiting out the throttle, which is not what these tests are about. */
async function lookUp(lab: Awaited<ReturnType<typeof practice>>, input: LookupEventsCommandInput, region = 'us-east-1') {
  const { trail } = clients(lab.endpoint, lab.admin, region);
  for (;;) {
    try {
      return await trail.send(new LookupEventsCommand(input));
    } catch (error) {
      if ((error as Error).name !== 'ThrottlingException') throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
const by = (AttributeKey: 'AccessKeyId' | 'Username' | 'EventName' | 'ResourceName', AttributeValue: string) => ({
  LookupAttributes: [{ AttributeKey, AttributeValue }],
});
const records = (answer: { Events?: { CloudTrailEvent?: string | undefined }[] | undefined }) =>
  (answer.Events ?? []).map((e) => JSON.parse(e.CloudTrailEvent ?? '{}'));

describe('the event history', () => {
  it('shows a call only once the lag has passed, in the Region it was signed for, IAM in us-east-1', async () => {
    await using lab = await practice({ logLagMs: 60_000 });
    const key = await makeUser(lab, 'u');
    const west = clients(lab.endpoint, key, 'eu-west-1');
    await west.sts.send(who);
    await west.iam.send(new ListUsersCommand({}));
    expect((await lookUp(lab, by('AccessKeyId', key.accessKeyId), 'eu-west-1')).Events).toHaveLength(0);
    await lab.ctl.advance(60_000);
    expect(records(await lookUp(lab, by('AccessKeyId', key.accessKeyId), 'eu-west-1')).map((r) => r.eventName)).toEqual([
      'GetCallerIdentity',
    ]);
    const [event] = records(await lookUp(lab, by('AccessKeyId', key.accessKeyId)));
    expect(event).toMatchObject({
      eventName: 'ListUsers',
      awsRegion: 'us-east-1',
      eventSource: 'iam.amazonaws.com',
      userIdentity: { type: 'IAMUser', userName: 'u', accessKeyId: key.accessKeyId, accountId: lab.accountId },
      sourceIPAddress: '127.0.0.1',
      recipientAccountId: lab.accountId,
      readOnly: true,
      responseElements: null,
    });
  });

  it('holds the token of a minted session, and no secret key, password or secret value', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    const session = pair((await lab.as(key).sts.send(new GetSessionTokenCommand({}))).Credentials);
    const fed = pair((await lab.as(key).sts.send(new GetFederationTokenCommand({ Name: 'fed', Policy: everything }))).Credentials);
    const second = pair((await lab.as(key).iam.send(new CreateAccessKeyCommand({}))).AccessKey);
    await lab.as(key).iam.send(new CreateLoginProfileCommand({ UserName: 'u', Password: 'Passwort-123456' }));
    await lab.as(key).sm.send(new CreateSecretCommand({ Name: 's', SecretString: 'the-very-value' }));
    await lab.as(fed).sm.send(new ListSecretsCommand({}));
    const events = records(await lookUp(lab, by('AccessKeyId', key.accessKeyId)));
    const of = (name: string) => events.find((e) => e.eventName === name);
    expect(of('GetSessionToken').responseElements.credentials).toMatchObject({
      accessKeyId: session.accessKeyId,
      sessionToken: session.sessionToken,
    });
    expect(of('GetFederationToken')).toMatchObject({
      requestParameters: { name: 'fed' },
      responseElements: { credentials: { accessKeyId: fed.accessKeyId } },
    });
    expect(of('CreateAccessKey').responseElements.accessKey).toMatchObject({
      accessKeyId: second.accessKeyId,
      userName: 'u',
      status: 'Active',
    });
    const text = JSON.stringify(await lab.ctl.events());
    for (const secret of [session.secretAccessKey, fed.secretAccessKey, second.secretAccessKey, 'Passwort-123456', 'the-very-value']) {
      expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
    }
    const [walk] = records(await lookUp(lab, by('AccessKeyId', fed.accessKeyId)));
    expect(walk.userIdentity).toMatchObject({
      type: 'FederatedUser',
      sessionContext: { sessionIssuer: { userName: 'u' }, attributes: { mfaAuthenticated: 'false' } },
    });
    expect((await lookUp(lab, by('ResourceName', second.accessKeyId))).Events).toHaveLength(1);
  });

  it('shows refusals with their code, and nothing of what did not authenticate', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u', nothing);
    expect(await outcome(lab.as(key).iam.send(new ListUsersCommand({})))).toBe('AccessDenied');
    await lab.iam.send(new UpdateAccessKeyCommand({ UserName: 'u', AccessKeyId: key.accessKeyId, Status: 'Inactive' }));
    expect(await outcome(lab.as(key).iam.send(new ListUsersCommand({})))).toBe('InvalidClientTokenId');
    const events = records(await lookUp(lab, by('AccessKeyId', key.accessKeyId)));
    expect(events.map((e) => [e.eventName, e.errorCode])).toEqual([['ListUsers', 'AccessDenied']]);
    expect((await lab.ctl.counters())['iam:ListUsers']).toEqual({ calls: 2, refused: 2 });
  });

  it('pages by fifty with a token bound to the same look-up', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    const as = lab.as(key);
    for (let i = 0; i < 60; i++) await as.sts.send(who);
    const first = await lookUp(lab, by('AccessKeyId', key.accessKeyId));
    expect(first.Events).toHaveLength(50);
    await as.sts.send(who);
    const second = await lookUp(lab, { ...by('AccessKeyId', key.accessKeyId), NextToken: first.NextToken });
    expect(second.Events).toHaveLength(10);
    expect(second.NextToken).toBeUndefined();
    expect(new Set([...(first.Events ?? []), ...(second.Events ?? [])].map((e) => e.EventId)).size).toBe(60);
    expect(await outcome(lookUp(lab, { ...by('Username', 'u'), NextToken: first.NextToken }))).toBe('InvalidNextTokenException');
    expect(
      await outcome(lookUp(lab, { LookupAttributes: [...by('Username', 'u').LookupAttributes, ...by('EventName', 'x').LookupAttributes] })),
    ).toBe('InvalidLookupAttributesException');
  });

  it('honours a time range', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    await lab.as(key).sts.send(who);
    await lab.ctl.advance(3_600_000);
    await lab.as(key).sts.send(who);
    const half = new Date((await lab.ctl.clock()).now - 1_800_000);
    expect((await lookUp(lab, { ...by('AccessKeyId', key.accessKeyId), StartTime: half })).Events).toHaveLength(1);
    expect((await lookUp(lab, { ...by('AccessKeyId', key.accessKeyId), EndTime: half })).Events).toHaveLength(1);
    expect(
      await outcome(
        lookUp(lab, { StartTime: new Date(), EndTime: half }).then(() =>
          lookUp(lab, { StartTime: new Date(half.getTime() + 10_000), EndTime: half }),
        ),
      ),
    ).toBe('InvalidTimeRangeException');
  });

  it('throttles above two look-ups a second', async () => {
    await using lab = await practice();
    const outcomes: string[] = [];
    for (let i = 0; i < 12; i++) outcomes.push(await outcome(lab.trail.send(new LookupEventsCommand({}))));
    expect(outcomes.slice(0, 2)).toEqual(['ok', 'ok']);
    expect(outcomes).toContain('ThrottlingException');
  });

  it('keeps no more events than it was given room for', async () => {
    await using lab = await practice({ eventCapacity: 20 });
    for (let i = 0; i < 60; i++) await lab.sts.send(who);
    expect((await lab.ctl.events('us-east-1', 1000)).length).toBeLessThanOrEqual(22);
  });
});

describe('a log that is late', () => {
  it('delivers one event after others that came later, and shows it once its own lag has passed', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    await lab.ctl.delayEvents({ action: 'GetSessionToken', accessKeyId: key.accessKeyId, ms: 60_000, count: 1 });
    await lab.as(key).sts.send(new GetSessionTokenCommand({}));
    await lab.as(key).sts.send(who);
    await lab.as(key).sts.send(new GetSessionTokenCommand({}));
    const names = async () => records(await lookUp(lab, by('AccessKeyId', key.accessKeyId))).map((r) => r.eventName);
    expect(await names()).toEqual(['GetSessionToken', 'GetCallerIdentity']);
    await lab.ctl.advance(59_000);
    expect(await names()).toHaveLength(2);
    await lab.ctl.advance(1_000);
    expect(await names()).toEqual(['GetSessionToken', 'GetCallerIdentity', 'GetSessionToken']);
  });

  it('of one Region holds back that one alone, and whatever was in it before', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    const west = clients(lab.endpoint, key, 'eu-west-1');
    await west.sts.send(who);
    await lab.as(key).sts.send(who);
    await lab.ctl.setLogBehind('eu-west-1', 60_000);
    const count = async (region: string) => (await lookUp(lab, by('AccessKeyId', key.accessKeyId), region)).Events?.length;
    expect([await count('eu-west-1'), await count('us-east-1')]).toEqual([0, 1]);
    await lab.ctl.clearDelays();
    expect([await count('eu-west-1'), await count('us-east-1')]).toEqual([1, 1]);
  });
});

describe('last use', () => {
  it('is overwritten by whoever looks with the key itself', async () => {
    await using lab = await practice();
    const key = await makeUser(lab, 'u');
    const used = async () => (await lab.iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId: key.accessKeyId }))).AccessKeyLastUsed;
    expect(await used()).toMatchObject({ ServiceName: 'N/A', Region: 'N/A' });
    await clients(lab.endpoint, key, 'eu-west-1').sm.send(new ListSecretsCommand({}));
    expect(await used()).toMatchObject({ ServiceName: 'secretsmanager', Region: 'eu-west-1' });
    await lab.as(key).sts.send(who);
    expect(await used()).toMatchObject({ ServiceName: 'sts', Region: 'us-east-1' });
  });
});

it('dates inside records are prose, in UTC', () => {
  expect(proseDate(Date.UTC(2025, 10, 4, 0, 5, 9))).toBe('Nov 4, 2025, 12:05:09 AM');
  expect(proseDate(Date.UTC(2025, 0, 24, 13, 0, 0))).toBe('Jan 24, 2025, 1:00:00 PM');
});
