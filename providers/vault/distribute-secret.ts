import { z } from 'zod';
import { hashOf } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import { actionOf } from '../../domain/manifest.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, Applied, Probed, Reverted, StepContext } from '../contract.ts';
import type { Bench } from './bench.ts';
import { isoOf, type Key, type Vault, type Version } from './client.ts';
import { manifest } from './manifest.ts';
import { holds, madeBy, mintedSchema, pathOf, recalled, type Staged, shred, stagedSchema, storeOf, storesBeside } from './staging.ts';

const own = actionOf(manifest, 'distribute-secret');

/**
 * What stood at the live path. A version never changes once written, so its number and its time of writing identify its content for good, and no hash
 * of what may be a guessable password has to be kept.
 */
const beforeSchema = z.object({
  version: z.number().int().nonnegative(),
  state: z.enum(['absent', 'kept', 'deleted', 'destroyed']),
  createdTime: z.string().exactOptional(),
  /** The key had metadata though no version. */
  annotated: z.boolean(),
});
export type DistributeBefore = z.output<typeof beforeSchema>;

/**
 * Copies what `params.stage` staged to the live path, over the version that was captured and over no other. Members of the secret that the credential does
 * not fill are carried over. The staged copy is deleted after the live one has been read back.
 */
export function distributeSecret(bench: Bench): Action {
  if (own === undefined) throw fault('engine.unexpected', { manifest: 'distribute-secret' });
  return {
    manifest: own,

    async capture(target: Target): Promise<DistributeBefore> {
      const path = pathOf(target);
      const vault = bench.open();
      const key = await vault.locate(path);
      const metadata = await vault.metadata(key);
      // Our write would push out the only version there is, and nothing could bring it back.
      if (metadata?.maxVersions === 1)
        throw fault('provider.unsupported', { path, because: 'the store keeps one version only: the write could not be taken back' });
      const version = await vault.read(key);
      if (version === undefined) return { version: 0, state: 'absent', annotated: metadata !== undefined };
      return { version: version.version, state: version.state, createdTime: version.createdTime, annotated: true };
    },

    async apply(target: Target, captured: unknown, context: StepContext): Promise<Applied> {
      const path = pathOf(target);
      const before = recalled(beforeSchema, captured);
      context.signal.throwIfAborted();
      const vault = bench.open();
      const live = await vault.locate(path);
      const staged = madeBy('stage', stagedSchema, context);
      if (staged === undefined) throw fault('provider.invalid', { path, because: 'nothing has been staged' });
      const shelf = await vault.locate(staged.stagedPath);

      const now = await vault.read(live);
      if (holds(now, staged) && (isNext(now, before) || isSame(now, before))) {
        // The reply to an earlier attempt was lost, or somebody had put exactly this there before we captured.
        await clean(vault, shelf, staged, context);
        await shredLast(vault, target, context);
        return done('already', now as Version, before, vault);
      }
      if (!isSame(now, before)) throw fault('provider.conflict', { path, because: 'somebody has written there since the capture' });

      const copy = await vault.read(shelf);
      if (copy?.content === undefined || hashOf(copy.content) !== staged.content) {
        throw fault('provider.conflict', { path: staged.stagedPath, because: 'what was staged is not there any more' });
      }
      const content = { ...now?.content, ...copy.content };
      context.signal.throwIfAborted();
      await vault.write(live, content, before.version);
      const read = await vault.read(live);
      if (!isNext(read, before)) throw fault('provider.conflict', { path, because: 'somebody has written there right after us' });
      if (read?.content === undefined || hashOf(read.content) !== hashOf(content)) {
        throw fault('provider.uncertain', { path, because: 'what was read back is not what was written' });
      }
      await clean(vault, shelf, staged, context);
      await shredLast(vault, target, context);
      return done('changed', read, before, vault);
    },

    async probe(target: Target, captured: unknown, context: StepContext): Promise<Probed> {
      const path = pathOf(target);
      const before = recalled(beforeSchema, captured);
      const vault = bench.open();
      const staged = madeBy('stage', stagedSchema, context);
      const now = await vault.read(await vault.locate(path));
      const { time } = await vault.health();
      const requestIds = vault.requestIds;
      if (staged === undefined) return { observation: unknown(time, 'engine', 'what was staged is not known here'), requestIds };
      if (holds(now, staged) && now !== undefined) {
        const evidence = `version ${now.version} of ${path} holds ${staged.accessKeyId}`;
        return { observation: yes(time, 'administrator', evidence), effectiveAt: isoOf(now.createdTime), requestIds };
      }
      const why = isSame(now, before) ? `${path} stands as it was captured` : `version ${now?.version ?? 0} of ${path} is somebody else’s`;
      return { observation: no(time, 'administrator', why), requestIds };
    },

    async revert(target: Target, captured: unknown, context: StepContext): Promise<Reverted> {
      const path = pathOf(target);
      const before = recalled(beforeSchema, captured);
      const vault = bench.open();
      const live = await vault.locate(path);
      const staged = madeBy('stage', stagedSchema, context);
      const settled = async (outcome: Reverted['outcome'], evidence: string): Promise<Reverted> => {
        const { time } = await vault.health();
        return { outcome, observation: yes(time, 'administrator', evidence), requestIds: vault.requestIds };
      };
      // Without a staged secret no apply can have written anything.
      if (staged === undefined) return await settled('already', 'nothing was ever staged for this step');

      const now = await vault.read(live);
      if (isSame(now, before)) return await settled('already', `${path} stands as it was captured`);
      if (isNext(now, before)) {
        if (holds(now, staged)) {
          context.signal.throwIfAborted();
          return await settled('changed', await restore(vault, live, path, before));
        }
        if (now?.state === 'deleted' && before.state !== 'kept')
          return await settled('already', `${path} is without content, as it was captured`);
        if (now?.state === 'kept') return await settled('already', `version ${now.version} of ${path} was never ours`);
        throw fault('provider.conflict', { path, because: 'somebody has deleted our version since' });
      }
      // Further on than one version: either we have taken ours back already, or somebody has built on it, or it never was ours.
      const ours = await vault.read(live, before.version + 1);
      if (ours?.state === 'kept' && !holds(ours, staged))
        return await settled('already', `version ${ours.version} of ${path} was never ours`);
      if (ours?.state === 'kept' && now?.version === before.version + 2 && before.state === 'kept') {
        const old = await vault.read(live, before.version);
        if (old?.content !== undefined && now.content !== undefined && hashOf(old.content) === hashOf(now.content)) {
          return await settled('already', `version ${now.version} of ${path} has the captured content again`);
        }
      }
      throw fault('provider.conflict', { path, because: 'somebody has written there since' });
    },
  };
}

/** Gives the live path back what it held, and says how it looks now. Its current version is ours. */
async function restore(vault: Vault, live: Key, path: string, before: DistributeBefore): Promise<string> {
  const ours = before.version + 1;
  if (before.state === 'absent' && !before.annotated) {
    await vault.deleteKey(live);
    if ((await vault.metadata(live)) !== undefined) throw fault('provider.uncertain', { path, because: 'it is still there' });
    return `nothing is at ${path}, as it was captured`;
  }
  if (before.state !== 'kept') {
    await vault.deleteVersion(live, ours);
    const read = await vault.read(live);
    if (read?.state === 'kept') throw fault('provider.uncertain', { path, because: 'its version is still readable' });
    return `${path} is without content, as it was captured`;
  }
  const old = await vault.read(live, before.version);
  // An undelete of a destroyed version says yes and does nothing, so nothing is undeleted here: either the old content can be read, or it cannot be put back.
  if (old === undefined || old.state === 'destroyed')
    throw fault('provider.gone', { path, version: before.version, because: 'the store keeps that version no more' });
  if (old.content === undefined || old.createdTime !== before.createdTime) {
    throw fault('provider.conflict', { path, version: before.version, because: 'somebody has deleted or replaced that version since' });
  }
  const written = await vault.write(live, old.content, ours);
  const read = await vault.read(live);
  if (read?.version !== written.version) throw fault('provider.conflict', { path, because: 'somebody has written there right after us' });
  if (read.content === undefined || hashOf(read.content) !== hashOf(old.content)) {
    throw fault('provider.uncertain', { path, because: 'what was read back is not what was written' });
  }
  return `version ${read.version} of ${path} has the content of version ${before.version}`;
}

const isSame = (now: Version | undefined, before: DistributeBefore): boolean =>
  (now?.version ?? 0) === before.version && now?.createdTime === before.createdTime && (now?.state ?? 'absent') === before.state;

const isNext = (now: Version | undefined, before: DistributeBefore): boolean => now?.version === before.version + 1;

/** Deletes the staged copy. It is gone already where an earlier attempt came this far. */
async function clean(vault: Vault, shelf: Key, staged: Staged, context: StepContext): Promise<void> {
  if ((await vault.metadata(shelf)) === undefined) return;
  context.signal.throwIfAborted();
  await vault.deleteKey(shelf);
  if ((await vault.metadata(shelf)) !== undefined)
    throw fault('provider.uncertain', { path: staged.stagedPath, because: 'the staged copy is still there' });
}

/**
 * Shreds the sealed blob once every store of ours that holds this principal's credential has the new one: after that nobody needs it. Of several
 * distributions at once, the one that looks last sees all of them. A store that is left out of the plan leaves the blob, sealed as it is.
 */
async function shredLast(vault: Vault, target: Target, context: StepContext): Promise<void> {
  if (typeof context.params.mint !== 'string') return;
  const minted = madeBy('mint', mintedSchema, context);
  if (minted === undefined) return;
  const stores = storesBeside(storeOf(target, context), context);
  if (stores.length === 1) return;
  for (const store of stores) {
    const field = store.fields.accessKeyId;
    const live = await vault.read(await vault.locate(store.path));
    if (field === undefined || live?.content?.[field] !== minted.accessKeyId) return;
  }
  await shred(context, minted.sealed);
}

function done(outcome: Applied['outcome'], live: Version, before: DistributeBefore, vault: Vault): Applied {
  return {
    outcome,
    acceptedAt: isoOf(live.createdTime),
    requestIds: vault.requestIds,
    made: { version: String(live.version), previousVersion: String(before.version), writtenAt: live.createdTime },
  };
}
