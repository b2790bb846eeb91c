import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IAMClient, ListUsersCommand } from '@aws-sdk/client-iam';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { region } from '../../lab/world/cast.ts';
import { drillPath } from '../../providers/aws/drill.ts';
import { startWorld, type World } from '../engine/world.ts';
import { tourniquet } from './harness.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let world: World;
let maker: string;
beforeAll(async () => {
  world = await startWorld({});
  maker = join(world.stack.paths.directory, 'drill-credentials.json');
  const { accessKeyId, secretAccessKey } = world.stack.aws;
  writeFileSync(maker, JSON.stringify({ accessKeyId, secretAccessKey }), { mode: 0o600 });
});
afterAll(() => world?.stop());

const users = async (): Promise<readonly string[]> => {
  const { aws } = world.stack;
  const iam = new IAMClient({ region, endpoint: aws.endpoint, credentials: aws });
  return ((await iam.send(new ListUsersCommand({}))).Users ?? []).map(({ Path, UserName }) => `${Path}${UserName}`);
};
const drill = async (...more: readonly string[]) =>
  await tourniquet(['drill', 'aws', '--credentials', maker, '--as', 'sam', ...more], { cwd: world.stack.paths.directory });

test('nothing is made before what is consented to has been typed', async () => {
  const before = (await world.stack.control.mutations()).length;
  const ran = await drill('--consent', 'yes');
  expect(ran.code).toBe(2);
  expect(ran.err).toMatch(/expected "drill in \d{12}"; nothing was made/);
  expect((await world.stack.control.mutations()).length).toBe(before);
});

test('a drill is the whole run on the account: made, contained, measured, saved, removed, rolled back', async () => {
  const before = await users();
  const ran = await drill('--consent', `drill in ${world.stack.aws.accountId}`);
  expect(ran.code, `${ran.out}\n${ran.err}`).toBe(0);
  expect(ran.out).toMatch(/Contained in \d+\.\d s after the report; its key was first refused \d+\.\d s after it\./);
  expect(ran.out).toMatch(/Removed: .*access key AKIA\w+.*user tourniquet-drill-/);
  expect(await users()).toEqual(before);
  expect(before.some((each) => each.startsWith(drillPath))).toBe(false);
  const file = join(world.stack.paths.directory, 'drills', `aws-${world.stack.aws.accountId}.json`);
  expect(existsSync(file)).toBe(true);
  const [measured] = JSON.parse(readFileSync(file, 'utf8')) as {
    contained: string;
    containedMs: number;
    propagationMs: number;
    logLagMs?: number;
  }[];
  expect(measured).toMatchObject({ contained: 'yes' });
  expect(measured?.propagationMs).toBeGreaterThan(0);
  expect(measured?.containedMs).toBeGreaterThan(0);
  const ours = (await world.stack.control.mutations()).filter(({ caller }) => caller === world.stack.world.responder.accessKeyId);
  expect(ours.length, 'the engine itself acted').toBeGreaterThan(0);
  for (const { target } of ours) expect(target.UserName ?? 'tourniquet-drill-').toMatch(/^tourniquet-drill-/);
});
