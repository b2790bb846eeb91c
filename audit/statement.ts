import { canonicalJson, type Hash, hashOf, isHash, sha256Of } from '../domain/canonical.ts';
import type { Residual } from '../domain/credential.ts';
import { isEnvelope, keyIdOf, openEnvelope } from '../domain/envelope.ts';
import { type ChainEntry, type Envelope, headOf, PayloadType } from '../domain/record.ts';
import { KeyRole, keyAt, type People, type Trust } from '../domain/trust.ts';
import { BundleFile, type BundleFiles, bytesOf, policyPath, textOf } from './bundle.ts';
import type { RegisterHead } from './register.ts';
import type { IncidentReport } from './report.ts';
import { verifyEnvelope } from './signing.ts';
import { parsePeople, parseTrust } from './trust.ts';

/** in-toto's own name for its statements of version 1. */
export const statementType = 'https://in-toto.io/Statement/v1';
/** What the predicate is; `docs/statement.md` says what each field means. */
export const predicateType = 'urn:tourniquet:incident:v1';

/** What the judge says of the incident, over the files that bear it out. All times ISO, UTC; what is not known is left out. */
export interface IncidentPredicate {
  readonly engine: string;
  readonly incident: string;
  readonly run: string;
  readonly state: string;
  readonly contained: string;
  readonly rotated: string;
  /** Whether the run had ended when the bundle was made. */
  readonly ended: boolean;
  readonly times: {
    readonly leakedAt?: string;
    /** When it was first seen by whoever found it. */
    readonly detectedAt?: string;
    readonly reportedAt: string;
    /** When a person was first told. */
    readonly notifiedAt?: string;
    readonly firstChangeAt?: string;
    readonly containedAt?: string;
    readonly rotatedAt?: string;
    readonly endedAt?: string;
  };
  readonly residuals: readonly Residual[];
  /** Head of the chain of records, and how many there are. */
  readonly head: Hash;
  readonly records: number;
  /** Events in the history. */
  readonly events: number;
  /** SHA-256 of the workflow code that ran, without its source map. */
  readonly code: Hash;
  readonly trust: { readonly serial: number; readonly hash: Hash };
  readonly people: Hash;
  readonly policies: readonly Hash[];
  /** Where the engine's register stood when the bundle was made. */
  readonly register: RegisterHead;
  readonly mapping: IncidentReport['mapping'];
  readonly madeAt: string;
}

/** An in-toto statement of version 1. `digest.sha256` is in hexadecimal, as in-toto has it. */
export interface Statement {
  readonly _type: typeof statementType;
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicateType: typeof predicateType;
  readonly predicate: IncidentPredicate;
}

/** What a predicate is made of. */
export interface PredicateSource {
  readonly report: IncidentReport;
  readonly chain: readonly ChainEntry[];
  readonly events: number;
  readonly ended: boolean;
  readonly code: Hash;
  readonly trust: Trust;
  readonly people: People;
  readonly policies: Iterable<Hash>;
  readonly register: RegisterHead;
  readonly madeAt: string;
}

/** Makes the predicate. Pure: the verifier makes it again. */
export function predicateOf(source: PredicateSource): IncidentPredicate {
  const { report, chain } = source;
  const { leakedAt, seenAt, reportedAt, firstChangeAt, containedAt, rotatedAt, endedAt } = report.clocks;
  const notifiedAt = report.gates
    .filter((gate) => gate.told.length > 0)
    .map((gate) => gate.at)
    .sort()[0];
  return {
    engine: report.engine,
    incident: report.incident,
    run: report.run,
    state: report.state,
    contained: report.contained,
    rotated: report.rotated,
    ended: source.ended,
    times: {
      ...(leakedAt && { leakedAt }),
      ...(seenAt && { detectedAt: seenAt }),
      reportedAt,
      ...(notifiedAt && { notifiedAt }),
      ...(firstChangeAt && { firstChangeAt }),
      ...(containedAt && { containedAt }),
      ...(rotatedAt && { rotatedAt }),
      ...(endedAt && { endedAt }),
    },
    residuals: report.residuals,
    head: headOf(chain),
    records: chain.length,
    events: source.events,
    code: source.code,
    trust: { serial: source.trust.serial, hash: hashOf(source.trust) },
    people: hashOf(source.people),
    policies: [...source.policies].sort(),
    register: source.register,
    mapping: report.mapping,
    madeAt: source.madeAt,
  };
}

/** The subjects of a statement: every file but the statement itself, by name. */
export function subjectsOf(files: BundleFiles): Statement['subject'] {
  return [...files]
    .filter(([name]) => name !== BundleFile.STATEMENT)
    .map(([name, bytes]) => ({ name, digest: { sha256: hexOf(sha256Of(bytes)) } }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Adds the signed statement over all the files. `sign` is the judge's. */
export function sealBundle(files: BundleFiles, predicate: IncidentPredicate, sign: (statement: Statement) => Envelope): BundleFiles {
  const statement: Statement = { _type: statementType, subject: subjectsOf(files), predicateType, predicate };
  return new Map([...files, [BundleFile.STATEMENT, bytesOf(`${canonicalJson(sign(statement))}\n`)]]);
}

/** A bundle's statement as it lies there, verified in nothing but its form. Throws an error with words where there is none. */
export function openStatement(files: BundleFiles): { readonly envelope: Envelope; readonly statement: Statement } {
  const text = textOf(files.get(BundleFile.STATEMENT));
  if (text === undefined) throw new Error(`${BundleFile.STATEMENT} is missing or no text`);
  let envelope: unknown;
  try {
    envelope = JSON.parse(text);
  } catch {
    throw new Error(`${BundleFile.STATEMENT} is no envelope`);
  }
  if (!isEnvelope(envelope) || `${canonicalJson(envelope)}\n` !== text) throw new Error(`${BundleFile.STATEMENT} is no envelope`);
  const statement = openEnvelope<Statement>(envelope, PayloadType.STATEMENT);
  if (statement?._type !== statementType || statement.predicateType !== predicateType)
    throw new Error(`${BundleFile.STATEMENT} is no statement of an incident`);
  if (!isPredicate(statement.predicate) || !Array.isArray(statement.subject) || !statement.subject.every(isSubject))
    throw new Error(`${BundleFile.STATEMENT} says something that no statement says`);
  return { envelope, statement };
}

/** Why the judge's signature on a statement does not hold under that trust; nothing where it does. */
export function signatureProblems({ envelope, statement }: ReturnType<typeof openStatement>, trust: Trust): string[] {
  const id = keyIdOf(envelope);
  const { madeAt, engine } = statement.predicate;
  const key = keyAt(trust, id, KeyRole.JUDGE, madeAt);
  if (!key) return [`no judge of key ${id.slice(0, 80)} at ${madeAt}`];
  if (!verifyEnvelope(envelope, key.public)) return ['the signature does not hold'];
  return engine === trust.engine ? [] : ['it is of another engine than the trust'];
}

/** Where the files of a bundle are not the subjects of its statement. */
export function subjectProblems(files: BundleFiles, { subject }: Pick<Statement, 'subject'>): string[] {
  const listed = new Map(subject.map((each) => [each.name, each.digest.sha256]));
  const problems: string[] = [];
  if (listed.size !== subject.length) problems.push('a file is listed twice');
  for (const { name, digest } of subjectsOf(files)) {
    const there = listed.get(name);
    if (there === undefined) problems.push(`${name} is not listed`);
    else if (there !== digest.sha256) problems.push(`${name} is not the one listed`);
  }
  for (const name of listed.keys()) if (!files.has(name) || name === BundleFile.STATEMENT) problems.push(`${name} is missing`);
  return problems;
}

/**
 * Verifies a bundle's statement: that a judge of `trust` signed it, that its subjects are exactly the bundle's files, and that its predicate says of state, times, residuals, chain,
 * trust, people, policies and mapping what those files say. Answers what is wrong, in words; never throws on the bundle's account. The number of events, the code and the end are
 * compared with the history by whoever reads that; the place in the register by whoever has the register.
 */
export function verifyStatement(files: BundleFiles, options: { readonly trust: Trust }): string[] {
  try {
    const opened = openStatement(files);
    const { predicate } = opened.statement;
    const text = (path: string): string => {
      const found = textOf(files.get(path));
      if (found === undefined) throw new Error(`${path} is missing or no text`);
      return found;
    };
    const report = JSON.parse(text(BundleFile.REPORT)) as IncidentReport;
    const chain = JSON.parse(text(BundleFile.CHAIN)) as readonly ChainEntry[];
    const policies = [...files.keys()].flatMap((path) => {
      const hash: Hash = `sha256:${path.slice('policies/'.length, -'.yaml'.length)}`;
      return isHash(hash) && policyPath(hash) === path ? [hash] : [];
    });
    const again = predicateOf({
      report,
      chain,
      events: predicate.events,
      ended: predicate.ended,
      code: predicate.code,
      trust: parseTrust(text(BundleFile.TRUST), BundleFile.TRUST).trust,
      people: parsePeople(text(BundleFile.PEOPLE), BundleFile.PEOPLE),
      policies,
      register: predicate.register,
      madeAt: predicate.madeAt,
    });
    const names = new Set([...Object.keys(again), ...Object.keys(predicate)]) as Set<keyof IncidentPredicate>;
    return [
      ...signatureProblems(opened, options.trust),
      ...subjectProblems(files, opened.statement),
      ...[...names].filter((name) => !same(again[name], predicate[name])).map((name) => `it says of ${name} what the files do not`),
    ];
  } catch (error) {
    return [error instanceof Error ? error.message : 'it cannot be read'];
  }
}

const hexOf = (hash: Hash): string => hash.slice('sha256:'.length);
const same = (a: unknown, b: unknown): boolean => canonicalJson(a ?? null) === canonicalJson(b ?? null);

function isSubject(value: unknown): value is Statement['subject'][number] {
  const subject = value as { name?: unknown; digest?: { sha256?: unknown } } | null;
  return typeof subject?.name === 'string' && /^[0-9a-f]{64}$/.test(String(subject.digest?.sha256));
}

function isPredicate(value: unknown): value is IncidentPredicate {
  if (typeof value !== 'object' || value === null) return false;
  const said = value as Record<string, unknown>;
  const register = said.register as Partial<RegisterHead> | undefined;
  return (
    ['engine', 'incident', 'run', 'state', 'contained', 'rotated'].every((name) => typeof said[name] === 'string') &&
    typeof said.madeAt === 'string' &&
    !Number.isNaN(Date.parse(said.madeAt)) &&
    [said.head, said.code, said.people, register?.hash].every(isHash) &&
    [said.records, said.events, register?.n].every((count) => Number.isSafeInteger(count) && Number(count) >= 0)
  );
}
