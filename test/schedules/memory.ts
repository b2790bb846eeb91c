import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import type { PrivateKey } from '../../audit/keys.ts';
import type { Signer } from '../../audit/signing.ts';
import type { BlobStore } from '../../audit/store.ts';
import type { Hash } from '../../domain/canonical.ts';
import type { Secret } from '../../domain/secret.ts';
import type { People, Trust, TrustedKey } from '../../domain/trust.ts';
import type { Sealing } from '../../providers/contract.ts';
import type { Engine } from './realm.ts';
import type { Sim } from './sim.ts';

const from = '2025-01-01T00:00:00.000Z';
const until = '2036-01-01T00:00:00.000Z';
export const engineId = 'eng_schedules0000000000';

/** A real Ed25519 key, the same in every run: what it signs is then the same too, and with it every hash. */
function keyOf(name: string, about: Omit<TrustedKey, 'id' | 'public' | 'from' | 'until'>): PrivateKey {
  const seed = createHash('sha256').update(`schedules ${name}`).digest();
  const key = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const x = createPublicKey(key).export({ format: 'jwk' }).x ?? '';
  const id = `${about.role}_${createHash('sha256').update(x).digest('hex').slice(0, 16)}`;
  return { ...about, id, public: Buffer.from(x, 'base64url').toString('base64'), from, until, key };
}

export const persons = ['ada', 'ben', 'cleo', 'olga'] as const;
export const keys = {
  judge: keyOf('judge', { role: 'judge' }),
  aws: keyOf('aws', { role: 'worker', provider: 'aws', account: '210987654321' }),
  vault: keyOf('vault', { role: 'worker', provider: 'vault', account: 'main' }),
  ...Object.fromEntries(persons.map((person) => [person, keyOf(person, { role: 'person', person })])),
} as Readonly<Record<'judge' | 'aws' | 'vault' | (typeof persons)[number], PrivateKey>>;

export const people: People = {
  v: 1,
  people: [
    { id: 'ada', name: 'Ada', roles: ['responder', 'approver'] },
    { id: 'ben', name: 'Ben', roles: ['approver', 'security-lead'] },
    { id: 'cleo', name: 'Cleo', roles: ['responder', 'approver', 'security-lead'] },
    { id: 'olga', name: 'Olga', roles: ['approver'] },
  ],
};

export function trustOf(engine: Engine): Trust {
  return {
    v: 1,
    engine: engineId,
    serial: 1,
    issuedAt: from,
    keys: Object.values(keys).map(({ key: _private, ...rest }) => rest),
    people: engine.hashOf(people),
    code: [],
  };
}

export const signerOf = (engine: Engine, key: PrivateKey): Signer => engine.signerFrom(key);

/** A blob store in memory. A process may die before and after each of its calls, and then does not hear of what it has done. */
export class MemoryStore implements BlobStore {
  readonly blobs = new Map<Hash, Uint8Array>();
  readonly names = new Map<string, Uint8Array>();
  readonly #sim: Sim;
  readonly #engine: Engine;
  onBlob: (hash: Hash, bytes: Uint8Array) => void = () => undefined;
  constructor(engine: Engine, sim: Sim) {
    this.#engine = engine;
    this.#sim = sim;
  }
  async #around<T>(work: () => T): Promise<T> {
    const before = this.#sim.boundary();
    if (before) await before;
    const result = work();
    const after = this.#sim.boundary();
    if (after) await after;
    return result;
  }
  put(bytes: Uint8Array): Promise<Hash> {
    return this.#around(() => {
      const hash = this.#engine.sha256Of(bytes);
      if (!this.blobs.has(hash)) {
        this.blobs.set(hash, bytes);
        this.onBlob(hash, bytes);
      }
      return hash;
    });
  }
  async get(hash: Hash): Promise<Uint8Array> {
    const bytes = this.blobs.get(hash);
    if (!bytes) throw this.#engine.fault('record.missing', { hash });
    return bytes;
  }
  async has(hash: Hash): Promise<boolean> {
    return this.blobs.has(hash);
  }
  createIfAbsent(name: string, bytes: Uint8Array): Promise<{ created: boolean; existing?: Uint8Array }> {
    return this.#around(() => {
      const existing = this.names.get(name);
      if (existing) return { created: false, existing };
      this.names.set(name, bytes);
      return { created: true };
    });
  }
  read(name: string): Promise<Uint8Array | undefined> {
    return this.#around(() => this.names.get(name));
  }
  async list(prefix: string): Promise<string[]> {
    return [...this.names.keys()].filter((name) => name.startsWith(prefix)).sort();
  }
  async remove(hash: Hash): Promise<void> {
    this.blobs.delete(hash);
  }
}

/** Sealed secrets in memory: who may open them and for what is kept to; only the encryption is left out. */
export class MemoryDrop {
  readonly #kept = new Map<Hash, { readonly text: string; readonly to: string; readonly context: string }>();
  readonly #sim: Sim;
  readonly #engine: Engine;
  #count = 0;
  constructor(engine: Engine, sim: Sim) {
    this.#engine = engine;
    this.#sim = sim;
  }
  put(text: string, to: string, context: unknown): { hash: Hash; keyId: string } {
    const hash = this.#engine.hashOf({ sealed: ++this.#count, to });
    this.#kept.set(hash, { text, to, context: this.#engine.canonicalJson(context) });
    return { hash, keyId: `sealing_${to}` };
  }
  for(own: string): Sealing {
    return {
      open: async (hash, _keyId, context) => {
        const held = this.#sim.boundary();
        if (held) await held;
        const kept = this.#kept.get(hash);
        if (!kept) throw this.#engine.fault('record.missing', { hash });
        if (kept.to !== own || kept.context !== this.#engine.canonicalJson(context))
          throw this.#engine.fault('record.unreadable', { hash });
        return new this.#engine.Secret(kept.text);
      },
      seal: async (secret: Secret, to, context) => {
        const before = this.#sim.boundary();
        if (before) await before;
        const made = this.put(secret.reveal(), `${to.provider}-${to.account}`, context);
        const after = this.#sim.boundary();
        if (after) await after;
        return made;
      },
      shred: async (hash) => {
        const held = this.#sim.boundary();
        if (held) await held;
        this.#kept.delete(hash);
      },
    };
  }
}
