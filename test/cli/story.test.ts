import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dataConverterFor, openKeyring } from '../../audit/codec.ts';
import type { SignedDecision } from '../../domain/decision.ts';
import { SearchAttribute } from '../../domain/messages.ts';
import { startTemporal, type TemporalServer } from '../../lab/servers/temporal.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { gitleaks, keyId, secretKey } from '../intake/samples.ts';
import { gate, type Journal, newJournal, type Script, scriptedActivities, step } from '../saga/scripted-world.ts';
import { madeEngine, passphrase, type Ran, tourniquet } from './harness.ts';

let engine: Awaited<ReturnType<typeof madeEngine>>;
let server: TemporalServer;
let connection: NativeConnection;
let code: string;
let passphraseFile: string;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  code = (await workflowCode()).code;
  engine = await madeEngine();
  passphraseFile = join(engine.folder, '..', 'passphrase');
  server = await startTemporal({ directory: join(engine.folder, '..'), headless: true, searchAttributes: Object.values(SearchAttribute) });
  const file = join(engine.folder, 'tourniquet.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/address: .*/, `address: ${server.address}`));
  connection = await NativeConnection.connect({ address: server.address });
}, 90_000);
afterAll(async () => {
  await connection?.close();
  await server?.stop();
  engine?.remove();
});

/** One command of a responder; `by` has the passphrase from a file. */
const run = (argv: readonly string[], stdin?: string): Promise<Ran> =>
  tourniquet(argv, {
    cwd: engine.folder,
    environment: { TOURNIQUET_PASSPHRASE_FILE: passphraseFile },
    ...(stdin === undefined ? {} : { stdin }),
  });

async function while_(script: Script, body: (journal: Journal) => Promise<void>, more: object = {}): Promise<void> {
  const journal = newJournal();
  const dataConverter = dataConverterFor(openKeyring(join(engine.folder, 'keys/operator/codec.json')));
  const common = { connection, namespace: 'default', dataConverter, activities: { ...scriptedActivities(script, journal), ...more } };
  const judge = await Worker.create({
    ...common,
    taskQueue: 'tourniquet',
    workflowBundle: { code },
    sinks: { audit: { scheduled: { fn() {} } } },
  });
  const provider = await Worker.create({ ...common, taskQueue: 'tourniquet-test-one' });
  await judge.runUntil(provider.runUntil(() => body(journal)));
}

let count = 0;
/** Reports a key of its own, and waits until the incident asks. */
async function asked(): Promise<{ readonly id: string; readonly hash: string }> {
  count += 1;
  const reported = await run([
    'report',
    '--note',
    `report ${count}`,
    '--url',
    `https://tickets.example.com/${process.pid}/${count}`,
    '--json',
  ]);
  expect(reported).toMatchObject({ code: 0, err: '' });
  const { received } = JSON.parse(reported.out) as { received: { id: string }[] };
  const id = received[0]?.id ?? '';
  expect(await run(['watch', id, '--until', 'decision'])).toMatchObject({ code: 8 });
  const plan = await run(['plan', id]);
  expect(plan.code).toBe(8);
  const hash = /Plan: \d steps?, \d cannot be undone, 1 approval needed\. plan (sha256:[0-9a-f]{64})\n$/.exec(plan.out)?.[1];
  if (hash === undefined) throw new Error(`no last line: ${plan.out}`);
  return { id, hash };
}
const asking: Script = {
  plan: (round) =>
    round === 1
      ? {
          purpose: 'rotate',
          gates: [gate('g1')],
          steps: [step('s1', { gate: 'g1' }), step('s2', { gate: 'g1', needs: ['s1'], reversibility: 'irreversible' })],
        }
      : { steps: [] },
};
const approve = (id: string, hash: string) => ['approve', id, '--plan', hash, '--reason', 'a test', '--as', 'alice'];

describe('decisions from the command line', () => {
  test('an approval of the plan that was shown lets it go on, and the watch ends with the incident', async () => {
    await while_(asking, async (journal) => {
      const { id, hash } = await asked();
      expect(await run(approve(id, hash))).toMatchObject({ code: 0, out: expect.stringContaining('✓ approve of g1 by sam counts') });
      const watched = await run(['watch', id]);
      expect(watched.code).toBe(0);
      expect(watched.out).toContain('✓ done     s2');
      expect(watched.out).toContain('state: closed');
      const signed = journal.inputs.rule[0]?.signed as SignedDecision;
      expect(JSON.parse(Buffer.from(signed.payload, 'base64').toString())).toMatchObject({
        by: 'alice',
        planHash: hash,
        incident: id,
        verdict: 'approve',
        reason: 'a test',
      });
      expect((await run(['show', id])).code).toBe(0);
    });
  });

  test.each([
    ['decision.wrong-role', 3],
    ['decision.stale', 5],
  ] as const)('a decision refused with %s ends with %i and says what to do', async (refusal, exit) => {
    await while_({ ...asking, rule: () => ({ accepted: false, code: refusal, why: 'a test says so' }) }, async () => {
      const { id, hash } = await asked();
      const ran = await run(approve(id, hash));
      expect(ran.code).toBe(exit);
      expect(ran.out).toContain(`(${refusal})`);
      expect(ran.out).toContain('a test says so');
      expect(ran.out).toMatch(/ do: {4}\S/);
      expect(JSON.parse((await run([...approve(id, hash), '--json'])).out)).toMatchObject({ accepted: false, code: refusal });
    });
  });

  test('an approval that counts while more are needed ends with 8', async () => {
    await while_({ ...asking, rule: () => ({ missing: 1 }) }, async () => {
      const { id, hash } = await asked();
      expect(await run(approve(id, hash))).toMatchObject({ code: 8, out: expect.stringContaining('1 more needed') });
    });
  });

  test('a stale hash is sent, so that its refusal stands in the record; one that was only begun and does not fit is not', async () => {
    await while_(asking, async (journal) => {
      const { id, hash } = await asked();
      const stale = `sha256:${'0'.repeat(64)}`;
      await run(approve(id, stale));
      const signed = journal.inputs.rule[0]?.signed as SignedDecision;
      expect(JSON.parse(Buffer.from(signed.payload, 'base64').toString())).toMatchObject({ planHash: stale });
      expect(await run(approve(id, '000000000000'))).toMatchObject({ code: 5, out: '' });
      expect(journal.inputs.rule).toHaveLength(1);
      expect(await run(approve(id, 'yes'))).toMatchObject({ code: 5, out: '' });
      expect(hash).not.toBe(stale);
    });
  });

  test('a wrong passphrase, a key of nobody and a missing reason sign nothing', async () => {
    await while_(asking, async (journal) => {
      const { id, hash } = await asked();
      const wrong = join(engine.folder, '..', 'wrong');
      writeFileSync(wrong, 'guess\n', { mode: 0o600 });
      expect(await run([...approve(id, hash), '--passphrase-file', wrong])).toMatchObject({
        code: 4,
        err: expect.stringContaining('(key.wrong-passphrase)'),
      });
      expect(await run(['approve', id, '--plan', hash, '--reason', 'x', '--as', 'mallory'])).toMatchObject({
        code: 4,
        err: expect.stringContaining('(key.missing)'),
      });
      expect(await run(['approve', id, '--plan', hash, '--as', 'alice'])).toMatchObject({
        code: 2,
        err: expect.stringContaining('(usage.invalid)'),
      });
      expect(await run(['approve', id, '--plan', hash, '--reason', 'x', '--as', '../alice'])).toMatchObject({ code: 2 });
      expect(journal.inputs.rule).toHaveLength(0);
    });
  });

  test('a signed decision is one JSON text on stdout, which the signal takes', async () => {
    await while_(asking, async (journal) => {
      const { id } = await asked();
      const ran = await run(['decision', 'sign', id, '--verdict', 'approve', '--gate', 'g1', '--reason', 'a test', '--as', 'bob']);
      expect(ran.code).toBe(0);
      const signed = JSON.parse(ran.out) as SignedDecision;
      expect(Object.keys(signed).sort()).toEqual(['payload', 'payloadType', 'signatures']);
      const { createClient } = await import('../../client/index.ts');
      const client = createClient({ address: server.address });
      await client.temporal.workflow.getHandle(id).signal('approve', signed);
      await client.close();
      expect((await run(['watch', id])).code).toBe(0);
      expect(journal.inputs.rule[0]).toMatchObject({ via: 'approve', signed });
    });
  });

  test('a rollback ends with 6 in the watch', async () => {
    await while_({ ...asking, rule: (input) => (input.via === 'decide' ? { verdict: 'rollback', gate: 'incident' } : {}) }, async () => {
      const { id } = await asked();
      expect(await run(['rollback', id, '--reason', 'a test', '--as', 'alice'])).toMatchObject({ code: 0 });
      expect(await run(['watch', id])).toMatchObject({ code: 6 });
      expect(await run(['watch', id, '--until', 'closed'])).toMatchObject({ code: 6 });
    });
  });

  test('an undo that fails leaves the incident stuck: watch, show and list say so, and finish ends it once a look shows that it is done', async () => {
    let byHand = false;
    const revert = async () => {
      throw ApplicationFailure.nonRetryable('no permission', 'provider.denied');
    };
    const said = (signed: unknown) =>
      JSON.parse(Buffer.from((signed as SignedDecision).payload, 'base64').toString()) as { verdict: 'approve'; gate: string };
    await while_(
      {
        // Nothing here is past undoing: what an irreversible step needed would be left as it is.
        plan: (round) => (round === 1 ? { purpose: 'rotate', gates: [gate('g1')], steps: [step('s1', { gate: 'g1' })] } : { steps: [] }),
        settled: () => false,
        rule: ({ signed }) => said(signed),
        inspect: () => (byHand ? 'no' : 'yes'),
      },
      async () => {
        const { id, hash } = await asked();
        await run(approve(id, hash));
        expect(await run(['watch', id, '--until', 'watching'])).toMatchObject({ code: 0 });
        expect(await run(['rollback', id, '--reason', 'a test', '--as', 'alice'])).toMatchObject({ code: 0 });
        expect(await run(['watch', id, '--until', 'stuck'])).toMatchObject({ code: 7 });
        const shown = await run(['show', id]);
        expect(shown.code).toBe(7);
        expect(shown.out).toContain('Stuck: finish by hand');
        expect(shown.out).toMatch(/‼ stuck +s1/);
        const listed = async () => JSON.parse((await run(['list', '--stuck', '--json'])).out) as { id: string }[];
        await expect.poll(async () => (await listed()).map((each) => each.id), { timeout: 10_000 }).toEqual([id]);
        expect(await run(['finish', id])).toMatchObject({ code: 7, out: expect.stringContaining(' s1\n') });
        expect(await run(['finish', id, 's1'])).toMatchObject({ code: 7, out: expect.stringContaining('s1 is not finished') });
        byHand = true;
        expect(await run(['finish', id, 's1'])).toMatchObject({
          code: 0,
          out: expect.stringContaining('s1 is finished, and was seen to be'),
        });
        expect(await run(['watch', id, '--until', 'closed'])).toMatchObject({ code: 6 });
        await expect.poll(listed, { timeout: 10_000 }).toEqual([]);
      },
      { revert },
    );
  });
});

describe('reports from the command line', () => {
  test('good entries go on while bad ones are named, and the exit code says that not all went well', async () => {
    const ran = await run(['report', '-', '--where', 'repository'], JSON.stringify([gitleaks(), 7, gitleaks({ StartLine: 9 })], null, 1));
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(/report\.entry-unusable\)\n {2}where: entry 2, line \d+, column 2\n {2}why: {3}a number stands/);
    expect(ran.out).toContain('2 received, of 1 credential.');
  });

  test('a secret on stdin is in no answer, no error and no file, in no encoding', async () => {
    const ran = await run(['report', '--secret-stdin', '--key-id', keyId, '--where', 'chat'], `${secretKey}\n`);
    expect(ran.code).toBe(0);
    const files: string[] = [];
    const walk = (folder: string) => {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) walk(path);
        else if (statSync(path).size < 50_000_000) files.push(readFileSync(path, 'latin1'));
      }
    };
    walk(join(engine.folder, '..'));
    expect(files.length).toBeGreaterThan(10);
    for (const form of [
      secretKey,
      Buffer.from(secretKey).toString('base64'),
      Buffer.from(secretKey).toString('hex'),
      encodeURIComponent(secretKey),
    ]) {
      for (const text of [ran.out, ran.err, ...files]) expect(text.includes(form)).toBe(false);
    }
  });

  test('a report signed by a person carries the signature of exactly that report', async () => {
    await while_(asking, async (journal) => {
      const ran = await run(['report', '--url', `https://tickets.example.com/${process.pid}/signed`, '--as', 'carol', '--json']);
      const { received } = JSON.parse(ran.out) as { received: { id: string }[] };
      await run(['watch', received[0]?.id ?? '', '--until', 'decision']);
      const sighting = journal.inputs.receive.find((input) => input.incident === received[0]?.id)?.sightings[0];
      expect(sighting?.report.reporter).toBe('carol');
      expect(JSON.parse(Buffer.from(sighting?.signature?.payload ?? '', 'base64').toString())).toEqual(sighting?.report);
    });
  });
});

test('list and doctor tell of the server as it is', async () => {
  await expect.poll(async () => JSON.parse((await run(['list', '--json'])).out).length, { timeout: 10_000 }).toBeGreaterThan(3);
  expect((await run(['list', '--kind', 'none.such'])).out).toBe('No incident fits.\n');
  const doctor = await run(['doctor']);
  expect(doctor.code).toBe(1);
  expect(doctor.out).toContain('✓ yes      search attributes are registered');
  expect(doctor.out).toMatch(/✕ no .*a worker polls tourniquet-aws-609629065308: .*nobody does/);
  expect(doctor.out).toMatch(/✕ no .*the root is offline/);
  expect(passphrase).not.toBe('');
});
