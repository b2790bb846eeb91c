import type { GithubTokenForm } from '../../domain/github-token.ts';

/** A value and since when it is so, by the simulated clock; the newest last. */
export type Timeline<T> = { at: number; value: T }[];

/** The value that is in effect at a moment, and the first one before there was any. */
export function asOf<T>(line: Timeline<T>, at: number): T {
  let value = (line[0] as { value: T }).value;
  for (const entry of line) if (entry.at <= at) value = entry.value;
  return value;
}
export const latest = <T>(line: Timeline<T>): T => (line[line.length - 1] as { value: T }).value;

export interface User {
  readonly id: number;
  readonly login: string;
  readonly email: string;
}

export interface Org {
  readonly id: number;
  readonly login: string;
  /** Logins, and whether each is an owner. */
  readonly members: Map<string, 'admin' | 'member'>;
  /** Whether its plan has an audit log that can be read by API. */
  readonly auditApi: boolean;
}

/** A credential that GitHub accepts as a bearer token. */
export interface Token {
  /** SECRET: the token itself; the simulator has to give it out and knows it by its hash. */
  readonly text: string;
  readonly sha256: string;
  readonly form: GithubTokenForm;
  /** GitHub's own number of it, as the audit log and the organization's list have it. */
  readonly tokenId: number;
  /** Whose it is; absent for an installation's. */
  readonly login?: string;
  readonly name?: string;
  readonly scopes: readonly string[];
  /** Permissions of a fine-grained or installation token, e.g. `secrets: write`. */
  readonly permissions: Readonly<Record<string, string>>;
  /** Organizations that a fine-grained token may reach. */
  readonly orgs: Set<string>;
  readonly appId?: number;
  readonly clientId?: string;
  readonly installationId?: number;
  readonly createdAt: number;
  readonly expiresAt?: number;
  readonly revoked: Timeline<boolean>;
  lastUsedAt?: number;
}

/** How a thing was made, which is what decides whether it outlives the token it was made with. */
export interface MadeBy {
  readonly sha256?: string;
  readonly form?: GithubTokenForm;
}

export interface DeployKey {
  readonly id: number;
  readonly key: string;
  readonly title: string;
  readonly readOnly: boolean;
  readonly addedBy: string;
  readonly createdAt: number;
  readonly by: MadeBy;
  lastUsedAt?: number;
}

export interface SecretRow {
  readonly name: string;
  /** SECRET: the opened value, which runs get and no call reads. */
  value: string;
  readonly createdAt: number;
  updatedAt: number;
}

/** Where secrets of one repository or one of its environments lie, with the pair that they are sealed to. */
export interface Shelf {
  readonly keyId: string;
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
  readonly secrets: Map<string, SecretRow>;
}

export interface Hook {
  readonly id: number;
  readonly url: string;
  readonly by: MadeBy;
}

export interface Repository {
  readonly id: number;
  readonly owner: string;
  readonly name: string;
  readonly private: boolean;
  readonly keys: Map<number, DeployKey>;
  readonly hooks: Map<number, Hook>;
  readonly shelf: Shelf;
  readonly environments: Map<string, Shelf>;
}

export interface SshKey {
  readonly id: number;
  readonly login: string;
  readonly key: string;
  readonly title: string;
  readonly createdAt: number;
  readonly by: MadeBy;
}

export interface App {
  readonly id: number;
  readonly slug: string;
  readonly owner: string;
  readonly publicKey: string;
  /** SECRET: given to the App's owner once. */
  readonly privateKey: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface Installation {
  readonly id: number;
  readonly appId: number;
  readonly account: string;
  readonly permissions: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly suspended: Timeline<{ readonly by: string; readonly byType: 'User' | 'Bot' } | undefined>;
}

export interface AuditEvent {
  readonly id: string;
  readonly at: number;
  /** From when the log shows it. */
  readonly shownAt: number;
  readonly org: string;
  readonly fields: Readonly<Record<string, unknown>> & { readonly action: string };
}

/** A run of a workflow: it got its secrets when it started and keeps them. */
export interface Job {
  readonly id: number;
  readonly repository: string;
  readonly environment?: string;
  readonly workflow: string;
  readonly startedAt: number;
  over: boolean;
  readonly values: ReadonlyMap<string, string>;
}

export interface Mail {
  readonly to: string;
  readonly at: number;
  readonly subject: string;
}

/** All that the simulated GitHub has. */
export class State {
  readonly users = new Map<string, User>();
  readonly orgs = new Map<string, Org>();
  readonly repositories = new Map<string, Repository>();
  readonly tokens = new Map<string, Token>();
  readonly sshKeys = new Map<number, SshKey>();
  readonly apps = new Map<number, App>();
  readonly installations = new Map<number, Installation>();
  readonly jobs = new Map<number, Job>();
  readonly audit: AuditEvent[] = [];
  readonly mails: Mail[] = [];
  #next = 1000;
  id(): number {
    return this.#next++;
  }
  tokenById(tokenId: number): Token | undefined {
    return [...this.tokens.values()].find((token) => token.tokenId === tokenId);
  }
  repository(owner: string, name: string): Repository | undefined {
    return this.repositories.get(`${owner}/${name}`.toLowerCase());
  }
}
