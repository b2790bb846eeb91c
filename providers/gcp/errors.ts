import { type ErrorCode, type Fault, fault, isFault } from '../../domain/errors.ts';

/**
 * What Google says by its canonical codes, in our words (google.rpc.Code; AIP-193 has the form). What each asks of the caller is from IAM's, Cloud Storage's and API Keys' own pages.
 * A code that is not here is uncertain, and never done.
 */
const canonical: Readonly<Record<string, ErrorCode>> = {
  PERMISSION_DENIED: 'provider.denied',
  // Here the refused credential is our own: a step never calls with anybody else's.
  UNAUTHENTICATED: 'provider.denied',
  RESOURCE_EXHAUSTED: 'provider.throttled',
  INTERNAL: 'provider.unavailable',
  UNKNOWN: 'provider.uncertain',
  DATA_LOSS: 'provider.uncertain',
  UNAVAILABLE: 'provider.unavailable',
  // Somebody wrote at the same time, and nothing was done.
  ABORTED: 'provider.unavailable',
  NOT_FOUND: 'provider.gone',
  ALREADY_EXISTS: 'provider.conflict',
  // Disabled by Google, or forbidden by a policy of the organisation: no repetition helps.
  FAILED_PRECONDITION: 'provider.unsupported',
  INVALID_ARGUMENT: 'provider.invalid',
  OUT_OF_RANGE: 'provider.invalid',
  UNIMPLEMENTED: 'provider.unsupported',
};

/** Cloud Storage's JSON API gives a status and a reason ("HTTP status and error codes for JSON"). */
const storage: Readonly<Record<string, ErrorCode>> = {
  rateLimitExceeded: 'provider.throttled',
  userRateLimitExceeded: 'provider.throttled',
  authError: 'provider.denied',
  required: 'provider.invalid',
  forbidden: 'provider.denied',
  notFound: 'provider.gone',
  conflict: 'provider.conflict',
  // The entry tag was not that of what stands there: it has to be read again.
  conditionNotMet: 'provider.conflict',
  invalid: 'provider.invalid',
  backendError: 'provider.unavailable',
  internalError: 'provider.unavailable',
};

/** The token endpoint's (RFC 6749, section 5.2). `invalid_grant` is said of a key that is off or gone, and of a clock that is wrong. */
const oauth: Readonly<Record<string, ErrorCode>> = {
  invalid_grant: 'provider.denied',
  invalid_client: 'provider.denied',
  unauthorized_client: 'provider.denied',
  access_denied: 'provider.denied',
  invalid_token: 'provider.denied',
  invalid_scope: 'provider.invalid',
  invalid_request: 'provider.invalid',
  unsupported_grant_type: 'provider.invalid',
  temporarily_unavailable: 'provider.unavailable',
};

/** Codes of Node's network layer that mean that no byte of the request arrived. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** What an answer says that is no success: Google's word for it, or its status where it has none that can be read. */
export function wordOf(answer: { readonly status: number; readonly body: unknown }): string {
  const error = (answer.body as { error?: unknown } | null | undefined)?.error;
  if (typeof error === 'string') return error;
  const { status, errors } = (error ?? {}) as { status?: unknown; errors?: readonly { reason?: unknown }[] };
  if (typeof status === 'string') return status;
  const reason = errors?.[0]?.reason;
  return typeof reason === 'string' ? reason : `HTTP ${answer.status}`;
}

/**
 * The fault for an answer that is no success. Only the word is read, as messages are prose and change; nothing of the body is kept, since it may repeat what was sent.
 * A status without a word that is known is uncertain for a change, and for a read what may be tried again.
 */
export function faultOfAnswer(answer: { readonly status: number; readonly body: unknown }, call: string, changes: boolean): Fault {
  const word = wordOf(answer);
  const error = (answer.body as { error?: unknown } | null | undefined)?.error;
  const table =
    typeof error === 'string' ? oauth : typeof (error as { status?: unknown } | undefined)?.status === 'string' ? canonical : storage;
  const code = Object.hasOwn(table, word) ? table[word] : undefined;
  if (code !== undefined) return fault(code, { call, said: word });
  if (answer.status === 429) return fault('provider.throttled', { call, said: word });
  if (answer.status === 503) return fault('provider.unavailable', { call, said: word });
  return fault(changes ? 'provider.uncertain' : answer.status >= 500 ? 'provider.unavailable' : 'provider.uncertain', { call, said: word });
}

/** An answer that says yes and cannot be read: empty, cut short, or a page of somebody in between. */
export function unreadable(call: string, changes: boolean): Fault {
  return fault(changes ? 'provider.uncertain' : 'provider.unavailable', { call, said: 'an answer that cannot be read' });
}

/**
 * The fault for a call that got no answer. A change of which it is not certain that it never left is uncertain; a read has no effect to be uncertain about.
 * The library's error is not kept as the cause: it holds the request, and with it our token.
 */
export function faultOfFailure(error: unknown, call: string, changes: boolean): Fault {
  if (isFault(error)) return error;
  const codes = [error, (error as { cause?: unknown } | null)?.cause].map((each) => (each as { code?: unknown } | null | undefined)?.code);
  const code = codes.find((each) => typeof each === 'string') as string | undefined;
  const said = code ?? 'no answer';
  if (code !== undefined && neverSent.has(code)) return fault('provider.unavailable', { call, said });
  return fault(changes ? 'provider.uncertain' : 'provider.unavailable', { call, said });
}

/** True where Google says that the thing is not there. It is asked with the project's own name: under the wildcard `-` a missing account is refused as if we lacked the permission. */
export function isGone(error: unknown): boolean {
  return isFault(error) && error.code === 'provider.gone';
}
