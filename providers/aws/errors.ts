import { type ErrorCode, type Fault, fault, isFault } from '../../domain/errors.ts';

/**
 * What AWS says by an error's name, in our words. Only the name is read: messages are prose and change. Services spell one error in several
 * ways (`Throttling` in the Query protocol, `ThrottlingException` in JSON), so the ending `Exception` is taken off first.
 * Source: IAM and STS "Common Errors", CloudTrail LookupEvents "Errors"; what each asks of the caller is from the operations' own pages.
 */
const named: Readonly<Record<string, ErrorCode>> = {
  AccessDenied: 'provider.denied',
  UnauthorizedOperation: 'provider.denied',
  NotAuthorized: 'provider.denied',
  OptInRequired: 'provider.denied',
  // Here the refused credential is our own: a step never signs with anybody else's, and the one probe that does reads these names itself.
  InvalidClientTokenId: 'provider.denied',
  UnrecognizedClient: 'provider.denied',
  ExpiredToken: 'provider.denied',
  SignatureDoesNotMatch: 'provider.denied',
  InvalidSignature: 'provider.denied',
  IncompleteSignature: 'provider.denied',
  MissingAuthenticationToken: 'provider.denied',
  RequestExpired: 'provider.denied',

  Throttling: 'provider.throttled',
  Throttled: 'provider.throttled',
  RequestThrottled: 'provider.throttled',
  RequestLimitExceeded: 'provider.throttled',
  TooManyRequests: 'provider.throttled',
  SlowDown: 'provider.throttled',

  ServiceFailure: 'provider.unavailable',
  InternalFailure: 'provider.unavailable',
  InternalError: 'provider.unavailable',
  InternalService: 'provider.unavailable',
  InternalServiceError: 'provider.unavailable',
  InternalServerError: 'provider.unavailable',
  ServiceUnavailable: 'provider.unavailable',
  // Both say "later", and both are about the same object being changed right now.
  ConcurrentModification: 'provider.unavailable',
  EntityTemporarilyUnmodifiable: 'provider.unavailable',

  PolicyChangesInProgress: 'provider.unavailable',

  NoSuchEntity: 'provider.gone',
  PolicyNotFound: 'provider.gone',
  PolicyNotAttached: 'provider.gone',
  ResourceNotFound: 'provider.gone',

  LimitExceeded: 'provider.conflict',
  DeleteConflict: 'provider.conflict',
  EntityAlreadyExists: 'provider.conflict',
  DuplicatePolicyAttachment: 'provider.conflict',
  DuplicatePolicy: 'provider.conflict',
  PolicyInUse: 'provider.conflict',
  ConstraintViolation: 'provider.conflict',
  ResourceExists: 'provider.conflict',

  MalformedPolicyDocument: 'provider.invalid',
  InvalidInput: 'provider.invalid',
  Validation: 'provider.invalid',
  ValidationError: 'provider.invalid',
  InvalidLookupAttributes: 'provider.invalid',
  InvalidTimeRange: 'provider.invalid',
  InvalidMaxResults: 'provider.invalid',
  InvalidNextToken: 'provider.invalid',

  // A service-linked role or a principal of Identity Center.
  UnmodifiableEntity: 'provider.unsupported',
  InvalidAction: 'provider.unsupported',
  UnknownOperation: 'provider.unsupported',
  RegionDisabled: 'provider.unsupported',
  NotSupportedService: 'provider.unsupported',
  AWSOrganizationsNotInUse: 'provider.unsupported',
  PolicyTypeNotEnabled: 'provider.unsupported',
};

/**
 * What an error says of the call that got it. `done`: what was wanted is so already. `retry`: nothing has happened, and the same call may go through later. `stop`: it will not, and somebody has to look.
 * `uncertain`: it may have happened; the world is read before anything is tried again.
 */
export const Asks = { DONE: 'done', RETRY: 'retry', STOP: 'stop', UNCERTAIN: 'uncertain' } as const;
export type Asks = (typeof Asks)[keyof typeof Asks];

/** Errors that say that it is so already, by call: IAM says `NoSuchEntity` of a missing user too, which a read of the user tells apart ({@link whichGone} in account.ts). */
const doneAlready: Readonly<Record<string, readonly string[]>> = {
  'iam:DeleteAccessKey': ['NoSuchEntity'],
  'iam:DeleteUserPolicy': ['NoSuchEntity'],
  'iam:DeleteRolePolicy': ['NoSuchEntity'],
  'iam:DeleteLoginProfile': ['NoSuchEntity'],
  'iam:DeleteSigningCertificate': ['NoSuchEntity'],
  'iam:DeleteSSHPublicKey': ['NoSuchEntity'],
  'iam:DeleteServiceSpecificCredential': ['NoSuchEntity'],
  'organizations:AttachPolicy': ['DuplicatePolicyAttachment'],
  'organizations:DetachPolicy': ['PolicyNotAttached', 'PolicyNotFound'],
  'organizations:DeletePolicy': ['PolicyNotFound'],
};

/** Calls whose repetition makes another thing: they are never sent again unread, whatever the error says of later. */
const mints = new Set(['iam:CreateAccessKey']);
/** Errors of reads after which the reading begins anew. */
const beginAnew = new Set(['InvalidNextToken']);
const reading = /^[a-z0-9]+:(Get|List|Describe|Lookup|Simulate)/;

/** What the error of a call asks for. `call` is the permission, e.g. `iam:DeleteAccessKey`; an error that nobody knows is `uncertain`, of a read too. */
export function askedBy(call: string, error: unknown): Asks {
  const fault = faultOf(error, call, !reading.test(call));
  const said = String(fault.context['said'] ?? '');
  if (doneAlready[call]?.includes(said)) return Asks.DONE;
  if (fault.code === 'provider.uncertain' || beginAnew.has(said)) return Asks.UNCERTAIN;
  if (fault.code !== 'provider.throttled' && fault.code !== 'provider.unavailable') return Asks.STOP;
  return mints.has(call) ? Asks.UNCERTAIN : Asks.RETRY;
}

/** Codes of Node's network layer that mean that no byte of the request arrived. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** The name of an AWS error without its ending, or of a network error its code; `unknown` where it has neither. */
export function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if (error.name !== 'Error' && error.name !== '') return error.name.replace(/Exception$/, '');
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : 'unknown';
}

/** True where AWS says that the thing is not there. */
export function isGone(error: unknown): boolean {
  return isFault(error) ? error.code === 'provider.gone' : nameOf(error) === 'NoSuchEntity';
}

/** Part of what every SDK error carries. */
interface Metadata {
  readonly requestId?: string;
  readonly httpStatusCode?: number;
}

/** The metadata of an SDK error; empty for anything else. */
export function metadataOf(error: unknown): Metadata {
  const metadata = (error as { $metadata?: Metadata } | null | undefined)?.$metadata;
  return metadata ?? {};
}

/**
 * The fault for what a call threw. A call that changes something and whose answer did not arrive is `provider.uncertain`; a read that got no answer
 * is `provider.unavailable`, since a read has no effect to be uncertain about. A name that is not in the table is uncertain too.
 * The SDK's error is not kept as the cause: it holds the request and the response, and the response to a mint holds a secret.
 */
export function faultOf(error: unknown, call: string, changes: boolean): Fault {
  if (isFault(error)) return error;
  const name = nameOf(error);
  const { requestId, httpStatusCode } = metadataOf(error);
  const context = { call, said: name, ...(requestId ? { request: requestId } : {}) };
  const known = named[name];
  if (known) return fault(known, context);
  if (neverSent.has(name)) return fault('provider.unavailable', context);
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === 'string' && neverSent.has(code)) return fault('provider.unavailable', context);
  if (changes) return fault('provider.uncertain', context);
  if (httpStatusCode === undefined || httpStatusCode >= 500) return fault('provider.unavailable', context);
  return fault('provider.uncertain', context);
}
