import { isFault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import type { GcpAccount } from './account.ts';
import type { KeyPair } from './api.ts';
import { wordOf } from './errors.ts';

/** The private half in a leaked text: a key file, or the PEM alone. */
export function readPrivateKey(secret: Secret): Secret | undefined {
  const text = secret.reveal().trim();
  if (text.startsWith('-----BEGIN ')) return secret;
  try {
    const file = JSON.parse(text) as { private_key?: unknown };
    return typeof file.private_key === 'string' ? new Secret(file.private_key) : undefined;
  } catch {
    return undefined;
  }
}

export interface Tried {
  readonly answer: 'accepted' | 'refused' | 'unclear';
  readonly words: string;
}

/**
 * Tries a key at the token endpoint: what comes of it is a token that nobody keeps, and an entry in the key's last authentications. `invalid_grant` is said of a key that is off or gone, of an
 * account that is disabled, and of a wrong clock, which is corrected once before.
 */
export async function tryKey(account: GcpAccount, key: KeyPair): Promise<Tried> {
  try {
    const answer = await account.api.exchange(key);
    if (answer.status === 200) return { answer: 'accepted', words: 'the token endpoint gave a token for it' };
    const word = wordOf({ status: answer.status, body: answer.data });
    return { answer: word === 'invalid_grant' ? 'refused' : 'unclear', words: `the token endpoint said ${word}` };
  } catch (error) {
    return { answer: 'unclear', words: isFault(error) ? `the token endpoint: ${error.code}` : 'the token endpoint did not answer' };
  }
}
