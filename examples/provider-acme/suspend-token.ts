import { type Action, fault, no, yes } from 'tourniquet-engine/provider';
import { type Acme, markOf } from './api.ts';
import { manifest } from './manifest.ts';

interface Before {
  readonly status: 'active' | 'suspended' | 'absent';
  readonly note: string;
}

/** Suspends a token. Whether a suspension is ours is told by the note that it bears. */
export function suspendToken(acme: Acme): Action {
  const idOf = (target: Readonly<Record<string, string>>) => target.id ?? '';
  const action: Action<Before> = {
    manifest: manifest.actions.find((each) => each.name === 'suspend-token') as Action['manifest'],
    async capture(target) {
      const { value: token } = await acme.find(idOf(target));
      return { status: token?.status ?? 'absent', note: token?.note ?? '' };
    },
    async apply(target, before, context) {
      context.signal.throwIfAborted();
      const { value: token, at, requestId } = await acme.find(idOf(target));
      if (!token) return { outcome: 'absent', acceptedAt: at, requestIds: [requestId] };
      if (token.status === 'suspended') return { outcome: 'already', acceptedAt: at, requestIds: [requestId] };
      // What somebody turned on after we had seen it off is not ours to turn off: the round is planned again.
      if (before.status === 'suspended') throw fault('provider.conflict', { token: token.id });
      context.heartbeat({ token: token.id });
      const done = await acme.change(token, { status: 'suspended', note: markOf(context) }, context.signal);
      return { outcome: 'changed', acceptedAt: done.at, requestIds: [requestId, done.requestId] };
    },
    async probe(target) {
      const { value: token, at, requestId } = await acme.find(idOf(target));
      if (token?.status === 'active')
        return { observation: no(at, 'administrator', `it is active; request ${requestId}`), requestIds: [requestId] };
      const words = token ? 'it is suspended' : 'there is no such token';
      return { observation: yes(at, 'administrator', `${words}; request ${requestId}`), effectiveAt: at, requestIds: [requestId] };
    },
    async revert(target, before, context) {
      context.signal.throwIfAborted();
      const { value: token, at, requestId } = await acme.find(idOf(target));
      if (before.status !== 'active' || token?.status === 'active') {
        const observation = yes(at, 'administrator', `it is as it was; request ${requestId}`);
        return { outcome: 'already', requestIds: [requestId], observation };
      }
      if (!token || token.note !== markOf(context)) throw fault('provider.conflict', { token: idOf(target) });
      const done = await acme.change(token, { status: 'active', note: before.note }, context.signal);
      return {
        outcome: 'changed',
        requestIds: [requestId, done.requestId],
        observation: yes(done.at, 'administrator', `active again; request ${done.requestId}`),
      };
    },
  };
  return action as Action;
}
