import { authorize, contextOf, roleArn, sessionArn } from './access.ts';
import type { Call, Operations } from './call.ts';
import { accessKeyId, accountOf, secretKey, sessionToken } from './identifiers.ts';
import { knownPolicy, Malformed, readPolicy, type Trusted, trusts } from './policy.ts';
import { accessDenied, malformedPolicy, Refusal, validation } from './refusal.ts';
import { asOf, type Role, type Session, type User } from './state.ts';
import { authorizationTime } from './world.ts';
import type { Answer } from './xml.ts';

/** Documents of the request that narrow a session. */
function narrowing(call: Call): string[] {
  const text = call.optional('Policy');
  if (text === undefined) return [];
  if (text.length > 2048)
    throw validation(
      "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048",
    );
  try {
    readPolicy(text, 'identity');
  } catch (error) {
    if (error instanceof Malformed) throw malformedPolicy(error.message);
    throw error;
  }
  return [text];
}

function mint(
  call: Call,
  about: Pick<Session, 'kind' | 'principalId' | 'name' | 'policies'> & { sourceIdentity?: string | undefined },
  seconds: number,
): Session {
  // Tokens are issued on the second, as their issue time is compared in seconds with the cut-offs of policies.
  const issuedAt = Math.floor(call.now / 1000) * 1000;
  const { sourceIdentity, ...rest } = about;
  const session: Session = {
    ...rest,
    id: accessKeyId('ASIA', call.world.accountId),
    secret: secretKey(),
    token: sessionToken(),
    issuedAt,
    expiresAt: issuedAt + seconds * 1000,
    mintedBy: call.caller.accessKeyId,
    ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
  };
  call.change.put('sessions', session);
  call.made = session.id;
  return session;
}

const credentials = (session: Session): Answer => ({
  AccessKeyId: session.id,
  SecretAccessKey: session.secret,
  SessionToken: session.token,
  Expiration: new Date(session.expiresAt),
});

function ownUser(call: Call): User {
  if (call.caller.user === undefined) throw accessDenied(`Cannot call ${call.action} with session credentials`);
  return call.caller.user;
}

function sessionName(call: Call, parameter: string, longest: number): string {
  const name = call.name(parameter, longest);
  if (name.length < 2)
    throw validation(
      `1 validation error detected: Value '${name}' at '${parameter}' failed to satisfy constraint: Member must have length greater than or equal to 2`,
    );
  return name;
}

/** The role of an AssumeRole, if it is one of this account. */
function assumed(call: Call): Role | undefined {
  const match = /^arn:aws:iam::(\d{12}):role\/(?:.*\/)?([^/]+)$/.exec(call.text('RoleArn'));
  if (match === null) throw validation(`${call.text('RoleArn')} is invalid`);
  const role = match[1] === call.world.accountId ? call.world.state.role(match[2] ?? '') : undefined;
  return role !== undefined && roleArn(call.world.accountId, role) === call.text('RoleArn') ? role : undefined;
}

/** Every name a trust policy may know the caller by; a user or role counts only if it is the one that the policy was bound to. */
function trusted(call: Call, bindings: Readonly<Record<string, string>>): Trusted {
  const { caller, world } = call;
  const id = caller.role?.id ?? caller.user?.id;
  const own = bindings[caller.principalArn] === id ? [caller.principalArn] : [];
  return {
    arns: caller.session === undefined || caller.session.kind === 'session-token' ? own : [...own, caller.arn],
    accountId: world.accountId,
  };
}

const refused = (call: Call) =>
  accessDenied(`User: ${call.caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${call.text('RoleArn')}`);

/** Sessions can be scoped down so often by a policy. */
const scopeQuota = 3;

/** STS. `GetCallerIdentity` and `GetSessionToken` need no permission and no policy can take them away. */
export const sts: Operations = {
  GetCallerIdentity: {
    mutates: false,
    need: () => undefined,
    run: (call) => ({ UserId: call.caller.userId, Account: call.world.accountId, Arn: call.caller.arn }),
  },
  GetAccessKeyInfo: {
    mutates: false,
    need: () => ({ resource: '*' }),
    run: (call) => {
      const account = accountOf(call.text('AccessKeyId'));
      if (account === undefined) throw validation(`Access key ID ${call.text('AccessKeyId')} is not in a valid format`);
      return { Account: account };
    },
  },
  GetSessionToken: {
    mutates: true,
    readOnly: true,
    need: () => undefined,
    run: (call) => {
      const user = ownUser(call);
      const seconds = call.integer('DurationSeconds', 900, 129_600, 43_200);
      return {
        Credentials: credentials(mint(call, { kind: 'session-token', principalId: user.id, name: user.name, policies: [] }, seconds)),
      };
    },
  },
  GetFederationToken: {
    mutates: true,
    readOnly: true,
    need: (call) => ({ resource: `arn:aws:sts::${call.world.accountId}:federated-user/${call.optional('Name') ?? ''}` }),
    run: (call) => {
      const user = ownUser(call);
      const name = sessionName(call, 'Name', 32);
      const policies = narrowing(call);
      const seconds = call.integer('DurationSeconds', 900, 129_600, 43_200);
      const session = mint(call, { kind: 'federation', principalId: user.id, name, policies }, seconds);
      return {
        Credentials: credentials(session),
        FederatedUser: { FederatedUserId: `${call.world.accountId}:${name}`, Arn: sessionArn(call.world.accountId, session, user) },
        PackedPolicySize: policies.length === 0 ? undefined : Math.ceil(((policies[0]?.length ?? 0) / 2048) * 100),
      };
    },
  },
  GetScopedCredentials: {
    mutates: true,
    readOnly: true,
    // No permission for it is documented, so that the simulator takes the reading that is worse for whoever contains: nobody can be denied it.
    need: () => undefined,
    run: (call) => {
      const { session } = call.caller;
      if (session === undefined)
        throw new Refusal('InvalidSubjectCredentials', 400, 'GetScopedCredentials can be called with temporary credentials only.');
      const policies = narrowing(call);
      const left = Math.floor((session.expiresAt - call.now) / 1000);
      const seconds = call.integer('DurationSeconds', 1, 129_600, 0);
      if (policies.length === 0 && seconds === 0) throw validation('At least one of Policy and DurationSeconds is needed.');
      if (seconds > left)
        throw new Refusal('InsufficientSessionLifetime', 400, 'DurationSeconds is greater than what is left of the calling session.');
      const scopes = [...(session.scopes ?? []), ...policies];
      if (scopes.length > scopeQuota) throw accessDenied(`A session has at most ${scopeQuota} scope-down policies.`);
      const own = Math.floor(call.now / 1000) * 1000;
      const scoped: Session = {
        kind: session.kind,
        principalId: session.principalId,
        name: session.name,
        policies: session.policies,
        scopes,
        id: accessKeyId('ASIA', call.world.accountId),
        secret: secretKey(),
        token: sessionToken(),
        issuedAt: call.world.settings.scopedIssueTime === 'parent' ? session.issuedAt : own,
        expiresAt: seconds === 0 ? session.expiresAt : Math.min(session.expiresAt, own + seconds * 1000),
        mintedBy: session.id,
        ...(session.sourceIdentity === undefined ? {} : { sourceIdentity: session.sourceIdentity }),
        ...(session.console === true ? { console: true } : {}),
      };
      call.change.put('sessions', scoped);
      call.made = scoped.id;
      return {
        Credentials: credentials(scoped),
        SessionInfo: { ScopedSessionId: call.caller.userId, Arn: call.caller.arn },
        SessionTokenSize: scoped.token.length,
        SessionTokenUtilization: Math.ceil((scoped.token.length / 4096) * 100),
        ScopedPoliciesCount: scopes.length,
        SourceIdentity: scoped.sourceIdentity,
      };
    },
  },
  AssumeRole: {
    mutates: true,
    readOnly: true,
    // It judges for itself, because the role's trust policy may stand in for the caller's own permission.
    need: () => undefined,
    run: (call) => {
      const name = sessionName(call, 'RoleSessionName', 64);
      const role = assumed(call);
      const policies = narrowing(call);
      const chained = call.caller.role !== undefined;
      const seconds = call.integer('DurationSeconds', 900, 43_200, 3600);
      const at = authorizationTime(call.world);
      const trust = role === undefined ? undefined : asOf(role.trust, at);
      // A role of another account, an absent one and one that is too new to be known are refused alike.
      if (role === undefined || trust === undefined) throw refused(call);
      if (chained && seconds > 3600)
        throw validation('The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining');
      if (seconds > role.maxSessionSeconds)
        throw validation('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.');
      const sourceIdentity = call.caller.session?.sourceIdentity ?? call.optional('SourceIdentity');
      const keys: Record<string, string> = { 'sts:RoleSessionName': name };
      const externalId = call.optional('ExternalId');
      if (externalId !== undefined) keys['sts:ExternalId'] = externalId;
      if (sourceIdentity !== undefined) keys['sts:SourceIdentity'] = sourceIdentity;
      const question = {
        action: 'sts:AssumeRole',
        resource: roleArn(call.world.accountId, role),
        context: contextOf(call.world, call.caller, call.region, keys),
      };
      const verdict = trusts(knownPolicy(trust.document, 'trust'), trusted(call, trust.bindings), question);
      if (verdict === 'none' || verdict === 'deny') throw refused(call);
      authorize(call.world, call.caller, question, verdict === 'named');
      const session = mint(call, { kind: 'role', principalId: role.id, name, policies, sourceIdentity }, seconds);
      role.lastUsed = { at: call.now, service: 'sts', region: call.region };
      call.change.note('roles', role);
      return {
        Credentials: credentials(session),
        AssumedRoleUser: { AssumedRoleId: `${role.id}:${name}`, Arn: sessionArn(call.world.accountId, session, role) },
        SourceIdentity: sourceIdentity,
        PackedPolicySize: policies.length === 0 ? undefined : Math.ceil(((policies[0]?.length ?? 0) / 2048) * 100),
      };
    },
  },
};
