import { z } from 'zod';
import { codeOf, fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Applied } from '../contract.ts';
import { answering, type Bench, ownOf, serverTime } from './bench.ts';
import { manifest } from './manifest.ts';
import { recalled } from './staging.ts';
import { lookUpLease, membersOf, refuseOwn, revokeLeaseNow } from './tokens.ts';

const beforeSchema = z.object({
  found: z.boolean(),
  issuedAt: z.string().exactOptional(),
  expiresAt: z.string().exactOptional(),
  stuck: z.boolean().exactOptional(),
});
export type LeaseBefore = z.output<typeof beforeSchema>;

/**
 * Ends one lease at its origin and waits for that. The server answers success for a lease that it does not know, and with a 202 where it has only put it in a queue, so that the lease is looked up
 * before and after. Never by force: that forgets the lease and leaves the account at its origin. A session that is open at the origin may go on: no look here can see it.
 */
export function revokeLease(bench: Bench): Action {
  return {
    manifest: actionOf(manifest, 'revoke-lease') as ActionManifest,

    async capture(target): Promise<LeaseBefore> {
      const { lease } = membersOf(target, bench.account, 'lease');
      const row = await lookUpLease(bench.open(), lease);
      if (row === undefined) return { found: false };
      const { issuedAt, expiresAt, stuck } = row;
      return { found: true, ...(issuedAt ? { issuedAt } : {}), ...(expiresAt ? { expiresAt } : {}), stuck };
    },

    async apply(target, before, context): Promise<Applied> {
      const { lease } = membersOf(target, bench.account, 'lease');
      recalled(beforeSchema, before);
      context.signal.throwIfAborted();
      const vault = bench.open();
      const done = answering(vault);
      refuseOwn(await ownOf(vault), { lease });
      if ((await lookUpLease(vault, lease)) === undefined) return await done('absent');
      context.signal.throwIfAborted();
      let failed: unknown;
      try {
        await revokeLeaseNow(vault, lease);
      } catch (error) {
        if (codeOf(error) !== 'provider.uncertain') throw error;
        failed = error;
      }
      const left = await lookUpLease(vault, lease);
      if (left === undefined) return await done('changed');
      // The server has given up on it. Another try of ours is another of its own, and somebody has to end the account where it is.
      if (left.stuck)
        throw fault('provider.unsupported', { lease, because: 'the server cannot end it at its origin, where the account still stands' });
      throw failed ?? fault('provider.uncertain', { lease, because: 'the server said yes, and the lease is there' });
    },

    async probe(target) {
      const { lease } = membersOf(target, bench.account, 'lease');
      const vault = bench.open();
      const row = await lookUpLease(vault, lease);
      const { at, atMost } = await serverTime(vault);
      const requestIds = vault.requestIds;
      if (row === undefined) {
        return {
          observation: yes(at, 'administrator', `there is no lease ${lease}, in the server’s own words`),
          effectiveAt: atMost,
          requestIds,
          facts: { unseen: 'sessions that were open at the origin' },
        };
      }
      const words = row.stuck
        ? `lease ${lease} is irrevocable: the server could not end it, and the account at its origin stands`
        : `lease ${lease} is there${row.expiresAt ? `, until ${row.expiresAt}` : ''}`;
      return { observation: no(at, 'administrator', words), requestIds };
    },
  };
}
