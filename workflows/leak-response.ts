import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  ParentClosePolicy,
  setDefaultSignalHandler,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { type Hash, hasCanonicalForm, hashOf, keepable } from '../domain/canonical.ts';
import type { DecisionRuling, SignedDecision } from '../domain/decision.ts';
import { judgeQueue } from '../domain/manifest.ts';
import type { IncidentResult, IncidentStatus } from '../domain/messages.ts';
import { WorkflowName } from '../domain/messages.ts';
import { headOf } from '../domain/record.ts';
import type { Sighting } from '../domain/report.ts';
import { takeDecisions } from './decision.ts';
import { execute, madeSoFar } from './execution.ts';
import { failureOf } from './failure.ts';
import { Incident, now } from './incident.ts';
import {
  approveSignal,
  chainQuery,
  decideUpdate,
  finishUpdate,
  rejectSignal,
  rollbackSignal,
  sightingSignal,
  statusQuery,
} from './messages.ts';
import { judge, provider } from './ports.ts';
import { finish, unwind } from './rollback.ts';
import { expectResult, isFinishRequest, isSighting, isSigned, mostOfMessage, sizeOf } from './shapes.ts';

const slowest = 3_600_000;

/**
 * One leaked credential, from the first sighting to the close. It takes its input from `sighting` signals only, goes round the loop of report, assessment,
 * plan, decision and execution until a round finds nothing to do, watches what remains until its date, and ends. See ARCHITECTURE.md.
 */
export async function leakResponse(): Promise<IncidentResult> {
  const incident = new Incident();
  listen(incident);

  await condition(() => incident.unheard);
  const pumps = CancellationScope.nonCancellable(() => Promise.all([takeSightings(incident), takeDecisions(incident)]));

  // A run that nobody gave a report it can use has nothing to respond to, and must not stand in the way of one that has.
  if (await condition(() => incident.reports.length > 0, '10 minutes')) {
    await itsTurn(incident);
    await respond(incident);
  } else incident.move('dismissed');

  incident.ended = true;
  await pumps;
  await condition(allHandlersFinished);
  return {
    id: incident.id,
    run: incident.run,
    state: incident.state,
    contained: incident.contained,
    rotated: incident.rotated,
    residuals: incident.residuals,
    head: headOf(incident.chain),
    chain: incident.chain,
  };
}

/** What nothing proves waits for its turn to be looked at, so that it does not stand before what is proven. A report that proves something, or a person's word, ends the wait. */
async function itsTurn(incident: Incident): Promise<void> {
  let told: string | undefined;
  for (;;) {
    const at = incident.received?.lookAt;
    const left = at === undefined ? 0 : Date.parse(at) - Date.now();
    if (!(left > 0) || incident.rollback || incident.dismissal) return;
    if (told !== at) {
      incident.note(
        'engine',
        `nothing proves it, and many such reports have come: it is looked at ${at}, or as soon as a signed report of it comes`,
      );
      incident.show();
      told = at;
    }
    await condition(() => incident.received?.lookAt !== at || incident.rollback !== undefined || incident.dismissal !== undefined, left);
  }
}

/** Registers every handler before anything is awaited. Handlers only put things down; no handler of a signal throws. */
function listen(incident: Incident): void {
  setHandler(sightingSignal, (sighting: Sighting) => {
    if (!isSighting(sighting) || sizeOf(sighting) > mostOfMessage || !hasCanonicalForm(sighting)) incident.undecodable++;
    else {
      // The same report again is the same sighting: whoever is not sure that it arrived sends it once more. With other proof it is another, or whoever guesses an id could have the true report dropped.
      const { report, signature, issuer } = sighting;
      const brings = [report.sealed?.hash, signature?.signatures[0]?.sig, issuer?.signature];
      const id = brings.every((each) => each === undefined) ? report.id : `${report.id} ${hashOf(brings.map((each) => each ?? null))}`;
      if (incident.seen.has(id)) return;
      incident.seen.add(id);
      incident.sightings.push(sighting);
    }
    incident.stirred = true;
  });
  const put = (via: 'approve' | 'reject' | 'rollback') => (signed: SignedDecision) => {
    incident.inbox.push({ signed: kept(signed), via, receivedAt: now() });
  };
  // What is sent under a name nobody knows is put down too; many such are counted and no longer named.
  setDefaultSignalHandler((name) => {
    if (incident.strange.length < mostStrange)
      incident.strange.push(`a signal named ${name.slice(0, 60).replaceAll(/[^\x20-\x7e]/g, '?')}`);
    else incident.strangeMore++;
  });
  setHandler(approveSignal, put('approve'));
  setHandler(rejectSignal, put('reject'));
  setHandler(rollbackSignal, put('rollback'));
  setHandler(
    decideUpdate,
    async (signed: SignedDecision): Promise<DecisionRuling> => {
      const entry: (typeof incident.inbox)[number] = { signed: kept(signed), via: 'decide', receivedAt: now() };
      incident.inbox.push(entry);
      await condition(() => entry.ruling !== undefined);
      return entry.ruling as DecisionRuling;
    },
    {
      validator: (signed: SignedDecision) => {
        if (!isSigned(signed))
          throw ApplicationFailure.nonRetryable(
            'a decision is a DSSE envelope with payloadType, payload and signatures',
            'decision.malformed',
          );
      },
    },
  );
  setHandler(finishUpdate, (request) => finish(incident, request), {
    validator: (request) => {
      if (!isFinishRequest(request)) throw ApplicationFailure.nonRetryable('the id of a step is wanted', 'usage.invalid');
    },
  });
  setHandler(statusQuery, (): IncidentStatus => incident.status(incident.judged?.content.engine ?? ''));
  setHandler(chainQuery, () => incident.chain);
}

/** Most unknown messages that are named between two looks at them. */
const mostStrange = 20;

/** A decision as a record can keep it; one that is too large for that is refused for what stands in its place. */
const kept = (signed: unknown): unknown => (sizeOf(signed) > mostOfMessage ? { unkept: 'it is too large' } : keepable(signed));

/** Hands sightings to the judge as they come, for as long as the run lasts. A worse one makes the loop assess and judge again. */
async function takeSightings(incident: Incident): Promise<void> {
  let weight = -1;
  for (;;) {
    await condition(() => incident.unheard || incident.ended);
    if (!incident.unheard) return;
    const sightings = incident.sightings.splice(0, fitting(incident.sightings));
    const { undecodable, strangeMore } = incident;
    const strange = incident.strange.splice(0);
    incident.undecodable = 0;
    incident.strangeMore = 0;
    if (strangeMore > 0) strange.push(`${strangeMore} more messages of names that are not known`);
    const opening = incident.received === undefined;
    const nothingNew = sightings.length === 0 && undecodable === 0 && strange.length === 0;
    incident.renew = false;
    try {
      const received = expectResult(
        'receive',
        await judge(incident.pace).receive({
          incident: incident.id,
          run: incident.run,
          round: incident.round,
          sightings,
          earlier: [...incident.reports],
          undecodable,
          ...(strange.length > 0 ? { strange } : {}),
          opening,
        }),
      );
      for (const report of received.reports) {
        incident.reports.push(report);
        incident.enter('report', report);
      }
      for (const refusal of received.refusals) incident.enter('refusal', refusal);
      incident.enter('inventory', received.inventory);
      incident.sightingCount += received.reports.length;
      if (received.reports.length === sightings.length) {
        for (const { report } of sightings)
          incident.note(report.reporter, `reported it, seen by ${report.format} in a ${report.origin.where}`);
      } else incident.note('engine', `${sightings.length - received.reports.length} of ${sightings.length} reports were refused`);
      if (undecodable > 0) incident.note('engine', `${undecodable} messages could not be read and were refused`);
      if (strange.length > 0) incident.note('engine', `refused: ${strange.join('; ')}`);
      const previous = incident.received;
      incident.received = previous
        ? {
            ...received,
            ...(previous.previousRun ? { previousRun: previous.previousRun } : {}),
          }
        : received;
      // From the first report on the list shows that nothing is known yet, for as long as nobody can look.
      incident.show();
      if (received.weight > weight) {
        if (!opening && incident.judged) incident.reassess = true;
        weight = received.weight;
      }
      if (!opening && !nothingNew) incident.stirred = true;
    } catch (error) {
      // Nothing is lost: they are put back, and tried again when the judge answers.
      incident.sightings.unshift(...sightings);
      incident.undecodable += undecodable;
      incident.strange.unshift(...strange.slice(0, mostStrange));
      incident.note('engine', `the report could not be received: ${failureOf(error).words}`);
      await condition(() => false, '10s');
    }
  }
}

/** How many of the sightings one activity's argument can hold. */
function fitting(sightings: readonly Sighting[]): number {
  let size = 0;
  let count = 0;
  for (const sighting of sightings) {
    size += sizeOf(sighting);
    if (count > 0 && (count >= 50 || size > 8 * mostOfMessage)) break;
    count++;
  }
  return count;
}

/** The loop to a fixpoint, then the watch over what remains, then the end. */
async function respond(incident: Incident): Promise<void> {
  let quiet = 0;
  let sweeps = 0;
  let failures = 0;
  for (;;) {
    incident.stirred = false;
    incident.reassess = false;
    let idle: { readonly why: 'watch' | 'sweep' | 'failed'; readonly end?: 'closed' | 'dismissed' | 'rolled-back' };
    try {
      idle = await round(incident);
      failures = 0;
    } catch (error) {
      const failure = failureOf(error);
      failures++;
      // A record that is not there, or is of another run, may have been named by an answer that was none of the judge's.
      if (failure.code.startsWith('record.')) incident.renew = true;
      incident.note('engine', `the round failed: ${failure.words} (${failure.code})`);
      if (failures >= 3 && incident.state !== 'stuck') {
        incident.move('stuck');
        incident.show();
      }
      idle = { why: 'failed' };
    }

    const calledOff = incident.rollback !== undefined || incident.dismissal !== undefined;
    if (calledOff && (await end(incident, incident.rollback ? 'rolled-back' : 'dismissed'))) return;
    if (!calledOff && idle.end) {
      if (await end(incident, idle.end)) return;
      // Something came in meanwhile: it is received or ruled on first.
      await condition(() => !incident.unheard && incident.inbox.length === 0, '30s');
    } else if ((calledOff || idle.why !== 'sweep') && incident.courses.length === 0) {
      // Nothing was done in this round: wait, longer each time, until something is due or somebody speaks. A cut-off may stand for days, and a round has its price.
      const base = incident.received?.recheckMs ?? 60_000;
      const wait = Math.min(slowest, Math.round(base * 1.5 ** Math.min(quiet, 30)));
      quiet++;
      await condition(() => incident.stirred, wait);
      continue;
    }
    if (incident.courses.length > 0) quiet = sweeps = 0;
    if (idle.why === 'sweep' && !incident.judged?.again) {
      // A log that is away, or behind for hours, is asked again at longer and longer intervals: each look has its price in a history that has an end.
      const wait = Math.min(slowest, Math.round(2000 * 1.5 ** Math.min(sweeps, 30)));
      sweeps++;
      await condition(() => incident.stirred || incident.rollback !== undefined, wait);
    } else if (idle.why !== 'failed') sweeps = 0;
  }
}

/** One round: assess (which is the sweep of the round before), judge, plan, and execute what there is. */
async function round(incident: Incident): Promise<{ why: 'watch' | 'sweep'; end?: 'closed' | 'dismissed' | 'rolled-back' }> {
  const received = incident.received;
  if (!received) throw new TypeError('a round needs a report');
  incident.past.push(...incident.courses);
  incident.courses = [];
  incident.round++;
  if (incident.state !== 'watching') incident.move('assessing');
  // Where nothing had to be contained, the life of the credential is swept all the same: up to the moment of the report.
  const containedAt = incident.lastContainment ?? (incident.round > 1 ? incident.startedAt : undefined);
  const sealed = received.sealed.filter((each) => !incident.tried.has(each.hash));
  const common = { incident: incident.id, run: incident.run, round: incident.round };
  const looked = expectResult(
    'assess',
    await provider(received.provider, received.account, incident.pace).assess({
      ...common,
      credential: received.credential,
      sealed,
      depth: incident.round === 1 ? received.depth : 'full',
      inventory: received.inventory,
      reports: incident.reports,
      known: incident.known,
      ...(containedAt ? { containedAt } : {}),
      ...(received.exposedSince ? { exposedSince: received.exposedSince } : {}),
      made: madeSoFar(incident),
    }),
  );
  for (const each of sealed.slice(0, 5)) incident.tried.add(each.hash);
  incident.enter('finding', looked.finding);
  incident.enter('snapshot', looked.snapshot);

  const judged = expectResult(
    'judge',
    await judge(incident.pace).judge({
      ...common,
      reports: incident.reports,
      inventory: received.inventory,
      finding: looked.finding,
      snapshot: looked.snapshot,
      known: incident.known,
      done: incident.done,
      ...(incident.judged ? { previousPlan: incident.judged.plan, previousVerdict: incident.judged.verdict } : {}),
      rolledBack: incident.rollback !== undefined || incident.dismissal !== undefined,
    }),
  );
  incident.enter('assessment', judged.assessment);
  incident.enter('verdict', judged.verdict);
  incident.enter('plan', judged.plan);
  incident.judged = judged;
  incident.known = judged.nodes;
  incident.live = judged.live;
  incident.contained = judged.contained;
  incident.rotated = judged.rotated;
  incident.residuals = judged.content.residuals;
  if (judged.contained === 'yes' && !incident.containedAt && incident.lastContainment) incident.containedAt = incident.lastContainment;
  if (judged.rotated === 'yes' && !incident.rotatedAt) incident.rotatedAt = now();
  incident.gates = new Map();
  incident.gateRecords = new Map();
  incident.revision++;

  const plan = judged.content;
  if (plan.steps.length === 0) {
    if (judged.again || (judged.swept.state === 'unknown' && containedAt)) {
      incident.show();
      return { why: 'sweep' };
    }
    if (incident.rollback || incident.dismissal) return { why: 'watch' };
    if (plan.residuals.length === 0 && judged.settled) return { why: 'watch', end: 'closed' };
    if (incident.state !== 'watching') {
      incident.move('watching');
      incident.note(
        'engine',
        plan.residuals.length > 0
          ? `watching: ${plan.residuals.map((each) => `${each.what} until ${each.until ?? `further word of ${each.acceptedBy ?? 'a person'}`}`).join('; ')}`
          : `watching: ${plan.notes.join(' ')}`,
      );
    }
    incident.show();
    return { why: 'watch' };
  }

  incident.note(
    'engine',
    `round ${incident.round}: plan to ${plan.purpose}, ${plan.steps.length} steps, ${plan.gates.length} questions`,
    judged.plan,
  );
  await execute(incident, judged, looked.snapshot);
  return { why: 'watch' };
}

function dated(incident: Incident): boolean {
  return incident.residuals.some((each) => each.until !== undefined);
}

/** Ends the run, or answers false where something came in meanwhile and another round is due. */
async function end(incident: Incident, as: 'closed' | 'dismissed' | 'rolled-back'): Promise<boolean> {
  if (as !== 'closed') {
    const because = incident.rollback ?? incident.dismissal;
    const stuck = () => incident.all.some((course) => course.status.state === 'stuck');
    // What could not be taken back is tried again each time, on the clock of a watch.
    if (because && (!incident.unwound || stuck())) {
      if (incident.undoable || stuck()) {
        // An incident that is stuck says so until it no longer is.
        if (!stuck()) incident.move('executing');
        await unwind(incident, because);
      }
      incident.unwound = true;
    }
    // What waits for a person comes before what waits for its date: nobody looks at an incident that merely watches. What is lifted at its date anyway waits for nobody.
    const waits = incident.all.some((course) => course.status.state === 'stuck' && course.residual?.until === undefined);
    if (waits) {
      incident.move('stuck');
      incident.show();
      return false;
    }
    if (dated(incident)) {
      incident.move('watching');
      incident.show();
      return false;
    }
    if (stuck()) {
      incident.move('stuck');
      incident.show();
      return false;
    }
  }
  if (incident.unheard || (as === 'closed' && incident.inbox.length > 0)) return false;
  if (as === 'closed') incident.move('watching');
  incident.move(as);
  const reviewed = await reviewAtEnd(incident);
  incident.enter('review', reviewed.record);
  incident.note('engine', `ended: ${as}`, reviewed.record);
  incident.show();
  try {
    await startChild(WorkflowName.ARCHIVE, {
      workflowId: `archive/${workflowInfo().runId}`,
      taskQueue: judgeQueue,
      args: [{ incident: incident.id, run: incident.run, untilEnded: true, pace: incident.pace }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    });
  } catch (error) {
    // Somebody has taken the name: the bundle is then asked for by hand, and the incident ends all the same.
    incident.note('engine', `the archive could not be started: ${failureOf(error).words}`);
  }
  return true;
}

/** The last record; asked for until the judge writes it. */
async function reviewAtEnd(incident: Incident): Promise<{ readonly record: Hash }> {
  for (;;) {
    try {
      return expectResult(
        'review',
        await judge(incident.pace).review({
          incident: incident.id,
          run: incident.run,
          round: incident.round,
          state: incident.state,
          contained: incident.contained,
          rotated: incident.rotated,
          done: incident.done,
          residuals: incident.residuals,
          chain: incident.chain,
          startedAt: incident.startedAt,
          ...(incident.judged ? { assessment: incident.judged.assessment } : {}),
          ...(incident.firstChangeAt ? { firstChangeAt: incident.firstChangeAt } : {}),
          ...(incident.containedAt ? { containedAt: incident.containedAt } : {}),
          ...(incident.rotatedAt ? { rotatedAt: incident.rotatedAt } : {}),
        }),
      );
    } catch (error) {
      incident.note('engine', `the review could not be written yet: ${failureOf(error).words}`);
      await condition(() => false, '30s');
    }
  }
}
