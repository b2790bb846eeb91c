import { readAwsKeyId } from '../../domain/aws-key-id.ts';
import type { Identified } from '../../domain/manifest.ts';
import type { Provider } from '../contract.ts';
import { connect } from './connect.ts';
import { discover } from './discover.ts';
import { drill } from './drill.ts';
import { manifest } from './manifest.ts';

const kinds = { 'long-term': 'aws.access-key', session: 'aws.session', bearer: 'aws.bearer-token' } as const;

/** Says offline what an access key id is of; undefined for any other text. */
function identify(text: string): Identified | undefined {
  const key = readAwsKeyId(text);
  if (!key) return undefined;
  return {
    credential: { kind: kinds[key.type], locator: { accessKeyId: key.id } },
    provider: manifest.name,
    ...(key.account === undefined ? {} : { account: key.account }),
    canary: key.canary,
  };
}

/** Amazon Web Services: access keys of IAM users and what they mint. */
export const provider: Provider = { manifest, identify, connect, discover, drill };
