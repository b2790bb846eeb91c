import { yes } from '../../domain/observation.ts';
import type { Action } from '../../providers/contract.ts';
import type { ProviderMutant } from '../conformance/runner.ts';
import type { World } from '../conformance/world.ts';

/** The leaked token of the case, as the world of `revoke-token` has it. */
const leakedOf = (world: World): string => world.secrets.find((each) => each.startsWith('ghp_') && each !== world.secrets[1]) ?? '';

/** Planted defects: each is a way in which a plausible revocation is wrong. */
export const mutants: readonly ProviderMutant[] = [
  {
    // What says 202 to anything is taken at its word, and the probe repeats it.
    name: 'github/revoke-token: 202 is taken for dead',
    of: 'github/revoke-token',
    caughtBy: 'apply and probe agree',
    make: (right) => ({
      ...right,
      probe: async () => ({ observation: yes(new Date().toISOString(), 'administrator', 'GitHub said 202'), requestIds: [] }),
    }),
    alsoBy: ['trouble has a name'],
  },
  {
    name: 'github/revoke-token: the before-state keeps the token to be sure',
    of: 'github/revoke-token',
    caughtBy: 'capture is pure',
    make: (right, world) => ({
      ...right,
      capture: async (target, context) => ({ ...((await right.capture(target, context)) as object), token: leakedOf(world) }),
    }),
    alsoBy: ['no secret gets out'],
  },
  {
    // It revokes with our own credential in the header, is told 403, and calls that an answer.
    name: 'github/revoke-token: signed, and the refusal swallowed',
    of: 'github/revoke-token',
    trap: 21,
    caughtBy: 'apply and probe agree',
    make: (right): Action => ({
      ...right,
      apply: async () => {
        return { outcome: 'changed', acceptedAt: new Date().toISOString(), requestIds: [] };
      },
    }),
    alsoBy: ['a lost reply is survived', 'twice is once', 'gone is a success', 'trouble has a name', 'it takes no for an answer'],
  },
  {
    name: 'github/suspend-installation: what a person has suspended since is called undone',
    of: 'github/suspend-installation',
    caughtBy: 'revert gives way',
    make: (right, _world) => ({
      ...right,
      revert: async (target, before, context) => {
        try {
          return await (right.revert as NonNullable<Action['revert']>)(target, before, context);
        } catch (error) {
          if ((error as { code?: string }).code !== 'provider.conflict') throw error;
          return { outcome: 'changed', requestIds: [], observation: yes(new Date().toISOString(), 'administrator', 'it works again') };
        }
      },
    }),
  },
  {
    name: 'github/delete-deploy-key: an answer that nobody understands is taken for done',
    of: 'github/delete-deploy-key',
    caughtBy: 'trouble has a name',
    make: (right) => ({
      ...right,
      apply: async (target, before, context) => {
        try {
          return await right.apply(target, before, context);
        } catch (error) {
          if (!['provider.uncertain', 'provider.unavailable'].includes(String((error as { code?: string }).code))) throw error;
          return { outcome: 'absent', acceptedAt: new Date().toISOString(), requestIds: [] };
        }
      },
    }),
  },
];
