import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codeOf } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import { describeKey, newKey, rawPrivate, readKey, readStoreKey, trustedKeyOf, writeKey, writePrivateFile } from './keys.ts';

const period = { from: '2026-01-01T00:00:00.000Z', until: '2027-01-01T00:00:00.000Z' };
const cheap = { n: 2, r: 8, p: 1 };
const passphrase = new Secret('correct horse');
const codeFrom = (work: () => unknown) => {
  try {
    work();
    return 'no error';
  } catch (error) {
    return codeOf(error);
  }
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'keys-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('key files', () => {
  it('come back as they were written, readable by their owner only', () => {
    for (const role of ['judge', 'worker', 'sealing'] as const) {
      const path = join(directory, 'deep', `${role}.json`);
      const key = newKey({ role, ...period, provider: 'aws', account: '1' });
      writeKey(path, key);
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const back = readKey(path);
      expect(trustedKeyOf(back)).toEqual(trustedKeyOf(key));
      expect(rawPrivate(back)).toEqual(rawPrivate(key));
      expect(rawPrivate(back)).toHaveLength(32);
    }
  });

  it('of people and of the root are never written without a passphrase, and open with the right one only', () => {
    for (const role of ['person', 'root'] as const) {
      const path = join(directory, `${role}.json`);
      const key = newKey({ role, ...period });
      expect(codeFrom(() => writeKey(path, key))).toBe('usage.invalid');
      writeKey(path, key, passphrase, cheap);
      expect(readFileSync(path, 'utf8')).not.toContain(Buffer.from(rawPrivate(key)).toString('base64'));
      expect(describeKey(path)).toEqual({ ...trustedKeyOf(key), needsPassphrase: true });
      expect(rawPrivate(readKey(path, new Secret('correct horse')))).toEqual(rawPrivate(key));
      expect(codeFrom(() => readKey(path, new Secret('wrong horse')))).toBe('key.wrong-passphrase');
      expect(codeFrom(() => readKey(path))).toBe('key.missing');
    }
  });

  it('that were given another public half do not open', () => {
    const path = join(directory, 'person.json');
    writeKey(path, newKey({ role: 'person', ...period }), passphrase, cheap);
    const file = JSON.parse(readFileSync(path, 'utf8'));
    writePrivateFile(path, JSON.stringify({ ...file, public: newKey({ role: 'person', ...period }).public }));
    expect(codeFrom(() => readKey(path, passphrase))).toBe('key.wrong-passphrase');
  });

  it('that others may read are refused, with the remedy', () => {
    const path = join(directory, 'judge.json');
    writeKey(path, newKey({ role: 'judge', ...period }));
    for (const mode of [0o640, 0o604, 0o620]) {
      chmodSync(path, mode);
      expect(() => readKey(path)).toThrow(`chmod 600 ${path}`);
      expect(codeFrom(() => readKey(path))).toBe('file.permissions');
    }
  });

  it('that are missing or mangled are named, and the fault quotes nothing of them', () => {
    const path = join(directory, 'key.json');
    expect(codeFrom(() => readKey(path))).toBe('key.missing');
    const good = { v: 1, id: 'x', role: 'judge', public: 'AAAA', ...period, private: 'c2VjcmV0' };
    const cases: [string, string][] = [
      ['{"private": "c2VjcmV0", ', 'file.syntax'],
      ['[]', 'file.invalid'],
      [JSON.stringify({ ...good, role: 'emperor' }), 'file.invalid'],
      [JSON.stringify({ ...good, private: 7 }), 'file.invalid'],
      [JSON.stringify(good), 'file.invalid'],
      [
        JSON.stringify({
          ...good,
          private: undefined,
          sealed: { kdf: 'scrypt', n: 2 ** 30, r: 8, p: 1, salt: '', iv: '', ciphertext: '' },
        }),
        'file.invalid',
      ],
    ];
    for (const [text, code] of cases) {
      writePrivateFile(path, text);
      try {
        readKey(path, passphrase);
        expect.unreachable();
      } catch (error) {
        expect(codeOf(error)).toBe(code);
        expect(`${error} ${inspect(error)}`).not.toContain('c2VjcmV0');
        expect(`${error}`).toContain(path);
      }
    }
  });

  it('open to keys that print and serialise nothing of their private half', () => {
    const key = newKey({ role: 'judge', ...period });
    const secret = Buffer.from(rawPrivate(key));
    for (const text of [JSON.stringify(key), inspect(key, { depth: 9, showHidden: true }), String(key)]) {
      for (const encoding of ['base64', 'base64url', 'hex'] as const) expect(text).not.toContain(secret.toString(encoding));
    }
  });

  it('for the store hold 32 bytes in base64, and nothing else', () => {
    const path = join(directory, 'store.key');
    writePrivateFile(path, `${Buffer.alloc(32, 3).toString('base64')}\n`);
    expect(readStoreKey(path)).toEqual(new Uint8Array(32).fill(3));
    writeFileSync(path, Buffer.alloc(31, 3).toString('base64'));
    expect(codeFrom(() => readStoreKey(path))).toBe('file.invalid');
  });
});
