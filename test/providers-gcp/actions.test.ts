import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codeOf } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import type { KeyFile } from '../../lab/gcp/index.ts';
import type { Connection, StepContext } from '../../providers/contract.ts';
import { provider } from '../../providers/gcp/index.ts';
import { sealingOf } from '../conformance/world.ts';
import { type Practice, practice, timing } from './practice.ts';
import { stepOf } from './steps.ts';

let world: Practice;
let connection: Connection;
let email: string;
let file: KeyFile;
const minute = 60_000;

beforeEach(async () => {
  world = await practice();
  connection = await world.connect();
  email = await world.makeAccount('ci-deployer');
  file = await world.makeKey(email);
});
afterEach(() => world.close());

const target = (more: Readonly<Record<string, string>> = {}) => ({ account: world.project, serviceAccount: email, ...more });
const refusalOf = async (run: () => Promise<unknown>): Promise<string> => {
  try {
    await run();
    return 'ok';
  } catch (error) {
    return codeOf(error);
  }
};

describe('targets', () => {
  it('our own account and our own key are refused', async () => {
    const own = world.sim.admin.client_email ?? '';
    for (const name of ['disable-service-account', 'upload-key'])
      expect(await refusalOf(() => stepOf(connection, name, { account: world.project, serviceAccount: own }).capture())).toBe(
        'warrant.own-credential',
      );
    const key = { account: world.project, serviceAccount: email, keyId: world.sim.admin.private_key_id ?? '' };
    expect(await refusalOf(() => stepOf(connection, 'disable-key', key).capture())).toBe('warrant.own-credential');
    const { accessId } = await world.makeHmac(own);
    expect(await refusalOf(() => stepOf(connection, 'deactivate-hmac-key', { account: world.project, accessId }).capture())).toBe(
      'warrant.own-credential',
    );
  });

  it('another project, the wildcard and what is no name are refused without a call', async () => {
    const from = (await world.control.journal()).length;
    for (const wrong of [
      { account: 'some-other' },
      { account: '-' },
      { serviceAccount: '-' },
      { serviceAccount: '*' },
      { serviceAccount: 'a/../b' },
      { serviceAccount: '' },
    ])
      expect(await refusalOf(() => stepOf(connection, 'disable-service-account', { ...target(), ...wrong }).capture())).toBe(
        'provider.invalid',
      );
    expect(await world.control.journal(from)).toEqual([]);
    await expect(provider.connect({ provider: 'gcp', account: '-', mode: 'act', settings: {}, credentials: {} })).rejects.toMatchObject({
      code: 'provider.invalid',
    });
  });

  it('no call of any action names the wildcard project', async () => {
    await stepOf(connection, 'disable-key', target({ keyId: file.private_key_id ?? '' })).play();
    await stepOf(connection, 'disable-service-account', target()).play();
    expect((await world.control.journal()).filter((entry) => entry.path.includes('/projects/-'))).toEqual([]);
  });
});

describe('who turned it off', () => {
  const keyPath = () => `${world.account(email)}/keys/${file.private_key_id}`;

  it('a key that somebody else turned off between our look and our change stays off when we take ours back', async () => {
    const step = stepOf(connection, 'disable-key', target({ keyId: file.private_key_id ?? '' }));
    const before = await step.capture();
    await world.admin('POST', `${keyPath()}:disable`, {});
    expect((await step.apply(before)).outcome).toBe('already');
    expect(await refusalOf(() => step.revert(before))).toBe('provider.conflict');
    expect((await world.control.world()).accounts.find((each) => each.email === email)?.keys[0]?.disabled).toBe(true);
  });

  it('what a step did is told by the log, under the name that the step bears there', async () => {
    const step = stepOf(connection, 'disable-key', target({ keyId: file.private_key_id ?? '' }));
    const { before, applied } = await step.play();
    const reason = applied.requestIds.find((id) => id.startsWith('reason:'))?.slice('reason:'.length);
    const { entries = [] } = await world.admin<{
      entries?: { protoPayload: { requestMetadata: { requestAttributes: { reason?: string } } } }[];
    }>('POST', '/v2/entries:list', {
      resourceNames: [`projects/${world.project}`],
      filter: 'protoPayload.methodName:"DisableServiceAccountKey"',
    });
    expect(entries.map((entry) => entry.protoPayload.requestMetadata.requestAttributes.reason)).toEqual([reason]);
    expect(reason).toMatch(/^tourniquet\//);
    // Before the log has it nobody knows, and nothing is turned on.
    await world.control.settings({ logLagMs: 60_000 });
    const hasty = stepOf(connection, 'disable-key', target({ keyId: file.private_key_id ?? '' }), {
      ...step.context(),
      timing: { ...timing, giveUpMs: 200 },
    });
    expect(await refusalOf(() => hasty.revert(before))).toBe('provider.uncertain');
    await world.control.settings({ logLagMs: 0 });
    expect((await step.revert(before)).outcome).toBe('changed');
  });

  it('an account that somebody else disabled as well is not enabled', async () => {
    const step = stepOf(connection, 'disable-service-account', target());
    const { before } = await step.play();
    await world.admin('POST', `${world.account(email)}:disable`, {});
    await world.control.advance(13 * 60 * minute);
    expect(await refusalOf(() => step.revert(before))).toBe('provider.conflict');
  });

  it('a Cloud Storage call is recorded under Google’s own id as well', async () => {
    const { accessId } = await world.makeHmac(email);
    const { applied } = await stepOf(connection, 'deactivate-hmac-key', { account: world.project, accessId }).play();
    expect(applied.requestIds.filter((id) => !id.startsWith('reason:')).length).toBeGreaterThan(0);
  });
});

describe('an account is given back', () => {
  it('not while the log is silent about when it was taken', async () => {
    await world.control.settings({ logLagMs: 100 * minute });
    const denied = stepOf(connection, 'disable-service-account', target());
    await denied.play();
    await world.control.advance(90 * minute);
    const lift = stepOf(connection, 'enable-service-account', target(), { params: { keys: [], maxLifeSeconds: 3_600 } });
    const before = await lift.capture();
    expect(await refusalOf(() => lift.apply(before))).toBe('provider.uncertain');
    await world.control.settings({ logLagMs: 0 });
    expect((await lift.apply(before)).outcome).toBe('changed');
  });

  it('not while a leaked key is on, and not while another incident holds it', async () => {
    await stepOf(connection, 'disable-service-account', target()).play();
    await world.control.advance(13 * 60 * minute);
    const lift = (params: Record<string, unknown>) => stepOf(connection, 'enable-service-account', target(), { params });
    const before = await lift({}).capture();
    expect(await refusalOf(() => lift({ keys: [file.private_key_id] }).apply(before))).toBe('provider.conflict');
    const held = await lift({ keys: [], heldBy: ['leak/other'] }).apply(before);
    expect(held).toMatchObject({ outcome: 'already', facts: { heldBy: ['leak/other'] } });
    expect((await world.control.world()).accounts.find((each) => each.email === email)?.disabled).toBe(true);
  });

  it('twelve hours later where nothing says that an hour is all a token gets, and counted from the first disabling', async () => {
    await stepOf(connection, 'disable-service-account', target()).play();
    await world.control.advance(6 * 60 * minute);
    await world.admin('POST', `${world.account(email)}:disable`, {});
    const lift = stepOf(connection, 'enable-service-account', target());
    const before = await lift.capture();
    expect(await refusalOf(() => lift.apply(before))).toBe('provider.conflict');
    await world.control.advance(6 * 60 * minute + minute);
    expect((await lift.apply(before)).outcome).toBe('changed');
  });

  it('not by us where Google has taken it', async () => {
    await stepOf(connection, 'disable-service-account', target()).play();
    await world.control.order('google-disables-account', { email });
    await world.control.advance(13 * 60 * minute);
    const lift = stepOf(connection, 'enable-service-account', target());
    const before = await lift.capture();
    expect(await refusalOf(() => lift.apply(before))).toBe('provider.conflict');
  });
});

describe('a new key', () => {
  const sealTo = { provider: 'vault', account: 'main' };
  const mint = (more: Partial<StepContext> = {}) => stepOf(connection, 'upload-key', target(), { params: { sealTo }, ...more });

  it('is sealed whole before it is uploaded, and works as it was sealed', async () => {
    await world.grant(email, 'roles/viewer');
    const secrets: string[] = [];
    const sealing = sealingOf(secrets);
    const order: string[] = [];
    const step = mint({
      sealing: {
        ...sealing,
        seal: async (...args) => {
          order.push(`sealed with ${(await world.control.world()).accounts.find((each) => each.email === email)?.keys.length} keys`);
          return await sealing.seal(...args);
        },
      },
    });
    const before = await step.capture();
    const { made } = await step.apply(before);
    expect(order).toEqual(['sealed with 1 keys']);
    expect((await step.probe(before)).observation.state).toBe('yes');
    const opened = await sealing.open((made?.sealed ?? '') as `sha256:${string}`, made?.keyId ?? '', made?.boundTo ?? '');
    const key = JSON.parse(opened.reveal()) as KeyFile;
    expect(await world.lists(await world.alive(key)), 'by itself').toBe(true);
    expect(await world.exchange({ ...key, private_key_id: made?.privateKeyId ?? '' }), 'and under its id').toBeDefined();
    expect(
      (await world.control.world()).accounts.find((each) => each.email === email)?.keys.find((each) => each.id === made?.privateKeyId)
        ?.origin,
    ).toBe('USER_PROVIDED');
  });

  it('whose answer was lost is found again by a process that knows nothing of it, with what was sealed', async () => {
    const secrets: string[] = [];
    const sealing = sealingOf(secrets);
    const step = mint({ sealing });
    const before = await step.capture();
    await world.control.inject({ kind: 'lose-reply-after-effect', action: 'UploadServiceAccountKey', count: 1 });
    expect(await refusalOf(() => step.apply(before))).toBe('provider.uncertain');
    const fresh = (await world.connect()).actions['upload-key'];
    const found = await fresh?.apply(target(), before, step.context());
    expect(found?.outcome).toBe('already');
    const opened = await sealing.open(
      (found?.made?.sealed ?? '') as `sha256:${string}`,
      found?.made?.keyId ?? '',
      found?.made?.boundTo ?? '',
    );
    const key = JSON.parse(opened.reveal()) as KeyFile;
    await world.alive({ ...key, private_key_id: found?.made?.privateKeyId ?? '' });
    expect((await world.control.world()).accounts.find((each) => each.email === email)?.keys).toHaveLength(2);
  });

  it('does not fit on a full account, and nothing is left sealed that was never uploaded', async () => {
    const step = mint();
    for (let i = 1; i < 10; i++) await world.makeKey(email);
    const before = await step.capture();
    expect(await refusalOf(() => step.apply(before))).toBe('provider.conflict');
    await world.control.settings({ keyLimit: 1 });
    const small = await world.makeAccount('small-account');
    await world.makeKey(small);
    let kept = 0;
    const sealing = sealingOf([]);
    const other = stepOf(
      connection,
      'upload-key',
      { account: world.project, serviceAccount: small },
      {
        params: { sealTo },
        sealing: {
          ...sealing,
          seal: async (...args) => {
            kept++;
            return await sealing.seal(...args);
          },
          shred: async (hash) => {
            kept--;
            await sealing.shred(hash);
          },
        },
      },
    );
    const standing = await other.capture();
    expect(['provider.throttled', 'provider.conflict']).toContain(await refusalOf(() => other.apply(standing)));
    expect(kept).toBe(0);
  });

  it('is not taken away where nothing else is left that works', async () => {
    const step = mint();
    const before = await step.capture();
    const { made } = await step.apply(before);
    await world.admin('POST', `${world.account(email)}/keys/${file.private_key_id}:disable`, {});
    expect(await refusalOf(() => step.revert(before, { [step.context().step]: made ?? {} }))).toBe('provider.conflict');
  });
});

describe('API keys', () => {
  it('a deleted one is unknown for half an hour, whatever it answers, and dead after that', async () => {
    const patient = await world.connect(undefined, { apiKeyLingerMs: 30 * minute });
    const { uid, text } = await world.makeApiKey();
    const step = stepOf(patient, 'delete-api-key', { account: world.project, key: uid });
    const { before, probed } = await step.play();
    expect(probed.observation).toMatchObject({ state: 'unknown', why: expect.stringMatching(/accepted long after/) });
    await world.control.advance(25 * minute);
    expect(await world.listsWithApiKey(text), 'it is refused here').toBe(false);
    expect((await step.probe(before)).observation.state).toBe('unknown');
    await world.control.advance(6 * minute);
    expect((await step.probe(before)).observation.state).toBe('yes');
  });

  it('half an hour is what it is where nobody says otherwise', async () => {
    const bare = await provider.connect({
      provider: 'gcp',
      account: world.project,
      mode: 'act',
      settings: { endpoint: world.sim.endpoint },
      credentials: Object.fromEntries(Object.entries(world.sim.admin).map(([name, value]) => [name, new Secret(value)])),
    });
    const { uid } = await world.makeApiKey();
    const step = stepOf(bare, 'delete-api-key', { account: world.project, key: uid });
    const { before } = await step.play();
    await world.control.advance(29 * minute);
    expect((await step.probe(before)).observation.state).toBe('unknown');
    await world.control.advance(2 * minute);
    expect((await step.probe(before)).observation.state).toBe('yes');
  });

  it('a closed one refuses every address, and has its restrictions back afterwards', async () => {
    const { uid, text } = await world.makeApiKey({ restrictions: { apiTargets: [{ service: 'generativelanguage.googleapis.com' }] } });
    expect(await world.listsWithApiKey(text)).toBe(true);
    const step = stepOf(connection, 'restrict-api-key', { account: world.project, key: uid });
    const { before, probed } = await step.play();
    expect(probed.observation.state).toBe('yes');
    expect(await world.listsWithApiKey(text)).toBe(false);
    expect((await step.revert(before)).outcome).toBe('changed');
    await world.control.advance(timing.propagationMs + 50);
    expect(await world.listsWithApiKey(text)).toBe(true);
  });
});

it('a clock that is hours off looks like a dead key, and is told from one', async () => {
  await world.control.advance(7 * 60 * minute);
  const late = await world.connect();
  expect((await late.check()).find(({ what }) => what === 'reachable')?.observation.state).toBe('yes');
  expect((await late.check()).find(({ what }) => what === 'clock')?.observation.state).toBe('no');
  const step = stepOf(late, 'disable-key', target({ keyId: file.private_key_id ?? '' }));
  expect((await step.play()).probed.observation.state).toBe('yes');
});
