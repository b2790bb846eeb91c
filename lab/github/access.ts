import { createVerify, timingSafeEqual } from 'node:crypto';
import { GithubTokenForm } from '../../domain/github-token.ts';
import { badCredentials, notFound, Refusal } from './refusal.ts';
import { type App, asOf, type Installation, type Repository, type Token } from './state.ts';
import { hashOfToken } from './tokens.ts';
import type { World } from './world.ts';

/** Who calls. `app`: an App by its own signature. `client`: an OAuth or GitHub App by id and secret. */
export type Caller =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'token'; readonly token: Token }
  | { readonly kind: 'app'; readonly app: App }
  | { readonly kind: 'client'; readonly app: App };

/** Reads the authorization header. What is there and is not good is refused, also where none would be needed. */
export function authenticate(world: World, header: string | undefined): Caller {
  if (header === undefined) return { kind: 'nobody' };
  const [, scheme = '', rest = ''] = /^(\w+) (.+)$/.exec(header) ?? [];
  if (/^basic$/i.test(scheme)) {
    const [id = '', secret = ''] = Buffer.from(rest, 'base64').toString().split(':');
    const app = [...world.state.apps.values()].find((each) => each.clientId === id && same(each.clientSecret, secret));
    if (app === undefined) throw badCredentials();
    return { kind: 'client', app };
  }
  if (!/^(bearer|token)$/i.test(scheme)) throw badCredentials();
  const token = world.state.tokens.get(hashOfToken(rest));
  if (token !== undefined) {
    if (isDead(world, token) || token.form === GithubTokenForm.REFRESH) throw badCredentials();
    return { kind: 'token', token };
  }
  const app = appOf(world, rest);
  if (app === undefined) throw badCredentials();
  return { kind: 'app', app };
}

const same = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

export const isDead = (world: World, token: Token): boolean =>
  asOf(token.revoked, world.effective) || (token.expiresAt !== undefined && token.expiresAt <= world.clock.now());

/** The App that signed a JSON Web Token, which may live ten minutes at most and not begin in time to come (GitHub Docs, "Generating a JSON Web Token"). */
function appOf(world: World, text: string): App | undefined {
  const parts = text.split('.');
  if (parts.length !== 3) return undefined;
  const [head = '', body = '', signature = ''] = parts;
  let claims: { iss?: unknown; iat?: unknown; exp?: unknown };
  let header: { alg?: unknown };
  try {
    header = JSON.parse(Buffer.from(head, 'base64url').toString()) as typeof header;
    claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as typeof claims;
  } catch {
    return undefined;
  }
  const app = [...world.state.apps.values()].find((each) => String(each.id) === String(claims.iss) || each.clientId === claims.iss);
  const now = world.clock.now() / 1000;
  if (app === undefined || header.alg !== 'RS256' || typeof claims.iat !== 'number' || typeof claims.exp !== 'number') return undefined;
  if (claims.exp <= now || claims.exp > now + 601 || claims.iat > now + 1) return undefined;
  return createVerify('RSA-SHA256').update(`${head}.${body}`).verify(app.publicKey, Buffer.from(signature, 'base64url')) ? app : undefined;
}

const levels = ['none', 'read', 'write', 'admin'];
const reaches = (has: string | undefined, wants: string): boolean => levels.indexOf(has ?? 'none') >= levels.indexOf(wants);
const isApp = (token: Token): boolean => token.form === GithubTokenForm.INSTALLATION;
const isFine = (token: Token): boolean => isApp(token) || token.form === GithubTokenForm.FINE_GRAINED;

/** The token of a caller who has to have one. */
export function tokenOf(caller: Caller): Token {
  if (caller.kind === 'token') return caller.token;
  throw caller.kind === 'nobody' ? new Refusal(401, 'Requires authentication') : new Refusal(401, 'A JSON web token could not be decoded');
}

function installationOf(world: World, token: Token): Installation | undefined {
  return token.installationId === undefined ? undefined : world.state.installations.get(token.installationId);
}

/** Refuses whatever acts as an installation that is suspended. */
export function checkSuspension(world: World, caller: Caller): void {
  const installation = caller.kind === 'token' ? installationOf(world, caller.token) : undefined;
  if (installation && asOf(installation.suspended, world.effective)) throw new Refusal(403, 'This installation has been suspended');
}

/** Whether a caller can see a repository at all. */
export function sees(world: World, caller: Caller, repository: Repository): boolean {
  if (caller.kind !== 'token') return !repository.private;
  const { token } = caller;
  if (!repository.private) return true;
  if (isApp(token)) return installationOf(world, token)?.account.toLowerCase() === repository.owner.toLowerCase();
  if (token.form === GithubTokenForm.FINE_GRAINED)
    return [...token.orgs, token.login].some((each) => each?.toLowerCase() === repository.owner.toLowerCase());
  return token.scopes.includes('repo') && isInside(world, token, repository.owner) !== undefined;
}

/** What its owner is in an account: `admin` of their own. */
function isInside(world: World, token: Token, account: string): 'admin' | 'member' | undefined {
  const login = token.login ?? '';
  if (login.toLowerCase() === account.toLowerCase()) return 'admin';
  return world.state.orgs.get(account.toLowerCase())?.members.get(login);
}

/** What a route asks of a token: a permission of the fine-grained kind, and the scope of the classic kind that stands for it. */
export interface Need {
  readonly permission: string;
  readonly level: 'read' | 'write' | 'admin';
  readonly scope: string;
}

/** The repository of a call, if the caller may do there what the route needs. */
export function repositoryFor(world: World, caller: Caller, owner: string, name: string, need?: Need): Repository {
  const repository = world.state.repository(owner, name);
  if (repository === undefined || !sees(world, caller, repository)) throw notFound();
  if (need === undefined) return repository;
  const token = tokenOf(caller);
  if (isFine(token)) {
    const inside = !isApp(token) || installationOf(world, token)?.account.toLowerCase() === repository.owner.toLowerCase();
    if (!inside || !reaches(token.permissions[need.permission], need.level))
      throw new Refusal(403, `Resource not accessible by ${isApp(token) ? 'integration' : 'personal access token'}`);
    return repository;
  }
  // Whoever is not an administrator of the repository is told that there is nothing (GitHub Docs, "Troubleshooting the REST API").
  if (!token.scopes.includes(need.scope) || isInside(world, token, repository.owner) !== 'admin') throw notFound();
  return repository;
}

/** The organization of a call, if the caller may do there what the route needs. */
export function orgFor(world: World, caller: Caller, login: string, need: Need) {
  const org = world.state.orgs.get(login.toLowerCase());
  if (org === undefined) throw notFound();
  const token = tokenOf(caller);
  if (isFine(token)) {
    const inside = isApp(token)
      ? installationOf(world, token)?.account.toLowerCase() === org.login.toLowerCase()
      : [...token.orgs].some((each) => each.toLowerCase() === org.login.toLowerCase());
    if (!inside || !reaches(token.permissions[need.permission], need.level))
      throw new Refusal(403, `Resource not accessible by ${isApp(token) ? 'integration' : 'personal access token'}`);
    return org;
  }
  if (!token.scopes.includes(need.scope) || isInside(world, token, org.login) !== 'admin')
    throw new Refusal(403, 'You must be an organization owner and have the scope that this needs.');
  return org;
}

export const isInstallation = (caller: Caller): boolean => caller.kind === 'token' && isApp(caller.token);
