import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import canonicalize from 'canonicalize';

/** A value that survives JSON unchanged; what every record, plan and decision is made of. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** `sha256:` and 64 lower-case hexadecimal digits. */
export type Hash = `sha256:${string}`;

/** RFC 8785 canonical JSON. Members whose value is `undefined` are left out. Throws on NaN, infinities and cycles. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('a value without a JSON form cannot be made canonical');
  return text;
}

/** Whether a value has a canonical form: what came by message may hold half a surrogate pair, or be nested beyond any depth, and must then be refused and not written. */
export function hasCanonicalForm(value: unknown): boolean {
  try {
    return canonicalize(value) !== undefined;
  } catch {
    return false;
  }
}

/** A value as a record can keep it: itself, or a word in its place where it has no canonical form. */
export function keepable(value: unknown): unknown {
  return hasCanonicalForm(value) ? value : { unkept: 'it has no canonical form' };
}

/** SHA-256 of bytes, or of a string's UTF-8 bytes. */
export function sha256Of(bytes: Uint8Array | string): Hash {
  return `sha256:${bytesToHex(sha256(typeof bytes === 'string' ? utf8ToBytes(bytes) : bytes))}`;
}

/** SHA-256 of the canonical JSON of a value. Two values have one hash exactly if a reader of JSON cannot tell them apart. */
export function hashOf(value: unknown): Hash {
  return sha256Of(canonicalJson(value));
}

/** True for a well-formed hash; says nothing about what it is the hash of. */
export function isHash(value: unknown): value is Hash {
  return typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value);
}

/** The first twelve digits, for people. Never compared, never looked up. */
export function shortHash(hash: string): string {
  return hash.replace(/^sha256:/, '').slice(0, 12);
}
