import { type Hash, hashOf } from '../../domain/canonical.ts';
import type { Pace } from '../../domain/configuration.ts';
import type { DecisionRuling } from '../../domain/decision.ts';
import type { ApplyInput, ApplyResult, RevertInput, RevertResult } from '../../domain/execution.ts';
import type {
  AssessInput,
  GateEventInput,
  HoldInput,
  InspectInput,
  JudgeActivities,
  JudgeInput,
  JudgeResult,
  ProviderActivities,
  ReceiveInput,
  RuleInput,
} from '../../domain/messages.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Plan, PlanGate, PlanStep } from '../../domain/plan.ts';
import type { Report, Sighting } from '../../domain/report.ts';

/** A world without crypto or providers, in which a test says what is found and planned: for what the run itself promises. */
export interface Script {
  /** The plan of a round; undefined or no steps: nothing to do. */
  plan(round: number, input: JudgeInput): Partial<Plan> & { readonly steps: readonly PlanStep[] };
  contained?(round: number): JudgeResult['contained'];
  settled?(round: number): boolean;
  apply?(input: ApplyInput): Promise<Partial<ApplyResult> | undefined>;
  rule?(input: RuleInput): Partial<DecisionRuling>;
  /** How long a ruling takes. */
  readonly ruleAfterMs?: number;
  revert?(input: RevertInput): Promise<void>;
  /** Whether a step's change is still in effect, for `inspect`. */
  inspect?(input: InspectInput): 'yes' | 'no';
  readonly pace?: Pace;
}

export interface Journal {
  readonly events: string[];
  readonly inputs: {
    receive: ReceiveInput[];
    assess: AssessInput[];
    judge: JudgeInput[];
    rule: RuleInput[];
    gate: GateEventInput[];
    hold: HoldInput[];
    apply: ApplyInput[];
    revert: RevertInput[];
  };
}

export function newJournal(): Journal {
  return { events: [], inputs: { receive: [], assess: [], judge: [], rule: [], gate: [], hold: [], apply: [], revert: [] } };
}

const h = (name: string): Hash => hashOf({ name });
const at = '2026-01-01T00:00:00.000Z';

/** A step with everything that tests rarely care about filled in. */
export function step(id: string, more: Partial<PlanStep> = {}): PlanStep {
  return {
    id,
    action: 'test/act',
    provider: 'test',
    account: 'one',
    target: { id },
    params: {},
    title: id,
    phase: 'contain',
    needs: [],
    reversibility: 'reversible',
    impact: 'none',
    affects: [],
    byHand: `do ${id} by hand`,
    ...more,
  };
}

/** A gate that asks one approver, for a minute. */
export function gate(id: string, more: Partial<PlanGate['rule']> = {}): PlanGate {
  return {
    id,
    reason: 'outage',
    question: `May ${id}?`,
    barred: [],
    rule: { roles: ['approver'], quorum: 1, deadlineMs: 60_000, reminderMs: [], escalateTo: ['security-lead'], onSilence: 'hold', ...more },
  };
}

export function sighting(id: string): Sighting {
  const report: Report = {
    v: 1,
    id,
    format: 'manual',
    credential: { kind: 'test.key', locator: { id: 'K1' } },
    origin: { where: 'repository' },
    reporter: 'tester',
    seenAt: at,
    claims: {},
  };
  return { report };
}

/** Both sides' activities over a script; what was asked is in the journal, in order. */
export function scriptedActivities(script: Script, journal: Journal): JudgeActivities & ProviderActivities {
  const { events, inputs } = journal;
  const results = new Map<string, JudgeResult>();
  return {
    async receive(input) {
      inputs.receive.push(input);
      events.push(`receive ${input.sightings.length}`);
      return {
        reports: input.sightings.map((each) => h(`report ${each.report.id}`)),
        refusals: input.undecodable > 0 ? [h(`undecodable ${input.round}`)] : [],
        inventory: h(`inventory ${inputs.receive.length}`),
        credential: { kind: 'test.key', locator: { id: 'K1' } },
        provider: 'test',
        account: 'one',
        handled: true,
        sealed: [],
        depth: 'full',
        recheckMs: 300,
        pace: script.pace ?? { heartbeatMs: 30_000, retryCeilingMs: 30_000, stuckAfterMs: 600_000 },
        weight: 1,
      };
    },
    async assess(input) {
      inputs.assess.push(input);
      events.push(`assess ${input.round}`);
      return {
        finding: h(`finding ${input.round}`),
        snapshot: h(`snapshot ${input.round}`),
        live: yes(at, 'administrator', 'Active'),
        nodes: ['test.key:K1'],
        swept: yes(at, 'log', 'passed'),
      };
    },
    async judge(input) {
      inputs.judge.push(input);
      events.push(`judge ${input.round}`);
      const made = script.plan(input.round, input);
      const content: Plan = {
        v: 1,
        engine: 'eng_test',
        incident: input.incident,
        run: input.run,
        round: input.round,
        credential: { kind: 'test.key', locator: { id: 'K1' } },
        purpose: made.steps.length > 0 ? 'contain' : 'nothing',
        mode: 'act',
        assessment: h('assessment'),
        verdict: h('verdict'),
        gates: [],
        predicted: [],
        residuals: [],
        notes: [],
        issuedAt: at,
        expiresAt: '2027-01-01T00:00:00.000Z',
        ...made,
      };
      const result: JudgeResult = {
        assessment: h(`assessment ${input.round}`),
        verdict: h(`verdict ${input.round}`),
        plan: h(`plan ${input.round}`),
        planHash: hashOf(content),
        content,
        mode: 'act',
        rule: 'test',
        live: no(at, 'administrator', 'Inactive'),
        contained: script.contained?.(input.round) ?? 'yes',
        rotated: 'no',
        nodes: ['test.key:K1'],
        swept: yes(at, 'log', 'passed'),
        again: false,
        settled: script.settled?.(input.round) ?? made.steps.length === 0,
      };
      results.set(input.run, result);
      return result;
    },
    async rule(input) {
      inputs.rule.push(input);
      events.push(`rule ${input.via}`);
      if (script.ruleAfterMs) await new Promise((done) => setTimeout(done, script.ruleAfterMs));
      const ruled = script.rule?.(input) ?? {};
      return {
        accepted: true,
        why: 'because',
        id: `dec_${inputs.rule.length}`,
        by: 'sam',
        verdict: 'approve',
        gate: 'g1',
        missing: 0,
        record: h(`decision ${inputs.rule.length}`),
        ...ruled,
      };
    },
    async recordGate(input) {
      inputs.gate.push(input);
      events.push(`gate ${input.gate} ${input.event}`);
      return { record: h(`gate ${input.gate} ${input.event} ${inputs.gate.length}`), told: ['sam'], acknowledged: true };
    },
    async reachHold(input) {
      inputs.hold.push(input);
      events.push(`hold ${input.direction}`);
      if (input.apply) return await this.apply(input.apply);
      if (input.revert) return await this.revert(input.revert);
      throw new TypeError('neither');
    },
    async endedHolders() {
      return { ended: [] };
    },
    async review() {
      events.push('review');
      return { record: h('review') };
    },
    async exportBundle() {
      events.push('export');
      return { bundle: h('bundle'), events: 1 };
    },
    async capture(input) {
      events.push(`capture ${input.steps.join('+')}`);
      return { snapshot: h('captured') };
    },
    async apply(input: ApplyInput): Promise<ApplyResult> {
      inputs.apply.push(input);
      events.push(`apply ${input.warrant.step}`);
      const result = await script.apply?.(input);
      return {
        record: h(`step ${input.warrant.step}`),
        outcome: 'changed',
        observation: yes(at, 'probe', 'seen'),
        clocks: { acceptedAt: at, effectiveAt: at },
        ...result,
      };
    },
    async revert(input: RevertInput): Promise<RevertResult> {
      inputs.revert.push(input);
      events.push(`revert ${input.warrant.step}`);
      await script.revert?.(input);
      return { record: h(`undo ${input.warrant.step}`), outcome: 'changed', observation: yes(at, 'probe', 'seen') };
    },
    async inspect(input: InspectInput) {
      events.push(`inspect ${input.warrant.step}`);
      const state = script.inspect?.(input) ?? 'no';
      return {
        record: h(`inspection ${input.warrant.step}`),
        observation: state === 'yes' ? yes(at, 'probe', 'seen') : no(at, 'probe', 'gone'),
      };
    },
  };
}
