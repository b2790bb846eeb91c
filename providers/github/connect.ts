import { z } from 'zod';
import { codeOf, fault } from '../../domain/errors.ts';
import { githubTokenHash } from '../../domain/github-token.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import { Secret } from '../../domain/secret.ts';
import type { OwnThing } from '../../domain/self.ts';
import type { AccountConfig, Action, Connection } from '../contract.ts';
import { GithubAccount } from './account.ts';
import { Api, type As, agentWord, type Calls, type Keys, own } from './api.ts';
import { deleteDeployKey } from './delete-deploy-key.ts';
import { distributeSecret } from './distribute-secret.ts';
import { look } from './look.ts';
import { manifest } from './manifest.ts';
import { revokeToken } from './revoke-token.ts';
import { stageSecret } from './stage-secret.ts';
import { suspendInstallation, unsuspendInstallation } from './suspension.ts';
import { watchReaders } from './watch-readers.ts';

/** What an account's `settings` may say to this provider. Further keys are other readers' (`timing`). */
const settingsSchema = z.object({
  /** Where the API answers instead of at GitHub. */
  endpoint: z.url({ protocol: /^https?$/ }).default('https://api.github.com'),
  /** Repositories whose deploy keys are looked at; absent: all that we can see. */
  repositories: z.array(z.string().regex(/^[A-Za-z0-9-]+\/[A-Za-z0-9._-]+$/)).exactOptional(),
  /** How many repositories are looked at; a call each, before anybody is asked. */
  mostRepositories: z.number().int().positive().default(300),
  /** Whether a leaked token may be tried at GitHub: one call, which becomes its last use. */
  activeProbe: z.boolean().default(true),
  requestTimeoutMs: z.number().int().positive().default(10_000),
});

/**
 * Connects with one organization. The credentials are `token`, or `appId`, `privateKey` and `installationId` of an App of ours; besides, `app.<number>` with the private key of every App whose
 * installation may be suspended, and `clientId` with `clientSecret` of an OAuth client. Sends nothing. Throws `provider.invalid` where settings or credentials are not what they must be.
 */
export async function connect(config: AccountConfig): Promise<Connection> {
  const read = settingsSchema.safeParse(config.settings);
  if (!read.success) {
    const issue = read.error.issues[0];
    throw fault('provider.invalid', { account: config.account, setting: issue?.path.join('.') ?? '', because: issue?.message ?? '' });
  }
  if (!/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})$/.test(config.account))
    throw fault('provider.invalid', { account: config.account, because: 'an account is the name of an organization' });
  const { endpoint, requestTimeoutMs, ...settings } = read.data;
  const api = new Api({ endpoint: endpoint.replace(/\/$/, ''), requestTimeoutMs }, keysOf(config));
  const account = new GithubAccount(config.account, api, settings);
  const actions = [
    revokeToken,
    suspendInstallation,
    unsuspendInstallation,
    deleteDeployKey,
    stageSecret,
    distributeSecret,
    watchReaders,
  ].map((make) => make(account) as Action);
  return {
    provider: manifest.name,
    account: config.account,
    check: () => check(account),
    self: async () => selfOf(account),
    look: (on) => look(account, on),
    actions: Object.fromEntries(actions.map((action) => [action.manifest.name, action])),
    close: async () => undefined,
  };
}

function keysOf({ account, credentials }: AccountConfig): Keys {
  const { token, appId, privateKey, installationId, clientId, clientSecret } = credentials;
  if (token === undefined && (appId === undefined || privateKey === undefined || installationId === undefined))
    throw fault('provider.invalid', { account, because: 'its credentials hold neither a token nor appId, privateKey and installationId' });
  const apps = Object.entries(credentials).flatMap(([name, secret]) => {
    const number = /^app\.([1-9][0-9]*)$/.exec(name)?.[1];
    return number === undefined ? [] : [[number, secret] as const];
  });
  return {
    apps: Object.fromEntries(apps),
    // A file that holds it may end in a line's end, which no header may.
    ...(token === undefined ? {} : { token: new Secret(token.reveal().trim()) }),
    ...(appId === undefined || privateKey === undefined || installationId === undefined
      ? {}
      : { responder: { appId: appId.reveal(), privateKey, installationId: installationId.reveal() } }),
    ...(clientId === undefined || clientSecret === undefined ? {} : { client: { id: clientId.reveal(), secret: clientSecret } }),
  };
}

/** Our own token and installation, by every name that a target or a report could have them under. */
function selfOf(account: GithubAccount): readonly OwnThing[] {
  const { responder, token } = account.api.keys;
  return [
    ...(token === undefined ? [] : [{ id: githubTokenHash(token.reveal()), what: 'the engine’s own token, by its SHA-256' }]),
    ...(responder === undefined
      ? []
      : [
          { id: responder.installationId, what: 'the installation the engine acts as' },
          { id: `installation/${responder.installationId}`, what: 'that installation, as a principal' },
        ]),
  ];
}

type Checked = { readonly what: string; readonly observation: Observation; readonly remedy?: string };

/** Reachable, which organization, whether clocks agree, and whether the reads that all else stands on are allowed. */
async function check(account: GithubAccount): Promise<readonly Checked[]> {
  const calls = account.api.calls(agentWord('check'), AbortSignal.timeout(30_000));
  const here = () => new Date().toISOString();
  const org = { org: account.login };
  try {
    await calls.read('GET /orgs/{org}', org);
  } catch (error) {
    const observation = no(
      here(),
      'administrator',
      error instanceof Error && codeOf(error) !== 'engine.unexpected' ? error.message : 'no answer',
    );
    return [
      { what: 'reachable', observation, remedy: 'Check the endpoint, the name of the organization and the credentials of the account.' },
    ];
  }
  const skew = Math.abs(calls.now - Date.now());
  const checked: Checked[] = [
    { what: 'reachable', observation: yes(here(), 'administrator', `it answers for ${account.login}; request ${calls.lastRequest}`) },
    skew <= 30_000
      ? { what: 'clock', observation: yes(here(), 'administrator', `the clocks differ by less than ${Math.ceil(skew / 1000) + 1} s`) }
      : {
          what: 'clock',
          observation: no(here(), 'administrator', `the clocks differ by ${Math.round(skew / 1000)} s`),
          remedy: 'Set the clock of this machine: GitHub refuses an App whose signature begins in time to come.',
        },
  ];
  checked.push(
    await allowed(calls, 'audit log (organization_administration:read)', 'GET /orgs/{org}/audit-log', { ...org, per_page: 1 }),
    await allowed(calls, 'fine-grained tokens (organization_personal_access_tokens:read)', 'GET /orgs/{org}/personal-access-tokens', {
      ...org,
      per_page: 1,
    }),
    await allowed(calls, 'repositories (metadata:read)', 'GET /orgs/{org}/repos', { ...org, per_page: 1 }),
  );
  for (const appId of Object.keys(account.api.keys.apps))
    checked.push(await allowed(calls, `App ${appId}`, 'GET /app', {}, { kind: 'app', appId }));
  return checked;
}

async function allowed(
  calls: Calls,
  what: string,
  route: string,
  params: Readonly<Record<string, unknown>>,
  as: As = own,
): Promise<Checked> {
  const at = new Date().toISOString();
  try {
    await calls.read(route, params, as);
    return { what, observation: yes(at, 'administrator', `it is allowed; request ${calls.lastRequest}`) };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'provider.denied' || code === 'provider.gone')
      return {
        what,
        observation: no(at, 'administrator', 'it is refused, or there is none'),
        remedy: `Give the App ${what}; without it what it would tell stays unknown.`,
      };
    return { what, observation: unknown(at, 'administrator', `it was not answered: ${code}`) };
  }
}
