import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { unzipSync, zipSync } from 'fflate';
import type { Hash } from '../domain/canonical.ts';
import { fault, isFault } from '../domain/errors.ts';

/** A bundle's files by path, with `/` between the parts. */
export type BundleFiles = ReadonlyMap<string, Uint8Array>;

/** Names of the files in a bundle; records lie at `records/<64 digits>.json`, policies at `policies/<64 digits of their hash>.yaml`. */
export const BundleFile = {
  STATEMENT: 'statement.json',
  HISTORY: 'history.pb',
  HISTORY_JSON: 'history.json',
  CHAIN: 'chain.json',
  TRUST: 'trust.yaml',
  PEOPLE: 'people.yaml',
  CODE: 'workflows.cjs',
  REPORT: 'report.json',
  REPORT_HTML: 'report.html',
} as const;

/** The path of a record in a bundle. */
export const recordPath = (hash: Hash): string => `records/${hash.slice('sha256:'.length)}.json`;
/** The path of a trust that was in force before the one the bundle was made under; with its people, in one file. */
export const editionPath = (serial: number): string => `trust/${serial}.yaml`;
/** The path of a policy in a bundle; `hash` is the one verdicts name. */
export const policyPath = (hash: Hash): string => `policies/${hash.slice('sha256:'.length)}.yaml`;

/** The path of a standing authorisation, with its signatures, that was the leave for something. */
export const authorisationPath = (hash: Hash): string => `authorisations/${hash.slice('sha256:'.length)}.json`;

const limits = { files: 20_000, fileBytes: 128 * 1024 * 1024, bytes: 512 * 1024 * 1024 };
const part = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Whether a path may stand in a bundle: relative, at most three parts of plain characters, none of which begins with a dot. */
export function isBundlePath(path: string): boolean {
  const parts = path.split('/');
  return parts.length <= 3 && parts.every((each) => part.test(each));
}

/** One zip file. The same files give the same bytes: no times in it, and the order is that of the names. */
export function packBundle(files: BundleFiles): Uint8Array {
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  return zipSync(Object.fromEntries(sorted), { level: 6, mtime: new Date('1980-01-01T00:00:00') });
}

/**
 * Opens a zip file made by {@link packBundle} or by anybody. Throws `audit.broken` for what is no zip, a path that leaves the bundle, a name that stands
 * twice, or more than a bundle can hold; nothing is inflated past the size the zip declares.
 */
export function unpackBundle(bytes: Uint8Array): BundleFiles {
  const seen = new Set<string>();
  let total = 0;
  try {
    const files = unzipSync(bytes, {
      filter(file) {
        if (file.name.endsWith('/') && file.originalSize === 0) return false;
        total += file.originalSize;
        admit(file.name, file.originalSize, seen, total);
        return true;
      },
    });
    return new Map(Object.entries(files));
  } catch (error) {
    if (isFault(error)) throw error;
    throw fault('audit.broken', { why: 'not a zip file' }, error);
  }
}

/** Reads a bundle from a folder or a zip file. Throws `file.missing`, `file.unreadable`, or what {@link unpackBundle} throws; links are refused. */
export function readBundle(path: string): BundleFiles {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw fault('file.missing', { file: path });
  if (stat.isFile()) {
    if (stat.size > limits.bytes) throw fault('audit.broken', { file: path, why: 'larger than a bundle can be' });
    return unpackBundle(new Uint8Array(readFileSync(path)));
  }
  const files = new Map<string, Uint8Array>();
  const seen = new Set<string>();
  let total = 0;
  const walk = (folder: string, prefix: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = `${prefix}${entry.name}`;
      if (entry.isDirectory()) {
        if (!isBundlePath(name)) throw fault('audit.broken', { file: name.slice(0, 200), why: 'no name for a file of a bundle' });
        walk(join(folder, entry.name), `${name}/`);
        continue;
      }
      if (!entry.isFile()) throw fault('audit.broken', { file: name.slice(0, 200), why: 'neither a file nor a folder' });
      const size = lstatSync(join(folder, entry.name)).size;
      total += size;
      admit(name, size, seen, total);
      files.set(name, new Uint8Array(readFileSync(join(folder, entry.name))));
    }
  };
  if (!stat.isDirectory()) throw fault('file.unreadable', { file: path, why: 'neither a folder nor a zip file' });
  walk(path, '');
  return files;
}

/** Writes a bundle as a zip file where the path ends in `.zip`, else as a folder. An existing folder is written into; nothing is removed. */
export function writeBundle(path: string, files: BundleFiles): void {
  if (path.endsWith('.zip')) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, packBundle(files));
    return;
  }
  for (const [name, bytes] of files) {
    if (!isBundlePath(name)) throw fault('audit.broken', { file: name.slice(0, 200), why: 'no name for a file of a bundle' });
    const file = join(path, ...name.split('/'));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
}

function admit(name: string, size: number, seen: Set<string>, total: number): void {
  const file = name.slice(0, 200);
  if (!isBundlePath(name)) throw fault('audit.broken', { file, why: 'no name for a file of a bundle' });
  if (seen.has(name)) throw fault('audit.broken', { file, why: 'it stands twice' });
  seen.add(name);
  if (size > limits.fileBytes || total > limits.bytes || seen.size > limits.files) {
    throw fault('audit.broken', { file, why: 'more than a bundle can hold' });
  }
}

/** UTF-8. */
export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

/** The text of UTF-8 bytes; undefined where they are none. */
export function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
