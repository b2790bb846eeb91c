import { type ExecFileException, execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { practice } from './world.ts';

/** What a leak's life looks like, step by step, to a client that nobody here wrote. Of an unknown key the simulator says what IAM and STS say of one; services that speak JSON are remembered to name it otherwise. */
const life = [
  'the new key works: ok',
  "the thief's session works: ok",
  'the key after it was disabled: InvalidClientTokenId',
  'the session after the key was disabled: ok',
  'the session after the user was denied: AccessDeniedException',
  'GetCallerIdentity beneath the deny: ok',
  'a third key: LimitExceeded',
  'the replacement after the deny was lifted: ok',
  'the session beneath the cut-off: AccessDeniedException',
  'the deletion again: NoSuchEntity',
  'the leaked key at the end: InvalidClientTokenId',
];

const has = (program: string, ...args: readonly string[]): boolean => spawnSync(program, args, { stdio: 'ignore' }).status === 0;
const environmentOf = (endpoint: string, key: { readonly accessKeyId: string; readonly secretAccessKey: string }): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  AWS_ENDPOINT_URL: endpoint,
  AWS_ACCESS_KEY_ID: key.accessKeyId,
  AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_MAX_ATTEMPTS: '1',
});
const run = (program: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
  new Promise<{ readonly code: number; readonly out: string; readonly err: string }>((resolve) => {
    execFile(program, args, { env }, (error: ExecFileException | null, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, out, err }),
    );
  });

it.skipIf(!has('python3', '-c', 'import boto3'))(
  "boto3 lives a leak's life by hand: made, leaked, contained, replaced, ended",
  { timeout: 120_000 },
  async () => {
    await using lab = await practice({ propagationMs: 500, logLagMs: 1000 });
    const { out, err } = await run('python3', [join(import.meta.dirname, 'stock.py')], environmentOf(lab.endpoint, lab.admin));
    expect(out.trim().split('\n'), err).toEqual(life);
  },
);

it.skipIf(!has('aws', '--version'))(
  "the aws command lives a leak's life by hand: made, leaked, contained, replaced, ended",
  { timeout: 180_000 },
  async () => {
    await using lab = await practice({ propagationMs: 300, logLagMs: 1000 });
    const folder = mkdtempSync(join(tmpdir(), 'stock-'));
    try {
      const file = (name: string, document: unknown) => {
        const path = join(folder, name);
        writeFileSync(path, JSON.stringify(document));
        return `file://${path}`;
      };
      const allow = file('allow.json', {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'secretsmanager:ListSecrets', Resource: '*' }],
      });
      const deny = file('deny.json', { Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }] });
      const env = environmentOf(lab.endpoint, lab.admin);
      const aws = async (...args: readonly string[]) => {
        const ran = await run('aws', args, env);
        expect(ran.code, `aws ${args.join(' ')}: ${ran.err}`).toBe(0);
        return ran.out.trim() === '' ? undefined : (JSON.parse(ran.out) as Record<string, Record<string, string>>);
      };
      const refusalOf = async (key: { readonly AccessKeyId?: string; readonly SecretAccessKey?: string }, wanted: string) => {
        for (let tries = 0; ; tries++) {
          const pair = { accessKeyId: key.AccessKeyId ?? '', secretAccessKey: key.SecretAccessKey ?? '' };
          const { code, err } = await run('aws', ['secretsmanager', 'list-secrets'], environmentOf(lab.endpoint, pair));
          const seen = code === 0 ? 'ok' : (/\((\w+)\)/.exec(err)?.[1] ?? err);
          if (seen === wanted || tries === 8) return seen;
        }
      };
      await aws('iam', 'create-user', '--user-name', 'by-hand');
      await aws('iam', 'put-user-policy', '--user-name', 'by-hand', '--policy-name', 'work', '--policy-document', allow);
      const leaked = (await aws('iam', 'create-access-key', '--user-name', 'by-hand'))?.AccessKey ?? {};
      expect(await refusalOf(leaked, 'ok')).toBe('ok');
      await aws('iam', 'update-access-key', '--user-name', 'by-hand', '--access-key-id', leaked.AccessKeyId ?? '', '--status', 'Inactive');
      expect(await refusalOf(leaked, 'InvalidClientTokenId')).toBe('InvalidClientTokenId');
      await aws('iam', 'put-user-policy', '--user-name', 'by-hand', '--policy-name', 'by-hand-deny', '--policy-document', deny);
      const fresh = (await aws('iam', 'create-access-key', '--user-name', 'by-hand'))?.AccessKey ?? {};
      expect(await refusalOf(fresh, 'AccessDeniedException')).toBe('AccessDeniedException');
      await aws('iam', 'delete-user-policy', '--user-name', 'by-hand', '--policy-name', 'by-hand-deny');
      expect(await refusalOf(fresh, 'ok')).toBe('ok');
      await aws('iam', 'delete-access-key', '--user-name', 'by-hand', '--access-key-id', leaked.AccessKeyId ?? '');
      expect(await refusalOf(leaked, 'InvalidClientTokenId')).toBe('InvalidClientTokenId');
      const listed = (await aws('iam', 'list-access-keys', '--user-name', 'by-hand')) as unknown as {
        readonly AccessKeyMetadata: readonly { readonly AccessKeyId: string }[];
      };
      expect(listed.AccessKeyMetadata.map((each) => each.AccessKeyId)).toEqual([fresh.AccessKeyId]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
