import sodium from 'libsodium-wrappers';
import { isInstallation, type Need, repositoryFor, sees, tokenOf } from './access.ts';
import { type Answer, actorOf, type Call, iso, nothing, ok, page, type Route } from './call.ts';
import { notFound, unprocessable } from './refusal.ts';
import type { DeployKey, Repository, SecretRow, Shelf, SshKey } from './state.ts';
import { fingerprintOf, madeBy } from './world.ts';

const administration = (level: Need['level']): Need => ({ permission: 'administration', level, scope: 'repo' });
const secrets = (level: Need['level']): Need => ({ permission: 'secrets', level, scope: 'repo' });
const environments = (level: Need['level']): Need => ({ permission: 'environments', level, scope: 'repo' });
const hooks = (level: Need['level']): Need => ({ permission: 'repository_hooks', level, scope: 'admin:repo_hook' });

const repository = (call: Call, need?: Need): Repository =>
  repositoryFor(call.world, call.caller, call.path.owner ?? '', call.path.repo ?? '', need);

const repositoryRow = (row: Repository) => ({
  id: row.id,
  name: row.name,
  full_name: `${row.owner}/${row.name}`,
  owner: { login: row.owner },
  private: row.private,
  visibility: row.private ? 'private' : 'public',
  html_url: `https://github.com/${row.owner}/${row.name}`,
});

const keyRow = (key: DeployKey) => ({
  id: key.id,
  key: key.key,
  title: key.title,
  verified: true,
  created_at: iso(key.createdAt),
  read_only: key.readOnly,
  added_by: key.addedBy,
  last_used: key.lastUsedAt === undefined ? null : iso(key.lastUsedAt),
  enabled: true,
});

const sshRow = (key: SshKey) => ({ id: key.id, key: key.key, title: key.title, created_at: iso(key.createdAt), verified: true });

function publicKeyIn(call: Call): { readonly key: string; readonly title: string } {
  const { key, title } = call.body;
  if (typeof key !== 'string' || !/^(ssh-ed25519|ssh-rsa|ecdsa-sha2-\S+) [A-Za-z0-9+/]{32,}={0,2}( .*)?$/.test(key)) {
    throw unprocessable('key is invalid. You must supply a key in OpenSSH public key format');
  }
  return { key, title: typeof title === 'string' ? title : '' };
}

const deployKeys: readonly Route[] = [
  {
    name: 'GET /repos/{owner}/{repo}/keys',
    permission: 'administration:read',
    run: (call) => page(call, [...repository(call, administration('read')).keys.values()].map(keyRow)),
  },
  {
    name: 'POST /repos/{owner}/{repo}/keys',
    permission: 'administration:write',
    run: (call) => {
      const row = repository(call, administration('write'));
      const { key, title } = publicKeyIn(call);
      if ([...call.world.state.repositories.values()].some((each) => [...each.keys.values()].some((other) => other.key === key)))
        throw unprocessable('key is already in use');
      const token = tokenOf(call.caller);
      const made: DeployKey = {
        id: call.world.state.id(),
        key,
        title,
        readOnly: call.body.read_only === true,
        addedBy: token.login ?? 'app[bot]',
        createdAt: call.world.clock.now(),
        by: madeBy(token),
      };
      row.keys.set(made.id, made);
      call.world.audit([row.owner], 'public_key.create', actorOf(call), {
        repo: `${row.owner}/${row.name}`,
        repo_id: row.id,
        fingerprint: fingerprintOf(key),
        title,
        read_only: String(made.readOnly),
      });
      call.changed = true;
      return ok(keyRow(made), 201);
    },
  },
  {
    name: 'GET /repos/{owner}/{repo}/keys/{key_id}',
    permission: 'administration:read',
    run: (call) => {
      const key = repository(call, administration('read')).keys.get(Number(call.path.key_id));
      if (key === undefined) throw notFound();
      return ok(keyRow(key));
    },
  },
  {
    name: 'DELETE /repos/{owner}/{repo}/keys/{key_id}',
    permission: 'administration:write',
    run: (call) => {
      const row = repository(call, administration('write'));
      const key = row.keys.get(Number(call.path.key_id));
      if (key === undefined) throw notFound();
      row.keys.delete(key.id);
      call.world.audit([row.owner], 'public_key.delete', actorOf(call), {
        repo: `${row.owner}/${row.name}`,
        fingerprint: fingerprintOf(key.key),
        title: key.title,
      });
      call.changed = true;
      return nothing;
    },
  },
];

const secretRow = (row: SecretRow) => ({ name: row.name, created_at: iso(row.createdAt), updated_at: iso(row.updatedAt) });

/** The same five calls for the secrets of a repository and of one of its environments. */
function secretRoutes(
  base: string,
  of: string,
  _need: (level: Need['level']) => Need,
  shelf: (call: Call, level: Need['level']) => Shelf,
): Route[] {
  const named = (call: Call, level: Need['level']): readonly [Shelf, SecretRow] => {
    const place = shelf(call, level);
    const row = place.secrets.get((call.path.secret_name ?? '').toUpperCase());
    if (row === undefined) throw notFound();
    return [place, row];
  };
  return [
    {
      name: `GET ${base}/secrets`,
      permission: `${of}:read`,
      run: (call) => {
        const rows = [...shelf(call, 'read').secrets.values()].map(secretRow);
        return page(call, rows, (list) => ({ total_count: rows.length, secrets: list }));
      },
    },
    {
      name: `GET ${base}/secrets/public-key`,
      permission: `${of}:read`,
      run: (call) => {
        const place = shelf(call, 'read');
        return ok({ key_id: place.keyId, key: Buffer.from(place.publicKey).toString('base64') });
      },
    },
    { name: `GET ${base}/secrets/{secret_name}`, permission: `${of}:read`, run: (call) => ok(secretRow(named(call, 'read')[1])) },
    {
      name: `PUT ${base}/secrets/{secret_name}`,
      permission: `${of}:write`,
      run: (call) => {
        const place = shelf(call, 'write');
        const name = (call.path.secret_name ?? '').toUpperCase();
        if (!/^(?!GITHUB_)[A-Z_][A-Z0-9_]*$/.test(name)) throw unprocessable('secret names may hold letters, digits and underscores');
        const { encrypted_value: sealed, key_id: keyId } = call.body;
        if (typeof sealed !== 'string' || typeof keyId !== 'string') throw unprocessable('encrypted_value and key_id are needed');
        if (keyId !== place.keyId) throw unprocessable('key_id is not that of the current public key');
        const value = opened(place, sealed);
        const now = call.world.clock.now();
        const there = place.secrets.get(name);
        place.secrets.set(name, { name, value, createdAt: there?.createdAt ?? now, updatedAt: now });
        call.world.audit(
          [call.path.owner ?? ''],
          `${of === 'environments' ? 'environment' : 'repo'}.${there ? 'update' : 'create'}_actions_secret`,
          actorOf(call),
          {
            repo: `${call.path.owner}/${call.path.repo}`,
            key: name,
          },
        );
        call.changed = true;
        return there ? nothing : ok({}, 201);
      },
    },
    {
      name: `DELETE ${base}/secrets/{secret_name}`,
      permission: `${of}:write`,
      run: (call) => {
        const [place, row] = named(call, 'write');
        place.secrets.delete(row.name);
        call.changed = true;
        return nothing;
      },
    },
  ];
}

/** What a sealed box holds; GitHub refuses what it cannot open. */
function opened(place: Shelf, sealed: string): string {
  try {
    const bytes = Buffer.from(sealed, 'base64');
    if (bytes.toString('base64') !== sealed) throw new Error('not base64');
    return Buffer.from(sodium.crypto_box_seal_open(bytes, place.publicKey, place.privateKey)).toString();
  } catch {
    throw unprocessable('encrypted_value is not a box that is sealed to the public key');
  }
}

const environmentOf = (call: Call, level: Need['level']): Shelf => {
  const place = repository(call, environments(level)).environments.get(call.path.environment_name ?? '');
  if (place === undefined) throw notFound();
  return place;
};

export const repositoryRoutes: readonly Route[] = [
  { name: 'GET /repos/{owner}/{repo}', permission: 'metadata:read', run: (call) => ok(repositoryRow(repository(call))) },
  {
    name: 'GET /orgs/{org}/repos',
    permission: 'metadata:read',
    run: (call) => {
      const org = call.world.state.orgs.get((call.path.org ?? '').toLowerCase());
      if (org === undefined) throw notFound();
      const rows = [...call.world.state.repositories.values()].filter(
        (row) => row.owner === org.login && sees(call.world, call.caller, row),
      );
      return page(call, rows.map(repositoryRow));
    },
  },
  {
    name: 'GET /installation/repositories',
    permission: 'metadata:read',
    run: (call) => {
      if (!isInstallation(call.caller)) throw notFound();
      const account = call.world.state.installations.get(tokenOf(call.caller).installationId ?? -1)?.account;
      const rows = [...call.world.state.repositories.values()].filter((row) => row.owner === account).map(repositoryRow);
      return page(call, rows, (list) => ({ total_count: rows.length, repositories: list }));
    },
  },
  ...deployKeys,
  {
    name: 'GET /repos/{owner}/{repo}/actions/runs',
    permission: 'actions:read',
    run: (call) => {
      const row = repository(call, { permission: 'actions', level: 'read', scope: 'repo' });
      const runs = [...call.world.state.jobs.values()].filter((job) => job.repository === `${row.owner}/${row.name}`).reverse();
      const rows = runs.map((job) => ({
        id: job.id,
        name: job.workflow,
        path: `.github/workflows/${job.workflow}.yml`,
        status: job.over ? 'completed' : 'in_progress',
        conclusion: job.over ? 'success' : null,
        created_at: iso(job.startedAt),
        run_started_at: iso(job.startedAt),
      }));
      return page(call, rows, (list) => ({ total_count: rows.length, workflow_runs: list }));
    },
  },
  {
    name: 'GET /repos/{owner}/{repo}/hooks',
    permission: 'repository_hooks:read',
    run: (call) =>
      page(
        call,
        [...repository(call, hooks('read')).hooks.values()].map(({ id, url }) => ({ id, config: { url } })),
      ),
  },
  {
    name: 'POST /repos/{owner}/{repo}/hooks',
    permission: 'repository_hooks:write',
    run: (call): Answer => {
      const row = repository(call, hooks('write'));
      const url = (call.body.config as { url?: unknown } | undefined)?.url;
      if (typeof url !== 'string' || !URL.canParse(url)) throw unprocessable('config.url is missing');
      const hook = { id: call.world.state.id(), url, by: madeBy(tokenOf(call.caller)) };
      row.hooks.set(hook.id, hook);
      call.world.audit([row.owner], 'hook.create', actorOf(call), { repo: `${row.owner}/${row.name}`, hook_id: hook.id });
      call.changed = true;
      return ok({ id: hook.id, config: { url } }, 201);
    },
  },
  {
    name: 'DELETE /repos/{owner}/{repo}/hooks/{hook_id}',
    permission: 'repository_hooks:write',
    run: (call) => {
      if (!repository(call, hooks('write')).hooks.delete(Number(call.path.hook_id))) throw notFound();
      call.changed = true;
      return nothing;
    },
  },
  {
    name: 'GET /user/keys',
    permission: 'git_ssh_keys:read',
    run: (call) => {
      const { login } = tokenOf(call.caller);
      return page(call, [...call.world.state.sshKeys.values()].filter((key) => key.login === login).map(sshRow));
    },
  },
  {
    name: 'POST /user/keys',
    permission: 'git_ssh_keys:write',
    run: (call) => {
      const token = tokenOf(call.caller);
      if (token.login === undefined || !token.scopes.some((scope) => /^(admin|write):public_key$/.test(scope))) throw notFound();
      const { key, title } = publicKeyIn(call);
      const made: SshKey = {
        id: call.world.state.id(),
        login: token.login,
        key,
        title,
        createdAt: call.world.clock.now(),
        by: madeBy(token),
      };
      call.world.state.sshKeys.set(made.id, made);
      call.world.audit(call.world.orgsOf(token), 'public_key.create', actorOf(call), {
        user: token.login,
        fingerprint: fingerprintOf(key),
        title,
      });
      call.changed = true;
      return ok(sshRow(made), 201);
    },
  },
  ...secretRoutes('/repos/{owner}/{repo}/actions', 'secrets', secrets, (call, level) => repository(call, secrets(level)).shelf),
  ...secretRoutes('/repos/{owner}/{repo}/environments/{environment_name}', 'environments', environments, environmentOf),
];
