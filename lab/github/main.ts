import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type GithubSimulatorOptions, startGithubSimulator } from './index.ts';

/** The configuration of the process: the options of `startGithubSimulator` that have a JSON form, and where to write that it is ready. */
export interface GithubSimulatorConfig extends Omit<GithubSimulatorOptions, 'onFault'> {
  /** Written with mode 0600, whole or not at all, once both ports answer. */
  readonly readyFile: string;
}

/** What the ready file holds. */
export interface GithubSimulatorReady {
  readonly pid: number;
  readonly endpoint: string;
  readonly control: { readonly url: string; readonly token: string };
}

const path = process.argv[2];
if (path === undefined) {
  console.error('usage: main.ts CONFIG.json');
  process.exit(2);
}
const { readyFile, ...options } = JSON.parse(readFileSync(path, 'utf8')) as GithubSimulatorConfig;
if (typeof readyFile !== 'string') {
  console.error(`${path}: readyFile is missing`);
  process.exit(2);
}
const { endpoint, control, close } = await startGithubSimulator(options);
const ready: GithubSimulatorReady = { pid: process.pid, endpoint, control };
writeFileSync(`${readyFile}.new`, `${JSON.stringify(ready, null, 2)}\n`, { mode: 0o600 });
renameSync(`${readyFile}.new`, readyFile);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => close().then(() => process.exit(0)));
