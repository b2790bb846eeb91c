import { z } from 'zod';
import type { Consumer } from '../../domain/assessment.ts';
import { fault } from '../../domain/errors.ts';
import { readerName } from '../../domain/inventory.schema.ts';
import { actionOf } from '../../domain/manifest.ts';
import { unknown, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, Applied, Probed, Reverted, StepContext } from '../contract.ts';
import { AuditTail, endOf, type SeenRead } from './audit-log.ts';
import type { Bench } from './bench.ts';
import { instantOf, isoOf, type Key } from './client.ts';
import { manifest } from './manifest.ts';
import { madeBy, pathOf, recalled, storeOf } from './staging.ts';

const own = actionOf(manifest, 'watch-readers');

/** How far the audit log had come before anything was changed. Without a mark it could not be read then, and is read from its beginning. */
const beforeSchema = z.object({ mark: z.object({ file: z.string(), offset: z.number().int().nonnegative() }).nullable() });
export type WatchBefore = z.output<typeof beforeSchema>;

const distributedSchema = z.object({
  version: z.string(),
  writtenAt: z.string().refine((text) => instantOf(text) !== undefined),
});

/**
 * Waits until the audit log shows that every consumer of the store has read the secret that `params.distribute` wrote, or until the account's patience ends.
 * Whoever has not been seen by then is named, and the answer is *unknown*: no log can show that somebody has not read.
 */
export function watchReaders(bench: Bench): Action {
  if (own === undefined) throw fault('engine.unexpected', { manifest: 'watch-readers' });

  /** One watch: what it waits for, and who has been seen so far. */
  async function begin(target: Target, captured: unknown, context: StepContext) {
    const path = pathOf(target);
    const before = recalled(beforeSchema, captured);
    const distributed = madeBy('distribute', distributedSchema, context);
    if (distributed === undefined) throw fault('provider.invalid', { path, because: 'nothing has been distributed' });
    const store = storeOf(target, context);
    const consumers = context.inventory.consumers.filter((consumer) => consumer.store === store.id);
    const vault = bench.open();
    const key = await vault.locate(path);
    const tail = bench.auditLog === undefined ? undefined : new AuditTail(bench.auditLog, before.mark ?? { file: '', offset: 0 });
    const seen = new Map<string, string>();
    let readable = false;
    return {
      vault,
      distributed,
      /** Reads on; true once everybody has been seen. */
      async look(): Promise<boolean> {
        const reads = await tail?.next();
        if (reads !== undefined) readable = true;
        for (const read of reads ?? []) {
          if (!isOf(read, key, bench.namespace) || !isAfter(read.at, distributed.writtenAt)) continue;
          for (const consumer of consumers) if (isBy(read, consumer) && !seen.has(consumer.id)) seen.set(consumer.id, read.at);
        }
        return consumers.length > 0 && seen.size === consumers.length;
      },
      hopeless: () => bench.auditLog === undefined || consumers.length === 0,
      answer(time: string): Probed {
        const missing = consumers.filter((consumer) => !seen.has(consumer.id)).map((consumer) => consumer.id);
        const facts = {
          readers: [...seen].map(([consumer, at]) => ({ consumer, at: isoOf(at) })),
          missing,
          unreadableLines: tail?.unreadable ?? 0,
          logReplaced: tail?.lost ?? false,
        };
        const requestIds = vault.requestIds;
        if (consumers.length > 0 && missing.length === 0) {
          const last = [...seen.values()].reduce((a, b) => (isAfter(b, a) ? b : a));
          const evidence = `${seen.size} of ${consumers.length} consumers have read version ${distributed.version} of ${path}, by the audit log`;
          return { observation: yes(time, 'log', evidence), effectiveAt: isoOf(last), requestIds, facts };
        }
        const why =
          consumers.length === 0
            ? `the inventory names no consumer of ${path}`
            : bench.auditLog === undefined
              ? 'no audit log is configured for this account'
              : !readable
                ? 'the audit log cannot be read'
                : `not seen to have read ${path} since the write: ${missing.join(', ')}${tail?.lost ? '; the log was replaced meanwhile' : ''}${tail?.unreadable ? `; ${tail.unreadable} lines of it could not be understood` : ''}`;
        return { observation: unknown(time, 'log', why), requestIds, facts };
      },
    };
  }

  return {
    manifest: own,

    async capture(): Promise<WatchBefore> {
      return { mark: (bench.auditLog === undefined ? undefined : await endOf(bench.auditLog)) ?? null };
    },

    async apply(target: Target, before: unknown, context: StepContext): Promise<Applied> {
      const watch = await begin(target, before, context);
      const { time } = await watch.vault.health();
      const until = Date.now() + context.timing.giveUpMs;
      while (!(await watch.look()) && !watch.hopeless() && Date.now() < until) {
        context.heartbeat();
        await context.sleep(context.timing.pollMs);
      }
      return { outcome: 'already', acceptedAt: time, requestIds: watch.vault.requestIds };
    },

    async probe(target: Target, before: unknown, context: StepContext): Promise<Probed> {
      const watch = await begin(target, before, context);
      await watch.look();
      const { time } = await watch.vault.health();
      return watch.answer(time);
    },

    async revert(target: Target): Promise<Reverted> {
      pathOf(target);
      const vault = bench.open();
      const { time } = await vault.health();
      return { outcome: 'already', requestIds: vault.requestIds, observation: yes(time, 'engine', 'a watch changes nothing') };
    },
  };
}

const isOf = (read: SeenRead, key: Key, namespace: string | undefined): boolean =>
  read.path === `${key.mount}/data/${key.path}` && read.namespace.replace(/\/$/, '') === (namespace ?? '').replace(/\/$/, '');

/** Tokens made through `auth/token/create` get `token-` put before the display name they were given. */
const isBy = (read: SeenRead, consumer: Consumer): boolean => {
  const name = readerName(consumer);
  return read.names.includes(name) || read.names.includes(`token-${name}`);
};

/** Strictly after, to the nanosecond: a read in the very moment of the write may have got the old version. */
const isAfter = (at: string, than: string): boolean => (instantOf(at) ?? 0n) > (instantOf(than) ?? 0n);
