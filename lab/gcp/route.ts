import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from './refusal.ts';
import type { AccessToken, World } from './state.ts';

/** Who calls, where the call bore a token, a key or a signature that is accepted. */
export interface Caller {
  readonly email?: string;
  readonly token?: AccessToken;
}

export interface Call {
  readonly world: World;
  readonly verb: string;
  /** Groups of the route's pattern. */
  readonly parts: Readonly<Record<string, string>>;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
  readonly caller: Caller;
  /** The caller's e-mail; only for routes that want a token. */
  readonly email: string;
}

/** What the audit log says of a call. `ADMIN_WRITE` is always written, the other two only where the project's policy asks for them (Cloud Audit Logs, "Overview"). */
export interface Logged {
  readonly kind: 'ADMIN_WRITE' | 'ADMIN_READ' | 'DATA_READ';
  readonly project: string;
  readonly resourceName: string;
  readonly resource: { readonly type: string; readonly labels: Readonly<Record<string, string>> };
  readonly request?: unknown;
  readonly response?: unknown;
  readonly serviceData?: unknown;
}

export interface Answer {
  readonly status?: number;
  readonly body?: unknown;
  readonly type?: string;
  readonly changed?: boolean;
}

export interface Route {
  readonly service: string;
  /** The method's name in the audit log. */
  readonly method: string;
  readonly verb: string;
  readonly pattern: RegExp;
  readonly permission?: string;
  /** `token`: a bearer token that is accepted; `self`: the route looks at what the call bears. */
  readonly auth: 'token' | 'self';
  /** What the log says of the call, refused ones included; undefined where no log knows such calls. */
  logged?(call: Call, answer: Answer | undefined): Logged | undefined;
  run(call: Call): Answer | Promise<Answer>;
}

export const ok = (body: unknown, changed = false): Answer => ({ body, changed });

/** A member of a request's body that has to be a text. */
export function text(body: Readonly<Record<string, unknown>>, name: string): string {
  const value = body[name];
  if (typeof value !== 'string' || value === '')
    throw new Refusal('INVALID_ARGUMENT', `Invalid JSON payload: ${name} must be a non-empty string.`);
  return value;
}

/** A body may hold the named members and no other: Google's front end refuses unknown names (AIP-157 and the JSON mapping of protocol buffers). */
export function only(body: Readonly<Record<string, unknown>>, ...names: readonly string[]): void {
  const strange = Object.keys(body).find((name) => !names.includes(name));
  if (strange !== undefined)
    throw new Refusal('INVALID_ARGUMENT', `Invalid JSON payload received. Unknown name "${strange}": Cannot find field.`);
}

/** One page of a list, by a page token that is a place in it. */
export function page<T>(items: readonly T[], call: Call, size: number): { readonly items: readonly T[]; readonly next?: string } {
  const asked = Number(call.query.get('pageSize') ?? call.query.get('maxResults') ?? size);
  if (!Number.isInteger(asked) || asked < 0) throw new Refusal('INVALID_ARGUMENT', 'The page size must be a whole number.');
  const from = Number(call.query.get('pageToken') ?? 0);
  if (!Number.isInteger(from) || from < 0) throw new Refusal('INVALID_ARGUMENT', 'The page token is invalid.');
  const end = from + Math.min(asked || size, size);
  return { items: items.slice(from, end), ...(end < items.length ? { next: String(end) } : {}) };
}
