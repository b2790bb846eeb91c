import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codeOf } from '../../domain/errors.ts';
import type { Connection } from '../../providers/contract.ts';
import { type Practice, practice, timing } from '../providers-gcp/practice.ts';
import { keyRef, lookAt, stepOf } from '../providers-gcp/steps.ts';

/** Each trap twice: a script that does what seems right and ends without an error leaves a call that still succeeds; the engine's actions do not. */

const minute = 60_000;
let world: Practice;
let connection: Connection;
const scope = ['https://www.googleapis.com/auth/cloud-platform'];

/** A leaked key, and the token that a thief has exchanged it for. */
async function leak(id = 'ci-deployer') {
  const email = await world.makeAccount(id);
  await world.grant(email, 'roles/viewer');
  const file = await world.makeKey(email);
  const token = await world.alive(file);
  return { email, file, token, keyId: file.private_key_id ?? '' };
}

/** What is refused, by its code; `ok` where it is not. */
async function refusalOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return 'ok';
  } catch (error) {
    return codeOf(error);
  }
}

const elapse = (ms = timing.propagationMs + 50) => world.control.advance(ms);

describe('trap 9: a key is deleted and its tokens live; an account is enabled again and they wake', () => {
  beforeEach(async () => {
    world = await practice();
    connection = await world.connect();
  });
  afterEach(() => world.close());

  it('the script that deletes the key, sees it refused and is done leaves storage.buckets.list to the thief', async () => {
    const { email, file, token, keyId } = await leak();
    // The script.
    await world.admin('POST', `${world.account(email)}/keys/${keyId}:disable`, {});
    await world.admin('DELETE', `${world.account(email)}/keys/${keyId}`);
    await elapse();
    expect(await world.exchange(file), 'it looks dead').toBeUndefined();
    // What survived.
    expect(await world.lists(token), 'storage.buckets.list with the token from before').toBe(true);
    await world.control.advance(50 * minute);
    expect(await world.lists(token), 'and fifty minutes later').toBe(true);
  });

  it('the script that disables the account and enables it ten minutes later leaves storage.buckets.list to the thief', async () => {
    const { email, file, token, keyId } = await leak();
    await world.admin('POST', `${world.account(email)}/keys/${keyId}:disable`, {});
    await world.admin('POST', `${world.account(email)}:disable`, {});
    await elapse();
    expect(await world.lists(token), 'it looks dead').toBe(false);
    await world.control.advance(10 * minute);
    await world.admin('POST', `${world.account(email)}:enable`, {});
    await elapse();
    expect(await world.exchange(file)).toBeUndefined();
    expect(await world.lists(token), 'storage.buckets.list with the token from before').toBe(true);
  });

  it('the engine disables the account too, and does not enable it before the last token is over', async () => {
    const { email, file, token, keyId } = await leak();
    const target = { account: world.project, serviceAccount: email };
    const off = await stepOf(connection, 'disable-key', { ...target, keyId }).play();
    expect(off.probed.observation.state).toBe('yes');
    const denied = stepOf(connection, 'disable-service-account', target);
    const { before, probed } = await denied.play();
    expect(probed.observation.state).toBe('yes');
    expect(await world.lists(token)).toBe(false);
    const lift = stepOf(connection, 'enable-service-account', target, { params: { keys: [keyId], maxLifeSeconds: 3_600 } });
    const standing = await lift.capture();
    for (const after of [10 * minute, 45 * minute]) {
      await world.control.advance(after);
      expect(await refusalOf(() => lift.apply(standing)), 'the lift').toBe('provider.conflict');
      expect(await refusalOf(() => denied.revert(before)), 'the undo').toBe('provider.conflict');
      expect(await world.lists(token), 'storage.buckets.list with the token from before').toBe(false);
    }
    await world.control.advance(6 * minute);
    expect((await lift.apply(standing)).outcome).toBe('changed');
    expect((await lift.probe(standing)).observation.state).toBe('yes');
    await elapse();
    expect(await world.lists(token), 'storage.buckets.list with the token from before').toBe(false);
    expect(await world.exchange(file)).toBeUndefined();
  });
});

describe('trap 10: an account is impersonated, and no log shows it', () => {
  let leaked: Awaited<ReturnType<typeof leak>>;
  let target: string;
  let bystander: string;
  beforeEach(async () => {
    world = await practice();
    connection = await world.connect();
    leaked = await leak();
    target = await world.makeAccount('payments');
    bystander = await world.makeAccount('bystander');
    await world.grant(target, 'roles/viewer');
  });
  afterEach(() => world.close());

  /** The thief acts as the other account, for which nothing but a token of the first is needed. */
  async function impersonated(): Promise<string> {
    await world.grant(leaked.email, 'roles/iam.serviceAccountTokenCreator', target);
    const said = await world.call(leaked.token, 'POST', `/v1/projects/-/serviceAccounts/${target}:generateAccessToken`, { scope });
    expect(said.status).toBe(200);
    return String(said.body.accessToken);
  }

  it('the script that disables all that the log names leaves storage.buckets.list to the thief', async () => {
    const token = await impersonated();
    await elapse();
    // The script: who was impersonated, by the log, is disabled as well.
    const { entries = [] } = await world.admin<{ entries?: { resource: { labels: { email_id: string } } }[] }>('POST', '/v2/entries:list', {
      resourceNames: [`projects/${world.project}`],
      filter: 'protoPayload.methodName="GenerateAccessToken"',
      pageSize: 1000,
    });
    const named = entries.map((entry) => entry.resource.labels.email_id);
    for (const email of [leaked.email, ...named]) await world.admin('POST', `${world.account(email)}:disable`, {});
    await elapse();
    expect(await world.lists(leaked.token), 'it looks dead').toBe(false);
    // What survived.
    expect(await world.lists(token), 'storage.buckets.list as the impersonated account').toBe(true);
  });

  it('the engine takes every account for reached that could have been, where no log would show it, and disables it', async () => {
    const token = await impersonated();
    await elapse();
    const { finding, befores } = await connection.look(
      lookAt(keyRef(leaked.file), { since: new Date(Date.now() - 60 * minute).toISOString() }),
    );
    const reached = finding.graph.nodes.filter((node) => finding.descendants.includes(node.id)).map((node) => node.credential?.principal);
    expect(reached).toContain(`serviceAccount:${target}`);
    expect(reached, 'and no account that it could not act as').not.toContain(`serviceAccount:${bystander}`);
    expect(Object.keys(befores).length).toBeGreaterThan(0);
    for (const principal of new Set(reached)) {
      const serviceAccount = principal?.replace('serviceAccount:', '') ?? '';
      const { probed } = await stepOf(connection, 'disable-service-account', { account: world.project, serviceAccount }).play();
      expect(probed.observation.state).toBe('yes');
    }
    expect(await world.lists(leaked.token)).toBe(false);
    expect(await world.lists(token), 'storage.buckets.list as the impersonated account').toBe(false);
  });

  it('where Data Access logs are on the engine follows the log, and takes nobody else for reached', async () => {
    await world.setAudit(true);
    const from = new Date((await world.now()) + 1500).toISOString();
    await world.control.advance(62_000);
    // Another account that it could act as, and did not.
    await world.grant(leaked.email, 'roles/iam.serviceAccountTokenCreator', bystander);
    await impersonated();
    await elapse();
    const since = new Date(Date.parse(from) + 60_000).toISOString();
    const { finding } = await connection.look(lookAt(keyRef(leaked.file), { since }));
    const principals = finding.graph.nodes
      .filter((node) => finding.descendants.includes(node.id))
      .map((node) => node.credential?.principal);
    expect(principals).toContain(`serviceAccount:${target}`);
    expect(principals).not.toContain(`serviceAccount:${bystander}`);
  });
});

describe('trap 11: an HMAC key is deleted a minute after it was made inactive', () => {
  const three = 3 * minute;
  beforeEach(async () => {
    world = await practice({ hmacPropagationMs: three });
    connection = await world.connect(undefined, { hmacPropagationMs: three });
  });
  afterEach(() => world.close());

  it('the script that deactivates it, waits a minute, deletes it and is told 204 leaves the listing of buckets to the thief', async () => {
    const email = await world.makeAccount('exporter');
    await world.grant(email, 'roles/viewer');
    const key = await world.makeHmac(email);
    await world.control.advance(three + 1000);
    expect(await world.listsWithHmac(key)).toBe(true);
    // The script.
    const path = `/storage/v1/projects/${world.project}/hmacKeys/${key.accessId}`;
    await world.admin('PUT', path, { state: 'INACTIVE' });
    await world.control.advance(minute);
    await world.admin('DELETE', path);
    await expect(world.admin('GET', path), 'it looks dead').rejects.toThrow('404');
    // What survived.
    expect(await world.listsWithHmac(key), 'GET / of the XML API').toBe(true);
    await world.control.advance(2 * minute + 1000);
    expect(await world.listsWithHmac(key), 'and past three minutes from its deactivation').toBe(true);
  });

  it('the engine says that it does not know before three minutes are over, and deletes nothing before', async () => {
    const email = await world.makeAccount('exporter');
    await world.grant(email, 'roles/viewer');
    const key = await world.makeHmac(email);
    await world.control.advance(three + 1000);
    const target = { account: world.project, accessId: key.accessId };
    const off = stepOf(connection, 'deactivate-hmac-key', target);
    const before = await off.capture();
    expect((await off.apply(before)).outcome).toBe('changed');
    await world.control.advance(minute);
    expect(await world.listsWithHmac(key)).toBe(true);
    expect((await off.probe(before)).observation.state, 'a minute later').toBe('unknown');
    // The wait of the deletion is lived through by the simulator's clock.
    let waited = 0;
    const gone = stepOf(connection, 'delete-hmac-key', target, {
      sleep: async (ms) => {
        waited += ms;
        expect((await world.control.world()).hmacKeys, 'nothing is deleted before').toHaveLength(1);
        await world.control.advance(ms);
      },
    });
    const captured = await gone.capture();
    expect((await gone.apply(captured)).outcome).toBe('changed');
    expect(waited).toBeGreaterThan(minute);
    expect((await gone.probe(captured)).observation.state).toBe('yes');
    expect(await world.listsWithHmac(key), 'GET / of the XML API').toBe(false);
  });
});
