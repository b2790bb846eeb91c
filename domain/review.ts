import type { Hash } from './canonical.ts';
import type { Residual } from './credential.ts';
import type { Observation } from './observation.ts';
import type { Extent, IncidentState } from './states.ts';

/** Body of the `review` record, the last one before a close. Durations in milliseconds. */
export interface Review {
  readonly state: IncidentState;
  readonly contained: Extent;
  readonly rotated: Extent;
  readonly closedAt: string;
  readonly clocks: {
    readonly leakedAt?: string;
    readonly reportedAt: string;
    readonly firstChangeAt?: string;
    readonly containedAt?: string;
    readonly rotatedAt?: string;
  };
  readonly dead: readonly { readonly credential: string; readonly observation: Observation }[];
  readonly residuals: readonly Residual[];
  readonly consumers: readonly { readonly consumer: string; readonly predictedSeconds?: number; readonly observed: string }[];
  readonly blind: readonly string[];
  readonly head: Hash;
}
