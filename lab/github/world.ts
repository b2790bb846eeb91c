import { createHash } from 'node:crypto';
import sodium from 'libsodium-wrappers';
import { GithubTokenForm } from '../../domain/github-token.ts';
import type { Clock } from '../aws/clock.ts';
import type { Faults } from '../aws/faults.ts';
import type { Ledger } from '../aws/ledger.ts';
import { type AuditEvent, latest, type MadeBy, type Shelf, type State, type Token } from './state.ts';
import { hashOfToken, tokenText } from './tokens.ts';

export interface Settings {
  /** Milliseconds for which a token or a suspension that was changed is still as it was. */
  propagationMs: number;
  /** Milliseconds until the audit log shows an event. */
  auditLagMs: number;
  /** Changes a minute of one caller before GitHub asks it to wait. */
  secondaryPerMinute: number;
  /** Whether the log of the owner's organizations shows that a token was revoked by hand of nobody. Not documented for every plan, and so it can be turned off. */
  revocationLogged: boolean;
}

/** The words by which the audit log calls each form. */
export const accessTypes: Readonly<Record<GithubTokenForm, string>> = {
  [GithubTokenForm.CLASSIC]: 'Personal access token (classic)',
  [GithubTokenForm.FINE_GRAINED]: 'Fine-grained personal access token',
  [GithubTokenForm.OAUTH]: 'OAuth access token',
  [GithubTokenForm.APP_USER]: 'GitHub App user-to-server token',
  [GithubTokenForm.REFRESH]: 'GitHub App user-to-server token',
  [GithubTokenForm.INSTALLATION]: 'GitHub App server-to-server token',
};

/** Forms whose end takes the deploy keys with it that were made with them (GitHub Docs, "Managing deploy keys"); a key that an App made outlives the App's tokens. */
const takesKeysAlong: readonly GithubTokenForm[] = [GithubTokenForm.CLASSIC, GithubTokenForm.FINE_GRAINED, GithubTokenForm.OAUTH];

/** Who did something, as far as the log names it. */
export interface Actor {
  readonly token?: Token;
  readonly login?: string;
  readonly ip?: string;
  readonly userAgent?: string;
  readonly requestId?: string;
}

/** What a token is minted with. */
export interface TokenOrder {
  readonly form: GithubTokenForm;
  readonly login?: string;
  readonly name?: string;
  readonly scopes?: readonly string[];
  readonly permissions?: Readonly<Record<string, string>>;
  /** Organizations a fine-grained token may reach. */
  readonly orgs?: readonly string[];
  readonly appId?: number;
  readonly clientId?: string;
  readonly installationId?: number;
  readonly lifeMs?: number;
  /** An installation's token of the form that names its App. */
  readonly stateless?: boolean;
}

/** The simulated GitHub, and the changes that more than one way leads to. */
export class World {
  readonly state: State;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly ledger: Ledger;
  readonly settings: Settings;
  constructor(parts: Pick<World, 'state' | 'clock' | 'faults' | 'ledger' | 'settings'>) {
    this.state = parts.state;
    this.clock = parts.clock;
    this.faults = parts.faults;
    this.ledger = parts.ledger;
    this.settings = parts.settings;
  }

  /** The moment as of which what propagates is judged. */
  get effective(): number {
    return this.clock.now() - this.settings.propagationMs;
  }

  mint(order: TokenOrder): Token {
    const now = this.clock.now();
    const app = order.stateless ? this.state.apps.get(order.appId ?? -1) : undefined;
    const text = tokenText(order.form, app);
    const token: Token = {
      text,
      sha256: hashOfToken(text),
      form: order.form,
      tokenId: this.state.id(),
      scopes: order.scopes ?? [],
      permissions: order.permissions ?? {},
      orgs: new Set(order.orgs ?? []),
      createdAt: now,
      revoked: [{ at: 0, value: false }],
      ...(order.login === undefined ? {} : { login: order.login }),
      ...(order.name === undefined ? {} : { name: order.name }),
      ...(order.appId === undefined ? {} : { appId: order.appId }),
      ...(order.clientId === undefined ? {} : { clientId: order.clientId }),
      ...(order.installationId === undefined ? {} : { installationId: order.installationId }),
      ...(order.lifeMs === undefined ? {} : { expiresAt: now + order.lifeMs }),
    };
    this.state.tokens.set(token.sha256, token);
    return token;
  }

  /** Ends a token, with the deploy keys that go with it. False where it had ended before. */
  revoke(token: Token, by: Actor, how: { readonly action: string; readonly mail?: boolean }): boolean {
    if (latest(token.revoked)) return false;
    const at = this.clock.now();
    token.revoked.push({ at, value: true });
    if (takesKeysAlong.includes(token.form)) {
      for (const repository of this.state.repositories.values()) {
        for (const key of [...repository.keys.values()]) {
          if (key.by.sha256 !== token.sha256) continue;
          repository.keys.delete(key.id);
          this.audit([repository.owner], 'public_key.delete', by, {
            repo: `${repository.owner}/${repository.name}`,
            fingerprint: fingerprintOf(key.key),
            title: key.title,
          });
        }
      }
    }
    if (this.settings.revocationLogged) {
      for (const org of this.orgsOf(token)) {
        this.audit([org], how.action, by, {
          ...(token.login === undefined ? {} : { user: token.login }),
          hashed_token: token.sha256,
          token_id: token.tokenId,
          programmatic_access_type: accessTypes[token.form],
        });
      }
    }
    const owner = token.login === undefined ? undefined : this.state.users.get(token.login.toLowerCase());
    if (how.mail && owner) this.state.mails.push({ to: owner.email, at, subject: 'A token of yours was revoked' });
    return true;
  }

  /** Organizations whose log speaks of a token: those its owner is in, or the one its App is installed on. */
  orgsOf(token: Token): string[] {
    if (token.installationId !== undefined) {
      const installation = this.state.installations.get(token.installationId);
      return installation ? [installation.account] : [];
    }
    return [...this.state.orgs.values()].filter((org) => token.login !== undefined && org.members.has(token.login)).map((org) => org.login);
  }

  /** Writes an event into the log of organizations; of accounts that are none there is no log to be read. */
  audit(accounts: readonly string[], action: string, by: Actor, fields: Readonly<Record<string, unknown>> = {}): void {
    const at = this.clock.now();
    const { token } = by;
    const actor = by.login ?? token?.login ?? this.#bot(token);
    for (const account of accounts) {
      const org = this.state.orgs.get(account.toLowerCase());
      if (org === undefined) continue;
      const event: AuditEvent = {
        id: `doc${this.state.id()}`,
        at,
        shownAt: at + this.settings.auditLagMs,
        org: org.login,
        fields: {
          '@timestamp': at,
          created_at: at,
          action,
          org: org.login,
          org_id: org.id,
          ...(actor === undefined ? {} : { actor, actor_id: this.state.users.get(actor.toLowerCase())?.id ?? 0 }),
          ...(by.ip === undefined ? {} : { actor_ip: by.ip }),
          ...(by.userAgent === undefined ? {} : { user_agent: by.userAgent }),
          ...(by.requestId === undefined ? {} : { request_id: by.requestId }),
          ...(token === undefined
            ? {}
            : {
                hashed_token: token.sha256,
                token_id: token.tokenId,
                programmatic_access_type: accessTypes[token.form],
                ...(token.scopes.length > 0 ? { token_scopes: token.scopes.join(',') } : {}),
              }),
          ...fields,
        },
      };
      this.state.audit.push(event);
    }
  }

  #bot(token: Token | undefined): string | undefined {
    const app = token?.appId === undefined ? undefined : this.state.apps.get(token.appId);
    return app === undefined ? undefined : `${app.slug}[bot]`;
  }
}

/** How a thing was made, for what is to become of it. */
export const madeBy = (token: Token | undefined): MadeBy => (token === undefined ? {} : { sha256: token.sha256, form: token.form });

/** `SHA256:…` of an OpenSSH public key. */
export function fingerprintOf(key: string): string {
  const body = key.split(' ')[1] ?? '';
  return `SHA256:${createHash('sha256').update(Buffer.from(body, 'base64')).digest('base64').replace(/=+$/, '')}`;
}

/** A new place for secrets, with a pair of its own. */
export function newShelf(): Shelf {
  const pair = sodium.crypto_box_keypair();
  return {
    keyId: BigInt(`0x${Buffer.from(pair.publicKey.slice(0, 7)).toString('hex')}`).toString(),
    publicKey: pair.publicKey,
    privateKey: pair.privateKey,
    secrets: new Map(),
  };
}
