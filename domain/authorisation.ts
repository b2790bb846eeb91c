import type { Verify } from './authority.ts';
import { canonicalJson, type Hash, hashOf } from './canonical.ts';
import { type CredentialRef, incidentId, nodeId } from './credential.ts';
import type { ProviderManifest } from './manifest.ts';
import type { Plan, PlanStep } from './plan.ts';
import { type Envelope, PayloadType } from './record.ts';
import type { RecordAs } from './record-bodies.ts';
import { KeyRole, keyAt, type People, type Trust } from './trust.ts';

/**
 * What people sign beforehand, so that nobody has to be awake: a leaked credential of one of these kinds, proven real and open to the public, may be ended for good, though nobody is asked. Times are ISO, UTC.
 */
export interface Authorisation {
  readonly v: 1;
  readonly engine: string;
  readonly id: string;
  /** Kinds of credential, each named exactly. */
  readonly kinds: readonly string[];
  /** So many credentials within an hour that slides, all told. */
  readonly perHour: number;
  /** Where others in use would die with it, people are asked for so long, in milliseconds, and silence is leave. */
  readonly cascadeMs: number;
  readonly reason: string;
  readonly notBefore: string;
  readonly expires: string;
}

/** An authorisation and the signatures over it, one a person. */
export interface SignedAuthorisation {
  readonly authorisation: Authorisation;
  readonly signatures: Envelope['signatures'];
}

/** Who may sign one: whoever may be asked about what cannot be undone. */
export const authorisingRoles: readonly string[] = ['approver', 'security-lead'];

/** No worker takes fewer signers, whatever a policy says: a worker reads no policy, and one person alone must not be able to have things destroyed while all sleep. */
export const fewestAuthorisers = 2;

/** The longest one may last, in milliseconds: what is signed once and forgotten is signed by nobody. */
export const longestAuthorisationMs = 400 * 86_400_000;

/** By what an authorisation is judged. `roles` and `quorum` are the policy's, where there is one to ask. */
export interface JudgingAuthorisation {
  readonly engine: string;
  readonly trust: Trust;
  readonly people: People;
  readonly verify: Verify;
  /** ISO, UTC. */
  readonly now: string;
  readonly roles?: readonly string[];
  readonly quorum?: number;
}

/** The name of an authorisation: of what is signed, without the signatures. */
export const authorisationHash = ({ authorisation }: SignedAuthorisation): Hash => hashOf(authorisation);

/** The persons whose signatures hold now, each once: by a key that the trust vouches for now, of somebody who has one of the roles now. */
export function authorisersOf(signed: SignedAuthorisation, by: JudgingAuthorisation): readonly string[] {
  let binary = '';
  for (const byte of new TextEncoder().encode(canonicalJson(signed.authorisation))) binary += String.fromCharCode(byte);
  const payload = btoa(binary);
  const found = new Set<string>();
  for (const signature of signed.signatures) {
    const key = keyAt(by.trust, signature.keyid, KeyRole.PERSON, by.now);
    const person = by.people.people.find((each) => each.id === key?.person);
    if (!key || !person?.roles.some((role) => (by.roles ?? authorisingRoles).includes(role) && authorisingRoles.includes(role))) continue;
    if (by.verify({ payloadType: PayloadType.AUTHORISATION, payload, signatures: [signature] }, key.public)) found.add(person.id);
  }
  return [...found].sort();
}

/** Why an authorisation gives no leave now; undefined where it does. Whom it covers is another question. */
export function faultOfAuthorisation(signed: SignedAuthorisation, by: JudgingAuthorisation): string | undefined {
  const { id, engine, notBefore, expires } = signed.authorisation;
  const [from, until, now] = [notBefore, expires, by.now].map((each) => Date.parse(each)) as [number, number, number];
  if (engine !== by.engine) return `the standing authorisation ${id} is of another engine`;
  if (!(until - from <= longestAuthorisationMs)) return `the standing authorisation ${id} lasts longer than any may`;
  if (!(from <= now)) return `the standing authorisation ${id} begins at ${notBefore}`;
  if (!(now < until)) return `the standing authorisation ${id} has expired at ${expires}`;
  const wanted = Math.max(fewestAuthorisers, by.quorum ?? 0);
  const signers = authorisersOf(signed, by);
  if (signers.length < wanted) return `the standing authorisation ${id} is signed by ${signers.length} of ${wanted} whose signatures count`;
  return undefined;
}

/** Whether a way of ending a credential of that kind is one that an authorisation can give leave for: it cannot be undone, and there is no turning off. */
export function isOneWay(manifest: ProviderManifest | undefined, credential: CredentialRef, action: string): boolean {
  const ways = manifest?.kinds.find((each) => each.kind === credential.kind)?.ways;
  const declared = manifest?.actions.find((each) => each.name === action);
  // What would die with it has to be told by the manifest, or nobody could be asked about it: where a kind's children end by something that is no action, there is no leave.
  const told = manifest?.kinds
    .find((each) => each.kind === credential.kind)
    ?.mints.every((mint) => mint.killedBy.every((each) => manifest.actions.some(({ name }) => name === each)));
  return told === true && ways?.remove?.action === action && ways.disable === undefined && declared?.reversibility === 'irreversible';
}

/**
 * What is in use and would die with a credential, by node id: made with it, by the log or the provider's word, in a way that the manifest says its end ends. What came after the leak began is taken for the thief's, unless a declared
 * consumer uses it: else whoever has the token could buy time with a key of their own.
 */
export function casualtiesOf(
  assessment: Pick<RecordAs<'assessment'>['body'], 'credential' | 'finding' | 'exposedSince'>,
  manifest: ProviderManifest | undefined,
  action: string,
): readonly string[] {
  const { credential, finding, exposedSince } = assessment;
  const derived = new Set<string>();
  const queue = [nodeId(credential), ...finding.descendants];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    if (derived.has(id)) continue;
    derived.add(id);
    for (const edge of finding.graph.edges) if (edge.kind === 'derives' && edge.from === id) queue.push(edge.to);
  }
  const since = exposedSince === undefined ? Number.POSITIVE_INFINITY : Date.parse(exposedSince);
  return finding.graph.nodes.flatMap(({ id, credential: child }) => {
    if (!child || !derived.has(id) || id === nodeId(credential) || child.live.state === 'no') return [];
    const dies = manifest?.kinds.some((kind) =>
      kind.mints.some((mint) => mint.kind === child.kind && mint.via === child.derivedVia && mint.killedBy.includes(action)),
    );
    const ours =
      finding.seen.some((each) => each.credential === id) ||
      finding.graph.edges.some((edge) => edge.kind === 'used-by' && edge.from === id);
    const before = child.issuedAt === undefined || Date.parse(child.issuedAt) < since;
    return dies && (ours || (before && child.lastUsed !== undefined)) ? [id] : [];
  });
}

/** All that a worker looks at before it takes an authorisation for leave. Records are opened and their signatures verified by whoever calls. */
export interface StandingQuestion extends JudgingAuthorisation {
  /** The worker's own copy of the authorisation that the step names. */
  readonly signed: SignedAuthorisation | undefined;
  readonly plan: Plan;
  readonly step: PlanStep;
  readonly assessment: { readonly hash: Hash; readonly record: RecordAs<'assessment'> };
  readonly verdict: { readonly hash: Hash; readonly record: RecordAs<'verdict'> };
  /** What this account's worker found, which the assessment stands on. */
  readonly finding: { readonly hash: Hash; readonly record: RecordAs<'finding'> } | undefined;
  /** That finding and those of earlier rounds: in one of them the secret was shown to be the real one. */
  readonly findings: readonly RecordAs<'finding'>[];
  readonly manifest: ProviderManifest | undefined;
}

/** Why a standing authorisation is no leave for this step; undefined where it is. The rate is for the caller to count. */
export function faultOfStanding(question: StandingQuestion): string | undefined {
  const { signed, plan, step, trust } = question;
  if (step.authorisation === undefined) return 'the plan names no standing authorisation';
  if (!signed || authorisationHash(signed) !== step.authorisation)
    return 'the standing authorisation that the plan names is not in force here';
  const wrong = faultOfAuthorisation(signed, question);
  if (wrong) return wrong;
  const { authorisation } = signed;
  if (!authorisation.kinds.includes(plan.credential.kind)) return `${authorisation.id} is for other kinds than ${plan.credential.kind}`;
  const action = step.action.slice(step.provider.length + 1);
  if (plan.purpose !== 'contain' || plan.mode !== 'act') return 'the plan does not contain unasked';
  if (!isOneWay(question.manifest, plan.credential, action)) return `${step.action} is not the only way to contain ${plan.credential.kind}`;
  const named = new Set(Object.values(step.target));
  if (!Object.values(plan.credential.locator).every((each) => named.has(each)))
    return 'the step is about another credential than the leaked one';

  const { assessment, verdict, finding } = question;
  const judged = [assessment.record, verdict.record].every(
    (record) =>
      record.engine === trust.engine &&
      record.incident === plan.incident &&
      record.run === plan.run &&
      record.round === plan.round &&
      keyAt(trust, record.by, KeyRole.JUDGE, record.at) !== undefined,
  );
  if (!judged || assessment.hash !== plan.assessment || verdict.hash !== plan.verdict)
    return 'the plan stands on another assessment or verdict';
  const { body } = assessment.record;
  if (incidentId(body.credential) !== incidentId(plan.credential)) return 'the assessment is of another credential';
  if (body.proof !== 'possession') return `what proves the leak is a ${body.proof}`;
  if (body.exposure !== 'public') return `the leak is ${body.exposure}, not public`;
  if (verdict.record.body.authorised?.authorisation !== step.authorisation) return 'the verdict does not rest on the authorisation';

  // That the secret is real, and who would be hurt, is the word of this account's worker, and not the judge's: whoever has a judge's key must not be able to end what nobody has leaked.
  const isOurs = (record: RecordAs<'finding'>): boolean => {
    const worker = keyAt(trust, record.by, KeyRole.WORKER, record.at);
    const here = record.engine === trust.engine && record.incident === plan.incident && record.run === plan.run;
    return here && worker?.provider === step.provider && worker.account === step.account;
  };
  if (
    !finding ||
    !isOurs(finding.record) ||
    !assessment.record.standsOn.includes(finding.hash) ||
    hashOf(finding.record.body) !== hashOf(body.finding)
  )
    return 'the assessment does not stand on what the worker of this account found';
  const seen = question.findings.some(
    (record) =>
      isOurs(record) &&
      record.body.possession.state === 'yes' &&
      record.body.credential !== undefined &&
      incidentId(record.body.credential) === incidentId(plan.credential),
  );
  if (!seen) return 'the worker of this account has not seen the leaked secret to be the real one';
  const hurt = casualtiesOf(body, question.manifest, action);
  const gate = plan.gates.find((each) => each.id === step.gate);
  if (hurt.length > 0 && (!gate || gate.rule.deadlineMs < authorisation.cascadeMs))
    return `${hurt.join(', ')} would die with it, and people are not asked for ${authorisation.cascadeMs} ms first`;
  return undefined;
}
