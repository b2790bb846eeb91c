import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configurationJsonSchema, parseConfiguration } from './configuration.schema.ts';
import { isFault } from './errors.ts';

const root = Buffer.alloc(32, 1).toString('base64');
const good = `v: 1
engine: eng_test
store: { directory: store }
root: ${root}
accounts:
  - provider: aws
    account: "000000000042"
    mode: act
    credentials: secrets/aws.json
    settings: { region: eu-west-1, timing: { propagationMs: 4000 } }
recheck: 2s
`;

const entry = good.slice(good.indexOf('  - provider'), good.indexOf('recheck'));
const twice = good.replace('recheck', `${entry}recheck`);

test('paths are taken from the folder of the file, durations become milliseconds, the rest has its usual value', () => {
  expect(parseConfiguration(good, '/etc/tourniquet/tourniquet.yaml')).toEqual({
    v: 1,
    engine: 'eng_test',
    temporal: { namespace: 'default' },
    store: { directory: '/etc/tourniquet/store' },
    drop: { directory: '/etc/tourniquet/store/sealed' },
    trust: '/etc/tourniquet/trust.yaml',
    people: '/etc/tourniquet/people.yaml',
    policy: '/etc/tourniquet/policy.yaml',
    inventory: '/etc/tourniquet/inventory.yaml',
    root,
    accounts: [
      {
        provider: 'aws',
        account: '000000000042',
        mode: 'act',
        credentials: '/etc/tourniquet/secrets/aws.json',
        settings: { region: 'eu-west-1', timing: { propagationMs: 4000 } },
      },
    ],
    recheckMs: 2000,
    codec: { enabled: true },
    pace: { heartbeatMs: 30_000, retryCeilingMs: 30_000, stuckAfterMs: 600_000 },
  });
});

describe('what the file may not say is refused with its place', () => {
  test.each([
    ['an account without quotes', good.replace('"000000000042"', '000000000042'), 'file.invalid', 7, 'accounts[0].account'],
    ['a mode that is none', good.replace('act', 'do-it'), 'file.invalid', 8, 'accounts[0].mode'],
    ['a member that is none', `${good}trsut: x\n`, 'file.invalid', 12, 'trsut'],
    ['a duration without a unit', good.replace('2s', '"2"'), 'file.invalid', 11, 'recheck'],
    ['a heartbeat too quick for any worker', `${good}pace: { heartbeat: 1s }\n`, 'file.invalid', 12, 'pace.heartbeat'],
    ['a root that is no key', good.replace(root, 'abc'), 'file.invalid', 4, 'root'],
    ['an account twice', twice, 'file.invalid', 12, 'accounts[1].account'],
    ['no YAML', 'v: [1', 'file.syntax', 1, '(whole file)'],
    ['nothing', '', 'file.invalid', 1, '(whole file)'],
    ['a provider by its path', `${good}providers: [{ package: ../mine }]\n`, 'file.invalid', 12, 'providers[0].package'],
    ['a provider by its address', `${good}providers: [{ package: "https://example.org/x" }]\n`, 'file.invalid', 12, 'providers[0].package'],
    ['a provider twice', `${good}providers:\n  - package: p\n  - package: p\n`, 'file.invalid', 14, 'providers[1].package'],
  ])('%s', (_, text, code, line, path) => {
    try {
      parseConfiguration(text, 'tourniquet.yaml');
      expect.unreachable();
    } catch (error) {
      if (!isFault(error)) throw error;
      expect({ code: error.code, ...error.context }).toMatchObject({ code, file: 'tourniquet.yaml', line, path });
    }
  });
});

describe('the JSON Schema for editors', () => {
  const valid = new Ajv2020({ strict: false }).compile(configurationJsonSchema());
  test.each([
    ['the file as it should be', good, true],
    ['a provider of somebody else', `${good}providers: [{ package: "@acme/tourniquet-provider" }]\n`, true],
    ['an account without quotes', good.replace('"000000000042"', '000000000042'), false],
    ['a mode that is none', good.replace('act', 'do-it'), false],
    ['a member that is none', `${good}trsut: x\n`, false],
    ['a duration without a unit', good.replace('2s', '"2"'), false],
    ['a provider by its path', `${good}providers: [{ package: ../mine }]\n`, false],
  ])('agrees about %s', (_, text, expected) => {
    expect(valid(parse(text))).toBe(expected);
  });

  test('says of every member what it is for', () => {
    const { properties } = configurationJsonSchema() as { properties: Record<string, { description?: string }> };
    expect(Object.keys(properties).filter((name) => !properties[name]?.description)).toEqual([]);
  });
});
