import { describe, expect, it } from 'vitest';
import type { ActionManifest, ProviderManifest } from '../../domain/manifest.ts';
import type { Action } from '../../providers/contract.ts';
import { claimNames } from './claims.ts';
import { lampManifest, lampWorld, turnOff } from './lamps.ts';
import { type Mutant, mutants } from './mutants.ts';
import { judge, playMutants, playProviderMutants, uncovered } from './runner.ts';
import { describeAction } from './suite.ts';

describeAction('a lamp as it should be', async () => lampWorld());

describe('each planted defect falls to the claim it was planted for, and to no other than it names', () => {
  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s', async (_name, mutant) => {
    const [fall] = await playMutants([mutant]);
    expect(fall?.wrong).toBeUndefined();
  });

  it('every claim has two defects planted for it, and one at least that falls to it alone', () => {
    for (const claim of claimNames) {
      const planted = mutants.filter((mutant) => mutant.caughtBy === claim);
      expect(planted.length, claim).toBeGreaterThanOrEqual(2);
      expect(planted.filter((mutant) => !mutant.alsoBy).length, claim).toBeGreaterThanOrEqual(1);
    }
  });
});

describe('the run of mutants fails', () => {
  const verdictOf = async (mutant: Mutant) => (await playMutants([mutant]))[0]?.wrong;
  const planted = (name: string): Mutant => mutants.find((mutant) => mutant.name === name) as Mutant;

  it('for one that changes no behaviour', async () => {
    expect(await verdictOf({ name: 'none', caughtBy: 'revert restores', make: (line) => turnOff(line) as Action })).toContain(
      'no behaviour',
    );
  });
  it('for one that falls to another claim than the one named', async () => {
    const { make } = planted('a heartbeat says the key');
    expect(await verdictOf({ name: 'elsewhere', caughtBy: 'twice is once', make })).toContain('not caught by: twice is once');
  });
  it('for one that falls to a further claim which it does not name', async () => {
    const { make } = planted('capture writes the key down');
    expect(await verdictOf({ name: 'more', caughtBy: 'capture is pure', make })).toContain('no secret gets out');
  });
  it('for one that a claim only falls over', async () => {
    const make = () =>
      ({ ...turnOff({ house: undefined as never, key: '' }), apply: () => Promise.reject(new TypeError('oops')) }) as unknown as Action;
    expect(await verdictOf({ name: 'over', caughtBy: 'twice is once', make })).toBeDefined();
  });
  it('for one of an action that has no harness', async () => {
    const [fall] = await playProviderMutants([{ name: 'x', of: 'house/turn-off', caughtBy: 'twice is once', make: (right) => right }], []);
    expect(fall?.wrong).toContain('no harness');
  });
});

describe('the run over providers', () => {
  const entry = { name: 'house/turn-off', options: {}, open: async () => lampWorld() };
  const house = {
    name: 'house',
    actions: [lampManifest, { ...lampManifest, name: 'dim' } as ActionManifest],
  } as unknown as ProviderManifest;

  it('names an action that no harness covers, and a harness of no action', () => {
    expect(uncovered([house], [entry])).toEqual({ actions: ['house/dim'], harnesses: [] });
    expect(uncovered([house], [entry, entry, { ...entry, name: 'house/burn' }]).harnesses).toEqual(['house/turn-off', 'house/burn']);
  });
  it('says red, with why, of a claim that does not hold, green of one that does, and takes none on trust', async () => {
    const wrong = { ...entry, open: async () => lampWorld(planted('probe always says yes').make) };
    expect(await judge(wrong, 'apply and probe agree')).toMatchObject({
      state: 'red',
      why: expect.stringContaining('probe says yes before'),
    });
    expect(await judge(entry, 'apply and probe agree')).toMatchObject({ state: 'green' });
    expect(await judge({ ...entry, options: { unsupported: { 'twice is once': 'never' } } }, 'twice is once')).toMatchObject({
      state: 'unsupported',
      why: 'never',
    });
    expect(await judge({ ...entry, options: { timeout: 5 }, open: () => new Promise(() => undefined) }, 'twice is once')).toMatchObject({
      state: 'red',
    });
  });
  const planted = (name: string): Mutant => mutants.find((mutant) => mutant.name === name) as Mutant;
});
