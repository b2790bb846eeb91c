import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Secret } from '../../domain/secret.ts';
import { memory, newKey, serve } from '../../examples/webhook/server.ts';
import { connect } from '../../providers/webhook/connect.ts';
import { newSecret } from './bench.ts';
import { another, key, localhost } from './certificates.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** What `check` says of an endpoint with that certificate, to an account that has these for authorities. */
async function heard(cert: string, ca?: string): Promise<string> {
  const secret = newSecret();
  let asked = 0;
  const right = serve(memory(new Map([['a', newKey('a', 'team', 'active')]])), { secret });
  const server = createServer({ key, cert }, (request, response) => {
    asked++;
    right(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-tls-'));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  closing.push(() => void server.close());
  if (ca !== undefined) writeFileSync(join(folder, 'ca.pem'), ca);
  const url = `https://localhost:${(server.address() as AddressInfo).port}/hooks`;
  const settings = { url, timeoutMs: 3000, ...(ca === undefined ? {} : { ca: join(folder, 'ca.pem') }) };
  const connection = await connect(
    { provider: 'webhook', account: 'billing', mode: 'act', settings, credentials: { secret: new Secret(secret) } },
    async () => [{ address: '127.0.0.1', family: 4 }],
  );
  const [reachable] = await connection.check();
  const { observation } = reachable ?? { observation: undefined };
  return observation?.state === 'yes'
    ? `yes, asked ${asked}`
    : `no, asked ${asked}: ${observation?.state === 'unknown' ? observation.why : ''}`;
}

it('a certificate that the account’s own authority vouches for is taken', async () => {
  expect(await heard(localhost, localhost)).toBe('yes, asked 1');
});

it('a certificate that nobody vouches for ends the connection before anything is sent', async () => {
  expect(await heard(localhost)).toMatch(/^no, asked 0: .*no connection \(DEPTH_ZERO_SELF_SIGNED_CERT\)/);
});

it('a certificate of another name ends it too, whoever vouches for it', async () => {
  expect(await heard(another, another)).toMatch(/^no, asked 0: .*no connection \(ERR_TLS_CERT_ALTNAME_INVALID\)/);
});
