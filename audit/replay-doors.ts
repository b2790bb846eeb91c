import dgram from 'node:dgram';
import dns from 'node:dns';
import Module, { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import threads from 'node:worker_threads';

/*
 * Loaded before all else in a replay's process and in each of its threads: takes away what Node's permission model has no lock for. The code that is replayed runs in a thread; what
 * the main thread still may, to run Temporal's libraries, is named here exactly. See replay.ts.
 */

const refuse = (): never => {
  throw new Error('a replay has no such door');
};
const shut = (holder: object, names: Iterable<string>): void => {
  for (const name of names)
    if (name in holder) Object.defineProperty(holder, name, { value: refuse, writable: false, configurable: false });
};

// The network: sockets, servers, datagrams, and the resolver, which has sockets of its own.
shut(net.Socket.prototype, ['connect']);
shut(net.Server.prototype, ['listen']);
shut(net, ['_createServerHandle']);
shut(dgram.Socket.prototype, ['bind', 'connect', 'send']);
shut(dgram, ['_createSocketHandle']);
const asks = (holder: object): string[] => Object.getOwnPropertyNames(holder).filter((name) => /^(lookup|resolve|reverse)/.test(name));
for (const holder of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
  shut(holder, asks(holder));
  // The methods of a resolver stand on a class that both kinds inherit from.
  const parent = Object.getPrototypeOf(holder);
  if (parent !== null && parent !== Object.prototype) shut(parent, asks(parent));
}
shut(globalThis, ['fetch', 'WebSocket', 'EventSource']);

// Other processes, and the inside of this one.
shut(process, [
  'kill',
  '_kill',
  '_debugProcess',
  '_debugEnd',
  'binding',
  '_linkedBinding',
  'abort',
  'setuid',
  'setgid',
  'seteuid',
  'setegid',
  'setgroups',
  'initgroups',
]);
shut(os, ['setPriority']);
// A database writes files by itself, and asks no permission model.
shut(process.getBuiltinModule('node:sqlite') ?? {}, ['DatabaseSync', 'StatementSync', 'Session', 'backup']);
// Hooks of the module loader run in a thread that nothing is loaded into before them.
shut(Module, ['register', 'registerHooks']);

// Native libraries: Temporal's own. Further threads: Temporal's own, from the main thread only, since a thread can be told to begin without this file.
const { dlopen } = process;
const { Worker } = threads;
const core = /[\\/]@temporalio[\\/]core-bridge[\\/][^'"]*\.node$/;
const workflowThread = /[\\/]@temporalio[\\/]worker[\\/]lib[\\/]workflow[\\/]workflow-worker-thread\.js$/;
/** Of Temporal's native library a thread needs the time of day, and the main thread no client and no server. It is written in Rust: no door of Node's stands before it. */
const isNeeded = (name: string): boolean =>
  threads.isMainThread ? !/^(newClient|client|newEphemeral|ephemeral)/.test(name) : name === 'getTimeOfDay';
Object.defineProperty(process, 'dlopen', {
  value: (holder: { exports: object }, path: string): void => {
    if (!core.test(String(path))) refuse();
    // Into a holder of our own first: what is handed on is never the whole of it.
    const whole: { exports: Record<string, unknown> } = { exports: {} };
    Reflect.apply(dlopen, process, [whole, path]);
    holder.exports = Object.fromEntries(Object.entries(whole.exports).map(([name, value]) => [name, isNeeded(name) ? value : refuse]));
  },
  writable: false,
  configurable: false,
});
Object.defineProperty(threads, 'Worker', {
  value: function RefusingWorker(file: string | URL, options: threads.WorkerOptions = {}) {
    if (!threads.isMainThread || !workflowThread.test(String(file)) || options.eval) refuse();
    const { execArgv: _, env: _none, ...rest } = options;
    return new Worker(file, { ...rest, resourceLimits: { maxOldGenerationSizeMb: 1024, ...rest.resourceLimits } });
  },
  writable: false,
  configurable: false,
});
syncBuiltinESMExports();
