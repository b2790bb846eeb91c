import { z } from 'zod';
import { sha256Of } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import type { Secret } from '../../domain/secret.ts';
import type { Self, Vault } from './client.ts';

/** A token as an administrator sees it. Never the token itself: the look-up of one answers with it, and it is dropped here. */
export interface TokenRow {
  /** Empty for a batch token, which has none. */
  readonly accessor: string;
  readonly type: string;
  readonly displayName: string;
  readonly path: string;
  readonly orphan: boolean;
  readonly policies: readonly string[];
  readonly entity?: string;
  readonly role?: string;
  /** ISO, to the second. */
  readonly issuedAt: string;
  readonly expiresAt?: string;
  /** Seconds that it is renewed by for ever; 0 for one that is not periodic. */
  readonly period: number;
  readonly uses: number;
  readonly meta: Readonly<Record<string, string>>;
}

const rowSchema = z.object({
  data: z.object({
    accessor: z.string().nullish(),
    type: z.string(),
    display_name: z.string(),
    path: z.string(),
    orphan: z.boolean().nullish(),
    policies: z.array(z.string()).nullish(),
    entity_id: z.string().nullish(),
    creation_time: z.number(),
    expire_time: z.string().nullish(),
    period: z.number().nullish(),
    num_uses: z.number().nullish(),
    meta: z.record(z.string(), z.string()).nullish(),
  }),
});

function rowOf({ data }: z.output<typeof rowSchema>): TokenRow {
  const expires = data.expire_time ? Date.parse(data.expire_time) : Number.NaN;
  return {
    accessor: data.accessor ?? '',
    type: data.type,
    displayName: data.display_name,
    path: data.path,
    orphan: data.orphan ?? false,
    policies: data.policies ?? [],
    ...(data.entity_id ? { entity: data.entity_id } : {}),
    ...(data.meta?.role_name ? { role: data.meta.role_name } : {}),
    issuedAt: new Date(data.creation_time * 1_000).toISOString(),
    ...(Number.isNaN(expires) ? {} : { expiresAt: new Date(expires).toISOString() }),
    period: data.period ?? 0,
    uses: data.num_uses ?? 0,
    meta: data.meta ?? {},
  };
}

/**
 * Looks a token up with ours; undefined where there is none of that accessor. It burns no use, needs no address of the token's, and proves nothing of whether its entity is disabled.
 */
export async function lookUpAccessor(vault: Vault, accessor: string): Promise<TokenRow | undefined> {
  const path = 'auth/token/lookup-accessor';
  const found = await vault.look(
    { verb: 'write', call: 'look up a token by its accessor', path, write: false, of: 'lookup-accessor', body: { accessor } },
    rowSchema,
  );
  if (found === undefined) return undefined;
  const row = rowOf(found);
  if (row.accessor !== accessor) throw fault('provider.uncertain', { path, because: 'the answer is about another token' });
  return row;
}

/**
 * Looks up a token that was leaked, under ours: never with itself, which would burn a use of it and be refused where it is bound to addresses.
 * SECRET: the token goes into the body of this one request, and the server's log has it as an HMAC.
 */
export async function lookUpToken(vault: Vault, token: Secret): Promise<TokenRow | undefined> {
  const found = await vault.look(
    {
      verb: 'write',
      call: 'look up a token',
      path: 'auth/token/lookup',
      write: false,
      of: 'lookup-token',
      body: { token: token.reveal() },
    },
    rowSchema,
  );
  return found === undefined ? undefined : rowOf(found);
}

/** The locator by which a report of the token would name it. */
export const hashOfToken = (token: Secret): string => sha256Of(token.reveal()).slice('sha256:'.length);

const keysSchema = z.object({ data: z.object({ keys: z.array(z.string()).nullish() }) });

/** All accessors there are; needs `list` and `sudo`. The server has no pages for them: a big one answers big. */
export async function listAccessors(vault: Vault): Promise<readonly string[]> {
  const found = await vault.look({ verb: 'list', call: 'list accessors', path: 'auth/token/accessors', write: false }, keysSchema);
  return found?.data.keys ?? [];
}

/** Revokes a token and what hangs on it, its orphans not. The answer is success for whatever accessor, so that only a look-up tells. */
export async function revokeAccessor(vault: Vault, accessor: string): Promise<void> {
  await vault.look(
    {
      verb: 'write',
      call: 'revoke a token by its accessor',
      path: 'auth/token/revoke-accessor',
      write: true,
      of: 'revoke-accessor',
      body: { accessor },
    },
    z.unknown(),
  );
}

/** An entity: who acts, whatever it logged in by. */
export interface EntityRow {
  readonly id: string;
  readonly name: string;
  readonly disabled: boolean;
  readonly policies: readonly string[];
  readonly aliases: readonly { readonly mount: string; readonly name: string }[];
}

const entitySchema = z.object({
  data: z.object({
    id: z.string(),
    name: z.string(),
    disabled: z.boolean(),
    policies: z.array(z.string()).nullish(),
    aliases: z.array(z.object({ mount_path: z.string(), name: z.string() })).nullish(),
  }),
});

/** Undefined where there is none of that id. */
export async function readEntity(vault: Vault, id: string): Promise<EntityRow | undefined> {
  const found = await vault.look(
    { verb: 'read', call: 'read an entity', path: `identity/entity/id/${encodeURIComponent(id)}`, write: false },
    entitySchema,
  );
  if (found === undefined) return undefined;
  const { data } = found;
  return {
    id: data.id,
    name: data.name,
    disabled: data.disabled,
    policies: data.policies ?? [],
    aliases: (data.aliases ?? []).map((alias) => ({ mount: alias.mount_path, name: alias.name })),
  };
}

/**
 * Writes the one bit and nothing else: what is not named stays as it is, and a policy can allow this parameter alone (`allowed_parameters`), without which whoever may write an entity may
 * give it any policy. Undefined where the entity is gone.
 */
export async function writeDisabled(vault: Vault, id: string, disabled: boolean): Promise<'written' | 'gone'> {
  const answer = await vault.look(
    {
      verb: 'write',
      call: disabled ? 'disable an entity' : 'enable an entity',
      path: `identity/entity/id/${encodeURIComponent(id)}`,
      write: true,
      of: 'write-entity',
      body: { disabled },
    },
    z.unknown().transform(() => true),
  );
  return answer === undefined ? 'gone' : 'written';
}

/** A lease as the server keeps it. `stuck`: the server has tried to end it, failed, and says so. */
export interface LeaseRow {
  readonly id: string;
  readonly issuedAt?: string;
  readonly expiresAt?: string;
  readonly stuck: boolean;
}

const leaseSchema = z.object({
  data: z.object({
    id: z.string(),
    issue_time: z.string().nullish(),
    expire_time: z.string().nullish(),
    revoke_error: z.string().nullish(),
  }),
});

/** Undefined where there is no such lease. The server's own words for why it could not end it are dropped: they are the origin's, and may hold anything. */
export async function lookUpLease(vault: Vault, lease: string): Promise<LeaseRow | undefined> {
  const found = await vault.look(
    { verb: 'write', call: 'look up a lease', path: 'sys/leases/lookup', write: false, of: 'lookup-lease', body: { lease_id: lease } },
    leaseSchema,
  );
  if (found === undefined) return undefined;
  const { issue_time: issued, expire_time: expires, revoke_error: error, id } = found.data;
  const iso = (text: string | null | undefined) => (text && !Number.isNaN(Date.parse(text)) ? new Date(text).toISOString() : undefined);
  const issuedAt = iso(issued);
  const expiresAt = iso(expires);
  return { id, ...(issuedAt ? { issuedAt } : {}), ...(expiresAt ? { expiresAt } : {}), stuck: (error ?? '') !== '' };
}

/** Ends a lease at its origin, waiting for that. The answer proves nothing; an error of the origin's is `provider.uncertain`. */
export async function revokeLeaseNow(vault: Vault, lease: string): Promise<void> {
  await vault.ask(
    {
      verb: 'write',
      call: 'revoke a lease',
      path: 'sys/leases/revoke',
      write: true,
      of: 'revoke-lease',
      body: { lease_id: lease, sync: true },
    },
    z.unknown(),
  );
}

/** Where a secret id is: the mount of its AppRole engine (`approle`), and the role; not called `role`, which plans take for a role that sessions act as. */
export interface SecretIdPlace {
  readonly mount: string;
  readonly appRole: string;
  readonly accessor: string;
}

export interface SecretIdRow {
  readonly issuedAt: string;
  readonly expiresAt?: string;
  readonly uses: number;
  readonly cidrs: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
}

const secretIdSchema = z.object({
  data: z.object({
    creation_time: z.string(),
    expiration_time: z.string().nullish(),
    secret_id_num_uses: z.number().nullish(),
    cidr_list: z.array(z.string()).nullish(),
    metadata: z.record(z.string(), z.string()).nullish(),
    secret_id_accessor: z.string(),
  }),
});

const roleOf = ({ mount, appRole }: Pick<SecretIdPlace, 'mount' | 'appRole'>): string =>
  `auth/${mount.split('/').map(encodeURIComponent).join('/')}/role/${encodeURIComponent(appRole)}`;

/** Undefined where there is none of that accessor, or the role is gone. */
export async function lookUpSecretId(vault: Vault, at: SecretIdPlace): Promise<SecretIdRow | undefined> {
  const path = `${roleOf(at)}/secret-id-accessor/lookup`;
  const found = await vault.look(
    {
      verb: 'write',
      call: 'look up a secret id by its accessor',
      path,
      write: false,
      of: 'lookup-secret-id',
      body: { secret_id_accessor: at.accessor },
    },
    secretIdSchema,
  );
  if (found === undefined) return undefined;
  const { data } = found;
  if (data.secret_id_accessor !== at.accessor)
    throw fault('provider.uncertain', { path, because: 'the answer is about another secret id' });
  const expires = Date.parse(data.expiration_time ?? '');
  return {
    issuedAt: new Date(data.creation_time).toISOString(),
    // The year 1 is this server's word for never.
    ...(expires > 0 ? { expiresAt: new Date(expires).toISOString() } : {}),
    uses: data.secret_id_num_uses ?? 0,
    cidrs: data.cidr_list ?? [],
    metadata: data.metadata ?? {},
  };
}

/** The accessors of a role's secret ids; undefined where the role is gone. */
export async function listSecretIds(vault: Vault, at: Pick<SecretIdPlace, 'mount' | 'appRole'>): Promise<readonly string[] | undefined> {
  // A role without any answers with an empty 404, as the absence of anything does. That the role is gone is said in words, which a look-up hears.
  const found = await vault.look(
    { verb: 'list', call: 'list secret ids', path: `${roleOf(at)}/secret-id`, write: false, of: 'list-secret-ids' },
    keysSchema,
  );
  return found?.data.keys ?? undefined;
}

const registeredSchema = z.object({ data: z.object({ secret_id_accessor: z.string().min(1) }) });

/** Registers a secret id that we chose, with all else as the role has it. The answer has the secret in it, and only its accessor is taken. */
export async function registerSecretId(
  vault: Vault,
  at: Pick<SecretIdPlace, 'mount' | 'appRole'>,
  secretId: Secret,
  metadata: Readonly<Record<string, string>>,
): Promise<string> {
  const { data } = await vault.ask(
    {
      verb: 'write',
      call: 'register a secret id',
      path: `${roleOf(at)}/custom-secret-id`,
      write: true,
      of: 'register-secret-id',
      body: { secret_id: secretId.reveal(), metadata: JSON.stringify(metadata) },
    },
    registeredSchema,
  );
  return data.secret_id_accessor;
}

/** Removes a secret id. Undefined where it was gone. */
export async function destroySecretIdAt(vault: Vault, at: SecretIdPlace): Promise<'destroyed' | 'gone'> {
  const answer = await vault.look(
    {
      verb: 'write',
      call: 'destroy a secret id by its accessor',
      path: `${roleOf(at)}/secret-id-accessor/destroy`,
      write: true,
      of: 'destroy-secret-id',
      body: { secret_id_accessor: at.accessor },
    },
    z.unknown().transform(() => true),
  );
  return answer === undefined ? 'gone' : 'destroyed';
}

/** What each target's members may look like: nothing that could be read as another path, or that the server would quote into words we look for. */
const shapes = {
  accessor: /^[A-Za-z0-9][A-Za-z0-9._-]{5,127}$/,
  entity: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  mount: /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/,
  appRole: /^[A-Za-z0-9._-]{1,128}$/,
  lease: /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._:@-]+)+$/,
} as const;

/** The members of a target that an action needs; `provider.invalid` for one that lacks them or is of another account. */
export function membersOf<Name extends keyof typeof shapes>(
  target: Readonly<Record<string, string>>,
  account: string,
  ...names: readonly Name[]
): Record<Name, string> {
  if (target.account !== account) throw fault('provider.invalid', { account, because: 'the target is of another account' });
  const members = {} as Record<Name, string>;
  for (const name of names) {
    const value = target[name];
    if (value === undefined || !shapes[name].test(value) || value.split('/').some((part) => part === '.' || part === '..')) {
      throw fault('provider.invalid', { because: `the target has no ${name}, or one that is none` });
    }
    members[name] = value;
  }
  return members;
}

/** Refuses what the engine itself stands on. */
export function refuseOwn(own: Self, on: { accessor?: string; entity?: string; mount?: string; appRole?: string; lease?: string }): void {
  const ours =
    (on.accessor !== undefined && on.accessor === own.accessor) ||
    (on.entity !== undefined && on.entity === own.entity) ||
    (on.appRole !== undefined && on.appRole === own.role && own.issuedAt === `auth/${on.mount}/login`) ||
    // A token's own lease is under the path that it was issued at, and there is no telling whose it is: none there is touched by its lease.
    on.lease?.startsWith('auth/');
  if (ours) throw fault('warrant.own-credential', { because: 'the engine itself stands on it, or may do so' });
}
