import { z } from 'zod';
import type { Consumer, Store } from './assessment.ts';
import { durationField } from './file.schema.ts';

const words = z.string().trim().min(1, 'expected some text');
const id = z.string().regex(/^[a-z0-9][a-z0-9._-]*$/i, 'expected an id of letters, digits, dots, dashes and underscores');

/** Rule 10 of the design: what is named is named exactly, so a pattern would look like protection or a match and be none. */
const exact = words.refine((text) => !/[*?]/.test(text), 'patterns are not understood here: name each one exactly');

/** What a policy may protect together, such as `payment` or `break-glass`. */
const tag = z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'expected a tag of small letters, digits and dashes');

/** A path inside a store, mount first, as a person types it: `kv/ci/deployer`. */
const storePath = words
  .regex(/^[^/\s?#%]+(\/[^/\s?#%]+)+$/, 'expected mount and path, such as kv/ci/deployer, without a slash at either end')
  .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), 'a path may not climb');

const storeSchema = z.strictObject({
  id,
  provider: id,
  account: words,
  path: storePath,
  fields: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/, 'expected a field name such as accessKeyId'), words)
    .refine((fields) => Object.keys(fields).length > 0, 'expected at least one field')
    .refine(
      (fields) => new Set(Object.values(fields)).size === Object.values(fields).length,
      'two fields have the same place in the store',
    ),
  principal: exact,
  readableBy: z.array(exact).exactOptional(),
});

const consumerSchema = z.strictObject({
  id,
  name: words,
  owner: words,
  contact: words,
  store: id,
  overlap: z.boolean(),
  // Seconds in the record, as the rest of the engine predicts outages in seconds.
  rereads: z.union([z.literal('never'), durationField.transform((ms) => ms / 1_000)]),
  criticality: z.enum(['production', 'internal', 'test']),
  networks: z.array(z.union([z.cidrv4(), z.cidrv6()], 'expected a network such as 10.0.0.0/8')).default([]),
  vpcs: z
    .array(z.string().regex(/^vpce?-[0-9a-f]{8,17}$/, 'expected a VPC or an endpoint of one, such as vpc-0a1b2c3d4e5f60718'))
    .exactOptional(),
  seenAs: z
    .strictObject({
      userAgent: words.exactOptional(),
      sourceAddress: z.union([z.ipv4(), z.ipv6()], 'expected an address such as 10.0.0.7').exactOptional(),
    })
    .default({}),
  readsAs: words.exactOptional(),
  /** What it is, for a policy to protect together with others. */
  tags: z.array(tag).exactOptional(),
  assumes: z.array(exact.refine((text) => /^arn:[^:]+:iam::\d{12}:role\/./.test(text), 'expected the ARN of a role')).exactOptional(),
});

const repositorySchema = z.strictObject({
  match: exact.refine(isRepositoryAddress, 'expected the address of a repository, or of a group of them with a slash at its end'),
  visibility: z.enum(['public', 'internal']),
  owner: words.exactOptional(),
});

const ownerSchema = z.strictObject({ principal: exact, owner: words, tags: z.array(tag).exactOptional() });

/**
 * The inventory file: what holds which credential, who uses it and how, who owns it, and which repositories strangers can read.
 * `docs/inventory.md` explains it to whoever writes one.
 */
export const inventorySchema = z
  .strictObject({
    v: z.literal(1),
    stores: z.array(storeSchema).default([]),
    consumers: z.array(consumerSchema).default([]),
    repositories: z.array(repositorySchema).default([]),
    owners: z.array(ownerSchema).default([]),
    protected: z.array(exact).default([]),
  })
  .superRefine((inventory, context) => {
    const refuse = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message });
    const twice = <T>(items: readonly T[], keyOf: (item: T) => string | undefined, report: (index: number) => void): void => {
      const seen = new Set<string>();
      for (const [index, item] of items.entries()) {
        const key = keyOf(item);
        if (key === undefined) continue;
        if (seen.has(key)) report(index);
        seen.add(key);
      }
    };
    twice(
      inventory.stores,
      (store) => store.id,
      (at) => refuse(['stores', at, 'id'], 'this id is taken by an earlier store'),
    );
    twice(
      inventory.stores,
      (store) => JSON.stringify([store.provider, store.account, store.path]),
      (at) => refuse(['stores', at, 'path'], 'an earlier store is at this place already'),
    );
    twice(
      inventory.consumers,
      (consumer) => consumer.id,
      (at) => refuse(['consumers', at, 'id'], 'this id is taken by an earlier consumer'),
    );
    // One read in the log would otherwise count for both, and one of them might never have looked.
    twice(
      inventory.consumers,
      (consumer) => JSON.stringify([consumer.store, readerName(consumer)]),
      (at) =>
        refuse(['consumers', at, 'readsAs'], 'an earlier consumer of this store reads under this name: the log could not tell them apart'),
    );
    twice(
      inventory.repositories,
      (entry) => repositoryKey(entry.match),
      (at) => refuse(['repositories', at, 'match'], 'an earlier entry matches the same'),
    );
    twice(
      inventory.owners,
      (entry) => entry.principal,
      (at) => refuse(['owners', at, 'principal'], 'an earlier entry names this principal'),
    );
    const stores = new Set(inventory.stores.map((store) => store.id));
    for (const [at, consumer] of inventory.consumers.entries()) {
      if (!stores.has(consumer.store)) refuse(['consumers', at, 'store'], 'no store of this id is in the file');
    }
  });

export type Inventory = z.output<typeof inventorySchema>;

// What the file gives must fit what the records hold; the compiler checks it here and nowhere else.
const _store: (store: Inventory['stores'][number]) => Store = (store) => store;
const _consumer: (consumer: Inventory['consumers'][number]) => Consumer = (consumer) => consumer;
void _store;
void _consumer;

/** The name a consumer goes by in the audit log of its store. */
export function readerName(consumer: Pick<Consumer, 'id' | 'readsAs'>): string {
  return consumer.readsAs ?? consumer.id;
}

/**
 * One form for the many spellings of a repository's address: `https://Host/Org/Repo.git`, `git@host:Org/Repo` and `ssh://git@host/Org/Repo` are
 * `host/Org/Repo`. User names, passwords, ports, query and fragment fall away; a slash at the end stays, as it makes a prefix. Only the host is
 * made lower-case: whether a path's case counts is the server's secret, and a match that fails says *unknown*. Undefined for what is no address.
 */
export function repositoryKey(address: string): string | undefined {
  const scp = /^(?:[^@/\s]+@)?([A-Za-z0-9.-]+):(?!\/\/)(?!\d+\/)(.+)$/.exec(address.trim());
  const text = scp && !address.includes('://') ? `ssh://${scp[1]}/${scp[2]}` : address.trim();
  const url = URL.canParse(text) ? new URL(text) : URL.canParse(`https://${text}`) ? new URL(`https://${text}`) : undefined;
  if (url === undefined || url.hostname === '') return undefined;
  const prefix = url.pathname.endsWith('/') && url.pathname !== '/';
  const path = url.pathname
    .replace(/\/+/g, '/')
    .replace(/^\/|\/$/g, '')
    .replace(/\.git$/, '');
  if (path === '') return undefined;
  return `${url.hostname.toLowerCase()}/${path}${prefix ? '/' : ''}`;
}

function isRepositoryAddress(address: string): boolean {
  return repositoryKey(address) !== undefined;
}
