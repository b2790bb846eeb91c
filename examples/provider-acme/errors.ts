import { type ErrorCode, type Fault, fault } from 'tourniquet-engine/provider';

/** What an answer of Acme's means. What is not here is not known, and is never taken for done. */
const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'provider.invalid',
  401: 'provider.denied',
  403: 'provider.denied',
  404: 'provider.gone',
  412: 'provider.conflict',
  422: 'provider.invalid',
  429: 'provider.throttled',
  503: 'provider.unavailable',
};

/** The fault for an answer that is no success. Nothing of its body is kept, as that may quote what was sent. */
export function faultOf(status: number, requestId: string): Fault {
  return fault(codes[status] ?? 'provider.uncertain', { status, request: requestId });
}

/** The fault for a call that had no answer: a read changed nothing, a write may have. The cause is dropped, since it may hold our key. */
export function silence(write: boolean): Fault {
  return fault(write ? 'provider.uncertain' : 'provider.unavailable', { problem: 'no answer' });
}
