import type { ClientConfig, Outside, Realm } from './realm.ts';
import { FaultKind, type Process, type Sim } from './sim.ts';
import type { Attempt } from './temporal.ts';

/*
 * The outer world in memory: an AWS account that is the practice simulator's own account (its rules, its propagation, its log), reached without a network; and one KV store of
 * Vault's form with its audit log. Each call is two events, its arrival and its answer, so that a process may die, stop or lose the connection between them.
 */

export const account = '210987654321';
export const user = 'ci-deployer';
export const arn = `arn:aws:iam::${account}:user/${user}`;
export const storeKey = 'ci/deployer';
export const storePath = `kv/${storeKey}`;
export const times = { propagationMs: 4000, logLagMs: 5000, marginMs: 1000, pollMs: 700, giveUpMs: 40_000 };

/** One call that changed something, or tried to. */
export interface Effect {
  readonly at: number;
  readonly provider: 'aws' | 'vault' | 'outside';
  readonly action: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** Whose work it was; undefined for what no worker of ours did. */
  readonly attempt: Attempt | undefined;
  readonly changed: boolean;
  readonly made?: string;
}

interface Pair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

interface KvVersion {
  readonly data: Record<string, unknown> | null;
  readonly createdAt: string;
  deleted: boolean;
  destroyed: boolean;
}

const plainDates = (value: unknown): unknown => {
  if (value instanceof Date) return new Date(Math.floor(value.getTime() / 1000) * 1000);
  if (Array.isArray(value)) return value.map(plainDates);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plainDates(each)]));
};
const asked = (input: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(input)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, value instanceof Date ? Math.floor(value.getTime() / 1000) : value]),
  );

export class World implements Outside {
  readonly sim: Sim;
  readonly realm: Realm;
  // biome-ignore lint/suspicious/noExplicitAny: the simulator's world is put together here out of its parts.
  readonly aws: any;
  readonly admin: Pair;
  readonly effects: Effect[] = [];
  onEffect: (effect: Effect) => void = () => undefined;
  /** Per service, until when no request arrives. */
  readonly #down = new Map<string, number>();
  readonly kv = new Map<string, { versions: KvVersion[]; custom: Record<string, string> }>();
  #audit = Buffer.alloc(64 * 1024);
  #auditSize = 0;
  #requests = 0;
  #lateUntil = 0;
  #visible = 0;
  #nanos = 0;

  constructor(realm: Realm, sim: Sim) {
    this.realm = realm;
    this.sim = sim;
    const { engine } = realm;
    const state = new engine.State();
    const clock = new engine.Clock(0);
    const at = sim.now - 30 * 86_400_000;
    this.admin = { accessKeyId: engine.accessKeyId('AKIA', account), secretAccessKey: engine.secretKey() };
    state.put('account', {
      id: 'account',
      accountId: account,
      organizationId: 'o-schedules0',
      admin: { ...this.admin },
      attached: [{ at, value: [engine.fullAccess] }],
      pageKey: Buffer.alloc(32, 7).toString('base64'),
    } as never);
    this.aws = {
      accountId: account,
      regions: ['us-east-1'],
      clock,
      state,
      trail: new engine.Trail(200_000),
      ledger: new engine.Ledger(),
      faults: new engine.Faults(),
      settings: {
        id: 'settings',
        authenticationPropagationMs: times.propagationMs,
        authorizationPropagationMs: times.propagationMs,
        logLagMs: times.logLagMs,
        clockOffsetMs: 0,
      },
      journal: undefined,
    };
    this.makeUser('tourniquet-admin', [], ['arn:aws:iam::aws:policy/AdministratorAccess'], this.admin, at);
  }

  makeUser(name: string, inline: readonly (readonly [string, string])[], attached: readonly string[], pair: Pair, at: number) {
    const { engine } = this.realm;
    const made = {
      id: engine.uniqueId('AIDA'),
      name,
      path: '/',
      createdAt: at,
      tags: {},
      policies: [{ at, value: { inline: Object.fromEntries(inline), attached, groups: [] } }],
      serviceCredentials: [],
    };
    this.aws.state.put('users', made);
    this.putKey(made.id, pair, at);
  }

  putKey(userId: string, pair: Pair, at: number) {
    this.aws.state.put('keys', {
      id: pair.accessKeyId,
      secret: pair.secretAccessKey,
      userId,
      createdAt: at,
      status: [{ at, value: 'Active' }],
    });
  }

  newPair(): Pair {
    return { accessKeyId: this.realm.engine.accessKeyId('AKIA', account), secretAccessKey: this.realm.engine.secretKey() };
  }

  /** The keys that a user has, by what an administrator would be shown. */
  keys(name = user): { id: string; status: string; createdAt: number }[] {
    const found = this.aws.state.user(name);
    return this.aws.state.keysOf(found).map((key: { id: string; status: never[]; createdAt: number }) => ({
      id: key.id,
      status: this.realm.engine.latest<string>(key.status) ?? '',
      createdAt: key.createdAt,
    }));
  }

  inline(name = user): Readonly<Record<string, string>> {
    const found = this.aws.state.user(name);
    return this.realm.engine.latest<{ inline: Record<string, string> }>(found.policies)?.inline ?? {};
  }

  get sessions(): {
    id: string;
    mintedBy: string;
    issuedAt: number;
    expiresAt: number;
    principalId: string;
    token: string;
    secret: string;
  }[] {
    return [...this.aws.state.tables.sessions.values()];
  }

  // ---- AWS ----

  /** A call as the account answers it, at once. Throws what the SDK would throw. */
  call(
    pair: Pair,
    agent: string,
    service: string,
    action: string,
    input: Record<string, unknown>,
    region: string,
    attempt: Attempt | undefined,
  ): unknown {
    const { engine } = this.realm;
    const { aws } = this;
    const requestId = `req-${String(++this.#requests).padStart(6, '0')}`;
    const json = service === 'cloudtrail';
    const operations = { iam: engine.iam, sts: engine.sts, cloudtrail: engine.cloudtrail }[service];
    const operation = operations?.[action];
    if (json) {
      // What was to be seen already stays to be seen: a log that falls behind hides nothing.
      const late = this.sim.strike(FaultKind.LATE_LOG, 'aws');
      if (late) {
        this.#lateUntil = this.sim.now + late.ms;
        this.#visible = this.sim.now - times.logLagMs;
      }
      const lag = times.logLagMs + (this.sim.now < this.#lateUntil ? 90_000 : 0);
      this.#visible = Math.max(this.#visible, this.sim.now - lag);
      aws.settings.logLagMs = this.sim.now - this.#visible;
    }
    if (!operation) throw new Error(`the world has no ${service}:${action}`);
    let call: InstanceType<typeof engine.Call> | undefined;
    let answer: unknown;
    let refusal: unknown;
    try {
      const caller = this.#caller(pair, agent);
      call = new engine.Call({ service: service as never, action, input: asked(input), region, caller: caller as never, world: aws });
      const need = operation.need(call);
      if (need !== undefined) {
        const context = engine.contextOf(aws, caller as never, region, need.keys);
        engine.authorize(aws, caller as never, { action: `${service}:${action}`, resource: need.resource, context });
      }
      answer = operation.run(call);
    } catch (error) {
      if (!(error instanceof engine.Refusal)) throw error;
      refusal = error;
    }
    if (call !== undefined) {
      const event = engine.eventOf(call, operation, requestId, {
        ...(answer === undefined ? {} : { answer: answer as never }),
        ...(refusal === undefined ? {} : { refusal: refusal as never }),
      });
      aws.trail.add(event);
      const { key } = call.caller;
      if (key !== undefined) key.lastUsed = { at: event.at, service, region: event.region };
    }
    if (operation.mutates && refusal === undefined) {
      const changed = call?.change.effective === true;
      this.#effect({
        at: this.sim.now,
        provider: attempt ? 'aws' : 'outside',
        action,
        input,
        attempt,
        changed,
        ...(call?.made ? { made: call.made } : {}),
      });
    }
    const $metadata = { requestId, httpStatusCode: 200 };
    if (refusal !== undefined) {
      const { code, status, message } = refusal as { code: string; status: number; message: string };
      throw Object.assign(new Error(message), {
        name: json ? engine.jsonCode(code) : code,
        $metadata: { requestId, httpStatusCode: status },
      });
    }
    return { ...(plainDates(json ? { ...(answer as object) } : answer) as object), $metadata };
  }

  #effect(effect: Effect) {
    this.effects.push(effect);
    if (effect.provider !== 'outside' || effect.action === 'CreateAccessKey')
      this.sim.tell(
        `${effect.provider} ${effect.action} ${JSON.stringify(effect.input).slice(0, 160)}${effect.made ? ` made ${effect.made}` : ''}${effect.attempt ? ` by ${effect.attempt.activity.type} ${(effect.attempt.activity.input as { warrant?: { step?: string } }).warrant?.step ?? ''} attempt ${effect.attempt.number}` : ''}${effect.changed ? '' : ' (nothing changed)'}`,
      );
    this.onEffect(effect);
  }

  #caller(pair: Pair, agent: string): unknown {
    const { engine } = this.realm;
    const { state, clock } = this.aws;
    const common = { accessKeyId: pair.accessKeyId, sourceIp: '192.0.2.1', origin: { ip: '192.0.2.1' }, userAgent: agent };
    const refuse = (code: string) => new engine.Refusal(code, 403, 'The security token included in the request is invalid.');
    const key = state.tables.keys.get(pair.accessKeyId);
    if (key !== undefined) {
      const owner = state.tables.users.get(key.userId);
      if (engine.asOf(key.status, engine.authenticationTime(this.aws)) !== 'Active') throw refuse('InvalidClientTokenId');
      if (key.secret !== pair.secretAccessKey) throw refuse('SignatureDoesNotMatch');
      const name = engine.userArn(account, owner);
      return { ...common, arn: name, principalArn: name, userId: owner.id, key, user: owner };
    }
    const session = state.tables.sessions.get(pair.accessKeyId);
    if (session === undefined || session.token !== pair.sessionToken) throw refuse('InvalidClientTokenId');
    if (session.expiresAt <= clock.now()) throw refuse('ExpiredToken');
    const owner = state.tables.users.get(session.principalId);
    const name = engine.userArn(account, owner);
    return { ...common, arn: name, principalArn: name, userId: owner.id, session, user: owner };
  }

  /** Whether a session of the user could do anything now. */
  sessionWorks(session: { id: string; token: string; secret: string }): boolean {
    const { engine } = this.realm;
    try {
      const caller = this.#caller(
        { accessKeyId: session.id, secretAccessKey: session.secret, sessionToken: session.token },
        'thief',
      ) as never;
      const context = engine.contextOf(this.aws, caller, 'us-east-1', {});
      engine.authorize(this.aws, caller, { action: 'iam:ListUsers', resource: '*', context });
      return true;
    } catch {
      return false;
    }
  }

  async send(
    service: string,
    config: ClientConfig,
    action: string,
    input: Record<string, unknown>,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const { sim } = this;
    const store = sim.als.getStore();
    const process = store?.process;
    const held = sim.boundary(process);
    if (held) await held;
    const agent = `aws-sdk-js/3 ${config.customUserAgent?.[0]?.[0] ?? ''}`.trim();
    return await this.#travel(
      'aws',
      () => this.call(config.credentials, agent, service, action, input, config.region, store?.attempt as Attempt | undefined),
      process,
      signal,
      () => {
        for (const watch of config.watchers) watch(new Date(sim.now).toUTCString());
      },
    );
  }

  /** A request on its way: it arrives, is answered, and the answer comes back; each of these may fail to happen. */
  #travel(
    service: string,
    arrive: () => unknown,
    process: Process | undefined,
    signal: AbortSignal | undefined,
    heard: () => void,
  ): Promise<unknown> {
    const { sim } = this;
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (): void => {
        if (over) return;
        over = true;
        reject(Object.assign(new Error('Request aborted'), { name: 'AbortError' }));
      };
      if (signal?.aborted) return end();
      signal?.addEventListener('abort', end, { once: true });
      const answer = (settle: () => void): void => {
        sim.after(
          sim.takes(25, 900),
          () => {
            if (over) return;
            over = true;
            signal?.removeEventListener('abort', end);
            const held = sim.boundary(process);
            if (held) void held.then(settle);
            else settle();
          },
          process,
        );
      };
      sim.after(sim.takes(25, 900), () => {
        const cut = sim.strike(FaultKind.UNREACHABLE, service);
        if (cut) this.#down.set(service, sim.now + cut.ms);
        if ((this.#down.get(service) ?? 0) > sim.now) {
          answer(() => reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })));
          return;
        }
        let outcome: { readonly value: unknown } | { readonly error: unknown };
        try {
          outcome = { value: arrive() };
        } catch (error) {
          outcome = { error };
        }
        if (sim.strike(FaultKind.LOSE_REPLY, service)) {
          answer(() => reject(Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })));
          return;
        }
        answer(() => {
          heard();
          if ('error' in outcome) reject(outcome.error as Error);
          else resolve(outcome.value);
        });
      });
    });
  }

  // ---- Vault ----

  vault(_options: { endpoint: string }): unknown {
    const ask = (work: (attempt: Attempt | undefined) => unknown) => async (): Promise<unknown> => {
      const store = this.sim.als.getStore();
      const held = this.sim.boundary(store?.process);
      if (held) await held;
      return await this.#travel(
        'vault',
        () => work(store?.attempt as Attempt | undefined),
        store?.process,
        undefined,
        () => undefined,
      );
    };
    return {
      read: (path: string) => ask(() => this.kvRead(path, 'tourniquet'))(),
      write: (path: string, body: Record<string, unknown>) => ask((attempt) => this.#kvWrite(path, body, attempt))(),
      delete: (path: string) =>
        ask((attempt) => {
          const key = path.replace(/^kv\/metadata\//, '');
          const changed = this.kv.delete(key);
          this.#effect({ at: this.sim.now, provider: 'vault', action: 'delete', input: { path: key }, attempt, changed });
          return '';
        })(),
    };
  }

  #time(): string {
    // Vault writes nanoseconds, and no two of its versions or requests have the same.
    this.#nanos = (this.#nanos + 1) % 1_000_000;
    return `${new Date(this.sim.now).toISOString().slice(0, -1)}${String(this.#nanos).padStart(6, '0')}Z`;
  }

  #refuse(status: number, errors: readonly string[], more: object = {}): Error {
    return Object.assign(new Error(`Status ${status}`), { response: { statusCode: status, body: { errors, ...more } } });
  }

  kvRead(path: string, by: string): unknown {
    const request_id = `vault-${++this.#requests}`;
    if (path === 'sys/health') {
      return { initialized: true, sealed: false, standby: false, version: '2.1.0', server_time_utc: Math.floor(this.sim.now / 1000) };
    }
    if (path.startsWith('sys/internal/ui/mounts/')) return { request_id, data: { path: 'kv/', type: 'kv', options: { version: '2' } } };
    const [, kind, key = '', , version] = /^kv\/(data|metadata)\/([^?]+)(\?version=(\d+))?$/.exec(path) ?? [];
    const found = this.kv.get(key);
    if (kind === 'metadata') {
      if (!found) throw this.#refuse(404, []);
      const versions = Object.fromEntries(
        found.versions.map((each, i) => [String(i + 1), { created_time: each.createdAt, destroyed: each.destroyed }]),
      );
      return { request_id, data: { current_version: found.versions.length, max_versions: 0, custom_metadata: found.custom, versions } };
    }
    if (kind !== 'data') throw this.#refuse(404, ['unsupported path']);
    const number = version === undefined ? (found?.versions.length ?? 0) : Number(version);
    const one = found?.versions[number - 1];
    this.#log(path.replace(/\?.*$/, ''), by, one !== undefined && !one.deleted && !one.destroyed, version);
    if (!one) throw this.#refuse(404, []);
    const metadata = { created_time: one.createdAt, destroyed: one.destroyed, version: number };
    const gone = one.deleted || one.destroyed;
    if (gone)
      throw Object.assign(new Error('Status 404'), { response: { statusCode: 404, body: { request_id, data: { data: null, metadata } } } });
    return { request_id, data: { data: one.data, metadata } };
  }

  #kvWrite(path: string, body: Record<string, unknown>, attempt: Attempt | undefined): unknown {
    const request_id = `vault-${++this.#requests}`;
    const [, kind, key = ''] = /^kv\/(data|metadata|delete)\/(.+)$/.exec(path) ?? [];
    const found = this.kv.get(key) ?? { versions: [], custom: {} };
    const done = (action: string, changed = true): void =>
      this.#effect({ at: this.sim.now, provider: attempt ? 'vault' : 'outside', action, input: { path: key }, attempt, changed });
    if (kind === 'metadata') {
      found.custom = { ...(body.custom_metadata as Record<string, string>) };
      this.kv.set(key, found);
      done('annotate');
      return { request_id };
    }
    if (kind === 'delete') {
      for (const number of body.versions as number[]) {
        const one = found.versions[number - 1];
        if (one) one.deleted = true;
      }
      done('delete-version');
      return { request_id };
    }
    if (kind !== 'data') throw this.#refuse(404, ['unsupported path']);
    const { cas } = (body.options ?? {}) as { cas?: number };
    if (cas !== undefined && cas !== found.versions.length)
      throw this.#refuse(400, ['check-and-set parameter did not match the current version']);
    const createdAt = this.#time();
    found.versions.push({ data: body.data as Record<string, unknown>, createdAt, deleted: false, destroyed: false });
    this.kv.set(key, found);
    done('write');
    return { request_id, data: { version: found.versions.length, created_time: createdAt } };
  }

  /** Puts a secret in the store, as somebody who is not the engine. */
  kvPut(key: string, data: Record<string, unknown>) {
    this.#kvWrite(`kv/data/${key}`, { data }, undefined);
  }

  #log(path: string, by: string, found: boolean, version: string | undefined) {
    const request = {
      id: randomId(++this.#requests),
      operation: 'read',
      path,
      namespace: {},
      ...(version === undefined ? {} : { data: { version: [version] } }),
    };
    const line = (type: string, more: object): string =>
      `${JSON.stringify({ time: this.#time(), type, auth: { display_name: by }, request, ...more })}\n`;
    const text = line('request', {}) + line('response', found ? { response: { data: { data: {} } } } : {});
    const bytes = Buffer.from(text);
    if (this.#auditSize + bytes.length > this.#audit.length) {
      const larger = Buffer.alloc(2 * this.#audit.length + bytes.length);
      this.#audit.copy(larger);
      this.#audit = larger;
    }
    this.#auditSize += bytes.copy(this.#audit, this.#auditSize);
  }

  readonly files = {
    stat: async (_path: string) => ({ isFile: () => true, dev: 1, ino: 1, size: this.#auditSize }),
    open: async (_path: string) => ({
      stat: async () => ({ dev: 1, ino: 1, size: this.#auditSize }),
      read: async (buffer: Buffer, offset: number, length: number, position: number) => ({
        bytesRead: this.#audit.copy(buffer, offset, position, Math.min(this.#auditSize, position + length)),
      }),
      close: async () => undefined,
    }),
  };
}

const randomId = (n: number): string => `audit-${n}`;
