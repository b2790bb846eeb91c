import { expect, it } from 'vitest';
import { type HarnessEntry, type ProviderMutant, playProviderMutants } from './runner.ts';

/** Holds every defect that is planted in a provider's own actions to fall to the claim that it names, and to no other. */
export function describeMutants(mutants: readonly ProviderMutant[], harnesses: readonly HarnessEntry[]): void {
  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))(
    'a planted defect falls to the claim it was planted for: %s',
    async (_name, mutant) => {
      const falls = await playProviderMutants([mutant], harnesses);
      expect(falls.map(({ wrong }) => wrong)).toEqual([undefined]);
    },
    120_000,
  );
}
