import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { dataConverterFor } from '../../audit/codec.ts';
import { newKey, trustedKeyOf } from '../../audit/keys.ts';
import {
  createClient,
  draftByHand,
  parseReports,
  type Report,
  Secret,
  sealInto,
  signDecision,
  signerFrom,
  type TourniquetClient,
} from '../../client/index.ts';
import { incidentId } from '../../domain/credential.ts';
import { codeOf } from '../../domain/errors.ts';
import type { IncidentStatus } from '../../domain/messages.ts';
import { SearchAttribute } from '../../domain/messages.ts';
import type { Trust } from '../../domain/trust.ts';
import { startTemporal, type TemporalServer } from '../../lab/servers/temporal.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { gitleaks, keyId, secretKey, trufflehog } from '../intake/samples.ts';
import { gate, type Journal, newJournal, type Script, scriptedActivities, step } from '../saga/scripted-world.ts';

let server: TemporalServer;
let folder: string;
let code: string;
let connection: NativeConnection;
let client: TourniquetClient;
let drop: string;
const period = { from: '2026-01-01T00:00:00.000Z', until: '2036-01-01T00:00:00.000Z' };
const sealing = newKey({ role: 'sealing', ...period, provider: 'aws', account: '609629065308' });
const person = newKey({ role: 'person', ...period, person: 'alice' });
const trust: Trust = {
  v: 1,
  engine: 'eng_test',
  serial: 1,
  issuedAt: period.from,
  keys: [trustedKeyOf(sealing), trustedKeyOf(person)],
  people: `sha256:${'0'.repeat(64)}`,
  code: [],
};

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  folder = mkdtempSync(join(tmpdir(), 'tourniquet-client-'));
  drop = join(folder, 'drop');
  code = (await workflowCode()).code;
  server = await startTemporal({ directory: folder, headless: true, searchAttributes: Object.values(SearchAttribute) });
  connection = await NativeConnection.connect({ address: server.address });
}, 90_000);
afterAll(async () => {
  await connection?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  client = createClient({
    address: server.address,
    dataConverter: dataConverterFor(),
    reporter: 'tester',
    seal: sealInto({ trust, drop }),
  });
});
afterEach(async () => {
  await client.close();
});

/** Runs judge and provider over a script while `body` runs. */
async function while_(script: Script, body: (journal: Journal) => Promise<void>): Promise<void> {
  const journal = newJournal();
  const common = {
    connection,
    namespace: 'default',
    dataConverter: dataConverterFor(),
    activities: { ...scriptedActivities(script, journal) },
  };
  const judge = await Worker.create({
    ...common,
    taskQueue: 'tourniquet',
    workflowBundle: { code },
    sinks: { audit: { scheduled: { fn() {} } } },
  });
  const provider = await Worker.create({ ...common, taskQueue: 'tourniquet-test-one' });
  await judge.runUntil(provider.runUntil(() => body(journal)));
}

const nothing: Script = { plan: () => ({ steps: [] }), settled: () => true };
const asking: Script = {
  plan: (round) => (round === 1 ? { steps: [step('s1', { gate: 'g1' })], gates: [gate('g1')] } : { steps: [] }),
  settled: () => false,
};
let count = 0;
/** A report of a credential that no other test has. */
const fresh = (more: Partial<Report> = {}) => ({
  ...draftByHand({ where: 'chat' }),
  credential: { kind: 'test.key', locator: { id: `K${process.pid}-${++count}` } },
  ...more,
});
async function settled(id: string, fits: (status: IncidentStatus) => boolean): Promise<IncidentStatus> {
  for await (const status of client.incident(id).watch({ everyMs: 50 })) if (fits(status)) return status;
  throw new Error('the run has ended before');
}

describe('reporting', () => {
  test('a report gives the id that follows from the credential, and nothing else', async () => {
    const draft = fresh();
    expect(await client.report(draft)).toEqual({ id: incidentId(draft.credential), received: true });
  });

  test('twenty reports of one key by three ways at once are one incident, and every sighting is sent on', async () => {
    const drafts = [
      ...parseReports(JSON.stringify(trufflehog())).drafts,
      ...parseReports(JSON.stringify([gitleaks()])).drafts,
      draftByHand({ keyId, where: 'ticket' }),
    ];
    const sent = await Promise.all(
      Array.from({ length: 20 }, (_, at) => client.report(drafts[at % 3] ?? fresh(), { reporter: `reporter ${at}` })),
    );
    expect(new Set(sent.map(({ id }) => id)).size).toBe(1);
    await while_(nothing, async (journal) => {
      await client.incident(sent[0]?.id ?? '').result();
      const own = journal.inputs.receive.filter((input) => input.incident === sent[0]?.id);
      const reports = own.flatMap((input) => input.sightings.map((sighting) => sighting.report));
      expect(new Set(reports.map((report) => report.id)).size).toBe(20);
      expect(new Set(reports.map((report) => report.format))).toEqual(new Set(['trufflehog', 'gitleaks', 'manual']));
    });
  });

  test('a report after the close starts another run of the same incident, also within a second of the first', async () => {
    const draft = fresh();
    await while_(nothing, async () => {
      const { id } = await client.report(draft);
      const first = await client.incident(id).result();
      await client.report({ ...draft, note: 'seen again' });
      const second = await client.incident(id).result();
      expect(second.id).toBe(first.id);
      expect(second.run).not.toBe(first.run);
    });
  });

  test('the same report has the same id however often it is made, and another reporter makes it another', async () => {
    const draft = fresh();
    await while_(asking, async (journal) => {
      const { id } = await client.report([draft, { ...draft, seenAt: '2026-06-01T00:00:00.000Z' }]).then(([one]) => one as { id: string });
      await client.report(draft, { reporter: 'somebody else' });
      await settled(id, (status) => status.sightings >= 2);
      const ids = journal.inputs.receive.flatMap((input) => input.sightings.map((sighting) => sighting.report.id));
      expect(new Set(ids).size).toBe(2);
    });
  });

  test('a secret is sealed before it is sent: it is in no message and in no file', async () => {
    const [draft] = parseReports(JSON.stringify(trufflehog({ Raw: 'AKIAY34FZKBOKMUTVV7A' }))).drafts;
    if (draft === undefined) throw new Error('no draft');
    const { id } = await client.report(draft);
    const history = await client.temporal.workflow.getHandle(id).fetchHistory();
    const everything = [
      JSON.stringify(history),
      Buffer.from(
        JSON.stringify(
          history.events?.flatMap(
            (event) =>
              event.workflowExecutionSignaledEventAttributes?.input?.payloads?.map((payload) =>
                Buffer.from(payload.data ?? []).toString('utf8'),
              ) ?? [],
          ),
        ),
      ).toString(),
    ].join('\n');
    expect(everything).toContain('"sealed"'.replaceAll('"', '\\"'));
    const blobs = readdirSync(drop).map((name) => readFileSync(join(drop, name), 'latin1'));
    expect(blobs.length).toBeGreaterThan(0);
    for (const form of [secretKey, Buffer.from(secretKey).toString('base64'), Buffer.from(secretKey).toString('hex')]) {
      expect(everything).not.toContain(form);
      for (const blob of blobs) expect(blob).not.toContain(form);
    }
  });

  test('without a way to seal, a report with a secret is refused, and without its secret it is not sent', async () => {
    const bare = createClient({ address: server.address, dataConverter: dataConverterFor() });
    const draft = { ...fresh(), secret: new Secret('hush') };
    await expect(bare.report(draft).catch((error: unknown) => Promise.reject(codeOf(error)))).rejects.toBe('report.no-secret-store');
    await expect(
      bare
        .incident(incidentId(draft.credential))
        .status()
        .catch((error: unknown) => Promise.reject(codeOf(error))),
    ).rejects.toBe('engine.not-found');
    await bare.close();
  });

  test('a secret that no worker of ours could open is not sent, and the report goes as a claim', async () => {
    const draft = { ...fresh(), secret: new Secret('of another system') };
    const before = readdirSync(drop).length;
    const { id } = await client.report(draft);
    expect(readdirSync(drop).length).toBe(before);
    expect(id).toBe(incidentId(draft.credential));
  });
});

describe('following and deciding', () => {
  test('a watch yields what is new, sees the decision count, and ends with the run', async () => {
    const states: string[] = [];
    await while_({ ...asking, settled: (round) => round > 1 }, async () => {
      const { id } = await client.report(fresh());
      for await (const status of client.incident(id).watch({ everyMs: 50 })) {
        states.push(status.state);
        if (status.gates.some((one) => one.state === 'open') && status.gates[0]?.approvals.length === 0) {
          const ruling = await client.incident(id).decide(decisionOn(status));
          expect(ruling).toMatchObject({ accepted: true });
        }
      }
      expect((await client.incident(id).result()).state).toBe('closed');
    });
    expect(states).toContain('deciding');
    expect(states.at(-1)).toBe('closed');
    expect(new Set(states).size).toBeGreaterThan(2);
  });

  test('a refused decision is a ruling and no exception, and the same decision sent again gives the same ruling', async () => {
    await while_({ ...asking, rule: () => ({ accepted: false, code: 'decision.wrong-role', why: 'no' }) }, async (journal) => {
      const { id } = await client.report(fresh());
      const status = await settled(id, (now) => now.gates.some((one) => one.state === 'open'));
      const signed = decisionOn(status);
      expect(await client.incident(id).decide(signed)).toMatchObject({ accepted: false, code: 'decision.wrong-role' });
      expect(await client.incident(id).decide(signed)).toMatchObject({ accepted: false, code: 'decision.wrong-role' });
      expect(journal.inputs.rule).toHaveLength(1);
    });
  });

  test('what has not the shape of a decision is refused as malformed', async () => {
    await while_(asking, async () => {
      const { id } = await client.report(fresh());
      await settled(id, (now) => now.round > 0);
      expect(await client.incident(id).decide({ payloadType: 'x', payload: '', signatures: [] })).toMatchObject({
        accepted: false,
        code: 'decision.malformed',
      });
    });
  });

  test('a decision after the end says so', async () => {
    await while_(nothing, async () => {
      const { id } = await client.report(fresh());
      await client.incident(id).result();
      const signed = { payloadType: 'x', payload: 'e30=', signatures: [{ keyid: 'k', sig: 's' }] };
      await expect(
        client
          .incident(id)
          .decide(signed)
          .catch((error: unknown) => Promise.reject(codeOf(error))),
      ).rejects.toBe('decision.no-such-gate');
    });
  });

  test('an id may be eight characters of the fingerprint; what fits nothing or is too short is told apart', async () => {
    const { id } = await client.report(fresh());
    await expect.poll(() => client.resolveId(id.slice(5, 13)).catch(() => undefined), { timeout: 10_000 }).toBe(id);
    expect(await client.resolveId(id)).toBe(id);
    await expect(client.resolveId('0000000000').catch((error: unknown) => Promise.reject(codeOf(error)))).rejects.toBe('engine.not-found');
    await expect(client.resolveId('abc').catch((error: unknown) => Promise.reject(codeOf(error)))).rejects.toBe('usage.invalid');
    const listed: string[] = [];
    for await (const incident of client.list({ kind: 'test.key', open: true })) listed.push(incident.id);
    expect(listed).toContain(id);
    for await (const incident of client.list({ kind: 'other.kind' })) expect.unreachable(incident.id);
  });

  test('a run that is terminated from outside ends the watch with a fault, and does not hang it', async () => {
    const { id } = await client.report(fresh());
    await while_(asking, async () => {
      await settled(id, (now) => now.gates.some((one) => one.state === 'open'));
      await client.temporal.workflow.getHandle(id).terminate('by a test');
      const watching = async () => {
        for await (const _ of client.incident(id).watch({ everyMs: 20 }));
      };
      await expect(watching().catch((error: unknown) => Promise.reject(codeOf(error)))).rejects.toBe('engine.unexpected');
      await expect(
        client
          .incident(id)
          .result()
          .catch((error: unknown) => Promise.reject(codeOf(error))),
      ).rejects.toBe('engine.unexpected');
    });
  });

  test('nobody at the address is said at once', async () => {
    const away = createClient({ address: '127.0.0.1:1' });
    await expect(away.connect().catch((error: unknown) => Promise.reject(codeOf(error)))).rejects.toBe('engine.unavailable');
    await away.close();
  });
});

test('a connection or a client of one’s own is used as it is, and left open', async () => {
  const own = await Connection.connect({ address: server.address });
  const one = createClient({ connection: own });
  await one.connect();
  const two = createClient({ client: one.temporal as Client });
  await two.connect();
  await one.close();
  await two.close();
  await own.workflowService.getSystemInfo({});
  await own.close();
});

/** Last, as it takes the server away from everybody. */
test('watch and result outlive a server that is killed and started again', async () => {
  const statuses: IncidentStatus[] = [];
  const { id } = await client.report(fresh());
  const port = Number(server.address.split(':')[1]);
  const over = new AbortController();
  await while_(asking, async () => {
    await settled(id, (now) => now.gates.some((one) => one.state === 'open'));
  });
  const watching = (async () => {
    for await (const status of client.incident(id).watch({ everyMs: 50, signal: over.signal })) {
      statuses.push(status);
      if (status.state === 'closed') return;
    }
  })();
  const result = client.incident(id).result();
  await server.stop();
  server = await startTemporal({ directory: folder, headless: true, port, searchAttributes: Object.values(SearchAttribute) });
  await connection.close();
  connection = await NativeConnection.connect({ address: server.address });
  await while_({ ...asking, settled: (round) => round > 1 }, async () => {
    await expect.poll(() => statuses.length, { timeout: 30_000 }).toBeGreaterThan(0);
    const status = statuses.at(-1);
    if (status === undefined) throw new Error('no status');
    await expect
      .poll(
        () =>
          client
            .incident(id)
            .decide(decisionOn(status))
            .then(
              (ruling) => ruling.accepted,
              () => false,
            ),
        { timeout: 30_000 },
      )
      .toBe(true);
    await watching;
    expect((await result).state).toBe('closed');
  });
}, 120_000);

function decisionOn(status: IncidentStatus) {
  return signDecision(
    {
      v: 1,
      engine: 'eng_test',
      incident: status.id,
      run: status.run,
      round: status.round,
      gate: 'g1',
      planHash: status.planHash ?? `sha256:${'0'.repeat(64)}`,
      evidenceHead: status.head,
      verdict: 'approve',
      reason: 'a test',
      by: 'alice',
      id: `dec_${status.run}`,
      issuedAt: new Date().toISOString(),
      expiresAt: new Date(Date.now() + 60_000).toISOString(),
    },
    signerFrom(person),
  );
}
