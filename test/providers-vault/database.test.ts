import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../../lab/servers/postgres.ts';
import type { Action, Connection, StepContext } from '../../providers/contract.ts';
import { codeOf, sealings } from './bench.ts';
import { account, closeLab, connectAs, type Lab, openLab, startProxy, timing, tokenUnder, wholePolicy } from './practice.ts';
import type { FaultProxy } from './server.ts';

/*
 * A lease whose origin is a real PostgreSQL, with a session of the leaked account open while it is ended.
 */

/** The little that is wanted of the database's client; its package brings no types. */
interface Client {
  connect(): Promise<void>;
  query(text: string): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>;
  on(event: 'error', heard: (error: Error) => void): void;
  end(): Promise<void>;
}
const library: string = 'pg';
const { default: pg } = (await import(library)) as { default: { Client: new (options: object) => Client } };

let lab: Lab;
let release: () => Promise<void>;
let proxy: FaultProxy;
let postgres: PostgresServer;
let engine: Connection;
const clients: Client[] = [];

async function session(user: string, password: string): Promise<Client> {
  const client = new pg.Client({ host: '127.0.0.1', port: postgres.port, user, password, database: 'postgres' });
  // The database ends sessions on its own, and a client without a listener would end the process.
  client.on('error', () => undefined);
  await client.connect();
  clients.push(client);
  return client;
}
const letsIn = async (user: string, password: string): Promise<boolean> => {
  try {
    await session(user, password);
    return true;
  } catch {
    return false;
  }
};
const answers = async (client: Client): Promise<boolean> => {
  try {
    return (await client.query('SELECT 1 AS one')).rows[0]?.one === 1;
  } catch {
    return false;
  }
};

beforeAll(async () => {
  const [opened, started] = await Promise.all([openLab(), startPostgres()]);
  ({ lab, release } = opened);
  postgres = started;
  proxy = await startProxy(lab.server.address);
  engine = await connectAs((await tokenUnder(lab, wholePolicy())).token, proxy, { auditLog: lab.server.auditLog });
  await lab.must('POST', 'sys/mounts/database', { type: 'database' });
  await lab.must('POST', 'database/config/postgres', {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: '*',
    connection_url: `postgresql://{{username}}:{{password}}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`,
    username: postgres.superuser,
    password: postgres.superuser,
  });
  const creation_statements = [`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`];
  const role = (name: string, more: object) =>
    lab.must('POST', `database/roles/${name}`, { db_name: 'postgres', creation_statements, default_ttl: '1h', ...more });
  await role('plain', {});
  await role('thorough', {
    revocation_statements: [
      'ALTER ROLE "{{name}}" NOLOGIN;',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}';`,
      'DROP ROLE IF EXISTS "{{name}}";',
    ],
  });
  await role('broken', { revocation_statements: ['SELECT no_such_function();'] });
}, 60_000);
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  await engine?.close();
  await proxy?.stop();
  await postgres?.stop();
  await release?.();
  await closeLab();
});

const context = (): StepContext => ({
  incident: 'leak/database',
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

async function leaked(role: string) {
  const { lease_id: lease, data } = await lab.must('GET', `database/creds/${role}`);
  const { username, password } = data as { username: string; password: string };
  return { lease: lease as string, username, password, open: await session(username, password) };
}

async function revoke(lease: string) {
  const action = engine.actions['revoke-lease'] as Action;
  const target = { account, lease };
  const before = await action.capture(target, context());
  return { applied: action.apply(target, before, context()), probe: () => action.probe(target, before, context()) };
}

const lookAt = (lease: string) =>
  engine.look({
    credential: { kind: 'vault.lease', locator: { lease } },
    depth: 'full',
    containedAt: new Date(Date.now() - 5_000).toISOString(),
    known: [],
    ours: [],
    inventory: { consumers: [], stores: [] },
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    sleep: async () => undefined,
    timing,
  });

describe('a lease of a database with a session open', () => {
  it('is gone with its account while the session still answers, and the engine claims the first and never the second', async () => {
    const { lease, username, password, open } = await leaked('plain');
    const { applied, probe } = await revoke(lease);
    expect((await applied).outcome).toBe('changed');
    expect(await letsIn(username, password)).toBe(false);
    expect(await answers(open)).toBe(true);

    expect(await probe()).toMatchObject({ observation: { state: 'yes' }, facts: { unseen: 'sessions that were open at the origin' } });
    const { finding } = await lookAt(lease);
    expect(finding.live.state).toBe('no');
    expect(finding.swept).toMatchObject({ state: 'unknown', why: expect.stringContaining('origin') });
  });

  it('ends its session too where the role’s statements do', async () => {
    const { lease, username, password, open } = await leaked('thorough');
    expect((await (await revoke(lease)).applied).outcome).toBe('changed');
    expect(await answers(open)).toBe(false);
    expect(await letsIn(username, password)).toBe(false);
  });

  it('whose statements fail still lets its account in, and is not called done', async () => {
    const { lease, username, password } = await leaked('broken');
    const { applied, probe } = await revoke(lease);
    expect(await codeOf(applied)).toBe('provider.uncertain');
    expect((await probe()).observation.state).toBe('no');
    expect(await letsIn(username, password)).toBe(true);
  });
});
