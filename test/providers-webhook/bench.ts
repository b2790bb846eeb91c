import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { codeOf as codeOfError } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import { type Key, memory, newKey, type Options, type System, serve } from '../../examples/webhook/server.ts';
import type { Connection, StepContext } from '../../providers/contract.ts';
import { connect } from '../../providers/webhook/connect.ts';
import { Operation, writes } from '../../providers/webhook/wire.ts';
import type { Trouble, WorldCall } from '../conformance/world.ts';

export const timing: StepContext['timing'] = { propagationMs: 5, logLagMs: 20, marginMs: 20, pollMs: 20, giveUpMs: 2000 };

/** What may be done to an endpoint that is under test: its answers spoilt on the way, and every call counted. */
export interface Place {
  readonly url: string;
  readonly secret: string;
  readonly keys: Map<string, Key>;
  readonly calls: WorldCall[];
  trouble(trouble: Trouble | undefined): void;
  connect(more?: { readonly settings?: Record<string, unknown>; readonly secret?: string; readonly url?: string }): Promise<Connection>;
  /** The same endpoint at another address, for whoever may call these operations alone. */
  narrow(allow: readonly string[]): Promise<string>;
  close(): Promise<void>;
}

export const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;

/** The code of a failure. */
export async function codeOf(run: Promise<unknown>): Promise<string> {
  try {
    await run;
  } catch (error) {
    return codeOfError(error);
  }
  return 'none';
}

export async function listen(listener: RequestListener): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`, server };
}

export async function shut(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

/** The reference endpoint over keys in memory, with trouble on the line at will. */
export async function place(
  options: { readonly system?: (keys: Map<string, Key>) => System; readonly serve?: Partial<Options> } = {},
): Promise<Place> {
  const secret = newSecret();
  const keys = new Map(['leaked', 'other', 'third'].map((id) => [id, newKey(id, 'team-a', 'active')]));
  const system = (options.system ?? memory)(keys);
  const calls: WorldCall[] = [];
  let trouble: { readonly kind: Trouble['kind']; left: number } | undefined;
  const picture = (): string => JSON.stringify([...keys.values()].map(({ id, state, heldBy }) => [id, state, heldBy]));
  const under =
    (listener: RequestListener): RequestListener =>
    (request, response) => {
      const operation = (request.url ?? '').split('/').at(-1) ?? '';
      const change = writes.some((each) => each === operation);
      const strikes = trouble !== undefined && trouble.left > 0 && (trouble.kind !== 'lost-reply' || change);
      if (strikes && trouble !== undefined) trouble.left--;
      const kind = strikes ? trouble?.kind : undefined;
      const asked = Object.values(Operation).some((each) => each === operation) ? operation : 'poll';
      if (kind !== undefined && kind !== 'lost-reply') {
        calls.push({ permission: asked, changed: false });
        if (kind === 'down') return void request.socket.destroy();
        request.resume();
        response.writeHead(kind === 'throttled' ? 429 : 500, { 'content-type': 'text/html' }).end('<h1>Trouble</h1>');
        return;
      }
      const before = picture();
      const end = response.end.bind(response);
      response.end = ((...given: Parameters<typeof end>) => {
        calls.push({ permission: asked, changed: picture() !== before });
        return kind === 'lost-reply' ? request.socket.destroy() : end(...given);
      }) as typeof response.end;
      if (kind === 'lost-reply') response.writeHead = (() => response) as typeof response.writeHead;
      listener(request, response);
    };
  const main = await listen(under(serve(system, { secret, ...options.serve })));
  const further: Server[] = [];
  return {
    url: main.url,
    secret,
    keys,
    calls,
    trouble: (next) => {
      trouble = next === undefined ? undefined : { kind: next.kind, left: next.count ?? Number.POSITIVE_INFINITY };
    },
    connect: (more = {}) =>
      connect({
        provider: 'webhook',
        account: 'billing',
        mode: 'act',
        settings: { url: more.url ?? main.url, mints: true, timeoutMs: 3000, signedAnswers: true, ...more.settings },
        credentials: { secret: new Secret(more.secret ?? secret) },
      }),
    async narrow(allow) {
      const { url, server } = await listen(under(serve(system, { secret, allow })));
      further.push(server);
      return url;
    },
    async close() {
      for (const server of [main.server, ...further]) await shut(server);
    },
  };
}
