import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type ControlAddress, type GcpSimulatorOptions, type KeyFile, startGcpSimulator } from './index.ts';

/** The configuration of the process: the options of `startGcpSimulator` that have a JSON form, and where to write that it is ready. */
export interface GcpSimulatorConfig extends Omit<GcpSimulatorOptions, 'onFault'> {
  /** Written with mode 0600, whole or not at all, once both ports answer. */
  readonly readyFile: string;
}

/** What the ready file holds. */
export interface GcpSimulatorReady {
  readonly pid: number;
  readonly endpoint: string;
  readonly control: ControlAddress;
  readonly admin: KeyFile;
  readonly project: string;
}

const path = process.argv[2];
if (path === undefined) {
  console.error('usage: main.ts CONFIG.json');
  process.exit(2);
}
const { readyFile, ...options } = JSON.parse(readFileSync(path, 'utf8')) as GcpSimulatorConfig;
if (typeof readyFile !== 'string') {
  console.error(`${path}: readyFile is missing`);
  process.exit(2);
}
const { close, ...addresses } = await startGcpSimulator(options);
const ready: GcpSimulatorReady = { pid: process.pid, ...addresses };
writeFileSync(`${readyFile}.new`, `${JSON.stringify(ready, null, 2)}\n`, { mode: 0o600 });
renameSync(`${readyFile}.new`, readyFile);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => close().then(() => process.exit(0)));
