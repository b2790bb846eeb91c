import { z } from 'zod';
import { isHash } from './canonical.ts';
import { OriginPlace, type Report, ReportFormat, type Sighting } from './report.ts';

const time = z.iso.datetime({ error: 'expected a time in ISO 8601, UTC' });
const text = (most: number) => z.string().min(1).max(most);

/** What names a credential. Values are identifiers, so short; a secret has no place here, and no schema can tell. */
export const credentialSchema = z.strictObject({
  kind: z
    .string()
    .regex(/^[a-z][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)+$/, 'expected a dotted kind such as aws.access-key')
    .max(120),
  locator: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,40}$/), text(1024))
    .refine((locator) => Object.keys(locator).length > 0, 'expected at least one member'),
});

/** A report as it is sent. */
export const reportSchema = z.strictObject({
  v: z.literal(1),
  id: z.string().regex(/^rpt_[0-9a-z]{26}$/, 'expected rpt_ and 26 lower-case letters and digits'),
  format: z.enum(ReportFormat),
  tool: text(100).exactOptional(),
  credential: credentialSchema,
  account: text(100).exactOptional(),
  origin: z.strictObject({
    where: z.enum(OriginPlace),
    repository: text(500).exactOptional(),
    commit: z
      .string()
      .regex(/^[0-9a-f]{7,64}$/, 'expected a commit')
      .exactOptional(),
    file: text(500).exactOptional(),
    line: z.int().min(1).exactOptional(),
    url: text(1000).exactOptional(),
    author: text(200).exactOptional(),
    committedAt: time.exactOptional(),
  }),
  reporter: text(200),
  seenAt: time,
  sealed: z
    .strictObject({ hash: z.custom<`sha256:${string}`>(isHash, 'expected sha256: and 64 lower-case hexadecimal digits'), keyId: text(200) })
    .exactOptional(),
  claims: z.strictObject({
    validity: z.enum(['active', 'inactive', 'unknown']).exactOptional(),
    publiclyLeaked: z.boolean().exactOptional(),
    severity: text(50).exactOptional(),
  }),
  note: text(2000).exactOptional(),
  signed: z.strictObject({ engine: text(100), at: time }).exactOptional(),
}) satisfies z.ZodType<Report>;

/** The argument of the `sighting` signal. */
export const sightingSchema = z.strictObject({
  report: reportSchema,
  signature: z
    .strictObject({
      payloadType: text(120),
      payload: text(65_536),
      signatures: z.array(z.strictObject({ keyid: text(200), sig: text(400) })).length(1),
    })
    .exactOptional(),
  issuer: z
    .strictObject({
      scheme: z.literal('github-webhook'),
      body: text(49_152),
      signature: z.string().regex(/^sha256=[0-9a-f]{64}$/, 'expected sha256= and 64 digits'),
    })
    .exactOptional(),
}) satisfies z.ZodType<Sighting>;
