import { type Action, fault, no, yes } from 'tourniquet-engine/provider';
import type { Acme } from './api.ts';
import { manifest } from './manifest.ts';

/** Deletes a token for good. */
export function deleteToken(acme: Acme): Action {
  const idOf = (target: Readonly<Record<string, string>>) => target.id ?? '';
  const action: Action<{ readonly owner: string }> = {
    manifest: manifest.actions.find((each) => each.name === 'delete-token') as Action['manifest'],
    async capture(target) {
      const { value: token } = await acme.find(idOf(target));
      return { owner: token?.owner ?? '' };
    },
    async apply(target, before, context) {
      context.signal.throwIfAborted();
      const { value: token, at, requestId } = await acme.find(idOf(target));
      if (!token) return { outcome: 'absent', acceptedAt: at, requestIds: [requestId] };
      if (token.owner !== before.owner) throw fault('provider.conflict', { token: token.id });
      const done = await acme.remove(token, context.signal);
      return { outcome: 'changed', acceptedAt: done.at, requestIds: [requestId, done.requestId] };
    },
    async probe(target) {
      const { value: token, at, requestId } = await acme.find(idOf(target));
      if (token) return { observation: no(at, 'administrator', `it is there; request ${requestId}`), requestIds: [requestId] };
      return { observation: yes(at, 'administrator', `it is gone; request ${requestId}`), effectiveAt: at, requestIds: [requestId] };
    },
  };
  return action as Action;
}
