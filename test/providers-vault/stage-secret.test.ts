import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Action, StepContext } from '../../providers/contract.ts';
import { codeOf, makePlace, type Place } from './bench.ts';
import { type FaultProxy, startProxy, startServer, type TestServer } from './server.ts';

let server: TestServer;
let proxy: FaultProxy;
let place: Place;
let action: Action;
let minted: Awaited<ReturnType<Place['mint']>>;
let context: StepContext;

beforeAll(async () => {
  server = await startServer();
  proxy = await startProxy(server.address);
}, 60_000);
afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
});
beforeEach(async () => {
  proxy.reset();
  place = await makePlace(server, proxy);
  action = place.connection.actions['stage-secret'] as Action;
  minted = await place.mint();
  context = place.context({ mint: 'r1-mint-key' }, { 'r1-mint-key': minted.made });
});

const writes = () => proxy.seen.filter(({ method }) => method !== 'GET');
const staged = async () => Object.entries(await place.world()).filter(([path]) => path.startsWith(`${place.store.path.slice(3)}--staged/`));
const expected = () => ({ access_key: minted.id, secret_key: minted.secret });

describe('vault/stage-secret on a real server', () => {
  it('capture changes nothing and carries no secret', async () => {
    const world = await place.world();
    const before = await action.capture(place.target, context);
    expect(writes()).toEqual([]);
    expect(await place.world()).toEqual(world);
    expect(JSON.stringify(before)).not.toContain(minted.secret);
    expect(before).toMatchObject({ found: 'nothing' });
  });

  it('apply puts the secret beside the live path under the store’s field names, and probe agrees before and after', async () => {
    const before = await action.capture(place.target, context);
    expect((await action.probe(place.target, before, context)).observation.state).toBe('no');
    const applied = await action.apply(place.target, before, context);
    expect(applied.outcome).toBe('changed');
    expect(applied.made).toMatchObject({ version: '1', accessKeyId: minted.id });
    expect((await staged()).map(([, content]) => content)).toEqual([expected()]);
    expect(await server.call('GET', `kv/data/${place.store.path.slice(3)}`)).toMatchObject({ status: 404 });
    const probed = await action.probe(place.target, before, context);
    expect(probed.observation.state).toBe('yes');
    expect(probed.effectiveAt).toBe(applied.acceptedAt);
    expect(applied.requestIds.length).toBeGreaterThan(0);
  });

  it('the staged copy names incident, run and step to whoever finds it', async () => {
    await action.apply(place.target, await action.capture(place.target, context), context);
    const [[path] = ['']] = await staged();
    const { body } = await server.call('GET', `kv/metadata/${path}`);
    expect(body.data.custom_metadata).toMatchObject({
      tourniquet_incident: context.incident,
      tourniquet_run: 'run-1',
      tourniquet_step: 'r1-stage-secret',
    });
  });

  it('the sealed blob is shredded, and not before the copy stands', async () => {
    const before = await action.capture(place.target, context);
    let standing = false;
    const sealing = {
      ...place.sealing,
      shred: async () => {
        standing = (await staged()).length === 1;
      },
    };
    await action.apply(place.target, before, { ...context, sealing });
    expect(standing).toBe(true);
  });

  it('apply twice is apply once', async () => {
    const before = await action.capture(place.target, context);
    const first = await action.apply(place.target, before, context);
    expect(place.sealing.blobs.size).toBe(0);
    proxy.reset();
    const second = await action.apply(place.target, before, context);
    expect(second.outcome).toBe('already');
    expect(second.made).toEqual(first.made);
    expect(writes()).toEqual([]);
  });

  it('any lost request or reply is survived by retrying, with one copy and no blob left', async () => {
    const before = await action.capture(place.target, context);
    proxy.reset();
    await action.apply(place.target, before, context);
    const calls = proxy.seen.length;
    expect(calls).toBeGreaterThan(3);
    for (let lost = 0; lost < calls; lost += 1) {
      for (const fate of ['lose-request', 'lose-reply'] as const) {
        const fresh = await makePlace(server, proxy);
        const key = await fresh.mint();
        const here = fresh.context({ mint: 'm' }, { m: key.made });
        const one = fresh.connection.actions['stage-secret'] as Action;
        const captured = await one.capture(fresh.target, here);
        proxy.reset();
        proxy.fate = (number) => (number === lost ? fate : 'pass');
        const code = await codeOf(one.apply(fresh.target, captured, here));
        expect(['provider.uncertain', 'provider.unavailable']).toContain(code);
        proxy.reset();
        expect(['changed', 'already']).toContain((await one.apply(fresh.target, captured, here)).outcome);
        const copies = Object.entries(await fresh.world()).filter(([path]) => path.startsWith(`${fresh.store.path.slice(3)}--staged/`));
        expect(copies.map(([, content]) => content)).toEqual([{ access_key: key.id, secret_key: key.secret }]);
        expect(fresh.sealing.blobs.size).toBe(0);
        expect((await one.probe(fresh.target, captured, here)).observation.state).toBe('yes');
      }
    }
  }, 60_000);

  it('apply then revert leaves the world as it was; revert twice is once', async () => {
    const world = await place.world();
    const before = await action.capture(place.target, context);
    await action.apply(place.target, before, context);
    expect(await action.revert?.(place.target, before, context)).toMatchObject({ outcome: 'changed', observation: { state: 'yes' } });
    expect(await place.world()).toEqual(world);
    expect(await action.revert?.(place.target, before, context)).toMatchObject({ outcome: 'absent', observation: { state: 'yes' } });
    expect((await action.probe(place.target, before, context)).observation.state).toBe('no');
  });

  it('revert without an apply is harmless', async () => {
    const world = await place.world();
    const before = await action.capture(place.target, context);
    proxy.reset();
    expect(await action.revert?.(place.target, before, context)).toMatchObject({ outcome: 'absent' });
    expect(writes()).toEqual([]);
    expect(await place.world()).toEqual(world);
  });

  it('a step whose reply was lost can still be reverted, with nothing but what capture wrote down', async () => {
    const world = await place.world();
    const before = await action.capture(place.target, context);
    proxy.fate = (_number, { method, path }) => (method === 'POST' && path.includes('/data/') ? 'lose-reply' : 'pass');
    expect(await codeOf(action.apply(place.target, before, context))).toBe('provider.uncertain');
    proxy.reset();
    const bare = place.context({ mint: 'r1-mint-key' }, {});
    await action.revert?.(place.target, before, bare);
    expect(await place.world()).toEqual(world);
  });

  it('revert refuses to delete what somebody wrote there since', async () => {
    const before = await action.capture(place.target, context);
    await action.apply(place.target, before, context);
    const [[path] = ['']] = await staged();
    await server.call('POST', `kv/data/${path}`, { data: { theirs: 'x' } });
    expect(await codeOf(action.revert?.(place.target, before, context) as Promise<unknown>)).toBe('provider.conflict');
    expect((await staged())[0]?.[1]).toEqual({ theirs: 'x' });
  });

  it('somebody else’s secret at the staging path is neither overwritten nor deleted', async () => {
    const before = (await action.capture(place.target, context)) as { stagedPath: string };
    await server.call('POST', before.stagedPath.replace('kv/', 'kv/data/'), { data: { theirs: 'x' } });
    expect(await codeOf(action.apply(place.target, before, context))).toBe('provider.conflict');
    expect(await codeOf(action.revert?.(place.target, before, context) as Promise<unknown>)).toBe('provider.conflict');
    expect((await staged())[0]?.[1]).toEqual({ theirs: 'x' });
    expect(place.sealing.blobs.size).toBe(1);
  });

  it('a secret that is not the minted key’s, or was sealed for something else, is not staged', async () => {
    const before = await action.capture(place.target, context);
    const other = await place.mint();
    const swapped = place.context({ mint: 'm' }, { m: { ...other.made, sealed: minted.made.sealed as string } });
    expect(await codeOf(action.apply(place.target, before, swapped))).toBe('record.unreadable');
    expect(await staged()).toEqual([]);
  });

  it('a member of the secret that the inventory gives no field is refused before anything is written', async () => {
    const store = { ...place.store, fields: { accessKeyId: 'access_key' } };
    const before = await action.capture(place.target, context);
    proxy.reset();
    expect(await codeOf(action.apply(place.target, before, { ...context, inventory: { stores: [store], consumers: [] } }))).toBe(
      'provider.invalid',
    );
    expect(writes()).toEqual([]);
  });

  it.each<[number, unknown, string]>([
    [403, { errors: ['1 error occurred:\n\t* permission denied\n\n'] }, 'provider.denied'],
    [429, { errors: ['request path "kv/": rate limit quota exceeded'] }, 'provider.throttled'],
    [503, { errors: ['Vault is sealed'] }, 'provider.unavailable'],
    [473, { errors: [] }, 'provider.unavailable'],
    [500, { errors: ['internal error'] }, 'provider.uncertain'],
    [418, 'a teapot', 'provider.uncertain'],
    [200, { unheard: 'of' }, 'provider.uncertain'],
    [400, { errors: ['check-and-set parameter did not match the current version'] }, 'provider.conflict'],
    [400, { errors: ['something new'] }, 'provider.invalid'],
  ])('an answer of %i %j to the write is %s, tried once and told without a secret', async (status, body, code) => {
    const before = await action.capture(place.target, context);
    proxy.reset();
    proxy.fate = (_number, { method, path }) => (method === 'POST' && path.includes('/data/') ? { status, body } : 'pass');
    let caught: unknown;
    await action.apply(place.target, before, context).catch((error) => {
      caught = error;
    });
    expect(caught).toMatchObject({ name: 'Fault', code });
    expect(writes().filter(({ path }) => path.includes('/data/'))).toHaveLength(1);
    const told = `${String(caught)} ${JSON.stringify(caught)} ${(caught as Error).stack} ${(caught as Error).cause}`;
    for (const hidden of [minted.secret, place.token]) expect(told).not.toContain(hidden);
  });

  it('an abort stops between two writes, and the next attempt goes on from there', async () => {
    const before = await action.capture(place.target, context);
    const abort = new AbortController();
    proxy.fate = (_number, { method, path }) => {
      if (method === 'POST' && path.includes('/metadata/')) abort.abort();
      return 'pass';
    };
    await expect(action.apply(place.target, before, { ...context, signal: abort.signal })).rejects.toThrow();
    expect((await staged()).map(([, content]) => content)).toEqual([null]);
    proxy.reset();
    expect((await action.apply(place.target, before, context)).outcome).toBe('changed');
  });

  it('nothing it returns or beats holds the secret or our token', async () => {
    const before = await action.capture(place.target, context);
    const applied = await action.apply(place.target, before, context);
    const probed = await action.probe(place.target, before, context);
    const reverted = await action.revert?.(place.target, before, context);
    const told = JSON.stringify([before, applied, probed, reverted, place.beats, proxy.seen]);
    for (const hidden of [minted.secret, Buffer.from(minted.secret).toString('base64'), place.token]) expect(told).not.toContain(hidden);
  });
});
