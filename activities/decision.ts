import type { DecisionRecord, DecisionRuling, GateRecord } from '../domain/decision.ts';
import type { GateEventInput, GateEventResult, RuleInput } from '../domain/messages.ts';
import { ruleOnDecision } from '../domain/ruling.ts';
import type { JudgeDeps } from './deps.ts';
import { guarded } from './failure.ts';

/** Rules on one decision and records it, accepted or refused. Never throws on the decision's account: a refusal is an answer. */
export function createRule(deps: JudgeDeps) {
  return async function rule(input: RuleInput): Promise<DecisionRuling> {
    return await guarded(async () => {
      const plan = input.plan ? (await deps.records.read(input.plan, 'plan')).body : undefined;
      const verdict = plan ? (await deps.records.read(plan.verdict, 'verdict')).body : undefined;
      const { record: _none, ...ruling } = ruleOnDecision({
        input,
        ...(plan ? { plan } : {}),
        ...(verdict ? { barred: verdict.barred } : {}),
        now: deps.clock().toISOString(),
        engine: deps.engine,
        trust: deps.trust(),
        people: deps.people(),
        verify: deps.verify,
      });
      const standing = input.standing.find((each) => each.gate === ruling.gate) ?? null;
      const body: DecisionRecord = { signed: input.signed, receivedAt: input.receivedAt, standing, ruling };
      const record = await deps.records.write('decision', {
        incident: input.incident,
        run: input.run,
        round: input.round,
        standsOn: input.standsOn,
        body,
      });
      return { ...ruling, record };
    });
  };
}

/**
 * Records that a gate was opened, reminded of, escalated or defaulted, and whom that was for. Until outlets exist the record itself is the outlet: it is shown by `list`, `show` and
 * `watch`, and its delivery is acknowledged by having been written.
 */
export function createRecordGate(deps: JudgeDeps) {
  return async function recordGate(input: GateEventInput): Promise<GateEventResult> {
    return await guarded(async () => {
      const plan = (await deps.records.read(input.plan, 'plan')).body;
      const gate = plan.gates.find((each) => each.id === input.gate);
      const roles = input.event === 'escalated' || input.event === 'defaulted' ? (gate?.rule.escalateTo ?? []) : (gate?.rule.roles ?? []);
      const told = deps
        .people()
        .people.filter((person) => person.roles.some((role) => roles.includes(role)) && !gate?.barred.includes(person.id))
        .map((person) => person.id);
      const body: GateRecord = {
        gate: input.gate,
        planHash: input.planHash,
        event: input.event,
        at: deps.clock().toISOString(),
        deadlineAt: input.deadlineAt,
        onSilence: gate?.rule.onSilence ?? 'hold',
        told,
        acknowledgedBy: 'record',
      };
      const record = await deps.records.write('gate', {
        incident: input.incident,
        run: input.run,
        round: input.round,
        standsOn: [input.plan],
        body,
      });
      return { record, told, acknowledged: true };
    });
  };
}
