import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../domain/secret.ts';
import type { Action, Applied, StepContext } from '../../providers/contract.ts';
import { provider } from '../../providers/vault/index.ts';
import { codeOf, makePlace, type Place, policyFor } from './bench.ts';
import { type FaultProxy, startProxy, startServer, type TestServer } from './server.ts';

let server: TestServer;
let proxy: FaultProxy;

beforeAll(async () => {
  server = await startServer();
  proxy = await startProxy(server.address);
}, 60_000);
afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
});
beforeEach(() => proxy.reset());

const old = { access_key: 'AKIAOLD', secret_key: 'the-leaked-one', region: 'eu-central-1' };

/** A store with what stood there at the capture, and a secret staged since. */
async function arrange(stand: 'kept' | 'absent' | 'deleted' | 'destroyed' | 'annotated' = 'kept') {
  const place: Place = await makePlace(server, proxy);
  const live = place.store.path.slice('kv/'.length);
  const put = (data: unknown) => server.call('POST', `kv/data/${live}`, { data });
  if (stand === 'annotated') await server.call('POST', `kv/metadata/${live}`, { custom_metadata: { team: 'ci' } });
  else if (stand !== 'absent') await put(old);
  if (stand === 'deleted') await server.call('DELETE', `kv/data/${live}`);
  if (stand === 'destroyed') await server.call('POST', `kv/destroy/${live}`, { versions: [1] });
  const minted = await place.mint();
  const stage = place.connection.actions['stage-secret'] as Action;
  const action = place.connection.actions['distribute-secret'] as Action;
  const bare = place.context({ stage: 's' }, {});
  const before = await action.capture(place.target, bare);
  const staging = place.context({ mint: 'm' }, { m: minted.made });
  const staged: Applied = await stage.apply(place.target, await stage.capture(place.target, staging), staging);
  const context: StepContext = place.context({ stage: 's' }, { m: minted.made, s: staged.made ?? {} });
  const read = async () => (await server.call('GET', `kv/data/${live}`)).body?.data?.data ?? null;
  const version = async () => (await server.call('GET', `kv/metadata/${live}`)).body?.data?.current_version;
  proxy.reset();
  return {
    place,
    live,
    put,
    minted,
    action,
    before,
    context,
    read,
    version,
    fresh: { access_key: minted.id, secret_key: minted.secret },
    apply: () => action.apply(place.target, before, context),
    probe: () => action.probe(place.target, before, context),
    revert: (here = context) => (action.revert as NonNullable<Action['revert']>)(place.target, before, here),
    leftovers: async () => Object.keys(await place.world()).filter((path) => path.startsWith(`${live}--staged/`)),
  };
}

const writes = () => proxy.seen.filter(({ method }) => method !== 'GET');

describe('vault/distribute-secret on a real server', () => {
  it('capture changes nothing and carries neither secret nor hash of one', async () => {
    const at = await arrange();
    const again = await at.action.capture(at.place.target, at.context);
    expect(writes()).toEqual([]);
    expect(again).toEqual({ version: 1, state: 'kept', annotated: true, createdTime: expect.any(String) });
  });

  it('apply replaces the credential, keeps what stands beside it, cleans the staging path; probe agrees before and after', async () => {
    const at = await arrange();
    expect((await at.probe()).observation.state).toBe('no');
    const applied = await at.apply();
    expect(applied).toMatchObject({ outcome: 'changed', made: { version: '2', previousVersion: '1' } });
    expect(await at.read()).toEqual({ ...at.fresh, region: 'eu-central-1' });
    expect(await at.leftovers()).toEqual([]);
    const probed = await at.probe();
    expect(probed.observation.state).toBe('yes');
    expect(probed.effectiveAt).toBe(applied.acceptedAt);
  });

  it('apply twice is apply once, though the staged copy is gone', async () => {
    const at = await arrange();
    const first = await at.apply();
    proxy.reset();
    const second = await at.apply();
    expect(second).toMatchObject({ outcome: 'already', made: first.made });
    expect(writes()).toEqual([]);
    expect(await at.version()).toBe(2);
  });

  it('any lost request or reply is survived by retrying, with one new version', async () => {
    const model = await arrange();
    await model.apply();
    const calls = proxy.seen.length;
    expect(calls).toBeGreaterThan(4);
    for (let lost = 0; lost < calls; lost += 1) {
      for (const fate of ['lose-request', 'lose-reply'] as const) {
        const at = await arrange();
        proxy.fate = (number) => (number === lost ? fate : 'pass');
        expect(['provider.uncertain', 'provider.unavailable']).toContain(await codeOf(at.apply()));
        proxy.reset();
        expect(['changed', 'already']).toContain((await at.apply()).outcome);
        expect(await at.read()).toEqual({ ...at.fresh, region: 'eu-central-1' });
        expect(await at.version()).toBe(2);
        expect(await at.leftovers()).toEqual([]);
      }
    }
  }, 60_000);

  it('a version written between capture and apply is not overwritten', async () => {
    const at = await arrange();
    await at.put({ theirs: 'x' });
    expect(await codeOf(at.apply())).toBe('provider.conflict');
    expect(await at.read()).toEqual({ theirs: 'x' });
    expect(await at.leftovers()).toHaveLength(1);
  });

  it('a version written in the very moment of ours is not overwritten', async () => {
    const at = await arrange();
    let raced: Promise<unknown> | undefined;
    proxy.fate = (_number, { method }) => {
      if (method !== 'POST' || raced !== undefined) return 'pass';
      raced = at.put({ theirs: 'x' });
      return 'lose-request';
    };
    expect(await codeOf(at.apply())).toBe('provider.uncertain');
    await raced;
    proxy.reset();
    expect(await codeOf(at.apply())).toBe('provider.conflict');
    expect(await at.read()).toEqual({ theirs: 'x' });
  });

  it('a version deleted since the capture is a conflict, and so is a key made anew', async () => {
    const deleted = await arrange();
    await server.call('DELETE', `kv/data/${deleted.live}`);
    expect(await codeOf(deleted.apply())).toBe('provider.conflict');
    const anew = await arrange();
    await server.call('DELETE', `kv/metadata/${anew.live}`);
    await anew.put({ theirs: 'x' });
    expect(await codeOf(anew.apply())).toBe('provider.conflict');
    expect(await anew.read()).toEqual({ theirs: 'x' });
  });

  it('a staged copy that somebody changed is not distributed', async () => {
    const at = await arrange();
    const [path] = await at.leftovers();
    await server.call('POST', `kv/data/${path}`, { data: { access_key: 'AKIATHEIRS', secret_key: 'x' } });
    expect(await codeOf(at.apply())).toBe('provider.conflict');
    expect(await at.read()).toEqual(old);
  });

  it.each(['kept', 'absent', 'deleted', 'destroyed', 'annotated'] as const)(
    'apply then revert leaves a path that was %s as it was; revert twice is once',
    async (stand) => {
      const at = await arrange(stand);
      const was = await at.read();
      await at.apply();
      expect(await at.read()).not.toEqual(was);
      expect(await at.revert()).toMatchObject({ outcome: 'changed', observation: { state: 'yes' } });
      expect(await at.read()).toEqual(was);
      const version = await at.version();
      proxy.reset();
      expect(await at.revert()).toMatchObject({ outcome: 'already', observation: { state: 'yes' } });
      expect(writes()).toEqual([]);
      expect(await at.version()).toBe(version);
      expect((await at.probe()).observation.state).toBe('no');
    },
  );

  it('revert without an apply is harmless, whoever has written since', async () => {
    const untouched = await arrange();
    expect(await untouched.revert()).toMatchObject({ outcome: 'already' });
    expect(await untouched.revert(untouched.place.context({ stage: 's' }, {}))).toMatchObject({ outcome: 'already' });
    const moved = await arrange();
    for (const theirs of ['x', 'y']) {
      await moved.put({ theirs });
      expect(await moved.revert()).toMatchObject({ outcome: 'already' });
      expect(await moved.read()).toEqual({ theirs });
    }
    expect(writes()).toEqual([]);
  });

  it('a step whose reply was lost can still be reverted', async () => {
    const at = await arrange();
    proxy.fate = (_number, { method }) => (method === 'POST' ? 'lose-reply' : 'pass');
    expect(await codeOf(at.apply())).toBe('provider.uncertain');
    proxy.reset();
    expect(await at.read()).toMatchObject(at.fresh);
    expect(await at.revert()).toMatchObject({ outcome: 'changed' });
    expect(await at.read()).toEqual(old);
  });

  it('a revert whose reply was lost is survived by retrying', async () => {
    const at = await arrange();
    await at.apply();
    proxy.reset();
    proxy.fate = (_number, { method }) => (method === 'POST' ? 'lose-reply' : 'pass');
    expect(await codeOf(at.revert())).toBe('provider.uncertain');
    proxy.reset();
    expect(await at.revert()).toMatchObject({ outcome: 'already' });
    expect(await at.read()).toEqual(old);
    expect(await at.version()).toBe(3);
  });

  it('revert refuses to overwrite what somebody wrote or deleted since', async () => {
    const written = await arrange();
    await written.apply();
    await written.put({ ...written.fresh, region: 'us-east-1' });
    expect(await codeOf(written.revert())).toBe('provider.conflict');
    expect(await written.read()).toMatchObject({ region: 'us-east-1' });
    const deleted = await arrange();
    await deleted.apply();
    await server.call('DELETE', `kv/data/${deleted.live}`);
    expect(await codeOf(deleted.revert())).toBe('provider.conflict');
  });

  it('revert says so where the captured version has been destroyed or deleted, though the server would call an undelete of it a success', async () => {
    const destroyed = await arrange();
    await destroyed.apply();
    await server.call('POST', `kv/destroy/${destroyed.live}`, { versions: [1] });
    expect((await server.call('POST', `kv/undelete/${destroyed.live}`, { versions: [1] })).status).toBeLessThan(300);
    expect(await codeOf(destroyed.revert())).toBe('provider.gone');
    const deleted = await arrange();
    await deleted.apply();
    await server.call('POST', `kv/delete/${deleted.live}`, { versions: [1] });
    expect(await codeOf(deleted.revert())).toBe('provider.conflict');
    expect(await deleted.read()).toMatchObject(deleted.fresh);
  });

  it('a store that keeps one version only is refused before anything is changed', async () => {
    const at = await arrange();
    await server.call('POST', `kv/metadata/${at.live}`, { max_versions: 1 });
    expect(await codeOf(at.action.capture(at.place.target, at.context))).toBe('provider.unsupported');
  });

  it.each<[number, string]>([
    [403, 'provider.denied'],
    [429, 'provider.throttled'],
    [503, 'provider.unavailable'],
    [500, 'provider.uncertain'],
    [418, 'provider.uncertain'],
  ])('an answer of %i to the write is %s and changes nothing', async (status, code) => {
    const at = await arrange();
    proxy.fate = (_number, { method }) => (method === 'POST' ? { status, body: { errors: ['quoting the-leaked-one'] } } : 'pass');
    const caught = await at.apply().catch((error) => error);
    expect(caught).toMatchObject({ name: 'Fault', code });
    expect(`${caught.message} ${caught.stack} ${caught.cause}`).not.toContain('the-leaked-one');
    expect(writes()).toHaveLength(1);
    expect(await at.read()).toEqual(old);
  });

  it('an abort stops before the write', async () => {
    const at = await arrange();
    const abort = AbortSignal.abort();
    await expect(at.action.apply(at.place.target, at.before, { ...at.context, signal: abort })).rejects.toThrow();
    expect(writes()).toEqual([]);
  });

  it('nothing it returns holds the old secret, the new one or our token', async () => {
    const at = await arrange();
    const told = JSON.stringify([at.before, await at.apply(), await at.probe(), await at.revert(), at.place.beats, proxy.seen]);
    for (const hidden of [at.minted.secret, old.secret_key, at.place.token]) expect(told).not.toContain(hidden);
  });

  it('one minted secret for two stores is kept sealed until both have it, and shredded then', async () => {
    const one = await arrange();
    const below = `${one.live}-too`;
    const second = { ...one.place.store, id: 'second', path: `kv/${below}`, fields: { accessKeyId: 'id', secretAccessKey: 'key' } };
    await server.call('PUT', 'sys/policies/acl/both', { policy: `${policyFor('kv', one.live)}\n${policyFor('kv', below)}` });
    const { body } = await server.call('POST', 'auth/token/create', { policies: ['both'] });
    const connection = await provider.connect({
      provider: 'vault',
      account: 'lab',
      mode: 'act',
      settings: {},
      credentials: { address: new Secret(proxy.address), token: new Secret(body.auth.client_token) },
    });
    const minted = await one.place.mint();
    const inventory = { stores: [one.place.store, second], consumers: [] };
    const made: Record<string, Record<string, string>> = { m: minted.made };
    const run = async (name: string, path: string, step: string, params: Record<string, string>) => {
      const action = connection.actions[name] as Action;
      const target = { account: 'lab', path };
      const context = one.place.context(params, made, { step, inventory });
      made[step] = { ...(await action.apply(target, await action.capture(target, context), context)).made };
    };
    const sealed = () => one.place.sealing.blobs.has(minted.made.sealed as never);
    await run('stage-secret', one.place.store.path, 's1', { mint: 'm' });
    expect(sealed()).toBe(true);
    await run('stage-secret', second.path, 's2', { mint: 'm' });
    await run('distribute-secret', one.place.store.path, 'd1', { stage: 's1', mint: 'm' });
    expect(sealed()).toBe(true);
    await run('distribute-secret', second.path, 'd2', { stage: 's2', mint: 'm' });
    expect(sealed()).toBe(false);
    expect((await server.call('GET', `kv/data/${below}`)).body.data.data).toEqual({ id: minted.id, key: minted.secret });
  });

  it.each([{ path: 'kv/ci/*' }, { path: 'kv/../sys/policies' }, { path: '' }, {}, { path: 'secret' }])(
    'the target %j is refused',
    async (target) => {
      const at = await arrange();
      expect(await codeOf(at.action.capture({ account: 'lab', ...target } as never, at.context))).toBe('provider.invalid');
      expect(proxy.seen).toEqual([]);
    },
  );
});
