// Makes a fresh clone ready: dependencies, the right node, the two servers. Runs before the npm scripts; node 18 can run it, and a second
// run touches no network.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
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

const readJson = (...path) => JSON.parse(readFileSync(join(root, ...path), 'utf8'));

/**
 * Packages of the lock file that are not installed as it says. npm writes its own account of what it installed as the last thing it does, so an
 * interrupted install has none. A package for another platform is optional, and then it may be missing.
 */
function missing() {
  const { packages: wanted } = readJson('package-lock.json');
  let installed = {};
  try {
    installed = readJson('node_modules', '.package-lock.json').packages;
  } catch {
    // None, or one cut short: everything is missing.
  }
  const entries = Object.entries(wanted).filter(([path]) => path.startsWith('node_modules/'));
  const lacking = entries.filter(([path, { version, integrity, optional, devOptional }]) => {
    const there = installed[path];
    if (!there) return !optional && !devOptional;
    return there.version !== version || there.integrity !== integrity || !existsSync(join(root, path, 'package.json'));
  });
  return { lacking: lacking.length, entries };
}

async function dependencies() {
  const { lacking, entries } = missing();
  if (lacking === 0) return say(1, 'dependencies: installed as the lock file says');
  say(1, `dependencies: installing ${entries.length} packages from the lock file (a minute or so the first time)`);
  // The npm that runs this, so that both agree; none of the packages needs an install script, so none is run.
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--no-progress', '--loglevel=error'];
  const child = spawn(npm ? process.execPath : 'npm', npm ? [npm, ...args] : args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: withoutCredentials(),
  });
  const began = Date.now();
  const ticking = setInterval(() => {
    const there = entries.filter(([path]) => existsSync(join(root, path, 'package.json'))).length;
    say(1, `dependencies: ${there} of at most ${entries.length} packages, ${Math.round((Date.now() - began) / 1000)} s`);
  }, 5000);
  const code = await new Promise((done) => {
    child.once('error', () => done(1));
    child.once('close', done);
  });
  clearInterval(ticking);
  if (code !== 0)
    fail(
      1,
      'npm could not install the dependencies; its own words stand above',
      'check the network and the registry that npm uses, then run the same command again',
    );
  const left = missing().lacking;
  if (left > 0)
    fail(1, `npm ended well, but ${left} packages are not as the lock file says`, 'remove node_modules and run the same command again');
  say(1, `dependencies: installed, ${Math.round((Date.now() - began) / 1000)} s`);
}

function node() {
  const pinned = join(root, 'node_modules', '.bin', 'node');
  const command = existsSync(pinned) ? pinned : process.execPath;
  const version = spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 18)) {
    fail(
      2,
      `node ${version || 'of an unknown version'} is too old, and no pinned one comes for ${process.platform} ${process.arch}`,
      'install node 22.18 or newer, put it first on PATH, and run the same command again',
    );
  }
  say(2, `node: ${version}${command === pinned ? ', pinned by the lock file' : ', this machine’s own'}`);
}

async function servers() {
  // npm hands a flag given before `--` to its scripts this way; after `--` only the last script sees it.
  if (process.env.TOURNIQUET_USE_CONFIGURED || process.env.npm_config_use_configured) {
    return say(3, 'servers: none installed, since those that are configured are to be used');
  }
  for (const name of ['temporal', 'bao']) {
    try {
      if (!findServer(name)) await installServer(name, (line) => say(3, line));
      const found = findServer(name);
      say(3, `${name}: ${found.version} (${found.from})`);
    } catch (error) {
      fail(3, error.message, error.remedy ?? 'mend what it names and run the same command again; nothing half-installed is left behind');
    }
  }
}

await dependencies();
node();
await servers();
