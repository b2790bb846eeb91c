import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTcp } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Fault, isFault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import type { Action, Connection, StepContext } from '../../providers/contract.ts';
import { connect } from '../../providers/webhook/connect.ts';
import { type Address, placeOf, type Resolve } from '../../providers/webhook/guard.ts';
import { flawOf, readSigningSecret, sign } from '../../providers/webhook/signing.ts';
import { listen, newSecret, place, shut, timing } from './bench.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const target = { account: 'billing', system: 'billing', id: 'leaked' };
const context = (more: Partial<StepContext> = {}): StepContext => ({
  incident: `leak/${'a'.repeat(64)}`,
  run: 'run-1',
  step: 's1-contain',
  signal: new AbortController().signal,
  heartbeat: () => undefined,
  timing: { ...timing, giveUpMs: 300 },
  sealing: {
    open: async () => new Secret('x'),
    seal: async () => ({ hash: 'sha256:0', keyId: 'k' }),
    shred: async () => undefined,
  } as never,
  params: {},
  made: {},
  inventory: { consumers: [], stores: [] },
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  ...more,
});
const before = { state: 'active' };

async function failure(run: Promise<unknown>): Promise<Fault> {
  try {
    await run;
  } catch (error) {
    if (isFault(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

interface Asked {
  readonly operation: string;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** An endpoint that answers as it is told; `check` says `active` where nothing else is said of it. */
async function answering(
  answer: (asked: Asked, response: ServerResponse) => void,
  settings: Record<string, unknown> = {},
): Promise<{ readonly connection: Connection; readonly asked: Asked[]; readonly secret: string; readonly url: string }> {
  const secret = newSecret();
  const asked: Asked[] = [];
  const listener: RequestListener = async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const one = { operation: (request.url ?? '').split('/').at(-1) ?? '', headers: request.headers, text };
    asked.push(one);
    answer(one, response);
  };
  const { url, server } = await listen(listener);
  closing.push(() => shut(server));
  const connection = await connect({
    provider: 'webhook',
    account: 'billing',
    mode: 'act',
    settings: { url, timeoutMs: 400, ...settings },
    credentials: { secret: new Secret(secret) },
  });
  return { connection, asked, secret, url };
}

const json = (response: ServerResponse, value: unknown, status = 200, headers: Record<string, string> = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
const active = { state: 'active', effectiveAt: '2026-01-01T00:00:00Z', alreadyDone: false };
const contain = (connection: Connection): Action => connection.actions.contain as Action;

describe('what is no answer is never done', () => {
  const spoilt: readonly (readonly [string, (response: ServerResponse) => void, RegExp])[] = [
    ['an unknown state', (response) => json(response, { ...active, state: 'disabled' }), /form/],
    ['a state without its time', (response) => json(response, { state: 'contained', alreadyDone: true }), /effectiveAt/],
    ['no alreadyDone', (response) => json(response, { state: 'contained', effectiveAt: active.effectiveAt }), /alreadyDone/],
    ['a time that is none', (response) => json(response, { ...active, state: 'contained', effectiveAt: 'yesterday' }), /effectiveAt/],
    ['a list', (response) => json(response, [active]), /form/],
    ['a page', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>ok</h1>'), /JSON/],
    ['half a body', (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"state":"conta'), /JSON/],
    ['nothing', (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(), /JSON/],
    ['a 204', (response) => response.writeHead(204).end(), /204/],
    ['a 500', (response) => json(response, { error: { code: 'x', message: 'y' } }, 500), /500/],
    [
      'a body that breaks off',
      (response) =>
        void response.writeHead(200, { 'content-type': 'application/json', 'content-length': '999' }).write('{', () => response.destroy()),
      /answer/,
    ],
    [
      'a compressed body',
      (response) => response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end('x'),
      /compressed/,
    ],
    ['more than a megabyte', (response) => json(response, { ...active, state: 'contained', more: 'x'.repeat(1 << 20) }), /1 MiB/],
    ['no answer in time', () => undefined, /in time/],
    [
      'a byte now and then',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const drip = setInterval(() => response.write(' '), 30);
        response.on('close', () => clearInterval(drip));
      },
      /in time/,
    ],
    ['a 202 without a word', (response) => json(response, {}, 202), /pending/],
    [
      'a 202 that sends us elsewhere',
      (response) => json(response, { state: 'pending', alreadyDone: false, poll: 'http://127.0.0.1:1/x' }, 202),
      /origin/,
    ],
    ['that it is still active', (response) => json(response, active), /says active/],
  ];
  it.each(spoilt)('%s', async (_name, spoil, words) => {
    const { connection, asked } = await answering(({ operation }, response) =>
      operation === 'check' ? json(response, active) : spoil(response),
    );
    const error = await failure(contain(connection).apply(target, before, context()));
    expect(error.code).toBe('provider.uncertain');
    expect(error.message).toMatch(words);
    expect(
      asked.filter(({ operation }) => operation === 'contain'),
      'it is sent once',
    ).toHaveLength(1);
  });

  it.each(spoilt.slice(0, -1))('%s, in answer to a look: unknown to whoever asks', async (_name, spoil) => {
    const { connection } = await answering((_asked, response) => spoil(response));
    expect((await failure(contain(connection).probe(target, before, context()))).code).toBe('provider.unavailable');
  });

  it.each([
    [400, 'provider.invalid'],
    [401, 'provider.denied'],
    [403, 'provider.denied'],
    [404, 'provider.invalid'],
    [405, 'provider.invalid'],
    [409, 'provider.conflict'],
    [413, 'provider.invalid'],
    [422, 'provider.invalid'],
    [429, 'provider.throttled'],
    [501, 'provider.unsupported'],
    [503, 'provider.uncertain'],
    [301, 'provider.invalid'],
    [307, 'provider.invalid'],
    [418, 'provider.uncertain'],
    [502, 'provider.uncertain'],
    [504, 'provider.uncertain'],
  ])('a %i is %s, whatever its body says', async (status, code) => {
    const { connection } = await answering(({ operation }, response) =>
      operation === 'check'
        ? json(response, active)
        : json(response, { ...active, state: 'contained' }, status, { location: '/hooks/check' }),
    );
    expect((await failure(contain(connection).apply(target, before, context()))).code).toBe(code);
  });

  it('the state unknown is neither yes nor no', async () => {
    const { connection } = await answering((_asked, response) => json(response, { state: 'unknown', alreadyDone: false }));
    expect((await contain(connection).probe(target, before, context())).observation.state).toBe('unknown');
  });

  it('an id that the endpoint never knew is not contained by being unknown to it', async () => {
    const { connection } = await answering((_asked, response) => json(response, { state: 'absent', alreadyDone: false }));
    expect((await contain(connection).apply(target, { state: 'absent' }, context())).outcome).toBe('absent');
    expect((await contain(connection).probe(target, { state: 'absent' }, context())).observation.state).toBe('unknown');
    expect((await contain(connection).probe(target, { state: 'active' }, context())).observation.state).toBe('yes');
  });

  it('a containment dated after the endpoint’s own clock is not there yet', async () => {
    const at = new Date(Date.now() + 60_000).toISOString();
    const { connection } = await answering((_asked, response) =>
      json(response, { state: 'contained', effectiveAt: at, alreadyDone: false }),
    );
    expect((await contain(connection).probe(target, before, context())).observation.state).toBe('no');
  });

  it('members that nobody has heard of are no reason to doubt the rest', async () => {
    const { connection } = await answering((_asked, response) =>
      json(response, { ...active, state: 'contained', weather: { fine: true } }),
    );
    expect((await contain(connection).probe(target, before, context())).observation.state).toBe('yes');
  });

  it('nothing that an endpoint says of an error is repeated: it may quote what it was sent', async () => {
    const { connection } = await answering((_asked, response) =>
      json(response, { error: { code: 'x', message: 'the secret is hunter2' } }, 400),
    );
    expect(String((await failure(contain(connection).probe(target, before, context()))).message)).not.toContain('hunter2');
  });
});

describe('what takes its time', () => {
  it('a 202 is asked about until it is through', async () => {
    const at = await place({ serve: { defer: true } });
    closing.push(() => at.close());
    const connection = await at.connect();
    expect(await contain(connection).apply(target, before, context())).toMatchObject({ outcome: 'changed' });
    expect(at.calls.map(({ permission }) => permission)).toEqual(['check', 'contain', 'poll']);
  });

  it('a 202 that names no place leaves it to the probe, which asks how it stands', async () => {
    let looks = 0;
    const { connection } = await answering(({ operation }, response) => {
      if (operation === 'contain') return json(response, { state: 'pending', alreadyDone: false }, 202);
      return json(
        response,
        ++looks > 2 ? { ...active, state: 'contained' } : looks === 1 ? active : { state: 'pending', alreadyDone: false },
      );
    });
    expect((await contain(connection).apply(target, before, context())).outcome).toBe('changed');
    expect((await contain(connection).probe(target, before, context())).observation.state).toBe('no');
    expect((await contain(connection).probe(target, before, context())).observation.state).toBe('yes');
  });

  it('one that is never through ends with the account’s patience, uncertain', async () => {
    const { connection } = await answering(({ operation, headers }, response) =>
      operation === 'check' && headers['content-length'] !== undefined
        ? json(response, active)
        : json(response, { state: 'pending', alreadyDone: false, poll: '/hooks/polls/1' }, 202),
    );
    expect((await failure(contain(connection).apply(target, before, context()))).code).toBe('provider.uncertain');
  });

  it.each([404, 401, 409, 500, 503])('a place to ask at that answers %i leaves it open: the change was taken on before', async (status) => {
    const { connection } = await answering(({ operation }, response) =>
      operation === 'check'
        ? json(response, active)
        : operation === 'contain'
          ? json(response, { state: 'pending', alreadyDone: false, poll: '/hooks/polls/1' }, 202)
          : json(response, { error: { code: 'x', message: 'y' } }, status),
    );
    expect((await failure(contain(connection).apply(target, before, context()))).code).toBe('provider.uncertain');
  });

  it('an abort ends a look, and lets a change that is under way come to its end', async () => {
    const gone = new AbortController();
    const { connection } = await answering(({ operation }, response) => {
      if (operation === 'check') return json(response, active);
      gone.abort(new DOMException('the lease is lost', 'AbortError'));
      setTimeout(() => json(response, { ...active, state: 'contained' }), 50);
    });
    expect((await contain(connection).apply(target, before, context({ signal: gone.signal }))).outcome).toBe('changed');
    await expect(contain(connection).probe(target, before, context({ signal: gone.signal }))).rejects.toThrow('the lease is lost');
  });
});

describe('what is sent', () => {
  it('is signed, names its operation in what is signed, and has the step’s key for every attempt', async () => {
    const { connection, asked, secret } = await answering(({ operation }, response) =>
      operation === 'check' ? json(response, active) : response.destroy(),
    );
    for (let attempt = 0; attempt < 2; attempt++) await failure(contain(connection).apply(target, before, context()));
    const sent = asked.filter(({ operation }) => operation === 'contain');
    expect(sent).toHaveLength(2);
    for (const { headers, text } of sent) {
      const signature = Object.fromEntries(
        ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => [name, headers[name]]),
      ) as never;
      expect(flawOf([new Secret(secret)], signature, text, Date.now() / 1000)).toBeUndefined();
      expect(JSON.parse(text)).toMatchObject({ operation: 'contain', credential: { system: 'billing', id: 'leaked' } });
      expect(headers['idempotency-key']).toBe(`leak/${'a'.repeat(64)}:s1-contain:run-1.contain`);
      expect(JSON.parse(text).idempotencyKey).toBe(headers['idempotency-key']);
    }
    expect(sent[0]?.text).toBe(sent[1]?.text);
    expect(sent[0]?.headers['webhook-id']).not.toBe(sent[1]?.headers['webhook-id']);
  });

  it('is signed as the specification’s own example is', () => {
    const secret = readSigningSecret(new Secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'));
    expect(sign([secret], 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, '{"test": 2432232314}')['webhook-signature']).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
  });

  it.each(['whsec_', 'whsec_c2hvcnQ=', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'whsec_not base64 at all, and long enough for it'])(
    'a signing secret such as %j is refused, and not repeated',
    async (text) => {
      const error = await failure(
        connect({
          provider: 'webhook',
          account: 'a',
          mode: 'act',
          settings: { url: 'https://keys.example.org' },
          credentials: { secret: new Secret(text) },
        }),
      );
      expect(error.code).toBe('provider.invalid');
      if (text.length > 10) expect(error.message).not.toContain(text);
    },
  );

  it('holds the leaked secret only where the settings pass it, and once', async () => {
    const sealed = { hash: `sha256:${'0'.repeat(64)}`, keyId: 'k' };
    const sealing = {
      open: async () => new Secret('hunter2'),
      seal: async () => ({ hash: sealed.hash, keyId: 'k' }),
      shred: async () => undefined,
    } as never;
    for (const passSecret of [[], ['revoke']]) {
      const { connection, asked } = await answering(
        ({ operation }, response) => json(response, operation === 'check' ? active : { ...active, state: 'revoked' }),
        { passSecret },
      );
      await (connection.actions.revoke as Action).apply(target, before, context({ params: { sealed }, sealing }));
      expect(asked.filter(({ text }) => text.includes('hunter2')).map(({ operation }) => operation)).toEqual(passSecret);
    }
  });
});

describe('an answer’s signature', () => {
  const signed = (asked: Asked, response: ServerResponse, secret: string, more: { id?: string; at?: number; value?: unknown } = {}) => {
    const text = JSON.stringify(more.value ?? { ...active, state: 'contained' });
    const head = sign([new Secret(secret)], more.id ?? String(asked.headers['webhook-id']), more.at ?? Math.floor(Date.now() / 1000), text);
    response.writeHead(200, { 'content-type': 'application/json', ...head }).end(text);
  };
  const verdict = async (more: Parameters<typeof signed>[3] & { by?: string }, settings: Record<string, unknown> = {}) => {
    const holder: { secret?: string } = {};
    const { connection, secret } = await answering(
      (asked, response) => signed(asked, response, more.by ?? (holder.secret as string), more),
      settings,
    );
    holder.secret = secret;
    try {
      return (await contain(connection).probe(target, before, context())).observation.state;
    } catch (error) {
      return (error as Fault).message;
    }
  };
  it('that is right is taken', async () => expect(await verdict({})).toBe('yes'));
  it('of another secret is refused, though none was demanded', async () => expect(await verdict({ by: newSecret() })).toMatch(/signature/));
  it('of an hour ago is refused', async () => expect(await verdict({ at: Math.floor(Date.now() / 1000) - 3600 })).toMatch(/timestamp/));
  it('for another message is refused: an old answer proves nothing of now', async () =>
    expect(await verdict({ id: 'msg_other' })).toMatch(/another message/));
  it('that is missing is refused where the settings demand it', async () => {
    const { connection } = await answering((_asked, response) => json(response, { ...active, state: 'contained' }), {
      signedAnswers: true,
    });
    expect((await failure(contain(connection).probe(target, before, context()))).message).toMatch(/not signed/);
  });
});

describe('where it connects', () => {
  const over = (url: string, resolve: Resolve, settings: Record<string, unknown> = {}) =>
    connect(
      {
        provider: 'webhook',
        account: 'billing',
        mode: 'act',
        settings: { url, timeoutMs: 300, ...settings },
        credentials: { secret: new Secret(newSecret()) },
      },
      resolve,
    );
  const at =
    (...addresses: string[]): Resolve =>
    async () =>
      addresses.map((address): Address => ({ address, family: address.includes(':') ? 6 : 4 }));

  it.each([
    'http://keys.example.org/hooks',
    'http://10.0.0.1/hooks',
    'ftp://keys.example.org',
    'https://user:password@keys.example.org/',
    'https://keys.example.org/?a=1',
    'https://keys.example.org/#a',
    'keys.example.org',
    'file:///etc/passwd',
  ])('%s is no url to speak to', async (url) => {
    expect((await failure(over(url, at('198.51.100.1')))).code).toBe('provider.invalid');
  });

  it.each([
    ['169.254.169.254'],
    ['100.100.100.200'],
    ['168.63.129.16'],
    ['127.0.0.1'],
    ['10.0.0.1'],
    ['172.31.0.1'],
    ['192.168.1.1'],
    ['100.64.0.1'],
    ['0.0.0.0'],
    ['224.0.0.1'],
    ['255.255.255.255'],
    ['::1'],
    ['::'],
    ['fe80::1'],
    ['fd00:ec2::254'],
    ['fc00::1'],
    ['ff02::1'],
    ['::ffff:169.254.169.254'],
    ['::ffff:7f00:1'],
    ['64:ff9b::a9fe:a9fe'],
    ['2002:a9fe:a9fe::1'],
    ['8.8.8.8', '169.254.169.254'],
    ['8.8.8.8', '10.0.0.1'],
  ])('a name that stands for %s %s is refused before a connection is made', async (...addresses) => {
    const connection = await over('https://keys.example.org/hooks', at(...addresses));
    const error = await failure(contain(connection).probe(target, before, context()));
    expect(error.code).toBe('provider.invalid');
    expect(error.message).toContain('not spoken to');
  });

  it('private addresses open by the setting, and those of metadata services do not', async () => {
    const open = await over('https://keys.example.org/hooks', at('169.254.169.254'), { allowPrivate: true });
    expect((await failure(contain(open).probe(target, before, context()))).message).toContain('not spoken to');
    const inside = await over('https://keys.example.org/hooks', at('fd00:ec2::254'), { allowPrivate: true });
    expect((await failure(contain(inside).probe(target, before, context()))).message).toContain('not spoken to');
    expect([placeOf({ address: '10.1.2.3', family: 4 }), placeOf({ address: 'fd12::1', family: 6 })]).toEqual(['private', 'private']);
    expect([placeOf({ address: '8.8.8.8', family: 4 }), placeOf({ address: '2606:4700::1', family: 6 })]).toEqual(['public', 'public']);
  });

  it('a loopback name that stands for another place is refused too', async () => {
    const connection = await over('http://localhost:8080/hooks', at('93.184.216.34'));
    expect((await failure(contain(connection).probe(target, before, context()))).message).toContain('not spoken to');
  });

  it('a redirection is not followed, not even to itself', async () => {
    const { connection, asked, url } = await answering((_asked, response) => response.writeHead(307, { location: `${url}/check` }).end());
    expect((await failure(contain(connection).probe(target, before, context()))).code).toBe('provider.invalid');
    expect(asked).toHaveLength(1);
  });

  it('a name is looked up once for each request, so that the address which was judged is the one that is used', async () => {
    let lookups = 0;
    const server = createServer((_request, response) => void json(response, { ...active, state: 'contained' }));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => shut(server));
    const { port } = server.address() as { port: number };
    const connection = await over(`http://localhost:${port}/hooks`, async () => {
      lookups++;
      // The second look-up, if there were one, would lead to the metadata service.
      return lookups === 1 ? [{ address: '127.0.0.1', family: 4 }] : [{ address: '169.254.169.254', family: 4 }];
    });
    expect((await contain(connection).probe(target, before, context())).observation.state).toBe('yes');
    expect(lookups).toBe(1);
  });

  it('one connection is tried, and one that fails is not tried again', async () => {
    let connections = 0;
    const server = createTcp((socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => void server.close(() => resolve())));
    const { port } = server.address() as { port: number };
    const connection = await over(`http://127.0.0.1:${port}/hooks`, at());
    expect((await failure(contain(connection).probe(target, before, context()))).code).toBe('provider.unavailable');
    expect(connections).toBe(1);
  });
});

describe('what an endpoint says that it can do', () => {
  const able = { v: 1, reversible: true, mints: true, overlap: 'unlimited', maxDerivedTtl: 3600, signsResponses: true };
  const operations = [
    'capabilities',
    'check',
    'contain',
    'uncontain',
    'mint',
    'activate',
    'revoke',
    'identify',
    'listDescendants',
    'evidence',
  ];
  const saying = (more: Record<string, unknown>, settings: Record<string, unknown> = {}) =>
    answering(({ operation }, response) => json(response, operation === 'capabilities' ? { ...able, operations, ...more } : active), {
      mints: true,
      ...settings,
    });

  it.each([
    ['contain', { reversible: false }, {}],
    ['contain', {}, { reversible: false }],
    ['contain', { operations: operations.filter((each) => each !== 'uncontain') }, {}],
    ['mint', { mints: false }, {}],
    ['mint', {}, { mints: false }],
    ['mint', { overlap: 1 }, {}],
  ])('there is no %s where the endpoint says %j and the settings %j, and nothing is changed', async (name, more, settings) => {
    const { connection, asked } = await saying(more, settings);
    expect((await failure((connection.actions[name] as Action).capture(target, context()))).code).toBe('provider.unsupported');
    expect(asked.map(({ operation }) => operation).filter((each) => each !== 'capabilities')).toEqual([]);
  });

  it('an endpoint that cannot undo still revokes', async () => {
    const { connection } = await saying({ reversible: false });
    expect(await (connection.actions.revoke as Action).capture(target, context())).toEqual({ state: 'active' });
  });

  it('check holds it against the settings, and names what does not fit', async () => {
    const { connection } = await saying({ reversible: false, maxDerivedTtl: 'unlimited' }, { maxDerivedTtl: 60 });
    const found = Object.fromEntries((await connection.check()).map(({ what, observation }) => [what, observation.state]));
    expect(found).toMatchObject({
      reachable: 'yes',
      clock: 'yes',
      'capability reversible': 'no',
      'capability mints': 'yes',
      'capability maxDerivedTtl': 'no',
    });
  });

  it('check says that it does not know where the endpoint is away', async () => {
    const { connection } = await answering((_asked, response) => void response.destroy());
    expect((await connection.check()).map(({ what, observation }) => [what, observation.state])).toEqual([['reachable', 'unknown']]);
  });
});
