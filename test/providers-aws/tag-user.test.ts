import { ListUserTagsCommand, TagUserCommand, UntagUserCommand } from '@aws-sdk/client-iam';
import { afterEach, expect, it } from 'vitest';
import { investigationTag } from '../../providers/aws/tag-user.ts';
import { type Practice, practice, refusalOf } from './practice.ts';
import { stepOf } from './steps.ts';

const user = 'ci-deployer';
const incident = (digit: string) => `leak/${digit.repeat(64)}`;
const open: Practice[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});

async function house() {
  const world = await practice();
  open.push(world);
  await world.makeUser(user);
  await set(world, 'team', 'ci');
  const connection = await world.connect();
  return { world, step: (digit = 'a') => stepOf(connection, 'tag-user', { account: world.account, user }, { incident: incident(digit) }) };
}
const set = (world: Practice, Key: string, Value: string) =>
  world.admin.iam.send(new TagUserCommand({ UserName: user, Tags: [{ Key, Value }] }));
const tags = async (world: Practice) => {
  const { Tags } = await world.admin.iam.send(new ListUserTagsCommand({ UserName: user }));
  return Object.fromEntries((Tags ?? []).map(({ Key, Value }) => [Key, Value]));
};

it('a user without the tag bears the incident’s, and afterwards none, and keeps its others', async () => {
  const { world, step } = await house();
  const mark = step();
  const before = await mark.capture();
  expect(before).toEqual({});
  expect((await mark.apply(before)).outcome).toBe('changed');
  expect((await tags(world))[investigationTag]).toMatch(new RegExp(`^${incident('a')} [0-9a-f]{24}$`));
  expect((await mark.probe(before)).observation.state).toBe('yes');
  expect((await mark.revert(before)).outcome).toBe('changed');
  expect(await tags(world)).toEqual({ team: 'ci' });
  expect((await mark.probe(before)).observation.state).toBe('no');
});

it.each([
  ['ours', 'Tourniquet:UNDER-investigation', 'no longer'],
  ['an empty one', investigationTag, ''],
])('a value that a person had set comes back as it was written: %s', async (_name, key, value) => {
  const { world, step } = await house();
  await set(world, key, value);
  const mark = step();
  const before = await mark.capture();
  await mark.apply(before);
  expect(Object.keys(await tags(world)).sort()).toEqual(['team', investigationTag]);
  expect((await mark.revert(before)).outcome).toBe('changed');
  expect(await tags(world)).toEqual({ team: 'ci', [key]: value });
});

it('what somebody set, changed or took away since is not overwritten, by the step or by its undo', async () => {
  const { world, step } = await house();
  const late = step();
  const captured = await late.capture();
  await set(world, investigationTag, 'by hand');
  expect(await refusalOf(() => late.apply(captured))).toBe('provider.conflict');
  expect(await refusalOf(() => late.revert(captured))).toBe('provider.conflict');
  const mark = step();
  const before = await mark.capture();
  await mark.apply(before);
  await world.admin.iam.send(new UntagUserCommand({ UserName: user, TagKeys: [investigationTag] }));
  expect(await refusalOf(() => mark.revert(before))).toBe('provider.conflict');
  expect(await tags(world)).toEqual({ team: 'ci' });
});

it('another incident’s mark serves as well, and is left to it', async () => {
  const { world, step } = await house();
  const [first, second, third] = [step('a'), step('b'), step('c')];
  const early = await third.capture();
  const before = await first.capture();
  await first.apply(before);
  const theirs = await tags(world);
  const found = await second.capture();
  expect(await second.apply(found)).toMatchObject({ outcome: 'already', facts: { standing: true } });
  expect((await third.apply(early)).outcome).toBe('already');
  for (const [other, captured] of [
    [second, found],
    [third, early],
  ] as const) {
    expect((await other.probe(captured)).observation.state).toBe('yes');
    expect((await other.revert(captured)).outcome).toBe('already');
  }
  expect(await tags(world)).toEqual(theirs);
  expect((await first.revert(before)).outcome).toBe('changed');
  // The first incident has taken its own away, and the second does not bring it back.
  expect((await second.revert(found)).outcome).toBe('already');
  expect(await tags(world)).toEqual({ team: 'ci' });
  expect((await second.apply(found)).outcome).toBe('changed');
  expect((await second.revert(found)).outcome).toBe('changed');
  expect(await tags(world)).toEqual({ team: 'ci' });
});

it('the engine’s own user is refused as a target', async () => {
  const { world } = await house();
  const own = await world.makeUser('engine');
  await world.alive(own);
  const mark = stepOf(await world.connect(own), 'tag-user', { account: world.account, user: 'engine' });
  expect(await refusalOf(() => mark.capture())).toBe('warrant.own-credential');
});
