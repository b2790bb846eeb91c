import { iam } from '@googleapis/iam';
import { logging } from '@googleapis/logging';
import { storage } from '@googleapis/storage';
import { OAuth2Client } from 'google-auth-library';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Practice, practice, until } from '../providers-gcp/practice.ts';

/** Google's own libraries, over plain HTTP, live a leak's life cycle by hand. */
let world: Practice;
beforeAll(async () => {
  world = await practice();
});
afterAll(() => world.close());

async function clientOf(token: string) {
  const auth = new OAuth2Client();
  auth.setCredentials({ access_token: token });
  const at = { rootUrl: world.sim.endpoint, auth, retry: false } as const;
  return {
    auth,
    iam: iam({ version: 'v1', ...at }),
    storage: storage({ version: 'v1', ...at }),
    logging: logging({ version: 'v2', ...at }),
  };
}
const statusOf = async (run: () => Promise<unknown>): Promise<number> => {
  try {
    await run();
    return 200;
  } catch (error) {
    return (error as { status?: number }).status ?? 0;
  }
};

it('a key is made, leaks, is exchanged, disabled and deleted, its account disabled and enabled, and the log tells', async () => {
  const owner = await clientOf(await world.alive(world.sim.admin));
  const project = `projects/${world.project}`;
  const { data: account } = await owner.iam.projects.serviceAccounts.create({ name: project, requestBody: { accountId: 'stock-client' } });
  const name = `${project}/serviceAccounts/${account.email}`;
  const { data: key } = await owner.iam.projects.serviceAccounts.keys.create({ name, requestBody: {} });
  const file = JSON.parse(Buffer.from(key.privateKeyData ?? '', 'base64').toString()) as Record<string, string>;
  await world.grant(account.email ?? '', 'roles/viewer');

  const thief = await clientOf(await world.alive(file));
  expect((await thief.storage.buckets.list({ project: world.project })).data.items?.map((each) => each.name)).toEqual([
    'invoices',
    'backups',
  ]);
  const { email } = await thief.auth
    .request<{ email: string }>({ url: `${world.sim.endpoint}/tokeninfo?access_token=${thief.auth.credentials.access_token}` })
    .then(({ data }) => data);
  expect(email).toBe(account.email);

  const keyName = key.name ?? '';
  await owner.iam.projects.serviceAccounts.keys.disable({ name: keyName, requestBody: {} });
  expect((await owner.iam.projects.serviceAccounts.keys.get({ name: keyName })).data.disabled).toBe(true);
  await until('the key is refused', async () => (await world.exchange(file)) === undefined);
  expect(await statusOf(() => thief.storage.buckets.list({ project: world.project })), 'the token lives on').toBe(200);
  await owner.iam.projects.serviceAccounts.keys.delete({ name: keyName });
  expect(await statusOf(() => owner.iam.projects.serviceAccounts.keys.delete({ name: keyName }))).toBe(404);

  await owner.iam.projects.serviceAccounts.disable({ name, requestBody: {} });
  await until('the token is refused', async () => (await statusOf(() => thief.storage.buckets.list({ project: world.project }))) === 401);
  await owner.iam.projects.serviceAccounts.enable({ name, requestBody: {} });
  await until('the token is revived', async () => (await statusOf(() => thief.storage.buckets.list({ project: world.project }))) === 200);

  const { data: hmac } = await owner.storage.projects.hmacKeys.create({
    projectId: world.project,
    serviceAccountEmail: account.email ?? '',
  });
  const accessId = hmac.metadata?.accessId ?? '';
  expect(
    await statusOf(() => owner.storage.projects.hmacKeys.delete({ projectId: world.project, accessId })),
    'it has to be inactive',
  ).toBe(400);
  await owner.storage.projects.hmacKeys.update({ projectId: world.project, accessId, requestBody: { state: 'INACTIVE' } });
  await owner.storage.projects.hmacKeys.delete({ projectId: world.project, accessId });

  const { data } = await until(
    'the log has it all',
    () =>
      owner.logging.entries.list({
        requestBody: {
          resourceNames: [project],
          filter: `resource.labels.email_id="${account.email}"`,
          orderBy: 'timestamp asc',
          pageSize: 100,
        },
      }),
    ({ data: page }) => (page.entries ?? []).some((entry) => JSON.stringify(entry).includes('EnableServiceAccount"')),
  );
  const methods = (data.entries ?? []).map((entry) => String(entry.protoPayload?.methodName).split('.').pop());
  expect(methods).toEqual([
    'CreateServiceAccountKey',
    'DisableServiceAccountKey',
    'DeleteServiceAccountKey',
    'DeleteServiceAccountKey',
    'DisableServiceAccount',
    'EnableServiceAccount',
  ]);
  expect(JSON.stringify(data.entries)).not.toContain('PRIVATE KEY');
});
