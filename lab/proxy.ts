import { connect, createServer, type Server, type Socket } from 'node:net';

/** A request that passed a proxy: what its first line said. */
export interface PassedRequest {
  readonly method: string;
  /** As it was sent, query included. */
  readonly path: string;
}

/** What a {@link TcpProxy} is to keep back: the answers to requests that it is true of. */
export interface Hold {
  /** How many answers are kept back now. */
  readonly held: number;
  /** How many it has ever kept back. */
  readonly hits: number;
  /** Resolves with true once an answer is kept back, and with false where none was within `ms`. */
  holding(ms: number): Promise<boolean>;
  /** Lets go what is kept back, and keeps nothing back any more. */
  release(): void;
}

export interface TcpProxy {
  readonly port: number;
  /** `host:port` of the proxy. */
  readonly address: string;
  /** Connections that are open now. */
  readonly connections: number;
  /** Keeps answers back until released: the server has answered then, and its client does not know. Only where the proxy reads HTTP. */
  hold(matches: (request: PassedRequest) => boolean): Hold;
  /** Cuts every open connection, on both sides; gives their number. What it keeps back is lost with them. New connections pass. */
  cut(): number;
  /** While true no connection is taken and none is made: the network is away. The open ones are cut. */
  block(away: boolean): void;
  close(): Promise<void>;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  /** Requests whose answer has not begun, oldest first. HTTP/1.1 answers in the order of its questions. */
  readonly asked: PassedRequest[];
  /** Set while the answers of this connection are kept back. */
  keeping: KeptHold | undefined;
}

interface KeptHold {
  readonly matches: (request: PassedRequest) => boolean;
  readonly pairs: Set<Pair>;
  readonly waiting: Set<() => void>;
  hits: number;
}

/**
 * A proxy on loopback in front of one server there, byte for byte. With `http` it reads the first line of each request (plain HTTP/1.1, as OpenBao speaks it here), so that it can keep back the answer to
 * one by name; without, it only passes and cuts. A server that is away shows as a connection that is cut, as it would without the proxy.
 */
export async function startProxy(options: { readonly to: number; readonly port?: number; readonly http?: boolean }): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let holds: KeptHold[] = [];
  let away = false;

  const drop = (pair: Pair): void => {
    if (!pairs.delete(pair)) return;
    pair.keeping?.pairs.delete(pair);
    pair.near.destroy();
    pair.far.destroy();
  };

  const server: Server = createServer((near) => {
    if (away) {
      near.destroy();
      return;
    }
    const far = connect(options.to, '127.0.0.1');
    const pair: Pair = { near, far, asked: [], keeping: undefined };
    pairs.add(pair);
    near.setNoDelay(true);
    far.setNoDelay(true);
    for (const socket of [near, far]) socket.on('error', () => drop(pair)).on('close', () => drop(pair));
    const reader = options.http === true ? new RequestReader((request) => pair.asked.push(request)) : undefined;
    near.on('data', (chunk: Buffer) => {
      reader?.read(chunk);
      if (!far.write(chunk)) {
        near.pause();
        far.once('drain', () => near.resume());
      }
    });
    far.on('data', (chunk: Buffer) => {
      const request = startsAnswer(chunk) ? pair.asked.shift() : undefined;
      const hold = request === undefined ? undefined : holds.find(({ matches }) => matches(request));
      if (hold !== undefined && pair.keeping === undefined) {
        pair.keeping = hold;
        hold.pairs.add(pair);
        hold.hits += 1;
        far.pause();
        near.cork();
        near.write(chunk);
        for (const wake of [...hold.waiting]) wake();
        return;
      }
      if (!near.write(chunk)) {
        far.pause();
        near.once('drain', () => far.resume());
      }
    });
    near.on('end', () => far.end());
    far.on('end', () => {
      if (pair.keeping === undefined) near.end();
    });
  });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(options.port ?? 0, '127.0.0.1', () => {
      server.off('error', fail);
      done();
    });
  });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;

  const cut = (): number => {
    const all = [...pairs];
    for (const pair of all) drop(pair);
    return all.length;
  };

  return {
    port,
    address: `127.0.0.1:${port}`,
    get connections() {
      return pairs.size;
    },
    hold(matches) {
      if (options.http !== true) throw new TypeError('this proxy reads no HTTP, hence it cannot tell one answer from another');
      const kept: KeptHold = { matches, pairs: new Set(), waiting: new Set(), hits: 0 };
      holds.push(kept);
      return {
        get held() {
          return kept.pairs.size;
        },
        get hits() {
          return kept.hits;
        },
        async holding(ms) {
          if (kept.pairs.size > 0) return true;
          return await new Promise<boolean>((done) => {
            const wake = (): void => finish(true);
            const timer = setTimeout(() => finish(false), ms);
            const finish = (so: boolean): void => {
              clearTimeout(timer);
              kept.waiting.delete(wake);
              done(so);
            };
            kept.waiting.add(wake);
          });
        },
        release() {
          holds = holds.filter((each) => each !== kept);
          for (const pair of kept.pairs) {
            pair.keeping = undefined;
            pair.near.uncork();
            pair.far.resume();
          }
          kept.pairs.clear();
        },
      };
    },
    cut,
    block(so) {
      away = so;
      if (so) cut();
    },
    async close() {
      away = true;
      cut();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

/** An answer's first bytes. A body that begins like this in a chunk of its own would be taken for one, which the JSON of our servers never does. */
const startsAnswer = (chunk: Buffer): boolean => chunk.subarray(0, 9).toString('latin1').startsWith('HTTP/1.');

/** Finds the first lines of requests in what a client sends, by the lengths of the bodies between them. */
class RequestReader {
  readonly #told: (request: PassedRequest) => void;
  #head = '';
  #body = 0;
  #chunked = false;
  constructor(told: (request: PassedRequest) => void) {
    this.#told = told;
  }

  read(chunk: Buffer): void {
    let text = chunk.toString('latin1');
    while (text !== '') {
      if (this.#body > 0) {
        const part = Math.min(this.#body, text.length);
        this.#body -= part;
        text = text.slice(part);
        continue;
      }
      this.#head += text;
      if (this.#chunked) {
        const end = this.#head.indexOf('0\r\n\r\n');
        if (end < 0) return;
        text = this.#head.slice(end + 5);
        this.#head = '';
        this.#chunked = false;
        continue;
      }
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = this.#head.slice(0, end);
      text = this.#head.slice(end + 4);
      this.#head = '';
      this.#body = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      this.#chunked = /^transfer-encoding: *chunked/im.test(head);
      const [method = '', path = ''] = head.split('\r\n', 1)[0]?.split(' ') ?? [];
      this.#told({ method, path });
    }
  }
}
