import { incidentId } from '../../domain/credential.ts';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { yes } from '../../domain/observation.ts';
import type { Action } from '../contract.ts';
import { type AwsAccount, heldBy, readKeys, readPolicy, removePolicy, textsOf, userGone, writePolicy } from './account.ts';
import { readCutOff, second } from './cut-off.ts';
import { manifest } from './manifest.ts';
import { cutOffPolicy, holdPolicy, isHold, markOf, type PolicyBefore, sameDocument } from './policies.ts';

/**
 * Takes the deny-all off a user whose leaked keys are dead, so that a new key can work. Params: `keys`, the leaked and derived ids, each of which has to be
 * off or gone; without them the leaked one has to be, which the incident's id tells. The cut-off has to stand: sessions minted before it live for up to 36 hours.
 */
export function liftDeny(account: AwsAccount): Action<PolicyBefore> {
  return {
    manifest: actionOf(manifest, 'lift-deny') as ActionManifest,

    async capture(target, context) {
      const { user } = await account.targetOf(target);
      const read = await readPolicy(account.step(context), user, holdPolicy);
      return read.found === 'policy' ? { document: read.document } : {};
    },

    async apply(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const [read, rows, cutOff] = await Promise.all([readPolicy(calls, user, holdPolicy), readKeys(calls, user), readCutOff(calls, user)]);
      const done = (outcome: 'changed' | 'already' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (read.found === 'no-user' || !rows) return done('absent', { gone: 'user' });
      if (read.found !== 'policy') return done('already');
      const others = heldBy(context);
      if (others.length > 0) return done('already', { heldBy: others });
      if (!sameDocument(read.document, before.document) || !isHold(read.document)) {
        throw fault('provider.conflict', { user, policy: holdPolicy, because: 'it is not the hold that was captured' });
      }
      const named = textsOf(context, 'keys');
      const leaked = rows.filter((row) => (named ? named.includes(row.accessKeyId) : isLeaked(row.accessKeyId, context.incident)));
      const active = leaked.filter((row) => row.status === 'Active').map((row) => row.accessKeyId);
      if (active.length > 0) throw fault('provider.conflict', { user, active: active.join(' '), because: 'a leaked key is still on' });
      if (cutOff.at === undefined) throw fault('provider.conflict', { user, policy: cutOffPolicy, because: 'sessions are not cut off' });
      await removePolicy(calls, user, holdPolicy);
      account.settling.accepted(markOf(context));
      return done('changed', { cutOff: second(cutOff.at) });
    },

    async probe(target, _before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const others = heldBy(context);
      return await account.settled(context, calls, async () => {
        const read = await readPolicy(calls, user, holdPolicy);
        if (read.found === 'no-user') return { so: true, words: `there is no user ${user}` };
        if (read.found === 'none') return { so: true, words: `${user} has no policy ${holdPolicy}` };
        // This incident's hold is let go, and that is all this step can promise.
        if (others.length > 0) return { so: true, words: `${user} stays denied everything, now for incidents ${others.join(', ')} alone` };
        return { so: false, words: `${user} has the policy ${holdPolicy}` };
      });
    },

    async revert(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const read = await readPolicy(calls, user, holdPolicy);
      const standing = read.found === 'policy' ? read.document : undefined;
      if (read.found === 'no-user') return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      const observation = () => yes(calls.at, 'administrator', `${holdPolicy} on ${user} is as it was captured`);
      if (sameDocument(standing, before.document)) return { outcome: 'already', requestIds: calls.requestIds, observation: observation() };
      if (standing !== undefined || before.document === undefined) {
        throw fault('provider.conflict', { user, policy: holdPolicy, because: 'somebody has changed it since' });
      }
      if (!(await writePolicy(calls, user, holdPolicy, before.document))) {
        return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      }
      return { outcome: 'changed', requestIds: calls.requestIds, observation: observation() };
    },
  };
}

/** True for the key that the incident is named after. */
function isLeaked(accessKeyId: string, incident: string): boolean {
  return incidentId({ kind: 'aws.access-key', locator: { accessKeyId } }) === incident;
}
