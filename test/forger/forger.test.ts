import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BundleFile, type BundleFiles, bytesOf, textOf, writeBundle } from '../../audit/bundle.ts';
import { editionText, signEdition, trustText } from '../../audit/editions.ts';
import { parseHistory, readHistory } from '../../audit/history.ts';
import { readKey } from '../../audit/keys.ts';
import { openEntry, registerPrefix } from '../../audit/register.ts';
import { examineRegister, GapKind } from '../../audit/register-gaps.ts';
import { type Replay, type ReplayOutcome, replayInChild } from '../../audit/replay.ts';
import { type Signer, signerFrom } from '../../audit/signing.ts';
import { openStatement, sealBundle } from '../../audit/statement.ts';
import type { BlobStore } from '../../audit/store.ts';
import { parsePeople, parseTrust, peopleText } from '../../audit/trust.ts';
import { type ClaimKind, type Verification, verifyBundle } from '../../audit/verify.ts';
import { hashOf } from '../../domain/canonical.ts';
import { registry } from '../../domain/errors.ts';
import { PayloadType } from '../../domain/record.ts';
import { Secret } from '../../domain/secret.ts';
import type { Edition, People, Trust } from '../../domain/trust.ts';
import { type WorkflowCode, workflowCode } from '../../workers/bundle.ts';
import { manifests, type Played, play } from '../audit/engine.ts';
import { randomOf } from '../audit/tampering.ts';
import { tourniquet } from '../cli/harness.ts';
import { type Attack, attacks } from './attacks.ts';
import { Forgery, type Loot, type Means, plainly } from './forger.ts';

interface Stolen {
  readonly loot: Loot;
  readonly files: BundleFiles;
  readonly trust: Trust;
  readonly trustText: string;
  readonly judge: Signer;
  readonly paths: Played['trust']['paths'];
  /** The register's names and the blobs it tells of. */
  readonly register: ReadonlyMap<string, Uint8Array>;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}
let home: string;
let release: WorkflowCode;
let stolen: Readonly<Record<Attack['on'], Stolen>>;

const approveAll = async (played: Played, id: string): Promise<void> => {
  await played.until((now) => now.gates.some((gate) => gate.id === id && gate.state === 'open'));
  for (const by of ['ada', 'ben']) {
    const now = await played.status();
    if (now.gates.find((gate) => gate.id === id)?.state === 'open') await played.decide(by, id, 'approve');
  }
};

async function taken(played: Played, untilEnded: boolean): Promise<Stolen> {
  const { files } = await played.export(untilEnded);
  const whole = await played.loot.history();
  // A run that goes on has written more since.
  const history = { ...whole, events: (whole.events ?? []).slice(0, openStatement(files).statement.predicate.events) };
  const kept = new Map<string, Uint8Array>();
  // The store's directory goes when the engine does; what was taken stays.
  for (const { record } of JSON.parse(textOf(files.get(BundleFile.CHAIN)) ?? '[]')) kept.set(record, await played.loot.store.get(record));
  const register = new Map<string, Uint8Array>();
  for (const name of await played.loot.store.list(registerPrefix)) register.set(name, (await played.loot.store.read(name)) as Uint8Array);
  for (const [, bytes] of register) {
    const { record } = openEntry(bytes).entry;
    if (!kept.has(record) && (await played.loot.store.has(record))) kept.set(record, await played.loot.store.get(record));
  }
  const store = { get: async (hash: string) => kept.get(hash) } as unknown as Loot['store'];
  return {
    loot: { history, codec: played.loot.codec, store, bundle: files },
    files,
    trust: played.trust.trust,
    trustText: textOf(files.get(BundleFile.TRUST)) ?? '',
    register,
    blobs: kept,
    paths: played.trust.paths,
    judge: signerFrom(readKey(join(played.trust.paths.judge, 'signing.json'))),
  };
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'forger-'));
  release = await workflowCode();
  const internal = await play('acme/private', async (played) => {
    await played.until((now) => now.gates.some((gate) => gate.id === 'g-outage' && gate.state === 'open'));
    await played.signal('sighting', { nothing: 'of the kind' });
    await played.decide('cleo', 'g-outage', 'approve');
    await played.decide('ada', 'g-outage', 'approve', { run: 'an-earlier-run' });
    await approveAll(played, 'g-outage');
    await played.report(`rpt_${'2'.padStart(26, '0')}`);
    await approveAll(played, 'g-irreversible');
    await played.until((now) => now.state === 'watching');
    return await taken(played, false);
  });
  const closed = await play('acme/public', async (played) => {
    await approveAll(played, 'g-irreversible');
    await played.until((now) => now.state === 'watching');
    played.later(37 * 3_600_000);
    await played.export(true);
    return await taken(played, true);
  });
  stolen = { internal, closed };
}, 120_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const outcomes = new Map<Stolen, ReplayOutcome>();
const remembered =
  (from: Stolen): Replay =>
  async () => {
    const known =
      outcomes.get(from) ??
      (await replayInChild({
        code: release.code,
        history: from.files.get(BundleFile.HISTORY) as Uint8Array,
        workflowId: openStatement(from.files).statement.predicate.incident,
      }));
    outcomes.set(from, known);
    return known;
  };
const options = (from: Stolen, replay: Replay) => ({ trust: from.trust, manifests, release, replay });
const failing = (result: Verification): ClaimKind[] => result.claims.filter((claim) => !claim.ok).map((claim) => claim.kind);

/** Verified as an auditor would; the code is run again only where nothing but that could tell. */
async function audited(from: Stolen, files: BundleFiles): Promise<Verification> {
  const quick = await verifyBundle(files, options(from, remembered(from)));
  if (failing(quick).some((kind) => kind !== 'replay')) return quick;
  return await verifyBundle(files, options(from, replayInChild));
}

/** Ways to go on with after a claim has caught the forger, by the claim. */
function further(means: Means, caught: readonly ClaimKind[]): Means[] {
  const next: Means[] = [];
  const by = (change: Partial<Means>): number => next.push({ ...means, ...change });
  const has = (...kinds: ClaimKind[]): boolean => kinds.some((kind) => caught.includes(kind));
  if (has('manifest', 'files', 'statement')) {
    if (means.statement === 'old') by({ statement: 'name' });
    if (means.statement === 'name') by({ statement: 'own' });
    by({ statement: 'judge' });
  }
  if (has('records')) {
    if (means.records === 'old') by({ records: 'name' });
    if (means.records !== 'own') by({ records: 'own' });
    if (means.records === 'own' && means.trust === 'as it is') by({ trust: 'listed' });
    by({ touch: 'history' });
  }
  if (has('trust', 'manifest', 'records') && means.records === 'own')
    by({ trust: 'own root', statement: means.statement === 'judge' ? 'judge' : 'own' });
  if (has('results', 'coverage', 'messages')) for (const touch of ['records', 'history', 'both'] as const) by({ touch });
  if (has('standing', 'chain', 'order', 'coverage', 'plans', 'decisions', 'warrants'))
    for (const change of [{ cut: true }, { ripple: true }]) by(change);
  if (has('replay') && means.statement !== 'judge') by({ code: 'own' });
  return next;
}

interface Tried {
  readonly means: Means;
  readonly caught: readonly ClaimKind[];
  readonly result: Verification;
  readonly files: BundleFiles;
}

/** Nothing is left of the attack: what it would have changed is not changed. */
function isUntouched(files: BundleFiles, honest: BundleFiles): boolean {
  const told = (of: BundleFiles) => JSON.stringify(readHistory(parseHistory(of.get(BundleFile.HISTORY) as Uint8Array)));
  const left = (of: BundleFiles) =>
    [...of]
      .filter(([path]) => !/^(history|statement)/.test(path))
      .map(([path, bytes]) => `${path} ${Buffer.from(bytes).toString('base64')}`);
  return told(files) === told(honest) && left(files).sort().join() === left(honest).sort().join();
}

/**
 * All from the change on left out, and a judge that signs for what is left: each word of that is true, and it says of itself that the run goes on. What came after it stands in the register
 * and in no bundle.
 */
const isBeginning = (means: Means): boolean => means.cut && means.statement === 'judge';

/** Goes on until no other way is left, or the verdict is the one the forger wants. */
async function adapt(attack: Attack, most: number): Promise<Tried[]> {
  const from = stolen[attack.on];
  const other = stolen[attack.on === 'internal' ? 'closed' : 'internal'];
  const tried: Tried[] = [];
  const seen = new Set<string>();
  const judge = (statement: unknown) => from.judge.sign(PayloadType.STATEMENT, statement);
  const queue: Means[] = [plainly, { ...plainly, statement: 'judge' }, { ...plainly, ...ownWorld }];
  for (let means = queue.shift(); means !== undefined && tried.length < most; means = queue.shift()) {
    const key = JSON.stringify(means);
    // A judge names the code that it runs itself.
    if (seen.has(key) || (means.statement === 'judge' && means.code === 'own')) continue;
    seen.add(key);
    const forgery = await Forgery.of(from.loot);
    attack.make(forgery, { other: await Forgery.of(other.loot), signedElsewhere: (record) => from.judge.sign(PayloadType.RECORD, record) });
    const files = forgery.export(means, judge);
    if (means.touch !== 'both' && isUntouched(files, from.files)) continue;
    const result = await audited(from, files);
    const caught = failing(result);
    tried.push({ means, caught, result, files });
    if (result.verdict === 'verified' && !isBeginning(means)) break;
    queue.push(...further(means, caught));
  }
  return tried;
}

const short = (means: Means): string =>
  Object.entries(means)
    .filter(([name, value]) => value !== plainly[name as keyof Means])
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ') || 'plainly';

/** Where two files part, in words. */
function firstDifference(a: Uint8Array | undefined, b: Uint8Array): string {
  const [one, two] = [Buffer.from(a ?? []), Buffer.from(b)];
  if (one.equals(two)) return '';
  const at = one.findIndex((byte, index) => byte !== two[index]);
  return `${at}: ${one.subarray(at - 200, at + 100).toString()} / ${two.subarray(at - 200, at + 100).toString()}`;
}

/** Everything signed anew, by keys that the forger's own trust file vouches for. */
const ownWorld: Partial<Means> = { records: 'own', statement: 'own', trust: 'own root', ripple: true };

function sampleOf<T>(from: readonly T[], count: number): T[] {
  const random = randomOf(seed);
  const left = [...from];
  return Array.from({ length: count }, () => left.splice(random(left.length), 1)[0] as T);
}

const seed = Number(process.env.TOURNIQUET_SEED ?? 20_261_124);
const full = process.env.TOURNIQUET_FULL === '1';
const names = Object.keys(attacks);
const most = full ? 24 : 4;
/** Without TOURNIQUET_FULL a third of the attacks, by the seed. */
const chosen = full ? names : sampleOf(names, Math.ceil(names.length / 3));

describe('a forger without signing keys', { timeout: 600_000 }, () => {
  const table: Record<
    string,
    { 'caught by': string; tries: number; 'fewest claims': string; 'by means': string; 'without a trust file': string }
  > = {};
  const beginnings: string[] = [];
  afterAll(() => {
    console.table(table);
    if (beginnings.length > 0) console.log(`left with an honest beginning, of a run that goes on: ${beginnings.join('; ')}`);
  });

  it('has all that a judge’s own export is made of, but for the signature', async () => {
    for (const from of Object.values(stolen)) {
      const forgery = await Forgery.of(from.loot);
      const { statement } = openStatement(from.files);
      const again = forgery.export({ ...plainly, statement: 'judge' }, () => openStatement(from.files).envelope);
      // Protobuf leaves the order of a map open, so a history is compared by what it tells.
      const told = (files: BundleFiles) => readHistory(parseHistory(files.get(BundleFile.HISTORY) as Uint8Array));
      expect(told(again)).toEqual(told(from.files));
      for (const [path, bytes] of from.files)
        if (!path.startsWith('history.')) expect([path, firstDifference(again.get(path), bytes)]).toEqual([path, '']);
      expect(statement.subject.length).toBeGreaterThan(20);
      const untouched = await verifyBundle(from.files, options(from, remembered(from)));
      expect(untouched.claims.filter((claim) => !claim.ok)).toEqual([]);
      expect(untouched.verdict).toBe('verified');
      // The history's bytes may differ, and the statement lists them; nothing else does.
      const signed = forgery.export({ ...plainly, statement: 'judge' }, (said) => from.judge.sign(PayloadType.STATEMENT, said));
      expect((await verifyBundle(signed, options(from, replayInChild))).verdict).toBe('verified');
    }
  });

  it.each(chosen)('%s', async (name) => {
    const attack = attacks[name] as Attack;
    const from = stolen[attack.on];
    const tried = await adapt(attack, most);
    // Under the auditor's trust file no way leads anywhere, and each is caught by name, with the exit code of a broken bundle.
    for (const { means, result, caught, files } of tried) {
      if (isBeginning(means) && result.verdict === 'verified') {
        const [made, whole] = [files, from.files].map((each) => openStatement(each).statement.predicate);
        expect(made?.ended).toBe(false);
        expect(made?.events).toBeLessThan(whole?.events ?? 0);
        beginnings.push(name);
        continue;
      }
      expect({ name, by: short(means), verdict: result.verdict, named: caught.length > 0 }).toEqual({
        name,
        by: short(means),
        verdict: 'broken',
        named: true,
      });
      expect(registry[result.code as 'audit.broken'].exit).toBe(1);
    }
    // Though a judge signed the list of files, what was done is caught, and by the claim that is about it.
    const signed = tried.find(({ means }) => means.statement === 'judge' && means.touch === 'both' && !means.cut && !means.ripple);
    const few = tried.filter(({ caught }) => caught.length > 0).sort((a, b) => a.caught.length - b.caught.length)[0] as Tried;
    // Without it the verdict is at most consistent.
    const verdicts = new Set<string>();
    const { trust: _, ...untrusting } = options(from, remembered(from));
    for (const { files } of tried.slice(0, full ? 40 : 4)) {
      const result = await verifyBundle(files, untrusting);
      expect(result.verdict).not.toBe('verified');
      expect([1, 9]).toContain(registry[result.code as 'audit.broken'].exit);
      verdicts.add(result.verdict);
    }
    table[name] = {
      'caught by': (signed?.caught ?? []).join(' '),
      tries: tried.length,
      'fewest claims': few.caught.join(' '),
      'by means': short(few.means),
      'without a trust file': [...verdicts].sort().join(', '),
    };
    expect({ name, claims: signed?.caught }).toEqual({ name, claims: expect.arrayContaining([attack.claim]) });
  });

  it('and the command says so: exit 1 and the claim under the trust file, exit 9 at most without', async () => {
    const from = stolen.closed;
    const attack = attacks['the request ids of the provider made up'] as Attack;
    const other = await Forgery.of(stolen.internal.loot);
    const judge = (statement: unknown) => from.judge.sign(PayloadType.STATEMENT, statement);
    const trust = join(home, 'trust.yaml');
    writeFileSync(trust, from.trustText);
    const verify = async (name: string, files: BundleFiles, trusting: boolean) => {
      writeBundle(join(home, name), files);
      const ran = await tourniquet(['audit', 'verify', name, '--json', ...(trusting ? ['--trust', trust] : [])], { cwd: home });
      return { exit: ran.code, ...(JSON.parse(ran.out) as Verification) };
    };
    const forge = async (means: Means): Promise<BundleFiles> => {
      const forgery = await Forgery.of(from.loot);
      attack.make(forgery, { other, signedElsewhere: () => other.find('step').envelope });
      return forgery.export(means, judge);
    };
    expect(await verify('honest', from.files, true)).toMatchObject({ exit: 0, verdict: 'verified' });
    expect(await verify('honest', from.files, false)).toMatchObject({ exit: 9, verdict: 'consistent' });
    const exported = await verify('exported.zip', await forge({ ...plainly, statement: 'judge' }), true);
    expect(exported).toMatchObject({ exit: 1, verdict: 'broken' });
    expect(failing(exported)).toContain('records');
    const own = await forge({ ...plainly, ...ownWorld });
    const trusted = await verify('own.zip', own, true);
    expect(trusted).toMatchObject({ exit: 1, verdict: 'broken' });
    expect(failing(trusted)).toEqual(expect.arrayContaining(['manifest', 'trust', 'records']));
    // A world of its own is whole in itself, and that is all that can be said of it.
    expect(await verify('own.zip', own, false)).toMatchObject({ exit: 9, verdict: 'consistent' });
  });

  it('a removed incident is a gap in the register, however it was removed', async () => {
    const from = stolen.closed;
    const { incident, run } = openStatement(from.files).statement.predicate;
    const mine = (bytes: Uint8Array): boolean => openEntry(bytes).entry.run === run;
    const examined = async (register: ReadonlyMap<string, Uint8Array>, blobs: ReadonlyMap<string, Uint8Array>, anchored = false) => {
      const store = {
        list: async (prefix: string) => [...register.keys()].filter((name) => name.startsWith(prefix)).sort(),
        read: async (name: string) => register.get(name),
        has: async (hash: string) => blobs.has(hash),
        get: async (hash: string) => blobs.get(hash),
      } as unknown as BlobStore;
      const runs = { listed: [], state: async () => 'absent' as const };
      const anchors = anchored ? [{ name: 'an earlier bundle', files: from.files }] : [];
      const { gaps } = await examineRegister({ store, trust: from.trust, engine: from.trust.engine, anchors, runs });
      return gaps;
    };
    const { register, blobs } = from;
    expect(await examined(register, blobs)).toEqual([]);
    const withoutBlobs = new Map(
      [...blobs].filter(([hash]) => ![...register.values()].some((bytes) => mine(bytes) && openEntry(bytes).entry.record === hash)),
    );
    const withoutEntries = new Map([...register].filter(([, bytes]) => !mine(bytes)));
    const cut = new Map([...register].slice(0, [...register.values()].findIndex(mine)));
    const lastEntry = [...register.keys()].at(-1) ?? '';
    const rows = {
      'its records deleted': await examined(register, withoutBlobs),
      'its records and its entries deleted': await examined(withoutEntries, withoutBlobs, true),
      'everything from its first entry on deleted': await examined(cut, withoutBlobs, true),
      'its close deleted': await examined(new Map([...register].filter(([name]) => name !== lastEntry)), blobs),
    };
    console.table(
      Object.fromEntries(
        Object.entries(rows).map(([row, gaps]) => [row, gaps.map((gap) => `${gap.kind}: ${gap.words.slice(0, 120)}`).join('; ')]),
      ),
    );
    expect(rows['its records deleted']).toEqual([expect.objectContaining({ kind: GapKind.GONE, incident, run })]);
    expect(rows['its records and its entries deleted'].map((gap) => gap.kind)).toEqual(expect.arrayContaining([GapKind.UNREGISTERED]));
    expect(rows['its records and its entries deleted'].find((gap) => gap.incident === incident)).toBeDefined();
    expect(rows['everything from its first entry on deleted'].map((gap) => gap.kind)).toContain(GapKind.CUT_OFF);
    expect(rows['its close deleted']).toEqual([expect.objectContaining({ kind: GapKind.UNFINISHED, incident, run })]);
  });

  it('the trust files follow one from another, and decisions are judged by who was known then', async () => {
    const from = stolen.closed;
    const passphrase = new Secret('a passphrase for tests');
    const file = parseTrust(from.trustText, 'trust.yaml');
    const people = parsePeople(textOf(from.files.get(BundleFile.PEOPLE)) ?? '', 'people.yaml');
    const first: Edition = { trust: file.trust, people, signatures: file.signatures, countersignatures: [] };
    // Ada, who approved, has left since.
    const later: People = {
      ...people,
      people: people.people.map((person) => (person.id === 'ada' ? { ...person, roles: ['guest'] } : person)),
    };
    const draft = (change: Partial<Trust> = {}): Edition => ({
      trust: {
        ...first.trust,
        serial: 2,
        previous: hashOf(first.trust),
        proposedBy: 'ada',
        issuedAt: new Date().toISOString(),
        people: hashOf(later),
        ...change,
      },
      people: later,
      signatures: [],
      countersignatures: [],
    });
    const key = (path: string) => readKey(path, passphrase);
    const root = key(join(from.paths.root, 'root.json'));
    const signedBy = (edition: Edition, ...by: string[]): Edition =>
      by.reduce((each, id) => signEdition(each, key(from.paths.persons[id] as string)), signEdition(edition, root));
    const second = signedBy(draft(), 'ada', 'ben');
    const bundled = (last: Edition, earlier: Readonly<Record<string, string>>): BundleFiles => {
      const files = new Map([...from.files].filter(([path]) => path !== BundleFile.STATEMENT));
      files.set(BundleFile.TRUST, bytesOf(trustText(last)));
      files.set(BundleFile.PEOPLE, bytesOf(peopleText(last.people)));
      for (const [path, text] of Object.entries(earlier)) files.set(path, bytesOf(text));
      const { predicate } = openStatement(from.files).statement;
      const trust = { serial: last.trust.serial, hash: hashOf(last.trust) };
      const said = { ...predicate, trust, people: hashOf(last.people), madeAt: new Date().toISOString() };
      return sealBundle(files, said, (statement) => from.judge.sign(PayloadType.STATEMENT, statement));
    };
    const verdict = async (files: BundleFiles, trust: Trust): Promise<string> => {
      const result = await verifyBundle(files, { ...options(from, remembered(from)), trust });
      return failing(result).join(' ') || result.verdict;
    };
    const whole = bundled(second, { 'trust/1.yaml': editionText(first) });
    const forked = { ...first, trust: { ...first.trust, issuedAt: new Date(0).toISOString() } };
    const rows = {
      'both, by the first': await verdict(whole, first.trust),
      'both, by the second': await verdict(whole, second.trust),
      'the first left out': await verdict(bundled(second, {}), second.trust),
      'another first': await verdict(bundled(second, { 'trust/1.yaml': editionText(forked) }), second.trust),
      'a second that one person signed': await verdict(
        bundled(signedBy(draft(), 'ada'), { 'trust/1.yaml': editionText(first) }),
        first.trust,
      ),
      'a second of another first': await verdict(
        bundled(signedBy(draft({ previous: hashOf('another') }), 'ada', 'ben'), { 'trust/1.yaml': editionText(first) }),
        first.trust,
      ),
      'not the second that the auditor has': await verdict(whole, { ...second.trust, code: [] }),
      'people of the second under the first': await verdict(bundled({ ...first, people: later }, {}), first.trust),
    };
    console.table(rows);
    expect(rows['both, by the first']).toBe('verified');
    expect(rows['both, by the second']).toBe('verified');
    for (const [row, claims] of Object.entries(rows).slice(2)) expect([row, claims]).toEqual([row, expect.stringContaining('trust')]);
  });
});
