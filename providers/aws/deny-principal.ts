import type { Residual } from '../../domain/credential.ts';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Reverted, StepContext } from '../contract.ts';
import { type AwsAccount, heldBy, readKeys, readPolicy, removePolicy, userGone, writePolicy } from './account.ts';
import type { Calls } from './api.ts';
import { lifeOf, readCutOff, residualOf, second, stamp } from './cut-off.ts';
import { manifest } from './manifest.ts';
import {
  cutOffPolicy,
  deniesAll,
  holdDocument,
  holdPolicy,
  isHold,
  isMarked,
  markOf,
  type PolicyBefore,
  sameDocument,
} from './policies.ts';

/**
 * Denies a user everything, its sessions included, its roles' sessions not. It proves nothing to `GetCallerIdentity` and takes `GetSessionToken` from
 * nobody, which is why keys are disabled beside it. Params of the undo: `maxLifeSeconds`, how long a session may live that was minted under the deny.
 */
export function denyPrincipal(account: AwsAccount): Action<PolicyBefore> {
  return {
    manifest: actionOf(manifest, 'deny-principal') as ActionManifest,

    async capture(target, context) {
      const { user } = await account.targetOf(target);
      const read = await readPolicy(account.step(context), user, holdPolicy);
      return read.found === 'policy' ? { document: read.document } : {};
    },

    async apply(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const read = await readPolicy(calls, user, holdPolicy);
      const done = (outcome: 'changed' | 'already' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (read.found === 'no-user') return done('absent', { gone: 'user' });
      if (read.found === 'policy') {
        const { document } = read;
        if (isMarked(document, markOf(context)) && deniesAll(document)) return done('already');
        // Another incident's hold serves as well; the principal-hold counts who still needs it.
        if (isHold(document) || (deniesAll(document) && sameDocument(document, before.document)))
          return done('already', { standing: true });
        if (!sameDocument(document, before.document)) throw changed(user, holdPolicy);
      } else if (before.document !== undefined) throw changed(user, holdPolicy);
      if (!(await writePolicy(calls, user, holdPolicy, holdDocument(markOf(context))))) return done('absent', { gone: 'user' });
      account.settling.accepted(markOf(context));
      return done('changed');
    },

    async probe(target, _before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const read = await readPolicy(calls, user, holdPolicy);
        if (read.found === 'no-user') return { so: true, words: `there is no user ${user}` };
        return read.found === 'policy' && deniesAll(read.document)
          ? { so: true, words: `${holdPolicy} denies ${user} everything` }
          : { so: false, words: `${user} has no policy ${holdPolicy} that denies everything` };
      });
    },

    async revert(target, before, context): Promise<Reverted> {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const read = await readPolicy(calls, user, holdPolicy);
      const standing = read.found === 'policy' ? read.document : undefined;
      const answer = (outcome: 'changed' | 'already', words: string, residual?: Residual) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: yes(calls.at, 'administrator', words),
        ...(residual ? { residual } : {}),
      });
      if (read.found === 'no-user') return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      const others = heldBy(context);
      // A hold of the engine's own that was captured is another incident's: whether it stands is for the count of holders to say, and not for us to bring back.
      const theirs = before.document !== undefined && isHold(before.document);
      if (standing === undefined && theirs) return answer('already', `no ${holdPolicy} stands`);
      const asBefore = sameDocument(standing, before.document);
      // With the engine's count at hand the last holder takes it off, whoever put it on; without, what another incident put on is not ours.
      const last = context.params['counted'] === true && others.length === 0;
      if (asBefore && !(theirs && last)) return answer('already', `${holdPolicy} is as it was captured`);
      if (others.length > 0) {
        return {
          outcome: 'already',
          requestIds: calls.requestIds,
          observation: no(calls.at, 'engine', `the deny stands: incidents ${others.join(', ')} hold ${user}`),
          facts: { heldBy: others },
        };
      }
      const ours = standing !== undefined && isMarked(standing, markOf(context)) && deniesAll(standing);
      if (standing === undefined || !(ours || (last && isHold(standing)))) throw changed(user, holdPolicy);
      const residual = lifeOf(context) > 0 ? await ensureCutOff(account, calls, user, context) : undefined;
      if (before.document === undefined || theirs) await removePolicy(calls, user, holdPolicy);
      else await writePolicy(calls, user, holdPolicy, before.document);
      return answer('changed', `${holdPolicy} is gone from ${user}`, residual);
    },
  };
}

const changed = (user: string, policy: string) => fault('provider.conflict', { user, policy, because: 'somebody has changed it since' });

/**
 * Before a deny is lifted, the narrower cut-off has to stand and to be in effect: a key that was on beneath the deny went on minting sessions, which would wake.
 * A cut-off that stands is good enough only while no key is on. Gives what must stand on, and until when.
 */
async function ensureCutOff(account: AwsAccount, calls: Calls, user: string, context: StepContext): Promise<Residual> {
  const [rows, standing] = await Promise.all([readKeys(calls, user), readCutOff(calls, user)]);
  const quiet = (rows ?? []).every((row) => row.status === 'Inactive');
  if (standing.at !== undefined && quiet) return residualOf(account, user, standing.at, context);
  if (standing.document !== undefined && standing.at === undefined) throw changed(user, cutOffPolicy);
  const { propagationMs, marginMs } = context.timing;
  const wanted = Math.ceil((calls.nowAtMost + propagationMs + marginMs) / 1000) * 1000;
  const cutOff = await stamp(calls, user, standing, wanted, context);
  if (cutOff === undefined) throw fault('provider.conflict', { user, because: 'the user is gone', at: second(wanted) });
  await context.sleep(propagationMs);
  return residualOf(account, user, cutOff, context);
}
