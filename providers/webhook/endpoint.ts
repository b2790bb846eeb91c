import { randomUUID } from 'node:crypto';
import { type IncomingHttpHeaders, request as plain, type RequestOptions } from 'node:http';
import { request as secure } from 'node:https';
import { isIP } from 'node:net';
import type { z } from 'zod';
import { isFault } from '../../domain/errors.ts';
import type { Secret } from '../../domain/secret.ts';
import type { StepContext } from '../contract.ts';
import { type Attempt, doubt, faultOfLine, faultOfStatus } from './errors.ts';
import { admit, type Resolve } from './guard.ts';
import { flawOf, sign } from './signing.ts';
import { deferredSchema, type Operation, writes } from './wire.ts';

/** The most that is read of an answer. */
export const mostBytes = 1 << 20;

/** What a call waits with, and what ends it. */
export type Patience = Pick<StepContext, 'signal' | 'sleep' | 'timing' | 'heartbeat'>;

/** An answer, with the time of the endpoint's clock and the id of the message that it answers. */
export interface Reply<T> {
  readonly value: T;
  /** ISO, UTC. To the second, by the Date of the answer; by our own clock where the endpoint tells no time. */
  readonly at: string;
  readonly message: string;
}

export interface EndpointOptions {
  readonly url: URL;
  readonly account: string;
  readonly secrets: readonly Secret[];
  readonly timeoutMs: number;
  readonly allowPrivate: boolean;
  readonly signedAnswers: boolean;
  readonly ca?: string;
  readonly resolve: Resolve;
}

/** An answer as it came. */
export interface Raw {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/**
 * Speaks to one endpoint and to nothing else: one connection for each request, to an address that was judged; no redirection; bounded in size and in time; never a second try. Whatever is no well-formed
 * answer is a fault, and none of the faults means that it was done.
 */
export class Endpoint {
  readonly #options: EndpointOptions;
  constructor(options: EndpointOptions) {
    this.#options = options;
  }

  get host(): string {
    return this.#options.url.host;
  }

  /**
   * Asks for one operation. `key` makes two requests one. Where the endpoint answers that it is not through yet and names a place to ask at, that is asked until it is through or the account's patience
   * ends, which is a fault; where it names none, the answer's state is `pending`.
   */
  async ask<T>(
    operation: Operation,
    members: Readonly<Record<string, unknown>>,
    schema: z.ZodType<T>,
    patience: Patience,
    key?: string,
  ): Promise<Reply<T>> {
    const { url, account } = this.#options;
    const body = JSON.stringify({ v: 1, operation, account, ...(key === undefined ? {} : { idempotencyKey: key }), ...members });
    const own = new URL(`${url.pathname.replace(/\/$/, '')}/${operation}`, url);
    const deadline = performance.now() + patience.timing.giveUpMs;
    let attempt: Attempt = { operation, host: this.host, message: newMessage() };
    let raw = await this.#send('POST', own, body, attempt, patience, key);
    let polled = false;
    while (raw.status === 202) {
      const deferred = deferredSchema.safeParse(this.#read(raw, attempt));
      if (!deferred.success) throw doubt(attempt, 'a 202 that does not say that it is pending');
      const { poll } = deferred.data;
      if (poll === undefined) break;
      const place = URL.canParse(poll, own.href) ? new URL(poll, own.href) : undefined;
      if (place?.origin !== url.origin || place.username !== '' || place.password !== '')
        throw doubt(attempt, 'the place to ask at is of another origin');
      if (performance.now() > deadline) throw doubt(attempt, 'it was not through before our patience ended');
      patience.heartbeat({ pending: operation });
      await patience.sleep(patience.timing.pollMs);
      attempt = { ...attempt, message: newMessage() };
      polled = true;
      raw = await this.#send('GET', place, '', attempt, patience);
    }
    if (raw.status !== 200 && raw.status !== 202) {
      // The change was taken on before: that its outcome cannot be asked for says nothing of it.
      if (polled) throw doubt(attempt, `the place to ask at answers ${raw.status}`);
      throw faultOfStatus(raw.status, attempt);
    }
    const parsed = schema.safeParse(this.#read(raw, attempt));
    if (!parsed.success) {
      // SECRET: of what did not fit only the place is told, as the rest may be the secret itself.
      const place = parsed.error.issues[0]?.path.join('.') ?? '';
      throw doubt(attempt, `the answer has not the form it should have${place === '' ? '' : ` (at ${place})`}`);
    }
    return { value: parsed.data, at: timeOf(raw.headers), message: attempt.message };
  }

  #read(raw: Raw, attempt: Attempt): unknown {
    const { secrets, signedAnswers } = this.#options;
    const { headers } = raw;
    if (signedAnswers || headers['webhook-signature'] !== undefined) {
      const flaw = flawOf(
        secrets,
        {
          'webhook-id': single(headers['webhook-id']),
          'webhook-timestamp': single(headers['webhook-timestamp']),
          'webhook-signature': single(headers['webhook-signature']),
        },
        raw.body,
        Date.now() / 1000,
      );
      if (flaw !== undefined) throw doubt(attempt, `the answer is not to be believed: ${flaw}`);
      if (headers['webhook-id'] !== attempt.message) throw doubt(attempt, 'the answer is one to another message');
    }
    if (!/^application\/json\b/i.test(headers['content-type'] ?? '')) throw doubt(attempt, 'the answer is no JSON by its own word');
    try {
      return JSON.parse(raw.body) as unknown;
    } catch {
      throw doubt(attempt, 'the answer is no JSON');
    }
  }

  async #send(method: 'GET' | 'POST', place: URL, body: string, attempt: Attempt, patience: Patience, key?: string): Promise<Raw> {
    const { secrets } = this.#options;
    const { signal } = patience;
    signal.throwIfAborted();
    const headers = {
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...sign(secrets, attempt.message, Math.floor(Date.now() / 1000), body),
    };
    // A change is sent once and waited for: an abort in its midst would leave open whether it was made.
    const stops = !(method === 'POST' && writes.includes(attempt.operation));
    try {
      return await transmit({ method, place, headers, body }, this.#options, signal, stops);
    } catch (error) {
      // Before it was sent, or in the midst of a look: either way nothing was changed.
      if (signal.aborted && (stops || error === signal.reason)) throw signal.reason;
      if (isFault(error)) throw error;
      if (error instanceof Spoilt) throw doubt(attempt, error.message);
      if (method === 'GET') throw doubt(attempt, 'the place to ask at does not answer');
      throw faultOfLine(error, attempt);
    }
  }
}

/** One request as it goes over the line. */
export interface Message {
  readonly method: string;
  readonly place: URL;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: string;
}

/**
 * Sends one request over a connection of its own to an address that was judged, and reads one answer. Throws faults of the guard, {@link Spoilt} for an answer that is not taken, and node's errors.
 * `stops`: whether the signal ends it while it is under way; it always keeps it from being begun.
 */
export async function transmit(
  { method, place, headers, body }: Message,
  { timeoutMs, allowPrivate, ca, resolve }: Pick<EndpointOptions, 'timeoutMs' | 'allowPrivate' | 'ca' | 'resolve'>,
  signal: AbortSignal,
  stops: boolean,
): Promise<Raw> {
  const address = await admit(place, resolve, allowPrivate);
  signal.throwIfAborted();
  const options: RequestOptions = {
    method,
    host: address.address,
    family: address.family,
    port: place.port === '' ? (place.protocol === 'https:' ? 443 : 80) : Number(place.port),
    path: `${place.pathname}${place.search}`,
    agent: false,
    headers: {
      host: place.host,
      accept: 'application/json',
      'accept-encoding': 'identity',
      connection: 'close',
      'user-agent': 'tourniquet-webhook/1',
      ...(method === 'GET' ? {} : { 'content-length': Buffer.byteLength(body) }),
      ...headers,
    },
  };
  return await exchange(place, options, body, timeoutMs, ca, stops ? signal : undefined);
}

/** An answer that came and is not taken. Its message is our own words. */
export class Spoilt extends Error {}

function exchange(
  place: URL,
  options: RequestOptions,
  body: string,
  timeoutMs: number,
  ca: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Raw> {
  const { promise, resolve, reject } = Promise.withResolvers<Raw>();
  const request =
    place.protocol === 'https:' ? secure({ ...options, ...nameOf(place), ...(ca === undefined ? {} : { ca }) }) : plain(options);
  const end = (error: Error): void => {
    reject(error);
    request.destroy();
  };
  // One clock over all of it, as a server that sends a byte now and then would else hold us for ever.
  const timer = setTimeout(() => end(new Spoilt('no answer came in time')), timeoutMs);
  const abort = (): void => end(new Error('aborted'));
  signal?.addEventListener('abort', abort, { once: true });
  request.on('error', reject);
  request.on('response', (response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    if (response.headers['content-encoding'] !== undefined && response.headers['content-encoding'] !== 'identity')
      return end(new Spoilt('the answer is compressed, which was not asked for'));
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > mostBytes) end(new Spoilt('the answer is larger than 1 MiB'));
      else chunks.push(chunk);
    });
    response.on('error', reject);
    response.on('end', () => {
      if (!response.complete) return end(new Spoilt('the answer broke off'));
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString('utf8') });
    });
    response.on('close', () => reject(new Spoilt('the answer broke off')));
  });
  request.end(body);
  return promise.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  });
}

/** The name that the certificate has to be of. An address is held against the certificate as it is: TLS has no server name for one. */
function nameOf(place: URL): { readonly servername?: string } {
  const host = place.hostname.replace(/^\[|\]$/g, '');
  return isIP(host) === 0 ? { servername: host } : {};
}

const newMessage = (): string => `msg_${randomUUID().replaceAll('-', '')}`;
const single = (value: string | readonly string[] | undefined): string | undefined => (typeof value === 'string' ? value : value?.[0]);

function timeOf(headers: IncomingHttpHeaders): string {
  const said = Date.parse(headers.date ?? '');
  return new Date(Number.isNaN(said) ? Date.now() : said).toISOString();
}
