import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { incidentId } from '../../domain/credential.ts';
import { Secret } from '../../domain/secret.ts';
import { draftByHand, parseReports } from '../../intake/index.ts';
import {
  account,
  fingerprintKey,
  githubAlert,
  githubToken,
  gitleaks,
  keyId,
  otherKeyId,
  otherSecretKey,
  secretKey,
  trufflehog,
} from './samples.ts';

const one = (value: unknown, options: Parameters<typeof parseReports>[1] = {}) => {
  const { drafts, problems } = parseReports(JSON.stringify(value), { fingerprintKey, ...options });
  expect(problems).toEqual([]);
  expect(drafts).toHaveLength(1);
  const [draft] = drafts;
  if (draft === undefined) throw new Error('no draft');
  return draft;
};
const key = { kind: 'aws.access-key', locator: { accessKeyId: keyId } };

describe('TruffleHog', () => {
  test('a result names the credential, its account, its place and its secret', () => {
    const draft = one(trufflehog());
    expect(draft).toMatchObject({
      format: 'trufflehog',
      credential: key,
      account,
      origin: {
        where: 'repository',
        repository: 'https://github.com/example/shop',
        commit: 'fbc14303ffbf8fb1c2c1914e8dda7d0121633aca',
        file: 'deploy/ci.env',
        line: 4,
        author: 'Dev <dev@example.com>',
        committedAt: '2026-05-16T17:17:40.000Z',
      },
      claims: { validity: 'active' },
    });
    expect(draft.secret?.reveal()).toBe(secretKey);
  });

  test.each([
    ['without a colon between id and secret', { RawV2: `${keyId}${secretKey}` }],
    ['with the parts apart', { RawV2: '', SecretParts: { key: keyId, secret: secretKey } }],
    ['in base64, as in 2022', { DecoderName: undefined, Raw: btoa(keyId), RawV2: btoa(keyId + secretKey) }],
  ])('the secret is found %s', (_, changes) => {
    const draft = one(trufflehog(changes));
    expect(draft.credential).toEqual(key);
    expect(draft.secret?.reveal()).toBe(secretKey);
  });

  test('a session key keeps its token with its secret', () => {
    const token = 'FwoGZXIvYXdzE'.repeat(12);
    const id = `ASIA${keyId.slice(4)}`;
    const draft = one(trufflehog({ Raw: id, RawV2: `${id}:${secretKey}:${token}`, Redacted: id }));
    expect(draft.credential.kind).toBe('aws.session');
    expect(JSON.parse(draft.secret?.reveal() ?? '')).toEqual({ secretAccessKey: secretKey, sessionToken: token });
  });

  test('an unverified result claims nothing about validity', () => {
    expect(one(trufflehog({ Verified: false })).claims).toEqual({ validity: 'unknown' });
    expect(one(trufflehog({ Verified: false, VerificationError: 'timeout' })).claims).toEqual({ validity: 'unknown' });
  });

  test('results come one a line or in an array, and the log between them is passed over', () => {
    const lines = [
      JSON.stringify({ level: 'info-0', ts: '2026-05-16T10:00:00Z', logger: 'trufflehog', msg: 'running source' }),
      JSON.stringify(trufflehog()),
      '',
      JSON.stringify(trufflehog({ Raw: otherKeyId, RawV2: `${otherKeyId}:${otherSecretKey}`, Redacted: otherKeyId })),
    ].join('\r\n');
    expect(parseReports(lines)).toMatchObject({
      problems: [],
      drafts: [{ credential: key }, { credential: { locator: { accessKeyId: otherKeyId } } }],
    });
    expect(parseReports(JSON.stringify([trufflehog(), trufflehog()], null, 2)).drafts).toHaveLength(2);
  });

  test('a line that cannot be used is named by line and column while the others go on', () => {
    const lines = [
      JSON.stringify(trufflehog()),
      '{"DetectorName": "AWS", "Raw": }',
      'panic: out of memory',
      '{"DetectorName": 7}',
      JSON.stringify(trufflehog()),
    ];
    const { drafts, problems } = parseReports(lines.join('\n'));
    expect(drafts).toHaveLength(2);
    expect(problems).toMatchObject([
      { entry: 2, line: 2, column: 32, code: 'report.entry-unusable' },
      { entry: 3, line: 3, column: 1, code: 'report.entry-unusable' },
      { entry: 4, line: 4, column: 1, code: 'report.entry-unusable' },
    ]);
    for (const problem of problems) expect(problem.remedy).not.toBe('');
  });

  test('a byte that is not UTF-8 spoils its own line only', () => {
    const good = Buffer.from(`${JSON.stringify(trufflehog())}\n`);
    const { drafts, problems } = parseReports(Buffer.concat([good, Buffer.from([0x7b, 0xff, 0x7d, 0x0a]), good]));
    expect(drafts).toHaveLength(2);
    expect(problems).toMatchObject([{ entry: 2, line: 2 }]);
  });

  test.each([
    ['Slack', 'chat'],
    ['Jira', 'ticket'],
    ['Confluence', 'document'],
    ['S3', 'store'],
    ['Huggingface', 'model'],
    ['Filesystem', 'host'],
    ['SomethingNew', 'unknown'],
  ])('a source %s is a place of its kind: %s', (source, where) => {
    expect(one(trufflehog({ SourceMetadata: { Data: { [source]: { link: 'https://example.com/1' } } } })).origin.where).toBe(where);
  });
});

describe('Gitleaks', () => {
  test('a finding of version 8 names the credential and its place', () => {
    expect(one([gitleaks()])).toMatchObject({
      format: 'gitleaks',
      credential: key,
      account,
      origin: { where: 'repository', file: 'deploy/ci.env', line: 4, author: 'dev@example.com', committedAt: '2026-05-16T10:17:40.000Z' },
    });
  });

  test('a key id and its secret found apart in one file are one credential', () => {
    const { drafts } = parseReports(
      JSON.stringify([gitleaks(), gitleaks({ RuleID: 'generic-api-key', Secret: secretKey, Match: `secret=${secretKey}`, StartLine: 5 })]),
    );
    expect(drafts).toHaveLength(1);
    expect(drafts[0]?.credential).toEqual(key);
    expect(drafts[0]?.secret?.reveal()).toBe(secretKey);
  });

  test('several ids or secrets in one file are not paired by guess', () => {
    const secret = gitleaks({ RuleID: 'generic-api-key', Secret: secretKey, Match: secretKey });
    const twoIds = parseReports(JSON.stringify([gitleaks(), gitleaks({ Secret: otherKeyId, Match: otherKeyId }), secret]), {
      fingerprintKey,
    });
    expect(twoIds.drafts.map((draft) => [draft.credential.kind, draft.secret !== undefined])).toEqual([
      ['aws.access-key', false],
      ['aws.access-key', false],
      ['manual.generic-api-key', true],
    ]);
    const twoSecrets = parseReports(
      JSON.stringify([gitleaks(), secret, gitleaks({ RuleID: 'x', Secret: otherSecretKey, Match: otherSecretKey })]),
    );
    expect(twoSecrets.drafts[0]?.secret).toBeUndefined();
    const twoFiles = parseReports(JSON.stringify([gitleaks(), { ...secret, File: 'elsewhere' }]));
    expect(twoFiles.drafts[0]?.secret).toBeUndefined();
  });

  test.each(['REDACTED', 'AKIAY3...', '********', ''])('a secret masked as %j is no secret', (masked) => {
    const draft = one([gitleaks({ Secret: masked, Match: `key = ${masked}` })]);
    expect(draft.secret).toBeUndefined();
    expect(draft.credential.kind).toBe('manual.aws-access-token');
    expect(draft.credential.locator).toHaveProperty('place');
  });

  test('the form of versions 4 to 7 and SARIF are read too', () => {
    const former = {
      line: `key = "${keyId}"`,
      lineNumber: 7,
      offender: keyId,
      rule: 'AWS Access Key',
      file: 'a.tf',
      commit: 'abcdef1',
      repo: '.',
      date: '2020-04-04T15:52:59-07:00',
      author: 'D',
      email: 'd@example.com',
      tags: 'key',
    };
    expect(one([former])).toMatchObject({ credential: key, origin: { line: 7, file: 'a.tf', commit: 'abcdef1' } });
    const result = {
      ruleId: 'aws-access-token',
      message: { text: 'found' },
      locations: [{ physicalLocation: { artifactLocation: { uri: 'a.tf' }, region: { startLine: 9, snippet: { text: keyId } } } }],
      partialFingerprints: { commitSha: 'abcdef1234', author: 'D', email: 'd@example.com', date: '2026-01-01T00:00:00Z' },
    };
    expect(one({ version: '2.1.0', runs: [{ tool: { driver: { name: 'gitleaks' } }, results: [result] }] })).toMatchObject({
      credential: key,
      origin: { line: 9, file: 'a.tf' },
    });
  });

  test('a link at a forge names the repository', () => {
    expect(one([gitleaks({ Link: 'https://github.com/example/shop/blob/fbc1430/deploy/ci.env#L4' })]).origin.repository).toBe(
      'https://github.com/example/shop',
    );
  });
});

describe('GitHub', () => {
  test('an alert, a list and a webhook name the same credential', () => {
    const alert = githubAlert();
    const webhook = {
      action: 'created',
      alert,
      repository: { full_name: 'example/shop', html_url: 'https://github.com/example/shop', private: false },
      sender: {},
    };
    for (const value of [alert, [alert], webhook]) {
      expect(one(value)).toMatchObject({
        format: 'github-alert',
        credential: key,
        seenAt: '2026-05-16T18:18:30.000Z',
        origin: { where: 'repository', repository: 'https://github.com/example/shop' },
        claims: { validity: 'unknown', publiclyLeaked: false },
      });
    }
  });

  test('an alert without a secret is kept under its address', () => {
    const { secret: _, ...alert } = githubAlert();
    const draft = one({ action: 'publicly_leaked', alert });
    expect(draft.secret).toBeUndefined();
    expect(draft.credential).toEqual({
      kind: 'manual.amazon_aws_access_key_id',
      locator: { alert: 'https://github.com/example/shop/security/secret-scanning/42' },
    });
    expect(draft.claims.publiclyLeaked).toBe(true);
  });

  test('the short alert of an old webhook gets its address from the repository', () => {
    const draft = one({
      action: 'reopened',
      alert: { number: 191, secret_type: 'adafruit_io_key', resolution: null },
      repository: { full_name: 'example/shop' },
    });
    expect(draft.credential.locator).toEqual({ alert: 'https://github.com/example/shop/security/secret-scanning/191' });
  });

  test('a location names file, commit and line, and an issue is a ticket', () => {
    const located = (location: unknown) => one({ action: 'created', alert: githubAlert(), location });
    expect(
      located({ type: 'commit', details: { path: '/a.txt', start_line: 3, commit_sha: 'f14d7debf9775f957cf4f1e8176da0786431f72b' } })
        .origin,
    ).toMatchObject({ where: 'repository', file: '/a.txt', line: 3, commit: 'f14d7debf9775f957cf4f1e8176da0786431f72b' });
    expect(located({ type: 'issue_body', details: { issue_body_url: 'https://api.github.com/x' } }).origin.where).toBe('ticket');
  });
});

describe('by hand', () => {
  test('a key id alone is enough', () => {
    expect(draftByHand({ keyId, where: 'chat', note: 'seen in #ops' })).toMatchObject({
      credential: key,
      account,
      origin: { where: 'chat' },
      note: 'seen in #ops',
    });
  });

  test('id and secret typed together are told apart', () => {
    const draft = draftByHand({ secret: new Secret(`aws_access_key_id=${keyId}\naws_secret_access_key=${secretKey}\n`) });
    expect(draft.credential).toEqual(key);
    expect(draft.secret?.reveal()).toBe(secretKey);
  });

  test('a report that names nothing is kept as unidentified', () => {
    const draft = draftByHand({ where: 'ticket', note: 'somebody pasted a password', url: 'https://tickets.example.com/7' });
    expect(draft.credential.kind).toBe('manual.unidentified');
    expect(draft.credential.locator).toHaveProperty('place');
  });

  test('free text gives one draft for each key id in it, and the note holds no secret', () => {
    const text = `Found ${keyId} and ${otherKeyId}, one with ${secretKey}`;
    const { drafts } = parseReports(text, { format: 'manual', where: 'ticket' });
    expect(drafts.map((draft) => draft.credential.locator.accessKeyId)).toEqual([keyId, otherKeyId]);
    expect(drafts.every((draft) => draft.secret === undefined)).toBe(true);
    expect(JSON.stringify(drafts)).not.toContain(secretKey);
  });
});

describe('identity', () => {
  test('four ways to report one key are one incident', () => {
    const ids = [one(trufflehog()), one([gitleaks()]), one(githubAlert()), draftByHand({ keyId })].map((draft) =>
      incidentId(draft.credential),
    );
    expect(new Set(ids).size).toBe(1);
  });

  test('one GitHub token is one credential whatever the tool calls it, and is named as GitHub’s audit log names it', () => {
    const a = one(trufflehog({ DetectorName: 'Github', Raw: githubToken, RawV2: '', Redacted: '' }));
    const b = one([gitleaks({ RuleID: 'github-pat', Secret: githubToken, Match: githubToken })]);
    expect(a.credential).toEqual(b.credential);
    expect(a.credential).toEqual({
      kind: 'github.token',
      locator: { sha256: createHash('sha256').update(githubToken).digest('base64') },
    });
    expect([a.secret?.reveal(), b.secret?.reveal()]).toEqual([githubToken, githubToken]);
    for (const { secret: _, ...kept } of [a, b]) expect(JSON.stringify(kept)).not.toContain(githubToken);
  });

  test('what only looks like a GitHub token is somebody’s to look at, and is known by a keyed fingerprint only', () => {
    const false_ = `${githubToken.slice(0, -1)}${githubToken.endsWith('0') ? '1' : '0'}`;
    const a = one(trufflehog({ DetectorName: 'Github', Raw: false_, RawV2: '', Redacted: '' }));
    const b = one([gitleaks({ RuleID: 'github-pat', Secret: false_, Match: false_ })]);
    expect(a.credential).toEqual(b.credential);
    expect(a.credential.kind).toBe('manual.github-token');
    expect(a.credential.locator.hmac).toMatch(/^[0-9a-f]{64}$/);
    const other = one(trufflehog({ DetectorName: 'Github', Raw: false_, RawV2: '' }), { fingerprintKey: new Uint8Array(32).fill(8) });
    expect(other.credential.locator.hmac).not.toBe(a.credential.locator.hmac);
  });
});
