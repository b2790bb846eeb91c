import { describe, expect, it } from 'vitest';
import { faultOf, isGone, nameOf } from './errors.ts';

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
