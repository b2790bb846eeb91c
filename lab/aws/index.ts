import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Clock } from './clock.ts';
import type { ControlAddress } from './control.ts';
import { controlServer } from './control-server.ts';
import { Faults } from './faults.ts';
import { accessKeyId, secretKey, suffix, uniqueId } from './identifiers.ts';
import { Journal } from './journal.ts';
import { Ledger } from './ledger.ts';
import { fullAccess } from './organizations.ts';
import { Origins } from './origin.ts';
import { apiServer } from './server.ts';
import { type JournalLine, type Settings, State, tableNames } from './state.ts';
import { Trail } from './trail.ts';
import type { World } from './world.ts';

export type { ControlAddress } from './control.ts';
export { AwsControl } from './control.ts';

export interface AwsSimulatorOptions {
  /** Port of the API; 0 or absent takes a free one. Both ports are on loopback. */
  readonly port?: number;
  readonly controlPort?: number;
  /** Token of the control port; absent makes one. */
  readonly controlToken?: string;
  /** Where the journal is kept. Absent keeps nothing beyond the process. */
  readonly journalDir?: string;
  /** Twelve digits. An account that the journal already holds wins. */
  readonly accountId?: string;
  /** Milliseconds until a change of keys or policies is effective, up to 15 minutes; 4000 where absent. */
  readonly propagationMs?: number;
  readonly authenticationPropagationMs?: number;
  readonly authorizationPropagationMs?: number;
  /** Milliseconds until an event can be looked up; 5000 where absent. */
  readonly logLagMs?: number;
  /** Regions that are enabled; us-east-1, where the global services log, has to be among them. */
  readonly regions?: readonly string[];
  /** The administrator's key pair at the first start; absent makes one. */
  readonly admin?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Events kept for each Region; 200 000 where absent. */
  readonly eventCapacity?: number;
  /** Look-ups in the log a second in each Region; 2, as at AWS. */
  readonly lookUpsPerSecond?: number;
  /** Told of a defect of the simulator. */
  readonly onFault?: (error: unknown) => void;
}

export interface AwsSimulator {
  readonly endpoint: string;
  readonly control: ControlAddress;
  readonly admin: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly accountId: string;
  readonly regions: readonly string[];
  close(): Promise<void>;
}

export const adminName = 'tourniquet-admin';
const defaultRegions = ['us-east-1', 'us-west-2', 'eu-west-1', 'eu-central-1'];

/** An empty account: the organization's policy that allows everything, and one administrator, there since yesterday and so effective. */
function found(state: State, clock: Clock, options: AwsSimulatorOptions): void {
  const accountId = options.accountId ?? '210987654321';
  if (!/^\d{12}$/.test(accountId)) throw new RangeError('an account number has twelve digits');
  const at = clock.now() - 86_400_000;
  const admin = options.admin ?? { accessKeyId: accessKeyId('AKIA', accountId), secretAccessKey: secretKey() };
  state.put('account', {
    id: 'account',
    accountId,
    organizationId: `o-${suffix(10)}`,
    admin: { accessKeyId: admin.accessKeyId, secretAccessKey: admin.secretAccessKey },
    attached: [{ at, value: [fullAccess] }],
    pageKey: randomBytes(32).toString('base64'),
  });
  state.put('controlPolicies', {
    id: fullAccess.id,
    arn: `arn:aws:organizations::aws:policy/service_control_policy/${fullAccess.id}`,
    name: 'FullAWSAccess',
    description: 'Allows access to every operation',
    content: fullAccess.content,
    awsManaged: true,
  });
  const user = {
    id: uniqueId('AIDA'),
    name: adminName,
    path: '/',
    createdAt: at,
    tags: {},
    policies: [{ at, value: { inline: {}, attached: ['arn:aws:iam::aws:policy/AdministratorAccess'], groups: [] } }],
    serviceCredentials: [],
  };
  state.put('users', user);
  state.put('keys', {
    id: admin.accessKeyId,
    secret: admin.secretAccessKey,
    userId: user.id,
    createdAt: at,
    status: [{ at, value: 'Active' }],
  });
}

function* snapshot(state: State, trail: Trail, ledger: Ledger): Iterable<JournalLine> {
  for (const table of tableNames) for (const [key, row] of state.tables[table]) yield { rows: [[table, key, row]] };
  for (const event of trail.all) yield { event };
  for (const mutation of ledger.since(0)) yield { mutation };
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

/** Starts a simulated AWS account and resolves when it answers. With a journal it goes on where the last process stopped or was killed. */
export async function startAwsSimulator(options: AwsSimulatorOptions = {}): Promise<AwsSimulator> {
  const onFault = options.onFault ?? ((error: unknown) => console.error('the AWS simulator has a defect:', error));
  const regions = options.regions ?? defaultRegions;
  if (!regions.includes('us-east-1')) throw new RangeError('us-east-1 has to be among the regions: the global services log there');
  const state = new State();
  const trail = new Trail(options.eventCapacity ?? 200_000, options.lookUpsPerSecond);
  const ledger = new Ledger();
  const journal = options.journalDir === undefined ? undefined : new Journal(options.journalDir);
  for (const line of journal?.read() ?? []) {
    state.replay(line);
    if (line.event !== undefined) trail.add(line.event);
    if (line.mutation !== undefined) ledger.add(line.mutation);
  }
  const saved = state.tables.settings.get('settings');
  const clock = new Clock(saved?.clockOffsetMs ?? 0);
  const propagationMs = options.propagationMs ?? 4000;
  const settings: Settings = saved ?? {
    id: 'settings',
    authenticationPropagationMs: options.authenticationPropagationMs ?? propagationMs,
    authorizationPropagationMs: options.authorizationPropagationMs ?? propagationMs,
    logLagMs: options.logLagMs ?? 5000,
    clockOffsetMs: 0,
  };
  if (!state.tables.account.has('account')) found(state, clock, options);
  state.forget(clock);
  journal?.restart(snapshot(state, trail, ledger));
  const { accountId, admin } = state.account;
  const world: World = { accountId, regions, clock, state, trail, ledger, faults: new Faults(), origins: new Origins(), settings, journal };
  const token = options.controlToken ?? randomBytes(24).toString('base64url');
  const api = apiServer(world, onFault);
  const control = controlServer(world, token, onFault);
  const port = await listen(api, options.port ?? 0);
  const controlPort = await listen(control, options.controlPort ?? 0);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    control: { url: `http://127.0.0.1:${controlPort}`, token },
    admin,
    accountId,
    regions,
    close: async () => {
      await Promise.all([shut(api), shut(control)]);
      journal?.close();
    },
  };
}
