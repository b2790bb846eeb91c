import { canonicalJson, type Hash, hashOf } from '../domain/canonical.ts';
import type { ProviderManifest } from '../domain/manifest.ts';
import type { JudgeInput, JudgeResult } from '../domain/messages.ts';
import { type Policy, parsePolicy } from '../domain/policy.schema.ts';
import type { RecordType } from '../domain/record.ts';
import type { RecordAs } from '../domain/record-bodies.ts';
import type { People } from '../domain/trust.ts';
import { assessmentOf, containedExtent, isSettled, nextAt, rotatedExtent, situationOf } from '../planning/facts.ts';
import { planRound } from '../planning/plan.ts';
import { judgeSituation } from '../planning/policy.ts';
import { policyPath } from './bundle.ts';

/** A judgement to be made again, and where to find what it stands on. */
export interface Judgement {
  readonly input: JudgeInput;
  readonly result: JudgeResult;
  readonly record: <T extends RecordType>(hash: Hash, type: T) => RecordAs<T>;
  /** The text of a file of the bundle. */
  readonly policyText: (path: string) => string | undefined;
  readonly people: People;
  /** Why the standing authorisation of that hash gave no leave at that time, by so many signers of those roles; undefined where it did. */
  readonly faultOfLeave: (hash: Hash, at: string, by: Policy['standing']) => string | undefined;
  readonly manifests: Readonly<Record<string, ProviderManifest>>;
  /** Whether the records were verified under a trust file that came by another way than the bundle. */
  readonly authenticated: boolean;
}

/** How far the judge's clock may go on between the plan and the writing of its record, in milliseconds. */
const writingMs = 60_000;

/** What of the condition language can go round: patterns, and whatever is asked of each member of a list. */
const loops = /\.\s*(matches|all|exists|exists_one|existsOne|map|filter)\s*\(/;

/** Makes assessment, verdict and plan of one round again, each from the signed records it stands on, and says where they differ from what was signed. */
export function rederiveJudgement({
  input,
  result,
  record,
  policyText,
  people,
  faultOfLeave,
  manifests,
  authenticated,
}: Judgement): string[] {
  const problems: string[] = [];
  const equal = (what: string, again: unknown, was: unknown): void => {
    if (canonicalJson(again ?? null) !== canonicalJson(was ?? null)) problems.push(`${what} would come out otherwise`);
  };
  const finding = record(input.finding, 'finding').body;
  const inventory = record(input.inventory, 'inventory').body;
  const reports = input.reports.map((hash) => record(hash, 'report').body);
  const previous = input.previousPlan ? record(record(input.previousPlan, 'plan').body.assessment, 'assessment').body : undefined;
  const assessment = record(result.assessment, 'assessment').body;
  equal(
    'the assessment',
    assessmentOf({
      reports,
      reportHashes: input.reports,
      inventory,
      inventoryHash: input.inventory,
      finding,
      swept: finding.swept,
      known: input.known,
      done: input.done,
      manifests,
      ...(previous && { previous }),
    }),
    assessment,
  );

  const verdict = record(result.verdict, 'verdict').body;
  const path = policyPath(verdict.policy);
  const text = policyText(path);
  const policy = text === undefined ? undefined : parsePolicy(text, path);
  if (policy === undefined) {
    problems.push(`the policy ${path} is not there`);
  } else if (hashOf(policy) !== verdict.policy) {
    // What no judge has named is not looked into: its conditions are a little program.
    problems.push(`${path} is not the policy of that hash`);
  } else if (!authenticated && loops.test(text ?? '')) {
    problems.push(`${path} has conditions that may take for ever, and nobody known has signed for them`);
  } else {
    const byRole: Record<string, string[]> = {};
    for (const { id, roles } of people.people) for (const role of roles) byRole[role] = [...(byRole[role] ?? []), id];
    const situation = situationOf({
      assessment,
      inventory,
      done: input.done,
      people: byRole,
      accounts: verdict.accounts ?? [],
      ownTargets: verdict.self ?? [],
      manifests,
      ...(verdict.authorised ? { authorised: verdict.authorised } : {}),
      ...(verdict.withheld ? { withheld: verdict.withheld } : {}),
      ...(verdict.budget ? { budgetSpent: verdict.budget.spent } : {}),
    });
    const leave = verdict.authorised;
    const wrong = leave && faultOfLeave(leave.authorisation, record(result.verdict, 'verdict').at, policy.standing);
    if (wrong) problems.push(`the verdict rests on a standing authorisation: ${wrong}`);
    equal('the verdict', judgeSituation(policy, situation, verdict.policy), verdict);
  }

  const planned = record(result.plan, 'plan');
  const plan = planned.body;
  const lag = Date.parse(planned.at) - Date.parse(plan.issuedAt);
  if (!(lag >= 0 && lag <= writingMs)) problems.push(`the plan is of ${plan.issuedAt}, and its record of ${planned.at}`);
  equal(
    'the plan',
    planRound({
      engine: planned.engine,
      incident: planned.incident,
      run: planned.run,
      round: planned.round,
      now: plan.issuedAt,
      assessment,
      assessmentHash: result.assessment,
      verdict,
      verdictHash: result.verdict,
      snapshotHash: input.snapshot,
      inventory,
      done: input.done,
      manifests,
      rolledBack: input.rolledBack,
    }),
    plan,
  );
  equal('how far it is contained', containedExtent(assessment, input.done, manifests), result.contained);
  equal('how far it is rotated', rotatedExtent(assessment, input.done, inventory, manifests), result.rotated);
  equal('whether it is settled', isSettled(assessment, input.done, plan, manifests), result.settled);
  equal('when something is next due', nextAt(plan.residuals), result.nextAt);
  equal('the nodes known', [...new Set([...input.known, ...finding.graph.nodes.map((node) => node.id)])], result.nodes);
  return problems;
}
