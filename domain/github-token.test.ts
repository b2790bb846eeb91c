import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { githubChecksum, githubTokenHash, readGithubToken } from './github-token.ts';

const random = 'Fake0Token1Value2Fake0Token1Va';
const classic = `ghp_${random}${githubChecksum(random)}`;
const stateless = `ghs_123456_${['{"alg":"RS256"}', '{"iss":"1"}'].map((part) => Buffer.from(part).toString('base64url')).join('.')}.c2lnbmF0dXJl`;

describe('a GitHub token is told offline', () => {
  it.each([
    [classic, 'classic', 'github.token'],
    [`github_pat_${'A'.repeat(22)}_${'b'.repeat(59)}`, 'fine-grained', 'github.token'],
    [`gho_${'a1'.repeat(18)}`, 'oauth', 'github.token'],
    [`ghu_${'a1'.repeat(18)}`, 'app-user', 'github.token'],
    [`ghr_${'a1'.repeat(38)}`, 'refresh', 'github.token'],
    [`ghs_${'a1'.repeat(18)}`, 'installation', 'github.installation-token'],
    [stateless, 'installation', 'github.installation-token'],
  ])('%s is %s', (token, form, kind) => {
    expect(readGithubToken(` ${token}\n`)).toMatchObject({ form, kind, sha256: createHash('sha256').update(token).digest('base64') });
  });

  it('an installation token of the new form names its App', () => expect(readGithubToken(stateless)?.appId).toBe('123456'));

  it.each([
    'ghp_',
    `${classic}x`,
    `x${classic}`,
    `${classic} and more`,
    `ghp_${random}000000`,
    `github_pat_${'A'.repeat(22)}`,
    `ghx_${'a1'.repeat(18)}`,
    'ghs_0_eyJh.eyJh.a',
    'ghs_12_eyJh.eyJh',
  ])('%s is none', (text) => expect(readGithubToken(text)).toBeUndefined());

  it('its checksum is the one of GitHub’s published example of the form', () => {
    expect(githubChecksum('zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ')).toBe('0mLq17');
  });

  it('its hash is what a shell makes of it, whatever its length', () => {
    for (const text of ['', 'a', 'ab', 'abc', classic, stateless])
      expect(githubTokenHash(text)).toBe(createHash('sha256').update(text).digest('base64'));
  });
});
