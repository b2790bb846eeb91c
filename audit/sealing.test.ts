import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalJson, type Hash } from '../domain/canonical.ts';
import type { CredentialRef } from '../domain/credential.ts';
import { codeOf } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import type { Trust } from '../domain/trust.ts';
import type { Sealing } from '../providers/contract.ts';
import { newKey, type PrivateKey, trustedKeyOf } from './keys.ts';
import { createSealing, sealFor } from './sealing.ts';
import { openDirectoryDrop, type SealedDrop } from './store.ts';

const old = { from: '2026-01-01T00:00:00.000Z', until: '2026-06-01T00:00:00.000Z' };
const fresh = { from: '2026-05-01T00:00:00.000Z', until: '2026-12-01T00:00:00.000Z' };
const vaultOld = newKey({ role: 'sealing', ...old, provider: 'vault', account: 'main' });
const vaultFresh = newKey({ role: 'sealing', ...fresh, provider: 'vault', account: 'main' });
const aws = newKey({ role: 'sealing', ...old, provider: 'aws', account: '1' });
const trust: Trust = {
  v: 1,
  engine: 'eng_test',
  serial: 1,
  issuedAt: old.from,
  keys: [vaultOld, vaultFresh, aws].map(trustedKeyOf),
  people: `sha256:${'0'.repeat(64)}`,
  code: [],
};
const leaked: CredentialRef = { kind: 'aws.access-key', locator: { accessKeyId: 'AKIAEXAMPLE' } };
const value = 'a secret value of some length';
const code = async (work: Promise<unknown>) => work.then(() => 'no error', codeOf);

let directory: string;
let drop: SealedDrop;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sealed-'));
  drop = openDirectoryDrop(directory);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const sealingOf = (keys: PrivateKey[], at = '2026-05-15T00:00:00.000Z', engine = trust.engine): Sealing =>
  createSealing({ drop, keys, trust: () => trust, engine, clock: () => new Date(at) });

describe('sealing', () => {
  it('carries a secret from a reporter to the one worker it was sealed to, and leaves only ciphertext in the drop', async () => {
    const sealed = await sealFor(trust, { provider: 'aws', account: '1' }, leaked, new Secret(value), new Date(old.from));
    expect(await drop.put(sealed.bytes)).toBe(sealed.hash);
    const opened = await sealingOf([aws]).open(sealed.hash, sealed.keyId, leaked);
    expect(opened.reveal()).toBe(value);
    for (const file of readdirSync(directory)) expect(readFileSync(join(directory, file)).includes(value)).toBe(false);
    expect(await code(sealingOf([vaultOld]).open(sealed.hash, sealed.keyId, leaked))).toBe('key.missing');
    await sealingOf([aws]).shred(sealed.hash);
    expect(await code(sealingOf([aws]).open(sealed.hash, sealed.keyId, leaked))).toBe('record.missing');
  });

  it('uses the newest key that is valid, and a past one still opens what was sealed to it', async () => {
    const to = { provider: 'vault', account: 'main' };
    const seal = async (at: string) => (await sealingOf([], at).seal(new Secret(value), to, 'staging')).keyId;
    expect(await seal('2026-02-01T00:00:00.000Z')).toBe(vaultOld.id);
    expect(await seal('2026-05-15T00:00:00.000Z')).toBe(vaultFresh.id);
    expect(await seal('2026-06-01T00:00:00.000Z')).toBe(vaultFresh.id);
    expect(await code(seal('2026-12-01T00:00:00.000Z'))).toBe('key.missing');
    const { hash, keyId } = await sealingOf([], old.from).seal(new Secret(value), to, 'staging');
    expect((await sealingOf([vaultFresh, vaultOld], '2027-01-01T00:00:00.000Z').open(hash, keyId, 'staging')).reveal()).toBe(value);
  });

  it('opens for no other credential, engine, key or bytes, and says nothing of the secret', async () => {
    const { hash, keyId } = await sealingOf([], old.from).seal(new Secret(value), { provider: 'aws', account: '1' }, leaked);
    const other = { ...leaked, locator: { accessKeyId: 'AKIAOTHER' } };
    expect(await code(sealingOf([aws]).open(hash, keyId, other))).toBe('record.unreadable');
    expect(await code(sealingOf([aws], old.from, 'eng_other').open(hash, keyId, leaked))).toBe('record.unreadable');
    expect(await code(sealingOf([aws, vaultOld]).open(hash, vaultOld.id, leaked))).toBe('record.unreadable');
    const blob = JSON.parse(Buffer.from(await drop.get(hash)).toString());
    const put = (change: Record<string, unknown>) => drop.put(Buffer.from(canonicalJson({ ...blob, ...change })));
    const ct = Buffer.from(blob.ct, 'base64');
    ct[0] = (ct[0] as number) ^ 1;
    const altered: Hash[] = [
      await put({ ct: ct.toString('base64') }),
      await put({ enc: Buffer.alloc(32).toString('base64') }),
      await put({ enc: 'AA==' }),
      await put({ v: 2 }),
      await drop.put(Buffer.from('not json')),
      await drop.put(Buffer.from('null')),
    ];
    for (const one of altered) expect(await code(sealingOf([aws]).open(one, keyId, leaked))).toBe('record.unreadable');
  });

  it('refuses a reporter where the trust has no key for the account', async () => {
    expect(await code(sealFor(trust, { provider: 'aws', account: '2' }, leaked, new Secret(value)))).toBe('report.sealing-key-untrusted');
    const late = new Date('2030-01-01T00:00:00.000Z');
    expect(await code(sealFor(trust, { provider: 'aws', account: '1' }, leaked, new Secret(value), late))).toBe(
      'report.sealing-key-untrusted',
    );
  });
});
