import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../domain/errors.ts';
import { faultOf, meaningOf, type Operation, rules } from '../../providers/vault/errors.ts';

const say = (...errors: string[]) => ({ errors });
/** As the server writes an error of a backend: in a list of its own. */
const list = (word: string) => say(`1 error occurred:\n\t* ${word}\n\n`);

/** Every row of appendix A for Vault, and what HashiCorp Vault says otherwise. `gone` is the one answer that says something of the target. */
const rows: readonly [string, Operation | undefined, number, unknown, ErrorCode][] = [
  ['a token that is gone, looked up by an administrator', 'lookup-token', 403, say('bad token'), 'provider.gone'],
  ['an accessor that is gone', 'lookup-accessor', 400, list('invalid accessor'), 'provider.gone'],
  ['an accessor that is gone, to a Vault that says 403', 'lookup-accessor', 403, list('invalid accessor'), 'provider.gone'],
  ['an accessor that is gone, to a Vault that says 404', 'lookup-accessor', 404, list('invalid accessor'), 'provider.gone'],
  ['an accessor that is gone, revoked at Vault 1.4', 'revoke-accessor', 400, list('invalid accessor'), 'provider.gone'],
  ['an accessor whose token has just gone', 'revoke-accessor', 400, say('token not found'), 'provider.gone'],
  ['a lease that is gone', 'lookup-lease', 400, say('invalid lease'), 'provider.gone'],
  [
    'a secret id that is gone, looked up',
    'lookup-secret-id',
    404,
    { data: { error: 'failed to find accessor entry for secret_id_accessor: "a"' } },
    'provider.gone',
  ],
  [
    'a secret id that is gone, destroyed again',
    'destroy-secret-id',
    500,
    list('failed to find accessor entry for secret_id_accessor: "a"'),
    'provider.gone',
  ],
  ['a secret id that is gone, to a Vault that says 403', 'destroy-secret-id', 403, say('invalid secret id accessor'), 'provider.gone'],
  ['a role that is gone, and its secret ids with it', 'destroy-secret-id', 500, list('role "ci" does not exist'), 'provider.gone'],
  ['a role that is gone, listed', 'list-secret-ids', 400, say('role "ci" does not exist'), 'provider.gone'],
  ['an entity that is gone, written', 'write-entity', 400, say('entity not found from id'), 'provider.gone'],
  ['an entity that is gone, read', undefined, 404, say(), 'provider.gone'],

  ['our policy lacks it', 'lookup-accessor', 403, list('permission denied'), 'provider.denied'],
  ['our own token is not valid', 'lookup-token', 403, say('permission denied'), 'provider.denied'],
  [
    'our own token is not valid, to Vault',
    'lookup-accessor',
    403,
    say('2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n'),
    'provider.denied',
  ],
  ['our own token is not valid, in one word', undefined, 403, say('invalid token'), 'provider.denied'],
  ['`bad token`, where no token was looked up', 'lookup-lease', 403, say('bad token'), 'provider.denied'],
  ['a 403 without a word', 'lookup-accessor', 403, '', 'provider.denied'],
  ['a 403 of a proxy’s', 'lookup-token', 403, '<html>Forbidden</html>', 'provider.denied'],
  ['our own secret id is refused', 'login', 400, say('invalid role or secret ID'), 'provider.denied'],
  ['our own secret id is refused, by another word', 'login', 400, say('invalid secret id'), 'provider.denied'],

  ['a rate limit', 'revoke-accessor', 429, say('request path "auth/": rate limit quota exceeded'), 'provider.throttled'],
  ['a sealed server', 'revoke-lease', 503, say('Vault is sealed'), 'provider.unavailable'],
  ['a performance standby', 'revoke-accessor', 473, say(), 'provider.unavailable'],
  ['a disaster-recovery secondary', 'revoke-accessor', 472, say(), 'provider.unavailable'],
  ['a node that is behind', 'lookup-token', 412, say('required index state not present'), 'provider.unavailable'],

  ['a batch token is not revoked', 'revoke-accessor', 400, say('batch tokens cannot be revoked'), 'provider.unsupported'],
  [
    'a secret id of the same value',
    'register-secret-id',
    500,
    list('failed to store secret_id: SecretID is already registered'),
    'provider.conflict',
  ],
  [
    'an origin that fails',
    'revoke-lease',
    400,
    say('failed to revoke entry: resp: ..., err: pq: role "x" cannot be dropped'),
    'provider.uncertain',
  ],
  ['an origin that fails, as a 500', 'revoke-lease', 500, say('failed to revoke entry'), 'provider.uncertain'],
  [
    'a mount that is not there',
    'lookup-secret-id',
    404,
    say('no handler for route "auth/x/role/ci". route entry not found.'),
    'provider.unsupported',
  ],
  ['a path that the mount has not', undefined, 404, list('unsupported path'), 'provider.unsupported'],
  ['an operation that the mount has not', undefined, 400, list('unsupported operation'), 'provider.unsupported'],
  ['a method that is not allowed', undefined, 405, say('unsupported operation'), 'provider.unsupported'],
  ['a lost race', undefined, 400, say('check-and-set parameter did not match the current version'), 'provider.conflict'],
  ['a bad request', undefined, 400, say('missing accessor'), 'provider.invalid'],
  ['too large', undefined, 413, 'too large', 'provider.invalid'],
];

const thrown = (statusCode: number, body: unknown) => Object.assign(new Error('never shown'), { response: { statusCode, body } });

describe('what the server answers', () => {
  it.each(rows)('%s', (_words, of, status, body, code) => {
    for (const write of [true, false]) {
      const attempt = { call: 'try', path: 'p', write, ...(of ? { of } : {}) };
      expect(faultOf(thrown(status, body), attempt).code).toBe(code);
    }
  });

  it('every rule of the table is tried by a row', () => {
    const tried = new Set(rows.map(([, of, status, body]) => meaningOf(status, body, of)));
    expect(rules.filter((rule) => !tried.has(rule)).map(({ status, words }) => `${status} ${words}`)).toEqual([]);
  });

  it.each<[string, number, unknown]>([
    ['a status nobody knows', 418, 'a teapot'],
    ['a 404 with words that are not known', 404, say('nothing like that here')],
    ['a 404 of a proxy’s', 404, '<html>not found</html>'],
    ['a 400 page of a proxy’s, on the end of a lease', 409, say('conflict')],
    ['a 500 with words that are not known', 500, say('boom')],
    ['a gateway that lost its server', 502, ''],
  ])('%s is never called done, and a write is uncertain', (_words, status, body) => {
    for (const of of [
      'lookup-token',
      'lookup-accessor',
      'revoke-accessor',
      'lookup-secret-id',
      'destroy-secret-id',
      'lookup-lease',
    ] as const) {
      expect(faultOf(thrown(status, body), { call: 'try', path: 'p', write: true, of }).code).toBe('provider.uncertain');
      expect(['provider.uncertain', 'provider.unavailable']).toContain(
        faultOf(thrown(status, body), { call: 'try', path: 'p', write: false, of }).code,
      );
    }
  });

  it('words of one operation’s end say nothing of another’s', () => {
    const ends: readonly [number, unknown][] = rows
      .filter(([, , , , code]) => code === 'provider.gone')
      .map(([, , status, body]) => [status, body]);
    for (const [status, body] of ends) {
      if (JSON.stringify(body) === '{"errors":[]}') continue;
      expect(meaningOf(status, body, 'revoke-lease')?.code).not.toBe('provider.gone');
      expect(meaningOf(status, body)?.code).not.toBe('provider.gone');
    }
  });

  it('our own want of right beside words of an end is ours', () => {
    expect(meaningOf(403, say('bad token', 'permission denied'), 'lookup-token')?.code).toBe('provider.denied');
    expect(meaningOf(403, say('permission denied', 'invalid accessor'), 'lookup-accessor')?.code).toBe('provider.denied');
  });

  it('the server’s words and the library’s error go no further', () => {
    const fault = faultOf(thrown(400, say('quotes s.hiddenhiddenhidden')), { call: 'try', path: 'p', write: true });
    expect(`${String(fault)} ${JSON.stringify(fault)} ${fault.stack} ${String(fault.cause)}`).not.toContain('hidden');
  });
});
