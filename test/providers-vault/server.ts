import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, request as send } from 'node:http';
import { type AddressInfo, createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A real OpenBao in memory, with a file audit device and a KV version 2 mount `kv`. */
export interface TestServer {
  readonly address: string;
  readonly rootToken: string;
  readonly auditLog: string;
  readonly dir: string;
  call(method: string, path: string, body?: unknown, token?: string): Promise<{ status: number; body: Answer }>;
  stop(): Promise<void>;
}
// biome-ignore lint/suspicious/noExplicitAny: the tests read answers of many forms, each once.
type Answer = any;

export async function startServer(): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'tourniquet-bao-'));
  const auditLog = join(dir, 'audit.log');
  const rootToken = 'root-of-this-test-only';
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  await writeFile(join(dir, 'server.hcl'), `audit "file" "lab" {\n  options {\n    file_path = "${auditLog}"\n  }\n}\n`);
  const child = spawn(
    binary(),
    [
      'server',
      '-dev',
      '-dev-no-store-token',
      `-dev-root-token-id=${rootToken}`,
      `-dev-listen-address=127.0.0.1:${port}`,
      `-config=${join(dir, 'server.hcl')}`,
    ],
    { env: { HOME: dir, PATH: process.env.PATH ?? '' }, stdio: ['ignore', 'ignore', 'ignore'] },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const call: TestServer['call'] = async (method, path, body, token = rootToken) => {
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers: { 'X-Vault-Token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  await until(child, async () => (await call('GET', 'sys/health')).status === 200);
  await call('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '2' } });
  // A new mount of version 2 is made ready in the background and refuses writes until then.
  await until(child, async () => (await call('POST', 'kv/data/ready', { data: { x: 'y' } })).status === 200);
  return {
    address,
    rootToken,
    auditLog,
    dir,
    call,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function until(child: ChildProcess, ready: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; ; ) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    if (await ready().catch(() => false)) return;
    if (Date.now() > end) throw new Error('the server did not come up in 30 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function binary(): string {
  const tools = new URL('../../.tools/', import.meta.url).pathname;
  const kept = existsSync(tools) ? readdirSync(tools, { recursive: true, encoding: 'utf8' }).filter((name) => /(^|\/)bao$/.test(name)) : [];
  const found = [
    ...kept.map((name) => join(tools, name)),
    ...(process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, 'bao')),
  ].find(existsSync);
  if (found === undefined) throw new Error('no bao under .tools or on PATH: npm test puts it there');
  return found;
}

async function freePort(): Promise<number> {
  const socket = createSocket();
  await new Promise<void>((resolve) => socket.listen(0, '127.0.0.1', resolve));
  const { port } = socket.address() as AddressInfo;
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

/** What the proxy is to do with one request, by its number since the last `reset`. */
export type Fate = 'pass' | 'lose-request' | 'lose-reply' | { readonly status: number; readonly body?: unknown };

/** Stands before the server, counts what goes through and does harm on demand. */
export interface FaultProxy {
  readonly address: string;
  readonly seen: { readonly method: string; readonly path: string; readonly status: number | 'lost' }[];
  fate: (number: number, request: { method: string; path: string }) => Fate;
  reset(): void;
  stop(): Promise<void>;
}

export async function startProxy(upstream: string): Promise<FaultProxy> {
  const seen: { method: string; path: string; status: number | 'lost' }[] = [];
  const server: Server = createServer((request, response) => {
    const place = { method: request.method ?? '', path: request.url ?? '' };
    const entry: { method: string; path: string; status: number | 'lost' } = { ...place, status: 'lost' };
    seen.push(entry);
    const fate = proxy.fate(seen.length - 1, place);
    if (fate === 'lose-request') return void request.socket.destroy();
    if (typeof fate === 'object') {
      entry.status = fate.status;
      request.resume();
      return void response.writeHead(fate.status, { 'content-type': 'application/json' }).end(JSON.stringify(fate.body ?? { errors: [] }));
    }
    const onward = send(
      `${upstream}${request.url}`,
      { method: request.method, headers: { ...request.headers, host: new URL(upstream).host } },
      (answer: IncomingMessage) => {
        entry.status = answer.statusCode ?? 0;
        if (fate === 'lose-reply') {
          // Only once the server has said all it has to say: then the effect is certain.
          answer.resume().once('end', () => request.socket.destroy());
          return;
        }
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      },
    );
    onward.once('error', () => request.socket.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultProxy = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    fate: () => 'pass',
    reset() {
      seen.length = 0;
      proxy.fate = () => 'pass';
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}
