import { fault } from '../../domain/errors.ts';
import type { StepContext } from '../contract.ts';
import type { GcpAccount } from './account.ts';
import type { Calls } from './api.ts';

/** An entry of an audit log, as far as it is read. Whatever a response held that is secret Google has left out, and nothing of it is kept here. */
export interface LogEvent {
  readonly id: string;
  readonly at: string;
  readonly service: string;
  /** The last part of the method's name: `DisableServiceAccount`. */
  readonly name: string;
  readonly by: string;
  /** The key whose token made the call, where one did. */
  readonly keyName?: string;
  /** In whose name it was asked for, the first asker first. */
  readonly delegation: readonly string[];
  readonly resource: string;
  readonly address: string;
  readonly agent: string;
  /** Our own word, where the call bore one. */
  readonly reason?: string;
  readonly refused: boolean;
  readonly email?: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly response: Readonly<Record<string, unknown>>;
}

interface Raw {
  readonly insertId?: string | null;
  readonly timestamp?: string | null;
  readonly resource?: { readonly labels?: Readonly<Record<string, string>> | null } | null;
  readonly protoPayload?: Readonly<Record<string, unknown>> | null;
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const word = (value: unknown): string => (typeof value === 'string' ? value : '');

function eventOf(raw: Raw): LogEvent {
  const payload = record(raw.protoPayload);
  const who = record(payload.authenticationInfo);
  const about = record(payload.requestMetadata);
  const reason = word(record(about.requestAttributes).reason);
  const key = word(who.serviceAccountKeyName);
  const chain = Array.isArray(who.serviceAccountDelegationInfo) ? who.serviceAccountDelegationInfo : [];
  const email = raw.resource?.labels?.email_id;
  return {
    id: raw.insertId ?? '',
    at: raw.timestamp ?? '',
    service: word(payload.serviceName),
    name: word(payload.methodName).split('.').pop() ?? '',
    by: word(who.principalEmail),
    ...(key ? { keyName: key } : {}),
    delegation: chain.map((each) => word(record(record(each).firstPartyPrincipal).principalEmail)).filter((each) => each !== ''),
    resource: word(payload.resourceName),
    address: word(about.callerIp),
    agent: word(about.callerSuppliedUserAgent),
    ...(reason ? { reason } : {}),
    refused: Number(record(payload.status).code ?? 0) !== 0,
    ...(email ? { email } : {}),
    request: record(payload.request),
    response: record(payload.response),
  };
}

/** A value in Cloud Logging's query language. */
export const quoted = (value: string): string => `"${value.replace(/(["\\])/g, '\\$1')}"`;

/** How far the audit log of a project is read; `mostPages` pages of a thousand. `cut` says that there was more. */
export async function readLog(
  account: GcpAccount,
  calls: Calls,
  filter: string,
  from: number,
  mostPages = 5,
): Promise<{ readonly events: readonly LogEvent[]; readonly cut: boolean }> {
  const events: LogEvent[] = [];
  let pageToken: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const answer = await calls.read<{ entries?: readonly Raw[]; nextPageToken?: string | null }>(
      'logging.logEntries.list',
      ({ logging, options }) =>
        logging.entries.list(
          {
            requestBody: {
              resourceNames: [`projects/${account.project}`],
              filter: `${filter} AND timestamp>=${quoted(new Date(from).toISOString())}`,
              orderBy: 'timestamp desc',
              pageSize: 1000,
              ...(pageToken ? { pageToken } : {}),
            },
          },
          options,
        ),
    );
    events.push(...(answer.entries ?? []).map(eventOf));
    if (!answer.nextPageToken) return { events, cut: false };
    pageToken = answer.nextPageToken;
  }
  return { events, cut: true };
}

/** Admin Activity cannot be turned off and is kept for 400 days (Cloud Audit Logs, "Overview"). */
export const reachMs = 400 * 86_400_000;
export const activity = (project: string): string => `logName=${quoted(`projects/${project}/logs/cloudaudit.googleapis.com%2Factivity`)}`;

/** Since when an account is disabled, and by whose last word; undefined where the log does not say. */
export interface Standstill {
  /** The first disabling after the last enabling: until then, and for as long as that took to be known everywhere, tokens could be issued. */
  readonly since: string;
  /** Every disabling since then, the newest first. */
  readonly by: readonly LogEvent[];
}

/**
 * When an account was disabled. IAM itself tells only that it is, so that the Admin Activity log is asked, which is always on. Where the log shows no disabling after the last
 * enabling, it is behind or somebody's hand is not in it, and nothing is known.
 */
export async function standstill(account: GcpAccount, calls: Calls, email: string): Promise<Standstill | undefined> {
  const { events, cut } = await readLog(
    account,
    calls,
    `${activity(account.project)} AND resource.labels.email_id=${quoted(email)} AND (protoPayload.methodName="google.iam.admin.v1.DisableServiceAccount" OR protoPayload.methodName="google.iam.admin.v1.EnableServiceAccount")`,
    calls.now - reachMs,
  );
  if (cut) throw fault('provider.uncertain', { call: 'logging.logEntries.list', said: 'more than could be read', serviceAccount: email });
  const by: LogEvent[] = [];
  for (const event of events) {
    if (event.refused) continue;
    if (event.name === 'EnableServiceAccount') break;
    by.push(event);
  }
  const first = by[by.length - 1];
  return first === undefined ? undefined : { since: first.at, by };
}

/**
 * Whether what a step is about to take back is this step's own doing: IAM and its neighbours show how a thing stands and not who put it so, and what somebody else turned off stays off. Waits until the log shows
 * the step's own call; throws `provider.conflict` where it shows somebody else's, and `provider.uncertain` where it shows neither.
 */
export async function expectOwnDoing(
  account: GcpAccount,
  calls: Calls,
  context: StepContext,
  of: { readonly methods: readonly string[]; readonly resource: string; readonly from: string },
): Promise<void> {
  const own = (await account.api.ownEmail()).toLowerCase();
  const word = account.stepWord(context);
  const names = of.methods.map((name) => `protoPayload.methodName=${quoted(name)}`).join(' OR ');
  const filter = `${activity(account.project)} AND (${names}) AND protoPayload.resourceName:${quoted(of.resource)}`;
  const from = Math.max(Number.isNaN(Date.parse(of.from)) ? 0 : Date.parse(of.from) - 2000, calls.now - reachMs);
  const until = performance.now() + context.timing.giveUpMs;
  for (;;) {
    const { events } = await readLog(account, calls, filter, from, 1);
    const done = events.filter((event) => !event.refused);
    const theirs = done.find((event) => event.by.toLowerCase() !== own || event.reason !== word);
    if (theirs) {
      throw fault('provider.conflict', {
        resource: of.resource,
        by: theirs.by,
        at: theirs.at,
        because: `${theirs.name} was called by somebody else as well`,
      });
    }
    if (done.length > 0) return;
    if (performance.now() > until)
      throw fault('provider.uncertain', { resource: of.resource, because: 'the log does not show yet who turned it off' });
    await context.sleep(context.timing.pollMs);
  }
}

/** Since when a key is off or gone, as the Admin Activity log has it: the first such call after the last that turned it on. Undefined where the log shows none. */
export async function keyOffSince(account: GcpAccount, calls: Calls, keyId: string): Promise<string | undefined> {
  const names = ['Disable', 'Enable', 'Delete'].map((verb) => `protoPayload.methodName="google.iam.admin.v1.${verb}ServiceAccountKey"`);
  const filter = `${activity(account.project)} AND (${names.join(' OR ')}) AND protoPayload.resourceName:${quoted(`/keys/${keyId}`)}`;
  const { events, cut } = await readLog(account, calls, filter, calls.now - reachMs);
  if (cut) return undefined;
  let since: string | undefined;
  for (const event of events) {
    if (event.refused) continue;
    if (event.name === 'EnableServiceAccountKey') break;
    since = event.at;
  }
  return since;
}
