import { newDecision, type Saying, signDecision } from '../../audit/decision.ts';
import { newKey, type PrivateKey, trustedKeyOf } from '../../audit/keys.ts';
import { type AnyRecord, openRecord, type RecordAs } from '../../audit/records.ts';
import { signerFrom } from '../../audit/signing.ts';
import { type Hash, hashOf } from '../../domain/canonical.ts';
import type { Decision } from '../../domain/decision.ts';
import { unknown } from '../../domain/observation.ts';
import { type Plan, type PlanGate, type PlanStep, planHash } from '../../domain/plan.ts';
import { emptyHead, PayloadType, type RecordType } from '../../domain/record.ts';
import type { RecordBodies } from '../../domain/record-bodies.ts';
import type { People, Trust } from '../../domain/trust.ts';

/** A small world of keys, people and one signed plan, in which every warrant and decision of the tests is right until a test makes one thing wrong. */
export const times = {
  from: '2026-01-01T00:00:00.000Z',
  planned: '2026-03-01T12:00:00.000Z',
  decided: '2026-03-01T12:05:00.000Z',
  now: '2026-03-01T12:20:00.000Z',
  expires: '2026-03-01T13:00:00.000Z',
  until: '2026-07-01T00:00:00.000Z',
} as const;
const period = { from: times.from, until: times.until };

export const keys = {
  judge: newKey({ role: 'judge', ...period }),
  lapsed: newKey({ role: 'judge', from: times.from, until: '2026-03-01T12:10:00.000Z' }),
  stranger: newKey({ role: 'judge', ...period }),
  worker: newKey({ role: 'worker', ...period, provider: 'aws', account: '1' }),
  vault: newKey({ role: 'worker', ...period, provider: 'vault', account: 'main' }),
  ada: newKey({ role: 'person', ...period, person: 'ada' }),
  ben: newKey({ role: 'person', ...period, person: 'ben' }),
  cleo: newKey({ role: 'person', ...period, person: 'cleo' }),
  dan: newKey({ role: 'person', ...period, person: 'dan' }),
  eve: newKey({ role: 'person', ...period, person: 'eve' }),
  old: newKey({ role: 'person', from: times.from, until: '2026-02-01T00:00:00.000Z', person: 'ada' }),
} as const;

/** ada and ben approve; cleo only responds; dan approves and is barred; eve stands in for ada; nobody knows zoe. */
export const people: People = {
  v: 1,
  people: [
    { id: 'ada', name: 'Ada', roles: ['approver'], delegates: ['eve'] },
    { id: 'ben', name: 'Ben', roles: ['approver', 'security-lead'] },
    { id: 'cleo', name: 'Cleo', roles: ['guest'] },
    { id: 'dan', name: 'Dan', roles: ['approver'] },
    { id: 'eve', name: 'Eve', roles: [] },
  ],
};

export const trust: Trust = {
  v: 1,
  engine: 'eng_test',
  serial: 1,
  issuedAt: times.from,
  keys: Object.values(keys)
    .filter((key) => key !== keys.stranger)
    .map(trustedKeyOf),
  people: hashOf(people),
  code: [],
};

export const place = { incident: 'leak/abc', run: 'run-1', round: 2 } as const;
const noHash: Hash = `sha256:${'a'.repeat(64)}`;

export function gateOf(change: Partial<Omit<PlanGate, 'rule'>> & { readonly rule?: Partial<PlanGate['rule']> } = {}): PlanGate {
  return {
    id: 'g-outage',
    reason: 'outage',
    question: 'Cut the consumers?',
    barred: ['dan'],
    ...change,
    rule: { roles: ['approver'], quorum: 1, deadlineMs: 900_000, reminderMs: [], escalateTo: [], onSilence: 'hold', ...change.rule },
  };
}

export function stepOf(change: Partial<PlanStep> = {}): PlanStep {
  return {
    id: 's1',
    action: 'aws/disable-key',
    provider: 'aws',
    account: '1',
    target: { account: '1', user: 'ci', accessKeyId: 'AKIAEXAMPLE' },
    params: {},
    title: 'Disable the key',
    phase: 'contain',
    needs: [],
    reversibility: 'reversible',
    impact: 'outage',
    affects: ['ci'],
    byHand: 'aws iam update-access-key',
    ...change,
  };
}

export function planOf(change: Partial<Plan> = {}): Plan {
  return {
    v: 1,
    engine: trust.engine,
    ...place,
    credential: { kind: 'aws.access-key', locator: { accessKeyId: 'AKIAEXAMPLE' } },
    purpose: 'contain',
    mode: 'ask',
    assessment: noHash,
    verdict: noHash,
    gates: [gateOf()],
    steps: [stepOf()],
    predicted: [],
    residuals: [],
    notes: [],
    issuedAt: times.planned,
    expiresAt: times.expires,
    ...change,
  };
}

/** A record as its reader has it after opening; signed for real, so that a body the signature does not fit cannot slip in. */
export function recordBy<T extends RecordType>(
  key: PrivateKey,
  type: T,
  body: RecordBodies[T],
  at: string = times.decided,
  where: Partial<typeof place & { engine: string }> | Record<string, unknown> = {},
): RecordAs<T> {
  const record = { v: 1, type, engine: trust.engine, ...place, at, by: key.id, standsOn: [], body, ...where };
  const known = { ...trust, keys: [...trust.keys, trustedKeyOf(keys.stranger)], engine: record.engine };
  return openRecord(signerFrom(key).sign(PayloadType.RECORD, record), { trust: known, engine: record.engine, type });
}

export function sayingOf(plan: Plan, change: Partial<Saying> = {}): Saying {
  return {
    engine: trust.engine,
    ...place,
    gate: 'g-outage',
    planHash: planHash(plan),
    evidenceHead: emptyHead,
    verdict: 'approve',
    reason: 'the consumers know',
    by: 'ada',
    ...change,
  };
}

/** A decision signed by the person it names, or by `key`. */
export function decided(plan: Plan, change: Partial<Decision> = {}, key?: PrivateKey) {
  const { id, issuedAt, expiresAt, ...saying } = change;
  const decision = newDecision(sayingOf(plan, saying), new Date(issuedAt ?? times.decided));
  const whole = { ...decision, ...(id !== undefined && { id }), ...(expiresAt !== undefined && { expiresAt }) };
  return signDecision(signerFrom(key ?? (keys[whole.by as keyof typeof keys] as PrivateKey) ?? keys.ada), whole);
}

/** The judge's record of a decision, accepted unless said otherwise. */
export function decisionRecord(
  signed: unknown,
  ruling: Partial<RecordBodies['decision']['ruling']> = {},
  key: PrivateKey = keys.judge,
  at: string = times.decided,
): AnyRecord {
  return recordBy(
    key,
    'decision',
    {
      signed,
      receivedAt: at,
      standing: null,
      ruling: { accepted: true, why: '', id: 'd', by: 'ada', verdict: 'approve', gate: 'g-outage', missing: 0, ...ruling },
    },
    at,
  );
}

export function failureRecord(
  plan: Hash,
  change: Partial<RecordBodies['step']> = {},
  key: PrivateKey = keys.worker,
  where: Record<string, unknown> = {},
): AnyRecord {
  return recordBy(
    key,
    'step',
    {
      plan,
      step: 's1',
      action: 'aws/disable-key',
      direction: 'apply',
      attempt: 1,
      observation: unknown(times.decided, 'engine', 'the step failed'),
      requestIds: [],
      failure: { code: 'provider.denied', words: 'denied' },
      ...change,
    },
    times.decided,
    where,
  );
}
