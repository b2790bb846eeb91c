import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TrustPlace } from '../audit/editions.ts';
import { hashOf } from '../domain/canonical.ts';
import { type Fault, fault, isFault } from '../domain/errors.ts';
import type { Edition } from '../domain/trust.ts';
import type { Call } from './command.ts';
import { readTextFile, type Setting, settingOf } from './engine.ts';

/** The trust of a setting: what is in force, as far as it can be known here. */
export interface Standing {
  readonly inForce: Edition;
  /** The store was asked; without the operator's store key only the files can be. */
  readonly byStore: boolean;
  /** Why the files are not what is in force. */
  readonly trouble?: Fault;
  /** The files bring something that no worker has taken yet. */
  readonly waiting?: Edition;
}

/** Where a setting has its trust, with the names of its store. Throws `key.missing` without the operator's store key. */
export async function placeOf(setting: Setting): Promise<TrustPlace> {
  const { readStoreKey } = await import('../audit/keys.ts');
  const { openDirectoryStore } = await import('../audit/store.ts');
  const { configuration } = setting;
  const { names } = openDirectoryStore(configuration.store.directory, readStoreKey(storeKeyOf(setting)));
  return { trust: configuration.trust, people: configuration.people, root: configuration.root, engine: configuration.engine, names };
}

const storeKeyOf = (setting: Setting): string => join(setting.keys, 'operator', 'store.key');

/** What is in force: by the store where it can be read here, else by the files. Throws what is wrong with them where nothing else is known. */
export async function standingOf(setting: Setting): Promise<Standing> {
  const { inspectTrust, readEdition } = await import('../audit/editions.ts');
  const { configuration } = setting;
  if (!existsSync(storeKeyOf(setting)) || !existsSync(configuration.store.directory))
    return { inForce: readEdition({ trust: configuration.trust, people: configuration.people }, configuration.root), byStore: false };
  const { editions, trouble, waiting } = inspectTrust(await placeOf(setting));
  const inForce = editions.at(-1) ?? waiting;
  if (inForce === undefined) throw trouble ?? fault('trust.gap', { file: configuration.trust });
  return { inForce, byStore: true, ...(trouble && { trouble }), ...(waiting && editions.length > 0 && { waiting }) };
}

/** The edition in a file named on the command line. */
export async function editionIn(call: Call, name: string): Promise<{ readonly file: string; readonly edition: Edition }> {
  const { parseEdition } = await import('../audit/editions.ts');
  const file = resolve(call.cwd, name);
  return { file, edition: parseEdition(readTextFile(file), file) };
}

/** The setting of a call; undefined on a machine that has no tourniquet.yaml, unless one was named. */
export function settingIfAny(call: Call): Setting | undefined {
  try {
    return settingOf(call);
  } catch (error) {
    if (call.config === undefined && isFault(error) && error.code === 'file.missing') return undefined;
    throw error;
  }
}

/** The edition that another stands on, if it is the one given; undefined where it is not. */
export const standsOn = (edition: Edition, before: Edition | undefined): Edition | undefined =>
  before !== undefined && edition.trust.previous === hashOf(before.trust) ? before : undefined;
