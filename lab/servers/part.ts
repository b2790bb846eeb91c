import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fault } from '../../domain/errors.ts';
import { practiceEnvironment } from '../environment.ts';

/**
 * A free port of the loopback address. It lies below the range from which the kernel gives ports to outgoing connections: between asking for it and using it, any client on the machine could
 * otherwise be given it. Where none of fifty is free the kernel is asked after all.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const port = 18_000 + randomInt(14_000);
    if (await bindable(port)) return port;
  }
  const port = await bindable(0);
  if (!port) throw fault('stack.failed', { part: 'port', problem: 'no port of the loopback address is free' });
  return port;
}

/** The port, if it can be bound now; for 0 the one that the kernel gives. */
async function bindable(port: number): Promise<number | undefined> {
  return await new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(address && typeof address === 'object' ? address.port : undefined));
    });
  });
}

/** A program that was started, and how to end it. */
export interface Part {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** Resolves with the exit code (or the signal's name) when it ends. */
  readonly ended: Promise<number | string>;
  /** SIGTERM, then SIGKILL after `patienceMs`. */
  stop(patienceMs?: number): Promise<void>;
}

/** Starts a program in the practice environment with its output in a log file. */
export function startPart(
  name: string,
  command: string,
  args: readonly string[],
  options: { log: string; env?: Record<string, string>; cwd?: string; uid?: number; gid?: number },
): Part {
  mkdirSync(dirname(options.log), { recursive: true, mode: 0o700 });
  const out = openSync(options.log, 'a', 0o600);
  const child = spawn(command, [...args], {
    stdio: ['ignore', out, out],
    env: { ...practiceEnvironment(), TZ: 'UTC', ...options.env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
    detached: true,
  });
  closeSync(out);
  const ended = new Promise<number | string>((done) => {
    child.once('exit', (code, signal) => done(code ?? signal ?? 'unknown'));
    child.once('error', (error) => done(error.message));
  });
  if (child.pid === undefined) throw fault('stack.failed', { part: name, log: options.log });
  return {
    name,
    pid: child.pid,
    child,
    ended,
    async stop(patienceMs = 5000) {
      child.kill('SIGTERM');
      const done = await Promise.race([ended.then(() => true), sleep(patienceMs, false, { ref: false })]);
      if (!done) {
        child.kill('SIGKILL');
        await ended;
      }
    },
  };
}

/** Polls until `ready` answers true; throws `stack.failed` where the part ends first or the time is over. */
export async function untilReady(part: Part, log: string, ready: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const until = Date.now() + timeoutMs;
  let over: number | string | undefined;
  void part.ended.then((code) => {
    over = code;
  });
  for (;;) {
    if (await ready().catch(() => false)) return;
    if (over !== undefined) throw fault('stack.failed', { part: part.name, ended: String(over), log });
    if (Date.now() > until) throw fault('stack.failed', { part: part.name, waited: `${timeoutMs} ms`, log });
    await sleep(40);
  }
}
