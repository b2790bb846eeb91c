import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { afterEach, describe, expect, it } from 'vitest';
import { Fault } from '../../domain/errors.ts';
import { startOpenBao } from '../../lab/servers/openbao.ts';
import { startPart, untilReady } from '../../lab/servers/part.ts';
import { startTemporal } from '../../lab/servers/temporal.ts';

const cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const each of cleanUps.splice(0).reverse()) await each();
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'tourniquet-ground-'));
  cleanUps.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('the Temporal server', () => {
  it('keeps histories for 90 days, knows the search attributes it was told, and has its page', async () => {
    const server = await startTemporal({ directory: folder(), searchAttributes: ['TourniquetState', 'TourniquetKind'] });
    cleanUps.push(() => server.stop());
    const connection = await Connection.connect({ address: server.address });
    cleanUps.push(() => connection.close());
    const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(90 * 86_400);
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
    expect(Object.keys(customAttributes)).toEqual(expect.arrayContaining(['TourniquetState', 'TourniquetKind']));
    expect((await fetch(server.ui ?? '')).status).toBe(200);
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
  });

  it('has what it had before kill -9, on the same port and file', async () => {
    const directory = folder();
    const first = await startTemporal({ directory, headless: true });
    cleanUps.push(() => first.stop());
    const before = await Connection.connect({ address: first.address });
    await before.workflowService.startWorkflowExecution({
      namespace: 'default',
      workflowId: 'kept',
      workflowType: { name: 'nobody' },
      taskQueue: { name: 'nobody' },
      requestId: 'one',
    });
    await before.close();
    process.kill(first.pid, 'SIGKILL');
    await first.part.ended;
    const second = await startTemporal({ directory, headless: true, port: Number(first.address.split(':')[1]) });
    cleanUps.push(() => second.stop());
    expect(second.address).toBe(first.address);
    const after = await Connection.connect({ address: second.address });
    cleanUps.push(() => after.close());
    const kept = await after.workflowService.describeWorkflowExecution({ namespace: 'default', execution: { workflowId: 'kept' } });
    expect(kept.workflowExecutionInfo?.type?.name).toBe('nobody');
  });
});

describe('OpenBao', () => {
  it('keeps secrets over kill -9, unseals itself, logs each request, and shows its keys to its owner only', async () => {
    const directory = folder();
    const first = await startOpenBao({ directory });
    cleanUps.push(() => first.stop());
    const call = async (address: string, token: string, method: string, path: string, body?: unknown) =>
      await fetch(`${address}/v1/${path}`, {
        method,
        headers: { 'x-vault-token': token },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    await call(first.address, first.rootToken, 'POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
    await expect
      .poll(async () => (await call(first.address, first.rootToken, 'POST', 'secret/data/kept', { data: { word: 'here' } })).status)
      .toBe(200);
    process.kill(first.pid, 'SIGKILL');
    await first.part.ended;
    const second = await startOpenBao({ directory, port: Number(new URL(first.address).port) });
    cleanUps.push(() => second.stop());
    expect(second.address).toBe(first.address);
    expect(second.rootToken).toBe(first.rootToken);
    const read = await call(second.address, second.rootToken, 'GET', 'secret/data/kept');
    expect(((await read.json()) as { data: { data: unknown } }).data.data).toEqual({ word: 'here' });
    const audited = readFileSync(second.auditFile, 'utf8');
    expect(audited).toContain('secret/data/kept');
    expect(audited).not.toContain(second.rootToken);
    for (const name of ['seal.key', 'root.json', 'openbao.hcl', 'audit.log'])
      expect(statSync(join(directory, name)).mode & 0o077, name).toBe(0);
    await second.stop();
    expect(isAlive(second.pid)).toBe(false);
  });
});

describe('a part that does not come up', () => {
  it('is named with its log, and is not waited for after it has ended', async () => {
    const log = join(folder(), 'part.log');
    const part = startPart('broken', process.execPath, ['-e', 'console.error("no such luck"); process.exit(7)'], { log });
    const failure = await untilReady(part, log, async () => false).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Fault);
    expect(failure).toMatchObject({ code: 'stack.failed' });
    expect(String((failure as Fault).message)).toContain('broken');
    expect(readFileSync(log, 'utf8')).toContain('no such luck');
  });
});
