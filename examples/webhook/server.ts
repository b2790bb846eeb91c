// A reference endpoint of the webhook contract (docs/webhook.md), with no dependency but node. `node examples/webhook/server.ts` serves keys in memory; to serve your system, write a `System` over it.
// The signing secret comes from the file that TOURNIQUET_WEBHOOK_SECRET_FILE names, the port from PORT. Put it behind TLS everywhere but on your own machine.
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { fileURLToPath } from 'node:url';

export type State = 'active' | 'contained' | 'revoked' | 'inactive' | 'absent' | 'pending' | 'unknown';
/** An answer: `state`, `alreadyDone`, and what the operation says besides. */
export type Answer = Readonly<Record<string, unknown>>;
/** A request that was found good. `key` is its idempotency key, which becomes the name of a containment. */
export interface Request {
  readonly key: string;
  readonly credential: { readonly system: string; readonly id: string };
  readonly body: Readonly<Record<string, unknown>>;
}
/** Your system: what it can do, and how. An operation answers or throws a `Refusal`; whatever else it throws becomes a 500, which is read as "not known". */
export interface System {
  readonly capabilities: Answer;
  readonly operations: Readonly<Record<string, (request: Request) => Promise<Answer> | Answer>>;
}
/** 409: somebody else's change is in the way. 501: that cannot be done here. */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
/** `allow`: the operations that this secret may call; all, where it is left out. `defer`: changes are answered with 202 and asked for later. */
export type Options = { readonly secret: string; readonly allow?: readonly string[]; readonly defer?: boolean };

const writes = ['contain', 'uncontain', 'mint', 'activate', 'revoke'];

export function serve(system: System, options: Options): RequestListener {
  const key = Buffer.from(options.secret.trim().slice('whsec_'.length), 'base64');
  const sign = (id: string, at: string, body: string): Buffer => createHmac('sha256', key).update(`${id}.${at}.${body}`).digest();
  // By idempotency key: what was asked and what was answered. Yours belong into a database, for at least 24 hours.
  const answers = new Map<string, { readonly asked: string; readonly answer: Promise<Answer> }>();
  const deferred = new Map<string, Answer>();

  function verify(headers: IncomingMessage['headers'], text: string): void {
    const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': given } = headers;
    if (typeof id !== 'string' || typeof at !== 'string' || typeof given !== 'string') throw new Refusal(401, 'the request is not signed');
    if (!(Math.abs(Number(at) - Date.now() / 1000) <= 300)) throw new Refusal(401, 'the timestamp is more than five minutes away');
    const wanted = sign(id, at, text);
    const signatures = given.split(' ').map((each) => Buffer.from(each.startsWith('v1,') ? each.slice(3) : '', 'base64'));
    if (!signatures.some((each) => each.length === wanted.length && timingSafeEqual(each, wanted)))
      throw new Refusal(401, 'the signature is wrong');
  }

  async function answerTo(request: IncomingMessage, text: string): Promise<readonly [status: number, answer: Answer]> {
    verify(request.headers, text);
    const path = new URL(request.url ?? '/', 'http://here').pathname;
    if (request.method === 'GET') {
      const answer = deferred.get(path.split('/polls/')[1] ?? '');
      if (!answer) throw new Refusal(404, 'nothing waits here');
      return [200, answer];
    }
    const body: Answer = { ...JSON.parse(text) };
    const operation = path.slice(path.lastIndexOf('/') + 1);
    // The signature covers neither path nor headers, so the body says them again.
    if (body.operation !== operation) throw new Refusal(400, `the path says ${operation}, operation in the body another`);
    if (options.allow && !options.allow.includes(operation)) throw new Refusal(403, `this secret may not call ${operation}`);
    const offered = ['capabilities', ...Object.keys(system.operations)];
    if (operation === 'capabilities') return [200, { ...system.capabilities, operations: offered }];
    const run = offered.includes(operation) ? system.operations[operation] : undefined;
    if (!run) throw new Refusal(501, `${operation} is not offered`);
    const { system: of, id } = (body.credential ?? body.replaces ?? {}) as Readonly<Record<string, unknown>>;
    const call: Request = { key: String(body.idempotencyKey ?? ''), credential: { system: String(of), id: String(id) }, body };
    if (!writes.includes(operation)) return [200, await run(call)];
    if (call.key === '' || request.headers['idempotency-key'] !== call.key)
      throw new Refusal(400, 'Idempotency-Key is missing, or is not the idempotencyKey of the body');
    const earlier = answers.get(call.key);
    if (earlier && earlier.asked !== text) throw new Refusal(422, 'this idempotency key was used for another request');
    const answer = earlier?.answer ?? Promise.resolve().then(() => run(call));
    answers.set(call.key, { asked: text, answer });
    // What failed is forgotten, so that it can be tried again under the same key.
    answer.catch(() => answers.delete(call.key));
    if (!options.defer) return [200, await answer];
    const ticket = randomUUID();
    deferred.set(ticket, await answer);
    return [202, { state: 'pending', alreadyDone: false, poll: `${path.slice(0, path.lastIndexOf('/'))}/polls/${ticket}` }];
  }

  return async (request, response) => {
    let [status, answer]: readonly [number, Answer] = [500, { error: { code: 'failed', message: 'it failed' } }];
    try {
      [status, answer] = await answerTo(request, await read(request));
    } catch (error) {
      if (error instanceof SyntaxError) [status, answer] = [400, { error: { code: 'refused', message: 'the body is no JSON' } }];
      if (error instanceof Refusal) [status, answer] = [error.status, { error: { code: 'refused', message: error.message } }];
    }
    const text = JSON.stringify(answer);
    const [id, at] = [String(request.headers['webhook-id'] ?? ''), String(Math.floor(Date.now() / 1000))];
    const signature = `v1,${sign(id, at, text).toString('base64')}`;
    const headers = { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature };
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
  };
}

async function read(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) if (text.length <= 1 << 20) text += chunk;
  if (text.length > 1 << 20) throw new Refusal(413, 'the request is larger than 1 MiB');
  return text;
}

/** One key of the system in memory. `made` are tokens it gave out, which outlive its revocation by up to an hour and are stopped by its containment. */
export interface Key {
  readonly id: string;
  readonly owner: string;
  readonly secret: string;
  readonly mintedBy?: string;
  state: State;
  since: string;
  heldBy?: string | undefined;
  readonly uses: { at: string; what: string; by: string; from: string }[];
  readonly made: { id: string; via: string; issuedAt: string; expiresAt: string }[];
}
const now = (): string => new Date().toISOString();
export const newKey = (id: string, owner: string, state: State, mintedBy?: string): Key => {
  const secret = randomBytes(24).toString('base64url');
  return { id, owner, secret, state, since: now(), uses: [], made: [], ...(mintedBy === undefined ? {} : { mintedBy }) };
};

export function memory(keys: Map<string, Key>): System {
  const find = ({ credential }: Request): Key | undefined => keys.get(credential.id);
  const tell = (key: Key | undefined, alreadyDone = false): Answer => {
    if (!key) return { state: 'absent', alreadyDone: false };
    // What it made lives on after a revocation: the newest of it is the last to expire.
    const residualUntil = key.state === 'revoked' ? key.made.at(-1)?.expiresAt : undefined;
    return { state: key.state, effectiveAt: key.since, alreadyDone, reversibleBy: key.heldBy, residualUntil };
  };
  const turn = (key: Key, state: State, heldBy?: string): Answer => tell(Object.assign(key, { state, since: now(), heldBy }));
  return {
    capabilities: { v: 1, reversible: true, mints: true, overlap: 'unlimited', maxDerivedTtl: 3600, signsResponses: true },
    operations: {
      identify(request) {
        const [key, { secret }] = [find(request), request.body];
        const possession = !key || secret === undefined ? 'unknown' : key.secret === secret ? 'yes' : 'no';
        return { ...tell(key), owner: key?.owner, possession };
      },
      check(request) {
        const { madeBy } = request.body;
        const key = madeBy === undefined ? find(request) : [...keys.values()].find((each) => each.mintedBy === madeBy);
        return { ...tell(key), id: key?.id };
      },
      contain(request) {
        const key = find(request);
        return !key || key.state === 'contained' || key.state === 'revoked' ? tell(key, true) : turn(key, 'contained', request.key);
      },
      uncontain(request) {
        const key = find(request);
        if (!key || key.state === 'active') return tell(key, true);
        if (key.heldBy === undefined || key.heldBy !== request.body.undoes) throw new Refusal(409, 'what stands is not to be undone so');
        return turn(key, 'active');
      },
      mint(request) {
        const old = find(request);
        if (!old) return tell(old);
        const key = newKey(`key_${randomBytes(6).toString('hex')}`, old.owner, 'inactive', request.key);
        keys.set(key.id, key);
        return { ...tell(key), id: key.id, secret: key.secret };
      },
      activate(request) {
        const key = find(request);
        if (key && key.state !== 'active' && key.state !== 'inactive') throw new Refusal(409, `it is ${key.state}`);
        return !key || key.state === 'active' ? tell(key, true) : turn(key, 'active');
      },
      revoke(request) {
        const key = find(request);
        return !key || key.state === 'revoked' ? tell(key, true) : turn(key, 'revoked');
      },
      listDescendants(request) {
        const key = find(request);
        const state = (until: string): State => (until < now() ? 'revoked' : key?.state === 'contained' ? 'contained' : 'active');
        const descendants = (key?.made ?? []).map((each) => ({ ...each, state: state(each.expiresAt), controllable: false }));
        return { complete: true, asOf: now(), descendants };
      },
      evidence(request) {
        const since = String(request.body.since ?? now());
        return { complete: true, from: since, until: now(), uses: (find(request)?.uses ?? []).filter((use) => use.at >= since) };
      },
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const secret = readFileSync(process.env.TOURNIQUET_WEBHOOK_SECRET_FILE ?? 'webhook.secret', 'utf8');
  const keys = new Map(['key_1', 'key_2', 'key_3'].map((id) => [id, newKey(id, 'team-example', 'active')]));
  const server = createServer(serve(memory(keys), { secret }));
  server.listen(Number(process.env.PORT ?? 8787), '127.0.0.1', () => console.log(`listening on ${JSON.stringify(server.address())}`));
}
