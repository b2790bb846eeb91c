import { type ErrorCode, type Fault, fault, isFault } from '../../domain/errors.ts';

/** What was being attempted: GitHub's own name of the call. `changes`: a lost answer leaves open whether it took effect. */
export interface Attempt {
  readonly call: string;
  readonly changes: boolean;
}

/** The parts of an Octokit error that are read. An error of the network has no `response`, and its status is made up. */
interface Answered {
  readonly response?: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string | undefined>>;
    readonly data: unknown;
  };
  readonly cause?: unknown;
}

const answerOf = (error: unknown): Answered['response'] => (error as Answered | null | undefined)?.response;

/** The status GitHub answered; undefined where it did not. */
export const statusOf = (error: unknown): number | undefined => answerOf(error)?.status;

/** GitHub's own id of the request, out of an error. */
export const requestIdOf = (error: unknown): string | undefined => answerOf(error)?.headers['x-github-request-id'];

/** By its `Date`, when GitHub answered, out of an error. */
export const dateOf = (error: unknown): string | undefined => answerOf(error)?.headers.date;

/** Codes of Node's network layer that mean that no byte of the request arrived. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/**
 * True for a refusal that is about how much is asked and not about what may be: GitHub answers 403 to both. The primary limit leaves no calls and says so, the secondary
 * one says how long to wait (GitHub REST reference, "Rate limits").
 */
function isLimit(status: number, headers: Readonly<Record<string, string | undefined>>): boolean {
  return status === 429 || (status === 403 && (headers['retry-after'] !== undefined || headers['x-ratelimit-remaining'] === '0'));
}

/** Statuses that say one thing whatever was asked. 404 is also what GitHub says of what one may not see: whoever takes it for gone has to look again. */
const named: Readonly<Record<number, { readonly code: ErrorCode; readonly says: string }>> = {
  400: { code: 'provider.invalid', says: 'GitHub calls the request wrong' },
  401: { code: 'provider.denied', says: 'the credential of the call is not accepted' },
  403: { code: 'provider.denied', says: 'forbidden' },
  404: { code: 'provider.gone', says: 'it is not there, or may not be seen' },
  405: { code: 'provider.unsupported', says: 'there is no such call' },
  409: { code: 'provider.conflict', says: 'it is being changed' },
  410: { code: 'provider.gone', says: 'it is gone for good' },
  413: { code: 'provider.invalid', says: 'the request is too large' },
  415: { code: 'provider.invalid', says: 'GitHub calls the request wrong' },
  422: { code: 'provider.invalid', says: 'GitHub does not accept what was sent' },
  451: { code: 'provider.denied', says: 'it is closed for legal reasons' },
};

/**
 * The fault for whatever a call threw. What is not recognised is `provider.uncertain` for a change; for a read, which may simply be done again, it is `provider.unavailable` where the server
 * failed or did not answer.
 * SECRET: the error itself goes no further, not even as a cause: it holds the request, whose header or body is a token. Nor does GitHub's message, which may quote what was sent.
 */
export function faultOf(error: unknown, { call, changes }: Attempt): Fault {
  if (isFault(error)) return error;
  const answer = answerOf(error);
  if (answer === undefined) {
    const code = codeIn(error);
    const context = { call, because: `no answer came (${code ?? 'unknown'})` };
    if (code !== undefined && neverSent.has(code)) return fault('provider.unavailable', context);
    return fault(changes ? 'provider.uncertain' : 'provider.unavailable', context);
  }
  const { status, headers } = answer;
  const request = headers['x-github-request-id'];
  const context = { call, status, ...(request === undefined ? {} : { request }) };
  if (isLimit(status, headers)) {
    const seconds = headers['retry-after'];
    return fault('provider.throttled', {
      ...context,
      because: 'a rate limit was met',
      ...(seconds === undefined ? {} : { retryAfter: seconds }),
    });
  }
  const known = named[status];
  if (known !== undefined) return fault(known.code, { ...context, because: known.says });
  // The gateway in front of GitHub says these, and what is behind it may have gone on.
  if (status >= 500) return fault(changes ? 'provider.uncertain' : 'provider.unavailable', { ...context, because: 'GitHub failed' });
  return fault('provider.uncertain', { ...context, because: 'an answer that is not known here' });
}

/** The fault for an answer that says yes and has not the form it should have. */
export function malformed({ call, changes }: Attempt, request: string | undefined): Fault {
  return fault(changes ? 'provider.uncertain' : 'provider.unavailable', {
    call,
    ...(request === undefined ? {} : { request }),
    because: 'the answer has not the form it should have',
  });
}

/** A plain word in the place of a network error's code, from wherever in the chain of causes it stands. */
function codeIn(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; at !== null && typeof at === 'object' && depth < 5; depth++) {
    const { code, name, cause } = at as { code?: unknown; name?: unknown; cause?: unknown };
    if (typeof code === 'string' && /^[A-Z0-9_]{2,40}$/.test(code)) return code;
    if (name === 'TimeoutError') return 'TIMEOUT';
    at = cause;
  }
  return undefined;
}
