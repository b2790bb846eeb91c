import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strToU8, zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BundleFile, type BundleFiles, packBundle, readBundle, textOf, unpackBundle, writeBundle } from '../../audit/bundle.ts';
import { readKey } from '../../audit/keys.ts';
import { type Replay, type ReplayOutcome, replayInChild } from '../../audit/replay.ts';
import { signerFrom } from '../../audit/signing.ts';
import { openStatement } from '../../audit/statement.ts';
import { type ClaimKind, type Verification, type VerifyOptions, verifyBundle } from '../../audit/verify.ts';
import { codeOf } from '../../domain/errors.ts';
import { PayloadType } from '../../domain/record.ts';
import type { Trust } from '../../domain/trust.ts';
import { type WorkflowCode, workflowCode } from '../../workers/bundle.ts';
import { manifests, type Played, play } from './engine.ts';
import { randomOf, recompute, tampers } from './tampering.ts';

interface Made {
  readonly files: BundleFiles;
  readonly trust: Trust;
  readonly judge: string;
}
let home: string;
let release: WorkflowCode;
let internal: Made;
let exposed: Made;

const openGate = async (played: Played, id: string) => {
  await played.until((now) => now.gates.some((gate) => gate.id === id && gate.state === 'open'));
};
const approveAll = async (played: Played, id: string) => {
  await openGate(played, id);
  for (const by of ['ada', 'ben']) {
    const now = await played.status();
    if (now.gates.find((gate) => gate.id === id)?.state === 'open') await played.decide(by, id, 'approve');
  }
};
const madeOf = (played: Played, files: BundleFiles): Made => ({
  files,
  trust: played.trust.trust,
  judge: join(played.trust.paths.judge, 'signing.json'),
});

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'bundles-'));
  release = await workflowCode();
  internal = await play('acme/private', async (played) => {
    await openGate(played, 'g-outage');
    await played.decide('cleo', 'g-outage', 'approve');
    await played.decide('olga', 'g-outage', 'approve');
    await played.decide('ada', 'g-outage', 'approve', { run: 'an-earlier-run' });
    await approveAll(played, 'g-outage');
    await approveAll(played, 'g-irreversible');
    await played.until((now) => now.state === 'watching');
    return madeOf(played, (await played.export(false)).files);
  });
  exposed = await play('acme/public', async (played) => {
    await approveAll(played, 'g-irreversible');
    await played.until((now) => now.state === 'watching');
    played.later(37 * 3_600_000);
    return madeOf(played, (await played.export(true)).files);
  });
}, 120_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const optionsFor = (made: Made, change: Partial<VerifyOptions> = {}): VerifyOptions => ({
  trust: made.trust,
  manifests,
  release,
  replay: replayInChild,
  ...change,
});
const failing = (result: Verification): ClaimKind[] => result.claims.filter((claim) => !claim.ok).map((claim) => claim.kind);

describe('a bundle as the engine made it', () => {
  it('is verified, of a run that goes on and of one that has closed', async () => {
    for (const made of [internal, exposed]) {
      const result = await verifyBundle(made.files, optionsFor(made));
      expect(result.claims.filter((claim) => !claim.ok)).toEqual([]);
      expect(result.verdict).toBe('verified');
    }
    expect(textOf(exposed.files.get(BundleFile.REPORT))).toContain('"state": "closed"');
  });

  it('is consistent and not authenticated without a trust file that came by another way', async () => {
    const { trust: _, ...options } = optionsFor(internal);
    const result = await verifyBundle(internal.files, options);
    expect(result).toMatchObject({ verdict: 'consistent', code: 'audit.not-authenticated' });
    expect(failing(result)).toEqual([]);
  });

  it('is broken under the trust file of another engine', async () => {
    const result = await verifyBundle(internal.files, optionsFor(internal, { trust: exposed.trust }));
    expect(result.verdict).toBe('broken');
    expect(failing(result)).toContain('manifest');
    expect(failing(result)).toContain('records');
  });

  it('has its own code run only if the trust file given names it', async () => {
    const older = { code: '', hash: `sha256:${'0'.repeat(64)}` as const };
    const ran: string[] = [];
    const replay: Replay = async (input) => {
      ran.push(input.code);
      return replayInChild(input);
    };
    const named = await verifyBundle(internal.files, optionsFor(internal, { release: older, replay }));
    expect(named.verdict).toBe('verified');
    expect(ran).toEqual([textOf(internal.files.get(BundleFile.CODE))]);
    const unnamed = await verifyBundle(
      internal.files,
      optionsFor(internal, { release: older, replay, trust: { ...internal.trust, serial: 2, code: [] } }),
    );
    expect(unnamed).toMatchObject({ verdict: 'consistent', code: 'audit.unknown-code' });
    const { trust: _, ...untrusting } = optionsFor(internal, { release: older, replay });
    expect(await verifyBundle(internal.files, untrusting)).toMatchObject({ verdict: 'consistent', code: 'audit.unknown-code' });
    expect(ran).toHaveLength(1);
  });

  it('holds no secret and no script, and its page escapes what a reporter wrote', () => {
    const html = textOf(internal.files.get(BundleFile.REPORT_HTML)) ?? '';
    expect(html).toContain('&#60;script&#62;.env');
    expect(html).not.toMatch(/<script/i);
    expect(html).not.toMatch(/\son\w+=/i);
    expect(html).not.toMatch(/(src|href)=/i);
    expect(html).toContain('decision.wrong-role');
    expect(html).toContain('decision.own-incident');
    expect(html).toContain('decision.replayed');
    for (const made of [internal, exposed]) {
      for (const [path, bytes] of made.files) {
        for (const secret of ['wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxx', 'a new secret']) {
          for (const encoding of ['utf8', 'base64', 'hex'] as const) {
            const needle = Buffer.from(secret).toString(encoding).replace(/=+$/, '').slice(0, -2);
            expect([path, Buffer.from(bytes).includes(needle)]).toEqual([path, false]);
          }
        }
      }
    }
  });

  it('is the same from a folder and from a zip file', () => {
    writeBundle(join(home, 'folder'), internal.files);
    writeBundle(join(home, 'bundle.zip'), internal.files);
    const sorted = (files: BundleFiles) => [...files].map(([path, bytes]) => [path, Buffer.from(bytes).toString('base64')]).sort();
    expect(sorted(readBundle(join(home, 'folder')))).toEqual(sorted(internal.files));
    expect(sorted(readBundle(join(home, 'bundle.zip')))).toEqual(sorted(internal.files));
    expect(packBundle(internal.files)).toEqual(packBundle(new Map([...internal.files].reverse())));
  });
});

describe('a container that is no bundle', () => {
  it('is refused by name: paths that leave it, hidden files, links, names twice, what is no zip, what is not there', () => {
    const zip = (names: Record<string, Uint8Array>) => zipSync(names);
    const code = (work: () => unknown) => {
      try {
        work();
        return 'no error';
      } catch (error) {
        return codeOf(error);
      }
    };
    for (const name of ['../x', '/x', 'a/../x', 'records/..', '.hidden', 'a\\b', 'a//b', 'a/b/c/d', 'x'.repeat(200)]) {
      expect([name, code(() => unpackBundle(zip({ [name]: strToU8('x') })))]).toEqual([name, 'audit.broken']);
    }
    const twice = Buffer.from(zip({ 'aa.txt': strToU8('x'), 'ab.txt': strToU8('y') }));
    for (let at = twice.indexOf('ab.txt'); at >= 0; at = twice.indexOf('ab.txt')) twice.write('aa.txt', at);
    expect(code(() => unpackBundle(new Uint8Array(twice)))).toBe('audit.broken');
    expect(code(() => unpackBundle(strToU8('no zip')))).toBe('audit.broken');
    const folder = join(home, 'links');
    mkdirSync(folder);
    writeFileSync(join(folder, 'a.txt'), 'x');
    symlinkSync('/etc/passwd', join(folder, 'manifest.json'));
    expect(code(() => readBundle(folder))).toBe('audit.broken');
    expect(code(() => readBundle(join(home, 'nowhere')))).toBe('file.missing');
  });

  it('and an empty one fails every claim without throwing', async () => {
    const result = await verifyBundle(new Map(), optionsFor(internal));
    expect(result.verdict).toBe('broken');
    expect(failing(result)).toContain('manifest');
  });
});

/** 200 changes and more, by kind: as they stand, and with every hash made right that needs no key. */
describe('a single change is caught', { timeout: 240_000 }, () => {
  const seed = Number(process.env.TOURNIQUET_SEED ?? 20_261_124);
  const each = 15;
  const outcomes = new Map<Made, ReplayOutcome>();

  /** What the code asks for over the untouched history; a change that only this catches is shown to the code itself. */
  const remembered =
    (made: Made): Replay =>
    async () => {
      const known =
        outcomes.get(made) ??
        (await replayInChild({
          code: release.code,
          history: made.files.get(BundleFile.HISTORY) as Uint8Array,
          workflowId: openStatement(made.files).statement.predicate.incident,
        }));
      outcomes.set(made, known);
      return known;
    };

  async function caughtBy(made: Made, files: BundleFiles): Promise<ClaimKind[]> {
    const quick = failing(await verifyBundle(files, optionsFor(made, { replay: remembered(made) })));
    if (quick.some((kind) => kind !== 'replay')) return quick;
    return failing(await verifyBundle(files, optionsFor(made)));
  }

  /** How many were made and how many caught, by kind of change; printed at the end, so that a kind that did not happen is seen. */
  const table: Record<string, { 'as it stands': string; 'hashes made right': string; 'caught by': string }> = {};
  const count = (kind: string, mode: 'as it stands' | 'hashes made right', caught: readonly (readonly ClaimKind[])[]): void => {
    const entry = table[kind] ?? { 'as it stands': '', 'hashes made right': '', 'caught by': '' };
    entry[mode] = `${caught.filter((claims) => claims.length > 0).length} of ${caught.length}`;
    entry['caught by'] = [...new Set([...entry['caught by'].split(' '), ...caught.flat()])].filter(Boolean).sort().join(' ');
    table[kind] = entry;
  };
  afterAll(() => console.table(table));

  describe.each(Object.keys(tampers))('%s:', (kind) => {
    const changes = [...Array(each).keys()].map((n) => ({ n, made: () => (n % 3 === 0 ? exposed : internal) }));
    const tampered = (n: number, made: Made) => {
      const files = new Map(made.files);
      const random = randomOf(seed + n * 7919 + kind.length * 104_729 + kind.charCodeAt(0));
      return { files, what: tampers[kind]?.(files, random) ?? '' };
    };

    it('as it stands', async () => {
      const caught: ClaimKind[][] = [];
      for (const { n, made } of changes) {
        const { files, what } = tampered(n, made());
        const claims = await caughtBy(made(), files);
        caught.push(claims);
        expect({ kind, seed, n, what, caught: claims.length > 0 }).toMatchObject({ caught: true });
      }
      count(kind, 'as it stands', caught);
    });

    it('with every unkeyed hash made right', async () => {
      const caught: ClaimKind[][] = [];
      for (const { n, made } of changes) {
        const { files, what } = tampered(n, made());
        recompute(files, made().files);
        const claims = await caughtBy(made(), files);
        caught.push(claims);
        expect({ kind, seed, n, what, caught: claims.length > 0 }).toMatchObject({ caught: true });
      }
      count(kind, 'hashes made right', caught);
    });
  });

  // What a judge's key alone cannot make good, should somebody have it for the manifest only.
  it.each(['payload', 'decision', 'signature', 'record', 'body', 'report', 'chain', 'added'])(
    '%s: even where the list of files is signed anew',
    async (kind) => {
      for (let n = 0; n < 6; n++) {
        const made = n % 3 === 0 ? exposed : internal;
        const files = new Map(made.files);
        const what = tampers[kind]?.(files, randomOf(seed + n * 6151 + kind.length)) ?? '';
        if (what.includes(BundleFile.STATEMENT)) continue;
        const signer = signerFrom(readKey(made.judge));
        recompute(files, made.files, (statement) => signer.sign(PayloadType.STATEMENT, statement));
        expect({ kind, n, what, caught: (await caughtBy(made, files)).length > 0 }).toMatchObject({ caught: true });
      }
    },
  );
});
