import { readAwsKeyId } from '../domain/aws-key-id.ts';
import { sha256Of } from '../domain/canonical.ts';
import { readGithubToken } from '../domain/github-token.ts';
import type { Identified } from '../domain/manifest.ts';
import { shapeOf } from './scrub.ts';

const awsKinds = { 'long-term': 'aws.access-key', session: 'aws.session', bearer: 'aws.bearer-token' } as const;

/**
 * Says offline what a text is that is one key id or one secret and nothing else; undefined where it has no shape of its own. A secret that holds no
 * identifier has an empty locator: its identity is the fingerprint, which the caller adds. One that is random enough is named by its hash, a GitHub token's written as GitHub's own audit log writes it.
 *
 * Each provider says the same of its own texts; a test holds the two together, since intake may not load providers.
 */
export function identify(text: string): Identified | undefined {
  const key = readAwsKeyId(text);
  if (key !== undefined) {
    return {
      credential: { kind: awsKinds[key.type], locator: { accessKeyId: key.id } },
      provider: 'aws',
      ...(key.account === undefined ? {} : { account: key.account }),
      canary: key.canary,
    };
  }
  const trimmed = text.trim();
  const github = readGithubToken(trimmed);
  if (github !== undefined) return { credential: { kind: github.kind, locator: { sha256: github.sha256 } }, provider: 'github' };
  const named = vaultToken(trimmed) ?? googleCredential(trimmed) ?? webhookName(trimmed);
  if (named !== undefined) return named;
  const shape = shapeOf(trimmed);
  if (shape === undefined) return undefined;
  const kind = shape === 'jwt' && isServiceAccount(trimmed) ? 'kubernetes-token' : shape;
  return { credential: { kind: `manual.${kind}`, locator: {} }, provider: 'manual' };
}

/** Whether a text only names a credential and opens nothing: it is no secret, and stays readable. */
export function isIdentifier(text: string): boolean {
  const trimmed = text.trim();
  return readAwsKeyId(text) !== undefined || hmacId.test(trimmed) || webhook.test(trimmed);
}

const hashed = (text: string): string => sha256Of(text).slice('sha256:'.length);

const vaultForms = [/^hv([sbr])\.[A-Za-z0-9_-]{20,}$/, /^([sbr])\.[A-Za-z0-9_-]{24,}(?:\.[A-Za-z0-9]{4,})?$/] as const;

function vaultToken(text: string): Identified | undefined {
  const type = vaultForms.map((form) => form.exec(text)?.[1]).find((each) => each !== undefined);
  if (type === undefined) return undefined;
  const locator = { sha256: hashed(text) };
  if (type === 'r') return { credential: { kind: 'manual.vault-recovery-token', locator }, provider: 'manual' };
  return { credential: { kind: type === 'b' ? 'vault.batch-token' : 'vault.token', locator }, provider: 'vault' };
}

const googleKey = /^(AIza[A-Za-z0-9_-]{35}|AQ\.[A-Za-z0-9_-]{30,})$/;
const googleToken = /^ya29\.[A-Za-z0-9._-]{20,}$/;
const hmacId = /^GOOG([A-Z0-9]{57}|[A-Z0-9]{20})$/;
const serviceAccount = /^[a-z0-9.-]+@(?:([a-z][a-z0-9-]{4,28}[a-z0-9])\.iam|developer|appspot)\.gserviceaccount\.com$/;

function googleCredential(text: string): Identified | undefined {
  if (googleKey.test(text)) return { credential: { kind: 'gcp.api-key', locator: { sha256: hashed(text) } }, provider: 'gcp' };
  if (googleToken.test(text)) return { credential: { kind: 'gcp.access-token', locator: { sha256: hashed(text) } }, provider: 'gcp' };
  if (hmacId.test(text)) return { credential: { kind: 'gcp.hmac-key', locator: { accessId: text } }, provider: 'gcp' };
  if (!text.startsWith('{') || text.length > 20_000) return undefined;
  const { private_key_id: privateKeyId, client_email: clientEmail, project_id: project } = membersOf(text);
  if (typeof clientEmail !== 'string' || typeof privateKeyId !== 'string' || !/^[0-9a-f]{40}$/.test(privateKeyId)) return undefined;
  const whose = serviceAccount.exec(clientEmail);
  if (whose === null) return undefined;
  const account = whose[1] ?? (typeof project === 'string' && /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(project) ? project : undefined);
  return {
    credential: { kind: 'gcp.service-account-key', locator: { clientEmail, privateKeyId } },
    provider: 'gcp',
    ...(account === undefined ? {} : { account }),
  };
}

const webhook = /^webhook(-one-way)?:([a-z0-9][a-z0-9._-]{0,62})\/([!-~]{1,200})$/;

function webhookName(text: string): Identified | undefined {
  const [, oneWay, system, id] = webhook.exec(text) ?? [];
  if (system === undefined || id === undefined) return undefined;
  const kind = oneWay === undefined ? 'webhook.credential' : 'webhook.one-way';
  return { credential: { kind, locator: { system, id } }, provider: 'webhook', account: system };
}

/** Whether a JSON Web Token is one of a Kubernetes service account, by its subject. */
function isServiceAccount(token: string): boolean {
  const { sub } = membersOf(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  return typeof sub === 'string' && /^system:serviceaccount:[^:]+:[^:]+$/.test(sub);
}

function membersOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
