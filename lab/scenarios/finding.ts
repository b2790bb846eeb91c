import { randomBytes } from 'node:crypto';
import type { KeyPair } from '../world/aws.ts';

/** Where and when a scanner saw a pair. */
export interface Sight {
  readonly repository: string;
  readonly pair: KeyPair;
  readonly accountId: string;
  readonly arn: string;
  readonly committedAt: Date;
}

/** What TruffleHog writes about it with `--json`: one result on one line, secret and all. */
export function trufflehogFinding({ repository, pair, accountId, arn, committedAt }: Sight): string {
  const commit = randomBytes(20).toString('hex');
  const file = 'ci/deploy.env';
  return `${JSON.stringify({
    SourceMetadata: {
      Data: {
        Git: {
          commit,
          file,
          email: 'Kim <kim@example.test>',
          repository,
          timestamp: committedAt
            .toISOString()
            .replace('T', ' ')
            .replace(/\.\d+Z$/, ' +0000'),
          line: 3,
        },
      },
    },
    SourceID: 1,
    SourceType: 16,
    SourceName: 'trufflehog - git',
    DetectorType: 2,
    DetectorName: 'AWS',
    DetectorDescription: 'Amazon Web Services access key',
    DecoderName: 'PLAIN',
    Verified: true,
    Raw: pair.accessKeyId,
    RawV2: `${pair.accessKeyId}:${pair.secretAccessKey}`,
    Redacted: pair.accessKeyId,
    ExtraData: { account: accountId, arn, resource_type: 'Access key' },
    StructuredData: null,
  })}\n`;
}
