import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { IncidentStatus } from '../../client/index.ts';
import { sha256Of } from '../../domain/canonical.ts';
import type { CredentialRef } from '../../domain/credential.ts';
import { Secret } from '../../domain/secret.ts';
import { startWorld, type World } from '../engine/world.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 120_000 });

/*
 * Whole incidents on the practice stack: a real Temporal, the real server with its audit device, the judge's plans, signed decisions, the worker with no more than its policy.
 */

let world: World;
let roleId: string;
// biome-ignore lint/suspicious/noExplicitAny: the test reads answers of many forms, each once.
type Answer = any;
const call = async (method: string, path: string, body?: unknown, token = world.stack.vault.token) => {
  const answer = await fetch(`${world.stack.vault.address}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as Answer };
};
const works = async (token: string) => (await call('GET', 'sys/policies/acl/user', undefined, token)).status === 200;
const login = async (role: string, secretId: string) => {
  roleId = (await call('GET', `auth/approle/role/${role}/role-id`)).body.data.role_id;
  return (await call('POST', 'auth/approle/login', { role_id: roleId, secret_id: secretId }, '')).body.auth;
};
const secretIdOf = async (role: string) => (await call('POST', `auth/approle/role/${role}/secret-id`, {})).body.data;

beforeAll(async () => {
  world = await startWorld({});
  await call('POST', 'sys/auth/approle', { type: 'approle' });
  await call('POST', 'sys/policies/acl/user', {
    policy: 'path "auth/token/*" { capabilities = ["create", "update", "sudo"] }\npath "sys/policies/acl/user" { capabilities = ["read"] }',
  });
  for (const role of ['ci', 'app', 'other'])
    await call('POST', `auth/approle/role/${role}`, { token_policies: 'user', token_period: '1h' });
});
afterAll(() => world?.stop());

async function leak(credential: CredentialRef, secret?: string): Promise<string> {
  // A finding of another system's credential, in the same public place; its account and secret are that system's.
  const { account: _, secret: __, ...draft } = world.finding(world.deployed('public'));
  const { id } = await world.client.report(
    { ...draft, credential, ...(secret === undefined ? {} : { secret: new Secret(secret) }) },
    { reporter: 'scanner', signer: world.signer('scanner') },
  );
  return id;
}
const stepsOf = ({ earlier, steps }: IncidentStatus) => [...earlier, ...steps].map(({ action }) => action);

test('a service token with an orphan child, leaked in public: its entity is disabled unasked, and after one approval neither token works', async () => {
  const leaked = await login('ci', (await secretIdOf('ci')).secret_id);
  const { auth: orphan } = (await call('POST', 'auth/token/create-orphan', { policies: ['user'], period: '1h' }, leaked.client_token)).body;
  const bystander = await login('other', (await secretIdOf('other')).secret_id);
  for (const each of [leaked, orphan, bystander]) expect(await works(each.client_token)).toBe(true);

  const sha256 = sha256Of(leaked.client_token).slice('sha256:'.length);
  const id = await leak({ kind: 'vault.token', locator: { sha256 } }, leaked.client_token);
  const disabled = async () => (await call('GET', `identity/entity/id/${leaked.entity_id}`)).body.data.disabled as boolean;
  const asked = new Set<string>();
  const status = await world.follow(id, ({ contained }) => contained === 'yes', { answer: ({ reason }) => asked.add(reason).size > 0 });
  // The entity was no question, and the tokens were one.
  expect([...asked]).toEqual(['irreversible']);
  expect(await disabled()).toBe(true);
  for (const each of [leaked, orphan]) expect(await works(each.client_token)).toBe(false);
  for (const { accessor } of [leaked, orphan]) expect((await call('POST', 'auth/token/lookup-accessor', { accessor })).status).toBe(400);
  expect(await works(bystander.client_token)).toBe(true);
  expect(stepsOf(status)).toEqual(expect.arrayContaining(['vault/disable-entity', 'vault/revoke-token']));
  expect(JSON.stringify(status)).not.toContain(leaked.client_token);
});

test('a secret id with a periodic token: the secret id and the token are ended, and those of another role are not', async () => {
  const given = await secretIdOf('app');
  const leaked = await login('app', given.secret_id);
  const bystander = await login('other', (await secretIdOf('other')).secret_id);
  const locator = { mount: 'approle', appRole: 'app', accessor: given.secret_id_accessor };
  const id = await leak({ kind: 'vault.approle-secret-id', locator });
  await world.follow(id, ({ contained }) => contained === 'yes', { answer: () => true });
  expect(await works(leaked.client_token)).toBe(false);
  const listed = (await call('LIST', 'auth/approle/role/app/secret-id')).body?.data?.keys ?? [];
  expect(listed).not.toContain(given.secret_id_accessor);
  expect(await works(bystander.client_token)).toBe(true);
});
