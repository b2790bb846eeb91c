import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { readAwsKeyId } from '../domain/aws-key-id.ts';
import type { CredentialRef } from '../domain/credential.ts';
import type { IssuerSays, IssuerWord, Report } from '../domain/report.ts';

/** An issuer whose word counts, with the secret that its webhooks are signed with. */
export interface Issuer {
  readonly name: string;
  readonly scheme: 'github-webhook';
  readonly secret: string;
}

/** What an issuer's webhook was found to be: its word on this credential, or why it is none. */
export type IssuerAnswer = { readonly ok: true; readonly says: IssuerSays } | { readonly ok: false; readonly why: string };

const described = z.string().nullish();
const payloadSchema = z.looseObject({
  action: described,
  alert: z.looseObject({
    html_url: described,
    created_at: described,
    updated_at: described,
    resolution: described,
    secret: described,
    validity: described,
    publicly_leaked: z.boolean().nullish(),
  }),
  repository: z.looseObject({ html_url: described, visibility: described }).nullish(),
});

/**
 * Judges a GitHub `secret_scanning_alert` webhook as proof of a report. GitHub signs the raw body with HMAC-SHA256 under the webhook's secret, in `X-Hub-Signature-256`
 * (https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries).
 *
 * The signature alone proves nothing of this report. Anybody who can commit can have GitHub sign that some text looks like a key, so that it counts only where GitHub has itself
 * found the secret to be active. The body must name this credential, and the place that the report names; and its alert must have moved within `freshMs` of `at`, or an old webhook would open an
 * incident again that is long over.
 */
export function issuerWordOn(
  issuers: readonly Issuer[],
  word: IssuerWord,
  report: Pick<Report, 'credential' | 'origin'>,
  { at, freshMs }: { readonly at: string; readonly freshMs: number },
): IssuerAnswer {
  const none = (why: string): IssuerAnswer => ({ ok: false, why });
  const issuer = issuers.find((each) => each.scheme === word.scheme && isSignedBy(each.secret, word));
  if (issuer === undefined) return none('no issuer that is configured has signed the webhook');
  if (holdsSecret(word.body)) return none('the webhook holds a secret');
  const parsed = payloadSchema.safeParse(parse(word.body));
  if (!parsed.success) return none('the webhook is not of a secret scanning alert');
  const { action, alert, repository } = parsed.data;
  if (!names(alert, report.credential)) return none('the webhook is of another credential');
  const home = repository?.html_url ?? undefined;
  const { repository: place } = report.origin;
  if (place !== undefined && place.replace(/\/$/, '') !== home) return none('the webhook is of another place than the report names');
  if (alert.validity !== 'active') return none('the issuer has not found the secret to be active');
  if (alert.resolution) return none('the issuer has closed the alert');
  const moved = Date.parse(alert.updated_at ?? alert.created_at ?? '');
  if (Number.isNaN(moved)) return none('the webhook has no time');
  if (Date.parse(at) - moved > freshMs) return none(`the webhook is old: its alert last moved at ${new Date(moved).toISOString()}`);
  if (moved - Date.parse(at) > skewMs) return none('the webhook is of a time to come');
  const since = Date.parse(alert.created_at ?? '');
  return {
    ok: true,
    says: {
      by: issuer.name,
      publiclyLeaked: alert.publicly_leaked === true || action === 'publicly_leaked' || repository?.visibility === 'public',
      ...(Number.isNaN(since) ? {} : { since: new Date(since).toISOString() }),
    },
  };
}

/** How far ahead of ours the clock of whoever signs may be. */
export const skewMs = 300_000;

function isSignedBy(secret: string, { body, signature }: IssuerWord): boolean {
  const wanted = Buffer.from(`sha256=${createHmac('sha256', secret).update(body, 'utf8').digest('hex')}`);
  const given = Buffer.from(signature);
  return wanted.length === given.length && timingSafeEqual(wanted, given);
}

/** An alert names a credential by its address, or by the key id where that is what was found. */
function names(alert: z.output<typeof payloadSchema>['alert'], { locator }: CredentialRef): boolean {
  const id = alert.secret ? readAwsKeyId(alert.secret)?.id : undefined;
  if (locator.accessKeyId !== undefined) return id === locator.accessKeyId;
  return alert.html_url !== undefined && alert.html_url !== null && Object.values(locator).includes(alert.html_url);
}

/** Whether the body of a webhook holds a secret: an alert's, or any of those in a partner's delivery. An AWS key id is none; anything else in its place is. */
export function holdsSecret(body: string): boolean {
  const value = parse(body);
  const parts = Array.isArray(value) ? (value as unknown[]) : [value];
  return parts.some((part) => [member(member(part, 'alert'), 'secret'), member(part, 'secret'), member(part, 'token')].some(isSecret));
}

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;

const isSecret = (value: unknown): boolean =>
  value !== undefined && value !== null && !(typeof value === 'string' && readAwsKeyId(value)?.id === value);

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
