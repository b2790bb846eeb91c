import { codeOf, fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { yes } from '../../domain/observation.ts';
import type { Action, Probed, StepContext } from '../contract.ts';
import { type GcpAccount, type KeyRow, markOf, readKey, seen } from './account.ts';
import type { Calls } from './api.ts';
import { expectOwnDoing } from './log.ts';
import { manifest } from './manifest.ts';
import { readPrivateKey, tryKey } from './probe.ts';

/** How a key stood. */
export interface KeyBefore {
  readonly state: 'enabled' | 'disabled' | 'absent';
  readonly createdAt?: string;
  readonly origin?: string;
  readonly disableReason?: string;
  readonly marks?: readonly string[];
  /** By Google's clock. */
  readonly at: string;
}

export function keyBefore(row: KeyRow | undefined, at: string): KeyBefore {
  if (row === undefined) return { state: 'absent', at };
  const { disabled, createdAt, origin, disableReason, marks } = row;
  return { state: disabled ? 'disabled' : 'enabled', createdAt, origin, ...(disableReason ? { disableReason } : {}), marks, at };
}

/** When the last token that the key was exchanged for has expired, if it is off from now on. */
export function lastTokenDies(account: GcpAccount, calls: Calls, context: StepContext): string {
  return new Date(calls.now + 1000 + context.timing.propagationMs + account.limits.maxTokenLifeSeconds * 1000).toISOString();
}

/** The word for a key that its owner turned off; any other was written by Google. */
const byUser = 'SERVICE_ACCOUNT_KEY_DISABLE_REASON_USER_INITIATED';

/**
 * Turns one key off. It is refused seconds after the answer; tokens that it was exchanged for live on.
 * Params: `sealed` (`{hash, keyId}`) lets the probe try the leaked key itself, where policy allows that.
 */
export function disableKey(account: GcpAccount): Action<KeyBefore> {
  return {
    manifest: actionOf(manifest, 'disable-key') as ActionManifest,

    async capture(target, context) {
      const { serviceAccount, keyId } = await account.targetOf(target, 'serviceAccount', 'keyId');
      const calls = account.step(context);
      const row = await readKey(account, calls, serviceAccount, keyId);
      return keyBefore(row, calls.at);
    },

    async apply(target, before, context) {
      const { serviceAccount, keyId } = await account.targetOf(target, 'serviceAccount', 'keyId');
      const calls = account.step(context);
      const row = await readKey(account, calls, serviceAccount, keyId);
      const done = (outcome: 'changed' | 'already' | 'absent') => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        descendantsDieAt: lastTokenDies(account, calls, context),
        ...(row?.disableReason ? { facts: { disableReason: row.disableReason } } : {}),
      });
      if (!row) return done('absent');
      if (row.disabled) return done('already');
      // Somebody has turned it on since the capture, and the undo would not know that it should be on.
      if (before.state !== 'enabled') throw fault('provider.conflict', { keyId, captured: before.state, found: 'enabled' });
      const there = await calls.writeIfThere('iam.serviceAccountKeys.disable', ({ iam, options }) =>
        iam.projects.serviceAccounts.keys.disable({ name: account.keyName(serviceAccount, keyId), requestBody: {} }, options),
      );
      if (!there) return done('absent');
      account.settling.accepted(markOf(context));
      return done('changed');
    },

    async probe(target, _before, context) {
      const { serviceAccount, keyId } = await account.targetOf(target, 'serviceAccount', 'keyId');
      const calls = account.step(context);
      const read = async () => {
        const row = await readKey(account, calls, serviceAccount, keyId);
        if (!row) return { so: true, words: `${serviceAccount} has no key ${keyId}` };
        return row.disabled ? { so: true, words: `key ${keyId} is disabled` } : { so: false, words: `key ${keyId} is enabled` };
      };
      const tried = await refusedByProbe(account, serviceAccount, keyId, context, calls, read);
      return tried ?? (await account.settled(context, calls, read));
    },

    async revert(target, before, context) {
      const { serviceAccount, keyId } = await account.targetOf(target, 'serviceAccount', 'keyId');
      const calls = account.step(context);
      const row = await readKey(account, calls, serviceAccount, keyId);
      const found = keyBefore(row, calls.at);
      const answer = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: seen(calls, words),
      });
      if (found.state === before.state) return answer('already', `key ${keyId} is ${found.state}, as captured`);
      // It was off or gone before us; whatever it is now is not our doing.
      if (before.state !== 'enabled') return answer('already', `key ${keyId} was ${before.state} before us`);
      const refuse = (because: string) => fault('provider.conflict', { keyId, captured: before.state, found: found.state, because });
      if (!row) throw refuse('it is gone');
      if (row.disableReason !== undefined && row.disableReason !== byUser) throw refuse('Google has turned it off');
      if (row.marks.some((mark) => !before.marks?.includes(mark))) throw refuse('Google has marked it since');
      await expectOwnDoing(account, calls, context, {
        methods: ['google.iam.admin.v1.DisableServiceAccountKey'],
        resource: `/keys/${keyId}`,
        from: before.at,
      });
      try {
        const there = await calls.writeIfThere('iam.serviceAccountKeys.enable', ({ iam, options }) =>
          iam.projects.serviceAccounts.keys.enable({ name: account.keyName(serviceAccount, keyId), requestBody: {} }, options),
        );
        if (!there) throw refuse('it is gone');
      } catch (error) {
        if (codeOf(error) === 'provider.unsupported') throw refuse('Google does not let it be turned on');
        throw error;
      }
      return answer('changed', `key ${keyId} is enabled again`);
    },
  };
}

/** Tries the leaked key until Google refuses it, for twice the propagation time. Undefined where that does not settle it: then the administrator's word has to do. */
async function refusedByProbe(
  account: GcpAccount,
  serviceAccount: string,
  keyId: string,
  context: StepContext,
  calls: Calls,
  read: () => Promise<{ readonly so: boolean; readonly words: string }>,
): Promise<Probed | undefined> {
  const sealed = context.params.sealed as { hash?: unknown; keyId?: unknown } | undefined;
  if (typeof sealed?.hash !== 'string' || typeof sealed.keyId !== 'string') return undefined;
  const status = await read();
  if (!status.so) return undefined;
  let key: ReturnType<typeof readPrivateKey>;
  try {
    const credential = { kind: 'gcp.service-account-key', locator: { clientEmail: serviceAccount, privateKeyId: keyId } };
    key = readPrivateKey(await context.sealing.open(sealed.hash as `sha256:${string}`, sealed.keyId, credential));
  } catch {
    // A sealed blob that is gone or does not open takes away the better witness and not the step.
    return undefined;
  }
  if (key === undefined) return undefined;
  const until = performance.now() + 2 * context.timing.propagationMs;
  for (;;) {
    const tried = await tryKey(account, { clientEmail: serviceAccount, privateKeyId: keyId, privateKey: key });
    if (tried.answer === 'refused') {
      const at = calls.at;
      return {
        observation: yes(at, 'probe', `${tried.words}; ${status.words}`),
        effectiveAt: calls.atMost,
        requestIds: [...calls.requestIds],
      };
    }
    if (tried.answer === 'unclear' || performance.now() > until) return undefined;
    await context.sleep(context.timing.pollMs);
  }
}
