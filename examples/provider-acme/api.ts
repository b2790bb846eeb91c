import type { Secret, StepContext } from 'tourniquet-engine/provider';
import { faultOf, silence } from './errors.ts';

/** A token as Acme shows it: never its secret. `revision` changes with every change. */
export interface Token {
  readonly id: string;
  readonly owner: string;
  readonly status: 'active' | 'suspended';
  readonly note: string;
  readonly parent?: string;
  readonly createdAt: string;
  readonly revision: string;
}

/** One answer: when Acme gave it, by its own clock, and how it is called there. */
export interface Answer<T> {
  readonly value: T;
  readonly at: string;
  readonly requestId: string;
}

/** Acme's API for one account. A write is sent once: whoever calls decides by a read whether to try again. */
export class Acme {
  readonly account: string;
  readonly #address: string;
  readonly #key: Secret;
  constructor(account: string, address: string, key: Secret) {
    this.account = account;
    this.#address = address;
    this.#key = key;
  }
  /** The token, or undefined where there is none. */
  async find(id: string): Promise<Answer<Token | undefined>> {
    const { status, body, at, requestId } = await this.#call('GET', `/tokens/${encodeURIComponent(id)}`);
    // 404 is the word for a token only from Acme itself, which then names the token.
    if (status === 404 && (body as { missing?: string }).missing === id) return { value: undefined, at, requestId };
    if (status !== 200) throw faultOf(status, requestId);
    return { value: tokenOf(body, requestId), at, requestId };
  }
  async list(): Promise<Answer<readonly Token[]>> {
    const { status, body, at, requestId } = await this.#call('GET', '/tokens');
    if (status !== 200 || !Array.isArray(body)) throw faultOf(status === 200 ? 0 : status, requestId);
    return { value: body.map((each) => tokenOf(each, requestId)), at, requestId };
  }
  /** Changes a token that is still at `revision`; `provider.conflict` where somebody was there before. */
  async change(token: Token, to: Pick<Token, 'status' | 'note'>, signal: AbortSignal): Promise<Answer<Token>> {
    signal.throwIfAborted();
    const { status, body, at, requestId } = await this.#call('PATCH', `/tokens/${encodeURIComponent(token.id)}`, to, token.revision);
    if (status !== 200) throw faultOf(status, requestId);
    return { value: tokenOf(body, requestId), at, requestId };
  }
  async remove(token: Token, signal: AbortSignal): Promise<Answer<undefined>> {
    signal.throwIfAborted();
    const { status, at, requestId } = await this.#call('DELETE', `/tokens/${encodeURIComponent(token.id)}`, undefined, token.revision);
    if (status !== 204) throw faultOf(status, requestId);
    return { value: undefined, at, requestId };
  }
  async #call(method: string, path: string, body?: unknown, revision?: string) {
    const write = method !== 'GET';
    try {
      const answer = await fetch(`${this.#address}${path}`, {
        method,
        redirect: 'error',
        signal: AbortSignal.timeout(5000),
        headers: {
          authorization: `Bearer ${this.#key.reveal()}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(revision === undefined ? {} : { 'if-match': revision }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return {
        status: answer.status,
        body: readJson(text),
        at: new Date(answer.headers.get('date') ?? Number.NaN).toISOString(),
        requestId: answer.headers.get('x-request-id') ?? 'none',
      };
    } catch {
      throw silence(write);
    }
  }
}

function readJson(text: string): unknown {
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    return {};
  }
}

function tokenOf(body: unknown, requestId: string): Token {
  const token = body as Partial<Token>;
  if (typeof token.id !== 'string' || typeof token.revision !== 'string' || (token.status !== 'active' && token.status !== 'suspended'))
    throw faultOf(0, requestId);
  return token as Token;
}

/** What our changes bear, so that they are known again after a lost reply, and told from somebody else's. */
export const markOf = (context: Pick<StepContext, 'incident' | 'run' | 'step'>): string =>
  `tourniquet ${context.incident} ${context.run} ${context.step}`;
