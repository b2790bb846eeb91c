import { fault } from '../../domain/errors.ts';
import type { OwnThing } from '../../domain/self.ts';
import type { AccountConfig, Connection } from '../contract.ts';
import { type Bench, settingsSchema } from './bench.ts';
import { checkVault } from './check.ts';
import { openVault, type Vault } from './client.ts';
import { destroySecretId } from './destroy-secret-id.ts';
import { disableEntity } from './disable-entity.ts';
import { distributeSecret } from './distribute-secret.ts';
import { enableEntity } from './enable-entity.ts';
import { look, type Remembered } from './look.ts';
import { mintSecretId } from './mint-secret-id.ts';
import type { OwnCredential } from './own.ts';
import { silence } from './quiet.ts';
import { revokeLease } from './revoke-lease.ts';
import { revokeToken } from './revoke-token.ts';
import { stageSecret } from './stage-secret.ts';
import { watchReaders } from './watch-readers.ts';

/**
 * Connects with one server. The account's credentials are `address` (which may stand in the settings instead), and `token`, or `roleId` and `secretId` of an AppRole. Sends nothing.
 * Throws `provider.invalid` where settings or credentials are not what they must be.
 */
export async function connect(config: AccountConfig): Promise<Connection> {
  const silenced = silence();
  if (silenced.length > 0) process.stderr.write(`DEBUG: ${silenced.join(', ')} switched off, as they print secrets\n`);
  const settings = settingsSchema.safeParse(config.settings);
  if (!settings.success) {
    const issue = settings.error.issues[0];
    throw fault('provider.invalid', { account: config.account, setting: issue?.path.join('.') ?? '', because: issue?.message ?? '' });
  }
  const { namespace, timeoutMs, auditLog, firstLookMs, appRoleMount, lookupsPerSecond, mostTokens } = settings.data;
  const { token, roleId, secretId } = config.credentials;
  const address = config.credentials.address?.reveal() ?? settings.data.address;
  const own: OwnCredential | undefined =
    token !== undefined
      ? { token, firstLookMs }
      : roleId !== undefined && secretId !== undefined
        ? { roleId, secretId, mount: appRoleMount, firstLookMs }
        : undefined;
  if (own === undefined)
    throw fault('provider.invalid', {
      account: config.account,
      because: 'its credentials hold neither a token nor a role id with a secret id',
    });
  if (address === undefined || !URL.canParse(address)) {
    throw fault('provider.invalid', { account: config.account, because: 'neither credentials nor settings hold an address' });
  }
  const { open, close } = openVault({ address, own, timeoutMs, ...(namespace === undefined ? {} : { namespace }) });
  const remembered: Remembered = new Map();
  const bench: Bench = { account: config.account, open, auditLog, namespace };
  return {
    provider: 'vault',
    account: config.account,
    check: () => checkVault(open(), settings.data),
    self: () => selfOf(open()),
    look: (on) => look(open(), config.account, settings.data, on, remembered),
    actions: {
      'stage-secret': stageSecret(bench),
      'distribute-secret': distributeSecret(bench),
      'watch-readers': watchReaders(bench),
      'mint-secret-id': mintSecretId(bench),
      'disable-entity': disableEntity(bench),
      'enable-entity': enableEntity({ ...bench, lookupsPerSecond, mostTokens }),
      'revoke-token': revokeToken(bench),
      'destroy-secret-id': destroySecretId(bench),
      'revoke-lease': revokeLease(bench),
    },
    close: async () => close(),
  };
}

/** Our own token, by the names that a report or a target could have it under; the entity and the role behind it; and the policies it lives by. */
async function selfOf(vault: Vault): Promise<readonly OwnThing[]> {
  const { accessor, entity, policies, sha256, role, issuedAt } = await vault.self();
  return [
    ...(sha256 ? [{ id: sha256, what: 'the engine’s own token, by its SHA-256' }] : []),
    ...(accessor ? [{ id: accessor, what: 'the accessor of the engine’s own token' }] : []),
    ...(entity ? [{ id: entity, what: 'the entity the engine acts as' }] : []),
    ...(role && issuedAt ? [{ id: `${issuedAt.replace(/\/login$/, '')}/role/${role}`, what: 'the role the engine logs in by' }] : []),
    ...policies
      .filter((each) => each !== 'default')
      .map((each) => ({ id: `sys/policies/acl/${each}`, what: 'a policy of the engine’s own token' })),
  ];
}
