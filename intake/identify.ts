import { readAwsKeyId } from '../domain/aws-key-id.ts';
import type { Identified } from '../domain/manifest.ts';
import { shapeOf } from './scrub.ts';

const awsKinds = { 'long-term': 'aws.access-key', session: 'aws.session', bearer: 'aws.bearer-token' } as const;

/**
 * Says offline what a text is that is one key id or one secret and nothing else; undefined where it has no shape of its own. A secret that holds no
 * identifier has an empty locator: its identity is the fingerprint, which the caller adds.
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
  const shape = shapeOf(text);
  return shape === undefined ? undefined : { credential: { kind: `manual.${shape}`, locator: {} }, provider: 'manual' };
}
