import { z } from 'zod';
import { type ErrorCode, type Fault, fault } from '../../domain/errors.ts';

/** What was asked, where the same answer means different things: the end of a token is told by `bad token` only to whoever looks a token up. */
export type Operation =
  | 'lookup-token'
  | 'lookup-accessor'
  | 'revoke-accessor'
  | 'lookup-secret-id'
  | 'list-secret-ids'
  | 'destroy-secret-id'
  | 'register-secret-id'
  | 'lookup-lease'
  | 'revoke-lease'
  | 'write-entity'
  | 'login';

/** What was being attempted. `write`: a lost reply leaves open whether it took effect. `of`: which operation, for answers that only it gives. */
export interface Attempt {
  readonly call: string;
  readonly path: string;
  readonly write: boolean;
  readonly of?: Operation;
}

/** What one answer means. `provider.gone` is the only one that says something of the target; everything else leaves open how it stands. */
export interface Rule {
  /** Operations that it is an answer of; any, where it is not said. */
  readonly of?: readonly Operation[];
  /** Without: any status of 400 and more, for what the two products say with different ones. */
  readonly status?: number;
  /** Words of the server's own message; compared in lower case. Without: any body. */
  readonly words?: string;
  readonly code: ErrorCode;
  readonly says: string;
  /**
   * How it is known. `measured` on OpenBao 2.7.2, the version that the tests run on; `read` in the public issues or documentation of HashiCorp Vault, up to the version named, and never
   * tried here; `coded`: the safe reading of what nobody has shown.
   */
  readonly known: 'measured' | 'coded' | `read, Vault ${string}`;
}

const lookups: readonly Operation[] = ['lookup-token', 'lookup-accessor'];

/**
 * First match counts. Words are needed because one status means several things: a 400 is a lost race, a gone target or a bad request, a 403 a gone target or our own want of right, a 500
 * a refusal or a crash. ORDER: our own want of right stands before everything that would call a target gone, so that it is never taken for that.
 */
export const rules: readonly Rule[] = [
  // What is ours to mend. OpenBao says the same of a token that is not valid and of one whose policy does not allow it.
  { status: 403, words: 'invalid token', code: 'provider.denied', says: 'our own token is not valid any more', known: 'read, Vault 1.16' },
  {
    status: 403,
    words: 'permission denied',
    code: 'provider.denied',
    says: 'our token is not valid or its policy does not allow this',
    known: 'measured',
  },
  // What is gone, each said only of the operation that was tried on it. HashiCorp Vault has changed the status of the second between versions, and not its words.
  { of: ['lookup-token'], status: 403, words: 'bad token', code: 'provider.gone', says: 'there is no such token', known: 'measured' },
  {
    of: lookups,
    status: 400,
    words: 'invalid accessor',
    code: 'provider.gone',
    says: 'there is no token of that accessor',
    known: 'measured',
  },
  {
    of: [...lookups, 'revoke-accessor'],
    words: 'invalid accessor',
    code: 'provider.gone',
    says: 'there is no token of that accessor',
    known: 'read, Vault 1.4 to 1.21',
  },
  {
    of: ['lookup-accessor', 'revoke-accessor'],
    status: 400,
    words: 'token not found',
    code: 'provider.gone',
    says: 'the accessor is there for a moment yet, and its token is not',
    known: 'coded',
  },
  { of: ['lookup-lease'], status: 400, words: 'invalid lease', code: 'provider.gone', says: 'there is no such lease', known: 'measured' },
  {
    of: ['lookup-secret-id', 'destroy-secret-id'],
    words: 'failed to find accessor entry',
    code: 'provider.gone',
    says: 'there is no secret id of that accessor',
    known: 'measured',
  },
  {
    of: ['lookup-secret-id', 'destroy-secret-id'],
    status: 403,
    words: 'invalid secret id accessor',
    code: 'provider.gone',
    says: 'there is no secret id of that accessor',
    known: 'read, Vault 1.x',
  },
  {
    of: ['lookup-secret-id', 'destroy-secret-id', 'list-secret-ids', 'register-secret-id'],
    words: '" does not exist',
    code: 'provider.gone',
    says: 'the role is gone, and its secret ids with it',
    known: 'measured',
  },
  {
    of: ['write-entity'],
    status: 400,
    words: 'entity not found',
    code: 'provider.gone',
    says: 'there is no such entity',
    known: 'measured',
  },
  // What cannot be done this way, and what somebody else has done.
  {
    of: ['revoke-accessor'],
    status: 400,
    words: 'batch tokens cannot be revoked',
    code: 'provider.unsupported',
    says: 'a batch token cannot be revoked: it ends with its parent, or when it expires',
    known: 'measured',
  },
  {
    of: ['register-secret-id'],
    status: 500,
    words: 'is already registered',
    code: 'provider.conflict',
    says: 'this very secret id is there already',
    known: 'measured',
  },
  {
    of: ['login'],
    status: 400,
    words: 'invalid role',
    code: 'provider.denied',
    says: 'our own role or secret id is refused',
    known: 'measured',
  },
  {
    of: ['login'],
    status: 400,
    words: 'invalid secret',
    code: 'provider.denied',
    says: 'our own role or secret id is refused',
    known: 'coded',
  },
  // The server could not end it at its origin, or has not yet; it says so in the words of whatever it asked there. Only a look tells what is left.
  { of: ['revoke-lease'], status: 400, code: 'provider.uncertain', says: 'the server could not end it at its origin', known: 'measured' },
  { of: ['revoke-lease'], status: 500, code: 'provider.uncertain', says: 'the server could not end it at its origin', known: 'coded' },
  {
    status: 400,
    words: 'check-and-set parameter did not match',
    code: 'provider.conflict',
    says: 'somebody wrote in between',
    known: 'measured',
  },
  {
    status: 400,
    words: 'unsupported operation',
    code: 'provider.unsupported',
    says: 'this mount has no such operation',
    known: 'measured',
  },
  { status: 400, code: 'provider.invalid', says: 'the server calls the request wrong', known: 'measured' },
  { status: 403, words: 'bad token', code: 'provider.denied', says: 'our own token is not valid any more', known: 'coded' },
  { status: 403, code: 'provider.denied', says: 'forbidden', known: 'coded' },
  { status: 404, words: 'no handler for route', code: 'provider.unsupported', says: 'nothing is mounted there', known: 'measured' },
  { status: 404, words: 'unsupported path', code: 'provider.unsupported', says: 'this mount has no such path', known: 'measured' },
  { status: 405, code: 'provider.unsupported', says: 'this mount has no such operation', known: 'measured' },
  { status: 412, code: 'provider.unavailable', says: 'this node is behind the active one', known: 'read, Vault 1.7' },
  { status: 413, code: 'provider.invalid', says: 'the request is too large', known: 'coded' },
  { status: 429, code: 'provider.throttled', says: 'a rate limit was met', known: 'measured' },
  { status: 472, code: 'provider.unavailable', says: 'a disaster-recovery secondary answers nothing', known: 'read, Vault 1.x' },
  { status: 473, code: 'provider.unavailable', says: 'a performance standby does not serve this', known: 'read, Vault 1.x' },
  // Sealed or without an active node: it was not carried out, whatever it was.
  { status: 503, code: 'provider.unavailable', says: 'sealed, or without an active node', known: 'measured' },
];

/** Statuses with which something between us and the answer failed: a read may simply be done again. */
const broken = new Set([500, 502, 504]);

/** Codes of node's and of TLS's with which the request certainly never reached the server. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
const tls = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED)/;

const answeredSchema = z.object({ response: z.object({ statusCode: z.number(), body: z.unknown() }) });
// A secret id that is not there is answered with a 404 that has its words among the data, everything else with a list of errors.
const bodySchema = z.object({ errors: z.array(z.string()).optional(), data: z.object({ error: z.string().optional() }).nullish() });
const codedSchema = z.object({ code: z.string() });

/** The status of the server's answer; undefined where there was none. */
export function statusOf(error: unknown): number | undefined {
  return answeredSchema.safeParse(error).data?.response.statusCode;
}

/** The body of the server's answer, unread. */
export function bodyOf(error: unknown): unknown {
  return answeredSchema.safeParse(error).data?.response.body;
}

/** What an answer means; undefined for one that is not known here. */
export function meaningOf(status: number, body: unknown, of?: Operation): Pick<Rule, 'code' | 'says'> | undefined {
  const read = bodySchema.safeParse(body).data;
  const message = [...(read?.errors ?? []), read?.data?.error ?? ''].join(' ').toLowerCase();
  const rule = rules.find(
    (one) =>
      status >= 400 &&
      (one.status === undefined || one.status === status) &&
      (one.of === undefined || (of !== undefined && one.of.includes(of))) &&
      (one.words === undefined || message.includes(one.words)),
  );
  if (rule !== undefined) return rule;
  // Only a 404 that brings an empty list of errors says of itself that nothing is there; any other is a wrong path, or somebody else's page.
  if (status === 404 && read?.errors?.length === 0) return { code: 'provider.gone', says: 'nothing is there' };
  return undefined;
}

/**
 * The fault for whatever node-vault threw. What is not recognised is `provider.uncertain`; where nothing or a broken answer came to a read, which may simply be done again, it is
 * `provider.unavailable`.
 * SECRET: the error itself goes no further, not even as a cause: it holds the request with our token and what was to be written. Nor does the
 * server's message, which may quote its input; only our own words for it do.
 */
export function faultOf(error: unknown, attempt: Attempt): Fault {
  const context = { call: attempt.call, path: attempt.path };
  const doubt: ErrorCode = attempt.write ? 'provider.uncertain' : 'provider.unavailable';
  const status = statusOf(error);
  if (status === undefined) {
    const code = codedSchema.safeParse(error).data?.code;
    if (code === undefined) return fault(doubt, { ...context, because: 'no answer came' });
    // Some libraries put the address into the code's place; only a plain word is repeated.
    const word = /^[A-Z0-9_]{2,40}$/.test(code) ? code : 'unknown';
    if (neverSent.has(code) || tls.test(code)) return fault('provider.unavailable', { ...context, because: `no connection (${word})` });
    return fault(doubt, { ...context, because: `no answer came (${word})` });
  }
  const meaning = meaningOf(status, bodyOf(error), attempt.of);
  if (meaning !== undefined) return fault(meaning.code, { ...context, status, because: meaning.says });
  return fault(broken.has(status) ? doubt : 'provider.uncertain', { ...context, status, because: 'an answer that is not known here' });
}

/** The fault for an answer that has not the form it should have. */
export function malformed(attempt: Attempt): Fault {
  return fault(attempt.write ? 'provider.uncertain' : 'provider.unavailable', {
    call: attempt.call,
    path: attempt.path,
    because: 'the answer has not the form it should have',
  });
}
