import { isHash } from './canonical.ts';
import { type Decision, DecisionVerdict } from './decision.ts';
import { hasOnly, isEnvelope, keyIdOf, openEnvelope } from './envelope.ts';
import type { ErrorCode } from './errors.ts';
import { type Envelope, PayloadType } from './record.ts';
import { KeyRole, keyAt, type People, type Trust } from './trust.ts';

/** Whether an envelope bears a good signature by that public key (raw, base64). Given from outside, since this room holds no cryptography of its own. */
export type Verify = (envelope: Envelope, publicKey: string) => boolean;

/** The gate of decisions on the incident as a whole: rollback and dismissal. */
export const incidentGate = 'incident';

/** Who may roll back or dismiss an incident, besides those whom a gate of the present plan asks. */
export const incidentRoles: readonly string[] = ['responder', 'approver', 'security-lead'];

/** A decision as far as it could be read. */
export type ReadDecision =
  | { readonly ok: true; readonly envelope: Envelope; readonly decision: Decision }
  | { readonly ok: false; readonly why: string; readonly partial: Readonly<Record<string, unknown>> };

/** Reads what claims to be a signed decision. Says nothing of its signature. Never throws, whatever it is given. */
export function readDecision(signed: unknown): ReadDecision {
  if (!isEnvelope(signed)) return { ok: false, why: 'it is no envelope with one signature', partial: {} };
  let value: unknown;
  try {
    value = openEnvelope(signed, PayloadType.DECISION);
  } catch (error) {
    return { ok: false, why: error instanceof Error ? error.message : 'its payload cannot be read', partial: {} };
  }
  const partial = typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
  const wrong = faultIn(partial);
  if (wrong !== undefined) return { ok: false, why: wrong, partial };
  return { ok: true, envelope: signed, decision: partial as unknown as Decision };
}

const texts = ['engine', 'incident', 'run', 'gate', 'reason', 'by', 'id'] as const;

function faultIn(value: Readonly<Record<string, unknown>>): string | undefined {
  const names = [
    'v',
    'engine',
    'incident',
    'run',
    'round',
    'gate',
    'planHash',
    'evidenceHead',
    'verdict',
    'reason',
    'by',
    'id',
    'issuedAt',
    'expiresAt',
  ];
  if (!hasOnly(value, Object.hasOwn(value, 'until') ? [...names, 'until'] : names)) return 'its members are not those of a decision';
  if (value.v !== 1) return 'it is of another version';
  for (const name of texts) if (typeof value[name] !== 'string' || value[name] === '') return `its ${name} is no text`;
  if (!Number.isSafeInteger(value.round) || Number(value.round) < 0) return 'its round is no number';
  if (!isHash(value.planHash) || !isHash(value.evidenceHead)) return 'a hash in it is none';
  if (!Object.values<unknown>(DecisionVerdict).includes(value.verdict)) return 'its verdict is none';
  for (const name of ['issuedAt', 'expiresAt'] as const) if (!isTime(value[name])) return `its ${name} is no time`;
  if (Date.parse(String(value.issuedAt)) > Date.parse(String(value.expiresAt))) return 'it expires before it was issued';
  const ofIncident = value.verdict === 'rollback' || value.verdict === 'dismiss';
  if (ofIncident !== (value.gate === incidentGate))
    return `a ${value.verdict} is ${ofIncident ? 'of the gate "incident"' : 'of a gate of the plan'}`;
  if ((value.verdict === 'extend') !== (value.until !== undefined)) return 'a new deadline belongs to an extension, and to nothing else';
  if (value.until !== undefined && !isTime(value.until)) return 'its until is no time';
  return undefined;
}

/** True for a time in ISO 8601, UTC, in the one spelling that the engine writes. */
export function isTime(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const time = Date.parse(value);
  return !Number.isNaN(time) && new Date(time).toISOString() === value;
}

/** Why a decision is not of the person it names; undefined where it is: the person is known, and the key theirs and valid at `at`. */
export function faultOfSigner(
  read: { readonly envelope: Envelope; readonly decision: Decision },
  judged: { readonly trust: Trust; readonly people: People; readonly at: string; readonly verify: Verify },
): { readonly code: ErrorCode; readonly why: string } | undefined {
  const { envelope, decision } = read;
  if (!judged.people.people.some((person) => person.id === decision.by)) {
    return { code: 'decision.unknown-person', why: `nobody is known as ${decision.by}` };
  }
  const key = keyAt(judged.trust, keyIdOf(envelope), KeyRole.PERSON, judged.at);
  if (key === undefined || key.person !== decision.by) {
    return { code: 'decision.bad-signature', why: `the key named is none of ${decision.by} at ${judged.at}` };
  }
  if (!judged.verify(envelope, key.public)) return { code: 'decision.bad-signature', why: 'the signature does not hold' };
  return undefined;
}

/** Why a person may not answer; undefined where they may: not barred, and in one of the roles, of their own or as a delegate of somebody not barred. */
export function faultOfRight(
  by: string,
  asked: { readonly people: People; readonly roles: readonly string[]; readonly barred: readonly string[] },
): { readonly code: ErrorCode; readonly why: string } | undefined {
  if (asked.barred.includes(by)) return { code: 'decision.own-incident', why: `${by} reported this or owns the credential` };
  const lends = asked.people.people.filter(
    (person) => person.id === by || (person.delegates?.includes(by) === true && !asked.barred.includes(person.id)),
  );
  if (lends.some((person) => person.roles.some((role) => asked.roles.includes(role)))) return undefined;
  return { code: 'decision.wrong-role', why: `${by} is none of ${asked.roles.join(', ') || 'nobody'}` };
}

/** The roles and the barred of a gate of the plan, or of the incident as a whole. Undefined where the plan has no such gate. */
export function askedAt(
  gate: string,
  plan: {
    readonly gates: readonly {
      readonly id: string;
      readonly rule: { readonly roles: readonly string[]; readonly quorum: number };
      readonly barred: readonly string[];
    }[];
  },
  barred: readonly string[] = [],
): { readonly roles: readonly string[]; readonly barred: readonly string[]; readonly quorum: number } | undefined {
  if (gate === incidentGate) {
    return {
      roles: [...new Set([...incidentRoles, ...plan.gates.flatMap((each) => each.rule.roles)])],
      barred: [...new Set([...barred, ...plan.gates.flatMap((each) => each.barred)])],
      quorum: 1,
    };
  }
  const found = plan.gates.find((each) => each.id === gate);
  return found && { roles: found.rule.roles, barred: [...new Set([...barred, ...found.barred])], quorum: Math.max(1, found.rule.quorum) };
}

/** Where a decision must have been signed for. */
export interface DecisionPlace {
  readonly engine: string;
  readonly incident: string;
  readonly run: string;
}

/** Why a decision was signed for somewhere else; undefined where it was signed for here. Round and plan are another question. */
export function faultOfPlace(decision: Decision, place: DecisionPlace): { readonly code: ErrorCode; readonly why: string } | undefined {
  if (decision.engine !== place.engine) return { code: 'decision.wrong-engine', why: `it was signed for the engine ${decision.engine}` };
  if (decision.incident !== place.incident) return { code: 'decision.replayed', why: 'it was signed for another incident' };
  if (decision.run !== place.run) return { code: 'decision.replayed', why: 'it was signed for another run of this incident' };
  return undefined;
}
