import type { Call, Need, Operations } from './call.ts';
import { suffix } from './identifiers.ts';
import { Malformed, readPolicy } from './policy.ts';
import { failure } from './refusal.ts';
import { type Attachment, type ControlPolicy, latest, revise } from './state.ts';
import type { Answer } from './xml.ts';

/** The policy that is attached from the start and allows everything; without any, nothing would be allowed. */
export const fullAccess = {
  id: 'p-FullAWSAccess',
  content: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
} as const;

const attachedQuota = 5;
const longest = 5120;
const type = 'SERVICE_CONTROL_POLICY';

const managementAccount = (accountId: string): string => (accountId === '999999999999' ? '999999999998' : '999999999999');

export function policyArn(call: Call, id: string): string {
  if (id === fullAccess.id) return `arn:aws:organizations::aws:policy/service_control_policy/${id}`;
  return `arn:aws:organizations::${managementAccount(call.world.accountId)}:policy/${call.world.state.account.organizationId}/service_control_policy/${id}`;
}

const summary = (policy: ControlPolicy): Answer => ({
  Id: policy.id,
  Arn: policy.arn,
  Name: policy.name,
  Description: policy.description,
  Type: type,
  AwsManaged: policy.awsManaged,
});

const onPolicy = (call: Call): Need => {
  const id = call.optional('PolicyId');
  return { resource: id === undefined ? '*' : policyArn(call, id) };
};
const onAnything = (): Need => ({ resource: '*' });

function find(call: Call): ControlPolicy {
  const policy = call.world.state.tables.controlPolicies.get(call.text('PolicyId'));
  if (policy === undefined) throw failure('PolicyNotFoundException', "We can't find a policy with the PolicyId that you specified.");
  return policy;
}

function target(call: Call): void {
  if (call.text('TargetId') !== call.world.accountId)
    throw failure('TargetNotFoundException', "We can't find a root, OU, or account with the TargetId that you specified.");
}

function content(call: Call): string {
  const text = call.text('Content');
  if (text.length > longest) throw failure('ConstraintViolationException', `The policy is longer than ${longest} characters.`);
  try {
    readPolicy(text, 'scp');
  } catch (error) {
    if (error instanceof Malformed) throw failure('MalformedPolicyDocumentException', error.message);
    throw error;
  }
  return text;
}

function checkType(call: Call, parameter: string): void {
  if (call.text(parameter) !== type) throw failure('InvalidInputException', `You specified an invalid value: ${parameter}.`);
}

const attached = (call: Call): Attachment => latest(call.world.state.account.attached) ?? [];

function reattach(call: Call, next: Attachment): void {
  const { account } = call.world.state;
  revise(account.attached, call.now, next);
  call.change.put('account', account);
}

/**
 * Organizations, as a member account with delegated policy administration sees it: the account itself is the one target, and the policies
 * attached to it bind everybody in it, as they would not bind the management account.
 */
export const organizations: Operations = {
  DescribeOrganization: {
    mutates: false,
    need: onAnything,
    run: (call) => {
      const { organizationId } = call.world.state.account;
      const MasterAccountId = managementAccount(call.world.accountId);
      return {
        Organization: {
          Id: organizationId,
          Arn: `arn:aws:organizations::${MasterAccountId}:organization/${organizationId}`,
          FeatureSet: 'ALL',
          MasterAccountId,
          MasterAccountArn: `arn:aws:organizations::${MasterAccountId}:account/${organizationId}/${MasterAccountId}`,
        },
      };
    },
  },
  CreatePolicy: {
    mutates: true,
    need: onAnything,
    run: (call) => {
      checkType(call, 'Type');
      const name = call.text('Name');
      const text = content(call);
      for (const p of call.world.state.tables.controlPolicies.values()) {
        if (p.name === name) throw failure('DuplicatePolicyException', 'A policy with the same name already exists.');
      }
      const id = `p-${suffix(10)}`;
      const policy: ControlPolicy = {
        id,
        arn: policyArn(call, id),
        name,
        description: call.optional('Description') ?? '',
        content: text,
        awsManaged: false,
      };
      call.change.put('controlPolicies', policy);
      call.made = id;
      return { Policy: { PolicySummary: summary(policy), Content: text } };
    },
  },
  UpdatePolicy: {
    mutates: true,
    need: onPolicy,
    run: (call) => {
      const policy = find(call);
      if (policy.awsManaged) throw failure('PolicyChangesInProgressException', 'A policy that AWS manages cannot be changed.');
      const text = call.optional('Content') === undefined ? policy.content : content(call);
      const name = call.optional('Name') ?? policy.name;
      const description = call.optional('Description') ?? policy.description;
      if (text !== policy.content || name !== policy.name || description !== policy.description) {
        Object.assign(policy, { name, description, content: text });
        call.change.put('controlPolicies', policy);
        const list = attached(call);
        if (list.some((a) => a.id === policy.id))
          reattach(
            call,
            list.map((a) => (a.id === policy.id ? { id: a.id, content: text } : a)),
          );
      }
      return { Policy: { PolicySummary: summary(policy), Content: text } };
    },
  },
  DescribePolicy: {
    mutates: false,
    need: onPolicy,
    run: (call) => {
      const policy = find(call);
      return { Policy: { PolicySummary: summary(policy), Content: policy.content } };
    },
  },
  DeletePolicy: {
    mutates: true,
    need: onPolicy,
    run: (call) => {
      const policy = find(call);
      if (policy.awsManaged) throw failure('InvalidInputException', 'A policy that AWS manages cannot be deleted.');
      if (attached(call).some((a) => a.id === policy.id))
        throw failure(
          'PolicyInUseException',
          'The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts first.',
        );
      call.change.remove('controlPolicies', policy.id);
      return {};
    },
  },
  AttachPolicy: {
    mutates: true,
    need: onPolicy,
    run: (call) => {
      const policy = find(call);
      target(call);
      const list = attached(call);
      if (list.some((a) => a.id === policy.id))
        throw failure('DuplicatePolicyAttachmentException', 'The selected policy is already attached to the specified target.');
      if (list.length >= attachedQuota)
        throw failure('ConstraintViolationException', 'You have exceeded the number of policies that can be attached to a target.');
      reattach(call, [...list, { id: policy.id, content: policy.content }]);
      return {};
    },
  },
  DetachPolicy: {
    mutates: true,
    need: onPolicy,
    run: (call) => {
      const policy = find(call);
      target(call);
      const list = attached(call);
      if (!list.some((a) => a.id === policy.id))
        throw failure('PolicyNotAttachedException', "The policy isn't attached to the specified target in the specified root.");
      if (list.length === 1) throw failure('ConstraintViolationException', 'You must have at least one policy of this type attached.');
      reattach(
        call,
        list.filter((a) => a.id !== policy.id),
      );
      return {};
    },
  },
  ListPolicies: {
    mutates: false,
    need: onAnything,
    run: (call) => {
      checkType(call, 'Filter');
      return { Policies: [...call.world.state.tables.controlPolicies.values()].map(summary) };
    },
  },
  ListPoliciesForTarget: {
    mutates: false,
    need: onAnything,
    run: (call) => {
      checkType(call, 'Filter');
      target(call);
      const ids = new Set(attached(call).map((a) => a.id));
      return { Policies: [...call.world.state.tables.controlPolicies.values()].filter((p) => ids.has(p.id)).map(summary) };
    },
  },
  ListTargetsForPolicy: {
    mutates: false,
    need: onPolicy,
    run: (call) => {
      const policy = find(call);
      const { accountId } = call.world;
      const Arn = `arn:aws:organizations::${managementAccount(accountId)}:account/${call.world.state.account.organizationId}/${accountId}`;
      const bound = attached(call).some((a) => a.id === policy.id);
      return { Targets: bound ? [{ TargetId: accountId, Arn, Name: 'practice', Type: 'ACCOUNT' }] : [] };
    },
  },
};
