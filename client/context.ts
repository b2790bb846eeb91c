import type { Client } from '@temporalio/client';
import type { Seal } from './sealing.ts';

/** What the parts of the client share. */
export interface ClientContext {
  readonly temporal: Client;
  readonly reporter: string;
  readonly seal: Seal | undefined;
  readonly patienceMs: number;
}
