import { GithubTokenForm } from '../../domain/github-token.ts';
import { isDead, isInstallation, orgFor, tokenOf } from './access.ts';
import { type Answer, actorOf, type Call, iso, nothing, ok, page, type Route } from './call.ts';
import { badCredentials, notFound, Refusal, unprocessable } from './refusal.ts';
import { type App, type Installation, latest, type Token } from './state.ts';
import { hashOfToken } from './tokens.ts';

const revocable: readonly GithubTokenForm[] = [
  GithubTokenForm.CLASSIC,
  GithubTokenForm.FINE_GRAINED,
  GithubTokenForm.OAUTH,
  GithubTokenForm.APP_USER,
  GithubTokenForm.REFRESH,
];

/** What is sent to be revoked: one to a thousand texts (GitHub REST reference, "Revocation"). */
function credentialsIn(call: Call): string[] {
  const list = call.body.credentials;
  if (!Array.isArray(list) || list.length === 0) throw unprocessable('credentials is missing');
  if (list.length > 1000) throw unprocessable('more than 1000 credentials');
  if (!list.every((each): each is string => typeof each === 'string' && each !== '')) throw unprocessable('a credential is no text');
  return list;
}

const patRow = (token: Token) => ({
  id: token.tokenId,
  owner: { login: token.login },
  repository_selection: 'all',
  permissions: { repository: token.permissions },
  access_granted_at: iso(token.createdAt),
  token_id: token.tokenId,
  token_name: token.name ?? '',
  token_expired: token.expiresAt !== undefined && token.expiresAt <= token.createdAt,
  token_expires_at: token.expiresAt === undefined ? null : iso(token.expiresAt),
  token_last_used_at: token.lastUsedAt === undefined ? null : iso(token.lastUsedAt),
});

/** Only Apps may ask of the fine-grained tokens of an organization. */
function patOrg(call: Call, level: 'read' | 'write') {
  if (!isInstallation(call.caller)) throw new Refusal(403, 'Resource not accessible by personal access token');
  return orgFor(call.world, call.caller, call.path.org ?? '', {
    permission: 'organization_personal_access_tokens',
    level,
    scope: 'admin:org',
  });
}

/** Takes away a token's access to the organization, and nothing else: it lives on, as do the keys that were made with it. */
function unlink(call: Call, org: string, id: number): void {
  const token = call.world.state.tokenById(id);
  if (token === undefined || !token.orgs.delete(org)) throw notFound();
  call.world.audit([org], 'personal_access_token.access_revoked', actorOf(call), {
    user: token.login,
    user_programmatic_access_name: token.name ?? '',
  });
  call.changed = true;
}

const appOf = (call: Call): App => {
  if (call.caller.kind !== 'app') throw new Refusal(401, 'A JSON web token could not be decoded');
  return call.caller.app;
};

const clientOf = (call: Call): App => {
  if (call.caller.kind !== 'client') throw new Refusal(401, 'Requires authentication');
  if (call.caller.app.clientId !== call.path.client_id) throw notFound();
  return call.caller.app;
};

/** The token of the App that a call is about; one that is not the App's is not there. */
function clientToken(call: Call): Token {
  const app = clientOf(call);
  const text = call.body.access_token;
  if (typeof text !== 'string') throw unprocessable('access_token is missing');
  const token = call.world.state.tokens.get(hashOfToken(text));
  if (token === undefined || token.clientId !== app.clientId || isDead(call.world, token)) throw notFound();
  return token;
}

const installationOf = (call: Call): Installation => {
  const app = appOf(call);
  const found = call.world.state.installations.get(Number(call.path.installation_id));
  if (found === undefined || found.appId !== app.id) throw notFound();
  return found;
};

const installationRow = (row: Installation) => {
  const suspended = latest(row.suspended);
  const since = row.suspended[row.suspended.length - 1];
  return {
    id: row.id,
    app_id: row.appId,
    account: { login: row.account },
    permissions: row.permissions,
    created_at: iso(row.createdAt),
    suspended_at: suspended && since ? iso(since.at) : null,
    suspended_by: suspended ? { login: suspended.by, type: suspended.byType } : null,
  };
};

export const credentialRoutes: readonly Route[] = [
  {
    name: 'POST /credentials/revoke',
    permission: 'unauthenticated',
    run: (call): Answer => {
      if (call.signed) throw new Refusal(403, 'This endpoint may only be called without authentication');
      for (const text of credentialsIn(call)) {
        const token = call.world.state.tokens.get(hashOfToken(text));
        if (token === undefined || !revocable.includes(token.form)) continue;
        const classic = token.form === GithubTokenForm.CLASSIC || token.form === GithubTokenForm.FINE_GRAINED;
        if (call.world.revoke(token, {}, { action: classic ? 'oauth_access.revoke' : 'oauth_authorization.destroy', mail: true }))
          call.changed = true;
      }
      return ok({}, 202);
    },
  },
  {
    name: 'GET /user',
    permission: 'any token of a user',
    run: (call) => {
      const token = tokenOf(call.caller);
      if (token.login === undefined) throw new Refusal(403, 'Resource not accessible by integration');
      const user = call.world.state.users.get(token.login.toLowerCase());
      return ok({ login: token.login, id: user?.id ?? 0, type: 'User' });
    },
  },
  {
    name: 'GET /rate_limit',
    permission: 'none',
    run: () => ok({ resources: { core: { limit: 5000, used: 0, remaining: 5000 } } }),
  },
  {
    name: 'GET /orgs/{org}',
    permission: 'metadata:read',
    run: (call) => {
      const org = call.world.state.orgs.get((call.path.org ?? '').toLowerCase());
      if (org === undefined) throw notFound();
      return ok({ login: org.login, id: org.id });
    },
  },
  {
    name: 'GET /orgs/{org}/members/{username}',
    permission: 'members:read',
    run: (call) => {
      const org = orgFor(call.world, call.caller, call.path.org ?? '', { permission: 'members', level: 'read', scope: 'read:org' });
      if (![...org.members.keys()].some((login) => login.toLowerCase() === (call.path.username ?? '').toLowerCase())) throw notFound();
      return nothing;
    },
  },
  {
    name: 'GET /orgs/{org}/personal-access-tokens',
    permission: 'organization_personal_access_tokens:read',
    run: (call) => {
      const org = patOrg(call, 'read');
      const rows = [...call.world.state.tokens.values()].filter(
        (token) => token.form === GithubTokenForm.FINE_GRAINED && token.orgs.has(org.login) && !latest(token.revoked),
      );
      return page(
        call,
        rows.map((token) => ({
          ...patRow(token),
          token_expired: token.expiresAt !== undefined && token.expiresAt <= call.world.clock.now(),
        })),
      );
    },
  },
  {
    name: 'POST /orgs/{org}/personal-access-tokens/{pat_id}',
    permission: 'organization_personal_access_tokens:write',
    run: (call) => {
      const org = patOrg(call, 'write');
      if (call.body.action !== 'revoke') throw unprocessable('action must be revoke');
      unlink(call, org.login, Number(call.path.pat_id));
      return nothing;
    },
  },
  {
    name: 'POST /orgs/{org}/personal-access-tokens',
    permission: 'organization_personal_access_tokens:write',
    run: (call) => {
      const org = patOrg(call, 'write');
      const ids = call.body.pat_ids;
      if (call.body.action !== 'revoke' || !Array.isArray(ids) || ids.length === 0) throw unprocessable('action and pat_ids are needed');
      for (const id of ids) unlink(call, org.login, Number(id));
      return ok({}, 202);
    },
  },
  {
    name: 'GET /app',
    permission: 'App JWT',
    run: (call) => {
      const app = appOf(call);
      return ok({ id: app.id, slug: app.slug, client_id: app.clientId, owner: { login: app.owner } });
    },
  },
  {
    name: 'GET /app/installations',
    permission: 'App JWT',
    run: (call) => {
      const app = appOf(call);
      return page(call, [...call.world.state.installations.values()].filter((each) => each.appId === app.id).map(installationRow));
    },
  },
  { name: 'GET /app/installations/{installation_id}', permission: 'App JWT', run: (call) => ok(installationRow(installationOf(call))) },
  {
    name: 'POST /app/installations/{installation_id}/access_tokens',
    permission: 'App JWT',
    run: (call) => {
      const found = installationOf(call);
      if (latest(found.suspended)) throw new Refusal(403, 'This installation has been suspended');
      const token = call.world.mint({
        form: GithubTokenForm.INSTALLATION,
        appId: found.appId,
        installationId: found.id,
        permissions: found.permissions,
        lifeMs: 3_600_000,
        stateless: call.body.stateless === true,
      });
      call.changed = true;
      return ok({ token: token.text, expires_at: iso(token.expiresAt ?? 0), permissions: found.permissions }, 201);
    },
  },
  {
    name: 'PUT /app/installations/{installation_id}/suspended',
    permission: 'App JWT',
    run: (call) => {
      const found = installationOf(call);
      if (!latest(found.suspended)) {
        found.suspended.push({ at: call.world.clock.now(), value: { by: `${appOf(call).slug}[bot]`, byType: 'Bot' } });
        call.world.audit([found.account], 'integration_installation.suspend', {}, { integration: appOf(call).slug });
        call.changed = true;
      }
      return nothing;
    },
  },
  {
    name: 'DELETE /app/installations/{installation_id}/suspended',
    permission: 'App JWT',
    run: (call) => {
      const found = installationOf(call);
      if (latest(found.suspended)) {
        found.suspended.push({ at: call.world.clock.now(), value: undefined });
        call.world.audit([found.account], 'integration_installation.unsuspend', {}, { integration: appOf(call).slug });
        call.changed = true;
      }
      return nothing;
    },
  },
  {
    name: 'DELETE /installation/token',
    permission: 'the installation token itself',
    run: (call) => {
      const token = tokenOf(call.caller);
      if (token.form !== GithubTokenForm.INSTALLATION) throw badCredentials();
      if (call.world.revoke(token, actorOf(call), { action: 'integration_installation.token_revoke' })) call.changed = true;
      return nothing;
    },
  },
  {
    name: 'POST /applications/{client_id}/token',
    permission: 'client id and secret',
    run: (call) => {
      const token = clientToken(call);
      return ok({
        id: token.tokenId,
        user: { login: token.login },
        scopes: token.scopes,
        created_at: iso(token.createdAt),
        expires_at: token.expiresAt === undefined ? null : iso(token.expiresAt),
      });
    },
  },
  {
    name: 'DELETE /applications/{client_id}/token',
    permission: 'client id and secret',
    run: (call) => {
      if (call.world.revoke(clientToken(call), {}, { action: 'oauth_access.destroy' })) call.changed = true;
      return nothing;
    },
  },
  {
    name: 'DELETE /applications/{client_id}/grant',
    permission: 'client id and secret',
    run: (call) => {
      const { login, clientId } = clientToken(call);
      for (const token of call.world.state.tokens.values()) {
        if (token.login === login && token.clientId === clientId && call.world.revoke(token, {}, { action: 'oauth_authorization.destroy' }))
          call.changed = true;
      }
      return nothing;
    },
  },
  {
    name: 'GET /orgs/{org}/audit-log',
    permission: 'organization_administration:read',
    run: (call) => auditLog(call),
  },
];

const qualifiers: Readonly<Record<string, (value: string) => (fields: Readonly<Record<string, unknown>>) => boolean>> = {
  hashed_token: (value) => (fields) => fields.hashed_token === value,
  action: (value) => (fields) => {
    const name = String(fields.action);
    return name === value || name.startsWith(`${value}.`);
  },
  actor: (value) => (fields) => String(fields.actor ?? '').toLowerCase() === value.toLowerCase(),
  user: (value) => (fields) => String(fields.user ?? '').toLowerCase() === value.toLowerCase(),
  repo: (value) => (fields) => String(fields.repo ?? '').toLowerCase() === value.toLowerCase(),
  created: (value) => {
    const [, sign = '', text = ''] = /^(>=|<=|>|<)?(.+)$/.exec(value) ?? [];
    const at = Date.parse(text);
    if (Number.isNaN(at)) throw unprocessable('created is no date');
    // A day without a time is the whole of it.
    const end = text.length === 10 ? at + 86_400_000 - 1 : at;
    return (fields) => {
      const when = Number(fields['@timestamp']);
      if (sign === '>=') return when >= at;
      if (sign === '>') return when > end;
      if (sign === '<=') return when <= end;
      return sign === '<' ? when < at : when >= at && when <= end;
    };
  },
};

/** Every part of the phrase has to hold. A value with anything but letters and digits in it needs quotation marks, as GitHub says of `hashed_token`. */
function phraseOf(text: string): (fields: Readonly<Record<string, unknown>>) => boolean {
  const tests: ((fields: Readonly<Record<string, unknown>>) => boolean)[] = [];
  for (const [whole, name = '', quoted, plain = ''] of text.matchAll(/(\w+):(?:"([^"]*)"|(\S+))|\S+/g)) {
    const make = qualifiers[name];
    if (make === undefined) throw unprocessable(`the phrase is not understood at ${whole.slice(0, 12)}`);
    if (name === 'hashed_token' && quoted === undefined) tests.push(() => false);
    else tests.push(make(quoted ?? plain));
  }
  return (fields) => tests.every((test) => test(fields));
}

function auditLog(call: Call): Answer {
  const org = orgFor(call.world, call.caller, call.path.org ?? '', {
    permission: 'organization_administration',
    level: 'read',
    scope: 'read:audit_log',
  });
  // Organizations of a plan without it are told that there is nothing.
  if (!org.auditApi) throw notFound();
  const holds = phraseOf(call.query.get('phrase') ?? '');
  const now = call.world.clock.now();
  const reach = now - 180 * 86_400_000;
  const rows = call.world.state.audit.filter(
    (event) => event.org === org.login && event.shownAt <= now && event.at >= reach && holds(event.fields),
  );
  if (call.query.get('order') !== 'asc') rows.reverse();
  const size = Math.min(Math.max(Number(call.query.get('per_page') ?? 30), 1), 100);
  const after = call.query.get('after');
  const from = after === null ? 0 : rows.findIndex((event) => event.id === after) + 1;
  if (after !== null && from === 0) throw unprocessable('after is no cursor');
  const list = rows.slice(from, from + size);
  const last = list[list.length - 1];
  const next = last !== undefined && from + size < rows.length;
  return {
    status: 200,
    body: list.map((event) => ({ ...event.fields, _document_id: event.id })),
    headers: next ? { link: `<http://127.0.0.1/?after=${last.id}>; rel="next"` } : {},
  };
}
