/**
 * Which action takes off again what another put on a whole principal; both without the provider's name. A hold counts by the one that puts on. What a step says of itself
 * goes before it; these are for AWS, whose plans have never said it.
 */
export const liftOf: Readonly<Record<string, string>> = {
  'deny-principal': 'lift-deny',
  'cut-off-sessions': 'lift-cut-off',
  'cut-off-role': 'lift-cut-off-role',
};

/** What an action takes off; undefined for one that takes nothing off. */
export function liftedBy(action: string): string | undefined {
  return Object.keys(liftOf).find((on) => liftOf[on] === action);
}

/** As much of a step as says what it puts on or takes off. */
interface Lifting {
  readonly action: string;
  readonly provider: string;
  readonly lifts?: string;
  readonly liftedBy?: string;
}

const nameOf = ({ action, provider }: Lifting): string => action.slice(provider.length + 1);

/** The action whose control a step takes off: by its own word, else by what is known of its action. */
export function liftedByStep(step: Lifting): string | undefined {
  return step.lifts ?? liftedBy(nameOf(step));
}

/** The action that takes off what a step puts on. */
export function liftOfStep(step: Lifting): string | undefined {
  return step.liftedBy ?? liftOf[nameOf(step)];
}
