import { createHash, createPublicKey, verify } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { fault } from '../domain/errors.ts';
import type { ProviderManifest } from '../domain/manifest.ts';
import type { Plan } from '../domain/plan.ts';
import type { AnyRecord } from '../domain/record-bodies.ts';
import { type BundleFiles, textOf } from './bundle.ts';

/**
 * The provider's own log as a witness of a bundle. CloudTrail delivers log files and, every hour and Region, a signed digest file that names them by their hashes and the digest before it
 * (AWS CloudTrail User Guide, "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file integrity validation"). Only events of files that a signed digest
 * names count here; whoever could write into the bucket can add others.
 */

/** One event of the log, as far as it is compared. Nothing else of it is kept: answers hold session tokens. */
export interface TrailEvent {
  readonly requestId: string;
  readonly name: string;
  readonly source: string;
  /** ISO, by the provider's clock. */
  readonly at: string;
  readonly changes: boolean;
  readonly refused: boolean;
  /** Who called: its ARN. */
  readonly caller: string;
  /** Values of the request's parameters that are plain text. */
  readonly about: readonly string[];
}

/** What a folder of log and digest files vouches for. */
export interface Trail {
  readonly events: readonly TrailEvent[];
  /** Spans that signed digests cover without a hole, by Region: from and to, ISO. */
  readonly spans: Readonly<Record<string, readonly { readonly from: string; readonly to: string }[]>>;
  readonly logFiles: number;
  readonly digests: number;
  /** What is not as CloudTrail signed it. */
  readonly problems: readonly string[];
  /** What could not be checked and therefore does not count. */
  readonly notes: readonly string[];
}

/** What the log says of a bundle. `unknown`: it does not reach as far as would be needed, which is neither yes nor no. */
export interface TrailClaim {
  readonly kind: 'log-files' | 'witnessed' | 'accounted';
  readonly claim: string;
  readonly state: 'yes' | 'no' | 'unknown';
  readonly words: string;
}

const described = z.string().nullish();
const digestSchema = z.looseObject({
  digestStartTime: z.string(),
  digestEndTime: z.string(),
  digestS3Bucket: z.string(),
  digestS3Object: z.string(),
  digestPublicKeyFingerprint: z.string(),
  digestSignatureAlgorithm: z.literal('SHA256withRSA'),
  previousDigestS3Object: described,
  previousDigestHashValue: described,
  previousDigestSignature: described,
  logFiles: z.array(z.looseObject({ s3Object: z.string(), hashValue: z.string(), hashAlgorithm: z.literal('SHA-256') })),
});
const keysSchema = z.looseObject({
  PublicKeyList: z.array(z.looseObject({ Value: z.string(), Fingerprint: z.string() })),
});
const logSchema = z.looseObject({
  Records: z.array(
    z.looseObject({
      eventTime: z.string(),
      eventName: z.string(),
      eventSource: z.string(),
      requestID: described,
      readOnly: z.union([z.boolean(), z.string()]).nullish(),
      errorCode: described,
      userIdentity: z.looseObject({ arn: described, accessKeyId: described }).nullish(),
      requestParameters: z.record(z.string(), z.unknown()).nullish(),
    }),
  ),
});

const most = { files: 100_000, bytes: 256 * 1024 * 1024 } as const;
/** Where the public keys are looked for: the answer of `aws cloudtrail list-public-keys`. */
export const publicKeysFile = 'public-keys.json';
/** What stands after a digest's name where its own signature is kept, in hexadecimal: S3 keeps it as the object's metadata, which a download loses. */
export const signatureEnding = '.signature';

interface Digest {
  readonly file: string;
  readonly region: string;
  readonly hash: string;
  readonly body: z.output<typeof digestSchema>;
  readonly backfill: boolean;
  readonly signature: string | undefined;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Reads a folder as it was copied from the bucket, at whatever depth. Throws `file.missing` or `file.unreadable`; what does not hold is a problem and no error. */
export function readTrail(folder: string): Trail {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) throw fault('file.missing', { file: folder });
  if (!stat.isDirectory()) throw fault('file.unreadable', { file: folder, why: 'not a folder of log files' });
  const files = filesBelow(folder);
  const keysPath = join(folder, publicKeysFile);
  if (!existsSync(keysPath))
    throw fault('file.missing', {
      file: keysPath,
      why: 'the keys that digests are signed with: `aws cloudtrail list-public-keys --start-time … --end-time … > public-keys.json`, once for each Region, with their lists put together',
    });
  const parsedKeys = keysSchema.safeParse(jsonOf(readFileSync(keysPath)));
  if (!parsedKeys.success) throw fault('file.unreadable', { file: keysPath, why: 'not the answer of list-public-keys' });
  const keys = new Map(parsedKeys.data.PublicKeyList.map((each) => [each.Fingerprint, each.Value]));

  const problems: string[] = [];
  const notes: string[] = [];
  const digests: Digest[] = [];
  const logs = new Map<string, string>();
  for (const name of files) {
    if (!name.endsWith('.json.gz')) continue;
    if (!/_CloudTrail-Digest_/.test(name)) {
      logs.set(name, join(folder, name));
      continue;
    }
    const bytes = inflated(join(folder, name));
    const body = bytes && digestSchema.safeParse(jsonOf(bytes));
    if (!bytes || !body?.success) {
      problems.push(`${name} is no digest file`);
      continue;
    }
    const signaturePath = join(folder, `${name}${signatureEnding}`);
    digests.push({
      file: name,
      region: /_CloudTrail-Digest_([a-z0-9-]+)_/.exec(name)?.[1] ?? '',
      hash: sha256(bytes),
      body: body.data,
      backfill: name.endsWith('_backfill.json.gz'),
      signature: existsSync(signaturePath) ? readFileSync(signaturePath, 'utf8').trim() : undefined,
    });
  }

  const good = vouched(digests, keys, problems, notes);
  const events: TrailEvent[] = [];
  const counted = new Set<string>();
  for (const { body, file } of good) {
    for (const { s3Object, hashValue } of body.logFiles) {
      const name = [...suffixesOf(s3Object)].find((each) => logs.has(each));
      if (name === undefined) {
        problems.push(`${s3Object}, which ${file} names, is not there`);
        continue;
      }
      if (counted.has(name)) continue;
      counted.add(name);
      const bytes = inflated(logs.get(name) as string);
      if (!bytes || sha256(bytes) !== hashValue.toLowerCase()) {
        problems.push(`${name} is not the file that ${file} names`);
        continue;
      }
      const log = logSchema.safeParse(jsonOf(bytes));
      if (!log.success) problems.push(`${name} holds no records of CloudTrail`);
      else events.push(...log.data.Records.map(eventOf));
    }
  }
  const strangers = [...logs.keys()].filter((name) => !counted.has(name)).length;
  if (strangers > 0) notes.push(`${strangers} log file${strangers === 1 ? '' : 's'} that no signed digest names: not counted`);
  return { events, spans: spansOf(good), logFiles: counted.size, digests: good.length, problems, notes };
}

/** Digests whose signature holds: by itself, or by the one after it, which repeats it and names its hash. */
function vouched(digests: readonly Digest[], keys: ReadonlyMap<string, string>, problems: string[], notes: string[]): readonly Digest[] {
  const good: Digest[] = [];
  for (const digest of digests) {
    const { body, file } = digest;
    if (![...suffixesOf(body.digestS3Object)].includes(file)) {
      problems.push(`${file} says that it is ${body.digestS3Object}`);
      continue;
    }
    const next = digests.find((each) => !each.backfill && each.body.previousDigestS3Object === body.digestS3Object);
    if (next?.body.previousDigestHashValue && next.body.previousDigestHashValue.toLowerCase() !== digest.hash) {
      problems.push(`${file} is not the digest that ${next.file} follows`);
      continue;
    }
    const signature = digest.signature ?? next?.body.previousDigestSignature ?? undefined;
    if (signature === undefined) {
      notes.push(`${file} has neither a signature beside it (${signatureEnding}) nor a digest after it: it does not count`);
      continue;
    }
    const key = keys.get(body.digestPublicKeyFingerprint);
    if (key === undefined) {
      notes.push(`${file} is signed with key ${body.digestPublicKeyFingerprint}, which is not in ${publicKeysFile}: it does not count`);
      continue;
    }
    if (!isSigned(digest, signature, key)) problems.push(`${file} does not bear the signature of CloudTrail`);
    else good.push(digest);
  }
  return good;
}

/** The text that CloudTrail signs: end of the digest's hour, where it is kept, its hash, and the signature of the one before. */
export function signedTextOf(digest: {
  readonly digestEndTime: string;
  readonly digestS3Bucket: string;
  readonly digestS3Object: string;
  readonly hash: string;
  readonly previousDigestSignature?: string | null | undefined;
}): string {
  const { digestEndTime, digestS3Bucket, digestS3Object, hash, previousDigestSignature } = digest;
  return [digestEndTime, `${digestS3Bucket}/${digestS3Object}`, hash, previousDigestSignature ?? 'null'].join('\n');
}

function isSigned(digest: Digest, signature: string, key: string): boolean {
  try {
    const publicKey = createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs1' });
    const { digestEndTime, digestS3Bucket, digestS3Object, previousDigestSignature } = digest.body;
    const text = signedTextOf({ digestEndTime, digestS3Bucket, digestS3Object, previousDigestSignature, hash: digest.hash });
    return verify('sha256', Buffer.from(text), publicKey, Buffer.from(signature, 'hex'));
  } catch {
    return false;
  }
}

/** Hours of signed digests that join; a Region's hours begin where the digest before ended. */
function spansOf(digests: readonly Digest[]): Trail['spans'] {
  const spans: Record<string, { from: string; to: string }[]> = {};
  const inOrder = digests
    .filter((each) => !each.backfill)
    .sort((a, b) => Date.parse(a.body.digestEndTime) - Date.parse(b.body.digestEndTime));
  for (const { region, body } of inOrder) {
    spans[region] ??= [];
    const list = spans[region];
    const last = list.at(-1);
    if (last && Date.parse(body.digestStartTime) <= Date.parse(last.to)) last.to = body.digestEndTime;
    else list.push({ from: body.digestStartTime, to: body.digestEndTime });
  }
  return spans;
}

function eventOf(record: z.output<typeof logSchema>['Records'][number]): TrailEvent {
  return {
    requestId: record.requestID ?? '',
    name: record.eventName,
    source: record.eventSource,
    at: new Date(record.eventTime).toISOString(),
    changes: record.readOnly === false || record.readOnly === 'false',
    refused: typeof record.errorCode === 'string',
    caller: record.userIdentity?.arn ?? record.userIdentity?.accessKeyId ?? '',
    about: Object.values(record.requestParameters ?? {}).filter(
      (value): value is string => typeof value === 'string' && value.length <= 200,
    ),
  };
}

/** Actions of the log by which a responder becomes somebody else, and of which no bundle speaks: they change nothing of the account's. */
const becoming: readonly string[] = ['AssumeRole', 'GetSessionToken', 'GetFederationToken'];

/**
 * Holds a bundle against a log. Every step of the provider that says `changed` has left a change in the log under one of its request ids; and every change in the log that the same identity
 * made to what this incident touched stands in the bundle. What the log does not reach is *unknown*.
 */
export function matchTrail(files: BundleFiles, trail: Trail, manifest: ProviderManifest): readonly TrailClaim[] {
  const records = recordsIn(files);
  const prefix = `${manifest.name}/`;
  const watches = new Set(manifest.actions.flatMap((each) => (each.watches ? [`${prefix}${each.name}`] : [])));
  const steps = records.flatMap((each) =>
    each.type === 'step' && each.body.action.startsWith(prefix) && !watches.has(each.body.action) ? [each] : [],
  );
  const plans = records.flatMap((each) => (each.type === 'plan' ? [each.body as Plan] : []));
  const known = new Set(records.flatMap((each) => ('requestIds' in each.body ? (each.body.requestIds as readonly string[]) : [])));
  const changes = trail.events.filter((each) => each.changes && !each.refused && !becoming.includes(each.name));
  const byRequest = new Map(changes.map((each) => [each.requestId, each]));

  const missing: string[] = [];
  const beyond: string[] = [];
  const identities = new Set<string>();
  let witnessed = 0;
  for (const { at, body } of steps) {
    const event = body.requestIds.map((id) => byRequest.get(id)).find((each) => each !== undefined);
    if (event) identities.add(event.caller);
    if (body.outcome !== 'changed') continue;
    const when = body.clocks?.acceptedAt ?? at;
    const words = `${body.direction} of ${body.step} (${body.action}) at ${when}`;
    if (event) witnessed++;
    else if (covered(trail, when)) missing.push(words);
    else beyond.push(words);
  }

  const touched = new Set(
    plans.flatMap(({ steps: planned }) =>
      planned.flatMap(({ provider, target }) =>
        provider === manifest.name ? Object.entries(target).flatMap(([name, value]) => (name === 'account' ? [] : [value])) : [],
      ),
    ),
  );
  for (const { body } of steps) for (const value of Object.values(body.made ?? {})) touched.add(value);
  const times = steps.map(({ at, body }) => Date.parse(body.clocks?.acceptedAt ?? at));
  const from = Math.min(...times) - slackMs;
  const to = Math.max(...times) + slackMs;
  const strange = changes.filter(
    (each) =>
      identities.has(each.caller) &&
      each.about.some((value) => touched.has(value)) &&
      !known.has(each.requestId) &&
      Date.parse(each.at) >= from &&
      Date.parse(each.at) <= to,
  );
  // Hours that no signed digest covers may hold what is not seen here.
  const whole = steps.length === 0 || (trail.problems.length === 0 && coversAll(trail, Math.min(...times), Math.max(...times)));
  const others = changes.filter((each) => !identities.has(each.caller) && each.about.some((value) => touched.has(value)));
  return [
    {
      kind: 'log-files',
      claim: 'every log file is one that a signed digest names',
      state: trail.problems.length > 0 ? 'no' : trail.digests === 0 ? 'unknown' : 'yes',
      words:
        trail.problems.length > 0
          ? few(trail.problems)
          : [
              `${trail.logFiles} log files by ${trail.digests} signed digests, ${trail.events.length} events`,
              ...trail.notes.slice(0, 3),
            ].join('; '),
    },
    {
      kind: 'witnessed',
      claim: 'every change of the bundle is in the log of the provider, under its own request id',
      state: missing.length > 0 ? 'no' : beyond.length > 0 ? 'unknown' : 'yes',
      words:
        missing.length > 0
          ? `the log does not know the ${few(missing)}`
          : beyond.length > 0
            ? `the log does not reach to the ${few(beyond)}; ${witnessed} are in it`
            : `${witnessed} changes`,
    },
    {
      kind: 'accounted',
      claim: 'every change that the same identity made to what this incident touched is in the bundle',
      state: strange.length > 0 ? 'no' : (identities.size === 0 && steps.length > 0) || !whole ? 'unknown' : 'yes',
      words:
        strange.length > 0
          ? `the bundle does not know ${few(strange.map((each) => `${each.name} at ${each.at} on ${each.about.filter((value) => touched.has(value)).join(', ')} (request ${each.requestId})`))}`
          : identities.size === 0 && steps.length > 0
            ? 'no change of the bundle is in the log, so that nobody knows as whom it acted'
            : !whole
              ? 'the log has holes between the first change of the bundle and its last'
              : `by ${[...identities].join(', ') || 'nobody'}; others changed the same things ${others.length} times`,
    },
  ];
}

/** How far the clocks of the provider's log and of its answers may be apart, in milliseconds. */
const slackMs = 300_000;

/** Where the events of IAM and Organizations are delivered, whatever Region a call came from: one Region in each partition. */
const globalRegions: readonly string[] = ['us-east-1', 'us-gov-west-1', 'cn-north-1'];

/** Whether the log reaches a moment: the digests of the Region of global services do. Of other Regions they would say nothing about a change of IAM. */
function covered(trail: Trail, at: string): boolean {
  const time = Date.parse(at);
  return globalRegions.some((region) =>
    (trail.spans[region] ?? []).some((each) => Date.parse(each.from) <= time && time <= Date.parse(each.to)),
  );
}

/** Whether one unbroken span of the Region of global services reaches from one moment to another. */
function coversAll(trail: Trail, from: number, to: number): boolean {
  return globalRegions.some((region) =>
    (trail.spans[region] ?? []).some((each) => Date.parse(each.from) <= from && to <= Date.parse(each.to)),
  );
}

function recordsIn(files: BundleFiles): readonly AnyRecord[] {
  return [...files].flatMap(([path, bytes]) => {
    if (!path.startsWith('records/')) return [];
    const envelope = jsonOf(bytes) as { payload?: unknown } | undefined;
    if (typeof envelope?.payload !== 'string') return [];
    const record = jsonOf(Buffer.from(envelope.payload, 'base64')) as AnyRecord | undefined;
    return record?.body ? [record] : [];
  });
}

const few = (words: readonly string[]): string =>
  `${words.slice(0, 3).join('; ')}${words.length > 3 ? `; and ${words.length - 3} more` : ''}`;

/** An object's name without the folders above, one after the other: what was copied from a bucket may have been copied from anywhere within it. */
function* suffixesOf(object: string): Generator<string> {
  const parts = object.split('/');
  for (let at = 0; at < parts.length; at++) yield parts.slice(at).join('/');
}

function filesBelow(folder: string): readonly string[] {
  const names: string[] = [];
  const walk = (below: string): void => {
    for (const entry of readdirSync(join(folder, below), { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = below === '' ? entry.name : `${below}/${entry.name}`;
      // A link may lead out of the folder, to files that nobody copied from the bucket.
      if (entry.isSymbolicLink()) continue;
      if (entry.isDirectory()) walk(name);
      else if (entry.isFile()) names.push(name);
      if (names.length > most.files)
        throw fault('file.unreadable', { file: folder, why: `more than ${most.files} files; give the days that matter` });
    }
  };
  walk('');
  return names;
}

function inflated(path: string): Uint8Array | undefined {
  try {
    return gunzipSync(readFileSync(path), { maxOutputLength: most.bytes });
  } catch {
    return undefined;
  }
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes) ?? '');
  } catch {
    return undefined;
  }
}
