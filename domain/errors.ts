/**
 * The one registry of errors. A code is dotted: room, then meaning. `exit` is the CLI's exit code (0 done, 1 failed, 2 usage, 3 refused by
 * policy, 4 not signed in, 5 stale, 6 rolled back, 7 stuck, 8 pending); `retryable` says whether the same call may succeed later unchanged.
 */
export interface ErrorEntry {
  readonly title: string;
  readonly http: number;
  readonly exit: number;
  readonly retryable: boolean;
  /** What a person should do. */
  readonly remedy: string;
}

const entry = (title: string, http: number, exit: number, retryable: boolean, remedy: string): ErrorEntry => ({
  title,
  http,
  exit,
  retryable,
  remedy,
});

export const registry = {
  // the engine itself
  'engine.illegal-transition': entry(
    'A state machine was asked for a step it does not have',
    500,
    1,
    false,
    'This is a defect: report it with the incident id.',
  ),
  'engine.unexpected': entry(
    'Something failed that the engine has no name for',
    500,
    1,
    false,
    'Look at the cause; report it if the cause is not yours.',
  ),
  'engine.unavailable': entry(
    'The Temporal server or its workers do not answer',
    503,
    1,
    true,
    'Check that the server and the judge are running: `tourniquet doctor`.',
  ),
  'engine.not-found': entry(
    'No such incident',
    404,
    1,
    false,
    'List what there is: `tourniquet list`. An id is the whole workflow id or eight or more characters of the fingerprint.',
  ),
  'engine.denied': entry('The Temporal server does not let us in', 403, 4, false, 'Check the API key or certificate of the profile.'),
  'engine.ambiguous': entry('The id fits more than one incident', 400, 2, false, 'Give more characters of the fingerprint.'),
  'engine.interrupted': entry(
    'The step was called off while it ran',
    409,
    6,
    false,
    'Nothing to do: what it may have changed is taken back.',
  ),
  'engine.undecodable': entry(
    'A message could not be read',
    400,
    1,
    false,
    'Check that sender and engine share the codec key; the message is in the record.',
  ),
  // files and usage
  'usage.invalid': entry('The command cannot be understood', 400, 2, false, 'See `tourniquet help`.'),
  'file.missing': entry('A file is missing', 400, 2, false, 'Make it with `tourniquet init`, or give its path.'),
  'file.exists': entry('A file is there already', 400, 2, false, 'Nothing was written. Move it away, or choose another place.'),
  'file.unreadable': entry('A file cannot be read', 400, 2, false, 'Check its owner and permissions.'),
  'file.syntax': entry('A file is not well-formed', 400, 2, false, 'Mend the place named.'),
  'file.invalid': entry('A file says something it may not', 400, 2, false, 'Mend the place named.'),
  'file.permissions': entry('A file that holds a secret can be read by others', 400, 2, false, 'chmod 600 the file.'),
  // intake
  'report.syntax': entry('The report is not well-formed', 400, 2, false, 'Mend the line and column named; nothing was reported from it.'),
  'report.not-a-report': entry(
    'This is not a report',
    400,
    2,
    false,
    'Send the output of TruffleHog, Gitleaks or a GitHub alert, or report by hand.',
  ),
  'report.entry-unusable': entry('One entry of the report cannot be used', 400, 2, false, 'Mend the entry named; the others went on.'),
  'report.no-secret-store': entry(
    'A secret cannot be sent from here',
    400,
    2,
    false,
    'Configure the sealed drop, or report by locator only.',
  ),
  'report.sealing-key-untrusted': entry(
    'The sealing key is not vouched for by the trust root',
    400,
    3,
    false,
    'Get the trust file again, out of band.',
  ),
  // decisions: each refusal has a code of its own
  'decision.malformed': entry('The decision cannot be read', 400, 2, false, 'Sign it with `tourniquet decision sign`.'),
  'decision.bad-signature': entry(
    'The signature on the decision does not hold',
    403,
    3,
    false,
    'Sign with a key that people.yaml names, while it is valid.',
  ),
  'decision.unknown-person': entry(
    'Nobody in people.yaml goes by that name',
    403,
    3,
    false,
    'Have the person added; an edit of people needs the trust root.',
  ),
  'decision.wrong-role': entry('The person has none of the roles this gate asks for', 403, 3, false, 'Ask somebody who has the role.'),
  'decision.own-incident': entry(
    'Nobody decides on an incident of their own',
    403,
    3,
    false,
    'Ask somebody who neither reported it nor owns the credential.',
  ),
  'decision.stale': entry(
    'The plan or its evidence has changed since it was signed',
    409,
    5,
    false,
    'Look at the plan again and sign its present hash.',
  ),
  'decision.late': entry('The deadline has passed', 409, 3, false, 'See what the default did; a new gate may be open.'),
  'decision.expired': entry('The decision itself has expired', 409, 3, false, 'Sign it again.'),
  'decision.duplicate': entry('This decision has been counted already', 409, 3, false, 'Nothing to do: an id counts once.'),
  'decision.replayed': entry('The decision was signed for another run or incident', 409, 3, false, 'Sign a decision for this run.'),
  'decision.wrong-engine': entry('The decision was signed for another engine', 409, 3, false, 'Sign a decision for this engine.'),
  'decision.no-such-gate': entry('No gate of that name is open', 409, 5, false, 'Look at the plan: `tourniquet plan ID`.'),
  'decision.nothing-to-roll-back': entry('There is nothing to roll back', 409, 3, false, 'See the steps: `tourniquet show ID`.'),
  // warrants: why a worker would not act
  'warrant.plan-missing': entry('The plan is not in the store', 403, 3, true, 'Check that worker and judge share the store.'),
  'warrant.unsigned': entry(
    'The plan is not signed by a judge that the trust file names',
    403,
    3,
    false,
    'Somebody without the key started this, or the trust file is old.',
  ),
  'warrant.other-run': entry(
    'The plan belongs to another incident, run or engine',
    403,
    3,
    false,
    'Nothing to do: the step is refused and recorded.',
  ),
  'warrant.no-such-step': entry(
    'The plan holds no such step on such a target',
    403,
    3,
    false,
    'Nothing to do: the step is refused and recorded.',
  ),
  'warrant.expired': entry('The plan has expired', 403, 3, false, 'The round is planned again.'),
  'warrant.gate-unsatisfied': entry('The decisions that the step needs are not there', 403, 3, false, 'Approve the gate.'),
  'warrant.needs-unmet': entry(
    'What the step needs is not shown to be done',
    403,
    3,
    false,
    'The steps before it come first; the round is planned again.',
  ),
  'warrant.taken-back': entry(
    'The step has been taken back, and is not applied again',
    403,
    3,
    false,
    'Nothing to do: a late attempt is refused and recorded.',
  ),
  'warrant.spent': entry('The step has been spent by somebody else', 403, 3, false, 'Nothing to do: the step is refused and recorded.'),
  'warrant.not-captured': entry('No before-state was captured for the step', 403, 3, false, 'The round is planned again.'),
  'warrant.mode': entry('The account is not in mode act', 403, 3, false, 'Set `mode: act` for the account when you mean it.'),
  'warrant.budget-spent': entry(
    'The account has had as many changes unasked as it may within an hour',
    403,
    3,
    false,
    'Look at what is going on. The round is planned again, and what is refused three times becomes a step that a person does by hand.',
  ),
  'warrant.own-credential': entry(
    'The step would touch what the engine itself stands on',
    403,
    3,
    false,
    'Do it by hand: `tourniquet plan ID` prints how.',
  ),
  // trust and keys
  'trust.bad-signature': entry('The trust file is not signed by the root', 403, 4, false, 'Get it again, out of band.'),
  'trust.people-changed': entry(
    'people.yaml is not the one the trust file names',
    403,
    4,
    false,
    'Sign the edit: the trust file names the hash of people.yaml.',
  ),
  'trust.uncountersigned': entry(
    'The trust file lacks the signatures of whoever proposes it and of a second person',
    403,
    4,
    false,
    'Have a person with the role security-lead or approver in the trust now in force sign it: `tourniquet trust sign`.',
  ),
  'trust.no-leave': entry(
    'The standing authorisation gives no leave',
    403,
    4,
    false,
    'Two persons with the role approver or security-lead sign it: `tourniquet authorise FILE --as PERSON`. `tourniquet authorise` shows those in force.',
  ),
  'trust.rolled-back': entry(
    'The trust file is older than the one in force',
    403,
    4,
    false,
    'Find out who put it back. The one in force stays so; put its files back: `tourniquet trust publish`.',
  ),
  'trust.forked': entry(
    'There is another trust file of the same serial',
    403,
    4,
    false,
    'The first one accepted stays in force. Find out who signed two; then propose the next serial on the one in force.',
  ),
  'trust.gap': entry(
    'A trust file between the one in force and this one is missing',
    403,
    4,
    false,
    'Publish them in order. Where the store is new, put the folder trust-history beside trust.yaml.',
  ),
  'trust.not-next': entry(
    'The trust file does not follow from the one in force',
    403,
    4,
    false,
    'Propose the edit anew on the one in force: `tourniquet trust propose`.',
  ),
  'key.wrong-passphrase': entry(
    'The passphrase does not open the key',
    403,
    4,
    false,
    'Try again; without it the key is lost, make a new one.',
  ),
  'key.missing': entry('A key is missing', 403, 4, false, 'Make it with `tourniquet key new`, or say where it is.'),
  // providers: the six codes of the contract
  'provider.denied': entry('The provider refuses us permission', 403, 1, false, 'Grant the permission named.'),
  'provider.throttled': entry('The provider asks us to slow down', 429, 1, true, 'Nothing to do: it is tried again.'),
  'provider.unavailable': entry('The provider does not answer', 503, 1, true, 'Nothing to do: it is tried again.'),
  'provider.conflict': entry('The world has moved since the capture', 409, 5, false, 'The round is planned again.'),
  'provider.invalid': entry(
    'The provider says the request is wrong',
    400,
    1,
    false,
    'This is a defect, or the target is not what it seemed.',
  ),
  'provider.unsupported': entry('The provider cannot do this', 422, 1, false, 'Do it by hand.'),
  'provider.uncertain': entry('Whether it took effect is not known', 502, 1, true, 'Nothing to do: the world is read again.'),
  'provider.gone': entry('The target is no longer there', 410, 1, false, 'The round is planned again.'),
  // records and audit
  'record.missing': entry('A record is not in the store', 500, 1, true, 'Check the store.'),
  'record.forged': entry('A record does not bear the signature it should', 403, 3, false, 'Somebody without the key wrote it.'),
  'record.unreadable': entry('A record cannot be decrypted or parsed', 500, 1, false, 'Check the store key.'),
  'audit.broken': entry('The bundle does not hold', 422, 1, false, 'The failing claim is named.'),
  'audit.unknown-code': entry(
    'The bundle names workflow code that is of no known release',
    422,
    1,
    false,
    'Have the hash added to the trust file, or use the release that made it.',
  ),
  'audit.not-authenticated': entry('Consistent, not authenticated', 200, 9, false, 'Give the trust file with --trust.'),
  'audit.gaps': entry(
    'The register has gaps',
    422,
    1,
    false,
    'Each is named with its numbers and times. Keep store and bundles as they are, and look at who could write there then.',
  ),
  'audit.log-disagrees': entry(
    'The log of the provider and the bundle disagree',
    422,
    1,
    false,
    'The change is named. Ask who else acts as the engine, and keep log and bundle as they are.',
  ),
  'audit.log-short': entry(
    'The log of the provider does not reach far enough to tell',
    200,
    9,
    false,
    'Copy the log and digest files of the hours that are named, of the Region of IAM, and verify again.',
  ),
  // the stack
  'stack.not-running': entry('No stack is running here', 409, 1, false, 'Start it: `tourniquet up`.'),
  'stack.already-running': entry('A stack is running here already', 409, 1, false, 'Use it, or end it: `tourniquet down`.'),
  'stack.failed': entry('A part of the stack did not come up', 500, 1, true, 'See the log file named.'),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof registry;

/**
 * The one error class. `code` says what it means, `context` what was being attempted on what (never a secret), `cause` why.
 * Callers branch on `code`, never on text.
 */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: ErrorCode;
  readonly context: Readonly<Record<string, string | number | boolean>>;
  constructor(code: ErrorCode, context: Readonly<Record<string, string | number | boolean>> = {}, options?: { cause?: unknown }) {
    const words = Object.entries(context).map(([key, value]) => `${key} ${value}`);
    super(words.length > 0 ? `${registry[code].title}: ${words.join(', ')}` : registry[code].title, options);
    this.code = code;
    this.context = context;
  }
  get entry(): ErrorEntry {
    return registry[this.code];
  }
}

/** Makes a fault; `throw fault('engine.not-found', { id })`. */
export function fault(code: ErrorCode, context: Readonly<Record<string, string | number | boolean>> = {}, cause?: unknown): Fault {
  return new Fault(code, context, cause === undefined ? undefined : { cause });
}

/** True for a fault, also one from another copy of this package. */
export function isFault(error: unknown): error is Fault {
  if (!(error instanceof Error) || error.name !== 'Fault' || !('code' in error)) return false;
  return typeof error.code === 'string' && error.code in registry;
}

/** The code of an error; `engine.unexpected` for what is not a fault. */
export function codeOf(error: unknown): ErrorCode {
  return isFault(error) ? error.code : 'engine.unexpected';
}
