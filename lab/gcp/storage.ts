import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { demand, may } from './access.ts';
import { missing, Refusal } from './refusal.ts';
import { type Call, type Logged, ok, only, page, type Route } from './route.ts';
import { accountNow, asOf, base62, etag, type HmacKey, iso, latest } from './state.ts';

const logged =
  (kind: Logged['kind']): NonNullable<Route['logged']> =>
  (call, answer) => {
    const project = call.parts.project ?? call.query.get('project') ?? '';
    const { secret: _secret, ...response } = (answer?.body ?? {}) as Record<string, unknown>;
    const metadata = response.metadata as Record<string, unknown> | undefined;
    const id = call.parts.key ?? metadata?.accessId;
    return {
      kind,
      project,
      resourceName: `projects/${project}/hmacKeys/${String(id ?? '')}`,
      resource: { type: 'project', labels: { project_id: project } },
      request: {
        ...call.body,
        ...(call.query.get('serviceAccountEmail') ? { serviceAccountEmail: call.query.get('serviceAccountEmail') } : {}),
      },
      response,
    };
  };

function show(key: HmacKey): Record<string, unknown> {
  return {
    kind: 'storage#hmacKeyMetadata',
    id: `${key.project}/${key.accessId}`,
    accessId: key.accessId,
    projectId: key.project,
    serviceAccountEmail: key.email,
    state: latest(key.state),
    timeCreated: iso(key.createdAt),
    updated: iso(key.updatedAt),
    etag: key.etag,
  };
}

function hmac(call: Call, permission: string): HmacKey {
  const { project = '', key: id = '' } = call.parts;
  demand(call.world, call.email, permission, project);
  const key = call.world.hmacKeys.get(id);
  if (key === undefined || key.project !== project || latest(key.state) === 'DELETED') throw missing(`Access ID ${id}`);
  return key;
}

/**
 * Whether a key authenticates now: by its state as of one propagation time ago, three minutes at Google. Deleting does not hurry that: servers that have not heard that the key is
 * inactive have not heard that it is deleted either, and so go by what they know from the later of both on (Cloud Storage, "Manage HMAC keys": wait three minutes before deleting).
 */
function authenticates(call: Call, key: HmacKey): boolean {
  return asOf(key.state, call.world.clock.now() - call.world.settings.hmacPropagationMs) === 'ACTIVE';
}

function change(call: Call, key: HmacKey, state: 'ACTIVE' | 'INACTIVE' | 'DELETED'): void {
  const { world } = call;
  const now = world.clock.now();
  const known = asOf(key.state, now - world.settings.hmacPropagationMs);
  // An early delete: what had not yet gone round is overtaken by it, and the wait begins anew.
  if (state === 'DELETED' && known === 'ACTIVE') key.state.splice(0, key.state.length, { at: 0, value: 'ACTIVE' });
  key.state.push({ at: now, value: state });
  key.updatedAt = now;
  key.etag = etag();
}

const storage = (method: string, verb: string, pattern: RegExp, permission: string, kind: Logged['kind'], run: Route['run']): Route => ({
  service: 'storage.googleapis.com',
  method: `storage.${method}`,
  verb,
  pattern,
  permission,
  auth: 'token',
  run,
  logged: logged(kind),
});
const all = /^\/storage\/v1\/projects\/(?<project>[^/]+)\/hmacKeys$/;
const one = /^\/storage\/v1\/projects\/(?<project>[^/]+)\/hmacKeys\/(?<key>[^/]+)$/;

export const storageRoutes: readonly Route[] = [
  storage('buckets.list', 'GET', /^\/storage\/v1\/b$/, 'storage.buckets.list', 'ADMIN_READ', (call) => {
    const project = call.query.get('project') ?? '';
    demand(call.world, call.email, 'storage.buckets.list', project);
    return ok({
      kind: 'storage#buckets',
      items: (call.world.projects.get(project)?.buckets ?? []).map((name) => ({ kind: 'storage#bucket', id: name, name })),
    });
  }),
  storage('hmacKeys.list', 'GET', all, 'storage.hmacKeys.list', 'ADMIN_READ', (call) => {
    const { project = '' } = call.parts;
    demand(call.world, call.email, 'storage.hmacKeys.list', project);
    const email = call.query.get('serviceAccountEmail');
    const shown = [...call.world.hmacKeys.values()].filter(
      (key) => key.project === project && latest(key.state) !== 'DELETED' && (email === null || key.email === email),
    );
    const { items, next } = page(shown, call, 250);
    return ok({
      kind: 'storage#hmacKeysMetadata',
      ...(items.length > 0 ? { items: items.map(show) } : {}),
      ...(next ? { nextPageToken: next } : {}),
    });
  }),
  storage('hmacKeys.create', 'POST', all, 'storage.hmacKeys.create', 'ADMIN_WRITE', (call) => {
    const { project = '' } = call.parts;
    demand(call.world, call.email, 'storage.hmacKeys.create', project);
    const email = call.query.get('serviceAccountEmail') ?? '';
    if (accountNow(call.world, email) === undefined) throw missing(`Service account ${email}`);
    const at = call.world.clock.now();
    const key: HmacKey = {
      accessId: `GOOG1E${base62(60).toUpperCase().slice(0, 55)}`,
      secret: Buffer.from(base62(60)).toString('base64').slice(0, 40),
      email,
      project,
      createdAt: at,
      updatedAt: at,
      etag: etag(),
      state: [{ at, value: 'ACTIVE' }],
    };
    call.world.hmacKeys.set(key.accessId, key);
    return ok({ kind: 'storage#hmacKey', secret: key.secret, metadata: show(key) }, true);
  }),
  storage('hmacKeys.get', 'GET', one, 'storage.hmacKeys.get', 'ADMIN_READ', (call) => ok(show(hmac(call, 'storage.hmacKeys.get')))),
  storage('hmacKeys.update', 'PUT', one, 'storage.hmacKeys.update', 'ADMIN_WRITE', (call) => {
    const key = hmac(call, 'storage.hmacKeys.update');
    const { state } = call.body;
    if (state !== 'ACTIVE' && state !== 'INACTIVE') throw new Refusal('INVALID_ARGUMENT', 'The state must be ACTIVE or INACTIVE.');
    if (call.body.etag !== undefined && call.body.etag !== key.etag)
      throw new Refusal('CONDITION_NOT_MET', 'At least one of the pre-conditions you specified did not hold.');
    const changed = latest(key.state) !== state;
    if (changed) change(call, key, state);
    return ok(show(key), changed);
  }),
  storage('hmacKeys.delete', 'DELETE', one, 'storage.hmacKeys.delete', 'ADMIN_WRITE', (call) => {
    only(call.body);
    const key = hmac(call, 'storage.hmacKeys.delete');
    if (latest(key.state) !== 'INACTIVE') throw new Refusal('INVALID_ARGUMENT', 'Cannot delete keys that are in ACTIVE state.');
    change(call, key, 'DELETED');
    return { status: 204, body: undefined, changed: true };
  }),
  // The XML API, signed with an HMAC key: what a holder of one can do.
  {
    service: 'storage.googleapis.com',
    method: 'xml.ListBuckets',
    verb: 'GET',
    pattern: /^\/$/,
    permission: 'storage.buckets.list',
    auth: 'self',
    run(call) {
      const key = signer(call);
      if (!may(call.world, key.email, 'storage.buckets.list', key.project)) throw new Refusal('PERMISSION_DENIED', 'Access denied.');
      const names = call.world.projects.get(key.project)?.buckets ?? [];
      const body = `<?xml version='1.0' encoding='UTF-8'?><ListAllMyBucketsResult><Buckets>${names.map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join('')}</Buckets></ListAllMyBucketsResult>`;
      return { status: 200, type: 'application/xml; charset=UTF-8', body };
    },
  },
];

const algorithm = 'GOOG4-HMAC-SHA256';

/** The signature of a request by Cloud Storage's V4 signing with an HMAC key ("Signatures", "Canonical requests"). A test signs with the same few lines. */
export function signature(
  secret: string,
  request: {
    readonly verb: string;
    readonly path: string;
    readonly query: string;
    readonly date: string;
    readonly scope: string;
    readonly headers: readonly (readonly [string, string])[];
    readonly payload: string;
  },
): string {
  const named = request.headers.map(([name]) => name).join(';');
  const canonical = [
    request.verb,
    request.path,
    request.query,
    ...request.headers.map(([name, value]) => `${name}:${value.trim()}`),
    '',
    named,
    request.payload,
  ].join('\n');
  const toSign = [algorithm, request.date, request.scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  let key = Buffer.from(`GOOG4${secret}`);
  for (const part of request.scope.split('/')) key = createHmac('sha256', key).update(part).digest();
  return createHmac('sha256', key).update(toSign).digest('hex');
}

function signer(call: Call): HmacKey {
  const found = /^GOOG4-HMAC-SHA256 Credential=([^/]+)\/(\S+?),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$/i.exec(
    call.headers.authorization ?? '',
  );
  const refused = () => new Refusal('UNAUTHENTICATED', 'The request signature we calculated does not match the signature you provided.');
  if (!found) throw refused();
  const [, id = '', scope = '', named = '', given = ''] = found;
  const key = call.world.hmacKeys.get(id);
  const date = String(call.headers['x-goog-date'] ?? '');
  const sent = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (key === undefined || !(Math.abs(sent - call.world.clock.now()) < 15 * 60_000)) throw refused();
  const headers = named.split(';').map((name) => [name, String(call.headers[name] ?? '')] as const);
  const right = signature(key.secret, {
    verb: call.verb,
    path: call.path,
    query: call.query.toString(),
    date,
    scope,
    headers,
    payload: String(call.headers['x-goog-content-sha256'] ?? ''),
  });
  if (!timingSafeEqual(Buffer.from(right), Buffer.from(given)) || !authenticates(call, key)) throw refused();
  return key;
}
