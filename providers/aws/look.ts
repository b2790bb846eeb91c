import type { LogReach, ProviderFinding } from '../../domain/assessment.ts';
import { readAwsKeyId } from '../../domain/aws-key-id.ts';
import { type CredentialNode, type GraphEdge, type GraphNode, mergeGraphs, nodeId, type Provenance } from '../../domain/credential.ts';
import { codeOf } from '../../domain/errors.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import { stepKey } from '../../domain/plan.ts';
import type { Look, Looked } from '../contract.ts';
import { type AwsAccount, type KeyRow, readKeys, readLastUsed, type Tried, tryPair } from './account.ts';
import { agentWord, type Calls } from './api.ts';
import { rowBefore } from './class-actions.ts';
import { classes, type Held, readHeld } from './classes.ts';
import { consumersOf, isSeenAs, isUnmarked } from './consumers.ts';
import { graphOf, kept, keyLiveness, logged, secretsReadBy, userInLog, type Walk, walk } from './descendants.ts';
import { keyBefore } from './disable-key.ts';
import type { LogEvent } from './log.ts';
import { manifest } from './manifest.ts';
import { madeIn } from './mint-key.ts';
import { cutOffPolicy, fencePolicy, holdPolicy, longestSessionSeconds } from './policies.ts';
import { type Privilege, readPrivilege } from './privilege.ts';
import { isOwnProbe, readTime } from './watching.ts';

export interface LookSettings {
  /** Accounts whose keys are bait; nothing in them is ever asked. */
  readonly canaries: readonly string[];
  /** How long to wait before a refused signature is tried once more, in milliseconds. */
  readonly signatureRetryMs: number;
}

const keysOfUser = 2;
const reachMs = 90 * 86_400_000;
const blind = manifest.logs[0]?.blind ?? [];

/**
 * Looks at a key and all that hangs on it, and changes nothing. The order is that of evidence: what a look itself would overwrite, the key's last use, is read first.
 * Nothing is asked about a key of another account or a known bait: asking is what its owner would notice.
 */
export async function look(account: AwsAccount, settings: LookSettings, on: Look): Promise<Looked> {
  const accessKeyId = on.credential.locator['accessKeyId'] ?? '';
  const key = readAwsKeyId(accessKeyId);
  const now = new Date().toISOString();
  if (!key) return strange(account, on, unknown(now, 'engine', 'this is no access key id'), false);
  const canary = key.canary || (key.account !== undefined && settings.canaries.includes(key.account));
  if (canary) return strange(account, on, no(now, 'engine', `the key belongs to account ${key.account ?? '?'}, which sells bait`), true);
  if (key.account !== undefined && key.account !== account.accountId) {
    return strange(account, on, no(now, 'engine', `the key id says account ${key.account}`), false);
  }
  const calls = account.api.calls(agentWord('look'), on.signal);
  // Who we are is wanted by the first step that follows; asked now, it costs that step nothing. Where it fails, the step asks again.
  account.identity().catch(() => undefined);
  return await new Looking(account, settings, on, accessKeyId, calls).run();
}

/** A finding about what is not ours to ask about. */
function strange(account: AwsAccount, on: Look, ours: Observation, canary: boolean): Looked {
  const { at } = ours;
  const notAsked = unknown(at, 'engine', 'nothing was asked: it is not known to be of this account');
  return {
    finding: {
      provider: 'aws',
      account: account.accountId,
      providerTime: at,
      ours,
      canary,
      live: notAsked,
      possession: notAsked,
      privilege: 'unknown',
      graph: {
        nodes: [
          {
            id: nodeId(on.credential),
            type: 'credential',
            title: on.credential.locator['accessKeyId'] ?? on.credential.kind,
            credential: { ...on.credential, live: notAsked },
            provenance: { source: 'key id', at, confidence: 'certain', evidence: ours.state === 'unknown' ? ours.why : ours.evidence },
          },
        ],
        edges: [],
      },
      descendants: [],
      misuse: notAsked,
      sessions: { maxLifeSeconds: 0 },
      logs: [],
      secretsRead: [],
      seen: [],
      swept: notAsked,
      requestIds: [],
    },
    befores: {},
    evidence: {},
  };
}

/** What an administrator can read of a user at once. */
interface Standing {
  readonly user: string | undefined;
  readonly rows: readonly KeyRow[] | undefined;
  readonly privilege: Privilege | undefined;
  readonly lastUsed: Awaited<ReturnType<typeof readLastUsed>>;
  /** The user's other classes of credentials; undefined where the user is not known. */
  readonly held?: Held | undefined;
  /** Why last use and user could not be read. */
  readonly refused?: string;
}

class Looking {
  readonly #account: AwsAccount;
  readonly #settings: LookSettings;
  readonly #on: Look;
  readonly #id: string;
  readonly #calls: Calls;
  constructor(account: AwsAccount, settings: LookSettings, on: Look, id: string, calls: Calls) {
    this.#account = account;
    this.#settings = settings;
    this.#on = on;
    this.#id = id;
    this.#calls = calls;
  }

  async run(): Promise<Looked> {
    const on = this.#on;
    const full = on.depth === 'full';
    const session = on.credential.kind === 'aws.session';
    const { standing, tried } = session ? { standing: await this.#withoutUser(), tried: undefined } : await this.#administrative(full);
    const passed = full && on.containedAt ? await this.#account.log.passed(this.#calls, Date.parse(on.containedAt), on) : undefined;
    const from = this.#from();
    const walked = full
      ? await walk(this.#account, this.#calls, {
          root: this.#id,
          principal: standing.user ? this.#account.userArn(standing.user) : undefined,
          from,
          waiting: on,
        })
      : undefined;
    const user = standing.user ?? (walked ? userInLog(walked.calls.get(this.#id) ?? []) : undefined);
    // Read again after the waits of a full look, so that what the sweep says is of after the log and not of before it.
    const [rows, held, settled] =
      full && user ? await this.#settledRows(user, standing) : [standing.rows, standing.held, new Set<string>()];
    return await this.#tell({ ...standing, user, rows, held }, tried, passed, walked, from, settled);
  }

  async #withoutUser(): Promise<Standing> {
    await readTime(this.#calls);
    return { user: undefined, rows: undefined, privilege: undefined, lastUsed: undefined };
  }

  /** ORDER: last use first, since the probe overwrites it; it also says whose key it is. Then everything else at once, the probe included. */
  async #administrative(full: boolean): Promise<{ readonly standing: Standing; readonly tried: Tried | undefined }> {
    const calls = this.#calls;
    const probe = () => (this.#on.secret ? this.#probe(this.#on.secret) : undefined);
    const nothing = { user: undefined, rows: undefined, privilege: undefined };
    let lastUsed: Standing['lastUsed'];
    try {
      lastUsed = await readLastUsed(calls, this.#id);
    } catch (error) {
      if (codeOf(error) !== 'provider.denied') throw error;
      const refused = 'AWS refuses to say whose key it is';
      return { standing: { ...nothing, lastUsed: undefined, refused }, tried: await probe() };
    }
    const user = lastUsed?.user || undefined;
    if (!user) return { standing: { ...nothing, lastUsed }, tried: await probe() };
    const [rows, held, privilege, tried] = await Promise.all([
      readKeys(calls, user),
      readHeld(calls, user),
      readPrivilege(calls, user, full),
      probe(),
    ]);
    return { standing: { user, rows, held, privilege, lastUsed }, tried };
  }

  /**
   * The one active probe. Two calls within five seconds that sign one key id with different secrets have been seen to be refused for the second one's signature though it
   * was good, so that a refused signature is tried once more after that time.
   */
  async #probe(secret: NonNullable<Look['secret']>): Promise<Tried> {
    const first = await tryPair(this.#account, this.#id, secret, this.#on.signal);
    if (first.answer !== 'wrong-secret') return first;
    await this.#on.sleep(this.#settings.signatureRetryMs);
    return await tryPair(this.#account, this.#id, secret, this.#on.signal);
  }

  /** From when the log is read: a minute before the exposure began, or as far back as it reaches. */
  #from(): number {
    const since = this.#on.since === undefined ? Number.NaN : Date.parse(this.#on.since);
    const reach = this.#calls.now - reachMs;
    return Number.isNaN(since) ? reach : Math.max(reach, since - 60_000);
  }

  /** The listings as of now, and the credentials that have been off or gone for at least the propagation time. */
  async #settledRows(user: string, standing: Standing): Promise<readonly [readonly KeyRow[] | undefined, Held, ReadonlySet<string>]> {
    const calls = this.#calls;
    const contained = this.#on.containedAt === undefined ? Number.NaN : Date.parse(this.#on.containedAt);
    const [first, firstHeld] = await Promise.all([standing.rows ?? readKeys(calls, user), standing.held ?? readHeld(calls, user)]);
    const isOff = (rows: readonly KeyRow[] | undefined, id: string) => rows?.find((row) => row.accessKeyId === id)?.status !== 'Active';
    // `containedAt` is when the last containment was seen to be in effect; without one, wait the time out where it matters.
    const ids = new Set([this.#id, ...(first ?? []).map((row) => row.accessKeyId)]);
    const offIn = (held: Held) => [...held.rows.values()].flat().flatMap((row) => (row.status === 'Inactive' ? [row.id] : []));
    const maybe = [...ids].some((id) => isOff(first, id)) || offIn(firstHeld).length > 0;
    if (Number.isNaN(contained) && maybe) await this.#on.sleep(this.#on.timing.propagationMs);
    const [rows, held] = await Promise.all([readKeys(calls, user), readHeld(calls, user)]);
    const off = new Set<string>();
    for (const id of ids) if (isOff(first, id) && isOff(rows, id)) off.add(id);
    const before = new Set(offIn(firstHeld));
    for (const id of offIn(held)) if (before.has(id)) off.add(id);
    return [rows, held, off];
  }

  async #tell(
    standing: Standing,
    tried: Tried | undefined,
    passed: Awaited<ReturnType<AwsAccount['log']['passed']>> | undefined,
    walked: Walk | undefined,
    from: number,
    settled: ReadonlySet<string>,
  ): Promise<Looked> {
    const on = this.#on;
    const calls = this.#calls;
    const account = this.#account;
    const { user, rows, privilege, lastUsed } = standing;
    const at = calls.at;
    const principal = user === undefined ? undefined : account.userArn(user);
    const live = this.#liveness(standing, tried, settled, walked);
    const rootId = nodeId(on.credential);
    const own = rows?.find((row) => row.accessKeyId === this.#id);

    const oursIds = new Set(on.ours.map((each) => each['accessKeyId']).filter((id) => id !== undefined));
    // What another incident has made to replace what leaked there is no thief's either.
    for (const row of rows ?? []) if (!oursIds.has(row.accessKeyId) && (await on.made?.(row.accessKeyId))) oursIds.add(row.accessKeyId);
    const derived = walked ? await graphOf(calls, this.#id, walked) : { nodes: [], edges: [] };
    const listed = this.#listed(standing, live, settled, oursIds, walked);
    const makers = walked && rows ? await this.#makers(rows, walked, oursIds, from) : { nodes: [], edges: [], events: [] };
    // Keys of the user are in the listing with their status; what the log adds to them is how they came about.
    const graph = mergeGraphs(makers, derived, withLog(listed, derived.nodes));

    const consumers = consumersOf(on.inventory, principal);
    const callsOf = new Map(walked?.calls ?? []);
    const seen: ProviderFinding['seen'][number][] = [];
    if (walked) {
      for (const id of oursIds) callsOf.set(id, (await account.log.newestCallsWith(calls, id, from, on)).events);
      for (const consumer of consumers) {
        let last: { credential: string; lastAt: string } | undefined;
        for (const [id, events] of callsOf) {
          for (const event of events) {
            if (!isSeenAs(consumer, event) || (last && last.lastAt >= event.at)) continue;
            last = { credential: nodeOf(graph.nodes, id), lastAt: event.at };
          }
        }
        if (last) seen.push({ consumer: consumer.id, ...last });
      }
    }

    const strangers = walked ? this.#strangers(walked, consumers, from) : undefined;
    const misuse = this.#misuse(strangers, consumers, walked);
    const swept = this.#swept(passed, walked, standing.held);
    const descendants = below(rootId, graph.edges).filter((id) => {
      const credential = graph.nodes.find((node) => node.id === id)?.credential;
      return credential !== undefined && credential.live.state !== 'no';
    });

    const finding: ProviderFinding = {
      provider: 'aws',
      account: account.accountId,
      providerTime: at,
      ours: this.#ours(standing),
      canary: false,
      live,
      possession: possessionOf(tried, at),
      ...(principal ? { principal } : {}),
      privilege: privilege?.privilege ?? 'unknown',
      graph,
      descendants,
      ...(oursIds.size > 0 ? { made: [...oursIds].map((id) => nodeOf(graph.nodes, id)).filter((id) => id !== rootId) } : {}),
      misuse,
      // GetSessionToken needs no permission and no policy denies it, so that whoever holds a key holds sessions of up to 36 hours.
      sessions: { maxLifeSeconds: longestSessionSeconds },
      logs: account.log.regions.map((region): LogReach => {
        const reach =
          passed?.get(region) ?? unknown(at, 'log', walked ? 'nothing was contained that it should have passed' : 'it was not read');
        return { source: `cloudtrail ${region}`, region, from: new Date(from).toISOString(), passed: reach, blind };
      }),
      secretsRead: strangers ? secretsReadBy(strangers.unexplained) : [],
      ...(rows ? { slots: { used: rows.length, limit: keysOfUser } } : {}),
      swept,
      seen,
      requestIds: [...calls.requestIds, ...(tried?.requestId ? [tried.requestId] : [])],
    };

    const evidence: Record<string, unknown> = {
      key: { accessKeyId: this.#id, ...(own ? { status: own.status, createdAt: own.createdAt } : {}), ...(lastUsed ? { lastUsed } : {}) },
      ...(rows ? { keys: rows } : {}),
      ...(standing.held
        ? {
            otherCredentials: {
              ...Object.fromEntries(standing.held.rows),
              loginProfile:
                standing.held.profile ?? (standing.held.unread.some((each) => each.startsWith('login profile')) ? 'not read' : 'none'),
              multiFactorDevices: standing.held.devices ?? 'not read',
              ...(standing.held.unread.length > 0 ? { unread: standing.held.unread } : {}),
            },
          }
        : {}),
      ...(privilege
        ? {
            policies: { inline: privilege.inline, attached: privilege.attached, groups: privilege.groups },
            ...(privilege.unread.length > 0 ? { unread: privilege.unread } : {}),
            ...(privilege.quarantined ? { quarantined: 'AWS has attached its quarantine policy: it has seen the key in public' } : {}),
          }
        : {}),
      ...(tried ? { probe: tried } : {}),
      ...(walked
        ? {
            minting: kept(
              walked.made.map((child) => child.event),
              200,
            ),
            unexplained: kept(strangers?.unexplained ?? [], 200),
            callsRead: Object.fromEntries([...walked.calls].map(([id, events]) => [id, events.length])),
            ...(walked.gaps.length > 0 ? { gaps: walked.gaps } : {}),
            ...(makers.events.length > 0 ? { makers: kept(makers.events, 50) } : {}),
          }
        : {}),
    };
    return { finding, befores: this.#befores(standing), evidence };
  }

  #ours(standing: Standing): Observation {
    const at = this.#calls.at;
    if (standing.user !== undefined) return yes(at, 'administrator', `the key is of user ${standing.user}`);
    const key = readAwsKeyId(this.#id);
    if (key?.account === this.#account.accountId) return yes(at, 'engine', `the key id says account ${key.account}`);
    return unknown(at, 'engine', 'the key id is of the old form, which does not say the account');
  }

  /** The administrator's word and the probe's, where they agree; where they do not, that is what is said. */
  #liveness(standing: Standing, tried: Tried | undefined, settled: ReadonlySet<string>, walked: Walk | undefined): Observation {
    const calls = this.#calls;
    if (this.#on.credential.kind === 'aws.session') {
      return unknown(
        calls.at,
        'log',
        walked ? 'a session has no status that could be read' : 'a session has no status, and its log was not read',
      );
    }
    if (tried?.answer === 'accepted') return yes(tried.at, 'probe', tried.words);
    if (tried?.answer === 'wrong-secret') return yes(tried.at, 'probe', `the key id is accepted and the secret is not: ${tried.words}`);
    if (standing.refused) return unknown(calls.at, 'administrator', standing.refused);
    const status = standing.rows?.find((row) => row.accessKeyId === this.#id)?.status ?? 'absent';
    if (tried?.answer === 'refused') {
      if (status !== 'Active') return no(tried.at, 'probe', `${tried.words}; its status is ${status}`);
      return unknown(tried.at, 'probe', `its status is Active, and yet ${tried.words}`);
    }
    return keyLiveness(calls, this.#id, status, settled.has(this.#id));
  }

  /** The user, and its keys as they are listed. A key that came after the leak began and that nobody has accounted for is `suspected`. */
  #listed(
    standing: Standing,
    live: Observation,
    settled: ReadonlySet<string>,
    ours: ReadonlySet<string>,
    walked: Walk | undefined,
  ): { readonly nodes: readonly GraphNode[]; readonly edges: readonly GraphEdge[] } {
    const calls = this.#calls;
    const { user, rows, lastUsed } = standing;
    const at = calls.at;
    const principal = user === undefined ? undefined : this.#account.userArn(user);
    const says = (evidence: string, confidence: Provenance['confidence'] = 'certain'): Provenance => ({
      source: 'iam',
      at,
      confidence,
      evidence: `${evidence}; request ${calls.requestIds.at(-1) ?? 'unknown'}`,
    });
    const nodes: GraphNode[] = [];
    const edges: GraphEdge[] = [];
    const since = this.#on.since === undefined ? Number.NaN : Date.parse(this.#on.since);
    const add = (id: string, credential: CredentialNode, provenance: Provenance, title: string) => {
      nodes.push({ id, type: 'credential', title, credential, provenance });
      if (principal) edges.push({ from: id, to: principal, kind: 'acts-as', provenance });
    };
    const own = rows?.find((row) => row.accessKeyId === this.#id);
    const { at: usedAt, service, region } = lastUsed ?? {};
    add(
      nodeId(this.#on.credential),
      {
        ...this.#on.credential,
        ...(principal ? { principal } : {}),
        ...(own ? { issuedAt: own.createdAt } : {}),
        live,
        ...(rows ? { status: own?.status ?? 'absent' } : {}),
        ...(usedAt ? { lastUsed: { at: usedAt, ...(service ? { service } : {}), ...(region ? { region } : {}) } } : {}),
      },
      says('the leaked key'),
      `leaked key ${this.#id}`,
    );
    if (principal)
      nodes.push({ id: principal, type: 'principal', title: `user ${user}`, provenance: says('GetAccessKeyLastUsed names the user') });
    for (const row of rows ?? []) {
      if (row.accessKeyId === this.#id) continue;
      const late = !Number.isNaN(since) && Date.parse(row.createdAt) >= since && !ours.has(row.accessKeyId);
      const words = ours.has(row.accessKeyId)
        ? 'a key of our own making'
        : late
          ? `a key made at ${row.createdAt}, after the leak began${walked ? '' : ', before the log was read'}`
          : 'another key of the same user';
      add(
        `aws.access-key:${row.accessKeyId}`,
        {
          kind: 'aws.access-key',
          locator: { accessKeyId: row.accessKeyId },
          ...(principal ? { principal } : {}),
          issuedAt: row.createdAt,
          live: keyLiveness(calls, row.accessKeyId, row.status, settled.has(row.accessKeyId)),
          status: row.status,
        },
        says(words, late ? 'suspected' : 'certain'),
        `key ${row.accessKeyId}`,
      );
    }
    if (standing.held && user !== undefined) {
      const words = (createdAt: string, what: string): readonly [string, Provenance['confidence']] =>
        !Number.isNaN(since) && Date.parse(createdAt) >= since
          ? [`a ${what} made at ${createdAt}, after the leak began${walked ? '' : ', before the log was read'}`, 'suspected']
          : [`a ${what} of the same user`, 'certain'];
      for (const { kind, member, noun } of classes) {
        for (const row of standing.held.rows.get(kind) ?? []) {
          add(
            nodeId({ kind, locator: { [member]: row.id } }),
            {
              kind,
              locator: { [member]: row.id },
              ...(principal ? { principal } : {}),
              issuedAt: row.createdAt,
              ...(row.expiresAt ? { expiresAt: row.expiresAt } : {}),
              live: keyLiveness(calls, row.id, row.status, settled.has(row.id)),
              status: row.status,
            },
            says(...words(row.createdAt, noun)),
            `${noun} ${row.id}${row.service ? ` for ${row.service}` : ''}`,
          );
        }
      }
      const { profile } = standing.held;
      if (profile) {
        add(
          nodeId({ kind: 'aws.login-profile', locator: { user } }),
          {
            kind: 'aws.login-profile',
            locator: { user },
            ...(principal ? { principal } : {}),
            issuedAt: profile.createdAt,
            live: keyLiveness(calls, `the login profile of ${user}`, 'Active', false),
            status: 'Active',
          },
          says(...words(profile.createdAt, 'console password')),
          `login profile of ${user}`,
        );
      }
    }
    return { nodes, edges };
  }

  /** Who made the user's other keys that came after the leak began, where the walk did not meet their making. */
  async #makers(
    rows: readonly KeyRow[],
    walked: Walk,
    ours: ReadonlySet<string>,
    from: number,
  ): Promise<{ readonly nodes: readonly GraphNode[]; readonly edges: readonly GraphEdge[]; readonly events: readonly LogEvent[] }> {
    const derived = new Set(walked.made.map((child) => child.id));
    const open = rows.filter(
      (row) =>
        row.accessKeyId !== this.#id && !ours.has(row.accessKeyId) && !derived.has(row.accessKeyId) && Date.parse(row.createdAt) >= from,
    );
    if (open.length === 0) return { nodes: [], edges: [], events: [] };
    const wanted = new Set(open.map((row) => row.accessKeyId));
    const found = await this.#account.log.find(
      this.#calls,
      this.#account.log.globalRegion,
      { key: 'EventName', value: 'CreateAccessKey', from, mostPages: 20 },
      this.#on,
    );
    const nodes: GraphNode[] = [];
    const edges: GraphEdge[] = [];
    const events = found.events.filter((event) => wanted.has(madeIn(event) ?? ''));
    for (const event of events) {
      const maker = event.by.accessKeyId;
      if (maker === undefined) continue;
      // Another credential than the leak's made it; that is shown, and whose it is remains to be judged.
      const provenance = logged(event, `CreateAccessKey by ${event.by.arn ?? maker}`);
      const id = `${maker.startsWith('ASIA') ? 'aws.session' : 'aws.access-key'}:${maker}`;
      nodes.push({
        id,
        type: 'credential',
        title: `key ${maker}`,
        credential: {
          kind: maker.startsWith('ASIA') ? 'aws.session' : 'aws.access-key',
          locator: { accessKeyId: maker },
          ...(event.by.arn ? { principal: event.by.arn } : {}),
          live: unknown(event.at, 'log', 'it was not looked at: it does not come from the leak'),
        },
        provenance,
      });
      edges.push({ from: id, to: `aws.access-key:${madeIn(event)}`, kind: 'derives', provenance });
    }
    return { nodes, edges, events };
  }

  /** Calls since the leak began that no declared consumer explains, our own probes apart. */
  #strangers(
    walked: Walk,
    consumers: ReturnType<typeof consumersOf>,
    from: number,
  ): { readonly unexplained: readonly LogEvent[]; readonly all: number } {
    const since = this.#on.since === undefined ? from : Math.max(from, Date.parse(this.#on.since));
    const events = [...walked.calls.values()].flat().filter((event) => Date.parse(event.at) >= since && !isOwnProbe(event));
    const unexplained = events.filter((event) => !consumers.some((consumer) => isSeenAs(consumer, event)));
    return { unexplained: unexplained.sort((a, b) => a.at.localeCompare(b.at)), all: events.length };
  }

  #misuse(
    strangers: { readonly unexplained: readonly LogEvent[]; readonly all: number } | undefined,
    consumers: ReturnType<typeof consumersOf>,
    walked: Walk | undefined,
  ): Observation {
    const at = this.#calls.at;
    if (!strangers || !walked) return unknown(at, 'log', 'the log was not read');
    const first = strangers.unexplained[0];
    if (first) {
      const words = `${strangers.unexplained.length} of ${strangers.all} calls are of no declared consumer, the first ${first.name} at ${first.at} from ${first.address}; event ${first.id}, request ${first.requestId}`;
      const unmarked = consumers.filter(isUnmarked);
      // Without a moment that somebody vouches for, what was called before the leak cannot be told from what was called after it.
      if (this.#on.since === undefined) return unknown(at, 'log', `when it leaked is not known: ${words}`);
      if (consumers.length === 0) return unknown(at, 'log', `no consumer is declared: ${words}`);
      if (unmarked.length > 0)
        return unknown(at, 'log', `${unmarked.map((each) => each.name).join(', ')} cannot be told apart in the log: ${words}`);
      return yes(at, 'log', words);
    }
    if (walked.gaps.length > 0)
      return unknown(at, 'log', `no call was seen that a consumer does not explain, and not all was read: ${walked.gaps.join('; ')}`);
    return no(at, 'log', `all ${strangers.all} calls are of declared consumers, as far as the log reaches`);
  }

  #swept(
    passed: Awaited<ReturnType<AwsAccount['log']['passed']>> | undefined,
    walked: Walk | undefined,
    held: Held | undefined,
  ): Observation {
    const at = this.#calls.at;
    if (!walked) return unknown(at, 'log', 'the log was not read');
    if (!passed) return unknown(at, 'log', 'nothing has been contained yet that the log should have passed');
    for (const reach of passed.values()) if (reach.state !== 'yes') return reach;
    if (walked.gaps.length > 0) return unknown(at, 'log', walked.gaps.join('; '));
    // A class that was not looked at may hold what the thief has left behind.
    if (held && held.unread.length > 0) return unknown(at, 'administrator', `not read: ${held.unread.join('; ')}`);
    return yes(at, 'log', `the log of every Region has passed ${this.#on.containedAt}`);
  }

  /** The before-states of all that containment of this user might do, so that no further look stands between the verdict and the first change. */
  #befores(standing: Standing): Record<string, unknown> {
    const { user, rows, privilege } = standing;
    if (user === undefined || rows === undefined) return {};
    const account = this.#account.accountId;
    const befores: Record<string, unknown> = {};
    for (const accessKeyId of new Set([this.#id, ...rows.map((row) => row.accessKeyId)])) {
      befores[stepKey('aws/disable-key', { account, user, accessKeyId })] = keyBefore(rows, accessKeyId);
    }
    for (const { kind, member, actions } of classes) {
      const others = standing.held?.rows.get(kind);
      for (const row of others ?? []) {
        befores[stepKey(`aws/${actions.disable}`, { account, user, [member]: row.id })] = rowBefore(others, row.id);
      }
    }
    if (!privilege || privilege.unread.includes('inline policies')) return befores;
    const policyBefore = (name: string) => {
      const document = privilege.inline[name];
      return document === undefined ? {} : { document };
    };
    befores[stepKey('aws/deny-principal', { account, user })] = policyBefore(holdPolicy);
    befores[stepKey('aws/fence-principal', { account, user })] = policyBefore(fencePolicy);
    befores[stepKey('aws/cut-off-sessions', { account, user })] = policyBefore(cutOffPolicy);
    return befores;
  }
}

function possessionOf(tried: Tried | undefined, at: string): Observation {
  if (!tried) return unknown(at, 'engine', 'no secret was tried');
  if (tried.answer === 'accepted') return yes(tried.at, 'probe', tried.words);
  if (tried.answer === 'wrong-secret') return no(tried.at, 'probe', tried.words);
  return unknown(tried.at, 'probe', tried.words);
}

function nodeOf(nodes: readonly GraphNode[], accessKeyId: string): string {
  const node = nodes.find((each) => each.credential?.locator['accessKeyId'] === accessKeyId);
  return node?.id ?? `${accessKeyId.startsWith('ASIA') ? 'aws.session' : 'aws.access-key'}:${accessKeyId}`;
}

/** The listing, with how each key came about where the log shows it. */
function withLog(
  listed: { readonly nodes: readonly GraphNode[]; readonly edges: readonly GraphEdge[] },
  logged: readonly GraphNode[],
): { readonly nodes: readonly GraphNode[]; readonly edges: readonly GraphEdge[] } {
  const made = new Map(logged.map((node) => [node.id, node]));
  const nodes = listed.nodes.map((node) => {
    const from = made.get(node.id);
    if (!node.credential || !from?.credential?.derivedVia) return node;
    return { ...node, credential: { ...node.credential, derivedVia: from.credential.derivedVia }, provenance: from.provenance };
  });
  return { nodes, edges: listed.edges };
}

/** Everything that derives from a node, however far down. */
function below(root: string, edges: readonly GraphEdge[]): readonly string[] {
  const found = new Set<string>();
  const queue = [root];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (const edge of edges) {
      if (edge.kind !== 'derives' || edge.from !== id || edge.to === root || found.has(edge.to)) continue;
      found.add(edge.to);
      queue.push(edge.to);
    }
  }
  return [...found];
}
