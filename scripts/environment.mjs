// The one list of what the practice world must not see. It is plain JavaScript because scripts/test.mjs and scripts/bootstrap.mjs run
// before TypeScript can; lab/environment.ts gives it to everything else.
import { mkdirSync } from 'node:fs';
import { devNull } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

/** A variable whose name starts with one of these could lead a client of ours to somebody's real account. */
export const droppedPrefixes = ['AWS_', 'VAULT_', 'BAO_', 'GOOGLE_', 'GH_', 'GITHUB_', 'TEMPORAL_', 'CLOUDSDK_', 'GCE_METADATA_'];

/** Single names that do the same: the profile file of the older AWS SDK for Python, and where Windows keeps profiles. */
export const droppedNames = ['BOTO_CONFIG', 'HOMEDRIVE', 'HOMEPATH'];

/** Names the folder that stands for a home, so that a child process in another working folder shares its parent's. */
export const homeVariable = 'TOURNIQUET_PRACTICE_HOME';

const loopback = ['127.0.0.1', 'localhost', '::1'];

export function isDropped(name) {
  // Windows has one variable under any case, and so has a careless shell.
  const upper = name.toUpperCase();
  return droppedNames.includes(upper) || droppedPrefixes.some((prefix) => upper.startsWith(prefix));
}

/** The variables that survive; nothing is added. For package clients, which need the home folder to find their registry. */
export function withoutCredentials(base = process.env) {
  return Object.fromEntries(Object.entries(base).filter(([name, value]) => value !== undefined && !isDropped(name)));
}

export function practiceEnvironment(base = process.env, options = {}) {
  const home = resolve(options.home ?? base[homeVariable] ?? join('.tourniquet', 'home'));
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const noProxy = [base.no_proxy, base.NO_PROXY, ...loopback].filter((part) => part !== undefined && part !== '').join(',');
  return {
    ...withoutCredentials(base),
    [homeVariable]: home,
    HOME: home,
    USERPROFILE: home,
    APPDATA: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    // The SDKs read these two before they look at the home folder, and a missing file is an error to some of them: the null device is none.
    AWS_CONFIG_FILE: devNull,
    AWS_SHARED_CREDENTIALS_FILE: devNull,
    // Without it an SDK that finds no key asks the link-local metadata address, and would get one on a cloud machine.
    AWS_EC2_METADATA_DISABLED: 'true',
    CLOUDSDK_CONFIG: join(home, '.config', 'gcloud'),
    // The practice world lives on loopback; a proxy that answered for it would see its secrets.
    NO_PROXY: noProxy,
    no_proxy: noProxy,
  };
}

export function enterPracticeEnvironment(options = {}) {
  const wanted = practiceEnvironment(process.env, options);
  for (const name of Object.keys(process.env)) if (!(name in wanted)) delete process.env[name];
  Object.assign(process.env, wanted);
}

/** PATH with the folder in front, once. */
export function withPathFirst(environment, folder) {
  const name = Object.keys(environment).find((key) => key.toUpperCase() === 'PATH') ?? 'PATH';
  const rest = (environment[name] ?? '').split(delimiter).filter((part) => part !== '' && part !== folder);
  return { ...environment, [name]: [folder, ...rest].join(delimiter) };
}
