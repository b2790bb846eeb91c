import { setTimeout as wait } from 'node:timers/promises';
import { CreateAccessKeyCommand, CreateUserCommand, IAMClient, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { CreateSecretCommand, ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { fault } from '../../domain/errors.ts';
import { deployments, region, responder, type Variant } from './cast.ts';

/** A pair as IAM made it. */
export interface KeyPair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface AwsPlace {
  readonly endpoint: string;
  readonly accountId: string;
  readonly admin: KeyPair;
}

/** What {@link provisionAws} made. The pairs are the lab's: they open a simulator and nothing else. */
export interface AwsWorld {
  readonly responder: KeyPair;
  readonly deployers: Readonly<Record<Variant, KeyPair>>;
}

const allow = (statements: readonly { readonly actions: readonly string[]; readonly resource: string | readonly string[] }[]): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: statements.map(({ actions, resource }) => ({ Effect: 'Allow', Action: actions, Resource: resource })),
  });

/** What the engine needs to contain, replace and watch a user's keys, to mark the user, and to cut off the sessions of roles that it assumed, and no more: providers' reference, appendix B, as far as its actions go. */
export function responderPolicy(accountId: string): string {
  const users = `arn:aws:iam::${accountId}:user/*`;
  const roles = `arn:aws:iam::${accountId}:role/*`;
  return allow([
    {
      actions: [
        'iam:GetUser',
        'iam:ListAccessKeys',
        'iam:ListUserPolicies',
        'iam:GetUserPolicy',
        'iam:ListAttachedUserPolicies',
        'iam:ListGroupsForUser',
        'iam:ListMFADevices',
        'iam:ListServiceSpecificCredentials',
        'iam:ListSigningCertificates',
        'iam:ListSSHPublicKeys',
        'iam:ListUserTags',
        'iam:GetLoginProfile',
      ],
      resource: users,
    },
    {
      actions: [
        'iam:UpdateAccessKey',
        'iam:PutUserPolicy',
        'iam:DeleteUserPolicy',
        'iam:CreateAccessKey',
        'iam:DeleteAccessKey',
        'iam:UpdateServiceSpecificCredential',
        'iam:DeleteServiceSpecificCredential',
        'iam:UpdateSigningCertificate',
        'iam:DeleteSigningCertificate',
        'iam:UpdateSSHPublicKey',
        'iam:DeleteSSHPublicKey',
        'iam:DeleteLoginProfile',
        'iam:TagUser',
        'iam:UntagUser',
      ],
      resource: users,
    },
    { actions: ['iam:GetRole', 'iam:GetRolePolicy', 'iam:PutRolePolicy', 'iam:DeleteRolePolicy'], resource: roles },
    {
      actions: [
        'iam:GetAccessKeyLastUsed',
        'iam:ListUsers',
        'iam:SimulatePrincipalPolicy',
        'iam:GetPolicy',
        'iam:GetPolicyVersion',
        'iam:ListGroupPolicies',
        'iam:GetGroupPolicy',
        'iam:ListAttachedGroupPolicies',
        'sts:GetAccessKeyInfo',
        'sts:GetCallerIdentity',
        'cloudtrail:LookupEvents',
        'ec2:DescribeRegions',
      ],
      resource: '*',
    },
  ]);
}

/** What a deployer was given over the years: its work, and two rights that nobody took away again. They are what makes its leak worth a thief's time. */
export function deployerPolicy(accountId: string, user: string): string {
  return allow([
    { actions: ['secretsmanager:ListSecrets', 'secretsmanager:DescribeSecret'], resource: '*' },
    { actions: ['sts:GetFederationToken'], resource: '*' },
    { actions: ['iam:CreateAccessKey', 'iam:ListAccessKeys', 'iam:GetUser'], resource: `arn:aws:iam::${accountId}:user/${user}` },
  ]);
}

/** Fills a fresh account by the public API: the engine's own user, the deployers with a key each, and secrets worth listing. */
export async function provisionAws(place: AwsPlace): Promise<AwsWorld> {
  const settings = { endpoint: place.endpoint, region, credentials: place.admin };
  const iam = new IAMClient(settings);
  const secrets = new SecretsManagerClient(settings);
  const user = async (name: string, policyName: string, document: string): Promise<KeyPair> => {
    await iam.send(new CreateUserCommand({ UserName: name }));
    await iam.send(new PutUserPolicyCommand({ UserName: name, PolicyName: policyName, PolicyDocument: document }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: name }));
    if (!AccessKey?.AccessKeyId || !AccessKey.SecretAccessKey)
      throw fault('stack.failed', { part: 'simulator', problem: `no key for ${name}` });
    return { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
  };
  try {
    const deployer = (variant: Variant) => {
      const { user: name } = deployments[variant];
      return user(name, 'deploy', deployerPolicy(place.accountId, name));
    };
    const [own, internal, open] = await Promise.all([
      user(responder, 'respond', responderPolicy(place.accountId)),
      deployer('internal'),
      deployer('public'),
      ...['prod/database', 'prod/payments', 'staging/database'].map((name) =>
        secrets.send(new CreateSecretCommand({ Name: name, SecretString: `practice value of ${name}` })),
      ),
    ]);
    return { responder: own, deployers: { internal, public: open } };
  } finally {
    iam.destroy();
    secrets.destroy();
  }
}

/** Resolves once AWS knows a deployer's pair and its policy: a new key and a new policy take the propagation time. Throws `stack.failed` after a minute. */
export async function untilAccepted(place: Pick<AwsPlace, 'endpoint'>, pair: KeyPair): Promise<void> {
  const client = new SecretsManagerClient({ endpoint: place.endpoint, region, credentials: pair, maxAttempts: 1 });
  const until = Date.now() + 60_000;
  try {
    for (;;) {
      try {
        await client.send(new ListSecretsCommand({ MaxResults: 1 }));
        return;
      } catch (cause) {
        if (Date.now() > until) throw fault('stack.failed', { part: 'simulator', problem: 'a new key is not accepted' }, cause);
        await wait(100);
      }
    }
  } finally {
    client.destroy();
  }
}
