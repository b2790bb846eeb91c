import { appendFile, copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256Of } from '../../domain/canonical.ts';
import type { CredentialRef } from '../../domain/credential.ts';
import { stepKey } from '../../domain/plan.ts';
import { Secret } from '../../domain/secret.ts';
import type { Connection, Look, Looked } from '../../providers/contract.ts';
import { account, closeLab, connectAs, type Lab, openLab, type Role, startProxy, timing, tokenUnder, wholePolicy } from './practice.ts';
import type { FaultProxy } from './server.ts';

let lab: Lab;
let release: () => Promise<void>;
let proxy: FaultProxy;
let connection: Connection;
let role: Role;
let secretId: { secretId: string; accessor: string };

beforeAll(async () => {
  ({ lab, release } = await openLab());
  proxy = await startProxy(lab.server.address);
  connection = await connectAs((await tokenUnder(lab, wholePolicy())).token, proxy, { auditLog: lab.server.auditLog });
}, 60_000);
afterAll(async () => {
  await connection?.close();
  await proxy?.stop();
  await release?.();
  await closeLab();
});
beforeEach(async () => {
  proxy.reset();
  role = await lab.role();
  secretId = await role.secretId();
});
afterEach(() => proxy.reset());

const tokenRef = (accessor: string): CredentialRef => ({ kind: 'vault.token', locator: { accessor } });
const hashOf = (token: string) => sha256Of(token).slice('sha256:'.length);
const on = (credential: CredentialRef, more: Partial<Look> = {}): Look => ({
  credential,
  depth: 'full',
  known: [],
  ours: [],
  inventory: { consumers: [], stores: [] },
  signal: new AbortController().signal,
  heartbeat: () => undefined,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  timing: { ...timing, giveUpMs: 1_500 },
  ...more,
});
const node = ({ finding }: Looked, id: string) => finding.graph.nodes.find((each) => each.id === id);

describe('a look at a leaked token', () => {
  it('names every child, orphan, batch token, wrapped token, secret id and lease that it made, however deep, and nothing of a bystander', async () => {
    const leaked = await role.login(secretId.secretId);
    const bystander = await role.login((await role.secretId()).secretId);
    const others = await lab.token({ policies: ['user'] }, bystander.token);
    const child = await lab.token({ policies: ['user'] }, leaked.token);
    const orphan = await lab.token({ policies: ['user'], period: '1h' }, child.token, 'auth/token/create-orphan');
    const grandchild = await lab.token({ policies: ['user'] }, orphan.token);
    await lab.must('POST', 'auth/token/create', { policies: ['user'], type: 'batch', ttl: '10m' }, leaked.token);
    const wrap = await fetch(`${lab.server.address}/v1/auth/token/create`, {
      method: 'POST',
      headers: { 'x-vault-token': leaked.token, 'x-vault-wrap-ttl': '60s' },
      body: JSON.stringify({ policies: ['user'] }),
    });
    const wrapped = ((await wrap.json()) as { wrap_info: { wrapped_accessor: string } }).wrap_info.wrapped_accessor;
    const planted = (await lab.must('POST', `auth/approle/role/${role.name}/secret-id`, {}, orphan.token)).data
      .secret_id_accessor as string;
    const lease = (await lab.must('POST', 'pki/issue/leased', { common_name: 'thief.lab.example' }, child.token)).lease_id as string;
    expect(await lab.works(grandchild.token)).toBe(true);

    const looked = await connection.look(on(tokenRef(leaked.accessor)));
    const { finding } = looked;
    for (const { accessor } of [child, orphan, grandchild]) expect(finding.descendants).toContain(`vault.token:${accessor}`);
    expect(finding.descendants).toContain(`vault.token:${wrapped}`);
    expect(finding.descendants).toContain(`vault.lease:${lease}`);
    expect(finding.descendants).toContain(`vault.approle-secret-id:${planted}/${role.name}/approle`);
    expect(finding.descendants.filter((id) => id.startsWith('vault.batch-token:'))).toHaveLength(1);
    for (const { accessor } of [bystander, others]) expect(finding.descendants).not.toContain(`vault.token:${accessor}`);
    const batch = finding.graph.nodes.find((each) => each.id.startsWith('vault.batch-token:'))?.credential;
    expect(batch).toMatchObject({ principal: `entity:${leaked.entity}`, live: { state: 'yes' } });
    expect(Date.parse(batch?.expiresAt ?? '')).toBeGreaterThan(Date.now() + 590_000);
    expect(node(looked, `vault.token:${orphan.accessor}`)?.credential?.principal).toBeUndefined();
    expect(finding.graph.edges).toContainEqual(
      expect.objectContaining({ from: `vault.token:${orphan.accessor}`, to: `vault.token:${grandchild.accessor}`, kind: 'derives' }),
    );
    expect(finding.principal).toBe(`entity:${leaked.entity}`);
    expect(finding.live).toMatchObject({ state: 'yes', source: 'administrator' });
    expect(looked.befores[stepKey('vault/disable-entity', { account, entity: leaked.entity })]).toEqual({ found: true, disabled: false });
    expect(JSON.stringify(looked)).not.toContain(leaked.token);
  });

  it('that was reported by its hash is looked up with our own token once it is sealed to us, and loses none of its uses', async () => {
    const limited = await lab.token({ policies: ['user'], num_uses: 2 });
    const credential: CredentialRef = { kind: 'vault.token', locator: { sha256: hashOf(limited.token) } };
    const looked = await connection.look(on(credential, { secret: new Secret(limited.token), depth: 'minimal' }));
    expect(looked.finding.possession.state).toBe('yes');
    expect(node(looked, `vault.token:${hashOf(limited.token)}`)?.credential?.locator).toEqual({
      sha256: hashOf(limited.token),
      accessor: limited.accessor,
    });
    expect(looked.befores).toHaveProperty([stepKey('vault/revoke-token', { account, accessor: limited.accessor })]);
    expect(JSON.stringify(looked)).not.toContain(limited.token);
    const { num_uses: left } = (await lab.must('POST', 'auth/token/lookup-accessor', { accessor: limited.accessor })).data;
    expect(left).toBe(2);
  });

  it('that was sealed to us once is known by its hash to the same worker from then on, and to no other', async () => {
    const leaked = await role.login(secretId.secretId);
    const credential: CredentialRef = { kind: 'vault.token', locator: { sha256: hashOf(leaked.token) } };
    expect((await connection.look(on(credential, { depth: 'minimal' }))).finding.live.state).toBe('unknown');
    await connection.look(on(credential, { secret: new Secret(leaked.token), depth: 'minimal' }));
    expect((await connection.look(on(credential, { depth: 'minimal' }))).finding.live.state).toBe('yes');
    const other = await connectAs((await tokenUnder(lab, wholePolicy())).token, proxy);
    expect((await other.look(on(credential, { depth: 'minimal' }))).finding.live.state).toBe('unknown');
  });

  it('takes a sealed text that is another token for none', async () => {
    const one = await lab.token({ policies: ['user'] });
    const other = await lab.token({ policies: ['user'] });
    const credential: CredentialRef = { kind: 'vault.token', locator: { sha256: hashOf(one.token) } };
    const { finding } = await connection.look(on(credential, { secret: new Secret(other.token), depth: 'minimal' }));
    expect(finding.possession.state).toBe('no');
    expect(finding.live.state).toBe('unknown');
  });

  it('is swept only once the log holds a call of ours from after the containment', async () => {
    const leaked = await role.login(secretId.secretId);
    expect((await connection.look(on(tokenRef(leaked.accessor)))).finding.swept.state).toBe('unknown');
    await lab.must('POST', 'auth/token/revoke-accessor', { accessor: leaked.accessor });
    const containedAt = new Date(Math.ceil(Date.now() / 1_000) * 1_000).toISOString();
    const { finding } = await connection.look(on(tokenRef(leaked.accessor), { containedAt }));
    expect(finding.swept).toMatchObject({ state: 'yes' });
    expect(finding.live.state).toBe('no');
    const ahead = new Date(Date.now() + 3_600_000).toISOString();
    expect((await connection.look(on(tokenRef(leaked.accessor), { containedAt: ahead }))).finding.swept.state).toBe('unknown');
  });

  it('tells the orphan of a token that is gone', async () => {
    const leaked = await role.login(secretId.secretId);
    const orphan = await lab.token({ policies: ['user'] }, leaked.token, 'auth/token/create-orphan');
    await lab.must('POST', 'auth/token/revoke-accessor', { accessor: leaked.accessor });
    const { finding } = await connection.look(on(tokenRef(leaked.accessor)));
    expect(finding.descendants).toEqual([`vault.token:${orphan.accessor}`]);
  });

  it('is misused where a call is of no declared consumer and somebody vouches for when it leaked, and what it read is named', async () => {
    const leaked = await role.login(secretId.secretId);
    expect(await lab.works(leaked.token)).toBe(true);
    const since = new Date(Date.now() - 60_000).toISOString();
    const consumer = {
      id: 'job',
      name: 'job',
      owner: 'o',
      contact: 'c',
      store: 's',
      overlap: true,
      rereads: 2,
      criticality: 'production',
      networks: [],
    } as const;
    const inventory = (sourceAddress: string): Look['inventory'] => ({
      consumers: [{ ...consumer, seenAs: { sourceAddress } }],
      stores: [],
    });
    const strange = (await connection.look(on(tokenRef(leaked.accessor), { since, inventory: inventory('10.0.0.7') }))).finding;
    expect(strange.misuse.state).toBe('yes');
    expect(strange.secretsRead).toEqual(['kv/ci/app']);
    const known = (await connection.look(on(tokenRef(leaked.accessor), { since, inventory: inventory('127.0.0.1') }))).finding;
    expect(known.misuse.state).toBe('no');
    expect(known.seen).toMatchObject([{ consumer: 'job', credential: `vault.token:${leaked.accessor}` }]);
    expect((await connection.look(on(tokenRef(leaked.accessor), { inventory: inventory('10.0.0.7') }))).finding.misuse.state).toBe(
      'unknown',
    );
  });
});

describe('what the log cannot tell is not known', () => {
  const copy = () => `${lab.server.auditLog}.${Math.random()}`;
  const lookWith = async (auditLog: string | undefined, credential: CredentialRef, giveUpMs = 1_500): Promise<Looked> => {
    const { token } = await tokenUnder(lab, wholePolicy());
    const other = await connectAs(token, proxy, auditLog === undefined ? {} : { auditLog });
    return await other.look(on(credential, { containedAt: new Date(Date.now() - 5_000).toISOString(), timing: { ...timing, giveUpMs } }));
  };

  it('without a log: its children are suspected and none is said to be its own', async () => {
    const leaked = await role.login(secretId.secretId);
    const child = await lab.token({ policies: ['user'] }, leaked.token);
    const looked = await lookWith(undefined, tokenRef(leaked.accessor));
    expect(looked.finding.swept.state).toBe('unknown');
    expect(looked.finding.descendants).toEqual([]);
    expect(node(looked, `vault.token:${child.accessor}`)?.provenance.confidence).toBe('suspected');
  });

  it('with a log that is a copy, and so behind', async () => {
    const leaked = await role.login(secretId.secretId);
    const file = copy();
    await copyFile(lab.server.auditLog, file);
    const { finding } = await lookWith(file, tokenRef(leaked.accessor));
    expect(finding.swept).toMatchObject({ state: 'unknown', why: expect.stringContaining('behind') });
    await rm(file);
  });

  it('with a log that was cut: the making of the token itself is missing', async () => {
    const leaked = await role.login(secretId.secretId);
    await lab.token({ policies: ['user'] }, leaked.token, 'auth/token/create-orphan');
    const lines = (await readFile(lab.server.auditLog, 'utf8')).split('\n');
    const file = copy();
    const stop = new AbortController();
    // A shipper that lost what came before goes on writing what comes after.
    const ship = async () => {
      await writeFile(file, '');
      for (let done = lines.length - 1; !stop.signal.aborted; ) {
        const now = (await readFile(lab.server.auditLog, 'utf8')).split('\n');
        if (now.length - 1 > done) await appendFile(file, `${now.slice(done, -1).join('\n')}\n`);
        done = now.length - 1;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    const shipping = ship();
    const looked = await lookWith(file, tokenRef(leaked.accessor), 20_000);
    stop.abort();
    await shipping;
    expect(looked.finding.swept).toMatchObject({ state: 'unknown', why: expect.stringContaining('the making of the token itself') });
    await rm(file);
  });

  it('where our policy does not show the audit devices', async () => {
    const leaked = await role.login(secretId.secretId);
    const policy = wholePolicy().replace(/path "sys\/audit(-hash\/\+)?" [^}]*}/g, '');
    const { token } = await tokenUnder(lab, policy);
    const other = await connectAs(token, proxy, { auditLog: lab.server.auditLog });
    const { finding } = await other.look(on(tokenRef(leaked.accessor), { containedAt: new Date(0).toISOString() }));
    expect(finding.swept).toMatchObject({ state: 'unknown', why: expect.stringContaining('policy') });
  });
});

describe('a look at a secret id', () => {
  it('finds the tokens of its role, those of its other secret ids too, unless it is sealed to us', async () => {
    const mine = await role.login(secretId.secretId);
    const other = await role.login((await role.secretId()).secretId);
    const credential: CredentialRef = {
      kind: 'vault.approle-secret-id',
      locator: { mount: 'approle', appRole: role.name, accessor: secretId.accessor },
    };
    const all = (await connection.look(on(credential))).finding;
    expect([...all.descendants].sort()).toEqual([mine, other].map(({ accessor }) => `vault.token:${accessor}`).sort());
    expect(all.principal).toBe(`entity:${mine.entity}`);
    const own = (await connection.look(on(credential, { secret: new Secret(secretId.secretId) }))).finding;
    expect(own.descendants).toEqual([`vault.token:${mine.accessor}`]);
  });
});

describe('a look at a lease', () => {
  it('says whether it stands, and nothing of what was done with it elsewhere', async () => {
    const lease = await lab.lease();
    const credential: CredentialRef = { kind: 'vault.lease', locator: { lease } };
    const { finding } = await connection.look(on(credential, { containedAt: new Date(0).toISOString() }));
    expect(finding).toMatchObject({ live: { state: 'yes' }, swept: { state: 'unknown' } });
    await lab.must('POST', 'sys/leases/revoke', { lease_id: lease, sync: true });
    expect((await connection.look(on(credential))).finding.live.state).toBe('no');
  });
});
