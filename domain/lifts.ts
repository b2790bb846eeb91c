/** Which action takes off again what another put on a whole principal; both without the provider's name. A hold counts by the one that puts on. */
export const liftOf: Readonly<Record<string, string>> = {
  'deny-principal': 'lift-deny',
  'cut-off-sessions': 'lift-cut-off',
  'cut-off-role': 'lift-cut-off-role',
};

/** What an action takes off; undefined for one that takes nothing off. */
export function liftedBy(action: string): string | undefined {
  return Object.keys(liftOf).find((on) => liftOf[on] === action);
}
