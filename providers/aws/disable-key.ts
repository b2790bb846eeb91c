import { UpdateAccessKeyCommand } from '@aws-sdk/client-iam';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Probed, StepContext } from '../contract.ts';
import { type AwsAccount, type KeyRow, readKeys, tryPair, whichGone } from './account.ts';
import type { Calls } from './api.ts';
import { manifest } from './manifest.ts';
import { markOf } from './policies.ts';

/** How a key stood. */
export interface KeyBefore {
  readonly status: KeyRow['status'] | 'absent';
  readonly createdAt?: string;
}

/** The before-state of a key, out of a listing of its user's keys. */
export function keyBefore(rows: readonly KeyRow[] | undefined, accessKeyId: string): KeyBefore {
  const row = rows?.find((key) => key.accessKeyId === accessKeyId);
  return row ? { status: row.status, createdAt: row.createdAt } : { status: 'absent' };
}

/**
 * Turns one key off. It stops being accepted about four seconds after the answer, and not before; sessions that it minted live on.
 * Params: `sealed` (`{hash, keyId}`) lets the probe try the leaked pair itself, where policy allows that.
 */
export function disableKey(account: AwsAccount): Action<KeyBefore> {
  return {
    manifest: actionOf(manifest, 'disable-key') as ActionManifest,

    async capture(target, context) {
      const { user, accessKeyId } = await account.targetOf(target, 'accessKeyId');
      return keyBefore(await readKeys(account.step(context), user), accessKeyId);
    },

    async apply(target, before, context) {
      const { user, accessKeyId } = await account.targetOf(target, 'accessKeyId');
      const calls = account.step(context);
      const rows = await readKeys(calls, user);
      const row = rows?.find((key) => key.accessKeyId === accessKeyId);
      const done = (outcome: 'changed' | 'already' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (!row) return done('absent', { gone: rows ? 'key' : 'user' });
      if (row.status === 'Inactive') return done('already');
      // Somebody has turned it on since the capture, and the undo would not know that it should be on.
      if (before.status !== 'Active') throw fault('provider.conflict', { accessKeyId, captured: before.status, found: row.status });
      if (!(await setStatus(calls, user, accessKeyId, 'Inactive'))) return done('absent', { gone: await whichGone(calls, user, 'key') });
      account.settling.accepted(markOf(context));
      return done('changed');
    },

    async probe(target, _before, context) {
      const { user, accessKeyId } = await account.targetOf(target, 'accessKeyId');
      const calls = account.step(context);
      const sealed = sealedOf(context);
      const read = async () => {
        const rows = await readKeys(calls, user);
        const row = rows?.find((key) => key.accessKeyId === accessKeyId);
        if (!row) return { so: true, words: rows ? `${user} has no key ${accessKeyId}` : `there is no user ${user}` };
        return row.status === 'Inactive'
          ? { so: true, words: `the status of ${accessKeyId} is Inactive` }
          : { so: false, words: `the status of ${accessKeyId} is ${row.status}` };
      };
      if (sealed) {
        const tried = await refusedByProbe(account, accessKeyId, sealed, context, calls, read);
        if (tried) return tried;
      }
      return await account.settled(context, calls, read);
    },

    async stands(target, _before, context) {
      const { user, accessKeyId } = await account.targetOf(target, 'accessKeyId');
      const calls = account.step(context);
      const row = (await readKeys(calls, user))?.find((key) => key.accessKeyId === accessKeyId);
      const request = `request ${calls.requestIds.at(-1) ?? 'unknown'}`;
      // Refused as well is a key that somebody has deleted since. Of turning it off nothing is left then, and nothing could be taken back: else the undo would wait for ever.
      return {
        observation:
          row?.status === 'Inactive'
            ? yes(calls.at, 'administrator', `the status of ${accessKeyId} is Inactive; ${request}`)
            : no(
                calls.at,
                'administrator',
                `${row ? `the status of ${accessKeyId} is ${row.status}` : `${user} has no key ${accessKeyId}`}; ${request}`,
              ),
        requestIds: [...calls.requestIds],
      };
    },

    async revert(target, before, context) {
      const { user, accessKeyId } = await account.targetOf(target, 'accessKeyId');
      const calls = account.step(context);
      const rows = await readKeys(calls, user);
      const row = rows?.find((key) => key.accessKeyId === accessKeyId);
      const found = row?.status ?? 'absent';
      const observed = (words: string) => yes(calls.at, 'administrator', `${words}; request ${calls.requestIds.at(-1) ?? 'unknown'}`);
      if (found === before.status) {
        return { outcome: 'already', requestIds: calls.requestIds, observation: observed(`${accessKeyId} is ${found}, as captured`) };
      }
      if (before.status !== 'Active') {
        // It was off or gone before us; whatever it is now is not our doing, and turning keys on is not ours to guess.
        return { outcome: 'already', requestIds: calls.requestIds, observation: observed(`${accessKeyId} was ${before.status} before us`) };
      }
      if (!row || !(await setStatus(calls, user, accessKeyId, 'Active')))
        throw fault('provider.conflict', { accessKeyId, captured: before.status, found: 'absent' });
      return { outcome: 'changed', requestIds: calls.requestIds, observation: observed(`${accessKeyId} is Active again`) };
    },
  };
}

/** Sets a key's status; false where key or user are gone. The user's name is always sent: without it AWS takes the caller's own. */
export async function setStatus(calls: Calls, user: string, accessKeyId: string, status: KeyRow['status']): Promise<boolean> {
  return await calls.writeIfThere('iam:UpdateAccessKey', (iam) =>
    iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: accessKeyId, Status: status })),
  );
}

function sealedOf(context: StepContext): { hash: `sha256:${string}`; keyId: string } | undefined {
  const sealed = context.params['sealed'] as { hash?: unknown; keyId?: unknown } | undefined;
  if (typeof sealed?.hash !== 'string' || typeof sealed.keyId !== 'string') return undefined;
  return { hash: sealed.hash as `sha256:${string}`, keyId: sealed.keyId };
}

/** Tries the leaked pair until AWS refuses it, for twice the propagation time. Undefined where that does not settle it: then the administrator's word has to do. */
async function refusedByProbe(
  account: AwsAccount,
  accessKeyId: string,
  sealed: { hash: `sha256:${string}`; keyId: string },
  context: StepContext,
  calls: Calls,
  read: () => Promise<{ readonly so: boolean; readonly words: string }>,
): Promise<Probed | undefined> {
  const status = await read();
  if (!status.so) return undefined;
  let secret: Awaited<ReturnType<StepContext['sealing']['open']>>;
  try {
    secret = await context.sealing.open(sealed.hash, sealed.keyId, { kind: 'aws.access-key', locator: { accessKeyId } });
  } catch {
    // A sealed blob that is gone or does not open takes away the better witness and not the step.
    return undefined;
  }
  const until = performance.now() + 2 * context.timing.propagationMs;
  for (;;) {
    const tried = await tryPair(account, accessKeyId, secret, context.signal);
    if (tried.answer === 'refused') {
      return {
        observation: yes(tried.at, 'probe', `${tried.words}; ${status.words}`),
        effectiveAt: new Date(Date.parse(tried.at) + 1000).toISOString(),
        requestIds: [...calls.requestIds, ...(tried.requestId ? [tried.requestId] : [])],
      };
    }
    if (tried.answer === 'wrong-secret' || performance.now() > until) return undefined;
    await context.sleep(context.timing.pollMs);
  }
}
