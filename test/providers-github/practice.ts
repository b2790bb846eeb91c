import type { CredentialRef } from '../../domain/credential.ts';
import { readGithubToken } from '../../domain/github-token.ts';
import { Secret } from '../../domain/secret.ts';
import { type GithubSimulatorOptions, routes, startGithubSimulator } from '../../lab/github/index.ts';
import type { Connection, Look, StepContext } from '../../providers/contract.ts';
import { provider } from '../../providers/github/index.ts';

/** What the App that the responder is may do: what docs and manifest name, and no more. */
export const responderPermissions = {
  administration: 'write',
  metadata: 'read',
  members: 'read',
  actions: 'read',
  secrets: 'write',
  environments: 'write',
  organization_administration: 'read',
  organization_personal_access_tokens: 'read',
} as const;

export const timing: StepContext['timing'] = { propagationMs: 60, logLagMs: 20, marginMs: 20, pollMs: 20, giveUpMs: 2_000 };

/** GitHub's word for what each call exercises. */
export const permissionOf: Readonly<Record<string, string>> = Object.fromEntries(routes.map((route) => [route.name, route.permission]));

/** An organization with an owner, a member, two repositories, and a responder that is an App's installation. */
export async function practice(options: GithubSimulatorOptions = {}) {
  const sim = await startGithubSimulator({ propagationMs: timing.propagationMs, auditLagMs: 0, secondaryPerMinute: 1_000, ...options });
  const { hand } = sim;
  for (const login of ['olga', 'otto', 'ci-bot']) hand.addUser(login);
  hand.addOrg('acme', { members: { olga: 'admin', otto: 'member', 'ci-bot': 'admin' } });
  hand.addRepository('acme', 'shop', { environments: ['production'] });
  hand.addRepository('acme', 'site', { public: true });
  const responder = hand.addApp('responder', 'acme');
  const installed = hand.install(responder.appId, 'acme', responderPermissions);
  const lend = (permissions: Readonly<Record<string, string>> = responderPermissions) =>
    hand.mint({ form: 'installation', appId: responder.appId, installationId: installed.installationId, permissions });
  const builder = hand.addApp('builder', 'acme');
  const { installationId } = hand.install(builder.appId, 'acme', { metadata: 'read', administration: 'write' });
  const own = lend();

  const connect = (
    more: { readonly settings?: Record<string, unknown>; readonly credentials?: Record<string, Secret>; readonly account?: string } = {},
  ): Promise<Connection> =>
    provider.connect({
      provider: 'github',
      account: more.account ?? 'acme',
      mode: 'act',
      settings: { endpoint: sim.endpoint, ...more.settings },
      credentials: more.credentials ?? { token: new Secret(own.token), [`app.${builder.appId}`]: new Secret(builder.privateKey) },
    });
  return {
    sim,
    hand,
    responder: { ...responder, ...installed },
    builder: { ...builder, installationId },
    own,
    lend,
    connect,
    close: () => sim.close(),
  };
}
export type Practice = Awaited<ReturnType<typeof practice>>;

/** The credential that a token is, as intake names it. */
export function credentialOf(token: string): CredentialRef {
  const read = readGithubToken(token);
  if (read === undefined) throw new Error('it is no token');
  return { kind: read.kind, locator: { sha256: read.sha256 } };
}

/** Asks for a look as the engine does. */
export function lookOf(token: string, more: Partial<Look> = {}): Look {
  return {
    credential: credentialOf(token),
    depth: 'full',
    known: [],
    ours: [],
    inventory: { consumers: [], stores: [] },
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    timing,
    ...more,
  };
}
