import { CreateAccessKeyCommand, IAMClient } from '@aws-sdk/client-iam';
import { expect } from 'vitest';
import type { LedgerEntry } from '../../lab/aws/control.ts';
import { untilAccepted } from '../../lab/world/aws.ts';
import { fields, region } from '../../lab/world/cast.ts';
import { type Deployed, gateOf, isWatching, type World } from './world.ts';

/** The key ids of a user after each change of them, from those it began with, as the ledger tells it. */
function history(start: readonly string[], entries: readonly LedgerEntry[]): readonly (readonly string[])[] {
  const states: (readonly string[])[] = [start];
  for (const { action, effect, made, target } of entries) {
    const now = states.at(-1) ?? [];
    if (effect !== 'changed') continue;
    if (action === 'CreateAccessKey' && made !== undefined) states.push([...now, made]);
    if (action === 'DeleteAccessKey') states.push(now.filter((key) => key !== deleted(target)));
  }
  return states;
}

const deleted = (target: LedgerEntry['target']): string => target.AccessKeyId ?? target.accessKeyId ?? '';

/**
 * Plays a leak in which the first `lost` replies to the engine's CreateAccessKey are lost after their effect, with a key of the thief's in the second slot or without,
 * and holds what comes of it to the account of keys: their number at every moment, who made each, and on whose word each went.
 */
export async function playLostReply(
  world: World,
  deployed: Deployed,
  { lost, thief }: { readonly lost: number; readonly thief: boolean },
): Promise<void> {
  const { stack } = world;
  const responder = stack.world.responder.accessKeyId;
  const { user, pair } = deployed;
  const since = await world.lastChange();
  const stolen = thief ? await secondKey(world, deployed) : undefined;

  const id = await world.leak(deployed);
  // The gate that is first asked: before what makes room where both slots are taken, before what may be noticed where nobody has acted yet.
  const first = thief ? 'g-irreversible' : 'g-outage';
  await world.follow(id, (status) => gateOf(status, first)?.state === 'open');
  const asked = await world.picture(user);
  if (stolen !== undefined) expect(asked.keys).toEqual({ [pair.accessKeyId]: 'Inactive', [stolen]: 'Inactive' });
  else expect(asked.keys).toEqual({ [pair.accessKeyId]: 'Active' });
  await stack.control.inject({
    kind: 'lose-reply-after-effect',
    service: 'iam',
    action: 'CreateAccessKey',
    accessKeyId: responder,
    count: lost,
  });
  const done = await world.follow(id, isWatching, { answer: () => true, timeoutMs: 80_000 });

  const changes = await world.changes(user, since);
  const calls = changes.filter(({ action, caller }) => action === 'CreateAccessKey' && caller === responder);
  expect(calls.map(({ reply }) => reply)).toEqual([...Array.from({ length: lost }, () => 'lost'), 'sent']);
  expect(calls.map(({ effect }) => effect)).toEqual(calls.map(() => 'changed'));
  const states = history([pair.accessKeyId], changes);
  expect(Math.max(...states.map((keys) => keys.length))).toBeLessThanOrEqual(2);

  // Every key that is there is the one the engine says it made, and the one its store holds; every other was accounted for and is gone.
  const after = await world.picture(user);
  const stored = await world.stored(deployed);
  const made = calls.at(-1)?.made ?? '';
  expect(after.keys).toEqual({ [made]: 'Active' });
  expect(states.at(-1)).toEqual([made]);
  expect(stored[fields.accessKeyId]).toBe(made);
  await untilAccepted({ endpoint: stack.aws.endpoint }, { accessKeyId: made, secretAccessKey: stored[fields.secretAccessKey] ?? '' });

  // Whoever's keys were there before go only once somebody has said so; our own that nobody could use go without a question.
  const chain = await world.client.incident(id, done.run).chain();
  const decisions = await world.records(chain, 'decision');
  const approvedAt = Math.min(
    ...decisions.filter(({ body }) => body.ruling.accepted && body.ruling.gate === 'g-irreversible').map(({ at }) => Date.parse(at)),
  );
  const orphans = calls.filter(({ reply }) => reply === 'lost').map((call) => call.made);
  const gone = changes.filter(({ action, effect }) => action === 'DeleteAccessKey' && effect === 'changed');
  expect(new Set(gone.map(({ target }) => deleted(target)))).toEqual(
    new Set([pair.accessKeyId, ...(stolen === undefined ? [] : [stolen]), ...orphans]),
  );
  for (const { target, receivedAt, caller } of gone) {
    expect(caller).toBe(responder);
    if (!orphans.includes(deleted(target))) expect(receivedAt, deleted(target)).toBeGreaterThanOrEqual(approvedAt);
  }
}

/** A second key that a thief makes with the leaked pair, so that both slots are full. */
export async function secondKey({ stack }: World, { pair }: Deployed): Promise<string> {
  const iam = new IAMClient({ endpoint: stack.aws.endpoint, region, credentials: pair, maxAttempts: 1 });
  try {
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({}));
    return AccessKey?.AccessKeyId ?? '';
  } finally {
    iam.destroy();
  }
}
