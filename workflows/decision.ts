import { condition } from '@temporalio/workflow';
import { type Hash, isHash } from '../domain/canonical.ts';
import type { DecisionRuling } from '../domain/decision.ts';
import type { GateEventInput, JudgeResult } from '../domain/messages.ts';
import { GateState, moveGate } from '../domain/states.ts';
import { failureOf } from './failure.ts';
import { type InboxEntry, type Incident, now } from './incident.ts';
import { judge } from './ports.ts';
import { expectResult } from './shapes.ts';

/** Rules on decisions one after the other, for as long as the run lasts. What is refused is recorded as much as what counts. */
export async function takeDecisions(incident: Incident): Promise<void> {
  for (;;) {
    await condition(() => incident.inbox.length > 0 || incident.ended);
    const entry = incident.inbox[0];
    if (!entry) return;
    try {
      const plan = incident.judged?.planHash;
      const ruling = await rule(incident, entry);
      incident.inbox.shift();
      // Whoever waits gets the ruling whatever comes of heeding it.
      entry.ruling = ruling;
      heed(incident, ruling, plan);
    } catch (error) {
      incident.note('engine', `a decision could not be ruled on yet: ${failureOf(error).words}`);
      await condition(() => false, '5s');
    }
  }
}

async function rule(incident: Incident, entry: InboxEntry): Promise<DecisionRuling> {
  const { judged } = incident;
  const ruling = await judge(incident.pace).rule({
    incident: incident.id,
    run: incident.run,
    round: incident.round,
    signed: entry.signed,
    via: entry.via,
    receivedAt: entry.receivedAt,
    ...(judged ? { plan: judged.plan, planHash: judged.planHash } : {}),
    standing: [...incident.gates.values()].map((gate) => ({
      gate: gate.id,
      state: gate.state,
      ...(gate.openedAt ? { openedAt: gate.openedAt } : {}),
      ...(gate.deadlineAt ? { deadlineAt: gate.deadlineAt } : {}),
      approvals: gate.approvals,
    })),
    undoable: incident.undoable || incident.courses.some((course) => course.status.state === 'running'),
    standsOn: judged ? [judged.plan] : [],
  });
  expectResult('rule', ruling);
  if (!isHash(ruling.record)) throw new TypeError('a ruling without a record');
  incident.enter('decision', ruling.record);
  return ruling;
}

/** Does what an accepted decision says. */
function heed(incident: Incident, ruling: DecisionRuling, plan: Hash | undefined): void {
  const record = ruling.record;
  if (!ruling.accepted || !record) {
    incident.refused.push(ruling);
    const what = ruling.gate ? `${ruling.verdict} of ${ruling.gate}` : `a decision that is ${ruling.verdict}`;
    incident.note(ruling.by || 'somebody', `${what} refused: ${ruling.why} (${ruling.code ?? ''})`, record);
    return;
  }
  incident.stirred = true;
  incident.note(ruling.by, `${ruling.verdict} of ${ruling.gate}: ${ruling.why}`, record);
  const gate = incident.gates.get(ruling.gate);
  const whole = ruling.verdict === 'rollback' || ruling.verdict === 'dismiss';
  if (!whole && (gate?.state !== GateState.OPEN || incident.judged?.planHash !== plan)) {
    // The deadline passed or the plan changed while it was ruled on: it is on record, and what it was about is no longer asked.
    incident.note('engine', `${ruling.verdict} of ${ruling.gate} came as the question was closing and no longer counts`, record);
    return;
  }
  switch (ruling.verdict) {
    case 'rollback':
      incident.rollback = { record, by: ruling.by };
      incident.callOff();
      break;
    case 'dismiss':
      incident.dismissal = { record, by: ruling.by };
      incident.callOff();
      break;
    case 'approve':
      if (!gate) break;
      gate.approvals = [...gate.approvals, ruling.by];
      incident.gateRecords.set(gate.id, [...(incident.gateRecords.get(gate.id) ?? []), record]);
      if (ruling.missing === 0) gate.state = moveGate(gate.state, GateState.APPROVED);
      break;
    case 'reject':
      if (!gate) break;
      incident.refusedAt.set(gate.id, { by: ruling.by, record });
      gate.state = moveGate(gate.state, GateState.REJECTED);
      break;
    case 'extend':
      if (gate && ruling.until) gate.deadlineAt = ruling.until;
      break;
    default:
      break;
  }
}

/** Opens gates when the first of their steps is ready, reminds, escalates, and does at the deadline what silence means. */
export async function watchGates(incident: Incident, judged: JudgeResult, over: { readonly done: boolean }): Promise<void> {
  await Promise.all([...incident.gates.keys()].map((id) => watchGate(incident, judged, id, over)));
}

async function watchGate(incident: Incident, judged: JudgeResult, id: string, over: { readonly done: boolean }): Promise<void> {
  const gate = incident.gates.get(id);
  if (!gate) return;
  const closed = () => over.done || incident.halted || (gate.state !== GateState.OPEN && gate.state !== GateState.PENDING);
  await condition(() => closed() || incident.courses.some((course) => course.step.gate === id && course.status.state === 'waiting'));
  if (closed()) {
    if (gate.state === GateState.PENDING) gate.state = moveGate(gate.state, GateState.SUPERSEDED);
    return;
  }
  const openedAt = now();
  gate.openedAt = openedAt;
  gate.deadlineAt = new Date(Date.parse(openedAt) + gate.rule.deadlineMs).toISOString();

  const record = async (event: GateEventInput['event']): Promise<boolean> => {
    for (;;) {
      try {
        return await write(event);
      } catch (error) {
        incident.note('engine', `${event} of "${gate.question}" could not be recorded yet: ${failureOf(error).words}`);
        if (await condition(closed, '10s')) return false;
      }
    }
  };
  const write = async (event: GateEventInput['event']): Promise<boolean> => {
    const result = await judge(incident.pace).recordGate({
      incident: incident.id,
      run: incident.run,
      round: incident.round,
      plan: judged.plan,
      planHash: judged.planHash,
      gate: id,
      event,
      openedAt,
      deadlineAt: gate.deadlineAt ?? openedAt,
    });
    expectResult('recordGate', result);
    incident.enter('gate', result.record);
    if (event === 'defaulted') incident.gateRecords.set(id, [...(incident.gateRecords.get(id) ?? []), result.record]);
    if (event === 'reminded' || event === 'escalated')
      incident.note('engine', `${event} ${result.told.join(', ') || 'nobody'} of: ${gate.question}`, result.record);
    return result.acknowledged;
  };

  // Asked is what the judge has on record as asked: an answer that came before would be refused.
  const acknowledged = await record('opened');
  if (closed()) {
    if (gate.state === GateState.PENDING) gate.state = moveGate(gate.state, GateState.SUPERSEDED);
    return;
  }
  gate.state = moveGate(gate.state, GateState.OPEN);
  if (!incident.courses.some((course) => course.status.state === 'running')) incident.move('deciding');
  incident.note('engine', `asks: ${gate.question} (until ${gate.deadlineAt}; silence means: ${gate.rule.onSilence})`);
  incident.show();
  for (const after of gate.rule.reminderMs) {
    const wait = Date.parse(openedAt) + after - Date.parse(now());
    if (wait > 0 && (await condition(closed, wait))) break;
    if (closed()) break;
    await record('reminded');
  }
  while (!closed()) {
    const wait = Date.parse(gate.deadlineAt) - Date.parse(now());
    if (wait > 0) {
      const deadline = gate.deadlineAt;
      if (await condition(() => closed() || gate.deadlineAt !== deadline, wait)) continue;
    }
    if (closed()) break;
    await record('escalated');
    if (closed()) break;
    // Silence counts only after a delivery was acknowledged; until then the question is asked again.
    if (!acknowledged) {
      gate.deadlineAt = new Date(Date.parse(now()) + gate.rule.deadlineMs).toISOString();
      await record('extended');
      continue;
    }
    await record('defaulted');
    if (closed()) break;
    gate.state = moveGate(gate.state, GateState.DEFAULTED);
    incident.note('engine', `the deadline of "${gate.question}" passed in silence, which means: ${gate.rule.onSilence}`);
  }
  if (gate.state === GateState.OPEN) gate.state = moveGate(gate.state, GateState.SUPERSEDED);
  incident.revision++;
}
