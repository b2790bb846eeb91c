import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  scryptSync,
} from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sha256Of } from '../domain/canonical.ts';
import { fault } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import { KeyRole, type TrustedKey } from '../domain/trust.ts';

/** A private key in memory. `key` prints nothing of itself and has no JSON form; `public` is the raw key in base64. */
export interface PrivateKey {
  readonly id: string;
  readonly role: KeyRole;
  readonly public: string;
  readonly from: string;
  readonly until: string;
  readonly provider?: string;
  readonly account?: string;
  readonly person?: string;
  readonly key: KeyObject;
}

/** A passphrase's work factor, kept in the key file. Memory is 128·n·r bytes: 128 MiB at the production cost. */
export interface ScryptCost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** What a new passphrase costs. Reading takes the file's own cost, within {@link costLimit}. */
export const productionCost: ScryptCost = { n: 2 ** 17, r: 8, p: 1 };
const costLimit = 2 ** 20;

interface Sealed extends ScryptCost {
  readonly kdf: 'scrypt';
  readonly salt: string;
  readonly iv: string;
  readonly ciphertext: string;
}
type KeyFile = Omit<PrivateKey, 'key'> & { readonly v: 1 } & ({ readonly private: string } | { readonly sealed: Sealed });

export interface NewKey {
  readonly role: KeyRole;
  /** ISO, UTC. The key signs nothing that is dated outside. */
  readonly from: string;
  readonly until: string;
  readonly provider?: string;
  readonly account?: string;
  readonly person?: string;
}

/** A fresh key: X25519 for `sealing`, Ed25519 for all else. Its id is made of role and public key. */
export function newKey(wanted: NewKey): PrivateKey {
  const { privateKey } = wanted.role === KeyRole.SEALING ? generateKeyPairSync('x25519') : generateKeyPairSync('ed25519');
  const { x } = privateKey.export({ format: 'jwk' });
  const raw = Buffer.from(x ?? '', 'base64url');
  return { id: `${wanted.role}-${sha256Of(raw).slice(7, 23)}`, public: raw.toString('base64'), ...wanted, key: privateKey };
}

/** The public half, as a trust file lists it. */
export function trustedKeyOf({ key: _, ...rest }: PrivateKey): TrustedKey {
  return rest;
}

/** The 32 bytes of a private key. For libraries that take no key object; whoever calls this answers for where they go. */
export function rawPrivate(key: PrivateKey): Uint8Array {
  return new Uint8Array(Buffer.from(key.key.export({ format: 'jwk' }).d ?? '', 'base64url'));
}

/**
 * Writes a key file (JSON, 0600, whole or not at all). With a passphrase the private half is encrypted by AES-256-GCM under an scrypt key, bound to the
 * public half. A person's and the root's key must have one: they lie on laptops and sticks. A worker's has none: nobody is there to type it.
 */
export function writeKey(path: string, key: PrivateKey, passphrase?: Secret, cost: ScryptCost = productionCost): void {
  if (passphrase === undefined && (key.role === KeyRole.PERSON || key.role === KeyRole.ROOT)) {
    throw fault('usage.invalid', { file: path, why: `the key of a ${key.role} needs a passphrase` });
  }
  const open = { v: 1 as const, ...trustedKeyOf(key) };
  const secret = rawPrivate(key);
  let file: KeyFile;
  if (passphrase === undefined) {
    file = { ...open, private: Buffer.from(secret).toString('base64') };
  } else {
    const salt = randomBytes(16);
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', stretch(passphrase, salt, cost), iv);
    cipher.setAAD(Buffer.from(key.public));
    const ciphertext = Buffer.concat([cipher.update(secret), cipher.final(), cipher.getAuthTag()]).toString('base64');
    const { n, r, p } = cost;
    file = { ...open, sealed: { kdf: 'scrypt', n, r, p, salt: salt.toString('base64'), iv: iv.toString('base64'), ciphertext } };
  }
  writePrivateFile(path, `${JSON.stringify(file, null, 2)}\n`);
}

/** What a key file says of itself without opening it. Throws the `file.*` faults; group or others being able to read it is one of them. */
export function describeKey(path: string): TrustedKey & { readonly needsPassphrase: boolean } {
  const file = readKeyFile(path);
  const { id, role, from, until, provider, account, person } = file;
  return {
    id,
    role,
    public: file.public,
    from,
    until,
    ...(provider !== undefined && { provider }),
    ...(account !== undefined && { account }),
    ...(person !== undefined && { person }),
    needsPassphrase: 'sealed' in file,
  };
}

/**
 * Reads and opens a key file. Throws `key.missing` where there is none or its passphrase is not given, `file.permissions` where others may read it,
 * `file.syntax`, `file.invalid`, or `key.wrong-passphrase`.
 */
export function readKey(path: string, passphrase?: Secret): PrivateKey {
  const file = readKeyFile(path);
  const { needsPassphrase: _, ...open } = describeKey(path);
  let secret: Buffer;
  if ('private' in file) {
    secret = Buffer.from(file.private, 'base64');
  } else {
    if (passphrase === undefined) throw fault('key.missing', { file: path, why: 'the passphrase is not given' });
    const sealed = Buffer.from(file.sealed.ciphertext, 'base64');
    const iv = Buffer.from(file.sealed.iv, 'base64');
    const decipher = createDecipheriv('aes-256-gcm', stretch(passphrase, Buffer.from(file.sealed.salt, 'base64'), file.sealed), iv, {
      authTagLength: 16,
    });
    decipher.setAAD(Buffer.from(file.public));
    decipher.setAuthTag(sealed.subarray(sealed.length - 16));
    try {
      secret = Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - 16)), decipher.final()]);
    } catch {
      throw fault('key.wrong-passphrase', { file: path });
    }
  }
  const jwk: JsonWebKey = {
    kty: 'OKP',
    crv: file.role === KeyRole.SEALING ? 'X25519' : 'Ed25519',
    x: Buffer.from(file.public, 'base64').toString('base64url'),
    d: secret.toString('base64url'),
  };
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: jwk, format: 'jwk' });
  } catch {
    throw fault('file.invalid', { file: path, why: 'not a private key of 32 bytes' });
  }
  return { ...open, key };
}

/** All keys of a folder, such as a worker's `sealing/`; none where there is no folder. Sorted by name. */
export function readKeys(folder: string): PrivateKey[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => readKey(join(folder, name)));
}

/** The content of `store.key`: 32 bytes in base64. Throws as {@link readKey} does. */
export function readStoreKey(path: string): Uint8Array {
  const text = readPrivateFile(path).trim();
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== 32 || bytes.toString('base64') !== text)
    throw fault('file.invalid', { file: path, line: 1, why: 'not 32 bytes in base64' });
  return new Uint8Array(bytes);
}

/** The content of `codec.json`: the keys payloads are encrypted under, 32 bytes in base64 each, and which of them is current. */
export interface CodecKeys {
  readonly current: string;
  readonly keys: Readonly<Record<string, string>>;
}

/** Reads `codec.json`. Throws as {@link readKey} does. */
export function readCodecKeys(path: string): CodecKeys {
  const value = parse(path, readPrivateFile(path));
  const keys = isObject(value) ? value.keys : undefined;
  if (!isObject(value) || typeof value.current !== 'string' || !isObject(keys) || typeof keys[value.current] !== 'string') {
    throw fault('file.invalid', { file: path, why: 'not {current, keys: {id: base64}} with the current one among the keys' });
  }
  for (const [id, key] of Object.entries(keys)) {
    if (typeof key !== 'string' || Buffer.from(key, 'base64').length !== 32) {
      throw fault('file.invalid', { file: path, at: `keys.${id}`, why: 'not 32 bytes in base64' });
    }
  }
  return { current: value.current, keys: keys as Record<string, string> };
}

/** Reads a file that holds a secret. Refuses one that group or others may read, write or run (`file.permissions`). */
export function readPrivateFile(path: string): string {
  let mode: number;
  try {
    mode = statSync(path).mode;
  } catch {
    throw fault('key.missing', { file: path });
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw fault('file.permissions', { file: path, mode: (mode & 0o777).toString(8), remedy: `chmod 600 ${path}` });
  }
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw fault('file.unreadable', { file: path }, cause);
  }
}

/** Writes a file that holds a secret: 0600 from its first byte, whole or not at all; a folder made for it is 0700. */
export function writePrivateFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const made = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(made, text, { flag: 'wx', mode: 0o600 });
  chmodSync(made, 0o600);
  renameSync(made, path);
}

function stretch(passphrase: Secret, salt: Uint8Array, { n, r, p }: ScryptCost): Buffer {
  return scryptSync(passphrase.reveal().normalize('NFC'), salt, 32, { N: n, r, p, maxmem: 256 * n * r + 256 * r * p + 2 ** 21 });
}

function readKeyFile(path: string): KeyFile {
  const value = parse(path, readPrivateFile(path));
  const text = (of: Record<string, unknown>, name: string, optional = false): void => {
    if (typeof of[name] !== 'string' && !(optional && of[name] === undefined)) {
      throw fault('file.invalid', { file: path, at: name, why: 'a text is expected' });
    }
  };
  if (!isObject(value) || value.v !== 1) throw fault('file.invalid', { file: path, why: 'not a key file' });
  for (const name of ['id', 'role', 'public', 'from', 'until']) text(value, name);
  for (const name of ['provider', 'account', 'person']) text(value, name, true);
  if (!Object.values<string>(KeyRole).includes(String(value.role)))
    throw fault('file.invalid', { file: path, at: 'role', why: 'no such role' });
  if (value.sealed === undefined) {
    text(value, 'private');
  } else {
    const { sealed } = value;
    if (!isObject(sealed) || sealed.kdf !== 'scrypt')
      throw fault('file.invalid', { file: path, at: 'sealed', why: 'only scrypt is known' });
    for (const name of ['salt', 'iv', 'ciphertext']) text(sealed, name);
    const { n, r, p } = sealed;
    const fits = [n, r, p].every((part) => Number.isInteger(part) && Number(part) > 0);
    // A file from elsewhere must not make us allocate without end.
    if (!fits || Number(n) > costLimit || Number(r) > 16 || Number(p) > 16) {
      throw fault('file.invalid', { file: path, at: 'sealed', why: `the cost is over n ${costLimit}, r 16, p 16, or not a whole number` });
    }
  }
  return value as unknown as KeyFile;
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own words may quote the text, and the text may be a key.
    throw fault('file.syntax', { file: path, why: 'not JSON' });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * SECRET: the credentials of an account, by name: a file with a flat JSON object of texts, readable by its owner only. Throws what {@link readPrivateFile} throws, and `file.invalid` where it is no JSON object; says
 * nothing of what is in it.
 */
export function readCredentials(path: string): Readonly<Record<string, Secret>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readPrivateFile(path));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw fault('file.invalid', { file: path, problem: 'not a JSON object' });
  }
  if (typeof parsed !== 'object' || parsed === null) throw fault('file.invalid', { file: path, problem: 'not a JSON object' });
  return Object.fromEntries(
    Object.entries(parsed).flatMap(([name, value]) => (typeof value === 'string' ? [[name, new Secret(value)]] : [])),
  );
}
