import { describe, expect, it } from 'vitest';
import type { InventoryFinding } from '../../domain/assessment.ts';
import { hashOf } from '../../domain/canonical.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { PlanStep } from '../../domain/plan.ts';
import { type Policy, parsePolicy } from '../../domain/policy.schema.ts';
import type { ReportRecord } from '../../domain/report.ts';
import { assessmentOf, situationOf } from '../../planning/facts.ts';
import { planRound } from '../../planning/plan.ts';
import { judgeSituation } from '../../planning/policy.ts';
import { a, account, arn, at, attackerKey, leakedKey, user } from '../planning/fixtures.ts';
import { policy, policyText, reportOf } from './bench.ts';

const people = { responder: ['rita', 'rob', 'sam'], approver: ['rita', 'sam'], 'security-lead': ['ada'] };
const leaked = { kind: 'aws.access-key', locator: { accessKeyId: leakedKey } } as const;
const hash = (n: number) => `sha256:${String(n).repeat(64)}` as const;
const sealedBy = (n: number) => ({ hash: hash(n), keyId: 'key' });

/** A report as the judge has it; unsigned where it is not said who signed. */
function body(over: Parameters<typeof reportOf>[0] = {}, record: Partial<ReportRecord> = {}): ReportRecord {
  return { report: reportOf({ credential: leaked, ...over }), receivedAt: at(0), proof: 'claim', ...record };
}

/** What the judge makes of reports and places, proven by possession where a blob is named. */
function judged(
  on: Policy,
  given: {
    readonly reports: readonly ReportRecord[];
    readonly exposures?: readonly InventoryFinding['exposure'][];
    readonly provenBy?: readonly ReturnType<typeof hash>[];
    readonly inventory?: Partial<InventoryFinding>;
    readonly ownTargets?: readonly string[];
    readonly nodes?: Parameters<typeof a.finding>[0];
  },
) {
  const hashes = given.reports.map((_, n) => hash(n));
  const worst = (['public', 'unknown', 'internal'] as const).find((each) => given.exposures?.includes(each)) ?? 'unknown';
  const inventory = a.inventory({
    exposure: worst,
    exposures: Object.fromEntries((given.exposures ?? []).map((each, n) => [hashes[n], each])),
    ...given.inventory,
  });
  const finding = a.finding(given.nodes ?? [a.keyNode(leakedKey)], {
    possession: given.provenBy ? yes(at(0), 'probe', 'accepted') : unknown(at(0), 'engine', 'not tried'),
    ...(given.provenBy ? { provenBy: given.provenBy } : {}),
    misuse: no(at(0), 'log', 'nothing unexplained'),
  });
  const assessment = assessmentOf({ reports: given.reports, reportHashes: hashes, inventory, finding, swept: finding.swept, known: [] });
  const accounts = [{ provider: 'aws', account, mode: 'act' as const }];
  const situation = situationOf({ assessment, inventory, done: [], people, accounts, ownTargets: given.ownTargets ?? [] });
  const verdict = judgeSituation(on, situation, hashOf(on));
  const plan = planRound(a.input(assessment, { verdict, inventory }));
  return { assessment, verdict, plan, unasked: plan.steps.filter((each) => each.gate === undefined && each.provider !== 'manual') };
}

const mine = body({ sealed: sealedBy(1) });

/** The same report with a person's signature under it, so that its word on when the leak began counts. */
const signed = {
  ...mine,
  proof: 'person-signed',
  signedBy: 'scanner',
  report: { ...mine.report, origin: { where: 'chat', committedAt: at(-60) } },
} as const;

describe('what is not proof widens nothing', () => {
  it('a proven leak in the house stays one of the house, whatever claims say of a public place', () => {
    const claims = Array.from({ length: 5 }, (_, n) => body({ note: `claim ${n}` }));
    const { assessment, verdict, unasked } = judged(policy, {
      reports: [mine, ...claims],
      exposures: ['internal', 'public', 'public', 'public', 'public', 'public'],
      provenBy: [hash(1)],
    });
    expect([assessment.proof, assessment.exposure, verdict.mode, unasked]).toEqual(['possession', 'internal', 'ask', []]);
  });

  it('a place that names the blob of somebody else’s proof is not proven with it', () => {
    const { assessment, unasked } = judged(policy, {
      reports: [mine, body({ sealed: sealedBy(1), note: 'I have it too' })],
      exposures: ['internal', 'public'],
      provenBy: [hash(1)],
    });
    expect([assessment.exposure, unasked]).toEqual(['internal', []]);
  });

  it('whoever brings the secret from a public place makes it public', () => {
    const { assessment, verdict, unasked } = judged(policy, {
      reports: [mine, body({ sealed: sealedBy(2), note: 'seen in the open' })],
      exposures: ['internal', 'public'],
      provenBy: [hash(1), hash(2)],
    });
    expect([assessment.exposure, verdict.mode]).toEqual(['public', 'act']);
    expect(unasked.length).toBeGreaterThan(0);
  });

  it('a secret that was proven for nobody who reported is no proof', () => {
    const { assessment, unasked } = judged(policy, { reports: [body()], exposures: ['public'], provenBy: [hash(7)] });
    expect([assessment.proof, unasked]).toEqual(['claim', []]);
  });

  it('a public leak turns no second key off unasked on the date of a claim, and does on that of a person who signed', () => {
    const nodes = [a.keyNode(leakedKey), a.keyNode(attackerKey, { issuedAt: at(-3600) })];
    const origin = { where: 'repository', committedAt: at(-86_400 * 365) } as const;
    const claimed = judged(policy, {
      reports: [body({ sealed: sealedBy(1), origin }), body({ note: 'older', origin })],
      exposures: ['public', 'public'],
      provenBy: [hash(1)],
      nodes,
    });
    const second = (steps: readonly PlanStep[]) => steps.filter((each) => each.target.accessKeyId === attackerKey);
    expect(claimed.verdict.mode).toBe('act');
    expect([second(claimed.unasked).length, second(claimed.plan.steps)[0]?.gate]).toEqual([0, expect.stringContaining('g-doubt')]);
    const said = judged(policy, {
      reports: [
        body(
          { sealed: sealedBy(1), origin: { where: 'repository', committedAt: at(-7200) } },
          { proof: 'person-signed', signedBy: 'scanner' },
        ),
      ],
      exposures: ['public'],
      provenBy: [hash(1)],
      nodes,
    });
    expect(second(said.unasked)).toHaveLength(1);
  });

  it('claims in the names of all who may decide bar none of them, and raise the quorum instead of lowering it', () => {
    const named = ['rita', 'sam', 'ada'].map((reporter) => body({ reporter, note: `by ${reporter}` }));
    const { verdict } = judged(policy, {
      reports: [mine, ...named],
      exposures: ['internal', 'public', 'public', 'public'],
      provenBy: [hash(1)],
    });
    expect(verdict.barred).toEqual(['olga']);
    expect(verdict.gates.outage.quorum).toBe(2);
    const signed = judged(policy, {
      reports: [{ ...mine, proof: 'person-signed', signedBy: 'rita' }, ...named],
      exposures: ['internal'],
      provenBy: [hash(1)],
    });
    expect([signed.verdict.barred, signed.verdict.gates.outage.quorum]).toEqual([['rita', 'olga'], 1]);
  });
});

const proven = { reports: [mine], exposures: ['public'], provenBy: [hash(1)] } as const;
const shielded: readonly (readonly [by: string, entry: Policy['protected'][number], inventory: Partial<InventoryFinding>])[] = [
  ['name of the key', leakedKey, {}],
  ['name of the user', user, {}],
  ['ARN', { name: arn, why: 'the night shift' }, {}],
  ['account', { account, why: 'production' }, {}],
  ['kind', { kind: 'aws.access-key' }, {}],
  ['tag of the principal', { tag: 'break-glass' }, { tagged: [{ name: arn, tags: ['break-glass'] }] }],
  ['tag of a consumer', { tag: 'payment' }, { tagged: [{ name: 'deploy', tags: ['payment'] }] }],
];

describe('a protected thing', () => {
  it('is acted on at once where nothing protects it', () => {
    expect(judged(policy, proven).unasked.length).toBeGreaterThan(0);
  });

  it.each(shielded)('by %s is never touched unasked, and silence does nothing', (by, entry, inventory) => {
    const { verdict, unasked } = judged({ ...policy, protected: [entry] }, { ...proven, inventory });
    console.log(`  protected by ${by}: ${verdict.rule}, ${verdict.mode}, ${unasked.length} unasked; ${verdict.reason}`);
    expect([verdict.rule, verdict.mode, verdict.gates.outage.onSilence, unasked]).toEqual(['protected', 'ask', 'hold', []]);
  });

  it('by the inventory is never touched unasked either', () => {
    expect(judged(policy, { ...proven, inventory: { protectedTargets: [user] } }).unasked).toEqual([]);
  });

  it('that only a descendant of the leak is, is asked about before it is touched, and the leaked one is contained meanwhile', () => {
    const nodes = [a.keyNode(leakedKey), a.keyNode(attackerKey, { issuedAt: at(-10) })];
    const { plan, unasked } = judged({ ...policy, protected: [attackerKey] }, { ...proven, reports: [signed], nodes });
    expect(unasked.some((each) => each.target.accessKeyId === leakedKey)).toBe(true);
    expect(plan.steps.filter((each) => each.target.accessKeyId === attackerKey).map((each) => each.gate)).toEqual(['g-protected']);
  });

  it.each(['{ tags: payment }', '{ kind: aws.* }', '{ account: "1", kind: x }'])('%s in the file is refused with its line', (entry) => {
    const text = policyText.replace('  - { tag: payment, why: an outage costs money by the minute }', `  - ${entry}`);
    expect(() => parsePolicy(text, 'policy.yaml')).toThrow(/policy\.yaml.*line/);
  });
});

describe('what the engine itself stands on', () => {
  it.each([
    ['key', leakedKey],
    ['user', user],
    ['ARN', arn],
  ])('is only observed where the leaked %s is it: everybody is named, and the plan is a sheet to be done by hand', (_, own) => {
    const { verdict, plan, unasked } = judged(policy, { ...proven, ownTargets: [own] });
    expect([verdict.rule, verdict.mode, unasked]).toEqual(['own-credential', 'hold', []]);
    expect(new Set(plan.steps.map((each) => each.provider))).toEqual(new Set(['manual']));
    expect(plan.steps.every((each) => each.byHand.length > 0 && !each.title.startsWith('By hand: By hand'))).toBe(true);
    expect(plan.gates.map((each) => each.rule.onSilence)).toEqual(['hold']);
    for (const each of ['ada', 'rita', 'rob', 'sam']) expect(verdict.reason).toContain(each);
    expect(plan.steps.some((each) => each.target.of === 'aws/disable-key')).toBe(true);
  });

  it('is not planned for the engine where only a descendant is it', () => {
    const nodes = [a.keyNode(leakedKey), a.keyNode(attackerKey, { issuedAt: at(-10) })];
    const { verdict, plan } = judged(policy, { ...proven, reports: [signed], nodes, ownTargets: [attackerKey] });
    expect(verdict.mode).toBe('act');
    const touching = plan.steps.filter((each) => Object.values(each.target).includes(attackerKey));
    expect(touching.map((each) => each.provider)).toEqual(['manual']);
    expect(plan.steps.some((each) => each.action === 'aws/disable-key' && each.target.accessKeyId === leakedKey)).toBe(true);
  });

  it('a worker says so of its own account, and that is enough', () => {
    const inventory = a.inventory({ exposure: 'public' });
    const finding = { ...a.finding([a.keyNode(leakedKey)]), own: [user] };
    const situation = situationOf({ assessment: a.assessment(finding), inventory, done: [], people });
    expect([situation.own, judgeSituation(policy, situation, hashOf(policy)).rule]).toEqual([true, 'own-credential']);
  });
});

describe('a spent budget', () => {
  it('is asked about, silence does nothing, and its name stands in the record', () => {
    const inventory = a.inventory({ exposure: 'public' });
    const situation = situationOf({
      assessment: a.assessment(a.finding([a.keyNode(leakedKey)])),
      inventory,
      done: [],
      people,
      budgetSpent: 'per-reporter',
    });
    const verdict = judgeSituation(policy, situation, hashOf(policy));
    expect([verdict.rule, verdict.mode, verdict.gates.outage.onSilence, verdict.budget]).toEqual([
      'budget-spent',
      'ask',
      'hold',
      { spent: 'per-reporter' },
    ]);
  });
});
