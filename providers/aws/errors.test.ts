import { describe, expect, it } from 'vitest';
import { type Asks, askedBy, faultOf, isGone, nameOf } from './errors.ts';

const said = (name: string, more: object = {}) =>
  Object.assign(new Error('AccessDenied, says the prose, which nobody reads'), { name }, more);
const answered = (httpStatusCode: number) => ({ $metadata: { requestId: 'req-1', httpStatusCode } });

describe('errors are told apart by name', () => {
  it.each([
    ['AccessDenied', 'provider.denied'],
    ['AccessDeniedException', 'provider.denied'],
    ['InvalidClientTokenId', 'provider.denied'],
    ['UnrecognizedClientException', 'provider.denied'],
    ['ExpiredTokenException', 'provider.denied'],
    ['Throttling', 'provider.throttled'],
    ['ThrottlingException', 'provider.throttled'],
    ['TooManyRequestsException', 'provider.throttled'],
    ['ServiceFailureException', 'provider.unavailable'],
    ['ConcurrentModificationException', 'provider.unavailable'],
    ['EntityTemporarilyUnmodifiableException', 'provider.unavailable'],
    ['NoSuchEntityException', 'provider.gone'],
    ['LimitExceededException', 'provider.conflict'],
    ['MalformedPolicyDocumentException', 'provider.invalid'],
    ['InvalidLookupAttributesException', 'provider.invalid'],
    ['UnmodifiableEntityException', 'provider.unsupported'],
  ])('%s is %s', (name, code) => {
    expect(faultOf(said(name, answered(400)), 'iam:Any', true).code).toBe(code);
    expect(faultOf(said(name, answered(400)), 'iam:Any', false).code).toBe(code);
  });

  it('what is not recognised is uncertain, and a read without an answer is only unavailable', () => {
    expect(faultOf(said('NewFangledException', answered(400)), 'iam:Any', true).code).toBe('provider.uncertain');
    expect(faultOf(said('NewFangledException', answered(400)), 'iam:Any', false).code).toBe('provider.uncertain');
    expect(faultOf(said('NewFangledException', answered(500)), 'iam:Any', true).code).toBe('provider.uncertain');
    expect(faultOf(said('TimeoutError'), 'iam:Any', true).code).toBe('provider.uncertain');
    expect(faultOf(said('TimeoutError'), 'iam:Any', false).code).toBe('provider.unavailable');
    expect(faultOf('a string', 'iam:Any', true).code).toBe('provider.uncertain');
  });

  it('a connection that never was has had no effect', () => {
    for (const code of ['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH']) {
      expect(faultOf(said('Error', { code }), 'iam:Any', true).code).toBe('provider.unavailable');
      expect(faultOf(said('AggregateError', { code }), 'iam:Any', true).code).toBe('provider.unavailable');
    }
    expect(faultOf(said('Error', { code: 'ECONNRESET' }), 'iam:Any', true).code).toBe('provider.uncertain');
  });

  it('a fault says the call and the request, and keeps neither the error nor its words', () => {
    const fault = faultOf(said('AccessDenied', { ...answered(403), $response: { body: 'SecretAccessKey' } }), 'iam:CreateAccessKey', true);
    expect(fault.context).toEqual({ call: 'iam:CreateAccessKey', said: 'AccessDenied', request: 'req-1' });
    expect(fault.cause).toBeUndefined();
    expect(fault.message).not.toContain('prose');
  });

  it('a fault passes as it is', () => {
    const first = faultOf(said('NoSuchEntityException'), 'iam:Any', true);
    expect(faultOf(first, 'iam:Other', true)).toBe(first);
    expect(isGone(first)).toBe(true);
    expect(isGone(said('NoSuchEntityException'))).toBe(true);
    expect(isGone(said('AccessDenied'))).toBe(false);
    expect(nameOf(undefined)).toBe('unknown');
  });
});

/** Appendix A of the providers' reference, the rows of AWS: call, what AWS says, what that asks for. */
const rows: readonly (readonly [string, readonly string[], Asks])[] = [
  ['iam:UpdateAccessKey', ['ServiceFailureException', 'Throttling', 'ThrottlingException'], 'retry'],
  ['iam:UpdateAccessKey', ['NoSuchEntityException', 'AccessDenied'], 'stop'],
  ['iam:UpdateAccessKey', ['TimeoutError'], 'uncertain'],
  ...[
    'DeleteAccessKey',
    'DeleteUserPolicy',
    'DeleteRolePolicy',
    'DeleteLoginProfile',
    'DeleteSigningCertificate',
    'DeleteSSHPublicKey',
    'DeleteServiceSpecificCredential',
  ].flatMap((name) => [
    [`iam:${name}`, ['NoSuchEntityException'], 'done'] as const,
    [
      `iam:${name}`,
      ['ServiceFailureException', 'ConcurrentModificationException', 'EntityTemporarilyUnmodifiableException'],
      'retry',
    ] as const,
    [`iam:${name}`, ['DeleteConflictException', 'AccessDenied'], 'stop'] as const,
    [`iam:${name}`, ['TimeoutError'], 'uncertain'] as const,
  ]),
  ['iam:CreateAccessKey', ['LimitExceededException', 'NoSuchEntityException'], 'stop'],
  ['iam:CreateAccessKey', ['TimeoutError', 'ServiceFailureException', 'Throttling'], 'uncertain'],
  ...['PutUserPolicy', 'PutRolePolicy'].flatMap((name) => [
    [`iam:${name}`, ['Throttling'], 'retry'] as const,
    [`iam:${name}`, ['MalformedPolicyDocumentException', 'LimitExceededException', 'UnmodifiableEntityException'], 'stop'] as const,
    [`iam:${name}`, ['TimeoutError'], 'uncertain'] as const,
  ]),
  ['organizations:AttachPolicy', ['DuplicatePolicyAttachmentException'], 'done'],
  ['organizations:DetachPolicy', ['PolicyNotAttachedException', 'PolicyNotFoundException'], 'done'],
  ...['AttachPolicy', 'DetachPolicy'].flatMap((name) => [
    [
      `organizations:${name}`,
      ['ConcurrentModificationException', 'PolicyChangesInProgressException', 'TooManyRequestsException'],
      'retry',
    ] as const,
    [
      `organizations:${name}`,
      ['ConstraintViolationException', 'AccessDeniedException', 'AWSOrganizationsNotInUseException', 'PolicyTypeNotEnabledException'],
      'stop',
    ] as const,
    [`organizations:${name}`, ['TimeoutError'], 'uncertain'] as const,
  ]),
  // The same attachment is no attachment of the other call, and the other way about.
  ['organizations:AttachPolicy', ['PolicyNotFoundException'], 'stop'],
  ['organizations:DetachPolicy', ['DuplicatePolicyAttachmentException'], 'stop'],
  ['cloudtrail:LookupEvents', ['ThrottlingException'], 'retry'],
  ['cloudtrail:LookupEvents', ['InvalidLookupAttributesException'], 'stop'],
  ['cloudtrail:LookupEvents', ['InvalidNextTokenException'], 'uncertain'],
  ['secretsmanager:PutSecretValue', ['InternalServiceError'], 'retry'],
  ['secretsmanager:PutSecretValue', ['ResourceExistsException', 'LimitExceededException'], 'stop'],
  ['secretsmanager:PutSecretValue', ['TimeoutError'], 'uncertain'],
];

describe('what an error asks for', () => {
  it.each(rows.flatMap(([call, names, answer]) => names.map((name) => [call, name, answer] as const)))(
    '%s: %s is %s',
    (call, name, answer) => {
      // A time-out has no answer, and so no status.
      expect(askedBy(call, said(name, name === 'TimeoutError' ? {} : answered(name === 'ServiceFailureException' ? 500 : 400)))).toBe(
        answer,
      );
    },
  );

  it.each([...new Set(rows.map(([call]) => call)), 'iam:ListAccessKeys'])('%s: what nobody knows is uncertain, and never done', (call) => {
    for (const name of ['SomethingNewException', 'NoSuchEntityish', 'Error', ''])
      for (const status of [400, 403, 404, 409]) expect(askedBy(call, said(name, answered(status)))).toBe('uncertain');
    if (!/:(List|Lookup)/.test(call)) expect(askedBy(call, said('SomethingNewException', answered(500)))).toBe('uncertain');
    expect(askedBy(call, 'a string')).not.toBe('done');
  });

  it('a fault of our own is read as what it was made of', () => {
    expect(askedBy('iam:DeleteAccessKey', faultOf(said('NoSuchEntityException', answered(404)), 'iam:DeleteAccessKey', true))).toBe('done');
  });
});
