import { activityInfo, sleep } from '@temporalio/activity';
import { type Hash, hashOf, keepable } from '../domain/canonical.ts';
import type { DecisionRecord, DecisionRuling, GateRecord, GateStanding } from '../domain/decision.ts';
import { fault } from '../domain/errors.ts';
import { type GateEventInput, type GateEventResult, QueryName, type RuleInput } from '../domain/messages.ts';
import { planHash } from '../domain/plan.ts';
import type { GateRule } from '../domain/policy.ts';
import type { ChainEntry } from '../domain/record.ts';
import { ruleOnDecision } from '../domain/ruling.ts';
import type { JudgeDeps } from './deps.ts';
import { guarded } from './failure.ts';

/** Rules on one decision and records it, accepted or refused. Never throws on the decision's account: a refusal is an answer. */
export function createRule(deps: JudgeDeps) {
  return async function rule(input: RuleInput): Promise<DecisionRuling> {
    return await guarded(async () => {
      // What has no canonical form cannot be kept: its place in the record says so, and the ruling on it is that it is none.
      const signed = keepable(input.signed);
      const plan = input.plan ? (await deps.records.read(input.plan, 'plan')).body : undefined;
      const verdict = plan ? (await deps.records.read(plan.verdict, 'verdict')).body : undefined;
      const standing = await standingOf(deps, input);
      const question = (counted: readonly string[], heads?: readonly Hash[]) => ({
        input: { ...input, signed, standing },
        counted,
        ...(heads ? { heads } : {}),
        ...(plan ? { plan } : {}),
        ...(verdict ? { barred: verdict.barred } : {}),
        now: deps.clock().toISOString(),
        engine: deps.engine,
        trust: deps.trust(),
        people: deps.people(),
        verify: deps.verify,
      });
      let { record: _none, ...ruling } = ruleOnDecision(question([]));
      // The run is asked only about what would count: whoever floods it with what is refused anyway has no question put to it for that.
      if (ruling.accepted) ({ record: _none, ...ruling } = ruleOnDecision(question([], await headsOf(deps, input))));
      // An id counts once, whatever the message says of it: the store remembers who counted it, and a retry of this activity is the same one.
      const others = await isCounted(deps, input, ruling.id, ruling.accepted);
      if (others) ({ record: _none, ...ruling } = ruleOnDecision(question([ruling.id])));
      const stood = standing.find((each) => each.gate === ruling.gate) ?? null;
      const body: DecisionRecord = { signed, receivedAt: input.receivedAt, standing: stood, ruling };
      const record = await deps.records.write('decision', {
        incident: input.incident,
        run: input.run,
        round: input.round,
        standsOn: input.standsOn,
        body,
      });
      if (ruling.accepted && ruling.verdict === 'reject' && input.planHash)
        await markGate(deps, input.planHash, ruling.gate, 'rejected', ownerOf(input));
      return { ...ruling, record };
    });
  };
}

/** How often a run that cannot answer just now is asked again before the ruling is put off. */
const mostAsked = 5;

/**
 * Every head that the run's chain has had so far, by its own word. It is believed in nothing but a refusal: whoever answers in the run's place can have a decision refused, as whoever can do that
 * could have kept it from the judge, or one counted that its signer has signed over nothing, which the verifier names. The price is one query for each decision that counts.
 */
async function headsOf(deps: JudgeDeps, { incident, run }: RuleInput): Promise<readonly Hash[]> {
  for (let asked = 1; ; asked++) {
    try {
      const chain = await deps.client.workflow.getHandle(incident, run).query<readonly ChainEntry[]>(QueryName.CHAIN);
      return chain.map((entry) => entry.head);
    } catch (error) {
      // The server keeps one query of a run waiting and turns away those beside it.
      if (asked >= mostAsked)
        throw fault('engine.unavailable', { incident, attempted: 'ask the run over which evidence it was signed' }, error);
      await sleep(100 * asked);
    }
  }
}

/** A ruling by its run and activity: a retry of the activity is the same one. */
const ownerOf = (input: RuleInput): string => `${input.run}|${activityInfo().activityId}`;

/** Whether another ruling has counted the decision of that id. Where none has and this one is to, it takes the id. */
async function isCounted(deps: JudgeDeps, input: RuleInput, id: string, take: boolean): Promise<boolean> {
  const owner = ownerOf(input);
  const name = `decisions/${hashOf({ id }).slice('sha256:'.length)}`;
  const there = take ? (await deps.store.createIfAbsent(name, new TextEncoder().encode(owner))).existing : await deps.store.read(name);
  return there !== undefined && new TextDecoder().decode(there) !== owner;
}

/**
 * What stands at the gates, as far as the store bears the message out: a gate that this judge did not see opened is not open, and one that was rejected or passed in silence
 * is that, whatever the message says.
 */
async function standingOf(deps: JudgeDeps, input: RuleInput): Promise<readonly GateStanding[]> {
  const { planHash: plan } = input;
  return await Promise.all(
    input.standing.map(async (each) => {
      if (each.state !== 'open' || plan === undefined) return each;
      const seen = async (what: GateMark): Promise<boolean> => {
        const mark = await deps.store.read(`gates/${plan}/${each.gate}/${what}`);
        // What an earlier attempt of this very ruling has marked is no answer to it: only its own was lost.
        return mark !== undefined && new TextDecoder().decode(mark).split(' ')[1] !== ownerOf(input);
      };
      if (await seen('rejected')) return { ...each, state: 'rejected' as const };
      if (await seen('defaulted')) return { ...each, state: 'defaulted' as const };
      return (await seen('opened')) ? each : { ...each, state: 'pending' as const };
    }),
  );
}

type GateMark = 'opened' | 'rejected' | 'defaulted';

/** Marks what happened to a gate once, in the store, by the judge's own clock: a message may say anything of it later. Answers when it was marked first. */
async function markGate(deps: JudgeDeps, planHash: Hash, gate: string, what: GateMark, owner?: string): Promise<string> {
  const now = deps.clock().toISOString();
  const mark = await deps.store.createIfAbsent(
    `gates/${planHash}/${gate}/${what}`,
    new TextEncoder().encode(owner ? `${now} ${owner}` : now),
  );
  return mark.created ? now : (new TextDecoder().decode(mark.existing).split(' ')[0] ?? now);
}

/** How much earlier than the judge the run may have begun to count a gate's time, in milliseconds. */
const skewMs = 5000;

/** Silence is believed only of a gate that this judge saw opened, for as long as its rule says, and that nobody rejected. */
async function expectSilence(deps: JudgeDeps, input: GateEventInput, rule: GateRule): Promise<void> {
  const name = `gates/${input.planHash}/${input.gate}`;
  const [opened, rejected] = await Promise.all([deps.store.read(`${name}/opened`), deps.store.read(`${name}/rejected`)]);
  const openFor = opened ? deps.clock().getTime() - Date.parse(new TextDecoder().decode(opened)) : -1;
  if (rejected || openFor < 0 || openFor + skewMs < rule.deadlineMs)
    throw fault('decision.no-such-gate', { gate: input.gate, attempted: 'default' });
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
      if (!gate || planHash(plan) !== input.planHash) throw fault('decision.no-such-gate', { gate: input.gate });
      if (input.event === 'opened') await markGate(deps, input.planHash, input.gate, 'opened');
      if (input.event === 'defaulted') {
        await expectSilence(deps, input, gate.rule);
        await markGate(deps, input.planHash, input.gate, 'defaulted');
      }
      const roles = input.event === 'escalated' || input.event === 'defaulted' ? gate.rule.escalateTo : gate.rule.roles;
      const told = deps
        .people()
        .people.filter((person) => person.roles.some((role) => roles.includes(role)) && !gate.barred.includes(person.id))
        .map((person) => person.id);
      const body: GateRecord = {
        gate: input.gate,
        planHash: input.planHash,
        event: input.event,
        at: deps.clock().toISOString(),
        deadlineAt: input.deadlineAt,
        onSilence: gate.rule.onSilence,
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
