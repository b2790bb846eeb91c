import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { poisoned, setTrap, type Trap } from './trap.ts';

const root = mkdtempSync(join(tmpdir(), 'tourniquet-commands-'));
const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
let trap: Trap;
beforeAll(async () => {
  trap = await setTrap();
});
afterAll(() => {
  trap?.close();
  rmSync(root, { recursive: true, force: true });
});

/** The command as a person types it, in a shell in which everything leads to the trap. */
function run(...args: string[]) {
  const child = spawn(process.execPath, ['--no-warnings', main, ...args], {
    env: poisoned(trap.address, join(root, 'home')),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk;
    });
  }
  const ended = new Promise<number | string>((done) => child.once('close', (code, signal) => done(code ?? signal ?? 'unknown')));
  return { child, ended, said: () => said };
}

test('up, in a shell where every variable and profile leads to a trap, comes up, takes no call there, and is ended by down', {
  timeout: 120_000,
}, async () => {
  const directory = join(root, 'world');
  const file = join(directory, 'stack.json');
  const up = run('up', '--directory', directory);
  let over: number | string | undefined;
  void up.ended.then((code) => {
    over = code;
  });
  const state = () => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { state?: string }).state : undefined);
  while (state() !== 'running') {
    if (over !== undefined) throw new Error(`up ended with ${over}: ${up.said()}`);
    await wait(100);
  }
  const down = run('down', '--directory', directory);
  expect(await down.ended, down.said()).toBe(0);
  await up.ended;
  expect(existsSync(file)).toBe(false);
  expect(trap.caught).toEqual([]);
});

test.skipIf(process.env.TOURNIQUET_FULL !== '1')(
  'start plays both variants in such a shell, ends with 0, and calls nothing there',
  { timeout: 600_000 },
  async () => {
    const start = run('start', '--directory', join(root, 'play'));
    expect(await start.ended, start.said().slice(-4000)).toBe(0);
    expect(trap.caught).toEqual([]);
  },
);
