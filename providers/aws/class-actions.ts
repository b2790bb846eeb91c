import { fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, StepContext } from '../contract.ts';
import { type AwsAccount, whichGone } from './account.ts';
import type { Calls } from './api.ts';
import type { CredentialClass, Row } from './classes.ts';
import { manifest } from './manifest.ts';
import { markOf } from './policies.ts';

/** How a credential of a class stood. */
export interface RowBefore {
  readonly status: Row['status'] | 'absent';
  readonly createdAt?: string;
  readonly service?: string;
}

/** The before-state of one, out of a listing of its user's. */
export function rowBefore(rows: readonly Row[] | undefined, id: string): RowBefore {
  const row = rows?.find((each) => each.id === id);
  if (!row) return { status: 'absent' };
  return { status: row.status, createdAt: row.createdAt, ...(row.service ? { service: row.service } : {}) };
}

const answerOf = (calls: Calls) => (outcome: 'changed' | 'already' | 'absent', facts?: Record<string, unknown>) => ({
  outcome,
  acceptedAt: calls.at,
  requestIds: calls.requestIds,
  ...(facts ? { facts } : {}),
});

/** One credential of a class as an administrator sees it now, and the calls that it was read with. `rows` is undefined where the user is gone. */
async function rowNow(account: AwsAccount, of: CredentialClass, target: Target, context: StepContext) {
  const { user, [of.member]: id } = await account.targetOf(target, of.member);
  const calls = account.step(context);
  const rows = await of.read(calls, user);
  return { user, id, calls, rows, row: rows?.find((each) => each.id === id) };
}

/** What both actions of a class keep of it before they touch it. */
const captureIn =
  (account: AwsAccount, of: CredentialClass): Action<RowBefore>['capture'] =>
  async (target, context) => {
    const { rows, id } = await rowNow(account, of, target, context);
    return rowBefore(rows, id);
  };

/** The action that turns one credential of a class off. Every other credential of the user, of this class or another, goes on working. */
export function disableIn(account: AwsAccount, of: CredentialClass): Action<RowBefore> {
  const { member, noun } = of;
  return {
    manifest: actionOf(manifest, of.actions.disable) as ActionManifest,

    capture: captureIn(account, of),

    async apply(target, before, context) {
      const { user, id, calls, rows, row } = await rowNow(account, of, target, context);
      const done = answerOf(calls);
      if (!row) return done('absent', { gone: rows ? noun : 'user' });
      if (row.status === 'Inactive') return done('already');
      // Somebody has turned it on since the capture, and the undo would not know that it should be on.
      if (before.status !== 'Active') throw fault('provider.conflict', { [member]: id, captured: before.status, found: row.status });
      if (!(await of.setStatus(calls, user, id, 'Inactive'))) return done('absent', { gone: await whichGone(calls, user, noun) });
      account.settling.accepted(markOf(context));
      return done('changed');
    },

    async probe(target, _before, context) {
      const { user, [member]: id } = await account.targetOf(target, member);
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const rows = await of.read(calls, user);
        const row = rows?.find((each) => each.id === id);
        if (!row) return { so: true, words: rows ? `${user} has no ${noun} ${id}` : `there is no user ${user}` };
        return { so: row.status === 'Inactive', words: `the status of ${noun} ${id} is ${row.status}` };
      });
    },

    async revert(target, before, context) {
      const { user, id, calls, row } = await rowNow(account, of, target, context);
      const found = row?.status ?? 'absent';
      const answer = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: yes(calls.at, 'administrator', `${words}; request ${calls.requestIds.at(-1) ?? 'unknown'}`),
      });
      if (found === before.status) return answer('already', `${id} is ${found}, as captured`);
      // It was off or gone before us; whatever it is now is not our doing, and turning credentials on is not ours to guess.
      if (before.status !== 'Active') return answer('already', `${id} was ${before.status} before us`);
      const conflict = () => fault('provider.conflict', { [member]: id, captured: before.status, found: 'absent' });
      if (found === 'absent' || !(await of.setStatus(calls, user, id, 'Active'))) throw conflict();
      return answer('changed', `${id} is Active again`);
    },
  };
}

/** The action that deletes one that is off. It cannot be taken back, and one that is on is a conflict: somebody may be using it. */
export function deleteIn(account: AwsAccount, of: CredentialClass): Action<RowBefore> {
  const { member, noun } = of;
  return {
    manifest: actionOf(manifest, of.actions.remove) as ActionManifest,

    capture: captureIn(account, of),

    async apply(target, _before, context) {
      const { user, id, calls, rows, row } = await rowNow(account, of, target, context);
      const done = answerOf(calls);
      if (!row) return done('absent', { gone: rows ? noun : 'user' });
      if (row.status !== 'Inactive')
        throw fault('provider.conflict', { [member]: id, found: row.status, because: `only a ${noun} that is off is deleted` });
      if (!(await of.remove(calls, user, id))) return done('absent', { gone: await whichGone(calls, user, noun) });
      account.settling.accepted(markOf(context));
      return done('changed');
    },

    async probe(target, _before, context) {
      const { user, [member]: id } = await account.targetOf(target, member);
      const calls = account.step(context);
      return await account.settled(context, calls, async () => {
        const rows = await of.read(calls, user);
        if (!rows) return { so: true, words: `there is no user ${user}` };
        const row = rows.find((each) => each.id === id);
        return row ? { so: false, words: `${user} has the ${noun} ${id}` } : { so: true, words: `${user} has no ${noun} ${id}` };
      });
    },
  };
}
