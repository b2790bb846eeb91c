import type { Assessment } from '../domain/assessment.ts';
import { nodeId } from '../domain/credential.ts';
import type { ReviewInput } from '../domain/messages.ts';
import { headOf } from '../domain/record.ts';
import type { Review } from '../domain/review.ts';

/**
 * The body of a review but for its time: what is dead and how we know, what remains, what the logs could not show. Pure: the verifier makes it again. `assessment` is the one
 * that the input names.
 */
export function reviewOf(input: ReviewInput, assessment: Assessment | undefined): Omit<Review, 'closedAt'> {
  const finding = assessment?.finding;
  return {
    state: input.state,
    contained: input.contained,
    rotated: input.rotated,
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
}
