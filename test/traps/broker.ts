import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * The little of a RabbitMQ broker's management interface that OpenBao's own engine for it talks to: users are made, may be asked who they are, and are removed, unless the broker is broken. It stands
 * in for any origin whose accounts a lease is of.
 */
export interface Broker {
  readonly address: string;
  /** While set, it refuses to remove anybody. */
  broken: boolean;
  /** Whether a user of that name and password is let in. */
  lets(user: string, password: string): Promise<boolean>;
  stop(): Promise<void>;
}

export async function startBroker(): Promise<Broker> {
  const users = new Map<string, string>();
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => {
      body += String(piece);
    });
    request.once('end', () => {
      const answer = (status: number, text?: string) => response.writeHead(status, { 'content-type': 'application/json' }).end(text);
      const name = /^\/api\/users\/([^/]+)$/.exec(request.url ?? '')?.[1];
      if (request.url === '/api/whoami') {
        const [user = '', password = ''] = Buffer.from((request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64')
          .toString()
          .split(/:(.*)/s);
        return users.get(user) === password ? answer(200, JSON.stringify({ name: user })) : answer(401, '{"error":"not_authorised"}');
      }
      if (name !== undefined && request.method === 'PUT') {
        users.set(decodeURIComponent(name), String((JSON.parse(body) as { password?: string }).password));
        return answer(201);
      }
      if (name !== undefined && request.method === 'DELETE') {
        if (broker.broken) return answer(500, '{"error":"internal","reason":"the broker is broken"}');
        return answer(users.delete(decodeURIComponent(name)) ? 204 : 404, undefined);
      }
      return answer(204);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const broker: Broker = {
    address,
    broken: false,
    async lets(user, password) {
      const answer = await fetch(`${address}/api/whoami`, {
        headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
      });
      return answer.status === 200;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return broker;
}
