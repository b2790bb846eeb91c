import type { Target } from '../../domain/plan.ts';
import type { Action, Connection, Look, StepContext } from '../../providers/contract.ts';
import { stageOf, waitFor } from '../conformance/world.ts';
import { timing } from './practice.ts';

/** A step of one action, with a context that is the same at every try. */
export function stepOf(connection: Connection, name: string, target: Target, more: Partial<StepContext> = {}) {
  const action = connection.actions[name] as Action;
  const nothing = async () => undefined;
  const stage = stageOf({
    action,
    target,
    timing,
    snapshot: nothing,
    calls: async () => [],
    trouble: nothing,
    calm: nothing,
    secrets: [],
    close: nothing,
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
    /** Capture, apply and probe, as the engine does them one after the other. */
    async play() {
      const before = await action.capture(target, context());
      const applied = await action.apply(target, before, context());
      return { before, applied, probed: await action.probe(target, before, context()) };
    },
  };
}

/** What a look is asked with; the rest as given. */
export function lookAt(credential: Look['credential'], more: Partial<Look> = {}): Look {
  const signal = new AbortController().signal;
  return {
    credential,
    depth: 'full',
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

export const keyRef = (file: Readonly<Record<string, string>>): Look['credential'] => ({
  kind: 'gcp.service-account-key',
  locator: { clientEmail: file.client_email ?? '', privateKeyId: file.private_key_id ?? '' },
});
