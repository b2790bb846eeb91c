import { z } from 'zod';
import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Applied, Probed, Reverted } from '../contract.ts';
import { answering, type Bench, heldBy, ownOf, serverTime } from './bench.ts';
import type { Vault } from './client.ts';
import { manifest } from './manifest.ts';
import { recalled } from './staging.ts';
import { membersOf, readEntity, refuseOwn, writeDisabled } from './tokens.ts';

/** How the entity stood. */
export const entityBefore = z.object({ found: z.boolean(), disabled: z.boolean() });
export type EntityBefore = z.output<typeof entityBefore>;

export async function captureEntity(vault: Vault, id: string): Promise<EntityBefore> {
  const entity = await readEntity(vault, id);
  return { found: entity !== undefined, disabled: entity?.disabled ?? false };
}

/** Sets the bit, and reads it back: the answer to the write says nothing. False where the entity is gone. */
export async function setDisabled(vault: Vault, id: string, disabled: boolean): Promise<boolean> {
  if ((await writeDisabled(vault, id, disabled)) === 'gone') return false;
  const now = await readEntity(vault, id);
  if (now === undefined) return false;
  if (now.disabled !== disabled) throw fault('provider.uncertain', { entity: id, because: 'it is not as it was written' });
  return true;
}

/** Whether the entity is as a step wants it. A look-up of one of its tokens would prove nothing: it succeeds whether the entity is disabled or not. */
export async function probeEntity(vault: Vault, id: string, wanted: boolean): Promise<Probed> {
  const entity = await readEntity(vault, id);
  const { at, atMost } = await serverTime(vault);
  const requestIds = vault.requestIds;
  const request = `request ${requestIds.at(-1) ?? 'unknown'}`;
  if (entity === undefined)
    return { observation: yes(at, 'administrator', `there is no entity ${id}; ${request}`), effectiveAt: atMost, requestIds };
  const words = `entity ${id} is ${entity.disabled ? 'disabled' : 'enabled'}; ${request}`;
  if (entity.disabled !== wanted) return { observation: no(at, 'administrator', words), requestIds };
  return { observation: yes(at, 'administrator', words), effectiveAt: atMost, requestIds };
}

export const entityGone = async (vault: Vault, id: string): Promise<Reverted> => {
  const { at } = await serverTime(vault);
  return { outcome: 'absent', requestIds: vault.requestIds, observation: yes(at, 'administrator', `there is no entity ${id}`) };
};

/**
 * Disables an entity: every token of it is refused, batch tokens and children among them, and every new log-in. Nothing is revoked. Orphan tokens escape, as no entity stands behind them.
 * One bit says it, and nobody's name is on it: an entity that was disabled at the capture stays so when this is taken back.
 */
export function disableEntity(bench: Bench): Action {
  return {
    manifest: actionOf(manifest, 'disable-entity') as ActionManifest,

    async capture(target): Promise<EntityBefore> {
      const { entity } = membersOf(target, bench.account, 'entity');
      return await captureEntity(bench.open(), entity);
    },

    async apply(target, captured, context): Promise<Applied> {
      const { entity } = membersOf(target, bench.account, 'entity');
      const before = recalled(entityBefore, captured);
      context.signal.throwIfAborted();
      const vault = bench.open();
      const done = answering(vault);
      refuseOwn(await ownOf(vault), { entity });
      const now = await readEntity(vault, entity);
      if (now === undefined) return await done('absent');
      if (now.disabled) return await done('already');
      // What was disabled then and is not now was enabled by somebody, and an undo could no longer tell what to go back to.
      if (before.disabled) throw fault('provider.conflict', { entity, because: 'somebody has enabled it since the capture' });
      context.signal.throwIfAborted();
      return await done((await setDisabled(vault, entity, true)) ? 'changed' : 'absent');
    },

    async probe(target) {
      const { entity } = membersOf(target, bench.account, 'entity');
      return await probeEntity(bench.open(), entity, true);
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
      if (before.disabled) throw fault('provider.conflict', { entity, because: 'somebody has enabled it since' });
      const others = heldBy(context);
      if (others.length > 0) {
        return {
          outcome: 'already',
          requestIds: vault.requestIds,
          observation: no(at, 'engine', `entity ${entity} stays disabled: incidents ${others.join(', ')} hold it`),
          facts: { heldBy: others },
        };
      }
      context.signal.throwIfAborted();
      if (!(await setDisabled(vault, entity, false))) return await entityGone(vault, entity);
      return answer('changed', `entity ${entity} is enabled, and what was issued to it before works again`);
    },
  };
}
