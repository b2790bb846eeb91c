import type { Caller } from './access.ts';
import type { World } from './world.ts';

/** One request that has been authenticated. */
export interface Call {
  readonly world: World;
  readonly caller: Caller;
  /** Named parts of the path, decoded. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  readonly requestId: string;
  readonly ip: string;
  readonly userAgent: string;
  /** Whether an authorization header came with it. */
  readonly signed: boolean;
  /** Set by what changes something. */
  changed: boolean;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A route as GitHub's reference writes it, and what it exercises in GitHub's words. */
export interface Route {
  readonly name: string;
  readonly permission: string;
  readonly run: (call: Call) => Answer;
}

export const ok = (body: unknown, status = 200): Answer => ({ status, body });
export const nothing: Answer = { status: 204 };

/** A page of a list, with the links to the others. */
export function page<T>(call: Call, rows: readonly T[], wrap: (rows: readonly T[]) => unknown = (list) => list): Answer {
  const size = Math.min(Math.max(Number(call.query.get('per_page') ?? 30), 1), 100);
  const at = Math.max(Number(call.query.get('page') ?? 1), 1);
  const link = at * size < rows.length ? { link: `<http://127.0.0.1/?page=${at + 1}&per_page=${size}>; rel="next"` } : {};
  return { status: 200, body: wrap(rows.slice((at - 1) * size, at * size)), headers: link };
}

export const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** By whom an event of the log is said to be done. */
export function actorOf(call: Call) {
  return {
    ...(call.caller.kind === 'token' ? { token: call.caller.token } : {}),
    ip: call.ip,
    userAgent: call.userAgent,
    requestId: call.requestId,
  };
}
