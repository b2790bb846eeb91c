import { incidentId, type Residual } from '../../domain/credential.ts';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Reverted, StepContext } from '../contract.ts';
import { type AwsAccount, heldBy, readKeys, readPolicy, removePolicy, textsOf, userGone, writePolicy } from './account.ts';
import type { Calls } from './api.ts';
import { lifeOf, readCutOff, residualOf, second, stamp } from './cut-off.ts';
import { manifest } from './manifest.ts';
import { cutOffPolicy, isMarked, markOf, type PolicyBefore, sameDocument } from './policies.ts';

/** An inline policy that denies a user what a leaked key could do: everything, or everything from elsewhere. */
export interface Denial {
  /** The action that puts it on, and the one that takes it off. */
  readonly on: string;
  readonly off: string;
  /** The policy's name. */
  readonly policy: string;
  /** The document of a step. Throws `provider.invalid` where its params make none. */
  document(context: StepContext): string;
  /** True for a document that denies at least what this step wants denied, whoever wrote it. */
  serves(document: string, context: StepContext): boolean;
  /** True for a whole one that an engine put, this step or any other. */
  isOurs(document: string): boolean;
  /** What the record of a step should say besides. */
  facts?(context: StepContext): Readonly<Record<string, unknown>>;
  /** What it does to a user, for a sentence. */
  words(user: string): string;
}

const changed = (user: string, policy: string, because = 'somebody has changed it since') =>
  fault('provider.conflict', { user, policy, because });

const capture =
  (account: AwsAccount, { policy }: Denial): Action<PolicyBefore>['capture'] =>
  async (target, context) => {
    const { user } = await account.targetOf(target);
    const read = await readPolicy(account.step(context), user, policy);
    return read.found === 'policy' ? { document: read.document } : {};
  };

/**
 * The action that puts a denial on a user. It proves nothing to `GetCallerIdentity` and takes `GetSessionToken` from nobody, which is why keys are disabled beside it.
 * Params of the undo: `maxLifeSeconds`, how long a session may live that was minted under it.
 */
export function denyOn(account: AwsAccount, denial: Denial): Action<PolicyBefore> {
  const { policy } = denial;
  return {
    manifest: actionOf(manifest, denial.on) as ActionManifest,
    capture: capture(account, denial),

    async apply(target, before, context) {
      const { user } = await account.targetOf(target);
      const wanted = denial.document(context);
      const calls = account.step(context);
      const read = await readPolicy(calls, user, policy);
      const done = (outcome: 'changed' | 'already' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (read.found === 'no-user') return done('absent', { gone: 'user' });
      if (read.found === 'policy') {
        const { document } = read;
        const serves = denial.serves(document, context);
        if (serves && isMarked(document, markOf(context))) return done('already');
        // Another incident's serves as well; the principal-hold counts who still needs it.
        if (serves && (denial.isOurs(document) || sameDocument(document, before.document))) return done('already', { standing: true });
        if (denial.isOurs(document)) throw changed(user, policy, 'another incident’s stands, and denies less');
        if (!sameDocument(document, before.document)) throw changed(user, policy);
      } else if (before.document !== undefined) throw changed(user, policy);
      if (!(await writePolicy(calls, user, policy, wanted))) return done('absent', { gone: 'user' });
      account.settling.accepted(markOf(context));
      return done('changed', denial.facts?.(context));
    },

    async probe(target, _before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const read = await readPolicy(calls, user, policy);
        if (read.found === 'no-user') return { so: true, words: `there is no user ${user}` };
        return read.found === 'policy' && denial.serves(read.document, context)
          ? { so: true, words: `${policy} ${denial.words(user)}` }
          : { so: false, words: `${user} has no policy ${policy} that ${denial.words('it')}` };
      });
    },

    async revert(target, before, context): Promise<Reverted> {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const read = await readPolicy(calls, user, policy);
      const standing = read.found === 'policy' ? read.document : undefined;
      const answer = (outcome: 'changed' | 'already', words: string, residual?: Residual) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: yes(calls.at, 'administrator', words),
        ...(residual ? { residual } : {}),
      });
      if (read.found === 'no-user') return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      const others = heldBy(context);
      // One of the engine's own that was captured is another incident's: whether it stands is for the count of holders to say, and not for us to bring back.
      const theirs = before.document !== undefined && denial.isOurs(before.document);
      if (standing === undefined && theirs) return answer('already', `no ${policy} stands`);
      const asBefore = sameDocument(standing, before.document);
      // With the engine's count at hand the last holder takes it off, whoever put it on; without, what another incident put on is not ours.
      const last = context.params['counted'] === true && others.length === 0;
      if (asBefore && !(theirs && last)) return answer('already', `${policy} is as it was captured`);
      if (others.length > 0) {
        return {
          outcome: 'already',
          requestIds: calls.requestIds,
          observation: no(calls.at, 'engine', `the deny stands: incidents ${others.join(', ')} hold ${user}`),
          facts: { heldBy: others },
        };
      }
      const ours = standing !== undefined && isMarked(standing, markOf(context)) && denial.isOurs(standing);
      if (standing === undefined || !(ours || (last && denial.isOurs(standing)))) throw changed(user, policy);
      const residual = lifeOf(context) > 0 ? await ensureCutOff(account, calls, user, context) : undefined;
      if (before.document === undefined || theirs) await removePolicy(calls, user, policy);
      else await writePolicy(calls, user, policy, before.document);
      return answer('changed', `${policy} is gone from ${user}`, residual);
    },
  };
}

/**
 * Before a denial is lifted, the narrower cut-off has to stand and to be in effect: a key that was on beneath it went on minting sessions, which would wake.
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

/**
 * The action that takes a denial off a user whose leaked keys are dead, so that a new key can work. Params: `keys`, the leaked and derived ids, each of which has to be
 * off or gone; without them the leaked one has to be, which the incident's id tells. The cut-off has to stand: sessions minted before it live for up to 36 hours.
 */
export function liftDenial(account: AwsAccount, denial: Denial): Action<PolicyBefore> {
  const { policy } = denial;
  return {
    manifest: actionOf(manifest, denial.off) as ActionManifest,
    capture: capture(account, denial),

    async apply(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const [read, rows, cutOff] = await Promise.all([readPolicy(calls, user, policy), readKeys(calls, user), readCutOff(calls, user)]);
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
      if (!sameDocument(read.document, before.document) || !denial.isOurs(read.document))
        throw changed(user, policy, 'it is not the hold that was captured');
      const named = textsOf(context, 'keys');
      const leaked = rows.filter((row) => (named ? named.includes(row.accessKeyId) : isLeaked(row.accessKeyId, context.incident)));
      const active = leaked.filter((row) => row.status === 'Active').map((row) => row.accessKeyId);
      if (active.length > 0) throw fault('provider.conflict', { user, active: active.join(' '), because: 'a leaked key is still on' });
      if (cutOff.at === undefined) throw changed(user, cutOffPolicy, 'sessions are not cut off');
      await removePolicy(calls, user, policy);
      account.settling.accepted(markOf(context));
      return done('changed', { cutOff: second(cutOff.at) });
    },

    async probe(target, _before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const others = heldBy(context);
      return await account.settled(context, calls, async () => {
        const read = await readPolicy(calls, user, policy);
        if (read.found === 'no-user') return { so: true, words: `there is no user ${user}` };
        if (read.found === 'none') return { so: true, words: `${user} has no policy ${policy}` };
        // This incident's hold is let go, and that is all this step can promise.
        if (others.length > 0) return { so: true, words: `${policy} stays on ${user}, now for incidents ${others.join(', ')} alone` };
        return { so: false, words: `${user} has the policy ${policy}` };
      });
    },

    async revert(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const read = await readPolicy(calls, user, policy);
      const standing = read.found === 'policy' ? read.document : undefined;
      if (read.found === 'no-user') return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      const observation = () => yes(calls.at, 'administrator', `${policy} on ${user} is as it was captured`);
      if (sameDocument(standing, before.document)) return { outcome: 'already', requestIds: calls.requestIds, observation: observation() };
      if (standing !== undefined || before.document === undefined) throw changed(user, policy);
      if (!(await writePolicy(calls, user, policy, before.document)))
        return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      return { outcome: 'changed', requestIds: calls.requestIds, observation: observation() };
    },
  };
}

/** True for the key that the incident is named after. */
function isLeaked(accessKeyId: string, incident: string): boolean {
  return incidentId({ kind: 'aws.access-key', locator: { accessKeyId } }) === incident;
}
