import { ApplicationFailure, activityInfo, CancelledFailure, log } from '@temporalio/activity';
import type { Hash } from '../domain/canonical.ts';
import { codeOf, fault, isFault, registry } from '../domain/errors.ts';

/** How often a record is looked for before it counts as none. */
const mostMissed = 8;

/**
 * Runs an activity's body and turns what it throws into a failure that may stand in a history: our code as its type, our words as its message, the record of it
 * as its detail. The cause stays behind: what vendors' libraries throw holds request headers.
 */
export async function guarded<T>(body: () => Promise<T>, recorded?: (error: unknown) => Promise<Hash | undefined>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    const interrupted = error instanceof Error && (error.name === 'CancelledFailure' || error.name === 'AbortError');
    const code = interrupted ? 'engine.interrupted' : codeOf(error);
    const entry = registry[code];
    // A record that is not in the store may be on its way there; one that never comes was made up.
    const hopeless = (code === 'warrant.plan-missing' || code === 'record.missing') && activityInfo().attempt >= mostMissed;
    const retryable = code === 'engine.unexpected' || (entry.retryable && !hopeless);
    let record: Hash | undefined;
    try {
      record = await recorded?.(interrupted ? fault('engine.interrupted') : error);
    } catch (second) {
      log.warn('a failure could not be recorded', { code: codeOf(second) });
    }
    // The server wants to hear of a cancellation that it was one, or it would try again.
    if (interrupted) throw new CancelledFailure(entry.title, record ? [record] : []);
    if (code === 'engine.unexpected')
      log.warn('unexpected failure', {
        activity: activityInfo().activityType,
        name: error instanceof Error ? error.name : typeof error,
        at: placeOf(error),
      });
    throw ApplicationFailure.create({
      type: code,
      message: isFault(error) ? error.message : entry.title,
      nonRetryable: !retryable,
      ...(record ? { details: [record] } : {}),
    });
  }
}

/** Where an unexpected error arose: file and line of our own code, without its message, which may quote anything. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error) || !error.stack) return '';
  const frames = error.stack
    .split('\n')
    .filter((line) => line.includes('    at ') && !line.includes('node_modules') && !line.includes('node:'));
  return (frames[0] ?? '').trim().replace(/\(?(?:file:\/\/)?\/\S*\/(\w+\/[\w.-]+:\d+):\d+\)?/, '$1');
}
