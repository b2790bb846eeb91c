import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { responder } from '../../lab/world/cast.ts';
import { tourniquet } from '../cli/harness.ts';
import { type Deployed, startWorld, tell, type World } from '../engine/world.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let world: World;
beforeAll(async () => {
  world = await startWorld({ first: 'public', second: 'public', vip: 'public' });
});
afterAll(() => world?.stop());

const cli = (...argv: string[]) =>
  tourniquet([...argv, '--config', world.stack.paths.configuration, '--keys', world.stack.paths.keys], {
    cwd: dirname(world.stack.paths.configuration),
  });

test('doctor finds what the engine stands on: the user and key of each account, the token and its policies', async () => {
  const ran = await cli('doctor', '--json');
  const { checks } = JSON.parse(ran.out) as { checks: { what: string; state: string; says: string }[] };
  const on = (what: string) => checks.find((each) => each.what.startsWith(`what ${what}`) && each.what.endsWith('stands on'));
  console.log(
    checks
      .filter((each) => each.what.endsWith('stands on'))
      .map((each) => `  ${each.what}: ${each.says}`)
      .join('\n'),
  );
  expect(on('aws/')).toMatchObject({ state: 'yes' });
  expect(on('aws/')?.says).toContain(world.stack.world.responder.accessKeyId);
  expect(on('aws/')?.says).toContain(`arn:aws:iam::${world.stack.aws.accountId}:user/${responder}`);
  expect(on('vault/')).toMatchObject({ state: 'yes', says: expect.stringContaining('accessor') });
  expect(on('vault/')?.says).toContain('sys/policies/acl/tourniquet-vault-worker');
});

test('a leak of the engine’s own key is only observed: everybody is named, and the sheet to do by hand is shown', async () => {
  const since = await world.lastChange();
  const own: Deployed = {
    ...world.deployed('first'),
    user: responder,
    arn: `arn:aws:iam::${world.stack.aws.accountId}:user/${responder}`,
    pair: world.stack.world.responder,
  };
  const id = await world.leak(own);
  const status = await world.follow(id, (each) => each.gates.some((gate) => gate.state === 'open'));
  expect([status.rule, status.mode], tell(status)).toEqual(['own-credential', 'hold']);
  expect(new Set(status.plan?.steps.map((each) => each.provider))).toEqual(new Set(['manual']));
  const notes = status.plan?.notes.join(' ') ?? '';
  for (const person of ['sam', 'ada', 'scripted-responder']) expect(notes).toContain(person);
  const shown = await cli('show', id);
  expect(shown.out).toContain('To do by hand');
  expect(shown.out).toContain(own.pair.accessKeyId);
  expect(shown.out).toContain(responder);
  const changes = (await world.stack.control.mutations(since)).filter((each) => each.caller !== world.stack.aws.accessKeyId);
  expect(changes).toEqual([]);
});

test('a spent budget is asked about: the second leak of an hour is not acted on unasked, and the verdict names the budget', async () => {
  await world.setPolicy((text) =>
    text.replace('{ name: per-account, per: account, within: 1h, most: 60 }', '{ name: per-account, per: account, within: 1h, most: 1 }'),
  );
  const first = await world.follow(await world.leak(world.deployed('first')), (each) => each.firstChangeAt !== undefined);
  expect(first.rule, tell(first)).toBe('exposed');
  const since = await world.lastChange();
  const second = await world.follow(await world.leak(world.deployed('second')), (each) => each.gates.some((gate) => gate.state === 'open'));
  expect([second.rule, second.mode], tell(second)).toEqual(['budget-spent', 'ask']);
  const [verdict] = await world.records(await world.client.incident(second.id).chain(), 'verdict');
  expect(verdict?.body.budget).toEqual({ spent: 'per-account' });
  expect(await world.changes(world.deployed('second').user, since)).toEqual([]);
});

test('a protected user is never touched unasked, however public its leak', async () => {
  const vip = world.deployed('vip');
  await world.setPolicy((text) =>
    text.replace('  - { tag: break-glass,', `  - { name: ${vip.user}, why: the night shift }\n  - { tag: break-glass,`),
  );
  const since = await world.lastChange();
  const status = await world.follow(await world.leak(vip), (each) => each.gates.some((gate) => gate.state === 'open'));
  expect([status.rule, status.mode], tell(status)).toEqual(['protected', 'ask']);
  expect(await world.changes(vip.user, since)).toEqual([]);
});
