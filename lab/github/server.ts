import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { LedgerEntry } from '../aws/ledger.ts';
import { authenticate, type Caller, checkSuspension } from './access.ts';
import type { Answer, Call, Route } from './call.ts';
import { credentialRoutes } from './credentials.ts';
import { notFound, Refusal } from './refusal.ts';
import { repositoryRoutes } from './repositories.ts';
import type { World } from './world.ts';

/** Every call the simulator knows, by GitHub's own name for it, and what it exercises. */
export const routes: readonly Route[] = [...credentialRoutes, ...repositoryRoutes];

interface Matcher {
  readonly route: Route;
  readonly method: string;
  readonly pattern: RegExp;
  readonly names: readonly string[];
}

const matchers: readonly Matcher[] = routes.map((route) => {
  const [method = '', path = ''] = route.name.split(' ');
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return { route, method, names, pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '([^/]+)')}$`) };
});

function match(method: string, path: string): { readonly route: Route; readonly parts: Record<string, string> } | undefined {
  for (const each of matchers) {
    const found = each.method === method ? each.pattern.exec(path) : null;
    if (found === null) continue;
    return { route: each.route, parts: Object.fromEntries(each.names.map((name, at) => [name, decodeURIComponent(found[at + 1] ?? '')])) };
  }
  return undefined;
}

/** How many calls an hour somebody may make: GitHub's for those who say who they are, and for those who do not. */
const hourly = { known: 5000, nobody: 60 } as const;
const hour = 3_600_000;

/** Calls counted by caller: within the hour, and the changes of the last minute. */
class Meter {
  readonly #hours = new Map<string, { until: number; used: number }>();
  readonly #changes = new Map<string, number[]>();

  /** Counts one, and says what the headers say. */
  hour(who: string, now: number): { readonly limit: number; readonly used: number; readonly reset: number; readonly over: boolean } {
    const limit = who.startsWith('ip ') ? hourly.nobody : hourly.known;
    const window = this.#hours.get(who);
    const current = window && window.until > now ? window : { until: now + hour, used: 0 };
    const over = current.used >= limit;
    if (!over) current.used += 1;
    this.#hours.set(who, current);
    return { limit, used: current.used, reset: Math.ceil(current.until / 1000), over };
  }
  /** Seconds to wait, where this change is one too many. */
  change(who: string, now: number, most: number): number | undefined {
    const recent = (this.#changes.get(who) ?? []).filter((at) => at > now - 60_000);
    this.#changes.set(who, recent);
    if (recent.length >= most) return Math.ceil(((recent[0] as number) + 60_000 - now) / 1000);
    recent.push(now);
    return undefined;
  }
}

const whoOf = (caller: Caller, ip: string): string =>
  caller.kind === 'token'
    ? caller.token.sha256
    : caller.kind === 'app' || caller.kind === 'client'
      ? `${caller.kind} ${caller.app.id}`
      : `ip ${ip}`;

const longestBody = 1 << 20;
const versions = ['2022-11-28', '2026-03-10'];
const secondary = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.';

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

function headersOf(world: World, requestId: string): Record<string, string> {
  return {
    date: new Date(world.clock.now()).toUTCString(),
    'x-github-request-id': requestId,
    'x-github-api-version-selected': versions[0] as string,
    'content-type': 'application/json; charset=utf-8',
  };
}

function refused(world: World, requestId: string, refusal: Refusal, more: Record<string, string> = {}): Reply {
  return {
    status: refusal.status,
    headers: { ...headersOf(world, requestId), ...more, ...refusal.headers },
    body: JSON.stringify({ message: refusal.message, documentation_url: 'https://docs.github.com/rest', status: String(refusal.status) }),
  };
}

async function bodyOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > longestBody) throw new Refusal(413, 'Payload too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parsed(text: string): Record<string, unknown> {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below, as of a body that is no object.
  }
  throw new Refusal(400, 'Problems parsing JSON');
}

/** Answers one request; undefined means that the connection is cut instead. */
async function answer(world: World, meter: Meter, message: IncomingMessage, requestId: string): Promise<Reply | undefined> {
  const receivedAt = world.clock.wall();
  const method = message.method ?? 'GET';
  const url = new URL(message.url ?? '/', `http://${message.headers.host ?? '127.0.0.1'}`);
  const ip = (message.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  const userAgent = message.headers['user-agent'] ?? '';
  const authorization = message.headers.authorization;
  const found = match(method, url.pathname);
  const action = found?.route.name ?? `${method} of nothing`;
  let text: string;
  try {
    text = await bodyOf(message);
  } catch (error) {
    if (error instanceof Refusal) return refused(world, requestId, error);
    throw error;
  }
  const faults = world.faults.strike({ service: 'github', action, accessKeyId: '', input: text });
  const struck = (kind: string) => faults.some((each) => each.kind === kind);
  for (const fault of faults) if (fault.kind === 'slow') await wait(fault.ms ?? 1000);
  if (struck('down')) return undefined;
  if (struck('html'))
    return {
      status: 200,
      headers: { date: new Date(world.clock.now()).toUTCString(), 'content-type': 'text/html' },
      body: '<!DOCTYPE html><title>Sign in</title>',
    };

  let caller: Caller = { kind: 'nobody' };
  let limits: Record<string, string> = {};
  let call: Call | undefined;
  let outcome: Answer | undefined;
  let refusal: Refusal | undefined;
  try {
    if (struck('throttle')) throw new Refusal(403, secondary, { 'retry-after': '1' });
    if (struck('error-500')) throw new Refusal(500, 'Server Error');
    if (userAgent === '')
      throw new Refusal(403, 'Request forbidden by administrative rules. Please make sure your request has a User-Agent header');
    const version = message.headers['x-github-api-version'];
    if (typeof version === 'string' && !versions.includes(version)) throw new Refusal(400, `"${version}" is not a supported version`);
    // A call that must not be signed is refused for that, whatever it is signed with.
    if (found?.route.permission !== 'unauthenticated') caller = authenticate(world, authorization);
    const now = world.clock.now();
    const who = whoOf(caller, ip);
    const counted = meter.hour(who, now);
    limits = {
      'x-ratelimit-limit': String(counted.limit),
      'x-ratelimit-remaining': String(counted.limit - counted.used),
      'x-ratelimit-used': String(counted.used),
      'x-ratelimit-reset': String(counted.reset),
      'x-ratelimit-resource': 'core',
    };
    if (counted.over) throw new Refusal(403, `API rate limit exceeded for ${who.startsWith('ip ') ? ip : 'you'}.`);
    if (method !== 'GET') {
      const seconds = meter.change(who, now, world.settings.secondaryPerMinute);
      if (seconds !== undefined) throw new Refusal(403, secondary, { 'retry-after': String(seconds) });
    }
    if (caller.kind === 'token') {
      caller.token.lastUsedAt = now;
      if (caller.token.scopes.length > 0) limits['x-oauth-scopes'] = caller.token.scopes.join(', ');
      if (caller.token.expiresAt !== undefined)
        limits['github-authentication-token-expiration'] = new Date(caller.token.expiresAt).toUTCString();
    }
    checkSuspension(world, caller);
    if (found === undefined) throw notFound();
    call = {
      world,
      caller,
      path: found.parts,
      query: url.searchParams,
      body: parsed(text),
      requestId,
      ip,
      userAgent,
      signed: authorization !== undefined,
      changed: false,
    };
    outcome = found.route.run(call);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refusal = error;
  }

  const lost = struck('lose-reply-after-effect');
  world.ledger.count(`github:${action}`, refusal !== undefined);
  if (method !== 'GET') {
    const entry: LedgerEntry = {
      seq: world.ledger.nextSeq,
      receivedAt,
      at: world.clock.now(),
      service: 'github',
      action,
      region: '',
      // A path has no secret in it; the body has.
      target: found?.parts ?? {},
      caller: whoOf(caller, ip),
      requestId,
      effect: refusal !== undefined ? 'refused' : call?.changed === true ? 'changed' : 'no-op',
      ...(refusal === undefined ? {} : { code: String(refusal.status) }),
      delivery: 1,
      reply: lost ? 'lost' : 'sent',
    };
    world.ledger.add(entry);
  }
  if (lost) return undefined;
  const reply =
    refusal !== undefined
      ? refused(world, requestId, refusal, limits)
      : {
          status: outcome?.status ?? 200,
          headers: { ...headersOf(world, requestId), ...limits, ...linked(outcome?.headers ?? {}, url) },
          body: outcome?.body === undefined ? '' : JSON.stringify(outcome.body),
        };
  if (struck('empty')) return { ...reply, status: 200, body: '' };
  if (struck('truncated')) return { ...reply, status: 200, body: reply.body.slice(0, reply.body.length / 2) };
  return reply;
}

/** Writes the address of the next page out: that of this one with other members in the query. */
function linked(headers: Readonly<Record<string, string>>, url: URL): Record<string, string> {
  const { link, ...rest } = headers;
  const query = link === undefined ? undefined : /\?([^>]*)>/.exec(link)?.[1];
  if (query === undefined) return rest;
  const next = new URL(url);
  for (const [name, value] of new URLSearchParams(query)) next.searchParams.set(name, value);
  return { ...rest, link: `<${next.href}>; rel="next"` };
}

/** The server that Octokit talks to. `onFault` is told of a defect of the simulator. */
export function apiServer(world: World, onFault: (error: unknown) => void): Server {
  const meter = new Meter();
  const server = createServer((message: IncomingMessage, response: ServerResponse) => {
    const requestId = `${randomBytes(2).toString('hex').toUpperCase()}:${randomBytes(3).toString('hex').toUpperCase()}:${randomBytes(4).toString('hex').toUpperCase()}`;
    const send = (reply: Reply) => {
      response.writeHead(reply.status, {
        ...reply.headers,
        ...(reply.status === 204 ? {} : { 'content-length': Buffer.byteLength(reply.body) }),
      });
      response.end(reply.status === 204 ? undefined : reply.body);
    };
    answer(world, meter, message, requestId).then(
      (reply) => {
        if (reply === undefined) message.socket.destroy();
        else send(reply);
      },
      (error: unknown) => {
        if (message.errored !== null && message.errored === error) return;
        onFault(error);
        if (!response.headersSent && !message.socket.destroyed) send(refused(world, requestId, new Refusal(500, 'Server Error')));
      },
    );
  });
  server.keepAliveTimeout = 120_000;
  return server;
}
