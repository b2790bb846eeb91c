import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folders: string[] = [];
afterEach(() => {
  for (const each of folders.splice(0)) rmSync(each, { recursive: true, force: true });
});

interface Said {
  readonly bootstrap?: string;
  readonly check?: string;
  readonly test?: string;
  readonly replay?: string;
}

/** Runs .ci/run with a node and an npm that say what they are told to, in place of the work. */
function ci(said: Said): { status: number | null; last: string; out: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-ci-'));
  folders.push(folder);
  for (const each of ['.ci', 'bin']) mkdirSync(join(folder, each));
  copyFileSync(join(root, '.ci', 'run'), join(folder, '.ci', 'run'));
  const put = (name: string, script: string): void => {
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, 'bin', name), 0o755);
  };
  const pass = 'echo "2 passed, 0 failed"';
  put('node', said.bootstrap ?? 'echo ready');
  put(
    'npm',
    `case "$*" in *replay*) ${said.replay ?? pass};; *check*) ${said.check ?? pass};; *test*) ${said.test ?? pass};; *) exit 9;; esac`,
  );
  const ran = spawnSync('bash', ['.ci/run'], {
    cwd: folder,
    env: { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, CI: 'true' },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  return { status: ran.status, last: ran.stdout.trimEnd().split('\n').at(-1) ?? '', out: ran.stdout };
}

describe('.ci/run', () => {
  it('adds up what its steps say', () => {
    expect(ci({})).toMatchObject({ status: 0, last: '7 passed, 0 failed' });
  });

  it('fails with the tests, after all steps have had their say', () => {
    const { status, last, out } = ci({ test: 'echo "5 passed, 3 failed"; exit 1' });
    expect({ status, last }).toEqual({ status: 1, last: '10 passed, 3 failed' });
    expect(out).toContain('failed: tests');
    expect(out).toContain('== replay of recorded histories');
  });

  it('fails where a step ends badly and says nothing, or says that nothing failed', () => {
    expect(ci({ check: 'echo broken; exit 1' })).toMatchObject({ status: 1, last: '5 passed, 1 failed' });
    expect(ci({ replay: 'echo "0 passed, 0 failed"; exit 1' })).toMatchObject({ status: 1, last: '5 passed, 1 failed' });
  });

  it('stops where there is nothing to run with', () => {
    const { status, last, out } = ci({ bootstrap: 'echo no network; exit 1' });
    expect({ status, last }).toEqual({ status: 1, last: '0 passed, 1 failed' });
    expect(out).not.toContain('== tests');
  });
});
