import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type FaultOrder, faultKinds } from '../aws/faults.ts';
import { iso, type JournalEntry, latest, type Settings, type World } from './state.ts';

class Unusable extends Error {}

/** The whole of it as JSON, without a secret: what two runs are compared by. */
export function worldOf(world: World): GcpWorld {
  return {
    now: iso(world.clock.now()),
    accounts: [...world.accounts.values()]
      .filter((each) => each.deletedAt === undefined)
      .map((each) => ({
        email: each.email,
        disabled: latest(each.disabled),
        bindings: latest(each.policy).bindings,
        keys: [...each.keys.values()]
          .filter((key) => key.deletedAt === undefined && key.type === 'USER_MANAGED')
          .map((key) => ({ id: key.id, origin: key.origin, disabled: latest(key.disabled), createdAt: iso(key.createdAt) })),
      })),
    projects: [...world.projects.values()].map((each) => ({
      id: each.id,
      bindings: latest(each.policy).bindings,
      auditConfigs: latest(each.policy).auditConfigs ?? [],
      buckets: each.buckets,
    })),
    hmacKeys: [...world.hmacKeys.values()]
      .filter((each) => latest(each.state) !== 'DELETED')
      .map((each) => ({ accessId: each.accessId, email: each.email, state: latest(each.state) })),
    apiKeys: [...world.apiKeys.values()].map((each) => ({
      uid: each.uid,
      boundTo: each.boundTo ?? null,
      deleted: latest(each.deleted),
      restrictions: latest(each.restrictions) ?? null,
    })),
    tokens: [...world.tokens.values()].map((each) => ({
      email: each.email,
      keyId: each.keyId ?? null,
      delegation: each.delegation,
      expiresAt: iso(each.expiresAt),
    })),
  };
}

export interface GcpWorld {
  readonly now: string;
  readonly accounts: readonly {
    readonly email: string;
    readonly disabled: boolean;
    readonly bindings: readonly { readonly role: string; readonly members: readonly string[] }[];
    readonly keys: readonly { readonly id: string; readonly origin: string; readonly disabled: boolean; readonly createdAt: string }[];
  }[];
  readonly projects: readonly {
    readonly id: string;
    readonly bindings: readonly unknown[];
    readonly auditConfigs: readonly unknown[];
    readonly buckets: readonly string[];
  }[];
  readonly hmacKeys: readonly { readonly accessId: string; readonly email: string; readonly state: string }[];
  readonly apiKeys: readonly {
    readonly uid: string;
    readonly boundTo: string | null;
    readonly deleted: boolean;
    readonly restrictions: unknown;
  }[];
  readonly tokens: readonly {
    readonly email: string;
    readonly keyId: string | null;
    readonly delegation: readonly string[];
    readonly expiresAt: string;
  }[];
}

type Order = (world: World, body: Readonly<Record<string, unknown>>) => unknown;

function accountOf(world: World, body: Readonly<Record<string, unknown>>) {
  const account = world.accounts.get(String(body.email));
  if (account === undefined) throw new Unusable('there is no such account');
  return account;
}

/** What only whoever runs the simulator may do: move its clock, order faults, look at everything, and act as Google itself. */
const orders: Readonly<Record<string, Order>> = {
  world: (world) => worldOf(world),
  journal: (world, { since = 0 }) => world.journal.filter((each) => each.seq > Number(since)),
  advance(world, { ms }) {
    if (typeof ms !== 'number' || !(ms >= 0)) throw new Unusable('ms must be milliseconds');
    world.clock.moveTo(world.clock.offsetMs + ms);
    return { now: iso(world.clock.now()) };
  },
  settings(world, body) {
    for (const [name, value] of Object.entries(body)) {
      if (!Object.hasOwn(world.settings, name) || typeof value !== 'number' || !(value >= 0))
        throw new Unusable(`${name} is no setting, or its value no number`);
      world.settings[name as keyof Settings] = value;
    }
    return world.settings;
  },
  'inject-fault'(world, body) {
    if (!faultKinds.some((kind) => kind === body.kind)) throw new Unusable(`kind must be one of ${faultKinds.join(', ')}`);
    return world.faults.add(body as unknown as FaultOrder);
  },
  faults: (world) => world.faults.list,
  'release-fault': (world, { id }) => ({ released: world.faults.release(String(id)) }),
  'clear-faults'(world) {
    world.faults.clear();
    return {};
  },
  /** A role of the project's own, with exactly these permissions. */
  'define-role'(world, { role, permissions }) {
    if (typeof role !== 'string' || !Array.isArray(permissions)) throw new Unusable('role and permissions are wanted');
    world.roles.set(role, permissions.map(String));
    return {};
  },
  /** Google turns an account off for abuse; nobody else can turn it on again. */
  'google-disables-account'(world, body) {
    const account = accountOf(world, body);
    account.byGoogle = true;
    account.disabled.push({ at: world.clock.now(), value: true });
    return {};
  },
  /** Google has found a key in public and turns it off; the mark stays on the key for its life. */
  'google-disables-key'(world, body) {
    const key = accountOf(world, body).keys.get(String(body.key));
    if (key === undefined) throw new Unusable('there is no such key');
    key.disabled.push({ at: world.clock.now(), value: true });
    key.disableReason = 'SERVICE_ACCOUNT_KEY_DISABLE_REASON_EXPOSED';
    key.extendedStatus = [{ key: 'SERVICE_ACCOUNT_KEY_EXTENDED_STATUS_KEY_EXPOSED', value: 'https://github.com/example/leaky' }];
    return {};
  },
  /** Lets an account's tokens live for twelve hours. */
  'allow-long-life'(world, body) {
    const account = accountOf(world, body);
    world.projects.get(account.project)?.longLived.add(account.email);
    return {};
  },
};

async function readJson(message: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

/** `POST /<order>` with a bearer token and a JSON body; the answer is JSON. */
export function controlServer(world: World, token: string, onFault: (error: unknown) => void): Server {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const right = digest(`Bearer ${token}`);
  return createServer((message, response) => {
    const send = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    void (async () => {
      try {
        if (!timingSafeEqual(digest(message.headers.authorization ?? ''), right)) return send(401, { error: 'the token is wrong' });
        const name = (message.url ?? '/').slice(1);
        const order = Object.hasOwn(orders, name) ? orders[name] : undefined;
        if (order === undefined || message.method !== 'POST') return send(404, { error: 'there is no such order' });
        return send(200, order(world, await readJson(message)));
      } catch (error) {
        if (!(error instanceof Unusable || error instanceof SyntaxError || error instanceof RangeError)) onFault(error);
        return send(400, { error: error instanceof Error ? error.message : 'it failed' });
      }
    })();
  });
}

export interface ControlAddress {
  readonly url: string;
  readonly token: string;
}

/** The control port of a simulator that runs in this process or another. */
export class GcpControl {
  readonly #at: ControlAddress;
  constructor(at: ControlAddress) {
    this.#at = at;
  }
  async order<T>(name: string, body: Readonly<Record<string, unknown>> = {}): Promise<T> {
    const answer = await fetch(`${this.#at.url}/${name}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#at.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const value = (await answer.json()) as T & { error?: string };
    if (!answer.ok) throw new Error(`the simulator's control refused ${name}: ${value.error ?? answer.status}`);
    return value;
  }
  world(): Promise<GcpWorld> {
    return this.order('world');
  }
  journal(since = 0): Promise<readonly JournalEntry[]> {
    return this.order('journal', { since });
  }
  async advance(ms: number): Promise<void> {
    await this.order('advance', { ms });
  }
  async settings(settings: Partial<Settings>): Promise<void> {
    await this.order('settings', settings);
  }
  async inject(order: FaultOrder): Promise<string> {
    return (await this.order<{ id: string }>('inject-fault', { ...order })).id;
  }
  async clearFaults(): Promise<void> {
    await this.order('clear-faults');
  }
  async defineRole(role: string, permissions: readonly string[]): Promise<void> {
    await this.order('define-role', { role, permissions });
  }
}
