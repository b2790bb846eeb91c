import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { replayInChild } from '../../audit/replay.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { leastHistory as history } from './least-history.ts';

let home: string;
let hits = 0;
const trap = createServer((_request, response) => {
  hits++;
  response.end();
});
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'replay-'));
  await new Promise<void>((done) => trap.listen(0, '127.0.0.1', done));
});
afterAll(() => {
  trap.close();
  rmSync(home, { recursive: true, force: true });
});

/** The engine's own code with something in front that gets out of the sandbox, by a function of the outer world, and then does its worst and says how that went. */
const outOf = (code: string, worst: string) => `
  let said = 'no way out';
  for (const bridge of Object.getOwnPropertyNames(globalThis)) {
    try {
      const outside = globalThis[bridge].constructor.constructor;
      const process = outside('return process')();
      const require = process.getBuiltinModule;
      try { said = 'done: ' + (${worst})(require, process, outside); } catch (error) { said = 'refused: ' + (error.code ?? error.message); }
      break;
    } catch {}
  }
  throw new Error('SAID ' + said);
${code}`;

describe('a replay in its own process', { timeout: 60_000 }, () => {
  it('answers with an error for what is no workflow code, and does not hang', async () => {
    for (const code of ['', 'not javascript (', 'globalThis.x = 1;']) {
      const outcome = await replayInChild({ code, history, workflowId: 'leak/x' });
      expect(outcome.scheduled).toEqual([]);
      expect(outcome.error).toBeDefined();
    }
    expect((await replayInChild({ code: '', history: new Uint8Array([1, 2, 3]), workflowId: 'leak/x' })).error).toBeDefined();
  });

  it('lets code that got out of the sandbox neither write, nor start anything, nor reach the network, nor see an environment', async () => {
    const { code } = await workflowCode();
    const port = (trap.address() as AddressInfo).port;
    const marker = join(home, 'written');
    process.env.TOURNIQUET_TEST_SECRET = 'seen-by-nobody';
    const worsts = [
      `(require) => require('node:fs').writeFileSync(${JSON.stringify(marker)}, 'x')`,
      `(require) => require('node:child_process').execFileSync('/bin/sh', ['-c', ${JSON.stringify(`echo x > ${marker}`)}])`,
      `(require) => require('node:fs').readFileSync('/etc/passwd', 'utf8')`,
      `(require) => require('node:net').connect(${port}, '127.0.0.1')`,
      `(require) => require('node:http').get('http://127.0.0.1:${port}/')`,
      `(require, process, outside) => outside('return fetch')()('http://127.0.0.1:${port}/')`,
      `(require, process) => process.env.TOURNIQUET_TEST_SECRET`,
    ];
    for (const worst of worsts) {
      const outcome = await replayInChild({ code: outOf(code, worst), history, workflowId: 'leak/x' });
      expect(outcome.error).toMatch(/SAID (refused|done: undefined)/);
      expect(JSON.stringify(outcome)).not.toMatch(/root:|seen-by-nobody/);
    }
    delete process.env.TOURNIQUET_TEST_SECRET;
    expect(existsSync(marker)).toBe(false);
    expect(hits).toBe(0);
  });
});
