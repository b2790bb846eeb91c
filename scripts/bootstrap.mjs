// Makes a fresh clone ready: dependencies, the right node, the two servers. Run before `start` and `test`; an old node can run it, and a second run touches no network.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withoutCredentials } from './environment.mjs';
import { findServer, installServer, root } from './servers.mjs';

const steps = 3;
const say = (step, words) => console.log(`[${step}/${steps}] ${words}`);

function fail(step, what, remedy) {
  console.error(`[${step}/${steps}] failed: ${what}`);
  console.error(`      what to do: ${remedy}`);
  process.exit(1);
}

function dependencies() {
  const stamp = join(root, 'node_modules', '.tourniquet-stamp');
  const digest = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(process.platform)
    .update(process.arch)
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return say(1, 'dependencies: as the lock file says');
  say(1, 'dependencies: installing from the lock file (a minute or two the first time)');
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const ran = npm
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: withoutCredentials() })
    : spawnSync('npm', args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: withoutCredentials() });
  if (ran.status !== 0)
    fail(1, 'npm could not install the dependencies', 'check the network and the registry of npm, then run the same command again');
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, digest);
}

function node() {
  const pinned = join(root, 'node_modules', '.bin', 'node');
  const command = existsSync(pinned) ? pinned : process.execPath;
  const version = spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 18)) {
    fail(2, `node ${version || 'unknown'} is too old, and no pinned one fits this platform`, 'install node 22.18 or newer');
  }
  say(2, `node: ${version}${command === pinned ? ', pinned by the lock file' : ''}`);
}

function servers() {
  for (const name of ['temporal', 'bao']) {
    try {
      let found = findServer(name);
      if (!found) {
        installServer(name, (line) => say(3, line));
        found = findServer(name);
      }
      say(3, `${name}: ${found.version} (${found.from})`);
    } catch (error) {
      fail(3, error.message, 'mend what it names and run the same command again; nothing half-installed is left behind');
    }
  }
}

dependencies();
node();
servers();
