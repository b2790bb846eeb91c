import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { codeOf, isFault } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import { keyAt } from '../domain/trust.ts';
import { newKey, readCodecKeys, readKey, readKeys, readStoreKey } from './keys.ts';
import { initTrust, parseTrust, peopleText, readPeople, readTrust, signTrust } from './trust.ts';

const passphrase = new Secret('correct horse');
const cost = { n: 2, r: 8, p: 1 };
const faultFrom = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    if (isFault(error)) return { code: codeOf(error), ...error.context, text: error.message };
    throw error;
  }
  return { code: 'no error' };
};

let directory: string;
const at = (...parts: string[]) => join(directory, ...parts);
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'trust-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function init() {
  return initTrust({
    keys: at('keys'),
    trust: at('trust.yaml'),
    people: at('people.yaml'),
    accounts: [
      { provider: 'aws', account: '123456789012' },
      { provider: 'vault', account: 'main' },
    ],
    persons: [
      { id: 'ada', name: 'Ada', roles: ['responder', 'approver'], passphrase },
      { id: 'bob', name: 'Bob', roles: ['owner'] },
    ],
    rootPassphrase: passphrase,
    cost,
  });
}

describe('a fresh trust', () => {
  it('gives each worker its own keys and nothing of another, and the operator no signing key', () => {
    const made = init();
    const tree = readdirSync(at('keys'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(at('keys').length + 1)
          .replace(/sealing-[0-9a-f]{16}/, 'sealing-ID'),
      )
      .sort();
    expect(tree).toEqual([
      'judge/codec.json',
      'judge/signing.json',
      'judge/store.key',
      'operator/codec.json',
      'operator/store.key',
      'people/ada.json',
      'provider-aws-123456789012/codec.json',
      'provider-aws-123456789012/sealing/sealing-ID.json',
      'provider-aws-123456789012/signing.json',
      'provider-aws-123456789012/store.key',
      'provider-vault-main/codec.json',
      'provider-vault-main/sealing/sealing-ID.json',
      'provider-vault-main/signing.json',
      'provider-vault-main/store.key',
      'root/root.json',
    ]);
    for (const entry of readdirSync(at('keys'), { recursive: true, withFileTypes: true })) {
      expect(statSync(join(entry.parentPath, entry.name)).mode & 0o077).toBe(0);
    }
    const { trust, paths } = made;
    const now = new Date().toISOString();
    expect(keyAt(trust, readKey(join(paths.judge, 'signing.json')).id, 'judge', now)).toBeDefined();
    const vault = paths.providers['vault-main'] as string;
    expect(keyAt(trust, readKey(join(vault, 'signing.json')).id, 'worker', now)).toMatchObject({ provider: 'vault', account: 'main' });
    expect(readKeys(join(vault, 'sealing')).map(({ id }) => keyAt(trust, id, 'sealing', now)?.provider)).toEqual(['vault']);
    expect(keyAt(trust, readKey(paths.persons.ada as string, passphrase).id, 'person', now)?.person).toBe('ada');
    expect(readStoreKey(join(paths.operator, 'store.key'))).toEqual(readStoreKey(join(paths.judge, 'store.key')));
    const codec = readCodecKeys(join(paths.operator, 'codec.json'));
    expect(codec).toEqual(readCodecKeys(join(vault, 'codec.json')));
  });

  it('is read back under its root, and under no other', () => {
    const { trust, people, rootPublic } = init();
    expect(readTrust(at('trust.yaml'), rootPublic)).toEqual(trust);
    expect(readPeople(at('people.yaml'), trust)).toEqual(people);
    const other = newKey({ role: 'root', from: trust.issuedAt, until: trust.issuedAt });
    expect(faultFrom(() => readTrust(at('trust.yaml'), other.public))).toMatchObject({
      code: 'trust.bad-signature',
      file: at('trust.yaml'),
    });
    writeFileSync(at('trust.yaml'), signTrust(trust, other));
    expect(faultFrom(() => readTrust(at('trust.yaml'), rootPublic)).code).toBe('trust.bad-signature');
  });
});

describe('a trust file', () => {
  it('does not stand any edit of its content without the root', () => {
    const { rootPublic } = init();
    const text = readFileSync(at('trust.yaml'), 'utf8');
    const edits: [RegExp, string][] = [
      [/serial: 1/, 'serial: 2'],
      [/role: worker/, 'role: judge'],
      [/account: main/, 'account: other'],
      [/person: ada/, 'person: bob'],
      [/code: \[\]/, `code: [ "sha256:${'0'.repeat(64)}" ]`],
    ];
    for (const [from, to] of edits) {
      const edited = text.replace(from, to);
      expect(edited).not.toBe(text);
      writeFileSync(at('trust.yaml'), edited);
      expect(['trust.bad-signature', 'file.invalid']).toContain(faultFrom(() => readTrust(at('trust.yaml'), rootPublic)).code);
    }
    // Only the spelling changes: the same content is the same trust.
    writeFileSync(at('trust.yaml'), text.replace('serial: 1', 'serial:   1 # the first'));
    expect(readTrust(at('trust.yaml'), rootPublic).serial).toBe(1);
  });

  it('that is missing, mangled or says what it may not is named with its line', () => {
    const { rootPublic, trust } = init();
    const good = parseTrust(readFileSync(at('trust.yaml'), 'utf8'), 'trust.yaml');
    const withKeys = (keys: unknown[]) => stringify({ ...good, trust: { ...trust, keys } });
    const [root, judge, worker] = trust.keys;
    const cases: [string, string][] = [
      ['trust: [', 'file.syntax'],
      ['trust: {}\ntrust: {}', 'file.syntax'],
      ['', 'file.invalid'],
      [stringify({ ...good, signatures: [] }), 'file.invalid'],
      [stringify({ ...good, signatures: [...good.signatures, ...good.signatures] }), 'file.invalid'],
      [stringify({ ...good, trust: { ...trust, extra: 1 } }), 'file.invalid'],
      [withKeys([root, judge, { ...judge, public: worker?.public }]), 'file.invalid'],
      [withKeys([root, judge, { ...worker, public: judge?.public }]), 'file.invalid'],
      [withKeys([{ ...worker, account: undefined }]), 'file.invalid'],
      [withKeys([{ ...judge, account: '1' }]), 'file.invalid'],
      [withKeys([{ ...judge, public: 'AAAA' }]), 'file.invalid'],
      [withKeys([{ ...judge, until: judge?.from }]), 'file.invalid'],
      [withKeys([{ ...judge, from: 'yesterday' }]), 'file.invalid'],
    ];
    for (const [text, code] of cases) {
      writeFileSync(at('trust.yaml'), text);
      const found = faultFrom(() => readTrust(at('trust.yaml'), rootPublic));
      expect(found).toMatchObject({ code, file: at('trust.yaml'), line: expect.any(Number) });
    }
    rmSync(at('trust.yaml'));
    expect(faultFrom(() => readTrust(at('trust.yaml'), rootPublic))).toMatchObject({ code: 'file.missing', file: at('trust.yaml') });
  });
});

describe('a people file', () => {
  it('that is not the one the trust names is refused', () => {
    const { trust, people } = init();
    const [ada, bob] = people.people;
    if (ada === undefined || bob === undefined) throw new Error('two people were made');
    writeFileSync(at('people.yaml'), peopleText({ v: 1, people: [ada, { ...bob, roles: ['owner', 'approver'] }] }));
    expect(faultFrom(() => readPeople(at('people.yaml'), trust))).toMatchObject({ code: 'trust.people-changed', file: at('people.yaml') });
    writeFileSync(at('people.yaml'), peopleText({ v: 1, people: [ada, ada] }));
    expect(faultFrom(() => readPeople(at('people.yaml'), trust))).toMatchObject({ code: 'file.invalid', path: 'people[1].id' });
    writeFileSync(at('people.yaml'), 'v: 1\npeople:\n  - id: ada\n    name: Ada\n    roles: []\n    delegates: [zoe]\n');
    expect(faultFrom(() => readPeople(at('people.yaml'), trust))).toMatchObject({ code: 'file.invalid', line: 6 });
    writeFileSync(at('people.yaml'), peopleText(people));
    expect(readPeople(at('people.yaml'), trust)).toEqual(people);
  });
});
