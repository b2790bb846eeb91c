import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { fault } from '../domain/errors.ts';

const encoding = 'binary/encrypted';
const text = new TextEncoder();
const words = new TextDecoder();

/** Codec keys: the one to encrypt with, and all that may be needed to decrypt. Each is 32 bytes. */
export interface Keyring {
  readonly current: string;
  readonly keys: Readonly<Record<string, Uint8Array>>;
}

/** Reads `codec.json`: `{ "current": id, "keys": { id: base64 } }`. Throws `key.missing` or `file.invalid`. */
export function openKeyring(path: string): Keyring {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw fault('key.missing', { file: path }, cause);
  }
  const ring = parsed as { current?: unknown; keys?: Record<string, unknown> };
  const keys: Record<string, Uint8Array> = {};
  for (const [id, value] of Object.entries(ring.keys ?? {})) {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.alloc(0);
    if (bytes.length !== 32) throw fault('file.invalid', { file: path, key: id, problem: 'a codec key is 32 bytes in base64' });
    keys[id] = bytes;
  }
  if (typeof ring.current !== 'string' || !(ring.current in keys))
    throw fault('file.invalid', { file: path, problem: 'current names no key' });
  return { current: ring.current, keys };
}

/**
 * AES-256-GCM over the whole payload, key id in the metadata. The synchronous cipher is ten times quicker than WebCrypto at our sizes. It never throws on what it cannot
 * read: a payload of an unknown key or with a broken tag becomes one of encoding `binary/undecodable`, which the converter turns into a value that is refused by its shape;
 * a codec that threw would wedge the run. Plain payloads pass: authority is in signatures and not in the codec.
 */
export class EncryptionCodec implements PayloadCodec {
  readonly #ring: Keyring;
  constructor(ring: Keyring) {
    this.#ring = ring;
  }
  async encode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => this.#encode(payload));
  }
  async decode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => this.decodeOne(payload));
  }
  #encode(payload: Payload): Payload {
    const id = this.#ring.current;
    const key = this.#ring.keys[id];
    if (!key) throw fault('key.missing', { key: id });
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv);
    cipher.setAAD(text.encode(`${encoding}|${id}`));
    const plain = proto.temporal.api.common.v1.Payload.encode(payload).finish();
    const data = Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    return { metadata: { encoding: text.encode(encoding), kid: text.encode(id) }, data };
  }
  /** One payload; see the class. */
  decodeOne(payload: Payload): Payload {
    const metadata = payload.metadata ?? {};
    if (!metadata['encoding'] || words.decode(metadata['encoding']) !== encoding) return payload;
    const id = metadata['kid'] ? words.decode(metadata['kid']) : '';
    const key = this.#ring.keys[id];
    const data = payload.data ?? new Uint8Array();
    if (!key || data.length < 28) return undecodable(key ? 'too short' : 'no such key', data.length);
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, 12));
      decipher.setAAD(text.encode(`${encoding}|${id}`));
      decipher.setAuthTag(data.subarray(data.length - 16));
      const plain = Buffer.concat([decipher.update(data.subarray(12, data.length - 16)), decipher.final()]);
      return proto.temporal.api.common.v1.Payload.decode(plain) as Payload;
    } catch {
      return undecodable('the tag does not fit', data.length);
    }
  }
}

function undecodable(why: string, size: number): Payload {
  return { metadata: { encoding: text.encode('binary/undecodable') }, data: text.encode(JSON.stringify({ why, size })) };
}

/** The path of a module of the workflow room, in the form it is in: source or built. */
function modulePath(name: string): string {
  const here = import.meta.url;
  return fileURLToPath(new URL(`../workflows/${name}${here.endsWith('.ts') ? '.ts' : '.js'}`, here));
}

/** Paths of the converters, which a workflow bundle needs as well. */
export const converterPaths = {
  get payloadConverterPath(): string {
    return modulePath('payload-converter');
  },
  get failureConverterPath(): string {
    return modulePath('failure-converter');
  },
};

/** The data converter of workers and of clients that hold the codec key. Without a keyring payloads go plain: what a mere reporter does. */
export function dataConverterFor(keyring?: Keyring): DataConverter {
  return {
    payloadConverterPath: converterPaths.payloadConverterPath,
    failureConverterPath: converterPaths.failureConverterPath,
    payloadCodecs: keyring ? [new EncryptionCodec(keyring)] : [],
  };
}
