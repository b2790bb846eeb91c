import sodium from 'libsodium-wrappers';
import { z } from 'zod';
import type { Store } from '../../domain/assessment.ts';
import { hashOf, isHash, shortHash } from '../../domain/canonical.ts';
import { codeOf, fault } from '../../domain/errors.ts';
import type { Target } from '../../domain/plan.ts';
import type { StepContext } from '../contract.ts';
import type { GithubAccount } from './account.ts';
import type { Calls } from './api.ts';

/** Where secrets of Actions lie: a repository, or one of its environments. As a store's path: `owner/name` or `owner/name/environment`. */
export interface Place {
  readonly path: string;
  readonly repository: string;
  readonly params: Readonly<Record<string, string>>;
  /** The beginning of the calls' names. */
  readonly base: string;
}

export function placeOf(account: GithubAccount, target: Target): Place {
  const { path } = account.targetOf(target, 'path');
  const [owner = '', name = '', ...rest] = path.split('/');
  const { repo } = account.repositoryOf(`${owner}/${name}`);
  const environment = rest.join('/');
  return {
    path,
    repository: `${owner}/${name}`,
    params: { owner, repo, ...(environment === '' ? {} : { environment_name: environment }) },
    base: environment === '' ? '/repos/{owner}/{repo}/actions' : '/repos/{owner}/{repo}/environments/{environment_name}',
  };
}

/** The store that the inventory declares at the target. */
export function storeOf(target: Target, context: Pick<StepContext, 'inventory'>): Store {
  const store = context.inventory.stores.find(
    (each) => each.provider === 'github' && each.account === target.account && each.path === target.path,
  );
  if (store === undefined) throw fault('provider.invalid', { path: target.path ?? '', because: 'the inventory has no such store' });
  for (const name of Object.values(store.fields)) {
    if (!/^(?!GITHUB_)[A-Z_][A-Z0-9_]*$/.test(name))
      throw fault('provider.invalid', { field: name, because: 'a secret of Actions has a name of capitals, digits and underscores' });
  }
  return store;
}

/** True where no other store of ours waits for the same principal's credential: only then is the sealed one nobody's any more. */
export const isOnly = (store: Store, context: Pick<StepContext, 'inventory'>): boolean =>
  context.inventory.stores.filter(
    (each) => each.provider === store.provider && each.account === store.account && each.principal === store.principal,
  ).length === 1;

/** What a secret that one step staged is called: of no name that a workflow asks for. */
export function stagingPrefix(path: string, { incident, run, step }: Pick<StepContext, 'incident' | 'run' | 'step'>): string {
  return `TOURNIQUET_${shortHash(hashOf({ path, incident, run, step })).toUpperCase()}_`;
}

/** The secrets of a place by name, with when each was last written: that much GitHub tells, and never a value. A 404 is no proof that there is nothing. */
export async function readSecrets(calls: Calls, place: Place): Promise<ReadonlyMap<string, string>> {
  try {
    const { rows, whole } = await calls.list(`GET ${place.base}/secrets`, place.params, (data) => {
      const list = (data as { secrets?: unknown }).secrets;
      if (!Array.isArray(list)) return undefined;
      const read = list.map((row) => row as { name?: unknown; updated_at?: unknown });
      return read.every((row) => typeof row.name === 'string' && typeof row.updated_at === 'string')
        ? (read as { name: string; updated_at: string }[])
        : undefined;
    });
    if (!whole) throw fault('provider.uncertain', { path: place.path, because: 'it has more secrets than were read' });
    return new Map(rows.map((row) => [row.name, row.updated_at]));
  } catch (error) {
    if (codeOf(error) !== 'provider.gone') throw error;
    throw fault('provider.denied', { path: place.path, because: 'GitHub says that it is not there, as it does of what we may not see' });
  }
}

/** Writes secrets, each in a box that is sealed to the place's own key. SECRET: the values. Ends before the next one where the step is called off. */
export async function putSecrets(calls: Calls, place: Place, values: Readonly<Record<string, string>>): Promise<void> {
  await sodium.ready;
  const { data } = await calls.read(`GET ${place.base}/secrets/public-key`, place.params);
  const { key_id: keyId, key } = data as { key_id?: unknown; key?: unknown };
  if (typeof keyId !== 'string' || typeof key !== 'string')
    throw fault('provider.uncertain', { path: place.path, because: 'its public key cannot be read' });
  for (const [name, value] of Object.entries(values)) {
    const box = sodium.crypto_box_seal(value, Buffer.from(key, 'base64'));
    await calls.write(`PUT ${place.base}/secrets/{secret_name}`, {
      ...place.params,
      secret_name: name,
      encrypted_value: Buffer.from(box).toString('base64'),
      key_id: keyId,
    });
  }
}

/** Deletes secrets; one that is gone is deleted already. */
export async function removeSecrets(calls: Calls, place: Place, names: readonly string[]): Promise<void> {
  for (const name of names) {
    try {
      await calls.write(`DELETE ${place.base}/secrets/{secret_name}`, { ...place.params, secret_name: name });
    } catch (error) {
      if (codeOf(error) !== 'provider.gone') throw error;
    }
  }
}

/** A before-state as it comes back out of its record. */
export function recalled<T>(schema: z.ZodType<T>, before: unknown): T {
  const parsed = schema.safeParse(before);
  if (!parsed.success) throw fault('provider.invalid', { because: 'the before-state has not the form that capture gives it' });
  return parsed.data;
}

/** What the step that `params` names under `param` has made; undefined where it has made nothing. */
export function madeBy<T>(param: string, schema: z.ZodType<T>, context: Pick<StepContext, 'params' | 'made'>): T | undefined {
  const step = context.params[param];
  if (typeof step !== 'string') throw fault('provider.invalid', { because: `the step names no ${param} step` });
  const made = context.made[step];
  if (made === undefined) return undefined;
  const parsed = schema.safeParse(made);
  if (!parsed.success) throw fault('provider.invalid', { because: `what the ${param} step made has not the form it should have` });
  return parsed.data;
}

/** A list of texts by name that a step left as JSON, since what is made is texts. */
export const textsByName = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'expected JSON' });
      return z.NEVER;
    }
  })
  .pipe(z.record(z.string(), z.string()));

/** What a mint leaves: what the new credential is called, and its secret sealed to this worker. */
export const mintedSchema = z.looseObject({ sealed: z.custom<`sha256:${string}`>(isHash), keyId: z.string().min(1) });

const secretSchema = z.record(z.string().min(1), z.string().min(1));

/**
 * SECRET: the new credential under the store's names, opened in memory. Every field that the inventory names has to be filled and every member to have a field: half a credential would look like a whole one to
 * the runs that get it.
 */
export async function newValues(context: StepContext, store: Store): Promise<Readonly<Record<string, string>>> {
  const minted = madeBy('mint', mintedSchema, context);
  if (minted === undefined) throw fault('provider.invalid', { path: store.path, because: 'the mint has made nothing' });
  const { sealed, keyId, ...names } = minted;
  const id = names.accessKeyId ?? Object.values(names).find((value) => typeof value === 'string');
  const secret = await context.sealing.open(sealed, keyId, `mint:${String(id)}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(secret.reveal());
  } catch {
    // SECRET: the parser's message quotes what it read.
    throw fault('record.unreadable', { sealed, because: 'what was sealed is no JSON' });
  }
  const read = secretSchema.safeParse(parsed);
  if (!read.success) throw fault('record.unreadable', { sealed, because: 'what was sealed is no credential' });
  const values = Object.entries(read.data).map(([name, value]) => [store.fields[name], value] as const);
  if (values.some(([name]) => name === undefined) || values.length !== Object.keys(store.fields).length)
    throw fault('provider.invalid', {
      path: store.path,
      because: 'the fields of the store and the members of the new credential are not the same',
    });
  return Object.fromEntries(values as [string, string][]);
}

/** Shredding what is gone already is as good. */
export async function shred(context: StepContext): Promise<void> {
  const minted = typeof context.params.mint === 'string' ? madeBy('mint', mintedSchema, context) : undefined;
  try {
    if (minted !== undefined) await context.sealing.shred(minted.sealed);
  } catch (error) {
    if (codeOf(error) !== 'record.missing') throw error;
  }
}
