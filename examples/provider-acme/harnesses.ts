import { randomBytes } from 'node:crypto';
import { type Action, Secret } from 'tourniquet-engine/provider';
import type { HarnessEntry, World } from 'tourniquet-engine/testing';
import { provider } from './index.ts';
import { row, type StandIn, startStandIn } from './stand-in.ts';

const all = ['tokens.read', 'tokens.list', 'tokens.update', 'tokens.delete'];

/** What somebody else does to the token of a case, after the action: what its undo has to give way to. */
const meddling: Readonly<Record<string, (at: StandIn) => void>> = {
  'suspend-token': (at) => Object.assign(at.rows.get('leaked') ?? {}, { note: 'suspended by olga', revision: 9 }),
};

async function open(name: string): Promise<World> {
  const at = await startStandIn();
  const secret = randomBytes(16).toString('hex');
  at.keys.set(secret, all);
  at.rows.set('leaked', row('leaked', { note: 'for the build' }));
  // Neighbours, which nothing may touch: one that is as the target is, and one that somebody has suspended.
  at.rows.set('other', row('other'));
  at.rows.set('resting', row('resting', { status: 'suspended', note: 'tourniquet of another incident' }));
  const connect = async (key: string): Promise<Action> => {
    const connection = await provider.connect({
      provider: 'acme',
      account: 'main',
      mode: 'act',
      settings: { address: at.address },
      credentials: { key: new Secret(key) },
    });
    return connection.actions[name] as Action;
  };
  const meddle = meddling[name];
  return {
    action: await connect(secret),
    target: { account: 'main', id: 'leaked' },
    timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 10, giveUpMs: 1000 },
    secrets: [secret],
    // A revision counts changes and says nothing of what stands.
    snapshot: async () => JSON.parse(JSON.stringify([...at.rows.values()].map(({ revision: _, ...rest }) => rest))) as unknown,
    calls: async () => [...at.seen],
    trouble: async ({ kind, count }) => {
      at.trouble = { kind, left: count ?? Number.POSITIVE_INFINITY };
    },
    calm: async () => {
      at.trouble = undefined;
    },
    remove: async () => void at.rows.delete('leaked'),
    ...(meddle ? { meddle: async () => meddle(at) } : {}),
    powerless: async () => {
      at.keys.set('powerless', ['tokens.read']);
      return await connect('powerless');
    },
    // The generated policy of a part, of which Acme takes the names of permissions.
    under: async (policy) => {
      at.keys.set('least', Object.keys((JSON.parse(policy) as { permissions: Record<string, unknown> }).permissions));
      return await connect('least');
    },
    close: () => at.close(),
  };
}

/** One case for each action of the manifest. */
export const harnesses: readonly HarnessEntry[] = provider.manifest.actions.map(({ name }) => ({
  name: `acme/${name}`,
  options: { concurrent: true },
  open: () => open(name),
}));
