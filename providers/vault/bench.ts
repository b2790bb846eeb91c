import { z } from 'zod';
import type { Vault } from './client.ts';

/** What actions stand on: sessions with the server, and the audit log's file where the account names one. */
export interface Bench {
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
});
export type VaultSettings = z.output<typeof settingsSchema>;
