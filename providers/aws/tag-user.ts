import { ListUserTagsCommand, type Tag, TagUserCommand, UntagUserCommand } from '@aws-sdk/client-iam';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { yes } from '../../domain/observation.ts';
import type { Action, StepContext } from '../contract.ts';
import { type AwsAccount, userGone } from './account.ts';
import type { Calls } from './api.ts';
import { isGone } from './errors.ts';
import { manifest } from './manifest.ts';
import { markOf } from './policies.ts';

/** The key of the tag that says that a user is under investigation. */
export const investigationTag = 'tourniquet:under-investigation';

/** The tag that stood on the user, as it was spelt. */
export interface TagBefore {
  readonly tag?: { readonly key: string; readonly value: string };
}

/** What the tag says: the incident, for whoever reads it, and the mark of the step that set it. IAM allows letters, digits, spaces and `_.:/=+-@`, 256 of them. */
export function investigationValue(context: Pick<StepContext, 'incident' | 'run' | 'step'>): string {
  return `${context.incident.replace(/[^\w.:/=+\-@]/g, '-').slice(0, 200)} ${markOf(context)}`;
}

/** True for a value that a step of the engine's set, this one or any other. */
const isMark = (value: string): boolean => /^leak\/\S+ [0-9a-f]{24}$/.test(value);

/**
 * Marks a user as under investigation, for people and for other tools; it stops nothing. Another incident's mark serves as well and is left to it. IAM has no condition on what a
 * tag was, so that a change between our look and our write would be overwritten: that is a moment, and cannot be made shorter.
 */
export function tagUser(account: AwsAccount): Action<TagBefore> {
  return {
    manifest: actionOf(manifest, 'tag-user') as ActionManifest,

    async capture(target, context) {
      const { user } = await account.targetOf(target);
      const read = await readTag(account.step(context), user);
      return read.found === 'tag' ? { tag: read.tag } : {};
    },

    async apply(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const value = investigationValue(context);
      const read = await readTag(calls, user);
      const done = (outcome: 'changed' | 'already' | 'absent', facts?: Record<string, unknown>) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        ...(facts ? { facts } : {}),
      });
      if (read.found === 'no-user') return done('absent', { gone: 'user' });
      const standing = read.found === 'tag' ? read.tag.value : undefined;
      if (standing === value) return done('already');
      if (standing !== undefined && isMark(standing)) return done('already', { standing: true });
      if (standing !== ofPerson(before)?.value) throw changed(user);
      if (!(await writeTag(calls, user, { Key: investigationTag, Value: value }))) return done('absent', { gone: 'user' });
      account.settling.accepted(markOf(context));
      return done('changed');
    },

    async probe(target, _before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const read = await readTag(calls, user);
        if (read.found === 'no-user') return { so: true, words: `there is no user ${user}` };
        return read.found === 'tag' && isMark(read.tag.value)
          ? { so: true, words: `${user} bears the tag ${investigationTag} of ${read.tag.value.split(' ')[0]}` }
          : { so: false, words: `${user} bears no tag ${investigationTag} of an incident` };
      });
    },

    async revert(target, before, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const read = await readTag(calls, user);
      const answer = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: yes(calls.at, 'administrator', `${words}; request ${calls.requestIds.at(-1) ?? 'unknown'}`),
      });
      const gone = () => ({ outcome: 'absent' as const, requestIds: calls.requestIds, observation: userGone(calls, user) });
      if (read.found === 'no-user') return gone();
      const standing = read.found === 'tag' ? read.tag : undefined;
      const kept = ofPerson(before);
      if (standing?.value === kept?.value) return answer('already', `the tag ${investigationTag} of ${user} is as it was captured`);
      if (standing?.value !== investigationValue(context)) {
        // Another incident's mark, found good enough: nothing was changed, and it is that incident's to take away.
        if (standing && isMark(standing.value) && kept === undefined)
          return answer('already', `the tag ${investigationTag} of ${user} is another incident's`);
        throw changed(user);
      }
      const there = kept ? await writeTag(calls, user, { Key: kept.key, Value: kept.value }) : await removeTag(calls, user, standing.key);
      return there ? answer('changed', `the tag ${investigationTag} of ${user} is as it was captured again`) : gone();
    },
  };
}

/** What a person had set. A mark that was captured is another incident's: whether it stands is for that incident to say, and not for us to bring back. */
const ofPerson = ({ tag }: TagBefore): TagBefore['tag'] => (tag && !isMark(tag.value) ? tag : undefined);

const changed = (user: string) => fault('provider.conflict', { user, tag: investigationTag, because: 'somebody has changed it since' });

/**
 * The tag as it stands. Keys of a user's tags are compared without regard to case and keep the case they were written in (IAM User Guide, "Tags for IAM resources"), so that
 * another spelling is the same tag.
 */
async function readTag(
  calls: Calls,
  user: string,
): Promise<{ readonly found: 'tag'; readonly tag: NonNullable<TagBefore['tag']> } | { readonly found: 'none' | 'no-user' }> {
  try {
    let marker: string | undefined;
    do {
      const answer = await calls.read('iam:ListUserTags', (aws, options) =>
        aws.iam().send(new ListUserTagsCommand({ UserName: user, ...(marker === undefined ? {} : { Marker: marker }) }), options),
      );
      const row = answer.Tags?.find(({ Key }) => Key?.toLowerCase() === investigationTag);
      if (row) return { found: 'tag', tag: { key: row.Key ?? investigationTag, value: row.Value ?? '' } };
      marker = answer.IsTruncated ? answer.Marker : undefined;
    } while (marker !== undefined);
    return { found: 'none' };
  } catch (error) {
    // The call names a user and nothing else, so nothing else can be missing.
    if (isGone(error)) return { found: 'no-user' };
    throw error;
  }
}

/** Sets a tag; false where the user is gone. */
async function writeTag(calls: Calls, user: string, tag: Tag): Promise<boolean> {
  return await calls.writeIfThere('iam:TagUser', (iam) => iam.send(new TagUserCommand({ UserName: user, Tags: [tag] })));
}

/** Takes a tag away, which one that is not there is already; false where the user is gone. */
async function removeTag(calls: Calls, user: string, key: string): Promise<boolean> {
  return await calls.writeIfThere('iam:UntagUser', (iam) => iam.send(new UntagUserCommand({ UserName: user, TagKeys: [key] })));
}
