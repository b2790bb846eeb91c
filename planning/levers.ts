import { liftOf } from '../domain/lifts.ts';
import type { PlanStep } from '../domain/plan.ts';

/** Actions that refuse what acts as a principal and was issued before a stamp; without the provider's name. */
const cutOffs: readonly string[] = ['cut-off-sessions', 'cut-off-role'];
const lifts: readonly string[] = cutOffs.flatMap((action) => liftOf[action] ?? []);

const nameOf = (step: Pick<PlanStep, 'action'>): string => step.action.split('/')[1] ?? '';

/** True for a step that stamps a user or a role. */
export const isCutOff = (step: Pick<PlanStep, 'action'>): boolean => cutOffs.includes(nameOf(step));

/** True for a step that takes such a stamp away. */
export const isLiftOfCutOff = (step: Pick<PlanStep, 'action'>): boolean => lifts.includes(nameOf(step));
