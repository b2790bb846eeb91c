import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Clock } from '../aws/clock.ts';
import { Faults } from '../aws/faults.ts';
import { type ControlAddress, controlServer } from './control.ts';
import { makeAccount, makeKey } from './iam.ts';
import { apiServer } from './server.ts';
import { digits, etag, pair, type Settings, type World } from './state.ts';

export { type ControlAddress, GcpControl, type GcpWorld } from './control.ts';
export type { JournalEntry, Settings } from './state.ts';
export { signature } from './storage.ts';

export interface GcpSimulatorOptions extends Partial<Settings> {
  /** Port of the API; 0 or absent takes a free one. Both ports are on loopback. */
  readonly port?: number;
  readonly controlPort?: number;
  readonly controlToken?: string;
  readonly project?: string;
  /** Told of a defect of the simulator. */
  readonly onFault?: (error: unknown) => void;
}

/** The file that Google gives for a key of a service account. */
export type KeyFile = Readonly<Record<string, string>>;

export interface GcpSimulator {
  readonly endpoint: string;
  readonly control: ControlAddress;
  /** The key file of the first account, which is owner of the project. */
  readonly admin: KeyFile;
  readonly project: string;
  close(): Promise<void>;
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function shut(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

const minute = 60_000;

/**
 * Starts a simulated Google Cloud project and resolves when it answers. Times are as documented where the options do not say otherwise: five seconds for keys and accounts, two minutes
 * for policies, three for HMAC keys. It keeps nothing beyond the process.
 */
export async function startGcpSimulator(options: GcpSimulatorOptions = {}): Promise<GcpSimulator> {
  const onFault = options.onFault ?? ((error: unknown) => console.error('the Google Cloud simulator has a defect:', error));
  const project = options.project ?? 'practice-471200';
  const clock = new Clock();
  const world: World = {
    clock,
    faults: new Faults(),
    settings: {
      propagationMs: options.propagationMs ?? 5_000,
      policyPropagationMs: options.policyPropagationMs ?? 2 * minute,
      hmacPropagationMs: options.hmacPropagationMs ?? 3 * minute,
      apiKeyPropagationMs: options.apiKeyPropagationMs ?? minute,
      logLagMs: options.logLagMs ?? 5_000,
      logReadsPerMinute: options.logReadsPerMinute ?? 60,
      keyLimit: options.keyLimit ?? 10,
    },
    projects: new Map(),
    accounts: new Map(),
    tokens: new Map(),
    hmacKeys: new Map(),
    apiKeys: new Map(),
    operations: new Map(),
    roles: new Map(),
    log: [],
    journal: [],
    logReads: [],
    audiences: new Set(['https://oauth2.googleapis.com/token', 'https://www.googleapis.com/oauth2/v4/token']),
    pairs: 0,
    idKey: (await pair({ pairs: 0 } as World)).privateKey,
  };
  world.pairs = 1;
  // The first account and its key are there since yesterday, and so effective.
  const account = makeAccount(world, project, 'tourniquet-admin');
  const since = clock.now() - 86_400_000;
  account.disabled.splice(0, 1, { at: since, value: false });
  const { file: admin } = await makeKey(world, account, since);
  world.projects.set(project, {
    id: project,
    number: digits(12),
    policy: [{ at: since, value: { etag: etag(), bindings: [{ role: 'roles/owner', members: [`serviceAccount:${account.email}`] }] } }],
    buckets: ['invoices', 'backups'],
    longLived: new Set(),
  });
  const token = options.controlToken ?? randomBytes(24).toString('base64url');
  const api = apiServer(world, onFault);
  const control = controlServer(world, token, onFault);
  const port = await listen(api, options.port ?? 0);
  const controlPort = await listen(control, options.controlPort ?? 0);
  const endpoint = `http://127.0.0.1:${port}`;
  world.audiences.add(`${endpoint}/token`);
  return {
    endpoint,
    control: { url: `http://127.0.0.1:${controlPort}`, token },
    admin: { ...admin, token_uri: `${endpoint}/token` },
    project,
    close: async () => {
      await Promise.all([shut(api), shut(control)]);
    },
  };
}
