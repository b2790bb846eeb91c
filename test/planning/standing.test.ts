import { describe, expect, it } from 'vitest';
import { signAuthorisation } from '../../audit/authorisations.ts';
import { newKey, type PrivateKey, trustedKeyOf } from '../../audit/keys.ts';
import { verifyEnvelope } from '../../audit/signing.ts';
import type { Assessment, ProviderFinding } from '../../domain/assessment.ts';
import {
  type Authorisation,
  authorisationHash,
  casualtiesOf,
  faultOfAuthorisation,
  isOneWay,
  type SignedAuthorisation,
} from '../../domain/authorisation.ts';
import { hashOf } from '../../domain/canonical.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import { type Plan, planHash, stepKey } from '../../domain/plan.ts';
import type { Verdict } from '../../domain/policy.ts';
import type { AnyRecord, RecordAs } from '../../domain/record-bodies.ts';
import type { People, Trust } from '../../domain/trust.ts';
import { checkWarrant, type WarrantQuestion } from '../../domain/warrant.ts';
import type { PlanInput } from '../../planning/input.ts';
import { planRound } from '../../planning/plan.ts';
import { brokenRules } from '../../planning/rules.ts';
import { a, at } from './fixtures.ts';
import { about, forge, node, safe, systems } from './systems.ts';

const period = { from: at(-100_000), until: at(10_000_000) };
const keys = {
  judge: newKey({ role: 'judge', ...period }),
  worker: newKey({ role: 'worker', ...period, provider: 'forge', account: 'here' }),
  other: newKey({ role: 'worker', ...period, provider: 'forge', account: 'elsewhere' }),
  ada: newKey({ role: 'person', ...period, person: 'ada' }),
  ben: newKey({ role: 'person', ...period, person: 'ben' }),
  cleo: newKey({ role: 'person', ...period, person: 'cleo' }),
  old: newKey({ role: 'person', from: at(-100_000), until: at(-10), person: 'ben' }),
} as const;
const people: People = {
  v: 1,
  people: [
    { id: 'ada', name: 'Ada', roles: ['approver'] },
    { id: 'ben', name: 'Ben', roles: ['security-lead'] },
    { id: 'cleo', name: 'Cleo', roles: ['responder'] },
  ],
};
const trust: Trust = {
  v: 1,
  engine: 'eng_test',
  serial: 1,
  issuedAt: period.from,
  keys: Object.values(keys).map(trustedKeyOf),
  people: hashOf(people),
  code: [],
};
const authorisation: Authorisation = {
  v: 1,
  engine: 'eng_test',
  id: 'auth_test',
  kinds: ['forge.token'],
  perHour: 3,
  cascadeMs: 600_000,
  reason: 'A token in public is worse than a build that stands still.',
  notBefore: at(-1000),
  expires: at(1_000_000),
};
const signedBy = (signers: readonly PrivateKey[], over: Partial<Authorisation> = {}): SignedAuthorisation =>
  signers.reduce(signAuthorisation, { authorisation: { ...authorisation, ...over }, signatures: [] } as SignedAuthorisation);
const signed = signedBy([keys.ada, keys.ben]);
const judging = { engine: 'eng_test', trust, people, verify: verifyEnvelope, now: at(20) };

const leaked = node('forge.token', { hashed: 'h1' });
const deploy = (id: string, over = {}) =>
  node('forge.deploy-key', { repository: 'shop', id }, { derivedVia: 'personal token', issuedAt: at(-50_000), ...over });
const used = { lastUsed: { at: at(-30) } };
const edgeTo = (id: string) => a.edge(leaked.id, `forge.deploy-key:${id}/shop`);
const verdictUnder = (of: SignedAuthorisation, over: Partial<Verdict> = {}): Verdict =>
  a.verdict({
    authorised: {
      authorisation: authorisationHash(of),
      id: of.authorisation.id,
      cascadeMs: of.authorisation.cascadeMs,
      expires: of.authorisation.expires,
    },
    ...over,
  });

describe('what people sign beforehand', () => {
  it('is leave while two of them, of the right roles, vouch for it by keys that are good now', () => {
    expect(faultOfAuthorisation(signed, judging)).toBeUndefined();
  });

  it.each<
    [string, SignedAuthorisation, Partial<typeof judging> & { readonly quorum?: number; readonly roles?: readonly string[] }, string]
  >([
    ['of one person alone', signedBy([keys.ada]), {}, 'signed by 1 of 2'],
    ['of one person with two keys', signedBy([keys.old, keys.ben]), { now: at(-20) }, 'signed by 1 of 2'],
    ['of somebody who may not', signedBy([keys.ada, keys.cleo]), {}, 'signed by 1 of 2'],
    ['by a key that has ended since', signedBy([keys.ada, keys.old]), {}, 'signed by 1 of 2'],
    ['changed after it was signed', { ...signed, authorisation: { ...authorisation, perHour: 1000 } }, {}, 'signed by 0 of 2'],
    ['where the policy wants three', signed, { quorum: 3 }, 'signed by 2 of 3'],
    ['where the policy wants others', signed, { roles: ['security-lead'] }, 'signed by 1 of 2'],
    ['before its time', signed, { now: at(-2000) }, 'begins at'],
    ['after its time', signed, { now: at(1_000_000) }, 'has expired'],
    ['of another engine', signed, { engine: 'eng_other' }, 'another engine'],
    ['for years', signedBy([keys.ada, keys.ben], { expires: at(500 * 86_400) }), {}, 'longer than any may'],
  ])('is none %s', (_, given, over, words) => {
    expect(faultOfAuthorisation(given, { ...judging, ...over })).toContain(words);
  });

  it('a policy that would make do with one person, or with anybody, is not heard', () => {
    expect(faultOfAuthorisation(signedBy([keys.ada]), { ...judging, quorum: 1 })).toContain('signed by 1 of 2');
    expect(faultOfAuthorisation(signedBy([keys.ada, keys.cleo]), { ...judging, roles: ['approver', 'responder'] })).toContain('1 of 2');
  });
});

describe('what would die with a token', () => {
  const casualties = (
    nodes: ReturnType<typeof deploy>[],
    over: Partial<ProviderFinding> = {},
    exposedSince: string | undefined = at(-60),
  ) => {
    const edges = [...nodes.map((each) => a.edge(leaked.id, each.id)), ...(over.graph?.edges ?? [])];
    const finding = {
      ...a.finding([leaked, ...nodes], { provider: 'forge', account: 'here' }, edges),
      ...over,
      graph: { nodes: [leaked, ...nodes], edges },
    };
    return casualtiesOf(
      { credential: { kind: 'forge.token', locator: { hashed: 'h1' } }, finding, ...(exposedSince ? { exposedSince } : {}) },
      forge,
      'revoke-token',
    );
  };

  it('is what was made with it and is in use', () => {
    expect(casualties([deploy('1', used), deploy('2')])).toEqual(['forge.deploy-key:1/shop']);
    const { credential, ...bare } = deploy('3');
    expect(
      casualties([{ ...bare, credential: { ...(credential as object), live: no(at(0), 'administrator', 'gone'), ...used } as never }]),
    ).toEqual([]);
  });

  it('not what outlives it', () => {
    expect(casualties([deploy('1', { ...used, derivedVia: 'app' })])).toEqual([]);
  });

  it('not what came after the leak, unless a declared consumer uses it: a thief must not buy time with a key of their own', () => {
    const late = deploy('1', { ...used, issuedAt: at(-30) });
    expect(casualties([late])).toEqual([]);
    expect(casualties([late], { seen: [{ consumer: 'build', credential: late.id, lastAt: at(-1) }] })).toEqual([late.id]);
    expect(casualties([late], { graph: { nodes: [], edges: [a.edge(late.id, 'build', 'used-by')] } })).toEqual([late.id]);
  });

  it('a token that can be turned off, or that nobody ends by that action, has another way', () => {
    expect(isOneWay(forge, { kind: 'forge.token', locator: {} }, 'revoke-token')).toBe(true);
    expect(isOneWay(systems.cloud, { kind: 'cloud.account-key', locator: {} }, 'delete-key')).toBe(false);
    expect(isOneWay(safe, { kind: 'safe.token', locator: {} }, 'disable-entity')).toBe(false);
    expect(isOneWay(undefined, { kind: 'forge.token', locator: {} }, 'revoke-token')).toBe(false);
  });
});

describe('a plan under a standing authorisation', () => {
  const planned = (input: PlanInput): Plan => {
    const made = planRound(input);
    expect(brokenRules(made, input)).toEqual([]);
    return made;
  };
  const verdict = verdictUnder(signed);

  it('ends the token at once, names the authorisation, and says whose leave it is', () => {
    const made = planned(about('forge', [leaked], { input: { verdict } }));
    expect([made.purpose, made.gates]).toEqual(['contain', []]);
    expect(made.steps).toMatchObject([
      { action: 'forge/revoke-token', reversibility: 'irreversible', authorisation: authorisationHash(signed) },
    ]);
    expect(made.steps[0]?.gate).toBeUndefined();
    expect(made.notes.join(' ')).toContain('nobody is asked: the standing authorisation auth_test');
  });

  it('asks for ten minutes where what is in use would die with it, and silence is leave', () => {
    const made = planned(about('forge', [leaked, deploy('1', used)], { edges: [edgeTo('1')], input: { verdict } }));
    expect(made.steps).toMatchObject([{ action: 'forge/revoke-token', gate: 'g-cascade', authorisation: authorisationHash(signed) }]);
    expect(made.gates).toMatchObject([
      { reason: 'irreversible', rule: { deadlineMs: 600_000, reminderMs: [200_000, 400_000], onSilence: 'proceed' } },
    ]);
    expect(made.gates[0]?.question).toContain('forge.deploy-key is in use and would die with it');
  });

  it('asks about everything else: what the leak made, what is protected, a claim, and where policy asks', () => {
    const others = planned(about('forge', [leaked, deploy('2', { derivedVia: 'app' })], { edges: [edgeTo('2')], input: { verdict } }));
    expect(others.steps.map((each) => [each.action, each.gate, each.authorisation !== undefined])).toEqual([
      ['forge/revoke-token', undefined, true],
      ['forge/delete-deploy-key', 'g-irreversible', false],
    ]);
    const guarded = about('forge', [leaked], { input: { verdict: { ...verdict, protected: ['h1'] } } });
    expect(planned(guarded).steps).toMatchObject([{ gate: 'g-irreversible' }]);
    const claim = about('forge', [leaked], { assessment: { proof: 'claim' }, input: { verdict: a.verdict() } });
    expect(planned(claim).steps.every((each) => each.gate !== undefined && each.authorisation === undefined)).toBe(true);
    const asked = about('forge', [leaked], { input: { verdict: { ...verdict, mode: 'ask' } } });
    expect(planned(asked).steps.every((each) => each.authorisation === undefined)).toBe(true);
  });

  it('a plan that names it where it is no leave breaks the rules', () => {
    const input = about('forge', [leaked], { input: { verdict } });
    const made = planRound(input);
    const under = (over: Partial<PlanInput>, change: Partial<Plan> = {}) =>
      brokenRules({ ...made, ...change }, { ...input, ...over }).map(({ rule }) => rule);
    expect(under({})).toEqual([]);
    expect(under({ verdict: a.verdict() })).toContain('5-irreversible-last-and-gated');
    expect(under({ assessment: { ...input.assessment, exposure: 'internal' } })).toContain('5-irreversible-last-and-gated');
    expect(under({ assessment: { ...input.assessment, proof: 'person-signed' } })).toContain('5-irreversible-last-and-gated');
    const hurting = about('forge', [leaked, deploy('1', used)], { edges: [edgeTo('1')], input: { verdict } });
    expect(under({ assessment: hurting.assessment })).toContain('5-irreversible-last-and-gated');
    expect(under({}, { steps: made.steps.map(({ authorisation: _, ...step }) => step) })).toContain('5-irreversible-last-and-gated');
  });
});

describe('a worker takes a standing authorisation for leave', () => {
  const place = { engine: 'eng_test', incident: 'leak/abc', run: 'run-1', round: 1 };
  const recordOf = <T extends AnyRecord['type']>(key: PrivateKey, type: T, body: RecordAs<T>['body'], standsOn: readonly string[] = []) =>
    ({ v: 1, type, ...place, at: at(12), by: key.id, standsOn, body }) as unknown as RecordAs<T>;

  /** A warrant that holds, with one thing changed in what it stands on. */
  function question(
    over: {
      readonly input?: PlanInput;
      readonly authorisation?: SignedAuthorisation;
      readonly assessment?: Partial<Assessment>;
      readonly verdict?: Partial<Verdict>;
      readonly plan?: (plan: Plan) => Plan;
      readonly finder?: PrivateKey;
      readonly found?: Partial<ProviderFinding>;
      readonly warrant?: Partial<WarrantQuestion>;
      readonly standing?: Partial<NonNullable<WarrantQuestion['standing']>>;
    } = {},
  ): WarrantQuestion {
    const given = over.authorisation ?? signed;
    const verdict = { ...verdictUnder(given), ...over.verdict };
    const input = { ...(over.input ?? about('forge', [leaked])), verdict: verdictUnder(given) };
    const own = { ...input.assessment.finding, credential: input.assessment.credential };
    const assessment = { ...input.assessment, finding: own, ...over.assessment };
    const finding = recordOf(over.finder ?? keys.worker, 'finding', { ...own, ...over.found });
    const findingHash = hashOf(finding);
    const assessed = recordOf(keys.judge, 'assessment', assessment, [findingHash]);
    const judged = recordOf(keys.judge, 'verdict', verdict);
    const made = planRound({ ...input, assessmentHash: hashOf(assessed), verdictHash: hashOf(judged) });
    const plan = over.plan ? over.plan(made) : made;
    const step = plan.steps[0];
    if (!step) throw new Error('the plan has a step');
    const planRecord = recordOf(keys.judge, 'plan', plan);
    return {
      warrant: {
        incident: place.incident,
        run: place.run,
        round: 1,
        plan: hashOf(planRecord),
        step: step.id,
        decisions: [],
        snapshot: hashOf('snapshot'),
      },
      plan: planRecord,
      snapshot: recordOf(keys.worker, 'snapshot', { befores: { [stepKey(step.action, step.target)]: {} }, evidence: {} }),
      authorities: [],
      provider: 'forge',
      account: 'here',
      mode: 'act',
      irreversible: true,
      ownTargets: [],
      trust,
      people,
      now: at(20),
      executing: { workflowId: place.incident, runId: place.run },
      verify: verifyEnvelope,
      standing: {
        signed: given,
        manifest: forge,
        assessment: { hash: hashOf(assessed), record: assessed },
        verdict: { hash: hashOf(judged), record: judged },
        finding: { hash: findingHash, record: finding },
        findings: [finding],
        ...over.standing,
      },
      ...over.warrant,
    };
  }
  const answer = (over: Parameters<typeof question>[0] = {}) => {
    const given = checkWarrant(question(over));
    return given.ok ? 'ok' : `${given.code}: ${given.words}`;
  };

  it('for a proven, public leak of a kind that it names', () => {
    expect(checkWarrant(question())).toMatchObject({ ok: true, authorised: signed });
  });

  it.each<[string, NonNullable<Parameters<typeof question>[0]>, string]>([
    ['that is not in force here', { standing: { signed: undefined } }, 'not in force here'],
    ['another than the plan names', { standing: { signed: signedBy([keys.ada, keys.ben], { perHour: 4 }) } }, 'not in force here'],
    ['that one person signed', { authorisation: signedBy([keys.ada]) }, 'signed by 1 of 2'],
    ['that has expired since the plan was made', { authorisation: signedBy([keys.ada, keys.ben], { expires: at(15) }) }, 'has expired'],
    ['for another kind', { authorisation: signedBy([keys.ada, keys.ben], { kinds: ['forge.deploy-key'] }) }, 'other kinds'],
    ['where the leak is internal', { assessment: { exposure: 'internal' } }, 'internal, not public'],
    ['where nothing but a claim proves it', { assessment: { proof: 'claim' } }, 'is a claim'],
    ['where the issuer’s word proves it, and no secret', { assessment: { proof: 'issuer-signed' } }, 'is a issuer-signed'],
    ['where one person’s word proves it', { assessment: { proof: 'person-signed' } }, 'is a person-signed'],
    ['that the verdict does not rest on', { verdict: { authorised: undefined as never } }, 'does not rest on'],
    [
      'where the assessment is of something else',
      { assessment: { credential: { kind: 'forge.token', locator: { hashed: 'h2' } } } },
      'another credential',
    ],
    ['where another account’s worker found it', { finder: keys.other }, 'does not stand on what the worker'],
    [
      'where the judge told another story than the worker',
      { found: { misuse: yes(at(0), 'log', 'x') } },
      'does not stand on what the worker',
    ],
    [
      'for a step on another credential',
      { plan: (plan) => ({ ...plan, steps: plan.steps.map((each) => ({ ...each, target: { account: 'here', hashed: 'h9' } })) }) },
      'another credential than the leaked one',
    ],
    ['in a plan that does more than contain', { plan: (plan) => ({ ...plan, purpose: 'rotate' }) }, 'does not contain unasked'],
    [
      'where the provider can turn it off as well',
      {
        standing: {
          manifest: {
            ...forge,
            kinds: forge.kinds.map((kind) => ({ ...kind, ways: { ...kind.ways, disable: kind.ways?.remove as never } })),
          },
        },
      },
      'not the only way',
    ],
    ['without the provider’s own manifest', { standing: { manifest: undefined } }, 'not the only way'],
    [
      'that the step does not name',
      { plan: (plan) => ({ ...plan, steps: plan.steps.map(({ authorisation: _, ...each }) => each) }) },
      'asks nobody',
    ],
    ['where the worker knows of none', { warrant: { standing: undefined as never } }, 'no standing authorisation is known here'],
  ])('and none %s', (_, over, words) => {
    expect(answer(over)).toContain(words);
    expect(answer(over)).toContain('warrant.gate-unsatisfied');
  });

  it('where this account’s worker has seen the secret to be real, in whichever round, and on nobody else’s word', () => {
    const doubt = about('forge', [leaked], { finding: { possession: unknown(at(0), 'engine', 'tried before') } });
    expect(answer({ input: doubt })).toContain('has not seen the leaked secret');
    const asked = question({ input: doubt });
    const standing = asked.standing as NonNullable<typeof asked.standing>;
    const earlier = (key: PrivateKey, over: Partial<ProviderFinding> = {}, where: Partial<typeof place> = {}) => {
      const credential = doubt.assessment.credential;
      const body = { ...doubt.assessment.finding, credential, possession: yes(at(0), 'probe', 'accepted'), ...over };
      return { ...recordOf(key, 'finding', body), ...where } as RecordAs<'finding'>;
    };
    const under = (record: RecordAs<'finding'>) =>
      checkWarrant({ ...asked, standing: { ...standing, findings: [...standing.findings, record] } }).ok;
    expect(under(earlier(keys.worker))).toBe(true);
    expect(under(earlier(keys.other))).toBe(false);
    expect(under(earlier(keys.judge))).toBe(false);
    expect(under(earlier(keys.worker, {}, { run: 'run-0' }))).toBe(false);
    expect(under(earlier(keys.worker, { credential: { kind: 'forge.token', locator: { hashed: 'h2' } } }))).toBe(false);
  });

  const hurting = about('forge', [leaked, deploy('1', used)], { edges: [edgeTo('1')] });
  const silence = (plan: Plan, second: number): AnyRecord =>
    ({
      ...recordOf(keys.judge, 'gate', {
        gate: 'g-cascade',
        planHash: planHash(plan),
        event: 'defaulted',
        at: at(second),
        deadlineAt: at(second),
        onSilence: 'proceed',
        told: ['ada'],
        acknowledgedBy: 'record',
      }),
      at: at(second),
    }) as AnyRecord;

  it('after silence, where others would die with it, and not before', () => {
    const asked = question({ input: hurting });
    const plan = asked.plan.body;
    expect(checkWarrant(asked)).toMatchObject({ ok: false, code: 'warrant.gate-unsatisfied' });
    expect(checkWarrant({ ...asked, now: at(700), authorities: [silence(plan, 500)] })).toMatchObject({ ok: false });
    expect(checkWarrant({ ...asked, now: at(700), authorities: [silence(plan, 612)] })).toMatchObject({ ok: true, authorised: signed });
    // The same silence is none once the authorisation is not there any more.
    const gone = { ...(asked.standing as NonNullable<typeof asked.standing>), signed: undefined };
    expect(checkWarrant({ ...asked, standing: gone, now: at(700), authorities: [silence(plan, 612)] })).toMatchObject({ ok: false });
  });

  it('never unasked where others would die with it, whatever a judge has signed', () => {
    const ungated = (plan: Plan): Plan => ({ ...plan, gates: [], steps: plan.steps.map(({ gate: _, ...each }) => each) });
    expect(answer({ input: hurting, plan: ungated })).toContain('would die with it, and people are not asked');
    const short = (plan: Plan): Plan => ({
      ...plan,
      gates: plan.gates.map((gate) => ({ ...gate, rule: { ...gate.rule, deadlineMs: 1000 } })),
    });
    const quick = question({ input: hurting, plan: short });
    const told = checkWarrant({ ...quick, now: at(700), authorities: [silence(quick.plan.body, 20)] });
    expect(told).toMatchObject({ ok: false, words: expect.stringContaining('not asked for 600000 ms') });
  });
});
