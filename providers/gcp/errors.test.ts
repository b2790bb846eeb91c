import { describe, expect, it } from 'vitest';
import { fault, registry } from '../../domain/errors.ts';
import { faultOfAnswer, faultOfFailure, isGone, unreadable } from './errors.ts';

const canonical = (status: number, word: string) => ({ status, body: { error: { code: status, message: 'prose', status: word } } });
const storage = (status: number, reason: string) => ({ status, body: { error: { code: status, message: 'prose', errors: [{ reason }] } } });
const code = (answer: { status: number; body: unknown }, changes = true) => faultOfAnswer(answer, 'a.call', changes).code;

describe('what Google says is called by one name each (providers reference, appendix A)', () => {
  it.each([
    // keys.disable, keys.enable, keys.delete, serviceAccounts.disable
    [canonical(404, 'NOT_FOUND'), 'provider.gone'],
    [canonical(429, 'RESOURCE_EXHAUSTED'), 'provider.throttled'],
    [canonical(500, 'INTERNAL'), 'provider.unavailable'],
    [canonical(503, 'UNAVAILABLE'), 'provider.unavailable'],
    [canonical(409, 'ABORTED'), 'provider.unavailable'],
    [canonical(403, 'PERMISSION_DENIED'), 'provider.denied'],
    [canonical(400, 'FAILED_PRECONDITION'), 'provider.unsupported'],
    // keys.upload
    [canonical(409, 'ALREADY_EXISTS'), 'provider.conflict'],
    [canonical(400, 'INVALID_ARGUMENT'), 'provider.invalid'],
    // HMAC keys
    [storage(404, 'notFound'), 'provider.gone'],
    [storage(412, 'conditionNotMet'), 'provider.conflict'],
    [storage(429, 'rateLimitExceeded'), 'provider.throttled'],
    [storage(403, 'userRateLimitExceeded'), 'provider.throttled'],
    [storage(503, 'backendError'), 'provider.unavailable'],
    [storage(400, 'invalid'), 'provider.invalid'],
    [storage(403, 'forbidden'), 'provider.denied'],
    // the token endpoint
    [{ status: 400, body: { error: 'invalid_grant', error_description: 'prose' } }, 'provider.denied'],
  ])('%j is %s', (answer, expected) => {
    expect(code(answer)).toBe(expected);
  });

  it.each([
    [418, 'TEAPOT'],
    [500, 'SOMETHING_NEW'],
    [409, 'NEVER_SEEN'],
    [404, 'NOT_QUITE_FOUND'],
    [200, 'OK'],
  ])('a change answered %i with the unknown word %s is uncertain, and never done', (status, word) => {
    expect(code(canonical(status, word))).toBe('provider.uncertain');
  });

  it('a word that every object has is as unknown as any', () => {
    for (const word of ['constructor', 'toString', '__proto__']) expect(code(canonical(400, word))).toBe('provider.uncertain');
  });

  it('a 404 without Google’s own word is a page of somebody in between, and nothing is gone', () => {
    for (const body of ['<html>Not Found</html>', '', undefined, null, {}, { error: {} }]) {
      const said = faultOfAnswer({ status: 404, body }, 'a.call', true);
      expect(said.code).toBe('provider.uncertain');
      expect(isGone(said)).toBe(false);
    }
  });

  it('a refusal for want of permission is never taken for gone', () => {
    expect(isGone(faultOfAnswer(canonical(403, 'PERMISSION_DENIED'), 'a.call', true))).toBe(false);
  });
});

describe('what got no answer', () => {
  it('is uncertain for a change, and unavailable for a read or where no byte left', () => {
    const reset = Object.assign(new Error('x'), { code: 'ECONNRESET' });
    const refused = Object.assign(new Error('x'), { cause: Object.assign(new Error('y'), { code: 'ECONNREFUSED' }) });
    expect(faultOfFailure(reset, 'a.call', true).code).toBe('provider.uncertain');
    expect(faultOfFailure(reset, 'a.call', false).code).toBe('provider.unavailable');
    expect(faultOfFailure(refused, 'a.call', true).code).toBe('provider.unavailable');
    expect(faultOfFailure(new Error('anything'), 'a.call', true).code).toBe('provider.uncertain');
    expect(unreadable('a.call', true).code).toBe('provider.uncertain');
    expect(registry[unreadable('a.call', false).code].retryable).toBe(true);
  });

  it('keeps its own fault, and of anything else neither the cause nor its words', () => {
    const own = fault('warrant.own-credential', {});
    expect(faultOfFailure(own, 'a.call', true)).toBe(own);
    const secret = 'ya29.c.very-secret';
    const kept = faultOfFailure(Object.assign(new Error(secret), { config: { headers: { authorization: secret } } }), 'a.call', true);
    expect(JSON.stringify([kept, kept.message, kept.stack, kept.cause ?? null, kept.context])).not.toContain(secret);
    const told = faultOfAnswer({ status: 400, body: { error: { status: 'INVALID_ARGUMENT', message: secret } } }, 'a.call', true);
    expect(JSON.stringify([told, told.message, told.context])).not.toContain(secret);
  });
});
