import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  setDefaultSignalHandler,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { type Pace, usualPace } from '../domain/configuration.ts';
import type { Warrant } from '../domain/execution.ts';
import { liftedBy } from '../domain/lifts.ts';
import { type HoldAnswer, type HoldInput, type HoldStatus, SearchAttribute } from '../domain/messages.ts';

import { failureOf } from './failure.ts';
import { heldQuery, holdUpdate } from './messages.ts';
import { judge, provider } from './ports.ts';
import { expectResult, isHoldRequest } from './shapes.ts';

/** What a hold carries from one run of itself to the next. */
export interface HoldMemory extends HoldStatus {
  /** Answers given, by request key, so that a request sent twice is answered once. The newest two hundred are kept. */
  readonly answers: Readonly<Record<string, HoldAnswer>>;
  readonly pace?: Pace;
}

interface Waiting {
  readonly request: HoldInput & { readonly key: string };
  /** While the worker is asked: what calls it off. */
  scope?: CancellationScope;
  calledOff?: boolean;
  answer?: HoldAnswer;
  failure?: { readonly code: string; readonly words: string; readonly record?: string };
}

const stuckAttribute = defineSearchAttributeKey(SearchAttribute.STUCK, SearchAttributeType.KEYWORD);

/** How often, in units of the pace's patience, a hold asks whether those who hold it are still there. */
const roundsOfPatience = 6;

/**
 * Holds one principal: the only one that applies, probes and lifts controls that hit all of it, one message at a time. It counts who holds by what, so that no incident lifts
 * another's hold. It has no authority of its own: the provider worker wants the incident's warrant for each change.
 *
 * An incident that was terminated from outside lifts nothing. The hold finds out, counts it no longer, and shows the control that is left as stuck until somebody lifts it.
 */
export async function principalHold(memory: HoldMemory = { holders: {}, orphaned: {}, answers: {} }): Promise<HoldMemory> {
  const hold = new Hold(memory);
  const queue: Waiting[] = [];

  setDefaultSignalHandler(() => {
    // Nobody signals a hold. Whatever comes is dropped, so that it does not wait in the run's memory.
  });
  setHandler(heldQuery, () => hold.status);
  setHandler(
    holdUpdate,
    async (request) => {
      const known = hold.answers.get(request.key);
      if (known) return known;
      const waiting: Waiting = { request };
      if (request.pace) hold.pace = request.pace;
      // An undo of a run ends whatever is still being tried for it: none of it is wanted any more, and the provider may be away for good.
      if (request.direction === 'revert') for (const each of queue) if (isApplyOf(each, request.revert?.warrant)) callOff(each);
      queue.push(waiting);
      await condition(() => waiting.answer !== undefined || waiting.failure !== undefined);
      if (waiting.failure) {
        throw ApplicationFailure.create({
          message: waiting.failure.words,
          type: waiting.failure.code,
          nonRetryable: true,
          ...(waiting.failure.record ? { details: [waiting.failure.record] } : {}),
        });
      }
      return waiting.answer as HoldAnswer;
    },
    {
      validator: (request) => {
        if (!isHoldRequest(request))
          throw ApplicationFailure.nonRetryable('a hold needs key, principal, provider, account, direction and a warrant', 'usage.invalid');
      },
    },
  );

  let served = 0;
  for (;;) {
    // A hold that nobody holds any more rests: it ends after a while and is started anew by the next request.
    const spoken = await condition(() => queue.length > 0, hold.idle ? '1 minute' : roundsOfPatience * hold.pace.stuckAfterMs);
    const waiting = queue[0];
    if (waiting) {
      await hold.serve(waiting);
      queue.shift();
      served++;
    } else if (!spoken && hold.idle) {
      await condition(allHandlersFinished);
      if (queue.length > 0) continue;
      return { holders: {}, orphaned: {}, answers: {} };
    } else await hold.sweep();
    if (queue.length === 0 && (workflowInfo().continueAsNewSuggested || served >= 400)) {
      await condition(allHandlersFinished);
      if (queue.length > 0) continue;
      await continueAsNew<typeof principalHold>(hold.memory);
    }
  }
}

function isApplyOf({ request }: Waiting, warrant: Warrant | undefined): boolean {
  const applied = request.direction === 'apply' ? request.apply?.warrant : undefined;
  return applied !== undefined && applied.incident === warrant?.incident && applied.run === warrant.run;
}

function callOff(waiting: Waiting): void {
  waiting.calledOff = true;
  waiting.scope?.cancel();
}

/** Who holds the principal, and the serving of one request. */
class Hold {
  /** By action: the run of each incident that holds. */
  readonly #holders: Map<string, Map<string, string>>;
  readonly #orphaned: Map<string, string>;
  readonly answers: Map<string, HoldAnswer>;
  pace: Pace;
  #shown = 'no';

  constructor(memory: HoldMemory) {
    this.#holders = new Map(Object.entries(memory.holders).map(([action, runs]) => [action, new Map(Object.entries(runs))]));
    this.#orphaned = new Map(Object.entries(memory.orphaned));
    this.answers = new Map(Object.entries(memory.answers));
    this.pace = memory.pace ?? usualPace;
    this.#shown = this.#orphaned.size > 0 ? 'yes' : 'no';
  }

  get status(): HoldStatus {
    return {
      holders: Object.fromEntries([...this.#holders].map(([action, runs]) => [action, Object.fromEntries(runs)])),
      orphaned: Object.fromEntries(this.#orphaned),
    };
  }

  get memory(): HoldMemory {
    return { ...this.status, answers: Object.fromEntries(this.answers), pace: this.pace };
  }

  /** Nobody holds it, and nothing is left on it. */
  get idle(): boolean {
    return this.#orphaned.size === 0 && ![...this.#holders.values()].some((runs) => runs.size > 0);
  }

  /** Answers one request, by the worker's answer or by its failure. Never throws. */
  async serve(waiting: Waiting): Promise<void> {
    try {
      if (waiting.calledOff) throw ApplicationFailure.nonRetryable('called off before it began', 'engine.interrupted');
      const answer = await this.#ask(waiting);
      waiting.answer = answer;
      this.answers.set(waiting.request.key, answer);
      if (this.answers.size > 200) this.answers.delete([...this.answers.keys()][0] ?? '');
    } catch (error) {
      waiting.failure = failureOf(error);
    }
  }

  async #ask(waiting: Waiting): Promise<HoldAnswer> {
    const { request } = waiting;
    const { action } = request;
    const pace = request.pace ?? this.pace;
    if (request.direction === 'apply' && request.apply) {
      const { apply } = request;
      const { incident, run } = apply.warrant;
      const lifted = request.lifts ?? liftedBy(action);
      const others = lifted ? await this.#othersThan(incident, lifted) : [];
      waiting.scope = new CancellationScope();
      // Where another incident still holds the principal ours lets go, and the control stays.
      const answer = expectResult(
        'apply',
        await waiting.scope.run(() =>
          provider(request.provider, request.account, pace).apply(others.length > 0 ? { ...apply, heldBy: others } : apply),
        ),
      );
      // Counted only once the worker has found the warrant good: whoever was refused holds nothing, and keeps nobody else's lift from being one.
      if (lifted) this.#letGo(lifted, incident, others);
      else this.#take(action, incident, run);
      return answer;
    }
    if (request.direction === 'revert' && request.revert) {
      const { revert } = request;
      const { incident } = revert.warrant;
      const others = await this.#othersThan(incident, action);
      const answer = expectResult(
        'revert',
        await provider(request.provider, request.account, pace, pace.stuckAfterMs).revert(
          others.length > 0 ? { ...revert, heldBy: others } : revert,
        ),
      );
      this.#letGo(action, incident, others);
      return answer;
    }
    throw ApplicationFailure.nonRetryable('a hold is applied or reverted', 'usage.invalid');
  }

  #take(action: string, incident: string, run: string): void {
    this.#holders.set(action, (this.#holders.get(action) ?? new Map()).set(incident, run));
    // Whoever holds it by that action now will lift it too.
    this.#orphaned.delete(action);
    this.#show();
  }

  #letGo(action: string, incident: string, others: readonly string[]): void {
    this.#holders.get(action)?.delete(incident);
    if (others.length === 0) this.#orphaned.delete(action);
    this.#show();
  }

  /** The other incidents that hold it by that action and are still there. */
  async #othersThan(incident: string, action: string): Promise<string[]> {
    const others = (): string[] => [...(this.#holders.get(action)?.keys() ?? [])].filter((id) => id !== incident);
    if (others().length > 0) await this.sweep();
    return others();
  }

  /** Asks which holders' runs are over, and counts those no longer. */
  async sweep(): Promise<void> {
    const runs = [...new Set([...this.#holders.values()].flatMap((each) => [...each].map(([id, run]) => `${id}|${run}`)))];
    if (runs.length === 0) return;
    let ended: ReadonlySet<string>;
    try {
      ended = new Set((await judge(this.pace).endedHolders({ runs })).ended);
    } catch {
      // Nobody could say: they count until somebody can.
      return;
    }
    for (const [action, holders] of this.#holders) {
      for (const [id, run] of holders) {
        if (!ended.has(`${id}|${run}`)) continue;
        holders.delete(id);
        if (holders.size === 0) this.#orphaned.set(action, id);
      }
    }
    this.#show();
  }

  #show(): void {
    const stuck = this.#orphaned.size > 0 ? 'yes' : 'no';
    if (stuck === this.#shown) return;
    this.#shown = stuck;
    upsertSearchAttributes([{ key: stuckAttribute, value: stuck }]);
  }
}
