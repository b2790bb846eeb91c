import { AssertionError } from 'node:assert';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Action } from '../../providers/contract.ts';
import { manifest } from '../../providers/webhook/manifest.ts';
import { type ClaimName, claims, describeAction, expectAllRun, stageOf, type World } from '../conformance/index.ts';
import { place } from './bench.ts';
import { harnesses } from './harnesses.ts';

for (const { name, open, options } of harnesses) describeAction(name, open, options);

it('every action of the manifest has a conformance run', () => {
  expectAllRun(
    manifest,
    harnesses.map((each) => each.name),
  );
});

it('a connection has exactly the actions of the manifest', async () => {
  const at = await place();
  try {
    expect(Object.keys((await at.connect()).actions).sort()).toEqual(manifest.actions.map((action) => action.name).sort());
  } finally {
    await at.close();
  }
});

it('the README has a row for every action', () => {
  const page = readFileSync(new URL('../../providers/webhook/README.md', import.meta.url), 'utf8');
  for (const { name, permissions } of manifest.actions) {
    const row = new RegExp(`^\\| \`${name}\` +\\|(.*)\\|$`, 'm').exec(page)?.[1] ?? '';
    expect([...row.matchAll(/`([a-zA-Z]+)`/g)].map(([, word]) => word).sort(), name).toEqual([...permissions].sort());
  }
});

const open = async (name: string): Promise<World> => (await harnesses.find((each) => each.name === name)?.open()) as World;

/** Defects of this very provider, each with the claim that has to find it. */
const mutants: readonly { readonly name: string; readonly of: string; readonly caughtBy: ClaimName; make(right: Action): Action }[] = [
  {
    name: 'a contain that says that it changed what was so already',
    of: 'webhook/contain',
    caughtBy: 'twice is once',
    make: (right) => ({
      ...right,
      apply: async (target, before, context) => ({ ...(await right.apply(target, before, context)), outcome: 'changed' }),
    }),
  },
  {
    name: 'a probe that reads a 500 as contained',
    of: 'webhook/contain',
    caughtBy: 'trouble has a name',
    make: (right) => ({
      ...right,
      probe: async (target, before, context) => {
        try {
          return await right.probe(target, before, context);
        } catch {
          const at = new Date().toISOString();
          return { observation: { state: 'yes', at, source: 'administrator', evidence: 'surely' }, effectiveAt: at, requestIds: [] };
        }
      },
    }),
  },
  {
    name: 'a mint that asks under a new key each time',
    of: 'webhook/mint',
    caughtBy: 'a lost reply is survived',
    make: (right) => {
      let tries = 0;
      return {
        ...right,
        apply: (target, before, context) => right.apply(target, before, { ...context, run: `${context.run}-${++tries}` }),
      };
    },
  },
  {
    name: 'an undo that looks for another step’s containment and takes its own for a stranger’s',
    of: 'webhook/contain',
    caughtBy: 'revert restores',
    make: (right) => ({
      ...right,
      revert: (target, before, context) => (right.revert as NonNullable<Action['revert']>)(target, before, { ...context, step: 'another' }),
    }),
  },
];

describe('each planted defect of this provider is caught by the claim it was planted for', () => {
  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s', async (_name, { of, caughtBy, make }) => {
    const world = await open(of);
    let caught: unknown;
    try {
      await claims[caughtBy].run(stageOf(world, make(world.action)));
    } catch (error) {
      caught = error;
    } finally {
      await world.close();
    }
    expect(caught, `${caughtBy} let it pass, or fell over: ${String(caught)}`).toBeInstanceOf(AssertionError);
  });
});
