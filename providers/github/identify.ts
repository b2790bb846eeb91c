import { readGithubToken } from '../../domain/github-token.ts';
import type { Identified } from '../../domain/manifest.ts';

/** Says offline whether a text is a token of GitHub's; undefined for anything else. A token names no account. */
export function identify(text: string): Identified | undefined {
  const token = readGithubToken(text);
  return token === undefined ? undefined : { credential: { kind: token.kind, locator: { sha256: token.sha256 } }, provider: 'github' };
}
