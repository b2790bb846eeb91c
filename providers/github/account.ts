import type { CredentialRef } from '../../domain/credential.ts';
import { codeOf, fault, isFault } from '../../domain/errors.ts';
import { type GithubToken, githubTokenHash, readGithubToken } from '../../domain/github-token.ts';
import { yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import { Secret } from '../../domain/secret.ts';
import type { Probed, StepContext } from '../contract.ts';
import { type Api, agentWord, type Calls } from './api.ts';

/** What an account's settings say to this provider. */
export interface Settings {
  /** Repositories whose deploy keys are looked at, `owner/name`; absent: all of the organization that can be seen. */
  readonly repositories?: readonly string[];
  readonly mostRepositories: number;
  /** Whether a leaked token may be tried at GitHub once. */
  readonly activeProbe: boolean;
}

/** When a step's change was accepted, by this process's clock. It only ever shortens a wait, or keeps a step from calling its own change somebody else's. */
class Settling {
  readonly #accepted = new Map<string, number>();
  accepted(context: StepContext): void {
    if (this.#accepted.size > 10_000) this.#accepted.clear();
    this.#accepted.set(markOf(context), performance.now());
  }
  has(context: StepContext): boolean {
    return this.#accepted.has(markOf(context));
  }
  since(context: StepContext): number {
    const at = this.#accepted.get(markOf(context));
    return at === undefined ? 0 : performance.now() - at;
  }
}
const markOf = ({ incident, run, step }: StepContext): string => JSON.stringify([incident, run, step]);

/** What the actions and looks of one connection share. `login` is the organization. */
export class GithubAccount {
  readonly login: string;
  readonly api: Api;
  readonly settings: Settings;
  readonly settling = new Settling();
  constructor(login: string, api: Api, settings: Settings) {
    this.login = login;
    this.api = api;
    this.settings = settings;
  }

  /** The calls of one step, named after incident, run and step in the user agent and so in the audit log. */
  step(context: StepContext): Calls {
    return this.api.calls(agentWord(context.incident, context.run, context.step), context.signal);
  }

  /** The members of a target. Refuses another account. */
  targetOf<Name extends string>(target: Target, ...names: readonly Name[]): Record<Name, string> {
    const members: Record<string, string> = {};
    for (const name of names) {
      const value = target[name];
      if (!value) throw fault('provider.invalid', { target: JSON.stringify(target), missing: name });
      members[name] = value;
    }
    if (target.account !== this.login) throw fault('provider.invalid', { target: JSON.stringify(target), account: this.login });
    return members as Record<Name, string>;
  }

  /** `owner/name` in two, of this organization or, for a member's own repository, of anybody's. */
  repositoryOf(repository: string): { readonly owner: string; readonly repo: string } {
    const [, owner, repo] = /^([A-Za-z0-9-]+)\/([A-Za-z0-9._-]+)$/.exec(repository) ?? [];
    if (owner === undefined || repo === undefined || repo === '.' || repo === '..')
      throw fault('provider.invalid', { repository, because: 'a repository is owner/name' });
    return { owner, repo };
  }

  /** Refuses the token that we act with ourselves. */
  refuseOwn(sha256: string): void {
    const { standing } = this.api;
    if (standing !== undefined && githubTokenHash(standing.reveal()) === sha256) throw fault('warrant.own-credential', { token: sha256 });
  }

  /**
   * The answer of a probe to a change that has been read back: what was read has to have stood for the propagation time, and to stand still then.
   */
  async settled(
    context: StepContext,
    calls: Calls,
    read: () => Promise<{ readonly so: boolean; readonly words: string }>,
  ): Promise<Probed> {
    const not = (words: string): Probed => ({
      observation: { state: 'no', at: calls.at, source: 'administrator', evidence: words },
      requestIds: [...calls.requestIds],
    });
    const first = await read();
    if (!first.so) return not(first.words);
    const rest = context.timing.propagationMs - this.settling.since(context);
    if (rest > 0) await context.sleep(rest);
    const second = rest > 0 ? await read() : first;
    if (!second.so) return not(second.words);
    const words = `${second.words}, as it has been for ${context.timing.propagationMs} ms; request ${calls.lastRequest}`;
    return { observation: yes(calls.at, 'administrator', words), effectiveAt: calls.atMost, requestIds: [...calls.requestIds] };
  }
}

/** The leaked token that the step's params name, opened in memory; undefined where they name none. It has to be the one that the target names. */
export async function leakedToken(
  context: StepContext,
  sha256: string,
): Promise<{ readonly secret: Secret; readonly token: GithubToken } | undefined> {
  const sealed = context.params.sealed as { hash?: unknown; keyId?: unknown } | undefined;
  if (typeof sealed?.hash !== 'string' || typeof sealed.keyId !== 'string') return undefined;
  // It was sealed for a credential of one of two kinds, and a target does not say which.
  for (const kind of ['github.token', 'github.installation-token']) {
    const credential: CredentialRef = { kind, locator: { sha256 } };
    try {
      const secret = await context.sealing.open(sealed.hash as `sha256:${string}`, sealed.keyId, credential);
      const token = readGithubToken(secret.reveal());
      // Another token than the one that was planned for must not be revoked in its name.
      if (token === undefined || token.sha256 !== sha256 || token.kind !== kind)
        throw fault('provider.conflict', { token: sha256, because: 'what was sealed is another text than the token' });
      // Sent with a line's end behind it, GitHub says yes and revokes nothing.
      return { secret: new Secret(secret.reveal().trim()), token };
    } catch (error) {
      if (codeOf(error) !== 'record.unreadable' || kind === 'github.installation-token') throw error;
    }
  }
  return undefined;
}

/** What GitHub says to a token that is tried. */
export interface Tried {
  readonly answer: 'accepted' | 'refused' | 'unclear';
  readonly at: string;
  readonly words: string;
  readonly requestIds: readonly string[];
  readonly login?: string;
  readonly scopes?: readonly string[];
  readonly expiresAt?: string;
}

/**
 * Tries a token with one call that needs no permission. It is the token's last use from then on. A refresh token is no bearer token, and trying it where it is one would use it up, so
 * that it is not tried at all.
 */
export async function tryToken(account: GithubAccount, secret: Secret, token: GithubToken, signal: AbortSignal): Promise<Tried> {
  const here = new Date().toISOString();
  if (token.form === 'refresh')
    return { answer: 'unclear', at: here, words: 'a refresh token cannot be tried without using it up', requestIds: [] };
  const route = token.form === 'installation' ? 'GET /installation/repositories' : 'GET /user';
  const calls = account.api.calls(agentWord('probe'), signal, 'once');
  try {
    const { data, headers } = await calls.read(route, token.form === 'installation' ? { per_page: 1 } : {}, {
      kind: 'token',
      token: secret,
    });
    const { login } = data as { login?: unknown };
    const scopes = headers['x-oauth-scopes'];
    const until = Date.parse(headers['github-authentication-token-expiration']?.replace(' UTC', 'Z') ?? '');
    return {
      answer: 'accepted',
      at: calls.at,
      words: `${route} answered${typeof login === 'string' ? ` ${login}` : ''}; request ${calls.lastRequest}`,
      requestIds: calls.requestIds,
      ...(typeof login === 'string' ? { login } : {}),
      ...(scopes === undefined ? {} : { scopes: scopes.split(/[,\s]+/).filter((scope) => scope !== '') }),
      ...(Number.isNaN(until) ? {} : { expiresAt: new Date(until).toISOString() }),
    };
  } catch (error) {
    signal.throwIfAborted();
    const status = isFault(error) ? error.context.status : undefined;
    return {
      // Only 401 says so of the token. 403 and 404 are said to one that is accepted and may not.
      answer: status === 401 ? 'refused' : 'unclear',
      at: calls.requestIds.length > 0 ? calls.at : here,
      words: `${route} said ${status ?? codeOf(error)}; request ${calls.lastRequest}`,
      requestIds: calls.requestIds,
    };
  }
}
