import { z } from 'zod';
import { type Graph, type GraphEdge, type GraphNode, mergeGraphs, nodeId, type Provenance } from '../../domain/credential.ts';
import { codeOf } from '../../domain/errors.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import type { Secret } from '../../domain/secret.ts';
import type { Look } from '../contract.ts';
import type { VaultSettings } from './bench.ts';
import { serverTime } from './bench.ts';
import type { Vault } from './client.ts';
import { via } from './manifest.ts';
import { type Swept, sweepTokens } from './sweep.ts';
import { listSecretIds, lookUpLease, type TokenRow } from './tokens.ts';
import { type Called, type Follow, followTrail, type Made, secretIdPath, type Trail } from './trail.ts';

/** What is followed, in clear; the device's HMACs of it are asked of the server. */
export interface Root {
  readonly id: string;
  readonly accessor?: string;
  /** SECRET: for the device's HMAC of it, which is asked of our own server in one request. */
  readonly token?: Secret;
  readonly login?: { readonly mount: string; readonly role: string; readonly secretId?: Secret };
  readonly issuedAt?: string;
}

/** Everything below a credential, as far as it can be told. */
export interface Walk {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  readonly calls: readonly (Called & { readonly node: string })[];
  readonly callCount: number;
  readonly secretsRead: readonly string[];
  /** Why this is not the whole of it; empty where it is. */
  readonly gaps: readonly string[];
  readonly swept: Swept;
  readonly trail?: Trail;
  /** The moment of our own call that the log was seen to hold; by the log's own clock. */
  readonly passed?: { readonly requestId: string; readonly at: string; readonly seenAt: string };
  readonly from?: string;
}

const devicesSchema = z.object({ data: z.record(z.string(), z.object({ type: z.string() })) });
const hashSchema = z.object({ data: z.object({ hash: z.string().min(1) }) });

/** The device's own HMAC of a text. It is salted anew whenever a device is made, so that it can be asked for only while that device is there. */
async function auditHash(vault: Vault, device: string, input: string): Promise<string> {
  const path = `sys/audit-hash/${device.replace(/\/$/, '')}`;
  const { data } = await vault.ask(
    { verb: 'write', call: 'hash a text as the audit device does', path, write: false, body: { input } },
    hashSchema,
  );
  return data.hash;
}

/** How far a token's time of issue, told in whole seconds, may be from that of the log's line about it. */
const apartMs = 120_000;
const mostSuspects = 200;

/** Finds what a credential has made, by the audit log, and which of it still stands, by looking every token up. */
export async function descend(vault: Vault, settings: VaultSettings, on: Look, root: Root): Promise<Walk> {
  await untilAfter(vault, on);
  const all = await sweepTokens(vault, { ...settings, signal: on.signal, heartbeat: on.heartbeat, sleep: on.sleep });
  // What we go to the server with is nobody's descendant, whatever made it: nothing here may lead to it.
  const { accessor: ourAccessor } = await vault.self();
  const swept: Swept = { ...all, rows: all.rows.filter((row) => row.accessor !== ourAccessor) };
  const gaps = [...swept.gaps];
  const read = await readTrail(vault, settings, on, root);
  if ('why' in read) {
    gaps.push(read.why);
    const graph = mergeGraphs(await suspects(swept.rows, root, on), ofRole(swept.rows, root));
    return { ...graph, calls: [], callCount: 0, secretsRead: [], gaps, swept };
  }
  const { trail, device, passed } = read;
  if (trail.unreadable > 0) gaps.push(`${trail.unreadable} lines of the audit log could not be understood`);
  if (trail.devicesChanged.length > 0)
    gaps.push(
      `an audit device was changed, and what it had written before cannot be matched any more: ${trail.devicesChanged.slice(-3).join(', ')}`,
    );
  const from = trail.first;
  if ((root.accessor !== undefined || root.token !== undefined) && !trail.birth) {
    const words =
      from !== undefined && root.issuedAt !== undefined && Date.parse(root.issuedAt) < Date.parse(from) ? `, which begins at ${from}` : '';
    gaps.push(`the making of the token itself is not in the audit log${words}: what it made may be missing there as well`);
  } else if (root.issuedAt !== undefined && from !== undefined && Date.parse(root.issuedAt) < Date.parse(from)) {
    gaps.push(`the audit log begins at ${from}, after it was issued at ${root.issuedAt}`);
  }

  const matched = await match(vault, device, trail.made, swept.rows, on);
  const secretIds = await matchSecretIds(vault, device, trail.made, gaps);
  const { at } = await serverTime(vault);
  const names = new Map<string, string>();
  for (const hash of [root.accessor === undefined ? undefined : read.follow.accessor, read.follow.token])
    if (hash) names.set(hash, root.id);
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  for (const made of trail.made) {
    const row = matched.get(made.id);
    const { kind, locator, title } = nameOf(made, row, secretIds);
    const id = nodeId({ kind, locator });
    if (made.what === 'token' || made.what === 'batch') names.set(made.id, id);
    const entity = row?.entity ?? made.entity;
    const expiresAt = row?.expiresAt ?? expiryOf(made);
    const certain = made.by !== undefined || root.login?.secretId !== undefined;
    const provenance: Provenance = {
      source: 'audit device',
      at: made.at,
      confidence: certain ? 'certain' : 'likely',
      evidence: `${made.via} at ${made.at}; request ${made.requestId}`,
    };
    nodes.push({
      id,
      type: 'credential',
      title,
      credential: {
        kind,
        locator,
        ...(entity ? { principal: principalOf(entity) } : {}),
        derivedVia: viaOf(made, row, entity),
        issuedAt: row?.issuedAt ?? new Date(made.at).toISOString(),
        ...(expiresAt ? { expiresAt } : {}),
        live: await liveness(vault, made, row, { expiresAt, at, swept, secretIds }),
        ...(row ? { status: statusOf(row) } : {}),
      },
      provenance,
    });
    const parent = made.by === undefined ? root.id : (names.get(made.by) ?? root.id);
    edges.push({ from: parent, to: id, kind: 'derives', provenance });
    if (entity) {
      if (!nodes.some((node) => node.id === principalOf(entity)))
        nodes.push({ id: principalOf(entity), type: 'principal', title: `entity ${entity}`, provenance });
      edges.push({ from: id, to: principalOf(entity), kind: 'acts-as', provenance });
    }
  }
  const rest = swept.rows.filter((row) => ![...matched.values()].includes(row));
  const more: Graph[] = [];
  if (gaps.length > 0) more.push(await suspects(rest, root, on));
  // With the secret id itself the log tells its log-ins from those of the role's other secret ids.
  if (gaps.length > 0 || root.login?.secretId === undefined) more.push(ofRole(rest, root));
  for (const open of more) {
    nodes.push(...open.nodes);
    edges.push(...open.edges);
  }
  return {
    nodes,
    edges,
    calls: trail.calls.map((call) => ({ ...call, node: names.get(call.by) ?? root.id })),
    callCount: trail.callCount,
    secretsRead: trail.secretsRead,
    gaps,
    swept,
    trail,
    passed,
    ...(from ? { from } : {}),
  };
}

export const principalOf = (entity: string): string => `entity:${entity}`;
export const statusOf = (row: TokenRow): string =>
  [row.orphan ? 'orphan' : 'child', row.period > 0 ? `periodic, ${row.period} s` : '', row.uses > 0 ? `${row.uses} uses left` : '']
    .filter((word) => word !== '')
    .join(', ');

interface Read {
  readonly trail: Trail;
  readonly device: string;
  readonly follow: Follow;
  readonly passed: NonNullable<Walk['passed']>;
}

/** Reads the log once it holds a call that we made after all else, hashed by the device that we ask. Otherwise it is another device's file, or behind, or its salt is gone. */
async function readTrail(vault: Vault, settings: VaultSettings, on: Look, root: Root): Promise<Read | { readonly why: string }> {
  const file = settings.auditLog;
  if (file === undefined) return { why: 'no audit log is configured for this account' };
  let devices: readonly string[];
  let own: string | undefined;
  try {
    const answer = await vault.ask({ verb: 'read', call: 'list audit devices', path: 'sys/audit', write: false }, devicesSchema);
    devices = Object.entries(answer.data).flatMap(([path, { type }]) => (type === 'file' ? [path] : []));
    own = (await vault.self()).accessor;
  } catch (error) {
    if (codeOf(error) !== 'provider.denied') throw error;
    return { why: 'our policy does not let us see the audit devices' };
  }
  if (devices.length === 0) return { why: 'the server has no audit device that writes a file' };
  if (own === undefined) return { why: 'our own token has no accessor to know our calls by' };
  const until = Date.now() + on.timing.giveUpMs;
  let why = 'the audit log is behind: it does not hold our own call yet';
  for (;;) {
    for (const device of devices) {
      const hash = async (input: string) => await auditHash(vault, device, input);
      const accessor = await hash(own);
      const follow = {
        ...(root.accessor === undefined ? {} : { accessor: await hash(root.accessor) }),
        ...(root.token === undefined ? {} : { token: await hash(root.token.reveal()) }),
        ...(root.login === undefined
          ? {}
          : {
              login: {
                mount: root.login.mount,
                role: root.login.role,
                ...(root.login.secretId === undefined ? {} : { secretId: await hash(root.login.secretId.reveal()) }),
              },
            }),
      };
      const { at } = await serverTime(vault);
      await vault.self();
      const requestId = vault.requestIds.at(-1) ?? '';
      try {
        const trail = await followTrail(file, { ...follow, marker: { requestId, accessor } }, on);
        if (trail.marker === 'seen') {
          const { at: seenAt } = await serverTime(vault);
          return { trail, device, follow: { ...follow, marker: { requestId, accessor } }, passed: { requestId, at, seenAt } };
        }
        if (trail.marker === 'other-salt')
          why = 'the audit log’s file is another device’s, or the device was made anew: its hashes are not the ones that we are told';
      } catch (error) {
        on.signal.throwIfAborted();
        why = `the audit log cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`;
      }
    }
    if (Date.now() >= until) return { why };
    on.heartbeat();
    await on.sleep(on.timing.pollMs);
  }
}

/** Which of the tokens that stand are those that the log says were made. Only those are hashed that were issued about when one of them was. */
async function match(
  vault: Vault,
  device: string,
  made: readonly Made[],
  rows: readonly TokenRow[],
  on: Look,
): Promise<ReadonlyMap<string, TokenRow>> {
  const wanted = new Set(made.filter((each) => each.what === 'token').map((each) => each.id));
  const times = made.map((each) => Date.parse(each.at));
  const candidates = rows.filter((row) => times.some((time) => Math.abs(time - Date.parse(row.issuedAt)) <= apartMs));
  const found = new Map<string, TokenRow>();
  for (const [number, row] of candidates.entries()) {
    if (found.size === wanted.size) break;
    on.signal.throwIfAborted();
    const hash = await auditHash(vault, device, row.accessor);
    if (wanted.has(hash)) found.set(hash, row);
    if (number % 25 === 24) on.heartbeat({ matched: number + 1, of: candidates.length });
  }
  return found;
}

/** Accessors by the HMACs of those that the log shows to have been made; `unknown` where a role's are not to be seen. */
type SecretIds = ReadonlyMap<string, string>;

async function matchSecretIds(vault: Vault, device: string, made: readonly Made[], gaps: string[]): Promise<SecretIds> {
  const found = new Map<string, string>();
  const roles = new Map<string, Made[]>();
  for (const each of made) if (each.what === 'secret-id') roles.set(each.via, [...(roles.get(each.via) ?? []), each]);
  for (const [via, each] of roles) {
    const at = secretIdPath(via);
    if (at === undefined) continue;
    try {
      for (const accessor of (await listSecretIds(vault, at)) ?? []) {
        const hash = await auditHash(vault, device, accessor);
        if (each.some(({ id }) => id === hash)) found.set(hash, accessor);
      }
    } catch (error) {
      if (codeOf(error) !== 'provider.denied') throw error;
      for (const { id } of each) found.set(id, 'unknown');
      gaps.push(`our policy does not let us see the secret ids of role ${at.appRole}`);
    }
  }
  return found;
}

function nameOf(
  made: Made,
  row: TokenRow | undefined,
  secretIds: SecretIds,
): { kind: string; locator: Readonly<Record<string, string>>; title: string } {
  if (made.what === 'lease') return { kind: 'vault.lease', locator: { lease: made.id }, title: `lease ${made.id}` };
  const hmac = made.id.replace(/^hmac-sha256:/, '');
  const at = made.what === 'secret-id' ? secretIdPath(made.via) : undefined;
  if (at) {
    const accessor = secretIds.get(made.id);
    const known = accessor !== undefined && accessor !== 'unknown';
    return {
      kind: 'vault.approle-secret-id',
      locator: { ...at, ...(known ? { accessor } : { hmac }) },
      title: `secret id ${known ? accessor : `${hmac.slice(0, 12)}…`} of role ${at.appRole}`,
    };
  }
  if (made.what === 'batch') return { kind: 'vault.batch-token', locator: { hmac }, title: `batch token ${hmac.slice(0, 12)}…` };
  if (row === undefined) return { kind: 'vault.token', locator: { hmac }, title: `token ${hmac.slice(0, 12)}…` };
  return { kind: 'vault.token', locator: { accessor: row.accessor }, title: `token ${row.accessor}, ${statusOf(row)}` };
}

/** How it came about, in the manifest's words. A batch token with an entity is a child of what made it: only children inherit one. */
function viaOf(made: Made, row: TokenRow | undefined, entity: string | undefined): string {
  if (made.what === 'lease') return via.lease;
  if (made.what === 'secret-id') return via.secretId;
  if (!made.via.startsWith('auth/token/')) return /^auth\/.+\/login/.test(made.via) ? via.login : made.via;
  if (made.what === 'batch') return entity === undefined ? via.batchOrphan : via.batchChild;
  return (row?.orphan ?? made.via.startsWith(via.orphan)) ? via.orphan : via.child;
}

const expiryOf = (made: Made): string | undefined =>
  made.ttlSeconds === undefined || made.ttlSeconds === 0
    ? undefined
    : new Date(Math.ceil(Date.parse(made.at) / 1_000) * 1_000 + made.ttlSeconds * 1_000).toISOString();

async function liveness(
  vault: Vault,
  made: Made,
  row: TokenRow | undefined,
  {
    expiresAt,
    at,
    swept,
    secretIds,
  }: { readonly expiresAt: string | undefined; readonly at: string; readonly swept: Swept; readonly secretIds: SecretIds },
): Promise<Observation> {
  if (made.what === 'secret-id') {
    const found = secretIds.get(made.id);
    if (found === 'unknown') return unknown(at, 'administrator', 'our policy does not let us see the secret ids of the role');
    return found
      ? yes(at, 'administrator', `secret id ${found} is there`)
      : no(at, 'administrator', 'no secret id of the role has its accessor');
  }
  if (made.what === 'lease') {
    const lease = await lookUpLease(vault, made.id);
    if (lease === undefined) return no(at, 'administrator', 'there is no such lease, in the server’s own words');
    return yes(at, 'administrator', lease.stuck ? 'it is irrevocable, and the account at its origin stands' : 'the lease is there');
  }
  if (made.what === 'batch') {
    if (expiresAt === undefined) return unknown(at, 'log', 'the log does not say when it expires');
    if (Date.parse(at) > Date.parse(expiresAt)) return no(at, 'log', `it expired at ${expiresAt}`);
    return yes(at, 'log', `it is accepted until ${expiresAt}, unless its parent or its entity ends that sooner`);
  }
  if (row !== undefined) return yes(at, 'administrator', `the token of accessor ${row.accessor} is there`);
  if (swept.gaps.length > 0) return unknown(at, 'administrator', 'not all tokens were looked at');
  return no(at, 'administrator', 'no token that stands has its accessor');
}

/** Where the log cannot tell, the tokens that may be of the leak's making: those made by some token since it was issued. Nothing says that they are. */
async function suspects(
  rows: readonly TokenRow[],
  root: Root,
  on: Look,
): Promise<{ readonly nodes: readonly GraphNode[]; readonly edges: readonly GraphEdge[] }> {
  const from = Date.parse(on.since ?? root.issuedAt ?? '');
  if (Number.isNaN(from)) return { nodes: [], edges: [] };
  const nodes: GraphNode[] = [];
  for (const row of rows) {
    if (!row.path.startsWith('auth/token/create') || Date.parse(row.issuedAt) < from - 1_000 || row.accessor === root.accessor) continue;
    if (nodes.length >= mostSuspects) break;
    if (await on.made?.(row.accessor)) continue;
    const provenance: Provenance = {
      source: 'accessors',
      at: row.issuedAt,
      confidence: 'suspected',
      evidence: `${row.path} at ${row.issuedAt}, by a token that nothing names`,
    };
    nodes.push({
      id: `vault.token:${row.accessor}`,
      type: 'credential',
      title: `token ${row.accessor}, ${statusOf(row)}`,
      credential: {
        kind: 'vault.token',
        locator: { accessor: row.accessor },
        ...(row.entity ? { principal: principalOf(row.entity) } : {}),
        issuedAt: row.issuedAt,
        ...(row.expiresAt ? { expiresAt: row.expiresAt } : {}),
        live: yes(row.issuedAt, 'administrator', `the token of accessor ${row.accessor} is there`),
        status: statusOf(row),
      },
      provenance,
    });
  }
  return { nodes, edges: [] };
}

/** Tokens that a role's log-ins made and the log does not tell of, by the role's name in their metadata, which the server puts there. Which secret id it was is not in it. */
function ofRole(rows: readonly TokenRow[], root: Root): Graph {
  const { login } = root;
  if (login === undefined) return { nodes: [], edges: [] };
  const path = `auth/${login.mount}/login`;
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  for (const row of rows) {
    if (row.role !== login.role || row.path !== path) continue;
    if (root.issuedAt !== undefined && Date.parse(row.issuedAt) < Date.parse(root.issuedAt) - 1_000) continue;
    const provenance: Provenance = {
      source: 'accessors',
      at: row.issuedAt,
      confidence: 'likely',
      evidence: `${path} at ${row.issuedAt}, in role ${login.role}`,
    };
    const id = `vault.token:${row.accessor}`;
    nodes.push({
      id,
      type: 'credential',
      title: `token ${row.accessor}, ${statusOf(row)}`,
      credential: {
        kind: 'vault.token',
        locator: { accessor: row.accessor },
        ...(row.entity ? { principal: principalOf(row.entity) } : {}),
        derivedVia: via.login,
        issuedAt: row.issuedAt,
        ...(row.expiresAt ? { expiresAt: row.expiresAt } : {}),
        live: yes(row.issuedAt, 'administrator', `the token of accessor ${row.accessor} is there`),
        status: statusOf(row),
      },
      provenance,
    });
    edges.push({ from: root.id, to: id, kind: 'derives', provenance });
    if (row.entity) {
      const principal = principalOf(row.entity);
      if (!nodes.some((node) => node.id === principal))
        nodes.push({ id: principal, type: 'principal', title: `entity ${row.entity}`, provenance });
      edges.push({ from: id, to: principal, kind: 'acts-as', provenance });
    }
  }
  return { nodes, edges };
}

/** The server's clock is told in whole seconds, so that the moment of the last containment may be a second ahead of it. */
async function untilAfter(vault: Vault, on: Look): Promise<void> {
  if (on.containedAt === undefined) return;
  const until = Date.now() + on.timing.giveUpMs;
  while (Date.parse((await serverTime(vault)).at) < Date.parse(on.containedAt) && Date.now() < until) {
    on.heartbeat();
    await on.sleep(Math.min(on.timing.pollMs, 500));
  }
}
