import { type ErrorCode, type Fault, fault } from '../../domain/errors.ts';
import { type Operation, writes } from './wire.ts';

/** What was being attempted. */
export interface Attempt {
  readonly operation: Operation;
  readonly host: string;
  /** The id of our message, which the endpoint's log has too. */
  readonly message: string;
}

interface Rule {
  readonly code: ErrorCode;
  readonly says: string;
}

/**
 * What an endpoint's status means. Only a 200 or a 202 with a well-formed body is an answer; these are all ways of not having done it. A 503 is none of them: whatever stands in front of an endpoint says it too, of a
 * request that went through and whose answer it has lost.
 */
const rules: Readonly<Record<number, Rule>> = {
  400: { code: 'provider.invalid', says: 'the endpoint calls the request wrong' },
  401: { code: 'provider.denied', says: 'the endpoint does not take our signature: compare secret and clock' },
  403: { code: 'provider.denied', says: 'the endpoint does not allow us this operation' },
  // An unknown credential is a 200 that says `absent`. A 404 is a wrong address, and never a credential that is gone.
  404: { code: 'provider.invalid', says: 'the endpoint has no such operation at this address' },
  405: { code: 'provider.invalid', says: 'the endpoint has no such operation at this address' },
  409: { code: 'provider.conflict', says: 'somebody has changed it since' },
  413: { code: 'provider.invalid', says: 'the endpoint finds the request too large' },
  422: { code: 'provider.invalid', says: 'the endpoint calls the request wrong' },
  429: { code: 'provider.throttled', says: 'the endpoint asks us to slow down' },
  501: { code: 'provider.unsupported', says: 'the endpoint cannot do this' },
};

/** Codes of node's with which the request certainly never reached the endpoint. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
const tls = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED)/;

/** What is not known for certain: `uncertain` for what changes something, and `unavailable` for a look, which may simply be done again. */
export function doubt(attempt: Attempt, because: string): Fault {
  return fault(writes.includes(attempt.operation) ? 'provider.uncertain' : 'provider.unavailable', { ...attempt, because });
}

/** The fault for a status that is no answer. What the endpoint says about it goes no further: it may quote what it was sent. */
export function faultOfStatus(status: number, attempt: Attempt): Fault {
  const rule = rules[status];
  if (rule) return fault(rule.code, { ...attempt, status, because: rule.says });
  if (status >= 300 && status < 400)
    return fault('provider.invalid', { ...attempt, status, because: 'a redirection, which is not followed' });
  return doubt(attempt, `an answer that is not known here (${status})`);
}

/** The fault for a connection that failed. SECRET: the error itself is no cause of it, as it may hold the request. */
export function faultOfLine(error: unknown, attempt: Attempt): Fault {
  const said = (error as { code?: unknown } | undefined)?.code;
  const code = typeof said === 'string' && /^[A-Z0-9_]{2,60}$/.test(said) ? said : 'unknown';
  if (neverSent.has(code) || tls.test(code)) return fault('provider.unavailable', { ...attempt, because: `no connection (${code})` });
  return doubt(attempt, `no answer came (${code})`);
}
