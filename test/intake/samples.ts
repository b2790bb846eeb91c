import { githubChecksum } from '../../domain/github-token.ts';

/** Secrets that were never anybody's: made for these tests, with the form of the real ones. */
export const keyId = 'ASIAY34FZKBOKMUTVV7A'.replace('ASIA', 'AKIA');
export const otherKeyId = 'AKIAQNZGKIQY56JQ7WML';
export const account = '609629065308';
export const secretKey = 'Not4RealKeyButWithItsForm/0123456789+abc';
export const otherSecretKey = 'Neither/Is1ThisOne0fThem+9876543210/zyxw';
/** With the checksum that a real one has. */
export const githubToken = `ghp_${'Fake0Token1Value2Fake0Token1Va'}${githubChecksum('Fake0Token1Value2Fake0Token1Va')}`;
export const fingerprintKey = new Uint8Array(32).fill(7);

/** One TruffleHog result as version 3.8x writes it, with changes. */
export function trufflehog(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    SourceMetadata: {
      Data: {
        Git: {
          commit: 'fbc14303ffbf8fb1c2c1914e8dda7d0121633aca',
          file: 'deploy/ci.env',
          email: 'Dev <dev@example.com>',
          repository: 'https://github.com/example/shop',
          timestamp: '2026-05-16 10:17:40 -0700',
          line: 4,
        },
      },
    },
    SourceID: 1,
    SourceType: 16,
    SourceName: 'trufflehog - git',
    DetectorType: 2,
    DetectorName: 'AWS',
    DecoderName: 'PLAIN',
    Verified: true,
    Raw: keyId,
    RawV2: `${keyId}:${secretKey}`,
    Redacted: keyId,
    ExtraData: { account },
    StructuredData: null,
    ...changes,
  };
}

/** One Gitleaks 8 finding, with changes. */
export function gitleaks(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    RuleID: 'aws-access-token',
    Description: 'Found a pattern that may be AWS credentials',
    StartLine: 4,
    EndLine: 4,
    StartColumn: 20,
    EndColumn: 39,
    Match: keyId,
    Secret: keyId,
    File: 'deploy/ci.env',
    SymlinkFile: '',
    Commit: 'fbc14303ffbf8fb1c2c1914e8dda7d0121633aca',
    Entropy: 3.4,
    Author: 'Dev',
    Email: 'dev@example.com',
    Date: '2026-05-16T10:17:40Z',
    Message: 'deploy from CI',
    Tags: [],
    Fingerprint: 'fbc1430:deploy/ci.env:aws-access-token:4',
    ...changes,
  };
}

/** One GitHub alert as REST gives it, with changes. */
export function githubAlert(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    number: 42,
    created_at: '2026-05-16T18:18:30Z',
    url: 'https://api.github.com/repos/example/shop/secret-scanning/alerts/42',
    html_url: 'https://github.com/example/shop/security/secret-scanning/42',
    locations_url: 'https://api.github.com/repos/example/shop/secret-scanning/alerts/42/locations',
    state: 'open',
    resolution: null,
    secret_type: 'amazon_aws_access_key_id',
    secret_type_display_name: 'Amazon AWS Access Key ID',
    secret: keyId,
    validity: 'unknown',
    publicly_leaked: false,
    ...changes,
  };
}
