import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { yes } from '../../domain/observation.ts';
import type { Action } from '../contract.ts';
import { type AwsAccount, heldBy, removePolicy, textsOf, userGone, writePolicy } from './account.ts';
import { readCutOff, second, standsUntil } from './cut-off.ts';
import type { PolicyBefore } from './cut-off-sessions.ts';
import { manifest } from './manifest.ts';
import { cutOffPolicy, markOf, sameDocument } from './policies.ts';

/**
 * Takes the cut-off away once the last session before it has expired: by the provider's clock, and by the later of the params' `until` and what the policy
 * itself says. Before that it is a conflict: there is a session that would wake.
 */
export function liftCutOff(account: AwsAccount): Action<PolicyBefore> {
  return {
    manifest: actionOf(manifest, 'lift-cut-off') as ActionManifest,

    async capture(target, context) {
      const { user } = await account.targetOf(target);
      const { document } = await readCutOff(account.step(context), user);
      return document === undefined ? {} : { document };
    },

    async apply(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const standing = await readCutOff(calls, user);
      const done = (outcome: 'changed' | 'already' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (standing.found === 'no-user') return done('absent', { gone: 'user' });
      if (standing.found === 'none') return done('already');
      const others = heldBy(context);
      if (others.length > 0) return done('already', { heldBy: others });
      if (standing.at === undefined || !sameDocument(standing.document, before.document)) {
        throw fault('provider.conflict', { user, policy: cutOffPolicy, because: 'it is not the cut-off that was captured' });
      }
      const given = (textsOf(context, 'until') ?? []).map((text) => Date.parse(text)).filter((ms) => !Number.isNaN(ms));
      const until = Math.max(standsUntil(standing.at, context), ...given);
      if (calls.now <= until) {
        throw fault('provider.conflict', { user, until: second(until), now: calls.at, because: 'a session minted before it may be alive' });
      }
      await removePolicy(calls, user, cutOffPolicy);
      account.settling.accepted(markOf(context));
      return done('changed', { cutOff: second(standing.at), until: second(until) });
    },

    async probe(target, _before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const others = heldBy(context);
      return await account.settled(context, calls, async () => {
        const standing = await readCutOff(calls, user);
        if (standing.found === 'no-user') return { so: true, words: `there is no user ${user}` };
        if (standing.found === 'none') return { so: true, words: `${user} has no policy ${cutOffPolicy}` };
        if (others.length > 0)
          return { so: true, words: `the sessions of ${user} stay cut off, now for incidents ${others.join(', ')} alone` };
        return { so: false, words: `${user} has the policy ${cutOffPolicy}` };
      });
    },

    async revert(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const standing = await readCutOff(calls, user);
      if (standing.found === 'no-user') return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      const observation = () => yes(calls.at, 'administrator', `${cutOffPolicy} on ${user} is as it was captured`);
      if (sameDocument(standing.document, before.document)) {
        return { outcome: 'already', requestIds: calls.requestIds, observation: observation() };
      }
      if (standing.document !== undefined || before.document === undefined) {
        throw fault('provider.conflict', { user, policy: cutOffPolicy, because: 'somebody has changed it since' });
      }
      if (!(await writePolicy(calls, user, cutOffPolicy, before.document))) {
        return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      }
      return { outcome: 'changed', requestIds: calls.requestIds, observation: observation() };
    },
  };
}
