import { rmSync } from 'node:fs';
import { Secret } from '../../domain/secret.ts';
import type { Connection, StepContext } from '../../providers/contract.ts';
import { provider } from '../../providers/vault/index.ts';
import { policyFor } from './bench.ts';
import { type FaultProxy, startProxy, startServer, type TestServer } from './server.ts';

/*
 * What the conformance runs, the looks and the traps share: one real server with an AppRole engine, a PKI that leases its certificates, and people who log in. It is started by whoever opens the
 * first world and ends a moment after the last one was closed.
 */

export const timing: StepContext['timing'] = { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 20, giveUpMs: 4_000 };
export const account = 'lab';

/** What a log-in gave. */
export interface Login {
  readonly token: string;
  readonly accessor: string;
  readonly entity: string;
  readonly expires: number;
}

export interface Role {
  readonly name: string;
  readonly roleId: string;
  secretId(): Promise<{ readonly secretId: string; readonly accessor: string }>;
  login(secretId: string): Promise<Login>;
}

/** A real server as its administrator has it. */
export interface Lab {
  readonly server: TestServer;
  /** As root; throws where the answer is not of success. */
  must(
    method: string,
    path: string,
    body?: unknown,
    token?: string,
  ): Promise<TestServer extends { call(...args: never): Promise<{ body: infer B }> } ? B : never>;
  role(more?: Readonly<Record<string, unknown>>): Promise<Role>;
  /** A token made by another, or by root. */
  token(body: Readonly<Record<string, unknown>>, by?: string, path?: string): Promise<Login>;
  /** Whether a call with the token succeeds: it reads a secret that its policy allows. Never a look-up of itself, which would burn a use twice over. */
  works(token: string): Promise<boolean>;
  lease(): Promise<string>;
}

let shared: Promise<{ lab: Lab; stop(): Promise<void> }> | undefined;
let users = 0;
let count = 0;
let ending: NodeJS.Timeout | undefined;

async function begin(): Promise<{ lab: Lab; stop(): Promise<void> }> {
  const server = await startServer();
  // It is a process of its own, and would outlive one that ends without having given it back.
  const kill = () => {
    try {
      process.kill(server.pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
    rmSync(server.dir, { recursive: true, force: true });
  };
  process.once('exit', kill);
  const stop = async () => {
    await server.stop();
    process.removeListener('exit', kill);
  };
  const must: Lab['must'] = async (method, path, body, token) => {
    const answer = await server.call(method, path, body, token);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  await must('POST', 'sys/auth/approle', { type: 'approle' });
  await must('POST', 'sys/mounts/pki', { type: 'pki' });
  await must('POST', 'pki/root/generate/internal', { common_name: 'lab.example', ttl: '24h', key_type: 'ec', key_bits: 256 });
  await must('POST', 'pki/roles/leased', { allow_any_name: true, generate_lease: true, ttl: '1h', key_type: 'ec', key_bits: 256 });
  await must('POST', 'kv/data/ci/app', { data: { access_key: 'AKIALAB', secret_key: 'held by the practice world' } });
  await must('POST', 'sys/policies/acl/user', {
    policy: [
      'path "kv/data/ci/*" { capabilities = ["read"] }',
      'path "auth/token/create*" { capabilities = ["create", "update", "sudo"] }',
      'path "auth/token/renew-self" { capabilities = ["update"] }',
      'path "auth/token/lookup-self" { capabilities = ["read"] }',
      'path "auth/approle/role/+/secret-id" { capabilities = ["update"] }',
      'path "pki/issue/leased" { capabilities = ["update"] }',
    ].join('\n'),
  });
  const loginOf = (auth: { client_token: string; accessor: string; entity_id?: string; lease_duration: number }): Login => ({
    token: auth.client_token,
    accessor: auth.accessor,
    entity: auth.entity_id ?? '',
    expires: Date.now() + auth.lease_duration * 1_000,
  });
  const lab: Lab = {
    server,
    must,
    async role(more = {}) {
      const name = `ci-${++count}`;
      await must('POST', `auth/approle/role/${name}`, { token_policies: 'user', token_period: '1h', ...more });
      const roleId: string = (await must('GET', `auth/approle/role/${name}/role-id`)).data.role_id;
      return {
        name,
        roleId,
        async secretId() {
          const { data } = await must('POST', `auth/approle/role/${name}/secret-id`, {});
          return { secretId: data.secret_id, accessor: data.secret_id_accessor };
        },
        async login(secretId) {
          return loginOf((await must('POST', 'auth/approle/login', { role_id: roleId, secret_id: secretId }, '')).auth);
        },
      };
    },
    async token(body, by, path = 'auth/token/create') {
      return loginOf((await must('POST', path, body, by)).auth);
    },
    async works(token) {
      return (await server.call('GET', 'kv/data/ci/app', undefined, token)).status === 200;
    },
    async lease() {
      return (await must('POST', 'pki/issue/leased', { common_name: `${++count}.lab.example` })).lease_id;
    },
  };
  return { lab, stop };
}

/** The shared server. Whoever takes it gives it back. */
export async function openLab(): Promise<{ readonly lab: Lab; release(): Promise<void> }> {
  clearTimeout(ending);
  users += 1;
  shared ??= begin();
  const running = shared;
  const { lab, stop } = await running.catch((error: unknown) => {
    shared = undefined;
    throw error;
  });
  let released = false;
  return {
    lab,
    async release() {
      if (released) return;
      released = true;
      users -= 1;
      if (users > 0) return;
      // Worlds come one after another, and a server takes seconds to start.
      ending = setTimeout(() => {
        if (users > 0 || shared !== running) return;
        shared = undefined;
        void stop();
      }, 2_000);
    },
  };
}

/** Stops the shared server at once, for the end of a file of tests. */
export async function closeLab(): Promise<void> {
  clearTimeout(ending);
  const running = shared;
  shared = undefined;
  if (running) await (await running).stop();
}

/** A token whose policy is exactly this text, and nothing else. */
export async function tokenUnder(lab: Lab, policy: string, more: Readonly<Record<string, unknown>> = {}): Promise<Login> {
  const name = `under-${++count}`;
  await lab.must('POST', `sys/policies/acl/${name}`, { policy });
  return await lab.token(
    { policies: [name], no_default_policy: true, display_name: 'tourniquet', ttl: '1h', ...more },
    undefined,
    'auth/token/create-orphan',
  );
}

export async function connectAs(token: string, proxy: FaultProxy, settings: Readonly<Record<string, unknown>> = {}): Promise<Connection> {
  return await provider.connect({
    provider: 'vault',
    account,
    mode: 'act',
    settings,
    credentials: { address: new Secret(proxy.address), token: new Secret(token) },
  });
}

/** All that the manifest asks for, actions and reads. */
export function wholePolicy(): string {
  const reads = new Map<string, Set<string>>();
  for (const permission of provider.manifest.reads ?? []) {
    const [capability, place] = permission.split(' ') as [string, string];
    reads.set(place, (reads.get(place) ?? new Set()).add(capability));
  }
  const actions = policyFor('kv', 'ci/app');
  const more = [...reads].filter(([place]) => !actions.includes(`path "${place}"`));
  return `${actions}\n${more.map(([place, list]) => `path "${place}" { capabilities = ${JSON.stringify([...list])} }`).join('\n')}`;
}

export { startProxy };
