import { z } from 'zod';
import { sha256Of } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import type { Secret } from '../../domain/secret.ts';
import { bodyOf, faultOf, statusOf } from './errors.ts';

/** What we go to the server with: a token that was given to us, or an AppRole that we log in by. */
export type OwnCredential = (
  | { readonly token: Secret }
  | { readonly roleId: Secret; readonly secretId: Secret; readonly mount: string }
) & {
  /** Milliseconds after the first call until our own token is looked at for the first time. */
  readonly firstLookMs: number;
};

/** What of the client library the care of our token needs. `token` is what it sends. */
interface Client {
  token: string;
  read(path: string): Promise<unknown>;
  write(path: string, body: Readonly<Record<string, unknown>>): Promise<unknown>;
}

/** Keeps our own token fresh. */
export interface Keeper {
  /** Sends under our own token; a log-in is made for it first where there is none yet, and once again where the server refuses the one we have. */
  under(send: () => Promise<unknown>): Promise<unknown>;
  /** SHA-256 of the token we have, 64 digits; undefined before the first log-in. */
  sha256(): string | undefined;
  close(): void;
}

const loginSchema = z.object({ auth: z.object({ client_token: z.string().min(1), lease_duration: z.number(), renewable: z.boolean() }) });
const selfSchema = z.object({ data: z.object({ ttl: z.number(), creation_ttl: z.number(), renewable: z.boolean() }) });

/** Whether an answer may be about our own token. A 403 may as well say that the one looked up is gone. */
const refusesUs = (error: unknown): boolean =>
  statusOf(error) === 403 && /permission denied|invalid token/i.test(JSON.stringify(bodyOf(error)) ?? '');

/** A refused token is exchanged at most this often: a policy that lacks something is no reason to log in again and again. */
const againMs = 10_000;
/** A server that is sealed or away is asked again after this time; the token it will know again when it is back. */
const awayMs = 5_000;
const refusedMs = 600_000;
const longestMs = 6 * 3_600_000;

/**
 * Our token lives shortly, and is renewed when half of its life is over; one from an AppRole is exchanged for a new one when it cannot be renewed any more. A server that is sealed, on
 * standby or starting says nothing of our token, and it is kept.
 * SECRET: the token is handed to the client library and to nothing else.
 */
export function keeperOf(client: Client, own: OwnCredential): Keeper {
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let started = false;
  let loginAt = Number.NEGATIVE_INFINITY;
  let pending: Promise<void> | undefined;
  if ('token' in own) client.token = own.token.reveal();

  function wake(ms: number): void {
    clearTimeout(timer);
    if (closed) return;
    timer = setTimeout(() => void care(), Math.min(Math.max(ms, 50), longestMs));
    timer.unref();
  }

  function login(): Promise<void> {
    if (!('roleId' in own)) return Promise.resolve();
    pending ??= (async () => {
      const path = `auth/${own.mount}/login`;
      const attempt = { call: 'log in', path, write: false, of: 'login' } as const;
      const before = client.token;
      try {
        // A token that is not valid any more must not stand in the way of getting a new one.
        client.token = '';
        const answer = loginSchema.safeParse(await client.write(path, { role_id: own.roleId.reveal(), secret_id: own.secretId.reveal() }));
        if (!answer.success) throw fault('provider.unavailable', { ...attempt, because: 'the answer has not the form it should have' });
        client.token = answer.data.auth.client_token;
        loginAt = performance.now();
        wake((answer.data.auth.lease_duration * 1_000) / 2);
      } catch (error) {
        client.token = before;
        throw error instanceof Error && error.name === 'Fault' ? error : faultOf(error, attempt);
      } finally {
        pending = undefined;
      }
    })();
    return pending;
  }

  /** Renews what is half over. What fails is tried again: it never makes a call fail, which has its own answer. */
  async function care(): Promise<void> {
    try {
      const before = selfSchema.parse(await client.read('auth/token/lookup-self')).data;
      // Root tokens and others without an end.
      if (before.ttl === 0) return wake(longestMs);
      let left = before.ttl;
      if (before.renewable && left <= before.creation_ttl / 2) {
        await client.write('auth/token/renew-self', {});
        left = selfSchema.parse(await client.read('auth/token/lookup-self')).data.ttl;
      }
      // At the end of its longest life a renewal adds nothing.
      if ('roleId' in own && left <= before.creation_ttl / 2) return await login();
      const half = (before.creation_ttl / 2) * 1_000;
      wake(left * 1_000 > half ? left * 1_000 - half + 500 : Math.max((left * 1_000) / 2, 1_000));
    } catch (error) {
      if (statusOf(error) !== 403) wake(awayMs);
      else if ('roleId' in own) await login().catch(() => wake(awayMs));
      // Revoked, or not allowed to look at itself: nothing that we could do would change it, and each call says so itself.
      else wake(refusedMs);
    }
  }

  return {
    async under(send) {
      if ('roleId' in own && client.token === '') await login();
      if (!started) {
        started = true;
        if ('token' in own) wake(own.firstLookMs);
      }
      if (pending) await pending;
      const used = client.token;
      try {
        return await send();
      } catch (error) {
        // A 403 was not carried out, whatever it was: it may be sent again, and only under a token that is another one.
        if (!('roleId' in own) || !refusesUs(error)) throw error;
        if (client.token === used) {
          if (performance.now() - loginAt < againMs) throw error;
          await login();
        }
        return await send();
      }
    },
    sha256: () => (client.token === '' ? undefined : sha256Of(client.token).slice('sha256:'.length)),
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
