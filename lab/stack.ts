import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { openKeyring } from '../audit/codec.ts';
import { writePrivateFile } from '../audit/keys.ts';
import { initTrust } from '../audit/trust.ts';
import type { Hash } from '../domain/canonical.ts';
import { fault } from '../domain/errors.ts';
import { SearchAttribute } from '../domain/messages.ts';
import { Secret } from '../domain/secret.ts';
import { startCodecEndpoint } from '../workers/codec-endpoint.ts';
import { AwsControl, type ControlAddress } from './aws/control.ts';
import type { AwsSimulatorReady } from './aws/main.ts';
import { entryOf } from './entry.ts';
import { enterPracticeEnvironment } from './environment.ts';
import { end, isRunning, markOf, type ProcessMark } from './processes.ts';
import { startProxy, type TcpProxy } from './proxy.ts';
import { startOpenBao } from './servers/openbao.ts';
import { freePort, type Part, startPart, untilReady } from './servers/part.ts';
import { startTemporal } from './servers/temporal.ts';
import { type KeyPair, provisionAws, untilAccepted } from './world/aws.ts';
import { deployments, people, region, type Variant, vaultAccount } from './world/cast.ts';
import { configurationText, inventoryText, type Layout, layout, remade } from './world/files.ts';
import { provisionVault } from './world/vault.ts';

/** The parts of the stack, in the order in which they are ended. */
export const partNames = ['judge', 'aws-worker', 'vault-worker', 'simulator', 'openbao', 'temporal'] as const;
export type PartName = (typeof partNames)[number];
export type WorkerName = Extract<PartName, 'judge' | 'aws-worker' | 'vault-worker'>;

export interface StackOptions {
  /** Where everything lies; `.tourniquet` here where it is not said. */
  readonly directory?: string;
  /** How long the simulator takes until a change is effective, in milliseconds; 4000. */
  readonly propagationMs?: number;
  /** How long until its log shows an event, in milliseconds; 5000. */
  readonly logLagMs?: number;
  /** How long a step or a sweep of the AWS account waits for what does not come, in milliseconds; 60 000. */
  readonly giveUpMs?: number;
  /** How often a watching incident looks again, in milliseconds; 15 000. */
  readonly recheckMs?: number;
  /** Look-ups a second that CloudTrail allows the account in each Region; 2, as at AWS. A test that plays many incidents in one account gives more. */
  readonly lookUpsPerSecond?: number;
  /** How patient the engine is, in milliseconds; what the engine takes by itself where it is not said. */
  readonly heartbeatMs?: number;
  readonly retryCeilingMs?: number;
  readonly stuckAfterMs?: number;
  /** How long the AWS worker waits for an answer, in milliseconds; what the provider takes by itself where it is not said. */
  readonly requestTimeoutMs?: number;
  /** The workers reach Temporal, OpenBao and the simulator through proxies, which a test can cut and hold; off where it is not said. */
  readonly proxied?: boolean;
  /** Encrypted payloads, and the endpoint that shows them to the web UI; on where it is not said. */
  readonly codec?: boolean;
  /** The web UI of Temporal; on where it is not said. */
  readonly ui?: boolean;
  /** `DEBUG` of the parts, by which libraries print what they do; nothing where it is not said. */
  readonly debug?: string;
  /** Parts that are not started. A test that brings its own worker leaves ours out. */
  readonly without?: readonly PartName[];
  /** Told how far the start is, and of every part that ends unasked. */
  readonly say?: (words: string) => void;
  /** Gives up a start that is under way, with everything that was started. */
  readonly signal?: AbortSignal;
}

/** What stack.json holds, 0600. Its secrets open the practice world and nothing else. */
export interface StackFile {
  readonly v: 1;
  readonly state: 'starting' | 'running';
  readonly startedAt: string;
  readonly directory: string;
  /** The process that runs the stack. */
  readonly owner: ProcessMark;
  readonly parts: readonly (ProcessMark & { readonly name: PartName; readonly log: string })[];
  readonly temporal?: { readonly address: string; readonly namespace: string; readonly ui: string | null };
  readonly codec?: { readonly endpoint: string };
  readonly vault?: { readonly address: string; readonly token: string };
  readonly aws?: KeyPair & {
    readonly endpoint: string;
    readonly accountId: string;
    readonly region: string;
    readonly control: ControlAddress;
  };
  readonly configuration?: string;
  readonly keys?: string;
  readonly passphraseFile?: string;
  readonly people?: readonly { readonly id: string; readonly roles: readonly string[]; readonly key: string }[];
}

/** One part, as tests and the scenarios handle it. */
export interface StackPart {
  readonly name: PartName;
  readonly pid: number;
  readonly log: string;
  readonly running: boolean;
  /** Ends it at once, or as the signal says, and waits until it has ended. It stays down until `restart`. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again at the same address over the same files; ends it first where it runs. */
  restart(): Promise<void>;
  /** Stops it where it stands, as a machine does that hangs: it keeps its connections and answers nothing until `resume`. */
  pause(): void;
  resume(): void;
}

/** What lies between the workers and the servers where the stack was started with `proxied`. */
export interface StackProxies {
  readonly temporal: TcpProxy;
  /** Reads HTTP. */
  readonly openbao: TcpProxy;
  readonly simulator: TcpProxy;
}

export interface Stack {
  readonly paths: Layout;
  readonly file: StackFile;
  readonly temporal: { readonly address: string; readonly namespace: string; readonly ui: string | null };
  readonly vault: { readonly address: string; readonly token: string; readonly auditFile: string };
  readonly aws: NonNullable<StackFile['aws']>;
  /** The simulator's control port: its clock, faults, counters and ledger. */
  readonly control: AwsControl;
  readonly engine: string;
  /** The public key of the root that signed the trust file, base64. */
  readonly root: string;
  readonly codeHash: Hash;
  /** The passphrase of every key of the practice people. */
  readonly passphrase: Secret;
  /** The pairs of the deployers, which leak, and the tokens of the consumers. */
  readonly world: {
    readonly deployers: Readonly<Record<Variant, KeyPair>>;
    readonly responder: KeyPair;
    readonly consumers: Readonly<Record<string, string>>;
  };
  /** Resolves once the simulator accepts the deployers' pairs. */
  readonly settled: Promise<void>;
  readonly proxies?: StackProxies;
  part(name: PartName): StackPart;
  /** Starts a second process of a worker, beside the first and with the same keys, as a deployment with replicas has it. It ends with the stack. */
  twin(name: WorkerName): Promise<Part>;
  /** Ends everything and takes stack.json away. The files of the world stay, until the next start. */
  stop(): Promise<void>;
}

interface Running {
  readonly name: PartName;
  readonly log: string;
  readonly start: () => Promise<Part>;
  part: Part;
  /** It was told to end, so that its end is no news. */
  asked: boolean;
}

/**
 * Starts the practice world in a directory and resolves when it can take a report. It puts this process into the practice environment for good.
 * Throws `stack.already-running` where one runs there, and `stack.failed`, with the log to look at, where a part does not come up; what had
 * been started is ended then. What a killed stack left is recognised by stack.json, ended and cleared first.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const paths = layout(resolve(options.directory ?? '.tourniquet'));
  const say = options.say ?? (() => {});
  const without = new Set(options.without ?? []);
  const { propagationMs = 4_000, logLagMs = 5_000, recheckMs = 15_000, codec = true, ui = true } = options;
  await clear(paths, say);
  for (const path of remade(paths)) rmSync(path, { recursive: true, force: true });
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  for (const folder of [paths.temporal, paths.openbao, paths.simulator, paths.logs, paths.cast, paths.accounts]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  enterPracticeEnvironment({ home: paths.home });

  const owner = markOf(process.pid);
  if (owner === undefined) throw fault('stack.failed', { problem: 'the system does not tell when a process was started' });
  let file: StackFile = { v: 1, state: 'starting', startedAt: new Date().toISOString(), directory: paths.directory, owner, parts: [] };
  const running = new Map<PartName, Running>();
  const claim = (): void => {
    // Exclusive, so that of two starts at once one is told so.
    writeFileSync(paths.stack, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  };
  try {
    claim();
  } catch (cause) {
    throw fault('stack.already-running', { file: paths.stack }, cause);
  }
  const save = (more: Partial<StackFile> = {}): void => {
    file = { ...file, ...more };
    writePrivateFile(paths.stack, `${JSON.stringify(file, null, 2)}\n`);
  };
  const enlist = (name: PartName, log: string, part: Part): void => {
    const mark = markOf(part.pid);
    const others = file.parts.filter((each) => each.name !== name);
    save({ parts: mark === undefined ? others : [...others, { name, log, ...mark }] });
  };
  const logOf = (name: PartName): string => join(paths.logs, `${name}.log`);

  let stopping: Promise<void> | undefined;
  const twins: Part[] = [];
  const closers: (() => Promise<unknown>)[] = [];
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      for (const each of running.values()) each.asked = true;
      await Promise.all(twins.map((twin) => twin.stop()));
      // Workers first and together, so that no activity of theirs runs into a server that has gone.
      const groups: readonly (readonly PartName[])[] = [
        ['judge', 'aws-worker', 'vault-worker'],
        ['simulator', 'openbao', 'temporal'],
      ];
      for (const group of groups) {
        await Promise.all(file.parts.filter(({ name }) => group.includes(name)).map((mark) => end(mark, 8_000)));
      }
      await Promise.all(closers.map((close) => close()));
      rmSync(paths.stack, { force: true });
    })();
    return stopping;
  };

  const watchOver = (entry: Running): void => {
    const { part } = entry;
    void part.ended.then((how) => {
      if (entry.part !== part || entry.asked || stopping !== undefined) return;
      say(`${entry.name} has ended unasked (${how}); its log: ${entry.log}`);
    });
  };
  /** Starts a part and keeps how, so that it can be started again in the same way. */
  const launch = async (name: PartName, start: () => Promise<Part>): Promise<void> => {
    options.signal?.throwIfAborted();
    const began = performance.now();
    const entry: Running = { name, log: logOf(name), start, part: await start(), asked: false };
    enlist(name, entry.log, entry.part);
    running.set(name, entry);
    watchOver(entry);
    say(`${name.padEnd(12)} up after ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  };

  const startNode = (name: string, entry: URL, args: readonly string[], env: Record<string, string>, log: string): Part => {
    const { command, args: first } = entryOf(entry);
    // Debugging output of node-vault and its like prints bodies with secrets in them.
    return startPart(name, command, [...first, ...args], { log, env: { ...env, DEBUG: options.debug ?? '' } });
  };
  const node = (name: PartName, entry: URL, args: readonly string[], env: Record<string, string>): Part => {
    const part = startNode(name, entry, args, env, logOf(name));
    enlist(name, logOf(name), part);
    return part;
  };

  // Whatever waits for a part is told by the part's end, so that giving up does not wait for a time-out.
  const giveUp = (): void => void stop();
  options.signal?.addEventListener('abort', giveUp, { once: true });
  try {
    // --- what needs nobody: keys, three servers, the bundle of the workflows
    const passphrase = new Secret(randomBytes(18).toString('base64url'));
    const uiPort = ui ? await freePort() : undefined;
    const [temporalPort, baoPort, baoCluster, simulatorPort, controlPort] = await Promise.all([
      freePort(),
      freePort(),
      freePort(),
      freePort(),
      freePort(),
    ]);

    const codecPort = codec && uiPort !== undefined ? await freePort() : undefined;
    const codecToken = randomBytes(18).toString('base64url');
    let ready: AwsSimulatorReady | undefined;
    let bao: Awaited<ReturnType<typeof startOpenBao>> | undefined;
    const temporalOptions = {
      directory: paths.temporal,
      port: temporalPort,
      ...(uiPort === undefined ? { headless: true } : { uiPort }),
      ...(codecPort === undefined ? {} : { codecEndpoint: `http://127.0.0.1:${codecPort}/${codecToken}` }),
      searchAttributes: Object.values(SearchAttribute),
      log: logOf('temporal'),
      onPart: (part: Part) => enlist('temporal', logOf('temporal'), part),
    };
    const baoOptions = {
      directory: paths.openbao,
      port: baoPort,
      clusterPort: baoCluster,
      log: logOf('openbao'),
      onPart: (part: Part) => enlist('openbao', logOf('openbao'), part),
    };
    const startSimulator = async (): Promise<Part> => {
      const readyFile = join(paths.simulator, 'ready.json');
      const config = join(paths.simulator, 'simulator.json');
      rmSync(readyFile, { force: true });
      const controlToken = ready?.control.token ?? randomBytes(24).toString('base64url');
      writePrivateFile(
        config,
        JSON.stringify({
          port: simulatorPort,
          controlPort,
          controlToken,
          journalDir: join(paths.simulator, 'journal'),
          propagationMs,
          logLagMs,
          ...(options.lookUpsPerSecond === undefined ? {} : { lookUpsPerSecond: options.lookUpsPerSecond }),
          readyFile,
        }),
      );
      const part = node('simulator', new URL('./aws/main.ts', import.meta.url), [config], {});
      await untilReady(part, logOf('simulator'), async () => existsSync(readyFile));
      ready = JSON.parse(readFileSync(readyFile, 'utf8')) as AwsSimulatorReady;
      return part;
    };
    const accountOf = (): AwsSimulatorReady => {
      if (ready === undefined) throw fault('stack.failed', { part: 'simulator' });
      return ready;
    };

    const simulatorUp = launch('simulator', startSimulator);
    const temporalUp = launch('temporal', async () => (await startTemporal(temporalOptions)).part);
    const baoUp = launch('openbao', async () => {
      bao = await startOpenBao(baoOptions);
      return bao.part;
    });
    // A start that fails elsewhere must not leave these as unheard rejections; each is awaited below as well.
    const servers = Promise.allSettled([simulatorUp, temporalUp, baoUp]);
    const bundled = import('../workers/bundle.ts').then(({ workflowCode }) => workflowCode());
    void bundled.catch(() => {});

    await simulatorUp;
    const { accountId, endpoint, regions, admin, control } = accountOf();
    const awsWorld = provisionAws({ endpoint, accountId, admin });
    void awsWorld.catch(() => {});
    const { hash: codeHash } = await bundled;
    mkdirSync(paths.drop, { recursive: true, mode: 0o700 });
    const trust = initTrust({
      keys: paths.keys,
      trust: paths.trust,
      people: paths.people,
      accounts: [
        { provider: 'aws', account: accountId },
        { provider: 'vault', account: vaultAccount },
      ],
      persons: people.map(({ roles, ...person }) => ({ ...person, roles: [...roles], passphrase })),
      rootPassphrase: passphrase,
      // A passphrase of 144 random bits needs no stretching, and six keys would take seconds.
      cost: { n: 2 ** 12, r: 8, p: 1 },
      code: [codeHash],
    });
    writePrivateFile(paths.passphrase, `${passphrase.reveal()}\n`);
    writeFileSync(paths.policy, readFileSync(new URL('../policies/default.yaml', import.meta.url)));
    writeFileSync(paths.inventory, inventoryText(accountId));
    if (codecPort !== undefined) {
      const log = join(paths.logs, 'codec-endpoint.log');
      const codecEndpoint = await startCodecEndpoint({
        keyring: openKeyring(join(trust.paths.operator, 'codec.json')),
        port: codecPort,
        origin: `http://127.0.0.1:${uiPort}`,
        token: codecToken,
        log: (line) => appendFileSync(log, `${line}\n`, { mode: 0o600 }),
      });
      closers.push(() => codecEndpoint.close());
    }

    const failed = (await servers).find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    if (bao === undefined) throw fault('stack.failed', { part: 'openbao' });
    const { address: vaultAddress, rootToken, auditFile } = bao;
    const aws = await awsWorld;
    const vault = await provisionVault({ address: vaultAddress, rootToken }, aws);
    writePrivateFile(join(paths.accounts, 'aws.json'), `${JSON.stringify(aws.responder, null, 2)}\n`);
    const proxies = options.proxied
      ? {
          temporal: await startProxy({ to: temporalPort }),
          openbao: await startProxy({ to: baoPort, http: true }),
          simulator: await startProxy({ to: simulatorPort }),
        }
      : undefined;
    if (proxies) closers.push(() => Promise.all(Object.values(proxies).map((proxy) => proxy.close())));
    const seen = {
      temporal: proxies?.temporal.address ?? `127.0.0.1:${temporalPort}`,
      vault: proxies ? `http://${proxies.openbao.address}` : vaultAddress,
      aws: proxies ? `http://${proxies.simulator.address}` : endpoint,
    };
    writePrivateFile(join(paths.accounts, 'vault.json'), `${JSON.stringify({ address: seen.vault, token: vault.worker }, null, 2)}\n`);
    const temporal = {
      address: `127.0.0.1:${temporalPort}`,
      namespace: 'default',
      ui: uiPort === undefined ? null : `http://127.0.0.1:${uiPort}`,
    };
    writeFileSync(
      paths.configuration,
      configurationText({
        paths,
        engine: trust.engine,
        root: trust.rootPublic,
        temporal: temporal.address,
        aws: { endpoint: seen.aws, accountId, regions },
        vault: { address: seen.vault, auditFile },
        timing: { propagationMs, logLagMs, ...(options.giveUpMs === undefined ? {} : { giveUpMs: options.giveUpMs }) },
        recheckMs,
        pace: options,
        ...(options.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: options.requestTimeoutMs }),
        ...(options.lookUpsPerSecond === undefined ? {} : { lookUpsPerSecond: options.lookUpsPerSecond }),
        codec,
      }),
    );

    // --- the workers, each with its own keys and nothing of the others'
    const worker = (name: PartName, role: Record<string, string>, keys: string, twin?: string) => async (): Promise<Part> => {
      const log = twin === undefined ? logOf(name) : join(paths.logs, `${twin}.log`);
      const from = existsSync(log) ? statSync(log).size : 0;
      const env = {
        ...role,
        TOURNIQUET_CONFIG: paths.configuration,
        TOURNIQUET_KEYS: keys,
        TEMPORAL_ADDRESS: seen.temporal,
        TEMPORAL_NAMESPACE: temporal.namespace,
      };
      const entry = new URL('../workers/main.ts', import.meta.url);
      const part = twin === undefined ? node(name, entry, [], env) : startNode(twin, entry, [], env, log);
      if (twin !== undefined) twins.push(part);
      await untilReady(part, log, async () => saysReady(readFileSync(log, 'utf8').slice(from)), 60_000);
      return part;
    };
    const wanted: readonly (readonly [PartName, Record<string, string>, string | undefined])[] = [
      ['judge', { TOURNIQUET_ROLE: 'judge' }, trust.paths.judge],
      [
        'aws-worker',
        { TOURNIQUET_ROLE: 'provider', TOURNIQUET_PROVIDER: 'aws', TOURNIQUET_ACCOUNT: accountId },
        trust.paths.providers[`aws-${accountId}`],
      ],
      [
        'vault-worker',
        { TOURNIQUET_ROLE: 'provider', TOURNIQUET_PROVIDER: 'vault', TOURNIQUET_ACCOUNT: vaultAccount },
        trust.paths.providers[`vault-${vaultAccount}`],
      ],
    ];
    const workers = await Promise.allSettled(
      wanted.filter(([name]) => !without.has(name)).map(([name, role, keys]) => launch(name, worker(name, role, keys ?? ''))),
    );
    const lame = workers.find((each) => each.status === 'rejected');
    if (lame !== undefined) throw lame.reason;
    options.signal?.throwIfAborted();

    const awsFacts = { ...admin, endpoint, accountId, region, control };
    save({
      state: 'running',
      temporal,
      ...(codecPort === undefined ? {} : { codec: { endpoint: `http://127.0.0.1:${codecPort}/${codecToken}` } }),
      vault: { address: vaultAddress, token: rootToken },
      aws: awsFacts,
      configuration: paths.configuration,
      keys: paths.keys,
      passphraseFile: paths.passphrase,
      people: people.map(({ id, roles }) => ({ id, roles, key: trust.paths.persons[id] ?? '' })),
    });
    const settled = Promise.all(Object.values(deployments).map(({ variant }) => untilAccepted({ endpoint }, aws.deployers[variant]))).then(
      () => {},
    );
    void settled.catch(() => {});

    return {
      paths,
      get file() {
        return file;
      },
      temporal,
      vault: { address: vaultAddress, token: rootToken, auditFile },
      aws: awsFacts,
      control: new AwsControl(control),
      engine: trust.engine,
      root: trust.rootPublic,
      codeHash,
      passphrase,
      world: { deployers: aws.deployers, responder: aws.responder, consumers: vault.consumers },
      settled,
      ...(proxies ? { proxies } : {}),
      part(name) {
        const entry = running.get(name);
        if (entry === undefined) throw fault('stack.not-running', { part: name });
        return {
          name,
          get pid() {
            return entry.part.pid;
          },
          log: entry.log,
          get running() {
            return entry.part.child.exitCode === null && entry.part.child.signalCode === null;
          },
          pause() {
            entry.part.child.kill('SIGSTOP');
          },
          resume() {
            entry.part.child.kill('SIGCONT');
          },
          async kill(signal = 'SIGKILL') {
            entry.asked = true;
            entry.part.child.kill(signal);
            await entry.part.ended;
          },
          async restart() {
            entry.asked = true;
            if (entry.part.child.exitCode === null && entry.part.child.signalCode === null) await entry.part.stop();
            entry.part = await entry.start();
            entry.asked = false;
            enlist(name, entry.log, entry.part);
            watchOver(entry);
          },
        };
      },
      async twin(name) {
        const [, role = {}, keys] = wanted.find(([each]) => each === name) ?? [];
        return await worker(name, role, keys ?? '', `${name}-${twins.length + 2}`)();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', giveUp);
  }
}

/** The worker's ready line, wherever among its lines. */
function saysReady(text: string): boolean {
  return text.split('\n').some((line) => {
    if (!line.startsWith('{"ready"')) return false;
    try {
      return (JSON.parse(line) as { ready?: unknown }).ready === true;
    } catch {
      return false;
    }
  });
}

/** The stack file of a directory; undefined where there is none. One that cannot be read counts as one with nothing in it. */
export function readStackFile(directory: string): StackFile | undefined {
  let text: string;
  try {
    text = readFileSync(layout(resolve(directory)).stack, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const value = JSON.parse(text) as StackFile;
    if (value.v === 1 && Array.isArray(value.parts) && typeof value.owner?.pid === 'number') return value;
  } catch {
    // Falls through.
  }
  return { v: 1, state: 'starting', startedAt: '', directory: resolve(directory), owner: { pid: 0, started: '' }, parts: [] };
}

/** What {@link stopStack} ended. `stale`: the stack had been killed, and only what it had left was ended. */
export interface Stopped {
  readonly stale: boolean;
  readonly ended: readonly string[];
}

/**
 * Ends the stack of a directory from another process: its owner is asked to, and what is left then is ended one by one, each only if it is the very
 * process that the stack started. Throws `stack.not-running` where there is none.
 */
export async function stopStack(directory = '.tourniquet', say: (words: string) => void = () => {}): Promise<Stopped> {
  const paths = layout(resolve(directory));
  const file = readStackFile(directory);
  if (file === undefined) throw fault('stack.not-running', { directory: paths.directory });
  const owned = file.owner.pid !== process.pid && isRunning(file.owner);
  const alive = file.parts.filter(isRunning).map(({ name }) => name);
  if (owned) {
    try {
      process.kill(file.owner.pid, 'SIGTERM');
    } catch {
      // It has ended meanwhile.
    }
    const until = Date.now() + 25_000;
    while (existsSync(paths.stack) && isRunning(file.owner) && Date.now() < until) await wait(50);
  }
  const left = await endParts(readStackFile(directory) ?? file);
  if (!owned && left.length > 0) say(`a killed stack had left ${left.join(', ')}`);
  rmSync(paths.stack, { force: true });
  return { stale: !owned, ended: alive };
}

async function endParts(file: StackFile): Promise<readonly string[]> {
  const ended = await Promise.all(file.parts.map(async (part) => ((await end(part)) ? part.name : undefined)));
  return ended.filter((name) => name !== undefined);
}

/** Makes room for a start: refuses beside a stack that runs, and clears what a killed one has left. */
async function clear(paths: Layout, say: (words: string) => void): Promise<void> {
  const file = readStackFile(paths.directory);
  if (file === undefined) return;
  if (isRunning(file.owner)) throw fault('stack.already-running', { file: paths.stack, process: file.owner.pid });
  const left = await endParts(file);
  rmSync(paths.stack, { force: true });
  say(
    left.length > 0 ? `a stack was killed here; ended what it had left: ${left.join(', ')}` : 'cleared the file of a stack that was killed',
  );
}
