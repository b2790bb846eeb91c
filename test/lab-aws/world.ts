import { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import { CreateAccessKeyCommand, CreateUserCommand, IAMClient, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { STSClient } from '@aws-sdk/client-sts';
import { AwsControl, type AwsSimulator, type AwsSimulatorOptions, startAwsSimulator } from '../../lab/aws/index.ts';

export const everything = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] });
export const nothing = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }] });
export const olderThan = (time: string) =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Deny', Action: ['*'], Resource: ['*'], Condition: { DateLessThan: { 'aws:TokenIssueTime': time } } }],
  });

export interface Pair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** The credentials of an answer, which the SDK types as perhaps absent. */
export function pair(
  c: { AccessKeyId?: string | undefined; SecretAccessKey?: string | undefined; SessionToken?: string | undefined } | undefined,
): Pair {
  if (c?.AccessKeyId === undefined || c.SecretAccessKey === undefined) throw new Error('no credentials in the answer');
  return {
    accessKeyId: c.AccessKeyId,
    secretAccessKey: c.SecretAccessKey,
    ...(c.SessionToken === undefined ? {} : { sessionToken: c.SessionToken }),
  };
}

/** Stock clients, one try a call. */
export function clients(endpoint: string, credentials: Pair, region = 'us-east-1') {
  const config = { endpoint, region, credentials, maxAttempts: 1 };
  return {
    iam: new IAMClient(config),
    sts: new STSClient(config),
    sm: new SecretsManagerClient(config),
    trail: new CloudTrailClient(config),
  };
}
export type Clients = ReturnType<typeof clients>;

/** The error's name, or `ok`. */
export async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'ok';
  } catch (error) {
    return (error as Error).name;
  }
}

/** A simulator with its administrator's clients. Nothing propagates late unless the test asks for it: time is moved, not waited for. */
export async function practice(
  options: AwsSimulatorOptions = {},
): Promise<AwsSimulator & Clients & { ctl: AwsControl; as: (p: Pair) => Clients; [Symbol.asyncDispose](): Promise<void> }> {
  const sim = await startAwsSimulator({ propagationMs: 0, logLagMs: 0, ...options });
  return {
    ...sim,
    ...clients(sim.endpoint, sim.admin),
    ctl: new AwsControl(sim.control),
    as: (p) => clients(sim.endpoint, p),
    [Symbol.asyncDispose]: () => sim.close(),
  };
}

/** A user who may do what the policy says, with a key. */
export async function makeUser(admin: Clients, name: string, policy = everything): Promise<Pair> {
  await admin.iam.send(new CreateUserCommand({ UserName: name }));
  await admin.iam.send(new PutUserPolicyCommand({ UserName: name, PolicyName: 'base', PolicyDocument: policy }));
  return pair((await admin.iam.send(new CreateAccessKeyCommand({ UserName: name }))).AccessKey);
}
