import { expect, it } from 'vitest';
import { sha256Of } from '../../domain/canonical.ts';
import { provider } from '../../providers/gcp/index.ts';

const id = 'a'.repeat(40);
const file = (more: Record<string, unknown> = {}) =>
  JSON.stringify({
    type: 'service_account',
    project_id: 'shop-4711',
    private_key_id: id,
    private_key: '-----BEGIN PRIVATE KEY-----\nx\n',
    client_email: 'ci@shop-4711.iam.gserviceaccount.com',
    ...more,
  });
const hashed = (text: string) => sha256Of(text).slice('sha256:'.length);

it('a key file is known by its ids, and by nothing secret in it', () => {
  const found = provider.identify(file());
  expect(found).toEqual({
    provider: 'gcp',
    account: 'shop-4711',
    credential: { kind: 'gcp.service-account-key', locator: { clientEmail: 'ci@shop-4711.iam.gserviceaccount.com', privateKeyId: id } },
  });
  expect(JSON.stringify(found)).not.toContain('PRIVATE');
});

it('the project is what the address says, and the file’s own word only where the address says none', () => {
  expect(provider.identify(file({ project_id: 'somebody-elses' }))?.account).toBe('shop-4711');
  expect(provider.identify(file({ client_email: '123456789012-compute@developer.gserviceaccount.com' }))?.account).toBe('shop-4711');
});

it('keys and tokens that are secrets themselves are known by their SHA-256', () => {
  const standard = `AIza${'Sy'.repeat(17)}A`;
  const bound = `AQ.${'Ab8'.repeat(15)}`;
  const token = `ya29.c.${'b0'.repeat(40)}`;
  for (const [text, kind] of [
    [standard, 'gcp.api-key'],
    [bound, 'gcp.api-key'],
    [token, 'gcp.access-token'],
  ] as const) {
    const found = provider.identify(` ${text}\n`);
    expect(found?.credential).toEqual({ kind, locator: { sha256: hashed(text) } });
    expect(JSON.stringify(found)).not.toContain(text);
  }
});

it('an HMAC key is known by its access id', () => {
  const account = `GOOG1E${'A7'.repeat(27)}B`;
  expect(account).toHaveLength(61);
  for (const text of [account, `GOOG${'A'.repeat(20)}`])
    expect(provider.identify(text)?.credential).toEqual({ kind: 'gcp.hmac-key', locator: { accessId: text } });
});

it('anything else is none of ours', () => {
  const foreign = [
    '',
    'hello',
    'AIza',
    `AIza${'x'.repeat(34)}`,
    `AIza${'x'.repeat(36)}`,
    'AKIAIOSFODNN7EXAMPLE',
    'GOOGLE',
    '{',
    '[]',
    'null',
    '{"type":"service_account"}',
  ];
  const broken = [
    file({ private_key_id: 'not-hex' }),
    file({ private_key_id: 7 }),
    file({ client_email: 'someone@example.org' }),
    `${file()}x`,
  ];
  for (const text of [...foreign, ...broken]) expect(provider.identify(text), text).toBeUndefined();
});
