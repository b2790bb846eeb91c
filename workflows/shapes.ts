import { isHash } from '../domain/canonical.ts';
import type { SignedDecision } from '../domain/decision.ts';
import type { FinishRequest, HoldInput } from '../domain/messages.ts';
import type { Sighting } from '../domain/report.ts';

type Loose = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Loose => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown, most = 4096): value is string => typeof value === 'string' && value.length <= most;

/** The shape of a DSSE envelope of reasonable size. Synchronous and by hand: a schema library in the bundle costs more than the run itself. */
export function isSigned(value: unknown): value is SignedDecision {
  if (!isObject(value) || !isText(value.payloadType, 120) || !isText(value.payload, 32_768)) return false;
  const signatures = value.signatures;
  return (
    Array.isArray(signatures) &&
    signatures.length >= 1 &&
    signatures.length <= 4 &&
    signatures.every((each) => isObject(each) && isText(each.keyid, 200) && isText(each.sig, 400))
  );
}

/** The shape of a sighting. What it says is judged, and recorded, by the judge. */
export function isSighting(value: unknown): value is Sighting {
  if (!isObject(value) || !isObject(value.report)) return false;
  const report = value.report;
  const credential = report.credential;
  const origin = report.origin;
  return (
    report.v === 1 &&
    isText(report.id, 120) &&
    isText(report.reporter, 200) &&
    isText(report.seenAt, 40) &&
    isObject(credential) &&
    isText(credential.kind, 120) &&
    isObject(credential.locator) &&
    Object.values(credential.locator).every((each) => isText(each, 1024)) &&
    isObject(origin) &&
    isText(origin.where, 40) &&
    isObject(report.claims) &&
    (report.sealed === undefined || (isObject(report.sealed) && isHash(report.sealed.hash) && isText(report.sealed.keyId, 200))) &&
    (value.signature === undefined || isSigned(value.signature)) &&
    (value.issuer === undefined || (isObject(value.issuer) && isText(value.issuer.body, 49_152) && isText(value.issuer.signature, 100)))
  );
}

/** The shape of a request to finish a step. */
export function isFinishRequest(value: unknown): value is FinishRequest {
  return isObject(value) && isText(value.step, 200);
}

/** The shape of a request to a principal-hold. */
export function isHoldRequest(value: unknown): value is HoldInput & { readonly key: string } {
  if (!isObject(value) || !isText(value.key, 400) || !isText(value.principal, 400)) return false;
  const direction = value.direction;
  const input = direction === 'apply' ? value.apply : direction === 'revert' ? value.revert : undefined;
  return (
    isObject(input) &&
    isObject(input.warrant) &&
    isHash(input.warrant.plan) &&
    isText(input.warrant.incident, 400) &&
    isText(input.warrant.run, 100) &&
    isText(input.warrant.step, 200) &&
    sizeOf(value) <= mostOfMessage &&
    isText(value.provider, 60) &&
    isText(value.account, 200) &&
    isText(value.action, 100) &&
    (value.pace === undefined || isObject(value.pace))
  );
}

/** What a member of a result must be. A question mark: it may be left out. */
type Kind = 'hash' | 'hashes' | 'text' | 'texts' | 'number' | 'boolean' | 'object' | 'list' | 'observation' | 'text?' | 'object?';

const kinds: Record<Kind, (value: unknown) => boolean> = {
  hash: isHash,
  hashes: (value) => Array.isArray(value) && value.every(isHash),
  text: (value) => isText(value),
  texts: (value) => Array.isArray(value) && value.every((each) => isText(each)),
  number: (value) => typeof value === 'number' && Number.isFinite(value),
  boolean: (value) => typeof value === 'boolean',
  object: isObject,
  list: Array.isArray,
  observation: (value) => isObject(value) && (value.state === 'yes' || value.state === 'no' || value.state === 'unknown'),
  'text?': (value) => value === undefined || isText(value),
  'object?': (value) => value === undefined || isObject(value),
};

type Shape = Readonly<Record<string, Kind>>;

/** The shape of each activity's result, as far as the run reads it. */
export const resultShapes = {
  receive: {
    reports: 'hashes',
    refusals: 'hashes',
    inventory: 'hash',
    credential: 'object',
    provider: 'text',
    account: 'text',
    sealed: 'list',
    depth: 'text',
    recheckMs: 'number',
    lookAt: 'text?',
    weight: 'number',
    pace: 'object',
  },
  assess: { finding: 'hash', snapshot: 'hash' },
  capture: { snapshot: 'hash' },
  judge: {
    assessment: 'hash',
    verdict: 'hash',
    plan: 'hash',
    planHash: 'hash',
    content: 'object',
    mode: 'text',
    rule: 'text',
    live: 'observation',
    contained: 'text',
    rotated: 'text',
    nodes: 'texts',
    swept: 'observation',
    again: 'boolean',
    settled: 'boolean',
  },
  apply: { record: 'hash', outcome: 'text', observation: 'observation', clocks: 'object', made: 'object?', residual: 'object?' },
  revert: { record: 'hash', outcome: 'text', observation: 'observation', residual: 'object?' },
  inspect: { record: 'hash', observation: 'observation' },
  rule: { accepted: 'boolean', why: 'text', id: 'text', by: 'text', verdict: 'text', gate: 'text', record: 'hash' },
  recordGate: { record: 'hash', told: 'texts', acknowledged: 'boolean' },
  review: { record: 'hash' },
} as const satisfies Record<string, Shape>;

const planShape: Shape = {
  steps: 'list',
  gates: 'list',
  residuals: 'list',
  predicted: 'list',
  notes: 'texts',
  purpose: 'text',
  round: 'number',
};
const stepShape: Shape = {
  id: 'text',
  action: 'text',
  provider: 'text',
  account: 'text',
  target: 'object',
  title: 'text',
  phase: 'text',
  needs: 'texts',
  reversibility: 'text',
  impact: 'text',
  byHand: 'text',
  byHandUndo: 'text?',
  gate: 'text?',
  hold: 'text?',
};
const gateShape: Shape = { id: 'text', question: 'text', rule: 'object', barred: 'texts' };
const ruleShape: Shape = { deadlineMs: 'number', reminderMs: 'list', onSilence: 'text' };

/**
 * An activity's result, if it has the shape it must have; throws a plain error otherwise, which the caller turns into a failed step or a failed round. A completion that somebody
 * forged, or that cannot be decoded, ends here and wedges nothing.
 */
export function expectResult<T>(of: keyof typeof resultShapes, result: T): T {
  expectShape(of, result, resultShapes[of]);
  if (of === 'judge') {
    const plan = (result as Loose).content as Loose;
    expectShape('plan', plan, planShape);
    for (const step of plan.steps as unknown[]) expectShape('step', step, stepShape);
    for (const gate of plan.gates as unknown[]) {
      expectShape('gate', gate, gateShape);
      expectShape('rule', (gate as Loose).rule, ruleShape);
    }
  }
  return result;
}

function expectShape(what: string, value: unknown, shape: Shape): void {
  if (!isObject(value)) throw new TypeError(`an activity answered with a ${what} that is no object`);
  for (const [member, kind] of Object.entries(shape)) {
    if (!kinds[kind](value[member])) throw new TypeError(`an activity answered with a ${what} whose ${member} is no ${kind}`);
  }
}

/** Most characters of one message that a run takes in: what is larger is refused, since a handful of such would be too large for any activity. */
export const mostOfMessage = 65_536;

/** How many characters of JSON a value has; infinite where it has none. Cheap, and good enough to keep what is too large out. */
export function sizeOf(value: unknown): number {
  try {
    return JSON.stringify(value)?.length ?? Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
