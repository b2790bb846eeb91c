import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Check } from '../../lab/scenarios/summary.ts';
import { type Play, startPlay } from './child.ts';

/**
 * The scenario whole, in a world whose changes take a second: both variants, then the simulated clock is moved past the cut-off. It runs in an environment in which
 * everything that could lead to a real account leads to a trap.
 */
const root = mkdtempSync(join(tmpdir(), 'tourniquet-ci-key-'));
const caught: string[] = [];
const sockets = new Set<Socket>();
const trap = createServer((socket) => {
  sockets.add(socket);
  let first = '';
  caught.push('a connection without a word');
  const at = caught.length - 1;
  socket.on('data', (chunk) => {
    first += chunk.toString('latin1');
    caught[at] = first.slice(0, 300);
    socket.end('HTTP/1.1 500 trap\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  });
  socket.on('error', () => {});
});
let play: Play;
let address: string;

beforeAll(async () => {
  await new Promise<void>((done) => trap.listen(0, '127.0.0.1', done));
  const bound = trap.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  address = `127.0.0.1:${bound.port}`;
  play = startPlay(
    {
      directory: join(root, 'world'),
      variants: ['internal', 'public'],
      propagationMs: 1_000,
      logLagMs: 1_000,
      recheckMs: 1_000,
      close: true,
    },
    poisoned(address),
  );
  await play.line('ended');
}, 600_000);
afterAll(async () => {
  play?.child.kill('SIGTERM');
  await play?.ended;
  for (const socket of sockets) socket.destroy();
  trap.close();
  rmSync(root, { recursive: true, force: true });
});

/** What a careless shell may hold, and what profile files may say. */
function poisoned(to: string): NodeJS.ProcessEnv {
  const home = join(root, 'home');
  const url = `http://${to}`;
  for (const folder of ['.aws', '.config/temporalio', '.config/gcloud', '.config/gh']) mkdirSync(join(home, folder), { recursive: true });
  writeFileSync(join(home, '.aws', 'config'), `[default]\nregion = us-east-1\nendpoint_url = ${url}\n`);
  writeFileSync(join(home, '.aws', 'credentials'), '[default]\naws_access_key_id = AKIATRAPTRAPTRAPTRAP\naws_secret_access_key = trap\n');
  writeFileSync(join(home, '.config', 'temporalio', 'temporal.toml'), `[profile.default]\naddress = "${to}"\nnamespace = "trap"\n`);
  writeFileSync(join(home, '.vault-token'), 'trap');
  const { TOURNIQUET_PRACTICE_HOME: _, ...base } = process.env;
  const urls = [
    'AWS_ENDPOINT_URL',
    'VAULT_ADDR',
    'VAULT_AGENT_ADDR',
    'BAO_ADDR',
    'BAO_AGENT_ADDR',
    'GITHUB_API_URL',
    'TEMPORAL_CODEC_ENDPOINT',
  ];
  const services = ['IAM', 'STS', 'SECRETS_MANAGER', 'CLOUDTRAIL'].map((name) => `AWS_ENDPOINT_URL_${name}`);
  return {
    ...base,
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    ...Object.fromEntries([...urls, ...services].map((name) => [name, url])),
    AWS_ACCESS_KEY_ID: 'AKIATRAPTRAPTRAPTRAP',
    AWS_SECRET_ACCESS_KEY: 'trap',
    AWS_SESSION_TOKEN: 'trap',
    AWS_REGION: 'eu-west-1',
    AWS_CONTAINER_CREDENTIALS_FULL_URI: url,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
    VAULT_TOKEN: 'trap',
    BAO_TOKEN: 'trap',
    GOOGLE_APPLICATION_CREDENTIALS: join(home, '.config', 'gcloud', 'key.json'),
    GOOGLE_CLOUD_PROJECT: 'trap',
    GH_HOST: to,
    GH_TOKEN: 'trap',
    GITHUB_TOKEN: 'trap',
    TEMPORAL_ADDRESS: to,
    TEMPORAL_NAMESPACE: 'trap',
    TEMPORAL_API_KEY: 'trap',
  };
}

const checksOf = (variant: string): readonly Check[] =>
  (play.lines.find((line) => line.type === 'played' && line.variant === variant)?.checks ?? []) as readonly Check[];
/** What a busy machine decides is left to the summary of `npm start`. */
const failing = (variant: string): readonly Check[] => checksOf(variant).filter(({ holds, timed }) => !holds && !timed);

test('internal: asked first, rotated without one failed call, the old key dead by probe and deleted only after approval', () => {
  expect(checksOf('internal').length).toBeGreaterThan(8);
  expect(failing('internal'), play.talk().slice(-6_000)).toEqual([]);
});

test('public: four stolen credentials had worked, all are refused in their own way, and the jobs work again on a new key', () => {
  expect(checksOf('public').length).toBeGreaterThan(10);
  expect(failing('public'), play.talk().slice(-6_000)).toEqual([]);
});

describe('once the simulated clock has passed the cut-off', () => {
  test('both incidents close, contained and rotated, with nothing left', () => {
    const closed = play.lines.filter((line) => line.type === 'closed');
    const expected = { type: 'closed', state: 'closed', contained: 'yes', rotated: 'yes', residuals: [], id: expect.any(String) };
    expect(closed, play.talk().slice(-6_000)).toEqual([expected, expected]);
  });

  test('no policy of ours is left on either user', () => {
    const world = play.lines.find((line) => line.type === 'world') as { users: { name: string; inline: string[] }[] } | undefined;
    const users = world?.users.filter(({ name }) => name.startsWith('ci-deployer'));
    expect(users?.map(({ inline }) => inline)).toEqual([['deploy'], ['deploy']]);
  });
});

test('nothing of it calls what the environment and the home profiles lead to', async () => {
  expect(caught).toEqual([]);
  // The trap does catch: an empty one would prove nothing.
  await fetch(`http://${address}/`).catch(() => undefined);
  expect(caught).toHaveLength(1);
});
