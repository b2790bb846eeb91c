import nodeVault from 'node-vault';
import { z } from 'zod';
import { codeOf, fault } from '../../domain/errors.ts';
import { type Attempt, bodyOf, faultOf, malformed, statusOf } from './errors.ts';
import { keeperOf, type OwnCredential } from './own.ts';

/** A key of KV version 2: the mount it is in, and its path there. */
export interface Key {
  readonly mount: string;
  readonly path: string;
}

/** One version of a key. `content` is undefined for a deleted or destroyed one. Times as the server wrote them (RFC 3339, nanoseconds). */
export interface Version {
  readonly version: number;
  readonly createdTime: string;
  readonly state: 'kept' | 'deleted' | 'destroyed';
  /** SECRET: stays within the activity that read it. */
  readonly content?: Readonly<Record<string, unknown>>;
}

/** What is known of a key beside its content. `current` is 0 for a key that has metadata only. */
export interface KeyMetadata {
  readonly current: number;
  /** When each version that is still listed was written. */
  readonly createdTimes: Readonly<Record<string, string>>;
  /** 0: as the mount says. */
  readonly maxVersions: number;
  readonly custom: Readonly<Record<string, string>>;
}

export interface Health {
  readonly initialized: boolean;
  readonly sealed: boolean;
  readonly standby: boolean;
  readonly version: string;
  /** ISO, UTC, to the second. */
  readonly time: string;
}

/** One call beside those that have a method of their own. `body` goes into the request and nowhere else: it may hold a secret. */
export interface Call extends Attempt {
  readonly verb: 'read' | 'list' | 'write';
  readonly body?: Readonly<Record<string, unknown>>;
}

/** Our own token, as the server knows it. */
export interface Self {
  readonly displayName: string;
  readonly policies: readonly string[];
  readonly ttlSeconds: number;
  readonly expires: boolean;
  readonly accessor?: string;
  readonly entity?: string;
  /** Where it was issued, e.g. `auth/approle/login`, and the role that its metadata names. */
  readonly issuedAt?: string;
  readonly role?: string;
  /** SHA-256 of the token, 64 digits: the locator that a report of it would have. */
  readonly sha256?: string;
}

/** One piece of work with a server. Every method throws Faults with `provider.*` codes only. `requestIds` grows with every answered call. */
export interface Vault {
  readonly requestIds: string[];
  /** The mount and the path in it; `provider.unsupported` for anything but KV version 2. */
  locate(path: string): Promise<Key>;
  /** A version, the current one by default; undefined where there is none. */
  read(key: Key, version?: number): Promise<Version | undefined>;
  metadata(key: Key): Promise<KeyMetadata | undefined>;
  /** Writes a version if the current one is `cas` (0: none yet); `provider.conflict` otherwise. */
  write(key: Key, content: Readonly<Record<string, unknown>>, cas: number): Promise<{ version: number; createdTime: string }>;
  annotate(key: Key, custom: Readonly<Record<string, string>>): Promise<void>;
  /** Soft deletion of one version. The server says yes whatever is there: read back. */
  deleteVersion(key: Key, version: number): Promise<void>;
  /** All versions and the metadata, for good. The server says yes whatever is there: read back. */
  deleteKey(key: Key): Promise<void>;
  health(): Promise<Health>;
  /** Our own token. */
  self(): Promise<Self>;
  ask<T>(call: Call, schema: z.ZodType<T>): Promise<T>;
  /** As `ask`, with undefined where the answer says of the target that it is gone, and only there. */
  look<T>(call: Call, schema: z.ZodType<T>): Promise<T | undefined>;
  capabilities(paths: readonly string[]): Promise<Readonly<Record<string, readonly string[]>>>;
  auditDevices(): Promise<readonly string[]>;
  keepsVersions(mount: string): Promise<number>;
}

/** Where and as whom. `timeoutMs` is per call. */
export interface VaultAddress {
  readonly address: string;
  readonly own: OwnCredential;
  readonly namespace?: string;
  readonly timeoutMs: number;
}

const versionState = z.object({ created_time: z.string(), destroyed: z.boolean() });
const readSchema = z.object({
  data: z.object({
    data: z.record(z.string(), z.unknown()).nullable(),
    metadata: versionState.extend({ version: z.number().int().positive() }),
  }),
});
const writtenSchema = z.object({ data: z.object({ version: z.number().int().positive(), created_time: z.string() }) });
const metadataSchema = z.object({
  data: z.object({
    current_version: z.number().int(),
    max_versions: z.number().int(),
    custom_metadata: z.record(z.string(), z.string()).nullish(),
    versions: z.record(z.string(), versionState).nullish(),
  }),
});
const mountSchema = z.object({
  data: z.object({ path: z.string(), type: z.string(), options: z.record(z.string(), z.string()).nullish() }),
});
const healthSchema = z.object({
  initialized: z.boolean(),
  sealed: z.boolean(),
  standby: z.boolean(),
  version: z.string(),
  server_time_utc: z.number(),
});
const selfSchema = z.object({
  data: z.object({
    display_name: z.string(),
    policies: z.array(z.string()).nullish(),
    ttl: z.number(),
    expire_time: z.string().nullish(),
    accessor: z.string().nullish(),
    entity_id: z.string().nullish(),
    path: z.string().nullish(),
    meta: z.record(z.string(), z.string()).nullish(),
  }),
});
const capabilitiesSchema = z.object({ data: z.record(z.string(), z.unknown()) });
const namesSchema = z.array(z.string());
const auditSchema = z.object({ data: z.record(z.string(), z.object({ type: z.string() })) });
const configSchema = z.object({ data: z.object({ max_versions: z.number().int() }) });
const identified = z.object({ request_id: z.string().min(1) });

type Client = Pick<ReturnType<typeof nodeVault>, 'read' | 'list' | 'write' | 'delete'> & { token: string };

/** Sessions with one server: one per piece of work, so that request ids do not mix. */
export interface Sessions {
  open(): Vault;
  /** Ends the care of our own token. */
  close(): void;
}

/**
 * Makes sessions with one server. Nothing is sent before the first call.
 * node-vault's own look at `VAULT_*` in the environment is overridden in full.
 */
export function openVault(at: VaultAddress): Sessions {
  const client = clientFor(at);
  const keeper = keeperOf(client, at.own);
  const mounts = new Set<string>();
  return { open: () => session(client, keeper, mounts), close: () => keeper.close() };
}

function session(client: Client, keeper: ReturnType<typeof keeperOf>, mounts: Set<string>): Vault {
  const requestIds: string[] = [];

  async function ask<T>(attempt: Attempt, send: () => Promise<unknown>, schema: z.ZodType<T>): Promise<T> {
    let answer: unknown;
    try {
      answer = await keeper.under(send);
    } catch (error) {
      const status = statusOf(error);
      // node-vault takes a 202 for a failure. It proves nothing, and is none.
      if (status === undefined || status >= 300) {
        if (codeOf(error) !== 'engine.unexpected') throw error;
        throw faultOf(error, attempt);
      }
      answer = bodyOf(error);
    }
    note(answer);
    const parsed = schema.safeParse(answer);
    // The cause would be zod's list of what was wrong, which is harmless, but it would hide that the server is the one to ask.
    if (!parsed.success) throw malformed(attempt);
    return parsed.data;
  }

  const send = ({ verb, path, body }: Call): Promise<unknown> =>
    verb === 'write' ? client.write(path, body ?? {}) : verb === 'list' ? client.list(path) : client.read(path);

  /** As `ask`, with undefined for a 404 that says of itself that nothing is there. */
  async function find<T>(attempt: Attempt, send: () => Promise<unknown>, schema: z.ZodType<T>): Promise<T | undefined> {
    return await ask(
      attempt,
      async () => {
        try {
          return await send();
        } catch (error) {
          if (statusOf(error) !== 404) throw error;
          const body = bodyOf(error);
          note(body);
          // KV answers 404 for an absent key (an empty list of errors) and for a deleted version (with its metadata). Any other 404 is a wrong path.
          if (schema.safeParse(body).success) return body;
          if (z.object({ errors: z.array(z.unknown()).length(0) }).safeParse(body).success) return null;
          throw error;
        }
      },
      schema.nullable(),
    ).then((found) => found ?? undefined);
  }

  function note(answer: unknown): void {
    const id = identified.safeParse(answer);
    if (id.success) requestIds.push(id.data.request_id);
  }

  const anything = z.unknown();
  const place = (key: Key, kind: 'data' | 'metadata' | 'delete'): string => `${key.mount}/${kind}/${encoded(key.path)}`;

  return {
    requestIds,

    async locate(path) {
      const known = [...mounts].find((mount) => path.startsWith(`${mount}/`));
      const mount = known ?? (await findMount(path));
      return { mount, path: path.slice(mount.length + 1) };
    },

    async read(key, version) {
      const path = place(key, 'data');
      const query = version === undefined ? '' : `?version=${version}`;
      const found = await find({ call: 'read', path, write: false }, () => client.read(`${path}${query}`), readSchema);
      if (found === undefined) return undefined;
      const { data, metadata } = found.data;
      // Not by `deletion_time`, which would be compared with a clock that is not the server's.
      const state = metadata.destroyed ? 'destroyed' : data === null ? 'deleted' : 'kept';
      return {
        version: metadata.version,
        createdTime: metadata.created_time,
        state,
        ...(data === null ? {} : { content: data }),
      };
    },

    async metadata(key) {
      const path = place(key, 'metadata');
      const found = await find({ call: 'read', path, write: false }, () => client.read(path), metadataSchema);
      if (found === undefined) return undefined;
      const { current_version: current, max_versions: maxVersions, custom_metadata: custom, versions } = found.data;
      return {
        current,
        maxVersions,
        custom: custom ?? {},
        createdTimes: Object.fromEntries(Object.entries(versions ?? {}).map(([number, one]) => [number, one.created_time])),
      };
    },

    async write(key, content, cas) {
      const path = place(key, 'data');
      const { data } = await ask(
        { call: 'write', path, write: true },
        () => client.write(path, { data: content, options: { cas } }),
        writtenSchema,
      );
      return { version: data.version, createdTime: data.created_time };
    },

    async annotate(key, custom) {
      const path = place(key, 'metadata');
      await ask({ call: 'write', path, write: true }, () => client.write(path, { custom_metadata: custom }), anything);
    },

    async deleteVersion(key, version) {
      const path = place(key, 'delete');
      await ask({ call: 'write', path, write: true }, () => client.write(path, { versions: [version] }), anything);
    },

    async deleteKey(key) {
      const path = place(key, 'metadata');
      await ask({ call: 'delete', path, write: true }, () => client.delete(path), anything);
    },

    async health() {
      const path = 'sys/health';
      const health = await ask({ call: 'read', path, write: false }, () => client.read(path), healthSchema);
      const { initialized, sealed, standby, version, server_time_utc: seconds } = health;
      return { initialized, sealed, standby, version, time: new Date(seconds * 1_000).toISOString() };
    },

    async self() {
      const path = 'auth/token/lookup-self';
      const { data } = await ask({ call: 'read', path, write: false }, () => client.read(path), selfSchema);
      const sha256 = keeper.sha256();
      return {
        displayName: data.display_name,
        policies: data.policies ?? [],
        ttlSeconds: data.ttl,
        expires: typeof data.expire_time === 'string',
        ...(data.accessor ? { accessor: data.accessor } : {}),
        ...(data.entity_id ? { entity: data.entity_id } : {}),
        ...(data.path ? { issuedAt: data.path } : {}),
        ...(data.meta?.role_name ? { role: data.meta.role_name } : {}),
        ...(sha256 ? { sha256 } : {}),
      };
    },

    ask: (call, schema) => ask(call, () => send(call), schema),

    async look(call, schema) {
      try {
        return await ask(call, () => send(call), schema);
      } catch (error) {
        if (codeOf(error) === 'provider.gone') return undefined;
        throw error;
      }
    },

    async capabilities(paths) {
      const path = 'sys/capabilities-self';
      const { data } = await ask({ call: 'write', path, write: false }, () => client.write(path, { paths }), capabilitiesSchema);
      return Object.fromEntries(paths.map((one) => [one, namesSchema.safeParse(data[one]).data ?? []]));
    },

    async auditDevices() {
      const path = 'sys/audit';
      const { data } = await ask({ call: 'read', path, write: false }, () => client.read(path), auditSchema);
      return Object.keys(data);
    },

    async keepsVersions(mount) {
      const path = `${mount}/config`;
      const { data } = await ask({ call: 'read', path, write: false }, () => client.read(path), configSchema);
      // The server's own default.
      return data.max_versions === 0 ? 10 : data.max_versions;
    },
  };

  async function findMount(path: string): Promise<string> {
    const asked = `sys/internal/ui/mounts/${encoded(path)}`;
    const { data } = await ask({ call: 'read', path: asked, write: false }, () => client.read(asked), mountSchema);
    const mount = data.path.replace(/\/$/, '');
    if (data.type !== 'kv' || data.options?.version !== '2' || !path.startsWith(`${mount}/`)) {
      throw fault('provider.unsupported', { path, because: 'it is not in a mount of KV version 2' });
    }
    mounts.add(mount);
    return mount;
  }
}

function encoded(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function clientFor(at: VaultAddress): Client {
  const options = {
    endpoint: at.address,
    // A proxy that does not know the method LIST answers 400 itself; a GET with a parameter is the same to the server.
    noCustomHTTPVerbs: true,
    // SECRET: node-vault prints what it writes to DEBUG; to this one it prints in vain.
    debug: () => undefined,
    requestOptions: { timeout: at.timeoutMs },
    // Certificates are checked, whatever VAULT_SKIP_VERIFY says.
    rpDefaults: { strictSSL: true, timeout: at.timeoutMs },
  };
  const client: ReturnType<typeof nodeVault> & { namespace?: string | undefined; pathPrefix?: string } = nodeVault(options);
  client.namespace = at.namespace;
  client.pathPrefix = '';
  client.token = '';
  return client as Client;
}

/** A moment of RFC 3339 in nanoseconds since 1970, as exact as the server wrote it; undefined where it is none. */
export function instantOf(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return undefined;
  const whole = Date.parse(`${match[1]}${match[3]}`);
  return Number.isNaN(whole) ? undefined : BigInt(whole) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

/** The same moment as the rest of the engine writes it: ISO, UTC, milliseconds. */
export function isoOf(text: string): string {
  const instant = instantOf(text);
  if (instant === undefined) throw fault('provider.uncertain', { because: 'the server gave a time that is none' });
  return new Date(Number(instant / 1_000_000n)).toISOString();
}
