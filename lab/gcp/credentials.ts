import { createSign, createVerify } from 'node:crypto';
import { may } from './access.ts';
import { certificateOf, systemKey } from './iam.ts';
import { missing, Refusal } from './refusal.ts';
import { type Call, type Logged, ok, only, type Route } from './route.ts';
import { type AccessToken, type Account, accountNow, accountStands, base62, iso, type Key, keyStands, type World } from './state.ts';

const second = 1000;
const hour = 3_600 * second;
const grants = (words: string, code = 'invalid_grant'): Refusal => new Refusal('INVALID_ARGUMENT', words, code);

export function mint(
  world: World,
  of: Omit<AccessToken, 'issuedAt' | 'expiresAt'>,
  lifeMs: number,
): { readonly value: string; readonly token: AccessToken } {
  const issuedAt = world.clock.now();
  const token: AccessToken = { ...of, issuedAt, expiresAt: issuedAt + lifeMs };
  const value = `ya29.c.${base62(120)}`;
  world.tokens.set(value, token);
  return { value, token };
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function jwtOf(header: Record<string, unknown>, claims: Record<string, unknown>, key: Key): string {
  const body = `${encode(header)}.${encode(claims)}`;
  if (key.privateKey === undefined) throw new Error('only a system-managed key can sign');
  return `${body}.${createSign('sha256').update(body).sign(key.privateKey).toString('base64url')}`;
}

function readJwt(text: string): {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
  readonly body: string;
  readonly signature: Buffer;
} {
  const [header, claims, signature, more] = text.split('.');
  if (!header || !claims || !signature || more !== undefined) throw grants('Invalid JWT: a JWT has three parts.');
  try {
    const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
    return { header: read(header), claims: read(claims), body: `${header}.${claims}`, signature: Buffer.from(signature, 'base64url') };
  } catch {
    throw grants('Invalid JWT: it cannot be parsed.');
  }
}

/** Exchanges an assertion that a key of the account has signed (RFC 7523, and "Using OAuth 2.0 for server to server applications"). */
function exchange(call: Call): ReturnType<typeof ok> {
  const { world } = call;
  const form = new URLSearchParams(call.text);
  const given = (name: string) => form.get(name) ?? (typeof call.body[name] === 'string' ? (call.body[name] as string) : '');
  if (given('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer')
    throw grants('Unsupported grant type.', 'unsupported_grant_type');
  const { header, claims, body, signature } = readJwt(given('assertion'));
  if (header.alg !== 'RS256') throw grants('Invalid JWT: the algorithm must be RS256.');
  const account = accountNow(world, String(claims.iss ?? ''));
  if (account === undefined) throw grants('Invalid grant: account not found');
  // Accounts are looked at as of one propagation time ago, as everything that authenticates is.
  if (!accountStands(world, account.email)) throw grants('Invalid grant: account disabled');
  const { aud, iat, exp } = claims;
  if (typeof aud !== 'string' || !world.audiences.has(aud)) throw grants('Invalid JWT: the audience is not the token endpoint.');
  const now = world.clock.now();
  if (
    typeof iat !== 'number' ||
    typeof exp !== 'number' ||
    exp * second <= now ||
    iat * second > now + 300 * second ||
    (exp - iat) * second > hour + 60 * second
  )
    throw grants(
      'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
    );
  const kid = header.kid;
  const named = typeof kid === 'string' ? account.keys.get(kid) : undefined;
  if (typeof kid === 'string' && named === undefined) throw grants('Invalid JWT Signature.');
  const signer = (named ? [named] : [...account.keys.values()]).find(
    (key) => keyStands(world, key) && createVerify('sha256').update(body).verify(key.publicKey, signature),
  );
  if (signer === undefined) throw grants('Invalid JWT Signature.');
  if (typeof claims.target_audience === 'string')
    return ok({
      id_token: jwtOf({ alg: 'RS256', typ: 'JWT' }, idClaims(world, account, claims.target_audience), {
        ...signer,
        privateKey: signer.privateKey ?? world.idKey,
      }),
    });
  if (typeof claims.scope !== 'string' || claims.scope === '')
    throw grants('Invalid OAuth scope or ID token audience provided.', 'invalid_scope');
  // What a system-managed key has signed was signed by Google, for whoever asked `signJwt` for it.
  const { value } = mint(
    world,
    { email: account.email, scope: claims.scope, delegation: [], ...(signer.type === 'USER_MANAGED' ? { keyId: signer.id } : {}) },
    hour - second,
  );
  return ok({ access_token: value, expires_in: 3_599, token_type: 'Bearer' });
}

function idClaims(world: World, account: Account, audience: string): Record<string, unknown> {
  const now = Math.floor(world.clock.now() / second);
  return {
    iss: 'https://accounts.google.com',
    aud: audience,
    sub: account.uniqueId,
    azp: account.email,
    email: account.email,
    email_verified: true,
    iat: now,
    exp: now + 3_600,
  };
}

/** What anybody may ask of a token that he holds. It tells what the token says and not whether its account still stands. */
function tokenInfo(call: Call): ReturnType<typeof ok> {
  const value = call.query.get('access_token') ?? new URLSearchParams(call.text).get('access_token') ?? '';
  const token = call.world.tokens.get(value);
  const now = call.world.clock.now();
  if (token === undefined || token.expiresAt <= now) throw grants('Invalid Value', 'invalid_token');
  const account = call.world.accounts.get(token.email);
  return ok({
    azp: account?.uniqueId,
    aud: account?.uniqueId,
    scope: token.scope,
    exp: String(Math.floor(token.expiresAt / second)),
    expires_in: String(Math.floor((token.expiresAt - now) / second)),
    email: token.email,
    email_verified: 'true',
    access_type: 'online',
  });
}

const permissions = {
  generateAccessToken: 'iam.serviceAccounts.getAccessToken',
  generateIdToken: 'iam.serviceAccounts.getOpenIdToken',
  signJwt: 'iam.serviceAccounts.signJwt',
  signBlob: 'iam.serviceAccounts.signBlob',
} as const;
type Method = keyof typeof permissions;

/**
 * The account to act as, once the caller may: directly, or by way of `delegates`, each of whom must be let by the next (IAM Credentials API, "Creating short-lived credentials",
 * delegated request flow). Everybody on the way has to be enabled.
 */
function actAs(call: Call, permission: string): { readonly account: Account; readonly chain: readonly string[] } {
  const { world } = call;
  const { project = '', account: name = '' } = call.parts;
  if (project !== '-')
    throw new Refusal(
      'INVALID_ARGUMENT',
      'The wildcard character - is required for the project; replacing it with a project ID is invalid.',
    );
  const find = (of: string) =>
    accountNow(world, of) ?? [...world.accounts.values()].find((each) => each.uniqueId === of && each.deletedAt === undefined);
  const refused = (of: string) => new Refusal('PERMISSION_DENIED', `Permission '${of}' denied on resource (or it may not exist).`);
  const delegates = call.body.delegates ?? [];
  if (!Array.isArray(delegates)) throw new Refusal('INVALID_ARGUMENT', 'delegates must be a list.');
  let asker = call.email;
  const chain = [...(call.caller.token?.delegation ?? []), asker];
  for (const each of delegates) {
    const delegate = find(String(each).replace('projects/-/serviceAccounts/', ''));
    if (delegate === undefined || !may(world, asker, 'iam.serviceAccounts.implicitDelegation', delegate.project, delegate.email))
      throw refused('iam.serviceAccounts.implicitDelegation');
    if (!accountStands(world, delegate.email)) throw new Refusal('FAILED_PRECONDITION', 'A delegate is disabled.');
    asker = delegate.email;
    chain.push(asker);
  }
  const account = find(name);
  if (account === undefined || !may(world, asker, permission, account.project, account.email)) throw refused(permission);
  if (!accountStands(world, account.email)) throw new Refusal('FAILED_PRECONDITION', `Service account ${account.email} is disabled.`);
  return { account, chain };
}

const perform: Readonly<Record<Method, Route['run']>> = {
  generateAccessToken(call) {
    only(call.body, 'delegates', 'scope', 'lifetime');
    const { account, chain } = actAs(call, permissions.generateAccessToken);
    const { scope, lifetime = '3600s' } = call.body;
    if (!Array.isArray(scope) || scope.length === 0) throw new Refusal('INVALID_ARGUMENT', 'A scope is required.');
    const seconds = /^(\d+)s$/.exec(String(lifetime))?.[1];
    const most = call.world.projects.get(account.project)?.longLived.has(account.email) ? 43_200 : 3_600;
    if (seconds === undefined || Number(seconds) < 1 || Number(seconds) > most)
      throw new Refusal('INVALID_ARGUMENT', `The lifetime must be between 1s and ${most}s.`);
    const { value, token } = mint(
      call.world,
      { email: account.email, scope: scope.join(' '), delegation: chain },
      Number(seconds) * second,
    );
    return ok({ accessToken: value, expireTime: iso(token.expiresAt) });
  },
  async generateIdToken(call) {
    only(call.body, 'delegates', 'audience', 'includeEmail');
    const { account } = actAs(call, permissions.generateIdToken);
    if (typeof call.body.audience !== 'string') throw new Refusal('INVALID_ARGUMENT', 'An audience is required.');
    const key = await systemKey(call.world, account);
    return ok({ token: jwtOf({ alg: 'RS256', typ: 'JWT', kid: key.id }, idClaims(call.world, account, call.body.audience), key) });
  },
  async signJwt(call) {
    only(call.body, 'delegates', 'payload');
    const { account } = actAs(call, permissions.signJwt);
    let claims: Record<string, unknown>;
    try {
      claims = JSON.parse(String(call.body.payload)) as Record<string, unknown>;
    } catch {
      throw new Refusal('INVALID_ARGUMENT', 'The payload must be JSON.');
    }
    const { exp } = claims;
    if (exp !== undefined && (typeof exp !== 'number' || exp * second > call.world.clock.now() + 12 * hour))
      throw new Refusal('INVALID_ARGUMENT', 'exp must be within twelve hours.');
    const key = await systemKey(call.world, account);
    return ok({ keyId: key.id, signedJwt: jwtOf({ alg: 'RS256', typ: 'JWT', kid: key.id }, claims, key) });
  },
  async signBlob(call) {
    only(call.body, 'delegates', 'payload');
    const { account } = actAs(call, permissions.signBlob);
    const key = await systemKey(call.world, account);
    if (key.privateKey === undefined) throw new Error('only a system-managed key can sign');
    return ok({
      keyId: key.id,
      signedBlob: createSign('sha256')
        .update(Buffer.from(String(call.body.payload ?? ''), 'base64'))
        .sign(key.privateKey)
        .toString('base64'),
    });
  },
};

/** Data Access, DATA_READ: off unless the project's policy asks for it, so that a mint by impersonation is in no log by default. */
const logged: NonNullable<Route['logged']> = (call): Logged | undefined => {
  const name = call.parts.account ?? '';
  const account = call.world.accounts.get(name) ?? [...call.world.accounts.values()].find((each) => each.uniqueId === name);
  if (account === undefined) return undefined;
  return {
    kind: 'DATA_READ',
    project: account.project,
    resourceName: `projects/-/serviceAccounts/${account.uniqueId}`,
    resource: { type: 'service_account', labels: { project_id: account.project, email_id: account.email, unique_id: account.uniqueId } },
    request: {
      name: `projects/-/serviceAccounts/${name}`,
      ...(call.body.delegates ? { delegates: call.body.delegates } : {}),
      ...(call.body.lifetime ? { lifetime: call.body.lifetime } : {}),
    },
  };
};

/** The public certificates of an account's keys, which anybody may read. Keys that are off are left out; whether Google does so is not documented. */
function certificates(call: Call): ReturnType<typeof ok> {
  const account = accountNow(call.world, call.parts.account ?? '');
  if (account === undefined) throw missing('The account');
  return ok(
    Object.fromEntries([...account.keys.values()].filter((key) => keyStands(call.world, key)).map((key) => [key.id, certificateOf(key)])),
  );
}

export const credentialRoutes: readonly Route[] = [
  { service: 'oauth2.googleapis.com', method: 'token', verb: 'POST', pattern: /^\/token$/, auth: 'self', run: exchange },
  ...['GET', 'POST'].map(
    (verb): Route => ({
      service: 'oauth2.googleapis.com',
      method: 'tokeninfo',
      verb,
      pattern: /^\/(oauth2\/v3\/)?tokeninfo$/,
      auth: 'self',
      run: tokenInfo,
    }),
  ),
  {
    service: 'www.googleapis.com',
    method: 'x509',
    verb: 'GET',
    pattern: /^\/robot\/v1\/metadata\/x509\/(?<account>[^/]+)$/,
    auth: 'self',
    run: certificates,
  },
  ...(Object.keys(permissions) as Method[]).map(
    (method): Route => ({
      service: 'iamcredentials.googleapis.com',
      method: method.charAt(0).toUpperCase() + method.slice(1),
      verb: 'POST',
      pattern: new RegExp(`^/v1/projects/(?<project>[^/:]+)/serviceAccounts/(?<account>[^/:]+):${method}$`),
      permission: permissions[method],
      auth: 'token',
      run: perform[method],
      logged,
    }),
  ),
];

/** The account behind a bearer token that is accepted now. */
export function bearer(world: World, header: string | undefined): AccessToken {
  const refused = () =>
    new Refusal(
      'UNAUTHENTICATED',
      'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
    );
  const value = /^Bearer (\S+)$/i.exec(header ?? '')?.[1];
  const token = value === undefined ? undefined : world.tokens.get(value);
  if (token === undefined || token.expiresAt <= world.clock.now()) throw refused();
  // "Existing access tokens for the service account are rejected" while it is disabled, and accepted again once it is enabled (IAM API reference).
  if (!accountStands(world, token.email)) throw refused();
  return token;
}
