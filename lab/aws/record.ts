import { roleArn, userArn } from './access.ts';
import { type Call, lowerFirst, type Operation } from './call.ts';
import { isoSeconds } from './clock.ts';
import { uuid } from './identifiers.ts';
import { type Refusal, trailCode } from './refusal.ts';
import type { TrailEntry } from './trail.ts';
import type { Answer } from './xml.ts';

/** Answer fields that CloudTrail never shows. A session's token it does show, which is why raw records may go nowhere. */
const unseen = new Set(['SecretAccessKey', 'ServicePassword', 'ServiceCredentialSecret', 'SecretString', 'SecretBinary', 'Password']);

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The way CloudTrail writes dates inside answers: `Nov 24, 2025, 1:02:03 PM`, in UTC. */
export function proseDate(ms: number): string {
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, '0');
  const hour = d.getUTCHours();
  return `${months[d.getUTCMonth()]} ${d.getUTCDate()}, ${d.getUTCFullYear()}, ${hour % 12 === 0 ? 12 : hour % 12}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())} ${hour < 12 ? 'AM' : 'PM'}`;
}

/** Parameters and answers as CloudTrail spells them: names begin in lower case. */
function spelled(value: unknown, hidden: readonly string[]): unknown {
  if (value instanceof Date) return proseDate(value.getTime());
  if (Array.isArray(value)) return value.map((v) => spelled(v, hidden));
  if (typeof value !== 'object' || value === null) return value;
  const out: Record<string, unknown> = {};
  for (const [name, v] of Object.entries(value)) {
    if (v === undefined || unseen.has(name) || hidden.includes(name)) continue;
    out[name === 'ARN' ? 'arn' : lowerFirst(name)] = spelled(v, hidden);
  }
  return out;
}

const orNull = (value: unknown): unknown => (typeof value === 'object' && value !== null && Object.keys(value).length > 0 ? value : null);

/** Who called, as a record tells it, and the name that `Username` looks up. */
function identity(call: Call): { identity: object; username: string } {
  const { caller } = call;
  const { accountId } = call.world;
  const { session, role, user } = caller;
  const common = { principalId: caller.userId, arn: caller.arn, accountId, accessKeyId: caller.accessKeyId };
  if (session === undefined) return { identity: { type: 'IAMUser', ...common, userName: user?.name }, username: user?.name ?? '' };
  const attributes = { creationDate: isoSeconds(session.issuedAt), mfaAuthenticated: 'false' };
  if (session.kind === 'session-token') {
    return { identity: { type: 'IAMUser', ...common, userName: user?.name, sessionContext: { attributes } }, username: user?.name ?? '' };
  }
  const owner = role ?? user;
  const sessionIssuer = owner && {
    type: role === undefined ? 'IAMUser' : 'Role',
    principalId: owner.id,
    arn: role === undefined ? userArn(accountId, owner) : roleArn(accountId, owner),
    accountId,
    userName: owner.name,
  };
  const sessionContext = {
    sessionIssuer,
    attributes,
    ...(session.sourceIdentity === undefined ? {} : { sourceIdentity: session.sourceIdentity }),
  };
  return { identity: { type: role === undefined ? 'FederatedUser' : 'AssumedRole', ...common, sessionContext }, username: session.name };
}

/** Parameters that identify what a call is about, and the resource type that `LookupEvents` lists them under. */
const identifying: Readonly<Record<string, string>> = {
  UserName: 'AWS::IAM::User',
  RoleName: 'AWS::IAM::Role',
  GroupName: 'AWS::IAM::Group',
  AccessKeyId: 'AWS::IAM::AccessKey',
  PolicyName: 'AWS::IAM::Policy',
  PolicyArn: 'AWS::IAM::Policy',
  PermissionsBoundary: 'AWS::IAM::Policy',
  ServiceSpecificCredentialId: 'AWS::IAM::ServiceSpecificCredential',
  CertificateId: 'AWS::IAM::SigningCertificate',
  SSHPublicKeyId: 'AWS::IAM::SSHPublicKey',
  Status: '',
  RoleArn: 'AWS::IAM::Role',
  RoleSessionName: '',
  Name: '',
  SecretId: 'AWS::SecretsManager::Secret',
  ClientRequestToken: '',
  VersionStage: '',
  MoveToVersionId: '',
  RemoveFromVersionId: '',
  PolicyId: 'AWS::Organizations::Policy',
  TargetId: 'AWS::Organizations::Account',
};

/** The identifying parameters of a call, by their names at AWS. */
export function targetOf(input: Readonly<Record<string, unknown>>): Record<string, string> {
  const target: Record<string, string> = {};
  for (const name of Object.keys(identifying)) {
    const value = input[name];
    if (typeof value === 'string') target[name] = value;
  }
  return target;
}

function resourcesOf(call: Call): TrailEntry['resources'] {
  const resources = Object.entries(targetOf(call.input))
    .filter(([name]) => identifying[name] !== '')
    .map(([name, value]) => ({ type: identifying[name] ?? '', name: value }));
  if (call.made !== undefined && /^A(K|S)IA/.test(call.made)) resources.push({ type: 'AWS::IAM::AccessKey', name: call.made });
  return resources;
}

/** The event that an authenticated call leaves, allowed or refused. What did not authenticate leaves none. */
export function eventOf(call: Call, operation: Operation, requestId: string, outcome: { answer?: Answer; refusal?: Refusal }): TrailEntry {
  const { world, service } = call;
  const at = call.now;
  const id = uuid();
  const region = service === 'iam' || service === 'organizations' ? 'us-east-1' : call.region;
  const source = `${service}.amazonaws.com`;
  const readOnly = operation.readOnly ?? !operation.mutates;
  const who = identity(call);
  const { refusal } = outcome;
  const record = {
    eventVersion: '1.11',
    userIdentity: who.identity,
    eventTime: isoSeconds(at),
    eventSource: source,
    eventName: call.action,
    awsRegion: region,
    sourceIPAddress: call.caller.sourceIp,
    userAgent: call.caller.userAgent,
    ...(refusal === undefined ? {} : { errorCode: trailCode(refusal.code), errorMessage: refusal.message }),
    requestParameters: orNull(spelled(call.input, operation.hidden ?? [])),
    responseElements: outcome.answer === undefined || !operation.mutates ? null : orNull(spelled(outcome.answer, [])),
    requestID: requestId,
    eventID: id,
    readOnly,
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: world.accountId,
    ...(call.action === 'AssumeRole' ? { sharedEventID: uuid() } : {}),
    eventCategory: 'Management',
  };
  const lateMs = world.trail.lateness({ region, name: call.action, keyId: call.caller.accessKeyId });
  return {
    seq: world.trail.nextSeq,
    at,
    region,
    id,
    ...(lateMs > 0 ? { lateMs } : {}),
    name: call.action,
    source,
    username: who.username,
    keyId: call.caller.accessKeyId,
    readOnly,
    resources: resourcesOf(call),
    record: JSON.stringify(record),
  };
}
