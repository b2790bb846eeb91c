import type { Action } from '../../providers/contract.ts';
import { manifest } from '../../providers/vault/manifest.ts';
import type { SuiteOptions, Trouble, World, WorldCall } from '../conformance/index.ts';
import { consumer, makePlace, type Place } from './bench.ts';
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
  // One that a look-up by itself would be seen on.
  const child = await lab.token({ policies: ['user'], num_uses: 5 }, own.token);
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
        secretIds: [...((listed.body?.data?.keys ?? []) as string[])].sort(),
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
  'mint-secret-id': {
    options: { unsupported: { 'gone is a success': 'nothing is made for a role that is gone: it is `provider.gone`' } },
    async prepare(lab) {
      const { leaked, secrets, snapshot } = await two(lab);
      return {
        target: { account, mount: 'approle', appRole: leaked.role.name },
        params: { sealTo: { provider: 'vault', account } },
        secrets,
        snapshot,
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
        target: { account, mount: 'approle', appRole: leaked.role.name, accessor: leaked.secretIdAccessor },
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

/** The server behind a world, for a planted defect that goes its own way to it. */
export const labOf = new WeakMap<World, Lab>();

/** Calls that change something where they succeed. */
const changing =
  /\/v1\/(kv\/|auth\/token\/revoke-accessor|identity\/entity\/id\/|auth\/[^?]*\/(?:secret-id-accessor\/destroy|custom-secret-id)|sys\/leases\/revoke)/;

/** The permission that a request exercises, in the manifest's words. */
export function permissionOf(method: string, url: string): string | undefined {
  const [path = '', query = ''] = url.replace(/^\/v1\//, '').split('?');
  // Nobody needs one for it, and the server tells whoever has a right below a mount which mount it is.
  if (path === 'sys/health' || path.startsWith('sys/internal/ui/mounts/')) return undefined;
  const capability =
    method === 'LIST' || query.includes('list=') ? 'list' : method === 'GET' ? 'read' : method === 'DELETE' ? 'delete' : 'update';
  const place = path
    .replace(/\/$/, '')
    .replace(
      /^kv\/(data|metadata|delete)\/ci\/app\d+(--staged\/.+)?$/,
      (_, kind: string, staged?: string) => `{mount}/${kind}/{path}${staged ? '--staged/*' : ''}`,
    )
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
    const world: World = {
      timing,
      ...prepared,
      action,
      secrets: [lab.server.rootToken, token, ...prepared.secrets],
      calls: async () => callsOf(proxy),
      trouble: async (trouble) => give(proxy, trouble),
      async calm() {
        proxy.fate = () => 'pass';
      },
      powerless: async () => (await actionUnder('path "kv/none" { capabilities = ["deny"] }')).action,
      under: async (policy) => (await actionUnder(policy.replaceAll('{mount}', 'kv').replaceAll('{path}', 'ci/app'))).action,
      close,
    };
    labOf.set(world, lab);
    return world;
  } catch (error) {
    await close();
    throw error;
  }
}

/** What differs between the actions on a store. */
interface StoreCase {
  readonly options: SuiteOptions;
  prepare(lab: Lab, place: Place): Promise<Pick<World, 'params' | 'made'> & Partial<Pick<World, 'happen' | 'meddle' | 'inventory'>>>;
}

const oldSecret = { access_key: 'AKIAOLD', secret_key: 'what it was', note: 'kept by hand' };
const below = (place: Place) => place.store.path.slice('kv/'.length);

/** A store that holds an old credential, of which there have been two versions. */
async function stocked(lab: Lab, place: Place): Promise<void> {
  await lab.must('POST', `kv/data/${below(place)}`, { data: { ...oldSecret, secret_key: 'older still' } });
  await lab.must('POST', `kv/data/${below(place)}`, { data: oldSecret });
}

/** A credential that was minted, staged, and where it is wanted distributed, by the actions themselves. */
async function delivered(place: Place, upTo: 'mint' | 'stage' | 'distribute') {
  const minted = await place.mint();
  const made: Record<string, Record<string, string>> = { mint: minted.made };
  const play = async (name: string, as: string, params: Record<string, unknown>) => {
    const action = place.connection.actions[name] as Action;
    const context = place.context(params, made, { step: as });
    const { made: more } = await action.apply(place.target, await action.capture(place.target, context), context);
    made[as] = { ...more };
  };
  if (upTo !== 'mint') await play('stage-secret', 'stage', { mint: 'mint' });
  if (upTo === 'distribute') await play('distribute-secret', 'distribute', { stage: 'stage', mint: 'mint' });
  return { made, secret: minted.secret };
}

const absentIsWritten = { 'gone is a success': 'an absent path is simply written: there is nothing that could be gone' } as const;

const stores: Readonly<Record<string, StoreCase>> = {
  'stage-secret': {
    options: { unsupported: absentIsWritten },
    async prepare(lab, place) {
      await stocked(lab, place);
      const { made } = await delivered(place, 'mint');
      return {
        params: { mint: 'mint' },
        made,
        async meddle() {
          const [staged] = (await lab.must('LIST', `kv/metadata/${below(place)}--staged`)).data.keys as string[];
          await lab.must('POST', `kv/data/${below(place)}--staged/${staged}`, { data: { theirs: 'x' } });
        },
      };
    },
  },
  'distribute-secret': {
    options: { unsupported: absentIsWritten },
    async prepare(lab, place) {
      await stocked(lab, place);
      const { made } = await delivered(place, 'stage');
      return {
        params: { stage: 'stage', mint: 'mint' },
        made,
        meddle: async () => void (await lab.must('POST', `kv/data/${below(place)}`, { data: { theirs: 'x' } })),
      };
    },
  },
  'watch-readers': {
    options: {
      unsupported: {
        'trouble has a name': 'its capture reads the audit log’s file and asks nobody, so that no trouble of the server’s reaches it',
        'only what is declared': 'it needs no permission: what it calls is open to every token',
      },
    },
    async prepare(lab, place) {
      await stocked(lab, place);
      const { made } = await delivered(place, 'distribute');
      const reader = await lab.token({ policies: ['root'], display_name: 'job' });
      return {
        params: { distribute: 'distribute' },
        made,
        inventory: { stores: [place.store], consumers: [consumer(place.store, 'job')] },
        happen: async () => void (await lab.must('GET', `kv/data/${below(place)}`, undefined, reader.token)),
      };
    },
  },
};

async function openStore(name: string, each: StoreCase): Promise<World> {
  const { lab, release } = await openLab();
  const proxy = await startProxy(lab.server.address);
  const close = async () => {
    await proxy.stop();
    await release();
  };
  try {
    const place = await makePlace(lab.server, proxy, { auditLog: lab.server.auditLog });
    const prepared = await each.prepare(lab, place);
    // What was minted lies sealed in the place, and not with whoever tries the action.
    const lent = (action: Action): Action => ({
      ...action,
      apply: (target, before, context) => action.apply(target, before, { ...context, sealing: place.sealing }),
    });
    const right = place.connection.actions[name] as Action;
    const secrets = [...place.sealing.blobs.values()].flatMap(({ text }) => Object.values(JSON.parse(text) as Record<string, string>));
    proxy.reset();
    return {
      timing,
      target: place.target,
      inventory: { stores: [place.store], consumers: [] },
      ...prepared,
      action: lent(right),
      secrets: [lab.server.rootToken, place.token, ...secrets.filter((text) => text.startsWith('canary')), oldSecret.secret_key],
      async snapshot() {
        const all = Object.entries(await place.world()).filter(
          ([path]) => path === below(place) || path.startsWith(`${below(place)}--staged/`),
        );
        // A copy that was staged is used up by its delivery, and an undo of that does not stage it again.
        return Object.fromEntries(all.filter(([path]) => name === 'stage-secret' || path === below(place)));
      },
      calls: async () => callsOf(proxy),
      trouble: async (trouble) => give(proxy, trouble),
      calm: async () => {
        proxy.fate = () => 'pass';
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What went through, by the permission that it exercised. */
const callsOf = (proxy: FaultProxy): readonly WorldCall[] =>
  proxy.seen.flatMap(({ method, path, status }): WorldCall[] => {
    const permission = permissionOf(method, path);
    if (permission === undefined) return [];
    return [{ permission, changed: method !== 'GET' && changing.test(path) && typeof status === 'number' && status < 300 }];
  });

function give(proxy: FaultProxy, { kind, count }: Trouble): void {
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
}

/** Actions that have a conformance run, and how to make a world for each. */
export const harnesses: readonly { readonly name: string; readonly options: SuiteOptions; readonly open: () => Promise<World> }[] = [
  ...Object.entries(cases).map(([name, each]) => ({
    name: `vault/${name}`,
    options: { timeout: 60_000, concurrent: true, ...each.options },
    open: () => open(name, each),
  })),
  ...Object.entries(stores).map(([name, each]) => ({
    name: `vault/${name}`,
    options: { timeout: 60_000, concurrent: true, ...each.options },
    open: () => openStore(name, each),
  })),
];
