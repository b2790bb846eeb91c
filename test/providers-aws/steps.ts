import type { Target } from '../../domain/plan.ts';
import type { Action, Connection, Look, StepContext } from '../../providers/contract.ts';
import { stageOf, waitFor } from '../conformance/index.ts';
import { timing } from './practice.ts';

/** A step of one action, with a context that is the same at every try. */
export function stepOf(connection: Connection, name: string, target: Target, more: Partial<StepContext> = {}) {
  const action = connection.actions[name] as Action;
  const stage = stageOf({
    action,
    target,
    timing,
    snapshot: async () => undefined,
    calls: async () => [],
    trouble: async () => undefined,
    calm: async () => undefined,
    secrets: [],
    close: async () => undefined,
  });
  const context = () => stage.context(more);
  return {
    context,
    secrets: stage.secrets,
    capture: () => action.capture(target, context()),
    apply: (before: unknown) => action.apply(target, before, context()),
    probe: (before: unknown, made?: StepContext['made']) => action.probe(target, before, { ...context(), ...(made ? { made } : {}) }),
    revert: (before: unknown, made?: StepContext['made']) => {
      if (!action.revert) throw new Error(`${name} cannot be undone`);
      return action.revert(target, before, { ...context(), ...(made ? { made } : {}) });
    },
  };
}

/** What a look is asked with; the rest as given. */
export function lookAt(accessKeyId: string, more: Partial<Look> = {}): Look {
  const signal = new AbortController().signal;
  return {
    credential: { kind: 'aws.access-key', locator: { accessKeyId } },
    depth: 'minimal',
    known: [],
    ours: [],
    inventory: { consumers: [], stores: [] },
    signal,
    heartbeat: () => undefined,
    sleep: (ms) => waitFor(ms, signal),
    timing,
    ...more,
  };
}
