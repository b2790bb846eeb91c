import { z } from 'zod';
import type { Consumer, LogReach, ProviderFinding } from '../../domain/assessment.ts';
import { type CredentialRef, type GraphEdge, type GraphNode, mergeGraphs, nodeId, type Provenance } from '../../domain/credential.ts';
import { codeOf } from '../../domain/errors.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import { stepKey } from '../../domain/plan.ts';
import type { Secret } from '../../domain/secret.ts';
import type { Look, Looked } from '../contract.ts';
import { serverTime, type VaultSettings } from './bench.ts';
import type { Vault } from './client.ts';
import { descend, principalOf, type Root, statusOf, type Walk } from './descendants.ts';
import { manifest } from './manifest.ts';
import {
  type EntityRow,
  hashOfToken,
  lookUpAccessor,
  lookUpLease,
  lookUpSecretId,
  lookUpToken,
  membersOf,
  readEntity,
  type SecretIdPlace,
  type TokenRow,
} from './tokens.ts';

const blind = manifest.logs[0]?.blind ?? [];

/**
 * The accessor of each token that was sealed to us, by its hash. A sealed text is handed to a look once, and later rounds know the hash alone. It is kept in this worker only: what a message said of it could lead
 * to anybody's token.
 */
export type Remembered = Map<string, string>;

/** What was found of the credential itself, before anything below it is looked for. */
interface Standing {
  readonly live: Observation;
  readonly possession: Observation;
  readonly ours: Observation;
  /** The locator with what the server added: a token that was reported by its hash has its accessor from here. */
  readonly locator: Readonly<Record<string, string>>;
  readonly row?: TokenRow;
  readonly entity?: EntityRow;
  readonly issuedAt?: string;
  readonly expiresAt?: string;
  readonly status?: string;
  /** What can be followed from; undefined where nothing can. */
  readonly root?: Omit<Root, 'id'>;
  readonly befores: Readonly<Record<string, unknown>>;
  readonly evidence: Readonly<Record<string, unknown>>;
}

/**
 * Looks at a token, a secret id or a lease and at all that hangs on it, and changes nothing. A leaked token is looked up with ours, once, and never asks about itself: that would burn a use of
 * it. Where the log cannot say what it made, the answer is that it is not known, however many tokens were looked at.
 */
export async function look(
  vault: Vault,
  account: string,
  settings: VaultSettings,
  on: Look,
  remembered: Remembered = new Map(),
): Promise<Looked> {
  const standing = await standingOf(vault, account, on, remembered);
  if (standing === undefined) return await strange(vault, account, on);
  const id = nodeId(on.credential);
  const walked = on.depth === 'full' && standing.root ? await descend(vault, settings, on, { id, ...standing.root }) : undefined;
  // Read again after a long walk, so that what is said of the credential is of after it.
  const now = walked ? ((await standingOf(vault, account, on, remembered)) ?? standing) : standing;
  const policies = standing.row ? await policiesOf(vault, standing.row, standing.entity) : undefined;
  return await tell(vault, account, on, now, walked, policies);
}

async function standingOf(vault: Vault, account: string, on: Look, remembered: Remembered): Promise<Standing | undefined> {
  const { kind, locator } = on.credential;
  if (kind === 'vault.token' || kind === 'vault.batch-token')
    return await tokenStanding(vault, account, on.credential, on.secret, remembered);
  if (kind === 'vault.approle-secret-id' && locator.mount && locator.appRole && locator.accessor)
    return await secretIdStanding(
      vault,
      account,
      { mount: locator.mount, appRole: locator.appRole, accessor: locator.accessor },
      on.secret,
    );
  if (kind === 'vault.lease' && locator.lease) return await leaseStanding(vault, account, locator.lease);
  return undefined;
}

/** A finding about what this provider knows nothing of: the server's clock is all that was asked for. */
async function strange(vault: Vault, account: string, on: Look): Promise<Looked> {
  const { at } = await serverTime(vault);
  const open = unknown(at, 'engine', `there is nothing to look ${on.credential.kind} up by`);
  return {
    finding: {
      provider: 'vault',
      account,
      providerTime: at,
      ours: open,
      canary: false,
      live: open,
      possession: open,
      privilege: 'unknown',
      graph: { nodes: [], edges: [] },
      descendants: [],
      misuse: open,
      sessions: { maxLifeSeconds: 0 },
      logs: [],
      secretsRead: [],
      seen: [],
      swept: open,
      requestIds: vault.requestIds,
    },
    befores: {},
    evidence: {},
  };
}

async function tokenStanding(
  vault: Vault,
  account: string,
  ref: CredentialRef,
  secret: Secret | undefined,
  remembered: Remembered,
): Promise<Standing> {
  const { sha256 } = ref.locator;
  const accessor = ref.locator.accessor ?? (sha256 === undefined ? undefined : remembered.get(sha256));
  const { at } = await serverTime(vault);
  // A sealed text that is another than the one that was reported says nothing of this one.
  const fits = secret !== undefined && (sha256 === undefined || hashOfToken(secret) === sha256);
  const bySecret = fits ? await lookUpToken(vault, secret) : undefined;
  const row = bySecret ?? (accessor === undefined || accessor === '' ? undefined : await lookUpAccessor(vault, accessor));
  const known = fits || accessor !== undefined;
  if (sha256 !== undefined && fits && bySecret?.accessor) {
    if (remembered.size > 10_000) remembered.clear();
    remembered.set(sha256, bySecret.accessor);
  }
  const isIt = bySecret !== undefined && (accessor === undefined || bySecret.accessor === accessor);
  const request = `request ${vault.requestIds.at(-1) ?? 'unknown'}`;
  const possession =
    secret === undefined
      ? unknown(at, 'engine', 'no secret was at hand')
      : !fits
        ? no(at, 'engine', 'the sealed text is not the token that was reported')
        : bySecret === undefined
          ? unknown(at, 'administrator', 'the server knows no such token, now')
          : isIt
            ? yes(at, 'administrator', `the server knows the token; ${request}`)
            : no(at, 'administrator', `the sealed token has another accessor; ${request}`);
  if (!known) {
    const open = unknown(
      at,
      'engine',
      'a hash alone tells neither token nor accessor: the token has to be sealed to us, or its accessor named',
    );
    return { live: open, possession, ours: open, locator: ref.locator, befores: {}, evidence: {} };
  }
  if (row === undefined) {
    return {
      live: no(at, 'administrator', `there is no such token, in the server’s own words; ${request}`),
      possession,
      ours: unknown(at, 'administrator', 'a token that is gone is nobody’s'),
      locator: { ...ref.locator, ...(accessor ? { accessor } : {}) },
      // What it made before it was gone can still be told by the log.
      root: {
        ...(accessor ? { accessor } : {}),
        ...(fits && secret ? { token: secret } : {}),
      },
      befores: accessor ? { [stepKey('vault/revoke-token', { account, accessor })]: { found: false } } : {},
      evidence: {},
    };
  }
  const entity = row.entity === undefined ? undefined : await readEntity(vault, row.entity);
  const words = row.accessor === '' ? 'the batch token is accepted' : `the token of accessor ${row.accessor} is there`;
  const stopped = entity?.disabled ? ', and refused for as long as its entity is disabled' : '';
  const { meta: _, ...kept } = row;
  return {
    live:
      row.uses < 0
        ? unknown(at, 'administrator', `its last use is spent, and the server has not removed it yet; ${request}`)
        : yes(at, 'administrator', `${words}${stopped}; ${request}`),
    possession,
    ours: yes(at, 'administrator', `this server issued it, at ${row.path}`),
    locator: { ...ref.locator, ...(row.accessor === '' ? {} : { accessor: row.accessor }) },
    row,
    ...(entity ? { entity } : {}),
    issuedAt: row.issuedAt,
    ...(row.expiresAt ? { expiresAt: row.expiresAt } : {}),
    status: statusOf(row),
    root: {
      ...(row.accessor === '' ? {} : { accessor: row.accessor }),
      ...(fits && secret ? { token: secret } : {}),
      issuedAt: row.issuedAt,
    },
    befores: {
      ...(row.accessor === '' ? {} : { [stepKey('vault/revoke-token', { account, accessor: row.accessor })]: beforeOf(row) }),
      ...beforeOfEntity(account, entity),
    },
    evidence: { token: { ...kept, metadata: Object.keys(row.meta) }, ...(entity ? { entity } : {}) },
  };
}

const beforeOf = ({ type, displayName, path, orphan, policies, entity, role, issuedAt, expiresAt, period }: TokenRow) => ({
  found: true,
  type,
  displayName,
  path,
  orphan,
  policies: [...policies],
  ...(entity ? { entity } : {}),
  ...(role ? { role } : {}),
  issuedAt,
  ...(expiresAt ? { expiresAt } : {}),
  period,
});

const beforeOfEntity = (account: string, entity: EntityRow | undefined) =>
  entity === undefined
    ? {}
    : { [stepKey('vault/disable-entity', { account, entity: entity.id })]: { found: true, disabled: entity.disabled } };

const roleIdSchema = z.object({ data: z.object({ role_id: z.string().min(1) }) });
const mountsSchema = z.object({ data: z.record(z.string(), z.unknown()) });
const aliasSchema = z.object({ data: z.object({ id: z.string().min(1) }) }).nullish();

/** The entity that a role's log-ins act as. It is told by the role's id, and there is none before the first of them. */
async function entityOfRole(vault: Vault, at: Pick<SecretIdPlace, 'mount' | 'appRole'>): Promise<EntityRow | undefined> {
  try {
    const role = await vault.look(
      { verb: 'read', call: 'read a role id', path: `auth/${at.mount}/role/${encodeURIComponent(at.appRole)}/role-id`, write: false },
      roleIdSchema,
    );
    const mounts = await vault.ask({ verb: 'read', call: 'list auth mounts', path: 'sys/auth', write: false }, mountsSchema);
    const mount = z.object({ accessor: z.string() }).safeParse(mounts.data[`${at.mount}/`]).data;
    if (role === undefined || mount === undefined) return undefined;
    const found = await vault.look(
      {
        verb: 'write',
        call: 'look up an entity by its alias',
        path: 'identity/lookup/entity',
        write: false,
        body: { alias_name: role.data.role_id, alias_mount_accessor: mount.accessor },
      },
      // Nothing there is answered with an empty body.
      z.union([z.literal('').transform(() => undefined), aliasSchema]),
    );
    return found ? await readEntity(vault, found.data.id) : undefined;
  } catch (error) {
    // Without the permission the role's entity is not known, and the tokens that are found say it themselves.
    if (codeOf(error) !== 'provider.denied') throw error;
    return undefined;
  }
}

async function secretIdStanding(vault: Vault, account: string, place: SecretIdPlace, secret: Secret | undefined): Promise<Standing> {
  membersOf({ account, ...place }, account, 'mount', 'appRole', 'accessor');
  const row = await lookUpSecretId(vault, place);
  const entity = await entityOfRole(vault, place);
  const { at } = await serverTime(vault);
  const key = stepKey('vault/destroy-secret-id', { account, ...place });
  const words = `secret id ${place.accessor} of role ${place.appRole}`;
  const root = {
    login: { mount: place.mount, role: place.appRole, ...(secret ? { secretId: secret } : {}) },
    ...(row ? { issuedAt: row.issuedAt } : {}),
  };
  return {
    live: row
      ? yes(
          at,
          'administrator',
          `${words} is there${entity?.disabled ? ', and its log-ins are refused for as long as the entity is disabled' : ''}`,
        )
      : no(at, 'administrator', `${words} is not there, in the server’s own words`),
    possession: unknown(at, 'engine', 'whether a sealed secret id is this one could only be told by logging in with it'),
    ours: row ? yes(at, 'administrator', `this server has it, in role ${place.appRole}`) : unknown(at, 'administrator', 'it is gone'),
    locator: { mount: place.mount, appRole: place.appRole, accessor: place.accessor },
    ...(entity ? { entity } : {}),
    ...(row ? { issuedAt: row.issuedAt, ...(row.expiresAt ? { expiresAt: row.expiresAt } : {}) } : {}),
    root,
    befores: {
      [key]: row
        ? {
            found: true,
            issuedAt: row.issuedAt,
            ...(row.expiresAt ? { expiresAt: row.expiresAt } : {}),
            uses: row.uses,
            cidrs: [...row.cidrs],
          }
        : { found: false },
      ...beforeOfEntity(account, entity),
    },
    evidence: {
      ...(row ? { secretId: { ...row, metadata: Object.keys(row.metadata) } } : {}),
      ...(entity ? { entity } : {}),
    },
  };
}

async function leaseStanding(vault: Vault, account: string, lease: string): Promise<Standing> {
  membersOf({ account, lease }, account, 'lease');
  const row = await lookUpLease(vault, lease);
  const { at } = await serverTime(vault);
  const key = stepKey('vault/revoke-lease', { account, lease });
  return {
    live: row
      ? yes(at, 'administrator', row.stuck ? 'it is irrevocable, and the account at its origin stands' : 'the lease is there')
      : no(at, 'administrator', 'there is no such lease, in the server’s own words'),
    possession: unknown(at, 'engine', 'what a lease stands for can only be tried at its origin'),
    ours: row ? yes(at, 'administrator', 'this server issued it') : unknown(at, 'administrator', 'it is gone'),
    locator: { lease },
    ...(row?.issuedAt ? { issuedAt: row.issuedAt } : {}),
    ...(row?.expiresAt ? { expiresAt: row.expiresAt } : {}),
    ...(row?.stuck ? { status: 'irrevocable' } : {}),
    befores: {
      [key]: row
        ? {
            found: true,
            ...(row.issuedAt ? { issuedAt: row.issuedAt } : {}),
            ...(row.expiresAt ? { expiresAt: row.expiresAt } : {}),
            stuck: row.stuck,
          }
        : { found: false },
    },
    evidence: row ? { lease: row } : {},
  };
}

interface Policies {
  readonly privilege: ProviderFinding['privilege'];
  readonly texts: Readonly<Record<string, string>>;
  readonly unread: readonly string[];
}

const policySchema = z.object({ data: z.object({ policy: z.string() }) });
/** What lets its holder give itself or others more. Read from the text: a policy's own language is not evaluated here, so that this only ever says more than there is. */
const elevating =
  /"(sys\/|identity\/|auth\/token\/(create|roles)|auth\/[^"]*\/(role|users|map|config|certs|groups)|\*|\+\/\*|[^"]*\/config)|\bsudo\b/;

async function policiesOf(vault: Vault, row: TokenRow, entity: EntityRow | undefined): Promise<Policies> {
  const names = [...new Set([...row.policies, ...(entity?.policies ?? [])])];
  const texts: Record<string, string> = {};
  const unread: string[] = [];
  for (const name of names) {
    if (name === 'root' || name === 'default') continue;
    try {
      const found = await vault.look(
        { verb: 'read', call: 'read a policy', path: `sys/policies/acl/${encodeURIComponent(name)}`, write: false },
        policySchema,
      );
      if (found) texts[name] = found.data.policy;
    } catch (error) {
      if (codeOf(error) !== 'provider.denied') throw error;
      unread.push(name);
    }
  }
  const privilege = names.includes('root')
    ? 'administrator'
    : Object.values(texts).some((text) => elevating.test(text))
      ? 'elevated'
      : unread.length > 0
        ? 'unknown'
        : 'ordinary';
  return { privilege, texts, unread };
}

/** Consumers whose store holds a credential of the principal; all that are declared, where no store names it. */
function consumersOf(on: Look, principal: string | undefined): readonly Consumer[] {
  const stores = new Set(on.inventory.stores.filter((store) => store.principal === principal).map((store) => store.id));
  const own = on.inventory.consumers.filter((consumer) => stores.has(consumer.store));
  return own.length > 0 ? own : on.inventory.consumers;
}

async function tell(
  vault: Vault,
  account: string,
  on: Look,
  standing: Standing,
  walked: Walk | undefined,
  policies: Policies | undefined,
): Promise<Looked> {
  const { at } = await serverTime(vault);
  const id = nodeId(on.credential);
  const tokensEntity = walked?.nodes.find((node) => node.credential?.principal !== undefined)?.credential?.principal;
  const principal =
    (standing.row?.entity ?? standing.entity?.id)
      ? principalOf(standing.row?.entity ?? standing.entity?.id ?? '')
      : on.credential.kind === 'vault.approle-secret-id'
        ? tokensEntity
        : undefined;
  const provenance: Provenance = {
    source: 'openbao',
    at,
    confidence: 'certain',
    evidence: `request ${vault.requestIds.at(-1) ?? 'unknown'}`,
  };
  const nodes: GraphNode[] = [
    {
      id,
      type: 'credential',
      title: `leaked ${on.credential.kind.replace(/^vault\./, '')}`,
      credential: {
        kind: on.credential.kind,
        locator: standing.locator,
        ...(principal ? { principal } : {}),
        ...(standing.issuedAt ? { issuedAt: standing.issuedAt } : {}),
        ...(standing.expiresAt ? { expiresAt: standing.expiresAt } : {}),
        live: standing.live,
        ...(standing.status ? { status: standing.status } : {}),
      },
      provenance,
    },
  ];
  const edges: GraphEdge[] = [];
  if (principal) {
    nodes.push({ id: principal, type: 'principal', title: standing.entity?.name ?? principal, provenance });
    edges.push({ from: id, to: principal, kind: 'acts-as', provenance });
  }
  const graph = mergeGraphs({ nodes: walked?.nodes ?? [], edges: walked?.edges ?? [] }, { nodes, edges });

  const consumers = consumersOf(on, principal);
  const since = Date.parse(on.since ?? '');
  const calls = (walked?.calls ?? []).filter((call) => Number.isNaN(since) || Date.parse(call.at) >= since);
  const isSeen = (consumer: Consumer, address: string) =>
    consumer.seenAs.sourceAddress !== undefined && consumer.seenAs.sourceAddress === address;
  const unexplained = calls.filter((call) => !consumers.some((consumer) => isSeen(consumer, call.address)));
  const seen = consumers.flatMap((consumer) => {
    const last = (walked?.calls ?? []).findLast((call) => isSeen(consumer, call.address));
    return last ? [{ consumer: consumer.id, credential: last.node, lastAt: new Date(last.at).toISOString() }] : [];
  });
  const derived = below(id, graph.edges);
  const passed: Observation & Partial<Pick<LogReach['passed'], 'until' | 'marker'>> = !walked
    ? unknown(at, 'log', 'it was not read')
    : walked.passed
      ? {
          ...yes(walked.passed.seenAt, 'log', `it holds our own call of ${walked.passed.at}; request ${walked.passed.requestId}`),
          until: walked.passed.at,
          marker: walked.passed,
        }
      : unknown(at, 'log', walked.gaps[0] ?? 'it was not read');
  const finding: ProviderFinding = {
    provider: 'vault',
    account,
    providerTime: at,
    ours: standing.ours,
    canary: false,
    live: standing.live,
    possession: standing.possession,
    ...(principal ? { principal } : {}),
    privilege: policies?.privilege ?? 'unknown',
    graph,
    descendants: [...derived].filter((each) => {
      const credential = graph.nodes.find((node) => node.id === each)?.credential;
      return credential !== undefined && credential.live.state !== 'no';
    }),
    misuse: misuseOf(at, on, walked, consumers, calls.length, unexplained),
    sessions: { maxLifeSeconds: 0 },
    logs: [{ source: 'audit device (file)', from: walked?.from ?? at, passed, blind }],
    secretsRead: [...new Set(unexplained.flatMap((call) => (call.read === undefined ? [] : [call.read])))],
    seen,
    swept: sweptOf(at, on, walked, standing),
    requestIds: vault.requestIds.slice(-200),
  };
  return {
    finding,
    befores: standing.befores,
    evidence: {
      ...standing.evidence,
      ...(policies ? { policies: policies.texts, ...(policies.unread.length > 0 ? { unread: policies.unread } : {}) } : {}),
      ...(walked
        ? {
            tokensLookedAt: walked.swept.rows.length,
            callsRead: walked.callCount,
            unexplained: unexplained.slice(0, 200),
            ...(walked.gaps.length > 0 ? { gaps: walked.gaps } : {}),
          }
        : {}),
    },
  };
}

function misuseOf(
  at: string,
  on: Look,
  walked: Walk | undefined,
  consumers: readonly Consumer[],
  all: number,
  unexplained: Walk['calls'],
): Observation {
  if (!walked) return unknown(at, 'log', 'the log was not read');
  const first = unexplained[0];
  if (first) {
    const words = `${unexplained.length} of ${all} calls are of no declared consumer, the first ${first.operation} ${first.path} at ${first.at} from ${first.address}; request ${first.requestId}`;
    // Without a moment that somebody vouches for, what was called before the leak cannot be told from what was called after it.
    if (on.since === undefined) return unknown(at, 'log', `when it leaked is not known: ${words}`);
    if (consumers.length === 0) return unknown(at, 'log', `no consumer is declared: ${words}`);
    const unmarked = consumers.filter((consumer) => consumer.seenAs.sourceAddress === undefined);
    if (unmarked.length > 0)
      return unknown(at, 'log', `${unmarked.map((each) => each.name).join(', ')} cannot be told apart in the log: ${words}`);
    return yes(at, 'log', words);
  }
  if (walked.gaps.length > 0) return unknown(at, 'log', `not all was read: ${walked.gaps.join('; ')}`);
  return no(at, 'log', `all ${all} calls are of declared consumers, as far as the log reaches`);
}

function sweptOf(at: string, on: Look, walked: Walk | undefined, standing: Standing): Observation {
  if (on.credential.kind === 'vault.lease') {
    if (on.containedAt === undefined) return unknown(at, 'administrator', 'nothing has been contained yet');
    return unknown(at, 'administrator', 'what was done at the origin with what the lease stands for is in no log of this server');
  }
  if (!standing.root) return unknown(at, 'log', 'nothing is known that could be followed');
  if (!walked) return unknown(at, 'log', 'the log was not read');
  if (walked.gaps.length > 0) return unknown(at, 'log', walked.gaps.join('; '));
  if (on.containedAt === undefined) return unknown(at, 'log', 'nothing has been contained yet that the log should have passed');
  if (!walked.passed || !(Date.parse(walked.passed.at) >= Date.parse(on.containedAt)))
    return unknown(at, 'log', `the log is not known to have passed ${on.containedAt}`);
  return yes(at, 'log', `the audit log has passed ${on.containedAt}, and all ${walked.swept.rows.length} tokens were looked at after that`);
}

/** Everything that derives from a node, however far down. */
function below(root: string, edges: readonly GraphEdge[]): ReadonlySet<string> {
  const found = new Set<string>();
  const queue = [root];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (const edge of edges) {
      if (edge.kind !== 'derives' || edge.from !== id || edge.to === root || found.has(edge.to)) continue;
      found.add(edge.to);
      queue.push(edge.to);
    }
  }
  return found;
}
