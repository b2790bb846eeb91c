import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { PayloadCodec } from '@temporalio/common';
import { unzipSync } from 'fflate';
import { EncryptionCodec, openKeyring } from '../../audit/codec.ts';
import { decodeHistory, encodeHistory, historyJson } from '../../audit/history.ts';
import type { BlobStore } from '../../audit/store.ts';
import type { TourniquetClient } from '../../client/index.ts';
import { isEnvelope, strictBase64 } from '../../domain/envelope.ts';
import type { AwsControl } from '../../lab/aws/control.ts';
import type { Stack } from '../../lab/stack.ts';
import { partNames } from '../../lab/stack.ts';
import { region } from '../../lab/world/cast.ts';
import { type Finding, Needles } from './forms.ts';

/** Where a secret must not be. Each is looked into by every hunt, so that one that was not is noticed. */
export const placeKinds = [
  'history',
  'decoded history',
  'memo',
  'workflow id',
  'search attribute',
  'header',
  'failure',
  'log',
  'error',
  'metric',
  'process argument',
  'environment',
  'file',
  'core or heap file',
  'temporary file',
  'blob',
  'record',
  'name in the store',
  'sealed blob',
  'bundle',
  'report',
] as const;
export type PlaceKind = (typeof placeKinds)[number];

/** Secrets to hunt, the findings, and how many things were looked at by kind of place. */
export class Hunt {
  readonly #needles: Needles;
  readonly findings: Finding[] = [];
  readonly looked = new Map<PlaceKind, number>();

  constructor(secrets: Readonly<Record<string, string>>) {
    this.#needles = new Needles(secrets);
  }

  look(kind: PlaceKind, place: string, content: Uint8Array | string): void {
    this.looked.set(kind, (this.looked.get(kind) ?? 0) + 1);
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const found = new Map<string, Omit<Finding, 'kind' | 'place'>>();
    // A text within a text is escaped once more: what is spelt is looked for at each depth.
    for (let text: Buffer | undefined = Buffer.from(bytes), depth = 0; text && depth < 3; text = unescaped(text), depth++)
      for (const each of this.#needles.in(text)) found.set(`${each.secret}|${each.form}`, each);
    for (const each of found.values()) this.findings.push({ kind, place, ...each });
  }
}

/** The bytes with the escapes of JSON strings resolved once; undefined where there are none. */
function unescaped(bytes: Buffer): Buffer | undefined {
  if (!bytes.includes(0x5c)) return undefined;
  const text = bytes
    .toString('latin1')
    .replaceAll(/\\(?:u00([0-9a-fA-F]{2})|(["\\/]))/g, (_, hex: string | undefined, plain: string | undefined) =>
      hex === undefined ? (plain ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
    );
  return Buffer.from(text, 'latin1');
}

/** What a hunt over a practice stack goes through. */
export interface Ground {
  readonly stack: Stack;
  readonly client: TourniquetClient;
  readonly store: BlobStore;
  /** Texts that went to a person: output of commands, thrown errors. */
  readonly errors?: readonly string[];
  /** Files in the system's folder for temporary ones are looked at if they were written after this time (milliseconds). */
  readonly since: number;
  /** The folder that a core or heap file would be left in, besides the stack's own. */
  readonly workingDirectory?: string;
  /** Processes to look at besides the stack's own. */
  readonly processes?: readonly number[];
}

/**
 * What may hold secrets, below the directory of a practice world, and only for its owner's eyes: the stack file, the keys, and the world that plays the providers. Anything else
 * that holds one is a finding.
 */
export const exempt = ['stack.json', 'keys', 'world'] as const;

/** Goes through every place there is. */
export async function huntThrough(hunt: Hunt, ground: Ground): Promise<void> {
  const { stack, client, store } = ground;
  const { paths } = stack;
  await throughRuns(hunt, client, [new EncryptionCodec(openKeyring(join(paths.keys, 'operator', 'codec.json')))]);
  for (const [path, bytes] of filesBelow(paths.logs)) hunt.look('log', relative(paths.directory, path), bytes);
  throughFiles(hunt, paths.directory, exempt);
  for (const folder of [ground.workingDirectory ?? process.cwd()]) {
    let cores = 0;
    for (const name of readdirSync(folder)) if (isCore(name)) cores += lookAtFile(hunt, 'core or heap file', join(folder, name));
    if (cores === 0) hunt.look('core or heap file', `${folder}: none`, '');
  }
  throughTemporaryFiles(hunt, ground.since);
  throughArguments(hunt);
  const parts = partNames.flatMap((name) => (stack.part(name).running ? [[name as string, stack.part(name).pid] as const] : []));
  for (const [name, pid] of [...parts, ...(ground.processes ?? []).map((each) => [`process ${each}`, each] as const)]) {
    const file = readIfThere(`/proc/${pid}/environ`);
    if (file) hunt.look('environment', name, file);
    for (const port of portsOf(pid)) {
      const text = await metricsAt(port);
      if (text !== undefined) hunt.look('metric', `${name} at ${port}`, text);
    }
  }
  for (const text of ground.errors ?? []) hunt.look('error', text.slice(0, 40), text);
  await throughStore(hunt, store, paths.store);
  for (const [path, bytes] of filesBelow(paths.drop)) hunt.look('sealed blob', path, bytes);
}

/** Every run that the server lists, with its history as it lies there and in clear. */
export async function throughRuns(hunt: Hunt, client: TourniquetClient, codecs: readonly PayloadCodec[]): Promise<void> {
  for await (const execution of client.temporal.workflow.list()) {
    const { workflowId, runId } = execution;
    const handle = client.temporal.workflow.getHandle(workflowId, runId);
    hunt.look('workflow id', workflowId, `${workflowId}\n${runId}\n${execution.type}`);
    const described = await handle.describe();
    const raw = described.raw.workflowExecutionInfo;
    hunt.look('memo', workflowId, Buffer.concat(payloadBytes(raw?.memo?.fields)));
    hunt.look('search attribute', workflowId, Buffer.concat(payloadBytes(raw?.searchAttributes?.indexedFields)));
    hunt.look('failure', workflowId, JSON.stringify(described.raw.pendingActivities ?? []));
    const history = await handle.fetchHistory();
    hunt.look('history', workflowId, encodeHistory(history));
    const clear = await decodeHistory(history, codecs);
    hunt.look('decoded history', workflowId, encodeHistory(clear));
    hunt.look('decoded history', `${workflowId} as JSON`, historyJson(clear));
    for (const event of clear.events ?? []) {
      const header = event.workflowExecutionStartedEventAttributes?.header ?? event.workflowExecutionSignaledEventAttributes?.header;
      hunt.look('header', workflowId, Buffer.concat(payloadBytes(header?.fields)));
      const failure = event.activityTaskFailedEventAttributes?.failure ?? event.workflowExecutionFailedEventAttributes?.failure;
      if (failure) hunt.look('failure', workflowId, JSON.stringify(failure));
    }
  }
}

/** Every file below a directory but those that may hold secrets. */
export function throughFiles(hunt: Hunt, directory: string, but: readonly string[]): void {
  const isExempt = (path: string): boolean => but.some((each) => path === each || path.startsWith(`${each}/`));
  for (const [path, bytes] of filesBelow(directory, (each) => !isExempt(relative(directory, each))))
    hunt.look(isCore(path) ? 'core or heap file' : 'file', relative(directory, path), bytes);
}

/** What every process on the machine was started with. */
export function throughArguments(hunt: Hunt): void {
  for (const pid of processIds()) {
    const file = readIfThere(`/proc/${pid}/cmdline`);
    if (file) hunt.look('process argument', `process ${pid}`, file);
  }
}

/** Every blob and name of a store, opened as far as whoever has the store's key can open it. */
export async function throughStore(hunt: Hunt, store: BlobStore, directory: string): Promise<void> {
  for (const folder of readdirSync(join(directory, 'blobs'))) {
    for (const rest of readdirSync(join(directory, 'blobs', folder))) {
      const hash = `sha256:${folder}${rest}` as const;
      const bytes = await store.get(hash);
      hunt.look('blob', hash, bytes);
      const record = contentOf(bytes);
      if (record) hunt.look('record', hash, record);
      for (const [path, content] of unzipped(bytes))
        hunt.look(path.startsWith('report.') ? 'report' : 'bundle', `${hash} ${path}`, content);
    }
  }
  for (const name of await store.list('')) {
    const there = await store.read(name);
    hunt.look(
      'name in the store',
      name,
      Buffer.concat([Buffer.from(name), there ?? Buffer.of(), contentOf(there ?? Buffer.of()) ?? Buffer.of()]),
    );
  }
}

/** Files that may hold secrets and are not for their owner's eyes only: neither 0600 themselves nor in a folder that nobody else can enter. */
export function looseFiles(directory: string): readonly string[] {
  return exempt.flatMap((name) => {
    const path = join(directory, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    return (stat.mode & 0o077) === 0 ? [] : [path];
  });
}

/** What a signed record says, out of its base64. */
function contentOf(bytes: Uint8Array): Uint8Array | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return isEnvelope(value) ? strictBase64(value.payload) : undefined;
  } catch {
    return undefined;
  }
}

/** The files in an archive; none where the bytes are no archive. Contents of signed files come out of their base64 as well. */
function unzipped(bytes: Uint8Array): readonly (readonly [string, Uint8Array])[] {
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) return [];
  try {
    return Object.entries(unzipSync(bytes)).flatMap(([path, content]) => {
      const said = contentOf(content);
      return said ? [[path, content] as const, [path, said] as const] : [[path, content] as const];
    });
  } catch {
    return [];
  }
}

function payloadBytes(fields: Readonly<Record<string, { readonly data?: Uint8Array | null }>> | null | undefined): Buffer[] {
  return Object.entries(fields ?? {}).flatMap(([name, payload]) => [Buffer.from(`${name}\n`), Buffer.from(payload.data ?? [])]);
}

const isCore = (path: string): boolean =>
  /(^|\/)(core(\.\d+)?|[^/]*\.heap(snapshot|profile)|heapdump[^/]*|report\.\d[^/]*\.json)$/.test(path);

function* filesBelow(folder: string, wanted: (path: string) => boolean = () => true): Generator<readonly [string, Buffer]> {
  let entries: ReturnType<typeof entriesOf>;
  try {
    entries = entriesOf(folder);
  } catch {
    return;
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (!wanted(path)) continue;
    if (entry.isDirectory()) yield* filesBelow(path, wanted);
    else if (entry.isFile()) {
      const bytes = readIfThere(path);
      if (bytes) yield [path, bytes];
    }
  }
}

function entriesOf(folder: string) {
  return readdirSync(folder, { withFileTypes: true });
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

function lookAtFile(hunt: Hunt, kind: PlaceKind, path: string): number {
  const bytes = readIfThere(path);
  if (bytes) hunt.look(kind, path, bytes);
  return bytes ? 1 : 0;
}

/** The system's folder for temporary files: what is ours, was written since, is not put aside, and is no practice world of its own. */
export function throughTemporaryFiles(hunt: Hunt, since: number, aside: readonly string[] = []): void {
  const folder = tmpdir();
  hunt.look('temporary file', `${folder}: names`, readdirSync(folder).join('\n'));
  for (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.uid !== process.getuid?.() || stat.mtimeMs < since || aside.includes(path)) continue;
    if (entry.isFile()) lookAtFile(hunt, 'temporary file', path);
    else if (entry.isDirectory() && !existsHere(join(path, 'stack.json'))) {
      for (const [file, bytes] of filesBelow(path, (each) => !existsHere(join(each, 'stack.json'))))
        hunt.look('temporary file', file, bytes);
    }
  }
}

const existsHere = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

function processIds(): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

/** The TCP ports that a process listens on. */
function portsOf(pid: number): readonly number[] {
  const inodes = new Set<string>();
  try {
    for (const name of readdirSync(`/proc/${pid}/fd`)) {
      const socket = /^socket:\[(\d+)\]$/.exec(readlinkIfThere(`/proc/${pid}/fd/${name}`));
      if (socket?.[1]) inodes.add(socket[1]);
    }
  } catch {
    return [];
  }
  const lines = ['tcp', 'tcp6'].flatMap((name) => (readIfThere(`/proc/${pid}/net/${name}`)?.toString() ?? '').split('\n').slice(1));
  return lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    return state === '0A' && inodes.has(inode) ? [Number.parseInt(local.split(':').at(-1) ?? '', 16)] : [];
  });
}

function readlinkIfThere(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

async function metricsAt(port: number): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(2000) });
    const text = await response.text();
    return response.ok && text.includes('# TYPE') ? text : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Every secret of a practice world that has one of its own: keys of the engine and its people, of the accounts, of consumers and deployers, and the session tokens that the
 * provider has given out. What a run has minted since stands in the stores that the caller names.
 */
export async function secretsOf(stack: Stack, more: Readonly<Record<string, string>> = {}): Promise<Readonly<Record<string, string>>> {
  const { paths } = stack;
  const account = (name: string) => JSON.parse(readFileSync(join(paths.accounts, name), 'utf8')) as Record<string, string>;
  const secrets: Record<string, string> = {
    "the engine's own AWS secret": stack.world.responder.secretAccessKey,
    "the administrator's AWS secret": stack.aws.secretAccessKey,
    "the vault worker's token": account('vault.json').token ?? '',
    'the root token': stack.vault.token,
    'the passphrase of people': stack.passphrase.reveal(),
  };
  for (const [name, token] of Object.entries(stack.world.consumers)) secrets[`the token of ${name}`] = token;
  for (const [name, pair] of Object.entries(stack.world.deployers)) secrets[`the secret of the deployer ${name}`] = pair.secretAccessKey;
  Object.assign(secrets, keysIn(paths.keys));
  return { ...secrets, ...(await tokensOf(stack.control)), ...more };
}

/** What the key files below a folder hold that nobody else may know: private keys, the store's key, the codec's. */
export function keysIn(folder: string): Readonly<Record<string, string>> {
  const secrets: Record<string, string> = {};
  for (const [path, bytes] of filesBelow(folder)) {
    const name = relative(folder, path);
    if (name.endsWith('store.key')) secrets[`the store key in ${name}`] = bytes.toString('utf8').trim();
    if (!name.endsWith('.json')) continue;
    const file = JSON.parse(bytes.toString('utf8')) as { private?: string; keys?: Record<string, string> };
    if (typeof file.private === 'string') secrets[`the private key in ${name}`] = file.private;
    for (const [id, key] of Object.entries(file.keys ?? {})) secrets[`the codec key ${id} in ${name}`] = key;
  }
  return secrets;
}

/** The session tokens that the provider has given out, as its own log has them. */
export async function tokensOf(control: AwsControl): Promise<Readonly<Record<string, string>>> {
  const tokens = (await control.events(region, 100_000)).flatMap(({ record }) => tokensIn(JSON.parse(record)));
  return Object.fromEntries(tokens.map((token, at) => [`session token ${at + 1}`, token]));
}

/** Every session token in a log event of the provider, wherever it stands. */
function tokensIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    /^sessionToken$/i.test(name) && typeof member === 'string' ? [member] : tokensIn(member),
  );
}

/**
 * The hunt that follows a failure: every secret of that world, in every place. Answers the findings, which are to be none, and the kinds of place that were not looked into, which
 * are to be none either.
 */
export async function huntAfter(
  ground: Ground,
  more: Readonly<Record<string, string>> = {},
): Promise<{ readonly findings: readonly Finding[]; readonly unlooked: readonly PlaceKind[] }> {
  const hunt = new Hunt(await secretsOf(ground.stack, more));
  await huntThrough(hunt, ground);
  const lookedAt = new Set(hunt.looked.keys());
  return { findings: hunt.findings, unlooked: placeKinds.filter((kind) => !lookedAt.has(kind)) };
}
