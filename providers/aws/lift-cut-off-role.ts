import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { yes } from '../../domain/observation.ts';
import type { Action } from '../contract.ts';
import { type AwsAccount, heldBy, textsOf } from './account.ts';
import { second } from './cut-off.ts';
import type { PolicyBefore } from './cut-off-sessions.ts';
import { manifest } from './manifest.ts';
import { cutOffPolicy, markOf, sameDocument } from './policies.ts';
import { readRoleCutOff, removeRolePolicy, roleGone, roleStandsUntil, writeRolePolicy } from './role.ts';

/**
 * Takes the cut-off off a role once the last session from before it has expired: by the provider's clock, and by the later of the params' `until` and what policy and role
 * say. Before that it is a conflict: there is a session that would wake.
 */
export function liftCutOffRole(account: AwsAccount): Action<PolicyBefore> {
  return {
    manifest: actionOf(manifest, 'lift-cut-off-role') as ActionManifest,

    async capture(target, context) {
      const name = await account.roleOf(target);
      const standing = await readRoleCutOff(account.step(context), name);
      return standing.found === 'policy' && standing.document !== undefined ? { document: standing.document } : {};
    },

    async apply(target, before, context) {
      const name = await account.roleOf(target);
      const calls = account.step(context);
      const standing = await readRoleCutOff(calls, name);
      const done = (outcome: 'changed' | 'already' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (standing.found === 'no-role') return done('absent', { gone: 'role' });
      if (standing.found === 'none') return done('already');
      const others = heldBy(context);
      if (others.length > 0) return done('already', { heldBy: others });
      if (standing.at === undefined || !sameDocument(standing.document, before.document)) {
        throw fault('provider.conflict', { role: name, policy: cutOffPolicy, because: 'it is not the cut-off that was captured' });
      }
      const given = (textsOf(context, 'until') ?? []).map((text) => Date.parse(text)).filter((ms) => !Number.isNaN(ms));
      const until = Math.max(roleStandsUntil(standing.at, standing.role, context), ...given);
      if (calls.now <= until) {
        throw fault('provider.conflict', {
          role: name,
          until: second(until),
          now: calls.at,
          because: 'a session issued before it may be alive',
        });
      }
      await removeRolePolicy(calls, name);
      account.settling.accepted(markOf(context));
      return done('changed', { cutOff: second(standing.at), until: second(until) });
    },

    async probe(target, _before, context) {
      const name = await account.roleOf(target);
      const calls = account.step(context);
      const others = heldBy(context);
      return await account.settled(context, calls, async () => {
        const standing = await readRoleCutOff(calls, name);
        if (standing.found === 'no-role') return { so: true, words: `there is no role ${name}` };
        if (standing.found === 'none') return { so: true, words: `role ${name} has no policy ${cutOffPolicy}` };
        if (others.length > 0)
          return { so: true, words: `the sessions of role ${name} stay cut off, now for incidents ${others.join(', ')} alone` };
        return { so: false, words: `role ${name} has the policy ${cutOffPolicy}` };
      });
    },

    async revert(target, before, context) {
      const name = await account.roleOf(target);
      const calls = account.step(context);
      const standing = await readRoleCutOff(calls, name);
      const gone = () => ({ outcome: 'absent' as const, requestIds: calls.requestIds, observation: roleGone(account, calls, name) });
      if (standing.found === 'no-role') return gone();
      const observation = () => yes(calls.at, 'administrator', `${cutOffPolicy} on role ${name} is as it was captured`);
      if (sameDocument(standing.document, before.document)) {
        return { outcome: 'already', requestIds: calls.requestIds, observation: observation() };
      }
      if (standing.document !== undefined || before.document === undefined) {
        throw fault('provider.conflict', { role: name, policy: cutOffPolicy, because: 'somebody has changed it since' });
      }
      if (!(await writeRolePolicy(calls, name, before.document))) return gone();
      return { outcome: 'changed', requestIds: calls.requestIds, observation: observation() };
    },
  };
}
