import type { Action } from '../../providers/contract.ts';
import { manifest } from '../../providers/vault/manifest.ts';
import type { SuiteOptions, World, WorldCall } from '../conformance/index.ts';
import { account, connectAs, type Lab, type Login, openLab, startProxy, timing, tokenUnder } from './practice.ts';
import type { FaultProxy } from './server.ts';

/** What differs from action to action. `things`: what the snapshot shows, by name; neighbours are among them. */
interface Case {
  readonly options?: SuiteOptions;
  prepare(lab: Lab): Promise<
    Omit<Partial<World>, 'action' | 'snapshot'> & {
      readonly target: World['target'];
      readonly secrets: readonly string[];
      snapshot(): Promise<unknown>;
    }
  >;
}

/** A token as it stands, without what moves by itself. */
async function tokenState(lab: Lab, accessor: string): Promise<unknown> {
  const { status, body } = await lab.server.call('POST', 'auth/token/lookup-accessor', { accessor });
  if (status !== 200) return { gone: true };
  const { display_name, policies, entity_id, orphan, path, type, num_uses, period } = body.data;
  return { display_name, policies, entity_id, orphan, path, type, num_uses, period };
}

async function entityState(lab: Lab, id: string): Promise<unknown> {
  const { status, body } = await lab.server.call('GET', `identity/entity/id/${id}`);
  if (status !== 200) return { gone: true };
  const { disabled, name, policies, metadata, aliases } = body.data;
  return { disabled, name, policies, metadata, aliases: (aliases as { name: string }[]).map((alias) => alias.name) };
}

const leaseState = async (lab: Lab, lease: string) => ({
  status: (await lab.server.call('POST', 'sys/leases/lookup', { lease_id: lease })).status,
});

/** Somebody who logs in by an AppRole, with a child, an orphan and a batch token of theirs. */
async function person(lab: Lab) {
  const role = await lab.role();
  const { secretId, accessor: secretIdAccessor } = await role.secretId();
  const own = await role.login(secretId);
  const child = await lab.token({ policies: ['user'] }, own.token);
  const orphan = await lab.token({ policies: ['user'] }, own.token, 'auth/token/create-orphan');
  return {
    role,
    secretId,
    secretIdAccessor,
    own,
    child,
    orphan,
    secrets: [secretId, own.token, child.token, orphan.token],
    async state() {
      const listed = await lab.server.call('LIST', `auth/approle/role/${role.name}/secret-id`);
      return {
        entity: await entityState(lab, own.entity),
        tokens: await Promise.all([own, child, orphan].map((each: Login) => tokenState(lab, each.accessor))),
        secretIds: listed.body?.data?.keys ?? [],
      };
    },
  };
}

async function two(lab: Lab) {
  const [leaked, neighbour] = [await person(lab), await person(lab)];
  return {
    leaked,
    neighbour,
    secrets: [...leaked.secrets, ...neighbour.secrets],
    snapshot: async () => ({ leaked: await leaked.state(), neighbour: await neighbour.state() }),
  };
}

const cases: Readonly<Record<string, Case>> = {
  'disable-entity': {
    async prepare(lab) {
      const { leaked, secrets, snapshot } = await two(lab);
      await lab.must('POST', `identity/entity/id/${leaked.own.entity}`, { metadata: { team: 'ci' }, policies: ['user'] });
      return {
        target: { account, entity: leaked.own.entity },
        secrets,
        snapshot,
        remove: async () => void (await lab.must('DELETE', `identity/entity/id/${leaked.own.entity}`)),
      };
    },
  },
  'enable-entity': {
    async prepare(lab) {
      const { leaked, secrets, snapshot } = await two(lab);
      await lab.must('POST', `identity/entity/id/${leaked.own.entity}`, { disabled: true });
      await lab.must('POST', 'auth/token/revoke-accessor', { accessor: leaked.child.accessor });
      return {
        target: { account, entity: leaked.own.entity },
        params: { accessors: [leaked.child.accessor] },
        secrets,
        snapshot,
        remove: async () => void (await lab.must('DELETE', `identity/entity/id/${leaked.own.entity}`)),
      };
    },
  },
  'revoke-token': {
    async prepare(lab) {
      const { leaked, secrets, snapshot } = await two(lab);
      return {
        target: { account, accessor: leaked.own.accessor },
        secrets,
        snapshot,
        remove: async () => void (await lab.must('POST', 'auth/token/revoke-accessor', { accessor: leaked.own.accessor })),
      };
    },
  },
  'destroy-secret-id': {
    async prepare(lab) {
      const { leaked, secrets, snapshot } = await two(lab);
      // A second one of the same role, which has to stay.
      const other = await leaked.role.secretId();
      const place = `auth/approle/role/${leaked.role.name}/secret-id-accessor/destroy`;
      return {
        target: { account, mount: 'approle', role: leaked.role.name, accessor: leaked.secretIdAccessor },
        secrets: [...secrets, other.secretId],
        snapshot,
        remove: async () => void (await lab.must('POST', place, { secret_id_accessor: leaked.secretIdAccessor })),
      };
    },
  },
  'revoke-lease': {
    async prepare(lab) {
      const leases = [await lab.lease(), await lab.lease()];
      const lease = leases[0] ?? '';
      return {
        target: { account, lease },
        secrets: [],
        snapshot: async () => await Promise.all(leases.map((each) => leaseState(lab, each))),
        remove: async () => void (await lab.must('POST', 'sys/leases/revoke', { lease_id: lease, sync: true })),
      };
    },
  },
};

/** Calls that change something where they succeed. */
const changing = /\/v1\/(auth\/token\/revoke-accessor|identity\/entity\/id\/|auth\/[^?]*\/secret-id-accessor\/destroy|sys\/leases\/revoke)/;

/** The permission that a request exercises, in the manifest's words. */
export function permissionOf(method: string, url: string): string | undefined {
  const [path = '', query = ''] = url.replace(/^\/v1\//, '').split('?');
  // Nobody needs one for it.
  if (path === 'sys/health') return undefined;
  const capability =
    method === 'LIST' || query.includes('list=') ? 'list' : method === 'GET' ? 'read' : method === 'DELETE' ? 'delete' : 'update';
  const place = path
    .replace(/\/$/, '')
    .replace(/^identity\/entity\/id\/.+$/, 'identity/entity/id/+')
    .replace(/^auth\/[^/]+\/role\/[^/]+\//, 'auth/+/role/+/');
  return `${capability} ${place}`;
}

/** One action's own permissions as a policy, and no other's. */
export function policyOf(action: string): string {
  const byPath = new Map<string, string[]>();
  for (const permission of manifest.actions.find((each) => each.name === action)?.permissions ?? []) {
    const [capability = '', place = ''] = permission.split(' ');
    byPath.set(place, [...(byPath.get(place) ?? []), capability]);
  }
  return [...byPath]
    .map(([place, capabilities]) => {
      const only = place === 'identity/entity/id/+' ? '\n  allowed_parameters = { "disabled" = [] }' : '';
      return `path "${place}" {\n  capabilities = ${JSON.stringify(capabilities)}${only}\n}`;
    })
    .join('\n');
}

async function open(name: string, each: Case): Promise<World> {
  const { lab, release } = await openLab();
  const proxies: FaultProxy[] = [];
  const close = async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await release();
  };
  try {
    const actionUnder = async (policy: string): Promise<{ action: Action; proxy: FaultProxy; token: string }> => {
      const { token } = await tokenUnder(lab, policy);
      const proxy = await startProxy(lab.server.address);
      proxies.push(proxy);
      return { action: (await connectAs(token, proxy)).actions[name] as Action, proxy, token };
    };
    const prepared = await each.prepare(lab);
    const { action, proxy, token } = await actionUnder(policyOf(name));
    return {
      timing,
      ...prepared,
      action,
      secrets: [lab.server.rootToken, token, ...prepared.secrets],
      async calls() {
        return proxy.seen.flatMap(({ method, path, status }): WorldCall[] => {
          const permission = permissionOf(method, path);
          if (permission === undefined) return [];
          return [{ permission, changed: method !== 'GET' && changing.test(path) && typeof status === 'number' && status < 300 }];
        });
      },
      async trouble({ kind, count }) {
        let left = count ?? Number.POSITIVE_INFINITY;
        proxy.fate = (_number, { method, path }) => {
          if (left <= 0 || (kind === 'lost-reply' && (method === 'GET' || !changing.test(path)))) return 'pass';
          left -= 1;
          if (kind === 'lost-reply') return 'lose-reply';
          if (kind === 'down') return 'lose-request';
          return kind === 'throttled'
            ? { status: 429, body: { errors: ['request path "sys/": rate limit quota exceeded'] } }
            : { status: 500, body: { errors: ['internal error'] } };
        };
      },
      async calm() {
        proxy.fate = () => 'pass';
      },
      powerless: async () => (await actionUnder('path "kv/none" { capabilities = ["deny"] }')).action,
      under: async (policy) => (await actionUnder(policy)).action,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Actions that have a conformance run, and how to make a world for each. */
export const harnesses: readonly { readonly name: string; readonly options: SuiteOptions; readonly open: () => Promise<World> }[] =
  Object.entries(cases).map(([name, each]) => ({
    name: `vault/${name}`,
    options: { timeout: 60_000, concurrent: true, ...each.options },
    open: () => open(name, each),
  }));
