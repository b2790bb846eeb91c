import { isGrpcServiceError, QueryNotRegisteredError, ServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { type Fault, fault, isFault } from '../domain/errors.ts';

/** The numbers of gRPC status codes that mean something to us. */
const Status = {
  DEADLINE: 4,
  NOT_FOUND: 5,
  DENIED: 7,
  EXHAUSTED: 8,
  PRECONDITION: 9,
  ABORTED: 10,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

function grpcCode(error: unknown): number | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if (isGrpcServiceError(at)) return at.code;
  }
  return undefined;
}

/** True where the same call may well succeed a moment later: the server is away, starting, or asks for patience. */
export function isPassing(error: unknown): boolean {
  const code = grpcCode(error);
  return (
    code === Status.UNAVAILABLE || code === Status.EXHAUSTED || code === Status.ABORTED || code === Status.DEADLINE || isConnectError(error)
  );
}

/** A connection that never came up has no status code, only this message and a refused socket beneath it. */
function isConnectError(error: unknown): boolean {
  return (
    error instanceof Error &&
    /Failed to connect|connect ECONNREFUSED|Deadline exceeded|before the deadline|Connection dropped/i.test(error.message)
  );
}

/** An error of the Temporal client as one of ours, with the original as its cause. A fault stays what it is. */
export function faultOf(error: unknown, context: Readonly<Record<string, string | number | boolean>>): Fault {
  if (isFault(error)) return error;
  if (error instanceof WorkflowNotFoundError) return fault('engine.not-found', context, error);
  const code = grpcCode(error);
  if (code === Status.NOT_FOUND) return fault('engine.not-found', context, error);
  if (code === Status.DENIED || code === Status.UNAUTHENTICATED) return fault('engine.denied', context, error);
  if (code === Status.PRECONDITION || error instanceof QueryNotRegisteredError) {
    return fault('engine.unavailable', { ...context, why: 'no judge of this release answers' }, error);
  }
  if (isPassing(error)) return fault('engine.unavailable', context, error);
  if (error instanceof ServiceError) return fault('engine.unexpected', { ...context, why: error.message }, error);
  return fault('engine.unexpected', context, error);
}
