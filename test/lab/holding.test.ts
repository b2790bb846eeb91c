import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CreateAccessKeyCommand, CreateUserCommand, IAMClient, ListAccessKeysCommand } from '@aws-sdk/client-iam';
import { afterEach, expect, test } from 'vitest';
import { AwsControl } from '../../lab/aws/control.ts';
import { startAwsSimulator } from '../../lab/aws/index.ts';
import { startProxy } from '../../lab/proxy.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server that counts what reached it, behind a proxy that reads HTTP. */
async function behindProxy() {
  const reached: string[] = [];
  const server: Server = createServer((message, response) => {
    message.resume().on('end', () => {
      reached.push(`${message.method} ${message.url}`);
      response.end('done');
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const proxy = await startProxy({ to: (server.address() as AddressInfo).port, http: true });
  closers.push(
    () => server.closeAllConnections(),
    () => new Promise((done) => server.close(done)),
    () => proxy.close(),
  );
  return { reached, proxy, url: `http://${proxy.address}` };
}

test('a proxy keeps back the answer to the one request that it was told, after the server has done it, and lets it go', async () => {
  const { reached, proxy, url } = await behindProxy();
  const hold = proxy.hold(({ method, path }) => method === 'PUT' && path === '/v1/secret');
  expect(await (await fetch(`${url}/v1/secret`)).text()).toBe('done');
  let answered = false;
  const write = fetch(`${url}/v1/secret`, { method: 'PUT', body: 'x'.repeat(100_000) }).then(async (response) => {
    answered = true;
    return await response.text();
  });
  expect(await hold.holding(5_000)).toBe(true);
  expect(await (await fetch(`${url}/v1/other`)).text()).toBe('done');
  expect(reached).toEqual(['GET /v1/secret', 'PUT /v1/secret', 'GET /v1/other']);
  expect(answered).toBe(false);
  hold.release();
  expect(await write).toBe('done');
  expect(hold.held).toBe(0);
});

test('what a proxy keeps back is lost when it cuts; while it is blocked nothing passes, and afterwards everything does', async () => {
  const { reached, proxy, url } = await behindProxy();
  const hold = proxy.hold(({ method }) => method === 'POST');
  const write = fetch(url, { method: 'POST', body: 'x' });
  const lost = expect(write).rejects.toThrow();
  expect(await hold.holding(5_000)).toBe(true);
  proxy.block(true);
  await lost;
  expect(reached).toEqual(['POST /']);
  await expect(fetch(url)).rejects.toThrow();
  proxy.block(false);
  expect(await (await fetch(url)).text()).toBe('done');
});

test('the simulator keeps an answer back after the effect; a rhythm strikes in turn; a page, half an answer and nothing are what the SDK gets of them', async () => {
  const simulator = await startAwsSimulator();
  closers.push(() => simulator.close());
  const control = new AwsControl(simulator.control);
  const iam = new IAMClient({ endpoint: simulator.endpoint, region: 'us-east-1', credentials: simulator.admin, maxAttempts: 1 });
  closers.push(() => iam.destroy());
  for (const UserName of ['ann', 'ann-two']) await iam.send(new CreateUserCommand({ UserName }));

  const hold = await control.inject({ kind: 'hold', service: 'iam', action: 'CreateAccessKey', mentions: ['ann'] });
  await iam.send(new CreateAccessKeyCommand({ UserName: 'ann-two' }));
  expect(await control.holding(hold.id, 0)).toBeUndefined();
  let answered = false;
  const made = iam.send(new CreateAccessKeyCommand({ UserName: 'ann' })).then(() => {
    answered = true;
  });
  expect((await control.holding(hold.id, 5_000))?.held).toBe(1);
  expect((await control.mutations()).at(-1)).toMatchObject({ action: 'CreateAccessKey', effect: 'changed', target: { UserName: 'ann' } });
  expect(answered).toBe(false);
  expect(await control.release(hold.id)).toBe(1);
  await made;
  await control.clearFaults();

  const list = () =>
    iam.send(new ListAccessKeysCommand({ UserName: 'ann' })).then(
      ({ AccessKeyMetadata }) => AccessKeyMetadata?.length,
      () => 'failed',
    );
  expect(await list()).toBe(1);
  await control.inject({ kind: 'throttle', rhythm: 'x.x' });
  expect([await list(), await list(), await list(), await list()]).toEqual(['failed', 1, 'failed', 'failed']);
  for (const [kind, seen] of [
    ['html', 'failed'],
    ['truncated', 'failed'],
    ['empty', undefined],
  ] as const) {
    await control.clearFaults();
    await control.inject({ kind });
    expect(await list(), kind).toBe(seen);
  }
});
