import { createHmac, timingSafeEqual } from 'node:crypto';
import { fault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';

/** The three headers of Standard Webhooks, as they are written. Source: https://www.standardwebhooks.com, "Webhook Headers" and "Signature scheme". */
export interface Signature {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

/** How far a timestamp may be from the reader's clock, either way; the specification leaves the figure open, its libraries take five minutes. */
export const toleranceSeconds = 300;

/**
 * The key behind a `whsec_…` text: the prefix, then 24 to 64 bytes in base64. Throws `provider.invalid`, which does not repeat the text.
 */
export function readSigningSecret(secret: Secret): Secret {
  const text = secret.reveal().trim();
  const body = text.startsWith('whsec_') ? text.slice('whsec_'.length) : '';
  const bytes = Buffer.from(body, 'base64');
  const isBase64 = bytes.toString('base64').replace(/=+$/, '') === body.replace(/=+$/, '');
  if (!isBase64 || bytes.length < 24 || bytes.length > 64)
    throw fault('provider.invalid', { because: 'the signing secret is not whsec_ and 24 to 64 bytes in base64' });
  return new Secret(text);
}

/** Signs `body` under each of the secrets: while a secret is replaced the endpoint may know only one of the two. */
export function sign(secrets: readonly Secret[], id: string, seconds: number, body: string): Signature {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': secrets.map((secret) => `v1,${digestOf(secret, id, String(seconds), body).toString('base64')}`).join(' '),
  };
}

/** Whether one of the signatures is one of the secrets', and its time is near `nowSeconds`. What is wrong, in words; undefined: nothing is. */
export function flawOf(
  secrets: readonly Secret[],
  signature: Readonly<Record<keyof Signature, string | undefined>>,
  body: string,
  nowSeconds: number,
): string | undefined {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = signature;
  if (id === undefined || timestamp === undefined || signatures === undefined) return 'it is not signed';
  if (!/^\d{1,12}$/.test(timestamp)) return 'its timestamp is no number of seconds';
  if (Math.abs(Number(timestamp) - nowSeconds) > toleranceSeconds) return 'its timestamp is more than five minutes from our clock';
  const given = signatures
    .split(' ')
    .filter((each) => each.startsWith('v1,'))
    .map((each) => Buffer.from(each.slice(3), 'base64'));
  const good = secrets.some((secret) => {
    const wanted = digestOf(secret, id, timestamp, body);
    return given.some((each) => each.length === wanted.length && timingSafeEqual(each, wanted));
  });
  return good ? undefined : 'its signature is none of the shared secret';
}

function digestOf(secret: Secret, id: string, timestamp: string, body: string): Buffer {
  const key = Buffer.from(secret.reveal().slice('whsec_'.length), 'base64');
  return createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest();
}
