import { readCredentials } from '../audit/keys.ts';
import type { Configuration } from '../domain/configuration.ts';
import { fault } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import type { Connection } from '../providers/contract.ts';
import { providers } from '../providers/registry.ts';

/** One account as configured, or as a profile makes it. */
export type AccountEntry = Pick<Configuration['accounts'][number], 'provider' | 'account' | 'mode' | 'settings'> & {
  /** SECRET: by name, as the provider's connect wants them. */
  readonly credentials: () => Promise<Readonly<Record<string, Secret>>>;
};

/** The entry of a configuration, with its credentials read when they are needed. */
export function entryOf(entry: Configuration['accounts'][number]): AccountEntry {
  return { ...entry, credentials: async () => readCredentials(entry.credentials) };
}

/** An AWS account by a profile of the shared configuration, or by the environment where none is named, as AWS's own tools find it. */
export function profileEntry(account: string, profile: string | undefined, settings: Readonly<Record<string, unknown>>): AccountEntry {
  return {
    provider: 'aws',
    account,
    mode: 'observe',
    settings,
    async credentials() {
      const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
      try {
        const found = await defaultProvider(profile === undefined ? {} : { profile })();
        return {
          accessKeyId: new Secret(found.accessKeyId),
          secretAccessKey: new Secret(found.secretAccessKey),
          ...(found.sessionToken === undefined ? {} : { sessionToken: new Secret(found.sessionToken) }),
        };
      } catch (cause) {
        // What the library says of a file may quote it.
        throw fault(
          'key.missing',
          { what: profile === undefined ? 'credentials of AWS in the environment' : `the profile ${profile}` },
          cause instanceof Error ? new Error(cause.name) : undefined,
        );
      }
    },
  };
}

/** Connects; sends nothing yet. Throws `provider.unsupported` for a system that is not known here. */
export async function connectTo(entry: AccountEntry): Promise<Connection> {
  const load = providers[entry.provider];
  if (!load) throw fault('provider.unsupported', { provider: entry.provider });
  const system = await load();
  const { provider, account, mode, settings } = entry;
  return await system.connect({ provider, account, mode, settings, credentials: await entry.credentials() });
}
