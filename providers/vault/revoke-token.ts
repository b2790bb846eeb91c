import { z } from 'zod';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Applied } from '../contract.ts';
import { answering, type Bench, ownOf, serverTime } from './bench.ts';
import { manifest } from './manifest.ts';
import { recalled } from './staging.ts';
import { lookUpAccessor, membersOf, refuseOwn, revokeAccessor } from './tokens.ts';

/** What is kept of a token that will not be there to be asked. */
const beforeSchema = z.object({
  found: z.boolean(),
  type: z.string().exactOptional(),
  displayName: z.string().exactOptional(),
  path: z.string().exactOptional(),
  orphan: z.boolean().exactOptional(),
  policies: z.array(z.string()).exactOptional(),
  entity: z.string().exactOptional(),
  role: z.string().exactOptional(),
  issuedAt: z.string().exactOptional(),
  expiresAt: z.string().exactOptional(),
  period: z.number().exactOptional(),
});
export type RevokedBefore = z.output<typeof beforeSchema>;

/**
 * Revokes one token by its accessor, and with it its children and leases; orphans that it made live on. The server answers every accessor with success, so that it is looked up before and
 * after, and is gone only where the look-up says so in its own words.
 */
export function revokeToken(bench: Bench): Action {
  return {
    manifest: actionOf(manifest, 'revoke-token') as ActionManifest,

    async capture(target): Promise<RevokedBefore> {
      const { accessor } = membersOf(target, bench.account, 'accessor');
      const row = await lookUpAccessor(bench.open(), accessor);
      if (row === undefined) return { found: false };
      // Its metadata is left out: whoever logged in chose it, and it may be anything.
      const { type, displayName, path, orphan, policies, entity, role, issuedAt, expiresAt, period } = row;
      return {
        found: true,
        type,
        displayName,
        path,
        orphan,
        policies: [...policies],
        ...(entity ? { entity } : {}),
        ...(role ? { role } : {}),
        issuedAt,
        ...(expiresAt ? { expiresAt } : {}),
        period,
      };
    },

    async apply(target, before, context): Promise<Applied> {
      const { accessor } = membersOf(target, bench.account, 'accessor');
      recalled(beforeSchema, before);
      context.signal.throwIfAborted();
      const vault = bench.open();
      const done = answering(vault);
      refuseOwn(await ownOf(vault), { accessor });
      if ((await lookUpAccessor(vault, accessor)) === undefined) return await done('absent');
      context.signal.throwIfAborted();
      await revokeAccessor(vault, accessor);
      // Children go first and the token last, so that a token that is there still may have lost some of them.
      if ((await lookUpAccessor(vault, accessor)) !== undefined)
        throw fault('provider.uncertain', { accessor, because: 'the server said yes, and the token is there' });
      return await done('changed');
    },

    async probe(target) {
      const { accessor } = membersOf(target, bench.account, 'accessor');
      const vault = bench.open();
      const row = await lookUpAccessor(vault, accessor);
      const { at, atMost } = await serverTime(vault);
      const requestIds = vault.requestIds;
      const request = `request ${requestIds.at(-1) ?? 'unknown'}`;
      if (row !== undefined)
        return { observation: no(at, 'administrator', `the token of accessor ${accessor} is there; ${request}`), requestIds };
      return {
        observation: yes(at, 'administrator', `there is no token of accessor ${accessor}, in the server’s own words`),
        effectiveAt: atMost,
        requestIds,
      };
    },
  };
}
