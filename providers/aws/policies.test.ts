import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutOffDocument, cutOffIn, deniesAll, holdDocument, isHold, isMarked, markOf, privilegeIn, sameDocument } from './policies.ts';

const document = (...statements: object[]) => JSON.stringify({ Version: '2012-10-17', Statement: statements });
const mark = markOf({ incident: 'leak/a', run: 'r', step: 's' });

describe('documents of ours', () => {
  it('a cut-off says its moment back, and is a hold to nobody', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), (seconds) => {
        const text = cutOffDocument(mark, `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`);
        expect(cutOffIn(text)).toBe(seconds * 1000);
        expect(isMarked(text, mark)).toBe(true);
        expect(deniesAll(text)).toBe(false);
        expect(isHold(text)).toBe(false);
      }),
    );
  });

  it('a hold is one, whichever step put it, and marked by that one alone', () => {
    const text = holdDocument(mark);
    expect(isHold(text)).toBe(true);
    expect(isMarked(text, mark)).toBe(true);
    expect(isMarked(text, markOf({ incident: 'leak/a', run: 'r', step: 't' }))).toBe(false);
    expect(cutOffIn(text)).toBeUndefined();
  });

  it('a mangled one is none of ours', () => {
    const cut = JSON.parse(cutOffDocument(mark, '2026-01-01T00:00:00Z')) as { Statement: Record<string, unknown>[] };
    const first = cut.Statement[0] as Record<string, unknown>;
    expect(cutOffIn(document({ ...first, Effect: 'Allow' }))).toBeUndefined();
    expect(cutOffIn(document({ ...first, Action: 's3:*' }))).toBeUndefined();
    expect(
      cutOffIn(document({ ...first, Condition: { ...(first['Condition'] as object), StringEquals: { 'aws:userid': 'x' } } })),
    ).toBeUndefined();
    expect(isHold(document({ ...(JSON.parse(holdDocument(mark)) as { Statement: object[] }).Statement[0], Condition: {} }))).toBe(false);
    for (const text of ['', 'null', '[]', '{', '{"Statement":7}']) {
      expect(cutOffIn(text)).toBeUndefined();
      expect(isHold(text)).toBe(false);
    }
  });

  it('are the same whatever their white space and order', () => {
    expect(sameDocument('{"a":1,"b":[2]}', '{ "b": [2], "a": 1 }')).toBe(true);
    expect(sameDocument('{"a":1}', '{"a":2}')).toBe(false);
    expect(sameDocument(undefined, undefined)).toBe(true);
    expect(sameDocument('{}', undefined)).toBe(false);
    expect(sameDocument('not json', 'not json')).toBe(true);
    expect(sameDocument('not json', 'nor this')).toBe(false);
  });
});

describe('what a document gives', () => {
  it.each([
    ['administrator', { Effect: 'Allow', Action: '*', Resource: '*' }],
    ['administrator', { Effect: 'Allow', Action: ['s3:Get*', '*:*'], Resource: ['*'] }],
    ['elevated', { Effect: 'Allow', Action: '*', Resource: 'arn:aws:s3:::mine' }],
    ['elevated', { Effect: 'Allow', Action: 'iam:*', Resource: '*' }],
    ['elevated', { Effect: 'Allow', Action: 'iam:CreateAccessKey', Resource: '*' }],
    ['elevated', { Effect: 'Allow', Action: 'i*', Resource: '*' }],
    ['elevated', { Effect: 'Allow', Action: 'STS:Assume*', Resource: '*' }],
    ['elevated', { Effect: 'Allow', NotAction: 'iam:*', Resource: '*' }],
    ['ordinary', { Effect: 'Allow', Action: ['iam:ListUsers', 'iam:Get*', 's3:*'], Resource: '*' }],
    ['ordinary', { Effect: 'Deny', Action: '*', Resource: '*' }],
    ['ordinary', { Effect: 'Allow', Action: 'secretsmanager:ListSecrets', Resource: '*' }],
  ])('%s: %j', (privilege, statement) => {
    expect(privilegeIn(document(statement))).toBe(privilege);
  });
});
