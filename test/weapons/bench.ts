import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JudgeDeps } from '../../activities/deps.ts';
import { createReceive } from '../../activities/report.ts';
import { newKey, rawPrivate, trustedKeyOf } from '../../audit/keys.ts';
import { createRecords } from '../../audit/records.ts';
import { signerFrom, verifyEnvelope } from '../../audit/signing.ts';
import { type BlobStore, openDirectoryStore } from '../../audit/store.ts';
import { reportId } from '../../client/report.ts';
import { hashOf } from '../../domain/canonical.ts';
import { incidentId } from '../../domain/credential.ts';
import type { ReceiveResult } from '../../domain/messages.ts';
import { parsePolicy } from '../../domain/policy.schema.ts';
import { PayloadType } from '../../domain/record.ts';
import type { IssuerWord, Report, ReportRecord, Sighting } from '../../domain/report.ts';
import type { Trust } from '../../domain/trust.ts';
import { loadInventory } from '../../inventory/index.ts';
import { manifests } from '../../providers/manifests.ts';

export const policyText = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
export const policy = parsePolicy(policyText, 'policies/default.yaml');

export const keyId = 'AKIAY34FZKBOKMUTVV7A';
export const otherKeyId = 'AKIAY34FZKBOL3EXAMPL';
export const openPlace = 'https://git.example.test/acme/open';
export const innerPlace = 'https://git.example.test/acme/inner';
export const webhookSecret = 'the webhook secret of acme';

const start = Date.parse('2026-03-01T12:00:00.000Z');
const period = { from: '2026-01-01T00:00:00.000Z', until: '2027-01-01T00:00:00.000Z' };
const keys = {
  judge: newKey({ role: 'judge', ...period }),
  worker: newKey({ role: 'worker', ...period, provider: 'aws', account: '609629065308' }),
  vault: newKey({ role: 'worker', ...period, provider: 'vault', account: 'main' }),
  scanner: newKey({ role: 'person', ...period, person: 'scanner' }),
  rita: newKey({ role: 'person', ...period, person: 'rita' }),
  stranger: newKey({ role: 'person', ...period, person: 'scanner' }),
};
export const engine = 'eng_here';
export const trust: Trust = {
  v: 1,
  engine,
  serial: 1,
  issuedAt: period.from,
  keys: Object.values(keys)
    .filter((key) => key !== keys.stranger)
    .map(trustedKeyOf),
  people: hashOf('people'),
  code: [],
};
export const signers = Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, signerFrom(key)])) as Record<
  keyof typeof keys,
  ReturnType<typeof signerFrom>
>;

/** The secrets of this bench by their names: the private keys, and what webhooks are signed with. */
export const secrets: Readonly<Record<string, string>> = {
  'the secret of webhooks': webhookSecret,
  ...Object.fromEntries(
    Object.entries(keys).map(([name, key]) => [`the private key of ${name}`, Buffer.from(rawPrivate(key)).toString('base64')]),
  ),
};

/** A judge's intake over a real store, real records and real keys, and a clock that is set by hand. */
export interface Desk {
  readonly directory: string;
  readonly store: BlobStore;
  now: number;
  at(ms: number): string;
  records(by: keyof typeof keys): ReturnType<typeof createRecords>;
  receive(
    run: string,
    ...sightings: readonly Sighting[]
  ): Promise<{ readonly result: ReceiveResult; readonly bodies: readonly ReportRecord[] }>;
  close(): void;
}

export function openDesk(): Desk {
  const directory = mkdtempSync(join(tmpdir(), 'tourniquet-weapons-'));
  const store = openDirectoryStore(directory, new Uint8Array(32).fill(7));
  const recordsOf = (by: keyof typeof keys) =>
    createRecords({ store, signer: signers[by], trust: () => trust, engine, clock: () => new Date(desk.now) });
  const desk: Desk = {
    directory,
    store,
    now: start,
    at: (ms) => new Date(desk.now + ms).toISOString(),
    records: recordsOf,
    async receive(run, ...sightings) {
      const credential = sightings[0]?.report.credential;
      if (credential === undefined) throw new Error('nothing is sent');
      const result = await receive({
        incident: incidentId(credential),
        run,
        round: 0,
        sightings,
        earlier: [],
        undecodable: 0,
        opening: true,
      });
      const bodies = await Promise.all(result.reports.map(async (hash) => (await records.read(hash, 'report')).body));
      return { result, bodies };
    },
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
  const records = recordsOf('judge');
  const inventory = loadInventory(
    `v: 1\nrepositories: [{ match: '${openPlace}', visibility: public }, { match: '${innerPlace}', visibility: internal }]\n`,
    'inventory.yaml',
  );
  const receive = createReceive({
    engine,
    store,
    records,
    trust: () => trust,
    people: () => ({ v: 1, people: [] }),
    clock: () => new Date(desk.now),
    verify: verifyEnvelope,
    configuration: { recheckMs: 1000, pace: { heartbeatMs: 30_000, retryCeilingMs: 30_000, stuckAfterMs: 600_000 } },
    accounts: [{ provider: 'aws', account: '609629065308', mode: 'act' }],
    policy: () => ({ policy, hash: hashOf(policy), text: policyText }),
    inventory: () => inventory,
    manifests,
    issuers: [{ name: 'github-acme', scheme: 'github-webhook', secret: webhookSecret }],
  } as unknown as JudgeDeps);
  return desk;
}

/** A report as the client sends it. */
export function reportOf(over: Partial<Report> = {}): Report {
  const said = {
    v: 1,
    format: 'gitleaks',
    credential: { kind: 'aws.access-key', locator: { accessKeyId: keyId } },
    origin: { where: 'repository', repository: openPlace, committedAt: '2020-01-01T00:00:00.000Z' },
    reporter: 'scanner',
    seenAt: '2026-03-01T11:59:00.000Z',
    claims: { validity: 'active', publiclyLeaked: true },
    ...over,
  } as const;
  return { id: reportId(said), ...said };
}

export function signed(desk: Desk, over: Partial<Report> = {}, by: keyof typeof keys = 'scanner'): Sighting {
  const report = reportOf({ signed: { engine, at: desk.at(-1000) }, ...over });
  return { report, signature: signers[by].sign(PayloadType.REPORT, report) };
}

/** A webhook of GitHub's as its types have it, in the older form which names the key id. */
export function webhook(over: { readonly alert?: object; readonly repository?: object; readonly secret?: string } = {}): IssuerWord {
  const body = JSON.stringify({
    action: 'created',
    alert: {
      number: 7,
      html_url: `${openPlace}/security/secret-scanning/7`,
      created_at: '2026-02-28T09:00:00Z',
      updated_at: '2026-02-28T09:00:00Z',
      secret_type: 'aws_access_key_id',
      secret: keyId,
      validity: 'active',
      publicly_leaked: true,
      resolution: null,
      ...over.alert,
    },
    repository: { html_url: openPlace, full_name: 'acme/open', visibility: 'public', ...over.repository },
  });
  return {
    scheme: 'github-webhook',
    body,
    signature: `sha256=${createHmac('sha256', over.secret ?? webhookSecret)
      .update(body)
      .digest('hex')}`,
  };
}
