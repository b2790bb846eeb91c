import { z } from 'zod';

/** What an account's `settings` may say to this provider. Further keys are other readers' (`timing`). */
export const settingsSchema = z.object({
  /** Where the contract is served; each operation is one path below it. https, or http on this very machine. */
  url: z.string().min(1),
  /** How long one request may take, all in all. */
  timeoutMs: z.int().positive().max(120_000).default(10_000),
  /** Lets the url stand for a private address (RFC 1918, RFC 6598, unique local). Link-local ones, with the metadata services of clouds, stay shut. */
  allowPrivate: z.boolean().default(false),
  /** A file with the certificates, PEM, that vouch for the endpoint instead of the system's. */
  ca: z.string().min(1).exactOptional(),
  /** Refuses answers that are not signed. A signature that is there is always checked. */
  signedAnswers: z.boolean().default(false),
  /** Operations in whose body the leaked secret may be sent. None is, where this does not say so. */
  passSecret: z.array(z.enum(['identify', 'revoke'])).default([]),
  /**
   * What we rely on; the endpoint's own word can take away from it and never add. `reversible: false`: nothing but `revoke` is done there. `maxDerivedTtl` (seconds): how long what a credential
   * made may outlive it.
   */
  reversible: z.boolean().default(true),
  mints: z.boolean().default(false),
  maxDerivedTtl: z.union([z.int().nonnegative(), z.literal('unlimited')]).default('unlimited'),
});
export type WebhookSettings = z.output<typeof settingsSchema>;
