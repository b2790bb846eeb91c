import { expect, test } from 'vitest';
import { readAwsKeyId } from './aws-key-id.ts';

test('the account is read out of a key id without a network', () => {
  expect(readAwsKeyId('ASIAY34FZKBOKMUTVV7A')).toEqual({
    id: 'ASIAY34FZKBOKMUTVV7A',
    type: 'session',
    account: '609629065308',
    canary: false,
  });
  expect(readAwsKeyId('ASIAQNZGKIQY56JQ7WML')?.account).toBe('029608264753');
});

test('a key of a known seller of bait is named as bait', () => {
  expect(readAwsKeyId(' AKIASP2TPHJSQH3FJXYZ\n')).toEqual({
    id: 'AKIASP2TPHJSQH3FJXYZ',
    type: 'long-term',
    account: '171436882533',
    canary: true,
  });
});

test('an id of the old layout has no account rather than a wrong one', () => {
  expect(readAwsKeyId('AKIAIOSFODNN7EXAMPLE')).toEqual({ id: 'AKIAIOSFODNN7EXAMPLE', type: 'long-term', canary: false });
});

test.each(['AIDAY34FZKBOKMUTVV7A', 'akiay34fzkbokmutvv7a', 'AKIAY34FZKBOKMUTVV7', 'AKIAY34FZKBOKMUTVV7AA', '', 'xAKIAY34FZKBOKMUTVV7'])(
  '%j is no access key id',
  (text) => {
    expect(readAwsKeyId(text)).toBeUndefined();
  },
);
