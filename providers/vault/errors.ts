import { z } from 'zod';
import { type ErrorCode, type Fault, fault } from '../../domain/errors.ts';

/** What was being attempted. `write`: a lost reply leaves open whether it took effect. */
export interface Attempt {
  readonly call: string;
  readonly path: string;
  readonly write: boolean;
}

interface Rule {
  readonly status: number;
  /** Words of the server's own message; compared in lower case. Without: any body. */
  readonly words?: string;
  readonly code: ErrorCode;
  readonly says: string;
}

// First match counts. Words are needed because one status means several things: a 400 is a lost race or a bad request, a 500 a refusal or a crash.
const rules: readonly Rule[] = [
  { status: 400, words: 'check-and-set parameter did not match', code: 'provider.conflict', says: 'somebody wrote in between' },
  { status: 400, words: 'unsupported operation', code: 'provider.unsupported', says: 'this mount has no such operation' },
  { status: 400, code: 'provider.invalid', says: 'the server calls the request wrong' },
  { status: 403, words: 'bad token', code: 'provider.denied', says: 'our own token is not valid any more' },
  { status: 403, words: 'invalid token', code: 'provider.denied', says: 'our own token is not valid any more' },
  { status: 403, words: 'permission denied', code: 'provider.denied', says: 'our token is not valid or its policy does not allow this' },
  { status: 403, code: 'provider.denied', says: 'forbidden' },
  { status: 404, words: 'unsupported path', code: 'provider.unsupported', says: 'this mount has no such path' },
  { status: 404, code: 'provider.gone', says: 'nothing is there' },
  { status: 405, code: 'provider.unsupported', says: 'this mount has no such operation' },
  { status: 412, code: 'provider.unavailable', says: 'this node is behind the active one' },
  { status: 413, code: 'provider.invalid', says: 'the request is too large' },
  { status: 429, code: 'provider.throttled', says: 'a rate limit was met' },
  { status: 472, code: 'provider.unavailable', says: 'a disaster-recovery secondary answers nothing' },
  { status: 473, code: 'provider.unavailable', says: 'a performance standby does not serve this' },
  // Sealed or without an active node: it was not carried out, whatever it was.
  { status: 503, code: 'provider.unavailable', says: 'sealed, or without an active node' },
];

/** Codes of node's and of TLS's with which the request certainly never reached the server. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
const tls = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED)/;

const answeredSchema = z.object({ response: z.object({ statusCode: z.number(), body: z.unknown() }) });
const bodySchema = z.object({ errors: z.array(z.string()) });
const codedSchema = z.object({ code: z.string() });

/** The status of the server's answer; undefined where there was none. */
export function statusOf(error: unknown): number | undefined {
  return answeredSchema.safeParse(error).data?.response.statusCode;
}

/** The body of the server's answer, unread. */
export function bodyOf(error: unknown): unknown {
  return answeredSchema.safeParse(error).data?.response.body;
}

/**
 * The fault for whatever node-vault threw. What is not recognised is `provider.uncertain` for a write and, since a read may simply be done again,
 * `provider.unavailable` for a read.
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
  const message = (bodySchema.safeParse(bodyOf(error)).data?.errors ?? []).join(' ').toLowerCase();
  const rule = rules.find((one) => one.status === status && (one.words === undefined || message.includes(one.words)));
  if (rule === undefined) return fault(doubt, { ...context, status, because: 'an answer that is not known here' });
  return fault(rule.code, { ...context, status, because: rule.says });
}

/** The fault for an answer that has not the form it should have. */
export function malformed(attempt: Attempt): Fault {
  return fault(attempt.write ? 'provider.uncertain' : 'provider.unavailable', {
    call: attempt.call,
    path: attempt.path,
    because: 'the answer has not the form it should have',
  });
}
