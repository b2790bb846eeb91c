import type { ActionManifest, Part, ProviderManifest } from '../domain/manifest.ts';

/**
 * Least-privilege policies out of manifests. Pure: no file is read and nothing is asked of a provider. `npm run gen` writes what it returns to `permissions/`, `tourniquet connect` prints it, and a test
 * holds it to what the actions really use.
 */

/**
 * What an identity of ours is for. Four as the manifest has them, and `grant`: actions that stop somebody by a call which could as well give somebody more (an inline policy can say anything).
 * They are kept out of `contain`, so that `contain` can be given freely; who has `grant` or `mint` has what an administrator has.
 */
export type PolicyPart = Part | 'grant';
export const policyParts: readonly PolicyPart[] = ['read', 'contain', 'grant', 'mint', 'eradicate'];

const byPhase: Readonly<Record<ActionManifest['phase'], Part>> = {
  contain: 'contain',
  mint: 'mint',
  distribute: 'mint',
  revoke: 'eradicate',
  verify: 'read',
  watch: 'read',
};

/** The part an action belongs to: what its manifest says, else by its phase; `grant` where a call of it could give somebody more and is not what minting and eradicating are for. */
export function partOf(manifest: ProviderManifest, action: ActionManifest): PolicyPart {
  const said = action.part ?? byPhase[action.phase];
  const dialect = dialectOf(manifest.name);
  const grants = action.permissions.some((permission) => dialect.escalates(permission) && !dialect.narrowed(permission));
  const writes = action.permissions.some((permission) => dialect.writesPolicy(permission));
  return (grants && (said === 'read' || said === 'contain')) || writes ? 'grant' : said;
}

/** One statement of a policy: what may be left out of it only together, and the actions that stand on it. */
export interface Statement {
  readonly id: string;
  readonly permissions: readonly string[];
  /** What it is limited to, in the provider's words; `*` where the provider has no narrower. */
  readonly resource: string;
  readonly condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
  /** Names of the actions, and `look` for what the engine reads beside any action. */
  readonly neededBy: readonly string[];
}

/** The policy of one part. */
export interface PartPolicy {
  readonly part: PolicyPart;
  readonly statements: readonly Statement[];
}

/** A system's own way of writing permissions down. */
interface Dialect {
  /** The part's file name ends so. */
  readonly extension: string;
  /** Permissions that everybody has and nobody can be denied; no policy names them. */
  readonly free: readonly string[];
  resource(permission: string): string;
  condition?(permission: string): Statement['condition'];
  /** What is one rule in this language: permissions of one scope are one statement. Without it those with the same scope and the same users are. */
  readonly onePerResource?: boolean;
  /** A call that by itself gives its caller, or anybody, more than they had. */
  escalates(permission: string): boolean;
  /** True where the policy that is written here limits it so that it gives nobody more. */
  narrowed(permission: string): boolean;
  /** True for the writing of policies as text, of which an undo can be made and which no condition can limit. */
  writesPolicy(permission: string): boolean;
  render(manifest: ProviderManifest, policy: PartPolicy): string;
}

/** Splits a manifest's permissions into parts and statements. Parts that need nothing are left out. */
export function policiesOf(manifest: ProviderManifest): readonly PartPolicy[] {
  const dialect = dialectOf(manifest.name);
  return policyParts.flatMap((part) => {
    const needs = new Map<string, Set<string>>();
    const need = (permission: string, by: string) => {
      if (dialect.free.includes(permission)) return;
      needs.set(permission, (needs.get(permission) ?? new Set()).add(by));
    };
    for (const action of manifest.actions)
      if (partOf(manifest, action) === part) for (const permission of action.permissions) need(permission, action.name);
    if (part === 'read') for (const permission of manifest.reads ?? []) need(permission, 'look');
    const groups = new Map<string, string[]>();
    for (const permission of [...needs.keys()].sort()) {
      const users = [...(needs.get(permission) ?? [])].sort().join(' ');
      const scope = `${dialect.resource(permission)}|${JSON.stringify(dialect.condition?.(permission) ?? null)}`;
      const key = dialect.onePerResource ? scope : `${scope}|${users}`;
      groups.set(key, [...(groups.get(key) ?? []), permission]);
    }
    const statements = [...groups.values()].map((permissions): Statement => {
      const [first = ''] = permissions;
      const condition = dialect.condition?.(first);
      return {
        id: idOf(first, permissions.length),
        permissions,
        resource: dialect.resource(first),
        ...(condition ? { condition } : {}),
        neededBy: [...new Set(permissions.flatMap((permission) => [...(needs.get(permission) ?? [])]))].sort(),
      };
    });
    return statements.length === 0 ? [] : [{ part, statements }];
  });
}

/** Letters and digits, as IAM wants them. */
function idOf(permission: string, of: number): string {
  const words = permission
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '')
    .slice(-2)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${words.join('')}${of > 1 ? `And${of - 1}` : ''}`;
}

/** The text of a policy, in the system's own language. `{placeholders}` and `ACCOUNT_ID` in it are for whoever creates it to fill in. */
export function renderPolicy(manifest: ProviderManifest, policy: PartPolicy): string {
  return dialectOf(manifest.name).render(manifest, policy);
}

/** The name of a part's file. */
export function fileOf(manifest: ProviderManifest, part: PolicyPart): string {
  return `${part}${dialectOf(manifest.name).extension}`;
}

/** Permissions of a policy that could give somebody more than they have, without a limit that prevents it. Empty for every generated `contain`. */
export function escalationsOf(provider: string, statements: readonly Pick<Statement, 'permissions' | 'condition'>[]): readonly string[] {
  const dialect = dialectOf(provider);
  return statements.flatMap(({ permissions, condition }) =>
    permissions.filter((permission) => dialect.escalates(permission) && !(condition !== undefined && dialect.narrowed(permission))),
  );
}

/** Why a part is as much as an administrator, in words; undefined where it is not. */
export function administratorBy(manifest: ProviderManifest, policy: PartPolicy): readonly string[] {
  return escalationsOf(manifest.name, policy.statements);
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
const users = (policy: PartPolicy): readonly string[] => [...new Set(policy.statements.flatMap((each) => each.neededBy))].sort();

/**
 * The ways up that are known of IAM: each lets its caller give a principal a policy, a credential, or somebody else's role (Rhino Security Labs' list of 2018 and what followed it). `sts:AssumeRole` and
 * `iam:PassRole` are on it since a policy of ours would name every role.
 */
export const awsEscalations: readonly string[] = [
  'iam:PutUserPolicy',
  'iam:PutRolePolicy',
  'iam:PutGroupPolicy',
  'iam:AttachUserPolicy',
  'iam:AttachRolePolicy',
  'iam:AttachGroupPolicy',
  'iam:DetachUserPolicy',
  'iam:DetachRolePolicy',
  'iam:DetachGroupPolicy',
  'iam:DeleteUserPolicy',
  'iam:DeleteRolePolicy',
  'iam:DeleteGroupPolicy',
  'iam:PutUserPermissionsBoundary',
  'iam:PutRolePermissionsBoundary',
  'iam:DeleteUserPermissionsBoundary',
  'iam:DeleteRolePermissionsBoundary',
  'iam:CreatePolicy',
  'iam:CreatePolicyVersion',
  'iam:SetDefaultPolicyVersion',
  'iam:UpdateAssumeRolePolicy',
  'iam:CreateAccessKey',
  'iam:CreateLoginProfile',
  'iam:UpdateLoginProfile',
  'iam:CreateServiceSpecificCredential',
  'iam:ResetServiceSpecificCredential',
  'iam:UploadSSHPublicKey',
  'iam:UploadSigningCertificate',
  'iam:AddUserToGroup',
  'iam:CreateUser',
  'iam:CreateRole',
  'iam:PassRole',
  'iam:CreateServiceLinkedRole',
  'iam:CreateSAMLProvider',
  'iam:UpdateSAMLProvider',
  'iam:CreateOpenIDConnectProvider',
  'iam:UpdateOpenIDConnectProviderThumbprint',
  'iam:AddClientIDToOpenIDConnectProvider',
  'iam:EnableMFADevice',
  'iam:CreateVirtualMFADevice',
  'sts:AssumeRole',
  'sts:GetFederationToken',
  'lambda:CreateFunction',
  'lambda:UpdateFunctionCode',
  'lambda:UpdateFunctionConfiguration',
  'lambda:AddPermission',
  'lambda:InvokeFunction',
  'ec2:RunInstances',
  'cloudformation:CreateStack',
  'glue:CreateDevEndpoint',
  'glue:UpdateDevEndpoint',
  'datapipeline:CreatePipeline',
  'organizations:UpdatePolicy',
  'organizations:DetachPolicy',
  'organizations:DeletePolicy',
];

const attaching = /^iam:(Attach|Detach)(User|Role)Policy$/;
/** Managed policies that bear our name. They are made once, by hand or by `tourniquet connect`; none of our identities can write one. */
const ourPolicies = 'arn:aws:iam::ACCOUNT_ID:policy/tourniquet-*';
const ourTag = 'tourniquet:under-investigation';

const aws: Dialect = {
  extension: '.json',
  // STS API reference, GetCallerIdentity: no permission is needed, and an explicit deny does not deny it.
  free: ['sts:GetCallerIdentity'],
  // Service Authorization Reference for IAM: what takes a user, a role or a group; the rest is written with `*`.
  resource(permission) {
    const [service, call = ''] = permission.split(':');
    if (service === 'secretsmanager' && !/^(List|BatchGet|GetRandom)/.test(call)) return 'arn:aws:secretsmanager:*:ACCOUNT_ID:secret:*';
    if (service !== 'iam' || /^(ListUsers|ListRoles|ListGroups|GetAccessKeyLastUsed|GetAccount.*|.*CredentialReport)$/.test(call))
      return '*';
    if (/Role/.test(call)) return 'arn:aws:iam::ACCOUNT_ID:role/*';
    if (/Group(?!sForUser)/.test(call)) return 'arn:aws:iam::ACCOUNT_ID:group/*';
    return /User|AccessKey|LoginProfile|SigningCertificate|SSHPublicKey|ServiceSpecificCredential|MFADevice/.test(call)
      ? 'arn:aws:iam::ACCOUNT_ID:user/*'
      : '*';
  },
  condition(permission) {
    if (attaching.test(permission)) return { ArnLike: { 'iam:PolicyARN': ourPolicies } };
    // IAM compares tag keys without regard to case. A tag of somebody's own access rules must not be ours to set.
    if (/^iam:(Tag|Untag)User$/.test(permission)) return { 'ForAllValues:StringEqualsIgnoreCase': { 'aws:TagKeys': [ourTag] } };
    return undefined;
  },
  escalates: (permission) => awsEscalations.includes(permission),
  narrowed: (permission) => attaching.test(permission),
  writesPolicy: (permission) =>
    /^iam:(Put(User|Role|Group)Policy|UpdateAssumeRolePolicy|CreatePolicy(Version)?|SetDefaultPolicyVersion)$/.test(permission),
  render: (_manifest, policy) => json(iamDocument(policy)),
};

/** The IAM policy document of a part. */
export function iamDocument(
  policy: PartPolicy,
  account = 'ACCOUNT_ID',
): {
  readonly Version: string;
  readonly Statement: readonly { readonly Sid: string; readonly Action: readonly string[]; readonly Resource: string }[];
} {
  const filled = <T>(value: T): T => JSON.parse(JSON.stringify(value).replaceAll('ACCOUNT_ID', account)) as T;
  return {
    Version: '2012-10-17',
    Statement: policy.statements.map((each) =>
      filled({
        Sid: each.id,
        Effect: 'Allow',
        Action: each.permissions,
        Resource: each.resource,
        ...(each.condition ? { Condition: each.condition } : {}),
      }),
    ),
  };
}

/**
 * Roles for the parts, as a CloudFormation template: trusted for one principal with an external id, so that no key of ours is stored in the account and nobody who confuses a deputy gets in.
 * `sts:SetSourceIdentity` lets the incident be written into every entry of the log.
 */
export function awsRoles(manifest: ProviderManifest): string {
  const trust = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { AWS: { Ref: 'EngineArn' } },
        Action: ['sts:AssumeRole'],
        Condition: { StringEquals: { 'sts:ExternalId': { Ref: 'ExternalId' } } },
      },
      { Effect: 'Allow', Principal: { AWS: { Ref: 'EngineArn' } }, Action: ['sts:SetSourceIdentity'] },
    ],
  };
  const substituted = (document: ReturnType<typeof iamDocument>) => ({
    ...document,
    Statement: document.Statement.map(
      (each) =>
        JSON.parse(
          JSON.stringify(each).replace(
            /"[^"]*ACCOUNT_ID[^"]*"/g,
            (text) => `{"Fn::Sub":${text.replaceAll('ACCOUNT_ID', '$' + '{AWS::AccountId}')}}`,
          ),
        ) as unknown,
    ),
  });
  const role = (policy: PartPolicy) => ({
    Type: 'AWS::IAM::Role',
    Properties: {
      RoleName: `tourniquet-${policy.part}`,
      MaxSessionDuration: 3600,
      AssumeRolePolicyDocument: trust,
      Policies: [{ PolicyName: `tourniquet-${policy.part}`, PolicyDocument: substituted(iamDocument(policy)) }],
    },
  });
  return json({
    AWSTemplateFormatVersion: '2010-09-09',
    Description: 'Roles of the engine, one for each part. Leave out the parts that this account shall not have done.',
    Parameters: {
      EngineArn: {
        Type: 'String',
        Description: 'The ARN of the role or user that the provider worker of this part runs as, in another account',
      },
      ExternalId: { Type: 'String', NoEcho: true, MinLength: 16, Description: 'As tourniquet connect printed it' },
    },
    Resources: Object.fromEntries(
      policiesOf(manifest).map((policy) => [`${policy.part.charAt(0).toUpperCase()}${policy.part.slice(1)}`, role(policy)]),
    ),
  });
}

/** `capability path`, as the manifests of Vault and OpenBao write it. */
const wordsOf = (permission: string): readonly [string, string] => {
  const at = permission.indexOf(' ');
  return [permission.slice(0, at), permission.slice(at + 1)];
};

const onlyDisabling = /^update identity\/entity\/id\//;

const vault: Dialect = {
  extension: '.hcl',
  free: [],
  resource: (permission) => wordsOf(permission)[1],
  onePerResource: true,
  // A writer of policies, roles, mounts, tokens or identities can give itself anything; sudo opens root-protected paths, of which listing accessors, leases and devices are not a way up.
  escalates(permission) {
    const [capability, path] = wordsOf(permission);
    const writes = /^(create|update|patch|sudo)$/.test(capability);
    if (/^\*|^sys\/\*|^auth\/\*|^identity\/\*|^\+\/?\*?$/.test(path)) return writes;
    if (/^sys\/(policy|policies|auth|mounts|remount|namespaces|generate-root|rekey|raw|plugins|config|quotas)(\/|$)/.test(path))
      return writes;
    if (/^auth\/token\/create/.test(path)) return writes;
    if (
      /^auth\/[^/]+\/(role|users?|groups?|map|config|certs|sts|roles)(\/|$)/.test(path) &&
      !/secret-id-accessor\/(lookup|destroy)/.test(path)
    )
      return writes;
    // A writer of an entity gives it any policy, unless all it may send is whether it is disabled.
    if (/^identity\/(entity(\/|$)|group|entity-alias|group-alias|oidc)(\/|$)/.test(path)) return writes;
    return /^(sys\/auth|sys\/policy)/.test(path) && capability === 'sudo';
  },
  narrowed: (permission) => onlyDisabling.test(permission),
  condition: (permission) =>
    /^identity\/entity\/id\//.test(wordsOf(permission)[1]) ? { allowed_parameters: { disabled: [] } } : undefined,
  writesPolicy: (permission) => /^(create|update|patch) sys\/polic(y|ies)\//.test(permission),
  render: (manifest, policy) =>
    [
      `# ${manifest.title}: ${policy.part}. Made by \`npm run gen\` from providers/${manifest.name}/manifest.ts.`,
      '# {placeholders} are for you to fill in; where a block has {path}, write one for each store of the inventory.',
      '',
      ...policy.statements.flatMap(({ permissions, resource, condition, neededBy }) => [
        `# ${neededBy.join(', ')}`,
        `path "${resource}" {`,
        `  capabilities = [${permissions
          .map((each) => `"${wordsOf(each)[0]}"`)
          .sort()
          .join(', ')}]`,
        ...Object.entries((permissions.some((each) => onlyDisabling.test(each)) ? condition : undefined) ?? {}).map(
          ([limit, members]) =>
            `  ${limit} = { ${Object.entries(members)
              .map(([name, values]) => `"${name}" = ${JSON.stringify(values)}`)
              .join(', ')} }`,
        ),
        '}',
        '',
      ]),
    ].join('\n'),
};

/** The known ways up in Google Cloud: whoever can set a policy, act as an account or make a credential for one has all that it has (Google Cloud, "Privilege escalation" detections; Rhino Security Labs, 2020). */
export const gcpEscalations: readonly RegExp[] = [
  /\.setIamPolicy$/,
  /^iam\.serviceAccountKeys\.(create|upload)$/,
  /^iam\.serviceAccounts\.(actAs|getAccessToken|getOpenIdToken|implicitDelegation|signBlob|signJwt|create)$/,
  /^iam\.roles\.(create|update|undelete)$/,
  /^(storage\.hmacKeys\.create|apikeys\.keys\.create|serviceusage\.apiKeys\.create)$/,
  /^(deploymentmanager\.deployments\.create|cloudbuild\.builds\.create|cloudscheduler\.jobs\.create|orgpolicy\.policy\.set)$/,
  /^(cloudfunctions\.functions|run\.services|compute\.instances)\.(create|update|setServiceAccount|setMetadata)$/,
  /^iam\.denypolicies\.(delete|update)$/,
];

const gcp: Dialect = {
  extension: '.yaml',
  free: [],
  resource: () => 'the project, or the service accounts by name',
  escalates: (permission) => gcpEscalations.some((each) => each.test(permission)),
  narrowed: () => false,
  writesPolicy: (permission) => /\.setIamPolicy$/.test(permission),
  render: (manifest, policy) =>
    [
      `# ${manifest.title}: ${policy.part}. Made by \`npm run gen\` from providers/${manifest.name}/manifest.ts.`,
      `title: Tourniquet ${policy.part}`,
      `description: ${JSON.stringify(`For ${users(policy).join(', ')}`.slice(0, 250))}`,
      'stage: GA',
      'includedPermissions:',
      ...policy.statements.flatMap(({ permissions, neededBy }) => [`# ${neededBy.join(', ')}`, ...permissions.map((each) => `- ${each}`)]),
      '',
    ].join('\n'),
};

const levels = ['read', 'write', 'admin'] as const;

const github: Dialect = {
  extension: '.json',
  free: [],
  resource: (permission) => permission.split(':')[0] ?? permission,
  onePerResource: true,
  // Who writes workflows, members, secrets, keys or other administration of a repository runs code with its secrets, or lets somebody in.
  escalates: (permission) =>
    /^(administration|contents|workflows|members|organization_administration|secrets|organization_secrets|environments|actions|organization_custom_roles|repository_hooks|organization_hooks|organization_self_hosted_runners|keys|git_ssh_keys):(write|admin)$/.test(
      permission,
    ),
  narrowed: () => false,
  writesPolicy: () => false,
  render: (manifest, policy) =>
    json({
      name: `tourniquet-${policy.part}`,
      description: `${manifest.title}: for ${users(policy).join(', ')}`,
      public: false,
      default_events: [],
      default_permissions: Object.fromEntries(
        policy.statements.map(({ resource, permissions }) => [
          resource,
          permissions
            .map((each) => each.split(':')[1] ?? 'read')
            .reduce((most, each) => (levels.indexOf(each as 'read') > levels.indexOf(most as 'read') ? each : most)),
        ]),
      ),
    }),
};

/** For a system whose language is not known here: its words as its manifest has them. */
const plain: Dialect = {
  extension: '.json',
  free: [],
  resource: () => '*',
  escalates: () => false,
  narrowed: () => false,
  writesPolicy: () => false,
  render: (manifest, policy) =>
    json({
      provider: manifest.name,
      part: policy.part,
      permissions: Object.fromEntries(
        policy.statements.flatMap(({ permissions, neededBy }) => permissions.map((each) => [each, neededBy])),
      ),
    }),
};

const dialects: Readonly<Record<string, Dialect>> = { aws, vault, gcp, github };
/** True where it is known which permissions of a system could give somebody more; of others the docs say that nobody has looked. */
export const knowsEscalation = (provider: string): boolean => Object.hasOwn(dialects, provider);
const dialectOf = (provider: string): Dialect => (Object.hasOwn(dialects, provider) ? (dialects[provider] as Dialect) : plain);
