import { Agent } from 'node:http';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  IAMClient,
  ListAccessKeysCommand,
  ListUserPoliciesCommand,
  ListUsersCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { codeOf } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import { AwsControl, type AwsSimulator, type AwsSimulatorOptions, startAwsSimulator } from '../../lab/aws/index.ts';
import { provider } from '../../providers/aws/index.ts';
import type { Connection, StepContext } from '../../providers/contract.ts';

export const timing: StepContext['timing'] = { propagationMs: 150, logLagMs: 200, marginMs: 50, pollMs: 50, giveUpMs: 8_000 };
export const everything = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] });
export const listing = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['secretsmanager:ListSecrets', 'iam:ListUsers', 'sts:*'], Resource: '*' }],
});

export interface Pair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Stock clients of somebody who is not the engine; one try a call. */
export function clientsOf(endpoint: string, credentials: Pair, agent?: string, region = 'us-east-1', address?: string) {
  const config = {
    endpoint,
    region,
    credentials,
    maxAttempts: 1,
    ...(agent ? { customUserAgent: [[agent] as [string]] } : {}),
    // The simulator takes a connection for coming from where the client has bound itself to.
    ...(address ? { requestHandler: { httpAgent: new Agent({ localAddress: address }) } } : {}),
  };
  return { iam: new IAMClient(config), sts: new STSClient(config), secrets: new SecretsManagerClient(config) };
}
export type Clients = ReturnType<typeof clientsOf>;

export function pairOf(
  given: { AccessKeyId?: string | undefined; SecretAccessKey?: string | undefined; SessionToken?: string | undefined } | undefined,
): Pair {
  if (!given?.AccessKeyId || !given.SecretAccessKey) throw new Error('no credentials in the answer');
  return {
    accessKeyId: given.AccessKeyId,
    secretAccessKey: given.SecretAccessKey,
    ...(given.SessionToken ? { sessionToken: given.SessionToken } : {}),
  };
}

/** Polls until it is so; says what it waited for where it never is. */
export async function until<T>(what: string, ask: () => Promise<T>, is: (answer: T) => boolean = Boolean): Promise<T> {
  const end = performance.now() + 15_000;
  for (;;) {
    const answer = await ask();
    if (is(answer)) return answer;
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The error's name, or `ok`. */
export async function outcomeOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return 'ok';
  } catch (error) {
    return error instanceof Error ? error.name : 'unknown';
  }
}

/** A simulated account with an administrator, and the engine's connection to it. */
export interface Practice {
  readonly sim: AwsSimulator;
  readonly control: AwsControl;
  readonly admin: Clients;
  readonly account: string;
  as(pair: Pair, agent?: string): Clients;
  /** The same from a loopback address of its own. */
  from(address: string, pair: Pair): Clients;
  connect(pair?: Pair, settings?: Readonly<Record<string, unknown>>): Promise<Connection>;
  makeUser(name: string, policy?: string): Promise<Pair>;
  makeKey(user: string): Promise<Pair>;
  /** Waits until a key is accepted. */
  alive(pair: Pair): Promise<void>;
  policy(user: string, name: string, document: string): Promise<void>;
  deleteUser(name: string): Promise<void>;
  close(): Promise<void>;
}

export async function practice(options: AwsSimulatorOptions = {}): Promise<Practice> {
  const sim = await startAwsSimulator({
    propagationMs: timing.propagationMs,
    logLagMs: timing.logLagMs,
    regions: ['us-east-1', 'eu-central-1'],
    ...options,
  });
  const admin = clientsOf(sim.endpoint, sim.admin);
  const open: Connection[] = [];
  const as = (pair: Pair, agent?: string) => clientsOf(sim.endpoint, pair, agent);
  const made: Practice = {
    sim,
    control: new AwsControl(sim.control),
    admin,
    account: sim.accountId,
    as,
    from: (address, pair) => clientsOf(sim.endpoint, pair, undefined, 'us-east-1', address),
    async connect(pair = sim.admin, settings = {}) {
      const connection = await provider.connect({
        provider: 'aws',
        account: sim.accountId,
        mode: 'act',
        settings: { endpoint: sim.endpoint, regions: [...sim.regions], signatureRetryMs: 50, ...settings },
        credentials: {
          accessKeyId: new Secret(pair.accessKeyId),
          secretAccessKey: new Secret(pair.secretAccessKey),
          ...(pair.sessionToken ? { sessionToken: new Secret(pair.sessionToken) } : {}),
        },
      });
      open.push(connection);
      return connection;
    },
    async makeUser(name, policy = everything) {
      await admin.iam.send(new CreateUserCommand({ UserName: name }));
      if (policy) await made.policy(name, 'base', policy);
      return await made.makeKey(name);
    },
    async makeKey(user) {
      return pairOf((await admin.iam.send(new CreateAccessKeyCommand({ UserName: user }))).AccessKey);
    },
    async alive(pair) {
      await until(
        'the key is accepted',
        () => outcomeOf(() => as(pair).sts.send(new GetCallerIdentityCommand({}))),
        (said) => said === 'ok',
      );
    },
    async policy(user, name, document) {
      await admin.iam.send(new PutUserPolicyCommand({ UserName: user, PolicyName: name, PolicyDocument: document }));
    },
    async deleteUser(name) {
      const policies = await admin.iam.send(new ListUserPoliciesCommand({ UserName: name }));
      for (const policy of policies.PolicyNames ?? []) {
        await admin.iam.send(new DeleteUserPolicyCommand({ UserName: name, PolicyName: policy }));
      }
      const keys = await admin.iam.send(new ListAccessKeysCommand({ UserName: name }));
      for (const key of keys.AccessKeyMetadata ?? []) {
        await admin.iam.send(new DeleteAccessKeyCommand({ UserName: name, AccessKeyId: key.AccessKeyId }));
      }
      await admin.iam.send(new DeleteUserCommand({ UserName: name }));
    },
    async close() {
      for (const connection of open) await connection.close();
      await sim.close();
    },
  };
  return made;
}

/** One call that a consumer makes and that is let through, with a user agent of its own. */
export async function useKey(world: Practice, pair: Pair, agent: string): Promise<void> {
  const consumer = world.as(pair, agent);
  await until(
    'the consumer’s call is let through',
    () => outcomeOf(() => consumer.iam.send(new ListUsersCommand({}))),
    (said) => said === 'ok',
  );
}

/** The code of the fault that a call is refused with, `ok` where it is not. */
export async function refusalOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    return codeOf(error);
  }
  return 'ok';
}
