import { codeOf } from '../../domain/errors.ts';
import type { GithubAccount } from './account.ts';
import type { Calls } from './api.ts';

/** An event of the audit log, as far as it is read here. Nothing in it is secret: a token stands in it by its hash. */
export interface LogEvent {
  readonly id: string;
  /** ISO, by GitHub's clock. */
  readonly at: string;
  readonly action: string;
  readonly actor?: string;
  readonly user?: string;
  readonly repository?: string;
  readonly sha256?: string;
  readonly tokenId?: string;
  readonly accessType?: string;
  readonly scopes?: readonly string[];
  readonly userAgent?: string;
  readonly address?: string;
  readonly fingerprint?: string;
  readonly title?: string;
  readonly hookId?: string;
  readonly requestId?: string;
}

/** Events, newest first, or why there is nothing to be said. */
export interface Found {
  readonly events: readonly LogEvent[];
  readonly why?: string;
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined;

function eventOf(row: unknown): LogEvent | undefined {
  if (typeof row !== 'object' || row === null) return undefined;
  const fields = row as Readonly<Record<string, unknown>>;
  const action = text(fields.action);
  const when = Number(fields['@timestamp'] ?? fields.created_at);
  if (action === undefined || !Number.isFinite(when)) return undefined;
  const optional = {
    actor: text(fields.actor),
    user: text(fields.user),
    repository: text(fields.repo),
    sha256: text(fields.hashed_token),
    tokenId: text(fields.token_id),
    accessType: text(fields.programmatic_access_type),
    userAgent: text(fields.user_agent),
    address: text(fields.actor_ip),
    fingerprint: text(fields.fingerprint),
    title: text(fields.title),
    hookId: text(fields.hook_id),
    requestId: text(fields.request_id),
  };
  const scopes = text(fields.token_scopes);
  return {
    id: text(fields._document_id) ?? `${action} ${when}`,
    at: new Date(when).toISOString(),
    action,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    ...(scopes === undefined ? {} : { scopes: scopes.split(/[,\s]+/).filter((scope) => scope !== '') }),
  };
}

const mostPages = 20;

/**
 * Searches the organization's audit log. What cannot be read is said in `why` and not taken for nothing: an organization of a plan without the log, and one whose log we may not read, are
 * answered 404 and 403.
 */
export async function searchLog(account: GithubAccount, calls: Calls, phrase: string, from?: number): Promise<Found> {
  const since = from === undefined ? '' : ` created:>=${new Date(from).toISOString().slice(0, 10)}`;
  try {
    const { rows, whole } = await calls.list(
      'GET /orgs/{org}/audit-log',
      { org: account.login, phrase: `${phrase}${since}`, include: 'web' },
      (data) => (Array.isArray(data) ? (data as unknown[]) : undefined),
      mostPages,
    );
    const events = rows.map(eventOf);
    const read = events.filter((event) => event !== undefined);
    const gaps = [
      ...(whole ? [] : [`only the newest ${rows.length} events were read`]),
      ...(read.length < events.length ? [`${events.length - read.length} events could not be understood`] : []),
    ];
    return { events: read, ...(gaps.length > 0 ? { why: gaps.join('; ') } : {}) };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'provider.gone') return { events: [], why: `${account.login} has no audit log that can be read, or we may not see it` };
    if (code === 'provider.denied') return { events: [], why: `we may not read the audit log of ${account.login}` };
    throw error;
  }
}

/** Everything that was done with a token. Its hash needs quotation marks (GitHub Docs, "Identifying audit log events performed by an access token"). */
export function eventsWith(account: GithubAccount, calls: Calls, sha256: string, from?: number): Promise<Found> {
  return searchLog(account, calls, `hashed_token:"${sha256}"`, from);
}

/** Events that end a token. Losing access to the organization (`personal_access_token.access_revoked`) is none: the token lives on elsewhere. */
const ends =
  /^(oauth_access\.(revoke|destroy)|oauth_authorization\.destroy|personal_access_token\.(revoke|destroy)|integration_installation\.token_revoke)$/;

/** The event by which the log says that a token has ended. */
export function endOf(events: readonly LogEvent[], sha256: string): LogEvent | undefined {
  return events.find((event) => event.sha256 === sha256 && ends.test(event.action));
}
