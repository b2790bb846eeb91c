import { codeOf } from '../../domain/errors.ts';
import type { GithubAccount } from './account.ts';
import type { Calls } from './api.ts';
import { type AllKeys, type DeployKey, readAllKeys } from './deploy-keys.ts';
import { endOf, eventsWith, type Found, type LogEvent, searchLog } from './log.ts';

/** A deploy key that hangs on a token. `certain`: the log says that the token made it; otherwise only that its owner did, and nothing says how. */
export interface HangingKey extends DeployKey {
  readonly certain: boolean;
}

/** What is kept of a token that will not be there to be asked. No secret, and nothing that would undo it: nothing does. */
export interface TokenBefore {
  readonly endedAt?: string;
  readonly owner?: string;
  readonly tokenId?: string;
  readonly accessType?: string;
  readonly scopes?: readonly string[];
  readonly lastUsedAt?: string;
  readonly expiresAt?: string;
  /** What goes with it when it goes. */
  readonly deployKeys: readonly HangingKey[];
  /** What could not be read, in words: what it would have told is not known. */
  readonly unread: readonly string[];
}

/** All that an administrator can find out of a token without using it. */
export interface Standing {
  readonly log: Found;
  readonly end?: LogEvent;
  readonly owner?: string;
  readonly tokenId?: string;
  readonly accessType?: string;
  readonly scopes?: readonly string[];
  readonly listed?: ListedToken;
  /** Whether the list of fine-grained tokens was read whole. */
  readonly listRead: boolean;
  readonly keys: AllKeys;
  readonly gaps: readonly string[];
}

/** A fine-grained token in the organization's list. */
export interface ListedToken {
  readonly tokenId: string;
  readonly owner?: string;
  readonly name?: string;
  readonly expired: boolean;
  readonly expiresAt?: string;
  readonly lastUsedAt?: string;
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined;

/** The organization's fine-grained tokens. Only an App may ask; whoever may not is told so and nothing else. */
async function listTokens(account: GithubAccount, calls: Calls): Promise<{ readonly rows: readonly ListedToken[]; readonly why?: string }> {
  try {
    const { rows, whole } = await calls.list('GET /orgs/{org}/personal-access-tokens', { org: account.login }, (data) => {
      if (!Array.isArray(data)) return undefined;
      return data.map((row): ListedToken => {
        const fields = row as Readonly<Record<string, unknown>> & { readonly owner?: { readonly login?: unknown } };
        const owner = text(fields.owner?.login);
        const name = text(fields.token_name);
        const expiresAt = text(fields.token_expires_at);
        const lastUsedAt = text(fields.token_last_used_at);
        return {
          tokenId: text(fields.token_id) ?? '',
          expired: fields.token_expired === true,
          ...(owner === undefined ? {} : { owner }),
          ...(name === undefined ? {} : { name }),
          ...(expiresAt === undefined ? {} : { expiresAt }),
          ...(lastUsedAt === undefined ? {} : { lastUsedAt }),
        };
      });
    });
    return { rows, ...(whole ? {} : { why: 'not all fine-grained tokens were listed' }) };
  } catch (error) {
    if (!['provider.denied', 'provider.gone'].includes(codeOf(error))) throw error;
    return { rows: [], why: 'the organization’s fine-grained tokens cannot be listed: only an App with that permission may' };
  }
}

/** Reads all that says whose a token is and what hangs on it. Nothing of it uses the token, so that its last use stays as it is. */
export async function readStanding(
  account: GithubAccount,
  calls: Calls,
  sha256: string,
  heartbeat: () => void,
  from?: number,
): Promise<Standing> {
  const [log, list, keys] = await Promise.all([
    eventsWith(account, calls, sha256, from),
    listTokens(account, calls),
    readAllKeys(account, calls, heartbeat),
  ]);
  const named = log.events.find((event) => event.sha256 === sha256);
  const pick = <K extends keyof LogEvent>(name: K) => log.events.find((event) => event[name] !== undefined)?.[name];
  const tokenId = pick('tokenId');
  const listed = tokenId === undefined ? undefined : list.rows.find((row) => row.tokenId === tokenId);
  const end = endOf(log.events, sha256);
  // The event that ends a token may be nobody's; whose it was is its user then.
  const owner = log.events.find((event) => event.actor !== undefined)?.actor ?? named?.user ?? listed?.owner;
  const accessType = pick('accessType');
  const scopes = pick('scopes');
  return {
    log,
    listRead: list.why === undefined,
    keys,
    gaps: [log.why, list.why, ...keys.gaps].filter((why) => why !== undefined),
    ...(end === undefined ? {} : { end }),
    ...(owner === undefined ? {} : { owner }),
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(accessType === undefined ? {} : { accessType }),
    ...(scopes === undefined ? {} : { scopes }),
    ...(listed === undefined ? {} : { listed }),
  };
}

/** By the audit log's own words, a token of an App: what it made outlives it. */
export const isOfApp = (accessType: string | undefined): boolean => /^github app /i.test(accessType ?? '');

/**
 * The deploy keys that hang on a token. For certain, those that the log says were added with it. Besides them those of its owner of which nothing says how they were added: a key that was
 * added with another token, or in the web pages, is none. Where nobody knows whose the token is, none is known.
 */
export async function hangingKeys(
  account: GithubAccount,
  calls: Calls,
  sha256: string,
  { owner, keys, log }: Pick<Standing, 'owner' | 'keys' | 'log'>,
): Promise<{ readonly keys: readonly HangingKey[]; readonly why?: string }> {
  const made = new Set(log.events.filter((event) => event.action === 'public_key.create').map((event) => event.fingerprint));
  const certain = keys.keys.filter((key) => made.has(key.fingerprint));
  const others = keys.keys.filter(
    (key) => !made.has(key.fingerprint) && owner !== undefined && key.addedBy?.toLowerCase() === owner.toLowerCase(),
  );
  const hanging = certain.map((key): HangingKey => ({ ...key, certain: true }));
  if (others.length === 0) return { keys: hanging };
  const all = await searchLog(account, calls, 'action:public_key.create');
  const explained = new Set(all.events.filter((event) => event.sha256 !== sha256).map((event) => event.fingerprint));
  const doubtful = others.filter((key) => !explained.has(key.fingerprint));
  return {
    keys: [...hanging, ...doubtful.map((key): HangingKey => ({ ...key, certain: false }))],
    ...(all.why === undefined ? {} : { why: all.why }),
  };
}

/** The before-state of a revocation, read anew. */
export async function tokenBefore(account: GithubAccount, calls: Calls, sha256: string, heartbeat: () => void): Promise<TokenBefore> {
  const standing = await readStanding(account, calls, sha256, heartbeat);
  return beforeOf(standing, await hangingKeys(account, calls, sha256, standing));
}

export function beforeOf(standing: Standing, hanging: Awaited<ReturnType<typeof hangingKeys>>): TokenBefore {
  const { end, owner, tokenId, accessType, scopes, listed, gaps } = standing;
  const unread = [...new Set([...gaps, ...(hanging.why === undefined ? [] : [hanging.why])])];
  return {
    ...(end === undefined ? {} : { endedAt: end.at }),
    ...(owner === undefined ? {} : { owner }),
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(accessType === undefined ? {} : { accessType }),
    ...(scopes === undefined ? {} : { scopes }),
    ...(listed?.lastUsedAt === undefined ? {} : { lastUsedAt: listed.lastUsedAt }),
    ...(listed?.expiresAt === undefined ? {} : { expiresAt: listed.expiresAt }),
    deployKeys: isOfApp(accessType) ? [] : hanging.keys,
    unread,
  };
}
