import { appendFileSync, chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { madeEngine, tourniquet } from './harness.ts';

let engine: Awaited<ReturnType<typeof madeEngine>>;
let server: Server;
let connections = 0;
const files = ['tourniquet.yaml', 'trust.yaml', 'people.yaml', 'policy.yaml', 'inventory.yaml'];
const good: Record<string, string> = {};

beforeAll(async () => {
  // In the server's place stands a listener that counts: a call with a broken file must not get as far as the network.
  server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  engine = await madeEngine(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  for (const file of files) good[file] = readFileSync(join(engine.folder, file), 'utf8');
}, 30_000);
afterAll(() => {
  server?.close();
  engine?.remove();
});
beforeEach(() => {
  connections = 0;
  for (const file of files) writeFileSync(join(engine.folder, file), good[file] ?? '');
});

const edit = (file: string, change: (text: string) => string) => writeFileSync(join(engine.folder, file), change(good[file] ?? ''));
const report = () => tourniquet(['report', '--key-id', 'AKIAY34FZKBOKMUTVV7A', '--where', 'chat'], { cwd: engine.folder });

describe('a file that a report stands on is broken: file, place, remedy, exit code, and nothing is sent', () => {
  test.each([
    [
      'tourniquet.yaml',
      'no YAML',
      () => edit('tourniquet.yaml', (text) => text.replace('v: 1', 'v: [1')),
      2,
      'file.syntax',
      /tourniquet\.yaml:\d+:\d+/,
    ],
    [
      'tourniquet.yaml',
      'an unknown member',
      () => edit('tourniquet.yaml', (text) => `${text}trsut: x\n`),
      2,
      'file.invalid',
      /tourniquet\.yaml:\d+:1, trsut/,
    ],
    [
      'tourniquet.yaml',
      'a mode that is none',
      () => edit('tourniquet.yaml', (text) => text.replace('mode: propose', 'mode: go')),
      2,
      'file.invalid',
      /tourniquet\.yaml:\d+:\d+, accounts\[0\]\.mode/,
    ],
    ['tourniquet.yaml', 'gone', () => rmSync(join(engine.folder, 'tourniquet.yaml')), 2, 'file.missing', /tourniquet\.yaml/],
    ['trust.yaml', 'no YAML', () => edit('trust.yaml', (text) => `${text}\n  - [`), 2, 'file.syntax', /trust\.yaml:\d+:\d+/],
    [
      'trust.yaml',
      'a role that is none',
      () => edit('trust.yaml', (text) => text.replace('role: judge', 'role: jury')),
      2,
      'file.invalid',
      /trust\.yaml:\d+:\d+, trust\.keys\[1\]\.role/,
    ],
    [
      'trust.yaml',
      'changed after it was signed',
      () => edit('trust.yaml', (text) => text.replace('serial: 1', 'serial: 2')),
      4,
      'trust.bad-signature',
      /trust\.yaml:\d+/,
    ],
    ['trust.yaml', 'gone', () => rmSync(join(engine.folder, 'trust.yaml')), 2, 'file.missing', /trust\.yaml/],
  ])('%s: %s', async (_file, _what, harm, exit, code, place) => {
    harm();
    const ran = await report();
    expect(ran.err).toContain(`(${code})`);
    expect(ran.err).toMatch(place);
    expect(ran.err).toMatch(/ do: {4}\S/);
    expect(ran).toMatchObject({ code: exit, out: '' });
    expect(connections).toBe(0);
  });
});

describe('doctor names the file that is broken, and its place', () => {
  test.each([
    [
      'people.yaml',
      'changed without a signature',
      () => appendFileSync(join(engine.folder, 'people.yaml'), '  - { id: mallory, name: Mallory, roles: [approver] }\n'),
      /people\.yaml is the one the trust names.*people\.yaml:1/,
    ],
    ['people.yaml', 'not well-formed', () => edit('people.yaml', () => 'v: 1\npeople: [\n'), /people\.yaml:\d+:\d+/],
    ['policy.yaml', 'not well-formed', () => edit('policy.yaml', (text) => `${text}\n\t- x`), /policy\.yaml:\d+:\d+/],
    ['policy.yaml', 'an unknown member', () => edit('policy.yaml', (text) => `${text}\nsurprise: 1\n`), /policy\.yaml:\d+:1, surprise/],
    [
      'inventory.yaml',
      'a pattern',
      () =>
        edit(
          'inventory.yaml',
          () => 'v: 1\nstores: [{ id: a, provider: vault, account: x, path: kv/x, fields: { a: b }, principal: "arn:*" }]\nconsumers: []\n',
        ),
      /inventory\.yaml:2:\d+/,
    ],
    ['inventory.yaml', 'gone', () => rmSync(join(engine.folder, 'inventory.yaml')), /inventory.*inventory\.yaml/],
  ])(
    '%s: %s',
    async (_file, _what, harm, place) => {
      edit('tourniquet.yaml', (text) => text.replace(/address: .*/, 'address: 127.0.0.1:1'));
      harm();
      const ran = await tourniquet(['doctor'], { cwd: engine.folder });
      expect(ran.out).toMatch(place);
      expect(ran.code).toBe(1);
    },
    30_000,
  );

  test('a key that others may read is named with the command that mends it', async () => {
    const key = join(engine.folder, 'keys/people/alice.json');
    edit('tourniquet.yaml', (text) => text.replace(/address: .*/, 'address: 127.0.0.1:1'));
    chmodSync(key, 0o644);
    const ran = await tourniquet(['doctor'], { cwd: engine.folder });
    chmodSync(key, 0o600);
    expect(ran.out).toMatch(/✕ no .*secret files are private: .*alice\.json\n.*do: chmod 600 .*alice\.json/);
  }, 30_000);
});

test('a person cannot speak with the key of another', async () => {
  copyFileSync(join(engine.folder, 'keys/people/alice.json'), join(engine.folder, 'keys/people/mallory.json'));
  const ran = await tourniquet(['report', '--key-id', 'AKIAY34FZKBOKMUTVV7A', '--as', 'mallory'], { cwd: engine.folder });
  rmSync(join(engine.folder, 'keys/people/mallory.json'));
  expect(ran).toMatchObject({ code: 4, out: '' });
  expect(connections).toBe(0);
});
