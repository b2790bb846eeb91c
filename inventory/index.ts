import { type Consumer, Exposure, type InventoryFinding, type Store } from '../domain/assessment.ts';
import { parseYaml } from '../domain/file.schema.ts';
import { type Inventory, inventorySchema, repositoryKey } from '../domain/inventory.schema.ts';
import { Proof, type ReportRecord } from '../domain/report.ts';

export type { Inventory } from '../domain/inventory.schema.ts';

/**
 * Reads the inventory file, YAML or JSON. Throws `file.syntax` or `file.invalid` with file, line, column, path and what is wrong there.
 * Unknown keys, ids given twice and consumers of unknown stores are refused: a slip of the pen would otherwise be a consumer cut off unseen.
 */
export function loadInventory(text: string, fileName: string): Inventory {
  return parseYaml(text, fileName, inventorySchema);
}

/** What is asked of the inventory. */
export interface InventoryQuestion {
  /** The accounts the incident is about; without any, nothing is left out. */
  readonly accounts?: readonly { readonly provider: string; readonly account: string }[];
  /** Where it is known already: whose owner is asked for. It leaves nothing out, as matching principals is the judge's. */
  readonly principal?: string;
  readonly reports: readonly Pick<ReportRecord, 'report' | 'proof' | 'issuerSays'>[];
}

/**
 * What the inventory knows of an incident. Stores and consumers of other accounts are left out only where that is certain; a principal whose account
 * cannot be read off stays in. `owner` is the principal's, else the one owner that all principals left in have, else that of the repository the leak
 * was seen in. Exposure is the worst over all reports: see {@link exposureOf}.
 */
export function lookUp(inventory: Inventory, question: InventoryQuestion): InventoryFinding {
  // Whoever acts as a role of these accounts would notice a cut-off of it, wherever its own credential is kept.
  const assuming = new Set(
    inventory.consumers
      .filter(({ assumes }) => assumes?.some((role) => question.accounts?.some(({ account }) => accountOf(role) === account)))
      .map(({ store }) => store),
  );
  const stores = inventory.stores.filter((store) => mayConcern(store, question.accounts) || assuming.has(store.id));
  const kept = new Set(stores.map((store) => store.id));
  const consumers = inventory.consumers.flatMap(({ tags: _, ...consumer }): Consumer[] => (kept.has(consumer.store) ? [consumer] : []));
  const owner = ownerOf(inventory, question, stores);
  const tagged = [
    ...inventory.owners.flatMap((each) => (each.tags ? [{ name: each.principal, tags: each.tags }] : [])),
    ...inventory.consumers.flatMap((each) => (each.tags ? [{ name: each.id, tags: each.tags }] : [])),
  ];
  return {
    consumers,
    stores,
    ...(owner === undefined ? {} : { owner }),
    exposure: question.reports.map((report) => exposureOf(inventory, report)).reduce(worse, undefined) ?? Exposure.UNKNOWN,
    protectedTargets: inventory.protected,
    ...(tagged.length > 0 ? { tagged } : {}),
  };
}

/**
 * How widely one sighting's place can be read: as the inventory says of the repository, else as the issuer says where the issuer signed, else unknown.
 * An issuer's "not publicly leaked" is no proof that only insiders could read it, and so stays unknown, as does anything a mere report claims.
 */
export function exposureOf(
  inventory: Inventory,
  { report, proof, issuerSays }: Pick<ReportRecord, 'report' | 'proof' | 'issuerSays'>,
): Exposure {
  const entry = entryFor(inventory, report.origin);
  if (entry !== undefined) return entry.visibility;
  if (proof === Proof.ISSUER_SIGNED && issuerSays?.publiclyLeaked === true) return Exposure.PUBLIC;
  return Exposure.UNKNOWN;
}

const rank = { internal: 0, unknown: 1, public: 2 } as const satisfies Record<Exposure, number>;

/** A place nobody knows may be public, and so is worse than one known to be internal. */
function worse(a: Exposure | undefined, b: Exposure): Exposure {
  return a !== undefined && rank[a] >= rank[b] ? a : b;
}

/** The entry for where a report was seen: by its repository, else by the page's address. */
function entryFor(
  inventory: Inventory,
  { repository, url }: ReportRecord['report']['origin'],
): Inventory['repositories'][number] | undefined {
  return (
    (repository === undefined ? undefined : repositoryEntry(inventory, repository, false)) ??
    (url === undefined ? undefined : repositoryEntry(inventory, url, true))
  );
}

/** The exact entry, else the longest prefix. A page within a repository (host, owner, name, and more) counts as the repository. */
function repositoryEntry(inventory: Inventory, address: string, page: boolean): Inventory['repositories'][number] | undefined {
  const sought = repositoryKey(address)?.replace(/\/$/, '');
  if (sought === undefined) return undefined;
  let best: { length: number; entry: Inventory['repositories'][number] } | undefined;
  for (const entry of inventory.repositories) {
    const key = repositoryKey(entry.match);
    if (key === undefined) continue;
    const within = page && key.split('/').length > 2 && sought.startsWith(`${key}/`);
    const fits = key.endsWith('/') ? sought.startsWith(key) : sought === key || within;
    if (fits && key.length > (best?.length ?? 0)) best = { length: key.length, entry };
  }
  return best?.entry;
}

function mayConcern(store: Store, accounts: InventoryQuestion['accounts']): boolean {
  if (accounts === undefined || accounts.length === 0) return true;
  if (accounts.some(({ provider, account }) => store.provider === provider && store.account === account)) return true;
  const home = accountOf(store.principal);
  return home === undefined || accounts.some(({ account }) => account === home);
}

/** The account in an AWS ARN (`arn:partition:service:region:account:resource`); undefined where the name does not tell. */
function accountOf(principal: string): string | undefined {
  return /^arn:[^:]*:[^:]*:[^:]*:(\d{12}):/.exec(principal)?.[1];
}

function ownerOf(inventory: Inventory, { principal, reports }: InventoryQuestion, stores: readonly Store[]): string | undefined {
  const byPrincipal = new Map(inventory.owners.map((entry) => [entry.principal, entry.owner]));
  if (principal !== undefined && byPrincipal.has(principal)) return byPrincipal.get(principal);
  const owners = new Set(stores.map((store) => byPrincipal.get(store.principal)));
  if (owners.size === 1) {
    const [only] = owners;
    if (only !== undefined) return only;
  }
  for (const { report } of reports) {
    const owner = entryFor(inventory, report.origin)?.owner;
    if (owner !== undefined) return owner;
  }
  return undefined;
}
