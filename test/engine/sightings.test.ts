import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { draftByHand, parseReports, type ReportDraft, Secret } from '../../client/index.ts';
import { type Deployed, startWorld, until, type World } from './world.ts';

vi.setConfig({ testTimeout: 90_000 });

let world: World;
beforeAll(async () => {
  world = await startWorld({ shop: 'internal', till: 'internal' });
});
afterAll(() => world?.stop());

/** What Gitleaks writes of the pair's id, at one line of one file. */
function gitleaks({ pair }: Deployed, line: number): ReportDraft {
  const finding = {
    RuleID: 'aws-access-token',
    Description: 'AWS',
    StartLine: line,
    EndLine: line,
    StartColumn: 20,
    EndColumn: 39,
    Match: pair.accessKeyId,
    Secret: pair.accessKeyId,
    File: 'deploy/ci.env',
    SymlinkFile: '',
    Commit: 'fbc14303ffbf8fb1c2c1914e8dda7d0121633aca',
    Entropy: 3.4,
    Author: 'Dev',
    Email: 'dev@example.test',
    Date: new Date().toISOString(),
    Message: 'deploy from CI',
    Tags: [],
    Fingerprint: `fbc1430:deploy/ci.env:aws-access-token:${line}`,
  };
  const { drafts } = parseReports(JSON.stringify([finding]), { name: 'gitleaks.json' });
  const [draft] = drafts;
  if (draft === undefined) throw new Error('Gitleaks found nothing');
  return draft;
}

const byHand = ({ pair }: Deployed, at: number): ReportDraft =>
  draftByHand({
    keyId: pair.accessKeyId,
    where: 'chat',
    note: `somebody pasted it, message ${at}`,
    ...(at % 2 === 0 ? { secret: new Secret(pair.secretAccessKey) } : {}),
  });

test('twenty reports at once, of two scanners and by hand, are one incident which keeps every sighting; one more after its close is a linked run', async () => {
  const shop = world.deployed('shop');
  const drafts = [
    ...Array.from({ length: 8 }, () => world.finding(shop)),
    ...Array.from({ length: 8 }, (_, at) => gitleaks(shop, at + 1)),
    ...Array.from({ length: 4 }, (_, at) => byHand(shop, at)),
  ];
  const received = await Promise.all(
    drafts.map((draft, at) =>
      world.client.report(draft, { reporter: 'scanner', ...(at % 2 === 0 ? { signer: world.signer('scanner') } : {}) }),
    ),
  );
  const ids = new Set(received.map(({ id }) => id));
  expect(ids.size).toBe(1);
  const [id = ''] = ids;
  const runs = async () => {
    const found: string[] = [];
    for await (const each of world.client.temporal.workflow.list({ query: `WorkflowId = '${id}'` })) found.push(each.runId);
    return found;
  };

  const all = await world.follow(id, (status) => status.sightings === 20 && status.gates.some((gate) => gate.state === 'open'));
  const first = all.run;
  const chain = await world.client.incident(id).chain();
  const kept = await world.records(chain, 'report');
  expect(kept).toHaveLength(20);
  expect(new Set(kept.map((record) => record.body.report.id)).size).toBe(20);
  expect(countBy(kept.map((record) => record.body.report.format))).toEqual({ trufflehog: 8, gitleaks: 8, manual: 4 });
  expect(all.previousRun).toBeUndefined();

  expect(await world.decide(id, { verdict: 'dismiss', by: 'ada' })).toMatchObject({ accepted: true });
  const closed = await world.follow(id, (status) => status.state === 'dismissed');
  expect(closed).toMatchObject({ run: first, sightings: 20 });
  expect(await world.client.incident(id, first).result()).toMatchObject({ state: 'dismissed', run: first });

  await world.client.report(gitleaks(shop, 99), { reporter: 'scanner', signer: world.signer('scanner') });
  const late = await world.follow(id, (status) => status.sightings === 1 && status.run !== first);
  expect(late.previousRun).toBe(first);
  expect(new Set(await runs())).toEqual(new Set([first, late.run]));
  // The first run is as it was: what came late is the new run's.
  expect(await world.client.incident(id, first).chain()).toEqual((await world.client.incident(id, first).result()).chain);
});

test('a report that comes while its incident ends is in one run or in the next, and is not lost', async () => {
  const till = world.deployed('till');
  const id = await world.leak(till);
  const open = await world.follow(id, (status) => status.gates.some((gate) => gate.state === 'open'));
  const dismissal = world.client.incident(id).decide(world.sign(open, { verdict: 'dismiss', by: 'ada' }));
  const more = Array.from({ length: 12 }, (_, at) => gitleaks(till, at + 1));
  await Promise.all([dismissal, ...more.map((draft) => world.client.report(draft))]);

  const query = `WorkflowId = '${id}'`;
  const ids = await until('thirteen reports are kept', async () => {
    const seen = new Set<string>();
    for await (const { runId } of world.client.temporal.workflow.list({ query })) {
      for (const { body } of await world.records(await world.client.incident(id, runId).chain(), 'report')) seen.add(body.report.id);
    }
    return seen.size >= 13 && seen;
  });
  expect(ids.size).toBe(13);
  expect(await dismissal).toMatchObject({ accepted: true });
});

function countBy(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
