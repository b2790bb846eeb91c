import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { PrivateKey } from '../audit/keys.ts';
import type { Seal, TourniquetClient } from '../client/index.ts';
import { parseConfiguration } from '../domain/configuration.schema.ts';
import type { Configuration } from '../domain/configuration.ts';
import { codeOf, fault } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import type { Trust } from '../domain/trust.ts';
import { type Call, text } from './command.ts';
import { findStack, type StackFile, stackBeside } from './stack-file.ts';

/** The configuration of a call, and where the keys that go with it lie. */
export interface Setting {
  readonly configuration: Configuration;
  readonly file: string;
  /** The folder with `operator/` and `people/` in it. */
  readonly keys: string;
  readonly stack: StackFile | undefined;
}

/** A text file, or the fault that says why not. */
export function readTextFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw fault((cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'file.missing' : 'file.unreadable', { file: path }, cause);
  }
}

/**
 * Finds and reads the configuration: `--config`, else TOURNIQUET_CONFIG, else tourniquet.yaml here, else that of the practice stack that runs here.
 * Throws `file.missing`, `file.syntax` or `file.invalid`.
 */
export function settingOf(call: Call): Setting {
  const around = findStack(call.cwd);
  const named = call.config ?? call.environment.TOURNIQUET_CONFIG;
  const here = resolve(call.cwd, 'tourniquet.yaml');
  const file = named !== undefined ? resolve(call.cwd, named) : existsSync(here) ? here : (around?.configuration ?? here);
  const configuration = parseConfiguration(readTextFile(file), file);
  const stack = around?.configuration === file ? around : stackBeside(file);
  const ofStack = stack?.configuration !== undefined && resolve(stack.configuration) === file;
  const keys = text(call, 'keys') ?? (ofStack ? stack.keys : undefined) ?? join(dirname(file), 'keys');
  return { configuration, file, keys: resolve(call.cwd, keys), stack: ofStack ? stack : undefined };
}

/** The configuration of a call where there is one; a dry run can do without. One that is named and not there, or is wrong, is an error all the same. */
export function settingIfAny(call: Call): Configuration | undefined {
  try {
    return settingOf(call).configuration;
  } catch (error) {
    if (codeOf(error) === 'file.missing' && call.config === undefined && call.environment.TOURNIQUET_CONFIG === undefined) return undefined;
    throw error;
  }
}

/** The trust file of a setting, verified against the root that the configuration pins. */
export async function trustOf(setting: Setting): Promise<Trust> {
  const { readTrust } = await import('../audit/trust.ts');
  return readTrust(setting.configuration.trust, setting.configuration.root);
}

/** A client for a setting, connected. `reads`: the codec key is needed, as answers are encrypted; a reporter needs none. */
export async function clientOf(
  setting: Setting,
  wanted: { readonly reads: boolean; readonly reporter?: string; readonly seal?: Seal },
): Promise<TourniquetClient> {
  const { createClient, openKeyring } = await import('../client/index.ts');
  const { configuration } = setting;
  const codec = join(setting.keys, 'operator', 'codec.json');
  const has = configuration.codec.enabled && existsSync(codec);
  if (configuration.codec.enabled && wanted.reads && !has) throw fault('key.missing', { file: codec, what: 'the codec key' });
  if (has) {
    const { readCodecKeys } = await import('../audit/keys.ts');
    readCodecKeys(codec);
  }
  const { address, namespace, profile } = configuration.temporal;
  const client = createClient({
    ...(address === undefined ? {} : { address }),
    namespace,
    engine: configuration.engine,
    ...(profile === undefined ? {} : { profile }),
    ...(has ? { keyring: openKeyring(codec) } : {}),
    ...(wanted.reporter === undefined ? {} : { reporter: wanted.reporter }),
    ...(wanted.seal === undefined ? {} : { seal: wanted.seal }),
  });
  try {
    await client.connect();
  } catch (error) {
    await client.close();
    throw error;
  }
  return client;
}

/** Runs something with a connected client for the setting of a call, and closes it whatever happens. */
export async function withClient<T>(call: Call, work: (client: TourniquetClient, setting: Setting) => Promise<T>): Promise<T> {
  const setting = settingOf(call);
  const client = await clientOf(setting, { reads: true });
  try {
    return await work(client, setting);
  } finally {
    await client.close();
  }
}

/**
 * SECRET: the passphrase of a key: the first line of `--passphrase-file` or of the file that TOURNIQUET_PASSPHRASE_FILE names, else asked for. Only a
 * practice stack brings a passphrase of its own.
 */
export async function passphraseFor(call: Call, what: string, stack?: StackFile): Promise<Secret> {
  const file = text(call, 'passphraseFile') ?? call.environment.TOURNIQUET_PASSPHRASE_FILE ?? stack?.passphraseFile;
  if (file !== undefined) {
    const { readPrivateFile } = await import('../audit/keys.ts');
    return new Secret(readPrivateFile(resolve(call.cwd, file)).split(/\r?\n/, 1)[0] ?? '');
  }
  return call.terminal.askSecret(`Passphrase of ${what}: `, 'give --passphrase-file FILE');
}

/** The key of a person, opened. It is `--key FILE`, else `people/<person>.json` among the keys. */
export async function personKey(call: Call, setting: Setting, person: string): Promise<PrivateKey> {
  const { describeKey, readKey } = await import('../audit/keys.ts');
  const named = text(call, 'key');
  const file = named === undefined ? join(setting.keys, 'people', `${person}.json`) : resolve(call.cwd, named);
  const described = describeKey(file);
  if (described.person !== person)
    throw fault('key.missing', { file, why: `it is the key of ${described.person ?? `a ${described.role}`}`, wanted: person });
  return readKey(file, described.needsPassphrase ? await passphraseFor(call, `the key of ${person}`, setting.stack) : undefined);
}

/** Who speaks: `--as`, else TOURNIQUET_PERSON, else asked for. */
export async function personOf(call: Call): Promise<string> {
  const person =
    text(call, 'as') ??
    call.environment.TOURNIQUET_PERSON ??
    (await call.terminal.ask('Who are you (id in people.yaml)? ', 'give --as PERSON'));
  // The name becomes part of a path, so it may hold nothing that leads elsewhere.
  if (!/^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$/.test(person))
    throw fault('usage.invalid', { option: '--as', problem: 'expected an id of people.yaml' });
  return person;
}
