import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { BundleFiles } from '../../audit/bundle.ts';
import { matchTrail, publicKeysFile, readTrail, signatureEnding } from '../../audit/cloudtrail.ts';
import { manifest } from '../../providers/aws/manifest.ts';
import { TrailFiles } from './trail-files.ts';

const home = mkdtempSync(join(tmpdir(), 'trail-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const engine = 'arn:aws:iam::112233445566:user/responder';
const event = (request: string, more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    eventTime: '2026-11-24T10:10:00Z',
    eventName: 'UpdateAccessKey',
    eventSource: 'iam.amazonaws.com',
    requestID: request,
    readOnly: false,
    userIdentity: { arn: engine },
    requestParameters: { userName: 'deployer', accessKeyId: 'AKIAIOSFODNN7EXAMPLE' },
    ...more,
  });

/** Records as a bundle holds them; what signs them is the verifier's matter and not that of the log. */
function bundleOf(...steps: readonly Readonly<Record<string, unknown>>[]): BundleFiles {
  const plan = {
    type: 'plan',
    at: '2026-11-24T10:09:00Z',
    body: { steps: [{ provider: 'aws', target: { account: '112233445566', user: 'deployer', accessKeyId: 'AKIAIOSFODNN7EXAMPLE' } }] },
  };
  const records = [
    plan,
    ...steps.map((body) => ({
      type: 'step',
      at: '2026-11-24T10:10:01Z',
      body: { action: 'aws/disable-key', direction: 'apply', step: 'r1-disable', outcome: 'changed', requestIds: [], ...body },
    })),
  ];
  return new Map(
    records.map((record, at) => [
      `records/${at}.json`,
      Buffer.from(JSON.stringify({ payload: Buffer.from(JSON.stringify(record)).toString('base64') })),
    ]),
  );
}

let folder: string;
let made: TrailFiles;
let count = 0;
beforeEach(() => {
  folder = join(home, String(count++));
  made = new TrailFiles(folder);
});
const hours = ['2026-11-24T10:00:00Z', '2026-11-24T11:00:00Z', '2026-11-24T12:00:00Z'] as const;
const states = (files: BundleFiles): Record<string, string> =>
  Object.fromEntries(matchTrail(files, readTrail(folder), manifest).map(({ kind, state }) => [kind, state]));
const wordsOf = (files: BundleFiles, kind: string): string =>
  matchTrail(files, readTrail(folder), manifest).find((each) => each.kind === kind)?.words ?? '';

describe('log files count only as CloudTrail signed them', () => {
  it('a trail as it was delivered holds, over hours that follow one another', () => {
    made.add(hours[0], hours[1], [[event('r-1')], [event('r-2')]]);
    made.add(hours[1], hours[2], [[event('r-3')]]);
    const trail = readTrail(folder);
    expect(trail.problems).toEqual([]);
    expect(trail).toMatchObject({ logFiles: 3, digests: 2 });
    expect(trail.spans).toEqual({ 'us-east-1': [{ from: hours[0], to: hours[2] }] });
  });

  it('an event that was put in, changed or taken out afterwards is noticed', () => {
    const { logs } = made.add(hours[0], hours[1], [[event('r-1')]]);
    const file = join(folder, logs[0] as string);
    writeFileSync(file, gzipSync(gunzipSync(readFileSync(file)).toString().replace('r-1', 'r-9')));
    expect(readTrail(folder).problems.join()).toContain('is not the file that');
    rmSync(file);
    expect(readTrail(folder).problems.join()).toContain('is not there');
  });

  it('a digest that was written anew is noticed, by its signature and by the digest after it', () => {
    const first = made.add(hours[0], hours[1], [[event('r-1')]]);
    made.add(hours[1], hours[2], [[event('r-2')]]);
    const file = join(folder, first.digest);
    const body = JSON.parse(gunzipSync(readFileSync(file)).toString());
    writeFileSync(file, gzipSync(JSON.stringify({ ...body, logFiles: [] })));
    expect(readTrail(folder).problems.join()).toContain('is not the digest that');

    const forger = new TrailFiles(`${folder}-forged`);
    forger.add(hours[0], hours[1], [[event('r-1')]]);
    writeFileSync(
      join(forger.folder, publicKeysFile),
      readFileSync(join(folder, publicKeysFile)).toString().replaceAll(made.fingerprint, forger.fingerprint),
    );
    expect(readTrail(forger.folder).problems.join()).toContain('does not bear the signature');
  });

  it('a log file that no digest names does not count, and neither does a digest that nothing vouches for', () => {
    const { digest } = made.add(hours[0], hours[1], [[event('r-1')]]);
    rmSync(join(folder, `${digest}${signatureEnding}`));
    const trail = readTrail(folder);
    expect(trail.events).toEqual([]);
    expect(trail.notes.join()).toContain('nor a digest after it');
    expect(trail.notes.join()).toContain('no signed digest names');
    expect(states(bundleOf({ requestIds: ['r-1'] }))).toMatchObject({ 'log-files': 'unknown', witnessed: 'unknown' });
  });

  it('without the public keys nothing is believed, and it is said how to get them', () => {
    rmSync(join(folder, publicKeysFile));
    expect(() => readTrail(folder)).toThrow(/list-public-keys/);
  });
});

describe('bundle and log are held against each other', () => {
  it('an apply that the log knows and a log that has no more than the bundle agree', () => {
    made.add(hours[0], hours[1], [[event('r-1'), event('r-read', { readOnly: true })]]);
    expect(states(bundleOf({ requestIds: ['r-read', 'r-1'] }))).toEqual({ 'log-files': 'yes', witnessed: 'yes', accounted: 'yes' });
  });

  it('an apply that the log does not know is named', () => {
    made.add(hours[0], hours[1], [[event('r-1')]]);
    const files = bundleOf({ requestIds: ['r-1'] }, { step: 'r1-deny', action: 'aws/deny-principal', requestIds: ['r-made-up'] });
    expect(states(files)).toMatchObject({ witnessed: 'no', accounted: 'yes' });
    expect(wordsOf(files, 'witnessed')).toContain('r1-deny (aws/deny-principal)');
  });

  it('a request that the log knows as refused, or as one that only reads, bears witness to no change', () => {
    made.add(hours[0], hours[1], [[event('r-1', { errorCode: 'AccessDenied' }), event('r-2', { readOnly: true })]]);
    expect(states(bundleOf({ requestIds: ['r-1', 'r-2'] }))).toMatchObject({ witnessed: 'no' });
  });

  it('a change in the log that the bundle does not know is named', () => {
    made.add(hours[0], hours[1], [[event('r-1'), event('r-2', { eventName: 'DeleteAccessKey' })]]);
    const files = bundleOf({ requestIds: ['r-1'] });
    expect(states(files)).toMatchObject({ witnessed: 'yes', accounted: 'no' });
    expect(wordsOf(files, 'accounted')).toContain('DeleteAccessKey');
  });

  it('what somebody else did, or the engine did to what this incident has nothing to do with, is not held against the bundle', () => {
    made.add(hours[0], hours[1], [
      [
        event('r-1'),
        event('r-2', { userIdentity: { arn: 'arn:aws:iam::112233445566:user/somebody' } }),
        event('r-3', { requestParameters: { userName: 'another', accessKeyId: 'AKIAI44QH8DHBEXAMPLE' } }),
      ],
    ]);
    const files = bundleOf({ requestIds: ['r-1'] });
    expect(states(files)).toMatchObject({ accounted: 'yes' });
    expect(wordsOf(files, 'accounted')).toContain('others changed the same things 1 times');
  });

  it('a change that came after the last digest is unknown and neither witnessed nor missing', () => {
    made.add(hours[0], '2026-11-24T10:05:00Z', [[]]);
    expect(states(bundleOf({ requestIds: ['r-1'] }))).toMatchObject({ witnessed: 'unknown', accounted: 'unknown' });
  });

  it('over hours that no digest covers nobody can say that nothing was done in them', () => {
    made.add(hours[0], hours[1], [[event('r-1')]]);
    made.add('2026-11-24T12:00:00Z', '2026-11-24T13:00:00Z', [[event('r-2', { eventTime: '2026-11-24T12:50:00Z' })]]);
    const late = { requestIds: ['r-2'], clocks: { acceptedAt: '2026-11-24T12:50:00Z' } };
    expect(states(bundleOf({ requestIds: ['r-1'] }, late))).toMatchObject({ witnessed: 'yes', accounted: 'unknown' });
  });

  it('the log of a Region in which IAM does not log says nothing of a change', () => {
    folder = `${folder}-elsewhere`;
    made = new TrailFiles(folder, 'eu-west-1');
    made.add(hours[0], hours[1], [[]]);
    expect(states(bundleOf({ requestIds: ['r-1'] }))).toMatchObject({ witnessed: 'unknown' });
  });
});
