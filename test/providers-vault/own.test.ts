import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../domain/secret.ts';
import { type OpenBaoServer, startOpenBao } from '../../lab/servers/openbao.ts';
import type { Action, Connection } from '../../providers/contract.ts';
import { provider } from '../../providers/vault/index.ts';
import { until } from '../until.ts';
import { codeOf, sealings } from './bench.ts';
import { account, timing, wholePolicy } from './practice.ts';
import { type FaultProxy, startProxy } from './server.ts';

/*
 * What the worker itself goes to the server with: a short-lived token that it keeps, or a role that it logs in by, through the end of either, a seal and a restart.
 */

let directory: string;
let server: OpenBaoServer;
let proxy: FaultProxy;
let roleId: string;
let connections: Connection[] = [];

const call = async (method: string, path: string, body?: unknown, token = server.rootToken) => {
  const answer = await fetch(`${server.address}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  // biome-ignore lint/suspicious/noExplicitAny: the tests read answers of many forms, each once.
  return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as any };
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tourniquet-own-'));
  server = await startOpenBao({ directory });
  proxy = await startProxy(server.address);
  await call('POST', 'sys/auth/responder', { type: 'approle' });
  await call('POST', 'sys/policies/acl/responder', { policy: wholePolicy() });
  await call('POST', 'auth/responder/role/worker', { token_policies: 'responder', token_ttl: '1h', token_max_ttl: '4h' });
  roleId = (await call('GET', 'auth/responder/role/worker/role-id')).body.data.role_id;
}, 60_000);
afterAll(async () => {
  await Promise.all(connections.map((each) => each.close()));
  await proxy?.stop();
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  await Promise.all(connections.map((each) => each.close()));
  connections = [];
  proxy.reset();
});

async function connectBy(credentials: Record<string, string>, settings: Record<string, unknown> = {}): Promise<Connection> {
  const connection = await provider.connect({
    provider: 'vault',
    account,
    mode: 'act',
    settings: { appRoleMount: 'responder', ...settings },
    credentials: Object.fromEntries(
      Object.entries({ address: proxy.address, ...credentials }).map(([name, text]) => [name, new Secret(text)]),
    ),
  });
  connections.push(connection);
  return connection;
}
const secretId = async (): Promise<string> => (await call('POST', 'auth/responder/role/worker/secret-id', {})).body.data.secret_id;
const accessorOf = async (connection: Connection): Promise<string> =>
  (await connection.self?.())?.find(({ what }) => what.includes('accessor'))?.id ?? '';
const context = () => ({
  incident: 'leak/own',
  run: 'r',
  step: 's',
  signal: new AbortController().signal,
  heartbeat: () => undefined,
  timing,
  sealing: sealings(),
  params: {},
  made: {},
  inventory: { consumers: [], stores: [] },
  sleep: async () => undefined,
});
const logins = () => proxy.seen.filter(({ path }) => path === '/v1/auth/responder/login').length;

describe('a worker that logs in by a role', () => {
  it('does so once, before its first call and not before, and knows the role for its own', async () => {
    const connection = await connectBy({ roleId, secretId: await secretId() });
    expect(proxy.seen).toEqual([]);
    const [first] = await Promise.all([connection.self?.(), connection.self?.(), connection.self?.()]);
    expect(logins()).toBe(1);
    expect(first?.map(({ id }) => id)).toContain('auth/responder/role/worker');
  });

  it('logs in again where its token was revoked, and the call that was refused is made good', async () => {
    const connection = await connectBy({ roleId, secretId: await secretId() });
    const before = await accessorOf(connection);
    // As long ago as it takes for a refusal to be worth a log-in.
    const real = performance.now.bind(performance);
    performance.now = () => real() + 60_000;
    try {
      await call('POST', 'auth/token/revoke-accessor', { accessor: before });
      const after = await accessorOf(connection);
      expect(after).not.toBe(before);
      expect(logins()).toBe(2);
    } finally {
      performance.now = real;
    }
  });

  it('does not log in again and again where it is its policy that refuses', async () => {
    await call('POST', 'auth/responder/role/poor', { token_policies: 'default' });
    const poor = (await call('GET', 'auth/responder/role/poor/role-id')).body.data.role_id;
    const { secret_id: own } = (await call('POST', 'auth/responder/role/poor/secret-id', {})).body.data;
    const connection = await connectBy({ roleId: poor, secretId: own });
    const action = connection.actions['revoke-token'] as Action;
    for (let times = 0; times < 3; times++)
      expect(await codeOf(action.capture({ account, accessor: 'AAAAAAAAAAAA' }, context()))).toBe('provider.denied');
    expect(logins()).toBe(1);
  });

  it('says whose secret id is refused when its own is gone', async () => {
    const connection = await connectBy({ roleId, secretId: 'wrong' });
    expect(await codeOf(connection.self?.() as Promise<unknown>)).toBe('provider.denied');
  });

  it('will not destroy a secret id of the role that it logs in by, nor revoke its own token, nor touch a lease of a log-in', async () => {
    const connection = await connectBy({ roleId, secretId: await secretId() });
    const accessor = await accessorOf(connection);
    const { secret_id_accessor: other } = (await call('POST', 'auth/responder/role/worker/secret-id', {})).body.data;
    const refused: readonly [string, Record<string, string>][] = [
      ['revoke-token', { accessor }],
      ['destroy-secret-id', { mount: 'responder', appRole: 'worker', accessor: other }],
      ['revoke-lease', { lease: 'auth/responder/login/habcdef' }],
    ];
    for (const [name, target] of refused) {
      const action = connection.actions[name] as Action;
      expect(await codeOf(action.apply({ account, ...target }, { found: true }, context()))).toBe('warrant.own-credential');
    }
    expect(await accessorOf(connection)).toBe(accessor);
  });
});

describe('a worker’s short-lived token', () => {
  it('is renewed when half of its life is over, for as long as the worker lives', async () => {
    // Long enough that a busy machine which comes to the renewal late still finds the token there.
    const { auth } = (await call('POST', 'auth/token/create-orphan', { policies: ['responder'], period: '8s' })).body;
    const connection = await connectBy({ token: auth.client_token }, { firstLookMs: 50 });
    await connection.self?.();
    const renewals = () => proxy.seen.filter(({ path }) => path === '/v1/auth/token/renew-self').length;
    await until('three renewals', async () => renewals() >= 3);
    expect((await connection.self?.())?.length).toBeGreaterThan(0);
  });

  it('that expires is not taken for the target’s', async () => {
    const { auth } = (await call('POST', 'auth/token/create-orphan', { policies: ['responder'], ttl: '1h' })).body;
    const leaked = (await call('POST', 'auth/token/create-orphan', { policies: ['default'] })).body.auth;
    const connection = await connectBy({ token: auth.client_token });
    const action = connection.actions['revoke-token'] as Action;
    const target = { account, accessor: leaked.accessor };
    const before = await action.capture(target, context());
    await call('POST', 'auth/token/revoke-accessor', { accessor: auth.accessor });
    expect(await codeOf(action.apply(target, before, context()))).toBe('provider.denied');
    expect(await codeOf(action.probe(target, before, context()))).toBe('provider.denied');
    expect((await call('POST', 'auth/token/lookup-accessor', { accessor: leaked.accessor })).status).toBe(200);
  });
});

describe('a seal and a restart', () => {
  it('are waited out under the same token, and what was being done is done after them', async () => {
    const leaked = (await call('POST', 'auth/token/create-orphan', { policies: ['default'] })).body.auth;
    const byRole = await connectBy({ roleId, secretId: await secretId() }, { firstLookMs: 50 });
    const own = await accessorOf(byRole);
    const action = byRole.actions['revoke-token'] as Action;
    const target = { account, accessor: leaked.accessor };
    const before = await action.capture(target, context());

    expect((await call('POST', 'sys/seal')).status).toBe(204);
    expect(await codeOf(action.apply(target, before, context()))).toBe('provider.unavailable');
    expect(await codeOf(action.probe(target, before, context()))).toBe('provider.unavailable');
    const sealed = Object.fromEntries((await byRole.check()).map((one) => [one.what, one.observation.state]));
    expect(sealed.unsealed).toBe('no');

    const port = Number(new URL(server.address).port);
    await server.stop();
    expect(await codeOf(action.apply(target, before, context()))).toMatch(/^provider\.(unavailable|uncertain)$/);
    server = await startOpenBao({ directory, port });
    expect((await action.apply(target, before, context())).outcome).toBe('changed');
    expect((await action.probe(target, before, context())).observation.state).toBe('yes');
    expect(await accessorOf(byRole)).toBe(own);
  }, 60_000);
});
