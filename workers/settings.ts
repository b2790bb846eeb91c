import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { CommonDeps } from '../activities/index.ts';
import { authorisationsFile, readAuthorisations } from '../audit/authorisations.ts';
import { openKeyring } from '../audit/codec.ts';
import { openTrust } from '../audit/editions.ts';
import { readKey, readStoreKey } from '../audit/keys.ts';
import { createRecords, type Records } from '../audit/records.ts';
import { signerFrom, verifyEnvelope } from '../audit/signing.ts';
import { openDirectoryStore } from '../audit/store.ts';
import { parseConfiguration } from '../domain/configuration.schema.ts';
import type { Configuration } from '../domain/configuration.ts';
import { fault } from '../domain/errors.ts';
import type { ProviderManifest } from '../domain/manifest.ts';
import { type Edition, KeyRole, keyAt, type Trust } from '../domain/trust.ts';
import { type Loaded, loadProviders } from '../providers/registry.ts';

/** What a worker process is started with, by environment: its role, and the paths of the configuration and of its own key folder. */
export interface Settings {
  readonly role: 'judge' | 'provider';
  readonly provider: string;
  readonly account: string;
  readonly configuration: Configuration;
  /** The folder of tourniquet.yaml, in whose `node_modules` the providers of others lie; by default the working folder. */
  readonly folder?: string;
  readonly keys: string;
}

/** Reads `TOURNIQUET_ROLE`, `_PROVIDER`, `_ACCOUNT`, `_CONFIG` and `_KEYS`. Throws `usage.invalid` or a `file.*` fault that names the place. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const role = environment.TOURNIQUET_ROLE;
  if (role !== 'judge' && role !== 'provider') throw fault('usage.invalid', { variable: 'TOURNIQUET_ROLE', expected: 'judge or provider' });
  const config = wanted(environment, 'TOURNIQUET_CONFIG');
  const keys = wanted(environment, 'TOURNIQUET_KEYS');
  const configuration = parseConfiguration(readText(config), config);
  const provider = role === 'provider' ? wanted(environment, 'TOURNIQUET_PROVIDER') : 'manual';
  let account = environment.TOURNIQUET_ACCOUNT ?? '';
  if (role === 'provider' && account === '') {
    const entries = configuration.accounts.filter((entry) => entry.provider === provider);
    if (entries.length !== 1 || !entries[0])
      throw fault('usage.invalid', {
        variable: 'TOURNIQUET_ACCOUNT',
        problem: `the configuration has ${entries.length} accounts of ${provider}`,
      });
    account = entries[0].account;
  }
  return { role, provider, account: role === 'provider' ? account : 'manual', configuration, folder: dirname(resolve(config)), keys };
}

/** Providers that are not part of the engine, as tourniquet.yaml names them. What is refused is said on stderr with what is wrong, once at the start; the rest works. */
export async function strangers(
  settings: Pick<Settings, 'configuration' | 'folder'>,
  known: Readonly<Record<string, ProviderManifest>>,
): Promise<Loaded> {
  const packages = (settings.configuration.providers ?? []).map((each) => each.package);
  if (packages.length === 0) return { providers: {}, manifests: {}, refused: [] };
  const loaded = await loadProviders(packages, settings.folder ?? process.cwd(), known);
  for (const refused of loaded.refused)
    tell({ message: 'a provider is not used', package: refused.package, why: refused.problems.join('; ') });
  return loaded;
}

function wanted(environment: NodeJS.ProcessEnv, name: string): string {
  const value = environment[name];
  if (!value) throw fault('usage.invalid', { variable: name, problem: 'is not set' });
  return value;
}

/** The text of a file; `file.missing` or `file.unreadable` with its name. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw fault((cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'file.missing' : 'file.unreadable', { file: path }, cause);
  }
}

/**
 * A file's parsed content, read anew when the file has changed, at most twice a second. What does not parse leaves the last good content in force and is tried again,
 * since what it is judged by may lie in another file: people count only once the trust names them. It is said on stderr once for each state of the file.
 */
export function fresh<T>(path: string, parse: () => T): () => T {
  let mark = '';
  let told = '';
  let value: T | undefined;
  let checkedAt = 0;
  return () => {
    // The file is looked at no more than twice a second: a warrant check must not wait for a disk.
    if (value !== undefined && Date.now() - checkedAt < 500) return value;
    checkedAt = Date.now();
    const stat = statSync(path, { throwIfNoEntry: false });
    const now = stat ? `${stat.mtimeMs}|${stat.size}|${stat.ino}` : 'absent';
    if (value !== undefined && now === mark) return value;
    try {
      value = parse();
      mark = now;
      told = '';
    } catch (error) {
      if (value === undefined) throw error;
      if (now !== told) {
        tell({ message: 'the last good content stays in force', file: path, why: error instanceof Error ? error.message : 'unreadable' });
      }
      told = now;
    }
    return value;
  };
}

/** A line of trouble for whoever reads this worker's log. */
function tell(of: Readonly<Record<string, string>>): void {
  process.stderr.write(`${JSON.stringify({ level: 'error', ...of })}\n`);
}

/**
 * The same trust, and a word on stderr whenever it changes to one that does not vouch for this worker's own key: what it signs is then believed by nobody, and it is to be given its
 * new key and started again.
 */
function whileOurs(trust: () => Trust, own: { readonly id: string; readonly role: KeyRole }, clock: () => Date): () => Trust {
  let seen: Trust | undefined;
  return () => {
    const now = trust();
    if (now !== seen) {
      seen = now;
      if (!keyAt(now, own.id, own.role, clock().toISOString()))
        tell({ message: 'the trust file does not vouch for our own key; what we sign is not believed', key: own.id, role: own.role });
    }
    return now;
  };
}

/** What judge and provider workers share: store, records signed with this worker's key, and its own copy of trust and people. */
export function commonDeps(settings: Settings): CommonDeps & {
  readonly records: Records;
  readonly keyring: ReturnType<typeof openKeyring> | undefined;
  /** Every trust that has been in force, serial 1 first. */
  readonly editions: () => readonly Edition[];
} {
  const { configuration, keys } = settings;
  const role = settings.role === 'judge' ? KeyRole.JUDGE : KeyRole.WORKER;
  const signing = readKey(join(keys, 'signing.json'));
  if (signing.role !== role) throw fault('key.missing', { folder: keys, role });
  const store = openDirectoryStore(configuration.store.directory, readStoreKey(join(keys, 'store.key')));
  const clock = () => new Date();
  const source = openTrust({
    trust: configuration.trust,
    people: configuration.people,
    root: configuration.root,
    engine: configuration.engine,
    names: store.names,
    clock,
    say: ({ file, why, code }) => tell({ message: 'the trust in force stays so', file, why, code }),
  });
  const trust = whileOurs(source.trust, { id: signing.id, role }, clock);
  // What does not parse is said before anything starts, and later leaves the last good one in force.
  const authorisations = fresh(authorisationsFile(configuration.trust), () => readAuthorisations(configuration.trust));
  authorisations();
  const records = createRecords({ store, signer: signerFrom(signing), trust, engine: configuration.engine, clock });
  return {
    engine: configuration.engine,
    store,
    records,
    trust,
    people: source.people,
    editions: source.editions,
    authorisations,
    clock,
    verify: verifyEnvelope,
    keyring: configuration.codec.enabled ? openKeyring(join(keys, 'codec.json')) : undefined,
  };
}
