import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Reverted } from '../contract.ts';
import { type AwsAccount, heldBy } from './account.ts';
import { momentOf, second } from './cut-off.ts';
import type { PolicyBefore } from './cut-off-sessions.ts';
import { manifest } from './manifest.ts';
import { cutOffDocument, cutOffIn, cutOffPolicy, isMarked, markOf, sameDocument } from './policies.ts';
import { readRoleCutOff, removeRolePolicy, roleGone, roleResidualOf, roleStandsUntil, writeRolePolicy } from './role.ts';

/**
 * Denies everything to the sessions of a role that were issued before a moment: the leak's, and everybody else's, who have to assume the role again. Params: `cutoffAt`,
 * when those who assumed it were seen to be stopped; without it, one propagation time from now. A step that has stamped does not stamp again; another step's later stamp is kept.
 */
export function cutOffRole(account: AwsAccount): Action<PolicyBefore> {
  return {
    manifest: actionOf(manifest, 'cut-off-role') as ActionManifest,

    async capture(target, context) {
      const name = await account.roleOf(target);
      const standing = await readRoleCutOff(account.step(context), name);
      return standing.found === 'policy' && standing.document !== undefined ? { document: standing.document } : {};
    },

    async apply(target, before, context) {
      const name = await account.roleOf(target);
      const calls = account.step(context);
      const standing = await readRoleCutOff(calls, name);
      const absent = () => ({ outcome: 'absent' as const, acceptedAt: calls.at, requestIds: calls.requestIds, facts: { gone: 'role' } });
      if (standing.found === 'no-role') return absent();
      const { role } = standing;
      const done = (outcome: 'changed' | 'already', cutOff: number) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        descendantsDieAt: new Date(roleStandsUntil(cutOff, role, context)).toISOString(),
        residual: roleResidualOf(cutOff, role, context),
        facts: { cutOff: second(cutOff), maxSessionSeconds: role.maxSessionSeconds },
      });
      const wanted = momentOf(calls, context);
      if (standing.document !== undefined) {
        const ours = isMarked(standing.document, markOf(context));
        // Without a moment given, the one that this step computed at its first try is as good as the one it would compute now.
        const enough = standing.at !== undefined && (standing.at >= wanted || (ours && context.params['cutoffAt'] === undefined));
        if (enough && standing.at !== undefined) return done('already', standing.at);
        if (standing.at === undefined && !sameDocument(standing.document, before.document)) {
          throw fault('provider.conflict', {
            role: name,
            policy: cutOffPolicy,
            because: 'somebody has written another policy of this name',
          });
        }
      }
      const cutOff = Math.max(wanted, standing.at ?? 0);
      if (!(await writeRolePolicy(calls, name, cutOffDocument(markOf(context), second(cutOff))))) return absent();
      account.settling.accepted(markOf(context));
      return done('changed', cutOff);
    },

    async probe(target, _before, context) {
      const name = await account.roleOf(target);
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const standing = await readRoleCutOff(calls, name);
        if (standing.found === 'no-role') return { so: true, words: `there is no role ${name}` };
        return standing.at === undefined
          ? { so: false, words: `role ${name} has no cut-off of ours` }
          : { so: true, words: `sessions of role ${name} issued before ${second(standing.at)} are denied` };
      });
    },

    async revert(target, before, context): Promise<Reverted> {
      const name = await account.roleOf(target);
      const calls = account.step(context);
      const standing = await readRoleCutOff(calls, name);
      const answer = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: yes(calls.at, 'administrator', words),
      });
      if (standing.found === 'no-role')
        return { outcome: 'absent', requestIds: calls.requestIds, observation: roleGone(account, calls, name) };
      if (sameDocument(standing.document, before.document)) return answer('already', 'the policy is as it was captured');
      // A cut-off of the engine's own that was captured is another incident's, which lifts it when it is due: it is not for us to bring back.
      const theirs = before.document !== undefined && cutOffIn(before.document) !== undefined;
      if (standing.document === undefined && theirs) return answer('already', 'no cut-off stands');
      if (standing.at === undefined) {
        throw fault('provider.conflict', { role: name, policy: cutOffPolicy, because: 'somebody has changed it since' });
      }
      const due = roleStandsUntil(standing.at, standing.role, context);
      const others = heldBy(context);
      if (calls.now <= due || others.length > 0) {
        // The sessions it denies are alive until then: lifting it would wake them, whoever stamped it last.
        const words =
          others.length > 0 ? `incidents ${others.join(', ')} hold role ${name}` : `sessions issued before it live until ${second(due)}`;
        return {
          outcome: 'already',
          requestIds: calls.requestIds,
          observation: no(calls.at, 'administrator', `the cut-off stands: ${words}`),
          residual: roleResidualOf(standing.at, standing.role, context),
        };
      }
      if (standing.document === undefined || !isMarked(standing.document, markOf(context)))
        throw fault('provider.conflict', { role: name, policy: cutOffPolicy, because: 'another step has stamped it since' });
      if (before.document === undefined || theirs) await removeRolePolicy(calls, name);
      else await writeRolePolicy(calls, name, before.document);
      return answer('changed', `the cut-off of ${second(standing.at)} is lifted: the last session before it has expired`);
    },
  };
}
