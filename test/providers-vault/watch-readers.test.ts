import { appendFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Consumer } from '../../domain/assessment.ts';
import type { Action, StepContext } from '../../providers/contract.ts';
import { codeOf, consumer, makePlace } from './bench.ts';
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

/** A store whose consumers have tokens of their own, captured, with the new secret distributed. */
async function arrange(
  names: readonly string[],
  settings: Record<string, unknown> = { auditLog: server.auditLog },
  early: readonly string[] = [],
) {
  const place = await makePlace(server, proxy, settings);
  const live = place.store.path.slice('kv/'.length);
  await server.call('POST', `kv/data/${live}`, { data: { access_key: 'old', secret_key: 'old' } });
  await server.call('PUT', `sys/policies/acl/read-${place.store.id}`, { policy: `path "kv/data/${live}" { capabilities = ["read"] }` });
  const tokens = new Map<string, string>();
  for (const name of names) {
    const { body } = await server.call('POST', 'auth/token/create', { policies: [`read-${place.store.id}`], display_name: name });
    tokens.set(name, body.auth.client_token);
  }
  const consumers: Consumer[] = names.map((name) => consumer(place.store, name));
  const action = place.connection.actions['watch-readers'] as Action;
  const inventory = { stores: [place.store], consumers };
  const before = await action.capture(place.target, place.context({ distribute: 'd' }, {}));
  const read = (name: string, query = '') => server.call('GET', `kv/data/${live}${query}`, undefined, tokens.get(name));
  for (const name of early) await read(name);
  const minted = await place.mint();
  const made: Record<string, Record<string, string>> = { m: minted.made };
  for (const [step, param] of [
    ['stage-secret', 'mint'],
    ['distribute-secret', 'stage'],
  ] as const) {
    const one = place.connection.actions[step] as Action;
    const here = place.context({ [param]: param === 'mint' ? 'm' : 'stage-secret' }, made);
    made[step] = { ...(await one.apply(place.target, await one.capture(place.target, here), here)).made };
  }
  const context: StepContext = place.context({ distribute: 'distribute-secret' }, made, {
    inventory,
    timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 20, giveUpMs: 300 },
  });
  return {
    place,
    live,
    action,
    before,
    context,
    read,
    apply: (more: Partial<StepContext> = {}) => action.apply(place.target, before, { ...context, ...more }),
    probe: (more: Partial<StepContext> = {}) => action.probe(place.target, before, { ...context, ...more }),
  };
}
const patient = { timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 20, giveUpMs: 30_000 } };

describe('vault/watch-readers on a real server and its real audit log', () => {
  it('waits until each consumer has read the new version, and says who and when', async () => {
    const at = await arrange(['build', 'deploy']);
    const waiting = at.apply(patient);
    await at.read('build');
    expect(await at.probe()).toMatchObject({ observation: { state: 'unknown', why: expect.stringContaining('deploy') } });
    await at.read('deploy');
    expect(await waiting).toMatchObject({ outcome: 'already' });
    const probed = await at.probe();
    expect(probed).toMatchObject({
      observation: { state: 'yes', source: 'log' },
      facts: { missing: [], readers: [{ consumer: 'build' }, { consumer: 'deploy' }] },
    });
    expect(Date.parse(probed.effectiveAt ?? '')).toBeGreaterThanOrEqual(Date.parse(at.context.made['distribute-secret']?.writtenAt ?? ''));
    expect(at.place.beats.length).toBeGreaterThan(0);
  });

  it('gives up as unknown, naming who has not been seen, and never as no', async () => {
    const at = await arrange(['build', 'deploy']);
    await at.read('build');
    await at.apply();
    expect(await at.probe()).toMatchObject({
      observation: { state: 'unknown', why: expect.stringMatching(/: deploy$/) },
      facts: { missing: ['deploy'] },
    });
  });

  it('a read before the write does not count', async () => {
    const at = await arrange(['build'], undefined, ['build']);
    expect((await at.probe()).observation.state).toBe('unknown');
  });

  it('a read of an old version, a refused read and a read of another path do not count', async () => {
    const at = await arrange(['build']);
    expect((await at.read('build', '?version=1')).body.data.data).toEqual({ access_key: 'old', secret_key: 'old' });
    const { body } = await server.call('POST', 'auth/token/create', { policies: ['default'], display_name: 'build' });
    expect((await server.call('GET', `kv/data/${at.live}`, undefined, body.auth.client_token)).status).toBe(403);
    expect((await server.call('GET', `kv/metadata/${at.live}`)).status).toBe(200);
    expect((await at.probe()).observation.state).toBe('unknown');
    await at.read('build');
    expect((await at.probe()).observation.state).toBe('yes');
  });

  it('a consumer may be told by its token’s metadata, and by another name than its id', async () => {
    const at = await arrange([]);
    await server.call('POST', 'sys/auth/userpass', { type: 'userpass' });
    await server.call('POST', 'auth/userpass/users/runner', { password: 'of-this-test', token_policies: [`read-${at.place.store.id}`] });
    const { body } = await server.call('POST', 'auth/userpass/login/runner', { password: 'of-this-test' });
    const one = { inventory: { stores: [at.place.store], consumers: [consumer(at.place.store, 'build', { readsAs: 'runner' })] } };
    expect((await at.probe(one)).observation.state).toBe('unknown');
    expect((await server.call('GET', `kv/data/${at.live}`, undefined, body.auth.client_token)).status).toBe(200);
    expect((await at.probe(one)).observation.state).toBe('yes');
  });

  it('without an audit log, or one that cannot be read, or without consumers, it says so at once', async () => {
    const none = await arrange(['build'], {});
    await none.apply(patient);
    expect((await none.probe()).observation).toMatchObject({
      state: 'unknown',
      why: expect.stringContaining('no audit log is configured'),
    });
    const missing = await arrange(['build'], { auditLog: join(server.dir, 'nowhere.log') });
    await missing.apply();
    expect((await missing.probe()).observation).toMatchObject({ state: 'unknown', why: expect.stringContaining('cannot be read') });
    const nobody = await arrange([]);
    await nobody.apply(patient);
    expect((await nobody.probe()).observation).toMatchObject({ state: 'unknown', why: expect.stringContaining('names no consumer') });
  });

  it('a log that was replaced meanwhile is read from its beginning, and lines that are none are counted', async () => {
    const log = join(server.dir, 'copied.log');
    await writeFile(log, 'x'.repeat(500));
    const at = await arrange(['build'], { auditLog: log });
    await rename(log, `${log}.1`);
    await writeFile(log, 'not json\n{"type":"response"}\n');
    expect(await at.probe()).toMatchObject({
      observation: { state: 'unknown', why: expect.stringMatching(/replaced.*2 lines/) },
      facts: { unreadableLines: 2, logReplaced: true },
    });
    const request = { id: 'r1', operation: 'read', path: `kv/data/${at.live}`, namespace: { id: 'root' } };
    const auth = { display_name: 'token-build' };
    const time = new Date(Date.now() + 60_000).toISOString();
    const lines = [
      { time, type: 'request', auth, request },
      { time, type: 'response', auth, request, response: { data: { data: { x: 'hmac' } } } },
    ];
    await appendFile(log, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    expect((await at.probe()).observation.state).toBe('yes');
  });

  it('a read in another namespace of the same path does not count', async () => {
    const log = join(server.dir, 'namespaced.log');
    await writeFile(log, '');
    const at = await arrange(['build'], { auditLog: log });
    const request = { id: 'r1', operation: 'read', path: `kv/data/${at.live}`, namespace: { id: 'x', path: 'team/' } };
    const auth = { display_name: 'build' };
    const time = new Date(Date.now() + 60_000).toISOString();
    await writeFile(
      log,
      [
        { time, type: 'request', auth, request },
        { time, type: 'response', auth, request, response: { data: { data: { x: 'hmac' } } } },
      ]
        .map((line) => `${JSON.stringify(line)}\n`)
        .join(''),
    );
    expect((await at.probe()).observation.state).toBe('unknown');
  });

  it('changes nothing, has nothing to revert, and stops waiting on abort', async () => {
    const at = await arrange(['build']);
    proxy.reset();
    const abort = new AbortController();
    const sleep = async () => {
      abort.abort();
      abort.signal.throwIfAborted();
    };
    await expect(at.apply({ ...patient, signal: abort.signal, sleep })).rejects.toThrow();
    await at.probe();
    expect(proxy.seen.filter(({ method }) => method !== 'GET')).toEqual([]);
    expect(await at.action.revert?.(at.place.target, {}, at.place.context({}, {}))).toMatchObject({ outcome: 'already' });
  });

  it('asked before anything was distributed, it refuses', async () => {
    const at = await arrange(['build']);
    expect(await codeOf(at.probe({ made: {} }))).toBe('provider.invalid');
  });
});
