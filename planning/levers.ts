import { canonicalJson } from '../domain/canonical.ts';
import type { PlanStep } from '../domain/plan.ts';
import type { KindKnowledge, Lever, Part } from './kinds/kind.ts';

type Acted = Pick<PlanStep, 'action' | 'provider'>;

/** The action of a step without its provider's name. */
export const actionName = (step: Acted): string => step.action.slice(step.provider.length + 1);

/** True for a step that does that part of dealing with a credential of the system that is known. */
export const does = (knowledge: KindKnowledge | undefined, part: Part, step: Acted): boolean =>
  knowledge !== undefined && step.provider === knowledge.provider && knowledge.actions[part].includes(actionName(step));

/** True for a step that stamps a user or a role. */
export const isCutOff = (knowledge: KindKnowledge | undefined, step: Acted): boolean => does(knowledge, 'cutOff', step);

/** True for a step that takes such a stamp away. */
export const isLiftOfCutOff = (knowledge: KindKnowledge | undefined, step: Acted): boolean => does(knowledge, 'liftCutOff', step);

/** True for a step that pulls that lever. */
export const pulls = (
  step: Acted & Pick<PlanStep, 'target'>,
  provider: string,
  lever: Pick<Lever, 'action' | 'target'> | undefined,
): boolean =>
  lever !== undefined && step.action === `${provider}/${lever.action}` && canonicalJson(step.target) === canonicalJson(lever.target);
