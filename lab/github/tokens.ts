import { createHash, createSign, randomBytes } from 'node:crypto';
import { GithubTokenForm, githubChecksum } from '../../domain/github-token.ts';
import type { App } from './state.ts';

const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Random letters and digits. */
export function randomText(length: number): string {
  return Array.from(randomBytes(length), (byte) => letters[byte % 62]).join('');
}

export const hashOfToken = (text: string): string => createHash('sha256').update(text).digest('base64');

const prefixes = {
  [GithubTokenForm.CLASSIC]: 'ghp',
  [GithubTokenForm.OAUTH]: 'gho',
  [GithubTokenForm.APP_USER]: 'ghu',
  [GithubTokenForm.REFRESH]: 'ghr',
  [GithubTokenForm.INSTALLATION]: 'ghs',
} as const;

/** A token of a form, as GitHub would write it. An installation's is of the new form where an App is given to sign it. */
export function tokenText(form: GithubTokenForm, app?: App): string {
  if (form === GithubTokenForm.FINE_GRAINED) return `github_pat_${randomText(22)}_${randomText(59)}`;
  if (form === GithubTokenForm.INSTALLATION && app !== undefined) return `ghs_${app.id}_${jwt(app, { jti: randomText(16) })}`;
  const random = randomText(form === GithubTokenForm.REFRESH ? 70 : 30);
  return `${prefixes[form]}_${random}${githubChecksum(random)}`;
}

/** A JSON Web Token signed with the App's key (RS256). */
export function jwt(app: Pick<App, 'privateKey'>, claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createSign('RSA-SHA256').update(signed).sign(app.privateKey).toString('base64url')}`;
}
