import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type OpenBaoServer, startOpenBao } from '../../lab/servers/openbao.ts';
import type { Action, Connection, StepContext } from '../../providers/contract.ts';
import { type Broker, startBroker } from '../traps/broker.ts';
import { codeOf, sealings } from './bench.ts';
import { account, connectAs, timing } from './practice.ts';
import { type FaultProxy, startProxy } from './server.ts';

/*
 * A lease that the server has given up on. It tries six times over several minutes before it does; here the mark that it then makes is made in its storage while it is stopped, and it is read, told and
 * treated by the server's own code from there on.
 */

let directory: string;
let server: OpenBaoServer;
let broker: Broker;
let proxy: FaultProxy;
let connection: Connection;
let lease: string;
let login: { username: string; password: string };

const call = async (method: string, path: string, body?: unknown) => {
  const answer = await fetch(`${server.address}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': server.rootToken },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  // biome-ignore lint/suspicious/noExplicitAny: the tests read answers of many forms, each once.
  return (text === '' ? undefined : JSON.parse(text)) as any;
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tourniquet-lease-'));
  server = await startOpenBao({ directory, rawStorage: true });
  broker = await startBroker();
  await call('POST', 'sys/mounts/rabbit', { type: 'rabbitmq' });
  await call('POST', 'rabbit/config/connection', {
    connection_uri: broker.address,
    username: 'a',
    password: 'b',
    verify_connection: false,
  });
  await call('POST', 'rabbit/roles/app', { vhosts: '{"/":{"write":".*","read":".*"}}' });
  const made = await call('GET', 'rabbit/creds/app');
  lease = made.lease_id;
  login = made.data;
  const place = `sys/raw/sys/expire/id/${lease}`;
  const kept = JSON.parse(Buffer.from((await call('GET', `${place}?encoding=base64`)).data.value, 'base64').toString());
  const given = { ...kept, revokeErr: 'failed to revoke entry: could not delete user: the words of the origin, which may hold anything' };
  await call('POST', place, { value: Buffer.from(JSON.stringify(given)).toString('base64'), encoding: 'base64' });
  const port = Number(new URL(server.address).port);
  await server.stop();
  server = await startOpenBao({ directory, port });
  proxy = await startProxy(server.address);
  connection = await connectAs(server.rootToken, proxy);
}, 60_000);
afterAll(async () => {
  await connection?.close();
  await proxy?.stop();
  await broker?.stop();
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
});

const context = (): StepContext => ({
  incident: 'leak/lease',
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

it('a lease that the server has given up on is said to stand with its account, is left to a person while its origin fails, and is ended once that lets go of it', async () => {
  expect((await call('GET', 'sys/leases?type=irrevocable')).data.leases).toMatchObject([{ lease_id: lease }]);
  const action = connection.actions['revoke-lease'] as Action;
  const target = { account, lease };
  const before = await action.capture(target, context());
  expect(before).toMatchObject({ found: true, stuck: true });
  expect((await action.probe(target, before, context())).observation).toMatchObject({
    state: 'no',
    evidence: expect.stringContaining('the account at its origin stands'),
  });
  broker.broken = true;
  expect(await codeOf(action.apply(target, before, context()))).toBe('provider.unsupported');
  expect(await broker.lets(login.username, login.password)).toBe(true);

  const looked = await connection.look({
    credential: { kind: 'vault.lease', locator: { lease } },
    depth: 'full',
    known: [],
    ours: [],
    inventory: { consumers: [], stores: [] },
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    sleep: async () => undefined,
    timing,
  });
  expect(looked.finding.live.state).toBe('yes');
  expect(looked.finding.graph.nodes[0]?.credential?.status).toBe('irrevocable');
  expect(JSON.stringify([before, looked])).not.toContain('words of the origin');

  broker.broken = false;
  expect((await action.apply(target, before, context())).outcome).toBe('changed');
  expect((await action.probe(target, before, context())).observation.state).toBe('yes');
  expect(await broker.lets(login.username, login.password)).toBe(false);
});
