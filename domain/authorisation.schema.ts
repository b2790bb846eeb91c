import { z } from 'zod';
import { longestAuthorisationMs, type SignedAuthorisation } from './authorisation.ts';
import { parseYaml } from './file.schema.ts';

const time = z.iso.datetime({ error: 'expected a time in ISO 8601, UTC, such as 2026-01-31T00:00:00.000Z' });
const text = z.string().min(1).max(500);

const authorisationSchema = z
  .strictObject({
    v: z.literal(1),
    engine: text,
    id: z.string().regex(/^auth_[a-z0-9]{4,64}$/, 'expected auth_ and 4 to 64 lower-case letters and digits'),
    kinds: z.array(z.string().regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'expected a kind such as github.token')).min(1),
    perHour: z.int().min(1).max(10_000),
    cascadeMs: z.int().min(0),
    reason: text,
    notBefore: time,
    expires: time,
  })
  .superRefine((value, context) => {
    const lasts = Date.parse(value.expires) - Date.parse(value.notBefore);
    if (!(lasts > 0)) context.addIssue({ code: 'custom', path: ['expires'], message: 'it ends before it begins' });
    if (lasts > longestAuthorisationMs) context.addIssue({ code: 'custom', path: ['expires'], message: 'it lasts longer than 400 days' });
  });

const signedSchema = z.strictObject({
  authorisation: authorisationSchema,
  signatures: z.array(z.strictObject({ keyid: text, sig: text })).max(20),
});

const fileSchema = z.strictObject({ authorisations: z.array(signedSchema).max(100) });

/** Parses one authorisation with its signatures. Throws `file.syntax` or `file.invalid` with line and column. Says nothing of the signatures. */
export function parseAuthorisation(text: string, file: string): SignedAuthorisation {
  return parseYaml(text, file, signedSchema);
}

/** Parses the file of the authorisations in force. Throws as {@link parseAuthorisation} does. */
export function parseAuthorisations(text: string, file: string): readonly SignedAuthorisation[] {
  return parseYaml(text, file, fileSchema).authorisations;
}
