import { timingSafeEqual } from 'node:crypto';
import { managedDocument } from './managed-policies.ts';
import { addressOf, type Origin, originKeys } from './origin.ts';
import { decide, knownPolicy, type Layers, type Policy, type Question } from './policy.ts';
import { accessDenied, invalidKey, Refusal } from './refusal.ts';
import { type Claim, checkSignature, checkTime, type WireRequest } from './sigv4.ts';
import { type AccessKey, asOf, type PolicySet, type Role, type Session, type User } from './state.ts';
import { authenticationTime, authorizationTime, type World } from './world.ts';

/** Who signed a request. */
export interface Caller {
  readonly accessKeyId: string;
  /** As `GetCallerIdentity` gives it. */
  readonly arn: string;
  /** As `aws:PrincipalArn` gives it: for a role session the role's own ARN. */
  readonly principalArn: string;
  /** As `aws:userid` gives it. */
  readonly userId: string;
  readonly key?: AccessKey;
  readonly session?: Session;
  /** The user whose permissions the caller has, long-term or through a session. */
  readonly user?: User;
  readonly role?: Role;
  readonly origin: Origin;
  /** As the log writes it. */
  readonly sourceIp: string;
  readonly userAgent: string;
}

export const userArn = (accountId: string, user: { path: string; name: string }): string =>
  `arn:aws:iam::${accountId}:user${user.path}${user.name}`;
export const roleArn = (accountId: string, role: { path: string; name: string }): string =>
  `arn:aws:iam::${accountId}:role${role.path}${role.name}`;
export const groupArn = (accountId: string, group: { path: string; name: string }): string =>
  `arn:aws:iam::${accountId}:group${group.path}${group.name}`;

/** The ARN of a session. */
export function sessionArn(accountId: string, session: Session, owner: User | Role): string {
  if (session.kind === 'session-token') return userArn(accountId, owner);
  const kind = session.kind === 'federation' ? 'federated-user' : `assumed-role/${owner.name}`;
  return `arn:aws:sts::${accountId}:${kind}/${session.name}`;
}

function sameText(a: string, b: string): boolean {
  const x = Buffer.from(a);
  const y = Buffer.from(b);
  return x.length === y.length && timingSafeEqual(x, y);
}

const gone = (row: { deletedAt?: number } | undefined, at: number): boolean =>
  row === undefined || (row.deletedAt !== undefined && row.deletedAt <= at);

/**
 * Finds out who signed a request, or refuses. A key counts with the status it had one propagation time ago; a session is usable at once and,
 * its owner still existing, until it expires, whatever became of the key that minted it.
 */
export function authenticate(world: World, claim: Claim, request: WireRequest, source: { origin: Origin; userAgent: string }): Caller {
  const { state, accountId, clock } = world;
  const at = authenticationTime(world);
  const common = { accessKeyId: claim.accessKeyId, origin: source.origin, sourceIp: addressOf(source.origin), userAgent: source.userAgent };
  const key = state.tables.keys.get(claim.accessKeyId);
  if (key !== undefined) {
    const user = state.tables.users.get(key.userId);
    if (asOf(key.status, at) !== 'Active' || user === undefined || gone(user, at) || claim.sessionToken !== undefined) throw invalidKey();
    checkTime(claim, [clock.wall(), clock.now()]);
    checkSignature(claim, request, key.secret);
    const arn = userArn(accountId, user);
    return { ...common, arn, principalArn: arn, userId: user.id, key, user };
  }
  const session = state.tables.sessions.get(claim.accessKeyId);
  if (session === undefined || claim.sessionToken === undefined || !sameText(session.token, claim.sessionToken)) throw invalidKey();
  const owner = session.kind === 'role' ? state.tables.roles.get(session.principalId) : state.tables.users.get(session.principalId);
  if (owner === undefined || gone(owner, at)) throw invalidKey();
  checkTime(claim, [clock.wall(), clock.now()]);
  checkSignature(claim, request, session.secret);
  if (session.expiresAt <= clock.now()) throw new Refusal('ExpiredToken', 403, 'The security token included in the request is expired');
  const arn = sessionArn(accountId, session, owner);
  if (session.kind === 'role') {
    const role = owner as Role;
    return { ...common, arn, principalArn: roleArn(accountId, role), userId: `${role.id}:${session.name}`, session, role };
  }
  const user = owner as User;
  const userId = session.kind === 'federation' ? `${accountId}:${session.name}` : user.id;
  return { ...common, arn, principalArn: arn, userId, session, user };
}

/** STS calls that a session of each kind may make. */
const stsOf: Readonly<Record<Session['kind'], readonly string[]>> = {
  'session-token': ['AssumeRole', 'GetCallerIdentity', 'GetScopedCredentials'],
  federation: ['GetCallerIdentity', 'GetScopedCredentials'],
  role: ['AssumeRole', 'GetCallerIdentity', 'GetAccessKeyInfo', 'GetScopedCredentials'],
};

/**
 * Refuses what a session may not do whatever its policies say. IAM answers a session without multi-factor authentication as if it did not
 * know it, which is why a refused IAM call proves nothing about a session.
 */
export function checkSession(caller: Caller, service: string, action: string): void {
  const session = caller.session;
  if (session === undefined) return;
  if (service === 'iam' && session.kind !== 'role' && session.console !== true) throw invalidKey();
  if (service === 'sts' && !stsOf[session.kind].includes(action)) {
    throw accessDenied(`Cannot call ${action} with ${session.kind === 'federation' ? 'federation' : 'session'} credentials`);
  }
}

const own = new WeakMap<PolicySet, readonly Policy[]>();

function ownPolicies(world: World, set: PolicySet): readonly Policy[] {
  let policies = own.get(set);
  if (policies === undefined) {
    const texts = [
      ...Object.values(set.inline),
      ...set.attached.map((arn) => managedDocument(world.state, arn)).filter((d) => d !== undefined),
    ];
    policies = texts.map((text) => knownPolicy(text, 'identity'));
    own.set(set, policies);
  }
  return policies;
}

/** The policies that bear on a principal as of a moment. */
export function layersOf(world: World, principal: { user?: User; role?: Role; session?: Session }, at: number): Layers {
  const row = principal.role ?? principal.user;
  const set = row === undefined ? undefined : asOf<PolicySet>(row.policies, at);
  const identity = set === undefined ? [] : [...ownPolicies(world, set)];
  for (const name of set?.groups ?? []) {
    const group = world.state.groupAsOf(name);
    const groupSet = group === undefined ? undefined : asOf(group.policies, at);
    if (groupSet !== undefined) identity.push(...ownPolicies(world, groupSet));
  }
  const boundary = set?.boundary === undefined ? undefined : managedDocument(world.state, set.boundary);
  const session = principal.session;
  const narrowed = session !== undefined && (session.kind === 'federation' || session.policies.length > 0);
  return {
    identity,
    ...(set?.boundary === undefined ? {} : { boundary: boundary === undefined ? [] : [knownPolicy(boundary, 'identity')] }),
    ...(narrowed ? { session: session.policies.map((text) => knownPolicy(text, 'identity')) } : {}),
    ...(session?.scopes === undefined ? {} : { scopes: session.scopes.map((text) => [knownPolicy(text, 'identity')]) }),
    scp: (asOf(world.state.account.attached, at) ?? []).map((p) => knownPolicy(p.content, 'scp')),
  };
}

/**
 * The condition keys of a request. `aws:SecureTransport` is true although the simulator speaks plain HTTP, because it stands for an endpoint
 * that speaks nothing but TLS, and `aws:TokenIssueTime` is there for sessions only: that absence is what spares a long-term key from a cut-off.
 */
export function contextOf(
  world: World,
  caller: Caller,
  region: string,
  extra: Readonly<Record<string, string>> = {},
): Map<string, readonly string[]> {
  const now = world.clock.now();
  const context = new Map<string, readonly string[]>([
    ['aws:userid', [caller.userId]],
    ['aws:principalarn', [caller.principalArn]],
    ['aws:principalaccount', [world.accountId]],
    ['aws:principaltype', [caller.role !== undefined ? 'AssumedRole' : caller.session?.kind === 'federation' ? 'FederatedUser' : 'User']],
    ['aws:principalorgid', [world.state.account.organizationId]],
    ...originKeys(caller.origin),
    ['aws:useragent', [caller.userAgent]],
    ['aws:requestedregion', [region]],
    ['aws:currenttime', [new Date(now).toISOString()]],
    ['aws:epochtime', [String(Math.floor(now / 1000))]],
    ['aws:securetransport', ['true']],
  ]);
  if (caller.user !== undefined && caller.session?.kind !== 'federation') context.set('aws:username', [caller.user.name]);
  if (caller.session !== undefined) {
    context.set('aws:tokenissuetime', [new Date(caller.session.issuedAt).toISOString()]);
    context.set('aws:multifactorauthpresent', ['false']);
    if (caller.session.sourceIdentity !== undefined) context.set('aws:sourceidentity', [caller.session.sourceIdentity]);
  }
  const tagged = caller.role ?? (caller.session?.kind === 'federation' ? undefined : caller.user);
  for (const [tag, value] of Object.entries(tagged?.tags ?? {})) context.set(`aws:principaltag/${tag.toLowerCase()}`, [value]);
  for (const [key, value] of Object.entries(extra)) context.set(key.toLowerCase(), [value]);
  return context;
}

/** Refuses what the caller's policies, as of one propagation time ago, do not allow. */
export function authorize(world: World, caller: Caller, question: Question, granted = false): void {
  const judgement = decide(layersOf(world, caller, authorizationTime(world)), question, granted);
  if (judgement.allowed) return;
  const article = judgement.layer === 'identity-based' ? 'an' : 'a';
  const why = judgement.explicit
    ? `with an explicit deny in ${article} ${judgement.layer} policy`
    : `because no ${judgement.layer} policy allows the ${question.action} action`;
  throw accessDenied(`User: ${caller.arn} is not authorized to perform: ${question.action} on resource: ${question.resource} ${why}`);
}
