import { Octokit } from '@octokit/rest';
import { type GithubSimulator, type GithubSimulatorOptions, startGithubSimulator } from '../../lab/github/index.ts';

export const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** The stock client, told nothing but where to talk to and as whom. */
export function octokit(sim: Pick<GithubSimulator, 'endpoint'>, token?: string): Octokit {
  return new Octokit({ baseUrl: sim.endpoint, log: silent, ...(token === undefined ? {} : { auth: token }) });
}

/** An organization with an owner, a member and two repositories. */
export async function start(options: GithubSimulatorOptions = {}) {
  const sim = await startGithubSimulator({
    propagationMs: 0,
    auditLagMs: 0,
    onFault: (error) => {
      throw error;
    },
    ...options,
  });
  const { hand } = sim;
  for (const login of ['olga', 'otto']) hand.addUser(login);
  hand.addOrg('acme', { members: { olga: 'admin', otto: 'member' } });
  hand.addRepository('acme', 'shop', { environments: ['production'] });
  hand.addRepository('acme', 'site', { public: true });
  return {
    sim,
    hand,
    owner: hand.mint({
      form: 'classic',
      login: 'olga',
      scopes: ['repo', 'admin:org', 'read:audit_log', 'admin:public_key', 'admin:repo_hook'],
    }),
  };
}

/** The status of a refusal. */
export async function statusOf(run: () => Promise<unknown>): Promise<number> {
  try {
    await run();
    return 200;
  } catch (error) {
    return (error as { status: number }).status;
  }
}

let made = 0;
/** A public key that nobody else has. */
export const publicKey = (): string => {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(++made);
  return `ssh-ed25519 ${Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), bytes]).toString('base64')}`;
};
