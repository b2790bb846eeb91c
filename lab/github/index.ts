import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import sodium from 'libsodium-wrappers';
import { Clock } from '../aws/clock.ts';
import { Faults } from '../aws/faults.ts';
import { Ledger } from '../aws/ledger.ts';
import { Control, type ControlAddress, controlServer } from './control.ts';
import { apiServer } from './server.ts';
import { State } from './state.ts';
import { World } from './world.ts';

export { type Control, type ControlAddress, githubControl, type MadeApp, type Minted } from './control.ts';
export { routes } from './server.ts';
export type { TokenOrder } from './world.ts';

export interface GithubSimulatorOptions {
  /** Port of the API; 0 or absent takes a free one. Both ports are on loopback. */
  readonly port?: number;
  readonly controlPort?: number;
  readonly controlToken?: string;
  /** Milliseconds for which a revoked token or a suspended installation is still accepted; 1000 where absent. */
  readonly propagationMs?: number;
  /** Milliseconds until the audit log shows an event; 2000 where absent. */
  readonly auditLagMs?: number;
  /** Changes a minute of one caller; 80 where absent, as GitHub has it. */
  readonly secondaryPerMinute?: number;
  readonly revocationLogged?: boolean;
  /** Told of a defect of the simulator. */
  readonly onFault?: (error: unknown) => void;
}

export interface GithubSimulator {
  /** What Octokit takes as its `baseUrl`. */
  readonly endpoint: string;
  readonly control: ControlAddress;
  /** The same control without a detour over HTTP, for whoever started it. */
  readonly hand: Control;
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

/** Starts an empty simulated GitHub and resolves when it answers. It keeps nothing beyond its process. */
export async function startGithubSimulator(options: GithubSimulatorOptions = {}): Promise<GithubSimulator> {
  await sodium.ready;
  const onFault = options.onFault ?? ((error: unknown) => console.error('the GitHub simulator has a defect:', error));
  const world = new World({
    state: new State(),
    clock: new Clock(),
    faults: new Faults(),
    ledger: new Ledger(),
    settings: {
      propagationMs: options.propagationMs ?? 1000,
      auditLagMs: options.auditLagMs ?? 2000,
      secondaryPerMinute: options.secondaryPerMinute ?? 80,
      revocationLogged: options.revocationLogged ?? true,
    },
  });
  const hand = new Control(world);
  const token = options.controlToken ?? randomBytes(24).toString('base64url');
  const api = apiServer(world, onFault);
  const control = controlServer(hand, token, onFault);
  const port = await listen(api, options.port ?? 0);
  const controlPort = await listen(control, options.controlPort ?? 0);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    control: { url: `http://127.0.0.1:${controlPort}`, token },
    hand,
    close: async () => {
      await Promise.all([shut(api), shut(control)]);
    },
  };
}
