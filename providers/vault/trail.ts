import { createReadStream } from 'node:fs';
import { z } from 'zod';
import { instantOf } from './client.ts';

/** Something that a call made, as the log has it: identifiers in it are HMACs, paths and times are not. */
export interface Made {
  readonly what: 'token' | 'batch' | 'lease' | 'secret-id';
  /** HMAC of the accessor, of a secret id's too; of the token for a batch token, which has none; a lease's own id. */
  readonly id: string;
  /** HMAC of the accessor that made it, of the token for a batch token; undefined where it came from a log-in with the leaked secret id. */
  readonly by: string | undefined;
  readonly via: string;
  readonly at: string;
  readonly ttlSeconds?: number;
  readonly entity?: string;
  readonly requestId: string;
}

/** A call of one of the credentials that are followed. */
export interface Called {
  readonly by: string;
  readonly path: string;
  readonly operation: string;
  readonly at: string;
  readonly address: string;
  readonly requestId: string;
  /** A KV secret that was read with it, as its path in the inventory would be. */
  readonly read?: string;
}

export interface Trail {
  readonly made: readonly Made[];
  /** At most {@link mostCalls}, the oldest first; `callCount` is how many there were. */
  readonly calls: readonly Called[];
  readonly callCount: number;
  readonly secretsRead: readonly string[];
  /** First and last moment in the file. */
  readonly first?: string;
  readonly last?: string;
  /** True where the creation of the followed credential itself is in the file. */
  readonly birth: boolean;
  /** Changes of audit devices, as `path at time`. */
  readonly devicesChanged: readonly string[];
  readonly unreadable: number;
  /** The marker's own entry was met, and its token's accessor is hashed as expected. */
  readonly marker: 'seen' | 'other-salt' | 'missing';
}

/** What is followed, all of it as HMACs of the very device that writes the file. */
export interface Follow {
  /** Of the leaked token's accessor, and of the token itself where it was at hand. */
  readonly accessor?: string;
  readonly token?: string;
  /** Log-ins with this secret id are its making. Without it, all log-ins of the role on the mount are. */
  readonly login?: { readonly mount: string; readonly role: string; readonly secretId?: string };
  /** A call of our own, and the HMAC of the accessor that it was made with. */
  readonly marker: { readonly requestId: string; readonly accessor: string };
}

const mostCalls = 5_000;
const mostMade = 20_000;

const authSchema = z.object({
  client_token: z.string().optional(),
  accessor: z.string().optional(),
  entity_id: z.string().optional(),
  token_type: z.string().optional(),
  token_ttl: z.number().optional(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});
const entrySchema = z.object({
  time: z.string(),
  type: z.string(),
  error: z.string().optional(),
  auth: authSchema.nullish(),
  request: z
    .object({
      id: z.string(),
      operation: z.string().optional(),
      path: z.string(),
      mount_type: z.string().optional(),
      client_token: z.string().optional(),
      remote_address: z.string().optional(),
      data: z.record(z.string(), z.unknown()).nullish(),
    })
    .nullish(),
  response: z
    .object({
      auth: authSchema.nullish(),
      wrap_info: z
        .object({ wrapped_accessor: z.string().optional(), token: z.string().optional(), accessor: z.string().optional() })
        .nullish(),
      secret: z.object({ lease_id: z.string().optional() }).nullish(),
      data: z.unknown().optional(),
    })
    .nullish(),
});

/**
 * Follows one credential through the audit device's file, once, from its beginning: whatever it made is followed too, since it is in the log before anything that it does. Reads as a stream, and keeps
 * of each line only what is asked for.
 */
export async function followTrail(
  file: string,
  follow: Follow,
  on: { readonly signal: AbortSignal; heartbeat(detail?: unknown): void },
): Promise<Trail> {
  const accessors = new Set(follow.accessor ? [follow.accessor] : []);
  const tokens = new Set(follow.token ? [follow.token] : []);
  const made: Made[] = [];
  const calls: Called[] = [];
  const secretsRead = new Set<string>();
  const devicesChanged: string[] = [];
  let callCount = 0;
  let first: string | undefined;
  let last: string | undefined;
  let birth = false;
  let unreadable = 0;
  let marker: Trail['marker'] = 'missing';

  const take = (line: string): void => {
    if (line.trim() === '') return;
    const entry = parsed(line);
    if (entry === undefined || instantOf(entry.time) === undefined) {
      unreadable += 1;
      return;
    }
    first ??= entry.time;
    last = entry.time;
    const { request, response, auth, error } = entry;
    if (!request) return;
    if (request.id === follow.marker.requestId) marker = auth?.accessor === follow.marker.accessor ? 'seen' : 'other-salt';
    if (entry.type !== 'response') return;
    const operation = request.operation ?? '';
    if (/^sys\/(audit|config\/auditing)\//.test(request.path) && operation !== 'read' && operation !== 'list' && !error)
      devicesChanged.push(`${request.path} at ${entry.time}`);
    // A renewal answers with the token as well, and makes none.
    const fresh = /^auth\/token\/renew/.test(request.path) ? undefined : response?.auth;
    const wrapped = response?.wrap_info?.wrapped_accessor;
    if (follow.accessor !== undefined && (fresh?.accessor === follow.accessor || wrapped === follow.accessor)) birth = true;
    if (follow.token !== undefined && fresh?.client_token === follow.token) birth = true;
    if (error) return;

    const loggedIn = isLogin(request, fresh, follow);
    const by =
      auth?.accessor !== undefined && accessors.has(auth.accessor)
        ? auth.accessor
        : request.client_token !== undefined && tokens.has(request.client_token)
          ? request.client_token
          : undefined;
    if (by === undefined && !loggedIn) return;
    // What its own log-in answered is its birth, and no call of it; a log-in that it made for another is one.
    const own = fresh?.accessor !== undefined && fresh.accessor === follow.accessor;
    if (made.length < mostMade && !own) {
      const common = { by: loggedIn ? undefined : by, via: request.path, at: entry.time, requestId: request.id };
      // A log-in stands in the log under the token that it gave, so that one token is not taken for its own maker.
      if (fresh?.accessor !== undefined && fresh.accessor !== by) {
        accessors.add(fresh.accessor);
        made.push({ ...common, ...lifeOf(fresh), what: 'token', id: fresh.accessor });
      } else if (fresh && !fresh.accessor && fresh.client_token !== undefined && !tokens.has(fresh.client_token)) {
        tokens.add(fresh.client_token);
        made.push({ ...common, ...lifeOf(fresh), what: 'batch', id: fresh.client_token });
      }
      if (wrapped !== undefined && wrapped !== '') {
        accessors.add(wrapped);
        made.push({ ...common, what: 'token', id: wrapped });
      }
      // The wrapping token itself can fetch what is wrapped, once.
      const wrapper = response?.wrap_info?.accessor;
      if (wrapper) {
        accessors.add(wrapper);
        made.push({ ...common, what: 'token', id: wrapper, via: `${request.path}, as the wrapping of its answer` });
      }
      const secretId = secretIdPath(request.path) ? secretIdIn(response?.data) : undefined;
      if (secretId !== undefined) made.push({ ...common, what: 'secret-id', id: secretId });
      const lease = response?.secret?.lease_id;
      if (lease) made.push({ ...common, what: 'lease', id: lease });
    }
    if (by === undefined || own) return;
    callCount += 1;
    const secret = request.mount_type === 'kv' && operation === 'read' && hasData(response?.data) ? kvPathOf(request.path) : undefined;
    if (secret !== undefined) secretsRead.add(secret);
    if (calls.length < mostCalls)
      calls.push({
        by,
        path: request.path,
        operation,
        at: entry.time,
        address: request.remote_address ?? '',
        requestId: request.id,
        ...(secret === undefined ? {} : { read: secret }),
      });
  };

  let rest = '';
  let bytes = 0;
  let told = 0;
  const stream = createReadStream(file, { encoding: 'utf8', highWaterMark: 256 * 1024, signal: on.signal });
  for await (const piece of stream) {
    const text = rest + String(piece);
    const end = text.lastIndexOf('\n');
    rest = text.slice(end + 1);
    if (end >= 0) for (const line of text.slice(0, end).split('\n')) take(line);
    bytes += String(piece).length;
    if (bytes - told > 4 * 1024 * 1024) {
      told = bytes;
      on.heartbeat({ auditLogRead: bytes });
    }
  }
  return {
    made,
    calls,
    callCount,
    secretsRead: [...secretsRead],
    ...(first === undefined ? {} : { first }),
    ...(last === undefined ? {} : { last }),
    birth,
    devicesChanged,
    unreadable,
    marker,
  };
}

type Auth = z.output<typeof authSchema>;

const lifeOf = (auth: Auth): Pick<Made, 'ttlSeconds' | 'entity'> => ({
  ...(auth.token_ttl === undefined ? {} : { ttlSeconds: auth.token_ttl }),
  ...(auth.entity_id ? { entity: auth.entity_id } : {}),
});

function isLogin(
  request: { readonly path: string; readonly data?: Readonly<Record<string, unknown>> | null | undefined },
  fresh: Auth | null | undefined,
  { login }: Follow,
): boolean {
  if (login === undefined || !fresh || request.path !== `auth/${login.mount}/login`) return false;
  if (login.secretId !== undefined) return request.data?.secret_id === login.secretId;
  return fresh.metadata?.role_name === login.role;
}

/** The role whose secret ids a path makes. */
export function secretIdPath(path: string): { readonly mount: string; readonly appRole: string } | undefined {
  const [, mount, appRole] = /^auth\/(.+)\/role\/([^/]+)\/(?:custom-)?secret-id$/.exec(path) ?? [];
  return mount === undefined || appRole === undefined ? undefined : { mount, appRole };
}

const secretIdIn = (data: unknown): string | undefined =>
  z.object({ secret_id_accessor: z.string().min(1) }).safeParse(data).data?.secret_id_accessor;

const hasData = (data: unknown): boolean => {
  if (typeof data !== 'object' || data === null) return false;
  // Version 2 wraps the secret, and answers a deleted version with none.
  return 'data' in data ? data.data !== null && data.data !== undefined : Object.keys(data).length > 0;
};

/** `kv/data/ci/app` as `kv/ci/app`. The mount is taken to be one segment, as the log does not tell where it ends. */
const kvPathOf = (path: string): string | undefined =>
  /^[^/]+\/(metadata|config)(\/|$)/.test(path) ? undefined : path.replace(/^([^/]+)\/data\//, '$1/');

function parsed(line: string): z.output<typeof entrySchema> | undefined {
  try {
    return entrySchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
