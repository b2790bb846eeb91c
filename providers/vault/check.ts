import { stat } from 'node:fs/promises';
import { codeOf, isFault } from '../../domain/errors.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import type { Connection } from '../contract.ts';
import type { VaultSettings } from './bench.ts';
import type { Key, Vault } from './client.ts';
import { manifest } from './manifest.ts';
import { stagingRoot } from './staging.ts';

type Check = Awaited<ReturnType<Connection['check']>>[number];

/** Reachable, unsealed, who we are, mounts, permissions, audit, clock. Changes nothing and never throws: what fails is an answer. */
export async function checkVault(vault: Vault, settings: VaultSettings): Promise<readonly Check[]> {
  const now = (): string => new Date().toISOString();
  const failed = (error: unknown): Observation => unknown(now(), 'administrator', isFault(error) ? error.message : codeOf(error));
  const checks: Check[] = [];
  const add = (what: string, observation: Observation, remedy?: string): void => {
    checks.push({ what, observation, ...(remedy === undefined || observation.state === 'yes' ? {} : { remedy }) });
  };
  const attempt = async (what: string, remedy: string, look: () => Promise<Observation>): Promise<void> => {
    try {
      add(what, await look(), remedy);
    } catch (error) {
      add(what, failed(error), remedy);
    }
  };

  const asked = Date.now();
  let health: Awaited<ReturnType<Vault['health']>>;
  try {
    health = await vault.health();
  } catch (error) {
    add('reachable', failed(error), 'Check the address in the credentials file, and that the server is up.');
    return checks;
  }
  const answered = Date.now();
  add('reachable', yes(now(), 'administrator', `version ${health.version}`));
  add(
    'unsealed',
    health.sealed || !health.initialized
      ? no(now(), 'administrator', 'it is sealed or not initialised')
      : yes(now(), 'administrator', 'unsealed'),
    'Unseal it.',
  );
  add('clock', clock(Date.parse(health.time), asked, answered, now()), 'Set both clocks by NTP.');
  if (health.sealed || !health.initialized) return checks;

  await attempt('identity', 'Give the account a token that is valid.', async () => {
    const self = await vault.self();
    const life = self.expires ? `expires in ${self.ttlSeconds} s unless it is renewed` : 'never expires';
    return yes(now(), 'administrator', `${self.displayName}, policies ${self.policies.join(' ')}, ${life}`);
  });

  for (const mount of settings.mounts) {
    await attempt(`mount ${mount}`, 'Name mounts of KV version 2 that the token may use.', async () => {
      await vault.locate(`${mount}/any`);
      return yes(now(), 'administrator', 'KV version 2');
    });
    await attempt(`mount ${mount} keeps old versions`, 'Keep two versions or more, else no write can be taken back.', async () => {
      const kept = await vault.keepsVersions(mount);
      return kept > 1 ? yes(now(), 'administrator', `${kept} versions`) : no(now(), 'administrator', 'one version only');
    });
  }

  if (settings.paths.length === 0) {
    add('permissions', unknown(now(), 'administrator', 'no paths are named to look at'), 'Name the stores’ paths in `settings.paths`.');
  }
  for (const path of settings.paths) {
    await attempt(`permissions on ${path}`, 'Give the token’s policy what is missing.', async () => {
      const missing = await missingOn(vault, await vault.locate(path));
      return missing.length === 0 ? yes(now(), 'administrator', 'all there') : no(now(), 'administrator', `missing: ${missing.join(', ')}`);
    });
  }

  await attempt('permissions on tokens, secret ids and leases', 'Give the token’s policy what is missing.', async () => {
    const missing = await missingOfKinds(vault);
    return missing.length === 0 ? yes(now(), 'administrator', 'all there') : no(now(), 'administrator', `missing: ${missing.join(', ')}`);
  });

  await attempt('audit device', 'Have an audit device configured, or let the policy read sys/audit (with sudo).', async () => {
    const devices = await vault.auditDevices();
    return devices.length > 0
      ? yes(now(), 'administrator', devices.join(' '))
      : no(now(), 'administrator', 'none: no read will ever be seen');
  });
  add(
    'audit log',
    await auditLog(settings.auditLog, now()),
    'Name in `settings.auditLog` the file of the audit device, readable by this worker.',
  );
  return checks;
}

/** The server's clock is told in whole seconds, so that a difference of up to two cannot be seen. */
function clock(server: number, asked: number, answered: number, at: string): Observation {
  const ahead = server - answered;
  const behind = asked - (server + 1_000);
  const off = Math.max(ahead, behind, 0);
  return off <= 2_000
    ? yes(at, 'administrator', 'within two seconds of ours')
    : no(at, 'administrator', `${Math.round(off / 1_000)} s away from ours`);
}

async function missingOn(vault: Vault, key: Key): Promise<readonly string[]> {
  const staged = `${stagingRoot(key.path)}/any`;
  const needed: Readonly<Record<string, readonly string[]>> = {
    [`${key.mount}/data/${key.path}`]: ['read', 'create', 'update'],
    [`${key.mount}/metadata/${key.path}`]: ['read', 'delete'],
    [`${key.mount}/delete/${key.path}`]: ['update'],
    [`${key.mount}/data/${staged}`]: ['read', 'create', 'update'],
    [`${key.mount}/metadata/${staged}`]: ['read', 'create', 'update', 'delete'],
  };
  const have = await vault.capabilities(Object.keys(needed));
  return Object.entries(needed).flatMap(([path, wanted]) =>
    wanted.filter((one) => !have[path]?.includes(one) && !have[path]?.includes('root')).map((one) => `${one} ${path}`),
  );
}

/** What actions on our own kinds and looks at them want, tried on paths of nobody's: what a policy says of one name it need not say of another. */
async function missingOfKinds(vault: Vault): Promise<readonly string[]> {
  const permissions = [...manifest.actions.flatMap((action) => action.permissions), ...(manifest.reads ?? [])];
  const needed = [...new Set(permissions)].filter((one) => !one.includes('{'));
  const pathOf = (one: string): string => one.slice(one.indexOf(' ') + 1).replace(/[+*]/g, 'any');
  const have = await vault.capabilities([...new Set(needed.map(pathOf))]);
  return needed.filter((one) => {
    const given = have[pathOf(one)] ?? [];
    return !given.includes('root') && !given.includes(one.slice(0, one.indexOf(' ')));
  });
}

async function auditLog(file: string | undefined, at: string): Promise<Observation> {
  if (file === undefined) return unknown(at, 'administrator', 'no file is named: whether consumers have read will stay unknown');
  try {
    const found = await stat(file);
    return found.isFile() ? yes(at, 'administrator', `${found.size} bytes`) : no(at, 'administrator', 'what is named is no file');
  } catch {
    return no(at, 'administrator', 'the file named cannot be read');
  }
}
