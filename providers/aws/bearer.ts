import type { Residual } from '../../domain/credential.ts';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, type Observation, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, Reverted, StepContext } from '../contract.ts';
import { type AwsAccount, heldBy, removePolicy, textsOf, userGone, writePolicy } from './account.ts';
import type { Calls } from './api.ts';
import { momentOf, readCutOff, residualOf, second, standsUntil } from './cut-off.ts';
import { manifest } from './manifest.ts';
import { cutOffDocument, cutOffIn, cutOffPolicy, isMarked, markOf, type PolicyBefore, sameDocument } from './policies.ts';
import { readRoleCutOff, removeRolePolicy, roleGone, roleResidualOf, roleStandsUntil, writeRolePolicy } from './role.ts';

/** What stands of the cut-off on its bearer, and what follows from it. */
type Standing =
  | { readonly found: 'gone' }
  | {
      readonly found: 'policy' | 'none';
      readonly document?: string;
      /** Milliseconds; undefined where the document is none of ours. */
      readonly at?: number;
      /** Until when a cut-off of that moment has to stand, in milliseconds. */
      until(cutOff: number, context: StepContext): number;
      residual(cutOff: number, context: StepContext): Residual;
      readonly facts: Readonly<Record<string, unknown>>;
    };

/** Who bears a cut-off, a user or a role: the same inline policy, on which IAM has other calls and sessions live for another time. Its calls throw what {@link Calls} throws. */
export interface Bearer {
  readonly account: AwsAccount;
  readonly kind: 'user' | 'role';
  /** Its name, out of a step's target. Throws `provider.invalid` for a target of another account or none. */
  nameOf(target: Target): Promise<string>;
  /** How it is called in a sentence. */
  subject(name: string): string;
  read(calls: Calls, name: string): Promise<Standing>;
  /** False where the bearer is gone. */
  write(calls: Calls, name: string, document: string): Promise<boolean>;
  /** A policy that is not there is removed already. */
  remove(calls: Calls, name: string): Promise<void>;
  /** An observation for a world in which the bearer is gone. */
  gone(calls: Calls, name: string): Observation;
}

export function userBearer(account: AwsAccount): Bearer {
  return {
    account,
    kind: 'user',
    nameOf: async (target) => (await account.targetOf(target)).user,
    subject: (name) => name,
    async read(calls, name) {
      const { found, ...standing } = await readCutOff(calls, name);
      if (found === 'no-user') return { found: 'gone' };
      return {
        found,
        ...standing,
        until: standsUntil,
        residual: (cutOff, context) => residualOf(account, name, cutOff, context),
        facts: {},
      };
    },
    write: (calls, name, document) => writePolicy(calls, name, cutOffPolicy, document),
    remove: (calls, name) => removePolicy(calls, name, cutOffPolicy),
    gone: userGone,
  };
}

export function roleBearer(account: AwsAccount): Bearer {
  return {
    account,
    kind: 'role',
    nameOf: (target) => account.roleOf(target),
    subject: (name) => `role ${name}`,
    async read(calls, name) {
      const read = await readRoleCutOff(calls, name);
      if (read.found === 'no-role') return { found: 'gone' };
      const { role, ...standing } = read;
      return {
        ...standing,
        until: (cutOff, context) => roleStandsUntil(cutOff, role, context),
        residual: (cutOff, context) => roleResidualOf(cutOff, role, context),
        facts: { maxSessionSeconds: role.maxSessionSeconds },
      };
    },
    write: writeRolePolicy,
    remove: removeRolePolicy,
    gone: (calls, name) => roleGone(account, calls, name),
  };
}

const capture =
  (bearer: Bearer): Action<PolicyBefore>['capture'] =>
  async (target, context) => {
    const standing = await bearer.read(bearer.account.step(context), await bearer.nameOf(target));
    return standing.found !== 'gone' && standing.document !== undefined ? { document: standing.document } : {};
  };

/**
 * The action that denies everything to the bearer's sessions from before a moment: the params' `cutoffAt` and the margin, or without it one propagation time from now. A step that has stamped does
 * not stamp again, and another step's later stamp is kept. `minting`: what would mint sessions after any cut-off, for which it is refused (`provider.conflict`); undefined where the bearer is gone.
 */
export function cutOffOn(
  bearer: Bearer,
  name: string,
  minting: (calls: Calls, bearerName: string, context: StepContext) => Promise<readonly string[] | undefined> = async () => [],
): Action<PolicyBefore> {
  const { account, kind } = bearer;
  return {
    manifest: actionOf(manifest, name) as ActionManifest,
    capture: capture(bearer),

    async apply(target, before, context) {
      const of = await bearer.nameOf(target);
      const calls = account.step(context);
      const [active, standing] = await Promise.all([minting(calls, of, context), bearer.read(calls, of)]);
      const absent = () => ({ outcome: 'absent' as const, acceptedAt: calls.at, requestIds: calls.requestIds, facts: { gone: kind } });
      if (!active || standing.found === 'gone') return absent();
      if (active.length > 0)
        throw fault('provider.conflict', { [kind]: of, active: active.join(' '), because: 'a key that is on mints after any cut-off' });
      const done = (outcome: 'changed' | 'already', cutOff: number) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        descendantsDieAt: new Date(standing.until(cutOff, context)).toISOString(),
        residual: standing.residual(cutOff, context),
        facts: { cutOff: second(cutOff), ...standing.facts },
      });
      const wanted = momentOf(calls, context);
      if (standing.document !== undefined) {
        const ours = isMarked(standing.document, markOf(context));
        // Without a moment given, the one that this step computed at its first try is as good as the one it would compute now.
        const enough = standing.at !== undefined && (standing.at >= wanted || (ours && context.params['cutoffAt'] === undefined));
        if (enough && standing.at !== undefined) return done('already', standing.at);
        if (standing.at === undefined && !sameDocument(standing.document, before.document))
          throw fault('provider.conflict', {
            [kind]: of,
            policy: cutOffPolicy,
            because: 'somebody has written another policy of this name',
          });
      }
      const cutOff = Math.max(wanted, standing.at ?? 0);
      if (!(await bearer.write(calls, of, cutOffDocument(markOf(context), second(cutOff))))) return absent();
      account.settling.accepted(markOf(context));
      return done('changed', cutOff);
    },

    async probe(target, _before, context) {
      const of = await bearer.nameOf(target);
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const standing = await bearer.read(calls, of);
        if (standing.found === 'gone') return { so: true, words: `there is no ${kind} ${of}` };
        return standing.at === undefined
          ? { so: false, words: `${bearer.subject(of)} has no cut-off of ours` }
          : { so: true, words: `sessions of ${bearer.subject(of)} issued before ${second(standing.at)} are denied` };
      });
    },

    async revert(target, before, context): Promise<Reverted> {
      const of = await bearer.nameOf(target);
      const calls = account.step(context);
      const standing = await bearer.read(calls, of);
      const answer = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: yes(calls.at, 'administrator', words),
      });
      if (standing.found === 'gone') return { outcome: 'absent', requestIds: calls.requestIds, observation: bearer.gone(calls, of) };
      if (sameDocument(standing.document, before.document)) return answer('already', 'the policy is as it was captured');
      // A cut-off of the engine's own that was captured is another incident's, which lifts it when it is due: it is not for us to bring back.
      const theirs = before.document !== undefined && cutOffIn(before.document) !== undefined;
      if (standing.document === undefined && theirs) return answer('already', 'no cut-off stands');
      if (standing.at === undefined)
        throw fault('provider.conflict', { [kind]: of, policy: cutOffPolicy, because: 'somebody has changed it since' });
      const due = standing.until(standing.at, context);
      const others = heldBy(context);
      if (calls.now <= due || others.length > 0) {
        // The sessions it denies are alive until then: lifting it would wake them, whoever stamped it last.
        const words =
          others.length > 0
            ? `incidents ${others.join(', ')} hold ${bearer.subject(of)}`
            : `sessions issued before it live until ${second(due)}`;
        return {
          outcome: 'already',
          requestIds: calls.requestIds,
          observation: no(calls.at, 'administrator', `the cut-off stands: ${words}`),
          residual: standing.residual(standing.at, context),
        };
      }
      if (standing.document === undefined || !isMarked(standing.document, markOf(context)))
        throw fault('provider.conflict', { [kind]: of, policy: cutOffPolicy, because: 'another step has stamped it since' });
      if (before.document === undefined || theirs) await bearer.remove(calls, of);
      else await bearer.write(calls, of, before.document);
      return answer('changed', `the cut-off of ${second(standing.at)} is lifted: the last session before it has expired`);
    },
  };
}

/**
 * The action that takes a cut-off off its bearer once the last session from before it has expired: by the provider's clock, and by the later of the params' `until` and what stands. Before that
 * it is `provider.conflict`: there is a session that would wake.
 */
export function liftFrom(bearer: Bearer, name: string): Action<PolicyBefore> {
  const { account, kind } = bearer;
  return {
    manifest: actionOf(manifest, name) as ActionManifest,
    capture: capture(bearer),

    async apply(target, before, context) {
      const of = await bearer.nameOf(target);
      const calls = account.step(context);
      const standing = await bearer.read(calls, of);
      const done = (outcome: 'changed' | 'already' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (standing.found === 'gone') return done('absent', { gone: kind });
      if (standing.found === 'none') return done('already');
      const others = heldBy(context);
      if (others.length > 0) return done('already', { heldBy: others });
      if (standing.at === undefined || !sameDocument(standing.document, before.document))
        throw fault('provider.conflict', { [kind]: of, policy: cutOffPolicy, because: 'it is not the cut-off that was captured' });
      const given = (textsOf(context, 'until') ?? []).map((text) => Date.parse(text)).filter((ms) => !Number.isNaN(ms));
      const until = Math.max(standing.until(standing.at, context), ...given);
      if (calls.now <= until) {
        const because = 'a session issued before it may be alive';
        throw fault('provider.conflict', { [kind]: of, until: second(until), now: calls.at, because });
      }
      await bearer.remove(calls, of);
      account.settling.accepted(markOf(context));
      return done('changed', { cutOff: second(standing.at), until: second(until) });
    },

    async probe(target, _before, context) {
      const of = await bearer.nameOf(target);
      const calls = account.step(context);
      const subject = bearer.subject(of);
      const others = heldBy(context);
      return await account.settled(context, calls, async () => {
        const standing = await bearer.read(calls, of);
        if (standing.found === 'gone') return { so: true, words: `there is no ${kind} ${of}` };
        if (standing.found === 'none') return { so: true, words: `${subject} has no policy ${cutOffPolicy}` };
        // This incident has let go of it, and that is all this step can promise.
        if (others.length > 0)
          return { so: true, words: `the sessions of ${subject} stay cut off, now for incidents ${others.join(', ')} alone` };
        return { so: false, words: `${subject} has the policy ${cutOffPolicy}` };
      });
    },

    async revert(target, before, context) {
      const of = await bearer.nameOf(target);
      const calls = account.step(context);
      const standing = await bearer.read(calls, of);
      const gone = () => ({ outcome: 'absent' as const, requestIds: calls.requestIds, observation: bearer.gone(calls, of) });
      if (standing.found === 'gone') return gone();
      const observation = () => yes(calls.at, 'administrator', `${cutOffPolicy} on ${bearer.subject(of)} is as it was captured`);
      if (sameDocument(standing.document, before.document))
        return { outcome: 'already', requestIds: calls.requestIds, observation: observation() };
      if (standing.document !== undefined || before.document === undefined)
        throw fault('provider.conflict', { [kind]: of, policy: cutOffPolicy, because: 'somebody has changed it since' });
      if (!(await bearer.write(calls, of, before.document))) return gone();
      return { outcome: 'changed', requestIds: calls.requestIds, observation: observation() };
    },
  };
}
