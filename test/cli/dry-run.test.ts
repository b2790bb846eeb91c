import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Pair, type Practice, practice } from '../providers-aws/practice.ts';
import { tourniquet } from './harness.ts';

/** Somebody who may look and change nothing. */
const readOnly = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['iam:Get*', 'iam:List*', 'sts:GetCallerIdentity', 'cloudtrail:LookupEvents'], Resource: '*' }],
});

let world: Practice;
let home: string;
let leaked: Pair;
let looker: Pair;
beforeAll(async () => {
  world = await practice({ lookUpsPerSecond: 1000 } as never);
  home = mkdtempSync(join(tmpdir(), 'dry-run-'));
  leaked = await world.makeUser('deployer');
  looker = await world.makeUser('looker', readOnly);
  await world.alive(looker);
  writeFileSync(
    join(home, 'credentials'),
    `[audit]\naws_access_key_id = ${looker.accessKeyId}\naws_secret_access_key = ${looker.secretAccessKey}\n`,
    { mode: 0o600 },
  );
  writeFileSync(join(home, 'config'), '[profile audit]\nregion = us-east-1\n');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(home, 'credentials'));
  vi.stubEnv('AWS_CONFIG_FILE', join(home, 'config'));
}, 30_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await world?.close();
  rmSync(home, { recursive: true, force: true });
});

const run = async (...more: readonly string[]) =>
  await tourniquet(
    ['plan', '--key-id', leaked.accessKeyId, '--account', world.account, '--profile', 'audit', '--endpoint', world.sim.endpoint, ...more],
    { cwd: home },
  );

describe('a dry run', () => {
  it('plans for a real account from a read-only profile, with no server, and changes nothing', async () => {
    const before = (await world.control.mutations()).length;
    const { code, out, err } = await run();
    expect(err).not.toMatch(/error|denied/i);
    expect(out).toMatch(/Round 1, to contain/);
    expect(out).toContain('aws/disable-key');
    expect(out).toContain('aws/deny-principal');
    expect(out).toContain('aws/cut-off-sessions');
    expect(out).toMatch(/Dry run: \d+ steps in \d+ rounds?, \d+ cannot be undone\./);
    expect(out).toContain(leaked.accessKeyId);
    expect(out).not.toContain(leaked.secretAccessKey);
    expect(out).not.toContain(looker.secretAccessKey);
    expect(code, 'something is asked').toBe(8);
    expect((await world.control.mutations()).length).toBe(before);
  });

  it('shows with --by-hand what a person would type, and to take it back, with no placeholder left in the commands of the first round', async () => {
    const { out } = await run('--by-hand');
    expect(out).toContain(`$ aws iam update-access-key --user-name deployer --access-key-id ${leaked.accessKeyId} --status Inactive`);
    expect(out).toContain(`undo $ aws iam update-access-key --user-name deployer --access-key-id ${leaked.accessKeyId} --status Active`);
    const first = out.slice(out.indexOf('Round 1'), out.indexOf('Round 2'));
    expect(first).not.toMatch(/\{(user|accessKeyId|role)\}/);
  });

  it('asks before anything where the leak is internal, and its rounds are the same facts in JSON', async () => {
    const { code, out } = await run('--exposed', 'internal', '--json');
    expect(code).toBe(8);
    const { rounds, finding } = JSON.parse(out) as {
      rounds: { gates: unknown[]; steps: { gate?: string }[] }[];
      finding: { live: { state: string } };
    };
    expect(finding.live.state).toBe('yes');
    expect(rounds[0]?.gates.length).toBeGreaterThan(0);
    expect(rounds[0]?.steps.every((step) => step.gate !== undefined)).toBe(true);
  });

  it('of a profile that may not even look says that nothing is known, and plans nothing that the engine would do', async () => {
    const nobody = await world.makeUser('nobody', '');
    await world.alive(nobody);
    writeFileSync(
      join(home, 'credentials-nobody'),
      `[nobody]\naws_access_key_id = ${nobody.accessKeyId}\naws_secret_access_key = ${nobody.secretAccessKey}\n`,
      { mode: 0o600 },
    );
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(home, 'credentials-nobody'));
    const { code, err, out } = await tourniquet(
      ['plan', '--key-id', leaked.accessKeyId, '--account', world.account, '--profile', 'nobody', '--endpoint', world.sim.endpoint],
      { cwd: home },
    );
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(home, 'credentials'));

    expect(code).toBe(8);
    expect(err).not.toContain(nobody.secretAccessKey);
    expect(out).toMatch(/live: unknown: AWS refuses to say/);
    expect(out).toContain('By hand: make');
    expect(out).not.toMatch(/^ +aws\//m);
  });

  it('says what is wrong with what it was given', async () => {
    const wrong = async (...argv: readonly string[]) => await tourniquet(['plan', ...argv], { cwd: home });
    for (const [argv, words] of [
      [[], /id of an incident/],
      [['--key-id', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'], /never a secret/],
      [['--kind', 'moon.rock'], /expected one of aws\.access-key/],
      [['--kind', 'aws.access-key', '--locator', 'colour=red'], /expected accessKeyId=/],
      [['deadbeef', '--key-id', leaked.accessKeyId], /nothing else names a credential/],
      [['--key-id', leaked.accessKeyId, '--account', world.account, '--profile', 'nowhere'], /profile nowhere/],
    ] as const) {
      const { code, err } = await wrong(...argv);
      expect([2, 4], argv.join(' ')).toContain(code);
      expect(err, argv.join(' ')).toMatch(words);
      expect(err).not.toContain('wJalrXUtnFEMI');
    }
  });
});
