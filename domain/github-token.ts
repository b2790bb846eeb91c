import { sha256 } from '@noble/hashes/sha2.js';

/**
 * What a GitHub token is by its prefix: `ghp_` classic personal, `github_pat_` fine-grained personal, `gho_` of an OAuth app, `ghu_` and `ghr_` of a GitHub App for a user (the latter
 * refreshes the former), `ghs_` of an App's installation.
 * Source: GitHub Docs, "GitHub credential types"; the prefixes are published so that scanners can tell them.
 */
export const GithubTokenForm = {
  CLASSIC: 'classic',
  FINE_GRAINED: 'fine-grained',
  OAUTH: 'oauth',
  APP_USER: 'app-user',
  REFRESH: 'refresh',
  INSTALLATION: 'installation',
} as const;
export type GithubTokenForm = (typeof GithubTokenForm)[keyof typeof GithubTokenForm];

/** A token as far as its text says. Nothing in it is secret. */
export interface GithubToken {
  readonly form: GithubTokenForm;
  readonly kind: 'github.token' | 'github.installation-token';
  /** Base64 of its SHA-256: what the audit log calls `hashed_token`. */
  readonly sha256: string;
  /** The App, where an installation token names it. */
  readonly appId?: string;
}

const forms: Readonly<Record<string, GithubTokenForm>> = {
  ghp: GithubTokenForm.CLASSIC,
  gho: GithubTokenForm.OAUTH,
  ghu: GithubTokenForm.APP_USER,
  ghr: GithubTokenForm.REFRESH,
  ghs: GithubTokenForm.INSTALLATION,
};

const short = /^(gh[pousr])_([A-Za-z0-9]{36,255})$/;
const fineGrained = /^github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}$/;
/** Since April 2026 an installation's token may be of this form, which names the App and is not forty characters long. */
const stateless = /^ghs_([1-9][0-9]{0,15})_eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/**
 * Says offline what a text is that is one GitHub token and nothing else; undefined for anything else. A classic token's last six characters have to be the checksum of the thirty before
 * them: GitHub issues none whose are not. The other forms are told by prefix and length, since their checksums are not documented.
 */
export function readGithubToken(text: string): GithubToken | undefined {
  const token = text.trim();
  const [, prefix = '', body = ''] = short.exec(token) ?? [];
  const form = forms[prefix];
  if (form !== undefined) {
    if (form === GithubTokenForm.CLASSIC && (body.length !== 36 || githubChecksum(body.slice(0, 30)) !== body.slice(30))) return undefined;
    return told(form, token);
  }
  if (fineGrained.test(token)) return told(GithubTokenForm.FINE_GRAINED, token);
  const appId = stateless.exec(token)?.[1];
  return appId === undefined ? undefined : { ...told(GithubTokenForm.INSTALLATION, token), appId };
}

function told(form: GithubTokenForm, token: string): GithubToken {
  return {
    form,
    kind: form === GithubTokenForm.INSTALLATION ? 'github.installation-token' : 'github.token',
    sha256: githubTokenHash(token),
  };
}

/** SECRET goes in, and what comes out is not: base64 of the SHA-256 of a token, which has more than a hundred random bits and so cannot be guessed from it. */
export function githubTokenHash(token: string): string {
  return base64(sha256(new TextEncoder().encode(token)));
}

const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/**
 * The six characters that end a token whose random part is given: its CRC-32 in base 62, with zeros in front.
 * Source: GitHub's blog, "Behind GitHub's new authentication token formats".
 */
export function githubChecksum(random: string): string {
  let crc = 0xffffffff;
  for (const byte of new TextEncoder().encode(random)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let rest = (crc ^ 0xffffffff) >>> 0;
  let digits = '';
  for (; rest > 0; rest = Math.floor(rest / 62)) digits = (letters[rest % 62] ?? '') + digits;
  return digits.padStart(6, '0');
}

const base64Letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Base64 without Buffer or btoa, neither of which a workflow's sandbox is sure to have. */
function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b, c] = bytes.subarray(at, at + 3);
    const group = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    for (let place = 0; place < 4; place++) {
      const padding = (place === 2 && b === undefined) || (place === 3 && c === undefined);
      text += padding ? '=' : base64Letters[(group >> (18 - 6 * place)) & 63];
    }
  }
  return text;
}
