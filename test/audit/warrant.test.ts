import { describe, expect, it } from 'vitest';
import { signerFrom, verifyEnvelope } from '../../audit/signing.ts';
import type { Hash } from '../../domain/canonical.ts';
import { registry } from '../../domain/errors.ts';
import type { RevertInput, StepRecord } from '../../domain/execution.ts';
import { holdId } from '../../domain/manifest.ts';
import { unknown, yes } from '../../domain/observation.ts';
import { type Plan, planHash, stepKey } from '../../domain/plan.ts';
import { PayloadType } from '../../domain/record.ts';
import type { AnyRecord } from '../../domain/record-bodies.ts';
import { checkWarrant, type WarrantQuestion } from '../../domain/warrant.ts';
import {
  decided,
  decisionRecord,
  failureRecord,
  gateOf,
  keys,
  people,
  place,
  planOf,
  recordBy,
  stepOf,
  times,
  trust,
} from './authority.ts';

const planAddress: Hash = `sha256:${'c'.repeat(64)}`;
const free = stepOf();
const gated = stepOf({ gate: 'g-outage' });
const withSteps = (...steps: Plan['steps']) => planOf({ steps });

/** A warrant that holds, over the plan given, with what is to be changed in it. */
function question(plan: Plan, change: Partial<WarrantQuestion> = {}): WarrantQuestion {
  const step = plan.steps[0] ?? free;
  return {
    warrant: { ...place, plan: planAddress, step: step.id, decisions: [], snapshot: planAddress },
    plan: recordBy(keys.judge, 'plan', plan, times.planned),
    snapshot: recordBy(keys.worker, 'snapshot', { befores: { [stepKey(step.action, step.target)]: { status: 'Active' } }, evidence: {} }),
    authorities: [],
    provider: 'aws',
    account: '1',
    mode: 'act',
    ownTargets: ['AKIAENGINE'],
    trust,
    people,
    now: times.now,
    executing: { workflowId: place.incident, runId: place.run },
    verify: verifyEnvelope,
    ...change,
  };
}
const ask = (plan: Plan, change: Partial<WarrantQuestion> = {}) => {
  const answer = checkWarrant(question(plan, change));
  return answer.ok ? 'ok' : answer.code;
};
const plain = withSteps(free);
const behindGate = withSteps(gated);
const approved = (plan: Plan, ...authorities: AnyRecord[]) => ask(plan, { authorities });

function revertOf(plan: Plan, because: AnyRecord | undefined, change: Partial<WarrantQuestion> = {}): string {
  const base = question(plan);
  const revert: RevertInput = { warrant: base.warrant, because: planAddress, made: {} };
  return ask(plan, { revert, authorities: because ? [because] : [], ...change });
}
const rollback = (plan: Plan, change: Parameters<typeof decided>[1] = {}) =>
  decided(plan, { verdict: 'rollback', gate: 'incident', ...change });

function defaultOf(plan: Plan, change: Record<string, unknown> = {}, key = keys.judge, at = '2026-03-01T12:15:00.000Z'): AnyRecord {
  return recordBy(
    key,
    'gate',
    {
      gate: 'g-outage',
      planHash: planHash(plan),
      event: 'defaulted',
      at,
      deadlineAt: at,
      onSilence: 'proceed',
      told: ['ada'],
      acknowledgedBy: 'record',
      ...change,
    },
    at,
  );
}

/** A plan whose second step needs its first, asked for the second. */
const needed = stepOf({ id: 'first' });
const chained = withSteps(stepOf({ id: 'second', needs: ['first'] }), needed);
function done(change: Partial<Record<keyof StepRecord, unknown>> = {}, key = keys.worker): AnyRecord {
  const body = {
    plan: planAddress,
    step: 'first',
    action: needed.action,
    direction: 'apply',
    attempt: 1,
    outcome: 'changed',
    observation: yes(times.now, 'probe', 'seen'),
    requestIds: [],
    ...change,
  };
  return recordBy(key, 'step', body as unknown as StepRecord);
}
const needing = (first: AnyRecord) => ask(chained, { needs: { first } });

describe('a warrant that holds', () => {
  it('lets a step be taken whose need is shown to be done, and a revert without', () => {
    expect(needing(done())).toBe('ok');
    expect(revertOf(chained, decisionRecord(rollback(chained)))).toBe('ok');
  });

  it('lets a step without a gate be taken by the run of its plan', () => {
    const answer = checkWarrant(question(plain));
    expect(answer).toEqual({ ok: true, approved: false, plan: plain, step: free });
  });

  it('lets a step that a principal-hold takes be taken by that hold, in whatever run of it', () => {
    const held = withSteps(stepOf({ hold: 'arn:aws:iam::1:user/ci' }));
    expect(ask(held, { executing: { workflowId: holdId('aws', '1', 'arn:aws:iam::1:user/ci'), runId: 'any' } })).toBe('ok');
  });

  it('lets a step be taken behind an approved gate', () => {
    expect(approved(behindGate, decisionRecord(decided(behindGate)))).toBe('ok');
    const two = planOf({ steps: [gated], gates: [gateOf({ rule: { quorum: 2 } })] });
    expect(approved(two, decisionRecord(decided(two)), decisionRecord(decided(two, { by: 'ben' })))).toBe('ok');
  });

  it('names who approved, as the signatures have it, and nobody where silence opened the gate', () => {
    const decision = decisionRecord(decided(behindGate));
    const base = question(behindGate);
    expect(checkWarrant({ ...base, authorities: [decision] })).toMatchObject({ ok: true, approvals: [{ by: 'ada', at: decision.at }] });
    const proceed = planOf({ steps: [gated], gates: [gateOf({ rule: { onSilence: 'proceed' } })] });
    expect(checkWarrant({ ...question(proceed), authorities: [defaultOf(proceed)] })).not.toHaveProperty('approvals');
  });

  it('takes back what a dismissed incident did, as a rollback does', () => {
    expect(revertOf(plain, decisionRecord(decided(plain, { verdict: 'dismiss', gate: 'incident' })))).toBe('ok');
  });

  it('takes a signature for what cannot be undone, whatever the plan says of gates, silence and quorum', () => {
    expect(ask(plain, { irreversible: true })).toBe('warrant.gate-unsatisfied');
    const proceed = planOf({ steps: [gated], gates: [gateOf({ rule: { onSilence: 'proceed' } })] });
    expect(ask(proceed, { irreversible: true, authorities: [defaultOf(proceed)] })).toBe('warrant.gate-unsatisfied');
    const nobody = planOf({ steps: [gated], gates: [gateOf({ rule: { quorum: 0 } })] });
    expect(ask(nobody, { irreversible: true })).toBe('warrant.gate-unsatisfied');
    expect(ask(behindGate, { irreversible: true, authorities: [decisionRecord(decided(behindGate))] })).toBe('ok');
  });

  it('lets silence do what the plan says it means', () => {
    const proceed = planOf({ steps: [gated], gates: [gateOf({ rule: { onSilence: 'proceed' } })] });
    expect(approved(proceed, defaultOf(proceed))).toBe('ok');
    const harmless = planOf({
      steps: [stepOf({ gate: 'g-outage', impact: 'none' })],
      gates: [gateOf({ rule: { onSilence: 'harmless' } })],
    });
    expect(approved(harmless, defaultOf(harmless))).toBe('ok');
  });

  it('lets a step be taken back by a signed rollback, also over a later plan and after the plan has expired', () => {
    expect(revertOf(behindGate, decisionRecord(rollback(behindGate)))).toBe('ok');
    const later = planOf({ round: 3 });
    expect(revertOf(behindGate, decisionRecord(rollback(later, { round: 3 })))).toBe('ok');
    expect(revertOf(behindGate, decisionRecord(rollback(behindGate)), { now: '2026-03-02T00:00:00.000Z' })).toBe('ok');
  });
});

describe('a warrant with one thing wrong is refused by its own code:', () => {
  const target = (change: Record<string, string>) => withSteps(stepOf({ target: { ...free.target, ...change } }));
  const quorum = planOf({ steps: [gated], gates: [gateOf({ rule: { quorum: 2 } })] });
  const silent = planOf({ steps: [gated], gates: [gateOf({ rule: { onSilence: 'proceed' } })] });
  const hold = planOf({ steps: [gated] });
  const harmless = planOf({ steps: [gated], gates: [gateOf({ rule: { onSilence: 'harmless' } })] });
  const held = withSteps(stepOf({ hold: 'arn:aws:iam::1:user/ci' }));
  const base = question(plain);
  const snapshot = (key = keys.worker, where: Record<string, unknown> = {}, befores?: Record<string, unknown>) =>
    recordBy(key, 'snapshot', { befores: befores ?? base.snapshot.body.befores, evidence: {} }, times.planned, where);
  const unaccepted = { accepted: false, code: 'decision.late' } as const;

  const rows: [string, string, () => string][] = [
    ['warrant.unsigned', 'a key nobody vouches for', () => ask(plain, { plan: recordBy(keys.stranger, 'plan', plain, times.planned) })],
    ['warrant.unsigned', "a worker's key", () => ask(plain, { plan: { ...base.plan, by: keys.worker.id } })],
    [
      'warrant.unsigned',
      "a judge's key that has ended since",
      () => ask(plain, { plan: recordBy(keys.lapsed, 'plan', plain, times.planned) }),
    ],
    ['warrant.other-run', 'another engine', () => ask(planOf({ engine: 'eng_other' }))],
    [
      'warrant.other-run',
      'a record of another engine',
      () => ask(plain, { plan: recordBy(keys.judge, 'plan', plain, times.planned, { engine: 'eng_other' }) }),
    ],
    ['warrant.other-run', 'another incident in the plan', () => ask(planOf({ incident: 'leak/other' }))],
    ['warrant.other-run', 'another run in the plan', () => ask(planOf({ run: 'run-0' }))],
    ['warrant.other-run', 'another round in the plan', () => ask(planOf({ round: 1 }))],
    [
      'warrant.other-run',
      'another run in the record',
      () => ask(plain, { plan: recordBy(keys.judge, 'plan', plain, times.planned, { run: 'run-0' }) }),
    ],
    ['warrant.other-run', 'another incident in the warrant', () => ask(plain, { warrant: { ...base.warrant, incident: 'leak/other' } })],
    ['warrant.other-run', 'another workflow asks', () => ask(plain, { executing: { workflowId: 'leak/other', runId: place.run } })],
    ['warrant.other-run', 'another run asks', () => ask(plain, { executing: { workflowId: place.incident, runId: 'run-0' } })],
    ['warrant.other-run', 'no workflow asks', () => ask(plain, { executing: undefined })],
    ['warrant.other-run', 'the incident asks where the hold should', () => ask(held)],
    [
      'warrant.other-run',
      'the hold of another principal asks',
      () => ask(held, { executing: { workflowId: holdId('aws', '1', 'arn:aws:iam::1:user/other'), runId: 'r' } }),
    ],
    [
      'warrant.other-run',
      'a hold asks where the incident should',
      () => ask(plain, { executing: { workflowId: holdId('aws', '1', 'arn:aws:iam::1:user/ci'), runId: 'r' } }),
    ],
    [
      'warrant.other-run',
      'a revert that carries another warrant',
      () =>
        ask(plain, {
          revert: { warrant: { ...base.warrant, step: 's2' }, because: planAddress, made: {} },
          authorities: [decisionRecord(rollback(plain))],
        }),
    ],
    ['warrant.no-such-step', 'no step of that id', () => ask(plain, { warrant: { ...base.warrant, step: 's2' } })],
    ['warrant.no-such-step', 'two steps of that id', () => ask(withSteps(free, stepOf({ action: 'aws/delete-key' })))],
    ['warrant.no-such-step', 'for another account', () => ask(plain, { account: '2' })],
    ['warrant.no-such-step', 'for another provider', () => ask(plain, { provider: 'vault' })],
    ['warrant.no-such-step', 'an action of another provider', () => ask(withSteps(stepOf({ action: 'vault/stage-secret' })))],
    ['warrant.no-such-step', 'a target with a wildcard', () => ask(target({ accessKeyId: 'AKIA*' }))],
    ['warrant.no-such-step', 'a target with an empty part', () => ask(target({ accessKeyId: '' }))],
    ['warrant.no-such-step', 'no target', () => ask(withSteps(stepOf({ target: {} })))],
    ['warrant.no-such-step', 'a target in another account', () => ask(target({ account: '2' }))],
    ['warrant.expired', 'the plan has expired', () => ask(plain, { now: times.expires })],
    ['warrant.mode', 'the account observes', () => ask(plain, { mode: 'observe' })],
    ['warrant.mode', 'the account proposes', () => ask(plain, { mode: 'propose' })],
    ['warrant.mode', 'a revert where the account observes', () => revertOf(plain, decisionRecord(rollback(plain)), { mode: 'observe' })],
    ['warrant.own-credential', "the engine's own key", () => ask(target({ accessKeyId: 'AKIAENGINE' }))],
    [
      'warrant.own-credential',
      "the engine's own principal",
      () =>
        ask(held, {
          ownTargets: ['arn:aws:iam::1:user/ci'],
          executing: { workflowId: holdId('aws', '1', 'arn:aws:iam::1:user/ci'), runId: 'r' },
        }),
    ],
    ['warrant.not-captured', 'no before-state of the step', () => ask(plain, { snapshot: snapshot(keys.worker, {}, {}) })],
    [
      'warrant.not-captured',
      'the before-state of another target',
      () => ask(plain, { snapshot: snapshot(keys.worker, {}, { [stepKey(free.action, { ...free.target, user: 'x' })]: 1 }) }),
    ],
    ['warrant.not-captured', 'a snapshot of another account', () => ask(plain, { snapshot: snapshot(keys.vault) })],
    ['warrant.not-captured', 'a snapshot of another run', () => ask(plain, { snapshot: snapshot(keys.worker, { run: 'run-0' }) })],
    [
      'warrant.not-captured',
      'a snapshot of another incident',
      () => ask(plain, { snapshot: snapshot(keys.worker, { incident: 'leak/other' }) }),
    ],
    ['warrant.needs-unmet', 'no record of the need', () => ask(chained)],
    ['warrant.needs-unmet', 'a record of another kind', () => needing(recordBy(keys.judge, 'plan', chained, times.planned))],
    [
      'warrant.needs-unmet',
      'a need that failed',
      () => needing(done({ outcome: undefined, failure: { code: 'provider.denied', words: 'no' } })),
    ],
    [
      'warrant.needs-unmet',
      'a need that was not seen in effect',
      () => needing(done({ observation: unknown(times.now, 'probe', 'late') })),
    ],
    ['warrant.needs-unmet', 'a need that was taken back', () => needing(done({ direction: 'revert' }))],
    ['warrant.needs-unmet', 'a look at a need that was finished by hand', () => needing(done({ direction: 'inspect' }))],
    ['warrant.needs-unmet', 'the record of another step', () => needing(done({ step: 's2' }))],
    ['warrant.needs-unmet', 'a step of another plan', () => needing(done({ plan: `sha256:${'e'.repeat(64)}` }))],
    ['warrant.needs-unmet', 'a need told by the worker of another account', () => needing(done({ action: 'vault/anything' }, keys.vault))],
    ['warrant.needs-unmet', 'a need of the account told by the judge', () => needing(done({}, keys.judge))],
    ['warrant.needs-unmet', 'a need done in another run', () => needing({ ...done({}), run: 'run-0' })],
    ['warrant.gate-unsatisfied', 'no decision', () => approved(behindGate)],
    ['warrant.gate-unsatisfied', 'a gate the plan has not', () => approved(planOf({ steps: [gated], gates: [] }))],
    ['warrant.gate-unsatisfied', 'one of two approvals', () => approved(quorum, decisionRecord(decided(quorum)))],
    [
      'warrant.gate-unsatisfied',
      'two approvals by one person',
      () => approved(quorum, decisionRecord(decided(quorum)), decisionRecord(decided(quorum))),
    ],
    ['warrant.gate-unsatisfied', 'a rejection', () => approved(behindGate, decisionRecord(decided(behindGate, { verdict: 'reject' })))],
    ['warrant.gate-unsatisfied', 'a rollback', () => approved(behindGate, decisionRecord(rollback(behindGate)))],
    [
      'warrant.gate-unsatisfied',
      'an approval the judge refused',
      () => approved(behindGate, decisionRecord(decided(behindGate), unaccepted)),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval no judge recorded',
      () => approved(behindGate, decisionRecord(decided(behindGate), {}, keys.stranger)),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval recorded in another run',
      () => approved(behindGate, { ...decisionRecord(decided(behindGate)), run: 'run-0' } as AnyRecord),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval with a broken signature',
      () => approved(behindGate, decisionRecord({ ...decided(behindGate), signatures: decided(behindGate, { reason: 'x' }).signatures })),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval by the key of somebody else',
      () => approved(behindGate, decisionRecord(decided(behindGate, {}, keys.ben))),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval by nobody we know',
      () => approved(behindGate, decisionRecord(decided(behindGate, { by: 'zoe' }))),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval without the role',
      () => approved(behindGate, decisionRecord(decided(behindGate, { by: 'cleo' }))),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval of their own incident',
      () => approved(behindGate, decisionRecord(decided(behindGate, { by: 'dan' }))),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval for another engine',
      () => approved(behindGate, decisionRecord(decided(behindGate, { engine: 'eng_other' }))),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval for another run',
      () => approved(behindGate, decisionRecord(decided(behindGate, { run: 'run-0' }))),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval for another round',
      () => approved(behindGate, decisionRecord(decided(behindGate, { round: 1 }))),
    ],
    [
      'warrant.gate-unsatisfied',
      'an approval of another gate',
      () => approved(behindGate, decisionRecord(decided(behindGate, { gate: 'g-other' }))),
    ],
    ['warrant.gate-unsatisfied', 'an approval of another plan', () => approved(behindGate, decisionRecord(decided(plain)))],
    [
      'warrant.gate-unsatisfied',
      'an approval that had expired',
      () => approved(behindGate, decisionRecord(decided(behindGate, { expiresAt: times.decided }))),
    ],
    ['warrant.gate-unsatisfied', 'a decision that is no envelope', () => approved(behindGate, decisionRecord({ verdict: 'approve' }))],
    ['warrant.gate-unsatisfied', 'something else than a decision', () => approved(behindGate, failureRecord(planAddress))],
    ['warrant.gate-unsatisfied', 'silence where silence holds', () => approved(hold, defaultOf(hold))],
    ['warrant.gate-unsatisfied', 'silence that spares only the harmless', () => approved(harmless, defaultOf(harmless))],
    ['warrant.gate-unsatisfied', 'a gate that was only opened', () => approved(silent, defaultOf(silent, { event: 'opened' }))],
    ['warrant.gate-unsatisfied', 'the default of another gate', () => approved(silent, defaultOf(silent, { gate: 'g-other' }))],
    ['warrant.gate-unsatisfied', 'the default of another plan', () => approved(silent, defaultOf(plain))],
    [
      'warrant.gate-unsatisfied',
      'a default that nobody was told of',
      () => approved(silent, defaultOf(silent, { acknowledgedBy: undefined })),
    ],
    [
      'warrant.gate-unsatisfied',
      'a default before the deadline can have passed',
      () => approved(silent, defaultOf(silent, {}, keys.judge, '2026-03-01T12:14:57.000Z')),
    ],
    ['warrant.gate-unsatisfied', 'a default no judge recorded', () => approved(silent, defaultOf(silent, {}, keys.stranger))],
    ['warrant.gate-unsatisfied', 'a revert for no reason', () => revertOf(plain, undefined)],
    ['warrant.gate-unsatisfied', 'a revert by an approval', () => revertOf(plain, decisionRecord(decided(plain)))],
    [
      'warrant.gate-unsatisfied',
      'a revert by a rollback the judge refused',
      () => revertOf(plain, decisionRecord(rollback(plain), unaccepted)),
    ],
    ['warrant.gate-unsatisfied', 'a revert by the owner', () => revertOf(plain, decisionRecord(rollback(plain, { by: 'dan' })))],
    [
      'warrant.gate-unsatisfied',
      'a revert by somebody whom the verdict bars',
      () => revertOf(plain, decisionRecord(rollback(plain)), { barred: ['ada'] }),
    ],
    [
      'warrant.gate-unsatisfied',
      'a revert by a rollback of another run',
      () => revertOf(plain, decisionRecord(rollback(plain, { run: 'run-0' }))),
    ],
    [
      'warrant.gate-unsatisfied',
      'a revert by a rollback signed before the plan',
      () => revertOf(plain, decisionRecord(rollback(plain, { round: 1 }))),
    ],
    ['warrant.gate-unsatisfied', 'a revert by a failed step of its own plan', () => revertOf(plain, failureRecord(planAddress))],
  ];
  it.each(rows)('%s: %s', (code, _what, check) => {
    expect(check()).toBe(code);
  });

  it('has a row for every code of a warrant but those of a plan that is not there to be judged and of marks in the store', () => {
    const elsewhere = ['warrant.plan-missing', 'warrant.spent', 'warrant.taken-back', 'warrant.budget-spent'];
    const codes = Object.keys(registry).filter((code) => code.startsWith('warrant.') && !elsewhere.includes(code));
    expect(new Set(rows.map(([code]) => code))).toEqual(new Set(codes));
  });

  it('and says in words what was wrong', () => {
    const answer = checkWarrant(question(behindGate, { authorities: [decisionRecord(decided(behindGate, { by: 'dan' }))] }));
    expect(answer).toEqual({
      ok: false,
      code: 'warrant.gate-unsatisfied',
      words: '0 of 1 approvals at g-outage: dan reported this or owns the credential',
    });
  });
});

it('a decision recorded by a judge but never signed by a person opens nothing', () => {
  const forged = signerFrom(keys.judge).sign(PayloadType.DECISION, JSON.parse(atob(decided(behindGate).payload)));
  expect(approved(behindGate, decisionRecord(forged))).toBe('warrant.gate-unsatisfied');
});
