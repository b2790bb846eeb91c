import { readAwsKeyId } from '../domain/aws-key-id.ts';
import { readGithubToken } from '../domain/github-token.ts';
import type { Identified } from '../domain/manifest.ts';
import { shapeOf } from './scrub.ts';

const awsKinds = { 'long-term': 'aws.access-key', session: 'aws.session', bearer: 'aws.bearer-token' } as const;

/**
 * Says offline what a text is that is one key id or one secret and nothing else; undefined where it has no shape of its own. A secret that holds no
 * identifier has an empty locator: its identity is the fingerprint, which the caller adds. A GitHub token is named by its hash, as GitHub's own audit log names it.
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
  const github = readGithubToken(text);
  if (github !== undefined) return { credential: { kind: github.kind, locator: { sha256: github.sha256 } }, provider: 'github' };
  const shape = shapeOf(text);
  return shape === undefined ? undefined : { credential: { kind: `manual.${shape}`, locator: {} }, provider: 'manual' };
}
