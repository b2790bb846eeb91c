/**
 * An answer that is an error of the AWS protocol, not a fault of the simulator: code, HTTP status and message go to the caller as they are.
 * `code` is the one of the Query services; the JSON services' spelling is derived where it differs (see `jsonCode`).
 */
export class Refusal extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, status: number, message: string) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.status = status;
  }
}

export const noSuchEntity = (message: string): Refusal => new Refusal('NoSuchEntity', 404, message);
export const entityExists = (message: string): Refusal => new Refusal('EntityAlreadyExists', 409, message);
export const limitExceeded = (message: string): Refusal => new Refusal('LimitExceeded', 409, message);
export const deleteConflict = (message: string): Refusal => new Refusal('DeleteConflict', 409, message);
export const malformedPolicy = (message: string): Refusal => new Refusal('MalformedPolicyDocument', 400, message);
export const invalidInput = (message: string): Refusal => new Refusal('InvalidInput', 400, message);
export const validation = (message: string): Refusal => new Refusal('ValidationError', 400, message);
export const accessDenied = (message: string): Refusal => new Refusal('AccessDenied', 403, message);
/** An error of a JSON service by its own name. */
export const failure = (code: string, message: string): Refusal => new Refusal(code, 400, message);

/**
 * `InvalidClientTokenId` is answered by every service here. The real JSON services say `UnrecognizedClientException` for the same thing;
 * the simulator does not, because what an incident has to prove is *this key is dead*, and one code for it on every service keeps the proof
 * comparable between a probe at STS and a probe at Secrets Manager. A client must accept both.
 */
export const invalidKey = (): Refusal => new Refusal('InvalidClientTokenId', 403, 'The security token included in the request is invalid.');

const spelledOtherwise: Readonly<Record<string, string>> = {
  AccessDenied: 'AccessDeniedException',
  ExpiredToken: 'ExpiredTokenException',
  SignatureDoesNotMatch: 'InvalidSignatureException',
  IncompleteSignature: 'IncompleteSignatureException',
  MissingAuthenticationToken: 'MissingAuthenticationTokenException',
  ValidationError: 'ValidationException',
  Throttling: 'ThrottlingException',
  InvalidAction: 'UnknownOperationException',
  ServiceFailure: 'InternalServiceError',
  MalformedPolicyDocument: 'MalformedPolicyDocumentException',
};

/** The code as the JSON services spell it. */
export const jsonCode = (code: string): string => spelledOtherwise[code] ?? code;

const ownNames = new Set([
  'AccessDenied',
  'ExpiredToken',
  'SignatureDoesNotMatch',
  'ValidationError',
  'Throttling',
  'ServiceFailure',
  'InvalidClientTokenId',
]);

/** The code as CloudTrail's `errorCode` spells it: the exception's class name, except for the codes common to all services. */
export const trailCode = (code: string): string => (ownNames.has(code) || code.endsWith('Exception') ? code : `${code}Exception`);
