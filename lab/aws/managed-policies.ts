import type { State } from './state.ts';

const document = (...statements: object[]): string => JSON.stringify({ Version: '2012-10-17', Statement: statements });
const allow = (...actions: string[]) => ({ Effect: 'Allow', Action: actions, Resource: '*' });
const deny = (...actions: string[]) => ({ Effect: 'Deny', Action: actions, Resource: '*' });

/** Actions that AWS's own quarantine denies: a list of what is commonly abused, by no means everything. */
const quarantined = [
  'iam:AttachGroupPolicy',
  'iam:AttachRolePolicy',
  'iam:AttachUserPolicy',
  'iam:ChangePassword',
  'iam:CreateAccessKey',
  'iam:CreateLoginProfile',
  'iam:CreateRole',
  'iam:CreateUser',
  'iam:DetachUserPolicy',
  'iam:PutGroupPolicy',
  'iam:PutUserPermissionsBoundary',
  'iam:PutUserPolicy',
  'iam:UpdateAccessKey',
  'iam:UpdateAssumeRolePolicy',
  'iam:UpdateLoginProfile',
  'ec2:RunInstances',
  'lambda:CreateFunction',
  'organizations:CreateAccount',
];

/** Stand-ins for policies that AWS manages: right in effect for the services simulated here, much shorter than the real ones. */
const documents: Readonly<Record<string, string>> = {
  AdministratorAccess: document(allow('*')),
  PowerUserAccess: document({ Effect: 'Allow', NotAction: ['iam:*', 'organizations:*', 'account:*'], Resource: '*' }),
  ReadOnlyAccess: document(
    allow(
      'iam:Get*',
      'iam:List*',
      'iam:Simulate*',
      'sts:GetAccessKeyInfo',
      'secretsmanager:List*',
      'secretsmanager:Describe*',
      'cloudtrail:Describe*',
      'cloudtrail:Get*',
      'cloudtrail:List*',
      'cloudtrail:LookupEvents',
      'organizations:Describe*',
      'organizations:List*',
    ),
  ),
  IAMFullAccess: document(allow('iam:*', 'organizations:DescribeOrganization', 'organizations:ListPolicies')),
  IAMReadOnlyAccess: document(allow('iam:Get*', 'iam:List*', 'iam:Simulate*')),
  SecretsManagerReadWrite: document(allow('secretsmanager:*')),
  AWSDenyAll: document(deny('*')),
  AWSCompromisedKeyQuarantineV2: document(deny(...quarantined)),
  AWSCompromisedKeyQuarantineV3: document(deny(...quarantined, 'secretsmanager:GetSecretValue', 'sts:GetFederationToken')),
};

const prefix = 'arn:aws:iam::aws:policy/';

/** The names of the policies that AWS manages. */
export const awsManaged: readonly string[] = Object.keys(documents).map((name) => prefix + name);

/** The text of a managed policy, AWS's or the account's own. */
export function managedDocument(state: State, arn: string): string | undefined {
  const name = arn.slice(prefix.length);
  if (arn.startsWith(prefix)) return Object.hasOwn(documents, name) ? documents[name] : undefined;
  return state.tables.managedPolicies.get(arn)?.document;
}
