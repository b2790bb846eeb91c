import { createHash, createHmac } from 'node:crypto';
import { hashOf } from '../domain/canonical.ts';
import type { CredentialRef } from '../domain/credential.ts';
import { type ErrorCode, registry } from '../domain/errors.ts';
import type { OriginPlace, Report, ReportFormat } from '../domain/report.ts';
import { Secret } from '../domain/secret.ts';
import { identify, isIdentifier } from './identify.ts';
import type { Scrubber } from './scrub.ts';

/**
 * A report before it is sent: without id and reporter, and with the secret itself where there is one. The client seals the secret and drops it. For
 * `aws.access-key` the secret is the secret access key alone; for `aws.session` it is JSON of `secretAccessKey` and `sessionToken`.
 */
export interface ReportDraft extends Omit<Report, 'id' | 'reporter' | 'sealed'> {
  readonly secret?: Secret;
}

/** One thing that could not be used. `entry` counts from 1; 0 is the text as a whole. Quotes nothing of the text that could be secret. */
export interface Problem {
  readonly entry: number;
  readonly line?: number;
  readonly column?: number;
  readonly code: ErrorCode;
  readonly words: string;
  readonly remedy: string;
}

export function problem(
  entry: number,
  code: ErrorCode,
  words: string,
  place?: { readonly line: number; readonly column: number },
): Problem {
  return { entry, ...(place === undefined ? {} : place), code, words, remedy: registry[code].remedy };
}

/** What a whole text is read with. What a person states here goes before what the format implies. */
export interface IntakeOptions {
  readonly format?: ReportFormat;
  readonly where?: OriginPlace;
  readonly repository?: string;
  readonly url?: string;
  readonly note?: string;
  readonly keyId?: string;
  /** The fingerprint key that is published to reporters; without it a secret that names no credential is known by its place only. */
  readonly fingerprintKey?: Uint8Array;
  /** ISO, UTC; when the report was seen, where it does not say. By default now. */
  readonly seenAt?: string;
}

/** What a format's reader makes of one entry. Texts are as they came; they are scrubbed when the draft is made. */
export interface Finding {
  readonly format: ReportFormat;
  readonly tool: string;
  /** What the tool calls the thing it found. */
  readonly detector: string;
  readonly secret?: Secret;
  readonly accessKeyId?: string;
  readonly account?: string;
  readonly where: OriginPlace;
  readonly origin: {
    readonly repository?: string | undefined;
    readonly commit?: string | undefined;
    readonly file?: string | undefined;
    readonly line?: number | undefined;
    readonly url?: string | undefined;
    readonly author?: string | undefined;
    readonly committedAt?: string | undefined;
  };
  /** Names an alert that holds no secret, for as long as nothing better does. */
  readonly alert?: string;
  readonly seenAt?: string | undefined;
  readonly claims: Report['claims'];
  readonly note?: string | undefined;
  /** Text the tool quoted around the finding; looked at for the other half of a pair, and never kept. */
  readonly context?: Secret;
}

const present = <T extends object>(object: T): { [K in keyof T]-?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined && value !== '')) as {
    [K in keyof T]-?: Exclude<T[K], undefined>;
  };

/** Tells a scrubber of everything secret in a finding. */
export function learnFrom(finding: Finding, scrubber: Scrubber): void {
  const text = finding.secret?.reveal();
  // A key id that a tool found names the credential; it is what the report is about and stays readable.
  if (text === undefined || isIdentifier(text)) return;
  scrubber.learn(text);
  for (const part of secretParts(text)) scrubber.learn(part);
}

function secretParts(text: string): string[] {
  if (!text.startsWith('{')) return [];
  try {
    return Object.values(JSON.parse(text) as Record<string, unknown>).filter((part) => typeof part === 'string');
  } catch {
    return [];
  }
}

/** The draft of a finding. All its texts are scrubbed of all that the scrubber knows; the secret rides apart. */
export function draftOf(finding: Finding, options: IntakeOptions, scrubber: Scrubber): ReportDraft {
  const { origin } = finding;
  const clean = (text: string | undefined, limit?: number) => (text === undefined ? undefined : scrubber.clean(text, limit));
  const repository = clean(options.repository ?? origin.repository);
  const commit = origin.commit !== undefined && /^[0-9a-fA-F]{7,64}$/.test(origin.commit) ? origin.commit.toLowerCase() : undefined;
  const line = origin.line !== undefined && Number.isSafeInteger(origin.line) && origin.line > 0 ? origin.line : undefined;
  const kept = present({
    where: options.where ?? finding.where,
    repository,
    commit,
    file: clean(origin.file),
    line,
    url: clean(options.url ?? origin.url, 1000),
    author: clean(origin.author, 200),
    committedAt: isoOf(origin.committedAt),
  }) as Report['origin'];
  const { credential, account, secret } = credentialOf(finding, kept, options, scrubber);
  const note = clean(options.note ?? finding.note, 2000);
  return {
    v: 1,
    format: finding.format,
    tool: scrubber.clean(finding.tool, 100),
    credential,
    ...(account === undefined ? {} : { account }),
    origin: kept,
    seenAt: isoOf(finding.seenAt) ?? options.seenAt ?? new Date().toISOString(),
    claims: present({ ...finding.claims, severity: clean(finding.claims.severity, 50) }) as Report['claims'],
    ...(note === undefined || note === '' ? {} : { note }),
    ...(secret === undefined ? {} : { secret }),
  };
}

function credentialOf(
  finding: Finding,
  origin: Report['origin'],
  options: IntakeOptions,
  scrubber: Scrubber,
): { readonly credential: CredentialRef; readonly account?: string; readonly secret?: Secret } {
  const identified = finding.accessKeyId === undefined ? undefined : identify(finding.accessKeyId);
  const secret = finding.secret;
  if (identified !== undefined) {
    const account = identified.account ?? (finding.account !== undefined && /^\d{12}$/.test(finding.account) ? finding.account : undefined);
    return {
      credential: identified.credential,
      ...(account === undefined ? {} : { account }),
      ...(secret === undefined ? {} : { secret }),
    };
  }
  const own = secret === undefined ? undefined : identify(secret.reveal());
  // A secret whose own system names it needs no name of ours, and whoever finds it finds the same credential.
  if (secret !== undefined && own !== undefined && own.provider !== 'aws' && Object.keys(own.credential.locator).length > 0) {
    return {
      credential: own.credential,
      ...(own.account === undefined ? {} : { account: own.account }),
      // What only names a credential is no secret of it.
      ...(isIdentifier(secret.reveal()) ? {} : { secret }),
    };
  }
  const kind = manualKind(finding, scrubber);
  if (secret !== undefined && options.fingerprintKey !== undefined) {
    return { credential: { kind, locator: { hmac: fingerprintOfSecret(secret, options.fingerprintKey) } }, secret };
  }
  const locator: Record<string, string> =
    finding.alert !== undefined
      ? { alert: scrubber.clean(finding.alert, 500) }
      : { place: hashOf({ origin, kind }).slice('sha256:'.length) };
  return { credential: { kind, locator }, ...(secret === undefined ? {} : { secret }) };
}

/** SECRET: HMAC-SHA-256 of the secret's SHA-256 under the fingerprint key, as 64 digits. Without the key it cannot be tried against a word list. */
export function fingerprintOfSecret(secret: Secret, key: Uint8Array): string {
  return createHmac('sha256', key).update(createHash('sha256').update(secret.reveal()).digest()).digest('hex');
}

/** A shape that all tools agree on goes before a tool's own word for it, so that two tools' findings of one secret are one credential. */
function manualKind(finding: Finding, scrubber: Scrubber): string {
  const shape = finding.secret === undefined ? undefined : identify(finding.secret.reveal())?.credential.kind;
  if (shape !== undefined) return shape;
  const slug = scrubber
    .clean(finding.detector, 60)
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .replace(/^[-_]+|[-_]+$/g, '');
  return `manual.${slug === '' ? 'unidentified' : slug}`;
}

/** ISO and UTC of a moment that a tool wrote, with seconds and an offset; undefined where it is none, or is one of the zero dates tools write. */
export function isoOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))? ?(Z|[+-]\d\d:?\d\d)/.exec(text.trim());
  if (match === null) return undefined;
  const [, date, time, fraction, zone = 'Z'] = match;
  const offset = zone === 'Z' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(-2)}`;
  const moment = new Date(`${date}T${time}.${(fraction ?? '0').padEnd(3, '0').slice(0, 3)}${offset}`);
  return Number.isNaN(moment.getTime()) || moment.getUTCFullYear() < 1980 ? undefined : moment.toISOString();
}

/** A secret out of a text that a tool gave; undefined for an empty or a masked one. */
export function secretOf(text: string | null | undefined): Secret | undefined {
  if (text === null || text === undefined || isMasked(text)) return undefined;
  return new Secret(text);
}

/** Whether a tool has put a mask in place of the secret: `REDACTED`, stars or crosses, or a beginning followed by dots. */
export function isMasked(text: string): boolean {
  const trimmed = text.trim();
  return (
    trimmed === '' ||
    /redacted/i.test(trimmed) ||
    /^(.)\1{3,}$/.test(trimmed) ||
    /(?:\.\.\.|…|\*{3,})$/.test(trimmed) ||
    /^\*{3,}/.test(trimmed)
  );
}
