import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOpenBao } from '../../lab/servers/openbao.ts';

/** The lab's OpenBao, with a file audit device and a KV version 2 mount `kv`. */
export interface TestServer {
  readonly address: string;
  readonly rootToken: string;
  readonly auditLog: string;
  readonly dir: string;
  readonly pid: number;
  call(method: string, path: string, body?: unknown, token?: string): Promise<{ status: number; body: Answer }>;
  stop(): Promise<void>;
}
// biome-ignore lint/suspicious/noExplicitAny: the tests read answers of many forms, each once.
type Answer = any;

export async function startServer(): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'tourniquet-bao-'));
  const { address, rootToken, auditFile, pid, stop } = await startOpenBao({ directory: dir });
  const call: TestServer['call'] = async (method, path, body, token = rootToken) => {
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers: { 'X-Vault-Token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  await call('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '2' } });
  // A new mount of version 2 is made ready in the background and refuses writes until then.
  for (const end = Date.now() + 30_000; (await call('POST', 'kv/data/ready', { data: { x: 'y' } })).status !== 200; ) {
    if (Date.now() > end) throw new Error('the mount was not ready in 30 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    address,
    rootToken,
    auditLog: auditFile,
    dir,
    pid,
    call,
    stop: async () => {
      await stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
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
