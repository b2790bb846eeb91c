import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EncryptionCodec, type Keyring } from '../audit/codec.ts';

export interface CodecEndpoint {
  readonly url: string;
  close(): Promise<void>;
}

const most = 4 * 1024 * 1024;

/**
 * What the Temporal web UI asks to show payloads in clear. It decodes only, listens on loopback unless `host` says otherwise, answers one exact origin, wants the token where one is
 * set (as `Authorization: Bearer …` or as the first part of the path, which the UI's endpoint setting can carry), logs each request without its content, and lets nobody cache an answer.
 */
export async function startCodecEndpoint(options: {
  keyring: Keyring;
  origin: string;
  token?: string;
  port?: number;
  host?: string;
  log?: (line: string) => void;
}): Promise<CodecEndpoint> {
  const codec = new EncryptionCodec(options.keyring);
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const origin = request.headers.origin;
    const refuse = (status: number, why: string) => {
      options.log?.(`${new Date().toISOString()} ${request.method} refused ${status} ${why}`);
      response.writeHead(status, { 'content-type': 'text/plain' }).end(`${why}\n`);
    };
    if (origin !== undefined && origin !== options.origin) return refuse(403, 'another origin');
    if (origin) {
      response.setHeader('Access-Control-Allow-Origin', origin);
      response.setHeader('Access-Control-Allow-Headers', 'Authorization, Content-Type, X-Namespace');
      response.setHeader('Access-Control-Allow-Methods', 'POST, OPTIONS');
      response.setHeader('Access-Control-Allow-Credentials', 'true');
      response.setHeader('Vary', 'Origin');
    }
    response.setHeader('Cache-Control', 'no-store');
    if (request.method === 'OPTIONS') {
      response.writeHead(204).end();
      return;
    }
    const path = (request.url ?? '').split('?')[0] ?? '';
    const parts = path.split('/').filter(Boolean);
    if (options.token) {
      const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? (parts.length === 2 ? parts[0] : undefined) ?? '';
      if (!same(given, options.token)) return refuse(401, 'no such token');
    }
    if (request.method !== 'POST' || parts.at(-1) !== 'decode') return refuse(404, 'this endpoint decodes only');
    const body = await read(request);
    if (body === undefined) return refuse(413, 'too large');
    let payloads: { metadata?: Record<string, string>; data?: string }[];
    try {
      payloads = (JSON.parse(body) as { payloads: typeof payloads }).payloads;
      if (!Array.isArray(payloads)) throw new TypeError('no payloads');
    } catch {
      return refuse(400, 'not a list of payloads');
    }
    const decoded = payloads.map((payload) => {
      const metadata: Record<string, Uint8Array> = {};
      for (const [key, value] of Object.entries(payload.metadata ?? {})) metadata[key] = Buffer.from(value, 'base64');
      const plain = codec.decodeOne({ metadata, data: Buffer.from(payload.data ?? '', 'base64') });
      return {
        metadata: Object.fromEntries(
          Object.entries(plain.metadata ?? {}).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
        ),
        data: Buffer.from(plain.data ?? new Uint8Array()).toString('base64'),
      };
    });
    options.log?.(
      `${new Date().toISOString()} decoded ${decoded.length} payloads for namespace ${String(request.headers['x-namespace'] ?? '')}`,
    );
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ payloads: decoded }));
  }

  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', done);
  });
  const { port } = server.address() as AddressInfo;
  const path = options.token ? `/${options.token}` : '';
  return {
    url: `http://${options.host ?? '127.0.0.1'}:${port}${path}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

function same(given: string, wanted: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(wanted);
  return a.length === b.length && timingSafeEqual(a, b);
}

async function read(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > most) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
