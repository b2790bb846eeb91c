import { randomInt } from 'node:crypto';
import { demand, may } from './access.ts';
import { missing, Refusal } from './refusal.ts';
import { type Call, type Logged, ok, only, page, type Route } from './route.ts';
import { type ApiKey, accountNow, accountStands, asOf, base62, etag, hex, iso, latest, type World } from './state.ts';

const minute = 60_000;
const logged =
  (kind: Logged['kind']): NonNullable<Route['logged']> =>
  (call, answer) => {
    const project = call.parts.project ?? '';
    // The entry of a long-running change names what it was about, which the answer to the first call does not.
    const begun = (answer?.body as { name?: string } | undefined)?.name;
    const response = (begun === undefined ? undefined : call.world.operations.get(begun)?.response) as { name?: string } | undefined;
    return {
      kind,
      project,
      resourceName: response?.name ?? `projects/${project}/locations/global/keys/${call.parts.key ?? ''}`,
      resource: { type: 'audited_resource', labels: { project_id: project, service: 'apikeys.googleapis.com' } },
      request: call.body,
    };
  };

const nameOf = (key: ApiKey): string => `projects/${key.project}/locations/global/keys/${key.uid}`;

function show(key: ApiKey): Record<string, unknown> {
  const restrictions = latest(key.restrictions);
  return {
    name: nameOf(key),
    uid: key.uid,
    displayName: key.displayName,
    createTime: iso(key.createdAt),
    updateTime: iso(key.updatedAt),
    etag: key.etag,
    ...(restrictions ? { restrictions } : {}),
    ...(key.boundTo ? { serviceAccountEmail: key.boundTo } : {}),
    ...(latest(key.deleted) ? { deleteTime: iso(key.deleted[key.deleted.length - 1]?.at ?? 0) } : {}),
  };
}

function keyOf(call: Call, permission: string): ApiKey {
  const { project = '', key: uid = '' } = call.parts;
  demand(call.world, call.email, permission, project);
  const key = call.world.apiKeys.get(uid);
  if (key === undefined || key.project !== project) throw missing(`Key ${uid}`);
  return key;
}

/** An operation that is done when it is first asked about; its answer is in it then (AIP-151). */
function operation(call: Call, key: ApiKey, type: string): ReturnType<typeof ok> {
  const name = `operations/akmf.p7-${key.project}-${hex(8)}`;
  call.world.operations.set(name, {
    name,
    done: true,
    response: { '@type': `type.googleapis.com/google.api.apikeys.v2.${type}`, ...show(key) },
  });
  return ok({ name, done: false }, true);
}

export function makeApiKey(
  world: World,
  project: string,
  of: { readonly displayName?: string; readonly boundTo?: string; readonly restrictions?: Readonly<Record<string, unknown>> },
): ApiKey {
  const at = world.clock.now();
  const uid = `${hex(4)}-${hex(2)}-4${hex(2).slice(1)}-a${hex(2).slice(1)}-${hex(6)}`;
  const key: ApiKey = {
    uid,
    project,
    text: of.boundTo === undefined ? `AIza${base62(35)}` : `AQ.Ab8${base62(47)}`,
    displayName: of.displayName ?? '',
    ...(of.boundTo === undefined ? {} : { boundTo: of.boundTo }),
    createdAt: at,
    updatedAt: at,
    etag: `W/"${etag()}"`,
    restrictions: [{ at, value: of.restrictions }],
    deleted: [{ at, value: false }],
    // Ten deleted standard keys were seen to authenticate for 8 to 23 minutes, bound ones for about one (Aikido, May 2026).
    lingersMs: of.boundTo === undefined ? randomInt(8 * minute, 23 * minute) : minute,
  };
  world.apiKeys.set(uid, key);
  return key;
}

const apiKeys = (method: string, verb: string, pattern: RegExp, permission: string, kind: Logged['kind'], run: Route['run']): Route => ({
  service: 'apikeys.googleapis.com',
  method: `google.api.apikeys.v2.ApiKeys.${method}`,
  verb,
  pattern,
  permission,
  auth: 'token',
  run,
  logged: logged(kind),
});
const root = '/v2/projects/(?<project>[^/:]+)/locations/global/keys';
const all = new RegExp(`^${root}$`);
const one = new RegExp(`^${root}/(?<key>[^/:]+)$`);

export const apiKeyRoutes: readonly Route[] = [
  apiKeys('LookupKey', 'GET', /^\/v2\/keys:lookupKey$/, 'apikeys.keys.lookup', 'ADMIN_READ', (call) => {
    const text = call.query.get('keyString') ?? '';
    const key = [...call.world.apiKeys.values()].find((each) => each.text === text && !latest(each.deleted));
    if (key === undefined || !may(call.world, call.email, 'apikeys.keys.lookup', key.project))
      throw new Refusal('PERMISSION_DENIED', 'The caller does not have permission');
    return ok({ parent: `projects/${call.world.projects.get(key.project)?.number ?? ''}/locations/global`, name: nameOf(key) });
  }),
  apiKeys('ListKeys', 'GET', all, 'apikeys.keys.list', 'ADMIN_READ', (call) => {
    const { project = '' } = call.parts;
    demand(call.world, call.email, 'apikeys.keys.list', project);
    const shown = [...call.world.apiKeys.values()].filter(
      (key) => key.project === project && (call.query.get('showDeleted') === 'true' || !latest(key.deleted)),
    );
    const { items, next } = page(shown, call, 300);
    return ok({ ...(items.length > 0 ? { keys: items.map(show) } : {}), ...(next ? { nextPageToken: next } : {}) });
  }),
  apiKeys('CreateKey', 'POST', all, 'apikeys.keys.create', 'ADMIN_WRITE', (call) => {
    const { project = '' } = call.parts;
    demand(call.world, call.email, 'apikeys.keys.create', project);
    only(call.body, 'displayName', 'restrictions', 'serviceAccountEmail');
    const { displayName, restrictions, serviceAccountEmail: boundTo } = call.body;
    if (typeof boundTo === 'string' && accountNow(call.world, boundTo) === undefined) throw missing(`Service account ${boundTo}`);
    const key = makeApiKey(call.world, project, {
      ...(typeof displayName === 'string' ? { displayName } : {}),
      ...(typeof boundTo === 'string' ? { boundTo } : {}),
      ...(restrictions ? { restrictions: restrictions as Record<string, unknown> } : {}),
    });
    return operation(call, key, 'Key');
  }),
  apiKeys('GetKey', 'GET', one, 'apikeys.keys.get', 'ADMIN_READ', (call) => ok(show(keyOf(call, 'apikeys.keys.get')))),
  apiKeys('GetKeyString', 'GET', new RegExp(`^${root}/(?<key>[^/:]+)/keyString$`), 'apikeys.keys.getKeyString', 'ADMIN_READ', (call) =>
    ok({ keyString: keyOf(call, 'apikeys.keys.getKeyString').text }),
  ),
  apiKeys('UpdateKey', 'PATCH', one, 'apikeys.keys.update', 'ADMIN_WRITE', (call) => {
    const key = keyOf(call, 'apikeys.keys.update');
    if (latest(key.deleted)) throw new Refusal('FAILED_PRECONDITION', 'The key is deleted.');
    only(call.body, 'displayName', 'restrictions', 'etag', 'annotations');
    const mask = call.query.get('updateMask') ?? '';
    if (mask !== 'restrictions') throw new Refusal('INVALID_ARGUMENT', 'The only fields that can be updated here are the restrictions.');
    if (call.body.etag !== undefined && call.body.etag !== key.etag) throw new Refusal('ABORTED', 'The etag does not match.');
    key.restrictions.push({ at: call.world.clock.now(), value: call.body.restrictions as Record<string, unknown> | undefined });
    key.updatedAt = call.world.clock.now();
    key.etag = `W/"${etag()}"`;
    return operation(call, key, 'Key');
  }),
  apiKeys('DeleteKey', 'DELETE', one, 'apikeys.keys.delete', 'ADMIN_WRITE', (call) => {
    const key = keyOf(call, 'apikeys.keys.delete');
    if (latest(key.deleted)) throw missing(`Key ${key.uid}`);
    const given = call.query.get('etag');
    if (given !== null && given !== key.etag) throw new Refusal('ABORTED', 'The etag does not match.');
    key.deleted.push({ at: call.world.clock.now(), value: true });
    key.etag = `W/"${etag()}"`;
    return operation(call, key, 'Key');
  }),
  apiKeys('UndeleteKey', 'POST', new RegExp(`^${root}/(?<key>[^/:]+):undelete$`), 'apikeys.keys.undelete', 'ADMIN_WRITE', (call) => {
    const key = keyOf(call, 'apikeys.keys.undelete');
    const since = key.deleted[key.deleted.length - 1];
    if (!since?.value) throw new Refusal('FAILED_PRECONDITION', 'The key is not deleted.');
    if (call.world.clock.now() - since.at > 30 * 86_400_000) throw missing(`Key ${key.uid}`);
    key.deleted.push({ at: call.world.clock.now(), value: false });
    key.etag = `W/"${etag()}"`;
    return operation(call, key, 'Key');
  }),
  // Whoever began an operation may ask how it went.
  {
    service: 'apikeys.googleapis.com',
    method: 'GetOperation',
    verb: 'GET',
    pattern: /^\/v2\/(?<operation>operations\/[^/:]+)$/,
    auth: 'token',
    run(call) {
      const found = call.world.operations.get(call.parts.operation ?? '');
      if (found === undefined) throw missing('The operation');
      return ok(found);
    },
  },
  // What a holder of a key can do: a service that asks for nothing but a key.
  {
    service: 'generativelanguage.googleapis.com',
    method: 'ListModels',
    verb: 'GET',
    pattern: /^\/v1beta\/models$/,
    auth: 'self',
    run(call) {
      const { world } = call;
      const text = call.query.get('key') ?? String(call.headers['x-goog-api-key'] ?? '');
      const key = [...world.apiKeys.values()].find((each) => each.text === text);
      const refused = () => new Refusal('INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.');
      if (key === undefined) throw refused();
      const now = world.clock.now();
      if (asOf(key.deleted, now - key.lingersMs) === true) throw refused();
      if (key.boundTo !== undefined && !accountStands(world, key.boundTo)) throw refused();
      const restrictions = asOf(key.restrictions, now - world.settings.apiKeyPropagationMs) as
        | {
            readonly serverKeyRestrictions?: { readonly allowedIps?: readonly string[] };
            readonly apiTargets?: readonly { readonly service: string }[];
          }
        | undefined;
      const ips = restrictions?.serverKeyRestrictions?.allowedIps;
      const targets = restrictions?.apiTargets;
      const from = String(call.headers['x-forwarded-for'] ?? '203.0.113.9');
      if ((ips && !ips.includes(from)) || (targets && !targets.some((each) => each.service === 'generativelanguage.googleapis.com')))
        throw new Refusal('PERMISSION_DENIED', 'Requests from this client are blocked.');
      return ok({ models: [{ name: 'models/example' }] });
    },
  },
];
