import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { roleArn, sessionArn, userArn } from './access.ts';
import { type FaultOrder, faultKinds } from './faults.ts';
import { policiesOf } from './iam-principals.ts';
import { readOrigin } from './origin.ts';
import { latest, longestPropagationMs, type Settings } from './state.ts';
import type { DelayOrder } from './trail.ts';
import type { World } from './world.ts';

class Unusable extends Error {}

function milliseconds(value: unknown, name: string, most: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0 || value > most)
    throw new Unusable(`${name} must be milliseconds between 0 and ${most}`);
  return value;
}

/** The whole account as JSON, without a secret in it: what two runs are compared by. */
export function worldOf(world: World): Record<string, unknown> {
  const { tables } = world.state;
  const date = (ms: number) => new Date(ms).toISOString();
  return {
    accountId: world.accountId,
    now: date(world.clock.now()),
    users: [...tables.users.values()]
      .filter((u) => u.deletedAt === undefined)
      .map((u) => ({
        id: u.id,
        name: u.name,
        arn: userArn(world.accountId, u),
        tags: u.tags,
        policies: policiesOf(u),
        loginProfile: u.loginProfile !== undefined,
        serviceCredentials: u.serviceCredentials.map(({ secret: _secret, ...rest }) => rest),
        signingCertificates: (u.signingCertificates ?? []).map(({ body: _body, ...rest }) => rest),
        mfaDevices: (u.mfaDevices ?? []).map(({ serial }) => serial),
        sshKeys: (u.sshKeys ?? []).map(({ body: _body, ...rest }) => rest),
        keys: world.state
          .keysOf(u)
          .map((k) => ({ id: k.id, status: latest(k.status), createdAt: date(k.createdAt), lastUsed: k.lastUsed ?? null })),
      })),
    groups: [...tables.groups.values()]
      .filter((g) => g.deletedAt === undefined)
      .map((g) => ({ id: g.id, name: g.name, policies: policiesOf(g) })),
    roles: [...tables.roles.values()]
      .filter((r) => r.deletedAt === undefined)
      .map((r) => ({
        id: r.id,
        name: r.name,
        arn: roleArn(world.accountId, r),
        tags: r.tags,
        trust: latest(r.trust)?.document,
        policies: policiesOf(r),
      })),
    sessions: [...tables.sessions.values()].map((s) => {
      const owner = s.kind === 'role' ? tables.roles.get(s.principalId) : tables.users.get(s.principalId);
      return {
        id: s.id,
        kind: s.kind,
        principalId: s.principalId,
        arn: owner === undefined ? null : sessionArn(world.accountId, s, owner),
        mintedBy: s.mintedBy,
        issuedAt: date(s.issuedAt),
        expiresAt: date(s.expiresAt),
        expired: s.expiresAt <= world.clock.now(),
        console: s.console === true,
      };
    }),
    managedPolicies: [...tables.managedPolicies.values()].map((p) => ({ arn: p.arn, document: p.document })),
    secrets: [...tables.secrets.values()].map((s) => ({
      arn: s.arn,
      name: s.name,
      region: s.region,
      tags: s.tags,
      deletesAt: s.deletesAt === undefined ? null : date(s.deletesAt),
      versions: Object.fromEntries(Object.values(s.versions).map((v) => [v.id, v.stages])),
    })),
    controlPolicies: [...tables.controlPolicies.values()].map((p) => ({ id: p.id, name: p.name, content: p.content })),
    attachedControlPolicies: (latest(world.state.account.attached) ?? []).map((a) => a.id),
  };
}

function save(world: World): void {
  world.settings.clockOffsetMs = world.clock.offsetMs;
  world.state.put('settings', world.settings);
  world.journal?.append({ rows: [['settings', 'settings', world.settings]] });
}

const clockOf = (world: World) => ({ now: world.clock.now(), wall: world.clock.wall(), offsetMs: world.clock.offsetMs });
const settingsOf = ({ authenticationPropagationMs, authorizationPropagationMs, logLagMs, scopedIssueTime }: Settings) => ({
  authenticationPropagationMs,
  authorizationPropagationMs,
  logLagMs,
  scopedIssueTime: scopedIssueTime ?? 'own',
});

function faultOrder(body: Record<string, unknown>): FaultOrder {
  const kind = faultKinds.find((k) => k === body.kind);
  if (kind === undefined) throw new Unusable(`kind must be one of ${faultKinds.join(', ')}`);
  const text = (name: string) => {
    const value = body[name];
    if (value !== undefined && typeof value !== 'string') throw new Unusable(`${name} must be a text`);
    return value === undefined ? {} : { [name]: value };
  };
  const number = (name: string) => {
    const value = body[name];
    if (value !== undefined && (typeof value !== 'number' || !Number.isInteger(value) || value < 0))
      throw new Unusable(`${name} must be a whole number`);
    return value === undefined ? {} : { [name]: value };
  };
  const { mentions } = body;
  if (mentions !== undefined && !(Array.isArray(mentions) && mentions.every((each) => typeof each === 'string')))
    throw new Unusable('mentions must be texts');
  return {
    kind,
    ...(mentions === undefined ? {} : { mentions: mentions as string[] }),
    ...text('rhythm'),
    ...text('service'),
    ...text('action'),
    ...text('accessKeyId'),
    ...number('count'),
    ...number('skip'),
    ...number('ms'),
    ...text('code'),
    ...number('status'),
  };
}

function delayOrder(body: Record<string, unknown>): DelayOrder {
  const text = (name: string) => (typeof body[name] === 'string' ? { [name]: body[name] } : {});
  const { count } = body;
  return {
    ms: milliseconds(body.ms, 'ms', 86_400_000),
    ...text('region'),
    ...text('action'),
    ...text('accessKeyId'),
    ...(typeof count === 'number' ? { count } : {}),
  };
}

/** Answers a control request; undefined means that there is no such thing to ask. */
function serve(world: World, method: string, url: URL, body: Record<string, unknown>): unknown {
  const path = url.pathname;
  switch (`${method} ${path}`) {
    case 'GET /health':
      return { ok: true };
    case 'GET /clock':
      return clockOf(world);
    case 'POST /clock': {
      const ahead = body.advanceMs === undefined ? undefined : milliseconds(body.advanceMs, 'advanceMs', Number.MAX_SAFE_INTEGER);
      const offset = ahead === undefined ? milliseconds(body.offsetMs, 'offsetMs', Number.MAX_SAFE_INTEGER) : world.clock.offsetMs + ahead;
      if (offset < world.clock.offsetMs) throw new Unusable('the clock only moves forward');
      world.clock.moveTo(offset);
      save(world);
      return clockOf(world);
    }
    case 'GET /settings':
      return settingsOf(world.settings);
    case 'PUT /settings': {
      const both = body.propagationMs === undefined ? undefined : milliseconds(body.propagationMs, 'propagationMs', longestPropagationMs);
      const read = (name: 'authenticationPropagationMs' | 'authorizationPropagationMs') =>
        body[name] === undefined ? (both ?? world.settings[name]) : milliseconds(body[name], name, longestPropagationMs);
      const next = {
        authenticationPropagationMs: read('authenticationPropagationMs'),
        authorizationPropagationMs: read('authorizationPropagationMs'),
        logLagMs: body.logLagMs === undefined ? world.settings.logLagMs : milliseconds(body.logLagMs, 'logLagMs', 86_400_000),
      };
      const { scopedIssueTime } = body;
      if (scopedIssueTime !== undefined && scopedIssueTime !== 'own' && scopedIssueTime !== 'parent')
        throw new Unusable('scopedIssueTime must be own or parent');
      Object.assign(world.settings, next, scopedIssueTime === undefined ? {} : { scopedIssueTime });
      save(world);
      return settingsOf(world.settings);
    }
    case 'GET /faults':
      return world.faults.list;
    case 'POST /faults':
      return world.faults.add(faultOrder(body));
    case 'DELETE /faults':
      world.faults.clear();
      return { ok: true };
    case 'GET /origins':
      return world.origins.all;
    case 'PUT /origins': {
      const { address, origin } = body;
      if (typeof address !== 'string' || !/^127(\.\d{1,3}){3}$/.test(address)) throw new Unusable('address must be one of loopback');
      const read = readOrigin(origin);
      if (origin !== null && read === undefined) throw new Unusable('origin must be {ip}, {vpc, vpce} or {via}, or null');
      world.origins.set(address, read);
      return world.origins.all;
    }
    case 'GET /counters':
      return Object.fromEntries(world.ledger.counters);
    case 'GET /mutations':
      return world.ledger.since(Number(url.searchParams.get('since') ?? 0));
    case 'GET /events':
      return world.trail.of(url.searchParams.get('region') ?? 'us-east-1').slice(-Number(url.searchParams.get('last') ?? 1000));
    case 'POST /trail/delays':
      world.trail.delay(delayOrder(body));
      return { ok: true };
    case 'PUT /trail/behind':
      world.trail.setBehind(String(body.region ?? 'us-east-1'), milliseconds(body.ms, 'ms', 86_400_000));
      return { ok: true };
    case 'DELETE /trail/delays':
      world.trail.clearDelays();
      return { ok: true };
    case 'GET /state':
      return worldOf(world);
  }
  const held = /^\/faults\/([^/]+)\/(holding|release)$/.exec(path);
  if (held?.[2] === 'holding' && method === 'GET')
    return world.faults.holding(held[1] ?? '', Math.min(Number(url.searchParams.get('ms') ?? 0), 60_000));
  if (held?.[2] === 'release' && method === 'POST') return { released: world.faults.release(held[1] ?? '') };
  const fault = /^\/faults\/([^/]+)$/.exec(path);
  if (fault !== null && method === 'DELETE') return { ok: world.faults.remove(fault[1] ?? '') };
  const session = /^\/sessions\/([^/]+)\/console$/.exec(path);
  if (session !== null && method === 'PUT') {
    const row = world.state.tables.sessions.get(session[1] ?? '');
    if (row === undefined) throw new Unusable('there is no such session');
    row.console = body.console !== false;
    world.state.put('sessions', row);
    world.journal?.append({ rows: [['sessions', row.id, row]] });
    return { ok: true };
  }
  return undefined;
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The control port: for tests and the lab only, on loopback, behind a bearer token. */
export function controlServer(world: World, token: string, onFault: (error: unknown) => void): Server {
  const expected = digest(`Bearer ${token}`);
  const answer = async (message: IncomingMessage): Promise<[number, unknown]> => {
    if (!timingSafeEqual(digest(message.headers.authorization ?? ''), expected)) return [401, { error: 'a bearer token is needed' }];
    let text = '';
    for await (const chunk of message.setEncoding('utf8')) text += chunk;
    let body: unknown = {};
    try {
      if (text !== '') body = JSON.parse(text);
    } catch {
      return [400, { error: 'the body is not JSON' }];
    }
    if (typeof body !== 'object' || body === null) return [400, { error: 'the body is not a JSON object' }];
    try {
      const result = await serve(
        world,
        message.method ?? '',
        new URL(message.url ?? '/', 'http://localhost'),
        body as Record<string, unknown>,
      );
      return result === undefined ? [404, { error: 'there is no such thing here' }] : [200, result];
    } catch (error) {
      if (error instanceof Unusable) return [400, { error: error.message }];
      throw error;
    }
  };
  return createServer((message, response) => {
    answer(message).then(
      ([status, result]) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(result)),
      (error: unknown) => {
        onFault(error);
        response.writeHead(500).end();
      },
    );
  });
}
