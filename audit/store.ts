import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Hash, isHash, sha256Of } from '../domain/canonical.ts';
import { fault } from '../domain/errors.ts';

/**
 * A store of immutable blobs by the SHA-256 of their plaintext, and of names that are taken once. Nothing in it is ever changed in place.
 * Whoever writes may be killed at any moment: a reader sees the whole blob or none.
 */
export interface BlobStore {
  /** Stores the bytes and returns their address. Storing the same bytes again is harmless. */
  put(bytes: Uint8Array): Promise<Hash>;
  /** The bytes of that address, verified. Throws `record.missing`, or `record.unreadable` where key or bytes are wrong. */
  get(hash: Hash): Promise<Uint8Array>;
  /** Whether there is a blob of that address; its bytes are not looked at. */
  has(hash: Hash): Promise<boolean>;
  /** Takes the name, if nobody has: of any number of callers, in any number of processes, exactly one is told `created`; the others get what it wrote. */
  createIfAbsent(name: string, bytes: Uint8Array): Promise<{ created: boolean; existing?: Uint8Array }>;
  /** What stands under a name; undefined where it is free. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** The names that begin with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>;
  /** Removes a blob; none there is no error. Names are never removed. */
  remove(hash: Hash): Promise<void>;
}

/** The names of a store, without waiting: for what is asked before every change, where another turn of the loop would let the old answer stand. */
export interface StoreNames {
  createIfAbsent(name: string, bytes: Uint8Array): { readonly created: boolean; readonly existing?: Uint8Array };
  read(name: string): Uint8Array | undefined;
}

const version = Buffer.from('TQ1');
const ivBytes = 12;
const tagBytes = 16;
const segmentLimit = 180;
const leaf = '.n';

/**
 * A blob store in a directory, shared by all processes of one engine. Each file is AES-256-GCM under `key` (32 bytes), bound to its address or name,
 * so that files cannot be swapped for one another.
 *
 * The calls are synchronous underneath, since a record is a few kilobytes and the round trips to a thread pool would cost several times the write.
 * Nothing is flushed to the disk: a killed process loses nothing, since the kernel has the bytes, but a power cut may lose the last seconds.
 * What it loses is then missing or unreadable, never wrong, because every read verifies.
 */
export function openDirectoryStore(directory: string, key: Uint8Array): BlobStore & { readonly names: StoreNames } {
  if (key.length !== 32) throw fault('key.missing', { what: 'store key', why: 'not 32 bytes' });
  const blobs = join(directory, 'blobs');
  const names = join(directory, 'names');
  const temporary = join(directory, 'temporary');
  for (const folder of [blobs, names, temporary]) mkdirSync(folder, { recursive: true, mode: 0o700 });

  const seal = (bytes: Uint8Array, bound: string): Buffer => {
    const iv = randomBytes(ivBytes);
    const cipher = createCipheriv('aes-256-gcm', key, iv);
    cipher.setAAD(Buffer.from(bound));
    return Buffer.concat([version, iv, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  };
  const open = (sealed: Buffer, bound: string): Uint8Array => {
    const start = version.length;
    if (sealed.length < start + ivBytes + tagBytes || !sealed.subarray(0, start).equals(version)) {
      throw fault('record.unreadable', { what: bound, why: 'not a file of the store' });
    }
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(start, start + ivBytes), { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(bound));
    decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
    try {
      return new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(start + ivBytes, sealed.length - tagBytes)), decipher.final()]));
    } catch (cause) {
      throw fault('record.unreadable', { what: bound, why: 'another key, or altered bytes' }, cause);
    }
  };
  const writeTemporary = (bytes: Uint8Array): string => {
    const path = join(temporary, randomUUID());
    withFolder(path, () => writeFileSync(path, bytes, { flag: 'wx', mode: 0o600 }));
    return path;
  };
  const blobPath = (hash: Hash): string => {
    if (!isHash(hash)) throw fault('record.missing', { hash: String(hash).slice(0, 80), why: 'not an address' });
    const digits = hash.slice('sha256:'.length);
    return join(blobs, digits.slice(0, 2), digits.slice(2));
  };
  const namePath = (name: string): string => join(names, `${encodeName(name)}${leaf}`);
  const readName = (name: string): Uint8Array | undefined => {
    const sealed = readIfThere(namePath(name));
    return sealed === undefined ? undefined : open(sealed, `name ${name}`);
  };

  const takeName = (name: string, bytes: Uint8Array): { created: boolean; existing?: Uint8Array } => {
    const path = namePath(name);
    // A link to a finished file is what makes the name appear whole, and to one caller only: link fails where the name is taken.
    const made = writeTemporary(seal(bytes, `name ${name}`));
    try {
      withFolder(path, () => linkSync(made, path));
      return { created: true };
    } catch (error) {
      if (errno(error) !== 'EEXIST') throw error;
      const existing = readName(name);
      if (existing === undefined) throw fault('record.unreadable', { name, why: 'taken, yet not there' });
      return { created: false, existing };
    } finally {
      rmSync(made, { force: true });
    }
  };

  return {
    names: { createIfAbsent: takeName, read: readName },
    async put(bytes) {
      const hash = sha256Of(bytes);
      const path = blobPath(hash);
      const made = writeTemporary(seal(bytes, `blob ${hash}`));
      withFolder(path, () => renameSync(made, path));
      return hash;
    },
    async get(hash) {
      const sealed = readIfThere(blobPath(hash));
      if (sealed === undefined) throw fault('record.missing', { hash });
      const bytes = open(sealed, `blob ${hash}`);
      if (sha256Of(bytes) !== hash) throw fault('record.unreadable', { hash, why: 'the bytes are not those of the address' });
      return bytes;
    },
    async has(hash) {
      return existsSync(blobPath(hash));
    },
    async createIfAbsent(name, bytes) {
      return takeName(name, bytes);
    },
    async read(name) {
      return readName(name);
    },
    async list(prefix) {
      const folder = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : '';
      const start = folder === '' ? names : join(names, encodeName(folder));
      return walk(start)
        .map((path) => decodeName(path.slice(names.length + 1, -leaf.length)))
        .filter((name) => name.startsWith(prefix))
        .sort();
    },
    async remove(hash) {
      rmSync(blobPath(hash), { force: true });
    },
  };
}

/** A drop for sealed secrets: ciphertext already, hence without a key of its own. */
export interface SealedDrop {
  /** Stores a sealed blob and returns the SHA-256 of its bytes. Needs no right to read or list. */
  put(bytes: Uint8Array): Promise<Hash>;
  /** The bytes, verified. Throws `record.missing`, or `record.unreadable` where they are altered or larger than a secret can be. */
  get(hash: Hash): Promise<Uint8Array>;
  /** Deletes the blob; none there is no error. Where the disk keeps old blocks, only the end of the sealing key's epoch shreds for good. */
  shred(hash: Hash): Promise<void>;
}

const sealedLimit = 1024 * 1024;

/**
 * The sealed drop in a directory. A reporter needs to write and enter (`-wx`), not to read; with the sticky bit reporters cannot remove each other's
 * blobs either. A blob under a wrong name is refused when read.
 */
export function openDirectoryDrop(directory: string): SealedDrop {
  const pathOf = (hash: Hash): string => {
    if (!isHash(hash)) throw fault('record.missing', { hash: String(hash).slice(0, 80), why: 'not an address' });
    return join(directory, hash.slice('sha256:'.length));
  };
  return {
    async put(bytes) {
      const hash = sha256Of(bytes);
      const path = pathOf(hash);
      const made = join(directory, `.${randomUUID()}`);
      withFolder(made, () => writeFileSync(made, bytes, { flag: 'wx', mode: 0o640 }));
      renameSync(made, path);
      return hash;
    },
    async get(hash) {
      const bytes = readIfThere(pathOf(hash));
      if (bytes === undefined) throw fault('record.missing', { hash, where: 'sealed drop' });
      if (bytes.length > sealedLimit || sha256Of(bytes) !== hash) throw fault('record.unreadable', { hash, where: 'sealed drop' });
      return new Uint8Array(bytes);
    },
    async shred(hash) {
      rmSync(pathOf(hash), { force: true });
    },
  };
}

function errno(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Runs the write; where its folder is not there yet, makes it and runs the write once more. Cheaper than to look before every write. */
function withFolder(path: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    write();
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errno(error) === 'ENOENT' || errno(error) === 'ENOTDIR') return undefined;
    throw fault('record.unreadable', { file: path }, error);
  }
}

function walk(folder: string): string[] {
  let entries: ReturnType<typeof entriesOf>;
  try {
    entries = entriesOf(folder);
  } catch (error) {
    if (errno(error) === 'ENOENT') return [];
    throw error;
  }
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.name.endsWith(leaf) ? [path] : [];
  });
}

function entriesOf(folder: string) {
  return readdirSync(folder, { withFileTypes: true });
}

/**
 * A name as a relative path. A slash divides; every byte but `a-z 0-9 _ -` becomes `%hh`, capitals included, so that no name leaves the folder and
 * two names stay two on a file system that ignores case. A piece too long for a file name goes on in a folder ending in `+`.
 */
function encodeName(name: string): string {
  if (name === '' || name.split('/').some((part) => part === '')) throw fault('usage.invalid', { name, why: 'an empty part in a name' });
  return name
    .split('/')
    .map((part) => {
      const safe = [...Buffer.from(part)]
        .map((byte) =>
          /[a-z0-9_-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`,
        )
        .join('');
      const pieces = safe.match(new RegExp(`.{1,${segmentLimit}}`, 'g')) ?? [];
      return pieces.join('+/');
    })
    .join('/');
}

function decodeName(path: string): string {
  return path
    .replaceAll('+/', '')
    .split('/')
    .map((part) => decodeURIComponent(part))
    .join('/');
}
