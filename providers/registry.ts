import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fault } from '../domain/errors.ts';
import { readManifest } from '../domain/manifest.schema.ts';
import type { ProviderManifest } from '../domain/manifest.ts';
import type { Connection, Provider } from './contract.ts';

/** Every provider by its name, loaded when it is asked for: a worker of one system never loads the libraries of another. */
export const providers: Readonly<Record<string, () => Promise<Provider>>> = {
  aws: async () => (await import('./aws/index.ts')).provider,
  gcp: async () => (await import('./gcp/index.ts')).provider,
  vault: async () => (await import('./vault/index.ts')).provider,
  webhook: async () => (await import('./webhook/index.ts')).provider,
  github: async () => (await import('./github/index.ts')).provider,
  manual: async () => (await import('./manual/index.ts')).provider,
};

/** A package that is named in tourniquet.yaml and is not used, with all that is wrong with it. */
export interface Refused {
  readonly package: string;
  readonly problems: readonly string[];
}

/** Providers of somebody else's, by name, and what of theirs is not used. */
export interface Loaded {
  readonly providers: Readonly<Record<string, Provider>>;
  readonly manifests: Readonly<Record<string, ProviderManifest>>;
  readonly refused: readonly Refused[];
}

/**
 * Loads providers that are not part of the engine, by the names of their packages, from `node_modules` of `folder` (that of tourniquet.yaml) or one above it, else from where the engine itself is installed. A package is
 * the deployment's own choice and runs with the rights of the process that loads it: nothing is fetched, and no path or address is taken. One that cannot be loaded, or is no provider, is named with what is wrong,
 * and the others work. `known` are the manifests that names and kinds may not clash with.
 */
export async function loadProviders(
  packages: readonly string[],
  folder: string,
  known: Readonly<Record<string, ProviderManifest>>,
): Promise<Loaded> {
  const loaded: Record<string, Provider> = {};
  const manifests: Record<string, ProviderManifest> = {};
  const refused: Refused[] = [];
  for (const name of packages) {
    try {
      const entry = entryOf(name, folder);
      const module_ = (await import(entry)) as { provider?: unknown; default?: unknown };
      const provider = (module_.provider ?? module_.default) as Partial<Provider> | undefined;
      const problems = problemsOf(provider);
      const read = readManifest(provider?.manifest);
      if ('problems' in read) problems.push(...read.problems.map((each) => `manifest ${each}`));
      else problems.push(...clashesOf(read.manifest, { ...known, ...manifests }));
      if (problems.length > 0 || 'problems' in read) refused.push({ package: name, problems });
      else {
        manifests[read.manifest.name] = read.manifest;
        loaded[read.manifest.name] = guarded(provider as Provider, read.manifest, name);
      }
    } catch (error) {
      refused.push({ package: name, problems: [whyNot(error, name)] });
    }
  }
  return { providers: loaded, manifests, refused };
}

function whyNot(error: unknown, name: string): string {
  if (!(error instanceof Error)) return 'it throws';
  const missing = (error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND';
  if (missing && error.message.includes(`'${name}'`)) return 'it is not installed, neither beside tourniquet.yaml nor where the engine is';
  return error.message.split('\n', 1)[0]?.slice(0, 300) ?? '';
}

function problemsOf(provider: Partial<Provider> | undefined): string[] {
  if (typeof provider !== 'object' || provider === null) return ['it exports no `provider`'];
  return (['identify', 'connect'] as const).flatMap((member) =>
    typeof provider[member] === 'function' ? [] : [`its provider has no \`${member}\``],
  );
}

function clashesOf(manifest: ProviderManifest, known: Readonly<Record<string, ProviderManifest>>): string[] {
  const out = Object.hasOwn(known, manifest.name) ? [`manifest name: there is a provider ${manifest.name} already`] : [];
  const kinds = new Set(Object.values(known).flatMap((each) => each.kinds.map((kind) => kind.kind)));
  for (const { kind } of manifest.kinds) if (kinds.has(kind)) out.push(`manifest kinds: ${kind} is another provider’s`);
  return out;
}

/** The provider with the manifest that was read, and with connections whose actions are exactly that manifest's: what planner and policies were shown is what runs. */
function guarded(provider: Provider, manifest: ProviderManifest, name: string): Provider {
  return {
    manifest,
    identify: (text) => provider.identify(text),
    async connect(config): Promise<Connection> {
      const connection = await provider.connect(config);
      const declared = manifest.actions.map((action) => action.name);
      const there = Object.keys(connection.actions);
      const odd = [...declared.filter((each) => !there.includes(each)), ...there.filter((each) => !declared.includes(each))];
      const wrong = manifest.actions.find(({ name: action, reversibility, watches }) => {
        const found = connection.actions[action];
        return found && (reversibility === 'irreversible' || watches ? false : found.revert === undefined);
      });
      if (odd.length === 0 && !wrong) return connection;
      await connection.close();
      throw fault('provider.unsupported', {
        package: name,
        problem:
          odd.length > 0
            ? `manifest and connection have not the same actions: ${odd.join(', ')}`
            : `${wrong?.name} is said to be reversible and has no revert`,
      });
    },
  };
}

/** The address of a package's module, as node would find it for an `import` written in that folder. */
function entryOf(name: string, folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    const home = join(at, 'node_modules', name);
    if (existsSync(join(home, 'package.json'))) {
      const { exports: exported, main } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
        exports?: unknown;
        main?: string;
      };
      return pathToFileURL(join(home, moduleOf(exported) ?? main ?? 'index.js')).href;
    }
    if (at === parse(at).root) return name;
  }
}

function moduleOf(exported: unknown): string | undefined {
  if (typeof exported === 'string') return exported;
  if (typeof exported !== 'object' || exported === null) return undefined;
  const members = exported as Record<string, unknown>;
  for (const condition of ['.', 'node', 'import', 'default']) if (condition in members) return moduleOf(members[condition]);
  return undefined;
}
