import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { yes } from '../../domain/observation.ts';
import type { Action, Applied, Probed, Reverted, StepContext } from '../contract.ts';
import { answering, type Bench, heldBy, ownOf, serverTime, textsOf } from './bench.ts';
import { captureEntity, type EntityBefore, entityBefore, entityGone, probeEntity, setDisabled } from './disable-entity.ts';
import { manifest } from './manifest.ts';
import { recalled } from './staging.ts';
import { sweepTokens } from './sweep.ts';
import { lookUpAccessor, membersOf, readEntity, refuseOwn } from './tokens.ts';

/**
 * Enables an entity again. Whatever was issued to it before works again from that moment, the thief's tokens too: so those that `params.accessors` names (or `params.keys`, as plans call them for
 * any system) have to be gone, and `params.notBefore` (ISO) has to have passed, which for a batch token is its expiry, since nobody can end it sooner. Without a list every service token of the entity
 * has to be gone.
 */
export function enableEntity(bench: Bench & { readonly lookupsPerSecond: number; readonly mostTokens: number }): Action {
  return {
    manifest: actionOf(manifest, 'enable-entity') as ActionManifest,

    async capture(target): Promise<EntityBefore> {
      const { entity } = membersOf(target, bench.account, 'entity');
      return await captureEntity(bench.open(), entity);
    },

    async apply(target, captured, context): Promise<Applied> {
      const { entity } = membersOf(target, bench.account, 'entity');
      recalled(entityBefore, captured);
      context.signal.throwIfAborted();
      const vault = bench.open();
      const done = answering(vault);
      refuseOwn(await ownOf(vault), { entity });
      const now = await readEntity(vault, entity);
      if (now === undefined) return await done('absent');
      if (!now.disabled) return await done('already');
      const others = heldBy(context);
      if (others.length > 0) return await done('already', { heldBy: others });
      const notBefore = textsOf(context, 'notBefore')?.[0];
      if (notBefore !== undefined && !(Date.parse((await serverTime(vault)).at) >= Date.parse(notBefore)))
        throw fault('provider.conflict', { entity, notBefore, because: 'a token that nobody can revoke has not expired yet' });
      const awake = await wouldWake(entity, context);
      if (awake.length > 0)
        throw fault('provider.conflict', { entity, accessors: awake.slice(0, 20).join(' '), because: 'these tokens would work again' });
      context.signal.throwIfAborted();
      return await done((await setDisabled(vault, entity, false)) ? 'changed' : 'absent');
    },

    async probe(target, _before, context): Promise<Probed> {
      const { entity } = membersOf(target, bench.account, 'entity');
      const vault = bench.open();
      const seen = await probeEntity(vault, entity, false);
      const others = heldBy(context);
      if (seen.observation.state !== 'no' || others.length === 0) return seen;
      // This incident's hold is let go, and that is all this step can promise.
      const { at, atMost } = await serverTime(vault);
      const words = `entity ${entity} stays disabled, now for incidents ${others.join(', ')} alone`;
      return { observation: yes(at, 'administrator', words), effectiveAt: atMost, requestIds: vault.requestIds };
    },

    async revert(target, captured, context): Promise<Reverted> {
      const { entity } = membersOf(target, bench.account, 'entity');
      const before = recalled(entityBefore, captured);
      const vault = bench.open();
      const now = await readEntity(vault, entity);
      if (now === undefined) return await entityGone(vault, entity);
      const { at } = await serverTime(vault);
      const answer = (outcome: 'changed' | 'already', words: string): Reverted => ({
        outcome,
        requestIds: vault.requestIds,
        observation: yes(at, 'administrator', words),
      });
      if (!before.found) throw fault('provider.conflict', { entity, because: 'it was not there at the capture' });
      if (now.disabled === before.disabled) return answer('already', `entity ${entity} is as it was captured`);
      if (now.disabled) throw fault('provider.conflict', { entity, because: 'somebody has disabled it since' });
      context.signal.throwIfAborted();
      if (!(await setDisabled(vault, entity, true))) return await entityGone(vault, entity);
      return answer('changed', `entity ${entity} is disabled again`);
    },
  };

  /** Accessors of the tokens that must not wake. */
  async function wouldWake(entity: string, context: StepContext): Promise<readonly string[]> {
    const vault = bench.open();
    const named = textsOf(context, 'accessors') ?? keysOf(context);
    if (named !== undefined) {
      const standing: string[] = [];
      for (const accessor of named) {
        membersOf({ account: bench.account, accessor }, bench.account, 'accessor');
        if ((await lookUpAccessor(vault, accessor)) !== undefined) standing.push(accessor);
      }
      return standing;
    }
    const swept = await sweepTokens(vault, { ...bench, signal: context.signal, heartbeat: context.heartbeat, sleep: context.sleep });
    if (swept.gaps.length > 0)
      throw fault('provider.unsupported', { entity, because: `not all tokens could be looked at: ${swept.gaps.join('; ')}` });
    return swept.rows.filter((row) => row.entity === entity).map((row) => row.accessor);
  }
}

/** What a plan names of what it has ended: accessors among names of other forms, which are looked at by their own steps. */
const keysOf = (context: StepContext): readonly string[] | undefined =>
  textsOf(context, 'keys')?.filter((name) => /^[A-Za-z0-9][A-Za-z0-9._-]{5,127}$/.test(name));
