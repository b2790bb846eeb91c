import { expect, it } from 'vitest';
import { type HarnessEntry, playProviderMutants } from '../conformance/runner.ts';
import { harnesses } from './harnesses.ts';
import { mutants } from './mutants.ts';

it.each(mutants.map((mutant) => [mutant.name, mutant] as const))(
  'a planted defect falls to the claim it was planted for: %s',
  async (_name, mutant) => {
    const falls = await playProviderMutants([mutant], harnesses as readonly HarnessEntry[]);
    expect(falls.map(({ wrong }) => wrong)).toEqual([undefined]);
  },
  120_000,
);
