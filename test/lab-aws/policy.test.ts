import { describe, expect, it } from 'vitest';
import { holds } from '../../lab/aws/condition.ts';
import { inRange, wildcard } from '../../lab/aws/match.ts';
import { decide, type Layers, Malformed, readPolicy } from '../../lab/aws/policy.ts';

const context = (keys: Record<string, string | string[]> = {}) =>
  new Map(Object.entries(keys).map(([k, v]) => [k.toLowerCase(), Array.isArray(v) ? v : [v]]));
const policy = (...Statement: object[]) => readPolicy(JSON.stringify({ Version: '2012-10-17', Statement }), 'identity');
const allowAll = policy({ Effect: 'Allow', Action: '*', Resource: '*' });
const ask = (layers: Layers, action = 'iam:ListUsers', resource = 'arn:aws:iam::1:user/a', keys = {}) =>
  decide(layers, { action, resource, context: context(keys) });

describe('policy evaluation', () => {
  it.each([
    ['nothing allows', { identity: [] }, false, 'identity-based', false],
    ['an identity policy allows', { identity: [allowAll] }, true],
    [
      'an explicit deny wins over an allow',
      { identity: [allowAll, policy({ Effect: 'Deny', Action: '*', Resource: '*' })] },
      false,
      'identity-based',
      true,
    ],
    ['a control policy that does not allow', { identity: [allowAll], scp: [] }, false, 'service control', false],
    [
      'a control policy that denies',
      { identity: [allowAll], scp: [allowAll, policy({ Effect: 'Deny', Action: 'iam:*', Resource: '*' })] },
      false,
      'service control',
      true,
    ],
    [
      'a boundary that does not allow',
      { identity: [allowAll], boundary: [policy({ Effect: 'Allow', Action: 's3:*', Resource: '*' })] },
      false,
      'permissions boundary',
      false,
    ],
    ['a session policy that does not allow', { identity: [allowAll], session: [] }, false, 'session', false],
    ['a session policy allows and the user does not', { identity: [], session: [allowAll] }, false, 'identity-based', false],
    ['every layer allows', { identity: [allowAll], scp: [allowAll], boundary: [allowAll], session: [allowAll] }, true],
  ] as [string, Layers, boolean, string?, boolean?][])('%s', (_name, layers, allowed, layer, explicit) => {
    expect(ask(layers)).toEqual(allowed ? { allowed } : { allowed, layer, explicit });
  });

  it.each([
    [{ Action: 'iam:List*', Resource: '*' }, true],
    [{ Action: 'IAM:listusers', Resource: '*' }, true],
    [{ Action: ['s3:*', 'iam:Get?ser'], Resource: '*' }, false],
    [{ NotAction: 'iam:*', Resource: '*' }, false],
    [{ NotAction: 's3:*', Resource: '*' }, true],
    [{ Action: '*', Resource: 'arn:aws:iam::1:user/*' }, true],
    [{ Action: '*', Resource: 'arn:aws:iam::1:USER/*' }, false],
    [{ Action: '*', Resource: 'arn:aws:*:user/a' }, true],
    [{ Action: '*', Resource: 'arn:aws:iam::2:*' }, false],
    [{ Action: '*', NotResource: 'arn:aws:iam::1:user/b' }, true],
    [{ Action: '*', NotResource: 'arn:aws:iam::1:user/?' }, false],
    [{ Action: '*', Resource: 'arn:aws:iam::1:user/$' + '{aws:username}' }, true],
    [{ Action: '*', Resource: 'arn:aws:iam::1:user/$' + '{aws:absent}' }, false],
  ])('statement %j allows: %s', (statement, allowed) => {
    expect(ask({ identity: [policy({ Effect: 'Allow', ...statement })] }, undefined, undefined, { 'aws:username': 'a' }).allowed).toBe(
      allowed,
    );
  });

  it.each([
    ['StringEquals', ['a', 'b'], 'b', true],
    ['StringEquals', ['a'], 'A', false],
    ['StringEquals', ['a'], undefined, false],
    ['StringEqualsIfExists', ['a'], undefined, true],
    ['StringEqualsIgnoreCase', ['a'], 'A', true],
    ['StringNotEquals', ['a', 'b'], 'b', false],
    ['StringNotEquals', ['a', 'b'], 'c', true],
    ['StringNotEquals', ['a'], undefined, true],
    ['StringLike', ['AROA*:att?cker'], 'AROAX:attacker', true],
    ['StringNotLike', ['x*'], 'xy', false],
    ['ArnLike', ['arn:aws:sts::*:federated-user/fed'], 'arn:aws:sts::1:federated-user/fed', true],
    ['ArnEquals', ['arn:aws:iam::1:user/a'], 'arn:aws:sts::1:federated-user/a', false],
    ['ArnNotLike', ['arn:aws:iam::1:user/a'], 'arn:aws:iam::1:user/b', true],
    ['ArnLike', ['arn:*:a'], 'arn:aws:iam::1:user:a', true],
    ['ArnLike', ['arn:aws:iam:*:user/a'], 'arn:aws:iam::1:user/a', true],
    ['DateLessThan', ['2025-01-01T00:00:00Z'], '2024-12-31T23:59:59Z', true],
    ['DateLessThan', ['2025-01-01T00:00:00Z'], '2025-01-01T00:00:00Z', false],
    ['DateLessThan', ['2025-01-01T00:00:00Z'], undefined, false],
    ['DateGreaterThanEquals', ['1735689600'], '2025-01-01T00:00:00Z', true],
    ['DateLessThan', ['soon'], '2024-12-31T23:59:59Z', false],
    ['NumericLessThan', ['3'], '2', true],
    ['Bool', ['true'], 'True', true],
    ['BoolIfExists', ['false'], undefined, true],
    ['IpAddress', ['10.0.0.0/8', '192.0.2.7'], '192.0.2.7', true],
    ['NotIpAddress', ['10.0.0.0/8'], '10.1.2.3', false],
    ['NotIpAddress', ['10.0.0.0/8'], '11.1.2.3', true],
    ['IpAddress', ['2001:db8::/32'], '2001:db8::9', true],
    ['Null', ['true'], undefined, true],
    ['Null', ['true'], 'x', false],
    ['Null', ['false'], 'x', true],
    ['ForAnyValue:StringEquals', ['a'], ['b', 'a'], true],
    ['ForAnyValue:StringEquals', ['a'], undefined, false],
    ['ForAllValues:StringEquals', ['a', 'b'], ['b', 'a'], true],
    ['ForAllValues:StringEquals', ['a'], ['b', 'a'], false],
    ['ForAllValues:StringEquals', ['a'], undefined, true],
    ['ForAnyValue:StringLikeIfExists', ['a*'], undefined, true],
  ] as [string, string[], string | string[] | undefined, boolean][])('%s %j of %j is %s', (operator, values, have, expected) => {
    expect(holds({ operator, key: 'k', values }, context(have === undefined ? {} : { k: have }))).toBe(expected);
  });

  it('takes the safe side of an operator it cannot judge: a deny applies, an allow does not', () => {
    const Condition = { BinaryEquals: { k: 'AA==' } };
    expect(ask({ identity: [policy({ Effect: 'Allow', Action: '*', Resource: '*', Condition })] }).allowed).toBe(false);
    expect(ask({ identity: [allowAll, policy({ Effect: 'Deny', Action: '*', Resource: '*', Condition })] })).toMatchObject({
      allowed: false,
      explicit: true,
    });
  });

  it('needs every condition of a statement to hold', () => {
    const Condition = { StringEquals: { a: '1', b: '2' } };
    const identity = [policy({ Effect: 'Allow', Action: '*', Resource: '*', Condition })];
    expect(ask({ identity }, undefined, undefined, { a: '1' }).allowed).toBe(false);
    expect(ask({ identity }, undefined, undefined, { a: '1', b: '2' }).allowed).toBe(true);
  });

  it.each([
    ['{', 'identity'],
    ['[]', 'identity'],
    ['{"Version":"2012-10-17"}', 'identity'],
    ['{"Version":"2013-10-17","Statement":[]}', 'identity'],
    ['{"Statement":[{"Effect":"Permit","Action":"*","Resource":"*"}]}', 'identity'],
    ['{"Statement":[{"Effect":"Allow","Resource":"*"}]}', 'identity'],
    ['{"Statement":[{"Effect":"Allow","Action":"*"}]}', 'identity'],
    ['{"Statement":[{"Effect":"Allow","Action":"everything","Resource":"*"}]}', 'identity'],
    ['{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}]}', 'identity'],
    ['{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"constructor":{"a":"b"}}}]}', 'identity'],
    ['{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEqual":{"a":"b"}}}]}', 'identity'],
    ['{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}', 'trust'],
    ['{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Extra":1}]}', 'identity'],
  ] as const)('refuses %s as %s', (text, use) => {
    expect(() => readPolicy(text, use)).toThrow(Malformed);
  });
});

describe('patterns', () => {
  it('are matched in time no worse than the product of the lengths', () => {
    expect(wildcard(`${'*a'.repeat(50)}*b`, 'a'.repeat(5000))).toBe(false);
  });
  it('hold nothing where a range cannot be read', () => {
    expect(inRange('10.0.0.0/99', '10.0.0.1')).toBe(false);
    expect(inRange('everywhere', '10.0.0.1')).toBe(false);
  });
});
