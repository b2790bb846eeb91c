import { X509Certificate } from 'node:crypto';
import { selfSigned } from '../../providers/gcp/x509.ts';
import { demand, may } from './access.ts';
import { missing, Refusal } from './refusal.ts';
import { type Call, type Logged, ok, only, page, type Route, text } from './route.ts';
import { type Account, accountNow, digits, etag, iso, type Key, keyIdOf, latest, type Policy, pair, type World } from './state.ts';

const root = '/v1/projects/(?<project>[^/:]+)/serviceAccounts';
const one = `${root}/(?<account>[^/:]+)`;
const keys = `${one}/keys`;
const oneKey = `${keys}/(?<key>[^/:]+)`;
const path = (pattern: string): RegExp => new RegExp(`^${pattern}$`);

/** What an IAM call is about, allowed or refused. */
interface Subject {
  readonly account: Account;
  readonly project: string;
}

/**
 * The account that a name means, by e-mail or unique id. With the wildcard `-` for the project an account that is not there is refused as if the caller had no
 * permission, so that nobody learns which accounts there are (IAM API reference, `projects.serviceAccounts`: "will return PERMISSION_DENIED").
 */
function subject(call: Call, permission: string): Subject {
  const { project = '', account: name = '' } = call.parts;
  const { world } = call;
  const found =
    accountNow(world, name) ?? [...world.accounts.values()].find((each) => each.uniqueId === name && each.deletedAt === undefined);
  if (project === '-') {
    if (found === undefined || !may(world, call.email, permission, found.project, found.email))
      throw new Refusal('PERMISSION_DENIED', `Permission '${permission}' denied on resource (or it may not exist).`);
    return { account: found, project: found.project };
  }
  // Permission is asked before existence: without it nobody is told what is missing.
  const here = found?.project === project ? found : undefined;
  demand(world, call.email, permission, project, here?.email);
  if (here === undefined) throw missing(`Service account projects/${project}/serviceAccounts/${name}`);
  return { account: here, project };
}

function keyOf(call: Call, of: Subject): Key {
  const key = of.account.keys.get(call.parts.key ?? '');
  if (key === undefined || key.deletedAt !== undefined) throw missing(`Service account key ${call.parts.key ?? ''}`);
  return key;
}

const nameOf = (account: Account): string => `projects/${account.project}/serviceAccounts/${account.email}`;

function showAccount(account: Account): Record<string, unknown> {
  return {
    name: nameOf(account),
    projectId: account.project,
    uniqueId: account.uniqueId,
    email: account.email,
    displayName: account.displayName,
    etag: latest(account.policy).etag,
    oauth2ClientId: account.uniqueId,
    // A member that is false is left out, as in the JSON form of any proto3 message.
    ...(latest(account.disabled) ? { disabled: true } : {}),
  };
}

function showKey(account: Account, key: Key, publicKeyType?: string | null): Record<string, unknown> {
  return {
    name: `${nameOf(account)}/keys/${key.id}`,
    validAfterTime: iso(key.createdAt).replace(/\.\d+Z$/, 'Z'),
    validBeforeTime: iso(key.validBefore).replace(/\.\d+Z$/, 'Z'),
    keyAlgorithm: 'KEY_ALG_RSA_2048',
    keyOrigin: key.origin,
    keyType: key.type,
    ...(latest(key.disabled) ? { disabled: true } : {}),
    ...(key.disableReason !== undefined ? { disableReason: key.disableReason } : {}),
    ...(key.extendedStatus !== undefined ? { extendedStatus: key.extendedStatus } : {}),
    ...(publicKeyType === 'TYPE_X509_PEM_FILE' ? { publicKeyData: Buffer.from(certificateOf(key)).toString('base64') } : {}),
    ...(publicKeyType === 'TYPE_RAW_PUBLIC_KEY'
      ? { publicKeyData: Buffer.from(key.publicKey.export({ type: 'spki', format: 'pem' }) as string).toString('base64') }
      : {}),
  };
}

/** The certificate under which the public half of a key is shown: an uploaded key's own. */
export function certificateOf(key: Key): string {
  return key.certificate ?? '';
}

const keysInUse = (account: Account): Key[] =>
  [...account.keys.values()].filter((each) => each.type === 'USER_MANAGED' && each.deletedAt === undefined);

function room(world: World, account: Account): void {
  if (keysInUse(account).length >= world.settings.keyLimit)
    throw new Refusal('RESOURCE_EXHAUSTED', `Maximum number of keys on account reached: ${world.settings.keyLimit}.`);
}

/** A key that Google makes. The private half is in the answer, and nowhere else afterwards. */
export async function makeKey(
  world: World,
  account: Account,
  at: number,
): Promise<{ readonly key: Key; readonly file: Record<string, string> }> {
  const { publicKey, privateKey } = await pair(world);
  const id = keyIdOf(publicKey);
  const validBefore = Date.UTC(9999, 11, 31, 23, 59, 59);
  const certificate = selfSigned({ privateKey, publicKey, commonName: account.email.slice(0, 64), notBefore: at, notAfter: validBefore });
  const key: Key = {
    id,
    origin: 'GOOGLE_PROVIDED',
    type: 'USER_MANAGED',
    publicKey,
    certificate,
    createdAt: at,
    validBefore,
    disabled: [{ at, value: false }],
  };
  account.keys.set(id, key);
  const file = {
    type: 'service_account',
    project_id: account.project,
    private_key_id: id,
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    client_email: account.email,
    client_id: account.uniqueId,
    auth_uri: 'https://accounts.google.com/o/oauth2/auth',
    token_uri: 'https://oauth2.googleapis.com/token',
    auth_provider_x509_cert_url: 'https://www.googleapis.com/oauth2/v1/certs',
    client_x509_cert_url: `https://www.googleapis.com/robot/v1/metadata/x509/${encodeURIComponent(account.email)}`,
    universe_domain: 'googleapis.com',
  };
  return { key, file };
}

/** The key with which Google signs for an account by `signJwt` and `signBlob`. */
export async function systemKey(world: World, account: Account): Promise<Key> {
  const found = [...account.keys.values()].find((each) => each.type === 'SYSTEM_MANAGED');
  if (found) return found;
  const { publicKey, privateKey } = await pair(world);
  const at = account.createdAt;
  const validBefore = at + 750 * 86_400_000;
  const certificate = selfSigned({ privateKey, publicKey, commonName: account.email.slice(0, 64), notBefore: at, notAfter: validBefore });
  const id = keyIdOf(publicKey);
  const key: Key = {
    id,
    origin: 'GOOGLE_PROVIDED',
    type: 'SYSTEM_MANAGED',
    publicKey,
    privateKey,
    certificate,
    createdAt: at,
    validBefore,
    disabled: [{ at, value: false }],
  };
  account.keys.set(id, key);
  return key;
}

export function makeAccount(world: World, project: string, id: string, displayName = ''): Account {
  if (!/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(id))
    throw new Refusal('INVALID_ARGUMENT', 'The account ID must be 6 to 30 characters, lower case letters, digits and dashes.');
  const email = `${id}@${project}.iam.gserviceaccount.com`;
  if (accountNow(world, email))
    throw new Refusal('ALREADY_EXISTS', `Service account ${id} already exists within project projects/${project}.`);
  const at = world.clock.now();
  const account: Account = {
    email,
    project,
    uniqueId: digits(21),
    displayName,
    createdAt: at,
    keys: new Map(),
    disabled: [{ at, value: false }],
    policy: [{ at, value: { etag: etag(), bindings: [] } }],
    byGoogle: false,
  };
  world.accounts.set(email, account);
  return account;
}

const logOf =
  (type: 'service_account' | 'service_account_key' | 'project', kind: Logged['kind'] = 'ADMIN_WRITE'): NonNullable<Route['logged']> =>
  (call, answer) => {
    const named = call.parts.account ?? '';
    const account = call.world.accounts.get(named) ?? [...call.world.accounts.values()].find((each) => each.uniqueId === named);
    const project = account?.project ?? call.parts.project ?? '';
    const { privateKeyData: _private, ...response } = (answer?.body ?? {}) as Record<string, unknown>;
    const key = call.parts.key ?? (typeof response.name === 'string' ? response.name.split('/keys/')[1] : undefined);
    return {
      kind,
      project,
      resourceName: `projects/-/serviceAccounts/${account?.uniqueId ?? call.parts.account ?? ''}${key === undefined ? '' : `/keys/${key}`}`,
      resource: {
        type: 'service_account',
        labels: { project_id: project, email_id: account?.email ?? named, unique_id: account?.uniqueId ?? '' },
      },
      request: {
        '@type': `type.googleapis.com/google.iam.admin.v1.${type}`,
        name: `projects/${project}/serviceAccounts/${named}${key === undefined ? '' : `/keys/${key}`}`,
        ...call.body,
      },
      response,
    };
  };

function setAccount(call: Call, wanted: boolean): ReturnType<typeof ok> {
  only(call.body);
  const of = subject(call, `iam.serviceAccounts.${wanted ? 'disable' : 'enable'}`);
  // "If Google disabled the service account, you cannot use this method to enable it" (IAM API reference, serviceAccounts.enable).
  if (!wanted && of.account.byGoogle)
    throw new Refusal('FAILED_PRECONDITION', 'The service account was disabled by Google and cannot be enabled.');
  const changed = latest(of.account.disabled) !== wanted;
  if (changed) of.account.disabled.push({ at: call.world.clock.now(), value: wanted });
  return ok({}, changed);
}

function setKey(call: Call, wanted: boolean): ReturnType<typeof ok> {
  only(call.body, 'serviceAccountKeyDisableReason', 'extendedStatusMessage');
  const of = subject(call, `iam.serviceAccountKeys.${wanted ? 'disable' : 'enable'}`);
  const key = keyOf(call, of);
  if (key.type === 'SYSTEM_MANAGED') throw new Refusal('FAILED_PRECONDITION', 'System-managed keys cannot be changed.');
  if (!wanted && key.disableReason?.endsWith('EXPOSED'))
    throw new Refusal('FAILED_PRECONDITION', 'The key was disabled because it was exposed, and cannot be enabled.');
  const changed = latest(key.disabled) !== wanted;
  if (changed) {
    key.disabled.push({ at: call.world.clock.now(), value: wanted });
    if (wanted) key.disableReason = 'SERVICE_ACCOUNT_KEY_DISABLE_REASON_USER_INITIATED';
    else delete key.disableReason;
  }
  return ok({}, changed);
}

function writePolicy(call: Call, history: { readonly at: number; readonly value: Policy }[]): ReturnType<typeof ok> {
  only(call.body, 'policy', 'updateMask');
  const given = call.body.policy as Partial<Policy> | undefined;
  if (given === undefined || !Array.isArray(given.bindings)) throw new Refusal('INVALID_ARGUMENT', 'A policy with bindings is required.');
  const standing = latest(history);
  if (given.etag !== undefined && given.etag !== standing.etag)
    throw new Refusal(
      'ABORTED',
      'There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.',
    );
  const value: Policy = {
    etag: etag(),
    bindings: given.bindings,
    ...(given.auditConfigs ? { auditConfigs: given.auditConfigs } : standing.auditConfigs ? { auditConfigs: standing.auditConfigs } : {}),
  };
  history.push({ at: call.world.clock.now(), value });
  return ok({ version: 1, ...value }, true);
}

const iam = (
  method: string,
  verb: string,
  pattern: string,
  permission: string,
  run: Route['run'],
  logged: NonNullable<Route['logged']> = logOf('service_account'),
): Route => ({
  service: 'iam.googleapis.com',
  method: `google.iam.admin.v1.${method}`,
  verb,
  pattern: path(pattern),
  permission,
  auth: 'token',
  run,
  logged,
});

const onKey = logOf('service_account_key');
const reads = logOf('service_account', 'ADMIN_READ');

export const iamRoutes: readonly Route[] = [
  iam(
    'ListServiceAccounts',
    'GET',
    root,
    'iam.serviceAccounts.list',
    (call) => {
      const { project = '' } = call.parts;
      demand(call.world, call.email, 'iam.serviceAccounts.list', project);
      const all = [...call.world.accounts.values()].filter((each) => each.project === project && each.deletedAt === undefined);
      const { items, next } = page(all, call, 100);
      return ok({ accounts: items.map(showAccount), ...(next ? { nextPageToken: next } : {}) });
    },
    reads,
  ),
  iam('CreateServiceAccount', 'POST', root, 'iam.serviceAccounts.create', (call) => {
    const { project = '' } = call.parts;
    demand(call.world, call.email, 'iam.serviceAccounts.create', project);
    only(call.body, 'accountId', 'serviceAccount');
    return ok(showAccount(makeAccount(call.world, project, text(call.body, 'accountId'))), true);
  }),
  iam(
    'GetServiceAccount',
    'GET',
    one,
    'iam.serviceAccounts.get',
    (call) => ok(showAccount(subject(call, 'iam.serviceAccounts.get').account)),
    reads,
  ),
  iam('DeleteServiceAccount', 'DELETE', one, 'iam.serviceAccounts.delete', (call) => {
    subject(call, 'iam.serviceAccounts.delete').account.deletedAt = call.world.clock.now();
    return ok({}, true);
  }),
  iam('DisableServiceAccount', 'POST', `${one}:disable`, 'iam.serviceAccounts.disable', (call) => setAccount(call, true)),
  iam('EnableServiceAccount', 'POST', `${one}:enable`, 'iam.serviceAccounts.enable', (call) => setAccount(call, false)),
  iam(
    'GetIAMPolicy',
    'POST',
    `${one}:getIamPolicy`,
    'iam.serviceAccounts.getIamPolicy',
    (call) => {
      const policy = latest(subject(call, 'iam.serviceAccounts.getIamPolicy').account.policy);
      return ok({ version: 1, ...policy });
    },
    reads,
  ),
  iam('SetIAMPolicy', 'POST', `${one}:setIamPolicy`, 'iam.serviceAccounts.setIamPolicy', (call) =>
    writePolicy(call, subject(call, 'iam.serviceAccounts.setIamPolicy').account.policy),
  ),
  iam(
    'ListServiceAccountKeys',
    'GET',
    keys,
    'iam.serviceAccountKeys.list',
    (call) => {
      const { account } = subject(call, 'iam.serviceAccountKeys.list');
      const types = call.query.getAll('keyTypes');
      const shown = [...account.keys.values()].filter(
        (key) => key.deletedAt === undefined && (types.length === 0 || types.includes(key.type)),
      );
      return ok(shown.length === 0 ? {} : { keys: shown.map((key) => showKey(account, key)) });
    },
    reads,
  ),
  iam(
    'GetServiceAccountKey',
    'GET',
    oneKey,
    'iam.serviceAccountKeys.get',
    (call) => {
      const of = subject(call, 'iam.serviceAccountKeys.get');
      return ok(showKey(of.account, keyOf(call, of), call.query.get('publicKeyType')));
    },
    reads,
  ),
  iam(
    'CreateServiceAccountKey',
    'POST',
    keys,
    'iam.serviceAccountKeys.create',
    async (call) => {
      only(call.body, 'privateKeyType', 'keyAlgorithm');
      const { account } = subject(call, 'iam.serviceAccountKeys.create');
      room(call.world, account);
      const { key, file } = await makeKey(call.world, account, call.world.clock.now());
      return ok(
        {
          ...showKey(account, key),
          privateKeyType: 'TYPE_GOOGLE_CREDENTIALS_FILE',
          privateKeyData: Buffer.from(JSON.stringify(file, null, 2)).toString('base64'),
        },
        true,
      );
    },
    onKey,
  ),
  iam(
    'UploadServiceAccountKey',
    'POST',
    `${keys}:upload`,
    'iam.serviceAccountKeys.create',
    (call) => {
      only(call.body, 'publicKeyData');
      const { account } = subject(call, 'iam.serviceAccountKeys.create');
      let certificate: X509Certificate;
      try {
        certificate = new X509Certificate(Buffer.from(text(call.body, 'publicKeyData'), 'base64').toString());
      } catch {
        throw new Refusal('INVALID_ARGUMENT', 'The public key must be an X.509 certificate in PEM format.');
      }
      const { publicKey } = certificate;
      if (publicKey.asymmetricKeyType !== 'rsa' || (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) < 1024)
        throw new Refusal('INVALID_ARGUMENT', 'The public key must be RSA with at least 1024 bits.');
      // A certificate that does not verify under its own key is none that its holder has made.
      if (!certificate.verify(publicKey)) throw new Refusal('INVALID_ARGUMENT', 'The certificate is not self-signed.');
      const id = keyIdOf(publicKey);
      const standing = account.keys.get(id);
      if (standing !== undefined && standing.deletedAt === undefined)
        throw new Refusal('ALREADY_EXISTS', 'The public key was already uploaded.');
      const at = call.world.clock.now();
      const validBefore = Date.parse(certificate.validTo);
      if (Date.parse(certificate.validFrom) > at + 300_000 || validBefore <= at)
        throw new Refusal('INVALID_ARGUMENT', 'The certificate is not valid now.');
      room(call.world, account);
      const key: Key = {
        id,
        origin: 'USER_PROVIDED',
        type: 'USER_MANAGED',
        publicKey,
        certificate: certificate.toString(),
        createdAt: at,
        validBefore,
        disabled: [{ at, value: false }],
      };
      account.keys.set(id, key);
      return ok(showKey(account, key), true);
    },
    onKey,
  ),
  iam(
    'DeleteServiceAccountKey',
    'DELETE',
    oneKey,
    'iam.serviceAccountKeys.delete',
    (call) => {
      const of = subject(call, 'iam.serviceAccountKeys.delete');
      const key = keyOf(call, of);
      if (key.type === 'SYSTEM_MANAGED') throw new Refusal('FAILED_PRECONDITION', 'System-managed keys cannot be deleted.');
      key.deletedAt = call.world.clock.now();
      return ok({}, true);
    },
    onKey,
  ),
  iam('DisableServiceAccountKey', 'POST', `${oneKey}:disable`, 'iam.serviceAccountKeys.disable', (call) => setKey(call, true), onKey),
  iam('EnableServiceAccountKey', 'POST', `${oneKey}:enable`, 'iam.serviceAccountKeys.enable', (call) => setKey(call, false), onKey),
];

const projectLog =
  (kind: Logged['kind']): NonNullable<Route['logged']> =>
  (call) => {
    const { project = '' } = call.parts;
    return {
      kind,
      project,
      resourceName: `projects/${project}`,
      resource: { type: 'project', labels: { project_id: project } },
      request: { resource: project, ...call.body },
    };
  };

function projectOf(call: Call, permission: string) {
  const { project = '' } = call.parts;
  demand(call.world, call.email, permission, project);
  const found = call.world.projects.get(project);
  if (found === undefined) throw missing(`Project ${project}`);
  return found;
}

const manager = (method: string, verb: string, pattern: string, permission: string, run: Route['run'], kind: Logged['kind']): Route => ({
  service: 'cloudresourcemanager.googleapis.com',
  method,
  verb,
  pattern: path(pattern),
  permission,
  auth: 'token',
  run,
  logged: projectLog(kind),
});

const project = '/v[13]/projects/(?<project>[^/:]+)';
export const projectRoutes: readonly Route[] = [
  manager(
    'GetProject',
    'GET',
    project,
    'resourcemanager.projects.get',
    (call) => {
      const found = projectOf(call, 'resourcemanager.projects.get');
      return ok({ name: `projects/${found.number}`, projectId: found.id, state: 'ACTIVE' });
    },
    'ADMIN_READ',
  ),
  manager(
    'GetIamPolicy',
    'POST',
    `${project}:getIamPolicy`,
    'resourcemanager.projects.getIamPolicy',
    (call) => ok({ version: 1, ...latest(projectOf(call, 'resourcemanager.projects.getIamPolicy').policy) }),
    'ADMIN_READ',
  ),
  // Anybody may ask what he may (Resource Manager API, projects.testIamPermissions).
  {
    service: 'cloudresourcemanager.googleapis.com',
    method: 'TestIamPermissions',
    verb: 'POST',
    pattern: path(`${project}:testIamPermissions`),
    auth: 'token',
    run(call) {
      const asked = call.body.permissions;
      if (!Array.isArray(asked)) throw new Refusal('INVALID_ARGUMENT', 'permissions must be a list.');
      return ok({ permissions: asked.map(String).filter((each) => may(call.world, call.email, each, call.parts.project ?? '')) });
    },
  },
  manager(
    'SetIamPolicy',
    'POST',
    `${project}:setIamPolicy`,
    'resourcemanager.projects.setIamPolicy',
    (call) => writePolicy(call, projectOf(call, 'resourcemanager.projects.setIamPolicy').policy),
    'ADMIN_WRITE',
  ),
];
