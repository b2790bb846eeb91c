import { CreateAccessKeyCommand } from '@aws-sdk/client-iam';
import { codeOf, fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import { Secret } from '../../domain/secret.ts';
import type { Action, Probed, Reverted, StepContext } from '../contract.ts';
import { type AwsAccount, type KeyRow, readKeys, userGone, withoutSession } from './account.ts';
import { bearsAgent, type Calls } from './api.ts';
import { removeKey } from './delete-key.ts';
import { setStatus } from './disable-key.ts';
import type { LogEvent } from './log.ts';
import { manifest } from './manifest.ts';

/** The keys that stood before the mint, and when that was, by the provider's clock. */
export interface MintBefore {
  readonly keys: readonly string[];
  readonly at: string;
}

/**
 * Makes a key and seals its secret within the one call; only the reference leaves. AWS has no token that would make a repeated CreateAccessKey one, and shows the
 * secret once, so a try whose answer was lost leaves a key without a secret. The next try finds it by difference from the capture and asks the log whose it is: ours
 * (our principal, and this step's name in the user agent) is deleted and made anew; any other is turned off and left as evidence, and the step is a conflict.
 * Params: `sealTo` (`{provider, account}`), whose worker may open the secret. Made: `accessKeyId`, `sealed`, `keyId`. What is sealed is JSON of `accessKeyId` and
 * `secretAccessKey`, bound to the text `mint:<accessKeyId>`.
 * The undo deletes that key, and not before every consumer can have the old one again; where no key from before is on, it is a conflict, and nothing is deleted.
 */
export function mintKey(account: AwsAccount): Action<MintBefore> {
  return {
    manifest: actionOf(manifest, 'mint-key') as ActionManifest,

    async capture(target, context) {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const rows = await readKeys(calls, user);
      if (!rows) throw fault('provider.gone', { user });
      return { keys: rows.map((row) => row.accessKeyId).sort(), at: calls.at };
    },

    async apply(target, before, context) {
      const { user } = await account.targetOf(target);
      const sealTo = sealToOf(context);
      const calls = account.step(context);
      await clearOrphans(account, calls, user, before, context, undefined);
      context.signal.throwIfAborted();
      const create = () => calls.write('iam:CreateAccessKey', (iam) => iam.send(new CreateAccessKeyCommand({ UserName: user })));
      let answer: Awaited<ReturnType<typeof create>>;
      try {
        answer = await create();
      } catch (error) {
        // Both slots are taken, though the listing had room: a key of an earlier try was not in it yet, and is found once it is.
        if (codeOf(error) !== 'provider.conflict') throw error;
        await context.sleep(context.timing.propagationMs);
        await clearOrphans(account, calls, user, before, context, undefined);
        context.signal.throwIfAborted();
        answer = await create();
      }
      const key = answer.AccessKey;
      if (!key?.AccessKeyId || !key.SecretAccessKey)
        throw fault('provider.uncertain', { call: 'iam:CreateAccessKey', user, said: 'no key' });
      const { AccessKeyId: accessKeyId } = key;
      const acceptedAt = calls.at;
      let sealed: { hash: string; keyId: string };
      try {
        sealed = await context.sealing.seal(
          new Secret(JSON.stringify({ accessKeyId, secretAccessKey: key.SecretAccessKey })),
          sealTo,
          `mint:${accessKeyId}`,
        );
      } catch (error) {
        // A key whose secret nobody can read is a slot lost. Where even this fails, the next try finds the key by its log entry.
        await removeKey(calls, user, accessKeyId);
        throw error;
      }
      // A listing may be behind: an earlier try's key may only now be in it.
      await context.sleep(context.timing.propagationMs);
      await clearOrphans(account, calls, user, before, context, accessKeyId);
      return {
        outcome: 'changed',
        acceptedAt,
        requestIds: calls.requestIds,
        made: { accessKeyId, sealed: sealed.hash, keyId: sealed.keyId },
      };
    },

    async probe(target, before, context): Promise<Probed> {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const made = madeBy(context);
      const read = async () => (await readKeys(calls, user)) ?? [];
      let rows = await read();
      const fresh = rows.filter((row) => !before.keys.includes(row.accessKeyId));
      const id = made ?? (fresh.length === 1 ? fresh[0]?.accessKeyId : undefined);
      const answer = (observation: Probed['observation']) => ({ observation, requestIds: calls.requestIds });
      if (id === undefined) {
        if (fresh.length === 0) return answer(no(calls.at, 'administrator', `${user} has no key that it did not have before`));
        return answer(unknown(calls.at, 'administrator', `${user} has ${fresh.length} new keys, and which one is ours is not said`));
      }
      let row = rows.find((each) => each.accessKeyId === id);
      if (row) {
        const age = calls.now - Date.parse(row.createdAt);
        if (age < context.timing.propagationMs) {
          await context.sleep(context.timing.propagationMs - Math.max(0, age));
          rows = await read();
          row = rows.find((each) => each.accessKeyId === id);
        }
      }
      if (row?.status !== 'Active') return answer(no(calls.at, 'administrator', `${id} of ${user} is ${row?.status ?? 'absent'}`));
      const stray = rows.filter((each) => each.accessKeyId !== id && !before.keys.includes(each.accessKeyId));
      if (stray.length > 0) {
        const ids = stray.map((each) => each.accessKeyId).join(', ');
        return answer(unknown(calls.at, 'administrator', `${id} is Active, and ${ids} stands beside it, which nobody has accounted for`));
      }
      const words = `${id} of ${user} is Active and known for the propagation time; request ${calls.requestIds.at(-1) ?? 'unknown'}`;
      return { observation: yes(calls.at, 'administrator', words), effectiveAt: calls.atMost, requestIds: calls.requestIds };
    },

    async revert(target, before, context): Promise<Reverted> {
      const { user } = await account.targetOf(target);
      const calls = account.step(context);
      const rows = await readKeys(calls, user);
      if (!rows) return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      const done = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: yes(calls.at, 'administrator', `${words}; request ${calls.requestIds.at(-1) ?? 'unknown'}`),
      });
      const fresh = rows.filter((row) => !before.keys.includes(row.accessKeyId));
      if (fresh.length === 0) return done('already', `${user} has no key that it did not have before`);
      const made = madeBy(context);
      const ours = new Set<string>();
      const others: string[] = [];
      for (const row of fresh) {
        if (row.accessKeyId === made || (await isOurs(account, calls, row, before, context))) ours.add(row.accessKeyId);
        else others.push(row.accessKeyId);
      }
      const rest = others.length > 0 ? `; not ours, and left alone: ${others.join(', ')}` : '';
      if (ours.size === 0) return done('already', `${user} has none of the keys that this step made${rest}`);
      // A key of which no answer ever told has been handed to nobody: nobody has to be given the old one back first, and none is left without one that works.
      const handedOut = made !== undefined;
      if (handedOut) await handBack(context);
      // Read after the wait, since it is what stands then that the deletion leaves.
      const left = await readKeys(calls, user);
      if (!left) return { outcome: 'absent', requestIds: calls.requestIds, observation: userGone(calls, user) };
      const doomed = left.filter((row) => ours.has(row.accessKeyId));
      for (const { accessKeyId, status } of doomed) {
        if (status !== 'Active') {
          throw fault('provider.conflict', { user, accessKeyId, because: 'somebody has turned off the key that we made' });
        }
      }
      // A key made since by somebody else is none that the consumers had, so it does not count.
      const works = left.some((row) => row.status === 'Active' && before.keys.includes(row.accessKeyId));
      if (handedOut && doomed.length > 0 && before.keys.length > 0 && !works) {
        const keys = doomed.map((row) => row.accessKeyId).join(' ');
        throw fault('provider.conflict', {
          user,
          keys,
          because: 'none of the keys from before is Active, so that nothing would be left that works',
        });
      }
      let removed = 0;
      for (const { accessKeyId } of doomed) {
        context.signal.throwIfAborted();
        if (await removeKey(calls, user, accessKeyId)) removed++;
      }
      return done(removed > 0 ? 'changed' : 'already', `${user} has none of the keys that this step made${rest}`);
    },
  };
}

/**
 * Waits until whoever reads the key we made has had the one from before again: until its return is in effect, and the slowest consumer has looked at its store once more.
 * A consumer that never reads again is not waited for; it has not read our key either.
 */
async function handBack(context: StepContext): Promise<void> {
  const seconds = context.inventory.consumers.map(({ rereads }) => (rereads === 'never' ? 0 : rereads));
  const { propagationMs, marginMs } = context.timing;
  await context.sleep(propagationMs + marginMs + Math.max(0, ...seconds) * 1000);
}

function sealToOf(context: StepContext): { provider: string; account: string } {
  const to = context.params['sealTo'] as { provider?: unknown; account?: unknown } | undefined;
  if (typeof to?.provider !== 'string' || typeof to.account !== 'string') throw fault('provider.invalid', { missing: 'sealTo' });
  return { provider: to.provider, account: to.account };
}

function madeBy(context: StepContext): string | undefined {
  return context.made[context.step]?.['accessKeyId'];
}

/**
 * Accounts for every key that the capture did not see, `mine` apart. Ours by the log are deleted: nobody has their secret. Others are turned off, which anybody can
 * take back, and reported: one may be the thief's, and then it is evidence.
 */
async function clearOrphans(
  account: AwsAccount,
  calls: Calls,
  user: string,
  before: MintBefore,
  context: StepContext,
  mine: string | undefined,
): Promise<void> {
  const rows = await readKeys(calls, user);
  if (!rows) throw fault('provider.gone', { user });
  const foreign: string[] = [];
  for (const row of rows) {
    if (row.accessKeyId === mine || before.keys.includes(row.accessKeyId)) continue;
    const maker = await makerOf(account, calls, row, before, context);
    if (maker === 'step') {
      context.signal.throwIfAborted();
      await removeKey(calls, user, row.accessKeyId);
      continue;
    }
    context.signal.throwIfAborted();
    // Another step of the engine's has made it, for another incident of the user: its consumers may be on it already.
    if (row.status === 'Active' && maker === 'stranger') await setStatus(calls, user, row.accessKeyId, 'Inactive');
    foreign.push(row.accessKeyId);
  }
  if (foreign.length === 0) return;
  // Our own key must not be left behind by a step that fails: its reference would be lost.
  if (mine !== undefined) await removeKey(calls, user, mine);
  throw fault('provider.conflict', {
    user,
    keys: foreign.join(' '),
    because:
      'made since the capture, and not by this step as far as the log shows; turned off, not deleted, unless another step of ours made it',
  });
}

/** Whether the log shows that this very step made the key. */
async function isOurs(account: AwsAccount, calls: Calls, row: KeyRow, before: MintBefore, context: StepContext): Promise<boolean> {
  return (await makerOf(account, calls, row, before, context)) === 'step';
}

/** Who made the key, as the log shows: this very step, another one of the engine's, or somebody else. Waits for the log, until it has passed the key's making or patience ends. */
async function makerOf(
  account: AwsAccount,
  calls: Calls,
  row: KeyRow,
  before: MintBefore,
  context: StepContext,
): Promise<'step' | 'engine' | 'stranger'> {
  const event = await making(account, calls, row, before, context);
  const { arn } = await account.identity();
  if (event?.by.arn === undefined || withoutSession(event.by.arn) !== withoutSession(arn)) return 'stranger';
  if (bearsAgent(event.agent, account.stepWord(context))) return 'step';
  return event.agent.split(' ').some((word) => word.startsWith('tourniquet/')) ? 'engine' : 'stranger';
}

/** The log's event of a key's making; undefined where the log has none although it should by now. */
async function making(
  account: AwsAccount,
  calls: Calls,
  row: KeyRow,
  before: MintBefore,
  context: StepContext,
): Promise<LogEvent | undefined> {
  const { logLagMs, marginMs, pollMs, giveUpMs } = context.timing;
  const made = Date.parse(row.createdAt);
  const deadline = performance.now() + giveUpMs;
  for (;;) {
    // Read before the look-up: what the log shows then has to be at least this old.
    const due = calls.now > made + logLagMs + marginMs + 1000;
    const found = await account.log.find(
      calls,
      account.log.globalRegion,
      {
        key: 'EventName',
        value: 'CreateAccessKey',
        from: Math.min(made, Date.parse(before.at)) - 2000,
        mostPages: 40,
        until: (event) => madeIn(event) === row.accessKeyId,
      },
      context,
    );
    const event = found.events.find((each) => madeIn(each) === row.accessKeyId);
    if (event) return event;
    if (due || performance.now() > deadline) return undefined;
    await context.sleep(pollMs);
  }
}

/** The id of the key that a CreateAccessKey made. */
export function madeIn(event: LogEvent): string | undefined {
  const key = event.results?.['accessKey'] as { accessKeyId?: unknown } | undefined;
  return typeof key?.accessKeyId === 'string' ? key.accessKeyId : undefined;
}
