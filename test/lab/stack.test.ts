import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient, openKeyring } from '../../client/index.ts';
import { isRunning, markOf } from '../../lab/processes.ts';
import { readStackFile, type Stack, startStack, stopStack } from '../../lab/stack.ts';
import { startPlay } from './child.ts';

const root = mkdtempSync(join(tmpdir(), 'tourniquet-stack-'));
const fast = { propagationMs: 200, logLagMs: 200 };
const said: string[] = [];
let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ directory: join(root, 'one'), ...fast, say: (words) => said.push(words) });
}, 120_000);
afterAll(async () => {
  await stack?.stop();
  rmSync(root, { recursive: true, force: true });
});

test('stack.json is readable by its owner only, and holds the addresses and the lab-only credentials', async () => {
  expect(statSync(stack.paths.stack).mode & 0o777).toBe(0o600);
  const file = JSON.parse(readFileSync(stack.paths.stack, 'utf8'));
  expect(file).toMatchObject({
    state: 'running',
    temporal: { address: expect.stringMatching(/^127\.0\.0\.1:\d+$/), ui: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) },
    vault: { address: expect.any(String), token: expect.any(String) },
    aws: {
      endpoint: expect.any(String),
      accessKeyId: expect.stringMatching(/^AKIA/),
      secretAccessKey: expect.any(String),
      accountId: expect.stringMatching(/^\d{12}$/),
    },
  });
  const health = await fetch(`${file.vault.address}/v1/sys/internal/ui/mounts/secret/ci`, {
    headers: { 'x-vault-token': file.vault.token },
  });
  expect(health.status).toBe(200);
  await stack.settled;
});

test('each worker is started with its own keys and no credential in its environment', () => {
  if (process.platform !== 'linux') return;
  const folders = (['judge', 'aws-worker', 'vault-worker'] as const).map((name) => {
    const variables = readFileSync(`/proc/${stack.part(name).pid}/environ`, 'utf8').split('\0');
    expect(
      variables.filter((each) =>
        /^(AWS_(?!CONFIG_FILE|SHARED_CREDENTIALS_FILE|EC2_METADATA_DISABLED)|VAULT_|BAO_|GOOGLE_|GH_|GITHUB_)/.test(each),
      ),
    ).toEqual([]);
    for (const secret of [stack.vault.token, stack.aws.secretAccessKey, stack.world.responder.secretAccessKey, stack.passphrase.reveal()]) {
      expect(variables.join('\n')).not.toContain(secret);
    }
    return variables.find((each) => each.startsWith('TOURNIQUET_KEYS='))?.slice('TOURNIQUET_KEYS='.length) ?? '';
  });
  expect(folders.map((folder) => basename(folder))).toEqual(['judge', `provider-aws-${stack.aws.accountId}`, 'provider-vault-lab']);
  expect(folders.map((folder) => existsSync(join(folder, 'sealing')))).toEqual([false, true, true]);
  expect(readdirSync(join(stack.paths.keys, 'judge')).sort()).toEqual(['codec.json', 'signing.json', 'store.key']);
});

test('a second start in the same place is refused', async () => {
  await expect(startStack({ directory: join(root, 'one') })).rejects.toMatchObject({ code: 'stack.already-running' });
});

test('a part that ends unasked is said, and comes back at its old address', async () => {
  const judge = stack.part('judge');
  process.kill(judge.pid, 'SIGKILL');
  await expect.poll(() => said.some((words) => words.startsWith('judge has ended unasked'))).toBe(true);
  await judge.restart();
  const temporal = stack.part('temporal');
  const { pid } = temporal;
  await temporal.kill();
  expect(temporal.running).toBe(false);
  await temporal.restart();
  expect(temporal.pid).not.toBe(pid);
  expect(said.filter((words) => words.startsWith('temporal has ended unasked'))).toEqual([]);
  const client = createClient({ address: stack.temporal.address, keyring: openKeyring(join(stack.paths.keys, 'operator', 'codec.json')) });
  await client.connect();
  await client.close();
  expect(readStackFile(stack.paths.directory)?.parts.find(({ name }) => name === 'temporal')?.pid).toBe(temporal.pid);
});

test('a stack whose owner was killed is recognised, what it left is ended, and a new one starts in its place', async () => {
  const directory = join(root, 'two');
  const play = startPlay({ directory, variants: [], recheckMs: 60_000, ...fast });
  await play.line('up');
  const left = readStackFile(directory);
  play.child.kill('SIGKILL');
  await play.ended;
  expect(left?.parts).toHaveLength(6);
  expect(left?.parts.every(isRunning)).toBe(true);
  // A process that has got the number of one of them meanwhile is not ended: it is not the one that was started.
  expect(isRunning({ pid: process.pid, started: '1' })).toBe(false);

  const words: string[] = [];
  const again = await startStack({ directory, ...fast, without: ['judge', 'aws-worker', 'vault-worker'], say: (said) => words.push(said) });
  try {
    expect(words[0]).toMatch(/^a stack was killed here; ended what it had left: /);
    expect(left?.parts.some(isRunning)).toBe(false);
  } finally {
    await again.stop();
  }
}, 90_000);

test('down ends what up started, from another process, and nothing else', async () => {
  const directory = join(root, 'three');
  const play = startPlay({ directory, variants: [], recheckMs: 60_000, ...fast });
  await play.line('up');
  const parts = readStackFile(directory)?.parts ?? [];
  const stopped = await stopStack(directory);
  expect(stopped).toMatchObject({ stale: false });
  expect(new Set(stopped.ended)).toEqual(new Set(parts.map(({ name }) => name)));
  expect(await play.ended).toBe(0);
  expect(parts.some(isRunning)).toBe(false);
  expect(existsSync(join(directory, 'stack.json'))).toBe(false);
  expect(markOf(stack.part('simulator').pid)).toBeDefined();
  await expect(stopStack(directory)).rejects.toMatchObject({ code: 'stack.not-running' });
}, 90_000);
