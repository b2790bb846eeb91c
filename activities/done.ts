import type { Hash } from '../domain/canonical.ts';
import { namedBy, provenDone } from '../domain/done.ts';
import { codeOf, fault } from '../domain/errors.ts';
import type { JudgeInput } from '../domain/messages.ts';
import type { DoneStep } from '../domain/plan.ts';
import type { AnyRecord } from '../domain/record-bodies.ts';
import type { CommonDeps } from './deps.ts';

/** What the run says of its earlier steps, as far as the records in the store bear it out; see {@link provenDone}. */
export async function provenSteps(
  deps: CommonDeps,
  { incident, run, done }: Pick<JudgeInput, 'incident' | 'run' | 'done'>,
): Promise<readonly DoneStep[]> {
  const records = new Map<Hash, AnyRecord>();
  for (const hash of new Set(done.flatMap(namedBy))) {
    try {
      records.set(hash, await deps.records.readAny(hash));
    } catch (error) {
      // One that is not there, or not good, bears nothing out.
      if (!codeOf(error).startsWith('record.')) throw error;
    }
  }
  return provenDone(done, { engine: deps.engine, incident, run, trust: deps.trust(), record: (hash) => records.get(hash) });
}

/** Refuses to judge one run by what was found, reported or looked up for another: a hash in a message may be of anything. */
export function expectHere(place: { readonly incident: string; readonly run: string }, ...records: readonly AnyRecord[]): void {
  for (const { type, incident, run } of records)
    if (incident !== place.incident || run !== place.run) throw fault('record.unreadable', { record: type, why: 'it is of another run' });
}
