import { AssertionError } from 'node:assert';
import { describe, expect, it } from 'vitest';
import { type ClaimName, claimNames, claims } from './claims.ts';
import { lampWorld } from './lamps.ts';
import { mutants } from './mutants.ts';
import { describeAction } from './suite.ts';
import { stageOf, type World } from './world.ts';

async function verdict(claim: ClaimName, world: World): Promise<unknown> {
  try {
    await claims[claim].run(stageOf(world));
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await world.close();
  }
}

describeAction('a lamp as it should be', async () => lampWorld());

describe('each planted defect is caught by the claim it was planted for', () => {
  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s', async (_name, mutant) => {
    const error = await verdict(mutant.caughtBy, lampWorld(mutant.make));
    // The claim itself has to find it: a defect that only makes the run fall over is caught by accident.
    const expected = error instanceof AssertionError || (error instanceof Error && error.name === 'Fault');
    expect(expected, `${mutant.caughtBy} let it pass, or fell over: ${String(error)}`).toBe(true);
  });

  it('every claim has a defect planted for it', () => {
    expect(claimNames.filter((claim) => !mutants.some((mutant) => mutant.caughtBy === claim))).toEqual([]);
  });
});
