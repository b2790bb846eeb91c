import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Hash, sha256Of } from '../domain/canonical.ts';
import { codeOf } from '../domain/errors.ts';
import { openDirectoryDrop, openDirectoryStore } from './store.ts';

const key = new Uint8Array(32).fill(7);
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text));
const textOf = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString());
const code = async (work: Promise<unknown>) => work.then(() => 'no error', codeOf);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'store-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('the blob store', () => {
  it('gives back what was put, under the SHA-256 of the plaintext, to another process of the same key', async () => {
    const hash = await openDirectoryStore(directory, key).put(bytesOf('evidence'));
    expect(hash).toBe(sha256Of('evidence'));
    const other = openDirectoryStore(directory, key);
    expect(textOf(await other.get(hash))).toBe('evidence');
    expect(await other.has(hash)).toBe(true);
    await other.remove(hash);
    expect(await other.has(hash)).toBe(false);
    expect(await code(other.get(hash))).toBe('record.missing');
  });

  it('leaves no plaintext on the disk and no file that others may read', async () => {
    const store = openDirectoryStore(directory, key);
    await store.put(bytesOf('a very recognisable evidence'));
    await store.createIfAbsent('spent/a', bytesOf('a very recognisable evidence'));
    const all = files(directory);
    expect(all).toHaveLength(2);
    for (const file of all) {
      expect(readFileSync(file).includes('recognisable')).toBe(false);
      expect(statSync(file).mode & 0o077).toBe(0);
    }
  });

  it('refuses altered bytes, another key, and a blob that stands under the address of another', async () => {
    const store = openDirectoryStore(directory, key);
    const one = await store.put(bytesOf('one'));
    const two = await store.put(bytesOf('two'));
    const [first, second] = files(join(directory, 'blobs'));
    expect(await code(openDirectoryStore(directory, new Uint8Array(32).fill(8)).get(one))).toBe('record.unreadable');
    const [firstBytes, secondBytes] = [readFileSync(first as string), readFileSync(second as string)];
    writeFileSync(first as string, secondBytes);
    writeFileSync(second as string, firstBytes);
    expect([await code(store.get(one)), await code(store.get(two))]).toEqual(['record.unreadable', 'record.unreadable']);
    for (let at = 0; at < firstBytes.length; at++) {
      const altered = Buffer.from(firstBytes);
      altered[at] = (altered[at] as number) ^ 1;
      writeFileSync(first as string, altered);
      const owner = [one, two].find((hash) => (first as string).endsWith(hash.slice(9))) as Hash;
      expect(await code(store.get(owner))).toBe('record.unreadable');
    }
    // Putting the bytes again mends what was broken.
    await store.put(bytesOf('one'));
    await store.put(bytesOf('two'));
    expect(textOf(await store.get(one))).toBe('one');
  });

  it('lets nothing but an address be asked for', async () => {
    const store = openDirectoryStore(directory, key);
    expect(await code(store.get('../../etc/passwd' as Hash))).toBe('record.missing');
    expect(await code(store.get(`sha256:${'../'.repeat(21)}x` as Hash))).toBe('record.missing');
  });

  it('keeps every name inside its folder and apart from every other, in any spelling', async () => {
    const store = openDirectoryStore(directory, key);
    const odd = [
      '..',
      '../..',
      'a',
      'A',
      'a/b',
      'a.n',
      'a.n/b',
      '%61',
      'x'.repeat(700),
      `x/${'Ä'.repeat(200)}/y`,
      'nul\0',
      'hold/arn:aws:iam::1:user/ci',
    ];
    for (const name of odd) expect((await store.createIfAbsent(name, bytesOf(name))).created).toBe(true);
    for (const name of odd) expect(textOf(await store.read(name))).toBe(name);
    expect(await store.list('')).toEqual([...odd].sort());
    expect(await store.list('a')).toEqual(['a', 'a.n', 'a.n/b', 'a/b']);
    expect(await store.list('a/')).toEqual(['a/b']);
    expect(await store.list('nobody/')).toEqual([]);
    expect(files(join(directory, 'names'))).toHaveLength(odd.length);
    expect(await store.read('free')).toBeUndefined();
    expect(await code(store.createIfAbsent('a//b', bytesOf('')))).toBe('usage.invalid');
  });

  it('gives a name to exactly one of many processes, and the others see what that one wrote', async () => {
    const script = `
      import { openDirectoryStore } from ${JSON.stringify(join(import.meta.dirname, 'store.ts'))};
      const store = openDirectoryStore(${JSON.stringify(directory)}, new Uint8Array(32).fill(7));
      for (let i = 0; i < 40; i++) {
        const { created, existing } = await store.createIfAbsent('spent/' + i, Buffer.from(process.argv[1]));
        console.log(i, created ? 'won' : 'lost', created ? process.argv[1] : Buffer.from(existing).toString());
      }`;
    const run = async (who: string) => {
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, who], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let out = '';
      child.stdout.on('data', (chunk) => {
        out += chunk;
      });
      await once(child, 'close');
      return out
        .trim()
        .split('\n')
        .map((line) => line.split(' '));
    };
    const lines = (await Promise.all(['one', 'two', 'three'].map(run))).flat();
    expect(lines).toHaveLength(120);
    for (let i = 0; i < 40; i++) {
      const of = lines.filter(([name]) => name === String(i));
      expect(of.filter(([, what]) => what === 'won')).toHaveLength(1);
      expect(new Set(of.map(([, , winner]) => winner)).size).toBe(1);
    }
  });

  it('shows a whole blob or none when the writer is killed at any moment', async () => {
    const script = `
      import { openDirectoryStore } from ${JSON.stringify(join(import.meta.dirname, 'store.ts'))};
      const store = openDirectoryStore(${JSON.stringify(directory)}, new Uint8Array(32).fill(7));
      console.log('ready');
      for (let i = 0; ; i++) { await store.put(Buffer.alloc(200_000, String(i))); await store.createIfAbsent('n/' + i, Buffer.alloc(50_000, 'n')); }`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const store = openDirectoryStore(directory, key);
    await expect.poll(async () => (await store.list('n/')).length, { interval: 5, timeout: 20_000 }).toBeGreaterThan(20);
    child.kill('SIGKILL');
    await once(child, 'close');
    for (const name of await store.list('n/')) expect((await store.read(name))?.length).toBe(50_000);
    const written = files(join(directory, 'blobs'));
    expect(written.length).toBeGreaterThan(5);
    for (const file of written) {
      const hash = `sha256:${file.slice(join(directory, 'blobs').length).replaceAll('/', '')}` as Hash;
      expect((await store.get(hash)).length).toBe(200_000);
    }
  });
});

describe('the sealed drop', () => {
  it('names a blob by its hash, verifies it, and shreds it', async () => {
    const drop = openDirectoryDrop(join(directory, 'sealed'));
    const hash = await drop.put(bytesOf('ciphertext'));
    expect(textOf(await drop.get(hash))).toBe('ciphertext');
    writeFileSync(join(directory, 'sealed', hash.slice(7)), 'other');
    expect(await code(drop.get(hash))).toBe('record.unreadable');
    await drop.shred(hash);
    await drop.shred(hash);
    expect(await code(drop.get(hash))).toBe('record.missing');
  });
});
