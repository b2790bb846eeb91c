import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fault } from '../../domain/errors.ts';
import { findServer } from './find.ts';
import { freePort, type Part, startPart, untilReady } from './part.ts';

export interface OpenBaoOptions {
  /** Folder of the raft data, the seal key, the configuration and the root token. The same folder again is the same vault. */
  readonly directory: string;
  readonly port?: number;
  readonly clusterPort?: number;
  readonly auditFile?: string;
  readonly log?: string;
  /** Opens the storage behind everything to the root token (`sys/raw`), for a test that needs a state which takes the server minutes to come to. */
  readonly rawStorage?: boolean;
  /** Told of the process as soon as there is one, before it is ready: whoever keeps a list of what to end must not miss it. */
  readonly onPart?: (part: Part) => void;
}

export interface OpenBaoServer {
  readonly address: string;
  readonly rootToken: string;
  readonly auditFile: string;
  readonly pid: number;
  readonly part: Part;
  stop(): Promise<void>;
}

/**
 * OpenBao on raft with a static seal (its key in a 0600 file beside the data) and a file audit device from its configuration, since audit devices cannot be made by API.
 * The first start initialises it and keeps the root token in `root.json`, 0600. It is unsealed and active when this returns.
 */
export async function startOpenBao(options: OpenBaoOptions): Promise<OpenBaoServer> {
  const { directory } = options;
  mkdirSync(join(directory, 'raft'), { recursive: true, mode: 0o700 });
  const port = options.port ?? (await freePort());
  const clusterPort = options.clusterPort ?? (await freePort());
  const auditFile = options.auditFile ?? join(directory, 'audit.log');
  const log = options.log ?? join(directory, 'openbao.log');
  const sealKey = join(directory, 'seal.key');
  if (!existsSync(sealKey)) keep(sealKey, randomBytes(32));
  const address = `http://127.0.0.1:${port}`;
  const configuration = join(directory, 'openbao.hcl');
  writeFileSync(
    configuration,
    `ui = false
disable_mlock = true
${options.rawStorage ? 'raw_storage_endpoint = true\n' : ''}api_addr = "${address}"
cluster_addr = "http://127.0.0.1:${clusterPort}"
listener "tcp" {
  address = "127.0.0.1:${port}"
  cluster_address = "127.0.0.1:${clusterPort}"
  tls_disable = true
}
storage "raft" {
  path = "${join(directory, 'raft')}"
  node_id = "practice"
  performance_multiplier = 1
}
seal "static" {
  current_key_id = "practice-1"
  current_key = "file://${sealKey}"
}
audit "file" "to-file" {
  description = "every request, for watching readers"
  options {
    file_path = "${auditFile}"
    mode = "0600"
  }
}
`,
    { mode: 0o600 },
  );
  const part = startPart('openbao', findServer('bao').path, ['server', '-config', configuration, '-log-level', 'warn'], { log });
  options.onPart?.(part);
  const rootFile = join(directory, 'root.json');
  try {
    await untilReady(part, log, async () => {
      const health = await fetch(`${address}/v1/sys/health?standbyok=false`, { signal: AbortSignal.timeout(1000) });
      if (health.status === 200) return true;
      if (health.status === 501 && !existsSync(rootFile)) {
        const made = await fetch(`${address}/v1/sys/init`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ recovery_shares: 1, recovery_threshold: 1 }),
        });
        if (made.ok) keep(rootFile, await made.text());
      }
      return false;
    });
  } catch (error) {
    await part.stop(500);
    throw error;
  }
  if (!existsSync(rootFile)) {
    // It was killed between its initialisation and the writing of the token, which nothing can bring back.
    await part.stop(500);
    throw fault('stack.failed', {
      part: 'openbao',
      problem: `initialised, but its root token is lost: remove ${directory} and start again`,
    });
  }
  const { root_token: rootToken } = JSON.parse(readFileSync(rootFile, 'utf8')) as { root_token?: string };
  if (!rootToken) throw fault('stack.failed', { part: 'openbao', problem: 'no root token', log });
  return { address, rootToken, auditFile, pid: part.pid, part, stop: () => part.stop() };
}

/** Written whole or not at all, for the owner's eyes only. */
function keep(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
