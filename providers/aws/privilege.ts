import {
  GetGroupPolicyCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetUserPolicyCommand,
  ListAttachedGroupPoliciesCommand,
  ListAttachedUserPoliciesCommand,
  ListGroupPoliciesCommand,
  ListGroupsForUserCommand,
  ListUserPoliciesCommand,
} from '@aws-sdk/client-iam';
import { codeOf } from '../../domain/errors.ts';
import { decoded } from './account.ts';
import type { Calls } from './api.ts';
import { cutOffPolicy, fencePolicy, holdPolicy, privilegeIn } from './policies.ts';

export interface Privilege {
  readonly privilege: 'administrator' | 'elevated' | 'ordinary' | 'unknown';
  /** Inline documents by name. */
  readonly inline: Readonly<Record<string, string>>;
  /** ARNs of managed policies. */
  readonly attached: readonly string[];
  readonly groups: readonly string[];
  /** AWS itself has put its quarantine on the user: it has seen the key in public. */
  readonly quarantined: boolean;
  readonly unread: readonly string[];
}

const administrator = /:policy\/AdministratorAccess$/;
const quarantine = /:policy\/AWSCompromisedKeyQuarantine/;

/**
 * What a user may do, as far as it was read: `ordinary` only where every document was. The quick reading leaves out groups and the text of managed policies; whoever is
 * no administrator by what it saw is then `unknown`.
 */
export async function readPrivilege(calls: Calls, user: string, whole: boolean): Promise<Privilege> {
  const unread: string[] = [];
  const tried = async <T>(what: string, read: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      const code = codeOf(error);
      // What we may not read stays unread; only a provider that does not answer is worth another try of the whole look.
      if (code !== 'provider.denied' && code !== 'provider.gone' && code !== 'provider.unsupported') throw error;
      unread.push(what);
      return otherwise;
    }
  };
  const [inline, attached, groups] = await Promise.all([
    tried('inline policies', () => inlineOf(calls, user), {}),
    tried('attached policies', () => attachedOf(calls, user), [] as readonly string[]),
    whole ? tried('groups', () => groupsOf(calls, user), [] as readonly string[]) : Promise.resolve([] as readonly string[]),
  ]);
  if (!whole) unread.push('groups');
  const documents: string[] = Object.entries(inline).flatMap(([name, text]) =>
    [holdPolicy, cutOffPolicy, fencePolicy].includes(name) ? [] : [text],
  );
  const arns = new Set(attached);
  if (whole) {
    await Promise.all(
      groups.map(async (group) => {
        const of = await tried(`group ${group}`, () => groupPolicies(calls, group), { documents: [], attached: [] });
        documents.push(...of.documents);
        for (const arn of of.attached) arns.add(arn);
      }),
    );
    await Promise.all(
      [...arns].map(async (arn) => {
        if (administrator.test(arn) || quarantine.test(arn)) return;
        const text = await tried(arn, () => managedDocument(calls, arn), undefined);
        if (text !== undefined) documents.push(text);
        else if (!unread.includes(arn)) unread.push(arn);
      }),
    );
  } else {
    for (const arn of arns) if (!administrator.test(arn) && !quarantine.test(arn)) unread.push(arn);
  }
  const found = documents.map(privilegeIn);
  const privilege =
    [...arns].some((arn) => administrator.test(arn)) || found.includes('administrator')
      ? 'administrator'
      : unread.length > 0
        ? 'unknown'
        : found.includes('elevated')
          ? 'elevated'
          : 'ordinary';
  return { privilege, inline, attached, groups, quarantined: attached.some((arn) => quarantine.test(arn)), unread };
}

async function inlineOf(calls: Calls, user: string): Promise<Readonly<Record<string, string>>> {
  const names: string[] = [];
  let marker: string | undefined;
  do {
    const after = marker;
    const answer = await calls.read('iam:ListUserPolicies', (aws, options) =>
      aws.iam().send(new ListUserPoliciesCommand({ UserName: user, ...(after ? { Marker: after } : {}) }), options),
    );
    names.push(...(answer.PolicyNames ?? []));
    marker = answer.IsTruncated ? answer.Marker : undefined;
  } while (marker);
  return Object.fromEntries(
    await Promise.all(
      names.map(async (name) => {
        const answer = await calls.read('iam:GetUserPolicy', (aws, options) =>
          aws.iam().send(new GetUserPolicyCommand({ UserName: user, PolicyName: name }), options),
        );
        return [name, decoded(answer.PolicyDocument ?? '')] as const;
      }),
    ),
  );
}

async function attachedOf(calls: Calls, user: string): Promise<readonly string[]> {
  const arns: string[] = [];
  let marker: string | undefined;
  do {
    const after = marker;
    const answer = await calls.read('iam:ListAttachedUserPolicies', (aws, options) =>
      aws.iam().send(new ListAttachedUserPoliciesCommand({ UserName: user, ...(after ? { Marker: after } : {}) }), options),
    );
    arns.push(...(answer.AttachedPolicies ?? []).map((policy) => policy.PolicyArn ?? ''));
    marker = answer.IsTruncated ? answer.Marker : undefined;
  } while (marker);
  return arns;
}

async function groupsOf(calls: Calls, user: string): Promise<readonly string[]> {
  const names: string[] = [];
  let marker: string | undefined;
  do {
    const after = marker;
    const answer = await calls.read('iam:ListGroupsForUser', (aws, options) =>
      aws.iam().send(new ListGroupsForUserCommand({ UserName: user, ...(after ? { Marker: after } : {}) }), options),
    );
    names.push(...(answer.Groups ?? []).map((group) => group.GroupName ?? ''));
    marker = answer.IsTruncated ? answer.Marker : undefined;
  } while (marker);
  return names;
}

async function groupPolicies(calls: Calls, group: string): Promise<{ documents: string[]; attached: string[] }> {
  const [names, attached] = await Promise.all([
    calls.read('iam:ListGroupPolicies', (aws, options) => aws.iam().send(new ListGroupPoliciesCommand({ GroupName: group }), options)),
    calls.read('iam:ListAttachedGroupPolicies', (aws, options) =>
      aws.iam().send(new ListAttachedGroupPoliciesCommand({ GroupName: group }), options),
    ),
  ]);
  const documents = await Promise.all(
    (names.PolicyNames ?? []).map(async (name) => {
      const answer = await calls.read('iam:GetGroupPolicy', (aws, options) =>
        aws.iam().send(new GetGroupPolicyCommand({ GroupName: group, PolicyName: name }), options),
      );
      return decoded(answer.PolicyDocument ?? '');
    }),
  );
  return { documents, attached: (attached.AttachedPolicies ?? []).map((policy) => policy.PolicyArn ?? '') };
}

async function managedDocument(calls: Calls, arn: string): Promise<string | undefined> {
  const policy = await calls.read('iam:GetPolicy', (aws, options) => aws.iam().send(new GetPolicyCommand({ PolicyArn: arn }), options));
  const version = policy.Policy?.DefaultVersionId;
  if (!version) return undefined;
  const answer = await calls.read('iam:GetPolicyVersion', (aws, options) =>
    aws.iam().send(new GetPolicyVersionCommand({ PolicyArn: arn, VersionId: version }), options),
  );
  return answer.PolicyVersion?.Document === undefined ? undefined : decoded(answer.PolicyVersion.Document);
}
