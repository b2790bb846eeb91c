import { layersOf, roleArn } from './access.ts';
import { type Call, type Operations, page } from './call.ts';
import type { Context } from './condition.ts';
import { boundaryAnswer } from './iam-policies.ts';
import { byName, documentOf, find, managedArn, onAll, onPrincipal, pathOf, policiesOf } from './iam-principals.ts';
import { uniqueId } from './identifiers.ts';
import { decide, knownPolicy, namedPrincipals } from './policy.ts';
import { deleteConflict, entityExists, invalidInput, malformedPolicy, noSuchEntity } from './refusal.ts';
import { latest, noPolicies, type PolicySet, type Role, revise, type Trust, type User } from './state.ts';
import type { Answer } from './xml.ts';

const onRole = onPrincipal('Role');

/**
 * Reads a trust policy and binds the users and roles it names to their unique ids, as AWS does when it stores one: a principal that does not
 * exist is refused, and one that is deleted and made again under its name is no longer trusted.
 */
function trustOf(call: Call, parameter: string): Trust {
  const document = documentOf(call, parameter, 'trust');
  const bindings: Record<string, string> = {};
  for (const arn of namedPrincipals(knownPolicy(document, 'trust'))) {
    const match = /^arn:aws:(iam|sts)::(\d{12}):(user|role|assumed-role|federated-user|root)(?:\/(?:.*\/)?([^/]+))?$/.exec(arn);
    if (match === null) {
      if (/^\d{12}$/.test(arn)) continue;
      throw malformedPolicy(`Invalid principal in policy: "AWS":"${arn}"`);
    }
    const [, , account, kind, name = ''] = match;
    if (account !== call.world.accountId || (kind !== 'user' && kind !== 'role')) continue;
    const row = kind === 'user' ? call.world.state.user(name) : call.world.state.role(name);
    if (row === undefined) throw malformedPolicy(`Invalid principal in policy: "AWS":"${arn}"`);
    bindings[arn] = row.id;
  }
  return { document, bindings };
}

function described(call: Call, role: Role, whole = true): Answer {
  const tags = Object.entries(role.tags).map(([Key, Value]) => ({ Key, Value }));
  return {
    Path: role.path,
    RoleName: role.name,
    RoleId: role.id,
    Arn: roleArn(call.world.accountId, role),
    CreateDate: new Date(role.createdAt),
    AssumeRolePolicyDocument: encodeURIComponent(latest(role.trust)?.document ?? ''),
    Description: role.description === '' ? undefined : role.description,
    MaxSessionDuration: role.maxSessionSeconds,
    PermissionsBoundary: whole ? boundaryAnswer(role) : undefined,
    Tags: whole && tags.length > 0 ? tags : undefined,
    RoleLastUsed: whole
      ? role.lastUsed === undefined
        ? {}
        : { LastUsedDate: new Date(role.lastUsed.at), Region: role.lastUsed.region }
      : undefined,
  };
}

/** What a policy source of a simulation is: a live user or role. */
function source(call: Call): { user?: User; role?: Role } {
  const arn = call.text('PolicySourceArn');
  const match = /^arn:aws:iam::(\d{12}):(user|role)\/(?:.*\/)?([^/]+)$/.exec(arn);
  if (match === null || match[1] !== call.world.accountId)
    throw invalidInput(`Invalid Entity Arn: ${arn} does not clearly define entity type and name.`);
  return match[2] === 'user' ? { user: find(call, 'User', match[3] ?? '') } : { role: find(call, 'Role', match[3] ?? '') };
}

/** Roles, and the simulation of what a principal may do. */
export const roleOperations: Operations = {
  CreateRole: {
    mutates: true,
    need: onRole,
    run: (call) => {
      const name = call.name('RoleName', 64);
      const trust = trustOf(call, 'AssumeRolePolicyDocument');
      const boundary = call.optional('PermissionsBoundary') === undefined ? undefined : managedArn(call, 'PermissionsBoundary');
      if (call.world.state.role(name) !== undefined) throw entityExists(`Role with name ${name} already exists.`);
      const policies: PolicySet = boundary === undefined ? noPolicies : { ...noPolicies, boundary };
      const role: Role = {
        id: uniqueId('AROA'),
        name,
        path: pathOf(call),
        createdAt: call.now,
        description: call.optional('Description') ?? '',
        maxSessionSeconds: call.integer('MaxSessionDuration', 3600, 43_200, 3600),
        tags: call.tags(),
        trust: [{ at: call.now, value: trust }],
        policies: [{ at: call.now, value: policies }],
      };
      call.change.put('roles', role);
      call.made = role.id;
      return { Role: described(call, role) };
    },
  },
  GetRole: { mutates: false, need: onRole, run: (call) => ({ Role: described(call, find(call, 'Role', call.text('RoleName'))) }) },
  ListRoles: {
    mutates: false,
    need: onAll('Role'),
    run: (call) => {
      const prefix = call.optional('PathPrefix') ?? '/';
      const live = [...call.world.state.tables.roles.values()].filter((r) => r.deletedAt === undefined && r.path.startsWith(prefix));
      const { items, tail } = page(call, live.sort(byName));
      return { Roles: items.map((r) => described(call, r, false)), ...tail };
    },
  },
  DeleteRole: {
    mutates: true,
    need: onRole,
    run: (call) => {
      const role = find(call, 'Role', call.text('RoleName'));
      const { inline, attached } = policiesOf(role);
      if (Object.keys(inline).length > 0) throw deleteConflict('Cannot delete entity, must delete policies first.');
      if (attached.length > 0) throw deleteConflict('Cannot delete entity, must detach all policies first.');
      role.deletedAt = call.now;
      call.change.put('roles', role);
      return {};
    },
  },
  UpdateAssumeRolePolicy: {
    mutates: true,
    need: onRole,
    run: (call) => {
      const role = find(call, 'Role', call.text('RoleName'));
      const trust = trustOf(call, 'PolicyDocument');
      const old = latest(role.trust);
      if (old !== undefined && old.document === trust.document && JSON.stringify(old.bindings) === JSON.stringify(trust.bindings))
        return {};
      revise(role.trust, call.now, trust);
      call.change.put('roles', role);
      return {};
    },
  },
  SimulatePrincipalPolicy: {
    mutates: false,
    need: (call) => ({ resource: call.optional('PolicySourceArn') ?? '*' }),
    run: (call) => {
      const principal = source(call);
      const layers = layersOf(call.world, principal, call.now);
      const context: Context = new Map(
        (call.list('ContextEntries') as { ContextKeyName?: unknown; ContextKeyValues?: unknown }[]).map((entry) => [
          String(entry?.ContextKeyName ?? '').toLowerCase(),
          Array.isArray(entry?.ContextKeyValues) ? entry.ContextKeyValues.map(String) : [],
        ]),
      );
      const resources = call.texts('ResourceArns');
      const actions = call.texts('ActionNames');
      if (actions.length === 0) throw noSuchEntity('No action to simulate.');
      const results: Answer[] = [];
      for (const action of actions) {
        for (const resource of resources.length === 0 ? ['*'] : resources) {
          const judgement = decide(layers, { action, resource, context });
          const EvalDecision = judgement.allowed ? 'allowed' : judgement.explicit === true ? 'explicitDeny' : 'implicitDeny';
          results.push({
            EvalActionName: action,
            EvalResourceName: resource,
            EvalDecision,
            MatchedStatements: [],
            MissingContextValues: [],
          });
        }
      }
      return { EvaluationResults: results, IsTruncated: false };
    },
  },
};
