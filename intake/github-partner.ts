import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';
import { readAwsKeyId } from '../domain/aws-key-id.ts';
import { OriginPlace, ReportFormat } from '../domain/report.ts';
import { type Finding, type IntakeOptions, type Problem, problem, type ReportDraft, secretOf } from './draft.ts';

/** One of the keys that GitHub signs its secret scanning partners' deliveries with: how GitHub calls it, and PEM. It is configured, so that nothing is fetched when a delivery is verified. */
export interface PartnerKey {
  readonly identifier: string;
  readonly pem: string;
}

/** A delivery as it came. SECRET: the body has the tokens in it that were found. */
export interface PartnerDelivery {
  /** To the byte. */
  readonly body: string | Uint8Array;
  /** `Github-Public-Key-Identifier`. */
  readonly identifier: string;
  /** `Github-Public-Key-Signature`: base64 of an ECDSA signature in DER. */
  readonly signature: string;
}

export type PartnerAnswer = { readonly ok: true } | { readonly ok: false; readonly why: string };

/**
 * Judges whether GitHub has signed a partner's delivery: ECDSA over P-256 with SHA-256, by the key that the delivery names and that we were given
 * (https://docs.github.com/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program).
 *
 * It shows that GitHub found such a text in public and nothing more. That somebody has committed a text shows that they had it: of a whole token that is worth much, of a mere identifier, which anybody may
 * know, nothing.
 */
export function verifyPartner(keys: readonly PartnerKey[], { body, identifier, signature }: PartnerDelivery): PartnerAnswer {
  const none = (why: string): PartnerAnswer => ({ ok: false, why });
  const key = keys.find((each) => each.identifier === identifier);
  if (key === undefined) return none('the delivery names a key that is not configured');
  const publicKey = p256(key.pem);
  if (publicKey === undefined) return none('the configured key is no public key of P-256');
  const bytes = Buffer.from(signature, 'base64');
  // A decoder that skips what it does not know would let one signature pass in many spellings, and each would count as new.
  if (bytes.length === 0 || bytes.toString('base64') !== signature) return none('the signature is not base64');
  const signed = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
  try {
    return verify('sha256', signed, publicKey, bytes) ? { ok: true } : none('the signature does not hold');
  } catch {
    return none('the signature does not hold');
  }
}

function p256(pem: string): KeyObject | undefined {
  try {
    const key = createPublicKey(pem);
    return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : undefined;
  } catch {
    return undefined;
  }
}

const described = z.string().nullish().catch(undefined);
const entrySchema = z.looseObject({ token: z.string(), type: z.string(), url: described, source: described });

/** Whether a value has the look of one finding in a partner's delivery. */
export function isGithubPartner(value: object): boolean {
  return entrySchema.safeParse(value).success && !('secret_type' in value) && !('alert' in value);
}

/** Reads one finding of a partner's delivery, or says why it cannot be used. The token rides apart, as a secret. */
export function readGithubPartner(value: object): Finding | string {
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) return parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  const { token, type, url, source } = parsed.data;
  const id = readAwsKeyId(token)?.id;
  const secret = id === undefined ? secretOf(token) : undefined;
  if (id === undefined && secret === undefined) return 'the token is masked or empty';
  const [, home, commit, file] =
    /^(https:\/\/[^/]+\/[^/]+\/[^/]+)\/(?:blob|commit|raw)\/([0-9a-f]{7,64})(?:\/([^?#]+))?/.exec(url ?? '') ?? [];
  return {
    format: ReportFormat.GITHUB_ALERT,
    tool: 'github-partner',
    detector: type,
    ...(id === undefined ? {} : { accessKeyId: id }),
    ...(secret === undefined ? {} : { secret }),
    where: placeOf(source ?? undefined),
    origin: { repository: home, commit, file, url: url ?? undefined },
    // Partners are told of what is public, and of nothing else.
    claims: { publiclyLeaked: true },
    note: `partner alert of type ${type}${source ? `, found in ${source}` : ''}`,
  };
}

function placeOf(source: string | undefined): OriginPlace {
  if (source === undefined || source === 'unknown') return OriginPlace.UNKNOWN;
  if (/^(issue|discussion|pull_request|gist_comment|commit_comment)/.test(source)) return OriginPlace.TICKET;
  return OriginPlace.REPOSITORY;
}

/**
 * The reports of a delivery that GitHub has signed. One that it has not signed gives none, and a problem that says why: what is in it is then whatever somebody sent. Nothing of a delivery travels but the
 * drafts; the signature is over the tokens themselves, so that it cannot be shown to anybody who may not see them. What proves such a report further on is the sealed token, which is tried.
 */
export function partnerReports(
  keys: readonly PartnerKey[],
  delivery: PartnerDelivery,
  read: (
    body: string | Uint8Array,
    options: IntakeOptions,
  ) => { readonly drafts: readonly ReportDraft[]; readonly problems: readonly Problem[] },
  options: IntakeOptions = {},
): { readonly drafts: readonly ReportDraft[]; readonly problems: readonly Problem[] } {
  const answer = verifyPartner(keys, delivery);
  if (!answer.ok) return { drafts: [], problems: [problem(0, 'report.not-a-report', answer.why)] };
  return read(delivery.body, { ...options, format: ReportFormat.GITHUB_ALERT });
}
