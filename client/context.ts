import type { Client } from '@temporalio/client';
import type { Seal } from './sealing.ts';

/** What the parts of the client share. */
export interface ClientContext {
  readonly temporal: Client;
  readonly reporter: string;
  readonly seal: Seal | undefined;
  /** The engine that a signed report is signed for. */
  readonly engine: string | undefined;
  readonly patienceMs: number;
}
