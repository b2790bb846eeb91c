import { DeleteLoginProfileCommand } from '@aws-sdk/client-iam';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import type { Action } from '../contract.ts';
import { type AwsAccount, whichGone } from './account.ts';
import { type LoginProfile, readLoginProfile } from './classes.ts';
import { manifest } from './manifest.ts';
import { markOf } from './policies.ts';

/** How the password stood; neither the password nor a trace of it can be read. */
export interface ProfileBefore {
  readonly profile?: LoginProfile;
}

/**
 * Takes a user's console password away. It is never off: what can be taken back is a deny on the user. A console session that is open has temporary credentials of its own, which a deny or a cut-off
 * stops and this does not. A profile that somebody made after the capture is a conflict: it is another password.
 */
export function deleteLoginProfile(account: AwsAccount): Action<ProfileBefore> {
  return {
    manifest: actionOf(manifest, 'delete-login-profile') as ActionManifest,

    async capture(target, context) {
      const { user } = await account.targetOf(target);
      const profile = await readLoginProfile(account.step(context), user);
      return typeof profile === 'object' ? { profile } : {};
    },

    async apply(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const profile = await readLoginProfile(calls, user);
      const done = (outcome: 'changed' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (profile === 'no-user') return done('absent', { gone: 'user' });
      if (profile === 'none') return done('absent', { gone: 'login profile' });
      if (profile.createdAt !== before.profile?.createdAt)
        throw fault('provider.conflict', { user, captured: before.profile?.createdAt ?? 'none', found: profile.createdAt });
      const removed = await calls.writeIfThere('iam:DeleteLoginProfile', (iam) =>
        iam.send(new DeleteLoginProfileCommand({ UserName: user })),
      );
      if (!removed) return done('absent', { gone: await whichGone(calls, user, 'login profile') });
      account.settling.accepted(markOf(context));
      return done('changed');
    },

    async probe(target, _before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const profile = await readLoginProfile(calls, user);
        if (profile === 'no-user') return { so: true, words: `there is no user ${user}` };
        return profile === 'none'
          ? { so: true, words: `${user} has no login profile` }
          : { so: false, words: `${user} has a login profile of ${profile.createdAt}` };
      });
    },
  };
}
