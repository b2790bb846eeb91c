import { nodeId } from '../domain/credential.ts';
import type { ReviewInput } from '../domain/messages.ts';
import { headOf } from '../domain/record.ts';
import type { Review } from '../domain/review.ts';
import type { JudgeDeps } from './deps.ts';
import { guarded } from './failure.ts';

/** The last record before a close: what is dead and how we know, what remains, what the logs could not show. */
export function createReview(deps: JudgeDeps) {
  return async function review(input: ReviewInput): Promise<{ readonly record: Awaited<ReturnType<JudgeDeps['records']['write']>> }> {
    return await guarded(async () => {
      const assessment = input.assessment ? (await deps.records.read(input.assessment, 'assessment')).body : undefined;
      const finding = assessment?.finding;
      const body: Review = {
        state: input.state,
        contained: input.contained,
        rotated: input.rotated,
        closedAt: deps.clock().toISOString(),
        clocks: {
          ...(assessment?.exposedSince ? { leakedAt: assessment.exposedSince } : {}),
          reportedAt: input.startedAt,
          ...(input.firstChangeAt ? { firstChangeAt: input.firstChangeAt } : {}),
          ...(input.containedAt ? { containedAt: input.containedAt } : {}),
          ...(input.rotatedAt ? { rotatedAt: input.rotatedAt } : {}),
        },
        dead: (finding?.graph.nodes ?? []).flatMap((node) =>
          node.credential ? [{ credential: nodeId(node.credential), observation: node.credential.live }] : [],
        ),
        residuals: input.residuals,
        consumers: (finding?.seen ?? []).map((seen) => ({
          consumer: seen.consumer,
          observed: `last seen on ${seen.credential} at ${seen.lastAt}`,
        })),
        blind: (finding?.logs ?? []).flatMap((log) => log.blind.map((what) => `${log.source}: ${what}`)),
        head: headOf(input.chain),
      };
      const record = await deps.records.write('review', {
        incident: input.incident,
        run: input.run,
        round: input.round,
        standsOn: [...(input.assessment ? [input.assessment] : [])],
        body,
      });
      return { record };
    });
  };
}
