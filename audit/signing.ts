import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { canonicalJson } from '../domain/canonical.ts';
import { fault } from '../domain/errors.ts';
import type { Envelope } from '../domain/record.ts';
import type { PrivateKey } from './keys.ts';

/** Signs with one key. */
export interface Signer {
  readonly keyid: string;
  /** An envelope over the canonical JSON of `body`, with one signature. */
  sign(payloadType: string, body: unknown): Envelope;
}

/** The pre-authentication encoding of DSSE v1, which is what a signature is over. Lengths are of bytes. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

/** A signer with a private Ed25519 key. Ed25519 is deterministic: the same body gives the same envelope, hence the same hash. */
export function signerFrom(key: PrivateKey): Signer {
  if (key.key.asymmetricKeyType !== 'ed25519') throw fault('key.missing', { key: key.id, why: 'not a signing key' });
  return {
    keyid: key.id,
    sign(payloadType, body) {
      const payload = Buffer.from(canonicalJson(body));
      const sig = sign(null, preAuthEncoding(payloadType, payload), key.key).toString('base64');
      return { payloadType, payload: payload.toString('base64'), signatures: [{ keyid: key.id, sig }] };
    },
  };
}

/**
 * Whether the envelope's one signature is of that public key (raw Ed25519, base64). False for anything else, whatever its shape: another number of
 * signatures, base64 that is not canonical, a broken key. Says nothing of who the key belongs to.
 */
export function verifyEnvelope(envelope: Envelope, publicKey: string): boolean {
  if (!isEnvelope(envelope)) return false;
  const payload = strictBase64(envelope.payload);
  const sig = strictBase64(envelope.signatures[0]?.sig);
  const key = publicKeyOf(publicKey);
  if (payload === undefined || sig?.length !== 64 || key === undefined) return false;
  return verify(null, preAuthEncoding(envelope.payloadType, payload), key, sig);
}

/**
 * What an envelope holds, without looking at its signature. Throws `record.unreadable` where the shape is wrong, the payload type is not the one
 * expected, or the payload is not the canonical JSON of itself; so one content has one envelope per key.
 */
export function openEnvelope<T>(envelope: Envelope, payloadType: string): T {
  if (!isEnvelope(envelope)) throw fault('record.unreadable', { why: 'not an envelope with one signature' });
  if (envelope.payloadType !== payloadType) {
    throw fault('record.unreadable', { why: 'another payload type', expected: payloadType, found: envelope.payloadType.slice(0, 80) });
  }
  const bytes = strictBase64(envelope.payload);
  if (bytes === undefined) throw fault('record.unreadable', { why: 'the payload is not canonical base64' });
  let canonical = false;
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
    canonical = canonicalJson(value) === text;
  } catch {
    throw fault('record.unreadable', { why: 'the payload is not JSON' });
  }
  if (!canonical) throw fault('record.unreadable', { why: 'the payload is not canonical JSON' });
  return value as T;
}

/** The id of the key that an envelope says signed it. */
export function keyIdOf(envelope: Envelope): string {
  return envelope.signatures[0]?.keyid ?? '';
}

/** True for exactly the members of an envelope, texts all of them, and exactly one signature. */
export function isEnvelope(value: unknown): value is Envelope {
  if (!hasOnly(value, ['payloadType', 'payload', 'signatures'])) return false;
  const { payloadType, payload, signatures } = value;
  if (typeof payloadType !== 'string' || typeof payload !== 'string' || !Array.isArray(signatures) || signatures.length !== 1) return false;
  const [signature] = signatures;
  return hasOnly(signature, ['keyid', 'sig']) && typeof signature.keyid === 'string' && typeof signature.sig === 'string';
}

function hasOnly(value: unknown, names: readonly string[]): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const keys = Object.keys(value);
  return keys.length === names.length && names.every((name) => Object.hasOwn(value, name));
}

/** The bytes of a base64 text that is exactly what encoding them gives; undefined otherwise. */
export function strictBase64(text: unknown): Buffer | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

const known = new Map<string, KeyObject>();
const knownLimit = 1000;

function publicKeyOf(base64: string): KeyObject | undefined {
  const there = known.get(base64);
  if (there !== undefined) return there;
  const raw = strictBase64(base64);
  if (raw?.length !== 32) return undefined;
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' });
    if (known.size >= knownLimit) known.clear();
    known.set(base64, key);
    return key;
  } catch {
    return undefined;
  }
}
