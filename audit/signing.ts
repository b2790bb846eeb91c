import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { canonicalJson } from '../domain/canonical.ts';
import { isEnvelope, strictBase64 } from '../domain/envelope.ts';
import { fault } from '../domain/errors.ts';
import type { Envelope } from '../domain/record.ts';
import type { PrivateKey } from './keys.ts';

export { isEnvelope, keyIdOf, openEnvelope } from '../domain/envelope.ts';

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

const known = new Map<string, KeyObject>();
const knownLimit = 1000;

function publicKeyOf(base64: string): KeyObject | undefined {
  const there = known.get(base64);
  if (there !== undefined) return there;
  const raw = strictBase64(base64);
  if (raw?.length !== 32) return undefined;
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') }, format: 'jwk' });
    if (known.size >= knownLimit) known.clear();
    known.set(base64, key);
    return key;
  } catch {
    return undefined;
  }
}
