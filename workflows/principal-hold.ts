import { ApplicationFailure, allHandlersFinished, condition, continueAsNew, setHandler, workflowInfo } from '@temporalio/workflow';
import type { HoldAnswer, HoldInput } from '../domain/messages.ts';
import { failureOf } from './failure.ts';
import { holdUpdate } from './messages.ts';
import { provider } from './ports.ts';
import { isHoldRequest } from './shapes.ts';

/** What a hold carries from one run of itself to the next. */
export interface HoldMemory {
  /** Who holds the principal by which action: incident ids. */
  readonly holders: Readonly<Record<string, readonly string[]>>;
  /** Answers given, by request key, so that a request sent twice is answered once. The newest two hundred are kept. */
  readonly answers: Readonly<Record<string, HoldAnswer>>;
}

/** Which action takes back what another put on. */
const lifts: Readonly<Record<string, string>> = { 'lift-deny': 'deny-principal', 'lift-cut-off': 'cut-off-sessions' };

interface Waiting {
  readonly request: HoldInput & { readonly key: string };
  answer?: HoldAnswer;
  failure?: { readonly code: string; readonly words: string; readonly record?: string };
}

/**
 * Holds one principal: the only one that applies, probes and lifts controls that hit all of it, one message at a time. It counts who holds by what, so that no incident lifts
 * another's hold. It has no authority of its own: the provider worker wants the incident's warrant for each change.
 */
export async function principalHold(memory: HoldMemory = { holders: {}, answers: {} }): Promise<HoldMemory> {
  const holders = new Map(Object.entries(memory.holders).map(([action, ids]) => [action, new Set(ids)]));
  const answers = new Map(Object.entries(memory.answers));
  const queue: Waiting[] = [];

  setHandler(
    holdUpdate,
    async (request) => {
      const known = answers.get(request.key);
      if (known) return known;
      const waiting: Waiting = { request };
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
    const idle = ![...holders.values()].some((ids) => ids.size > 0);
    const spoken = await condition(() => queue.length > 0, idle ? '1 minute' : '30 days');
    const waiting = queue[0];
    if (!waiting) {
      if (spoken || !idle) continue;
      await condition(allHandlersFinished);
      if (queue.length > 0) continue;
      return { holders: {}, answers: {} };
    }
    await serve(waiting, holders);
    if (waiting.answer) {
      answers.set(waiting.request.key, waiting.answer);
      if (answers.size > 200) answers.delete([...answers.keys()][0] ?? '');
    }
    queue.shift();
    served++;
    if (queue.length === 0 && (workflowInfo().continueAsNewSuggested || served >= 400)) {
      await condition(allHandlersFinished);
      if (queue.length > 0) continue;
      await continueAsNew<typeof principalHold>({
        holders: Object.fromEntries([...holders].map(([action, ids]) => [action, [...ids]])),
        answers: Object.fromEntries(answers),
      });
    }
  }
}

async function serve(waiting: Waiting, holders: Map<string, Set<string>>): Promise<void> {
  const { request } = waiting;
  const worker = provider(request.provider, request.account);
  try {
    if (request.direction === 'apply' && request.apply) {
      const { warrant } = request.apply;
      const action = request.action;
      const lifted = lifts[action];
      if (lifted) {
        const set = holders.get(lifted) ?? new Set();
        const others = [...set].filter((id) => id !== warrant.incident);
        if (others.length > 0) {
          // Another incident still holds the principal: ours lets go, the control stays.
          waiting.answer = await worker.apply({ ...request.apply, heldBy: others });
        } else {
          waiting.answer = await worker.apply(request.apply);
        }
        set.delete(warrant.incident);
        return;
      }
      waiting.answer = await worker.apply(request.apply);
      // Counted only once the worker has found the warrant good: whoever was refused holds nothing, and keeps nobody else's lift from being one.
      holders.set(action, (holders.get(action) ?? new Set()).add(warrant.incident));
      return;
    }
    if (request.direction === 'revert' && request.revert) {
      const { warrant } = request.revert;
      const set = holders.get(request.action) ?? new Set();
      const others = [...set].filter((id) => id !== warrant.incident);
      waiting.answer = await worker.revert(others.length > 0 ? { ...request.revert, heldBy: others } : request.revert);
      set.delete(warrant.incident);
      return;
    }
    waiting.failure = { code: 'usage.invalid', words: 'a hold is applied or reverted' };
  } catch (error) {
    waiting.failure = failureOf(error);
  }
}
