import { z } from 'zod';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Applied } from '../contract.ts';
import { answering, type Bench, ownOf, serverTime } from './bench.ts';
import { manifest } from './manifest.ts';
import { recalled } from './staging.ts';
import { destroySecretIdAt, listSecretIds, lookUpSecretId, membersOf, refuseOwn } from './tokens.ts';

/** What is kept of a secret id that will not be there to be asked. */
const beforeSchema = z.object({
  found: z.boolean(),
  issuedAt: z.string().exactOptional(),
  expiresAt: z.string().exactOptional(),
  uses: z.number().exactOptional(),
  cidrs: z.array(z.string()).exactOptional(),
});
export type SecretIdBefore = z.output<typeof beforeSchema>;

/**
 * Destroys one secret id by its accessor. Tokens that it was exchanged for live on, a periodic one for ever: they are found by a look and revoked one by one. There is no action that
 * revokes by the prefix of the log-in path, as every role of the mount has its tokens under it.
 */
export function destroySecretId(bench: Bench): Action {
  return {
    manifest: actionOf(manifest, 'destroy-secret-id') as ActionManifest,

    async capture(target): Promise<SecretIdBefore> {
      const at = membersOf(target, bench.account, 'mount', 'appRole', 'accessor');
      const row = await lookUpSecretId(bench.open(), at);
      if (row === undefined) return { found: false };
      return {
        found: true,
        issuedAt: row.issuedAt,
        ...(row.expiresAt ? { expiresAt: row.expiresAt } : {}),
        uses: row.uses,
        cidrs: [...row.cidrs],
      };
    },

    async apply(target, before, context): Promise<Applied> {
      const place = membersOf(target, bench.account, 'mount', 'appRole', 'accessor');
      recalled(beforeSchema, before);
      context.signal.throwIfAborted();
      const vault = bench.open();
      const done = answering(vault);
      refuseOwn(await ownOf(vault), place);
      if ((await lookUpSecretId(vault, place)) === undefined) return await done('absent');
      context.signal.throwIfAborted();
      const outcome = await destroySecretIdAt(vault, place);
      // Whatever the answer, the list has the last word: the server says of a gone one what it says of its own failure, a 500.
      if ((await listSecretIds(vault, place))?.includes(place.accessor))
        throw fault('provider.uncertain', { accessor: place.accessor, because: 'the server said yes, and the secret id is listed' });
      return await done(outcome === 'destroyed' ? 'changed' : 'absent');
    },

    async probe(target) {
      const place = membersOf(target, bench.account, 'mount', 'appRole', 'accessor');
      const vault = bench.open();
      const row = await lookUpSecretId(vault, place);
      const { at, atMost } = await serverTime(vault);
      const requestIds = vault.requestIds;
      const words = `secret id ${place.accessor} of role ${place.appRole}`;
      if (row !== undefined) return { observation: no(at, 'administrator', `${words} is there`), requestIds };
      return {
        observation: yes(at, 'administrator', `${words} is not there, in the server’s own words`),
        effectiveAt: atMost,
        requestIds,
        facts: { lives: 'tokens that it was exchanged for' },
      };
    },
  };
}
