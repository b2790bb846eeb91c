import { createHash } from 'node:crypto';
import { codeOf, fault } from '../../domain/errors.ts';
import type { GithubAccount } from './account.ts';
import type { Calls } from './api.ts';

/** A deploy key as an administrator of the repository sees it. The key itself is public. */
export interface DeployKey {
  readonly repository: string;
  readonly keyId: string;
  readonly title: string;
  readonly fingerprint: string;
  readonly readOnly: boolean;
  readonly addedBy?: string;
  readonly createdAt?: string;
  readonly lastUsed?: string;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

const date = (value: unknown): string | undefined => {
  const at = Date.parse(text(value) ?? '');
  return Number.isNaN(at) ? undefined : new Date(at).toISOString();
};

function keyOf(repository: string, row: unknown): DeployKey | undefined {
  const fields = (row ?? {}) as Readonly<Record<string, unknown>>;
  const { id } = fields;
  if (typeof id !== 'number' && typeof id !== 'bigint') return undefined;
  const body = text(fields.key)?.split(' ')[1] ?? '';
  const addedBy = text(fields.added_by);
  const createdAt = date(fields.created_at);
  const lastUsed = date(fields.last_used);
  return {
    repository,
    keyId: String(id),
    title: text(fields.title) ?? '',
    fingerprint: `SHA256:${createHash('sha256').update(Buffer.from(body, 'base64')).digest('base64').replace(/=+$/, '')}`,
    // A key that does not say so may write.
    readOnly: fields.read_only === true,
    ...(addedBy === undefined ? {} : { addedBy }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(lastUsed === undefined ? {} : { lastUsed }),
  };
}

/** The deploy keys of a repository. Throws `provider.gone` where the repository is not there or may not be seen. */
export async function readKeys(account: GithubAccount, calls: Calls, repository: string): Promise<readonly DeployKey[]> {
  const { rows, whole } = await calls.list('GET /repos/{owner}/{repo}/keys', account.repositoryOf(repository), (data) => {
    const keys = Array.isArray(data) ? data.map((row) => keyOf(repository, row)) : [undefined];
    return keys.every((key) => key !== undefined) ? keys : undefined;
  });
  if (!whole) throw fault('provider.uncertain', { repository, because: 'it has more deploy keys than were read' });
  return rows;
}

/** Deploy keys of all repositories that are to be looked at, and where they could not be read. */
export interface AllKeys {
  readonly keys: readonly DeployKey[];
  readonly read: ReadonlySet<string>;
  readonly gaps: readonly string[];
}

const atOnce = 6;

export async function readAllKeys(account: GithubAccount, calls: Calls, heartbeat: () => void): Promise<AllKeys> {
  const gaps: string[] = [];
  let names: readonly string[];
  try {
    names = account.settings.repositories ?? (await repositoriesOf(account, calls, gaps));
  } catch (error) {
    if (!['provider.gone', 'provider.denied'].includes(codeOf(error))) throw error;
    return { keys: [], read: new Set(), gaps: [`the repositories of ${account.login} cannot be listed`] };
  }
  if (names.length > account.settings.mostRepositories) {
    gaps.push(
      `${names.length - account.settings.mostRepositories} repositories were not looked at: \`mostRepositories\` is ${account.settings.mostRepositories}`,
    );
    names = names.slice(0, account.settings.mostRepositories);
  }
  const keys: DeployKey[] = [];
  const read = new Set<string>();
  const rest = [...names];
  const walk = async () => {
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      heartbeat();
      try {
        keys.push(...(await readKeys(account, calls, name)));
        read.add(name);
      } catch (error) {
        if (!['provider.gone', 'provider.denied', 'provider.uncertain'].includes(codeOf(error))) throw error;
        gaps.push(`the deploy keys of ${name} could not be read`);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, walk));
  return { keys: keys.sort((a, b) => Number(a.keyId) - Number(b.keyId)), read, gaps };
}

async function repositoriesOf(account: GithubAccount, calls: Calls, gaps: string[]): Promise<readonly string[]> {
  const pages = Math.ceil(account.settings.mostRepositories / 100) + 1;
  const { rows, whole } = await calls.list(
    'GET /orgs/{org}/repos',
    { org: account.login, type: 'all' },
    (data) => {
      if (!Array.isArray(data)) return undefined;
      const names = data.map((row) => text((row as { full_name?: unknown } | null)?.full_name));
      return names.every((name) => name !== undefined) ? names : undefined;
    },
    pages,
  );
  if (!whole) gaps.push('not all repositories were listed');
  return rows;
}
