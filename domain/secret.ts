import { sha256Of, shortHash } from './canonical.ts';

const inspect = Symbol.for('nodejs.util.inspect.custom');

/**
 * SECRET: a value that must not be seen. It prints as `[secret sha256:ab12…]`, refuses JSON (throws), and gives its value only to `reveal`,
 * which the linter allows under `providers/`, `intake/`, `client/` and `audit/sealing.ts` only.
 */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  /** The value itself. Whoever calls this answers for where it goes. */
  reveal(): string {
    return this.#value;
  }
  /** Twelve digits of the SHA-256: enough to tell two secrets apart. */
  get mark(): string {
    return shortHash(sha256Of(this.#value));
  }
  toString(): string {
    return `[secret sha256:${this.mark}]`;
  }
  toJSON(): never {
    throw new TypeError('a secret has no JSON form');
  }
  [inspect](): string {
    return this.toString();
  }
}
