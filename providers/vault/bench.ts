import { z } from 'zod';
import type { Applied, StepContext } from '../contract.ts';
import type { Self, Vault } from './client.ts';

/** What actions stand on: sessions with the server, and the audit log's file where the account names one. */
export interface Bench {
  readonly account: string;
  readonly open: () => Vault;
  readonly auditLog: string | undefined;
  readonly namespace: string | undefined;
}

/** What an account's `settings` may say to this provider. Further keys are other readers' (`timing`). */
export const settingsSchema = z.object({
  address: z.url({ protocol: /^https?$/ }).exactOptional(),
  namespace: z.string().min(1).exactOptional(),
  timeoutMs: z.number().int().positive().default(10_000),
  /** The file the audit device writes, as this worker can read it. */
  auditLog: z.string().min(1).exactOptional(),
  /** Mounts of KV version 2 and paths in them that `check` is to look at. */
  mounts: z.array(z.string().min(1)).default([]),
  paths: z.array(z.string().min(1)).default([]),
  /** Where the AppRole engine is mounted that we log in by, if the credentials hold a role id and a secret id. */
  appRoleMount: z.string().min(1).default('approle'),
  /** How long after the first call our own token is looked at for the first time, to be renewed when half of its life is over. */
  firstLookMs: z.number().int().positive().default(30_000),
  /** At most this many tokens are looked up in a second by a sweep, so that a big server is not kept from its work. */
  lookupsPerSecond: z.number().int().positive().default(200),
  /** A server with more tokens is swept by a person. */
  mostTokens: z.number().int().positive().default(50_000),
});
export type VaultSettings = z.output<typeof settingsSchema>;

/** Now, by the server's clock, which is told in whole seconds: not before `at`, and not after `atMost`. */
export async function serverTime(vault: Vault): Promise<{ readonly at: string; readonly atMost: string }> {
  const { time } = await vault.health();
  return { at: time, atMost: new Date(Date.parse(time) + 1_000).toISOString() };
}

/** What an apply answers, once it knows its outcome: when that was, by the server's own clock, and every request that it took. */
export const answering =
  (vault: Vault) =>
  async (outcome: Applied['outcome'], facts?: Applied['facts']): Promise<Applied> => ({
    outcome,
    acceptedAt: (await serverTime(vault)).at,
    requestIds: vault.requestIds,
    ...(facts ? { facts } : {}),
  });

/** Our own token, asked anew each time: an AppRole's is another one after each log-in. */
export const ownOf = (vault: Vault): Promise<Self> => vault.self();

/** The other incidents that hold the principal, as the engine counts them. */
export function heldBy(context: StepContext): readonly string[] {
  return textsOf(context, 'heldBy') ?? [];
}

/** Texts of a list parameter; undefined where it was not given. */
export function textsOf(context: StepContext, name: string): readonly string[] | undefined {
  const value = context.params[name];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : undefined;
}
