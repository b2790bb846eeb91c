import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { canonicalJson, type Hash, sha256Of } from '../domain/canonical.ts';
import type { CredentialRef } from '../domain/credential.ts';
import { strictBase64 } from '../domain/envelope.ts';
import { type ErrorCode, fault } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import { KeyRole, type Trust, type TrustedKey } from '../domain/trust.ts';
import { type PrivateKey, rawPrivate } from './keys.ts';
import type { SealedDrop } from './store.ts';

/** What a sealed secret is bound to: the credential it is the secret of, or a text both sides agree on. */
export type SealContext = CredentialRef | string;

/** Opens and seals for one worker; the `Sealing` of the provider contract. */
export interface WorkerSealing {
  open(hash: Hash, keyId: string, context: SealContext): Promise<Secret>;
  seal(secret: Secret, to: { provider: string; account: string }, context: SealContext): Promise<{ hash: Hash; keyId: string }>;
  shred(hash: Hash): Promise<void>;
}

interface SealedBlob {
  readonly v: 1;
  readonly keyId: string;
  readonly enc: string;
  readonly ct: string;
}

// RFC 9180, base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/**
 * Sealing for one worker. `keys` are its own private sealing keys; one past its period still opens what was sealed within it, until it is destroyed.
 * Base mode does not say who sealed: what an opened secret proves is that it is the secret, once its system accepts it.
 */
export function createSealing(deps: {
  readonly drop: SealedDrop;
  readonly keys: readonly PrivateKey[];
  readonly trust: () => Trust;
  readonly engine: string;
  readonly clock?: () => Date;
}): WorkerSealing {
  const clock = deps.clock ?? (() => new Date());
  return {
    async open(hash, keyId, context) {
      const blob = parseBlob(await deps.drop.get(hash), hash);
      if (blob.keyId !== keyId) throw fault('record.unreadable', { hash, why: 'sealed to another key than was said' });
      const key = deps.keys.find((own) => own.id === keyId && own.role === KeyRole.SEALING);
      if (key === undefined) throw fault('key.missing', { key: keyId.slice(0, 80), what: 'sealing key' });
      try {
        const recipientKey = await suite.kem.deserializePrivateKey(rawPrivate(key));
        const opened = await suite.open({ recipientKey, enc: blob.enc, info: bindingOf(deps.engine, context) }, blob.ct);
        return new Secret(new TextDecoder('utf-8', { fatal: true }).decode(opened));
      } catch {
        // The library's error is not passed on: nobody vouches for what it quotes.
        throw fault('record.unreadable', { hash, why: 'it does not open: other bytes, another engine, or another credential' });
      }
    },
    async seal(secret, to, context) {
      const { bytes, keyId } = await sealTo(keyFor(deps.trust(), to, clock(), 'key.missing'), deps.engine, context, secret);
      return { hash: await deps.drop.put(bytes), keyId };
    },
    async shred(hash) {
      await deps.drop.shred(hash);
    },
  };
}

/**
 * Seals for a reporter, who holds a verified trust file and no key. Returns the blob to be put into the drop, and the reference the report carries.
 * Throws `report.sealing-key-untrusted` where the trust has no key for that account at `at` (now).
 */
export async function sealFor(
  trust: Trust,
  to: { readonly provider: string; readonly account: string },
  context: SealContext,
  secret: Secret,
  at: Date = new Date(),
): Promise<{ readonly hash: Hash; readonly keyId: string; readonly bytes: Uint8Array }> {
  const { bytes, keyId } = await sealTo(keyFor(trust, to, at, 'report.sealing-key-untrusted'), trust.engine, context, secret);
  return { hash: sha256Of(bytes), keyId, bytes };
}

/** The newest sealing key of an account that is valid at that time. */
function keyFor(trust: Trust, to: { provider: string; account: string }, at: Date, code: ErrorCode): TrustedKey {
  const time = at.getTime();
  const [key] = trust.keys
    .filter((entry) => entry.role === KeyRole.SEALING && entry.provider === to.provider && entry.account === to.account)
    .filter((entry) => Date.parse(entry.from) <= time && time < Date.parse(entry.until))
    .sort((a, b) => Date.parse(b.from) - Date.parse(a.from));
  if (key === undefined) throw fault(code, { what: 'sealing key', provider: to.provider, account: to.account });
  return key;
}

async function sealTo(
  key: TrustedKey,
  engine: string,
  context: SealContext,
  secret: Secret,
): Promise<{ bytes: Uint8Array; keyId: string }> {
  const recipientPublicKey = await suite.kem.deserializePublicKey(new Uint8Array(Buffer.from(key.public, 'base64')));
  const plain = new TextEncoder().encode(secret.reveal());
  const { enc, ct } = await suite.seal({ recipientPublicKey, info: bindingOf(engine, context) }, plain);
  plain.fill(0);
  const blob: SealedBlob = { v: 1, keyId: key.id, enc: Buffer.from(enc).toString('base64'), ct: Buffer.from(ct).toString('base64') };
  return { bytes: new Uint8Array(Buffer.from(canonicalJson(blob))), keyId: key.id };
}

/** The HPKE `info`: a blob sealed for one engine or credential opens as no other's. */
function bindingOf(engine: string, context: SealContext): Uint8Array {
  const bound = typeof context === 'string' ? context : { kind: context.kind, locator: context.locator };
  return new TextEncoder().encode(canonicalJson({ v: 1, engine, context: bound }));
}

function parseBlob(bytes: Uint8Array, hash: Hash): { keyId: string; enc: Uint8Array; ct: Uint8Array } {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const [enc, ct] = [strictBase64(value.enc), strictBase64(value.ct)];
    if (value.v === 1 && typeof value.keyId === 'string' && enc?.length === 32 && ct !== undefined) {
      return { keyId: value.keyId, enc: new Uint8Array(enc), ct: new Uint8Array(ct) };
    }
  } catch {
    // Falls through to the one fault below; the parser's words may quote the blob.
  }
  throw fault('record.unreadable', { hash, where: 'sealed drop', why: 'not a sealed blob' });
}
