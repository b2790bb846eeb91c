import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A token with all that Acme knows of it. */
export interface Row {
  id: string;
  owner: string;
  status: 'active' | 'suspended';
  note: string;
  parent?: string;
  createdAt: string;
  revision: number;
}

/** Acme on loopback, as strict as its API reference: keys have permissions, writes need the revision that was read, and what is gone is named. */
export interface StandIn {
  readonly address: string;
  readonly rows: Map<string, Row>;
  /** Keys and what each may do. */
  readonly keys: Map<string, readonly string[]>;
  readonly seen: { readonly permission: string; readonly changed: boolean }[];
  /** What befalls the next calls: `count` of them, or all. */
  trouble: { kind: 'lost-reply' | 'throttled' | 'broken' | 'down'; left: number } | undefined;
  close(): Promise<void>;
}

const permissions: Readonly<Record<string, string>> = { GET: 'tokens.read', PATCH: 'tokens.update', DELETE: 'tokens.delete' };

export async function startStandIn(): Promise<StandIn> {
  const rows = new Map<string, Row>();
  const keys = new Map<string, readonly string[]>();
  const seen: { permission: string; changed: boolean }[] = [];

  const answer = (response: ServerResponse, status: number, body?: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json', 'x-request-id': randomUUID() });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = 'GET', url = '/' } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const id = /^\/tokens\/([^/?]+)$/.exec(url)?.[1];
    const permission = id === undefined ? 'tokens.list' : (permissions[method] ?? 'none');
    const entry = { permission, changed: false };
    seen.push(entry);
    const trouble = self.trouble;
    const strikes = trouble !== undefined && trouble.left > 0 && (trouble.kind !== 'lost-reply' || method !== 'GET');
    if (strikes) trouble.left--;
    if (strikes && trouble.kind === 'down') return void request.socket.destroy();
    if (strikes && trouble.kind === 'throttled') return answer(response, 429, { error: 'slow down' });
    if (strikes && trouble.kind === 'broken') return answer(response, 500, { error: 'oops' });
    const allowed = keys.get(/^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '');
    if (!allowed) return answer(response, 401, { error: 'unknown key' });
    if (!allowed.includes(permission)) return answer(response, 403, { error: `needs ${permission}` });
    if (id === undefined)
      return url === '/tokens' && method === 'GET' ? answer(response, 200, [...rows.values()].map(shown)) : answer(response, 404, {});
    const row = rows.get(id);
    if (!row) return answer(response, 404, { missing: id });
    if (method === 'GET') return answer(response, 200, shown(row));
    if (request.headers['if-match'] === undefined) return answer(response, 428, { error: 'if-match is needed' });
    if (request.headers['if-match'] !== shown(row).revision) return answer(response, 412, { error: 'it has changed' });
    if (method === 'DELETE') rows.delete(id);
    else if (method === 'PATCH') {
      const { status, note } = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Partial<Row>;
      if ((status !== 'active' && status !== 'suspended') || typeof note !== 'string')
        return answer(response, 422, { error: 'status and note' });
      Object.assign(row, { status, note, revision: row.revision + 1 });
    } else return answer(response, 405, {});
    entry.changed = true;
    if (strikes) return void request.socket.destroy();
    return method === 'DELETE' ? answer(response, 204) : answer(response, 200, shown(row));
  };

  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const self: StandIn = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    rows,
    keys,
    seen,
    trouble: undefined,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
  return self;
}

const shown = (row: Row) => ({ ...row, revision: `r${row.revision}` });

/** A token as it is made. */
export function row(id: string, more: Partial<Row> = {}): Row {
  return { id, owner: 'team-a', status: 'active', note: '', createdAt: new Date().toISOString(), revision: 1, ...more };
}
