import { aws } from './aws.ts';
import type { KindKnowledge } from './kind.ts';

/** Systems the planner knows how to contain and rotate in, by provider name. What is not here goes to a person. */
export const kinds: Readonly<Record<string, KindKnowledge>> = { aws };
