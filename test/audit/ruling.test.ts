import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSignalFile, signalFile } from '../../audit/decision.ts';
import { signerFrom, verifyEnvelope } from '../../audit/signing.ts';
import { codeOf } from '../../domain/errors.ts';
import type { RuleInput } from '../../domain/messages.ts';
import { planHash } from '../../domain/plan.ts';
import { emptyHead, PayloadType } from '../../domain/record.ts';
import { type RulingQuestion, ruleOnDecision } from '../../domain/ruling.ts';
import { decided, gateOf, keys, people, place, planOf, sayingOf, times, trust } from './authority.ts';

const plan = planOf();
const other: `sha256:${string}` = `sha256:${'b'.repeat(64)}`;
const open = { gate: 'g-outage', state: 'open', openedAt: times.planned, deadlineAt: '2026-03-01T12:15:00.000Z', approvals: [] } as const;

const ask = (signed: unknown, input: Partial<RuleInput> = {}, question: Partial<RulingQuestion> = {}) =>
  ruleOnDecision({
    input: {
      ...place,
      signed,
      via: 'decide',
      receivedAt: times.decided,
      planHash: planHash(question.plan ?? plan),
      standing: [open],
      undoable: true,
      standsOn: [],
      ...input,
    },
    plan,
    engine: trust.engine,
    trust,
    people,
    verify: verifyEnvelope,
    ...question,
  });

describe('a decision that holds', () => {
  it('is accepted, and says how many approvals are still missing', () => {
    expect(ask(decided(plan, { id: 'dec_1' }))).toEqual({
      accepted: true,
      why: 'the consumers know',
      id: 'dec_1',
      by: 'ada',
      gate: 'g-outage',
      verdict: 'approve',
      missing: 0,
    });
    const two = planOf({ gates: [gateOf({ rule: { quorum: 2 } })] });
    expect(ask(decided(two), {}, { plan: two })).toMatchObject({ accepted: true, missing: 1 });
    const standing = [{ ...open, approvals: ['ada'] }];
    expect(ask(decided(two, { by: 'ben' }), { standing }, { plan: two })).toMatchObject({ accepted: true, missing: 0 });
  });

  it('may be a rejection, an extension to a later moment, a rollback or a dismissal', () => {
    expect(ask(decided(plan, { verdict: 'reject' }), { via: 'reject' })).toMatchObject({ accepted: true, verdict: 'reject' });
    const until = '2026-03-01T12:45:00.000Z';
    expect(ask(decided(plan, { verdict: 'extend', until }))).toMatchObject({ accepted: true, until });
    expect(ask(decided(plan, { verdict: 'rollback', gate: 'incident' }), { via: 'rollback' })).toMatchObject({
      accepted: true,
      gate: 'incident',
    });
    expect(ask(decided(plan, { verdict: 'dismiss', gate: 'incident' }), { undoable: false })).toMatchObject({ accepted: true });
  });

  it('may come from somebody who stands in for one who has the role', () => {
    expect(ask(decided(plan, { by: 'eve' }))).toMatchObject({ accepted: true, by: 'eve' });
    const barred = planOf({ gates: [gateOf({ barred: ['ada'] })] });
    expect(ask(decided(barred, { by: 'eve' }), {}, { plan: barred })).toMatchObject({ code: 'decision.wrong-role' });
  });
});

describe('a decision with one thing wrong is refused by its own code:', () => {
  const signed = decided(plan, { id: 'dec_1' });
  const late = { receivedAt: '2026-03-01T12:15:00.001Z' };
  const rows: [string, string, () => ReturnType<typeof ask>][] = [
    ['decision.malformed', 'no envelope', () => ask({ verdict: 'approve' })],
    ['decision.malformed', 'nothing at all', () => ask(undefined)],
    [
      'decision.malformed',
      'an envelope of another type',
      () => ask(signerFrom(keys.ada).sign(PayloadType.RECORD, JSON.parse(atob(signed.payload)))),
    ],
    ['decision.malformed', 'two signatures', () => ask({ ...signed, signatures: [...signed.signatures, ...signed.signatures] })],
    [
      'decision.malformed',
      'a member too many',
      () => ask(signerFrom(keys.ada).sign(PayloadType.DECISION, { ...JSON.parse(atob(signed.payload)), extra: 1 })),
    ],
    [
      'decision.malformed',
      'an approval of the incident',
      () => ask(signerFrom(keys.ada).sign(PayloadType.DECISION, { ...JSON.parse(atob(signed.payload)), gate: 'incident' })),
    ],
    ['decision.malformed', 'an approval by way of reject', () => ask(signed, { via: 'reject' })],
    ['decision.malformed', 'dated in the future', () => ask(decided(plan, { issuedAt: '2026-03-01T12:30:00.000Z' }))],
    ['decision.malformed', 'an extension backwards', () => ask(decided(plan, { verdict: 'extend', until: '2026-03-01T12:10:00.000Z' }))],
    ['decision.unknown-person', 'somebody nobody knows', () => ask(decided(plan, { by: 'zoe' }))],
    ['decision.bad-signature', 'the key of somebody else', () => ask(decided(plan, {}, keys.ben))],
    ['decision.bad-signature', 'a key past its period', () => ask(decided(plan, {}, keys.old))],
    ['decision.bad-signature', 'a key that nobody vouches for', () => ask(decided(plan, {}, keys.stranger))],
    ['decision.bad-signature', "the judge's key", () => ask(decided(plan, {}, keys.judge))],
    [
      'decision.bad-signature',
      'another payload under the same signature',
      () => ask({ ...decided(plan, { reason: 'another' }), signatures: signed.signatures }),
    ],
    ['decision.wrong-engine', 'another engine', () => ask(decided(plan, { engine: 'eng_other' }))],
    ['decision.duplicate', 'an id that counted', () => ask(signed, {}, { counted: ['dec_1'] })],
    [
      'decision.duplicate',
      'an id that counted, at a gate that is answered now',
      () => ask(signed, { standing: [{ ...open, state: 'approved' }], round: 3, planHash: other }, { counted: ['dec_1'] }),
    ],
    ['decision.duplicate', 'a second approval by the same person', () => ask(signed, { standing: [{ ...open, approvals: ['ada'] }] })],
    ['decision.replayed', 'another run', () => ask(decided(plan, { run: 'run-0', planHash: other }))],
    ['decision.replayed', 'another incident', () => ask(decided(plan, { incident: 'leak/other' }))],
    ['decision.replayed', 'this plan under another round', () => ask(decided(plan, { round: 1 }))],
    ['decision.expired', 'it has expired by the time of receipt', () => ask(decided(plan, { expiresAt: times.decided }))],
    [
      'decision.expired',
      'it has expired by the clock of the judge',
      () => ask(decided(plan, { expiresAt: '2026-03-01T12:10:00.000Z' }), {}, { now: times.now }),
    ],
    [
      'decision.nothing-to-roll-back',
      'nothing was changed',
      () => ask(decided(plan, { verdict: 'rollback', gate: 'incident' }), { undoable: false }),
    ],
    ['decision.stale', 'another plan', () => ask(decided(plan, { planHash: other }))],
    ['decision.stale', 'the plan of an earlier round', () => ask(decided(plan, { planHash: other, round: 1 }))],
    [
      'decision.stale',
      'a rollback over another plan',
      () => ask(decided(plan, { verdict: 'rollback', gate: 'incident', planHash: other })),
    ],
    ['decision.stale', 'evidence that the run never had', () => ask(signed, {}, { heads: [other] })],
    [
      'decision.stale',
      'a rollback over such evidence',
      () => ask(decided(plan, { verdict: 'rollback', gate: 'incident' }), {}, { heads: [] }),
    ],
    [
      'decision.wrong-role',
      'none of the roles, whatever the evidence: the run is asked only of what would count',
      () => ask(decided(plan, { by: 'cleo' }), {}, { heads: [] }),
    ],
    ['decision.no-such-gate', 'a gate the plan has not', () => ask(decided(plan, { gate: 'g-none' }))],
    ['decision.no-such-gate', 'a gate that does not stand', () => ask(signed, { standing: [] })],
    ['decision.no-such-gate', 'a gate not open yet', () => ask(signed, { standing: [{ ...open, state: 'pending' }] })],
    ['decision.no-such-gate', 'a gate that is answered', () => ask(signed, { standing: [{ ...open, state: 'rejected' }] })],
    ['decision.late', 'after the deadline', () => ask(signed, late)],
    ['decision.late', 'after the default', () => ask(signed, { standing: [{ ...open, state: 'defaulted' }] })],
    ['decision.own-incident', 'who reported it or owns it', () => ask(decided(plan, { by: 'dan' }))],
    ['decision.own-incident', 'the owner rolls back', () => ask(decided(plan, { by: 'dan', verdict: 'rollback', gate: 'incident' }))],
    [
      'decision.own-incident',
      'barred by the verdict',
      () => ask(decided(plan, { by: 'ben', verdict: 'dismiss', gate: 'incident' }), {}, { barred: ['ben'] }),
    ],
    ['decision.wrong-role', 'none of the roles', () => ask(decided(plan, { by: 'cleo' }))],
    [
      'decision.wrong-role',
      'a rollback by somebody without a role',
      () => ask(decided(plan, { by: 'cleo', verdict: 'rollback', gate: 'incident' })),
    ],
  ];
  it.each(rows)('%s: %s', (code, _what, rule) => {
    const ruling = rule();
    expect(ruling).toMatchObject({ accepted: false, code });
    expect(ruling.why).not.toBe('');
    expect(ruling.missing).toBeUndefined();
  });

  it('has a row for every code of a decision', async () => {
    const { registry } = await import('../../domain/errors.ts');
    const codes = Object.keys(registry).filter((code) => code.startsWith('decision.'));
    expect(new Set(rows.map(([code]) => code))).toEqual(new Set(codes));
  });
});

describe('a ruling', () => {
  it('accepts what was signed over any head that the run has had', () => {
    expect(ask(decided(plan), {}, { heads: [other, emptyHead, other] })).toMatchObject({ accepted: true });
  });

  it('says who and what of a refused decision as far as it can be read', () => {
    expect(ask(decided(plan, { id: 'dec_9', by: 'cleo' }))).toMatchObject({
      id: 'dec_9',
      by: 'cleo',
      gate: 'g-outage',
      verdict: 'approve',
    });
    const broken = signerFrom(keys.ada).sign(PayloadType.DECISION, { by: 'ada', verdict: 'approve', gate: 7 });
    expect(ask(broken)).toMatchObject({ code: 'decision.malformed', by: 'ada', verdict: 'approve', gate: '', id: '' });
    expect(ask('x')).toMatchObject({ by: '', verdict: 'unreadable' });
  });

  it('never throws and never accepts what is no signed decision', () => {
    fc.assert(fc.property(fc.anything(), (anything) => !ask(anything).accepted));
    fc.assert(fc.property(fc.jsonValue(), (value) => !ask(signerFrom(keys.ada).sign(PayloadType.DECISION, value)).accepted));
  });
});

describe('the file for a plain Temporal client', () => {
  it('is the signed decision as one line of JSON, and is read back', () => {
    const signed = decided(plan);
    expect(JSON.parse(signalFile(signed))).toEqual(signed);
    expect(parseSignalFile(signalFile(signed)).decision).toMatchObject({ ...sayingOf(plan) });
    for (const text of ['', '{', '{}', '[1]', JSON.stringify({ ...signed, payload: 'e30=' })]) {
      let code = 'no error';
      try {
        parseSignalFile(text);
      } catch (error) {
        code = codeOf(error);
      }
      expect(code).toBe('decision.malformed');
    }
  });
});
