import { DeleteAccessKeyCommand } from '@aws-sdk/client-iam';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import type { Action } from '../contract.ts';
import { type AwsAccount, readKeys, readLastUsed, whichGone } from './account.ts';
import type { Calls } from './api.ts';
import { type KeyBefore, keyBefore } from './disable-key.ts';
import { manifest } from './manifest.ts';
import { markOf } from './policies.ts';

/** What is kept of a key that will not be there to be asked. */
export interface DeletedBefore extends KeyBefore {
  readonly lastUsed?: { readonly at: string; readonly service?: string; readonly region?: string };
}

/** Deletes a key that is off. It cannot be taken back, and a key that is on is a conflict: somebody may be using it. */
export function deleteKey(account: AwsAccount): Action<DeletedBefore> {
  return {
    manifest: actionOf(manifest, 'delete-key') as ActionManifest,

    async capture(target, context) {
      const { user, accessKeyId } = await account.targetOf(target, 'accessKeyId');
      const calls = account.step(context);
      const [rows, used] = await Promise.all([readKeys(calls, user), readLastUsed(calls, accessKeyId)]);
      const { at, service, region } = used ?? {};
      return {
        ...keyBefore(rows, accessKeyId),
        ...(at ? { lastUsed: { at, ...(service ? { service } : {}), ...(region ? { region } : {}) } } : {}),
      };
    },

    async apply(target, _before, context) {
      const { user, accessKeyId } = await account.targetOf(target, 'accessKeyId');
      const calls = account.step(context);
      const rows = await readKeys(calls, user);
      const row = rows?.find((key) => key.accessKeyId === accessKeyId);
      const done = (outcome: 'changed' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (!row) return done('absent', { gone: rows ? 'key' : 'user' });
      if (row.status !== 'Inactive')
        throw fault('provider.conflict', { accessKeyId, found: row.status, because: 'only a key that is off is deleted' });
      if (!(await removeKey(calls, user, accessKeyId))) return done('absent', { gone: await whichGone(calls, user, 'key') });
      account.settling.accepted(markOf(context));
      return done('changed');
    },

    async probe(target, _before, context) {
      const { user, accessKeyId } = await account.targetOf(target, 'accessKeyId');
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const rows = await readKeys(calls, user);
        if (!rows) return { so: true, words: `there is no user ${user}` };
        const row = rows.find((key) => key.accessKeyId === accessKeyId);
        return row ? { so: false, words: `${user} has the key ${accessKeyId}` } : { so: true, words: `${user} has no key ${accessKeyId}` };
      });
    },
  };
}

/** Deletes a key; false where key or user are gone. */
export async function removeKey(calls: Calls, user: string, accessKeyId: string): Promise<boolean> {
  return await calls.writeIfThere('iam:DeleteAccessKey', (iam) =>
    iam.send(new DeleteAccessKeyCommand({ UserName: user, AccessKeyId: accessKeyId })),
  );
}
