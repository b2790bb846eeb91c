import { groupArn, roleArn, userArn } from './access.ts';
import type { Call, Need } from './call.ts';
import { managedDocument } from './managed-policies.ts';
import { Malformed, type PolicyUse, readPolicy } from './policy.ts';
import { malformedPolicy, noSuchEntity, validation } from './refusal.ts';
import { type Group, latest, noPolicies, type PolicySet, type Role, revise, type User } from './state.ts';

export type Kind = 'User' | 'Role' | 'Group';
export type Principal = User | Role | Group;

const tables = { User: 'users', Role: 'roles', Group: 'groups' } as const;

/** A live principal by its name, or `NoSuchEntity`. */
export function find(call: Call, kind: 'User', name: string): User;
export function find(call: Call, kind: 'Role', name: string): Role;
export function find(call: Call, kind: 'Group', name: string): Group;
export function find(call: Call, kind: Kind, name: string): Principal;
export function find(call: Call, kind: Kind, name: string): Principal {
  const { state } = call.world;
  const row = kind === 'User' ? state.user(name) : kind === 'Role' ? state.role(name) : state.group(name);
  if (row === undefined) throw noSuchEntity(`The ${kind.toLowerCase()} with name ${name} cannot be found.`);
  return row;
}

export function arnOf(call: Call, kind: Kind, row: { path: string; name: string }): string {
  const arn = kind === 'User' ? userArn : kind === 'Role' ? roleArn : groupArn;
  return arn(call.world.accountId, row);
}

/** The user whom a call is about: the one it names, or else the caller's own, which is where a careless script changes the wrong key. */
export function subject(call: Call): User {
  const name = call.optional('UserName');
  if (name !== undefined) return find(call, 'User', name);
  const { user, session } = call.caller;
  if (user === undefined || session?.kind === 'federation')
    throw validation('Must specify userName when calling with non-User credentials');
  return user;
}

/** Permission on the principal that the call names (its resource is named also where it does not exist). */
export function onPrincipal(kind: Kind): (call: Call) => Need {
  return (call) => {
    const name = call.optional(`${kind}Name`);
    if (name === undefined) {
      if (kind !== 'User' || call.caller.user === undefined) return { resource: '*' };
      return { resource: arnOf(call, 'User', call.caller.user), keys: tagKeys(call.caller.user) };
    }
    const { state } = call.world;
    const row = kind === 'User' ? state.user(name) : kind === 'Role' ? state.role(name) : state.group(name);
    if (row === undefined) return { resource: arnOf(call, kind, { path: call.optional('Path') ?? '/', name }) };
    return { resource: arnOf(call, kind, row), keys: tagKeys(row) };
  };
}

function tagKeys(row: Principal): Record<string, string> {
  const keys: Record<string, string> = {};
  const { tags = {} } = row as { tags?: Record<string, string> };
  for (const [tag, value] of Object.entries(tags)) {
    keys[`aws:ResourceTag/${tag}`] = value;
    keys[`iam:ResourceTag/${tag}`] = value;
  }
  return keys;
}

/** Permission on everything of a kind, for lists. */
export const onAll =
  (kind: Kind | 'Policy') =>
  (call: Call): Need => ({ resource: `arn:aws:iam::${call.world.accountId}:${kind.toLowerCase()}/` });

export const policiesOf = (row: Principal): PolicySet => latest<PolicySet>(row.policies) ?? noPolicies;

/** Gives a principal another set of policies, effective after the propagation. */
export function repolicy(call: Call, kind: Kind, row: Principal, change: Partial<PolicySet>): void {
  revise(row.policies, call.now, { ...policiesOf(row), ...change });
  call.change.put(tables[kind], row as never);
}

/** The set without its boundary; `exactOptionalPropertyTypes` leaves no shorter way. */
export function unbound(call: Call, kind: Kind, row: Principal): void {
  const { boundary: _boundary, ...rest } = policiesOf(row);
  revise(row.policies, call.now, rest);
  call.change.put(tables[kind], row as never);
}

export const put = (call: Call, kind: Kind, row: Principal): void => call.change.put(tables[kind], row as never);

/** A document of the request, refused where it is malformed. */
export function documentOf(call: Call, parameter: string, use: PolicyUse): string {
  const text = call.text(parameter);
  try {
    readPolicy(text, use);
  } catch (error) {
    if (error instanceof Malformed) throw malformedPolicy(error.message);
    throw error;
  }
  return text;
}

/** The ARN of a managed policy of the request, refused where there is none. */
export function managedArn(call: Call, parameter: string): string {
  const arn = call.text(parameter);
  if (managedDocument(call.world.state, arn) === undefined) throw noSuchEntity(`Policy ${arn} does not exist or is not attachable.`);
  return arn;
}

export function pathOf(call: Call): string {
  const path = call.optional('Path') ?? '/';
  if (!/^\/([\x21-\x7e]+\/)?$/.test(path))
    throw validation(
      'The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.',
    );
  return path;
}

export const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
