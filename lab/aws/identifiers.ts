import { randomBytes, randomInt, randomUUID } from 'node:crypto';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Base32 without padding, as AWS writes its ids. */
function base32(bytes: Uint8Array): string {
  let out = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += alphabet[(held >>> bits) & 31];
      held &= (1 << bits) - 1;
    }
  }
  return bits > 0 ? out + alphabet[(held << (5 - bits)) & 31] : out;
}

/**
 * A fresh access key id that carries the account number: the first six of its ten bytes are, big-endian, one set bit, the account in forty
 * bits, and seven bits of chance. The set bit keeps the fifth character in Q to 7, where AWS's own present-day ids have it.
 */
export function accessKeyId(prefix: 'AKIA' | 'ASIA', accountId: string): string {
  const bytes = randomBytes(10);
  const head = (1n << 47n) | (BigInt(accountId) << 7n) | BigInt(randomInt(128));
  bytes.writeUIntBE(Number(head), 0, 6);
  return prefix + base32(bytes);
}

/** The account number inside an access key id, or undefined where the id is not of the form that carries one. */
export function accountOf(keyId: string): string | undefined {
  if (!/^[A-Z]{4}[A-Z2-7]{16}$/.test(keyId) || 'IJ'.includes(keyId.charAt(4))) return undefined;
  let head = 0n;
  for (const letter of keyId.slice(4, 14)) head = (head << 5n) | BigInt(alphabet.indexOf(letter));
  // Ten characters are fifty bits; the account stands in the first forty-eight, less their top bit and last seven.
  return String(((head >> 2n) & 0x7fffffffff80n) >> 7n).padStart(12, '0');
}

/** A unique id of a principal or of another thing: four letters that tell the kind, then seventeen of chance. */
export function uniqueId(prefix: 'AIDA' | 'AROA' | 'AGPA' | 'ANPA' | 'ACCA' | 'APKA'): string {
  return prefix + base32(randomBytes(11)).slice(0, 17);
}

/** Forty characters, like a secret access key. */
export const secretKey = (): string => randomBytes(30).toString('base64');

/** An opaque session token. */
export const sessionToken = (): string => `IQoJb3JpZ2lu${randomBytes(240).toString('base64')}`;

export const uuid = (): string => randomUUID();

/** Letters and digits of chance, for the suffixes of secret ARNs and policy ids. */
export function suffix(length: number, letters = 'abcdefghijklmnopqrstuvwxyz0123456789'): string {
  let out = '';
  for (let i = 0; i < length; i++) out += letters.charAt(randomInt(letters.length));
  return out;
}
