import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { practice } from './world.ts';

const script = join(import.meta.dirname, '../../../shared/referee/aws.py');
const present = existsSync(script) && spawnSync('python3', ['-c', 'import boto3']).status === 0;

it.skipIf(!present)(
  'boto3, a client that nobody here wrote, finds nothing that AWS documents otherwise',
  { timeout: 180_000 },
  async () => {
    await using lab = await practice({ propagationMs: 500, logLagMs: 1000 });
    const env = {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      AWS_ENDPOINT_URL: lab.endpoint,
      AWS_ACCESS_KEY_ID: lab.admin.accessKeyId,
      AWS_SECRET_ACCESS_KEY: lab.admin.secretAccessKey,
    };
    const output = await new Promise<string>((resolve) => {
      execFile('python3', [script, '--propagation', '0.5'], { env }, (_error, stdout, stderr) => resolve(stdout + stderr));
    });
    expect(output).toMatch(/^22 passed, 0 failed$/m);
  },
);
