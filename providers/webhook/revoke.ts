import { isHash } from '../../domain/canonical.ts';
import { codeOf, fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import type { Secret } from '../../domain/secret.ts';
import type { Action, Applied, StepContext } from '../contract.ts';
import { type Before, captured, check, keyOf, namedBy, recalled, seen, type WebhookAccount } from './account.ts';
import { doubt } from './errors.ts';
import { Kind } from './identify.ts';
import { manifest } from './manifest.ts';
import { answerSchema, type Named, Operation, State } from './wire.ts';

/**
 * Ends the credential for good. `residualUntil` of the answer is how long what it has made may live on, and stands in the record as a residual. Params: `sealed` (`{hash, keyId}`) lets the leaked secret itself go
 * along, for a system that revokes by it, and only where the account's settings pass it.
 */
export function revoke(account: WebhookAccount): Action<Before> {
  return {
    manifest: actionOf(manifest, 'revoke') as ActionManifest,

    async capture(target, context) {
      return await captured(account, namedBy(account, target), context);
    },

    async apply(target, _before, context): Promise<Applied> {
      const credential = namedBy(account, target);
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
      if (found.value.state === State.ABSENT) return done('absent', found.at, found.message);
      if (found.value.state === State.REVOKED) return done('already', found.at, found.message, found.value.residualUntil);
      const secret = await leaked(account, credential, context);
      context.signal.throwIfAborted();
      const key = keyOf(context, Operation.REVOKE);
      const { value, at, message } = await account.endpoint.ask(
        Operation.REVOKE,
        { credential, incident: context.incident, ...(secret === undefined ? {} : { secret: secret.reveal() }) },
        answerSchema,
        context,
        key,
      );
      if (value.state === State.ABSENT) return done('absent', at, message);
      if (value.state !== State.REVOKED && value.state !== State.PENDING)
        throw doubt(
          { operation: Operation.REVOKE, host: account.endpoint.host, message },
          `asked to revoke, the endpoint says ${value.state}`,
        );
      return done(value.alreadyDone ? 'already' : 'changed', at, message, value.residualUntil);
    },

    async probe(target, before, context) {
      return seen(await check(account, namedBy(account, target), context), 'dead', recalled(before));
    },
  };
}

/** The leaked secret, where it was sealed to us and the settings let it go to the endpoint. */
async function leaked(account: WebhookAccount, credential: Named, context: StepContext): Promise<Secret | undefined> {
  const sealed = context.params.sealed as { hash?: unknown; keyId?: unknown } | undefined;
  if (sealed === undefined || !account.settings.passSecret.includes('revoke')) return undefined;
  if (!isHash(sealed.hash) || typeof sealed.keyId !== 'string')
    throw fault('provider.invalid', { because: 'sealed names no sealed secret' });
  // A seal is bound to the credential, kind and all, and a target does not say the kind.
  for (const kind of Object.values(Kind)) {
    try {
      return await context.sealing.open(sealed.hash, sealed.keyId, { kind, locator: { system: credential.system, id: credential.id } });
    } catch (error) {
      if (codeOf(error) !== 'record.unreadable') throw error;
    }
  }
  // What does not open goes nowhere; the endpoint may know the credential by its id all the same.
  return undefined;
}
