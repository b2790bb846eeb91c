import { z } from 'zod';

/**
 * What a team's endpoint is asked to do. Each is a POST to `<url>/<operation>` with a signed body that names the operation again: the signature of Standard Webhooks covers the body and not the path, so that
 * a body signed for one operation could else be sent to another.
 */
export const Operation = {
  CAPABILITIES: 'capabilities',
  IDENTIFY: 'identify',
  CHECK: 'check',
  CONTAIN: 'contain',
  UNCONTAIN: 'uncontain',
  MINT: 'mint',
  ACTIVATE: 'activate',
  REVOKE: 'revoke',
  LIST_DESCENDANTS: 'listDescendants',
  EVIDENCE: 'evidence',
} as const;
export type Operation = (typeof Operation)[keyof typeof Operation];

/** Those that change something. A lost reply to one of them leaves open whether it took effect. */
export const writes: readonly Operation[] = [Operation.CONTAIN, Operation.UNCONTAIN, Operation.MINT, Operation.ACTIVATE, Operation.REVOKE];

/**
 * How a credential stands, in the endpoint's word. `inactive`: made and not accepted yet. `absent`: the endpoint knows no such id, which is no proof that there was ever one.
 * `pending`: a change is under way. `unknown`: the endpoint cannot say; it is never read as anything else.
 */
export const State = {
  ACTIVE: 'active',
  CONTAINED: 'contained',
  REVOKED: 'revoked',
  INACTIVE: 'inactive',
  ABSENT: 'absent',
  PENDING: 'pending',
  UNKNOWN: 'unknown',
} as const;
export type State = (typeof State)[keyof typeof State];

/** Which credential: its id at the system, never the credential itself. */
export interface Named {
  readonly system: string;
  readonly id: string;
}

const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString());
const state = z.enum(Object.values(State));
const word = z.string().min(1).max(500);

/** States of which a time can be told: since when it is so. */
const dated: readonly State[] = [State.ACTIVE, State.CONTAINED, State.REVOKED, State.INACTIVE];

const answerFields = z.object({
  state,
  /** Since when it is so, by the endpoint's clock; in the future where the change still spreads. */
  effectiveAt: instant.exactOptional(),
  /** Until when what was derived from the credential may still be accepted. */
  residualUntil: instant.exactOptional(),
  /** Whether it was so before this call. */
  alreadyDone: z.boolean(),
  /** While it is contained: the idempotency key of the call that contained it, which alone takes it back. Left out where it was contained in another way. */
  reversibleBy: word.exactOptional(),
});

const isDated = (answer: { readonly state: State; readonly effectiveAt?: string }): boolean =>
  !dated.includes(answer.state) || answer.effectiveAt !== undefined;
const undatedWords = { message: 'effectiveAt is missing for a state that has one', path: ['effectiveAt'] };

/** What every operation on one credential answers. Members that are not known here are left alone: an endpoint may say more than it is asked. */
export const answerSchema = answerFields.refine(isDated, undatedWords);
export type Answer = z.output<typeof answerSchema>;

/** `possession`: whether the secret that was sent is the one of that id; `unknown` where none was sent or it cannot be told. */
export const identifiedSchema = answerFields
  .extend({ owner: word.exactOptional(), possession: z.enum(['yes', 'no', 'unknown']).default('unknown') })
  .refine(isDated, undatedWords);
export type IdentifiedAnswer = z.output<typeof identifiedSchema>;

/** `id` and `secret` are there as soon as the state is `inactive` or `active`. */
export const mintedSchema = answerFields
  .extend({ id: word.exactOptional(), secret: z.string().min(1).max(65_536).exactOptional(), expiresAt: instant.exactOptional() })
  .refine(isDated, undatedWords);
export type MintedAnswer = z.output<typeof mintedSchema>;

/** `id`: whose answer it is, where the credential was named by the key it was minted under. */
export const checkedSchema = answerFields.extend({ id: word.exactOptional() }).refine(isDated, undatedWords);
export type CheckedAnswer = z.output<typeof checkedSchema>;

const descendant = z.object({
  id: word,
  state,
  via: word,
  /** Whether it can be contained and revoked by its own id. */
  controllable: z.boolean(),
  issuedAt: instant.exactOptional(),
  expiresAt: instant.exactOptional(),
});

/** `complete`: whether the endpoint can say that there are no others. Where it cannot, what the credential made is unknown, whatever is listed. */
export const descendantsSchema = z.object({ complete: z.boolean(), asOf: instant, descendants: z.array(descendant).max(5000) });
export type Descendants = z.output<typeof descendantsSchema>;

const use = z.object({ at: instant, what: word, id: word.exactOptional(), by: word.exactOptional(), from: word.exactOptional() });

/** Uses of the credential in the endpoint's log. `complete`: every use between `from` and `until` is in it. */
export const evidenceSchema = z.object({ complete: z.boolean(), from: instant, until: instant, uses: z.array(use).max(5000) });
export type Evidence = z.output<typeof evidenceSchema>;

const overlap = z.union([z.int().positive(), z.literal('unlimited')]);
const ttl = z.union([z.int().nonnegative(), z.literal('unlimited')]);

/** What an endpoint says it can do. */
export const capabilitiesSchema = z.object({
  v: z.literal(1),
  /** Whether `contain` can be taken back. */
  reversible: z.boolean(),
  /** Whether it makes new credentials. */
  mints: z.boolean(),
  /** How many credentials of one owner are accepted at once. */
  overlap,
  /** The longest life, in seconds, of what a credential can make; 0: it makes nothing. */
  maxDerivedTtl: ttl,
  /** Whether answers are signed as requests are. */
  signsResponses: z.boolean(),
  operations: z.array(z.enum(Object.values(Operation))),
});
export type Capabilities = z.output<typeof capabilitiesSchema>;

/** The body of an error: a word for programs, a sentence for people. The sentence goes into no record, as nobody vouches for what it quotes. */
export const errorSchema = z.object({ error: z.object({ code: z.string().max(100), message: z.string().max(2000) }) });

/** What a 202 says besides its state: where the outcome is to be asked for. */
export const deferredSchema = z.object({ state: z.literal(State.PENDING), poll: z.string().max(2000).exactOptional() });
