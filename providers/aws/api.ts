import { setTimeout as wait } from 'node:timers/promises';
import { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import { IAMClient } from '@aws-sdk/client-iam';
import { STSClient } from '@aws-sdk/client-sts';
import { codeOf, fault, isFault } from '../../domain/errors.ts';
import type { Secret } from '../../domain/secret.ts';
import { Asks, askedBy, faultOf, isGone, metadataOf } from './errors.ts';

/** A key pair to sign with, session token included where there is one. */
export interface Pair {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  readonly sessionToken?: Secret;
}

/** What the clients need to know of an account. */
export interface ApiSettings {
  readonly endpoint?: string;
  /** Region of the global services: IAM answers there, and CloudTrail keeps IAM's events there. */
  readonly globalRegion: string;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

type Handler = STSClient['config']['requestHandler'];

/** What a call is made with: the client of a service, for one Region where the service has any. */
export interface Clients {
  iam(attempts?: number): IAMClient;
  sts(region?: string): STSClient;
  cloudtrail(region: string): CloudTrailClient;
}

/** The user agent's characters that the SDK leaves as they are; it turns all others into a dash. */
const agentEscape = /[^!$%&'*+\-.^_`|~\w/]/g;

/** The word that our calls carry in their user agent, as it stands in CloudTrail afterwards. */
export function agentWord(...parts: readonly string[]): string {
  return ['tourniquet', ...parts].join('/').replace(agentEscape, '-');
}

/** True where a user agent of the log carries exactly that word. */
export function bearsAgent(userAgent: string, word: string): boolean {
  return userAgent.split(' ').includes(word);
}

/** All calls to one AWS account share connections; each piece of work has a {@link Calls} of its own, which names it in the user agent. */
export class Api {
  readonly #settings: ApiSettings;
  readonly #own: Pair;
  #handler: Handler | undefined;
  constructor(settings: ApiSettings, own: Pair) {
    this.#settings = settings;
    this.#own = own;
  }

  get ownAccessKeyId(): string {
    return this.#own.accessKeyId;
  }

  /** Calls in our own name. `word` goes into the user agent; `signal` ends reads, and keeps further writes from being begun. */
  calls(word: string, signal: AbortSignal): Calls {
    return new Calls((seen) => this.#clients(word, this.#own, seen), signal);
  }

  /** Calls signed with somebody else's pair: the one active probe. They are tried once, since each is another entry in the log. */
  callsAs(pair: Pair, word: string, signal: AbortSignal): Calls {
    return new Calls((seen) => this.#clients(word, pair, seen, 1), signal, true);
  }

  close(): void {
    (this.#handler as { destroy?: () => void } | undefined)?.destroy?.();
  }

  #clients(word: string, pair: Pair, seen: (date: string) => void, most = 3): Clients {
    const settings = (region: string, attempts: number) => ({
      region,
      ...(this.#settings.endpoint ? { endpoint: this.#settings.endpoint } : {}),
      credentials: {
        accessKeyId: pair.accessKeyId,
        secretAccessKey: pair.secretAccessKey.reveal(),
        ...(pair.sessionToken ? { sessionToken: pair.sessionToken.reveal() } : {}),
      },
      customUserAgent: [[word] as [string]],
      maxAttempts: Math.min(attempts, most),
      retryMode: 'standard',
      requestHandler: this.#handler ?? {
        connectionTimeout: this.#settings.connectTimeoutMs,
        requestTimeout: this.#settings.requestTimeoutMs,
        throwOnRequestTimeout: true,
      },
    });
    const made = new Map<string, IAMClient | STSClient | CloudTrailClient>();
    const keep = <C extends IAMClient | STSClient | CloudTrailClient>(name: string, make: () => C): C => {
      let client = made.get(name) as C | undefined;
      if (client) return client;
      client = make();
      this.#handler ??= client.config.requestHandler as Handler;
      watchDates(client as STSClient, seen);
      made.set(name, client);
      return client;
    };
    const { globalRegion } = this.#settings;
    return {
      iam: (attempts = 3) => keep(`iam ${attempts}`, () => new IAMClient(settings(globalRegion, attempts))),
      sts: (region = globalRegion) => keep(`sts ${region}`, () => new STSClient(settings(region, 3))),
      // CloudTrail's limit of two look-ups a second is kept by our own limiter, which has to see each refusal.
      cloudtrail: (region) => keep(`cloudtrail ${region}`, () => new CloudTrailClient(settings(region, 1))),
    };
  }
}

/** Hands on the `Date` of each answer, refusals included: it is the only clock of the provider's that one can read. */
function watchDates(client: STSClient, seen: (date: string) => void): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const headers = (result.response as { headers?: Record<string, string> } | undefined)?.headers;
      const date = headers?.['date'] ?? headers?.['Date'];
      if (date) seen(date);
      expectReadable(result.response as Answer | undefined);
      return result;
    },
    // Before the answer is deserialised, which is where refusals are thrown.
    { step: 'deserialize', priority: 'low', name: 'tourniquetDate', override: true },
  );
}

/** An HTTP answer, as far as it is looked at here. */
interface Answer {
  readonly statusCode?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly destroy?: () => unknown };
}

/**
 * Refuses an answer that says yes and tells nothing: without a body, or with a page in it. The SDK would make an output without members of one, and an output without keys reads like
 * a user who has none. It is thrown as what may be tried again.
 */
function expectReadable(answer: Answer | undefined): void {
  if (answer?.statusCode === undefined || answer.statusCode >= 300) return;
  const headers = Object.fromEntries(Object.entries(answer.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  const type = headers['content-type'];
  if (headers['content-length'] !== '0' && (type === undefined || /xml|json/i.test(type))) return;
  // A body that nobody reads keeps its connection, and fifty of them are all that the clients have.
  answer.body?.destroy?.();
  throw Object.assign(new Error('an answer that cannot be read'), { name: 'UnreadableAnswer', $retryable: {} });
}

/** How often a read is tried again where it stands, and how long it waits before that, in milliseconds: a look of a hundred calls must not start anew for one. */
const readAgain = { times: 4, afterMs: 200 } as const;

/** The calls of one step or look: their request ids, and the provider's time as the last answer told it. */
export class Calls {
  readonly requestIds: string[] = [];
  readonly signal: AbortSignal;
  readonly #clients: Clients;
  readonly #once: boolean;
  #date: number | undefined;
  /** `once`: a read that fails is not tried again. */
  constructor(make: (seen: (date: string) => void) => Clients, signal: AbortSignal, once = false) {
    this.signal = signal;
    this.#once = once;
    this.#clients = make((date) => {
      const at = Date.parse(date);
      if (!Number.isNaN(at)) this.#date = Math.max(at, this.#date ?? at);
    });
  }

  /** Milliseconds since 1970 by the provider's clock, rounded down to the second: what the newest answer said. Throws before the first answer. */
  get now(): number {
    if (this.#date === undefined) throw fault('provider.uncertain', { call: 'clock', said: 'no answer bore a date' });
    return this.#date;
  }
  /** {@link now}, rounded up: the provider's clock had not gone past it when it answered. */
  get nowAtMost(): number {
    return this.now + 1000;
  }
  /** {@link now} as ISO 8601. */
  get at(): string {
    return new Date(this.now).toISOString();
  }
  get atMost(): string {
    return new Date(this.nowAtMost).toISOString();
  }

  /** Makes a call that changes nothing; the SDK tries three times, and the signal ends it. `call` is the permission, e.g. `iam:GetUser`. */
  async read<T extends { $metadata: { requestId?: string | undefined } }>(
    call: string,
    run: (clients: Clients, options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    for (let tries = 0; ; tries++) {
      this.signal.throwIfAborted();
      try {
        return await this.#run(call, false, () => run(this.#clients, { abortSignal: this.signal }));
      } catch (error) {
        // CloudTrail's throttling has a pace of its own, kept where its look-ups are.
        const passing =
          isFault(error) &&
          (error.code === 'provider.unavailable' ||
            error.code === 'provider.uncertain' ||
            (error.code === 'provider.throttled' && !call.startsWith('cloudtrail:')));
        if (!passing || tries >= readAgain.times || this.#once) throw error;
        await wait(readAgain.afterMs * (tries + 1), undefined, { signal: this.signal });
      }
    }
  }

  /**
   * Makes a call that changes something. It is sent once: a repeated one is the caller's business, after reading what the first has done. Only where AWS says that it was too many is it sent again here, a few
   * times, since such a call was not carried out; but for the one that makes a key, of which nobody should have to believe even that. Once begun it is not aborted.
   */
  async write<T extends { $metadata: { requestId?: string | undefined } }>(call: string, run: (iam: IAMClient) => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      this.signal.throwIfAborted();
      try {
        return await this.#run(call, true, () => run(this.#clients.iam(1)));
      } catch (error) {
        const tooMany = codeOf(error) === 'provider.throttled' && call !== 'iam:CreateAccessKey';
        if (!tooMany || tries >= readAgain.times || this.#once) throw error;
        await wait(readAgain.afterMs * (tries + 1), undefined, { signal: this.signal });
      }
    }
  }

  /** As {@link write}, of a thing that may be gone: false where AWS says that it is not there, or that it is so already, true where the call went through. */
  async writeIfThere(call: string, run: (iam: IAMClient) => Promise<{ $metadata: { requestId?: string | undefined } }>): Promise<boolean> {
    try {
      await this.write(call, run);
      return true;
    } catch (error) {
      if (isGone(error) || askedBy(call, error) === Asks.DONE) return false;
      throw error;
    }
  }

  async #run<T extends { $metadata: { requestId?: string | undefined } }>(
    call: string,
    changes: boolean,
    run: () => Promise<T>,
  ): Promise<T> {
    try {
      const output = await run();
      if (output.$metadata.requestId) this.requestIds.push(output.$metadata.requestId);
      return output;
    } catch (error) {
      const { requestId } = metadataOf(error);
      if (requestId) this.requestIds.push(requestId);
      if (!changes && this.signal.aborted) this.signal.throwIfAborted();
      throw faultOf(error, call, changes);
    }
  }
}
