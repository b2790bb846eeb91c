import { sha256Of } from '../../domain/canonical.ts';
import type { CredentialRef } from '../../domain/credential.ts';
import type { Identified } from '../../domain/manifest.ts';

/** `AIza` and 35 characters; `AQ.` for a key that acts as a service account ("Manage API keys"). */
const apiKey = /^(AIza[A-Za-z0-9_-]{35}|AQ\.[A-Za-z0-9_-]{30,})$/;
const accessToken = /^ya29\.[A-Za-z0-9._-]{20,}$/;
/** 61 characters for a service account's, 24 for a user's (Cloud Storage, "HMAC keys"). */
const hmac = /^GOOG([A-Z0-9]{57}|[A-Z0-9]{20})$/;
const email = /^[a-z0-9.-]+@(?:([a-z][a-z0-9-]{4,28}[a-z0-9])\.iam|developer|appspot)\.gserviceaccount\.com$/;
const keyId = /^[0-9a-f]{40}$/;

const hashed = (text: string): string => sha256Of(text).slice('sha256:'.length);
const found = (credential: CredentialRef, account?: string): Identified => ({
  credential,
  provider: 'gcp',
  ...(account ? { account } : {}),
});

/**
 * Says offline what a text is: a key file, an API key, an access token, or an HMAC key's access id. What is a secret itself is known by its SHA-256: such a text is random, and not to be guessed from that.
 */
export function identify(given: string): Identified | undefined {
  const text = given.trim();
  if (apiKey.test(text)) return found({ kind: 'gcp.api-key', locator: { sha256: hashed(text) } });
  if (accessToken.test(text)) return found({ kind: 'gcp.access-token', locator: { sha256: hashed(text) } });
  if (hmac.test(text)) return found({ kind: 'gcp.hmac-key', locator: { accessId: text } });
  if (!text.startsWith('{') || text.length > 20_000) return undefined;
  let file: Record<string, unknown>;
  try {
    file = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { private_key_id: privateKeyId, client_email: clientEmail, project_id: project } = file;
  if (typeof clientEmail !== 'string' || typeof privateKeyId !== 'string' || !keyId.test(privateKeyId)) return undefined;
  const whose = email.exec(clientEmail);
  if (!whose) return undefined;
  // The address says the project where it can; the file's own word is taken where it cannot.
  const account = whose[1] ?? (typeof project === 'string' && /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(project) ? project : undefined);
  return found({ kind: 'gcp.service-account-key', locator: { clientEmail, privateKeyId } }, account);
}
