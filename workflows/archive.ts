import type { ExportInput, ExportResult } from '../domain/messages.ts';
import { judge } from './ports.ts';

/** Waits for the incident's run to end, then exports its bundle. Started by the run itself and abandoned by it, so that the bundle holds the end of the history. */
export async function archive(input: ExportInput): Promise<ExportResult> {
  return await judge(input.pace).exportBundle(input);
}
