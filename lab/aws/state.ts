import type { Clock } from './clock.ts';
import type { LedgerEntry } from './ledger.ts';
import type { TrailEntry } from './trail.ts';

/**
 * The account: plain rows in tables, each row journaled whole when it changes. What takes time to be effective (key status, policies, trust,
 * service control policies) is kept as versions with the time of the change, and whoever judges asks for the version as of a moment.
 */

/** A value since a moment; lists of versions are in order of time. */
export interface Version<T> {
  readonly at: number;
  readonly value: T;
}

/** No propagation time may be longer than this, so that older versions can be forgotten. */
export const longestPropagationMs = 15 * 60_000;

/** The value in force at a moment, or undefined where there was none yet. */
export function asOf<T>(versions: readonly Version<T>[], at: number): T | undefined {
  for (let i = versions.length - 1; i >= 0; i--) {
    const version = versions[i];
    if (version !== undefined && version.at <= at) return version.value;
  }
  return undefined;
}

/** The newest value, in force already or not. */
export function latest<T>(versions: readonly Version<T>[]): T | undefined {
  return versions.at(-1)?.value;
}

/** Adds a version and drops those that nobody can ask for any more. */
export function revise<T>(versions: Version<T>[], at: number, value: T): void {
  versions.push({ at, value });
  let settled = 0;
  for (let i = 0; i < versions.length; i++) if ((versions[i]?.at ?? 0) <= at - longestPropagationMs) settled = i;
  if (settled > 0) versions.splice(0, settled);
}

/** The policies of a principal or group at one moment. */
export interface PolicySet {
  readonly inline: Readonly<Record<string, string>>;
  /** ARNs of managed policies. */
  readonly attached: readonly string[];
  /** ARN of the managed policy that bounds the principal. */
  readonly boundary?: string;
  /** Names of groups; users only. */
  readonly groups: readonly string[];
}

export const noPolicies: PolicySet = { inline: {}, attached: [], groups: [] };

export interface ServiceCredential {
  readonly id: string;
  readonly service: string;
  readonly userName: string;
  secret: string;
  status: 'Active' | 'Inactive';
  readonly createdAt: number;
  /** An API key, such as Bedrock's, that ends by itself. */
  readonly expiresAt?: number;
}

/** A certificate or SSH key whose public half a user has uploaded. */
export interface Upload {
  readonly id: string;
  readonly body: string;
  status: 'Active' | 'Inactive';
  readonly createdAt: number;
}

export interface User {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly createdAt: number;
  tags: Record<string, string>;
  readonly policies: Version<PolicySet>[];
  loginProfile?: { readonly createdAt: number; passwordResetRequired: boolean };
  serviceCredentials: ServiceCredential[];
  signingCertificates?: Upload[];
  sshKeys?: Upload[];
  /** Multi-factor devices by serial number, each with when it was enabled. */
  mfaDevices?: { readonly serial: string; readonly enabledAt: number }[];
  deletedAt?: number;
}

export interface Group {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly createdAt: number;
  readonly policies: Version<PolicySet>[];
  deletedAt?: number;
}

/** A trust policy with the unique ids that its principals had when it was written: a namesake made later is somebody else. */
export interface Trust {
  readonly document: string;
  readonly bindings: Readonly<Record<string, string>>;
}

export interface Role {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly createdAt: number;
  readonly description: string;
  readonly maxSessionSeconds: number;
  tags: Record<string, string>;
  readonly trust: Version<Trust>[];
  readonly policies: Version<PolicySet>[];
  lastUsed?: LastUsed;
  deletedAt?: number;
}

export interface LastUsed {
  readonly at: number;
  readonly service: string;
  readonly region: string;
}

export type KeyStatus = 'Active' | 'Inactive' | 'deleted';

export interface AccessKey {
  readonly id: string;
  readonly secret: string;
  readonly userId: string;
  readonly createdAt: number;
  readonly status: Version<KeyStatus>[];
  lastUsed?: LastUsed;
}

export interface Session {
  readonly id: string;
  readonly secret: string;
  readonly token: string;
  readonly kind: 'session-token' | 'federation' | 'role';
  /** Unique id of the user (session token, federation) or role whose permissions it has. */
  readonly principalId: string;
  /** The federated name or the role session name. */
  readonly name: string;
  /** Documents that narrow it; an empty list narrows nothing, except for a federation session, which without one may do nothing. */
  readonly policies: readonly string[];
  /** Documents that it was scoped down by since, each of which has to allow by itself. */
  readonly scopes?: readonly string[];
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** The access key that minted it: the edge of the graph. */
  readonly mintedBy: string;
  readonly sourceIdentity?: string;
  /** A session of the web console, which may call IAM even where a federation session otherwise may not. Set through the control port. */
  console?: boolean;
}

export interface ManagedPolicy {
  readonly id: string;
  readonly arn: string;
  readonly name: string;
  readonly path: string;
  readonly document: string;
  readonly description: string;
  readonly createdAt: number;
}

export interface SecretVersion {
  readonly id: string;
  readonly string?: string;
  readonly binary?: string;
  stages: string[];
  readonly createdAt: number;
  lastAccessedAt?: number;
}

export interface StoredSecret {
  readonly arn: string;
  readonly name: string;
  readonly region: string;
  description: string;
  readonly createdAt: number;
  tags: Record<string, string>;
  versions: Record<string, SecretVersion>;
  changedAt: number;
  accessedAt?: number;
  /** The moment it will be gone for good; while set, it is scheduled for deletion. */
  deletesAt?: number;
  deletionAskedAt?: number;
}

export interface ControlPolicy {
  readonly id: string;
  readonly arn: string;
  name: string;
  description: string;
  content: string;
  readonly awsManaged: boolean;
}

/** The service control policies attached to the account at one moment, with their text as of then. */
export type Attachment = readonly { readonly id: string; readonly content: string }[];

/** The account's own row. */
export interface Account {
  readonly id: 'account';
  readonly accountId: string;
  readonly organizationId: string;
  readonly admin: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly attached: Version<Attachment>[];
  /** Signs page tokens, so that one made before a restart still holds. */
  readonly pageKey: string;
}

/** What the control port may change; durations in milliseconds. */
export interface Settings {
  readonly id: 'settings';
  authenticationPropagationMs: number;
  authorizationPropagationMs: number;
  logLagMs: number;
  /** What AWS does not document: whether scoped-down credentials bear an issue time of their own or that of the session they come of. Absent: their own, which a cut-off stamped before does not reach. */
  scopedIssueTime?: 'own' | 'parent';
  clockOffsetMs: number;
}

/** Each table's row type, by the table's name in the journal. */
export interface Rows {
  users: User;
  groups: Group;
  roles: Role;
  keys: AccessKey;
  sessions: Session;
  managedPolicies: ManagedPolicy;
  secrets: StoredSecret;
  controlPolicies: ControlPolicy;
  account: Account;
  settings: Settings;
}
export type TableName = keyof Rows;
export const tableNames: readonly TableName[] = [
  'users',
  'groups',
  'roles',
  'keys',
  'sessions',
  'managedPolicies',
  'secrets',
  'controlPolicies',
  'account',
  'settings',
];

/** The key of a row in its table. */
export function rowKey<T extends TableName>(table: T, row: Rows[T]): string {
  return table === 'secrets' || table === 'managedPolicies' ? (row as StoredSecret).arn : (row as User).id;
}

/** One entry of the journal: everything that one call changed, so that a torn write loses a call whole or not at all. */
export interface JournalLine {
  /** Rows as they are now: table, key, row, or null where the row is gone. */
  readonly rows?: readonly [TableName, string, unknown][];
  /** When an access key was last used. */
  readonly used?: readonly [keyId: string, use: LastUsed];
  readonly event?: TrailEntry;
  readonly mutation?: LedgerEntry;
}

type Tables = { readonly [T in TableName]: Map<string, Rows[T]> };

/** The tables, with the look-ups that calls need on every request. */
export class State {
  readonly tables: Tables = {
    users: new Map(),
    groups: new Map(),
    roles: new Map(),
    keys: new Map(),
    sessions: new Map(),
    managedPolicies: new Map(),
    secrets: new Map(),
    controlPolicies: new Map(),
    account: new Map(),
    settings: new Map(),
  };
  readonly #userByName = new Map<string, User>();
  readonly #roleByName = new Map<string, Role>();
  readonly #groupByName = new Map<string, Group>();
  readonly #keysOfUser = new Map<string, Map<string, AccessKey>>();
  readonly #secretByName = new Map<string, StoredSecret>();

  /** Enters a row, new or changed, and keeps the look-ups true. Names compare without regard to case, as IAM does. */
  put<T extends TableName>(table: T, row: Rows[T]): void {
    (this.tables[table] as Map<string, Rows[T]>).set(rowKey(table, row), row);
    if (table === 'users') indexName(this.#userByName, row as User);
    else if (table === 'roles') indexName(this.#roleByName, row as Role);
    else if (table === 'groups') indexName(this.#groupByName, row as Group);
    else if (table === 'secrets') {
      const secret = row as StoredSecret;
      this.#secretByName.set(`${secret.region} ${secret.name}`, secret);
    } else if (table === 'keys') {
      const key = row as AccessKey;
      let keys = this.#keysOfUser.get(key.userId);
      if (keys === undefined) {
        keys = new Map();
        this.#keysOfUser.set(key.userId, keys);
      }
      if (latest(key.status) === 'deleted') keys.delete(key.id);
      else keys.set(key.id, key);
    }
  }

  /** Takes a row out for good. */
  remove<T extends TableName>(table: T, key: string): void {
    const row = this.tables[table].get(key);
    this.tables[table].delete(key);
    if (table !== 'secrets' || row === undefined) return;
    const secret = row as StoredSecret;
    const name = `${secret.region} ${secret.name}`;
    if (this.#secretByName.get(name)?.arn === secret.arn) this.#secretByName.delete(name);
  }

  user(name: string): User | undefined {
    return this.#userByName.get(name.toLowerCase());
  }
  role(name: string): Role | undefined {
    return this.#roleByName.get(name.toLowerCase());
  }
  group(name: string): Group | undefined {
    return this.#groupByName.get(name.toLowerCase());
  }
  /** The group of that name even if it was deleted a moment ago, because its policies bind until the deletion is effective. */
  groupAsOf(name: string): Group | undefined {
    return this.group(name) ?? [...this.tables.groups.values()].find((g) => g.name === name);
  }
  secret(region: string, name: string): StoredSecret | undefined {
    return this.#secretByName.get(`${region} ${name}`);
  }
  /** The user's keys that are not deleted, oldest first. */
  keysOf(user: User): AccessKey[] {
    return [...(this.#keysOfUser.get(user.id)?.values() ?? [])].sort((a, b) => a.createdAt - b.createdAt);
  }
  get account(): Account {
    const account = this.tables.account.get('account');
    if (account === undefined) throw new Error('the simulated account has not been made');
    return account;
  }

  /** Enters what a journal line says about rows. */
  replay(line: JournalLine): void {
    for (const [table, key, row] of line.rows ?? []) {
      if (row === null) this.remove(table, key);
      else this.put(table, row as Rows[TableName]);
    }
    if (line.used !== undefined) {
      const key = this.tables.keys.get(line.used[0]);
      if (key !== undefined) key.lastUsed = line.used[1];
    }
  }

  /** Drops what can no longer bear on any answer: what was deleted or expired longer ago than the longest propagation, and a day. */
  forget(clock: Clock): void {
    const before = clock.now() - longestPropagationMs - 86_400_000;
    for (const table of ['users', 'groups', 'roles'] as const) {
      for (const [id, row] of this.tables[table]) if (row.deletedAt !== undefined && row.deletedAt < before) this.tables[table].delete(id);
    }
    for (const [id, key] of this.tables.keys) {
      const last = key.status.at(-1);
      if (last?.value === 'deleted' && last.at < before) this.tables.keys.delete(id);
    }
    for (const [id, session] of this.tables.sessions) if (session.expiresAt < before) this.tables.sessions.delete(id);
  }
}

function indexName<R extends { readonly id: string; readonly name: string; readonly deletedAt?: number }>(
  index: Map<string, R>,
  row: R,
): void {
  const name = row.name.toLowerCase();
  if (row.deletedAt === undefined) index.set(name, row);
  else if (index.get(name)?.id === row.id) index.delete(name);
}
