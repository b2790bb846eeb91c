import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../domain/secret.ts';
import type { AccountConfig } from '../../providers/contract.ts';
import { instantOf, isoOf } from '../../providers/vault/client.ts';
import { provider } from '../../providers/vault/index.ts';
import { codeOf, makePlace, policyFor } from './bench.ts';
import { wholePolicy } from './practice.ts';
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

function account(token: string, settings: Record<string, unknown> = {}): AccountConfig {
  return {
    provider: 'vault',
    account: 'lab',
    mode: 'act',
    settings,
    credentials: { address: new Secret(proxy.address), token: new Secret(token) },
  };
}
const checks = async (config: AccountConfig) =>
  Object.fromEntries((await (await provider.connect(config)).check()).map((one) => [one.what, one]));

describe('connecting', () => {
  it('check says yes to all where all is there, and changes nothing', async () => {
    await server.call('POST', 'kv/config', { max_versions: 10 });
    const found = await checks(account(server.rootToken, { mounts: ['kv'], paths: ['kv/ci/app'], auditLog: server.auditLog }));
    expect(Object.entries(found).map(([what, one]) => [what, one.observation.state])).toEqual(
      [
        'reachable',
        'unsealed',
        'clock',
        'identity',
        'mount kv',
        'mount kv keeps old versions',
        'permissions on kv/ci/app',
        'permissions on tokens, secret ids and leases',
        'audit device',
        'audit log',
      ].map((what) => [what, 'yes']),
    );
    expect(proxy.seen.filter(({ method, path }) => method !== 'GET' && path !== '/v1/sys/capabilities-self')).toEqual([]);
  });

  it('check under the declared permissions finds them whole, and one withdrawn by name', async () => {
    const place = await makePlace(server, proxy);
    expect(
      (await checks(account(place.token, { paths: [place.store.path] })))[`permissions on ${place.store.path}`]?.observation.state,
    ).toBe('yes');
    const other = (await checks(account(place.token, { paths: ['kv/ci/elsewhere'] })))['permissions on kv/ci/elsewhere'];
    expect(other).toMatchObject({
      observation: { state: 'no', evidence: expect.stringContaining('read kv/data/ci/elsewhere') },
      remedy: expect.any(String),
    });
  });

  it('check finds what the manifest asks for whole under exactly that, and names what is withdrawn', async () => {
    const what = 'permissions on tokens, secret ids and leases';
    const under = async (policy: string) => {
      await server.call('PUT', 'sys/policies/acl/whole', { policy });
      const { body } = await server.call('POST', 'auth/token/create', { policies: ['whole'] });
      return (await checks(account(body.auth.client_token)))[what]?.observation;
    };
    expect(await under(wholePolicy())).toMatchObject({ state: 'yes' });
    expect(await under(wholePolicy().replace('path "auth/token/revoke-accessor"', 'path "auth/token/none"'))).toMatchObject({
      state: 'no',
      evidence: 'missing: update auth/token/revoke-accessor',
    });
  });

  it('what a check may not see is unknown and not no', async () => {
    const place = await makePlace(server, proxy);
    const found = await checks(account(place.token));
    expect(found['audit device']).toMatchObject({ observation: { state: 'unknown' } });
    expect(found['audit log']).toMatchObject({ observation: { state: 'unknown' } });
    expect(found.permissions).toMatchObject({ observation: { state: 'unknown' } });
  });

  it('a wrong token, a sealed server, a wrong clock and a server that is not there are each named', async () => {
    expect((await checks(account('s.wrongwrongwrongwrongwrong'))).identity?.observation).toMatchObject({
      state: 'unknown',
      why: expect.stringContaining('permission'),
    });
    const health = { initialized: true, sealed: true, standby: false, version: '2.7.2', server_time_utc: 1_000_000_000 };
    proxy.fate = (_number, { path }) => (path.includes('sys/health') ? { status: 503, body: health } : 'pass');
    const sealed = await checks(account(server.rootToken));
    expect(sealed.unsealed?.observation.state).toBe('no');
    expect(sealed.clock?.observation.state).toBe('no');
    const away = account(server.rootToken);
    const gone = await checks({ ...away, credentials: { ...away.credentials, address: new Secret('http://127.0.0.1:1') } });
    expect(gone).toEqual({
      reachable: expect.objectContaining({ observation: expect.objectContaining({ state: 'unknown' }), remedy: expect.any(String) }),
    });
  });

  it('a mount of KV version 1 is unsupported', async () => {
    await server.call('POST', 'sys/mounts/old', { type: 'kv', options: { version: '1' } });
    const found = await checks(account(server.rootToken, { mounts: ['old'] }));
    expect(found['mount old']?.observation).toMatchObject({ state: 'unknown', why: expect.stringContaining('KV version 2') });
  });

  it('credentials without a token or an address are refused before anything is sent', async () => {
    const whole = account('x');
    expect(await codeOf(provider.connect({ ...whole, credentials: {} }))).toBe('provider.invalid');
    expect(await codeOf(provider.connect({ ...whole, credentials: { token: new Secret('x') } }))).toBe('provider.invalid');
    expect(await codeOf(provider.connect({ ...whole, settings: { timeoutMs: 'long' } }))).toBe('provider.invalid');
    expect(proxy.seen).toEqual([]);
  });

  it('a server that never answers is given up after the timeout', async () => {
    const mute = createServer(() => undefined);
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const config = account('x', { timeoutMs: 50 });
    const found = await checks({
      ...config,
      credentials: { ...config.credentials, address: new Secret(`http://127.0.0.1:${(mute.address() as AddressInfo).port}`) },
    });
    expect(found.reachable?.observation.state).toBe('unknown');
    mute.closeAllConnections();
    await new Promise((resolve) => mute.close(resolve));
  });

  it('of a token that is named by its hash alone, a look knows nothing and says why', async () => {
    const connection = await provider.connect(account(server.rootToken));
    const { finding } = await connection.look({
      credential: { kind: 'vault.token', locator: { sha256: 'x' } },
      depth: 'full',
      known: [],
      ours: [],
      inventory: { consumers: [], stores: [] },
      signal: new AbortController().signal,
      heartbeat: () => undefined,
      sleep: async () => undefined,
      timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 1, giveUpMs: 1 },
    });
    for (const observation of [finding.live, finding.ours, finding.possession, finding.misuse, finding.swept])
      expect(observation).toMatchObject({ state: 'unknown' });
    expect(finding.live).toMatchObject({ why: expect.stringContaining('hash alone') });
    expect(proxy.seen.map(({ path }) => path)).toEqual(['/v1/sys/health', '/v1/sys/health']);
  });
});

describe('DEBUG and VAULT_* of a hostile environment', () => {
  it('print nothing secret and lead nowhere', async () => {
    let trapped = 0;
    const trap = createServer((_request, response) => {
      trapped += 1;
      response.end();
    });
    await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve));
    const lure = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`;
    const secret = `canary${'0'.repeat(34)}`;
    const chatter = { address: server.address, token: server.rootToken, path: 'kv/ci/chatter', secret };
    const child = spawn(process.execPath, [new URL('./chatter.ts', import.meta.url).pathname], {
      env: {
        PATH: process.env.PATH ?? '',
        DEBUG: '*',
        VAULT_ADDR: lure,
        VAULT_TOKEN: 'lure',
        VAULT_NAMESPACE: 'lure',
        VAULT_PREFIX: '/lure',
        VAULT_SKIP_VERIFY: '1',
        CHATTER: JSON.stringify(chatter),
      },
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
    await new Promise((resolve) => child.once('close', resolve));
    trap.close();
    expect(said).toContain('ended changed');
    expect(said).toContain('node-vault, follow-redirects, axios switched off');
    for (const hidden of [secret, server.rootToken]) expect(said).not.toContain(hidden);
    expect(trapped).toBe(0);
  });
});

describe('what is told offline', () => {
  it.each([
    [`hvs.${'CAESIJ'.repeat(16)}`, 'vault', 'vault.token'],
    [`hvb.${'AAAAAQ'.repeat(20)}`, 'vault', 'vault.batch-token'],
    [`hvr.${'x'.repeat(24)}`, 'manual', 'manual.vault-recovery-token'],
    [`s.${'Ab3'.repeat(8)}`, 'vault', 'vault.token'],
    [`s.${'Ab3'.repeat(8)}.ns1Xy`, 'vault', 'vault.token'],
    [`b.${'AAAAAQ'.repeat(20)}`, 'vault', 'vault.batch-token'],
    [`r.${'Ab3'.repeat(8)}`, 'manual', 'manual.vault-recovery-token'],
  ])('%s is of provider %s, a %s, told by its hash', (token, name, kind) => {
    const found = provider.identify(token);
    expect(found).toMatchObject({
      provider: name,
      credential: { kind, locator: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } },
    });
    expect(JSON.stringify(found)).not.toContain(token);
  });

  it.each([
    '',
    's.short',
    'hvs.',
    'hvx.CAESIJCAESIJCAESIJCAESIJ',
    'AKIAIOSFODNN7EXAMPLE',
    'ghp_0123456789abcdef0123456789abcdef0123',
    `s.${'Ab3'.repeat(8)} and more`,
  ])('%j is none', (text) => {
    expect(provider.identify(text)).toBeUndefined();
  });

  it('the policy in the README is the manifest’s, no more and no less', () => {
    const page = readFileSync(new URL('../../providers/vault/README.md', import.meta.url), 'utf8');
    const block = /```hcl\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const rules = (text: string) =>
      [...text.matchAll(/path "([^"]+)"\s*\{ capabilities = (\[[^\]]+\])/g)]
        .map(([, path, list]) => [path, JSON.parse(list ?? '').sort()])
        .sort();
    expect(rules(block)).toEqual(rules(policyFor('kv', 'ci/deployer')));
    expect(rules(block)).toHaveLength(16);
  });

  it('what it recognises is a kind of its manifest, and each way of a kind is an action of it', () => {
    const { kinds, actions } = provider.manifest;
    expect(kinds.map((one) => one.kind)).toEqual(['vault.token', 'vault.batch-token', 'vault.approle-secret-id', 'vault.lease']);
    for (const { ways } of kinds) for (const way of Object.values(ways ?? {})) expect(actions.map((one) => one.name)).toContain(way.action);
  });

  it('no action revokes by a prefix or by force, and none may', () => {
    const said = JSON.stringify(provider.manifest.actions.flatMap(({ name, permissions }) => [name, ...permissions]));
    expect(said).not.toMatch(/revoke-(prefix|force)/);
  });

  it('moments are told apart to the nanosecond', () => {
    expect((instantOf('2026-01-01T00:00:00.000000002Z') ?? 0n) - (instantOf('2026-01-01T00:00:00.000000001Z') ?? 0n)).toBe(1n);
    expect(instantOf('2026-01-01T01:00:00.5+01:00')).toBe(instantOf('2026-01-01T00:00:00.500Z'));
    expect(isoOf('2026-01-01T00:00:00.123456789Z')).toBe('2026-01-01T00:00:00.123Z');
    expect(instantOf('yesterday')).toBeUndefined();
  });
});
