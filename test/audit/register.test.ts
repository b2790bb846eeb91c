import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newKey, type PrivateKey, trustedKeyOf, writeKey } from '../../audit/keys.ts';
import { createRecords, type Records } from '../../audit/records.ts';
import { createRegister, kindOf, openEntry, type Register, registerName, signerOf } from '../../audit/register.ts';
import { noticingEdits } from '../../audit/register-edits.ts';
import { examineRegister, type Gap, GapKind } from '../../audit/register-gaps.ts';
import { signerFrom } from '../../audit/signing.ts';
import { type BlobStore, openDirectoryStore } from '../../audit/store.ts';
import { canonicalJson, type Hash, hashOf, sha256Of } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import { emptyHead, PayloadType, RecordType } from '../../domain/record.ts';
import type { People, Trust } from '../../domain/trust.ts';

const period = { from: '2026-01-01T00:00:00.000Z', until: '2027-01-01T00:00:00.000Z' };
const judge = newKey({ role: 'judge', ...period });
const worker = newKey({ role: 'worker', ...period, provider: 'aws', account: '1' });
const stranger = newKey({ role: 'judge', ...period });
const people: People = { v: 1, people: [{ id: 'ada', name: 'Ada', roles: ['approver'] }] };
const trust: Trust = {
  v: 1,
  engine: 'eng_test',
  serial: 1,
  issuedAt: period.from,
  keys: [judge, worker].map(trustedKeyOf),
  people: hashOf(people),
  code: [],
};
const storeKey = new Uint8Array(32);

let directory: string;
let store: BlobStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'register-'));
  store = openDirectoryStore(directory, storeKey);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const recordsOf = (key: PrivateKey = judge, over = store): Records =>
  createRecords({ store: over, signer: signerFrom(key), trust: () => trust, engine: trust.engine });
const bodies = {
  report: { report: {}, receivedAt: period.from, proof: 'claim' },
  decision: { ruling: {} },
  step: { action: 'aws/disable-key', step: 's', direction: 'apply' },
  refusal: { code: 'engine.undecodable', attempted: 'a test', words: 'for the test', by: 'nobody' },
  review: { state: 'closed' },
} as const;
type Kind = keyof typeof bodies;
/** Writes a record of one incident whose content no test looks at. */
const write = (records: Records, type: Kind, incident = 'leak/a', run = 'r1'): Promise<Hash> =>
  records.write(type, { incident, run, round: 1, standsOn: [], body: bodies[type] as never });
const incident = async (records: Records, name: string, kinds: readonly Kind[] = ['report', 'decision', 'step', 'review']) => {
  const hashes: Hash[] = [];
  for (const kind of kinds) hashes.push(await write(records, kind, name));
  return hashes;
};

/** Every entry, in order; fails where the numbers or the links do not follow. */
async function walk(register: Register) {
  const entries = [];
  let prev: Hash = emptyHead;
  for (let n = 1; ; n++) {
    const found = await register.read(n);
    if (!found) break;
    expect(found.entry).toMatchObject({ n, prev, engine: trust.engine });
    expect(signerOf(found, trust)?.id).toBe(found.entry.by);
    prev = hashOf(found.envelope);
    entries.push(found.entry);
  }
  expect(await register.head()).toEqual({ n: entries.length, hash: prev });
  return entries;
}

const examine = (anchors: Parameters<typeof examineRegister>[0]['anchors'] = [], runs?: Parameters<typeof examineRegister>[0]['runs']) =>
  examineRegister({ store, trust, engine: trust.engine, anchors, ...(runs && { runs }) });
const kindsOf = (gaps: readonly Gap[]) => gaps.map((gap) => gap.kind);
/** Removes an entry as somebody does who has the folder. */
const cut = (n: number) => rmSync(join(directory, 'names', `${registerName(n)}.n`));

describe('nothing can forget the register', () => {
  it('every report, decision, change, refusal and close is entered before its hash is known, and nothing else is', async () => {
    const records = recordsOf();
    const all: Partial<Record<RecordType, Hash>> = {};
    for (const type of Object.values(RecordType)) {
      const body = (bodies as Record<string, unknown>)[type] ?? { event: 'opened' };
      all[type] = await records.write(type, { incident: 'leak/a', run: 'r1', round: 1, standsOn: [], body: body as never });
    }
    const silence = await records.write('gate', {
      incident: 'leak/a',
      run: 'r1',
      round: 1,
      standsOn: [],
      body: { event: 'defaulted' } as never,
    });
    const entries = await walk(records.register);
    expect(entries.map(({ kind, record }) => [kind, record])).toEqual([
      ['report', all.report],
      ['decision', all.decision],
      ['change', all.step],
      ['refusal', all.refusal],
      ['close', all.review],
      ['decision', silence],
    ]);
    expect(entries.every((entry) => entry.incident === 'leak/a' && entry.run === 'r1')).toBe(true);
  });

  it('a record that could not be entered is not known to anybody, and its retry is', async () => {
    let away = true;
    const failing: BlobStore = {
      ...store,
      createIfAbsent: (name, bytes) => (away ? Promise.reject(fault('engine.unavailable', { name })) : store.createIfAbsent(name, bytes)),
    };
    const records = recordsOf(judge, failing);
    await expect(write(records, 'decision')).rejects.toThrow();
    away = false;
    const hash = await write(records, 'decision');
    expect((await walk(records.register)).map((entry) => entry.record)).toEqual([hash]);
    expect((await examine()).gaps).toEqual([]);
  });

  it('an edit of trust, people or policy is entered once, before what is judged by it', async () => {
    const records = recordsOf();
    const files = { trust, people, policy: { v: 1, rules: ['ask'] } };
    const asked = () =>
      noticingEdits(
        {
          trust: () => files.trust,
          people: () => files.people,
          policy: () => ({ policy: files.policy, hash: hashOf(files.policy) }),
        },
        records.register,
      );
    let grounds = asked();
    const judgeOnce = async () => {
      grounds.trust();
      grounds.people();
      grounds.policy();
      await write(records, 'decision');
    };
    await judgeOnce();
    await judgeOnce();
    const laxer = { ...trust, serial: 2, issuedAt: '2026-02-01T00:00:00.000Z' };
    files.trust = laxer;
    await judgeOnce();
    const insider: People = { v: 1, people: [...people.people, { id: 'eve', name: 'Eve', roles: ['approver'] }] };
    files.people = insider;
    files.policy = { v: 1, rules: ['act'] };
    await judgeOnce();
    // Another process that starts, or a second judge, enters nothing that stands there already; an edit that is taken back is one.
    grounds = asked();
    await judgeOnce();
    files.people = people;
    await judgeOnce();
    const entries = await walk(records.register);
    const names = new Map<Hash, string>([
      [hashOf(trust), 'trust 1'],
      [hashOf(laxer), 'trust 2'],
      [hashOf(people), 'people'],
      [hashOf(insider), 'people with eve'],
      [hashOf({ v: 1, rules: ['ask'] }), 'ask'],
      [hashOf({ v: 1, rules: ['act'] }), 'act'],
    ]);
    expect(entries.map((entry) => names.get(entry.record) ?? entry.kind)).toEqual([
      'trust 1',
      'people',
      'ask',
      'decision',
      'decision',
      'trust 2',
      'decision',
      'people with eve',
      'act',
      'decision',
      'decision',
      'people',
      'decision',
    ]);
    expect(entries.filter((entry) => entry.kind === 'trust').map((entry) => entry.serial)).toEqual([1, 2]);
    // What they said can be read for as long as the store stands.
    expect(JSON.parse(Buffer.from(await store.get(hashOf(insider))).toString())).toEqual(insider);
  });

  it('a number planted far behind the end stops nobody, and is named', async () => {
    const records = recordsOf();
    await write(records, 'decision');
    await store.createIfAbsent('register/999999999999', new Uint8Array([1]));
    await store.createIfAbsent('register/more', new Uint8Array([1]));
    await write(records, 'decision');
    await write(recordsOf(), 'decision');
    const found = await examine();
    expect(found.head.n).toBe(1_000_000_000_000);
    expect(found.gaps).toMatchObject([
      { kind: GapKind.MISSING, numbers: [[3, 999_999_999_998]] },
      { kind: GapKind.UNREADABLE, numbers: [[999_999_999_999, 999_999_999_999]] },
    ]);
  });

  it('a file cut short by a power cut stops nobody, and is named', async () => {
    const records = recordsOf();
    await incident(records, 'leak/a');
    writeFileSync(join(directory, 'names', `${registerName(4)}.n`), '');
    await write(records, 'decision');
    await write(recordsOf(), 'decision', 'leak/b');
    const found = await examine();
    expect(kindsOf(found.gaps)).toEqual([GapKind.UNREADABLE]);
    expect(found.gaps[0]).toMatchObject({ numbers: [[4, 4]] });
    expect(found.head.n).toBe(6);
  });
});

describe('any number of writers', () => {
  it('in one process each get a number, with no gap and no fork', async () => {
    const writers = [judge, worker, judge, worker].map((key) => recordsOf(key));
    const hashes = await Promise.all(
      writers.flatMap((records, at) => Array.from({ length: 25 }, () => write(records, 'refusal', `leak/${at}`))),
    );
    const entries = await walk(createRegister({ store, signer: signerFrom(judge), engine: trust.engine }));
    expect(entries).toHaveLength(100);
    expect(new Set(entries.map((entry) => entry.record)).size).toBe(new Set(hashes).size);
    expect((await examine()).gaps).toEqual([]);
  });

  it('in several processes, two of them killed in between, each get a number, with no gap and no fork, and lose nothing that was told', async () => {
    const files = { trust: join(directory, 'trust.json'), judge: join(directory, 'judge.json'), worker: join(directory, 'worker.json') };
    writeFileSync(files.trust, JSON.stringify(trust));
    writeKey(files.judge, judge);
    writeKey(files.worker, worker);
    const script = fileURLToPath(new URL('./register-writer.ts', import.meta.url));
    const told: string[] = [];
    const writer = (at: number, key: string, count: number, killAfter?: number) =>
      new Promise<number | null>((done, failed) => {
        const child = spawn(process.execPath, ['--import', 'tsx', script, directory, key, files.trust, `leak/${at}`, String(count)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let text = '';
        child.stdout.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
          if (killAfter !== undefined && text.split('\n').length > killAfter) child.kill('SIGKILL');
        });
        child.once('error', failed);
        child.once('close', (code) => {
          told.push(...text.split('\n').filter((line) => line.length === 'sha256:'.length + 64));
          done(code);
        });
      });
    const codes = await Promise.all([
      writer(1, files.judge, 80),
      writer(2, files.worker, 80),
      writer(3, files.judge, 100_000, 20),
      writer(4, files.worker, 100_000, 35),
    ]);
    expect(codes).toEqual([0, 0, null, null]);
    const entries = await walk(createRegister({ store, signer: signerFrom(judge), engine: trust.engine }));
    const registered = new Map<string, number>();
    for (const entry of entries) registered.set(entry.record, (registered.get(entry.record) ?? 0) + 1);
    expect(told.length).toBeGreaterThanOrEqual(160 + 20 + 35);
    expect(told.filter((hash) => registered.get(hash) !== 1)).toEqual([]);
    // They did write between each other, or this has shown nothing.
    const turns = entries.filter((entry, at) => at > 0 && entry.incident !== entries[at - 1]?.incident).length;
    expect(turns).toBeGreaterThan(20);
    expect((await examine()).gaps).toEqual([]);
    expect(readdirSync(join(directory, 'temporary')).length).toBeLessThanOrEqual(2);
  }, 60_000);

  it('finds the end however much others have written since it last looked, and leaves a hole a hole', async () => {
    const [idle, busy] = [recordsOf(), recordsOf()];
    await write(idle, 'refusal');
    for (let n = 0; n < 200; n++) await write(busy, 'refusal');
    await write(idle, 'refusal');
    expect(await walk(idle.register)).toHaveLength(202);
    for (let n = 40; n <= 60; n++) cut(n);
    // A worker that starts anew after the cut does not fill it.
    await write(recordsOf(), 'refusal');
    const found = await examine();
    expect(found.head.n).toBe(203);
    expect(found.gaps).toHaveLength(1);
    expect(found.gaps[0]).toMatchObject({ kind: GapKind.MISSING, numbers: [[40, 60]] });
  });
});

describe('a register that somebody has been at', () => {
  it('names each: an entry taken out, put in, altered, signed by the wrong key, or dated back', async () => {
    const records = recordsOf();
    await incident(records, 'leak/a');
    await incident(records, 'leak/b');
    expect((await examine()).gaps).toEqual([]);

    // Forged by whoever has the store's key and another signing key.
    const forge = async (n: number, key: PrivateKey, change: object) => {
      const before = await store.read(registerName(n - 1));
      const entry = {
        v: 1,
        n,
        prev: before ? sha256Of(before) : emptyHead,
        kind: 'report',
        engine: trust.engine,
        incident: 'leak/b',
        run: 'r1',
        record: await write(records, 'report', 'leak/b'),
        at: new Date().toISOString(),
        by: key.id,
        ...change,
      };
      const bytes = new Uint8Array(Buffer.from(canonicalJson(signerFrom(key).sign(PayloadType.REGISTER, entry))));
      cut(n);
      await store.createIfAbsent(registerName(n), bytes);
    };
    const rows: [string, Gap['kind'][]][] = [];
    const row = async (what: string, expected: readonly Gap['kind'][], contained: string[]) => {
      const { gaps } = await examine();
      rows.push([what, kindsOf(gaps)]);
      for (const kind of expected) expect({ what, kinds: kindsOf(gaps) }).toMatchObject({ what, kinds: expect.arrayContaining([kind]) });
      for (const words of contained) expect(gaps.map((gap) => gap.words).join('\n')).toContain(words);
    };
    await forge(5, stranger, {});
    await row('an entry by a key that no trust file names', [GapKind.UNSIGNED, GapKind.BROKEN], ['entry 6 follows another entry 5']);
    await forge(5, worker, {});
    await row('a report entered by a worker', [GapKind.UNSIGNED], []);
    await forge(5, judge, { at: '2026-02-01T00:00:00.000Z' });
    await row('an entry dated back by a thief of the judge’s key', [GapKind.TIME, GapKind.BROKEN], []);
    await forge(5, judge, { kind: 'decision' });
    await row('an entry that calls a report a decision', [GapKind.FORGED], ['the record is a report']);
    await forge(5, judge, { n: 6 });
    await row('an entry under another number', [GapKind.UNREADABLE], ['number 5 cannot be read']);
    await forge(5, judge, { engine: 'eng_other' });
    await row('an entry of another engine', [GapKind.UNSIGNED], ['another engine']);
    cut(5);
    await row('an entry taken out', [GapKind.MISSING], ['number 5 is missing, between']);
    console.table(rows.map(([what, kinds]) => ({ what, 'named as': kinds.join(' ') })));
  });

  it('an incident whose records are gone is named by incident, numbers and times', async () => {
    const records = recordsOf();
    await incident(records, 'leak/a');
    const hashes = await incident(records, 'leak/b');
    await incident(records, 'leak/c');
    for (const hash of hashes) await store.remove(hash);
    const { gaps } = await examine();
    const entries = await walk(records.register);
    expect(gaps).toHaveLength(1);
    expect(gaps[0]).toMatchObject({
      kind: GapKind.GONE,
      incident: 'leak/b',
      run: 'r1',
      numbers: [[5, 8]],
      from: entries[4]?.at,
      to: entries[7]?.at,
    });
    expect(gaps[0]?.words).toContain('numbers 5–8: 1 report, 1 decision, 1 change, 1 close');
  });

  it('an incident that was reported, and neither ended nor runs, is named; one that ends meanwhile is not', async () => {
    const records = recordsOf();
    await incident(records, 'leak/ended');
    for (const name of ['leak/running', 'leak/terminated', 'leak/deleted', 'leak/ending'])
      await incident(records, name, ['report', 'decision']);
    const states = { 'leak/running': 'running', 'leak/terminated': 'ended', 'leak/ending': 'ended' } as const;
    const found = await examine([], {
      listed: [{ incident: 'leak/unheard-of', run: 'r9', startedAt: new Date(Date.now() - 1000).toISOString() }],
      async state(name) {
        if (name === 'leak/ending') await write(records, 'review', name);
        return states[name as keyof typeof states] ?? 'absent';
      },
    });
    expect(found.gaps.map((gap) => [gap.kind, gap.incident])).toEqual([
      [GapKind.UNFINISHED, 'leak/terminated'],
      [GapKind.UNFINISHED, 'leak/deleted'],
    ]);
    expect(found.incidents).toMatchObject({ reported: 5, running: 1 });
    const later = await examineRegister({
      store,
      trust,
      engine: trust.engine,
      now: new Date(Date.now() + 3_600_000),
      runs: { listed: [{ incident: 'leak/unheard-of', run: 'r9', startedAt: new Date().toISOString() }], state: async () => 'running' },
    });
    expect(later.gaps.map((gap) => [gap.kind, gap.incident])).toEqual([[GapKind.UNREGISTERED, 'leak/unheard-of']]);
  });

  it('without the server it says what it cannot know, and claims nothing', async () => {
    await incident(recordsOf(), 'leak/open', ['report']);
    const found = await examine();
    expect(found.gaps).toEqual([]);
    expect(found.incidents).toEqual({ reported: 1, ended: 0, running: 0, unknown: 1 });
    expect(found.unknown).toHaveLength(2);
  });
});

it('what an entry is stands in the type of its record', () => {
  expect(kindOf('plan', {})).toBeUndefined();
  expect(kindOf('gate', { event: 'opened' })).toBeUndefined();
  expect(() => openEntry(Buffer.from('{}'))).toThrow();
});
