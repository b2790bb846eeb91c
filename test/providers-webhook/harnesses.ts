import type { Consumer } from '../../domain/assessment.ts';
import { type Key, newKey } from '../../examples/webhook/server.ts';
import type { Action } from '../../providers/contract.ts';
import type { SuiteOptions } from '../conformance/suite.ts';
import type { World } from '../conformance/world.ts';
import { type Place, place, timing } from './bench.ts';

interface Case {
  readonly options?: SuiteOptions;
  prepare?(at: Place): Omit<Partial<World>, 'action'>;
}

const target = { account: 'billing', system: 'billing', id: 'leaked' };
const consumer: Consumer = {
  id: 'runner',
  name: 'Runner',
  owner: 'team-a',
  contact: 'a@example.org',
  store: 'store',
  overlap: true,
  rereads: 0.01,
  criticality: 'production',
  networks: [],
  seenAs: { userAgent: 'runner/2', sourceAddress: '10.1.0.0/16' },
};
const inventory = { consumers: [consumer], stores: [] };
const key = (at: Place, id: string): Key => at.keys.get(id) as Key;

const cases: Readonly<Record<string, Case>> = {
  contain: {
    prepare: (at) => ({
      remove: async () => void at.keys.delete('leaked'),
      // Only what is gone for good stands in an undo's way: a containment of somebody else's is not ours, and is left without a word.
      meddle: async () => void Object.assign(key(at, 'leaked'), { state: 'revoked', heldBy: undefined }),
    }),
  },
  revoke: { prepare: (at) => ({ remove: async () => void at.keys.delete('leaked') }) },
  mint: {
    prepare: (at) => ({
      params: { sealTo: { provider: 'vault', account: 'lab' } },
      inventory,
      meddle: async () => {
        for (const each of at.keys.values())
          if (each.mintedBy !== undefined) Object.assign(each, { state: 'contained', heldBy: undefined });
      },
    }),
  },
  'watch-new-use': {
    prepare: (at) => {
      at.keys.set('new', newKey('new', 'team-a', 'active'));
      return {
        target: { ...target, consumer: 'runner' },
        params: { mint: 's1-mint' },
        made: { 's1-mint': { accessKeyId: 'new' } },
        inventory,
        happen: async () => {
          key(at, 'new').uses.push({ at: new Date().toISOString(), what: 'invoice.read', by: 'runner/2.1', from: '10.1.2.3' });
        },
      };
    },
  },
  'watch-old-quiet': {},
};

/** Every action of the manifest, each in a world of its own: the reference endpoint of the kit. */
export const harnesses = Object.entries(cases).map(([name, { options, prepare }]) => ({
  name: `webhook/${name}`,
  options: { concurrent: true, ...options },
  open: async (): Promise<World> => {
    const at = await place();
    const more = prepare?.(at) ?? {};
    const actionOf = async (over: Parameters<Place['connect']>[0] = {}): Promise<Action> =>
      (await at.connect(over)).actions[name] as Action;
    return {
      action: await actionOf(),
      target,
      timing,
      snapshot: async () => {
        let minted = 0;
        // A successor that was revoked again is a tombstone, which gives nobody access.
        return [...at.keys.values()]
          .filter(({ mintedBy, state }) => mintedBy === undefined || state !== 'revoked')
          .map(({ id, state, heldBy, mintedBy, uses }) => ({
            id: mintedBy === undefined ? id : `minted ${++minted}`,
            state,
            held: heldBy !== undefined,
            uses: name === 'watch-new-use' ? 'moving' : uses.length,
          }));
      },
      calls: async () => [...at.calls],
      trouble: async (trouble) => at.trouble(trouble),
      calm: async () => at.trouble(undefined),
      powerless: () => actionOf({ secret: `whsec_${Buffer.alloc(32, 7).toString('base64')}` }),
      under: async (policy: string) => actionOf({ url: await at.narrow(JSON.parse(policy) as string[]) }),
      secrets: [at.secret, at.secret.slice('whsec_'.length), ...[...at.keys.values()].map(({ secret }) => secret)],
      close: () => at.close(),
      ...more,
    };
  },
}));
