import type { GraphEdge, GraphNode, Provenance } from '../../domain/credential.ts';
import { type Observation, unknown } from '../../domain/observation.ts';
import { type AwsAccount, readKeys } from './account.ts';
import type { Calls } from './api.ts';
import { type CredentialClass, classes, readHeld } from './classes.ts';
import { type LogEvent, type Waiting, withoutSecrets } from './log.ts';
import { madeIn } from './mint-key.ts';

type MadeKind = 'aws.session' | 'aws.access-key' | CredentialClass['kind'] | 'aws.login-profile';

/** The member of a locator that names a credential of the kind. */
const locators = {
  'aws.session': 'accessKeyId',
  'aws.access-key': 'accessKeyId',
  ...(Object.fromEntries(classes.map(({ kind, member }) => [kind, member])) as Record<CredentialClass['kind'], string>),
  'aws.login-profile': 'user',
} satisfies Record<MadeKind, string>;

/** What a credential of the kind is called in a title. */
const nouns: Readonly<Record<MadeKind, string>> = {
  'aws.session': 'session',
  'aws.access-key': 'key',
  ...(Object.fromEntries(classes.map(({ kind, noun }) => [kind, noun])) as Record<CredentialClass['kind'], string>),
  'aws.login-profile': 'login profile of',
};

/** One credential that the log shows another one to have made. */
interface Made {
  readonly kind: MadeKind;
  readonly id: string;
  readonly by: string;
  readonly event: LogEvent;
  /** The ARN whose permissions it has. */
  readonly principal?: string;
  readonly user?: string;
  readonly expiresAt?: string;
  readonly confidence: Provenance['confidence'];
}

/** What a walk through the log found, from one key down. */
export interface Walk {
  /** Calls by the id of the credential that made them; the leaked one is among them. */
  readonly calls: ReadonlyMap<string, readonly LogEvent[]>;
  readonly made: readonly Made[];
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** Why the walk is not the whole of it; empty where it is. */
  readonly gaps: readonly string[];
}

/** A tree wider or deeper than this is looked at by a person. */
const mostCredentials = 400;
const mostDepth = 16;

type Members = Readonly<Record<string, unknown>>;
const membersOf = (value: unknown): Members | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined;
const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** Dates inside CloudTrail's answers are prose in UTC, `Nov 24, 2025, 1:02:03 PM`, in some services ISO 8601. */
export function dateIn(text: string): string | undefined {
  const ms = /[zZ]$|[+-]\d\d:?\d\d$/.test(text) ? Date.parse(text) : Date.parse(`${text} UTC`);
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

/** Where the log has the id of what the other calls made: the answer's member, its first letter small as CloudTrail writes them, and the member in it. */
const answers = [
  { kind: 'aws.service-specific-credential', result: 'serviceSpecificCredential', member: 'serviceSpecificCredentialId' },
  { kind: 'aws.signing-certificate', result: 'certificate', member: 'certificateId' },
  { kind: 'aws.ssh-key', result: 'sSHPublicKey', member: 'sSHPublicKeyId' },
  { kind: 'aws.login-profile', result: 'loginProfile', member: 'userName' },
] as const;

/**
 * What a call made, by its answer in the log. Every temporary credential stands as `credentials.accessKeyId`, whichever operation gave it. `principal` is whose
 * permissions a session has: the role's for AssumeRole and its kin, the calling user's for the others.
 */
export function madeBy(event: LogEvent, by: string, principalOf: (id: string) => string | undefined): Made[] {
  if (event.error !== undefined) return [];
  if (event.name === 'UpdateLoginProfile') {
    // It answers nothing, and whoever set the password has it.
    const user = textOf(event.params?.['userName']);
    return user ? [{ kind: 'aws.login-profile', id: user, by, event, user, confidence: 'certain' }] : [];
  }
  if (!event.results) return [];
  const made: Made[] = [];
  const credentials = membersOf(event.results['credentials']);
  const session = textOf(credentials?.['accessKeyId']);
  if (session) {
    const expiresAt = dateIn(textOf(credentials?.['expiration']) ?? '');
    const role = textOf(event.params?.['roleArn']);
    const principal = event.name.startsWith('AssumeRole') ? role : principalOf(by);
    made.push({
      kind: 'aws.session',
      id: session,
      by,
      event,
      ...(principal ? { principal } : {}),
      ...(expiresAt ? { expiresAt } : {}),
      confidence: 'certain',
    });
  }
  const key = madeIn(event);
  if (key) {
    const user = textOf(membersOf(event.results['accessKey'])?.['userName']) ?? textOf(event.params?.['userName']);
    made.push({ kind: 'aws.access-key', id: key, by, event, ...(user ? { user } : {}), confidence: 'certain' });
  }
  for (const { kind, result, member } of answers) {
    const answer = membersOf(event.results[result]);
    const id = textOf(answer?.[member]);
    const user = textOf(answer?.['userName']) ?? textOf(event.params?.['userName']);
    if (id) made.push({ kind, id, by, event, ...(user ? { user } : {}), confidence: 'certain' });
  }
  return made;
}

/**
 * Follows a credential through the log: its calls, what they made, the calls of that, until nothing new is found. A user that was made has all its keys followed. Guards of
 * width and depth end a walk that a person should look at, and say so.
 */
export async function walk(
  account: AwsAccount,
  calls: Calls,
  on: { readonly root: string; readonly principal: string | undefined; readonly from: number; readonly waiting: Waiting },
): Promise<Walk> {
  const { root, from, waiting } = on;
  const principals = new Map<string, string>(on.principal ? [[root, on.principal]] : []);
  const depths = new Map<string, number>([[root, 0]]);
  const eventsOf = new Map<string, readonly LogEvent[]>();
  const made: Made[] = [];
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const gaps: string[] = [];
  let queue = [root];

  const follow = (child: Made): string[] => {
    if (depths.has(child.id)) {
      // A user's making told us of it first, and now its own does.
      const at = made.findIndex((each) => each.id === child.id && each.kind === child.kind && each.confidence === 'likely');
      if (at >= 0 && child.confidence === 'certain') made[at] = { ...made[at], ...child };
      return [];
    }
    const depth = (depths.get(child.by) ?? 0) + 1;
    depths.set(child.id, depth);
    const principal = child.principal ?? (child.user ? account.userArn(child.user) : undefined);
    if (principal) principals.set(child.id, principal);
    made.push({ ...child, ...(principal ? { principal } : {}) });
    if (depth > mostDepth || depths.size > mostCredentials) {
      gaps.push(`the tree under ${root} is deeper than ${mostDepth} or wider than ${mostCredentials}: a person has to look`);
      return [];
    }
    // CloudTrail names callers by access key id, and the other classes have none.
    return child.kind === 'aws.session' || child.kind === 'aws.access-key' ? [child.id] : [];
  };

  while (queue.length > 0) {
    const found = await Promise.all(queue.map(async (id) => [id, await account.log.callsWith(calls, id, from, waiting)] as const));
    const next: string[] = [];
    for (const [id, { events, why }] of found) {
      eventsOf.set(id, events);
      if (why) gaps.push(why);
      // Once a key is deleted nobody can be asked whose it was, and its own calls in the log still say so.
      const user = principals.has(id) ? undefined : userInLog(events);
      if (user !== undefined) principals.set(id, account.userArn(user));
      for (const event of events) {
        for (const child of madeBy(event, id, (of) => principals.get(of))) next.push(...follow(child));
        next.push(...(await principalsMade(event, id)).flatMap(follow));
      }
    }
    queue = gaps.some((gap) => gap.startsWith('the tree')) ? [] : next;
  }
  return { calls: eventsOf, made, nodes, edges, gaps: [...new Set(gaps)] };

  /** Users and roles that a call made or changed: nodes of the graph, and for a new user all of its keys. */
  async function principalsMade(event: LogEvent, by: string): Promise<Made[]> {
    if (event.error !== undefined || event.source !== 'iam.amazonaws.com') return [];
    const provenance = logged(event, `${event.name} by ${by}`);
    const user = membersOf(event.results?.['user']);
    const role = membersOf(event.results?.['role']);
    const arn = textOf(user?.['arn']) ?? textOf(role?.['arn']);
    if (arn && (event.name === 'CreateUser' || event.name === 'CreateRole')) {
      nodes.push({ id: arn, type: 'principal', title: arn.replace(/^.*:/, ''), provenance });
      edges.push({ from: nodeOf(root, by, made), to: arn, kind: 'derives', provenance });
    }
    const name = event.name === 'CreateUser' ? textOf(user?.['userName']) : undefined;
    if (!name) return [];
    const [rows, held] = await Promise.all([readKeys(calls, name), readHeld(calls, name)]);
    gaps.push(...held.unread);
    // The user is certainly of the leak's making; who asked for this credential of it, its own event says, where there is one.
    const of = (kind: MadeKind, id: string): Made => ({ kind, id, by, event, user: name, confidence: 'likely' });
    return [
      ...(rows ?? []).map((row) => of('aws.access-key', row.accessKeyId)),
      ...[...held.rows].flatMap(([kind, each]) => each.map((row) => of(kind, row.id))),
      ...(held.profile ? [of('aws.login-profile', name)] : []),
    ];
  }
}

/** The node id of a credential in a walk. */
function nodeOf(root: string, id: string, made: readonly Made[]): string {
  if (id === root) return `${id.startsWith('ASIA') ? 'aws.session' : 'aws.access-key'}:${id}`;
  return `${made.find((each) => each.id === id)?.kind ?? 'aws.session'}:${id}`;
}

export function logged(event: LogEvent, words: string, confidence: Provenance['confidence'] = 'certain'): Provenance {
  return {
    source: 'cloudtrail',
    at: event.at,
    confidence,
    evidence: `${words}; event ${event.id} in ${event.region}, request ${event.requestId}`,
  };
}

/** The walk as a graph. Liveness of keys is read from their users' listings; a session lives until it expires, for nobody can end it. */
export async function graphOf(
  calls: Calls,
  root: string,
  walked: Walk,
): Promise<{ readonly nodes: readonly GraphNode[]; readonly edges: readonly GraphEdge[] }> {
  const users = [...new Set(walked.made.map((child) => (child.kind === 'aws.access-key' ? child.user : undefined)))].filter(
    (user) => user !== undefined,
  );
  const listings = new Map(await Promise.all(users.map(async (user) => [user, await readKeys(calls, user)] as const)));
  const holders = new Set(
    walked.made.flatMap(({ kind, user }) => (kind === 'aws.session' || kind === 'aws.access-key' || !user ? [] : [user])),
  );
  const heldBy = new Map(await Promise.all([...holders].map(async (user) => [user, await readHeld(calls, user)] as const)));
  const at = calls.at;
  const nodes: GraphNode[] = [...walked.nodes];
  const edges: GraphEdge[] = [...walked.edges];
  for (const child of walked.made) {
    const words = child.confidence === 'certain' ? `${child.event.name} by ${child.by}` : `a key of a user that ${child.by} made`;
    const provenance = logged(child.event, words, child.confidence);
    const id = nodeOf(root, child.id, walked.made);
    let live: Observation = unknown(at, 'log', 'AWS has no way to ask whether it is still accepted');
    let status: string | undefined;
    if (child.kind === 'aws.session') {
      if (child.expiresAt === undefined) live = unknown(at, 'log', 'the log does not say when it expires');
      else if (calls.now > Date.parse(child.expiresAt)) {
        live = { state: 'no', at, source: 'log', evidence: `it expired at ${child.expiresAt}` };
      } else live = { state: 'yes', at, source: 'log', evidence: `issued at ${child.event.at}, it is accepted until ${child.expiresAt}` };
    } else if (child.kind === 'aws.access-key' && child.user) {
      const row = listings.get(child.user)?.find((each) => each.accessKeyId === child.id);
      status = row?.status ?? 'absent';
      live = keyLiveness(calls, child.id, status, false);
    } else if (child.kind !== 'aws.access-key' && child.user) {
      const held = heldBy.get(child.user);
      const rows = child.kind === 'aws.login-profile' ? undefined : held?.rows.get(child.kind);
      if (child.kind === 'aws.login-profile') {
        if (held && !held.unread.some((each) => each.startsWith('login profile'))) status = held.profile ? 'Active' : 'absent';
      } else if (rows) status = rows.find((each) => each.id === child.id)?.status ?? 'absent';
      if (status) live = keyLiveness(calls, child.id, status, false);
    }
    nodes.push({
      id,
      type: 'credential',
      title: `${nouns[child.kind]} ${child.id}`,
      credential: {
        kind: child.kind,
        locator: { [locators[child.kind]]: child.id },
        ...(child.principal ? { principal: child.principal } : {}),
        derivedVia: child.event.name,
        issuedAt: child.event.at,
        ...(child.expiresAt ? { expiresAt: child.expiresAt } : {}),
        live,
        ...(status ? { status } : {}),
      },
      provenance,
    });
    edges.push({ from: nodeOf(root, child.by, walked.made), to: id, kind: 'derives', provenance });
    if (child.principal) {
      const known = nodes.some((node) => node.id === child.principal);
      if (!known) nodes.push({ id: child.principal, type: 'principal', title: child.principal.replace(/^.*:/, ''), provenance });
      edges.push({ from: id, to: child.principal, kind: 'acts-as', provenance });
    }
  }
  return { nodes, edges };
}

/**
 * Whether a key is accepted, by its status. `Active` is a yes of the administrator's. A key that is off or gone is accepted for some seconds yet, so that this is a no only
 * once it is known to have stood for the propagation time.
 */
export function keyLiveness(calls: Calls, accessKeyId: string, status: string, settled: boolean): Observation {
  const request = `request ${calls.requestIds.at(-1) ?? 'unknown'}`;
  if (status === 'Active') return { state: 'yes', at: calls.at, source: 'administrator', evidence: `${accessKeyId} is Active; ${request}` };
  if (!settled)
    return unknown(calls.at, 'administrator', `${accessKeyId} is ${status}, and may have been accepted a moment ago; ${request}`);
  return {
    state: 'no',
    at: calls.at,
    source: 'administrator',
    evidence: `${accessKeyId} is ${status}, and has been for longer than that takes; ${request}`,
  };
}

/** Names of what was read of other secrets, by calls that AWS let through. */
export function secretsReadBy(events: readonly LogEvent[]): string[] {
  const names: string[] = [];
  for (const event of events) {
    if (event.error !== undefined) continue;
    const { params } = event;
    if (event.name === 'GetSecretValue') names.push(textOf(params?.['secretId']) ?? 'a secret that the log does not name');
    else if (event.name === 'BatchGetSecretValue') {
      const list = params?.['secretIdList'];
      const ids = Array.isArray(list) ? list.filter((id): id is string => typeof id === 'string') : [];
      names.push(...(ids.length > 0 ? ids : ['secrets that the log does not name, read in a batch']));
    } else if (event.name === 'GetParameter') names.push(textOf(params?.['name']) ?? 'a parameter that the log does not name');
    else if (event.name === 'GetParameters') {
      const list = params?.['names'];
      if (Array.isArray(list)) names.push(...list.filter((name): name is string => typeof name === 'string'));
    } else if (event.name === 'GetParametersByPath') names.push(`${textOf(params?.['path']) ?? 'parameters'}/`);
  }
  return [...new Set(names)];
}

/** Events as evidence: at most `most`, the oldest first, and how many there were. */
export function kept(events: readonly LogEvent[], most: number): { readonly count: number; readonly events: unknown } {
  return { count: events.length, events: withoutSecrets(events.slice(0, most)) };
}

/** The user that the log names for a key's calls. */
export function userInLog(events: readonly LogEvent[]): string | undefined {
  return events.find((event) => event.by.type === 'IAMUser' && event.by.userName !== undefined)?.by.userName;
}
