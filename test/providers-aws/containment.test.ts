import { DeleteUserPolicyCommand, UpdateAccessKeyCommand } from '@aws-sdk/client-iam';
import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand, GetFederationTokenCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { afterEach, describe, expect, it } from 'vitest';
import { incidentId } from '../../domain/credential.ts';
import { Secret } from '../../domain/secret.ts';
import { cutOffDocument, cutOffIn, cutOffPolicy, holdDocument, holdPolicy } from '../../providers/aws/policies.ts';
import { consumer } from './harnesses.ts';
import { everything, outcomeOf, type Pair, type Practice, pairOf, practice, refusalOf, timing, until, useKey } from './practice.ts';
import { stepOf } from './steps.ts';

const user = 'ci-deployer';
const hour = 3_600_000;
const open: Practice[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});
async function house(): Promise<{ world: Practice; leaked: Pair; target: { account: string; user: string } }> {
  const world = await practice();
  open.push(world);
  const leaked = await world.makeUser(user);
  await world.alive(leaked);
  await until(
    'its policy is in effect',
    () => listed(world, leaked),
    (said) => said === 'ok',
  );
  return { world, leaked, target: { account: world.account, user } };
}
const listed = (world: Practice, pair: Pair) => outcomeOf(() => world.as(pair).secrets.send(new ListSecretsCommand({})));
const named = (world: Practice, pair: Pair) => outcomeOf(() => world.as(pair).sts.send(new GetCallerIdentityCommand({})));
const standing = async (world: Practice) => (await world.control.world()).users.find((row) => row.name === user);
const off = (world: Practice, pair: Pair, status: 'Active' | 'Inactive' = 'Inactive') =>
  world.admin.iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: pair.accessKeyId, Status: status }));

describe('a key and what it minted', () => {
  it('the key is dead when the probe says so, its sessions are not; the cut-off ends those, the ones minted meanwhile too', async () => {
    const { world, leaked, target } = await house();
    const thief = world.as(leaked).sts;
    const session = pairOf((await thief.send(new GetSessionTokenCommand({}))).Credentials);
    const federated = pairOf((await thief.send(new GetFederationTokenCommand({ Name: 'fed', Policy: everything }))).Credentials);
    const connection = await world.connect();
    const disable = stepOf(connection, 'disable-key', { ...target, accessKeyId: leaked.accessKeyId });
    const before = await disable.capture();
    expect((await disable.apply(before)).outcome).toBe('changed');
    // As on AWS, the API has said yes and the key still works; the thief uses that.
    const late = pairOf((await thief.send(new GetSessionTokenCommand({}))).Credentials);
    const dead = await disable.probe(before);
    expect(dead.observation).toMatchObject({ state: 'yes', source: 'administrator' });
    expect(await named(world, leaked)).toBe('InvalidClientTokenId');
    for (const pair of [session, federated, late]) expect(await listed(world, pair)).toBe('ok');

    const cut = stepOf(connection, 'cut-off-sessions', target, { params: { keys: [leaked.accessKeyId] } });
    const cutBefore = await cut.capture();
    const applied = await cut.apply(cutBefore);
    expect((await cut.probe(cutBefore)).observation.state).toBe('yes');
    for (const pair of [session, federated, late]) expect(await listed(world, pair)).toBe('AccessDeniedException');
    // The other identity calls still answer, and prove nothing.
    expect(await named(world, session)).toBe('ok');
    const stamp = Date.parse(String(applied.facts?.['cutOff']));
    expect(stamp).toBeGreaterThan(Date.parse(dead.effectiveAt ?? ''));
    expect(applied.residual?.until).toBe(new Date(stamp + 36 * hour).toISOString());
    expect(applied.descendantsDieAt).toBe(applied.residual?.until);
  });

  it('with the sealed secret at hand the key itself says that it is dead', async () => {
    const { world, leaked, target } = await house();
    const connection = await world.connect();
    const asking = stepOf(connection, 'disable-key', { ...target, accessKeyId: leaked.accessKeyId });
    const { hash, keyId } = await asking
      .context()
      .sealing.seal(
        new Secret(leaked.secretAccessKey),
        { provider: 'aws', account: world.account },
        { kind: 'aws.access-key', locator: { accessKeyId: leaked.accessKeyId } },
      );
    const { sealing } = asking.context();
    const step = stepOf(
      connection,
      'disable-key',
      { ...target, accessKeyId: leaked.accessKeyId },
      { sealing, params: { sealed: { hash, keyId } } },
    );
    const before = await step.capture();
    await step.apply(before);
    const probed = await step.probe(before);
    expect(probed.observation).toMatchObject({ state: 'yes', source: 'probe' });
  });

  it('a key that somebody turned on since the capture is a conflict', async () => {
    const { world, leaked, target } = await house();
    await off(world, leaked);
    const step = stepOf(await world.connect(), 'disable-key', { ...target, accessKeyId: leaked.accessKeyId });
    const before = await step.capture();
    await off(world, leaked, 'Active');
    expect(await refusalOf(() => step.apply(before))).toBe('provider.conflict');
  });

  it('a key that was off before is not turned on by the undo', async () => {
    const { world, leaked, target } = await house();
    await off(world, leaked);
    const step = stepOf(await world.connect(), 'disable-key', { ...target, accessKeyId: leaked.accessKeyId });
    const before = await step.capture();
    expect((await step.apply(before)).outcome).toBe('already');
    expect((await step.revert(before)).outcome).toBe('already');
    expect((await standing(world))?.keys[0]?.status).toBe('Inactive');
  });

  it('a key that is on is not deleted', async () => {
    const { world, leaked, target } = await house();
    const step = stepOf(await world.connect(), 'delete-key', { ...target, accessKeyId: leaked.accessKeyId });
    const before = (await step.capture()) as { lastUsed?: object };
    expect(before.lastUsed).toBeDefined();
    expect(await refusalOf(() => step.apply(before))).toBe('provider.conflict');
    expect((await standing(world))?.keys).toHaveLength(1);
  });
});

describe('what the engine itself stands on', () => {
  it('neither its key nor its user is ever touched, nor another account', async () => {
    const { world, leaked } = await house();
    const connection = await world.connect();
    const own = { account: world.account, user: 'tourniquet-admin' };
    for (const [name, target] of [
      ['disable-key', { ...own, accessKeyId: world.sim.admin.accessKeyId }],
      ['disable-key', { account: world.account, user, accessKeyId: world.sim.admin.accessKeyId }],
      ['deny-principal', own],
      ['cut-off-sessions', own],
      ['mint-key', own],
    ] as const) {
      const step = stepOf(connection, name, target, { params: { sealTo: { provider: 'vault', account: 'main' } } });
      expect(await refusalOf(() => step.apply({ status: 'Active', keys: [] })), name).toBe('warrant.own-credential');
    }
    const elsewhere = stepOf(connection, 'disable-key', { account: '111122223333', user, accessKeyId: leaked.accessKeyId });
    expect(await refusalOf(() => elsewhere.apply({ status: 'Active' }))).toBe('provider.invalid');
    expect((await world.control.mutations()).filter((entry) => entry.action === 'UpdateAccessKey')).toEqual([]);
  });
});

describe('the cut-off', () => {
  it('is refused while a key that mints is on', async () => {
    const { world, leaked, target } = await house();
    const step = stepOf(await world.connect(), 'cut-off-sessions', target, { params: { keys: [leaked.accessKeyId] } });
    expect(await refusalOf(async () => step.apply(await step.capture()))).toBe('provider.conflict');
  });

  it('takes the time that the keys were seen to be dead, and the margin', async () => {
    const { world, target } = await house();
    const cutoffAt = [new Date(Date.now() - 5000).toISOString(), new Date(Date.now() + 60_000).toISOString()];
    const step = stepOf(await world.connect(), 'cut-off-sessions', target, { params: { cutoffAt } });
    const { facts } = await step.apply(await step.capture());
    const wanted = Date.parse(cutoffAt[1] ?? '') + timing.marginMs;
    expect(Date.parse(String(facts?.['cutOff']))).toBeGreaterThanOrEqual(wanted);
    expect(Date.parse(String(facts?.['cutOff']))).toBeLessThan(wanted + 1000);
  });

  it('keeps the later of two, and stamps no second time for the same step', async () => {
    const { world, target } = await house();
    const later = new Date(Math.ceil((Date.now() + hour) / 1000) * 1000);
    await world.policy(user, cutOffPolicy, cutOffDocument('0123456789abcdef01234567', later.toISOString()));
    const connection = await world.connect();
    const step = stepOf(connection, 'cut-off-sessions', target);
    const before = await step.capture();
    expect((await step.apply(before)).outcome).toBe('already');
    expect(cutOffIn((await standing(world))?.policies.inline[cutOffPolicy] ?? '')).toBe(later.getTime());
    // An earlier one is moved on, and is then left.
    await world.policy(user, cutOffPolicy, cutOffDocument('0123456789abcdef01234567', new Date(Date.now() - hour).toISOString()));
    const second = stepOf(connection, 'cut-off-sessions', target);
    const secondBefore = await second.capture();
    const first = await second.apply(secondBefore);
    expect(first.outcome).toBe('changed');
    await world.control.advance(60_000);
    expect(await second.apply(secondBefore)).toMatchObject({ outcome: 'already', facts: first.facts });
  });

  it('is not lifted by its undo before the last session has expired, and says until when it stands', async () => {
    const { world, target } = await house();
    const step = stepOf(await world.connect(), 'cut-off-sessions', target);
    const before = await step.capture();
    const applied = await step.apply(before);
    const early = await step.revert(before);
    expect(early).toMatchObject({ outcome: 'already', observation: { state: 'no' }, residual: { until: applied.residual?.until } });
    expect((await standing(world))?.policies.inline[cutOffPolicy]).toBeDefined();
    await world.control.advance(36 * hour + 60_000);
    expect((await step.revert(before)).outcome).toBe('changed');
    expect((await standing(world))?.policies.inline[cutOffPolicy]).toBeUndefined();
  });

  it('is lifted by a step of its own only after its date, by the provider’s clock', async () => {
    const { world, target } = await house();
    await world.policy(user, cutOffPolicy, cutOffDocument('0123456789abcdef01234567', new Date().toISOString()));
    const connection = await world.connect();
    const lift = () => stepOf(connection, 'lift-cut-off', target, { params: { until: new Date(0).toISOString() } });
    const early = lift();
    expect(await refusalOf(async () => early.apply(await early.capture()))).toBe('provider.conflict');
    await world.control.advance(36 * hour + 60_000);
    const due = lift();
    expect((await due.apply(await due.capture())).outcome).toBe('changed');
    // A later date in the plan counts as well.
    await world.policy(user, cutOffPolicy, cutOffDocument('0123456789abcdef01234567', new Date(0).toISOString()));
    const held = stepOf(connection, 'lift-cut-off', target, { params: { until: new Date(Date.now() + 100 * hour).toISOString() } });
    expect(await refusalOf(async () => held.apply(await held.capture()))).toBe('provider.conflict');
  });
});

describe('the deny', () => {
  it('lifting it wakes no session that was minted beneath it: the undo puts the cut-off first', async () => {
    const { world, leaked, target } = await house();
    const step = stepOf(await world.connect(), 'deny-principal', target);
    const before = await step.capture();
    await step.apply(before);
    const probed = await step.probe(before);
    expect(probed.observation.state).toBe('yes');
    expect(await listed(world, leaked)).toBe('AccessDeniedException');
    // The key is on, and nothing can deny this call.
    const sleeper = pairOf((await world.as(leaked).sts.send(new GetSessionTokenCommand({}))).Credentials);
    const reverted = await step.revert(before);
    expect(reverted.outcome).toBe('changed');
    expect(reverted.residual?.until).toBeDefined();
    await until(
      'the user has its permissions back',
      () => listed(world, leaked),
      (said) => said === 'ok',
    );
    expect(await listed(world, sleeper)).toBe('AccessDeniedException');
  });

  it('stays while another incident holds the user, whoever takes it back', async () => {
    const { world, leaked, target } = await house();
    const connection = await world.connect();
    const step = stepOf(connection, 'deny-principal', target);
    const before = await step.capture();
    await step.apply(before);
    const held = stepOf(connection, 'deny-principal', target, { step: step.context().step, params: { heldBy: ['leak/other'] } });
    expect(await held.revert(before)).toMatchObject({
      outcome: 'already',
      observation: { state: 'no' },
      facts: { heldBy: ['leak/other'] },
    });
    await off(world, leaked);
    await world.policy(user, cutOffPolicy, cutOffDocument('0123456789abcdef01234567', new Date().toISOString()));
    const lift = stepOf(connection, 'lift-deny', target, { params: { keys: [leaked.accessKeyId], heldBy: ['leak/other'] } });
    const liftBefore = await lift.capture();
    expect(await lift.apply(liftBefore)).toMatchObject({ outcome: 'already', facts: { heldBy: ['leak/other'] } });
    expect((await standing(world))?.policies.inline[holdPolicy]).toBeDefined();
  });

  it('another incident’s hold serves, and is not this one’s to take away', async () => {
    const { world, target } = await house();
    const connection = await world.connect();
    const first = stepOf(connection, 'deny-principal', target, { params: { maxLifeSeconds: 0 } });
    const firstBefore = await first.capture();
    const second = stepOf(connection, 'deny-principal', target, { params: { maxLifeSeconds: 0 } });
    const secondBefore = await second.capture();
    await first.apply(firstBefore);
    expect((await second.apply(secondBefore)).outcome).toBe('already');
    expect(await refusalOf(() => second.revert(secondBefore))).toBe('provider.conflict');
    expect((await first.revert(firstBefore)).outcome).toBe('changed');
  });

  it('is lifted only with the leaked keys off and the sessions cut off', async () => {
    const { world, leaked, target } = await house();
    await world.policy(user, holdPolicy, holdDocument('0123456789abcdef01234567'));
    const connection = await world.connect();
    const lift = () => stepOf(connection, 'lift-deny', target, { params: { keys: [leaked.accessKeyId] } });
    // Without the list the incident's own key counts: its id says which it is.
    const unlisted = () =>
      stepOf(connection, 'lift-deny', target, {
        incident: incidentId({ kind: 'aws.access-key', locator: { accessKeyId: leaked.accessKeyId } }),
      });
    for (const make of [lift, unlisted]) {
      const step = make();
      const before = await step.capture();
      expect(await refusalOf(() => step.apply(before))).toBe('provider.conflict');
    }
    await off(world, leaked);
    const uncut = lift();
    expect(await refusalOf(async () => uncut.apply(await uncut.capture()))).toBe('provider.conflict');
    await world.policy(user, cutOffPolicy, cutOffDocument('0123456789abcdef01234567', new Date().toISOString()));
    const ready = lift();
    const before = await ready.capture();
    expect((await ready.apply(before)).outcome).toBe('changed');
    expect((await ready.probe(before)).observation.state).toBe('yes');
  });

  it('is seen to be gone again by the probe, when somebody takes it off', async () => {
    const { world, target } = await house();
    const step = stepOf(await world.connect(), 'deny-principal', target);
    const before = await step.capture();
    await step.apply(before);
    expect((await step.probe(before)).observation.state).toBe('yes');
    await world.admin.iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName: holdPolicy }));
    expect((await step.probe(before)).observation.state).toBe('no');
  });
});

describe('the watches', () => {
  it('a consumer that is not seen, or cannot be told apart, is not known to have moved', async () => {
    const { world, leaked, target } = await house();
    const connection = await world.connect();
    const watch = (inventory: ReturnType<typeof consumer>[]) =>
      stepOf(
        connection,
        'watch-new-use',
        { ...target, consumer: 'runner' },
        {
          params: { mint: 'm' },
          made: { m: { accessKeyId: leaked.accessKeyId } },
          inventory: { consumers: inventory, stores: [] },
          timing: { ...timing, giveUpMs: 1000 },
        },
      );
    const silent = watch([consumer('runner', 'ci-runner/7')]);
    const before = await silent.capture();
    await useKey(world, leaked, 'somebody-else/1');
    expect((await silent.apply(before)).outcome).toBe('already');
    expect((await silent.probe(before)).observation.state).toBe('unknown');
    const alike = watch([consumer('runner')]);
    await alike.apply(before);
    expect((await alike.probe(before)).observation).toMatchObject({ state: 'unknown', why: expect.stringContaining('told apart') });
    // An identity call is let through whatever policy says, and shows no permission.
    await world.as(leaked, 'ci-runner/7').sts.send(new GetCallerIdentityCommand({}));
    const identity = watch([consumer('runner', 'ci-runner/7')]);
    await identity.apply(before);
    expect((await identity.probe(before)).observation.state).toBe('unknown');
  });

  it('a key that goes on calling is not quiet, and who called is said', async () => {
    const { world, leaked, target } = await house();
    const step = stepOf(
      await world.connect(),
      'watch-old-quiet',
      { ...target, accessKeyId: leaked.accessKeyId },
      { params: { quietMs: 1500 }, timing: { ...timing, giveUpMs: 4000 } },
    );
    const before = await step.capture();
    const chatter = setInterval(() => void useKey(world, leaked, 'old-runner/1').catch(() => undefined), 100);
    try {
      await step.apply(before);
    } finally {
      clearInterval(chatter);
    }
    const { observation } = await step.probe(before);
    expect(observation.state).toBe('no');
    expect(JSON.stringify(observation)).toContain('ListUsers');
  });
});
