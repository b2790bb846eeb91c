import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type Answer, type Key, memory, newKey, Refusal, type Request, type System, serve } from '../../examples/webhook/server.ts';
import { type ClaimName, claimNames } from '../../providers/webhook/trial.ts';
import { tourniquet } from '../cli/harness.ts';
import { listen, newSecret, shut } from './bench.ts';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Report {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly claims: readonly {
    readonly claim: ClaimName;
    readonly result: string;
    readonly flaw?: Record<string, string>;
    readonly because?: string;
  }[];
}

type Keys = Map<string, Key>;
interface World {
  readonly keys: Keys;
  readonly secret: string;
}

/** Serves something, and runs the command against it. */
async function tried(
  make: (world: World) => RequestListener,
  more: readonly string[] = [],
): Promise<{ readonly code: number; readonly report: Report; readonly out: string; readonly keys: Keys; readonly secret: string }> {
  const world: World = { keys: new Map(['key_1', 'key_2'].map((id) => [id, newKey(id, 'team-a', 'active')])), secret: newSecret() };
  const { url, server } = await listen(make(world));
  closing.push(() => shut(server));
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-trial-'));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'webhook.secret'), `${world.secret}\n`, { mode: 0o600 });
  const argv = ['conformance', url, '--secret-file', 'webhook.secret', '--credential', 'billing/key_1', '--patience', '2', ...more];
  const ran = await tourniquet([...argv, '--json'], { cwd: folder });
  if (ran.out === '') throw new Error(ran.err);
  return { code: ran.code, report: JSON.parse(ran.out) as Report, out: ran.out, ...world };
}

const reference = ({ keys, secret }: World): RequestListener => serve(memory(keys), { secret });

/** The reference system with some of its operations, or its capabilities, replaced. */
const but =
  (
    change: (right: System['operations'], keys: Keys) => Record<string, (request: Request) => Answer | Promise<Answer>>,
    able: Answer = {},
  ) =>
  ({ keys, secret }: World): RequestListener => {
    const right = memory(keys);
    const operations = { ...right.operations, ...change(right.operations, keys) };
    return serve({ capabilities: { ...right.capabilities, ...able }, operations }, { secret });
  };

/** The reference server with what it answers changed on the way. */
const answering =
  (change: (status: number, text: string) => string) =>
  (world: World): RequestListener => {
    const right = reference(world);
    return (request, response) => {
      const end = response.end.bind(response);
      response.end = ((text: string) => end(change(response.statusCode, text))) as typeof response.end;
      right(request, response);
    };
  };

const call = (operations: System['operations'], name: string, request: Request) =>
  (operations[name] as (request: Request) => Answer)(request);

/** Each breaks one claim, which has to be found by name. */
const mutants: Readonly<Record<ClaimName, (world: World) => RequestListener>> = {
  capabilities: but(() => ({}), { overlap: 'many' }),
  unsigned: (world) => unverified(world, 'all'),
  'wrong-signature': (world) => unverified(world, 'signature'),
  'altered-body': (world) => unverified(world, 'body'),
  'old-timestamp': (world) => unverified(world, 'time'),
  'operation-bound': (world) => lax(world, 'operation'),
  'key-required': (world) => lax(world, 'key'),
  'error-bodies': answering((status, text) => (status >= 400 ? 'an error occurred' : text)),
  check: but((right) => ({ check: (request) => ({ ...call(right, 'check', request), effectiveAt: new Date().toISOString() }) })),
  'unknown-id': but((right) => ({
    revoke: (request) => {
      const told = call(right, 'revoke', request);
      return told.state === 'absent' ? { state: 'revoked', effectiveAt: new Date().toISOString(), alreadyDone: true } : told;
    },
  })),
  'unknown-fields': but((right) => ({
    check: (request) => {
      if (Object.hasOwn(request.body, 'futureMember')) throw new Refusal(400, 'futureMember is not allowed');
      return call(right, 'check', request);
    },
  })),
  identify: but((right) => ({
    identify: (request) => ({ ...call(right, 'identify', request), possession: request.body.secret === undefined ? 'unknown' : 'yes' }),
  })),
  contain: but((_right, keys) => ({
    contain: (request) => {
      const key = keys.get(request.credential.id);
      return key
        ? { state: 'contained', effectiveAt: new Date().toISOString(), alreadyDone: false, reversibleBy: request.key }
        : { state: 'absent', alreadyDone: false };
    },
  })),
  'same-key': ({ keys, secret }) => fresh(keys, secret),
  asynchronous: ({ keys, secret }) => elsewhere(serve(memory(keys), { secret, defer: true })),
  'key-reuse': (world) => lax(world, 'reuse'),
  'contain-twice': but((right, keys) => ({
    contain: (request) => {
      const key = keys.get(request.credential.id);
      if (key?.state === 'contained') key.heldBy = request.key;
      return call(right, 'contain', request);
    },
  })),
  'uncontain-others': but((right, keys) => ({
    uncontain: (request) =>
      call(right, 'uncontain', { ...request, body: { ...request.body, undoes: keys.get(request.credential.id)?.heldBy } }),
  })),
  uncontain: but((right) => ({
    uncontain: (request) => ({ ...call(right, 'uncontain', request), alreadyDone: false }),
  })),
  mint: but((right, keys) => ({
    mint: (request) => {
      const told = call(right, 'mint', request);
      const old = keys.get(request.credential.id);
      if (old) Object.assign(old, { state: 'revoked' });
      return told;
    },
  })),
  'mint-same-key': ({ keys, secret }) => fresh(keys, secret),
  'made-by': but((right) => ({
    check: (request) => (request.body.madeBy === undefined ? call(right, 'check', request) : { state: 'absent', alreadyDone: false }),
  })),
  activate: but((right) => ({
    activate: (request) => ({
      ...call(right, 'check', request),
      state: 'active',
      effectiveAt: new Date().toISOString(),
      alreadyDone: false,
    }),
  })),
  descendants: but((right) => ({
    listDescendants: (request) => {
      const { complete: _, ...rest } = call(right, 'listDescendants', request);
      return rest;
    },
  })),
  evidence: but((right) => ({ evidence: (request) => ({ ...call(right, 'evidence', request), from: new Date().toISOString() }) })),
  revoke: but((right, keys) => ({
    revoke: (request) => {
      const key = keys.get(request.credential.id);
      return key ? { state: 'revoked', effectiveAt: new Date().toISOString(), alreadyDone: false } : call(right, 'revoke', request);
    },
  })),
  'revoke-final': but((right, keys) => ({
    activate: (request) => {
      const key = keys.get(request.credential.id);
      if (key?.state === 'revoked') key.state = 'inactive';
      return call(right, 'activate', request);
    },
  })),
  'signed-answers': answering((_status, text) => text.replace('{', '{ ')),
};

/** The reference server whose verification leaves something out: it signs what comes anew, before it looks. */
function unverified(world: World, leaves: 'signature' | 'body' | 'time' | 'all'): RequestListener {
  const right = reference(world);
  return (request, response) => resigned(world.secret, leaves, request, response, right);
}

async function resigned(
  secret: string,
  leaves: string,
  request: Parameters<RequestListener>[0],
  response: Parameters<RequestListener>[1],
  right: RequestListener,
): Promise<void> {
  let text = '';
  for await (const chunk of request) text += chunk;
  const headers = { ...request.headers } as Record<string, string>;
  const mac = (at: string, body: string) =>
    createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
      .update(`${headers['webhook-id']}.${at}.${body}`)
      .digest('base64');
  const now = String(Math.floor(Date.now() / 1000));
  const given = headers['webhook-signature'];
  const old = headers['webhook-timestamp'] ?? now;
  const late = Math.abs(Number(old) - Number(now)) > 300;
  const good = given === `v1,${mac(old, text)}`;
  const goodTrimmed = given === `v1,${mac(old, text.trimEnd())}`;
  const pass =
    leaves === 'all'
      ? given === undefined
      : leaves === 'signature'
        ? given !== undefined && !late && !goodTrimmed
        : leaves === 'body'
          ? goodTrimmed && !good
          : good && late;
  if (pass) {
    headers['webhook-id'] ??= 'msg_none';
    headers['webhook-timestamp'] = now;
    headers['webhook-signature'] = `v1,${mac(now, text)}`;
  }
  passOn(request, headers, text, response, right);
}

function passOn(
  request: Parameters<RequestListener>[0],
  headers: Record<string, string>,
  text: string,
  response: Parameters<RequestListener>[1],
  right: RequestListener,
): void {
  const copy = Object.assign(Readable.from([Buffer.from(text)]), { headers, url: request.url, method: request.method });
  right(copy as never, response);
}

/** The reference server that takes what it should refuse: another operation's body, a change without a key, a key used twice. It mends what comes before it looks. */
function lax({ keys, secret }: World, what: 'operation' | 'key' | 'reuse'): RequestListener {
  const right = serve(memory(keys), { secret });
  const others = serve(memory(keys), { secret });
  const seen = new Map<string, string>();
  return async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const headers = { ...request.headers } as Record<string, string>;
    const verified = request.method === 'GET' || signedRight(secret, headers, text);
    let target = right;
    if (verified && text.startsWith('{')) {
      const body = JSON.parse(text) as Record<string, unknown>;
      const operation = (request.url ?? '').split('/').at(-1) ?? '';
      if (what === 'operation' && body.operation === 'check') body.operation = operation;
      if (what === 'key' && operation === 'revoke') {
        body.idempotencyKey ??= 'none';
        headers['idempotency-key'] = String(body.idempotencyKey);
      }
      const key = headers['idempotency-key'];
      if (what === 'reuse' && key !== undefined) {
        const asked = seen.get(key);
        if (asked !== undefined && asked !== text) target = others;
        seen.set(key, asked ?? text);
      }
      const mended = JSON.stringify(body);
      if (mended !== text) {
        text = mended;
        headers['webhook-signature'] = `v1,${createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
          .update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`)
          .digest('base64')}`;
      }
    }
    passOn(request, headers, text, response, target);
  };
}

function signedRight(secret: string, headers: Record<string, string>, text: string): boolean {
  const mac = createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
    .update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`)
    .digest('base64');
  return headers['webhook-signature'] === `v1,${mac}`;
}

/** A server that keeps no answers: each request goes to one that has seen none before. */
function fresh(keys: Keys, secret: string): RequestListener {
  return (request, response) => serve(memory(keys), { secret })(request, response);
}

/** Sends whoever asks for the outcome to another origin. */
function elsewhere(right: RequestListener): RequestListener {
  return (request, response) => {
    const end = response.end.bind(response);
    response.end = ((text: string) => end(text.replace('"/hooks/polls', '"http://127.0.0.1:9/hooks/polls'))) as typeof response.end;
    right(request, response);
  };
}

describe('the command', () => {
  it('finds nothing wrong with the reference server, leaves what was named as it was, and spends only what was made for it', async () => {
    const { code, report, keys } = await tried(reference);
    expect(report.claims.filter(({ result }) => result === 'failed')).toEqual([]);
    expect(report.claims.filter(({ result }) => result === 'skipped').map(({ claim, because }) => [claim, because])).toEqual([
      ['asynchronous', 'the endpoint answers everything at once'],
    ]);
    expect([code, report.failed, report.passed]).toEqual([0, 0, claimNames.length - 1]);
    expect(['key_1', 'key_2'].map((id) => keys.get(id)?.state)).toEqual(['active', 'active']);
    expect([...keys.values()].filter(({ mintedBy }) => mintedBy !== undefined).map(({ state }) => state)).toEqual(['revoked']);
  });

  it('finds nothing wrong with one that answers changes later', async () => {
    const { report } = await tried(({ keys, secret }) => serve(memory(keys), { secret, defer: true }));
    expect(report.claims.filter(({ result }) => result !== 'passed')).toEqual([]);
  });

  it('says of what it could not try that it did not, and takes a credential to spend', async () => {
    const without = { mints: false, reversible: false };
    const modest = ({ keys, secret }: World): RequestListener => {
      const { capabilities, operations } = memory(keys);
      const { mint: _m, activate: _a, contain: _c, uncontain: _u, ...rest } = operations;
      return serve({ capabilities: { ...capabilities, ...without }, operations: rest }, { secret });
    };
    const plain = await tried(modest);
    expect(plain.report.failed).toBe(0);
    expect(plain.report.claims.find(({ claim }) => claim === 'revoke')).toMatchObject({
      result: 'skipped',
      because: expect.stringContaining('--spend'),
    });
    const spent = await tried(modest, ['--spend', 'billing/key_2']);
    expect(spent.report.claims.find(({ claim }) => claim === 'revoke')).toMatchObject({ result: 'passed' });
    expect(spent.keys.get('key_2')?.state).toBe('revoked');
  });

  it('says what was sent, what came, what was expected and what to change; its last line counts', async () => {
    const world: World = { keys: new Map([['key_1', newKey('key_1', 'team-a', 'active')]]), secret: newSecret() };
    const { url, server } = await listen(mutants['contain-twice'](world));
    closing.push(() => shut(server));
    const folder = mkdtempSync(join(tmpdir(), 'tourniquet-trial-'));
    closing.push(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 's'), world.secret, { mode: 0o600 });
    const ran = await tourniquet(['conformance', url, '--secret-file', 's', '--credential', 'billing/key_1'], { cwd: folder });
    expect(ran.code).toBe(1);
    expect(ran.out.trimEnd().split('\n').at(-1)).toMatch(/^\d+ passed, 1 failed$/);
    expect(ran.out).toMatch(
      /✕ contain-twice: .*\n {4}sent {6}POST \/hooks\/contain .*\n {4}came {6}200 .*\n {4}expected {2}reversibleBy .*\n {4}change {4}\S/,
    );
  });

  it('lets no secret out, neither the signing secret nor one that was minted', async () => {
    const { out, keys, secret } = await tried(({ keys: of, secret: by }) => fresh(of, by));
    const report = JSON.parse(out) as Report;
    expect(report.failed).toBeGreaterThan(0);
    for (const each of [secret, secret.slice(6), ...[...keys.values()].map((key) => key.secret)]) expect(out.includes(each)).toBe(false);
  });

  it('is a trouble with a name where the url is none to speak to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tourniquet-trial-'));
    closing.push(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 's'), newSecret(), { mode: 0o600 });
    const ran = await tourniquet(['conformance', 'https://169.254.169.254/', '--secret-file', 's', '--credential', 'a/b'], { cwd: folder });
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('(provider.invalid)');
  });
});

describe('each defect of an endpoint is found by the claim it breaks', () => {
  it.each(claimNames)('%s', async (claim) => {
    const { code, report } = await tried(mutants[claim]);
    const found = report.claims.find((each) => each.claim === claim);
    expect(found?.result, JSON.stringify(report.claims.filter(({ result }) => result === 'failed'))).toBe('failed');
    for (const part of ['sent', 'came', 'expected', 'change']) expect(found?.flaw?.[part], part).toMatch(/\S/);
    expect(code).toBe(1);
  });
});

it('the reference server is one that node starts, and stands the trial in a process of its own', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-trial-'));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 's'), newSecret(), { mode: 0o600 });
  const server = spawn(process.execPath, [fileURLToPath(new URL('../../examples/webhook/server.ts', import.meta.url))], {
    env: { ...process.env, TOURNIQUET_WEBHOOK_SECRET_FILE: join(folder, 's'), PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  closing.push(() => void server.kill());
  const port = await new Promise<number>((resolve, reject) => {
    server.on('exit', () => reject(new Error('it ended')));
    let heard = '';
    server.stdout.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
      const found = /"port":(\d+)/.exec(heard)?.[1];
      if (found) resolve(Number(found));
    });
  });
  const ran = await tourniquet(['conformance', `http://127.0.0.1:${port}`, '--secret-file', 's', '--credential', 'example/key_1'], {
    cwd: folder,
  });
  expect(ran.out.trimEnd().split('\n').at(-1)).toBe(`${claimNames.length - 1} passed, 0 failed`);
  expect(ran.code).toBe(0);
});
