import { ownThings } from '../audit/self.ts';
import type { Assessment } from '../domain/assessment.ts';
import { authorisationHash, faultOfAuthorisation } from '../domain/authorisation.ts';
import { canonicalJson, type Hash } from '../domain/canonical.ts';
import { incidentId } from '../domain/credential.ts';
import { fault } from '../domain/errors.ts';
import type { JudgeInput, JudgeResult } from '../domain/messages.ts';
import { type Plan, planHash } from '../domain/plan.ts';
import { Mode, type Verdict } from '../domain/policy.ts';
import type { People } from '../domain/trust.ts';
import { assessmentOf, type Circumstances, containedExtent, isSettled, nextAt, rotatedExtent, situationOf } from '../planning/facts.ts';
import { planRound } from '../planning/plan.ts';
import { judgeSituation } from '../planning/policy.ts';
import { authorisationName, policyName } from './audit.ts';
import { hasLeave, spendOn } from './budget.ts';
import type { JudgeDeps } from './deps.ts';
import { expectHere, provenSteps, readGood } from './done.ts';
import { guarded } from './failure.ts';

/**
 * Judges and plans one round in one go: merges what was found into the assessment, lets policy speak, plans, and signs all three. It reads records and believes no field of a
 * history. The plan is a pure function of them, so that an auditor can make it again.
 */
export function createJudge(deps: JudgeDeps) {
  return async function judge(input: JudgeInput): Promise<JudgeResult> {
    return await guarded(async () => {
      const { records } = deps;
      const place = { incident: input.incident, run: input.run, round: input.round };
      const [finding, inventory] = await Promise.all([records.read(input.finding, 'finding'), records.read(input.inventory, 'inventory')]);
      expectHere(place, finding, inventory);
      // A report, or an earlier plan, that is none of this run is as if nobody had named it.
      const reports = await readGood(deps, place, 'report', input.reports);
      if (reports.length === 0) throw fault('record.missing', { record: 'report' });
      // A secret that was shown to be real elsewhere is no proof here.
      const { credential } = finding.body;
      if (credential && reports.some(({ record }) => incidentId(record.body.report.credential) !== incidentId(credential)))
        throw fault('record.unreadable', { record: 'finding', why: 'it is of another credential than was reported' });
      const [planned] = await readGood(deps, place, 'plan', input.previousPlan ? [input.previousPlan] : []);
      const done = await provenSteps(deps, input);
      // Facts only rise: what an earlier round has proven stays proven, though the secret is not tried again.
      const previous = planned ? (await records.read(planned.record.body.assessment, 'assessment')).body : undefined;
      const assessment = assessmentOf({
        reports: reports.map(({ record }) => record.body),
        reportHashes: reports.map(({ hash }) => hash),
        inventory: inventory.body,
        inventoryHash: input.inventory,
        finding: finding.body,
        swept: finding.body.swept,
        known: input.known,
        done,
        manifests: deps.manifests,
        ...(previous ? { previous } : {}),
      });
      const assessmentHash = await records.write('assessment', {
        ...place,
        standsOn: [...reports.map(({ hash }) => hash), input.inventory, input.finding, ...(planned ? [planned.hash] : [])],
        body: assessment,
      });
      const { policy, hash: policyHash, text } = deps.policy();
      await deps.store.createIfAbsent(policyName(policyHash), new TextEncoder().encode(text));
      const circumstances = {
        assessment,
        inventory: inventory.body,
        done,
        people: peopleByRole(deps.people()),
        // In the verdict's record, so that the plan can be made again from records alone.
        accounts: deps.configuration.accounts.map(({ provider, account, mode, settings }) => ({
          provider,
          account,
          mode,
          ...(settings.timing === undefined ? {} : { settings: { timing: settings.timing } }),
        })),
        ownTargets: await ownTargets(deps),
        manifests: deps.manifests,
      };
      const leave = await leaveFor(deps, input, assessment);
      const situation = { ...circumstances, ...leave };
      let verdict: Verdict = judgeSituation(policy, situationOf(situation), policyHash);
      if (verdict.mode === Mode.ACT) {
        const { provider, account } = assessment.finding;
        const reporter = assessment.unsigned ? undefined : assessment.signers?.[0];
        const on = { incident: input.incident, run: input.run, provider, account, reporter };
        const spent = await spendOn(deps.store, policy.budgets, on, deps.clock().getTime());
        if (spent) verdict = judgeSituation(policy, situationOf({ ...situation, budgetSpent: spent }), policyHash);
      }
      if (verdict.authorised) {
        const hash = verdict.authorised.authorisation;
        const signed = deps.authorisations?.().find((each) => authorisationHash(each) === hash);
        await deps.store.createIfAbsent(authorisationName(hash), new TextEncoder().encode(canonicalJson(signed)));
      }
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
        done,
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
        contained: containedExtent(assessment, done, deps.manifests),
        rotated: rotatedExtent(assessment, done, inventory.body, deps.manifests),
        nodes: [...new Set([...input.known, ...assessment.finding.graph.nodes.map((node) => node.id)])],
        swept: assessment.swept,
        again: plan.steps.length === 0 && input.round > 1 && assessment.fresh.length > 0,
        settled: isSettled(assessment, done, plan, deps.manifests),
        ...(next ? { nextAt: next } : {}),
      };
    });
  };
}

/**
 * What was signed beforehand for credentials of this kind: the first authorisation that is in force and has a place left; else why the last one looked at gives no leave. Whether the situation is one that it is for, policy says.
 */
async function leaveFor(
  deps: JudgeDeps,
  of: { readonly incident: string; readonly run: string },
  { credential }: Assessment,
): Promise<Pick<Circumstances, 'authorised' | 'withheld'>> {
  const { policy } = deps.policy();
  const now = deps.clock();
  let withheld: string | undefined;
  for (const signed of deps.authorisations?.() ?? []) {
    const { id, kinds, cascadeMs, expires, perHour } = signed.authorisation;
    if (!kinds.includes(credential.kind)) continue;
    const by = { engine: deps.engine, trust: deps.trust(), people: deps.people(), verify: deps.verify, now: now.toISOString() };
    withheld = faultOfAuthorisation(signed, { ...by, ...policy.standing });
    if (withheld !== undefined) continue;
    if (await hasLeave(deps.store, signed, of, now.getTime()))
      return { authorised: { authorisation: authorisationHash(signed), id, cascadeMs, expires } };
    withheld = `the standing authorisation ${id} is spent: ${perHour} an hour`;
  }
  return withheld === undefined ? {} : { withheld };
}

/** Ids of people by each role they hold. */
function peopleByRole({ people }: People): Record<string, string[]> {
  const byRole: Record<string, string[]> = {};
  for (const { id, roles } of people) for (const role of roles) byRole[role] = [...(byRole[role] ?? []), id];
  return byRole;
}

/** Names of all that the engine stands on: credentials, users, tokens; its own keys; and the places it lives in. */
async function ownTargets(deps: JudgeDeps): Promise<readonly string[]> {
  const { accounts, store, drop, self = [] } = deps.configuration;
  const places = [store?.directory, drop?.directory, ...accounts.map((each) => each.credentials)].filter((each) => each !== undefined);
  const source = { store: deps.store, trust: deps.trust(), read: async (hash: Hash) => await deps.records.read(hash, 'self') };
  return (await ownThings(source, accounts, [...places, ...self])).map(({ id }) => id);
}
