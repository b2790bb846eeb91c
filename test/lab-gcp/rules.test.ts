import { createSign, generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { selfSigned } from '../../providers/gcp/x509.ts';
import { type Practice, practice, timing, until } from '../providers-gcp/practice.ts';

/** What the simulator refuses or does late, as Google documents it: each would let a naive script pass on a kinder one. */
let world: Practice;
let owner: string;
let email: string;
const scope = ['https://www.googleapis.com/auth/cloud-platform'];
const minute = 60_000;

beforeEach(async () => {
  world = await practice();
  owner = await world.alive(world.sim.admin);
  email = await world.makeAccount('ci-deployer');
});
afterEach(() => world.close());

const said = async (method: string, path: string, body?: unknown, token = owner) => {
  const { status, body: answer } = await world.call(token, method, path, body);
  const error = answer.error as { status?: string } | string | undefined;
  return [status, typeof error === 'string' ? error : error?.status] as const;
};

describe('accounts and keys', () => {
  it('under the wildcard project a missing account is refused, and under its own name it is missing', async () => {
    const ghost = 'ghost-account@practice-471200.iam.gserviceaccount.com';
    expect(await said('GET', world.account(ghost))).toEqual([404, 'NOT_FOUND']);
    expect(await said('GET', `/v1/projects/-/serviceAccounts/${ghost}`)).toEqual([403, 'PERMISSION_DENIED']);
    expect(await said('DELETE', `/v1/projects/-/serviceAccounts/${ghost}/keys/${'a'.repeat(40)}`)).toEqual([403, 'PERMISSION_DENIED']);
    expect(await said('GET', `/v1/projects/-/serviceAccounts/${email}`)).toEqual([200, undefined]);
  });

  it('an account holds ten keys, disabled ones included', async () => {
    for (let i = 0; i < 10; i++) await world.makeKey(email);
    const [first] = (await world.control.world()).accounts.find((each) => each.email === email)?.keys ?? [];
    await world.admin('POST', `${world.account(email)}/keys/${first?.id}:disable`, {});
    expect(await said('POST', `${world.account(email)}/keys`, {})).toEqual([429, 'RESOURCE_EXHAUSTED']);
    await world.admin('DELETE', `${world.account(email)}/keys/${first?.id}`);
    expect((await said('POST', `${world.account(email)}/keys`, {}))[0]).toBe(200);
  });

  it('a key is known, and refused, a propagation time after the answer', async () => {
    await world.control.settings({ propagationMs: 5_000 });
    const file = await world.makeKey(email);
    expect(await world.exchange(file)).toBeUndefined();
    await world.control.advance(5_100);
    expect(await world.exchange(file)).toBeDefined();
    await world.admin('DELETE', `${world.account(email)}/keys/${file.private_key_id}`);
    expect(await world.exchange(file), 'servers that have not heard of it').toBeDefined();
    await world.control.advance(5_100);
    expect(await world.exchange(file)).toBeUndefined();
  });

  it('what Google has disabled nobody else enables', async () => {
    const file = await world.makeKey(email);
    const key = file.private_key_id ?? '';
    await world.control.order('google-disables-key', { email, key });
    expect(await said('POST', `${world.account(email)}/keys/${key}:enable`, {})).toEqual([400, 'FAILED_PRECONDITION']);
    await world.control.order('google-disables-account', { email });
    expect(await said('POST', `${world.account(email)}:enable`, {})).toEqual([400, 'FAILED_PRECONDITION']);
  });

  it('a certificate is taken once, if it is its own key’s and in order, and gives a key that authenticates', async () => {
    await world.grant(email, 'roles/viewer');
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const now = await world.now();
    const pem = (of: Partial<Parameters<typeof selfSigned>[0]> = {}) =>
      Buffer.from(selfSigned({ ...pair, commonName: 'x', notBefore: now - minute, notAfter: now + minute, ...of })).toString('base64');
    const upload = (publicKeyData: string) => said('POST', `${world.account(email)}/keys:upload`, { publicKeyData });
    expect((await upload(Buffer.from('no certificate').toString('base64')))[0]).toBe(400);
    expect((await upload(pem({ privateKey: other.privateKey })))[0], 'signed by another key').toBe(400);
    expect((await upload(pem({ notAfter: now - 1000 })))[0], 'expired').toBe(400);
    expect((await upload(pem()))[0]).toBe(200);
    expect(await upload(pem())).toEqual([409, 'ALREADY_EXISTS']);
    const file = { client_email: email, private_key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
    expect(await world.lists(await world.alive(file))).toBe(true);
  });

  it('an unknown member of a body is refused', async () => {
    expect(await said('POST', `${world.account(email)}:disable`, { reason: 'leak' })).toEqual([400, 'INVALID_ARGUMENT']);
  });
});

describe('tokens', () => {
  it('an assertion is refused for another’s signature, another audience, another time and another algorithm', async () => {
    const file = await world.makeKey(email);
    await world.alive(file);
    const now = Math.floor((await world.now()) / 1000);
    const right = { iss: email, scope: scope[0], aud: 'https://oauth2.googleapis.com/token', iat: now, exp: now + 3600 };
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const send = async (claims: object, header: object = { alg: 'RS256', kid: file.private_key_id }, key = file.private_key ?? '') => {
      const body = `${encode(header)}.${encode(claims)}`;
      const assertion = `${body}.${createSign('sha256').update(body).sign(key, 'base64url')}`;
      const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
      const answer = await fetch(`${world.sim.endpoint}/token`, { method: 'POST', body: form });
      return ((await answer.json()) as { error?: string }).error ?? 'ok';
    };
    expect(await send(right)).toBe('ok');
    expect(await send(right, { alg: 'RS256' }), 'without a key id').toBe('ok');
    expect(await send(right, undefined, (await world.makeKey(email)).private_key)).toBe('invalid_grant');
    expect(await send({ ...right, aud: 'https://example.org' })).toBe('invalid_grant');
    expect(await send({ ...right, iat: now - 7200, exp: now - 3600 })).toBe('invalid_grant');
    expect(await send({ ...right, exp: now + 7200 })).toBe('invalid_grant');
    expect(await send(right, { alg: 'HS256' })).toBe('invalid_grant');
  });

  it('a token ends an hour after it was issued, and twelve only where the project allows that', async () => {
    await world.grant(email, 'roles/iam.serviceAccountTokenCreator', email);
    await world.grant(email, 'roles/viewer');
    const token = await world.alive(await world.makeKey(email));
    const mint = (lifetime: string) =>
      world.call(token, 'POST', `/v1/projects/-/serviceAccounts/${email}:generateAccessToken`, { scope, lifetime });
    expect((await mint('43200s')).status).toBe(400);
    await world.control.order('allow-long-life', { email });
    const long = String((await mint('43200s')).body.accessToken);
    await world.control.advance(60 * minute);
    expect(await world.lists(token)).toBe(false);
    expect(await world.lists(long)).toBe(true);
    await world.control.advance(11 * 60 * minute);
    expect(await world.lists(long)).toBe(false);
  });

  it('tokeninfo goes on to know a token whose account is disabled, so that it proves nothing of that', async () => {
    await world.grant(email, 'roles/viewer');
    const token = await world.alive(await world.makeKey(email));
    await world.admin('POST', `${world.account(email)}:disable`, {});
    await until('the token is refused', async () => !(await world.lists(token)));
    expect((await fetch(`${world.sim.endpoint}/tokeninfo?access_token=${token}`)).status).toBe(200);
  });

  it('impersonation goes by the policies, each delegate let by the one before, and a signed JWT is as good as a token', async () => {
    const [middle, end] = [await world.makeAccount('middle-man'), await world.makeAccount('end-point')];
    await world.grant(end, 'roles/viewer');
    const token = await world.alive(await world.makeKey(email));
    const mint = (of: string, verb: string, body: object) =>
      world.call(token, 'POST', `/v1/projects/-/serviceAccounts/${of}:${verb}`, body);
    expect((await mint(end, 'generateAccessToken', { scope })).status).toBe(403);
    await world.grant(email, 'roles/iam.serviceAccountTokenCreator', middle);
    await world.grant(middle, 'roles/iam.serviceAccountTokenCreator', end);
    expect((await mint(end, 'generateAccessToken', { scope })).status, 'not directly').toBe(403);
    const chained = await mint(end, 'generateAccessToken', { scope, delegates: [`projects/-/serviceAccounts/${middle}`] });
    expect(await world.lists(String(chained.body.accessToken))).toBe(true);
    const at = Math.floor((await world.now()) / 1000);
    const payload = JSON.stringify({ iss: end, scope: scope[0], aud: 'https://oauth2.googleapis.com/token', iat: at, exp: at + 600 });
    const signed = await mint(end, 'signJwt', { payload, delegates: [`projects/-/serviceAccounts/${middle}`] });
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: String(signed.body.signedJwt),
    });
    const answer = (await (await fetch(`${world.sim.endpoint}/token`, { method: 'POST', body: form })).json()) as { access_token: string };
    expect(await world.lists(answer.access_token)).toBe(true);
    expect(
      (await world.call(token, 'POST', `/v1/projects/${world.project}/serviceAccounts/${middle}:generateAccessToken`, { scope })).status,
      'the wildcard is required here',
    ).toBe(400);
  });
});

describe('policies', () => {
  it('a change takes its time, and a stale entry tag is refused', async () => {
    await world.control.settings({ policyPropagationMs: 2 * minute });
    const token = await world.alive(await world.makeKey(email));
    await world.grant(email, 'roles/viewer');
    expect(await world.lists(token)).toBe(false);
    await world.control.advance(2 * minute + 100);
    expect(await world.lists(token)).toBe(true);
    const stale = { policy: { etag: 'AAAA', bindings: [] } };
    expect(await said('POST', `/v3/projects/${world.project}:setIamPolicy`, stale, await world.alive(world.sim.admin))).toEqual([
      409,
      'ABORTED',
    ]);
  });

  it('an owner may not act as an account unless that is given besides', async () => {
    expect(await said('POST', `/v1/projects/-/serviceAccounts/${email}:generateAccessToken`, { scope })).toEqual([
      403,
      'PERMISSION_DENIED',
    ]);
  });
});

describe('the log', () => {
  const list = async (filter: string, token = owner) =>
    ((await world.call(token, 'POST', '/v2/entries:list', { resourceNames: [`projects/${world.project}`], filter, pageSize: 1000 })).body
      .entries ?? []) as { protoPayload: Record<string, never> }[];

  it('has changes always, with the key that made them and the reason given, and acting-as only where Data Access is on', async () => {
    await world.grant(email, 'roles/iam.serviceAccountTokenCreator', email);
    await world.grant(email, 'roles/owner');
    const file = await world.makeKey(email);
    const token = await world.alive(file);
    const mint = () => world.call(token, 'POST', `/v1/projects/-/serviceAccounts/${email}:generateAccessToken`, { scope });
    const first = await mint();
    await world.makeAccount('another-one');
    const acting = String(first.body.accessToken);
    await world.call(acting, 'POST', `${world.account(email)}/keys`, {});
    await world.control.advance(timing.logLagMs + 50);
    expect(await list('protoPayload.methodName="GenerateAccessToken"')).toEqual([]);
    const [made] = await list(
      `protoPayload.methodName:"CreateServiceAccountKey" AND protoPayload.authenticationInfo.principalEmail="${email}"`,
    );
    expect(made?.protoPayload.authenticationInfo).toMatchObject({
      serviceAccountDelegationInfo: [{ firstPartyPrincipal: { principalEmail: email } }],
    });
    await world.setAudit(true);
    await mint();
    expect(await list('protoPayload.methodName="GenerateAccessToken"'), 'it is behind').toEqual([]);
    await world.control.advance(timing.logLagMs + 50);
    const seen = await list('protoPayload.methodName="GenerateAccessToken"');
    expect(seen).toHaveLength(1);
    expect(JSON.stringify(seen)).toContain(`/serviceAccounts/${email}/keys/${file.private_key_id}`);
  });

  it('leaves out Data Access entries for whoever may not read them, and says nothing of it', async () => {
    await world.setAudit(true);
    await world.grant(email, 'roles/viewer');
    await world.grant(email, 'roles/iam.serviceAccountTokenCreator', email);
    const token = await world.alive(await world.makeKey(email));
    await world.call(token, 'POST', `/v1/projects/-/serviceAccounts/${email}:generateAccessToken`, { scope });
    await world.control.advance(timing.logLagMs + 50);
    expect(await list('protoPayload.methodName="GenerateAccessToken"')).toHaveLength(1);
    expect(await list('protoPayload.methodName="GenerateAccessToken"', token)).toEqual([]);
  });

  it('is read sixty times a minute, and a filter that it does not understand is refused', async () => {
    await world.control.settings({ logReadsPerMinute: 60 });
    const ask = (filter: string) => said('POST', '/v2/entries:list', { resourceNames: [`projects/${world.project}`], filter });
    expect(await ask('protoPayload.methodName=~"Create.*"')).toEqual([400, 'INVALID_ARGUMENT']);
    expect(await ask('severity >=')).toEqual([400, 'INVALID_ARGUMENT']);
    for (let i = 0; i < 58; i++) await ask('');
    expect(await ask('')).toEqual([429, 'RESOURCE_EXHAUSTED']);
  });
});

describe('HMAC and API keys', () => {
  it('an HMAC key is deleted only when inactive, changed only by its present entry tag, and gone afterwards', async () => {
    const { accessId } = await world.makeHmac(email);
    const path = `/storage/v1/projects/${world.project}/hmacKeys/${accessId}`;
    expect((await said('DELETE', path))[0]).toBe(400);
    expect((await said('PUT', path, { state: 'INACTIVE', etag: 'stale' }))[0]).toBe(412);
    expect((await said('PUT', path, { state: 'INACTIVE' }))[0]).toBe(200);
    expect((await said('DELETE', path))[0]).toBe(204);
    expect((await said('DELETE', path))[0]).toBe(404);
  });

  it('a deleted standard key authenticates for eight minutes at least and twenty-three at most, a bound one for one', async () => {
    const standard = await world.makeApiKey();
    const bound = await world.makeApiKey({ serviceAccountEmail: email });
    expect(standard.text).toMatch(/^AIza.{35}$/);
    expect(bound.text).toMatch(/^AQ\./);
    for (const { uid } of [standard, bound]) await world.admin('DELETE', `/v2/projects/${world.project}/locations/global/keys/${uid}`);
    await world.control.advance(2 * minute);
    expect(await world.listsWithApiKey(bound.text)).toBe(false);
    await world.control.advance(5.9 * minute);
    expect(await world.listsWithApiKey(standard.text)).toBe(true);
    await world.control.advance(16 * minute);
    expect(await world.listsWithApiKey(standard.text)).toBe(false);
  });
});

it('what an order of the control port breaks is told apart from what Google refuses', async () => {
  await world.control.inject({ kind: 'html', count: 1 });
  expect((await world.call(owner, 'GET', world.account(email))).body.text).toMatch(/Sign in/);
  await world.control.inject({ kind: 'empty', action: 'DisableServiceAccount', count: 1 });
  expect((await world.call(owner, 'POST', `${world.account(email)}:disable`, {})).status).toBe(200);
  expect((await world.control.world()).accounts.find((each) => each.email === email)?.disabled).toBe(true);
  const answer = await fetch(`${world.sim.control.url}/world`, { method: 'POST', headers: { authorization: 'Bearer wrong' } });
  expect(answer.status).toBe(401);
});
