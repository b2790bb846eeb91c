import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isHash, sha256Of } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import { Secret } from '../../domain/secret.ts';
import type { Action, Applied, Reverted, StepContext } from '../contract.ts';
import { type Bench, serverTime } from './bench.ts';
import type { Vault } from './client.ts';
import { manifest } from './manifest.ts';
import { bears, marksOf, recalled } from './staging.ts';
import { destroySecretIdAt, listSecretIds, lookUpSecretId, membersOf, registerSecretId, type SecretIdPlace } from './tokens.ts';

const beforeSchema = z.object({ found: z.boolean(), accessors: z.array(z.string()) });
export type MintBefore = z.output<typeof beforeSchema>;

const sealToSchema = z.object({ provider: z.string().min(1), account: z.string().min(1) });

/** What stands in the metadata of a secret id of ours beside the marks of its step: where its secret is sealed, and the name that it is sealed under. */
const sealedName = 'tourniquet_sealed';
const sealerName = 'tourniquet_sealer';
const labelName = 'tourniquet_made';

/**
 * Makes a secret id of our own choosing. ORDER: it is sealed before it is registered, and its metadata says where, so that a try whose answer was lost is found again with all that it made, and no
 * secret id stands whose secret nobody has. The server copies the metadata into the tokens that it is exchanged for, which so name this step.
 * Params: `sealTo` (`{provider, account}`), whose worker may open the secret. Made: `mount`, `appRole`, `accessor`, `accessKeyId`, `sealed`, `keyId`. What is sealed is JSON of `accessKeyId` (a name for the
 * store; it is the accessor's for nobody) and `secretId`, bound to the text `mint:<accessKeyId>`.
 */
export function mintSecretId(bench: Bench): Action {
  return {
    manifest: actionOf(manifest, 'mint-secret-id') as ActionManifest,

    async capture(target): Promise<MintBefore> {
      const place = membersOf(target, bench.account, 'mount', 'appRole');
      const accessors = await listSecretIds(bench.open(), place);
      return { found: accessors !== undefined, accessors: [...(accessors ?? [])].sort() };
    },

    async apply(target, captured, context): Promise<Applied> {
      const place = membersOf(target, bench.account, 'mount', 'appRole');
      const before = recalled(beforeSchema, captured);
      const sealTo = sealToSchema.safeParse(context.params.sealTo);
      if (!sealTo.success) throw fault('provider.invalid', { missing: 'sealTo' });
      context.signal.throwIfAborted();
      const vault = bench.open();
      const [standing] = await ours(vault, place, before, context);
      if (standing) return await done(vault, 'already', standing);
      const secretId = randomBytes(32).toString('base64url');
      // Random as it is, it cannot be guessed from a part of its hash.
      const label = `secret-id-${sha256Of(secretId).slice('sha256:'.length, 'sha256:'.length + 16)}`;
      const { hash, keyId } = await context.sealing.seal(
        new Secret(JSON.stringify({ accessKeyId: label, secretId })),
        sealTo.data,
        `mint:${label}`,
      );
      context.signal.throwIfAborted();
      const accessor = await registerSecretId(vault, place, new Secret(secretId), {
        ...marksOf(context),
        [sealedName]: hash,
        [sealerName]: keyId,
        [labelName]: label,
      });
      const made = { ...place, accessor };
      if ((await lookUpSecretId(vault, made)) === undefined)
        throw fault('provider.uncertain', { accessor, because: 'the server said yes, and the secret id is not there' });
      return await done(vault, 'changed', { ...made, label, sealed: hash, sealer: keyId });
    },

    async probe(target, captured, context) {
      const place = membersOf(target, bench.account, 'mount', 'appRole');
      const before = recalled(beforeSchema, captured);
      const vault = bench.open();
      const [standing] = await ours(vault, place, before, context);
      const { at, atMost } = await serverTime(vault);
      const requestIds = vault.requestIds;
      if (!standing) return { observation: no(at, 'administrator', `role ${place.appRole} has no secret id of this step`), requestIds };
      const words = `role ${place.appRole} has secret id ${standing.accessor} of this step`;
      const made = context.made[context.step]?.accessor;
      if (made !== undefined && made !== standing.accessor)
        return { observation: unknown(at, 'administrator', `${words}, and it is not the one that was made`), requestIds };
      return { observation: yes(at, 'administrator', words), effectiveAt: atMost, requestIds };
    },

    async revert(target, captured, context): Promise<Reverted> {
      const place = membersOf(target, bench.account, 'mount', 'appRole');
      const before = recalled(beforeSchema, captured);
      const vault = bench.open();
      const standing = await ours(vault, place, before, context);
      for (const each of standing) {
        context.signal.throwIfAborted();
        await destroySecretIdAt(vault, each);
        if ((await lookUpSecretId(vault, each)) !== undefined)
          throw fault('provider.uncertain', { accessor: each.accessor, because: 'the server said yes, and the secret id is there' });
      }
      const { at } = await serverTime(vault);
      return {
        outcome: standing.length > 0 ? 'changed' : 'already',
        requestIds: vault.requestIds,
        observation: yes(at, 'administrator', `role ${place.appRole} has no secret id of this step`),
      };
    },
  };
}

interface Ours extends SecretIdPlace {
  readonly label: string;
  readonly sealed: string;
  readonly sealer: string;
}

/** Secret ids that this very step has made, by the marks that they bear. Whatever was there at the capture is none of them. */
async function ours(
  vault: Vault,
  place: Pick<SecretIdPlace, 'mount' | 'appRole'>,
  before: MintBefore,
  context: StepContext,
): Promise<readonly Ours[]> {
  const found: Ours[] = [];
  for (const accessor of (await listSecretIds(vault, place)) ?? []) {
    if (before.accessors.includes(accessor)) continue;
    const at = { ...place, accessor };
    const row = await lookUpSecretId(vault, at);
    if (row === undefined || !bears(row.metadata, marksOf(context))) continue;
    const { [sealedName]: sealed = '', [sealerName]: sealer = '', [labelName]: label = '' } = row.metadata;
    if (!isHash(sealed)) throw fault('provider.conflict', { accessor, because: 'somebody has made a secret id in this step’s name' });
    found.push({ ...at, label, sealed, sealer });
  }
  return found;
}

async function done(vault: Vault, outcome: Applied['outcome'], made: Ours): Promise<Applied> {
  const { at } = await serverTime(vault);
  const { mount, appRole, accessor, label, sealed, sealer } = made;
  return {
    outcome,
    acceptedAt: at,
    requestIds: vault.requestIds,
    made: { mount, appRole, accessor, accessKeyId: label, sealed, keyId: sealer },
  };
}
