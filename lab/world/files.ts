import { join } from 'node:path';
import { stringify } from 'yaml';
import { formatDuration } from '../../domain/duration.ts';
import { callsPerSecond, deployments, fields, region, rereadMs, responder, vaultAccount } from './cast.ts';

/** The folders and files of a practice world, below its directory. Made anew by every start; what else lies there is left alone. */
export function layout(directory: string) {
  const below = (...parts: readonly string[]): string => join(directory, ...parts);
  return {
    directory,
    stack: below('stack.json'),
    configuration: below('tourniquet.yaml'),
    inventory: below('inventory.yaml'),
    policy: below('policy.yaml'),
    people: below('people.yaml'),
    trust: below('trust.yaml'),
    keys: below('keys'),
    passphrase: below('keys', 'passphrase'),
    /** What the practice world itself is made of, secrets and all: the accounts' credentials, the actors, the servers that play the providers. 0700. */
    world: below('world'),
    accounts: below('world', 'accounts'),
    cast: below('world', 'cast'),
    store: below('store'),
    drop: below('store', 'sealed'),
    temporal: below('temporal'),
    openbao: below('world', 'openbao'),
    simulator: below('world', 'aws'),
    logs: below('logs'),
    home: below('home'),
  };
}
export type Layout = ReturnType<typeof layout>;

/** What is made anew at each start; a whole name each, never a pattern. */
export const remade = (paths: Layout): readonly string[] => [
  paths.configuration,
  paths.inventory,
  paths.policy,
  paths.people,
  paths.trust,
  paths.keys,
  paths.world,
  paths.store,
  paths.temporal,
  paths.logs,
];

export interface ConfigurationFacts {
  readonly paths: Layout;
  readonly engine: string;
  readonly root: string;
  readonly temporal: string;
  readonly aws: { readonly endpoint: string; readonly accountId: string; readonly regions: readonly string[] };
  readonly vault: { readonly address: string; readonly auditFile: string };
  readonly timing: { readonly propagationMs: number; readonly logLagMs: number; readonly giveUpMs?: number };
  readonly recheckMs: number;
  /** What is not said is left to the engine. */
  readonly pace?: { readonly heartbeatMs?: number; readonly retryCeilingMs?: number; readonly stuckAfterMs?: number };
  readonly codec: boolean;
  readonly lookUpsPerSecond?: number;
  readonly requestTimeoutMs?: number;
}

/** tourniquet.yaml of the practice world. Two accounts, both in mode `act`. */
export function configurationText(facts: ConfigurationFacts): string {
  const { paths, aws, vault } = facts;
  const { heartbeatMs, retryCeilingMs, stuckAfterMs } = facts.pace ?? {};
  const pace = {
    ...(heartbeatMs === undefined ? {} : { heartbeat: formatDuration(heartbeatMs) }),
    ...(retryCeilingMs === undefined ? {} : { retryCeiling: formatDuration(retryCeilingMs) }),
    ...(stuckAfterMs === undefined ? {} : { stuckAfter: formatDuration(stuckAfterMs) }),
  };
  const timing = { marginMs: 1_000, pollMs: 300, giveUpMs: 60_000, ...facts.timing };
  return `# The practice world's configuration, written by \`tourniquet up\`. It leads to servers on this machine only.\n${stringify({
    v: 1,
    engine: facts.engine,
    temporal: { address: facts.temporal, namespace: 'default' },
    store: { directory: paths.store },
    drop: { directory: paths.drop },
    trust: paths.trust,
    people: paths.people,
    policy: paths.policy,
    inventory: paths.inventory,
    root: facts.root,
    accounts: [
      {
        provider: 'aws',
        account: aws.accountId,
        mode: 'act',
        credentials: join(paths.accounts, 'aws.json'),
        settings: {
          endpoint: aws.endpoint,
          regions: aws.regions,
          timing,
          ...(facts.lookUpsPerSecond === undefined ? {} : { lookUpsPerSecond: facts.lookUpsPerSecond }),
          ...(facts.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: facts.requestTimeoutMs }),
        },
      },
      {
        provider: 'vault',
        account: vaultAccount,
        mode: 'act',
        credentials: join(paths.accounts, 'vault.json'),
        settings: {
          address: vault.address,
          auditLog: vault.auditFile,
          mounts: ['secret'],
          paths: Object.values(deployments).map(({ path }) => path),
          timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 300, giveUpMs: 30_000 },
        },
      },
    ],
    recheck: formatDuration(facts.recheckMs),
    ...(Object.keys(pace).length === 0 ? {} : { pace }),
    codec: { enabled: facts.codec },
  })}`;
}

/** inventory.yaml of the practice world: who uses which of its credentials, and which repositories strangers can read. */
export function inventoryText(accountId: string): string {
  const arn = (user: string): string => `arn:aws:iam::${accountId}:user/${user}`;
  const all = Object.values(deployments);
  return `# The practice world's inventory. Each consumer looks at its store every ${formatDuration(rereadMs)} and makes ${callsPerSecond} calls a second.\n${stringify(
    {
      v: 1,
      stores: all.map(({ store, path, user }) => ({
        id: store,
        provider: 'vault',
        account: vaultAccount,
        path,
        fields,
        principal: arn(user),
      })),
      consumers: all.flatMap(({ store, consumers }) =>
        consumers.map(({ id, name }) => ({
          id,
          name,
          owner: 'team-ci',
          contact: 'team-ci@example.test',
          store,
          overlap: true,
          rereads: formatDuration(rereadMs),
          criticality: 'production',
          networks: ['127.0.0.0/8'],
          seenAs: { userAgent: id },
        })),
      ),
      repositories: all.map(({ repository, variant, owner }) => ({ match: repository, visibility: variant, owner })),
      owners: all.map(({ user, owner }) => ({ principal: arn(user), owner })),
      protected: [arn(responder)],
    },
  )}`;
}

export { region };
