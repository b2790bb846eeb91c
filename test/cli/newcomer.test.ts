import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { startWorld, type World } from '../engine/world.ts';
import { until } from '../until.ts';
import { tourniquet } from './harness.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

interface Entry {
  readonly provider: string;
  readonly account: string;
  readonly mode: string;
  readonly credentials: string;
  readonly settings: { readonly endpoint?: string; readonly regions?: readonly string[]; readonly timing?: unknown };
}

let world: World;
let file: string;
let home: string;
const begun = Date.now();
beforeAll(async () => {
  world = await startWorld({ leaked: 'public' });
  file = world.stack.paths.configuration;
  home = mkdtempSync(join(tmpdir(), 'newcomer-'));
});
afterAll(async () => {
  await world?.stop();
  rmSync(home, { recursive: true, force: true });
});

const run = (...argv: readonly string[]) => tourniquet(argv, { cwd: world.stack.paths.directory });
const entries = (): readonly Entry[] => (parse(readFileSync(file, 'utf8')) as { accounts: Entry[] }).accounts;
const edit = (change: (accounts: Entry[]) => Entry[]) => {
  const all = parse(readFileSync(file, 'utf8')) as { accounts: Entry[] };
  writeFileSync(file, stringify({ ...all, accounts: change(all.accounts) }));
};

test('connect prints what to create: policies in parts, which of them equal an administrator, roles with an external id that is new each time', async () => {
  const ran = await run('connect', 'aws', '--into', join(home, 'permissions'));
  expect(ran.code, ran.err).toBe(0);
  for (const name of ['read.json', 'contain.json', 'mint.json', 'eradicate.json', 'roles.json'])
    expect(existsSync(join(home, 'permissions', name)), name).toBe(true);
  expect(ran.out).toMatch(/equals administrator, by iam:/);
  const ids = [ran.out, (await run('connect', 'aws')).out].map((text) => /external id: ([0-9a-f]{32})/.exec(text)?.[1]);
  expect(new Set(ids).size).toBe(2);
  for (const provider of ['vault', 'gcp', 'github']) expect((await run('connect', provider)).code, provider).toBe(0);
});

test('connect, doctor, a dry run and a drill are one path, on the simulator, in under five minutes', async () => {
  const [aws] = entries();
  if (aws === undefined) throw new Error('the practice world has no account');
  edit((all) => all.filter((each) => each.provider !== 'aws'));
  const { endpoint, timing, ...rest } = aws.settings as Record<string, unknown>;
  void rest;
  const set = (name: string, value: unknown) => ['--set', `${name}=${JSON.stringify(value)}`];

  const connected = await run(
    'connect',
    'aws',
    '--credentials',
    aws.credentials,
    ...set('endpoint', endpoint),
    ...set('timing', timing),
    ...set('lookUpsPerSecond', 1000),
  );
  expect(connected.code, `${connected.out}${connected.err}`).toBe(0);
  expect(connected.out).toContain(`aws/${aws.account}, as arn:aws:iam::${aws.account}:user/`);
  const written = entries().find((each) => each.provider === 'aws');
  expect(written).toMatchObject({ account: aws.account, mode: 'observe' });
  for (const region of aws.settings.regions ?? []) expect(written?.settings.regions).toContain(region);
  const again = await run('connect', 'aws', '--credentials', aws.credentials, ...set('endpoint', endpoint));
  expect(again.out).toContain('was there already');

  edit((all) => all.map((each) => (each.provider === 'aws' ? { ...each, mode: 'act', settings: aws.settings } : each)));
  await until('the doctor finds nothing at fault', async () => ((await run('doctor')).code === 0 ? true : undefined));

  const leaked = world.deployed('leaked');
  const dry = await run('plan', '--key-id', leaked.pair.accessKeyId, '--account', aws.account, '--by-hand');
  expect(dry.code, dry.err).toBe(8);
  expect(dry.out).toContain(
    `$ aws iam update-access-key --user-name ${leaked.user} --access-key-id ${leaked.pair.accessKeyId} --status Inactive`,
  );

  const maker = join(home, 'maker.json');
  const { accessKeyId, secretAccessKey } = world.stack.aws;
  writeFileSync(maker, JSON.stringify({ accessKeyId, secretAccessKey }), { mode: 0o600 });
  const drill = await run('drill', 'aws', '--credentials', maker, '--as', 'sam', '--consent', `drill in ${aws.account}`);
  expect(drill.code, `${drill.out}${drill.err}`).toBe(0);
  expect(Date.now() - begun).toBeLessThan(300_000);
});
