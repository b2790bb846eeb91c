import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import { Secret } from '../../domain/secret.ts';
import type { Action, Applied, Probed, Reverted, StepContext } from '../contract.ts';
import { type Before, captured, check, checkMade, expectAble, keyOf, namedBy, type WebhookAccount } from './account.ts';
import { doubt } from './errors.ts';
import { manifest } from './manifest.ts';
import { answerSchema, mintedSchema, Operation, State } from './wire.ts';

/**
 * Makes a successor and seals its secret within the one call; only the reference leaves. The endpoint gives the same successor for the same idempotency key, so that a lost reply costs nothing; and it gives it
 * `inactive`, so that nothing is accepted whose secret nobody holds: it is activated only once the secret is sealed.
 * Params: `sealTo` (`{provider, account}`). Made: `system` and `id` of the successor, `accessKeyId` (its id, under the name that stores look for), `sealed`, `keyId`. What is sealed is JSON of `accessKeyId` and `secret`, bound to the text
 * `mint:<id>`.
 * The undo revokes it, and not before every consumer can have the old one again; where the old one is not accepted, it is a conflict, and nothing is revoked.
 */
export function mint(account: WebhookAccount): Action<Before> {
  return {
    manifest: actionOf(manifest, 'mint') as ActionManifest,

    async capture(target, context) {
      const credential = namedBy(account, target);
      const able = await expectAble(account, [Operation.MINT, Operation.ACTIVATE], 'mints', context);
      // Where one alone is accepted, activating the successor turns its predecessor off under its users: that is for people to time.
      if (able.overlap === 1)
        throw fault('provider.unsupported', { account: account.account, because: 'its endpoint accepts one credential at a time' });
      const before = await captured(account, credential, context);
      if (before.state === State.ABSENT) throw fault('provider.gone', { id: credential.id });
      return before;
    },

    async apply(target, _before, context): Promise<Applied> {
      const replaces = namedBy(account, target);
      const sealTo = sealToOf(context);
      const { endpoint } = account;
      context.signal.throwIfAborted();
      const minted = await endpoint.ask(
        Operation.MINT,
        { replaces, incident: context.incident },
        mintedSchema,
        context,
        keyOf(context, Operation.MINT),
      );
      const { id, secret, state } = minted.value;
      const attempt = { operation: Operation.MINT, host: endpoint.host, message: minted.message };
      if (id === undefined || secret === undefined || (state !== State.INACTIVE && state !== State.ACTIVE))
        throw doubt(attempt, `asked to mint, the endpoint says ${state} and gives ${secret === undefined ? 'no secret' : 'one'}`);
      const sealed = await context.sealing.seal(new Secret(JSON.stringify({ accessKeyId: id, secret })), sealTo, `mint:${id}`);
      try {
        context.signal.throwIfAborted();
        const live = await endpoint.ask(
          Operation.ACTIVATE,
          { credential: { system: replaces.system, id }, incident: context.incident },
          answerSchema,
          context,
          keyOf(context, Operation.ACTIVATE),
        );
        if (live.value.state !== State.ACTIVE && live.value.state !== State.PENDING)
          throw doubt(
            { ...attempt, operation: Operation.ACTIVATE, message: live.message },
            `asked to activate, the endpoint says ${live.value.state}`,
          );
        return {
          outcome: 'changed',
          acceptedAt: live.at,
          requestIds: [minted.message, live.message],
          made: { system: replaces.system, id, accessKeyId: id, sealed: sealed.hash, keyId: sealed.keyId },
        };
      } catch (error) {
        // The next try is given the same secret and seals it anew; a blob that no record names would stay for ever.
        await context.sealing.shred(sealed.hash);
        throw error;
      }
    },

    async probe(target, _before, context): Promise<Probed> {
      const { system } = namedBy(account, target);
      const { value, at, message } = await checkMade(account, system, keyOf(context, Operation.MINT), context);
      const words = `the endpoint says ${value.state} of the successor ${value.id ?? ''}; message ${message}`;
      const tell = (observation: Observation, effectiveAt?: string): Probed => ({
        observation,
        requestIds: [message],
        ...(effectiveAt === undefined ? {} : { effectiveAt }),
      });
      if (value.state === State.UNKNOWN) return tell(unknown(at, 'administrator', words));
      if (value.state !== State.ACTIVE) return tell(no(at, 'administrator', words));
      const told = context.made[context.step]?.accessKeyId;
      if (told !== undefined && value.id !== undefined && told !== value.id)
        return tell(unknown(at, 'administrator', `the endpoint now calls the successor ${value.id}, and said ${told}`));
      if (value.effectiveAt !== undefined && Date.parse(value.effectiveAt) >= Date.parse(at) + 1000)
        return tell(no(at, 'administrator', `${words}, from ${value.effectiveAt} on`));
      return tell(yes(at, 'administrator', words), value.effectiveAt ?? at);
    },

    async revert(target, _before, context): Promise<Reverted> {
      const old = namedBy(account, target);
      const found = await checkMade(account, old.system, keyOf(context, Operation.MINT), context);
      const done = (outcome: Reverted['outcome'], at: string, message: string, words: string): Reverted => ({
        outcome,
        requestIds: [message],
        observation: yes(at, 'administrator', `${words}; message ${message}`),
      });
      const { state, id } = found.value;
      if (state === State.ABSENT || state === State.REVOKED)
        return done('already', found.at, found.message, 'nothing that this step made is accepted');
      if (id === undefined || (state !== State.ACTIVE && state !== State.INACTIVE && state !== State.CONTAINED))
        throw fault('provider.uncertain', { system: old.system, because: `the endpoint says ${state} of what this step made` });
      if (state === State.CONTAINED) throw fault('provider.conflict', { id, because: 'somebody has contained the successor that we made' });
      // One that nobody was ever given needs no predecessor that works.
      if (state === State.ACTIVE && context.made[context.step] !== undefined) {
        await handBack(context);
        const { value } = await check(account, old, context);
        if (value.state !== State.ACTIVE)
          throw fault('provider.conflict', {
            id,
            because: `the one it replaced is ${value.state}, so that nothing would be left that works`,
          });
      }
      context.signal.throwIfAborted();
      const { value, at, message } = await account.endpoint.ask(
        Operation.REVOKE,
        { credential: { system: old.system, id }, incident: context.incident },
        answerSchema,
        context,
        `${keyOf(context, Operation.MINT)}.undo`,
      );
      if (value.state !== State.REVOKED && value.state !== State.ABSENT)
        throw doubt(
          { operation: Operation.REVOKE, host: account.endpoint.host, message },
          `asked to revoke, the endpoint says ${value.state}`,
        );
      return done(value.alreadyDone ? 'already' : 'changed', at, message, 'what this step made is revoked');
    },
  };
}

/** Waits until whoever reads the successor has had time to read the old one again; see the inventory's `rereads`. One that never reads again has not read the successor either. */
async function handBack(context: StepContext): Promise<void> {
  const seconds = context.inventory.consumers.map(({ rereads }) => (rereads === 'never' ? 0 : rereads));
  const { propagationMs, marginMs } = context.timing;
  await context.sleep(propagationMs + marginMs + Math.max(0, ...seconds) * 1000);
}

function sealToOf(context: StepContext): { readonly provider: string; readonly account: string } {
  const to = context.params.sealTo as { provider?: unknown; account?: unknown } | undefined;
  if (typeof to?.provider !== 'string' || typeof to.account !== 'string') throw fault('provider.invalid', { missing: 'sealTo' });
  return { provider: to.provider, account: to.account };
}
