import { describe, expect, it } from 'vitest';
import { isAuthorised, isSeenAs } from './consumers.ts';
import { dateIn, madeBy, secretsReadBy } from './descendants.ts';
import { type LogEvent, readEvent, withoutSecrets } from './log.ts';
import { isOwnProbe } from './watching.ts';

const record = (more: object = {}) =>
  JSON.stringify({
    eventID: 'e1',
    eventTime: '2026-01-02T03:04:05Z',
    eventName: 'GetSessionToken',
    eventSource: 'sts.amazonaws.com',
    awsRegion: 'us-east-1',
    sourceIPAddress: '10.1.2.3',
    userAgent: 'aws-sdk-js/3 ci-runner/7',
    requestID: 'r1',
    readOnly: true,
    userIdentity: { type: 'IAMUser', arn: 'arn:aws:iam::1:user/ci', accessKeyId: 'AKIA1', userName: 'ci' },
    responseElements: { credentials: { accessKeyId: 'ASIA1', sessionToken: 'FwoGZX-token', expiration: 'Jan 3, 2026, 3:04:05 PM' } },
    ...more,
  });
const event = (more: object = {}) => readEvent(record(more), 'us-east-1') as LogEvent;

describe('an event of the log', () => {
  it('is read without the session token that AWS writes into it', () => {
    const read = event();
    expect(read.results).toEqual({ credentials: { accessKeyId: 'ASIA1', expiration: 'Jan 3, 2026, 3:04:05 PM' } });
    expect(JSON.stringify(read)).not.toContain('FwoGZX');
  });

  it('keeps no member whose name says secret, at any depth, and what identifies', () => {
    const kept = withoutSecrets({
      secretId: 'payments/db',
      clientRequestToken: 'x',
      list: [{ SecretString: 'x', name: 'n', deep: { password: 'x', Plaintext: 'x', webIdentityToken: 'x' } }],
      secretAccessKey: 'x',
    });
    expect(kept).toEqual({ secretId: 'payments/db', list: [{ name: 'n', deep: {} }] });
  });

  it('is none where it cannot be read', () => {
    for (const text of [undefined, '', '{', '[]', 'null', '{}', record({ eventID: undefined }), record({ eventTime: 'yesterday' })]) {
      expect(readEvent(text, 'us-east-1')).toBeUndefined();
    }
  });

  it('of a session says whose permissions it has and until when', () => {
    expect(madeBy(event(), 'AKIA1', () => 'arn:of:the:user')).toEqual([
      expect.objectContaining({ kind: 'aws.session', id: 'ASIA1', principal: 'arn:of:the:user', expiresAt: '2026-01-03T15:04:05.000Z' }),
    ]);
    const role = event({ eventName: 'AssumeRole', requestParameters: { roleArn: 'arn:of:the:role' } });
    expect(madeBy(role, 'AKIA1', () => 'arn:of:the:user')[0]?.principal).toBe('arn:of:the:role');
    expect(madeBy(event({ errorCode: 'AccessDenied' }), 'AKIA1', () => undefined)).toEqual([]);
  });

  it('of a service-specific credential or a key names what was made', () => {
    const specific = event({
      eventName: 'CreateServiceSpecificCredential',
      responseElements: { serviceSpecificCredential: { serviceSpecificCredentialId: 'ACCA1', userName: 'ci' } },
    });
    expect(madeBy(specific, 'AKIA1', () => undefined)[0]).toMatchObject({
      kind: 'aws.service-specific-credential',
      id: 'ACCA1',
      user: 'ci',
    });
  });

  it('tells dates of both forms, in UTC', () => {
    expect(dateIn('Nov 24, 2025, 1:02:03 PM')).toBe('2025-11-24T13:02:03.000Z');
    expect(dateIn('2025-11-24T13:02:03Z')).toBe('2025-11-24T13:02:03.000Z');
    expect(dateIn('soon')).toBeUndefined();
  });

  it('names secrets that were read, and says where it cannot', () => {
    const got = event({ eventName: 'GetSecretValue', requestParameters: { secretId: 'payments/db' }, responseElements: null });
    const batch = event({ eventName: 'BatchGetSecretValue', requestParameters: { filters: [] }, responseElements: null });
    const refused = event({ eventName: 'GetSecretValue', requestParameters: { secretId: 'other' }, errorCode: 'AccessDenied' });
    expect(secretsReadBy([got, got, batch, refused])).toEqual(['payments/db', 'secrets that the log does not name, read in a batch']);
  });
});

describe('whose call it is', () => {
  const consumer = (seenAs: object) => ({ seenAs }) as Parameters<typeof isSeenAs>[0];
  it.each([
    [{ userAgent: 'ci-runner/7' }, true],
    [{ userAgent: 'other' }, false],
    [{ sourceAddress: '10.1.2.3' }, true],
    [{ sourceAddress: '10.1.2.0/24' }, true],
    [{ sourceAddress: '10.1.3.0/24' }, false],
    [{ sourceAddress: '::/0' }, false],
    [{ userAgent: 'ci-runner/7', sourceAddress: '10.9.9.9' }, false],
    [{}, false],
  ])('%j: %s', (seenAs, is) => {
    expect(isSeenAs(consumer(seenAs), event())).toBe(is);
  });

  it('calls that no policy can refuse show no permission', () => {
    expect(isAuthorised(event({ eventName: 'ListSecrets' }))).toBe(true);
    expect(isAuthorised(event({ eventName: 'ListSecrets', errorCode: 'AccessDenied' }))).toBe(false);
    expect(isAuthorised(event({ eventName: 'GetCallerIdentity' }))).toBe(false);
    expect(isAuthorised(event())).toBe(false);
  });

  it('whoever imitates our probe hides nothing but calls that change nothing', () => {
    expect(isOwnProbe(event({ eventName: 'GetCallerIdentity', userAgent: 'aws-sdk-js/3 tourniquet/probe' }))).toBe(true);
    expect(isOwnProbe(event({ eventName: 'GetCallerIdentity', userAgent: 'aws-sdk-js/3 tourniquet/probers' }))).toBe(false);
    expect(isOwnProbe(event({ eventName: 'CreateAccessKey', userAgent: 'aws-sdk-js/3 tourniquet/probe' }))).toBe(false);
  });
});
