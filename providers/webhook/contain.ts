import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { yes } from '../../domain/observation.ts';
import type { Action, Applied, Reverted } from '../contract.ts';
import { type Before, captured, check, expectAble, keyOf, namedBy, recalled, seen, type WebhookAccount } from './account.ts';
import { doubt } from './errors.ts';
import { manifest } from './manifest.ts';
import { answerSchema, Operation, State } from './wire.ts';

/**
 * Makes the credential useless until it is given back. Whose a containment is stands at the endpoint as `reversibleBy`, which is the idempotency key of the call that made it; only our own is ever taken back. An
 * endpoint, or settings, that say it cannot be undone get no containment at all: `provider.unsupported`, before anything is changed.
 */
export function contain(account: WebhookAccount): Action<Before> {
  return {
    manifest: actionOf(manifest, 'contain') as ActionManifest,

    async capture(target, context) {
      const credential = namedBy(account, target);
      await expectAble(account, [Operation.CONTAIN, Operation.UNCONTAIN], 'reversible', context);
      return await captured(account, credential, context);
    },

    async apply(target, before, context): Promise<Applied> {
      const credential = namedBy(account, target);
      const key = keyOf(context, Operation.CONTAIN);
      const stood = recalled(before).state;
      const found = await check(account, credential, context);
      const done = (outcome: Applied['outcome'], at: string, message: string, residualUntil?: string): Applied => ({
        outcome,
        acceptedAt: at,
        requestIds: [message],
        ...(residualUntil === undefined
          ? {}
          : {
              descendantsDieAt: residualUntil,
              residual: { what: `what ${credential.id} of ${credential.system} has made`, target: credential.id, until: residualUntil },
            }),
      });
      const { state, reversibleBy, residualUntil } = found.value;
      if (state === State.ABSENT) return done('absent', found.at, found.message);
      if (state === State.REVOKED || state === State.CONTAINED) return done('already', found.at, found.message, residualUntil);
      if (state === State.PENDING && reversibleBy === key) return done('already', found.at, found.message);
      // Somebody has given it back since the capture, and the undo would not know that it should be on.
      if (stood === State.CONTAINED || stood === State.REVOKED)
        throw fault('provider.conflict', { id: credential.id, captured: stood, found: state });
      context.signal.throwIfAborted();
      const reply = await account.endpoint.ask(Operation.CONTAIN, { credential, incident: context.incident }, answerSchema, context, key);
      const { value, at, message } = reply;
      if (value.state === State.ABSENT) return done('absent', at, message);
      if (value.state !== State.CONTAINED && value.state !== State.PENDING && value.state !== State.REVOKED)
        throw doubt(
          { operation: Operation.CONTAIN, host: account.endpoint.host, message },
          `asked to contain, the endpoint says ${value.state}`,
        );
      return done(value.alreadyDone ? 'already' : 'changed', at, message, value.residualUntil);
    },

    async probe(target, before, context) {
      return seen(await check(account, namedBy(account, target), context), 'off', recalled(before));
    },

    async revert(target, before, context): Promise<Reverted> {
      const credential = namedBy(account, target);
      const undoes = keyOf(context, Operation.CONTAIN);
      const stood = recalled(before);
      const found = await check(account, credential, context);
      const { state, reversibleBy } = found.value;
      const done = (outcome: Reverted['outcome'], at: string, message: string, words: string): Reverted => ({
        outcome,
        requestIds: [message],
        observation: yes(at, 'administrator', `${words}; message ${message}`),
      });
      const idle = (words: string) => done('already', found.at, found.message, words);
      if (state === State.ABSENT) return done('absent', found.at, found.message, 'the endpoint knows no such credential');
      if (state === State.ACTIVE || state === State.INACTIVE) return idle('it is not contained');
      if (state === State.REVOKED) {
        if (stood.state === State.REVOKED) return idle('it is revoked, as it was before');
        throw fault('provider.conflict', { id: credential.id, because: 'somebody has revoked it since' });
      }
      // Nothing of ours stands, and what does is not ours to take away.
      if (state === State.CONTAINED && reversibleBy !== undoes) return idle('what contains it is not ours, and is left');
      if (reversibleBy !== undoes) throw fault('provider.uncertain', { id: credential.id, because: `the endpoint says ${state}` });
      context.signal.throwIfAborted();
      const key = keyOf(context, Operation.UNCONTAIN);
      const { value, at, message } = await account.endpoint.ask(
        Operation.UNCONTAIN,
        { credential, undoes, incident: context.incident },
        answerSchema,
        context,
        key,
      );
      if (value.state !== State.ACTIVE)
        throw doubt(
          { operation: Operation.UNCONTAIN, host: account.endpoint.host, message },
          `asked to give it back, the endpoint says ${value.state}`,
        );
      return {
        ...done(value.alreadyDone ? 'already' : 'changed', at, message, 'it is given back'),
        ...(value.residualUntil === undefined
          ? {}
          : { residual: { what: 'what it made before is accepted again', target: credential.id, until: value.residualUntil } }),
      };
    },
  };
}
