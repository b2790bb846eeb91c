import type { Hash } from '../domain/canonical.ts';
import { namedBy, provenDone } from '../domain/done.ts';
import { codeOf, fault } from '../domain/errors.ts';
import type { JudgeInput } from '../domain/messages.ts';
import type { DoneStep } from '../domain/plan.ts';
import type { RecordType } from '../domain/record.ts';
import type { AnyRecord, RecordAs } from '../domain/record-bodies.ts';
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

/** Those of the records named that are there, good, of that type and of that run. */
export async function readGood<T extends RecordType>(
  deps: CommonDeps,
  place: { readonly incident: string; readonly run: string },
  type: T,
  hashes: readonly Hash[],
): Promise<readonly { readonly hash: Hash; readonly record: RecordAs<T> }[]> {
  const found = await Promise.all(
    hashes.map(async (hash) => {
      try {
        const record = await deps.records.read(hash, type);
        return record.incident === place.incident && record.run === place.run ? [{ hash, record }] : [];
      } catch (error) {
        if (!codeOf(error).startsWith('record.')) throw error;
        return [];
      }
    }),
  );
  return found.flat();
}
