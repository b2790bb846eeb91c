import { createSign } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { Octokit } from '@octokit/rest';
import { codeOf, fault, isFault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import { dateOf, faultOf, malformed, requestIdOf } from './errors.ts';

/** As whom a call is made: as ourselves, as nobody, as a token that is given, as one of our Apps, as an OAuth client. */
export type As =
  | { readonly kind: 'own' }
  | { readonly kind: 'nobody' }
  | { readonly kind: 'token'; readonly token: Secret }
  | { readonly kind: 'app'; readonly appId: string }
  | { readonly kind: 'client' };

export const own: As = { kind: 'own' };
export const nobody: As = { kind: 'nobody' };

export interface ApiSettings {
  readonly endpoint: string;
  readonly requestTimeoutMs: number;
}

/** What the account's credentials file has. */
export interface Keys {
  /** A token of ours, or an App of ours that makes one. */
  readonly token?: Secret;
  readonly responder?: { readonly appId: string; readonly privateKey: Secret; readonly installationId: string };
  /** Private keys of the Apps whose installations may be suspended, by the App's number. */
  readonly apps: Readonly<Record<string, Secret>>;
  readonly client?: { readonly id: string; readonly secret: Secret };
}

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** The word that our calls carry in their user agent; the audit log keeps it. */
export function agentWord(...parts: readonly string[]): string {
  return ['tourniquet', ...parts].join('/').replace(/[^!$%&'*+\-.^_`|~\w/]/g, '-');
}

/** A JSON Web Token of an App: ten minutes at most, begun a minute ago, since clocks differ (GitHub Docs, "Generating a JSON Web Token"). */
function signedAs(appId: string, key: Secret): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iss: appId, iat: now - 60, exp: now + 480 })}`;
  try {
    return `${text}.${createSign('RSA-SHA256').update(text).sign(key.reveal()).toString('base64url')}`;
  } catch {
    // SECRET: the message of a key that cannot be read may quote it.
    throw fault('provider.invalid', { app: appId, because: 'its private key cannot be read' });
  }
}

/** All calls to one account. Each piece of work has a {@link Calls} of its own. */
export class Api {
  readonly #settings: ApiSettings;
  readonly keys: Keys;
  #lent: { readonly token: Secret; readonly until: number } | undefined;
  constructor(settings: ApiSettings, keys: Keys) {
    this.#settings = settings;
    this.keys = keys;
  }

  calls(word: string, signal: AbortSignal, patience: Patience = 'short'): Calls {
    // No authentication is given to the client: what is to be sent goes with each call, so that the one that must not be signed cannot be.
    const client = new Octokit({ baseUrl: this.#settings.endpoint, userAgent: word, log: silent });
    return new Calls(client, (as, calls) => this.#header(as, calls), signal, this.#settings.requestTimeoutMs, patience);
  }

  /** The token we act with, if there is one without making one. */
  get standing(): Secret | undefined {
    return this.keys.token ?? this.#lent?.token;
  }

  async #header(as: As, calls: Calls): Promise<string | undefined> {
    if (as.kind === 'nobody') return undefined;
    if (as.kind === 'token') return `Bearer ${as.token.reveal()}`;
    if (as.kind === 'app') {
      const key = this.keys.apps[as.appId] ?? (this.keys.responder?.appId === as.appId ? this.keys.responder.privateKey : undefined);
      if (key === undefined)
        throw fault('provider.denied', { app: as.appId, because: 'its private key is not in the account’s credentials' });
      return `Bearer ${signedAs(as.appId, key)}`;
    }
    if (as.kind === 'client') {
      const { client } = this.keys;
      if (client === undefined) throw fault('provider.denied', { because: 'no client is in the account’s credentials' });
      return `Basic ${Buffer.from(`${client.id}:${client.secret.reveal()}`).toString('base64')}`;
    }
    return `Bearer ${(await this.#own(calls)).reveal()}`;
  }

  /** Our own token. An App's lives an hour, and is made anew five minutes before that. */
  async #own(calls: Calls): Promise<Secret> {
    if (this.keys.token !== undefined) return this.keys.token;
    const { responder } = this.keys;
    if (responder === undefined) throw fault('provider.denied', { because: 'the account’s credentials hold neither a token nor an App' });
    if (this.#lent !== undefined && this.#lent.until > Date.now() + 300_000) return this.#lent.token;
    const { data } = await calls.write(
      'POST /app/installations/{installation_id}/access_tokens',
      { installation_id: Number(responder.installationId) },
      { kind: 'app', appId: responder.appId },
    );
    const { token, expires_at: until } = (data ?? {}) as { token?: unknown; expires_at?: unknown };
    if (typeof token !== 'string')
      throw malformed({ call: 'POST /app/installations/{installation_id}/access_tokens', changes: false }, undefined);
    this.#lent = { token: new Secret(token), until: Date.parse(String(until)) || Date.now() + 600_000 };
    return this.#lent.token;
  }
}

/** `short`: what GitHub refuses for its number is the caller's to wait for. `long`: it is waited for, since a look of a hundred calls must not start anew for one. `once`: nothing is tried again. */
export type Patience = 'short' | 'long' | 'once';

export interface Answer {
  readonly status: number;
  readonly data: unknown;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

const longestWaitMs = 60_000;

/** The calls of one step or look: their request ids, and GitHub's time as the last answer told it. */
export class Calls {
  readonly requestIds: string[] = [];
  readonly signal: AbortSignal;
  readonly #client: Octokit;
  readonly #header: (as: As, calls: Calls) => Promise<string | undefined>;
  readonly #timeoutMs: number;
  readonly #patience: Patience;
  #date: number | undefined;
  constructor(
    client: Octokit,
    header: (as: As, calls: Calls) => Promise<string | undefined>,
    signal: AbortSignal,
    timeoutMs: number,
    patience: Patience,
  ) {
    this.#client = client;
    this.#header = header;
    this.signal = signal;
    this.#timeoutMs = timeoutMs;
    this.#patience = patience;
  }

  /** Milliseconds since 1970 by GitHub's clock, to the second. Throws before the first answer. */
  get now(): number {
    if (this.#date === undefined) throw fault('provider.uncertain', { call: 'clock', because: 'no answer bore a date' });
    return this.#date;
  }
  get at(): string {
    return new Date(this.now).toISOString();
  }
  /** {@link at}, rounded up to the next second: GitHub's clock had not gone past it. */
  get atMost(): string {
    return new Date(this.now + 1000).toISOString();
  }
  get lastRequest(): string {
    return this.requestIds.at(-1) ?? 'unknown';
  }

  /** A call that changes nothing. `route` is GitHub's name for it. */
  async read(route: string, params: Readonly<Record<string, unknown>>, as: As = own): Promise<Answer> {
    for (let tries = 0; ; tries++) {
      this.signal.throwIfAborted();
      try {
        return await this.#send(route, params, as, false);
      } catch (error) {
        const again = isFault(error) ? pauseBefore(error, tries, this.#patience) : undefined;
        if (again === undefined) throw error;
        await wait(again, undefined, { signal: this.signal });
      }
    }
  }

  /** A call that changes something: sent once, and not ended by the signal once begun. */
  async write(route: string, params: Readonly<Record<string, unknown>>, as: As = own): Promise<Answer> {
    this.signal.throwIfAborted();
    return await this.#send(route, params, as, true);
  }

  async #send(route: string, params: Readonly<Record<string, unknown>>, as: As, changes: boolean): Promise<Answer> {
    const attempt = { call: route, changes };
    const authorization = await this.#header(as, this);
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    try {
      const { status, data, headers } = await this.#client.request(route, {
        ...params,
        headers: { 'x-github-api-version': '2022-11-28', ...(authorization === undefined ? {} : { authorization }) },
        // A redirect would carry what is sent to wherever it points.
        request: { redirect: 'manual', signal: changes ? timeout : AbortSignal.any([timeout, this.signal]) },
      });
      this.#heard(headers['x-github-request-id'], headers.date);
      const request = headers['x-github-request-id'];
      if (Number(status) < 200 || Number(status) >= 300) throw faultOf({ response: { status, headers, data } }, attempt);
      // A page of somebody in between says 200 too, and bears no id of GitHub's; a cut-off answer comes as text.
      if (request === undefined || (Number(status) !== 204 && (typeof data !== 'object' || data === null)))
        throw malformed(attempt, request);
      return { status: Number(status), data, headers: headers as Answer['headers'] };
    } catch (error) {
      if (isFault(error)) throw error;
      this.#heard(requestIdOf(error), dateOf(error));
      if (!changes && this.signal.aborted) this.signal.throwIfAborted();
      throw faultOf(error, attempt);
    }
  }

  #heard(request: string | undefined, date: string | undefined): void {
    if (request !== undefined) this.requestIds.push(request);
    const at = Date.parse(date ?? '');
    if (!Number.isNaN(at)) this.#date = Math.max(at, this.#date ?? at);
  }

  /** Every page of a list; `rows` takes the rows out of one. Stops after `most` pages and says so. */
  async list<T>(
    route: string,
    params: Readonly<Record<string, unknown>>,
    rows: (data: unknown) => readonly T[] | undefined,
    most = 50,
    as: As = own,
  ): Promise<{ readonly rows: readonly T[]; readonly whole: boolean }> {
    const all: T[] = [];
    let query: Readonly<Record<string, unknown>> = { per_page: 100 };
    for (let at = 0; at < most; at++) {
      const { data, headers } = await this.read(route, { ...params, ...query }, as);
      const found = rows(data);
      if (found === undefined) throw malformed({ call: route, changes: false }, headers['x-github-request-id']);
      all.push(...found);
      const next = nextIn(headers.link);
      if (next === undefined) return { rows: all, whole: true };
      query = { per_page: 100, ...next };
    }
    return { rows: all, whole: false };
  }
}

/** The members of the next page's query that lead there: a number or a cursor, whichever the list has. */
function nextIn(link: string | undefined): Readonly<Record<string, string>> | undefined {
  const url = /<([^<>]+)>; rel="next"/.exec(link ?? '')?.[1];
  if (url === undefined || !URL.canParse(url)) return undefined;
  const query = new URL(url).searchParams;
  for (const name of ['after', 'page']) {
    const value = query.get(name);
    if (value !== null) return { [name]: value };
  }
  return undefined;
}

/** Milliseconds to wait before a read is tried again; undefined where it is not. */
function pauseBefore(error: unknown, tries: number, patience: Patience): number | undefined {
  if (patience === 'once' || !isFault(error) || tries >= 3) return undefined;
  const code = codeOf(error);
  if (code === 'provider.unavailable' || code === 'provider.uncertain') return 150 * (tries + 1);
  if (code !== 'provider.throttled' || patience === 'short') return undefined;
  const seconds = Number((error.context as { retryAfter?: unknown } | undefined)?.retryAfter ?? 60);
  const ms = (Number.isFinite(seconds) ? seconds : 60) * 1000;
  return ms <= longestWaitMs ? ms : undefined;
}
