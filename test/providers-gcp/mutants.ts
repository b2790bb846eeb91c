import { codeOf } from '../../domain/errors.ts';
import { yes } from '../../domain/observation.ts';
import type { Action } from '../../providers/contract.ts';
import type { ProviderMutant } from '../conformance/runner.ts';

const now = () => new Date().toISOString();
let tries = 0;

/** Planted defects: each is a way in which a plausible action is wrong. Those that fall into a trap of time, which no claim of the suite lives through, are in mutants.test.ts. */
export const mutants: readonly ProviderMutant[] = [
  {
    name: 'gcp/disable-key: what Google has turned off since is called undone',
    of: 'gcp/disable-key',
    caughtBy: 'revert gives way',
    make: (right) => ({
      ...right,
      revert: async (target, before, context) => {
        try {
          return await (right.revert as NonNullable<Action['revert']>)(target, before, context);
        } catch (error) {
          if (codeOf(error) !== 'provider.conflict') throw error;
          return { outcome: 'changed', requestIds: [], observation: yes(now(), 'administrator', 'it is on') };
        }
      },
    }),
  },
  {
    // A certificate that does not name the step cannot be found again, and each try makes another key.
    name: 'gcp/upload-key: every try makes a key of its own',
    of: 'gcp/upload-key',
    caughtBy: 'a lost reply is survived',
    alsoBy: ['twice is once', 'a lost reply is reverted', 'it takes no for an answer'],
    make: (right) => ({
      ...right,
      apply: (target, before, context) => right.apply(target, before, { ...context, step: `${context.step}-${++tries}` }),
    }),
  },
  {
    name: 'gcp/disable-service-account: an answer that did not come is taken for gone',
    of: 'gcp/disable-service-account',
    caughtBy: 'trouble has a name',
    make: (right) => ({
      ...right,
      apply: async (target, before, context) => {
        try {
          return await right.apply(target, before, context);
        } catch (error) {
          if (codeOf(error) !== 'provider.unavailable') throw error;
          return { outcome: 'absent', acceptedAt: now(), requestIds: [] };
        }
      },
    }),
  },
  {
    name: 'gcp/restrict-api-key: the undo clears the restrictions instead of putting them back',
    of: 'gcp/restrict-api-key',
    caughtBy: 'revert restores',
    alsoBy: ['revert twice is once', 'a lost reply is reverted'],
    make: (right) => ({
      ...right,
      revert: (target, before, context) =>
        (right.revert as NonNullable<Action['revert']>)(target, { ...(before as object), restrictions: null }, context),
    }),
  },
];
