import { fault, isFault } from '../../domain/errors.ts';
import { yes } from '../../domain/observation.ts';
import type { Action } from '../../providers/contract.ts';
import type { ProviderMutant } from '../conformance/runner.ts';

const now = (): string => new Date().toISOString();
type Reverting = Required<Pick<Action, 'revert'>>;

/** Planted defects: each is a way in which a plausible provider for other people's endpoints is wrong. */
export const mutants: readonly ProviderMutant[] = [
  {
    name: 'webhook/contain: what was so already is said to have been changed',
    of: 'webhook/contain',
    caughtBy: 'twice is once',
    make: (right) => ({
      ...right,
      apply: async (target, before, context) => {
        const applied = await right.apply(target, before, context);
        return applied.outcome === 'already' ? { ...applied, outcome: 'changed' } : applied;
      },
    }),
  },
  {
    // An endpoint that is away has surely done what it was asked: fail open.
    name: 'webhook/contain: an error page is read as contained',
    of: 'webhook/contain',
    caughtBy: 'trouble has a name',
    make: (right) => ({
      ...right,
      probe: async (target, before, context) => {
        try {
          return await right.probe(target, before, context);
        } catch {
          return { observation: yes(now(), 'administrator', 'surely'), effectiveAt: now(), requestIds: [] };
        }
      },
    }),
  },
  {
    name: 'webhook/contain: the undo looks for another step’s containment, and takes its own for a stranger’s',
    of: 'webhook/contain',
    caughtBy: 'revert restores',
    make: (right) => ({
      ...right,
      revert: (target, before, context) => (right as Reverting).revert(target, before, { ...context, step: 'another' }),
    }),
  },
  {
    name: 'webhook/revoke: an id that is gone is a failure',
    of: 'webhook/revoke',
    caughtBy: 'gone is a success',
    make: (right) => ({
      ...right,
      apply: async (target, before, context) => {
        const applied = await right.apply(target, before, context);
        if (applied.outcome === 'absent') throw fault('provider.gone', { id: target.id ?? '' });
        return applied;
      },
    }),
  },
  {
    // The mint of trap 22: what is tried again is another request, and a second successor is left that nobody holds.
    name: 'webhook/mint: each try comes under a key of its own',
    of: 'webhook/mint',
    trap: 22,
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
    name: 'webhook/mint: a successor that somebody has contained is revoked under their hands',
    of: 'webhook/mint',
    caughtBy: 'revert gives way',
    make: (right) => ({
      ...right,
      revert: async (target, before, context) => {
        try {
          return await (right as Reverting).revert(target, before, context);
        } catch (error) {
          if (!isFault(error) || error.code !== 'provider.conflict') throw error;
          return { outcome: 'changed', requestIds: [], observation: yes(now(), 'administrator', 'revoked') };
        }
      },
    }),
  },
];
