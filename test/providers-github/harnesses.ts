import { randomBytes } from 'node:crypto';
import type { Store } from '../../domain/assessment.ts';
import { sha256Of } from '../../domain/canonical.ts';
import { Secret } from '../../domain/secret.ts';
import type { Action } from '../../providers/contract.ts';
import { manifest } from '../../providers/github/manifest.ts';
import type { SuiteOptions, World, WorldCall } from '../conformance/index.ts';
import { credentialOf, type Practice, permissionOf, practice, timing } from './practice.ts';

interface Case {
  readonly options?: SuiteOptions;
  prepare(world: Practice): Promise<Omit<Partial<World>, 'action'> & { readonly target: World['target'] }>;
}

const live = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] as const;
/** What stood there before, in the place itself and beside it. */
function oldSecrets({ hand }: Practice): void {
  for (const environment of [undefined, 'production']) {
    for (const name of live) hand.putSecret('acme', 'shop', name, `old ${name}`, environment);
    hand.putSecret('acme', 'shop', 'OTHER', 'somebody’s', environment);
  }
}

/** A leaked token of a user, and what the reporter sealed. */
export function sealedToken(token: string): { readonly params: Record<string, unknown>; readonly secret: string; readonly sha256: string } {
  const { locator } = credentialOf(token);
  return {
    params: { sealed: { hash: sha256Of(randomBytes(32)), keyId: 'seal_conformance' } },
    secret: token,
    sha256: locator.sha256 ?? '',
  };
}

/** The App signs for itself, and has no permission to do without. */
const signedByApp = {
  'only what is declared':
    'an App suspends by its own signature, for which there is no permission; a test of its own sees that nothing else is called',
} as const;

const cases: Readonly<Record<string, Case>> = {
  'revoke-token': {
    async prepare(world) {
      const leaked = world.hand.mint({ form: 'classic', login: 'ci-bot', scopes: ['repo'] });
      // What would go with it, and what would not.
      world.hand.addDeployKey('acme', 'shop', { title: 'made with it', addedBy: 'ci-bot', madeWith: leaked.sha256 });
      return {
        target: { account: 'acme', sha256: leaked.sha256 },
        params: sealedToken(leaked.token).params,
        secrets: [leaked.token],
        remove: async () => {
          world.hand.deleteToken(leaked.sha256);
          world.hand.advance(timing.propagationMs + 1);
        },
      };
    },
  },
  'suspend-installation': {
    options: { unsupported: signedByApp },
    async prepare({ hand, builder }) {
      return {
        target: { account: 'acme', installationId: String(builder.installationId) },
        remove: async () => hand.uninstall(builder.installationId),
        meddle: async () => {
          hand.suspendByHand(builder.installationId, 'olga', false);
          hand.suspendByHand(builder.installationId, 'olga', true);
        },
      };
    },
  },
  'unsuspend-installation': {
    options: { unsupported: signedByApp },
    async prepare({ hand, builder, connect }) {
      const connection = await connect();
      const suspend = connection.actions['suspend-installation'] as Action;
      const target = { account: 'acme', installationId: String(builder.installationId) };
      await suspend.apply(target, { found: 'active' }, stepOf('before'));
      return {
        target,
        remove: async () => hand.uninstall(builder.installationId),
        meddle: async () => hand.uninstall(builder.installationId),
      };
    },
  },
  'stage-secret': {
    async prepare(world) {
      oldSecrets(world);
      const fresh = newCredential('acme/shop/production');
      return {
        ...fresh,
        secrets: [fresh.secretAccessKey],
        meddle: async () => {
          world.hand.advance(2_000);
          for (const name of Object.keys(stagedIn(world))) world.hand.putSecret('acme', 'shop', name, 'somebody’s', 'production');
        },
      };
    },
  },
  'distribute-secret': {
    async prepare(world) {
      oldSecrets(world);
      const fresh = newCredential('acme/shop');
      const made = await stagedBy(world, fresh);
      return { ...fresh, made, params: { mint: 'mint', stage: 'stage' }, secrets: [fresh.secretAccessKey] };
    },
  },
  'watch-readers': {
    async prepare(world) {
      oldSecrets(world);
      const fresh = newCredential('acme/shop');
      const writtenAt = new Date(world.hand.clock().now).toISOString();
      const { jobId } = world.hand.startJob('acme', 'shop', { workflow: 'deploy' });
      return {
        ...fresh,
        made: { distribute: { writtenAt } },
        params: { distribute: 'distribute' },
        timing: { ...timing, giveUpMs: 3_000 },
        secrets: [fresh.secretAccessKey],
        happen: async () => {
          world.hand.advance(2_000);
          world.hand.finishJob(jobId);
          world.hand.startJob('acme', 'shop', { workflow: 'deploy' });
        },
      };
    },
  },
  'delete-deploy-key': {
    async prepare({ hand }) {
      const { keyId } = hand.addDeployKey('acme', 'shop', { title: 'leaked', addedBy: 'olga', lastUsedAgoMs: 60_000 });
      return {
        target: { account: 'acme', repository: 'acme/shop', key: String(keyId) },
        remove: async () => {
          const row = hand.picture().repositories.find((each) => each.name === 'acme/shop');
          if (row?.keys.some((key) => key.id === keyId)) hand.removeDeployKey('acme', 'shop', keyId);
        },
      };
    },
  },
};

/** A store of the organization and the new credential that is to come into it. */
export function newCredential(path: string) {
  const secretAccessKey = randomBytes(30).toString('base64');
  const store: Store = {
    id: 'ci',
    provider: 'github',
    account: 'acme',
    path,
    fields: { accessKeyId: 'AWS_ACCESS_KEY_ID', secretAccessKey: 'AWS_SECRET_ACCESS_KEY' },
    principal: 'arn:aws:iam::111122223333:user/ci',
  };
  const text = JSON.stringify({ accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey });
  const inventory = {
    stores: [store],
    consumers: [
      {
        id: 'deployer',
        name: 'deployer',
        owner: 'platform',
        contact: 'platform@example.org',
        store: 'ci',
        overlap: true,
        rereads: 60,
        criticality: 'production' as const,
        networks: [],
        seenAs: {},
        readsAs: 'deploy.yml',
      },
    ],
  };
  const made = { mint: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', sealed: sha256Of(randomBytes(32)), keyId: 'seal_conformance' } };
  const sealing = { ...stepOf('none').sealing, open: async () => new Secret(text), shred: async () => undefined };
  return { store, inventory, made, sealing, text, secretAccessKey, target: { account: 'acme', path }, params: { mint: 'mint' } };
}

/** Stages it, as the step before a distribution does. */
export async function stagedBy(world: Practice, fresh: ReturnType<typeof newCredential>) {
  const stage = (await world.connect()).actions['stage-secret'] as Action;
  const context = stepOf('stage', { params: fresh.params, made: fresh.made, inventory: fresh.inventory, sealing: fresh.sealing });
  const applied = await stage.apply(fresh.target, { standing: [] }, context);
  return { ...fresh.made, stage: applied.made ?? {} };
}

/** A context for a step outside of the suite. */
export function stepOf(step: string, more: Partial<Parameters<Action['apply']>[2]> = {}): Parameters<Action['apply']>[2] {
  return {
    incident: `leak/${'e'.repeat(64)}`,
    run: 'run-1',
    step,
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    timing,
    sealing: {
      open: () => Promise.reject(new Error('nothing was sealed')),
      seal: () => Promise.reject(new Error('nothing is sealed here')),
      shred: async () => undefined,
    },
    params: {},
    made: {},
    inventory: { consumers: [], stores: [] },
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    ...more,
  };
}

/** What is staged in the environment. */
export function stagedIn(world: Practice): Readonly<Record<string, string>> {
  const place = world.hand.picture().repositories.find((each) => each.name === 'acme/shop')?.environments.production ?? {};
  return Object.fromEntries(Object.entries(place).filter(([name]) => name.startsWith('TOURNIQUET_')));
}

/** Actions that have a conformance run, and how to make a world for each. */
export const harnesses: readonly { readonly name: string; readonly options: SuiteOptions; readonly open: () => Promise<World> }[] =
  Object.entries(cases).map(([name, each]) => ({
    name: `github/${name}`,
    options: { timeout: 60_000, concurrent: true, ...each.options },
    open: () => open(name, each),
  }));

/** An action, with what it opens sealed beforehand: the suite's sealing only knows what passes through it. */
function sealing(action: Action, sealed: string | undefined): Action {
  if (sealed === undefined) return action;
  const withSeal = (context: Parameters<Action['apply']>[2]) => ({
    ...context,
    sealing: { ...context.sealing, open: async () => new Secret(sealed) },
  });
  const { revert } = action;
  return {
    ...action,
    ...(revert ? { revert: (target, before, context) => revert(target, before, withSeal(context)) } : {}),
    capture: (target, context) => action.capture(target, withSeal(context)),
    apply: (target, before, context) => action.apply(target, before, withSeal(context)),
    probe: (target, before, context) => action.probe(target, before, withSeal(context)),
  };
}

async function open(name: string, each: Case): Promise<World> {
  const world = await practice();
  try {
    // Neighbours of every kind, which nothing may touch.
    const neighbour = world.hand.mint({ form: 'classic', login: 'ci-bot', scopes: ['repo'] });
    world.hand.addDeployKey('acme', 'shop', { title: 'a neighbour’s', addedBy: 'ci-bot', madeWith: neighbour.sha256 });
    world.hand.install(world.builder.appId, 'otto', { metadata: 'read' });
    const prepared = await each.prepare(world);
    const sealed = (prepared as { text?: string }).text ?? (name === 'revoke-token' ? prepared.secrets?.[0] : undefined);
    const connection = await world.connect();
    const calls: WorldCall[] = [];
    const counted = new Map<string, number>();
    let heard = 0;
    const gather = () => {
      const changed = new Map<string, number>();
      for (const entry of world.hand.mutations(heard)) {
        heard = Math.max(heard, entry.seq);
        if (entry.effect === 'changed') changed.set(entry.action, (changed.get(entry.action) ?? 0) + 1);
      }
      for (const [key, { calls: total }] of Object.entries(world.hand.counters())) {
        const action = key.slice('github:'.length);
        const more = total - (counted.get(key) ?? 0);
        counted.set(key, total);
        const effective = changed.get(action) ?? 0;
        const permission = permissionOf[action] ?? action;
        // What asks for no permission is as good as what every App may: to see that something is there.
        for (let i = 0; i < more; i++)
          calls.push({ permission: /^\w+:\w+$/.test(permission) ? permission : 'metadata:read', changed: i < effective });
      }
    };
    gather();
    calls.length = 0;
    const powerless = async () => {
      const token = world.lend({ metadata: 'read' });
      return sealing((await world.connect({ credentials: { token: new Secret(token.token) } })).actions[name] as Action, sealed);
    };
    return {
      timing,
      ...prepared,
      action: sealing(connection.actions[name] as Action, sealed),
      secrets: [world.own.token, neighbour.token, world.builder.privateKey, ...(prepared.secrets ?? [])],
      snapshot: async () => world.hand.picture(),
      async calls() {
        gather();
        return [...calls];
      },
      async trouble({ kind, count }) {
        const times = count === undefined ? {} : { count };
        if (kind !== 'lost-reply') {
          world.hand.inject({ kind: kind === 'throttled' ? 'throttle' : kind === 'broken' ? 'error-500' : 'down', ...times });
          return;
        }
        for (const action of changing) world.hand.inject({ kind: 'lose-reply-after-effect', action, ...times });
      },
      async calm() {
        world.hand.clearFaults();
      },
      // Whoever revokes a leaked token needs no permission, so that there is none to be without.
      ...(name === 'revoke-token' ? {} : { powerless }),
      /** `policy` is a list of permissions as the manifest has them. */
      async under(policy) {
        const level = (name: string) => ((JSON.parse(policy) as string[]).includes(`${name}:write`) ? 'write' : 'read');
        const names = (JSON.parse(policy) as string[]).map((each) => each.split(':')[0] ?? '');
        const token = world.lend(Object.fromEntries(names.map((each) => [each, level(each)])));
        return sealing((await world.connect({ credentials: { token: new Secret(token.token) } })).actions[name] as Action, sealed);
      },
      close: () => world.close(),
    };
  } catch (error) {
    await world.close();
    throw error;
  }
}

/** Calls whose reply can be lost: what the manifest's actions may change. */
const changing = [
  'POST /credentials/revoke',
  'DELETE /installation/token',
  'PUT /app/installations/{installation_id}/suspended',
  'DELETE /app/installations/{installation_id}/suspended',
  'DELETE /repos/{owner}/{repo}/keys/{key_id}',
  ...['actions', 'environments/{environment_name}'].flatMap((place) =>
    ['PUT', 'DELETE'].map((method) => `${method} /repos/{owner}/{repo}/${place}/secrets/{secret_name}`),
  ),
];

export const names = manifest.actions.map((action) => `github/${action.name}`);
