/** The canonical codes of Google's APIs and the HTTP status each is answered with (AIP-193, google.rpc.Code). */
const statuses = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  ABORTED: 409,
  CONDITION_NOT_MET: 412,
  RESOURCE_EXHAUSTED: 429,
  INTERNAL: 500,
  UNAVAILABLE: 503,
} as const;
export type Status = keyof typeof statuses;

/** A refusal by a Google API; the server writes it in the form of the service that was asked. */
export class Refusal extends Error {
  readonly status: Status;
  /** A word of the OAuth endpoints (RFC 6749, section 5.2), where one of them refuses. */
  readonly oauth: string | undefined;
  constructor(status: Status, message: string, oauth?: string) {
    super(message);
    this.status = status;
    this.oauth = oauth;
  }
  get code(): number {
    return statuses[this.status];
  }
}

export const missing = (what: string): Refusal => new Refusal('NOT_FOUND', `${what} does not exist.`);
export const denied = (permission: string): Refusal =>
  new Refusal('PERMISSION_DENIED', `Permission '${permission}' denied on resource (or it may not exist).`);
