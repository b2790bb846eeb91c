import { z } from 'zod';
import type { Store } from '../../domain/assessment.ts';
import { hashOf, isHash, shortHash } from '../../domain/canonical.ts';
import { codeOf, fault } from '../../domain/errors.ts';
import type { Target } from '../../domain/plan.ts';
import type { StepContext } from '../contract.ts';
import type { Version } from './client.ts';

/** Beside a live path, and not below it, so that a policy on exactly the live path does not reach it. */
export function stagingRoot(path: string): string {
  return `${path}--staged`;
}

/** Where one step of one run stages. It holds no name that a stranger could make sense of. */
export function stagingPath(path: string, context: Pick<StepContext, 'incident' | 'run' | 'step'>): string {
  return `${stagingRoot(path)}/${shortHash(hashOf({ incident: context.incident, run: context.run, step: context.step }))}`;
}

/** Whose a staged secret is, in its custom metadata: the one thing that still tells after a crash. */
export function marksOf(context: Pick<StepContext, 'incident' | 'run' | 'step'>): Readonly<Record<string, string>> {
  return { tourniquet_incident: context.incident, tourniquet_run: context.run, tourniquet_step: context.step };
}

export function bears(custom: Readonly<Record<string, string>>, marks: Readonly<Record<string, string>>): boolean {
  return Object.entries(marks).every(([name, value]) => custom[name] === value);
}

const targetSchema = z.object({ account: z.string().min(1), path: z.string().regex(/^[^/\s?#%]+(\/[^/\s?#%]+)+$/) });

/** The path of a target; `provider.invalid` for one that names none, or not exactly one. */
export function pathOf(target: Target): string {
  const parsed = targetSchema.safeParse(target);
  if (!parsed.success || parsed.data.path.split('/').some((part) => part === '.' || part === '..' || part === '*' || part === '+')) {
    throw fault('provider.invalid', { because: 'the target names no path of a store' });
  }
  return parsed.data.path;
}

/** The store that the inventory declares at the target. */
export function storeOf(target: Target, context: Pick<StepContext, 'inventory'>): Store {
  const store = context.inventory.stores.find(
    (one) => one.provider === 'vault' && one.account === target.account && one.path === target.path,
  );
  if (store === undefined) throw fault('provider.invalid', { path: pathOf(target), because: 'the inventory has no such store' });
  return store;
}

/** All stores of this worker that hold the same principal's credential, the target's own included: one minted secret goes to each of them. */
export function storesBeside(store: Store, context: Pick<StepContext, 'inventory'>): readonly Store[] {
  return context.inventory.stores.filter(
    (one) => one.provider === store.provider && one.account === store.account && one.principal === store.principal,
  );
}

/** A before-state as it comes back out of its record. */
export function recalled<T>(schema: z.ZodType<T>, before: unknown): T {
  const parsed = schema.safeParse(before);
  if (!parsed.success) throw fault('provider.invalid', { because: 'the before-state has not the form that capture gives it' });
  return parsed.data;
}

/** The reference that another step of the plan made, by the name under which `params` names that step. Undefined where it has made none. */
export function madeBy<T>(param: string, schema: z.ZodType<T>, context: Pick<StepContext, 'params' | 'made'>): T | undefined {
  const step = context.params[param];
  if (typeof step !== 'string') throw fault('provider.invalid', { because: `the step names no ${param} step` });
  const made = context.made[step];
  if (made === undefined) return undefined;
  const parsed = schema.safeParse(made);
  if (!parsed.success) throw fault('provider.invalid', { because: `what the ${param} step made has not the form it should have` });
  return parsed.data;
}

const hash = z.string().refine(isHash);

/** What a mint leaves: the new key's id, and its secret sealed to this worker. */
export const mintedSchema = z.object({ accessKeyId: z.string().min(1), sealed: hash, keyId: z.string().min(1) });

/**
 * What `stage-secret` leaves. `content` is the SHA-256 of the staged fields (minted material is random, so that it cannot be guessed from its hash),
 * and `fields` their names in the store, as a JSON list: with both, the content is known again after the staged copy is gone.
 */
export const stagedSchema = z.object({
  stagedPath: z.string().min(1),
  version: z.coerce.number().int().positive(),
  accessKeyId: z.string().min(1),
  content: hash,
  fields: z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: 'custom', message: 'expected a JSON list' });
        return z.NEVER;
      }
    })
    .pipe(z.array(z.string()).min(1)),
});
export type Staged = z.output<typeof stagedSchema>;

/** Shredding what is gone already is as good. */
export async function shred(context: Pick<StepContext, 'sealing'>, sealed: string): Promise<void> {
  try {
    if (isHash(sealed)) await context.sealing.shred(sealed);
  } catch (error) {
    if (codeOf(error) !== 'record.missing') throw error;
  }
}

/** True if a version of the live secret holds what was staged, whatever else is beside it. */
export function holds(version: Version | undefined, staged: Staged): boolean {
  const content = version?.content;
  if (content === undefined || !staged.fields.every((name) => Object.hasOwn(content, name))) return false;
  return hashOf(Object.fromEntries(staged.fields.map((name) => [name, content[name]]))) === staged.content;
}
