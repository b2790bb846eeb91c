import { canonicalJson } from './canonical.ts';
import { fault } from './errors.ts';
import type { Envelope } from './record.ts';

/**
 * What an envelope holds, without looking at its signature. Throws `record.unreadable` where the shape is wrong, the payload type is not the one
 * expected, or the payload is not the canonical JSON of itself; so one content has one envelope per key.
 */
export function openEnvelope<T>(envelope: unknown, payloadType: string): T {
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

/** The bytes of a base64 text that is exactly what encoding them gives; undefined for any other text or value. */
export function strictBase64(text: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const binary = atob(text);
    if (btoa(binary) !== text) return undefined;
    // A loop, since a callback for each byte of a large record is a tenth of what an incident costs.
    const bytes = new Uint8Array(binary.length);
    for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
    return bytes;
  } catch {
    return undefined;
  }
}

/** True for an object with exactly these own members. */
export function hasOnly(value: unknown, names: readonly string[]): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name));
}
