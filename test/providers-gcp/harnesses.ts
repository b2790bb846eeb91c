import type { KeyFile } from '../../lab/gcp/index.ts';
import type { Action } from '../../providers/contract.ts';
import type { SuiteOptions } from '../conformance/suite.ts';
import type { World, WorldCall } from '../conformance/world.ts';
import { type Practice, practice, timing } from './practice.ts';

interface House {
  readonly world: Practice;
  readonly email: string;
  readonly leaked: KeyFile;
}

/** What differs from action to action; the rest of the world is the same for all. */
interface Case {
  readonly options?: SuiteOptions;
  prepare(house: House): Promise<Omit<Partial<World>, 'action'> & { readonly target: World['target'] }>;
}

const hours = 3_600_000;
const keyPath = (world: Practice, email: string, id: string) => `${world.account(email)}/keys/${id}`;
const apiKeyPath = (world: Practice, uid: string) => `/v2/projects/${world.project}/locations/global/keys/${uid}`;
const hmacPath = (world: Practice, id: string) => `/storage/v1/projects/${world.project}/hmacKeys/${id}`;

const restrictions = {
  apiTargets: [{ service: 'generativelanguage.googleapis.com' }],
  browserKeyRestrictions: { allowedReferrers: ['example.org'] },
};

const cases: Readonly<Record<string, Case>> = {
  'disable-key': {
    async prepare({ world, email, leaked }) {
      const keyId = leaked.private_key_id ?? '';
      const remove = async () => {
        await world.admin('DELETE', keyPath(world, email, keyId));
      };
      return {
        target: { account: world.project, serviceAccount: email, keyId },
        remove,
        // Google finds it in public, and marks it.
        meddle: () => world.control.order('google-disables-key', { email, key: keyId }),
      };
    },
  },
  'delete-key': {
    async prepare({ world, email, leaked }) {
      const keyId = leaked.private_key_id ?? '';
      await world.admin('POST', `${keyPath(world, email, keyId)}:disable`, {});
      return {
        target: { account: world.project, serviceAccount: email, keyId },
        remove: async () => {
          await world.admin('DELETE', keyPath(world, email, keyId));
        },
      };
    },
  },
  'disable-service-account': {
    async prepare({ world, email }) {
      return {
        target: { account: world.project, serviceAccount: email },
        params: { maxLifeSeconds: 3_600 },
        remove: async () => {
          await world.admin('DELETE', world.account(email));
        },
        meddle: () => world.control.order('google-disables-account', { email }),
        ripen: () => world.control.advance(2 * hours),
      };
    },
  },
  'enable-service-account': {
    async prepare({ world, email, leaked }) {
      const keyId = leaked.private_key_id ?? '';
      await world.admin('POST', `${keyPath(world, email, keyId)}:disable`, {});
      await world.admin('POST', `${world.account(email)}:disable`, {});
      await world.control.advance(13 * hours);
      return {
        target: { account: world.project, serviceAccount: email },
        params: { keys: [keyId] },
        remove: async () => {
          await world.admin('DELETE', world.account(email));
        },
      };
    },
  },
  'upload-key': {
    options: { unsupported: { 'gone is a success': 'there is no making a key for an account that is gone: it is `provider.gone`' } },
    async prepare({ world, email, leaked }) {
      return {
        target: { account: world.project, serviceAccount: email },
        params: { sealTo: { provider: 'vault', account: 'main' } },
        meddle: async () => {
          const account = (await world.control.world()).accounts.find((each) => each.email === email);
          for (const key of account?.keys ?? [])
            if (key.id !== leaked.private_key_id) await world.admin('POST', `${keyPath(world, email, key.id)}:disable`, {});
        },
      };
    },
  },
  'deactivate-hmac-key': {
    async prepare({ world, email }) {
      const { accessId, secret } = await world.makeHmac(email);
      const put = (state: string) => world.admin('PUT', hmacPath(world, accessId), { state });
      const remove = async () => {
        await put('INACTIVE');
        await world.admin('DELETE', hmacPath(world, accessId));
      };
      return { target: { account: world.project, accessId }, secrets: [secret], remove, meddle: remove };
    },
  },
  'delete-hmac-key': {
    async prepare({ world, email }) {
      const { accessId, secret } = await world.makeHmac(email);
      await world.admin('PUT', hmacPath(world, accessId), { state: 'INACTIVE' });
      return {
        target: { account: world.project, accessId },
        secrets: [secret],
        remove: async () => {
          await world.admin('DELETE', hmacPath(world, accessId));
        },
      };
    },
  },
  'restrict-api-key': {
    async prepare({ world }) {
      const { uid, text } = await world.makeApiKey({ restrictions });
      return {
        target: { account: world.project, key: uid },
        secrets: [text],
        remove: async () => {
          await world.admin('DELETE', apiKeyPath(world, uid));
        },
        meddle: async () => {
          await world.admin('PATCH', `${apiKeyPath(world, uid)}?updateMask=restrictions`, {
            restrictions: { serverKeyRestrictions: { allowedIps: ['192.0.2.7'] } },
          });
        },
      };
    },
  },
  'delete-api-key': {
    async prepare({ world }) {
      const { uid, text } = await world.makeApiKey({ restrictions });
      return {
        target: { account: world.project, key: uid },
        secrets: [text],
        remove: async () => {
          await world.admin('DELETE', apiKeyPath(world, uid));
        },
        // The half hour is shortened here; that it is waited for is shown in actions.test.ts.
        meddle: async () => {
          await world.admin('POST', `${apiKeyPath(world, uid)}:undelete`, {});
          await world.admin('DELETE', apiKeyPath(world, uid));
        },
      };
    },
  },
};

/** Actions that have a conformance run, and how to make a world for each. */
export const harnesses: readonly { readonly name: string; readonly options: SuiteOptions; readonly open: () => Promise<World> }[] =
  Object.entries(cases).map(([name, each]) => ({
    name: `gcp/${name}`,
    options: { timeout: 90_000, concurrent: true, ...each.options },
    open: () => open(name, each),
  }));

/** Methods whose reply can be lost: those that change something. */
const changingMethods = [
  'DisableServiceAccountKey',
  'EnableServiceAccountKey',
  'DeleteServiceAccountKey',
  'UploadServiceAccountKey',
  'DisableServiceAccount',
  'EnableServiceAccount',
  'update',
  'delete',
  'UpdateKey',
  'DeleteKey',
  'UndeleteKey',
];

async function open(name: string, each: Case): Promise<World> {
  const world = await practice();
  try {
    const email = await world.makeAccount('ci-deployer');
    const leaked = await world.makeKey(email);
    // A neighbour with the same kinds of things, which nothing may touch.
    const bystander = await world.makeAccount('bystander');
    const neighbour = await world.makeKey(bystander);
    const besides = await world.makeHmac(bystander);
    const other = await world.makeApiKey({ displayName: 'another' });
    await world.admin('POST', `${keyPath(world, bystander, neighbour.private_key_id ?? '')}:disable`, {});
    const powerless = await world.makeKey(await world.makeAccount('powerless'));
    const prepared = await each.prepare({ world, email, leaked });
    const connection = await world.connect();
    const known = new Set((await world.control.world()).accounts.flatMap((row) => row.keys.map((key) => key.id)));
    const action = (of: Awaited<ReturnType<Practice['connect']>>) => of.actions[name] as Action;
    const { sim } = world;
    let heard = (await world.control.journal()).length;
    const calls: WorldCall[] = [];
    return {
      timing,
      ...prepared,
      action: action(connection),
      secrets: [
        ...[sim.admin, leaked, neighbour, powerless].map((file) => file.private_key ?? ''),
        besides.secret,
        other.text,
        ...(prepared.secrets ?? []),
      ],
      snapshot: async () => picture(await world.control.world(), known),
      async calls() {
        for (const entry of await world.control.journal(heard)) {
          heard = entry.seq;
          if (entry.permission !== undefined) calls.push({ permission: entry.permission, changed: entry.effect === 'changed' });
        }
        return [...calls];
      },
      async trouble({ kind, count }) {
        const times = count === undefined ? {} : { count };
        if (kind !== 'lost-reply') {
          await world.control.inject({ kind: kind === 'throttled' ? 'throttle' : kind === 'broken' ? 'error-500' : 'down', ...times });
          return;
        }
        for (const method of changingMethods) await world.control.inject({ kind: 'lose-reply-after-effect', action: method, ...times });
      },
      calm: () => world.control.clearFaults(),
      async powerless() {
        await world.alive(powerless);
        return action(await world.connect(powerless));
      },
      /** The policy is a JSON list of permissions. */
      async under(policy: string) {
        const account = await world.makeAccount('narrow');
        const file = await world.makeKey(account);
        const role = `projects/${world.project}/roles/narrow`;
        await world.control.defineRole(role, JSON.parse(policy) as string[]);
        await world.grant(account, role);
        await world.alive(file);
        return action(await world.connect(file));
      },
      close: () => world.close(),
    } as World;
  } catch (error) {
    await world.close();
    throw error;
  }
}

/** The project without what moves by itself: its clock, tokens, and the ids of keys that were made since. */
function picture(state: Awaited<ReturnType<Practice['control']['world']>>, known: ReadonlySet<string>): unknown {
  const { now: _, tokens: __, accounts, ...rest } = state;
  return {
    ...rest,
    accounts: accounts.map((row) => ({
      ...row,
      keys: row.keys.map((key) =>
        known.has(key.id) ? { id: key.id, disabled: key.disabled } : { id: 'a new key', disabled: key.disabled, origin: key.origin },
      ),
    })),
  };
}
