import type { JudgeInput, JudgeResult } from '../domain/messages.ts';
import { type Plan, planHash } from '../domain/plan.ts';
import type { Verdict } from '../domain/policy.ts';
import type { People } from '../domain/trust.ts';
import { assessmentOf, containedExtent, isSettled, nextAt, rotatedExtent, situationOf } from '../planning/facts.ts';
import { planRound } from '../planning/plan.ts';
import { judgeSituation } from '../planning/policy.ts';
import { policyName } from './audit.ts';
import type { JudgeDeps } from './deps.ts';
import { guarded } from './failure.ts';

/**
 * Judges and plans one round in one go: merges what was found into the assessment, lets policy speak, plans, and signs all three. It reads records and believes no field of a
 * history. The plan is a pure function of them, so that an auditor can make it again.
 */
export function createJudge(deps: JudgeDeps) {
  return async function judge(input: JudgeInput): Promise<JudgeResult> {
    return await guarded(async () => {
      const { records } = deps;
      const [finding, inventory, ...reports] = await Promise.all([
        records.read(input.finding, 'finding'),
        records.read(input.inventory, 'inventory'),
        ...input.reports.map((hash) => records.read(hash, 'report')),
      ]);
      const place = { incident: input.incident, run: input.run, round: input.round };
      // Facts only rise: what an earlier round has proven stays proven, though the secret is not tried again.
      const earlier = input.previousPlan ? (await records.read(input.previousPlan, 'plan')).body.assessment : undefined;
      const previous = earlier ? (await records.read(earlier, 'assessment')).body : undefined;
      const assessment = assessmentOf({
        reports: reports.map((record) => record.body),
        reportHashes: input.reports,
        inventory: inventory.body,
        inventoryHash: input.inventory,
        finding: finding.body,
        swept: finding.body.swept,
        known: input.known,
        done: input.done,
        ...(previous ? { previous } : {}),
      });
      const assessmentHash = await records.write('assessment', {
        ...place,
        standsOn: [...input.reports, input.inventory, input.finding, ...(input.previousPlan ? [input.previousPlan] : [])],
        body: assessment,
      });
      const { policy, hash: policyHash, text } = deps.policy();
      await deps.store.createIfAbsent(policyName(policyHash), new TextEncoder().encode(text));
      const situation = situationOf({
        assessment,
        inventory: inventory.body,
        done: input.done,
        people: peopleByRole(deps.people()),
        // In the verdict's record, so that the plan can be made again from records alone.
        accounts: deps.configuration.accounts.map(({ provider, account, mode, settings }) => ({
          provider,
          account,
          mode,
          ...(settings.timing === undefined ? {} : { settings: { timing: settings.timing } }),
        })),
      });
      const verdict: Verdict = judgeSituation(policy, situation, policyHash);
      const verdictHash = await records.write('verdict', { ...place, standsOn: [assessmentHash], body: verdict });
      const plan: Plan = planRound({
        engine: deps.engine,
        ...place,
        now: deps.clock().toISOString(),
        assessment,
        assessmentHash,
        verdict,
        verdictHash,
        snapshotHash: input.snapshot,
        inventory: inventory.body,
        done: input.done,
        manifests: deps.manifests,
        rolledBack: input.rolledBack,
      });
      const planRecord = await records.write('plan', { ...place, standsOn: [assessmentHash, verdictHash, input.snapshot], body: plan });
      const next = nextAt(plan.residuals);
      return {
        assessment: assessmentHash,
        verdict: verdictHash,
        plan: planRecord,
        planHash: planHash(plan),
        content: plan,
        mode: verdict.mode,
        rule: verdict.rule,
        live: assessment.finding.live,
        contained: containedExtent(assessment, input.done),
        rotated: rotatedExtent(assessment, input.done, inventory.body),
        nodes: [...new Set([...input.known, ...assessment.finding.graph.nodes.map((node) => node.id)])],
        swept: assessment.swept,
        again: plan.steps.length === 0 && input.round > 1 && assessment.fresh.length > 0,
        settled: isSettled(assessment, input.done, plan),
        ...(next ? { nextAt: next } : {}),
      };
    });
  };
}

/** Ids of people by each role they hold. */
function peopleByRole({ people }: People): Record<string, string[]> {
  const byRole: Record<string, string[]> = {};
  for (const { id, roles } of people) for (const role of roles) byRole[role] = [...(byRole[role] ?? []), id];
  return byRole;
}
