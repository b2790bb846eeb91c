import { denied } from './refusal.ts';
import { asOf, type Policy, type World } from './state.ts';

/** Acting as an account is in none of the basic roles (IAM, "Roles for service account authentication"). */
const impersonation = [
  'iam.serviceAccounts.getAccessToken',
  'iam.serviceAccounts.getOpenIdToken',
  'iam.serviceAccounts.implicitDelegation',
  'iam.serviceAccounts.signBlob',
  'iam.serviceAccounts.signJwt',
];
const predefined: Readonly<Record<string, readonly string[]>> = {
  'roles/iam.serviceAccountTokenCreator': impersonation,
  'roles/iam.serviceAccountOpenIdTokenCreator': ['iam.serviceAccounts.getOpenIdToken'],
  'roles/iam.workloadIdentityUser': ['iam.serviceAccounts.getAccessToken', 'iam.serviceAccounts.getOpenIdToken'],
  'roles/iam.serviceAccountUser': ['iam.serviceAccounts.actAs', 'iam.serviceAccounts.get', 'iam.serviceAccounts.list'],
  'roles/iam.serviceAccountKeyAdmin': ['create', 'delete', 'disable', 'enable', 'get', 'list'].map(
    (verb) => `iam.serviceAccountKeys.${verb}`,
  ),
  'roles/storage.objectViewer': ['storage.objects.get', 'storage.objects.list'],
  'roles/viewer': [
    ...['iam.serviceAccounts.get', 'iam.serviceAccounts.list', 'iam.serviceAccountKeys.get', 'iam.serviceAccountKeys.list'],
    ...['storage.buckets.list', 'storage.hmacKeys.get', 'storage.hmacKeys.list', 'resourcemanager.projects.get', 'logging.logEntries.list'],
  ],
};

function grants(world: World, role: string, permission: string): boolean {
  if (role === 'roles/owner') return !impersonation.includes(permission);
  return (predefined[role] ?? world.roles.get(role) ?? []).includes(permission);
}

function allows(world: World, policy: Policy | undefined, email: string, permission: string): boolean {
  const member = `serviceAccount:${email}`;
  return (policy?.bindings ?? []).some(
    ({ role, members }) => (members.includes(member) || members.includes('allAuthenticatedUsers')) && grants(world, role, permission),
  );
}

/** Whether an account has a permission by the policies as they were one propagation time ago, those of its project and of the account it is asked on. */
export function may(world: World, email: string, permission: string, project: string, onAccount?: string): boolean {
  const at = world.clock.now() - world.settings.policyPropagationMs;
  const projectPolicy = world.projects.get(project)?.policy;
  if (projectPolicy && allows(world, asOf(projectPolicy, at), email, permission)) return true;
  const accountPolicy = onAccount === undefined ? undefined : world.accounts.get(onAccount)?.policy;
  return accountPolicy !== undefined && allows(world, asOf(accountPolicy, at), email, permission);
}

export function demand(world: World, email: string, permission: string, project: string, onAccount?: string): void {
  if (!may(world, email, permission, project, onAccount)) throw denied(permission);
}
