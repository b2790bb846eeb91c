import type { GcpAccount } from './account.ts';
import type { Calls } from './api.ts';
import { activity, type LogEvent, quoted, readLog } from './log.ts';

interface Policy {
  readonly bindings?: readonly { readonly role?: string; readonly members?: readonly string[] }[];
  readonly auditConfigs?: readonly {
    readonly service?: string;
    readonly auditLogConfigs?: readonly { readonly logType?: string; readonly exemptedMembers?: readonly string[] }[];
  }[];
}

/** Roles that let their holder act as an account they are given on, or make a credential of it, or give itself that. */
const impersonating = new Set([
  'roles/owner',
  'roles/editor',
  'roles/iam.securityAdmin',
  'roles/iam.serviceAccountAdmin',
  'roles/iam.serviceAccountKeyAdmin',
  'roles/iam.serviceAccountOpenIdTokenCreator',
  'roles/iam.serviceAccountTokenCreator',
  'roles/iam.serviceAccountUser',
  'roles/iam.workloadIdentityUser',
]);

/** A role of somebody's own making may hold any permission, and is counted as if it did: what it holds is not read here. */
function mayImpersonate(role: string): boolean {
  return impersonating.has(role) || !role.startsWith('roles/') || (role.startsWith('roles/iam.') && !/viewer$/i.test(role));
}

/** Groups, domains and everybody: who is among them is not known here, so that anybody may be. */
const isMember = (member: string, email: string): boolean =>
  member === `serviceAccount:${email}` || /^(allUsers|allAuthenticatedUsers|group:|domain:|principalSet:)/.test(member);

/** The roles that an account has by a policy, those by a group or by everybody's apart. */
export function rolesOf(policy: Policy | undefined, email: string): readonly string[] {
  return (policy?.bindings ?? []).filter(({ members }) => members?.includes(`serviceAccount:${email}`)).map(({ role }) => role ?? '');
}

/** Calls by which one account acts as another. What is signed is as good as a token, since the token endpoint takes it. */
const minting = ['GenerateAccessToken', 'GenerateIdToken', 'SignJwt', 'SignBlob'];

/** An account that a leak reaches, and how that is known. */
export interface Reached {
  readonly email: string;
  /** Who acted, or could act, as it. */
  readonly from: string;
  /** `seen`: the log shows the mint. `possible`: the policies allow it, and no log would show it. */
  readonly how: 'seen' | 'possible';
  readonly event?: LogEvent;
  readonly evidence: string;
}

/** All that was found out of what a leak made, and what could not be. */
export interface Walk {
  readonly reached: readonly Reached[];
  /** What was made by Admin Activity calls of the reached accounts, the newest first. */
  readonly events: readonly LogEvent[];
  readonly calls: readonly LogEvent[];
  readonly policy: Policy | undefined;
  /** Whether mints by impersonation can be seen at all, and if not, why. */
  readonly visible: { readonly so: boolean; readonly why: string };
  readonly gaps: readonly string[];
}

export async function readProjectPolicy(account: GcpAccount, calls: Calls): Promise<Policy> {
  return await calls.read<Policy>('resourcemanager.projects.getIamPolicy', ({ request }) =>
    request('cloudresourcemanager.googleapis.com', 'POST', `/v3/projects/${account.project}:getIamPolicy`, { body: {} }),
  );
}

/** No more accounts than that are followed; beyond it a person has to look. */
const mostAccounts = 200;

/**
 * Follows a leak from account to account. Where Data Access logs show who acted as whom, the log is followed; where they are off, or not to be seen by us, every account is taken for reached that the policies let
 * be acted as, since nothing would show that it was not. Policies of folders and of the organisation are not read, as the manifest says.
 */
export async function walk(
  account: GcpAccount,
  calls: Calls,
  root: { readonly email: string; readonly keyId?: string },
  from: number,
  signal: { heartbeat(): void },
): Promise<Walk> {
  const gaps: string[] = [];
  const policy = await readProjectPolicy(account, calls);
  const visible = await mintsVisible(account, calls, policy, root.email, from);
  const mints = visible.so
    ? await readLog(account, calls, `(${minting.map((name) => `protoPayload.methodName=${quoted(name)}`).join(' OR ')})`, from)
    : { events: [], cut: false };
  if (mints.cut) gaps.push('there are more mints in the log than were read');
  const all = visible.so ? [] : await policiesOfAccounts(account, calls, gaps);
  const reached = new Map<string, Reached>();
  const queue = [root.email];
  for (let email = queue.shift(); email !== undefined; email = queue.shift()) {
    signal.heartbeat();
    const next: Reached[] = visible.so
      ? mints.events
          .filter((event) => !event.refused && event.email !== undefined && (event.by === email || event.delegation.includes(email)))
          .map((event) => ({
            email: event.email ?? '',
            from: email,
            how: 'seen',
            event,
            evidence: `${event.name} by ${event.by} at ${event.at}, log entry ${event.id}`,
          }))
      : all
          .filter((each) => each.email !== email)
          .flatMap((each): Reached[] => {
            const onProject = (policy.bindings ?? []).find(
              ({ role, members }) => mayImpersonate(role ?? '') && members?.some((member) => isMember(member, email)),
            );
            const onAccount = (each.policy?.bindings ?? []).find(
              ({ role, members }) => mayImpersonate(role ?? '') && members?.some((member) => isMember(member, email)),
            );
            const by = onAccount ?? onProject;
            if (each.policy === undefined)
              return [{ email: each.email, from: email, how: 'possible', evidence: `the policy of ${each.email} could not be read` }];
            return by
              ? [
                  {
                    email: each.email,
                    from: email,
                    how: 'possible',
                    evidence: `${by.role} on ${onAccount ? each.email : 'the project'} would let it, and no log would show it: ${visible.why}`,
                  },
                ]
              : [];
          });
    for (const each of next) {
      if (each.email === root.email || reached.has(each.email)) continue;
      if (reached.size >= mostAccounts) {
        gaps.push(`more than ${mostAccounts} accounts are reached`);
        break;
      }
      reached.set(each.email, each);
      queue.push(each.email);
    }
  }
  // What the reached accounts changed. Admin Activity is always on, so that keys made with the leak are seen whatever is turned off.
  const emails = [root.email, ...reached.keys()];
  const events: LogEvent[] = [];
  for (let at = 0; at < emails.length; at += 50) {
    const some = emails.slice(at, at + 50).map((email) => `protoPayload.authenticationInfo.principalEmail=${quoted(email)}`);
    const found = await readLog(account, calls, `${activity(account.project)} AND (${some.join(' OR ')})`, from);
    if (found.cut) gaps.push('there are more changes in the log than were read');
    events.push(...found.events);
  }
  const own = await readLog(account, calls, `protoPayload.authenticationInfo.principalEmail=${quoted(root.email)}`, from);
  if (own.cut) gaps.push('there are more calls in the log than were read');
  for (const event of events)
    if (event.name === 'CreateKey' && !event.refused && apiKeyOf(event) === undefined)
      gaps.push(`an API key was made at ${event.at}, and the log does not name it (entry ${event.id})`);
  return { reached: [...reached.values()], events, calls: own.events, policy, visible, gaps };
}

/**
 * Whether the log would show it if an account acted as another: Data Access has to be on for IAM, for this account too, to be readable by us, and not to have been changed since. Cloud Logging leaves out
 * what one may not see and says nothing of it, so that an empty answer alone shows nothing.
 */
async function mintsVisible(account: GcpAccount, calls: Calls, policy: Policy, email: string, from: number): Promise<Walk['visible']> {
  const configs = (policy.auditConfigs ?? [])
    .filter(({ service }) => service === 'allServices' || service === 'iam.googleapis.com')
    .flatMap(({ auditLogConfigs }) => auditLogConfigs ?? [])
    .filter(({ logType }) => logType === 'DATA_READ');
  if (configs.length === 0) return { so: false, why: 'Data Access logs of IAM are off' };
  if (configs.some(({ exemptedMembers }) => exemptedMembers?.includes(`serviceAccount:${email}`)))
    return { so: false, why: 'the account is exempted from Data Access logs' };
  const may = await calls.read<{ permissions?: readonly string[] }>('resourcemanager.projects.testIamPermissions', ({ request }) =>
    request('cloudresourcemanager.googleapis.com', 'POST', `/v3/projects/${account.project}:testIamPermissions`, {
      body: { permissions: ['logging.privateLogEntries.list'] },
    }),
  );
  if (!may.permissions?.includes('logging.privateLogEntries.list')) return { so: false, why: 'we may not read Data Access logs' };
  const changes = await readLog(
    account,
    calls,
    `${activity(account.project)} AND protoPayload.methodName="SetIamPolicy" AND protoPayload.resourceName=${quoted(`projects/${account.project}`)}`,
    from,
    1,
  );
  const changed = changes.events.find((event) => !event.refused && 'auditConfigs' in ((event.request.policy as object | undefined) ?? {}));
  if (changed || changes.cut) return { so: false, why: `what is logged was changed at ${changed?.at ?? 'some time'}` };
  return { so: true, why: 'Data Access logs of IAM are on' };
}

async function policiesOfAccounts(
  account: GcpAccount,
  calls: Calls,
  gaps: string[],
): Promise<readonly { readonly email: string; readonly policy: Policy | undefined }[]> {
  const emails: string[] = [];
  let pageToken: string | undefined;
  do {
    const page = await calls.read<{ accounts?: readonly { email?: string | null }[]; nextPageToken?: string | null }>(
      'iam.serviceAccounts.list',
      ({ iam, options }) =>
        iam.projects.serviceAccounts.list(
          { name: `projects/${account.project}`, pageSize: 100, ...(pageToken ? { pageToken } : {}) },
          options,
        ),
    );
    emails.push(...(page.accounts ?? []).map(({ email }) => email ?? ''));
    pageToken = page.nextPageToken ?? undefined;
  } while (pageToken !== undefined && emails.length < 1_000);
  if (pageToken !== undefined) gaps.push('the project has more accounts than were read');
  const read: { email: string; policy: Policy | undefined }[] = [];
  for (const email of emails) {
    const policy = await calls.readIfThere<Policy>('iam.serviceAccounts.getIamPolicy', ({ iam, options }) =>
      iam.projects.serviceAccounts.getIamPolicy({ resource: account.accountName(email) }, options),
    );
    read.push({ email, policy });
  }
  return read;
}

/** A credential that a call in the log made. */
export interface Made {
  readonly kind: 'gcp.service-account-key' | 'gcp.hmac-key' | 'gcp.api-key';
  readonly locator: Readonly<Record<string, string>>;
  readonly owner?: string;
  readonly event: LogEvent;
}

/** The API key that a call in the log made, by its name. */
const apiKeyOf = (event: LogEvent): string | undefined => /keys\/([^/]+)$/.exec(event.resource)?.[1];

/** The long-lived credentials that Admin Activity entries made. */
export function madeBy(events: readonly LogEvent[]): readonly Made[] {
  const found: Made[] = [];
  for (const event of events) {
    if (event.refused) continue;
    const name = typeof event.response.name === 'string' ? event.response.name : '';
    if (event.name === 'CreateServiceAccountKey' || event.name === 'UploadServiceAccountKey') {
      const [, email, id] = /serviceAccounts\/([^/]+)\/keys\/([^/]+)$/.exec(name) ?? [];
      if (email && id)
        found.push({ kind: 'gcp.service-account-key', locator: { clientEmail: email, privateKeyId: id }, owner: email, event });
    } else if (event.service === 'storage.googleapis.com' && event.name === 'create') {
      const metadata = event.response.metadata as { accessId?: unknown; serviceAccountEmail?: unknown } | undefined;
      const id = metadata?.accessId ?? /hmacKeys\/([^/]+)$/.exec(event.resource)?.[1];
      if (typeof id === 'string' && id !== '')
        found.push({
          kind: 'gcp.hmac-key',
          locator: { accessId: id },
          ...(typeof metadata?.serviceAccountEmail === 'string' ? { owner: metadata.serviceAccountEmail } : {}),
          event,
        });
    } else if (event.service === 'apikeys.googleapis.com' && event.name === 'CreateKey') {
      const uid = apiKeyOf(event);
      if (uid) found.push({ kind: 'gcp.api-key', locator: { uid }, event });
    }
  }
  return found;
}
