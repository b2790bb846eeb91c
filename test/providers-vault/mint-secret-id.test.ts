import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Store } from '../../domain/assessment.ts';
import { isHash } from '../../domain/canonical.ts';
import type { Action, Connection, StepContext } from '../../providers/contract.ts';
import { codeOf, sealings } from './bench.ts';
import { account, closeLab, connectAs, type Lab, openLab, type Role, startProxy, timing, tokenUnder, wholePolicy } from './practice.ts';
import type { FaultProxy } from './server.ts';

let lab: Lab;
let release: () => Promise<void>;
let proxy: FaultProxy;
let engine: Connection;
let role: Role;
let sealing: ReturnType<typeof sealings>;

beforeAll(async () => {
  ({ lab, release } = await openLab());
  proxy = await startProxy(lab.server.address);
  engine = await connectAs((await tokenUnder(lab, wholePolicy())).token, proxy);
}, 60_000);
afterAll(async () => {
  await engine?.close();
  await proxy?.stop();
  await release?.();
  await closeLab();
});
beforeEach(async () => {
  proxy.reset();
  sealing = sealings();
  role = await lab.role();
});

const incident = `leak/${'9'.repeat(64)}`;
const context = (step: string, more: Partial<StepContext> = {}): StepContext => ({
  incident,
  run: 'r',
  step,
  signal: new AbortController().signal,
  heartbeat: () => undefined,
  timing,
  sealing,
  params: { sealTo: { provider: 'vault', account } },
  made: {},
  inventory: { consumers: [], stores: [] },
  sleep: async () => undefined,
  ...more,
});
const action = (name: string) => engine.actions[name] as Action;
const target = () => ({ account, mount: 'approle', appRole: role.name });
const listed = async (): Promise<string[]> =>
  (await lab.server.call('LIST', `auth/approle/role/${role.name}/secret-id`)).body?.data?.keys ?? [];

it('a secret id that is made goes sealed into its store, logs in, and its token names the incident; the one that leaked stays until it is destroyed', async () => {
  const leaked = await role.secretId();
  const mint = action('mint-secret-id');
  const before = await mint.capture(target(), context('mint'));
  const { made = {} } = await mint.apply(target(), before, context('mint'));
  expect(made).toMatchObject({
    mount: 'approle',
    appRole: role.name,
    accessor: expect.any(String),
    accessKeyId: expect.stringMatching(/^secret-id-/),
  });

  const store: Store = {
    id: 's',
    provider: 'vault',
    account,
    path: 'kv/ci/app',
    fields: { accessKeyId: 'made', secretId: 'secret_id' },
    principal: 'entity:x',
  };
  const place = { account, path: store.path };
  const inventory = { stores: [store], consumers: [] };
  const stage = context('stage', { params: { mint: 'mint' }, made: { mint: made }, inventory });
  const staged = await action('stage-secret').apply(place, await action('stage-secret').capture(place, stage), stage);
  const give = context('give', { params: { stage: 'stage', mint: 'mint' }, made: { mint: made, stage: { ...staged.made } }, inventory });
  await action('distribute-secret').apply(place, await action('distribute-secret').capture(place, give), give);
  expect(sealing.blobs.size).toBe(0);

  const { secret_id: fresh } = (await lab.must('GET', 'kv/data/ci/app')).data.data;
  const login = await role.login(fresh);
  expect(await lab.works(login.token)).toBe(true);
  const { meta } = (await lab.must('POST', 'auth/token/lookup-accessor', { accessor: login.accessor })).data;
  expect(meta).toMatchObject({ tourniquet_incident: incident, role_name: role.name });
  expect(JSON.stringify([before, made, meta])).not.toContain(fresh);
  expect(await listed()).toContain(leaked.accessor);
});

it('a try whose answer was lost is found again with all that it made, and nothing is made twice', async () => {
  const mint = action('mint-secret-id');
  const before = await mint.capture(target(), context('mint'));
  proxy.fate = (_number, { path }) => (path.endsWith('/custom-secret-id') ? 'lose-reply' : 'pass');
  expect(await codeOf(mint.apply(target(), before, context('mint')))).toBe('provider.uncertain');
  proxy.reset();
  const { outcome, made = {} } = await mint.apply(target(), before, context('mint'));
  expect(outcome).toBe('already');
  expect(await listed()).toEqual([made.accessor]);
  const { sealed = '', keyId = '', accessKeyId } = made;
  if (!isHash(sealed)) throw new Error('it names no sealed blob');
  const { secretId } = JSON.parse((await sealing.open(sealed, keyId, `mint:${accessKeyId}`)).reveal());
  expect(await lab.works((await role.login(secretId)).token)).toBe(true);
});

it('one that somebody else made meanwhile is neither taken for ours nor taken away by the undo', async () => {
  const mint = action('mint-secret-id');
  const before = await mint.capture(target(), context('mint'));
  const theirs = await role.secretId();
  await mint.apply(target(), before, context('mint'));
  expect(await listed()).toHaveLength(2);
  expect(await mint.revert?.(target(), before, context('mint'))).toMatchObject({ outcome: 'changed' });
  expect(await listed()).toEqual([theirs.accessor]);
});

it('nothing is made for a role that is gone', async () => {
  const mint = action('mint-secret-id');
  const before = await mint.capture(target(), context('mint'));
  await lab.must('DELETE', `auth/approle/role/${role.name}`);
  expect(await codeOf(mint.apply(target(), before, context('mint')))).toBe('provider.gone');
});
