import { z } from 'zod';
import { hashOf, isHash } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import { actionOf } from '../../domain/manifest.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, Applied, Probed, Reverted, StepContext } from '../contract.ts';
import type { Bench } from './bench.ts';
import { isoOf, type Key, type KeyMetadata, type Vault } from './client.ts';
import { manifest } from './manifest.ts';
import { bears, madeBy, marksOf, mintedSchema, pathOf, recalled, shred, stagingPath, storeOf, storesBeside } from './staging.ts';

const own = actionOf(manifest, 'stage-secret');

const beforeSchema = z.object({ stagedPath: z.string().min(1), found: z.enum(['nothing', 'ours', 'other']) });
export type StageBefore = z.output<typeof beforeSchema>;

/** What the mint sealed: members by our names. */
const secretSchema = z.record(z.string().min(1), z.string().min(1));

/**
 * Opens the sealed secret of the mint named in `params.mint` and writes it beside the live path, under the store's names for its fields. The sealed blob is
 * shredded only after the copy in the store has been read back, so that at every moment the secret stands in at least one place. Where several stores wait
 * for the same secret it stays, until `distribute-secret` has seen it in all of them.
 */
export function stageSecret(bench: Bench): Action {
  if (own === undefined) throw fault('engine.unexpected', { manifest: 'stage-secret' });
  return {
    manifest: own,

    async capture(target: Target, context: StepContext): Promise<StageBefore> {
      const vault = bench.open();
      const stagedPath = stagingPath(pathOf(target), context);
      const metadata = await vault.metadata(await vault.locate(stagedPath));
      const found = metadata === undefined ? 'nothing' : bears(metadata.custom, marksOf(context)) ? 'ours' : 'other';
      return { stagedPath, found };
    },

    async apply(target: Target, before: unknown, context: StepContext): Promise<Applied> {
      const { stagedPath } = recalled(beforeSchema, before);
      context.signal.throwIfAborted();
      const vault = bench.open();
      const key = await vault.locate(stagedPath);
      const minted = madeBy('mint', mintedSchema, context);
      if (minted === undefined) throw fault('provider.invalid', { path: stagedPath, because: 'the mint has made nothing to stage' });
      const { accessKeyId, sealed, keyId } = minted;
      const marks = { ...marksOf(context), tourniquet_made: accessKeyId };
      const metadata = await vault.metadata(key);
      refuseOthers(metadata, marks, stagedPath);
      const store = storeOf(target, context);
      const last = storesBeside(store, context).length === 1;

      const standing = metadata === undefined ? undefined : await stagedCopy(vault, key, metadata);
      if (standing !== undefined) {
        // The reply to an earlier attempt was lost, or the attempt died between writing and shredding.
        if (last) await shred(context, sealed);
        return done('already', standing, stagedPath, accessKeyId, vault);
      }

      const fields = mapped(await openSecret(context, sealed, keyId, accessKeyId), store.fields, stagedPath);
      context.signal.throwIfAborted();
      // ORDER: marks before content, so that no copy of a secret ever stands there without saying whose it is.
      await vault.annotate(key, { ...marks, tourniquet_content: hashOf(fields), tourniquet_fields: JSON.stringify(Object.keys(fields)) });
      context.signal.throwIfAborted();
      const written = await vault.write(key, fields, 0);
      const copy = await stagedCopy(vault, key, await vault.metadata(key));
      if (copy === undefined || copy.content !== hashOf(fields) || copy.version !== written.version) {
        throw fault('provider.uncertain', { path: stagedPath, because: 'what was read back is not what was written' });
      }
      if (last) await shred(context, sealed);
      return done('changed', copy, stagedPath, accessKeyId, vault);
    },

    async probe(_target: Target, before: unknown, context: StepContext): Promise<Probed> {
      const { stagedPath } = recalled(beforeSchema, before);
      const vault = bench.open();
      const key = await vault.locate(stagedPath);
      const metadata = await vault.metadata(key);
      const { time } = await vault.health();
      const requestIds = vault.requestIds;
      if (metadata === undefined) return { observation: no(time, 'administrator', `nothing is at ${stagedPath}`), requestIds };
      const minted = madeBy('mint', mintedSchema, context);
      if (minted === undefined) return { observation: unknown(time, 'engine', 'what the mint made is not known here'), requestIds };
      if (!bears(metadata.custom, { ...marksOf(context), tourniquet_made: minted.accessKeyId })) {
        return { observation: no(time, 'administrator', `${stagedPath} is not this step’s`), requestIds };
      }
      const copy = await vault.read(key);
      if (copy?.content === undefined || hashOf(copy.content) !== metadata.custom.tourniquet_content) {
        return { observation: no(time, 'administrator', `${stagedPath} does not hold what was staged`), requestIds };
      }
      const evidence = `version ${copy.version} of ${stagedPath} read back, request ${requestIds.at(-1)}`;
      return { observation: yes(time, 'administrator', evidence), effectiveAt: isoOf(copy.createdTime), requestIds };
    },

    async revert(_target: Target, before: unknown, context: StepContext): Promise<Reverted> {
      const { stagedPath } = recalled(beforeSchema, before);
      const vault = bench.open();
      const key = await vault.locate(stagedPath);
      const metadata = await vault.metadata(key);
      const gone = async (outcome: Reverted['outcome']): Promise<Reverted> => {
        const { time } = await vault.health();
        return { outcome, observation: yes(time, 'administrator', `nothing is at ${stagedPath}`), requestIds: vault.requestIds };
      };
      if (metadata === undefined) return await gone('absent');
      refuseOthers(metadata, marksOf(context), stagedPath);
      if (metadata.current > 1) throw fault('provider.conflict', { path: stagedPath, because: 'somebody has written there since' });
      context.signal.throwIfAborted();
      await vault.deleteKey(key);
      // The server says yes to the deletion of anything, so that only a look tells.
      if ((await vault.metadata(key)) !== undefined) throw fault('provider.uncertain', { path: stagedPath, because: 'it is still there' });
      return await gone('changed');
    },
  };
}

interface Copy {
  readonly version: number;
  readonly createdTime: string;
  readonly content: string;
  readonly fields: string;
}

/** The staged copy, if one stands there and is what its marks say. Marks without content are no copy: the attempt died before it wrote. */
async function stagedCopy(vault: Vault, key: Key, metadata: KeyMetadata | undefined): Promise<Copy | undefined> {
  if (metadata === undefined || metadata.current === 0) return undefined;
  const path = `${key.mount}/${key.path}`;
  const copy = await vault.read(key);
  if (copy?.content === undefined) throw fault('provider.conflict', { path, because: 'somebody has deleted what was staged' });
  const content = hashOf(copy.content);
  const { tourniquet_content: marked, tourniquet_fields: fields } = metadata.custom;
  if (content !== marked || fields === undefined || !isHash(content)) {
    throw fault('provider.conflict', { path, because: 'somebody has written there since' });
  }
  return { version: copy.version, createdTime: copy.createdTime, content, fields };
}

function refuseOthers(metadata: KeyMetadata | undefined, marks: Readonly<Record<string, string>>, path: string): void {
  if (metadata !== undefined && !bears(metadata.custom, marks))
    throw fault('provider.conflict', { path, because: 'somebody else’s secret is there' });
}

async function openSecret(
  context: StepContext,
  sealed: string,
  keyId: string,
  accessKeyId: string,
): Promise<Readonly<Record<string, string>>> {
  if (!isHash(sealed)) throw fault('provider.invalid', { because: 'the mint names no sealed blob' });
  const secret = await context.sealing.open(sealed, keyId, `mint:${accessKeyId}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(secret.reveal());
  } catch {
    // SECRET: the parser's message quotes what it read.
    throw fault('record.unreadable', { sealed, because: 'what was sealed is no JSON' });
  }
  const read = secretSchema.safeParse(parsed);
  if (!read.success || read.data.accessKeyId !== accessKeyId) {
    throw fault('record.unreadable', { sealed, because: 'what was sealed is not the secret of that key' });
  }
  return read.data;
}

/** The secret under the store's names. A member without a place is refused: half a credential would look like a whole one to its readers. */
function mapped(
  secret: Readonly<Record<string, string>>,
  fields: Readonly<Record<string, string>>,
  path: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(secret).map(([name, value]) => {
      const place = fields[name];
      if (place === undefined) throw fault('provider.invalid', { path, because: `the inventory gives ${name} no field in this store` });
      return [place, value];
    }),
  );
}

function done(outcome: Applied['outcome'], copy: Copy, stagedPath: string, accessKeyId: string, vault: Vault): Applied {
  const { version, createdTime, content, fields } = copy;
  return {
    outcome,
    acceptedAt: isoOf(createdTime),
    requestIds: vault.requestIds,
    made: { stagedPath, version: String(version), accessKeyId, content, fields },
  };
}
