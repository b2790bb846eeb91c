import { setTimeout as wait } from 'node:timers/promises';
import nodeVault from 'node-vault';
import { manifest } from '../../providers/vault/manifest.ts';
import type { AwsWorld } from './aws.ts';
import { deployments, fields, kvMount } from './cast.ts';

/** What {@link provisionVault} made: a token for the engine's vault worker, and one for each consumer, by its id. */
export interface VaultWorld {
  readonly worker: string;
  readonly consumers: Readonly<Record<string, string>>;
}

const rule = (path: string, ...capabilities: readonly string[]): string =>
  `path "${path}" {\n  capabilities = [${capabilities.map((one) => `"${one}"`).join(', ')}]\n}\n`;

/** What the provider's manifest asks for besides stores: looks at tokens, secret ids and leases, and their end. */
function onKinds(): readonly string[] {
  const byPath = new Map<string, Set<string>>();
  for (const permission of [...manifest.actions.flatMap((action) => action.permissions), ...(manifest.reads ?? [])]) {
    const [capability = '', path = ''] = permission.split(' ');
    if (!path.includes('{')) byPath.set(path, (byPath.get(path) ?? new Set()).add(capability));
  }
  // Whoever may write an entity whole may give it any policy.
  const only = (path: string): string => (path === 'identity/entity/id/+' ? '  allowed_parameters = { "disabled" = [] }\n' : '');
  return [...byPath].map(([path, capabilities]) => rule(path, ...capabilities).replace(/}\n$/, `${only(path)}}\n`));
}

/** The engine's vault worker: exactly the stores of the inventory, the staging places beside them, the audit devices, and the tokens, secret ids and leases that may leak. */
export function workerPolicy(paths: readonly string[]): string {
  const onStores = paths.flatMap((full) => {
    const path = full.slice(kvMount.length + 1);
    return [
      rule(`${kvMount}/data/${path}`, 'create', 'read', 'update'),
      rule(`${kvMount}/metadata/${path}`, 'read', 'delete'),
      rule(`${kvMount}/delete/${path}`, 'update'),
      rule(`${kvMount}/data/${path}--staged/*`, 'create', 'read', 'update'),
      rule(`${kvMount}/metadata/${path}--staged/*`, 'create', 'read', 'update', 'delete'),
      rule(`${kvMount}/delete/${path}--staged/*`, 'update'),
    ];
  });
  return [...onStores, rule(`${kvMount}/config`, 'read'), ...onKinds()].join('\n');
}

/** Fills a fresh server: the KV mount, the deployers' pairs, one policy and one token for each reader. Tokens name their holder, so that the audit log does. */
export async function provisionVault(place: { readonly address: string; readonly rootToken: string }, aws: AwsWorld): Promise<VaultWorld> {
  const vault = nodeVault({ endpoint: place.address, token: place.rootToken, requestOptions: { timeout: 10_000 } });
  const all = Object.values(deployments);
  await vault.write(`sys/mounts/${kvMount}`, { type: 'kv', options: { version: '2' } });
  await eventually(() => vault.write(`${kvMount}/config`, { max_versions: 10 }));
  const token = async (name: string, policy: string): Promise<string> => {
    await vault.write(`sys/policies/acl/${name}`, { policy });
    const made = await vault.write('auth/token/create-orphan', {
      display_name: name,
      policies: [name],
      no_default_policy: true,
      period: '768h',
    });
    return made.auth.client_token as string;
  };
  const readers = all.flatMap(({ path, consumers }) => consumers.map(({ id }) => ({ id, path: path.slice(kvMount.length + 1) })));
  const [worker, ...tokens] = await Promise.all([
    token('tourniquet-vault-worker', workerPolicy(all.map(({ path }) => path))),
    ...readers.map(({ id, path }) => token(id, rule(`${kvMount}/data/${path}`, 'read'))),
    ...all.map(async ({ variant, path }) => {
      const pair = aws.deployers[variant];
      await vault.write(`${kvMount}/data/${path.slice(kvMount.length + 1)}`, {
        data: { [fields.accessKeyId]: pair.accessKeyId, [fields.secretAccessKey]: pair.secretAccessKey, region: 'us-east-1' },
        options: { cas: 0 },
      });
      return '';
    }),
  ]);
  return { worker: worker ?? '', consumers: Object.fromEntries(readers.map(({ id }, at) => [id, tokens[at] ?? ''])) };
}

/** A fresh KV mount refuses for a moment, while it is made a version 2. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 50; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0) throw error;
      await wait(60);
    }
  }
}
