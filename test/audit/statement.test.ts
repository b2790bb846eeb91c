import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { BundleFile, type BundleFiles, bytesOf } from '../../audit/bundle.ts';
import { readKey, readStoreKey } from '../../audit/keys.ts';
import { openEntry, type RegisterEntry, registerName } from '../../audit/register.ts';
import { examineRegister, GapKind } from '../../audit/register-gaps.ts';
import type { IncidentReport } from '../../audit/report.ts';
import { signerFrom } from '../../audit/signing.ts';
import { openStatement, predicateType, type Statement, sealBundle, verifyStatement } from '../../audit/statement.ts';
import { type BlobStore, openDirectoryStore } from '../../audit/store.ts';
import { canonicalJson, type Hash, hashOf, sha256Of } from '../../domain/canonical.ts';
import { type Envelope, emptyHead, PayloadType } from '../../domain/record.ts';
import type { Trust } from '../../domain/trust.ts';
import { findPackage } from '../../scripts/servers.mjs';
import { play } from './engine.ts';

/** What one played incident left: the bundle made while it stood at a question, the one made at its end, and its store. */
let early: BundleFiles;
let files: BundleFiles;
let trust: Trust;
let judgeKey: string;
let directory: string;
let storeKey: Uint8Array;
let store: BlobStore;
let incident: string;
const { missing, ...tool } = findPackage('securesystemslib');

beforeAll(async () => {
  await play('acme/public', async (played) => {
    const gate = await played.until((now) => now.gates.some((each) => each.id === 'g-irreversible' && each.state === 'open'));
    early = (await played.export(false)).files;
    expect(gate.state).toBeDefined();
    for (const by of ['ada', 'ben']) {
      const now = await played.status();
      if (now.gates.find((each) => each.id === 'g-irreversible')?.state === 'open') await played.decide(by, 'g-irreversible', 'approve');
    }
    await played.until((now) => now.state === 'watching');
    played.later(37 * 3_600_000);
    files = (await played.export(true)).files;
    trust = played.trust.trust;
    incident = played.incident;
    judgeKey = join(played.trust.paths.judge, 'signing.json');
    directory = join(dirname(played.trust.paths.trust), 'store');
    storeKey = readStoreKey(join(played.trust.paths.judge, 'store.key'));
    store = openDirectoryStore(directory, storeKey);
  });
}, 120_000);

const reportOf = (of: BundleFiles) => JSON.parse(Buffer.from(of.get(BundleFile.REPORT) ?? []).toString()) as IncidentReport;

describe('the statement of a bundle', () => {
  it('is one in-toto statement, signed by the judge, over every other file', () => {
    for (const each of [early, files]) {
      const { envelope, statement } = openStatement(each);
      expect(envelope.payloadType).toBe('application/vnd.in-toto+json');
      expect(statement._type).toBe('https://in-toto.io/Statement/v1');
      expect(statement.predicateType).toBe(predicateType);
      expect(Object.fromEntries(statement.subject.map(({ name, digest }) => [name, `sha256:${digest.sha256}`]))).toEqual(
        Object.fromEntries([...each].filter(([name]) => name !== BundleFile.STATEMENT).map(([name, bytes]) => [name, sha256Of(bytes)])),
      );
      expect(verifyStatement(each, { trust })).toEqual([]);
    }
  });

  it('says how the incident stands, and by what it was judged', async () => {
    const { predicate } = openStatement(files).statement;
    const report = reportOf(files);
    expect(predicate).toMatchObject({
      engine: trust.engine,
      incident,
      state: 'closed',
      contained: 'yes',
      rotated: 'yes',
      ended: true,
      trust: { serial: trust.serial, hash: hashOf(trust) },
      people: trust.people,
      residuals: report.residuals,
      mapping: report.mapping,
    });
    expect(predicate.times.detectedAt).toBe(report.clocks.seenAt);
    expect(predicate.times.containedAt).toBe(report.clocks.containedAt);
    expect(predicate.times.rotatedAt).toBe(report.clocks.rotatedAt);
    expect(predicate.times.notifiedAt).toBe(report.gates.map((gate) => gate.at).sort()[0]);
    expect(predicate.mapping.map((each) => each.framework)).toEqual(
      expect.arrayContaining(['OWASP Non-Human Identities Top 10', 'NIST CSF 2.0']),
    );
    const open = openStatement(early).statement.predicate;
    expect(open).toMatchObject({ ended: false, rotated: 'no' });
    expect(open.register.n).toBeLessThan(predicate.register.n);
    const there = await store.read(registerName(predicate.register.n));
    expect(there && sha256Of(there)).toBe(predicate.register.hash);
  });

  it('is refused where it says what the files do not, even signed by the judge’s own key', () => {
    const { statement } = openStatement(files);
    const signer = signerFrom(readKey(judgeKey));
    const others = new Map([...files].filter(([name]) => name !== BundleFile.STATEMENT));
    const lie = (change: object) =>
      verifyStatement(
        sealBundle(others, { ...statement.predicate, ...change }, (body) => signer.sign(PayloadType.STATEMENT, body)),
        { trust },
      );
    expect(lie({})).toEqual([]);
    const rows = Object.entries({
      state: { state: 'dismissed' },
      contained: { contained: 'no' },
      rotated: { rotated: 'no' },
      times: { times: { ...statement.predicate.times, containedAt: statement.predicate.times.reportedAt } },
      residuals: { residuals: [{ what: 'none', target: 'none' }] },
      head: { head: emptyHead },
      records: { records: 1 },
      trust: { trust: { serial: 99, hash: statement.predicate.trust.hash } },
      people: { people: emptyHead },
      policies: { policies: [] },
      mapping: { mapping: [] },
      incident: { incident: 'leak/other' },
      'a field that no statement has': { approved: true },
    }).map(([what, change]) => ({ what, 'named as': lie(change).join('; ') }));
    console.table(rows);
    for (const row of rows) expect(row).toMatchObject({ 'named as': expect.stringMatching(/^it says of /) });
  });

  it('is refused with a file changed, added or left out, under another key, and under another trust', () => {
    const change = (work: (copy: Map<string, Uint8Array>) => void) => {
      const copy = new Map(files);
      work(copy);
      return verifyStatement(copy, { trust });
    };
    expect(change((copy) => copy.set(BundleFile.HISTORY_JSON, bytesOf('{}')))).toEqual(['history.json is not the one listed']);
    expect(change((copy) => copy.set('more.json', bytesOf('{}')))).toEqual(['more.json is not listed']);
    expect(change((copy) => copy.delete(BundleFile.HISTORY_JSON))).toEqual(['history.json is missing']);
    expect(change((copy) => copy.delete(BundleFile.STATEMENT))).toEqual(['statement.json is missing or no text']);
    const { envelope } = openStatement(files);
    const put = (of: Envelope) => change((copy) => copy.set(BundleFile.STATEMENT, bytesOf(`${canonicalJson(of)}\n`)));
    expect(put({ ...envelope, payloadType: PayloadType.RECORD })[0]).toContain('payload type');
    expect(put({ ...envelope, signatures: [{ keyid: 'judge-0000', sig: envelope.signatures[0]?.sig ?? '' }] })[0]).toContain(
      'no judge of key',
    );
    expect(verifyStatement(files, { trust: { ...trust, keys: trust.keys.filter((key) => key.role !== 'judge') } })[0]).toContain(
      'no judge',
    );
    expect(verifyStatement(files, { trust: { ...trust, engine: 'eng_other' } })).toContain('it is of another engine than the trust');
  });
});

/**
 * What `securesystemslib` says of a statement under a key: that it holds and what is in it, or that it does not. Bare, it has no other package and does the arithmetic of Ed25519 in
 * Python, so that not even OpenSSL is shared with us; otherwise it uses `cryptography`, where there is one.
 */
function strangerSays(
  bare: boolean,
  envelope: unknown,
  publicKey: string,
  keyid: string,
): { readonly verified: boolean; readonly statement?: Statement; readonly why?: string } {
  const script = `
import json, sys
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
asked = json.load(sys.stdin)
key = SSlibKey(asked["keyid"], "ed25519", "ed25519", {"public": asked["public"]})
try:
    envelope = Envelope.from_dict(asked["envelope"])
    envelope.verify([key], 1)
    print(json.dumps({"verified": True, "type": envelope.payload_type, "statement": json.loads(envelope.payload)}))
except VerificationError as error:
    print(json.dumps({"verified": False, "why": str(error)}))
`;
  const asked = { envelope, keyid, public: Buffer.from(publicKey, 'base64').toString('hex') };
  const ran = spawnSync('python' in tool ? tool.python : '', [...(bare ? ['-S'] : []), '-c', script], {
    input: JSON.stringify(asked),
    encoding: 'utf8',
    env: { ...process.env, PYTHONPATH: 'path' in tool ? tool.path : '', PYTHONDONTWRITEBYTECODE: '1' },
  });
  if (ran.status !== 0) throw new Error(`python: ${ran.stderr}`);
  return JSON.parse(ran.stdout);
}

describe(`a stranger's implementation (securesystemslib${missing ? `, not run: ${missing}` : ''})`, () => {
  it.skipIf(missing).each([false, true])(
    'verifies the statement under the judge’s public key, and refuses it altered, or under another key (bare: %s)',
    (bare) => {
      const { envelope, statement } = openStatement(files);
      const keyid = envelope.signatures[0]?.keyid ?? '';
      const key = trust.keys.find((each) => each.id === keyid)?.public ?? '';
      const said = strangerSays(bare, envelope, key, keyid);
      expect(said).toMatchObject({ verified: true, statement: JSON.parse(JSON.stringify(statement)) });
      const altered = { ...statement, predicate: { ...statement.predicate, contained: 'no' } };
      const payload = Buffer.from(canonicalJson(altered)).toString('base64');
      expect(strangerSays(bare, { ...envelope, payload }, key, keyid).verified).toBe(false);
      expect(strangerSays(bare, { ...envelope, payloadType: 'application/json' }, key, keyid).verified).toBe(false);
      const other = trust.keys.find((each) => each.role === 'worker')?.public ?? '';
      expect(strangerSays(bare, envelope, other, keyid).verified).toBe(false);
    },
  );
});

describe('a bundle is an anchor for the register', () => {
  const examine = (of: BlobStore, anchors: readonly { name: string; files: BundleFiles }[]) =>
    examineRegister({ store: of, trust, engine: trust.engine, anchors });
  const both = () => [
    { name: 'early.zip', files: early },
    { name: 'end.zip', files },
  ];
  /** The store with another register, and some records gone: what somebody leaves who has its folder and its key. */
  const withRegister = (entries: readonly Uint8Array[], without: ReadonlySet<Hash> = new Set()): BlobStore => ({
    ...store,
    list: async (prefix) => (prefix === 'register/' ? entries.map((_, at) => registerName(at + 1)) : store.list(prefix)),
    read: async (name) => (name.startsWith('register/') ? entries[Number(name.slice('register/'.length)) - 1] : store.read(name)),
    has: async (hash) => !without.has(hash) && (await store.has(hash)),
  });
  const entriesNow = async (): Promise<Uint8Array[]> =>
    await Promise.all((await store.list('register/')).map(async (name) => (await store.read(name)) as Uint8Array));
  /** The register as the judge's own key can write it anew: numbered and linked as if nothing had been. */
  const writtenAnew = (entries: readonly RegisterEntry[]): Uint8Array[] => {
    const signer = signerFrom(readKey(judgeKey));
    const made: Uint8Array[] = [];
    for (const entry of entries) {
      const last = made.at(-1);
      const again = { ...entry, n: made.length + 1, prev: last ? sha256Of(last) : emptyHead, by: signer.keyid };
      made.push(bytesOf(canonicalJson(signer.sign(PayloadType.REGISTER, again))));
    }
    return made;
  };

  it('agrees with the register of the engine that made it, which has every record of the run that belongs there', async () => {
    const found = await examine(store, both());
    expect(found.gaps).toEqual([]);
    expect(found.incidents).toEqual({ reported: 1, ended: 1, running: 0, unknown: 0 });
    const entries = (await entriesNow()).map((bytes) => openEntry(bytes).entry);
    const kinds = new Set(entries.map((entry) => entry.kind));
    for (const kind of ['trust', 'people', 'policy', 'report', 'decision', 'change', 'close'] as const) expect([...kinds]).toContain(kind);
    // What the incident was judged by stands before it.
    expect(entries.slice(0, 3).map((entry) => [entry.kind, entry.record])).toEqual([
      ['trust', hashOf(trust)],
      ['people', trust.people],
      ['policy', openStatement(files).statement.predicate.policies[0]],
    ]);
  });

  it('a cut-off end is caught, and what is gone with it is named by incident and times', async () => {
    const entries = await entriesNow();
    const cut = withRegister(entries.slice(0, openStatement(early).statement.predicate.register.n + 1));
    expect((await examine(cut, [])).gaps).toEqual([]);
    const { gaps } = await examine(cut, both());
    expect(gaps.map((gap) => gap.kind)).toEqual([GapKind.CUT_OFF, GapKind.UNREGISTERED]);
    expect(gaps[1]).toMatchObject({ incident, run: openStatement(files).statement.predicate.run });
    expect(gaps[1]?.words).toContain('1 close');
  });

  it('a register written anew without the incident is flawless by itself, and caught', async () => {
    const entries = (await entriesNow()).map((bytes) => openEntry(bytes).entry);
    const others = entries.filter((entry) => entry.incident === undefined);
    const gone = new Set(entries.flatMap((entry) => (entry.incident === incident ? [entry.record] : [])));
    // As many entries as there were: policies were edited, it seems, again and again.
    const anew = writtenAnew([
      ...others,
      ...entries.slice(others.length).map((entry) => ({ ...(others[2] as RegisterEntry), at: entry.at })),
    ]);
    const forged = withRegister(anew, gone);
    expect((await examine(forged, [])).gaps).toEqual([]);
    const { gaps } = await examine(forged, both());
    expect(gaps.map((gap) => gap.kind)).toEqual([GapKind.REWRITTEN, GapKind.UNREGISTERED, GapKind.REWRITTEN, GapKind.UNREGISTERED]);
    expect(gaps.every((gap) => gap.kind === GapKind.REWRITTEN || gap.incident === incident)).toBe(true);
  });

  it('and one that no judge signed, or whose files were changed, is none', async () => {
    const changed = new Map(files).set(BundleFile.REPORT, bytesOf('{}'));
    const { gaps } = await examine(store, [
      { name: 'changed', files: changed },
      { name: 'empty', files: new Map() },
    ]);
    expect(gaps.map((gap) => gap.kind)).toEqual([GapKind.ANCHOR, GapKind.ANCHOR]);
  });
});
