import type { Hash } from './canonical.ts';
import type { Envelope } from './record.ts';

export const KeyRole = { JUDGE: 'judge', WORKER: 'worker', PERSON: 'person', SEALING: 'sealing', ROOT: 'root' } as const;
export type KeyRole = (typeof KeyRole)[keyof typeof KeyRole];

/** A public key with its period. `public` is the raw 32-byte key in base64: Ed25519, or X25519 for `sealing`. `from` and `until` are ISO, UTC. */
export interface TrustedKey {
  readonly id: string;
  readonly role: KeyRole;
  readonly public: string;
  readonly from: string;
  readonly until: string;
  /** For a worker or sealing key: which provider and account it serves. */
  readonly provider?: string;
  readonly account?: string;
  /** For a person's key: who. */
  readonly person?: string;
}

/** A person as people.yaml has it. `roles`: responder, approver, owner, security-lead, or the house's own words. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly contact?: string;
  readonly delegates?: readonly string[];
}

/** The content of trust.yaml; it is signed as a whole by the offline root. `people` is the hash of the canonical people.yaml. */
export interface Trust {
  readonly v: 1;
  readonly engine: string;
  readonly serial: number;
  /** The hash of the trust before this one. Every serial but the first has it. */
  readonly previous?: Hash;
  /** Which person of the trust before this one asks for the edit. Every serial but the first has it. */
  readonly proposedBy?: string;
  readonly issuedAt: string;
  readonly keys: readonly TrustedKey[];
  readonly people: Hash;
  /** Workflow bundles of known releases, by SHA-256 of their code. */
  readonly code: readonly Hash[];
}

/** The content of people.yaml. */
export interface People {
  readonly v: 1;
  readonly people: readonly Person[];
}

/** A trust with the people it names and everybody's signatures over it: what is proposed, signed, published and kept. */
export interface Edition {
  readonly trust: Trust;
  readonly people: People;
  /** The root's. None in a draft. */
  readonly signatures: Envelope['signatures'];
  /** Of persons of the edition before, over the same content: whoever proposes it, and a second one. None in the first serial. */
  readonly countersignatures: Envelope['signatures'];
}

/** The key of that id and role if it was valid at `at` (ISO); undefined otherwise. */
export function keyAt(trust: Trust, id: string, role: KeyRole, at: string): TrustedKey | undefined {
  const time = Date.parse(at);
  return trust.keys.find((key) => key.id === id && key.role === role && Date.parse(key.from) <= time && time < Date.parse(key.until));
}
