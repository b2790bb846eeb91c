import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Reverted } from '../contract.ts';
import { type AwsAccount, heldBy, readKeys, removePolicy, userGone, writePolicy } from './account.ts';
import { momentOf, readCutOff, residualOf, second, stamp, standsUntil, stillActive } from './cut-off.ts';
import { manifest } from './manifest.ts';
import { cutOffIn, cutOffPolicy, isMarked, markOf, sameDocument } from './policies.ts';

/** The inline policy that stood under the name, if any. */
export interface PolicyBefore {
  readonly document?: string;
}

/**
 * Denies everything to the sessions that a user's keys have minted, by their issue time. Params: `keys`, the ids that may mint no more, refused while one
 * of them is on; `cutoffAt`, when they were seen to be dead. A step that has stamped does not stamp again; another step's later stamp is kept.
 */
export function cutOffSessions(account: AwsAccount): Action<PolicyBefore> {
  return {
    manifest: actionOf(manifest, 'cut-off-sessions') as ActionManifest,

    async capture(target, context) {
      const { user } = await account.targetOf(target);
      const { document } = await readCutOff(account.step(context), user);
      return document === undefined ? {} : { document };
    },

    async apply(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const [rows, standing] = await Promise.all([readKeys(calls, user), readCutOff(calls, user)]);
      const done = (outcome: 'changed' | 'already', cutOff: number) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        descendantsDieAt: new Date(standsUntil(cutOff, context)).toISOString(),
        residual: residualOf(account, user, cutOff, context),
        facts: { cutOff: second(cutOff) },
      });
      const absent = () => ({ outcome: 'absent' as const, acceptedAt: calls.at, requestIds: calls.requestIds, facts: { gone: 'user' } });
      if (!rows || standing.found === 'no-user') return absent();
      const active = stillActive(rows, context);
      if (active.length > 0)
        throw fault('provider.conflict', { user, active: active.join(' '), because: 'a key that is on mints after any cut-off' });
      const wanted = momentOf(calls, context);
      if (standing.document !== undefined) {
        const ours = isMarked(standing.document, markOf(context));
        // Without a moment given, the one that this step computed at its first try is as good as the one it would compute now.
        const enough = standing.at !== undefined && (standing.at >= wanted || (ours && context.params['cutoffAt'] === undefined));
        if (enough && standing.at !== undefined) return done('already', standing.at);
        if (standing.at === undefined && !sameDocument(standing.document, before.document)) {
          throw fault('provider.conflict', { user, policy: cutOffPolicy, because: 'somebody has written another policy of this name' });
        }
      }
      const cutOff = await stamp(calls, user, standing, wanted, context);
      if (cutOff === undefined) return absent();
      account.settling.accepted(markOf(context));
      return done('changed', cutOff);
    },

    async probe(target, _before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const standing = await readCutOff(calls, user);
        if (standing.found === 'no-user') return { so: true, words: `there is no user ${user}` };
        return standing.at === undefined
          ? { so: false, words: `${user} has no cut-off of ours` }
          : { so: true, words: `sessions of ${user} issued before ${second(standing.at)} are denied` };
      });
    },

    async revert(target, before, context): Promise<Reverted> {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const standing = await readCutOff(calls, user);
      const answer = (outcome: 'changed' | 'already' | 'absent', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: yes(calls.at, 'administrator', words),
      });
      if (standing.found === 'no-user') return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      if (sameDocument(standing.document, before.document)) return answer('already', 'the policy is as it was captured');
      // A cut-off of the engine's own that was captured is another incident's, which lifts it when it is due: it is not for us to bring back.
      const theirs = before.document !== undefined && cutOffIn(before.document) !== undefined;
      if (standing.document === undefined && theirs) return answer('already', 'no cut-off stands');
      if (standing.at === undefined) {
        throw fault('provider.conflict', { user, policy: cutOffPolicy, because: 'somebody has changed it since' });
      }
      const ours = standing.document !== undefined && isMarked(standing.document, markOf(context));
      const due = standsUntil(standing.at, context);
      const others = heldBy(context);
      if (calls.now <= due || others.length > 0) {
        // The sessions it denies are alive until then: lifting it would wake them, whoever stamped it last.
        const words =
          others.length > 0 ? `incidents ${others.join(', ')} hold ${user}` : `sessions minted before it live until ${second(due)}`;
        return {
          outcome: 'already',
          requestIds: calls.requestIds,
          observation: no(calls.at, 'administrator', `the cut-off stands: ${words}`),
          residual: residualOf(account, user, standing.at, context),
        };
      }
      if (!ours) throw fault('provider.conflict', { user, policy: cutOffPolicy, because: 'another step has stamped it since' });
      if (before.document === undefined || theirs) await removePolicy(calls, user, cutOffPolicy);
      else await writePolicy(calls, user, cutOffPolicy, before.document);
      return answer('changed', `the cut-off of ${second(standing.at)} is lifted: the last session before it has expired`);
    },
  };
}
