import { createHash } from 'node:crypto';
import { Secret } from '../../domain/secret.ts';
import {
  GcpControl,
  type GcpSimulator,
  type GcpSimulatorOptions,
  type KeyFile,
  signature,
  startGcpSimulator,
} from '../../lab/gcp/index.ts';
import type { Connection, StepContext } from '../../providers/contract.ts';
import { provider } from '../../providers/gcp/index.ts';

export const timing: StepContext['timing'] = { propagationMs: 150, logLagMs: 100, marginMs: 50, pollMs: 50, giveUpMs: 8_000 };
const scope = 'https://www.googleapis.com/auth/cloud-platform';

/** An answer to somebody who is not the engine and whose client does nothing for him. */
export interface Said {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A simulated project with an owner, and the engine's connection to it. */
export interface Practice {
  readonly sim: GcpSimulator;
  readonly control: GcpControl;
  readonly project: string;
  /** One plain call with a token; never tried again. */
  call(token: string, method: string, path: string, body?: unknown): Promise<Said>;
  /** One plain call by the owner; throws where it is refused. */
  admin<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T>;
  connect(file?: KeyFile, settings?: Readonly<Record<string, unknown>>): Promise<Connection>;
  makeAccount(id: string): Promise<string>;
  makeKey(email: string): Promise<KeyFile>;
  makeHmac(email: string): Promise<{ readonly accessId: string; readonly secret: string }>;
  makeApiKey(body?: Readonly<Record<string, unknown>>): Promise<{ readonly uid: string; readonly text: string }>;
  /** Gives roles, on the project or on an account. */
  grant(email: string, role: string, on?: string): Promise<void>;
  setAudit(on: boolean): Promise<void>;
  /** Exchanges a key for a token; undefined where it is refused. */
  exchange(file: KeyFile): Promise<string | undefined>;
  /** Waits until a key is accepted, and gives a token. */
  alive(file: KeyFile): Promise<string>;
  /** Lists the project's buckets with a token: whether it is accepted. */
  lists(token: string): Promise<boolean>;
  /** Lists buckets with an HMAC key, signed as a holder of one would. */
  listsWithHmac(key: { readonly accessId: string; readonly secret: string }): Promise<boolean>;
  /** Calls a service that asks for nothing but an API key. */
  listsWithApiKey(text: string): Promise<boolean>;
  account(email: string): string;
  now(): Promise<number>;
  close(): Promise<void>;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls until it is so; says what it waited for where it never is. */
export async function until<T>(what: string, ask: () => Promise<T>, is: (answer: T) => boolean = Boolean): Promise<T> {
  const end = performance.now() + 15_000;
  for (;;) {
    const answer = await ask();
    if (is(answer)) return answer;
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`);
    await sleep(20);
  }
}

async function assertion(file: KeyFile, now: number): Promise<string> {
  const { createSign } = await import('node:crypto');
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const at = Math.floor(now / 1000);
  const claims = { iss: file.client_email, scope, aud: 'https://oauth2.googleapis.com/token', iat: at, exp: at + 3600 };
  const header = { alg: 'RS256', typ: 'JWT', ...(file.private_key_id ? { kid: file.private_key_id } : {}) };
  const body = `${encode(header)}.${encode(claims)}`;
  return `${body}.${createSign('sha256')
    .update(body)
    .sign(file.private_key ?? '', 'base64url')}`;
}

export async function practice(options: GcpSimulatorOptions = {}): Promise<Practice> {
  const sim = await startGcpSimulator({
    propagationMs: timing.propagationMs,
    policyPropagationMs: 0,
    hmacPropagationMs: timing.propagationMs,
    apiKeyPropagationMs: timing.propagationMs,
    logLagMs: timing.logLagMs,
    logReadsPerMinute: 100_000,
    ...options,
  });
  const control = new GcpControl(sim.control);
  const open: Connection[] = [];
  const now = async () => Date.parse((await control.world()).now);
  let owner: { token: string; until: number } | undefined;
  const raw = async (path: string, init: RequestInit): Promise<Said> => {
    const answer = await fetch(`${sim.endpoint}${path}`, init);
    const text = await answer.text();
    let body: Record<string, unknown> = {};
    try {
      body = JSON.parse(text || '{}') as Record<string, unknown>;
    } catch {
      body = { text };
    }
    return { status: answer.status, body };
  };
  const made: Practice = {
    sim,
    control,
    project: sim.project,
    now,
    call: (token, method, path, body) =>
      raw(path, {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async admin<T>(method: string, path: string, body?: unknown): Promise<T> {
      const at = await now();
      if (owner === undefined || owner.until < at) owner = { token: (await made.exchange(sim.admin)) ?? '', until: at + 3_000_000 };
      const said = await made.call(owner.token, method, path, body);
      if (said.status >= 300) throw new Error(`${method} ${path} was answered ${said.status}: ${JSON.stringify(said.body)}`);
      return said.body as T;
    },
    async connect(file = sim.admin, settings = {}) {
      const connection = await provider.connect({
        provider: 'gcp',
        account: sim.project,
        mode: 'act',
        settings: {
          endpoint: sim.endpoint,
          hmacPropagationMs: timing.propagationMs,
          apiKeyPropagationMs: timing.propagationMs,
          apiKeyLingerMs: timing.propagationMs,
          ...settings,
        },
        credentials: Object.fromEntries(Object.entries(file).map(([name, value]) => [name, new Secret(value)])),
      });
      open.push(connection);
      return connection;
    },
    account: (email) => `/v1/projects/${sim.project}/serviceAccounts/${email}`,
    async makeAccount(id) {
      return (await made.admin<{ email: string }>('POST', `/v1/projects/${sim.project}/serviceAccounts`, { accountId: id })).email;
    },
    async makeKey(email) {
      const key = await made.admin<{ privateKeyData: string }>('POST', `${made.account(email)}/keys`, {});
      return JSON.parse(Buffer.from(key.privateKeyData, 'base64').toString()) as KeyFile;
    },
    async makeHmac(email) {
      const key = await made.admin<{ secret: string; metadata: { accessId: string } }>(
        'POST',
        `/storage/v1/projects/${sim.project}/hmacKeys?serviceAccountEmail=${encodeURIComponent(email)}`,
      );
      return { accessId: key.metadata.accessId, secret: key.secret };
    },
    async makeApiKey(body = {}) {
      const root = `/v2/projects/${sim.project}/locations/global/keys`;
      const operation = await made.admin<{ name: string }>('POST', root, body);
      const { response } = await made.admin<{ response: { uid: string } }>('GET', `/v2/${operation.name}`);
      const { keyString } = await made.admin<{ keyString: string }>('GET', `${root}/${response.uid}/keyString`);
      return { uid: response.uid, text: keyString };
    },
    async grant(email, role, on) {
      const at = on === undefined ? `/v3/projects/${sim.project}` : made.account(on);
      const policy = await made.admin<{ bindings?: unknown[]; etag: string }>('POST', `${at}:getIamPolicy`, {});
      const bindings = [...(policy.bindings ?? []), { role, members: [`serviceAccount:${email}`] }];
      await made.admin('POST', `${at}:setIamPolicy`, { policy: { etag: policy.etag, bindings } });
    },
    async setAudit(on) {
      const at = `/v3/projects/${sim.project}`;
      const policy = await made.admin<{ bindings?: unknown[]; etag: string }>('POST', `${at}:getIamPolicy`, {});
      const auditConfigs = on ? [{ service: 'iam.googleapis.com', auditLogConfigs: [{ logType: 'DATA_READ' }] }] : [];
      await made.admin('POST', `${at}:setIamPolicy`, { policy: { etag: policy.etag, bindings: policy.bindings, auditConfigs } });
    },
    async exchange(file) {
      const form = new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: await assertion(file, await now()),
      });
      const said = await raw('/token', { method: 'POST', body: form });
      return said.status === 200 ? String(said.body.access_token) : undefined;
    },
    async alive(file) {
      return (await until('the key is accepted', () => made.exchange(file))) ?? '';
    },
    async lists(token) {
      return (await made.call(token, 'GET', `/storage/v1/b?project=${sim.project}`)).status === 200;
    },
    async listsWithHmac({ accessId, secret }) {
      const date = `${new Date(await now()).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
      const day = `${date.slice(0, 8)}/auto/storage/goog4_request`;
      const payload = createHash('sha256').update('').digest('hex');
      const host = new URL(sim.endpoint).host;
      const headers = [
        ['host', host],
        ['x-goog-content-sha256', payload],
        ['x-goog-date', date],
      ] as const;
      const signed = signature(secret, { verb: 'GET', path: '/', query: '', date, scope: day, headers, payload });
      const authorization = `GOOG4-HMAC-SHA256 Credential=${accessId}/${day}, SignedHeaders=${headers.map(([name]) => name).join(';')}, Signature=${signed}`;
      const said = await raw('/', { headers: { authorization, 'x-goog-content-sha256': payload, 'x-goog-date': date } });
      return said.status === 200;
    },
    async listsWithApiKey(text) {
      return (await raw('/v1beta/models', { headers: { 'x-goog-api-key': text } })).status === 200;
    },
    async close() {
      for (const connection of open) await connection.close();
      await sim.close();
    },
  };
  return made;
}
