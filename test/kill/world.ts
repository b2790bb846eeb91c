import { readFileSync, statSync, writeFileSync } from 'node:fs';
import nodeVault from 'node-vault';
import { parse, stringify } from 'yaml';
import { type Consumer, startConsumer } from '../../lab/consumer/consumer.ts';
import type { TallySnapshot } from '../../lab/consumer/tally.ts';
import type { StackOptions, StackProxies } from '../../lab/stack.ts';
import { fields, kvMount, region } from '../../lab/world/cast.ts';
import { type Deployed, startWorld, until, type Visibility, type World } from '../engine/world.ts';

/** The pace of every test here: a worker that hangs is noticed after three seconds, and an outage is over for the engine within one. */
export const pace = { heartbeatMs: 3_000, retryCeilingMs: 1_000, stuckAfterMs: 600_000 } as const;

const rereadMs = 500;

/** The practice world behind proxies, with a budget that is not what is tried here, and a consumer for each internal deployment. */
export interface KillWorld {
  readonly world: World;
  readonly proxies: StackProxies;
  /** Sets the consumer of a deployment to work; none where its variant has none. */
  employ(deployed: Deployed): Promise<Consumer | undefined>;
  stop(): Promise<void>;
}

export async function startKillWorld(wanted: Readonly<Record<string, Visibility>>, options: StackOptions = {}): Promise<KillWorld> {
  const world = await startWorld(wanted, { ...pace, propagationMs: 200, logLagMs: 300, lookUpsPerSecond: 100, proxied: true, ...options });
  const { stack } = world;
  const { proxies, paths } = stack;
  if (proxies === undefined) throw new Error('the stack has no proxies');
  const vault = nodeVault({ endpoint: stack.vault.address, token: stack.vault.token });
  const internal = Object.keys(wanted).filter((name) => wanted[name] === 'internal');
  const tokens = new Map<string, string>();
  const inventory = parse(readFileSync(paths.inventory, 'utf8'));
  for (const name of internal) {
    const id = consumerOf(name);
    const policy = `path "${kvMount}/data/${world.deployed(name).path.slice(kvMount.length + 1)}" { capabilities = ["read"] }`;
    await vault.write(`sys/policies/acl/${id}`, { policy });
    const made = await vault.write('auth/token/create-orphan', {
      display_name: id,
      policies: [id],
      no_default_policy: true,
      period: '768h',
    });
    tokens.set(name, made.auth.client_token as string);
    inventory.consumers.push({
      id,
      name: `Consumer of ${name}`,
      owner: 'team-ci',
      contact: 'team-ci@example.test',
      store: name,
      overlap: true,
      rereads: `${rereadMs}ms`,
      criticality: 'production',
      networks: ['127.0.0.0/8'],
      seenAs: { userAgent: id },
    });
  }
  writeFileSync(paths.inventory, stringify(inventory));
  const since = statSync(paths.inventory).mtimeMs;
  await until('workers have looked at the inventory again', async () => Date.now() > since + 600);
  await world.setPolicy((text) => text.replace(/most: \d+ \}/g, 'most: 100000 }'));

  const employed: Consumer[] = [];
  return {
    world,
    proxies,
    async employ(deployed) {
      const token = tokens.get(deployed.name);
      if (token === undefined) return undefined;
      const consumer = await startConsumer({
        name: consumerOf(deployed.name),
        vault: { address: stack.vault.address, token, path: deployed.path },
        fields,
        aws: { endpoint: stack.aws.endpoint, region },
        callsPerSecond: 3,
        rereadMs,
        clockOffsetMs: (await stack.control.clock()).offsetMs,
      });
      employed.push(consumer);
      await until(`the consumer of ${deployed.name} works`, async () => consumer.tally().ok > 0);
      return consumer;
    },
    async stop() {
      await Promise.all(employed.map((consumer) => consumer.stop()));
      await world.stop();
    },
  };
}

const consumerOf = (name: string): string => `consumer-of-${name}`;

/** What a consumer was refused, by name: nothing, where it never noticed. Calls that nobody answered are counted apart and are no refusal. */
export function noticed(tally: TallySnapshot): string[] {
  return Object.entries(tally.failed).map(([name, count]) => `${name} × ${count}`);
}
