import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProviderFinding } from '../domain/assessment.ts';
import { canonicalJson, type Hash } from '../domain/canonical.ts';
import { codeOf } from '../domain/errors.ts';
import type { StepRecord } from '../domain/execution.ts';
import { unknown } from '../domain/observation.ts';
import { PayloadType, RecordType } from '../domain/record.ts';
import type { Trust } from '../domain/trust.ts';
import { newKey, type PrivateKey, trustedKeyOf } from './keys.ts';
import { createRecords, type RecordBodies } from './records.ts';
import { signerFrom } from './signing.ts';
import { type BlobStore, openDirectoryStore } from './store.ts';

const period = { from: '2026-01-01T00:00:00.000Z', until: '2026-07-01T00:00:00.000Z' };
const inside = '2026-03-01T00:00:00.000Z';
const judge = newKey({ role: 'judge', ...period });
const worker = newKey({ role: 'worker', ...period, provider: 'aws', account: '1' });
const person = newKey({ role: 'person', ...period, person: 'ada' });
const stranger = newKey({ role: 'judge', ...period });
const trust: Trust = {
  v: 1,
  engine: 'eng_test',
  serial: 1,
  issuedAt: period.from,
  keys: [judge, worker, person].map(trustedKeyOf),
  people: `sha256:${'0'.repeat(64)}`,
  code: [],
};
const place = { incident: 'leak/1', run: 'r', round: 1, standsOn: [] as Hash[] };
const gate = { gate: 'g', planHash: trust.people, event: 'opened', at: inside, deadlineAt: inside, onSilence: 'hold', told: [] } as const;
const step = (action: string): StepRecord => ({
  plan: trust.people,
  step: 's',
  action,
  direction: 'apply',
  attempt: 1,
  observation: unknown(inside, 'engine', 'no look was taken'),
  requestIds: [],
});
const finding = (provider: string, account: string) => ({ provider, account }) as ProviderFinding;
const code = async (work: Promise<unknown>) => work.then(() => 'no error', codeOf);

let directory: string;
let store: BlobStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'records-'));
  store = openDirectoryStore(directory, new Uint8Array(32));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const recordsOf = (key: PrivateKey, at = inside, engine = trust.engine) =>
  createRecords({ store, signer: signerFrom(key), trust: () => trust, engine, clock: () => new Date(at) });
const reader = () => recordsOf(judge);
const writeAs = <T extends RecordType>(key: PrivateKey, type: T, body: RecordBodies[T], at = inside, engine = trust.engine) =>
  recordsOf(key, at, engine).write(type, { ...place, body });
/** Stores what a forger with that key would: any record under any envelope. */
const forge = (key: PrivateKey, change: Record<string, unknown>, payloadType: string = PayloadType.RECORD) => {
  const record = { v: 1, type: 'gate', engine: trust.engine, ...place, at: inside, by: key.id, body: gate, ...change };
  return store.put(Buffer.from(canonicalJson(signerFrom(key).sign(payloadType, record))));
};

describe('records', () => {
  it('come back whole, with who signed them and when', async () => {
    const hash = await writeAs(judge, RecordType.GATE, gate);
    expect(await reader().read(hash, RecordType.GATE)).toEqual({
      v: 1,
      type: 'gate',
      engine: 'eng_test',
      ...place,
      at: inside,
      by: judge.id,
      body: gate,
    });
    expect(await code(reader().read(`sha256:${'1'.repeat(64)}`, RecordType.GATE))).toBe('record.missing');
  });

  it('are believed from a judge for every type, from a worker for what workers do, and from nobody else', async () => {
    for (const type of Object.values(RecordType)) {
      const body = (type === 'finding' ? finding('aws', '1') : type === 'step' ? step('aws/disable-key') : {}) as never;
      const workerMay = ['finding', 'snapshot', 'step', 'refusal', 'self'].includes(type);
      expect([type, await code(reader().read(await writeAs(judge, type, body), type))]).toEqual([type, 'no error']);
      expect([type, await code(reader().read(await writeAs(worker, type, body), type))]).toEqual([
        type,
        workerMay ? 'no error' : 'record.forged',
      ]);
      expect([type, await code(reader().read(await writeAs(person, type, body), type))]).toEqual([type, 'record.forged']);
      expect([type, await code(reader().read(await writeAs(stranger, type, body), type))]).toEqual([type, 'record.forged']);
    }
  });

  it('of one account are not believed from the worker of another', async () => {
    for (const [provider, account] of [
      ['vault', '1'],
      ['aws', '2'],
    ] as const) {
      const hash = await writeAs(worker, RecordType.FINDING, finding(provider, account));
      expect(await code(reader().read(hash, RecordType.FINDING))).toBe('record.forged');
    }
    expect(await code(reader().read(await writeAs(worker, RecordType.STEP, step('vault/stage-secret')), RecordType.STEP))).toBe(
      'record.forged',
    );
    expect(await code(reader().read(await writeAs(worker, RecordType.STEP, step('awsome/x')), RecordType.STEP))).toBe('record.forged');
  });

  it('count only within the period of their key', async () => {
    for (const [at, expected] of [
      ['2025-12-31T23:59:59.999Z', 'record.forged'],
      [period.from, 'no error'],
      ['2026-06-30T23:59:59.999Z', 'no error'],
      [period.until, 'record.forged'],
    ] as const) {
      expect(await code(reader().read(await writeAs(judge, RecordType.GATE, gate, at), RecordType.GATE))).toBe(expected);
    }
  });

  it('are refused as another type, for another engine, under another name, and in another shape', async () => {
    const cases: [Promise<Hash>, string][] = [
      [writeAs(judge, RecordType.REVIEW, {} as never), 'record.unreadable'],
      [writeAs(judge, RecordType.GATE, gate, inside, 'eng_other'), 'record.forged'],
      [forge(judge, { by: worker.id }), 'record.forged'],
      [forge(judge, {}, PayloadType.DECISION), 'record.unreadable'],
      [forge(judge, { extra: 1 }), 'record.unreadable'],
      [forge(judge, { v: 2 }), 'record.unreadable'],
      [forge(judge, { at: '2026-03-01' }), 'record.unreadable'],
      [forge(judge, { standsOn: ['x'] }), 'record.unreadable'],
      [forge(judge, { round: 1.5 }), 'record.unreadable'],
      [store.put(Buffer.from('not json')), 'record.unreadable'],
      [store.put(Buffer.from('{ }')), 'record.unreadable'],
      [store.put(Buffer.from('null')), 'record.unreadable'],
    ];
    for (const [hash, expected] of cases) expect(await code(reader().read(await hash, RecordType.GATE))).toBe(expected);
    // A worker's signature under the judge's key id.
    const stolen = signerFrom(worker).sign(PayloadType.RECORD, {
      v: 1,
      type: 'gate',
      engine: trust.engine,
      ...place,
      at: inside,
      by: judge.id,
      body: gate,
    });
    const renamed = { ...stolen, signatures: stolen.signatures.map(({ sig }) => ({ keyid: judge.id, sig })) };
    expect(await code(reader().read(await store.put(Buffer.from(canonicalJson(renamed))), RecordType.GATE))).toBe('record.forged');
  });
});
