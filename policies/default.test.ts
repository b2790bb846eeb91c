import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hashOf } from '../domain/canonical.ts';
import { isFault } from '../domain/errors.ts';
import { type Policy, parsePolicy } from '../domain/policy.schema.ts';
import type { Situation } from '../domain/situation.ts';
import { judgeSituation } from '../planning/policy.ts';

const text = readFileSync(new URL('./default.yaml', import.meta.url), 'utf8');
const policy = parsePolicy(text, 'policies/default.yaml');

/** Proven, public, live, ours, reversible, used in production. */
const base: Situation = {
  kind: 'aws.access-key',
  provider: 'aws',
  account: '111122223333',
  proof: 'possession',
  exposure: 'public',
  live: 'yes',
  misused: 'unknown',
  foreign: 'no',
  privilege: 'ordinary',
  handled: true,
  reversible: true,
  canary: false,
  protected: false,
  own: false,
  unsigned: false,
  standing: 0,
  consumers: { total: 2, production: 2, internal: 0, test: 0 },
  budget: { spent: false },
  identifiers: ['AKIAEXAMPLE', 'ci-deployer'],
  protectedTargets: [],
  barred: ['scanner'],
};

const inside = { exposure: 'internal', misused: 'no' } as const;
const unused = { total: 0, production: 0, internal: 0, test: 0 };

/** One row per row of the table in the design, and per rule of the file. */
const table: readonly (readonly [
  claim: string,
  situation: Partial<Situation>,
  rule: string,
  mode: string,
  silence: string,
  minutes: number,
])[] = [
  ['a mere claim changes nothing, however public', { proof: 'claim' }, 'claim', 'ask', 'hold', 240],
  ['a mere claim of misuse changes nothing either', { proof: 'claim', misused: 'yes' }, 'claim', 'ask', 'hold', 240],
  ['proven, public and reversible: act now', {}, 'exposed', 'act', 'harmless', 15],
  [
    'proven by the issuer, liveness unknown: act now, as unknown is not dead',
    { proof: 'issuer-signed', live: 'unknown' },
    'exposed',
    'act',
    'harmless',
    15,
  ],
  ['misused though seen inside only: act now', { ...inside, misused: 'yes' }, 'exposed', 'act', 'harmless', 15],
  ['public and no way back: act, by what people signed beforehand', { reversible: false }, 'exposed-no-way-back', 'act', 'proceed', 10],
  ['inside, production uses it: asked, silence does the harmless', inside, 'internal-production', 'ask', 'harmless', 15],
  ['inside, whether it was misused unknown: still asked', { ...inside, misused: 'unknown' }, 'internal-production', 'ask', 'harmless', 15],
  ['inside, only tests use it: asked', { ...inside, consumers: { ...unused, total: 1, test: 1 } }, 'internal', 'ask', 'harmless', 15],
  [
    'where it was seen is unknown and nobody declared a use: asked, silence does nothing',
    { exposure: 'unknown', consumers: unused },
    'otherwise',
    'ask',
    'hold',
    60,
  ],
  ['where it was seen is unknown and production uses it: as inside', { exposure: 'unknown' }, 'internal-production', 'ask', 'harmless', 15],
  ['dead and all it made dead: nothing to contain', { live: 'no' }, 'dead', 'pass', 'harmless', 15],
  ['dead, but what it made still stands: as if it lived', { live: 'no', standing: 1 }, 'exposed', 'act', 'harmless', 15],
  ['foreign: a person tells the owner', { foreign: 'yes' }, 'foreign', 'ask', 'hold', 15],
  ['whether it is foreign unknown: not taken for foreign', { foreign: 'unknown' }, 'exposed', 'act', 'harmless', 15],
  ['a canary is left alone', { canary: true }, 'canary', 'pass', 'harmless', 15],
  ['a protected thing is never touched unasked', { protected: true }, 'protected', 'ask', 'hold', 15],
  ['a spent budget is never overdrawn unasked', { budget: { spent: true } }, 'budget-spent', 'ask', 'hold', 15],
  ['what the engine stands on: it only observes', { own: true, canary: true }, 'own-credential', 'hold', 'hold', 10],
  ['a kind nobody handles goes to a person', { handled: false, reversible: false }, 'by-hand', 'ask', 'hold', 15],
];

describe('the default policy', () => {
  it.each(table)('%s', (_, change, rule, mode, silence, minutes) => {
    const verdict = judgeSituation(policy, { ...base, ...change }, hashOf(policy));
    expect([verdict.rule, verdict.mode, verdict.gates.outage.onSilence, verdict.gates.outage.deadlineMs / 60_000]).toEqual([
      rule,
      mode,
      silence,
      minutes,
    ]);
  });

  it.each(policy.rules.map((rule) => [rule.name]))('rule %s decides a row of the table', (name) => {
    expect(table.map((row) => row[2])).toContain(name);
  });

  it('no rule lets silence do what cannot be undone', () => {
    for (const [, change] of table)
      expect(judgeSituation(policy, { ...base, ...change }, hashOf(policy)).gates.irreversible.onSilence).toBe('hold');
  });

  it('a plan outlives the longest of its gates, so that an approval in the last minute still counts', () => {
    const gates = [policy.gates, ...policy.rules.map((rule) => rule.gates ?? {})].flatMap(({ outage, irreversible }) => [
      outage,
      irreversible,
    ]);
    const deadlines = gates.flatMap((gate) => (gate?.deadline === undefined ? [] : [gate.deadline]));
    expect(deadlines.length).toBeGreaterThan(2);
    expect(policy.planValid).toBeGreaterThan(Math.max(...deadlines));
  });

  it('nothing decided by a claim, a protection or a budget goes on in silence', () => {
    for (const change of [{ proof: 'claim' }, { protected: true }, { budget: { spent: true } }] as const)
      expect(judgeSituation(policy, { ...base, ...change }, hashOf(policy)).gates.outage.onSilence).toBe('hold');
  });

  it.each([
    ['ordinary', false, 1, 1],
    ['elevated', false, 1, 2],
    ['administrator', false, 1, 2],
    ['unknown', false, 1, 2],
    ['ordinary', true, 2, 2],
    ['administrator', true, 2, 3],
  ] as const)(
    'privilege %s, reporters unsigned %s: %i at an outage, %i before what cannot be undone',
    (privilege, unsigned, outage, irreversible) => {
      const verdict = judgeSituation(policy, { ...base, privilege, unsigned }, hashOf(policy));
      expect([verdict.gates.outage.quorum, verdict.gates.irreversible.quorum]).toEqual([outage, irreversible]);
    },
  );

  it('asks for no more people than may answer, and says so', () => {
    const people = { responder: ['rita', 'scanner'], approver: ['rita'], 'security-lead': ['sam'] };
    const verdict = judgeSituation(policy, { ...base, unsigned: true, privilege: 'administrator', people }, hashOf(policy));
    expect([verdict.gates.outage.quorum, verdict.gates.irreversible.quorum]).toEqual([1, 2]);
    expect(verdict.reason).toContain('At the outage gate 2 should agree, and only 1 person holds a role for it.');
  });

  it('knows a protected thing by any of its names', () => {
    const protecting: Policy = { ...policy, protected: ['ci-deployer'] };
    const verdict = judgeSituation(protecting, base, hashOf(protecting));
    expect(verdict.rule).toBe('protected');
    expect(verdict.protected).toEqual(['ci-deployer']);
  });
});

describe('a broken policy file is refused with its place', () => {
  const fault = (from: string, to: string) => {
    const broken = text.replace(from, to);
    expect(broken).not.toBe(text);
    try {
      parsePolicy(broken, 'policy.yaml');
    } catch (error) {
      if (isFault(error)) return { code: error.code, ...error.context };
      throw error;
    }
    throw new Error('it was accepted');
  };
  const lineOf = (part: string) => text.slice(0, text.indexOf(part)).split('\n').length;

  it('a condition that does not parse names its rule and line', () => {
    const seen = fault('when: live == "no" && standing == 0', 'when: live == "no" && && standing == 0');
    expect(seen).toMatchObject({ code: 'file.invalid', file: 'policy.yaml', line: lineOf('when: live == "no"'), path: 'rules[6].when' });
    expect(seen).toHaveProperty('problem', expect.stringContaining('rule dead: Unexpected token'));
  });

  it.each([
    ['when: own', 'when: owned', 'rule own-credential: Unknown variable: owned'],
    ['when: proof == "claim"', 'when: proof == "claims"', 'rule claim: proof is never "claims"'],
    ['when: proof == "claim"', 'when: proof in ["claim", "rumour"]', 'rule claim: proof is never "rumour"'],
    ['when: canary', 'when: proof', 'rule canary: is a string, and not a yes or no'],
    ['when: consumers.production > 0', 'when: consumers.prod > 0', 'rule internal-production: No such key: prod'],
    ['when: "true"', 'when: live == "yes"', 'the last rule must always hold'],
    ['name: canary', 'name: dead', 'the name dead is taken'],
    [
      'deadline: 10m, reminders: [3m, 6m], onSilence: proceed',
      'deadline: 2m, reminders: [3m, 6m], onSilence: proceed',
      'a reminder comes after the deadline',
    ],
    ['reminders: [1h, 8h]', 'reminders: [1h, 30h]', 'a reminder comes after the deadline'],
    [
      '    escalateTo: [security-lead]\n    onSilence: hold',
      '    escalateTo: [security-lead]\n    onSilence: proceed',
      'silence never does what cannot be undone',
    ],
    ['mode: hold', 'mode: halt', 'Invalid option'],
    ['deadline: 24h', 'deadline: 1 day', 'expected a duration'],
    ['most: 3', 'most: 3\n  least: 1', 'no such key is known here'],
  ])('%s -> %s', (from, to, words) => {
    const seen = fault(from, to);
    expect(seen).toMatchObject({ code: 'file.invalid' });
    expect(JSON.stringify(seen)).toContain(words.replaceAll('"', '\\"'));
  });
});
