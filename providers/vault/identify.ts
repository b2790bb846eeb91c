import { sha256Of } from '../../domain/canonical.ts';
import type { Identified } from '../../domain/manifest.ts';

/** Since Vault 1.10: service, batch and recovery tokens. */
const named = /^hv([sbr])\.[A-Za-z0-9_-]{20,}$/;
/** OpenBao, and Vault before 1.10; a service token of a namespace ends in the namespace's id. */
const short = /^([sbr])\.[A-Za-z0-9_-]{24,}(?:\.[A-Za-z0-9]{4,})?$/;

/**
 * Says offline whether a text is a Vault or OpenBao token, by its prefix, and which type it is. The locator is the token's SHA-256: the accessor is not to be had offline, and
 * with at least 140 random bits a token is not to be guessed from its hash. A recovery token is a person's, and no server has an account of it: the `manual` provider's.
 * Source of the prefixes: https://developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes
 */
export function identify(text: string): Identified | undefined {
  const token = text.trim();
  const type = (named.exec(token) ?? short.exec(token))?.[1];
  if (type === undefined) return undefined;
  const locator = { sha256: sha256Of(token).slice('sha256:'.length) };
  if (type === 'r') return { credential: { kind: 'manual.vault-recovery-token', locator }, provider: 'manual' };
  return { credential: { kind: type === 'b' ? 'vault.batch-token' : 'vault.token', locator }, provider: 'vault' };
}
