import { createServer, type IncomingMessage, type Server } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { Fault } from '../aws/faults.ts';
import { apiKeyRoutes } from './api-keys.ts';
import { bearer, credentialRoutes } from './credentials.ts';
import { iamRoutes, projectRoutes } from './iam.ts';
import { loggingRoutes } from './logging.ts';
import { Refusal } from './refusal.ts';
import type { Answer, Call, Caller, Route } from './route.ts';
import { hex, iso, latest, type World } from './state.ts';
import { storageRoutes } from './storage.ts';

/** The services of Google are hosts of their own; here one address serves them all, as no two of them share a path. */
const routes: readonly Route[] = [...credentialRoutes, ...iamRoutes, ...projectRoutes, ...storageRoutes, ...apiKeyRoutes, ...loggingRoutes];
const longestBody = 1 << 20;

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal as the service that was asked writes it: OAuth's, Cloud Storage's, and that of all others (AIP-193). */
function writeRefusal(service: string | undefined, refusal: Refusal): Reply {
  const { code, message, status, oauth } = refusal;
  const json = (body: unknown): Reply => ({ status: code, type: 'application/json; charset=UTF-8', body: JSON.stringify(body) });
  if (oauth !== undefined) return json({ error: oauth, error_description: message });
  if (service === 'storage.googleapis.com') {
    const reasons: Readonly<Record<number, string>> = {
      400: 'invalid',
      401: 'authError',
      403: 'forbidden',
      404: 'notFound',
      409: 'conflict',
      412: 'conditionNotMet',
      429: 'rateLimitExceeded',
      500: 'backendError',
    };
    return json({ error: { code, message, errors: [{ message, domain: 'global', reason: reasons[code] ?? 'backendError' }] } });
  }
  return json({ error: { code, message, status } });
}

async function readBody(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > longestBody) throw new Refusal('INVALID_ARGUMENT', 'Request payload size exceeds the limit.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function bodyOf(text: string, type: string): Readonly<Record<string, unknown>> {
  if (text === '' || !type.includes('json')) return {};
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Refused below, as anything that is no object.
  }
  throw new Refusal('INVALID_ARGUMENT', 'Invalid JSON payload received.');
}

/** Whether the project's policy asks for the Data Access log of that kind. Off by default. */
function isLogged(world: World, service: string, project: string, kind: string): boolean {
  if (kind === 'ADMIN_WRITE') return true;
  const policy = world.projects.get(project)?.policy;
  // What IAM Credentials does is configured with IAM (Cloud Audit Logs, "Services that provide audit logs").
  const name = service === 'iamcredentials.googleapis.com' ? 'iam.googleapis.com' : service;
  return ((policy && latest(policy).auditConfigs) ?? []).some(
    (config) =>
      (config.service === name || config.service === 'allServices') && config.auditLogConfigs.some((each) => each.logType === kind),
  );
}

function log(world: World, route: Route, call: Call, answer: Answer | undefined, refusal: Refusal | undefined, ip: string): void {
  const said = route.logged?.(call, answer);
  if (said === undefined || !isLogged(world, route.service, said.project, said.kind)) return;
  const { token } = call.caller;
  const at = world.clock.now();
  const account = token === undefined ? undefined : world.accounts.get(token.email);
  const reason = call.headers['x-goog-request-reason'];
  const delegation = token?.delegation ?? [];
  const entry = {
    insertId: hex(8),
    logName: `projects/${said.project}/logs/cloudaudit.googleapis.com%2F${said.kind === 'ADMIN_WRITE' ? 'activity' : 'data_access'}`,
    timestamp: iso(at),
    receiveTimestamp: iso(at),
    severity: refusal === undefined ? (said.kind === 'ADMIN_WRITE' ? 'NOTICE' : 'INFO') : 'ERROR',
    resource: said.resource,
    protoPayload: {
      '@type': 'type.googleapis.com/google.cloud.audit.AuditLog',
      serviceName: route.service,
      methodName: route.method,
      resourceName: said.resourceName,
      status: refusal === undefined ? {} : { code: refusal.status === 'PERMISSION_DENIED' ? 7 : 9, message: refusal.message },
      authenticationInfo: {
        ...(token === undefined ? {} : { principalEmail: token.email, principalSubject: `serviceAccount:${token.email}` }),
        ...(token?.keyId !== undefined && account !== undefined
          ? {
              serviceAccountKeyName: `//iam.googleapis.com/projects/${account.project}/serviceAccounts/${account.email}/keys/${token.keyId}`,
            }
          : {}),
        ...(delegation.length > 0
          ? { serviceAccountDelegationInfo: delegation.map((principalEmail) => ({ firstPartyPrincipal: { principalEmail } })) }
          : {}),
      },
      authorizationInfo:
        route.permission === undefined
          ? []
          : [{ permission: route.permission, granted: refusal === undefined, resource: said.resourceName }],
      requestMetadata: {
        callerIp: ip,
        callerSuppliedUserAgent: String(call.headers['user-agent'] ?? ''),
        requestAttributes: { time: iso(at), ...(typeof reason === 'string' ? { reason } : {}) },
      },
      ...(said.request === undefined ? {} : { request: said.request }),
      ...(said.response === undefined || refusal !== undefined ? {} : { response: said.response }),
    },
  };
  world.log.push({ project: said.project, private: said.kind !== 'ADMIN_WRITE', at, entry });
}

const ordered: Readonly<Partial<Record<Fault['kind'], Refusal>>> = {
  throttle: new Refusal('RESOURCE_EXHAUSTED', "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'."),
  'error-500': new Refusal('INTERNAL', 'Internal error encountered.'),
};

/** What somebody between client and server may answer in its place. */
const page =
  '<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><p>Please sign in to the network & try again.</body></html>\n';

async function perform(
  world: World,
  route: Route,
  call: Omit<Call, 'caller' | 'email'>,
  faults: readonly Fault[],
  reply: 'sent' | 'lost',
  ip: string,
): Promise<Reply> {
  let caller: Caller = {};
  let answer: Answer | undefined;
  let refusal: Refusal | undefined;
  let whole: Call = { ...call, caller, email: '' };
  try {
    for (const fault of faults) if (ordered[fault.kind]) throw ordered[fault.kind];
    if (route.auth === 'token') {
      const token = bearer(world, call.headers.authorization);
      caller = { email: token.email, token };
      whole = { ...call, caller, email: token.email };
    }
    answer = await route.run(whole);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refusal = error;
  }
  // What is refused before anybody is known is in no log.
  if (caller.token !== undefined && !(refusal && Object.values(ordered).includes(refusal))) log(world, route, whole, answer, refusal, ip);
  world.journal.push({
    seq: world.journal.length + 1,
    at: iso(world.clock.now()),
    service: route.service,
    method: route.method,
    ...(route.permission === undefined ? {} : { permission: route.permission }),
    ...(caller.email === undefined ? {} : { caller: caller.email }),
    path: call.path,
    effect: refusal !== undefined ? 'refused' : answer?.changed ? 'changed' : call.verb === 'GET' ? 'read' : 'no-op',
    ...(refusal === undefined ? {} : { code: refusal.oauth ?? refusal.status }),
    reply,
  });
  if (refusal !== undefined) return writeRefusal(route.service, refusal);
  const { status = 200, type = 'application/json; charset=UTF-8', body } = answer ?? {};
  return {
    status,
    type,
    body: body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body),
    // Cloud Storage alone names its requests in its answers.
    ...(route.service === 'storage.googleapis.com' ? { headers: { 'x-guploader-uploadid': `AB${hex(20)}` } } : {}),
  };
}

async function respond(world: World, message: IncomingMessage): Promise<Reply | undefined> {
  const url = new URL(message.url ?? '/', 'http://localhost');
  const verb = message.method ?? '';
  const path = url.pathname;
  const decoded = decodeURIComponent(path);
  const route = routes.find((each) => each.verb === verb && each.pattern.test(decoded));
  const ip = (message.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  let text: string;
  let body: Call['body'];
  try {
    text = await readBody(message);
    body = bodyOf(text, message.headers['content-type'] ?? '');
    if (route === undefined)
      return {
        status: 404,
        type: 'text/html; charset=UTF-8',
        body: `<!DOCTYPE html><title>Error 404 (Not Found)!!1</title><p>The requested URL ${verb} was not found on this server.`,
      };
  } catch (error) {
    if (error instanceof Refusal) return writeRefusal(route?.service, error);
    throw error;
  }
  const parts = { ...route.pattern.exec(decoded)?.groups };
  const faults = world.faults.strike({
    service: route.service,
    action: route.method.split('.').pop() ?? '',
    accessKeyId: '',
    input: { ...parts, ...body },
  });
  const struck = (kind: Fault['kind']) => faults.some((each) => each.kind === kind);
  for (const each of faults) if (each.kind === 'slow') await wait(each.ms ?? 1000);
  if (struck('down')) return undefined;
  if (struck('html')) return { status: 200, type: 'text/html', body: page };
  const lost = struck('lose-reply-after-effect');
  const call = { world, verb, parts, path, query: url.searchParams, body, text, headers: message.headers };
  const reply = await perform(world, route, call, faults, lost ? 'lost' : 'sent', ip);
  if (struck('answer-twice')) await perform(world, route, call, [], 'lost', ip);
  if (lost) return undefined;
  for (const each of faults) if (each.kind === 'hold') await world.faults.keep(each, endOf(message));
  if (struck('empty')) return { ...reply, status: 200, body: '' };
  if (struck('truncated')) return { ...reply, status: 200, body: reply.body.slice(0, reply.body.length / 2) };
  return reply;
}

function endOf(message: IncomingMessage): AbortSignal {
  const gone = new AbortController();
  if (message.socket.destroyed) gone.abort();
  else message.socket.once('close', () => gone.abort());
  return gone.signal;
}

/** The server that Google's libraries talk to. `onFault` is told of a defect of the simulator; the caller of the API is told 500. */
export function apiServer(world: World, onFault: (error: unknown) => void): Server {
  const server = createServer((message, response) => {
    const send = (reply: Reply) => {
      response.writeHead(reply.status, {
        'content-type': reply.type,
        date: new Date(world.clock.now()).toUTCString(),
        ...(reply.status === 204 ? {} : { 'content-length': Buffer.byteLength(reply.body) }),
        ...reply.headers,
      });
      response.end(reply.body);
    };
    respond(world, message).then(
      (reply) => (reply === undefined ? message.socket.destroy() : send(reply)),
      (error: unknown) => {
        if (message.errored !== null && message.errored === error) return;
        onFault(error);
        if (!response.headersSent && !message.socket.destroyed)
          send(writeRefusal(undefined, new Refusal('INTERNAL', 'Internal error encountered.')));
      },
    );
  });
  server.keepAliveTimeout = 120_000;
  return server;
}
