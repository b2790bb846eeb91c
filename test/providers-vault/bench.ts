import { randomBytes } from 'node:crypto';
import type { Consumer, Store } from '../../domain/assessment.ts';
import { type Hash, sha256Of } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import type { Connection, Sealing, StepContext } from '../../providers/contract.ts';
import { provider } from '../../providers/vault/index.ts';
import type { FaultProxy, TestServer } from './server.ts';

/** Sealing without cryptography: what matters here is the context it was sealed for, and that shredding is final. */
export function sealings(): Sealing & { readonly blobs: Map<Hash, { text: string; context: string }> } {
  const blobs = new Map<Hash, { text: string; context: string }>();
  return {
    blobs,
    async open(hash, _keyId, context) {
      const blob = blobs.get(hash);
      if (blob === undefined) throw fault('record.missing', { record: hash });
      if (blob.context !== JSON.stringify(context)) throw fault('record.unreadable', { record: hash });
      return new Secret(blob.text);
    },
    async seal(secret, _to, context) {
      const hash = sha256Of(randomBytes(32));
      blobs.set(hash, { text: secret.reveal(), context: JSON.stringify(context) });
      return { hash, keyId: 'seal_test' };
    },
    async shred(hash) {
      blobs.delete(hash);
    },
  };
}

/** The policy that a manifest's permissions amount to, for one store: exactly them and nothing more. */
export function policyFor(mount: string, path: string): string {
  const byPath = new Map<string, Set<string>>();
  for (const permission of provider.manifest.actions.flatMap((action) => action.permissions)) {
    const [capability, where] = permission.split(' ') as [string, string];
    const place = where.replace('{mount}', mount).replace('{path}', path);
    byPath.set(place, (byPath.get(place) ?? new Set()).add(capability));
  }
  // Without this line whoever may disable an entity may give it any policy; the README has it too.
  const only = (place: string) => (place === 'identity/entity/id/+' ? 'allowed_parameters = { "disabled" = [] }' : '');
  return [...byPath]
    .map(([place, capabilities]) => `path "${place}" { capabilities = ${JSON.stringify([...capabilities])}\n ${only(place)} }`)
    .join('\n');
}

/** One store of its own with a connection whose token may do what the manifest declares there. */
export interface Place {
  readonly store: Store;
  readonly target: { readonly account: string; readonly path: string };
  readonly connection: Connection;
  readonly token: string;
  readonly sealing: ReturnType<typeof sealings>;
  readonly beats: unknown[];
  /** A minted key: its id, its secret, and the reference that the mint would have made. */
  mint(): Promise<{ id: string; secret: string; made: Record<string, string> }>;
  context(params: Record<string, unknown>, made: StepContext['made'], more?: Partial<StepContext>): StepContext;
  /** Current content of every key under `kv/`, for the administrator. */
  world(): Promise<Record<string, unknown>>;
}

let count = 0;

export async function makePlace(server: TestServer, proxy: FaultProxy, settings: Record<string, unknown> = {}): Promise<Place> {
  const number = ++count;
  const below = `ci/app${number}`;
  const path = `kv/${below}`;
  await server.call('PUT', `sys/policies/acl/engine${number}`, { policy: policyFor('kv', below) });
  const { body } = await server.call('POST', 'auth/token/create', { policies: [`engine${number}`], display_name: 'tourniquet' });
  const token: string = body.auth.client_token;
  const connection = await provider.connect({
    provider: 'vault',
    account: 'lab',
    mode: 'act',
    settings,
    credentials: { address: new Secret(proxy.address), token: new Secret(token) },
  });
  const store: Store = {
    id: `store${number}`,
    provider: 'vault',
    account: 'lab',
    path,
    fields: { accessKeyId: 'access_key', secretAccessKey: 'secret_key' },
    principal: 'arn:aws:iam::111122223333:user/ci',
  };
  const sealing = sealings();
  const beats: unknown[] = [];
  return {
    store,
    target: { account: 'lab', path },
    connection,
    token,
    sealing,
    beats,
    async mint() {
      const id = `AKIA${randomBytes(8).toString('hex').toUpperCase()}`;
      const secret = `canary${randomBytes(17).toString('hex')}`;
      const { hash, keyId } = await sealing.seal(
        new Secret(JSON.stringify({ accessKeyId: id, secretAccessKey: secret })),
        { provider: 'vault', account: 'lab' },
        `mint:${id}`,
      );
      return { id, secret, made: { accessKeyId: id, sealed: hash, keyId } };
    },
    context(params, made, more = {}) {
      return {
        incident: `leak/${'a'.repeat(64)}`,
        run: 'run-1',
        step: 'r1-stage-secret',
        signal: new AbortController().signal,
        heartbeat: (detail) => void beats.push(detail),
        timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 20, giveUpMs: 5_000 },
        sealing,
        params,
        made,
        inventory: { stores: [store], consumers: [] },
        sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
        ...more,
      };
    },
    async world() {
      const found: Record<string, unknown> = {};
      const walk = async (prefix: string): Promise<void> => {
        const { body } = await server.call('LIST', `kv/metadata/${prefix}`);
        for (const name of body?.data?.keys ?? []) {
          if (name.endsWith('/')) await walk(`${prefix}${name}`);
          else found[`${prefix}${name}`] = (await server.call('GET', `kv/data/${prefix}${name}`)).body?.data?.data ?? null;
        }
      };
      await walk('');
      return found;
    },
  };
}

export function consumer(store: Store, id: string, more: Partial<Consumer> = {}): Consumer {
  return {
    id,
    name: id,
    owner: 'team',
    contact: 'team@example.org',
    store: store.id,
    overlap: true,
    rereads: 2,
    criticality: 'production',
    networks: [],
    seenAs: {},
    ...more,
  };
}

/** The code of the fault that a promise ends in; fails where it ends well or in anything but a fault. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error && error.name === 'Fault' && 'code' in error) return String(error.code);
    throw error;
  }
  throw new Error('it succeeded');
}
