import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Action } from '../../providers/contract.ts';
import { manifest } from '../../providers/vault/manifest.ts';
import {
  describeUndo,
  describeUndoOf,
  expectAllUndone,
  type Picture,
  playUndoRow,
  type UndoWorld,
  undoRowsOf,
} from '../conformance/index.ts';
import { consumer, makePlace } from '../providers-vault/bench.ts';
import { harnesses } from '../providers-vault/harnesses.ts';
import { closeLab } from '../providers-vault/practice.ts';
import { type FaultProxy, startProxy, startServer, type TestServer } from '../providers-vault/server.ts';

/*
 * The undo of what is done to a store: a new secret is staged, delivered over the old one and seen read. And of each other action of Vault, alone.
 */

let server: TestServer;
let proxy: FaultProxy;
beforeAll(async () => {
  server = await startServer();
  proxy = await startProxy(server.address);
}, 60_000);
afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
  await closeLab();
});

const steps = ['stage-secret', 'distribute-secret', 'watch-readers'];
const old = { access_key: 'AKIAOLD', secret_key: 'what it was', note: 'kept by hand' };

async function store(wrong: Readonly<Record<string, Partial<Action>>> = {}): Promise<UndoWorld> {
  const place = await makePlace(server, proxy, { auditLog: server.auditLog });
  const below = place.store.path.slice('kv/'.length);
  await server.call('POST', `kv/data/${below}`, { data: { ...old, secret_key: 'older still' } });
  await server.call('POST', `kv/data/${below}`, { data: old });
  await server.call('POST', `kv/metadata/${below}`, { custom_metadata: { team: 'ci' } });
  const reader = consumer(place.store, 'job');
  const { body } = await server.call('POST', 'auth/token/create', { policies: ['root'], display_name: 'job' });
  const minted = await place.mint();
  const action = (name: string): Action => ({ ...(place.connection.actions[name] as Action), ...wrong[name] });
  const picture = async (): Promise<Picture> => {
    const { data } = (await server.call('GET', `kv/metadata/${below}`)).body;
    const own = Object.fromEntries(
      Object.entries(await place.world()).filter(([name]) => name.startsWith(`${below}--staged/`) || name === below),
    );
    return { ...own, metadata: { team: data.custom_metadata, most: data.max_versions }, versions: Object.keys(data.versions).length };
  };
  const staged = async (): Promise<string | undefined> => Object.keys(await picture()).find((name) => name.includes('--staged/'));
  return {
    steps: [
      { name: 'stage-secret', action: action('stage-secret'), target: place.target, params: { mint: 'mint' } },
      {
        name: 'distribute-secret',
        action: action('distribute-secret'),
        target: place.target,
        params: { stage: 'stage-secret', mint: 'mint' },
      },
      { name: 'watch-readers', action: action('watch-readers'), target: place.target, params: { distribute: 'distribute-secret' } },
    ],
    timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 20, giveUpMs: 5_000 },
    made: { mint: minted.made },
    sealing: place.sealing,
    inventory: { stores: [place.store], consumers: [reader] },
    picture,
    explain: ({ name }) => (name === 'versions' ? 'more versions' : undefined),
    async applied({ name }) {
      if (name === 'distribute-secret') await server.call('GET', `kv/data/${below}`, undefined, body.auth.client_token);
    },
    async byHand({ name }) {
      if (name === 'stage-secret') await server.call('DELETE', `kv/metadata/${await staged()}`);
      else await server.call('POST', `kv/data/${below}`, { data: old });
    },
    close: () => place.connection.close(),
  };
}

describeUndo('a delivery to a store', store, { steps, concurrent: true });

// Those of a store are undone together above, as a plan has them.
const alone = harnesses.filter(({ name }) => !steps.some((step) => name === `vault/${step}`));
for (const { name, open, options } of alone) describeUndoOf(name, open, options);

it('the undo of every action of Vault is held to it', () => {
  expectAllUndone(manifest, [...steps.map((step) => `vault/${step}`), ...alone.map((each) => each.name)]);
});

describe('a wrong undo is caught by the row it is wrong in', () => {
  const nothing: Action['revert'] = async () => ({
    outcome: 'changed',
    requestIds: [],
    observation: { state: 'yes', at: new Date().toISOString(), source: 'administrator', evidence: 'a defect says so' },
  });
  it.each(['stage-secret', 'distribute-secret'])('one of %s that does nothing', async (name) => {
    const row = undoRowsOf(name).at(-1);
    const world = await store({ [name]: { revert: nothing } });
    await expect(playUndoRow(world, row as NonNullable<typeof row>)).rejects.toThrow('nothing names it');
  });
  it('one of distribute-secret that overwrites what somebody kept beside the credential', async () => {
    const row = undoRowsOf('distribute-secret').at(-1);
    const world: UndoWorld = await store({
      'distribute-secret': {
        async revert(target, _before, _context) {
          const below = (target.path ?? '').slice('kv/'.length);
          await server.call('POST', `kv/data/${below}`, { data: { access_key: old.access_key, secret_key: old.secret_key } });
          return await (nothing as NonNullable<typeof nothing>)(target, _before, _context);
        },
      },
    });
    await expect(playUndoRow(world, row as NonNullable<typeof row>)).rejects.toThrow('nothing names it');
  });
});
