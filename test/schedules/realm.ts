import { AsyncLocalStorage } from 'node:async_hooks';
import nodeCrypto from 'node:crypto';
import nodeFiles from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Code } from './build.ts';
import type { Sim } from './sim.ts';

export type Engine = typeof import('./entry-engine.ts');
export interface Workflows {
  setActivator(activator: unknown): void;
  initRuntime(options: Record<string, unknown>): void;
  initialize(job: unknown): void;
  activate(activation: { jobs: unknown[] }): void;
  concludeActivation(): { successful: { commands: Command[] } };
  tryUnblockConditions(): number;
  readonly payloadConverter: { toPayload(value: unknown): unknown; fromPayload(payload: unknown): unknown };
  readonly failureConverter: {
    errorToFailure(error: unknown, converter: unknown): unknown;
    failureToError(failure: unknown, converter: unknown): Error;
  };
}
export type Command = Readonly<Record<string, unknown>>;

/** What the fakes of the outer world give to the bundle, in the place of vendors' libraries. */
export interface Outside {
  send(
    service: string,
    config: ClientConfig,
    action: string,
    input: Record<string, unknown>,
    signal: AbortSignal | undefined,
  ): Promise<unknown>;
  vault(options: { endpoint: string }): unknown;
  readonly files: { open(path: string): Promise<unknown>; stat(path: string): Promise<unknown> };
}
export interface ClientConfig {
  readonly region: string;
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string };
  readonly customUserAgent: [[string]];
  readonly watchers: ((date: string) => void)[];
}

/** Both bundles, evaluated once in this thread; each schedule puts its own world behind their clocks and libraries. */
export interface Realm {
  readonly engine: Engine;
  readonly workflows: Workflows;
  /** The global object of the workflows. */
  readonly globals: { __TEMPORAL_ACTIVATOR__?: unknown };
  sim: Sim;
  outside: Outside;
}

function virtualDate(now: () => number): DateConstructor {
  return new Proxy(Date, {
    construct: (target, args: unknown[]) =>
      args.length > 0 ? new (target as unknown as new (...all: unknown[]) => Date)(...args) : new target(now()),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  });
}

/** A stand-in of an AWS SDK package: any command, and clients that send to the world. */
function sdk(service: string, realm: () => Realm): unknown {
  class Client {
    readonly config: ClientConfig & { requestHandler: unknown };
    readonly middlewareStack;
    constructor(config: Omit<ClientConfig, 'watchers'>) {
      const watchers: ((date: string) => void)[] = [];
      this.config = { ...config, watchers, requestHandler: {} };
      this.middlewareStack = {
        add: (make: (next: () => Promise<unknown>) => (args: unknown) => Promise<unknown>) => {
          watchers.push((date) => {
            void make(async () => ({ response: { headers: { date } } }))({});
          });
        },
      };
    }
    async send(command: { action: string; input: Record<string, unknown> }, options?: { abortSignal?: AbortSignal }): Promise<unknown> {
      return await realm().outside.send(service, this.config, command.action, command.input, options?.abortSignal);
    }
  }
  return new Proxy(
    {},
    {
      get: (_target, name) => {
        if (typeof name !== 'string') return undefined;
        if (name.endsWith('Client')) return Client;
        if (!name.endsWith('Command')) return undefined;
        const action = name.slice(0, -'Command'.length);
        return class {
          readonly action = action;
          readonly input: Record<string, unknown>;
          constructor(input: Record<string, unknown>) {
            this.input = input;
          }
        };
      },
    },
  );
}

/** Evaluates the bundles in this thread. */
export function openRealm(code: Code): Realm {
  const real = createRequire(import.meta.url);
  const realm = {} as Realm & { engine: Engine; workflows: Workflows; globals: object };
  const random = (size: number): Buffer => {
    const bytes = Buffer.alloc(size);
    for (let i = 0; i < size; i++) bytes[i] = Math.floor(realm.sim.ids() * 256);
    return bytes;
  };
  const hex = (): string => {
    const text = random(16).toString('hex');
    return `${text.slice(0, 8)}-${text.slice(8, 12)}-4${text.slice(13, 16)}-8${text.slice(17, 20)}-${text.slice(20)}`;
  };
  const crypto = {
    ...nodeCrypto,
    randomBytes: random,
    randomUUID: hex,
    randomInt: (a: number, b?: number) => (b === undefined ? Math.floor(realm.sim.ids() * a) : a + Math.floor(realm.sim.ids() * (b - a))),
  };
  const files = {
    ...nodeFiles,
    open: (path: string) => realm.outside.files.open(path),
    stat: (path: string) => realm.outside.files.stat(path),
  };
  const modules: Record<string, unknown> = {
    'node:crypto': crypto,
    'node:fs/promises': files,
    // Waits of a library's own, in the time of the world.
    'node:timers/promises': {
      setTimeout: (ms: number, value: unknown, options?: { signal?: AbortSignal }) =>
        new Promise((resolve, reject) => {
          const { sim } = realm;
          const stop = (): void => reject(Object.assign(new Error('The operation was aborted'), { name: 'AbortError' }));
          if (options?.signal?.aborted) {
            stop();
            return;
          }
          options?.signal?.addEventListener('abort', stop, { once: true });
          sim.after(Math.max(1, ms), () => resolve(value), sim.process);
        }),
    },
    '@aws-sdk/client-iam': sdk('iam', () => realm),
    '@aws-sdk/client-sts': sdk('sts', () => realm),
    '@aws-sdk/client-cloudtrail': sdk('cloudtrail', () => realm),
    'node-vault': (options: { endpoint: string }) => realm.outside.vault(options),
    '@temporalio/client': {
      WithStartWorkflowOperation: class {
        readonly type: string;
        readonly options: unknown;
        constructor(type: string, options: unknown) {
          this.type = type;
          this.options = options;
        }
      },
    },
  };
  const load = (name: string): unknown => (Object.hasOwn(modules, name) ? modules[name] : real(name));

  const wall = (): number => realm.sim.now;
  const timeout = (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): unknown => {
    const { sim } = realm;
    const handle = sim.after(Math.max(1, ms), () => run(...args), sim.process) as { off: boolean };
    // What holds nobody up keeps a token of our own alive, and none ends here: it never rings, else it would fill the events of a day of watching.
    return Object.assign(handle, {
      unref: () => {
        handle.off = true;
      },
    });
  };
  const interval = (run: () => void, ms: number): { off: boolean } => {
    const { sim } = realm;
    const handle = { off: false };
    const owner = sim.process;
    const again = (): void => {
      sim.after(
        ms,
        () => {
          if (handle.off) return;
          run();
          again();
        },
        owner,
      );
    };
    again();
    return handle;
  };
  const clear = (handle: { off: boolean } | undefined): void => {
    if (handle) handle.off = true;
  };
  const engineModule = { exports: {} as Engine };
  new Function(
    'module',
    'exports',
    'require',
    'Date',
    'performance',
    'setTimeout',
    'clearTimeout',
    'setInterval',
    'clearInterval',
    code.engine,
  )(engineModule, engineModule.exports, load, virtualDate(wall), { now: () => realm.sim.now - 1_000_000 }, timeout, clear, interval, clear);

  const globals: Record<string, unknown> = Object.create(globalThis);
  const workflowDate = virtualDate(() => (globals.__TEMPORAL_ACTIVATOR__ as { now: number }).now);
  Object.assign(globals, { AsyncLocalStorage, Date: workflowDate });
  const workflowModule = { exports: {} as Workflows };
  const forbidden = (): never => {
    throw new Error('a workflow used a timer of the machine');
  };
  new Function('module', 'exports', 'require', 'globalThis', 'Date', 'setTimeout', 'clearTimeout', 'performance', code.workflows)(
    workflowModule,
    workflowModule.exports,
    load,
    globals,
    workflowDate,
    forbidden,
    forbidden,
    { now: forbidden },
  );
  return Object.assign(realm, { engine: engineModule.exports, workflows: workflowModule.exports, globals });
}
