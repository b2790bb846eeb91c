import { describe, expect, it } from 'vitest';
import { Secret } from '../../domain/secret.ts';
import { draftByHand, identify } from '../../intake/index.ts';
import { providers } from '../../providers/registry.ts';
import { account, fingerprintKey, githubToken, keyId } from './samples.ts';

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const keyFile = JSON.stringify({
  type: 'service_account',
  project_id: 'shop-prod',
  private_key_id: 'a'.repeat(40),
  private_key: '-----BEGIN PRIVATE KEY-----\nbm90IG9uZQ==\n-----END PRIVATE KEY-----\n',
  client_email: 'ci@shop-prod.iam.gserviceaccount.com',
});
const samples: Readonly<Record<string, readonly string[]>> = {
  aws: [keyId],
  github: [
    githubToken,
    `github_pat_${'A'.repeat(22)}_${'b'.repeat(59)}`,
    `gho_${'a1'.repeat(18)}`,
    `ghs_${'a1'.repeat(18)}`,
    `ghs_12_${part({ alg: 'RS256' })}.${part({ iss: 1 })}.c2ln`,
  ],
  vault: [`hvs.${'A1'.repeat(12)}`, `hvb.${'A1'.repeat(40)}`, `s.${'A1'.repeat(12)}`, `b.${'A1'.repeat(12)}`],
  gcp: [`AIza${'a'.repeat(35)}`, `AQ.${'a'.repeat(40)}`, `ya29.${'a'.repeat(40)}`, `GOOG${'A'.repeat(57)}`, keyFile],
  webhook: ['webhook:billing/key_17', 'webhook-one-way:billing/key_17'],
};

describe('what intake says of a text is what its provider says', () => {
  it.each(Object.entries(samples).flatMap(([name, texts]) => texts.map((text) => [name, text.slice(0, 40), text] as const)))(
    '%s: %s',
    async (name, _, text) => {
      const provider = await providers[name]?.();
      const said = provider?.identify(text);
      expect(said?.provider).toBe(name);
      expect(identify(text)).toEqual(said);
    },
  );

  it('and of what is nobody else’s, no provider says anything', async () => {
    for (const [name, texts] of Object.entries(samples)) {
      for (const other of Object.keys(samples).filter((each) => each !== name)) {
        const provider = await providers[other]?.();
        for (const text of texts) expect(provider?.identify(text), `${other} of a text of ${name}`).toBeUndefined();
      }
    }
  });
});

describe('what has no system here keeps a name of its own', () => {
  it.each([
    [`${part({ alg: 'RS256' })}.${part({ sub: 'system:serviceaccount:web:default', aud: 'x' })}.c2lnbmF0dXJl`, 'manual.kubernetes-token'],
    [`${part({ alg: 'RS256' })}.${part({ sub: 'somebody else of whom one knows' })}.c2lnbmF0dXJl`, 'manual.jwt'],
    [`xoxe.xoxb-1-${'a1'.repeat(20)}`, 'manual.slack-token'],
    [`abc8Q~${'a1'.repeat(16)}`, 'manual.entra-secret'],
    [`hvr.${'A1'.repeat(12)}`, 'manual.vault-recovery-token'],
  ])('%s', (text, kind) => expect(identify(text)?.credential.kind).toBe(kind));
});

describe('by hand', () => {
  it('a key file is one credential, and the whole of it is the secret', () => {
    const draft = draftByHand({ secret: new Secret(keyFile), fingerprintKey });
    expect(draft).toMatchObject({ credential: { kind: 'gcp.service-account-key' }, account: 'shop-prod' });
    expect(draft.secret?.reveal()).toBe(keyFile);
  });

  it('what only names a credential is no secret, and is not taken out of a note', () => {
    const draft = draftByHand({ secret: new Secret('webhook:billing/key_17'), note: 'webhook:billing/key_17 was pasted', fingerprintKey });
    expect(draft).toMatchObject({
      credential: { kind: 'webhook.credential', locator: { system: 'billing', id: 'key_17' } },
      account: 'billing',
      note: 'webhook:billing/key_17 was pasted',
    });
    expect(draft.secret).toBeUndefined();
    expect(draftByHand({ keyId }).account).toBe(account);
  });
});
