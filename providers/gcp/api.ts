import { createSign } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { iam, type iam_v1 } from '@googleapis/iam';
import { logging, type logging_v2 } from '@googleapis/logging';
import { storage, type storage_v1 } from '@googleapis/storage';
import { GoogleAuth, PassThroughClient } from 'google-auth-library';
import { fault, isFault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import { faultOfAnswer, faultOfFailure, unreadable, wordOf } from './errors.ts';

/** A key of a service account, as its file has it. */
export interface KeyPair {
  readonly clientEmail: string;
  readonly privateKeyId?: string;
  readonly privateKey: Secret;
}

export interface ApiSettings {
  /** One address for all services; absent means Google's own, each on its host. */
  readonly endpoint?: string;
  readonly requestTimeoutMs: number;
}

/** Who the engine is: a key, or what the machine it runs on is (a workload identity, the metadata server), so that no key need be stored. */
export type Own = { readonly key: KeyPair } | { readonly ambient: true };

const scope = 'https://www.googleapis.com/auth/cloud-platform';
const tokenAudience = 'https://oauth2.googleapis.com/token';

/** An answer as the transport gives it; every status is one. */
interface Wire {
  readonly status: number;
  readonly headers: unknown;
  readonly data: unknown;
}

/** What a call is given: the clients of the services that have one, options that every method takes, and a plain request for those that have none. */
export interface Clients {
  readonly iam: iam_v1.Iam;
  readonly storage: storage_v1.Storage;
  readonly logging: logging_v2.Logging;
  readonly options: Options;
  /** `host` without its address where one serves all. */
  request(
    host: string,
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    sent?: { readonly query?: Readonly<Record<string, string>>; readonly body?: unknown },
  ): Promise<Wire>;
}

interface Options {
  readonly headers: Readonly<Record<string, string>>;
  readonly retry: false;
  readonly timeout: number;
  readonly responseType: 'json';
  readonly validateStatus: () => true;
  readonly signal?: AbortSignal;
}

/** What every step of ours is called in Google's audit log: it goes into `X-Goog-Request-Reason`, which the log keeps as `requestMetadata.requestAttributes.reason` (Cloud APIs, "System parameters"). */
export function reasonWord(...parts: readonly string[]): string {
  return ['tourniquet', ...parts].join('/').replace(/[^!$%&'*+\-.^_`|~\w/]/g, '-');
}

function headerOf(headers: unknown, name: string): string | undefined {
  const get = (headers as { get?: (name: string) => unknown } | undefined)?.get;
  const value = typeof get === 'function' ? get.call(headers, name) : (headers as Record<string, unknown> | undefined)?.[name];
  return typeof value === 'string' ? value : undefined;
}

/** All calls to one project share a token; each piece of work has {@link Calls} of its own, which names it in the log. */
export class Api {
  readonly settings: ApiSettings;
  readonly #own: Own;
  readonly #plain = new PassThroughClient();
  readonly #auth = new GoogleAuth({ scopes: [scope] });
  readonly #services: Pick<Clients, 'iam' | 'storage' | 'logging'>;
  #token: { readonly value: Secret; readonly until: number } | undefined;
  #asking: Promise<Secret> | undefined;
  /** How far Google's clock is ahead of ours, in milliseconds, by the newest answer. */
  #ahead = 0;
  #email: Promise<string> | undefined;
  constructor(settings: ApiSettings, own: Own) {
    this.settings = settings;
    this.#own = own;
    const at = settings.endpoint === undefined ? {} : { rootUrl: settings.endpoint };
    this.#services = {
      iam: iam({ version: 'v1', ...at }),
      storage: storage({ version: 'v1', ...at }),
      logging: logging({ version: 'v2', ...at }),
    };
  }

  get ownKeyId(): string | undefined {
    return 'key' in this.#own ? this.#own.key.privateKeyId : undefined;
  }

  /** Our own account. An ambient identity is asked for once, by what its token says. */
  ownEmail(): Promise<string> {
    if ('key' in this.#own) return Promise.resolve(this.#own.key.clientEmail);
    this.#email ??= this.token()
      .then((token) => this.tokenInfo(token))
      .then((info) => {
        if (info?.email === undefined) throw fault('provider.uncertain', { call: 'tokeninfo', said: 'no e-mail' });
        return info.email;
      })
      .catch((error: unknown) => {
        this.#email = undefined;
        throw error;
      });
    return this.#email;
  }

  calls(word: string, signal: AbortSignal): Calls {
    return new Calls(this, word, signal);
  }

  /** The token we call with; `fresh` where the last one was refused. */
  async token(fresh = false): Promise<Secret> {
    if (!fresh && this.#token && this.#token.until > Date.now() + this.#ahead + 60_000) return this.#token.value;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return await this.#asking;
  }

  async #ask(): Promise<Secret> {
    if ('ambient' in this.#own) {
      let value: string | null | undefined;
      try {
        value = await this.#auth.getAccessToken();
      } catch {
        throw fault('provider.denied', { call: 'token', said: 'this machine has no identity at Google' });
      }
      if (!value) throw fault('provider.denied', { call: 'token', said: 'this machine has no identity at Google' });
      return new Secret(value);
    }
    const answer = await this.exchange(this.#own.key);
    if (answer.status !== 200) throw faultOfAnswer({ status: answer.status, body: answer.data }, 'token', false);
    const { access_token: value, expires_in: life } = (answer.data ?? {}) as { access_token?: unknown; expires_in?: unknown };
    if (typeof value !== 'string' || typeof life !== 'number') throw unreadable('token', false);
    this.#token = { value: new Secret(value), until: Date.now() + this.#ahead + life * 1000 };
    return this.#token.value;
  }

  /**
   * Exchanges an assertion signed with a key for an access token. Where Google refuses it and its clock is not ours, it is signed once more by Google's: a clock that is wrong looks like
   * a key that is dead.
   */
  async exchange(key: KeyPair): Promise<Wire> {
    const by = this.#ahead;
    const first = await this.#exchangeAt(key);
    if (first.status === 200 || Math.abs(this.#ahead - by) < 30_000) return first;
    return await this.#exchangeAt(key);
  }

  async #exchangeAt(key: KeyPair): Promise<Wire> {
    const now = Math.floor((Date.now() + this.#ahead) / 1000);
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const header = { alg: 'RS256', typ: 'JWT', ...(key.privateKeyId ? { kid: key.privateKeyId } : {}) };
    const body = `${encode(header)}.${encode({ iss: key.clientEmail, scope, aud: tokenAudience, iat: now, exp: now + 3_600 })}`;
    let signature: string;
    try {
      signature = createSign('sha256').update(body).sign(key.privateKey.reveal(), 'base64url');
    } catch {
      // The library's own error may quote the key.
      throw fault('provider.invalid', { call: 'token', said: 'the private key cannot be read' });
    }
    const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: `${body}.${signature}` });
    return await this.send('oauth2.googleapis.com', 'POST', '/token', { body: form.toString(), type: 'application/x-www-form-urlencoded' });
  }

  /** What Google says of a token; undefined for one that it does not know or that has expired. The token goes to Google, in the body, and nowhere else. */
  async tokenInfo(token: Secret): Promise<{ readonly email?: string; readonly expiresAt?: string } | undefined> {
    const form = new URLSearchParams({ access_token: token.reveal() });
    const answer = await this.send('oauth2.googleapis.com', 'POST', '/tokeninfo', {
      body: form.toString(),
      type: 'application/x-www-form-urlencoded',
    });
    if (answer.status === 200 && typeof answer.data === 'object' && answer.data !== null) {
      const { email, exp } = answer.data as { email?: unknown; exp?: unknown };
      return {
        ...(typeof email === 'string' ? { email } : {}),
        ...(Number(exp) > 0 ? { expiresAt: new Date(Number(exp) * 1000).toISOString() } : {}),
      };
    }
    const body = { status: answer.status, body: answer.data };
    if (wordOf(body) === 'invalid_token') return undefined;
    throw faultOfAnswer(body, 'tokeninfo', false);
  }

  /** Sends one request without any authentication of its own, once. */
  async send(
    host: string,
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    sent: {
      readonly query?: Readonly<Record<string, string>>;
      readonly body?: unknown;
      readonly type?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<Wire> {
    const root = this.settings.endpoint ?? `https://${host}`;
    let answer: Wire;
    try {
      answer = (await this.#plain.request({
        url: new URL(path, root).href,
        method,
        headers: { ...(sent.body === undefined ? {} : { 'content-type': sent.type ?? 'application/json' }), ...sent.headers },
        ...(sent.query ? { params: sent.query } : {}),
        ...(sent.body === undefined ? {} : { data: sent.body }),
        ...this.plainOptions(sent.signal),
      })) as Wire;
    } catch (error) {
      throw faultOfFailure(error, `${host}${path.split('?')[0] ?? ''}`, method !== 'GET' && host !== 'oauth2.googleapis.com');
    }
    this.noteDate(answer);
    return answer;
  }

  plainOptions(signal: AbortSignal | undefined): Omit<Options, 'headers'> {
    return {
      retry: false,
      timeout: this.settings.requestTimeoutMs,
      responseType: 'json',
      validateStatus: () => true,
      ...(signal ? { signal } : {}),
    };
  }

  noteDate(answer: Wire): number | undefined {
    const at = Date.parse(headerOf(answer.headers, 'date') ?? '');
    if (Number.isNaN(at)) return undefined;
    // The header is in whole seconds; half of one is the best guess at the rest.
    this.#ahead = at + 500 - Date.now();
    return at;
  }

  clients(word: string, token: Secret, signal: AbortSignal | undefined): Clients {
    const headers = { authorization: `Bearer ${token.reveal()}`, 'x-goog-request-reason': word };
    const options: Options = { headers, ...this.plainOptions(signal) };
    return {
      ...this.#services,
      options,
      request: (host, method, path, sent = {}) => this.send(host, method, path, { ...sent, headers, ...(signal ? { signal } : {}) }),
    };
  }
}

/** How often a read is tried again where it stands, and how long it waits before that, in milliseconds. */
const readAgain = { times: 4, afterMs: 200 } as const;

/** The calls of one step or look: their request ids, and Google's time as the last answer told it. */
export class Calls {
  readonly requestIds: string[] = [];
  readonly signal: AbortSignal;
  /** As the audit log will have it. */
  readonly word: string;
  readonly #api: Api;
  #date: number | undefined;
  constructor(api: Api, word: string, signal: AbortSignal) {
    this.#api = api;
    this.word = word;
    this.signal = signal;
    // Most of Google's services name no request in their answers. The reason that we give stands in the audit log, and so serves as well.
    this.requestIds.push(`reason:${word}`);
  }

  /** Milliseconds since 1970 by Google's clock, rounded down to the second: what the newest answer said. Throws before the first answer. */
  get now(): number {
    if (this.#date === undefined) throw fault('provider.uncertain', { call: 'clock', said: 'no answer bore a date' });
    return this.#date;
  }
  get at(): string {
    return new Date(this.now).toISOString();
  }
  /** {@link at}, rounded up: Google's clock had not gone past it when it answered. */
  get atMost(): string {
    return new Date(this.now + 1000).toISOString();
  }

  /** Makes a call that changes nothing, and again where it got no good answer. `call` is the permission, e.g. `iam.serviceAccounts.get`. */
  async read<T>(call: string, run: (clients: Clients) => Promise<unknown>): Promise<T> {
    for (let tries = 0; ; tries++) {
      this.signal.throwIfAborted();
      try {
        return (await this.#run(call, false, run)) as T;
      } catch (error) {
        const passing = isFault(error) && ['provider.unavailable', 'provider.uncertain', 'provider.throttled'].includes(error.code);
        // The log's quota is by the minute, and asking again at once spends it.
        if (!passing || tries >= readAgain.times || (error.code === 'provider.throttled' && call.startsWith('logging.'))) throw error;
        await wait(readAgain.afterMs * (tries + 1), undefined, { signal: this.signal });
      }
    }
  }

  /** As {@link read}, of a thing that may not be there: undefined where Google says so. */
  async readIfThere<T>(call: string, run: (clients: Clients) => Promise<unknown>): Promise<T | undefined> {
    try {
      return await this.read<T>(call, run);
    } catch (error) {
      if (isFault(error) && error.code === 'provider.gone') return undefined;
      throw error;
    }
  }

  /** Makes a call that changes something. It is sent once: a repeated one is the caller's business, after reading what the first has done. Once begun it is not aborted. */
  async write<T>(call: string, run: (clients: Clients) => Promise<unknown>): Promise<T> {
    this.signal.throwIfAborted();
    return (await this.#run(call, true, run)) as T;
  }

  /** As {@link write}, of a thing that may be gone: false where Google says that it is not there. */
  async writeIfThere(call: string, run: (clients: Clients) => Promise<unknown>): Promise<boolean> {
    try {
      await this.write(call, run);
      return true;
    } catch (error) {
      if (isFault(error) && error.code === 'provider.gone') return false;
      throw error;
    }
  }

  async #run(call: string, changes: boolean, run: (clients: Clients) => Promise<unknown>): Promise<unknown> {
    for (let fresh = false; ; fresh = true) {
      let token: Secret;
      try {
        token = await this.#api.token(fresh);
      } catch (error) {
        throw faultOfFailure(error, 'token', false);
      }
      this.signal.throwIfAborted();
      let answer: Wire;
      try {
        answer = (await run(this.#api.clients(this.word, token, changes ? undefined : this.signal))) as Wire;
      } catch (error) {
        if (!changes) this.signal.throwIfAborted();
        throw faultOfFailure(error, call, changes);
      }
      const date = this.#api.noteDate(answer);
      if (date !== undefined) this.#date = Math.max(date, this.#date ?? date);
      const id = headerOf(answer.headers, 'x-guploader-uploadid') ?? headerOf(answer.headers, 'x-goog-request-id');
      if (id) this.requestIds.push(id);
      // A token that is refused has changed nothing: it may have expired by a clock that is not ours.
      if (answer.status === 401 && !fresh) continue;
      if (answer.status >= 300 || answer.status < 200) throw faultOfAnswer({ status: answer.status, body: answer.data }, call, changes);
      if (answer.status === 204) return undefined;
      if (typeof answer.data !== 'object' || answer.data === null) throw unreadable(call, changes);
      return answer.data;
    }
  }
}
