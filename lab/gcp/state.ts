import { createHash, generateKeyPair, type KeyObject, randomBytes, randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import type { Clock } from '../aws/clock.ts';
import type { Faults } from '../aws/faults.ts';

/** A value from a moment on. A history is in order of time, and what is effective is what stood one propagation time ago. */
export interface Since<T> {
  readonly at: number;
  readonly value: T;
}
export type History<T> = Since<T>[];

export function latest<T>(history: History<T>): T {
  return (history[history.length - 1] as Since<T>).value;
}
/** What stood at a moment; undefined before the first. */
export function asOf<T>(history: History<T>, at: number): T | undefined {
  for (let i = history.length - 1; i >= 0; i--) if ((history[i] as Since<T>).at <= at) return (history[i] as Since<T>).value;
  return undefined;
}

export interface Binding {
  readonly role: string;
  readonly members: readonly string[];
}
export interface Policy {
  readonly etag: string;
  readonly bindings: readonly Binding[];
  readonly auditConfigs?: readonly { readonly service: string; readonly auditLogConfigs: readonly { readonly logType: string }[] }[];
}

export interface Key {
  readonly id: string;
  readonly origin: 'GOOGLE_PROVIDED' | 'USER_PROVIDED';
  readonly type: 'USER_MANAGED' | 'SYSTEM_MANAGED';
  readonly publicKey: KeyObject;
  /** Of system-managed keys alone: Google holds the private half of no other. */
  readonly privateKey?: KeyObject;
  readonly certificate?: string;
  readonly createdAt: number;
  readonly validBefore: number;
  readonly disabled: History<boolean>;
  disableReason?: string;
  extendedStatus?: { readonly key: string; readonly value: string }[];
  deletedAt?: number;
}

export interface Account {
  readonly email: string;
  readonly project: string;
  readonly uniqueId: string;
  readonly displayName: string;
  readonly createdAt: number;
  readonly keys: Map<string, Key>;
  readonly disabled: History<boolean>;
  readonly policy: History<Policy>;
  /** Google has disabled it, and no customer can enable it. */
  byGoogle: boolean;
  deletedAt?: number;
}

export interface AccessToken {
  readonly email: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly scope: string;
  /** The key whose assertion it was issued for. */
  readonly keyId?: string;
  /** Who asked for it in whose name, the first asker first. */
  readonly delegation: readonly string[];
}

export interface HmacKey {
  readonly accessId: string;
  readonly secret: string;
  readonly email: string;
  readonly project: string;
  readonly createdAt: number;
  updatedAt: number;
  etag: string;
  readonly state: History<'ACTIVE' | 'INACTIVE' | 'DELETED'>;
}

export interface ApiKey {
  readonly uid: string;
  readonly project: string;
  readonly text: string;
  readonly displayName: string;
  /** The account that a bound key acts as. */
  readonly boundTo?: string;
  readonly createdAt: number;
  updatedAt: number;
  etag: string;
  readonly restrictions: History<Readonly<Record<string, unknown>> | undefined>;
  readonly deleted: History<boolean>;
  /** How long it goes on authenticating after it was deleted, in milliseconds. */
  readonly lingersMs: number;
}

export interface Project {
  readonly id: string;
  readonly number: string;
  readonly policy: History<Policy>;
  readonly buckets: string[];
  /** Accounts whose tokens may live for twelve hours (`constraints/iam.allowServiceAccountCredentialLifetimeExtension`). */
  readonly longLived: Set<string>;
}

export interface Settings {
  /** Keys and accounts: until a change of one is effective. */
  propagationMs: number;
  policyPropagationMs: number;
  hmacPropagationMs: number;
  apiKeyPropagationMs: number;
  logLagMs: number;
  logReadsPerMinute: number;
  /** Keys of an account that customers manage (IAM, "Quotas and limits": 10). */
  keyLimit: number;
}

export interface LogEntry {
  readonly project: string;
  readonly private: boolean;
  readonly at: number;
  readonly entry: Readonly<Record<string, unknown>>;
}

/** One call that was received. */
export interface JournalEntry {
  readonly seq: number;
  readonly at: string;
  readonly service: string;
  readonly method: string;
  /** Permission that the call exercises; none for the token endpoint and for what anybody may ask. */
  readonly permission?: string;
  readonly caller?: string;
  readonly path: string;
  readonly effect: 'changed' | 'read' | 'no-op' | 'refused';
  readonly code?: string;
  readonly reply: 'sent' | 'lost';
}

export interface World {
  readonly clock: Clock;
  readonly faults: Faults;
  readonly settings: Settings;
  readonly projects: Map<string, Project>;
  readonly accounts: Map<string, Account>;
  readonly tokens: Map<string, AccessToken>;
  readonly hmacKeys: Map<string, HmacKey>;
  readonly apiKeys: Map<string, ApiKey>;
  readonly operations: Map<string, Readonly<Record<string, unknown>>>;
  readonly roles: Map<string, readonly string[]>;
  readonly log: LogEntry[];
  readonly journal: JournalEntry[];
  readonly logReads: number[];
  /** Addresses that an assertion may be made out to. */
  readonly audiences: Set<string>;
  /** With which ID tokens are signed for keys whose private half nobody here has. */
  readonly idKey: KeyObject;
  pairs: number;
}

export const iso = (ms: number): string => new Date(ms).toISOString();
export const etag = (): string => randomBytes(9).toString('base64');
export const digits = (n: number): string =>
  Array.from({ length: n }, () => String(randomInt(10)))
    .join('')
    .replace(/^0/, '1');
export const hex = (bytes: number): string => randomBytes(bytes).toString('hex');
export const base62 = (n: number): string =>
  randomBytes(n * 2)
    .toString('base64')
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, n);

const makePair = promisify(generateKeyPair);
const pool: Promise<{ publicKey: KeyObject; privateKey: KeyObject }>[] = [];

/** A pair of RSA-2048. Making one takes a tenth of a second, so that all simulators of a process share one row of them; none gives the same one twice. */
export function pair(world: World): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  const at = world.pairs++;
  pool[at] ??= makePair('rsa', { modulusLength: 2048 });
  return pool[at];
}

/** What Google calls a key; here the SHA-1 of its public half, so that one and the same certificate always gets one and the same id. */
export function keyIdOf(publicKey: KeyObject): string {
  return createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** The account as the service knows it now; undefined for one that was deleted. */
export function accountNow(world: World, email: string): Account | undefined {
  const account = world.accounts.get(email);
  return account === undefined || account.deletedAt !== undefined ? undefined : account;
}

/** Whether an account is accepted as of one propagation time ago. */
export function accountStands(world: World, email: string): boolean {
  const account = world.accounts.get(email);
  if (account === undefined) return false;
  const at = world.clock.now() - world.settings.propagationMs;
  if (account.deletedAt !== undefined && account.deletedAt <= at) return false;
  return asOf(account.disabled, at) !== true;
}

/** Whether a key is accepted as of one propagation time ago. A new one takes as long to be known. */
export function keyStands(world: World, key: Key): boolean {
  const at = world.clock.now() - world.settings.propagationMs;
  if (key.createdAt > at || key.validBefore <= world.clock.now()) return false;
  if (key.deletedAt !== undefined && key.deletedAt <= at) return false;
  return asOf(key.disabled, at) === false;
}
