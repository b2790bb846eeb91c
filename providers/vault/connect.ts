import { fault } from '../../domain/errors.ts';
import { unknown } from '../../domain/observation.ts';
import type { Secret } from '../../domain/secret.ts';
import type { OwnThing } from '../../domain/self.ts';
import type { AccountConfig, Connection, Look, Looked } from '../contract.ts';
import { type Bench, settingsSchema } from './bench.ts';
import { checkVault } from './check.ts';
import { openVault, type Vault } from './client.ts';
import { distributeSecret } from './distribute-secret.ts';
import { identify } from './identify.ts';
import { silence } from './quiet.ts';
import { stageSecret } from './stage-secret.ts';
import { watchReaders } from './watch-readers.ts';

/**
 * Connects with one server. The account's credentials are `token` and `address` (the address may stand in the settings instead). Sends nothing.
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
  const token = config.credentials.token;
  const address = config.credentials.address?.reveal() ?? settings.data.address;
  if (token === undefined) throw fault('provider.invalid', { account: config.account, because: 'its credentials hold no token' });
  if (address === undefined || !URL.canParse(address)) {
    throw fault('provider.invalid', { account: config.account, because: 'neither credentials nor settings hold an address' });
  }
  const { namespace, timeoutMs, auditLog } = settings.data;
  const open = openVault({ address, token, timeoutMs, ...(namespace === undefined ? {} : { namespace }) });
  const bench: Bench = { open, auditLog, namespace };
  return {
    provider: 'vault',
    account: config.account,
    check: () => checkVault(open(), settings.data),
    self: () => selfOf(open(), token),
    look: (look) => lookAt(open(), config.account, look),
    actions: {
      'stage-secret': stageSecret(bench),
      'distribute-secret': distributeSecret(bench),
      'watch-readers': watchReaders(bench),
    },
    close: async () => undefined,
  };
}

/** Our own token, by the names that a report or a target could have it under; the entity behind it; and the policies it lives by. */
async function selfOf(vault: Vault, token: Secret): Promise<readonly OwnThing[]> {
  const { accessor, entity, policies } = await vault.self();
  const locator = identify(token.reveal())?.credential.locator.sha256;
  return [
    ...(locator ? [{ id: locator, what: 'the engine’s own token, by its SHA-256' }] : []),
    ...(accessor ? [{ id: accessor, what: 'the accessor of the engine’s own token' }] : []),
    ...(entity ? [{ id: entity, what: 'the entity the engine acts as' }] : []),
    ...policies
      .filter((each) => each !== 'default')
      .map((each) => ({ id: `sys/policies/acl/${each}`, what: 'a policy of the engine’s own token' })),
  ];
}

/** No kind of credential is this provider's yet, so every answer is that it is not known; the server's clock is all that is asked for. */
async function lookAt(vault: Vault, account: string, look: Look): Promise<Looked> {
  const { time } = await vault.health();
  const because = `vault has no actions on ${look.credential.kind} yet`;
  const open = unknown(time, 'engine', because);
  return {
    finding: {
      provider: 'vault',
      account,
      providerTime: time,
      ours: open,
      canary: false,
      live: open,
      possession: open,
      privilege: 'unknown',
      graph: { nodes: [], edges: [] },
      descendants: [],
      misuse: open,
      sessions: { maxLifeSeconds: 0 },
      logs: [],
      secretsRead: [],
      seen: [],
      swept: open,
      requestIds: vault.requestIds,
    },
    befores: {},
    evidence: {},
  };
}
