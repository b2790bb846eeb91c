import { parseAuthorisation } from '../domain/authorisation.schema.ts';
import { authorisationHash, faultOfAuthorisation, type SignedAuthorisation } from '../domain/authorisation.ts';
import { incidentGate, readDecision } from '../domain/authority.ts';
import { canonicalJson, type Hash, isHash, keepable, sha256Of } from '../domain/canonical.ts';
import type { DecisionRuling, GateStanding } from '../domain/decision.ts';
import { keyIdOf } from '../domain/envelope.ts';
import type { ErrorCode } from '../domain/errors.ts';
import type { ApplyInput, ApplyResult, RevertInput, RevertResult } from '../domain/execution.ts';
import { actionOf, holdId, type ProviderManifest } from '../domain/manifest.ts';
import type {
  AssessInput,
  AssessResult,
  CaptureInput,
  GateEventInput,
  HoldInput,
  IncidentResult,
  InspectInput,
  InspectResult,
  JudgeInput,
  JudgeResult,
  ReceiveInput,
  ReceiveResult,
  ReviewInput,
  RuleInput,
} from '../domain/messages.ts';
import { UpdateName, WorkflowName } from '../domain/messages.ts';
import { type PlanStep, planHash } from '../domain/plan.ts';
import { brokenLink, type ChainEntry, emptyHead, RecordType } from '../domain/record.ts';
import type { AnyRecord, RecordAs } from '../domain/record-bodies.ts';
import { ruleOnDecision } from '../domain/ruling.ts';
import { type Edition, KeyRole, type People, type Trust } from '../domain/trust.ts';
import { faultOfFirst, faultOfSuccession } from '../domain/trust-succession.ts';
import { checkWarrant } from '../domain/warrant.ts';
import { authorisationPath, BundleFile, type BundleFiles, policyPath, recordPath, textOf } from './bundle.ts';
import { parseEdition } from './editions.ts';
import { type ActivityEntry, type History, type HistoryFacts, historyJson, parseHistory, readHistory, recordsNamed } from './history.ts';
import { openRecord, parseEnvelope } from './records.ts';
import { rederiveJudgement } from './rederive.ts';
import { codeHash, type Replay } from './replay.ts';
import { makeReport, reportHtml, reportJson } from './report.ts';
import { reviewOf } from './review.ts';
import { verifyEnvelope } from './signing.ts';
import { type IncidentPredicate, openStatement, signatureProblems, subjectProblems, verifyStatement } from './statement.ts';
import { isSignedBy, parsePeople, parseTrust, type TrustFile } from './trust.ts';

/** What the verifier looks at, one after the other. */
export const ClaimKind = {
  MANIFEST: 'manifest',
  FILES: 'files',
  TRUST: 'trust',
  HISTORY: 'history',
  TIMES: 'times',
  RECORDS: 'records',
  CHAIN: 'chain',
  COVERAGE: 'coverage',
  STANDING: 'standing',
  ORDER: 'order',
  MESSAGES: 'messages',
  RESULTS: 'results',
  PLANS: 'plans',
  DECISIONS: 'decisions',
  WARRANTS: 'warrants',
  REPORT: 'report',
  STATEMENT: 'statement',
  REPLAY: 'replay',
} as const;
export type ClaimKind = (typeof ClaimKind)[keyof typeof ClaimKind];

/** One claim a bundle makes, and whether it holds. `words` say what was counted, or what is wrong and where. */
export interface Claim {
  readonly kind: ClaimKind;
  readonly claim: string;
  readonly ok: boolean;
  readonly words: string;
}

/**
 * The outcome. `verified`: every claim holds under a trust file that came by another way. `consistent`: nothing contradicts anything, and either the trust is
 * the bundle's own (`audit.not-authenticated`) or the code it ran is not known here (`audit.unknown-code`). `broken`: a claim fails.
 */
export interface Verification {
  readonly verdict: 'verified' | 'consistent' | 'broken';
  readonly code?: ErrorCode;
  readonly incident: string;
  readonly run: string;
  readonly claims: readonly Claim[];
}

export interface VerifyOptions {
  /** The trust file as it came to the auditor, not out of the bundle. Its own signature is the caller's matter. */
  readonly trust?: Trust;
  /** What is known of the providers' actions, as the planner uses it: this release's. */
  readonly manifests: Readonly<Record<string, ProviderManifest>>;
  /** Replays a history; see `replay.ts`. Without it nothing is replayed and the claim fails. */
  readonly replay?: Replay;
  /** The workflow code of this release. Code in the bundle runs only if it is this, or if `trust` names its hash. */
  readonly release?: { readonly code: string; readonly hash: Hash };
}

/** How far the clocks of server and workers may be apart, in milliseconds. */
const skewMs = 60_000;

/**
 * How much older an event may be than one written before it, in milliseconds: what reaches a run during a workflow task is written after it, with the time at
 * which it came, and a task lasts at most this long.
 */
const bufferMs = 10_000;

const claims: Readonly<Record<ClaimKind, string>> = {
  manifest: 'a judge signed the list of files',
  files: 'every file is the one listed, and no other is there',
  trust: 'the trust and people files are signed by the root',
  history: 'the history is of this incident and run, and reads the same in both forms',
  times: 'the times of events follow one another and agree with those of the records',
  records: 'every record is signed by a key that might, at its time',
  chain: 'the chain of records holds and its head is the one the run ended with',
  coverage: 'the records are exactly those that the history names',
  standing: 'every record that another stands on is there',
  order: 'each record came after what it rests on: a step after its needs, an answer after its question, silence after its time',
  messages: 'every report and decision on record came as a message to the run',
  results: 'what the history says of each stage is what its signed record says',
  plans: 'every assessment, verdict and plan follows from what it stands on',
  decisions: 'every decision, judged again as of its time, is ruled as it was',
  warrants: 'every change had its warrant',
  report: 'the report follows from the records',
  statement: 'what the statement says of the incident is what its files say',
  replay: 'the code that ran, run again over this history, asks for exactly these activities',
};

/** Verifies a bundle; needs nothing but the files, and touches no network. Never throws on the bundle's account. */
export async function verifyBundle(files: BundleFiles, options: VerifyOptions): Promise<Verification> {
  const found: Claim[] = [];
  const bundle = new Opened(files, options);
  const check = async (kind: ClaimKind, look: () => readonly string[] | Promise<readonly string[]>, good: () => string): Promise<void> => {
    let problems: readonly string[];
    try {
      problems = await look();
    } catch (error) {
      problems = [error instanceof Error ? error.message : 'it cannot be checked'];
    }
    const words =
      problems.length === 0
        ? good()
        : `${problems.slice(0, 3).join('; ')}${problems.length > 3 ? `; and ${problems.length - 3} more` : ''}`;
    found.push({ kind, claim: claims[kind], ok: problems.length === 0, words });
  };

  await check(
    'manifest',
    () => checkManifest(bundle),
    () => `by ${bundle.manifestKey} at ${bundle.manifest.madeAt}`,
  );
  await check(
    'files',
    () => checkFiles(bundle),
    () => `${files.size} files`,
  );
  await check(
    'trust',
    () => checkTrust(bundle),
    () => (options.trust ? 'and agree with the trust file given' : 'by a root that the bundle itself names'),
  );
  await check(
    'records',
    () => checkRecords(bundle),
    () => `${bundle.records.size} records`,
  );
  await check(
    'history',
    () => checkHistory(bundle),
    () => `${bundle.facts.events} events`,
  );
  await check(
    'chain',
    () => checkChain(bundle),
    () => `${bundle.chain.length} links, head ${bundle.chain.at(-1)?.head ?? emptyHead}`,
  );
  await check(
    'coverage',
    () => checkCoverage(bundle),
    () => `${bundle.records.size} records, each named once`,
  );
  await check(
    'standing',
    () => checkStanding(bundle),
    () => 'none is missing',
  );
  await check(
    'order',
    () => checkOrder(bundle),
    () => 'as the engine keeps it',
  );
  await check(
    'times',
    () => checkTimes(bundle),
    () => `from ${bundle.facts.startedAt} to ${bundle.facts.times.at(-1)?.at ?? ''}`,
  );
  await check(
    'messages',
    () => checkMessages(bundle),
    () => `${bundle.facts.messages.length} messages`,
  );
  await check(
    'results',
    () => checkResults(bundle),
    () => `${bundle.facts.activities.length} activities`,
  );
  await check(
    'plans',
    () => checkPlans(bundle),
    () => `${bundle.of('plan').length} plans made again`,
  );
  await check(
    'decisions',
    () => checkDecisions(bundle),
    () => `${bundle.of('decision').length} decisions judged again`,
  );
  await check(
    'warrants',
    () => checkWarrants(bundle),
    () => `${bundle.of('step').length} steps`,
  );
  await check(
    'report',
    () => checkReport(bundle),
    () => 'the same bytes',
  );
  await check(
    'statement',
    () => verifyStatement(bundle.files, { trust: bundle.trust }),
    () => `the register stood at ${bundle.manifest.register.n}`,
  );
  let unknownCode = false;
  await check(
    'replay',
    async () => {
      const outcome = await checkReplay(bundle);
      unknownCode = outcome.unknownCode;
      return outcome.problems;
    },
    () => `${bundle.facts.activities.length} activities asked for again, with the same arguments`,
  );

  const failed = found.filter((claim) => !claim.ok);
  const place = { incident: bundle.says('incident'), run: bundle.says('run'), claims: found };
  if (failed.some((claim) => claim.kind !== 'replay' || !unknownCode)) return { verdict: 'broken', code: 'audit.broken', ...place };
  if (unknownCode) return { verdict: 'consistent', code: 'audit.unknown-code', ...place };
  if (!options.trust) return { verdict: 'consistent', code: 'audit.not-authenticated', ...place };
  return { verdict: 'verified', ...place };
}

/** A bundle as far as it can be opened; each part throws, when asked for, where it cannot. */
class Opened {
  readonly files: BundleFiles;
  readonly options: VerifyOptions;
  readonly records = new Map<Hash, AnyRecord>();
  #signed: ReturnType<typeof openStatement> | undefined;
  #facts: HistoryFacts | undefined;
  #history: History | undefined;
  #chain: readonly ChainEntry[] | undefined;
  #trustFile: TrustFile | undefined;
  #people: People | undefined;
  #editions: readonly Edition[] | undefined;

  constructor(files: BundleFiles, options: VerifyOptions) {
    this.files = files;
    this.options = options;
  }

  text(path: string): string {
    const text = textOf(this.files.get(path));
    if (text === undefined) throw new Error(`${path} is missing or no text`);
    return text;
  }
  get signed(): ReturnType<typeof openStatement> {
    this.#signed ??= openStatement(this.files);
    return this.#signed;
  }
  /** What the judge signed of the bundle. */
  get manifest(): IncidentPredicate {
    return this.signed.statement.predicate;
  }
  get manifestKey(): string {
    return keyIdOf(this.signed.envelope);
  }
  /** A member of the manifest, for words only. */
  says(name: 'incident' | 'run'): string {
    try {
      return String(this.manifest[name]);
    } catch {
      return '';
    }
  }
  get trustFile(): TrustFile {
    this.#trustFile ??= parseTrust(this.text(BundleFile.TRUST), BundleFile.TRUST);
    return this.#trustFile;
  }
  /** The trust all signatures are judged by. */
  get trust(): Trust {
    return this.options.trust ?? this.trustFile.trust;
  }
  get people(): People {
    this.#people ??= parsePeople(this.text(BundleFile.PEOPLE), BundleFile.PEOPLE);
    return this.#people;
  }
  /** The trust files that the bundle holds, with their people, in the order of their serials. */
  get editions(): readonly Edition[] {
    if (!this.#editions) {
      const { trust, signatures, countersignatures = [] } = this.trustFile;
      const earlier = [...this.files.keys()].flatMap((path) => {
        const serial = /^trust\/(\d{1,9})\.yaml$/.exec(path)?.[1];
        return serial === undefined ? [] : [{ path, serial: Number(serial) }];
      });
      earlier.sort((a, b) => a.serial - b.serial);
      this.#editions = [
        ...earlier.map(({ path }) => parseEdition(this.text(path), path)),
        { trust, people: this.people, signatures, countersignatures },
      ];
    }
    return this.#editions;
  }
  /** Whoever may have been known at a time (ISO), newest first: an edition counts from when the engine took it, which is some time after it was issued. */
  peopleAt(at: string): readonly People[] {
    const known = this.editions.filter((edition) => Date.parse(edition.trust.issuedAt) <= Date.parse(at) + skewMs);
    return known.length > 0 ? known.map((edition) => edition.people).reverse() : [this.people];
  }
  get history(): History {
    this.#history ??= parseHistory(this.files.get(BundleFile.HISTORY) ?? new Uint8Array());
    return this.#history;
  }
  get facts(): HistoryFacts {
    this.#facts ??= readHistory(this.history);
    return this.#facts;
  }
  get chain(): readonly ChainEntry[] {
    if (!this.#chain) {
      const text = this.text(BundleFile.CHAIN);
      const value: unknown = JSON.parse(text);
      if (!Array.isArray(value) || `${canonicalJson(value)}\n` !== text) throw new Error('chain.json is not as the engine writes it');
      this.#chain = value as ChainEntry[];
    }
    return this.#chain;
  }
  of<T extends RecordType>(type: T): { hash: Hash; record: RecordAs<T> }[] {
    return [...this.records].flatMap(([hash, record]) => (record.type === type ? [{ hash, record: record as RecordAs<T> }] : []));
  }
  /** A record by hash and type, or words on why not. */
  record<T extends RecordType>(hash: unknown, type: T): RecordAs<T> {
    const record = this.records.get(hash as Hash);
    if (record?.type !== type) throw new Error(`no ${type} record ${String(hash).slice(0, 80)}`);
    return record as RecordAs<T>;
  }
  completed(): ActivityEntry[] {
    return this.facts.activities.filter((activity) => activity.state === 'completed');
  }
}

const same = (a: unknown, b: unknown): boolean => canonicalJson(a ?? null) === canonicalJson(b ?? null);
const near = (hash: unknown): string => String(hash).replace('sha256:', '').slice(0, 12);

function checkManifest(bundle: Opened): string[] {
  return signatureProblems(bundle.signed, bundle.trust);
}

function checkFiles(bundle: Opened): string[] {
  return subjectProblems(bundle.files, bundle.signed.statement);
}

function checkTrust(bundle: Opened): string[] {
  const { trustFile, people } = bundle;
  const problems: string[] = [];
  const roots = bundle.trust.keys.filter((key) => key.role === KeyRole.ROOT);
  const signed = roots.some((root) => isSignedBy(trustFile, root.public));
  // A trust file that names no root can still be the very one that was given.
  if (!signed && !(bundle.options.trust && same(bundle.options.trust, trustFile.trust)))
    problems.push('trust.yaml is not signed by the root');
  if (sha256Of(canonicalJson(people)) !== trustFile.trust.people) problems.push('people.yaml is not the one that trust.yaml names');
  if (trustFile.trust.engine !== bundle.trust.engine) problems.push('trust.yaml is of another engine');
  return [...problems, ...successionProblems(bundle)];
}

/** The trust files from the first to the last, each following from the one before it by root and two persons; the auditor's own is one of them, unless it is newer. */
function successionProblems(bundle: Opened): string[] {
  const { editions } = bundle;
  const given = bundle.options.trust;
  const last = editions.at(-1);
  const problems: string[] = [];
  const root = bundle.trust.keys.find((key) => key.role === KeyRole.ROOT)?.public ?? '';
  for (const [index, edition] of editions.entries()) {
    const before = editions[index - 1];
    const { serial } = edition.trust;
    if (serial !== index + 1) return [...problems, `the trust of serial ${index + 1} is missing`];
    const wrong = before
      ? faultOfSuccession(before, edition, { root, verify: verifyEnvelope, now: bundle.manifest.madeAt })
      : editions.length > 1
        ? faultOfFirst(edition, { root, verify: verifyEnvelope })
        : undefined;
    if (wrong) problems.push(`the trust of serial ${serial}: ${wrong.why} (${wrong.code})`);
    if (given?.serial === serial && !same(given, edition.trust)) problems.push(`the trust of serial ${serial} is not the one given`);
  }
  if (given && last && given.serial > last.trust.serial && given.engine === last.trust.engine) {
    // It is newer than the bundle: each key that both name must be the same one.
    const changed = last.trust.keys.find((key) =>
      given.keys.some((each) => each.id === key.id && (each.public !== key.public || each.role !== key.role)),
    );
    if (changed) problems.push(`the key ${changed.id} is another one in the trust given`);
  }
  return problems;
}

function checkRecords(bundle: Opened): string[] {
  const problems: string[] = [];
  for (const [path, bytes] of bundle.files) {
    if (!path.startsWith('records/')) continue;
    const hash = sha256Of(bytes);
    try {
      if (recordPath(hash) !== path) throw new Error('its content is not that of its name');
      const record = openRecord(parseEnvelope(bytes, hash), { trust: bundle.trust, engine: bundle.trust.engine, hash });
      bundle.records.set(hash, record as AnyRecord);
      if (record.incident !== bundle.manifest.incident || record.run !== bundle.manifest.run)
        problems.push(`${near(hash)} is of another incident or run`);
    } catch (error) {
      problems.push(`${path.slice(0, 24)}…: ${error instanceof Error ? error.message : 'unreadable'}`);
    }
  }
  return problems;
}

function checkHistory(bundle: Opened): string[] {
  const { facts, manifest } = bundle;
  const problems: string[] = [];
  if (historyJson(bundle.history) !== bundle.text(BundleFile.HISTORY_JSON)) problems.push('history.json is not history.pb in words');
  if (facts.workflowType !== WorkflowName.LEAK_RESPONSE) problems.push(`it is of a ${facts.workflowType}`);
  if (facts.workflowId !== manifest.incident) problems.push('it is of another incident');
  if (facts.run !== manifest.run) problems.push('it is of another run');
  if (facts.events !== manifest.events) problems.push(`it has ${facts.events} events and not ${manifest.events}`);
  if ((facts.end !== undefined) !== manifest.ended) problems.push('the manifest says otherwise of its end');
  const out = facts.times.findIndex((time, index) => time.eventId !== index + 1);
  if (out >= 0) problems.push(`event ${out + 1} is numbered ${facts.times[out]?.eventId}`);
  return problems;
}

function checkChain(bundle: Opened): string[] {
  const { chain, manifest, facts } = bundle;
  const problems: string[] = [];
  const broken = brokenLink(chain);
  if (broken !== undefined) problems.push(`link ${broken} does not follow`);
  const head = chain.at(-1)?.head ?? emptyHead;
  if (head !== manifest.head || chain.length !== manifest.records) problems.push('the head is not the one in the manifest');
  for (const entry of chain) {
    const record = bundle.records.get(entry.record);
    // The run enters what a failure names as a step, and does not look whether the worker refused it before it began.
    const refused = record?.type === RecordType.REFUSAL && entry.type === RecordType.STEP;
    if (record && record.type !== entry.type && !refused) problems.push(`link ${entry.seq} calls a ${record.type} a ${entry.type}`);
  }
  if (facts.end === 'completed') {
    const result = facts.result as IncidentResult;
    if (result?.head !== head || !same(result.chain, chain)) problems.push('the run ended with another chain');
    if (result?.id !== manifest.incident || result.run !== manifest.run) problems.push('the result names another run');
    const review = bundle.of('review').at(-1)?.record.body;
    if (review === undefined) {
      // Without a report there is nothing to review, and nothing that could have been done.
      if (bundle.of('report').length > 0) problems.push('the run ended without a review');
    } else if (
      !same(
        [result?.state, result?.contained, result?.rotated, result?.residuals],
        [review.state, review.contained, review.rotated, review.residuals],
      )
    ) {
      problems.push('the run ended otherwise than its review says');
    }
  }
  for (const { hash, record } of bundle.of('review')) {
    const at = chain.findIndex((entry) => entry.record === hash);
    if (at > 0 && record.body.head !== chain[at - 1]?.head) problems.push('the review was made over another head');
  }
  return problems;
}

function checkCoverage(bundle: Opened): string[] {
  const problems: string[] = [];
  const inChain = bundle.chain.map((entry) => entry.record);
  const inHistory = bundle.facts.activities.flatMap(recordsNamed);
  const files = new Set([...bundle.files.keys()].filter((path) => path.startsWith('records/')));
  for (const hash of inChain) if (!files.has(recordPath(hash))) problems.push(`record ${near(hash)} is in the chain and not in the bundle`);
  const twice = (hashes: readonly Hash[], where: string): void => {
    const seen = new Set<Hash>();
    for (const hash of hashes) {
      if (seen.has(hash)) problems.push(`record ${near(hash)} ${where}`);
      seen.add(hash);
    }
  };
  twice(inChain, 'is in two links of the chain');
  twice(inHistory, 'is named by two activities');
  const chained = new Set(inChain.map(recordPath));
  for (const path of files) if (!chained.has(path)) problems.push(`${path.slice(0, 24)}… is in no link of the chain`);
  const policies = new Set(
    bundle
      .of('verdict')
      .flatMap(({ record: { body } }) => [
        policyPath(body.policy),
        ...(body.authorised ? [authorisationPath(body.authorised.authorisation)] : []),
      ]),
  );
  const known = new Set<string>(Object.values(BundleFile));
  for (const path of bundle.files.keys()) {
    if (!files.has(path) && !known.has(path) && !policies.has(path) && !/^trust\/\d{1,9}\.yaml$/.test(path))
      problems.push(`${path.slice(0, 80)} is no part of a bundle`);
  }
  const named = new Set(inHistory);
  for (const hash of inChain) if (!named.has(hash)) problems.push(`record ${near(hash)} is named by no activity`);
  for (const hash of named)
    if (!inChain.includes(hash)) problems.push(`record ${near(hash)} is named by an activity and in no link of the chain`);
  return problems;
}

function checkStanding(bundle: Opened): string[] {
  return [...bundle.records].flatMap(([hash, record]) =>
    record.standsOn.filter((each) => !bundle.records.has(each)).map((each) => `${near(hash)} stands on ${near(each)}, which is missing`),
  );
}

/** How much earlier than its rule the judge lets a gate pass in silence, in milliseconds: the run began to count before the judge did. */
const silenceSkewMs = 5000;

function checkOrder(bundle: Opened): string[] {
  const problems: string[] = [];
  const { chain, facts } = bundle;
  const place = new Map(chain.map((entry, index) => [entry.record, index]));
  const endedIn = new Map(
    facts.activities.flatMap((activity) => recordsNamed(activity).map((hash) => [hash, activity.heardBy ?? Infinity])),
  );
  let heard = 0;
  for (const [index, { record: hash }] of chain.entries()) {
    const record = bundle.records.get(hash);
    for (const base of record?.standsOn ?? [])
      if ((place.get(base) ?? -1) >= index) problems.push(`record ${near(hash)} stands on ${near(base)}, which came later`);
    // A run enters a record when it hears of it, and it hears in tasks one after the other.
    const task = endedIn.get(hash) ?? heard;
    if (task < heard) problems.push(`record ${near(hash)} was heard of before the ones it comes after`);
    heard = Math.max(heard, task);
  }
  const before = (index: number) =>
    chain.slice(0, index).flatMap(({ record: hash }) => {
      const record = bundle.records.get(hash);
      return record ? [record] : [];
    });
  for (const [index, { record: hash }] of chain.entries()) {
    const record = bundle.records.get(hash);
    if (record?.type === RecordType.STEP) problems.push(...orderOfStep(bundle, record, before(index)));
    if (record?.type === RecordType.GATE) problems.push(...orderOfGate(bundle, record, before(index)));
    if (record?.type === RecordType.DECISION) {
      const read = readDecision(record.body.signed);
      if (!read.ok || !record.body.ruling.accepted) continue;
      const { decision } = read;
      if (!chain.slice(0, index).some((entry) => entry.head === decision.evidenceHead))
        problems.push(`${decision.id} was signed over ${near(decision.evidenceHead)}, which was no head of this record before it`);
      const asked = before(index).some((each) => isOpening(each, decision.gate, decision.planHash));
      if (decision.gate !== incidentGate && !asked) problems.push(`${decision.id} answers ${decision.gate}, which nobody had opened`);
      const twice = before(index).some(
        (each) => each.type === RecordType.DECISION && each.body.ruling.accepted && each.body.ruling.id === record.body.ruling.id,
      );
      if (twice) problems.push(`${decision.id} was counted twice`);
    }
  }
  return problems;
}

function isOpening(record: AnyRecord, gate: string, plan: Hash): record is RecordAs<'gate'> {
  return record.type === RecordType.GATE && record.body.event === 'opened' && record.body.gate === gate && record.body.planHash === plan;
}

/** A step that did something came after all that its plan says it needs was seen in effect. */
function orderOfStep(bundle: Opened, { body }: RecordAs<'step'>, before: readonly AnyRecord[]): string[] {
  const step = bundle.record(body.plan, 'plan').body.steps.find((each) => each.id === body.step);
  if (step === undefined) return [`a step ${body.step} is in no plan`];
  if (body.action !== step.action) return [`${body.step} is ${step.action} in its plan, and ${body.action} in its record`];
  const own = (each: AnyRecord): each is RecordAs<'step'> => each.type === RecordType.STEP && each.body.plan === body.plan;
  if (body.direction === 'apply') {
    return step.needs.flatMap((need) => {
      const met = before.some(
        (each) =>
          own(each) &&
          each.body.step === need &&
          each.body.direction === 'apply' &&
          each.body.outcome !== undefined &&
          each.body.observation.state === 'yes',
      );
      return met ? [] : [`${body.step} was done before ${need}, which it needs`];
    });
  }
  return [];
}

/** Who was asked is asked once, and silence is that of somebody asked, for as long as the rule says. */
function orderOfGate(bundle: Opened, record: RecordAs<'gate'>, before: readonly AnyRecord[]): string[] {
  const { gate, planHash: hash, event } = record.body;
  const plan = bundle.of('plan').find((each) => planHash(each.record.body) === hash)?.record.body;
  const rule = plan?.gates.find((each) => each.id === gate)?.rule;
  if (rule === undefined) return [`${gate} was ${event}, and is in no plan`];
  const problems: string[] = [];
  const opened = before.find((each) => isOpening(each, gate, hash));
  if (record.body.onSilence !== rule.onSilence) problems.push(`silence at ${gate} means ${rule.onSilence} in the plan`);
  if (event === 'opened') return opened ? [...problems, `${gate} was opened twice`] : problems;
  if (opened === undefined) return [...problems, `${gate} was ${event} before it was opened`];
  if (event !== 'defaulted') return problems;
  const open = Date.parse(record.at) - Date.parse(opened.at);
  if (open + silenceSkewMs < rule.deadlineMs) problems.push(`${gate} passed in silence after ${open} ms, and had ${rule.deadlineMs}`);
  if (Date.parse(record.at) + silenceSkewMs < Date.parse(record.body.deadlineAt))
    problems.push(`${gate} passed in silence before ${record.body.deadlineAt}`);
  return problems;
}

function checkTimes(bundle: Opened): string[] {
  const { facts, manifest } = bundle;
  const problems: string[] = [];
  let latest = 0;
  for (const { eventId, at, late } of facts.times) {
    const time = Date.parse(at);
    if (!late && time < latest - bufferMs) problems.push(`event ${eventId} is older than one before it`);
    if (!late) latest = Math.max(latest, time);
  }
  for (const { eventId, scheduledAt, startedAt, endedAt } of facts.activities) {
    const times = [scheduledAt, startedAt, endedAt].flatMap((at) => (at ? [Date.parse(at)] : []));
    if (times.some((time, index) => time < (times[index - 1] ?? 0)))
      problems.push(`the activity of event ${eventId} ended before it began`);
  }
  const last = facts.times.at(-1);
  // The server fires a timer when it is due, whoever is away. One that is overdue says that what came after was left out.
  for (const due of facts.due)
    if (Date.parse(due) < Date.parse(manifest.madeAt) - skewMs) problems.push(`a timer was due at ${due}, and nothing says that it fired`);
  if (last && Date.parse(last.at) > Date.parse(manifest.madeAt) + skewMs) problems.push('the history goes on after the bundle was made');
  for (const activity of facts.activities) {
    for (const hash of recordsNamed(activity)) {
      const record = bundle.records.get(hash);
      if (!record || !activity.endedAt) continue;
      const at = Date.parse(record.at);
      if (at < Date.parse(activity.scheduledAt) - skewMs || at > Date.parse(activity.endedAt) + skewMs) {
        problems.push(`record ${near(hash)} is of ${record.at}, and its activity ran from ${activity.scheduledAt} to ${activity.endedAt}`);
      }
    }
  }
  for (const [hash, record] of bundle.records) {
    for (const each of record.standsOn) {
      const base = bundle.records.get(each);
      if (base && Date.parse(base.at) > Date.parse(record.at) + skewMs)
        problems.push(`record ${near(hash)} is older than what it stands on`);
    }
  }
  return problems;
}

function checkMessages(bundle: Opened): string[] {
  const spoken = new Set(bundle.facts.messages.map((message) => canonicalJson(keepable(message.args[0] ?? null))));
  const reports = new Set(
    bundle.facts.messages.map((message) => canonicalJson(keepable((message.args[0] as { report?: unknown } | null)?.report ?? null))),
  );
  return [
    ...bundle
      .of('report')
      .flatMap(({ hash, record }) => (reports.has(canonicalJson(record.body.report)) ? [] : [`report ${near(hash)} came by no message`])),
    ...bundle
      .of('decision')
      .flatMap(({ hash, record }) =>
        spoken.has(canonicalJson(record.body.signed ?? null)) ? [] : [`decision ${near(hash)} came by no message`],
      ),
  ];
}

function checkResults(bundle: Opened): string[] {
  const problems: string[] = [];
  for (const activity of bundle.facts.activities) {
    try {
      for (const words of differences(bundle, activity)) problems.push(`${activity.type} (event ${activity.eventId}): ${words}`);
    } catch (error) {
      problems.push(`${activity.type} (event ${activity.eventId}): ${error instanceof Error ? error.message : 'unreadable'}`);
    }
  }
  return [...problems, ...answerProblems(bundle)];
}

/** Whoever was answered was answered what is on record. */
function answerProblems(bundle: Opened): string[] {
  const { messages, answers, activities } = bundle.facts;
  const rulings = new Set(activities.flatMap((activity) => (activity.type === 'rule' ? [canonicalJson(activity.result ?? null)] : [])));
  const looks = new Map(
    activities.flatMap((activity) =>
      activity.type === 'inspect' ? [[(activity.result as InspectResult | undefined)?.record, activity]] : [],
    ),
  );
  return answers.flatMap(({ acceptedEventId, eventId, result }) => {
    const { name } = messages.find((message) => message.eventId === acceptedEventId) ?? {};
    const answer = result as { record?: Hash; observation?: unknown; finished?: boolean } | undefined;
    if (result === undefined) return [];
    if (name === UpdateName.DECIDE) return rulings.has(canonicalJson(result)) ? [] : [`the answer of event ${eventId} is no ruling`];
    if (name !== UpdateName.FINISH) return [`event ${eventId} answers what nobody asked`];
    // Where nothing was looked at the answer is that it was not finished.
    if (answer?.record === undefined) return answer?.finished === false ? [] : [`the answer of event ${eventId} stands on nothing`];
    const look = looks.get(answer.record);
    const { observation } = (look?.result as InspectResult | undefined) ?? {};
    return same(observation, answer.observation) &&
      (answer.finished !== true || (observation as { state?: unknown } | undefined)?.state === 'no')
      ? []
      : [`the answer of event ${eventId} is not what was seen`];
  });
}

/** Where an activity's arguments and result say something else than the records it left. */
function differences(bundle: Opened, activity: ActivityEntry): string[] {
  const problems: string[] = [];
  const equal = (what: string, a: unknown, b: unknown): void => {
    if (!same(a, b)) problems.push(`${what} is not what the record says`);
  };
  const [input] = activity.args;
  if (activity.state !== 'completed') {
    const hash = activity.failure?.details[0];
    const record = isHash(hash) ? bundle.records.get(hash) : undefined;
    if (isHash(hash) && record === undefined) problems.push(`the record ${near(hash)} of its failure is missing`);
    if (record && !isChange(activity)) problems.push(`it names a ${record.type} as its failure`);
    else if (record?.type === RecordType.STEP) {
      const { direction, asked } = changeOf(activity);
      const { body } = record;
      equal('the place', placeOf(record), placeOf(asked.warrant));
      equal('the step', [body.plan, body.step, body.direction], [asked.warrant.plan, asked.warrant.step, direction]);
      equal('the code of the failure', activity.failure?.type, record.body.failure?.code);
      // What the engine has no name for has no words of its own either.
      if (activity.failure?.type !== 'engine.unexpected' && activity.state !== 'cancelled')
        equal('the words of the failure', activity.failure?.message, record.body.failure?.words);
    } else if (record?.type === RecordType.REFUSAL) {
      equal('the place', placeOf(record), placeOf(changeOf(activity).asked.warrant));
      equal('the code of the refusal', activity.failure?.type, record.body.code);
      if (activity.failure?.type !== 'engine.unexpected') equal('the words of the refusal', activity.failure?.message, record.body.words);
    } else if (record) problems.push(`it names a ${record.type} as its failure`);
    return problems;
  }
  const placed = (record: AnyRecord, place: Place): void => equal('the place', placeOf(record), placeOf(place));
  switch (activity.type) {
    case 'receive': {
      const asked = input as ReceiveInput;
      const result = activity.result as ReceiveResult;
      const reports = result.reports.map((hash) => bundle.record(hash, 'report'));
      for (const record of reports) placed(record, asked);
      // What was refused left a refusal; what was taken is word for word what came, in the order in which it came.
      const came = asked.sightings.map(({ report, signature }) => canonicalJson({ report, signature: signature ?? null }));
      const taken = reports.map(({ body }) => canonicalJson({ report: body.report, signature: body.signature ?? null }));
      let at = 0;
      for (const each of came) if (each === taken[at]) at++;
      if (at < taken.length) problems.push('a report on record is not among the sightings');
      if (came.length - taken.length > result.refusals.length) problems.push('a sighting was neither taken nor refused');
      const inventory = bundle.record(result.inventory, 'inventory');
      placed(inventory, asked);
      equal('what the inventory stands on', inventory.standsOn, [...asked.earlier, ...result.reports]);
      const all = [...asked.earlier.map((hash) => bundle.record(hash, 'report')), ...reports];
      if (all[0]) equal('the credential', result.credential, all[0].body.report.credential);
      equal(
        'the sealed secrets',
        result.sealed,
        all.flatMap((record) => record.body.report.sealed ?? []),
      );
      for (const hash of result.refusals) placed(bundle.record(hash, 'refusal'), asked);
      break;
    }
    case 'assess': {
      const asked = input as AssessInput;
      const result = activity.result as AssessResult;
      const finding = bundle.record(result.finding, 'finding');
      const snapshot = bundle.record(result.snapshot, 'snapshot');
      placed(finding, asked);
      placed(snapshot, asked);
      equal('what the finding stands on', finding.standsOn, [...asked.reports, asked.inventory]);
      equal('what the snapshot stands on', snapshot.standsOn, [result.finding]);
      equal('whether it is live', result.live, finding.body.live);
      equal('whether the sweep counts', result.swept, finding.body.swept);
      equal(
        'the nodes',
        result.nodes,
        finding.body.graph.nodes.map((node) => node.id),
      );
      if (activity.queue !== `tourniquet-${finding.body.provider}-${finding.body.account}`)
        problems.push('another account was looked at than was asked');
      break;
    }
    case 'judge': {
      const asked = input as JudgeInput;
      const result = activity.result as JudgeResult;
      const plan = bundle.record(result.plan, 'plan');
      const verdict = bundle.record(result.verdict, 'verdict');
      const assessment = bundle.record(result.assessment, 'assessment');
      for (const record of [plan, verdict, assessment]) placed(record, asked);
      equal('what the assessment stands on', assessment.standsOn, [
        ...asked.reports,
        asked.inventory,
        asked.finding,
        ...(asked.previousPlan ? [asked.previousPlan] : []),
      ]);
      equal('what the verdict stands on', verdict.standsOn, [result.assessment]);
      equal('what the plan stands on', plan.standsOn, [result.assessment, result.verdict, asked.snapshot]);
      equal('the plan', result.content, plan.body);
      equal('the hash of the plan', result.planHash, planHash(plan.body));
      equal('mode and rule', [result.mode, result.rule], [verdict.body.mode, verdict.body.rule]);
      equal('whether it is live', result.live, assessment.body.finding.live);
      equal('whether the sweep counts', result.swept, assessment.body.swept);
      equal('the finding in the assessment', assessment.body.finding, bundle.record(asked.finding, 'finding').body);
      break;
    }
    case 'rule': {
      const asked = input as RuleInput;
      const { record: hash, ...ruling } = activity.result as DecisionRuling;
      const record = bundle.record(hash, 'decision');
      placed(record, asked);
      equal('the ruling', ruling, record.body.ruling);
      equal('what the ruling stands on', record.standsOn, asked.standsOn);
      equal('the decision', keepable(asked.signed), record.body.signed);
      equal('the time of receipt', asked.receivedAt, record.body.receivedAt);
      break;
    }
    case 'recordGate': {
      const asked = input as GateEventInput;
      const result = activity.result as { record: Hash; told: readonly string[]; acknowledged: boolean };
      const record = bundle.record(result.record, 'gate');
      placed(record, asked);
      const { gate, planHash: hash, event, deadlineAt } = record.body;
      equal(
        'the gate',
        { gate, planHash: hash, event, deadlineAt },
        { gate: asked.gate, planHash: asked.planHash, event: asked.event, deadlineAt: asked.deadlineAt },
      );
      equal('who was told', result.told, record.body.told);
      equal('whether it was acknowledged', result.acknowledged, record.body.acknowledgedBy !== undefined);
      break;
    }
    case 'capture': {
      const asked = input as CaptureInput;
      const record = bundle.record((activity.result as { snapshot: Hash }).snapshot, 'snapshot');
      placed(record, asked);
      equal('what the snapshot stands on', record.standsOn, [asked.plan]);
      break;
    }
    case 'apply':
    case 'revert':
    case 'reachHold': {
      const { direction, asked } = changeOf(activity);
      const result = activity.result as ApplyResult & RevertResult;
      const record = bundle.record(result.record, 'step');
      placed(record, asked.warrant);
      const { body } = record;
      equal('the step', [body.plan, body.step, body.direction], [asked.warrant.plan, asked.warrant.step, direction]);
      const { plan, snapshot, decisions, needs = {} } = asked.warrant;
      equal('what the step stands on', [...record.standsOn].sort(), [plan, snapshot, ...decisions, ...Object.values(needs)].sort());
      equal('outcome and observation', [result.outcome, result.observation], [body.outcome, body.observation]);
      equal('the residual', result.residual ?? null, body.residual ?? null);
      equal('the clocks', result.clocks ?? null, body.clocks ?? null);
      equal('what was made', result.made ?? null, body.made ?? null);
      if (body.failure) problems.push('it completed, and its record is of a failure');
      break;
    }
    case 'inspect': {
      const { warrant } = input as InspectInput;
      const result = activity.result as InspectResult;
      const record = bundle.record(result.record, 'step');
      placed(record, warrant);
      equal('what the look stands on', record.standsOn, [warrant.plan, warrant.snapshot]);
      const { plan, step, direction, outcome, made } = record.body;
      equal('the step', [plan, step, direction, outcome ?? null, made ?? null], [warrant.plan, warrant.step, 'inspect', null, null]);
      equal('the observation', result.observation, record.body.observation);
      break;
    }
    case 'review': {
      const asked = input as ReviewInput;
      const record = bundle.record((activity.result as { record: Hash }).record, 'review');
      placed(record, asked);
      equal('what the review stands on', record.standsOn, asked.assessment ? [asked.assessment] : []);
      const finding = asked.assessment && bundle.record(asked.assessment, 'assessment').body;
      const { closedAt: _, ...said } = record.body;
      equal('the review', reviewOf(asked, finding || undefined), said);
      break;
    }
    default:
      problems.push('no activity of the engine');
  }
  return problems;
}

interface Place {
  readonly incident: string;
  readonly run: string;
  readonly round: number;
}

const placeOf = ({ incident, run, round }: Place): Place => ({ incident, run, round });

const isChange = (activity: ActivityEntry): boolean => ['apply', 'revert', 'reachHold'].includes(activity.type);

/** What an activity that changes the world was asked, straight or by way of the principal's hold. */
function changeOf(activity: ActivityEntry): { direction: 'apply' | 'revert'; asked: ApplyInput | RevertInput; held?: HoldInput } {
  const [input] = activity.args;
  if (activity.type !== 'reachHold') return { direction: activity.type as 'apply' | 'revert', asked: input as ApplyInput | RevertInput };
  const held = input as HoldInput;
  const asked = held.direction === 'apply' ? held.apply : held.revert;
  if (!asked) throw new Error('a hold was asked for nothing');
  return { direction: held.direction, asked, held };
}

function checkPlans(bundle: Opened): string[] {
  return bundle.completed().flatMap((activity) => {
    if (activity.type !== 'judge') return [];
    try {
      const made = bundle.peopleAt(bundle.record((activity.result as JudgeResult).plan, 'plan').at).map((people) =>
        rederiveJudgement({
          input: activity.args[0] as JudgeInput,
          result: activity.result as JudgeResult,
          record: (hash, type) => bundle.record(hash, type),
          policyText: (path) => textOf(bundle.files.get(path)),
          people,
          faultOfLeave: (hash, at, by) => {
            const path = authorisationPath(hash);
            if (!bundle.files.has(path)) return `${path} is missing`;
            const signed = parseAuthorisation(bundle.text(path), path);
            if (authorisationHash(signed) !== hash) return `${path} is not the one of that hash`;
            const judging = { engine: bundle.trust.engine, trust: bundle.trust, people, verify: verifyEnvelope, now: at };
            return faultOfAuthorisation(signed, { ...judging, ...by });
          },
          manifests: bundle.options.manifests,
          authenticated: bundle.options.trust !== undefined,
        }),
      );
      return (made.some((problems) => problems.length === 0) ? [] : (made[0] ?? [])).map(
        (words) => `round ${(activity.args[0] as JudgeInput).round}: ${words}`,
      );
    } catch (error) {
      return [`judge (event ${activity.eventId}): ${error instanceof Error ? error.message : 'unreadable'}`];
    }
  });
}

function checkDecisions(bundle: Opened): string[] {
  const problems: string[] = [];
  for (const activity of bundle.completed()) {
    if (activity.type !== 'rule') continue;
    const input = activity.args[0] as RuleInput;
    const { record: hash, ...ruling } = activity.result as DecisionRuling;
    const record = bundle.record(hash, 'decision');
    const plan = input.plan ? bundle.record(input.plan, 'plan').body : undefined;
    const barred = plan ? bundle.record(plan.verdict, 'verdict').body.barred : undefined;
    const { standing } = record.body;
    const place = bundle.chain.findIndex((entry) => entry.record === hash);
    const heads = bundle.chain.slice(0, Math.max(0, place)).map((entry) => entry.head);
    problems.push(...standingBelow(standing, input.standing, ruling.gate).map((words) => `decision ${near(hash)}: ${words}`));
    const again = (now: string, counted: readonly string[] = [], people: People = bundle.people): DecisionRuling =>
      ruleOnDecision({
        // What stood at the gate is the judge's own word; so is whether another run had counted the id.
        input: {
          ...input,
          signed: keepable(input.signed),
          standing: input.standing.map((each) => (each.gate === standing?.gate ? standing : each)),
        },
        counted,
        // What was entered while the judge ruled stands before the ruling too; nobody can have signed over that.
        heads,
        ...(plan && { plan }),
        ...(barred && { barred }),
        engine: bundle.trust.engine,
        trust: bundle.trust,
        people,
        verify: verifyEnvelope,
        now,
      });
    // The judge looked at its clock a moment before it wrote the record; what expired in between may be ruled either way.
    const before = new Date(Date.parse(record.at) - 1000).toISOString();
    const rulings = bundle
      .peopleAt(record.at)
      .flatMap((people) =>
        [record.at, before].flatMap((at) => (ruling.accepted ? [[]] : [[], [ruling.id]]).map((counted) => again(at, counted, people))),
      );
    if (!rulings.some((each) => same(each, ruling))) {
      const read = readDecision(input.signed);
      problems.push(
        `${read.ok ? read.decision.id : near(hash)} would be ruled ${again(record.at).code ?? 'accepted'} and was ${ruling.code ?? 'accepted'}`,
      );
    }
  }
  return problems;
}

/** The judge may know of a gate what the run did not know yet: that it was never opened, or is answered. In all else its record says what the run said. */
function standingBelow(recorded: GateStanding | null, said: readonly GateStanding[], gate: string): string[] {
  const run = said.find((each) => each.gate === gate) ?? null;
  if (same(recorded, run)) return [];
  if (recorded === null || run === null) return ['what stood at the gate is not what the run said'];
  const known = run.state === 'open' && ['pending', 'rejected', 'defaulted'].includes(recorded.state);
  return known && same({ ...recorded, state: run.state }, run) ? [] : ['what stood at the gate is not what the run said'];
}

function checkWarrants(bundle: Opened): string[] {
  const problems: string[] = [];
  for (const activity of bundle.completed()) {
    if (!isChange(activity)) continue;
    const { direction, asked, held } = changeOf(activity);
    const plan = bundle.record(asked.warrant.plan, 'plan');
    const step = plan.body.steps.find((each) => each.id === asked.warrant.step);
    if (!step) {
      problems.push(`${asked.warrant.step} is in no plan`);
      continue;
    }
    const revert = direction === 'revert' ? (asked as RevertInput) : undefined;
    const needs = Object.fromEntries(
      Object.entries(asked.warrant.needs ?? {}).flatMap(([id, hash]) => {
        const record = bundle.records.get(hash);
        return record ? [[id, record]] : [];
      }),
    );
    const authorities = (revert ? [revert.because] : asked.warrant.decisions).flatMap((hash) => bundle.records.get(hash) ?? []);
    const now = activity.startedAt ?? activity.scheduledAt;
    const answers = bundle.peopleAt(now).map((people) =>
      checkWarrant({
        warrant: asked.warrant,
        ...(revert && { revert }),
        plan,
        snapshot: bundle.record(asked.warrant.snapshot, 'snapshot'),
        authorities,
        needs,
        ...(!revert && step.authorisation !== undefined ? { standing: standingIn(bundle, plan, step) } : {}),
        provider: step.provider,
        account: step.account,
        mode: 'act',
        irreversible: isIrreversible(bundle.options.manifests, step),
        ownTargets: [],
        trust: bundle.trust,
        people,
        now,
        executing: held
          ? { workflowId: holdId(held.provider, held.account, held.principal), runId: '' }
          : { workflowId: bundle.manifest.incident, runId: bundle.manifest.run },
        verify: verifyEnvelope,
        barred: bundle.record(plan.body.verdict, 'verdict').body.barred,
      }),
    );
    const answer = answers.find((each) => each.ok) ?? answers[0];
    if (answer?.ok && !revert) problems.push(...authorisedProblems(activity, bundle, answer.authorised));
    if (!answer?.ok) problems.push(`${direction} of ${step.id}: ${answer?.words} (${answer?.code})`);
  }
  return problems;
}

/** The standing authorisation that a step names, out of the bundle, with the records it has to fit; its signatures are judged under the trust that the auditor has. */
function standingIn(bundle: Opened, plan: RecordAs<'plan'>, step: PlanStep): NonNullable<Parameters<typeof checkWarrant>[0]['standing']> {
  const { assessment, verdict } = plan.body;
  const assessed = bundle.record(assessment, 'assessment');
  const found: { readonly hash: Hash; readonly record: RecordAs<'finding'> }[] = [];
  for (let round: RecordAs<'assessment'> | undefined = assessed, n = 0; round && n < bundle.records.size; n++) {
    let previous: RecordAs<'plan'> | undefined;
    for (const hash of round.standsOn) {
      const record = bundle.records.get(hash);
      if (record?.type === 'finding') found.push({ hash, record });
      if (record?.type === 'plan') previous = record;
    }
    round = previous && bundle.record(previous.body.assessment, 'assessment');
  }
  const path = authorisationPath(step.authorisation as Hash);
  return {
    signed: bundle.files.has(path) ? parseAuthorisation(bundle.text(path), path) : undefined,
    manifest: bundle.options.manifests[step.provider],
    assessment: { hash: assessment, record: assessed },
    verdict: { hash: verdict, record: bundle.record(verdict, 'verdict') },
    finding: found[0],
    findings: found.map(({ record }) => record),
  };
}

/** Each change says itself what it was done under: the standing authorisation where that was its leave, and none where people gave it. */
function authorisedProblems(activity: ActivityEntry, bundle: Opened, authorised: SignedAuthorisation | undefined): string[] {
  const { record } = activity.result as ApplyResult;
  const told = bundle.record(record, 'step').body.authorisation;
  const right = authorised && authorisationHash(authorised);
  return told === right
    ? []
    : [`${near(record)} says it was done under ${near(told ?? 'nothing')}, and it was under ${near(right ?? 'nothing')}`];
}

function checkReport(bundle: Opened): string[] {
  const report = makeReport({ engine: bundle.trust.engine, chain: bundle.chain, records: bundle.records, facts: bundle.facts });
  const problems: string[] = [];
  if (reportJson(report) !== bundle.text(BundleFile.REPORT)) problems.push('report.json says something else');
  if (reportHtml(report) !== bundle.text(BundleFile.REPORT_HTML)) problems.push('report.html says something else');
  return problems;
}

async function checkReplay(bundle: Opened): Promise<{ problems: string[]; unknownCode: boolean }> {
  const { options, manifest } = bundle;
  const shipped = textOf(bundle.files.get(BundleFile.CODE));
  const known = options.release?.hash === manifest.code || options.trust?.code.includes(manifest.code) === true;
  if (!known) {
    return { problems: [`the code ${near(manifest.code)} is of no known release, and no trust file given names it`], unknownCode: true };
  }
  const code = options.release?.hash === manifest.code ? options.release.code : shipped;
  if (code === undefined) return { problems: [`the code ${near(manifest.code)} is not here`], unknownCode: true };
  if (code === shipped && codeHash(shipped) !== manifest.code)
    return { problems: ['workflows.cjs is not the code that the manifest names'], unknownCode: false };
  if (!options.replay) return { problems: ['no replay was made'], unknownCode: false };
  const outcome = await options.replay({
    code,
    history: bundle.files.get(BundleFile.HISTORY) ?? new Uint8Array(),
    workflowId: manifest.incident,
  });
  if (outcome.error !== undefined) return { problems: [outcome.error], unknownCode: false };
  const problems: string[] = [];
  const scheduled = bundle.facts.activities;
  // What the code asked for after the last event of an unfinished history is in no history yet.
  if (outcome.scheduled.length < scheduled.length)
    problems.push(`it asks for ${outcome.scheduled.length} activities and the history has ${scheduled.length}`);
  if (bundle.facts.end && outcome.scheduled.length > scheduled.length)
    problems.push(`it asks for ${outcome.scheduled.length - scheduled.length} activities more`);
  scheduled.forEach((activity, index) => {
    const again = outcome.scheduled[index];
    if (!again) return;
    if (again.type !== activity.type) problems.push(`event ${activity.eventId} is ${activity.type}, and the code asks for ${again.type}`);
    else if (!same(again.args, activity.args)) problems.push(`event ${activity.eventId}: ${activity.type} was asked with other arguments`);
  });
  return { problems, unknownCode: false };
}

/** By the manifests of this release, and by no word of the plan. */
function isIrreversible(manifests: Readonly<Record<string, ProviderManifest>>, step: PlanStep): boolean {
  const manifest = manifests[step.provider];
  return manifest !== undefined && actionOf(manifest, step.action.slice(step.provider.length + 1))?.reversibility === 'irreversible';
}
