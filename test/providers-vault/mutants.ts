import { fault, isFault } from '../../domain/errors.ts';
import { yes } from '../../domain/observation.ts';
import type { Action, Applied, Probed } from '../../providers/contract.ts';
import type { ProviderMutant } from '../conformance/runner.ts';
import type { World } from '../conformance/world.ts';
import { labOf } from './harnesses.ts';

const now = () => new Date().toISOString();
const done = (outcome: Applied['outcome']): Applied => ({ outcome, acceptedAt: now(), requestIds: [] });
const seen = (words: string): Probed => ({ observation: yes(now(), 'administrator', words), effectiveAt: now(), requestIds: [] });

/** The action with its apply called done where it failed of what `codes` names. */
const swallowing =
  (outcome: Applied['outcome'], ...codes: readonly string[]) =>
  (right: Action): Action => ({
    ...right,
    async apply(target, before, context) {
      try {
        return await right.apply(target, before, context);
      } catch (error) {
        if (isFault(error) && codes.includes(error.code)) return done(outcome);
        throw error;
      }
    },
  });

/** As root, past the action: what a careless hand would send. */
async function send(world: World, path: string, body: unknown, token?: string): Promise<void> {
  await labOf.get(world)?.server.call(body === undefined ? 'GET' : 'POST', path, body, token);
}

/** What plausible code for Vault gets wrong, each caught by the claim that is there for it. */
export const mutants: readonly ProviderMutant[] = [
  {
    name: 'a 403 of its own, whose right has run out, is taken for the end of the token',
    of: 'vault/revoke-token',
    caughtBy: 'apply and probe agree',
    trap: 20,
    make(right, world) {
      const weak = async (): Promise<Action> => (await world.powerless?.()) ?? right;
      return {
        ...right,
        async apply(target, before, context) {
          return await swallowing('changed', 'provider.denied')(await weak()).apply(target, before, context);
        },
      };
    },
  },
  {
    name: 'the server’s yes is the end, whatever the accessor',
    of: 'vault/revoke-token',
    caughtBy: 'gone is a success',
    alsoBy: ['twice is once'],
    make: (right) => ({
      ...right,
      apply: async (target, before, context) => ({ ...(await right.apply(target, before, context)), outcome: 'changed' }),
    }),
  },
  {
    name: 'the capture asks the leaked tokens whether they are good',
    of: 'vault/revoke-token',
    caughtBy: 'capture is pure',
    trap: 19,
    make: (right, world) => ({
      ...right,
      async capture(target, context) {
        // The child’s is the third of the first person’s secrets, behind ours: it has five uses.
        await send(world, 'auth/token/lookup-self', undefined, world.secrets[4]);
        return await right.capture(target, context);
      },
    }),
  },
  {
    name: 'the before-state keeps the token, to be sure',
    of: 'vault/revoke-token',
    caughtBy: 'capture is pure',
    alsoBy: ['no secret gets out'],
    make: (right, world) => ({
      ...right,
      capture: async (target, context) => ({ ...((await right.capture(target, context)) as object), token: world.secrets[3] }),
    }),
  },
  {
    name: 'the entity is written whole, its policies with it',
    of: 'vault/disable-entity',
    caughtBy: 'revert restores',
    make: (right, world) => ({
      ...right,
      async apply(target, before, context) {
        const applied = await right.apply(target, before, context);
        await send(world, `identity/entity/id/${target.entity}`, { disabled: true, policies: [] });
        return applied;
      },
    }),
  },
  {
    name: 'its probe looks a token up, which succeeds whether the entity is disabled or not',
    of: 'vault/disable-entity',
    caughtBy: 'apply and probe agree',
    alsoBy: ['a lost reply is survived'],
    make: (right) => ({
      ...right,
      async probe(target, before, context) {
        const { observation, ...rest } = await right.probe(target, before, context);
        return observation.state === 'yes' ? { ...rest, observation: { ...observation, state: 'no' } } : { ...rest, observation };
      },
    }),
  },
  {
    name: 'the bit is set again and again',
    of: 'vault/disable-entity',
    caughtBy: 'twice is once',
    make: (right) => ({
      ...right,
      apply: async (target, before, context) => ({ ...(await right.apply(target, before, context)), outcome: 'changed' }),
    }),
  },
  {
    name: 'what was enabled is disabled by an undo that undoes nothing',
    of: 'vault/enable-entity',
    caughtBy: 'revert twice is once',
    make: (right, world) => ({
      ...right,
      async revert(target, before, context) {
        const reverted = await (right.revert as NonNullable<Action['revert']>)(target, before, context);
        if (reverted.outcome === 'already') await send(world, `identity/entity/id/${target.entity}`, { disabled: false });
        return reverted;
      },
    }),
  },
  {
    name: 'a 500 of the server is called the end of the secret id, since that is how it says so',
    of: 'vault/destroy-secret-id',
    caughtBy: 'trouble has a name',
    make: swallowing('absent', 'provider.unavailable', 'provider.uncertain'),
  },
  {
    name: 'a secret id that is gone is the server’s failure',
    of: 'vault/destroy-secret-id',
    caughtBy: 'gone is a success',
    alsoBy: ['twice is once', 'a lost reply is survived', 'it takes no for an answer'],
    make: (right) => ({
      ...right,
      async apply(target, before, context) {
        const applied = await right.apply(target, before, context);
        if (applied.outcome === 'absent') throw fault('provider.unavailable', { because: 'a 500' });
        return applied;
      },
    }),
  },
  {
    name: 'a lease that was asked to go is gone',
    of: 'vault/revoke-lease',
    caughtBy: 'apply and probe agree',
    alsoBy: ['trouble has a name'],
    trap: 16,
    make: (right) => ({ ...right, probe: async () => seen('it was revoked') }),
  },
  {
    name: 'an origin that fails is passed over',
    of: 'vault/revoke-lease',
    caughtBy: 'trouble has a name',
    trap: 16,
    make: swallowing('changed', 'provider.uncertain', 'provider.unavailable'),
  },
];
