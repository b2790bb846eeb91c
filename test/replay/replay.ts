import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { dataConverterFor } from '../../audit/codec.ts';
import { type History, readHistory } from '../../audit/history.ts';

let quiet = false;
/** What is wrong is in the answers; the worker's own log of it would only be read as an alarm. */
function quieten(): void {
  if (!quiet)
    Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
  quiet = true;
}

/**
 * Runs the code over each history and says what does not fit, by name; a name that is not in the answer fits.
 *
 * Temporal compares kind and number of each command and not what it carries: two `apply` that have changed places replay, and the open run would take the result of one step
 * for that of another. So what the code gives to each activity is compared as well. It may give more than it gave then, never other or less.
 */
export async function misfits(code: string, histories: ReadonlyMap<string, History>): Promise<Map<string, string>> {
  quieten();
  const found = new Map<string, string>();
  const byRun = new Map([...histories].map(([name, history]) => [readHistory(history).run, name]));
  if (byRun.size !== histories.size) throw new TypeError('two histories are of the same run');
  const scheduled = new Map<string, Map<number, { readonly type: string; readonly args: unknown }>>();
  const results = Worker.runReplayHistories(
    {
      workflowBundle: { code },
      dataConverter: dataConverterFor(),
      sinks: {
        audit: {
          scheduled: {
            fn: (info: { runId: string }, seq: number, type: string, args: string) => {
              const ofRun = scheduled.get(info.runId) ?? new Map();
              scheduled.set(info.runId, ofRun.set(seq, { type, args: JSON.parse(args) }));
            },
            callDuringReplay: true,
          },
        },
      },
    },
    [...histories.values()].map((history) => ({ workflowId: readHistory(history).workflowId, history })),
  );
  let replayed = 0;
  for await (const { runId, error } of results) {
    replayed++;
    const name = byRun.get(runId);
    if (name === undefined) throw new TypeError(`the replay answers for the run ${runId}, which nobody asked about`);
    if (error) found.set(name, wordsOf(error));
  }
  if (replayed !== histories.size) throw new TypeError(`${replayed} of ${histories.size} histories were replayed`);
  for (const [name, history] of histories) {
    if (found.has(name)) continue;
    const { run, activities } = readHistory(history);
    for (const { activityId, type, args } of activities) {
      const again = scheduled.get(run)?.get(Number(activityId));
      const where = again ? difference(JSON.parse(JSON.stringify(args)), again.args) : 'is not scheduled any more';
      if (where === undefined) continue;
      found.set(name, `activity ${activityId}, ${type}: ${where}`);
      break;
    }
  }
  return found;
}

/** Where `now` lacks or contradicts what was there `then`, in words; undefined where all of it is there. */
function difference(then: unknown, now: unknown, path = 'its argument'): string | undefined {
  if (typeof then !== 'object' || then === null || typeof now !== 'object' || now === null)
    return then === now ? undefined : `${path} was ${JSON.stringify(then)} and is now ${JSON.stringify(now)}`;
  if (Array.isArray(then) && (!Array.isArray(now) || now.length !== then.length)) return `${path} is not the same list any more`;
  for (const [key, value] of Object.entries(then)) {
    const inside = difference(value, (now as Record<string, unknown>)[key], `${path}.${key}`);
    if (inside) return inside;
  }
  return undefined;
}

/** An error of the sandbox is of another world's class, and has a message all the same. */
function wordsOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message).slice(0, 400) : 'unknown';
}
