import { codeOf, fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import type { Action, StepContext } from '../contract.ts';
import { type GcpAccount, seen } from './account.ts';
import type { Calls } from './api.ts';
import { expectOwnDoing } from './log.ts';
import { manifest } from './manifest.ts';

/** How an HMAC key stood; the secret is in no answer but that to its making. */
export interface HmacBefore {
  readonly state: 'ACTIVE' | 'INACTIVE' | 'absent';
  readonly serviceAccount?: string;
  readonly createdAt?: string;
  /** By Google's clock. */
  readonly at: string;
}

export interface HmacRow {
  readonly state: 'ACTIVE' | 'INACTIVE';
  readonly serviceAccount: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly etag: string;
}

/** An HMAC key; undefined for one that is deleted, or never was. Refuses one of the account that the engine itself is. */
export async function readHmac(account: GcpAccount, calls: Calls, accessId: string): Promise<HmacRow | undefined> {
  const found = await calls.readIfThere<{
    accessId?: string | null;
    state?: string | null;
    serviceAccountEmail?: string | null;
    timeCreated?: string | null;
    updated?: string | null;
    etag?: string | null;
  }>('storage.hmacKeys.get', ({ storage, options }) => storage.projects.hmacKeys.get({ projectId: account.project, accessId }, options));
  if (found === undefined || found.state === 'DELETED') return undefined;
  if (found.accessId !== accessId) throw fault('provider.uncertain', { call: 'storage.hmacKeys.get', said: 'an answer about another key' });
  const serviceAccount = found.serviceAccountEmail ?? '';
  await account.refuseOwn(serviceAccount);
  return {
    // What is neither of the two words is taken for the one under which a key is accepted.
    state: found.state === 'INACTIVE' ? 'INACTIVE' : 'ACTIVE',
    serviceAccount,
    createdAt: found.timeCreated ?? '',
    updatedAt: found.updated ?? '',
    etag: found.etag ?? '',
  };
}

export function hmacBefore(row: HmacRow | undefined, at: string): HmacBefore {
  return row === undefined
    ? { state: 'absent', at }
    : { state: row.state, serviceAccount: row.serviceAccount, createdAt: row.createdAt, at };
}

/** Sets the state of a key as it was read: a change in between is a conflict, by the entry tag. False where it is gone. */
async function setState(account: GcpAccount, calls: Calls, accessId: string, row: HmacRow, state: HmacRow['state']): Promise<boolean> {
  return await calls.writeIfThere('storage.hmacKeys.update', ({ storage, options }) =>
    storage.projects.hmacKeys.update({ projectId: account.project, accessId, requestBody: { state, etag: row.etag } }, options),
  );
}

/** Takes an HMAC key out of use. It is accepted for up to three minutes more, by Google's word, and probed after that alone. */
export function deactivateHmacKey(account: GcpAccount): Action<HmacBefore> {
  return {
    manifest: actionOf(manifest, 'deactivate-hmac-key') as ActionManifest,

    async capture(target, context) {
      const { accessId } = await account.targetOf(target, 'accessId');
      const calls = account.step(context);
      const row = await readHmac(account, calls, accessId);
      return hmacBefore(row, calls.at);
    },

    async apply(target, before, context) {
      const { accessId } = await account.targetOf(target, 'accessId');
      const calls = account.step(context);
      const done = (outcome: 'changed' | 'already' | 'absent') => ({ outcome, acceptedAt: calls.at, requestIds: calls.requestIds });
      for (let again = false; ; again = true) {
        const row = await readHmac(account, calls, accessId);
        if (!row) return done('absent');
        if (row.state === 'INACTIVE') return done('already');
        if (before.state !== 'ACTIVE') throw fault('provider.conflict', { accessId, captured: before.state, found: row.state });
        try {
          return done((await setState(account, calls, accessId, row, 'INACTIVE')) ? 'changed' : 'absent');
        } catch (error) {
          // Somebody wrote in between: what stands now is read, once.
          if (again || codeOf(error) !== 'provider.conflict') throw error;
        }
      }
    },

    async probe(target, _before, context) {
      const { accessId } = await account.targetOf(target, 'accessId');
      const calls = account.step(context);
      return await account.dated(context, calls, account.limits.hmacPropagationMs, async () => {
        const row = await readHmac(account, calls, accessId);
        if (!row) return { so: true, words: `there is no HMAC key ${accessId}` };
        return { so: row.state === 'INACTIVE', words: `HMAC key ${accessId} is ${row.state}`, since: row.updatedAt };
      });
    },

    async revert(target, before, context) {
      const { accessId } = await account.targetOf(target, 'accessId');
      const calls = account.step(context);
      const row = await readHmac(account, calls, accessId);
      const found = row?.state ?? 'absent';
      const answer = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: seen(calls, words),
      });
      if (found === before.state) return answer('already', `HMAC key ${accessId} is ${found}, as captured`);
      if (before.state !== 'ACTIVE') return answer('already', `HMAC key ${accessId} was ${before.state} before us`);
      const gone = () => fault('provider.conflict', { accessId, captured: before.state, found: 'absent' });
      if (!row) throw gone();
      await expectOwnDoing(account, calls, context, {
        methods: ['storage.hmacKeys.update'],
        resource: `hmacKeys/${accessId}`,
        from: before.at,
      });
      if (!(await setState(account, calls, accessId, row, 'ACTIVE'))) throw gone();
      return answer('changed', `HMAC key ${accessId} is ACTIVE again`);
    },
  };
}

/**
 * Deletes an HMAC key that has been inactive for as long as that takes to be known everywhere. Sooner it waits: servers that have not heard that it is inactive would not hear of its deletion either, and
 * there would be nothing left to look at.
 */
export function deleteHmacKey(account: GcpAccount): Action<HmacBefore> {
  return {
    manifest: actionOf(manifest, 'delete-hmac-key') as ActionManifest,

    async capture(target, context) {
      const { accessId } = await account.targetOf(target, 'accessId');
      const calls = account.step(context);
      const row = await readHmac(account, calls, accessId);
      return hmacBefore(row, calls.at);
    },

    async apply(target, _before, context) {
      const { accessId } = await account.targetOf(target, 'accessId');
      const calls = account.step(context);
      const done = (outcome: 'changed' | 'absent') => ({ outcome, acceptedAt: calls.at, requestIds: calls.requestIds });
      for (;;) {
        const row = await readHmac(account, calls, accessId);
        if (!row) return done('absent');
        if (row.state !== 'INACTIVE')
          throw fault('provider.conflict', { accessId, found: row.state, because: 'only a key that is inactive is deleted' });
        const rest = restOf(account, calls, row, context);
        if (rest <= 0) break;
        context.heartbeat({ waitingMs: rest });
        await context.sleep(rest);
      }
      try {
        const there = await calls.writeIfThere('storage.hmacKeys.delete', ({ storage, options }) =>
          storage.projects.hmacKeys.delete({ projectId: account.project, accessId }, options),
        );
        return done(there ? 'changed' : 'absent');
      } catch (error) {
        // It was inactive when it was read, and Google says that it cannot be deleted: somebody has activated it.
        if (codeOf(error) === 'provider.invalid') throw fault('provider.conflict', { accessId, because: 'it is no longer inactive' });
        throw error;
      }
    },

    async probe(target, _before, context) {
      const { accessId } = await account.targetOf(target, 'accessId');
      const calls = account.step(context);
      return await account.dated(context, calls, 0, async () => {
        const row = await readHmac(account, calls, accessId);
        return row ? { so: false, words: `HMAC key ${accessId} is ${row.state}` } : { so: true, words: `there is no HMAC key ${accessId}` };
      });
    },
  };
}

/** How long an inactive key has still to be left alone, in milliseconds; Google's times are in parts of a second and its clock in whole ones. A time that cannot be read is taken for now. */
function restOf(account: GcpAccount, calls: Calls, row: HmacRow, context: StepContext): number {
  const since = Date.parse(row.updatedAt);
  const waited = Number.isNaN(since) ? 0 : calls.now - since;
  return account.limits.hmacPropagationMs + Math.min(context.timing.marginMs, 1000) - waited;
}
