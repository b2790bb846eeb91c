import { createSign, generateKeyPairSync } from 'node:crypto';
import { sign as octokitSign } from '@octokit/webhooks-methods';
import { describe, expect, it } from 'vitest';
import { githubTokenHash } from '../../domain/github-token.ts';
import { partnerReports, verifyPartner } from '../../intake/github-partner.ts';
import { parseReports } from '../../intake/index.ts';
import { holdsSecret, issuerWordOn } from '../../intake/issuer.ts';
import { account, githubToken, keyId } from './samples.ts';

const pair = (namedCurve = 'prime256v1') =>
  generateKeyPairSync('ec', {
    namedCurve,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
const github = pair();
const keys = [{ identifier: 'key-1', pem: github.publicKey }];
const url = 'https://github.com/acme/open/blob/12345600b9cbe38a219f39a9941c9319b600c002/foo/bar.txt';
const body = JSON.stringify([
  { token: githubToken, type: 'github_personal_access_token', url, source: 'content' },
  { token: keyId, type: 'aws_access_key_id', url: '', source: 'issue_body' },
]);
const signature = (text: string, key = github.privateKey) => createSign('sha256').update(text).sign(key).toString('base64');
const delivery = { body, identifier: 'key-1', signature: signature(body) };
const read = (text: string | Uint8Array, options: object) => parseReports(text, options);

describe('a delivery to a secret scanning partner', () => {
  it('is GitHub’s where a configured key has signed it to the byte', () => {
    expect(verifyPartner(keys, delivery)).toEqual({ ok: true });
    expect(verifyPartner(keys, { ...delivery, body: Buffer.from(body) })).toEqual({ ok: true });
  });

  it('is the documentation’s example where the documentation’s key is configured', () => {
    const pem =
      '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\nkCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n-----END PUBLIC KEY-----\n';
    const identifier = '90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a';
    const example = {
      body: '[{"token":"some_token","type":"some_type","url":"some_url"}]',
      identifier,
      signature: 'MEUCIQDKZokqnCjrRtw0tni+2Ltvl/uiMJ1EGumEsp1BsNr32AIgQY1YXD2nlj+XNfGK4rBfkMJ1JDOQcYXxa2sY8FNkrKc=',
    };
    expect(verifyPartner([{ identifier, pem }], example)).toEqual({ ok: true });
    expect(verifyPartner([{ identifier, pem }], { ...example, body: example.body.replace('some_token', 'same_token') }).ok).toBe(false);
  });

  it.each([
    ['another body', { ...delivery, body: body.replace('foo', 'fox') }],
    ['a key that nobody configured', { ...delivery, identifier: 'key-2' }],
    ['a signature of somebody else', { ...delivery, signature: signature(body, pair().privateKey) }],
    ['an empty signature', { ...delivery, signature: '' }],
    ['a signature with something behind it', { ...delivery, signature: `${delivery.signature}\n` }],
    ['half a signature', { ...delivery, signature: delivery.signature.slice(0, 40) }],
    ['no base64', { ...delivery, signature: '%%%' }],
  ])('%s is refused, and nothing of it is reported', (_, each) => {
    expect(verifyPartner(keys, each).ok).toBe(false);
    const { drafts, problems } = partnerReports(keys, each, read);
    expect([drafts, problems.length]).toEqual([[], 1]);
    expect(JSON.stringify(problems)).not.toContain(githubToken);
  });

  it.each([
    ['of another curve', pair('secp384r1')],
    ['that is private', { ...github, publicKey: 'no key at all' }],
  ])('a configured key %s verifies nothing', (_, { publicKey, privateKey }) => {
    expect(verifyPartner([{ identifier: 'key-1', pem: publicKey }], { ...delivery, signature: signature(body, privateKey) }).ok).toBe(
      false,
    );
  });

  it('gives a report of each finding, the token apart and sealed to be, and of an id no secret', () => {
    const { drafts, problems } = partnerReports(keys, delivery, read);
    expect(problems).toEqual([]);
    expect(drafts.map(({ credential, tool, claims }) => ({ credential, tool, claims }))).toEqual([
      {
        credential: { kind: 'github.token', locator: { sha256: githubTokenHash(githubToken) } },
        tool: 'github-partner',
        claims: { publiclyLeaked: true },
      },
      { credential: { kind: 'aws.access-key', locator: { accessKeyId: keyId } }, tool: 'github-partner', claims: { publiclyLeaked: true } },
    ]);
    expect(drafts[0]?.origin).toMatchObject({ repository: 'https://github.com/acme/open', file: 'foo/bar.txt', where: 'repository' });
    expect(drafts[1]).toMatchObject({ account, origin: { where: 'ticket' } });
    expect(drafts.map((draft) => draft.secret?.reveal())).toEqual([githubToken, undefined]);
    for (const { secret: _, ...kept } of drafts) expect(JSON.stringify(kept)).not.toContain(githubToken);
  });

  it('is never an issuer’s word that travels: its body holds the tokens', () => {
    expect(holdsSecret(body)).toBe(true);
    expect(holdsSecret(JSON.stringify([{ token: keyId, type: 'aws_access_key_id', url: '' }]))).toBe(false);
    const word = { scheme: 'github-webhook', body, signature: `sha256=${'0'.repeat(64)}` } as const;
    const report = {
      credential: { kind: 'github.token', locator: { sha256: githubTokenHash(githubToken) } },
      origin: { where: 'repository' },
    } as const;
    expect(
      issuerWordOn([{ name: 'github', scheme: 'github-webhook', secret: 's' }], word, report, {
        at: new Date().toISOString(),
        freshMs: 1000,
      }).ok,
    ).toBe(false);
  });
});

describe('a secret scanning alert webhook', () => {
  it('that GitHub’s own library has signed is the issuer’s word, and one that it signed with another secret is none', async () => {
    const at = '2026-02-28T09:00:00Z';
    const text = JSON.stringify({
      action: 'created',
      alert: {
        html_url: 'https://github.com/acme/open/security/secret-scanning/7',
        created_at: at,
        updated_at: at,
        secret_type: 'aws_access_key_id',
        secret: keyId,
        validity: 'active',
        publicly_leaked: true,
        resolution: null,
      },
      repository: { html_url: 'https://github.com/acme/open', visibility: 'public' },
    });
    const report = {
      credential: { kind: 'aws.access-key', locator: { accessKeyId: keyId } },
      origin: { where: 'repository', repository: 'https://github.com/acme/open' },
    } as const;
    const judged = async (secret: string) =>
      issuerWordOn(
        [{ name: 'github', scheme: 'github-webhook', secret: 'webhook secret' }],
        { scheme: 'github-webhook', body: text, signature: await octokitSign(secret, text) },
        report,
        { at, freshMs: 1000 },
      );
    expect(await judged('webhook secret')).toMatchObject({ ok: true, says: { by: 'github', publiclyLeaked: true } });
    expect((await judged('another')).ok).toBe(false);
  });
});
