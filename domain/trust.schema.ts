import { z } from 'zod';
import { isHash } from './canonical.ts';
import { type Edition, KeyRole, type People, type Trust } from './trust.ts';

const time = z.iso.datetime({ error: 'expected a time in ISO 8601, UTC, such as 2026-01-31T00:00:00.000Z' });
const hash = z.custom<`sha256:${string}`>(isHash, 'expected sha256: and 64 lower-case hexadecimal digits');
const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$/, 'expected 1 to 100 letters, digits and . _ @ -, with a letter or digit first');
const bytes = (count: number) =>
  z.string().refine((text) => {
    const raw = Buffer.from(text, 'base64');
    return raw.length === count && raw.toString('base64') === text;
  }, `expected ${count} bytes in base64`);

/** A key as `key new` prints its public half and as the trust file lists it. */
export const trustedKeySchema = z
  .strictObject({
    id: z.string().min(1).max(200),
    role: z.enum(KeyRole),
    public: bytes(32),
    from: time,
    until: time,
    provider: z.string().min(1).exactOptional(),
    account: z.string().min(1).exactOptional(),
    person: name.exactOptional(),
  })
  .superRefine((value, context) => {
    const bound = value.role === KeyRole.WORKER || value.role === KeyRole.SEALING;
    for (const part of ['provider', 'account'] as const) {
      if (bound !== (value[part] !== undefined)) {
        context.addIssue({
          code: 'custom',
          path: [part],
          message: bound ? `a ${value.role} key needs one` : `a ${value.role} key has none`,
        });
      }
    }
    if ((value.role === KeyRole.PERSON) !== (value.person !== undefined)) {
      context.addIssue({ code: 'custom', path: ['person'], message: 'a person key has one, and no other key does' });
    }
    if (!(Date.parse(value.from) < Date.parse(value.until))) {
      context.addIssue({ code: 'custom', path: ['until'], message: 'the period ends before it begins' });
    }
  });

const trust = z
  .strictObject({
    v: z.literal(1),
    engine: z.string().regex(/^eng_[a-z0-9]{4,64}$/, 'expected eng_ and 4 to 64 lower-case letters and digits'),
    serial: z.int().min(1),
    previous: hash.exactOptional(),
    proposedBy: name.exactOptional(),
    issuedAt: time,
    keys: z.array(trustedKeySchema).min(1),
    people: hash,
    code: z.array(hash),
  })
  .superRefine((value, context) => {
    // One id or one key in two roles would let a worker pass for a judge.
    for (const part of ['id', 'public'] as const) {
      const seen = new Set<string>();
      value.keys.forEach((entry, index) => {
        if (seen.has(entry[part]))
          context.addIssue({ code: 'custom', path: ['keys', index, part], message: 'stands for another key already' });
        seen.add(entry[part]);
      });
    }
  }) satisfies z.ZodType<Trust>;

const signature = z.strictObject({ keyid: z.string().min(1).max(200), sig: bytes(64) });
const countersignatures = z.array(signature).max(20);

/** trust.yaml: the trust, the root's one signature over it, and those of the persons who want it. */
export const trustFileSchema = z.strictObject({
  trust,
  signatures: z.tuple([signature]),
  countersignatures: countersignatures.exactOptional(),
});

/** people.yaml. */
export const peopleSchema = z
  .strictObject({
    v: z.literal(1),
    people: z.array(
      z.strictObject({
        id: name,
        name: z.string().min(1),
        roles: z.array(name),
        contact: z.string().exactOptional(),
        delegates: z.array(name).exactOptional(),
      }),
    ),
  })
  .superRefine((value, context) => {
    const ids = new Set<string>();
    value.people.forEach((person, index) => {
      if (ids.has(person.id)) context.addIssue({ code: 'custom', path: ['people', index, 'id'], message: 'somebody else goes by that id' });
      ids.add(person.id);
    });
    value.people.forEach((person, index) => {
      person.delegates?.forEach((delegate, at) => {
        if (!ids.has(delegate))
          context.addIssue({ code: 'custom', path: ['people', index, 'delegates', at], message: 'nobody here goes by that id' });
      });
    });
  }) satisfies z.ZodType<People>;

/** An edition of the trust in one file, as it goes from hand to hand before it is published, and as it is kept afterwards. A draft bears no signature of the root yet. */
export const editionSchema = z.strictObject({
  trust,
  people: peopleSchema,
  signatures: z.array(signature).max(1),
  countersignatures,
}) satisfies z.ZodType<Edition>;
