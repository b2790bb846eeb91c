import { z } from 'zod';
import { awsKeyIdPattern, readAwsKeyId } from '../domain/aws-key-id.ts';
import { OriginPlace, ReportFormat } from '../domain/report.ts';
import { Secret } from '../domain/secret.ts';
import { type Finding, secretOf } from './draft.ts';

// What decides is strict; what only describes is taken where it has the right type and left out where it has not.
const described = z.string().optional().catch(undefined);
const sourceSchema = z.looseObject({
  commit: described,
  file: described,
  filename: described,
  email: described,
  author: described,
  username: described,
  user: described,
  repository: described,
  bucket: described,
  image: described,
  channel_name: described,
  issue: described,
  page: described,
  hostname: described,
  timestamp: described,
  date: described,
  link: described,
  line: z.number().optional().catch(undefined),
});
const entrySchema = z.looseObject({
  SourceMetadata: z
    .looseObject({ Data: z.record(z.string(), z.unknown()) })
    .nullish()
    .catch(undefined),
  SourceName: described,
  DetectorName: z.string().nullish(),
  DecoderName: described,
  Verified: z.boolean().optional().catch(undefined),
  VerificationError: described,
  Raw: z.string().nullish(),
  RawV2: z.string().nullish(),
  Redacted: z.string().nullish().catch(undefined),
  SecretParts: z.record(z.string(), z.unknown()).nullish().catch(undefined),
  ExtraData: z.record(z.string(), z.unknown()).nullish().catch(undefined),
});

/** TruffleHog's names of sources (pkg/pb/source_metadatapb), lower-case; a source it does not have here is `unknown`. */
const places: Readonly<Record<string, OriginPlace>> = {
  git: OriginPlace.REPOSITORY,
  github: OriginPlace.REPOSITORY,
  githubexperimental: OriginPlace.REPOSITORY,
  githubrealtime: OriginPlace.REPOSITORY,
  gitlab: OriginPlace.REPOSITORY,
  bitbucket: OriginPlace.REPOSITORY,
  gerrit: OriginPlace.REPOSITORY,
  azure: OriginPlace.REPOSITORY,
  azurerepos: OriginPlace.REPOSITORY,
  npm: OriginPlace.REPOSITORY,
  pypi: OriginPlace.REPOSITORY,
  slack: OriginPlace.CHAT,
  slackrealtime: OriginPlace.CHAT,
  slackcontinuous: OriginPlace.CHAT,
  teams: OriginPlace.CHAT,
  jira: OriginPlace.TICKET,
  confluence: OriginPlace.DOCUMENT,
  sharepoint: OriginPlace.DOCUMENT,
  googledrive: OriginPlace.DOCUMENT,
  postman: OriginPlace.DOCUMENT,
  notion: OriginPlace.DOCUMENT,
  huggingface: OriginPlace.MODEL,
  circleci: OriginPlace.LOG,
  travisci: OriginPlace.LOG,
  jenkins: OriginPlace.LOG,
  buildkite: OriginPlace.LOG,
  syslog: OriginPlace.LOG,
  elasticsearch: OriginPlace.LOG,
  filesystem: OriginPlace.HOST,
  docker: OriginPlace.STORE,
  s3: OriginPlace.STORE,
  gcs: OriginPlace.STORE,
  artifactory: OriginPlace.STORE,
  ecr: OriginPlace.STORE,
  vector: OriginPlace.LOG,
};

/** Whether a value has the look of a TruffleHog v3 result, usable or not. */
export function isTrufflehog(value: object): boolean {
  return 'SourceMetadata' in value || 'DetectorName' in value || 'DetectorType' in value;
}

/** TruffleHog writes its log to the same terminal; with both streams in one file its lines stand between the results. */
export function isTrufflehogLog(value: object): boolean {
  return 'level' in value && 'ts' in value && 'msg' in value && !isTrufflehog(value);
}

/** Reads one result of TruffleHog v3 (`--json`), or says why it cannot be used. */
export function readTrufflehog(value: object): Finding | string {
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) return parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  const entry = parsed.data;
  const detector = entry.DetectorName ?? '';
  const raw = plainOf(entry.Raw, entry.DecoderName);
  const rawV2 = plainOf(entry.RawV2, entry.DecoderName);
  const [sourceName, data] = Object.entries(entry.SourceMetadata?.Data ?? {}).find(([, content]) => isRecord(content)) ?? [];
  if (detector === '' && raw === undefined && rawV2 === undefined) return 'neither a detector nor a secret is named';
  const source = sourceSchema.parse(data ?? {});
  const account = typeof entry.ExtraData?.account === 'string' ? entry.ExtraData.account : undefined;
  return {
    format: ReportFormat.TRUFFLEHOG,
    tool: 'trufflehog',
    detector,
    ...(/aws|amazon/i.test(detector)
      ? awsParts(raw, rawV2, entry.SecretParts ?? {}, entry.Redacted ?? undefined)
      : plainSecret(rawV2 ?? raw)),
    ...(account === undefined ? {} : { account }),
    where: places[(sourceName ?? '').toLowerCase()] ?? OriginPlace.UNKNOWN,
    origin: {
      repository: source.repository ?? (source.bucket === undefined ? (source.image ?? source.channel_name) : `s3://${source.bucket}`),
      commit: source.commit,
      file: source.file ?? source.filename ?? source.page ?? source.issue,
      line: source.line,
      url: source.link,
      author: source.email ?? source.author ?? source.username ?? source.user,
      committedAt: source.timestamp ?? source.date,
    },
    // An unverified result was refused, could not be tried or was not tried; the tool does not say which.
    claims: { validity: entry.Verified === true ? 'active' : 'unknown' },
    note: detector === '' ? undefined : `detector ${detector}`,
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Until late 2022 TruffleHog wrote Go byte slices, so base64, and had no `DecoderName`; since then it writes text. */
function plainOf(text: string | null | undefined, decoder: string | undefined): string | undefined {
  if (text === null || text === undefined || text === '') return undefined;
  if (decoder !== undefined || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text) || readAwsKeyId(text) !== undefined)
    return text;
  const bytes = Buffer.from(text, 'base64');
  try {
    const decoded = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return /^[\t\n\r\u0020-\uffff]+$/.test(decoded) ? decoded : text;
  } catch {
    return text;
  }
}

function plainSecret(text: string | undefined): Pick<Finding, 'secret'> {
  const secret = secretOf(text);
  return secret === undefined ? {} : { secret };
}

/**
 * The parts of an AWS finding: `Raw` is the key id; `RawV2` the id and the secret, since 2024 with a colon between them and, for a session, the
 * session token after another; `SecretParts` has them apart.
 */
function awsParts(
  raw: string | undefined,
  rawV2: string | undefined,
  parts: Readonly<Record<string, unknown>>,
  redacted: string | undefined,
): Pick<Finding, 'secret' | 'accessKeyId'> {
  const texts = [rawV2, raw, ...Object.values(parts), redacted].filter((text) => typeof text === 'string');
  const accessKeyId = texts
    .map((text) => /^(?:AKIA|ASIA|ABIA)[A-Z0-9]{16}/.exec(text)?.[0] ?? awsKeyIdPattern.exec(text)?.[0])
    .find((id) => id);
  if (accessKeyId === undefined) return plainSecret(rawV2 ?? raw);
  let secret: string | undefined;
  let sessionToken: string | undefined;
  for (const text of texts) {
    const rest = text.startsWith(accessKeyId) ? text.slice(accessKeyId.length).replace(/^:/, '') : text;
    for (const part of rest.split(':')) {
      if (/^[A-Za-z0-9/+]{40}$/.test(part)) secret ??= part;
      else if (part.length > 60 && /^[A-Za-z0-9/+=]+$/.test(part)) sessionToken ??= part;
    }
  }
  return { accessKeyId, ...(secret === undefined ? {} : { secret: awsSecret(secret, sessionToken) }) };
}

/** The secret of an AWS key as it is sealed: a long-term key's alone, a session's with its token. */
export function awsSecret(secretAccessKey: string, sessionToken?: string): Secret {
  return new Secret(sessionToken === undefined ? secretAccessKey : JSON.stringify({ secretAccessKey, sessionToken }));
}
