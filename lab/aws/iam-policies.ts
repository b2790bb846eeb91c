import { type Call, type Need, type Operation, type Operations, page } from './call.ts';
import {
  documentOf,
  find,
  type Kind,
  managedArn,
  onAll,
  onPrincipal,
  type Principal,
  pathOf,
  policiesOf,
  repolicy,
  unbound,
} from './iam-principals.ts';
import { uniqueId } from './identifiers.ts';
import { awsManaged, managedDocument } from './managed-policies.ts';
import { deleteConflict, entityExists, limitExceeded, noSuchEntity } from './refusal.ts';
import type { ManagedPolicy } from './state.ts';
import type { Answer } from './xml.ts';

/** Characters that inline policies of one principal may have together, white space not counted. */
const inlineQuota: Readonly<Record<Kind, number>> = { User: 2048, Role: 10_240, Group: 5120 };
const attachedQuota = 10;

const row = (call: Call, kind: Kind): Principal => find(call, kind, call.text(`${kind}Name`));

function without(record: Readonly<Record<string, string>>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(record).filter(([n]) => n !== name));
}

/** Documents come percent-encoded out of IAM. */
const encoded = (document: string): string => encodeURIComponent(document);

/** The inline and attached policies of one kind of principal. Every change is an upsert or says `NoSuchEntity`. */
function ofKind(kind: Kind): Operations {
  const need = onPrincipal(kind);
  const attachNeed = (call: Call): Need => {
    const base = need(call);
    return { resource: base.resource, keys: { ...base.keys, 'iam:PolicyARN': call.optional('PolicyArn') ?? '' } };
  };
  return {
    [`Put${kind}Policy`]: {
      mutates: true,
      need,
      run: (call) => {
        const principal = row(call, kind);
        const name = call.name('PolicyName');
        const document = documentOf(call, 'PolicyDocument', 'identity');
        const { inline } = policiesOf(principal);
        if (inline[name] === document) return {};
        const next = { ...inline, [name]: document };
        const size = Object.values(next).reduce((sum, text) => sum + text.replace(/\s/g, '').length, 0);
        if (size > inlineQuota[kind])
          throw limitExceeded(`Maximum policy size of ${inlineQuota[kind]} bytes exceeded for ${kind.toLowerCase()} ${principal.name}`);
        repolicy(call, kind, principal, { inline: next });
        return {};
      },
    },
    [`Get${kind}Policy`]: {
      mutates: false,
      need,
      run: (call) => {
        const principal = row(call, kind);
        const name = call.text('PolicyName');
        const { inline } = policiesOf(principal);
        const document = Object.hasOwn(inline, name) ? inline[name] : undefined;
        if (document === undefined) throw noSuchPolicy(kind, name);
        return { [`${kind}Name`]: principal.name, PolicyName: name, PolicyDocument: encoded(document) };
      },
    },
    [`Delete${kind}Policy`]: {
      mutates: true,
      need,
      run: (call) => {
        const principal = row(call, kind);
        const name = call.text('PolicyName');
        const { inline } = policiesOf(principal);
        if (!Object.hasOwn(inline, name)) throw noSuchPolicy(kind, name);
        repolicy(call, kind, principal, { inline: without(inline, name) });
        return {};
      },
    },
    [`List${kind}Policies`]: {
      mutates: false,
      need,
      run: (call) => {
        const { items, tail } = page(call, Object.keys(policiesOf(row(call, kind)).inline).sort());
        return { PolicyNames: items, ...tail };
      },
    },
    [`Attach${kind}Policy`]: {
      mutates: true,
      need: attachNeed,
      run: (call) => {
        const principal = row(call, kind);
        const arn = managedArn(call, 'PolicyArn');
        const { attached } = policiesOf(principal);
        if (attached.includes(arn)) return {};
        if (attached.length >= attachedQuota) throw limitExceeded(`Cannot exceed quota for PoliciesPer${kind}: ${attachedQuota}`);
        repolicy(call, kind, principal, { attached: [...attached, arn] });
        return {};
      },
    },
    [`Detach${kind}Policy`]: {
      mutates: true,
      need: attachNeed,
      run: (call) => {
        const principal = row(call, kind);
        const arn = call.text('PolicyArn');
        const { attached } = policiesOf(principal);
        if (!attached.includes(arn)) throw noSuchEntity(`Policy ${arn} was not found.`);
        repolicy(call, kind, principal, { attached: attached.filter((a) => a !== arn) });
        return {};
      },
    },
    [`ListAttached${kind}Policies`]: {
      mutates: false,
      need,
      run: (call) => {
        const { items, tail } = page(call, policiesOf(row(call, kind)).attached);
        return { AttachedPolicies: items.map((arn) => ({ PolicyName: arn.slice(arn.lastIndexOf('/') + 1), PolicyArn: arn })), ...tail };
      },
    },
  };
}

const noSuchPolicy = (kind: Kind, name: string) => noSuchEntity(`The ${kind.toLowerCase()} policy with name ${name} cannot be found.`);

/** The permissions boundary of users and roles. */
function boundaryOf(kind: 'User' | 'Role'): Operations {
  const need = onPrincipal(kind);
  return {
    [`Put${kind}PermissionsBoundary`]: {
      mutates: true,
      need,
      run: (call) => {
        const principal = row(call, kind);
        const boundary = managedArn(call, 'PermissionsBoundary');
        if (policiesOf(principal).boundary !== boundary) repolicy(call, kind, principal, { boundary });
        return {};
      },
    },
    [`Delete${kind}PermissionsBoundary`]: {
      mutates: true,
      need,
      run: (call) => {
        const principal = row(call, kind);
        if (policiesOf(principal).boundary === undefined)
          throw noSuchEntity(`Permissions boundary not found on ${kind.toLowerCase()} ${principal.name}.`);
        unbound(call, kind, principal);
        return {};
      },
    },
  };
}

function described(policy: ManagedPolicy): Answer {
  return {
    PolicyName: policy.name,
    PolicyId: policy.id,
    Arn: policy.arn,
    Path: policy.path,
    DefaultVersionId: 'v1',
    IsAttachable: true,
    Description: policy.description === '' ? undefined : policy.description,
    CreateDate: new Date(policy.createdAt),
    UpdateDate: new Date(policy.createdAt),
  };
}

function describedByArn(call: Call, arn: string): Answer {
  const policy = call.world.state.tables.managedPolicies.get(arn);
  if (policy !== undefined) return described(policy);
  if (managedDocument(call.world.state, arn) === undefined) throw noSuchEntity(`Policy ${arn} was not found.`);
  return {
    PolicyName: arn.slice(arn.lastIndexOf('/') + 1),
    PolicyId: 'ANPAAWSMANAGEDSTANDIN',
    Arn: arn,
    Path: '/',
    DefaultVersionId: 'v1',
    IsAttachable: true,
  };
}

const onPolicy = (call: Call): Need => ({ resource: call.optional('PolicyArn') ?? '*' });

function attachedTo(call: Call, arn: string): boolean {
  const { users, roles, groups } = call.world.state.tables;
  return [...users.values(), ...roles.values(), ...groups.values()].some((p) => {
    const set = policiesOf(p);
    return p.deletedAt === undefined && (set.attached.includes(arn) || set.boundary === arn);
  });
}

const readPolicyVersion: Operation = {
  mutates: false,
  need: onPolicy,
  run: (call) => {
    const arn = call.text('PolicyArn');
    const document = managedDocument(call.world.state, arn);
    const version = call.text('VersionId');
    if (document === undefined || version !== 'v1')
      throw noSuchEntity(`Policy ${arn} version ${version} does not exist or is not attachable.`);
    return { PolicyVersion: { Document: encoded(document), VersionId: 'v1', IsDefaultVersion: true } };
  },
};

/** Policies of principals and the account's managed policies, which have one version here. */
export const policyOperations: Operations = {
  ...ofKind('User'),
  ...ofKind('Role'),
  ...ofKind('Group'),
  ...boundaryOf('User'),
  ...boundaryOf('Role'),
  CreatePolicy: {
    mutates: true,
    need: (call) => ({ resource: `arn:aws:iam::${call.world.accountId}:policy/${call.optional('PolicyName') ?? ''}` }),
    run: (call) => {
      const name = call.name('PolicyName');
      const path = pathOf(call);
      const arn = `arn:aws:iam::${call.world.accountId}:policy${path}${name}`;
      const document = documentOf(call, 'PolicyDocument', 'identity');
      if (document.replace(/\s/g, '').length > 6144) throw limitExceeded('Cannot exceed quota for PolicySize: 6144');
      for (const p of call.world.state.tables.managedPolicies.values()) {
        if (p.name === name) throw entityExists(`A policy called ${name} already exists. Duplicate names are not allowed.`);
      }
      const policy: ManagedPolicy = {
        id: uniqueId('ANPA'),
        arn,
        name,
        path,
        document,
        description: call.optional('Description') ?? '',
        createdAt: call.now,
      };
      call.change.put('managedPolicies', policy);
      call.made = arn;
      return { Policy: described(policy) };
    },
  },
  GetPolicy: { mutates: false, need: onPolicy, run: (call) => ({ Policy: describedByArn(call, call.text('PolicyArn')) }) },
  GetPolicyVersion: readPolicyVersion,
  DeletePolicy: {
    mutates: true,
    need: onPolicy,
    run: (call) => {
      const arn = call.text('PolicyArn');
      if (!call.world.state.tables.managedPolicies.has(arn)) throw noSuchEntity(`Policy ${arn} was not found.`);
      if (attachedTo(call, arn)) throw deleteConflict('Cannot delete a policy attached to entities.');
      call.change.remove('managedPolicies', arn);
      return {};
    },
  },
  ListPolicies: {
    mutates: false,
    need: onAll('Policy'),
    run: (call) => {
      const scope = call.optional('Scope') ?? 'All';
      const local = [...call.world.state.tables.managedPolicies.keys()].sort();
      const { items, tail } = page(call, [...(scope === 'AWS' ? [] : local), ...(scope === 'Local' ? [] : awsManaged)]);
      return { Policies: items.map((arn) => describedByArn(call, arn)), ...tail };
    },
  },
};

/** The boundary as principals are described with it. */
export function boundaryAnswer(principal: Principal): Answer | undefined {
  const { boundary } = policiesOf(principal);
  return boundary === undefined ? undefined : { PermissionsBoundaryType: 'Policy', PermissionsBoundaryArn: boundary };
}
