import { describe, expect, it } from 'vitest';
import { isFault, registry } from '../../domain/errors.ts';
import { faultOf, malformed } from '../../providers/github/errors.ts';

const answer = (
  status: number,
  headers: Record<string, string> = {},
  data: unknown = { message: 'words of GitHub with ghp_secret in them' },
) => Object.assign(new Error('words of GitHub with ghp_secret in them'), { status, response: { status, headers, data } });
const network = (code: string) =>
  Object.assign(new Error('fetch failed'), {
    status: 500,
    cause: Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error(code), { code }) }),
  });
const revoke = { call: 'POST /credentials/revoke', changes: true };
const remove = { call: 'DELETE /repos/{owner}/{repo}/keys/{key_id}', changes: true };
const read = { call: 'GET /repos/{owner}/{repo}/keys', changes: false };

describe('what GitHub says, row by row', () => {
  it.each([
    // The row of revocation: 5xx and limits are tried again, 403 and 422 are for a person.
    [revoke, answer(500), 'provider.uncertain', true],
    [revoke, answer(502), 'provider.uncertain', true],
    [revoke, answer(429), 'provider.throttled', true],
    [revoke, answer(403, { 'retry-after': '60' }), 'provider.throttled', true],
    [revoke, answer(403, { 'x-ratelimit-remaining': '0' }), 'provider.throttled', true],
    [revoke, answer(403, { 'x-ratelimit-remaining': '59' }), 'provider.denied', false],
    [revoke, answer(403), 'provider.denied', false],
    [revoke, answer(422), 'provider.invalid', false],
    // The row of deletions: 404 is looked into by whoever asked, 401 of the token itself by whoever tried it.
    [remove, answer(404), 'provider.gone', false],
    [remove, answer(410), 'provider.gone', false],
    [remove, answer(401), 'provider.denied', false],
    [remove, answer(403), 'provider.denied', false],
    [remove, answer(409), 'provider.conflict', false],
    [remove, answer(503), 'provider.uncertain', true],
    [read, answer(503), 'provider.unavailable', true],
    [read, answer(400), 'provider.invalid', false],
    // No answer at all: a change may have been made, a read was not.
    [revoke, network('ECONNRESET'), 'provider.uncertain', true],
    [revoke, network('UND_ERR_SOCKET'), 'provider.uncertain', true],
    [revoke, network('ECONNREFUSED'), 'provider.unavailable', true],
    [read, network('ECONNRESET'), 'provider.unavailable', true],
    // What nobody here knows is never done.
    [revoke, answer(418), 'provider.uncertain', true],
    [read, answer(418), 'provider.uncertain', true],
    [remove, answer(301), 'provider.uncertain', true],
    [revoke, 'a text', 'provider.uncertain', true],
    [revoke, undefined, 'provider.uncertain', true],
  ] as const)('%j after %s is %s', (attempt, error, code, retryable) => {
    const fault = faultOf(error, attempt);
    expect(fault.code).toBe(code);
    expect(registry[fault.code].retryable).toBe(retryable);
  });

  it('an answer that says yes and cannot be read is uncertain for a change', () => {
    expect([malformed(revoke, 'id').code, malformed(read, undefined).code]).toEqual(['provider.uncertain', 'provider.unavailable']);
  });

  it('a fault keeps GitHub’s id of the request, and neither its words nor the error, which hold what was sent', () => {
    const fault = faultOf(answer(422, { 'x-github-request-id': 'AB:12' }), revoke);
    expect(isFault(fault) && fault.context).toMatchObject({ call: 'POST /credentials/revoke', status: 422, request: 'AB:12' });
    expect([fault.cause, JSON.stringify(fault.context).includes('ghp_'), fault.message.includes('ghp_')]).toEqual([
      undefined,
      false,
      false,
    ]);
  });

  it('a fault stays what it is', () => {
    const first = faultOf(answer(404), read);
    expect(faultOf(first, revoke)).toBe(first);
  });
});
