import { canonicalJson, sha256Of } from '../../domain/canonical.ts';

/** Names of the inline policies that the engine puts on a user, and the cut-off on a role, and of no others. */
export const holdPolicy = 'tourniquet-hold';
export const cutOffPolicy = 'tourniquet-cutoff';
export const fencePolicy = 'tourniquet-fence';

/** Seconds for which the longest session lives that a user's key can mint (GetSessionToken, GetFederationToken: STS API reference). */
export const longestSessionSeconds = 129_600;

/** The inline policy that stood under the name, if any. */
export interface PolicyBefore {
  readonly document?: string;
}

/** Who put a policy, in a form that a statement id allows: letters and digits. One step has one mark, however often it is tried. */
export function markOf(context: { readonly incident: string; readonly run: string; readonly step: string }): string {
  return sha256Of(canonicalJson([context.incident, context.run, context.step])).slice('sha256:'.length, 'sha256:'.length + 24);
}

const holdSid = 'TourniquetHold';
const cutOffSid = 'TourniquetCutoff';
const fenceSid = 'TourniquetFence';

/** Denies a user everything. Sessions of GetSessionToken and GetFederationToken are denied with it: their permissions are the user's. */
export function holdDocument(mark: string): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Sid: `${holdSid}${mark}`, Effect: 'Deny', Action: '*', Resource: '*' }],
  });
}

/**
 * Denies a user everything that comes neither from these networks or VPCs nor from AWS itself on the user's behalf. All conditions of a statement have to hold; a negated one holds where its key is
 * absent, as the address is of a call through a VPC endpoint, so that what cannot be told is denied. `IfExists` makes the two others hold then as well.
 * Source: IAM User Guide, "Global condition context keys" (aws:SourceIp, aws:SourceVpc, aws:SourceVpce, aws:ViaAWSService) and "AWS: Denies access to AWS based on the source IP".
 */
export function fenceDocument(
  mark: string,
  gates: { readonly networks: readonly string[]; readonly vpcs: readonly string[]; readonly endpoints: readonly string[] },
): string {
  const { networks, vpcs, endpoints } = gates;
  const outside = {
    ...(vpcs.length > 0 ? { 'aws:SourceVpc': vpcs } : {}),
    ...(endpoints.length > 0 ? { 'aws:SourceVpce': endpoints } : {}),
  };
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Sid: `${fenceSid}${mark}`,
        Effect: 'Deny',
        Action: '*',
        Resource: '*',
        Condition: {
          ...(networks.length > 0 ? { NotIpAddress: { 'aws:SourceIp': networks } } : {}),
          ...(Object.keys(outside).length > 0 ? { StringNotEquals: outside } : {}),
          BoolIfExists: { 'aws:ViaAWSService': 'false', 'aws:PrincipalIsAWSService': 'false' },
        },
      },
    ],
  });
}

/** True for a fence that an engine put, this step or any other, and that nobody has widened by anything but its gates. */
export function isFence(document: string): boolean {
  const statements = statementsOf(document);
  const [statement] = statements;
  if (statements.length !== 1 || statement?.Effect !== 'Deny' || !hasStar(statement.Action) || !hasStar(statement.Resource)) return false;
  if (!bearsSid(document, fenceSid)) return false;
  const condition = (statement.Condition ?? {}) as Record<string, Record<string, unknown>>;
  const { NotIpAddress: address, StringNotEquals: network, BoolIfExists: service, ...rest } = condition;
  const only = (of: Record<string, unknown> | undefined, keys: readonly string[]) =>
    Object.keys(of ?? {}).every((key) => keys.includes(key));
  return (
    Object.keys(rest).length === 0 &&
    (address !== undefined || network !== undefined) &&
    only(address, ['aws:SourceIp']) &&
    only(network, ['aws:SourceVpc', 'aws:SourceVpce']) &&
    only(service, ['aws:ViaAWSService', 'aws:PrincipalIsAWSService']) &&
    Object.values(service ?? {}).every((value) => value === 'false')
  );
}

/**
 * Denies everything to sessions issued before `cutOff` (ISO 8601). `aws:TokenIssueTime` exists for temporary credentials only, so a long-term key
 * never meets this condition (IAM User Guide, "Global condition context keys").
 */
export function cutOffDocument(mark: string, cutOff: string): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Sid: `${cutOffSid}${mark}`,
        Effect: 'Deny',
        Action: ['*'],
        Resource: ['*'],
        Condition: { DateLessThan: { 'aws:TokenIssueTime': cutOff } },
      },
    ],
  });
}

interface Statement {
  readonly Sid?: unknown;
  readonly Effect?: unknown;
  readonly Action?: unknown;
  readonly NotAction?: unknown;
  readonly Resource?: unknown;
  readonly NotResource?: unknown;
  readonly Condition?: unknown;
}

/** The statements of a policy document; none for what is no policy. */
export function statementsOf(document: string): readonly Statement[] {
  try {
    const statement = (JSON.parse(document) as { Statement?: unknown }).Statement;
    const list = Array.isArray(statement) ? statement : [statement];
    return list.filter((item): item is Statement => typeof item === 'object' && item !== null);
  } catch {
    return [];
  }
}

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]);
const hasStar = (value: unknown): boolean => listOf(value).includes('*');

/** True where two documents say the same: white space and the order of members apart. */
export function sameDocument(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a === b) return true;
  try {
    return canonicalJson(JSON.parse(a)) === canonicalJson(JSON.parse(b));
  } catch {
    return false;
  }
}

/** True where a document denies everything, whoever wrote it. */
export function deniesAll(document: string): boolean {
  return statementsOf(document).some(
    (statement) =>
      statement.Effect === 'Deny' && hasStar(statement.Action) && hasStar(statement.Resource) && statement.Condition === undefined,
  );
}

/** True for a hold that an engine put, this step or any other. */
export function isHold(document: string): boolean {
  return deniesAll(document) && bearsSid(document, holdSid);
}

/** True for a document that this very step put. */
export function isMarked(document: string, mark: string): boolean {
  return [holdSid, cutOffSid, fenceSid].some((sid) => bearsSid(document, `${sid}${mark}`));
}

function bearsSid(document: string, start: string): boolean {
  return statementsOf(document).some((statement) => typeof statement.Sid === 'string' && statement.Sid.startsWith(start));
}

/** The moment a document of ours cuts sessions off at, in milliseconds; undefined for any other document, a mangled one of ours included. */
export function cutOffIn(document: string): number | undefined {
  if (!bearsSid(document, cutOffSid)) return undefined;
  for (const statement of statementsOf(document)) {
    if (statement.Effect !== 'Deny' || !hasStar(statement.Action) || !hasStar(statement.Resource)) continue;
    const condition = statement.Condition as { DateLessThan?: Record<string, unknown> } | undefined;
    if (condition === undefined || Object.keys(condition).length !== 1) continue;
    const value = condition.DateLessThan?.['aws:TokenIssueTime'];
    const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
    if (!Number.isNaN(at)) return at;
  }
  return undefined;
}

/** Actions that let whoever has them give themselves anything: a short list, so that its absence says `ordinary` only where all was read. */
const elevating = [
  'iam:',
  'sts:AssumeRole',
  'organizations:',
  'lambda:CreateFunction',
  'lambda:UpdateFunctionCode',
  'cloudformation:CreateStack',
  'ec2:RunInstances',
  'ssm:SendCommand',
];
const reading = /^(iam|organizations):(Get|List|Describe|Simulate|Generate)/i;

/** What one document gives: everything, more than its own work, or no more than that. Denies are not counted against it. */
export function privilegeIn(document: string): 'administrator' | 'elevated' | 'ordinary' {
  let most: 'administrator' | 'elevated' | 'ordinary' = 'ordinary';
  for (const statement of statementsOf(document)) {
    if (statement.Effect !== 'Allow') continue;
    // `NotAction` allows all but a list, and so nearly always something on this page.
    if (statement.NotAction !== undefined) most = 'elevated';
    for (const action of listOf(statement.Action)) {
      if (typeof action !== 'string') continue;
      if (action === '*' || action === '*:*') {
        if (hasStar(statement.Resource) && statement.Condition === undefined) return 'administrator';
        most = 'elevated';
      } else if (!reading.test(action) && mayElevate(action)) most = 'elevated';
    }
  }
  return most;
}

function mayElevate(action: string): boolean {
  const lower = action.toLowerCase();
  const star = lower.indexOf('*');
  const head = star < 0 ? lower : lower.slice(0, star);
  return elevating.some((entry) => {
    const start = entry.toLowerCase();
    if (start.endsWith(':')) return head.startsWith(start) || start.startsWith(head);
    return star < 0 ? lower === start : start.startsWith(head);
  });
}
