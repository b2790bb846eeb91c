import { reviewOf } from '../audit/review.ts';
import type { ReviewInput } from '../domain/messages.ts';
import type { JudgeDeps } from './deps.ts';
import { guarded } from './failure.ts';

/** The last record before a close: what is dead and how we know, what remains, what the logs could not show. */
export function createReview(deps: JudgeDeps) {
  return async function review(input: ReviewInput): Promise<{ readonly record: Awaited<ReturnType<JudgeDeps['records']['write']>> }> {
    return await guarded(async () => {
      const assessment = input.assessment ? (await deps.records.read(input.assessment, 'assessment')).body : undefined;
      const record = await deps.records.write('review', {
        incident: input.incident,
        run: input.run,
        round: input.round,
        standsOn: [...(input.assessment ? [input.assessment] : [])],
        body: { ...reviewOf(input, assessment), closedAt: deps.clock().toISOString() },
      });
      return { record };
    });
  };
}
