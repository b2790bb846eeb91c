import { generateKeyPairSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { GithubTokenForm } from '../../domain/github-token.ts';
import type { Fault, FaultOrder } from '../aws/faults.ts';
import type { Counter, LedgerEntry } from '../aws/ledger.ts';
import { isDead } from './access.ts';
import { asOf, type Job, latest, type MadeBy, type Shelf } from './state.ts';
import { hashOfToken } from './tokens.ts';
import { fingerprintOf, madeBy, newShelf, type Settings, type TokenOrder, type World } from './world.ts';

const iso = (ms: number): string => new Date(ms).toISOString();

/** A token that was minted, with the text that is given out once. */
export interface Minted {
  /** SECRET */
  readonly token: string;
  readonly sha256: string;
  readonly tokenId: number;
}

/** An App as its owner has it. */
export interface MadeApp {
  readonly appId: number;
  readonly slug: string;
  /** SECRET: PEM. */
  readonly privateKey: string;
  readonly clientId: string;
  /** SECRET */
  readonly clientSecret: string;
}

/**
 * What a test or the lab does to the simulated GitHub from outside it: people and things that are there already, time, trouble, and what an all-knowing
 * onlooker sees. Every method takes and gives plain JSON, since it is called over HTTP as well.
 */
export class Control {
  readonly #world: World;
  constructor(world: World) {
    this.#world = world;
  }

  addUser(login: string): { readonly id: number } {
    const id = this.#world.state.id();
    this.#world.state.users.set(login.toLowerCase(), { id, login, email: `${login}@example.org` });
    return { id };
  }

  /** `auditApi` false is a plan without a log that can be read. */
  addOrg(
    login: string,
    more: { readonly auditApi?: boolean; readonly members?: Readonly<Record<string, 'admin' | 'member'>> } = {},
  ): { readonly id: number } {
    const id = this.#world.state.id();
    this.#world.state.orgs.set(login.toLowerCase(), {
      id,
      login,
      auditApi: more.auditApi ?? true,
      members: new Map(Object.entries(more.members ?? {})),
    });
    return { id };
  }

  addRepository(
    owner: string,
    name: string,
    more: { readonly public?: boolean; readonly environments?: readonly string[] } = {},
  ): { readonly id: number } {
    const id = this.#world.state.id();
    this.#world.state.repositories.set(`${owner}/${name}`.toLowerCase(), {
      id,
      owner,
      name,
      private: more.public !== true,
      keys: new Map(),
      hooks: new Map(),
      shelf: newShelf(),
      environments: new Map((more.environments ?? []).map((each) => [each, newShelf()])),
    });
    return { id };
  }

  /** SECRET in the answer. */
  mint(order: TokenOrder): Minted {
    const { text, sha256, tokenId } = this.#world.mint(order);
    return { token: text, sha256, tokenId };
  }

  /** SECRET in the answer. */
  addApp(slug: string, owner: string): MadeApp {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const id = this.#world.state.id();
    const app = {
      id,
      slug,
      owner,
      publicKey,
      privateKey,
      clientId: `Iv23${randomBytes(8).toString('hex')}`,
      clientSecret: randomBytes(20).toString('hex'),
    };
    this.#world.state.apps.set(id, app);
    return { appId: id, slug, privateKey, clientId: app.clientId, clientSecret: app.clientSecret };
  }

  install(appId: number, account: string, permissions: Readonly<Record<string, string>>): { readonly installationId: number } {
    const id = this.#world.state.id();
    this.#world.state.installations.set(id, {
      id,
      appId,
      account,
      permissions,
      createdAt: this.#world.clock.now(),
      suspended: [{ at: 0, value: undefined }],
    });
    return { installationId: id };
  }

  /** An owner of the account suspends an installation in the web pages, or lets it work again. */
  suspendByHand(installationId: number, login: string, suspended: boolean): void {
    const found = this.#world.state.installations.get(installationId);
    if (found === undefined) throw new Error('there is no such installation');
    found.suspended.push({ at: this.#world.clock.now(), value: suspended ? { by: login, byType: 'User' } : undefined });
  }

  /** An owner takes an App off the account. */
  uninstall(installationId: number): void {
    this.#world.state.installations.delete(installationId);
  }

  /** A deploy key that is there already; `madeWith` is the token that it was made with, by its hash. */
  addDeployKey(
    owner: string,
    name: string,
    more: {
      readonly title: string;
      readonly addedBy: string;
      readonly readOnly?: boolean;
      readonly madeWith?: string;
      readonly lastUsedAgoMs?: number;
      readonly logged?: boolean;
      /** How long ago it was added. */
      readonly ageMs?: number;
    },
  ): { readonly keyId: number; readonly fingerprint: string } {
    const repository = this.#world.state.repository(owner, name);
    if (repository === undefined) throw new Error('there is no such repository');
    const now = this.#world.clock.now();
    const id = this.#world.state.id();
    const token = more.madeWith === undefined ? undefined : this.#world.state.tokens.get(more.madeWith);
    const key = `ssh-ed25519 ${Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), randomBytes(32)]).toString('base64')}`;
    repository.keys.set(id, {
      id,
      key,
      title: more.title,
      readOnly: more.readOnly ?? true,
      addedBy: more.addedBy,
      createdAt: now - (more.ageMs ?? 0),
      by: madeBy(token),
      ...(more.lastUsedAgoMs === undefined ? {} : { lastUsedAt: now - more.lastUsedAgoMs }),
    });
    const fingerprint = fingerprintOf(key);
    if (more.logged !== false)
      this.#world.audit(
        [owner],
        'public_key.create',
        { login: more.addedBy, ...(token ? { token } : {}) },
        { repo: `${owner}/${name}`, fingerprint, title: more.title },
      );
    return { keyId: id, fingerprint };
  }

  /** An administrator of the repository deletes a deploy key. */
  removeDeployKey(owner: string, name: string, keyId: number): void {
    this.#world.state.repository(owner, name)?.keys.delete(keyId);
  }

  /** Somebody uses a deploy key to fetch; false where it is refused. */
  useDeployKey(owner: string, name: string, keyId: number): boolean {
    const key = this.#world.state.repository(owner, name)?.keys.get(keyId);
    if (key === undefined) return false;
    key.lastUsedAt = this.#world.clock.now();
    return true;
  }

  /** A secret that is there already, by repository or environment. */
  putSecret(owner: string, name: string, secret: string, value: string, environment?: string): void {
    const place = this.#shelf(owner, name, environment);
    const now = this.#world.clock.now();
    place.secrets.set(secret.toUpperCase(), {
      name: secret.toUpperCase(),
      value,
      createdAt: place.secrets.get(secret.toUpperCase())?.createdAt ?? now,
      updatedAt: now,
    });
  }

  /** A run begins: it gets the secrets as they are now, those of the environment before the repository's. */
  startJob(
    owner: string,
    name: string,
    more: { readonly environment?: string; readonly workflow?: string } = {},
  ): { readonly jobId: number } {
    const { environment, workflow = 'build' } = more;
    const values = new Map<string, string>();
    for (const row of this.#shelf(owner, name).secrets.values()) values.set(row.name, row.value);
    if (environment !== undefined)
      for (const row of this.#shelf(owner, name, environment).secrets.values()) values.set(row.name, row.value);
    const job: Job = {
      id: this.#world.state.id(),
      repository: `${owner}/${name}`,
      workflow,
      startedAt: this.#world.clock.now(),
      over: false,
      values,
      ...(environment === undefined ? {} : { environment }),
    };
    this.#world.state.jobs.set(job.id, job);
    return { jobId: job.id };
  }

  finishJob(jobId: number): void {
    const job = this.#world.state.jobs.get(jobId);
    if (job === undefined) throw new Error('there is no such run');
    job.over = true;
  }

  /** SECRET: what a run has under a name. */
  jobValue(jobId: number, secret: string): string | null {
    return this.#world.state.jobs.get(jobId)?.values.get(secret.toUpperCase()) ?? null;
  }

  #shelf(owner: string, name: string, environment?: string): Shelf {
    const repository = this.#world.state.repository(owner, name);
    const place = environment === undefined ? repository?.shelf : repository?.environments.get(environment);
    if (place === undefined) throw new Error('there is no such place');
    return place;
  }

  /** An owner of the organization takes a fine-grained token's access to it away. */
  unlinkByHand(org: string, sha256: string): void {
    const token = this.#world.state.tokens.get(sha256);
    if (token === undefined || !token.orgs.delete(org)) throw new Error('there is no such token');
    this.#world.audit([org], 'personal_access_token.access_revoked', {}, { hashed_token: sha256, token_id: token.tokenId });
  }

  /** An owner deletes a token in the web pages. */
  deleteToken(sha256: string): void {
    const token = this.#world.state.tokens.get(sha256);
    if (token === undefined) throw new Error('there is no such token');
    this.#world.revoke(token, token.login === undefined ? {} : { login: token.login }, { action: 'oauth_access.destroy' });
  }

  /** Whether a token would be accepted now. */
  isAccepted(text: string): boolean {
    const token = this.#world.state.tokens.get(hashOfToken(text));
    return token !== undefined && !isDead(this.#world, token);
  }

  clock(): { readonly now: number; readonly offsetMs: number } {
    return { now: this.#world.clock.now(), offsetMs: this.#world.clock.offsetMs };
  }
  advance(ms: number): void {
    this.#world.clock.moveTo(this.#world.clock.offsetMs + ms);
  }
  settings(change: Partial<Settings> = {}): Settings {
    return Object.assign(this.#world.settings, change);
  }
  /** Faults are matched by `action`, GitHub's name of the call: `DELETE /repos/{owner}/{repo}/keys/{key_id}`. */
  inject(order: FaultOrder): Fault {
    return this.#world.faults.add(order);
  }
  clearFaults(): void {
    this.#world.faults.clear();
  }
  /** Calls since the start, by `github:METHOD /path`. */
  counters(): Record<string, Counter> {
    return Object.fromEntries(this.#world.ledger.counters);
  }
  /** Every call that may change something, oldest first, after a sequence number. */
  mutations(since = 0): readonly LedgerEntry[] {
    return this.#world.ledger.since(since);
  }
  mails(): readonly { readonly to: string; readonly at: number; readonly subject: string }[] {
    return this.#world.state.mails;
  }
  /** The whole log of an organization, what it does not show yet included. */
  events(org: string): readonly Readonly<Record<string, unknown>>[] {
    return this.#world.state.audit.filter((event) => event.org === org).map((event) => event.fields);
  }

  /** All there is, without a secret in it and without what moves by itself: what two moments are compared by. Values of secrets stand as their hash. */
  picture() {
    const { state } = this.#world;
    const by = (made: MadeBy) => made.form ?? null;
    const shelf = (place: Shelf) => Object.fromEntries([...place.secrets.values()].map((row) => [row.name, hashOfToken(row.value)]));
    return {
      tokens: [...state.tokens.values()]
        .filter((token) => token.installationId === undefined || latest(token.revoked))
        .map((token) => ({
          sha256: token.sha256,
          form: token.form as GithubTokenForm,
          revoked: latest(token.revoked),
          orgs: [...token.orgs],
        })),
      repositories: [...state.repositories.values()].map((row) => ({
        name: `${row.owner}/${row.name}`,
        private: row.private,
        keys: [...row.keys.values()].map((key) => ({
          id: key.id,
          title: key.title,
          readOnly: key.readOnly,
          addedBy: key.addedBy,
          by: by(key.by),
        })),
        hooks: [...row.hooks.values()].map(({ id, url }) => ({ id, url })),
        secrets: shelf(row.shelf),
        environments: Object.fromEntries([...row.environments].map(([name, place]) => [name, shelf(place)])),
      })),
      sshKeys: [...state.sshKeys.values()].map(({ id, login, title }) => ({ id, login, title })),
      installations: [...state.installations.values()].map((row) => ({
        id: row.id,
        appId: row.appId,
        account: row.account,
        suspended: latest(row.suspended) ?? null,
      })),
    };
  }

  /** Whether an installation is suspended as GitHub acts on it now, and since when it is said to be. */
  suspension(installationId: number): { readonly inEffect: boolean; readonly since: string | null } {
    const line = this.#world.state.installations.get(installationId)?.suspended ?? [{ at: 0, value: undefined }];
    const last = line[line.length - 1];
    return { inEffect: asOf(line, this.#world.effective) !== undefined, since: last?.value ? iso(last.at) : null };
  }
}

/** Where the control port is, and the token it asks for. */
export interface ControlAddress {
  readonly url: string;
  readonly token: string;
}

type Remote = { readonly [K in keyof Control]: (...args: Parameters<Control[K]>) => Promise<Awaited<ReturnType<Control[K]>>> };

/** The control port of a simulator, wherever it runs: each method of {@link Control}, over HTTP. */
export function githubControl(address: ControlAddress): Remote {
  const call = async (name: string, args: readonly unknown[]): Promise<unknown> => {
    const response = await fetch(`${address.url}/${name}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${address.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(args),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the simulator's control port answered ${response.status} to ${name}: ${text}`);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  };
  return new Proxy({} as Remote, {
    // A promise is asked whether it has a `then`, and this is none.
    get: (_, name) => (typeof name !== 'string' || name === 'then' ? undefined : (...args: unknown[]) => call(name, args)),
  });
}

/** The control port: on loopback, behind a bearer token. */
export function controlServer(control: Control, token: string, onFault: (error: unknown) => void): Server {
  const methods = new Set(Object.getOwnPropertyNames(Control.prototype).filter((name) => name !== 'constructor'));
  const wanted = Buffer.from(`Bearer ${token}`);
  return createServer((message, response) => {
    const answer = async (): Promise<[number, string]> => {
      const given = Buffer.from(message.headers.authorization ?? '');
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return [401, 'a bearer token is needed'];
      const name = (message.url ?? '').slice(1);
      if (!methods.has(name)) return [404, 'there is no such thing here'];
      let text = '';
      for await (const chunk of message.setEncoding('utf8')) text += chunk;
      const args: unknown = JSON.parse(text);
      if (!Array.isArray(args)) return [400, 'a list of arguments is needed'];
      try {
        const method = control[name as keyof Control] as (...list: unknown[]) => unknown;
        const result = method.apply(control, args);
        return [200, result === undefined ? '' : JSON.stringify(result)];
      } catch (error) {
        return [400, error instanceof Error ? error.message : 'it cannot be done'];
      }
    };
    answer().then(
      ([status, text]) => response.writeHead(status).end(text),
      (error: unknown) => {
        onFault(error);
        response.writeHead(500).end();
      },
    );
  });
}
