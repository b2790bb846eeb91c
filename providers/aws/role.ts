import { DeleteRolePolicyCommand, GetRoleCommand, GetRolePolicyCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import type { Residual } from '../../domain/credential.ts';
import { type Observation, yes } from '../../domain/observation.ts';
import type { StepContext } from '../contract.ts';
import { type AwsAccount, decoded, numberOf } from './account.ts';
import type { Calls } from './api.ts';
import { second } from './cut-off.ts';
import { isGone } from './errors.ts';
import { cutOffIn, cutOffPolicy } from './policies.ts';

/** Seconds for which a session of a role lives at most, whatever its role says now (IAM API reference, CreateRole: MaxSessionDuration up to 43200). */
export const longestRoleSessionSeconds = 43_200;

/** A role as an administrator sees it. */
export interface RoleRow {
  readonly arn: string;
  /** How long a session of it may be asked for. */
  readonly maxSessionSeconds: number;
}

/** The role; undefined where there is none of that name. */
export async function readRole(calls: Calls, role: string): Promise<RoleRow | undefined> {
  try {
    const { Role } = await calls.read('iam:GetRole', (aws, options) => aws.iam().send(new GetRoleCommand({ RoleName: role }), options));
    return { arn: Role?.Arn ?? '', maxSessionSeconds: Role?.MaxSessionDuration ?? longestRoleSessionSeconds };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** What stands of the cut-off on a role. */
export type RoleCutOff =
  | { readonly found: 'no-role' }
  | {
      readonly found: 'policy' | 'none';
      readonly role: RoleRow;
      readonly document?: string;
      /** Milliseconds; undefined where the document is none of ours. */
      readonly at?: number;
    };

export async function readRoleCutOff(calls: Calls, name: string): Promise<RoleCutOff> {
  const role = await readRole(calls, name);
  if (!role) return { found: 'no-role' };
  try {
    const answer = await calls.read('iam:GetRolePolicy', (aws, options) =>
      aws.iam().send(new GetRolePolicyCommand({ RoleName: name, PolicyName: cutOffPolicy }), options),
    );
    const document = decoded(answer.PolicyDocument ?? '');
    const at = cutOffIn(document);
    return { found: 'policy', role, document, ...(at === undefined ? {} : { at }) };
  } catch (error) {
    // NoSuchEntity is said of a missing role and of a missing policy alike, and the role was there a moment ago.
    if (!isGone(error)) throw error;
    return { found: 'none', role };
  }
}

/** Writes the cut-off's policy; false where the role is gone. */
export async function writeRolePolicy(calls: Calls, role: string, document: string): Promise<boolean> {
  return await calls.writeIfThere('iam:PutRolePolicy', (iam) =>
    iam.send(new PutRolePolicyCommand({ RoleName: role, PolicyName: cutOffPolicy, PolicyDocument: document })),
  );
}

/** Takes the cut-off's policy away; one that is not there is taken away already. */
export async function removeRolePolicy(calls: Calls, role: string): Promise<void> {
  await calls.writeIfThere('iam:DeleteRolePolicy', (iam) =>
    iam.send(new DeleteRolePolicyCommand({ RoleName: role, PolicyName: cutOffPolicy })),
  );
}

/**
 * Until when a cut-off of a role has to stand, in milliseconds: the last session that it stops was issued just before it, for as long as the role allows, or as the step's
 * `maxLifeSeconds` says where that is longer, and the margin.
 */
export function roleStandsUntil(cutOff: number, role: RoleRow, context: StepContext): number {
  const life = Math.max(role.maxSessionSeconds, numberOf(context, 'maxLifeSeconds') ?? 0);
  return cutOff + life * 1000 + Math.ceil(context.timing.marginMs / 1000) * 1000;
}

export function roleResidualOf(cutOff: number, role: RoleRow, context: StepContext): Residual {
  return {
    what: `sessions of ${role.arn.replace(/^.*:/, '')} issued before ${second(cutOff)} are denied everything and live on until they expire`,
    target: role.arn,
    until: new Date(roleStandsUntil(cutOff, role, context)).toISOString(),
    stamp: new Date(cutOff).toISOString(),
  };
}

/** An observation for a world in which the role is gone. */
export function roleGone(account: AwsAccount, calls: Calls, role: string): Observation {
  return yes(
    calls.at,
    'administrator',
    `there is no role ${role} in ${account.accountId}; request ${calls.requestIds.at(-1) ?? 'unknown'}`,
  );
}
