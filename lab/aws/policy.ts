import { type Condition, type Context, holds, operatorExists } from './condition.ts';
import { arnLike, wildcard } from './match.ts';

/**
 * Policies, read and judged as AWS documents it: an explicit deny anywhere wins; then a service control policy, a permissions boundary and a
 * session policy each have to allow, and so has an identity policy. Written from AWS's description of the logic.
 */

interface Statement {
  readonly effect: 'Allow' | 'Deny';
  readonly actions?: readonly string[];
  readonly notActions?: readonly string[];
  readonly resources?: readonly string[];
  readonly notResources?: readonly string[];
  readonly principals?: Principals;
  readonly notPrincipals?: Principals;
  readonly conditions: readonly Condition[];
}

/** Who a trust policy names: every AWS principal, or ARNs and account numbers. */
interface Principals {
  readonly everybody: boolean;
  readonly aws: readonly string[];
}

/** A policy document after reading. `variables` is whether `${…}` in it means anything, which depends on its version. */
export interface Policy {
  readonly statements: readonly Statement[];
  readonly variables: boolean;
}

/** What a document is for decides which elements it must and may not have. */
export type PolicyUse = 'identity' | 'trust' | 'scp';

/** Why a document was refused; the message is AWS's business and goes to the caller. */
export class Malformed extends Error {}

const elements = new Set(['Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition', 'Principal', 'NotPrincipal']);

function texts(value: unknown, element: string): string[] {
  const list = Array.isArray(value) ? value : [value];
  if (list.some((v) => typeof v !== 'string')) throw new Malformed(`Syntax errors in policy: ${element}`);
  return list as string[];
}

function readPrincipals(value: unknown): Principals {
  if (value === '*') return { everybody: true, aws: [] };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed('Invalid principal in policy');
  const aws: string[] = [];
  for (const [kind, names] of Object.entries(value)) {
    const list = texts(names, 'Principal');
    if (!['AWS', 'Service', 'Federated', 'CanonicalUser'].includes(kind)) throw new Malformed('Invalid principal in policy');
    if (kind === 'AWS') aws.push(...list);
  }
  return { everybody: aws.includes('*'), aws: aws.filter((a) => a !== '*') };
}

function readConditions(value: unknown): Condition[] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed('Syntax errors in policy.');
  const out: Condition[] = [];
  for (const [operator, keys] of Object.entries(value)) {
    if (!operatorExists(operator)) throw new Malformed(`Invalid Condition type : ${operator}.`);
    if (typeof keys !== 'object' || keys === null || Array.isArray(keys)) throw new Malformed('Syntax errors in policy.');
    for (const [key, values] of Object.entries(keys)) {
      const list = Array.isArray(values) ? values : [values];
      if (list.some((v) => !['string', 'number', 'boolean'].includes(typeof v))) throw new Malformed('Syntax errors in policy.');
      out.push({ operator, key: key.toLowerCase(), values: list.map(String) });
    }
  }
  return out;
}

function readStatement(value: unknown, use: PolicyUse): Statement {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed('Syntax errors in policy.');
  const s = value as Record<string, unknown>;
  for (const name of Object.keys(s)) if (!elements.has(name)) throw new Malformed('Syntax errors in policy.');
  if (s.Effect !== 'Allow' && s.Effect !== 'Deny') throw new Malformed('Statement must contain Effect Allow or Deny.');
  if ((s.Action === undefined) === (s.NotAction === undefined)) throw new Malformed('Policy statement must contain actions.');
  const named = s.Principal !== undefined || s.NotPrincipal !== undefined;
  const resourced = s.Resource !== undefined || s.NotResource !== undefined;
  if (use === 'trust') {
    if (!named) throw new Malformed('AssumeRole policy must contain principals.');
    if (resourced) throw new Malformed('Has prohibited field Resource');
  } else {
    if (named) throw new Malformed('Policy document should not specify a principal.');
    if ((s.Resource === undefined) === (s.NotResource === undefined)) throw new Malformed('Policy statement must contain resources.');
  }
  const actions = texts(s.Action ?? s.NotAction, 'Action').map((a) => a.toLowerCase());
  for (const a of actions)
    if (a !== '*' && !/^[a-z0-9-]+:[a-z0-9*?]+$/.test(a))
      throw new Malformed('Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.');
  return {
    effect: s.Effect,
    ...(s.Action === undefined ? { notActions: actions } : { actions }),
    ...(s.Resource === undefined ? {} : { resources: texts(s.Resource, 'Resource') }),
    ...(s.NotResource === undefined ? {} : { notResources: texts(s.NotResource, 'NotResource') }),
    ...(s.Principal === undefined ? {} : { principals: readPrincipals(s.Principal) }),
    ...(s.NotPrincipal === undefined ? {} : { notPrincipals: readPrincipals(s.NotPrincipal) }),
    conditions: readConditions(s.Condition),
  };
}

/** Reads a document, or throws `Malformed`. */
export function readPolicy(text: string, use: PolicyUse): Policy {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Malformed('This policy contains invalid Json');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed('This policy contains invalid Json');
  const { Version: version, Id: _id, Statement: statement, ...rest } = value as Record<string, unknown>;
  if (Object.keys(rest).length > 0) throw new Malformed('Syntax errors in policy.');
  if (version !== undefined && version !== '2012-10-17' && version !== '2008-10-17') throw new Malformed('Syntax errors in policy.');
  if (statement === undefined) throw new Malformed('Missing required field Statement');
  const statements = (Array.isArray(statement) ? statement : [statement]).map((s) => readStatement(s, use));
  const sids = (Array.isArray(statement) ? statement : [statement]).map((s) => s.Sid).filter((sid) => sid !== undefined);
  if (sids.some((sid) => typeof sid !== 'string') || new Set(sids).size !== sids.length)
    throw new Malformed('Statement IDs (SID) in a single policy must be unique.');
  if (statements.length === 0) throw new Malformed('Missing required field Statement');
  return { statements, variables: version === '2012-10-17' };
}

const cache = new Map<string, Policy>();

/** As `readPolicy`, for a document that was accepted before; the same text is read once. */
export function knownPolicy(text: string, use: PolicyUse): Policy {
  const key = `${use} ${text}`;
  let policy = cache.get(key);
  if (policy === undefined) {
    policy = readPolicy(text, use);
    if (cache.size > 20_000) cache.clear();
    cache.set(key, policy);
  }
  return policy;
}

/** What is asked: an action on a resource, under circumstances. */
export interface Question {
  /** `service:Action`. */
  readonly action: string;
  readonly resource: string;
  readonly context: Context;
}

/** Fills `${aws:username}` and its like. An absent key fills nothing: the text then fits no value at all, as AWS says. */
function fill(text: string, policy: Policy, context: Context): string | undefined {
  if (!policy.variables || !text.includes('${')) return text;
  let missing = false;
  const out = text.replace(/\$\{([^}]*)\}/g, (_all, name: string) => {
    if (name === '*' || name === '?' || name === '$') return name;
    const [key = '', fallback] = name.split(/\s*,\s*/);
    const value = context.get(key.trim().toLowerCase());
    if (value?.length === 1) return value[0] ?? '';
    if (fallback !== undefined) return fallback.replace(/^'|'$/g, '');
    missing = true;
    return '';
  });
  return missing ? undefined : out;
}

const fitsAction = (patterns: readonly string[], action: string) => patterns.some((p) => wildcard(p, action));

function fitsResource(patterns: readonly string[], policy: Policy, q: Question): boolean {
  return patterns.some((p) => {
    const filled = fill(p, policy, q.context);
    return filled !== undefined && (filled === '*' || arnLike(filled, q.resource));
  });
}

function applies(s: Statement, policy: Policy, q: Question): boolean {
  const action = q.action.toLowerCase();
  if (s.actions !== undefined && !fitsAction(s.actions, action)) return false;
  if (s.notActions !== undefined && fitsAction(s.notActions, action)) return false;
  if (s.resources !== undefined && !fitsResource(s.resources, policy, q)) return false;
  if (s.notResources !== undefined && fitsResource(s.notResources, policy, q)) return false;
  for (const condition of s.conditions) {
    const values = condition.values.map((v) => fill(v, policy, q.context)).filter((v) => v !== undefined);
    const answer = holds({ ...condition, values }, q.context);
    if (answer === 'unknown') {
      if (s.effect === 'Allow') return false;
    } else if (!answer) return false;
  }
  return true;
}

export type Effect = 'allow' | 'deny' | 'none';

/** What a set of policies says together. */
export function judge(policies: readonly Policy[], q: Question): Effect {
  let effect: Effect = 'none';
  for (const policy of policies) {
    for (const s of policy.statements) {
      if (s.effect === 'Allow' && effect === 'allow') continue;
      if (!applies(s, policy, q)) continue;
      if (s.effect === 'Deny') return 'deny';
      effect = 'allow';
    }
  }
  return effect;
}

/** The policies that bear on a principal. A layer that is absent does not limit; a layer that is there and empty allows nothing. */
export interface Layers {
  readonly identity: readonly Policy[];
  readonly boundary?: readonly Policy[];
  readonly session?: readonly Policy[];
  /** What a session was scoped down by, step by step. */
  readonly scopes?: readonly (readonly Policy[])[];
  readonly scp?: readonly Policy[];
}

export type LayerName = 'identity-based' | 'service control' | 'permissions boundary' | 'session';

export interface Judgement {
  readonly allowed: boolean;
  /** For a refusal: which layer refused, and whether it said so or merely did not allow. */
  readonly layer?: LayerName;
  readonly explicit?: boolean;
}

/** The whole decision. `granted` says that a resource's own policy already allows, which only an explicit deny can take back. */
export function decide(layers: Layers, q: Question, granted = false): Judgement {
  const said: [LayerName, Effect][] = [['identity-based', judge(layers.identity, q)]];
  if (layers.scp !== undefined) said.push(['service control', judge(layers.scp, q)]);
  if (layers.boundary !== undefined) said.push(['permissions boundary', judge(layers.boundary, q)]);
  if (layers.session !== undefined) said.push(['session', judge(layers.session, q)]);
  for (const scope of layers.scopes ?? []) said.push(['session', judge(scope, q)]);
  const denier = said.find(([, effect]) => effect === 'deny');
  if (denier !== undefined) return { allowed: false, layer: denier[0], explicit: true };
  for (const layer of ['service control', 'permissions boundary', 'session', 'identity-based'] as const) {
    // Of several policies of a layer each has to allow.
    if (said.every(([name, effect]) => name !== layer || effect === 'allow')) continue;
    // A resource policy that names the very principal stands in for the identity policy, not for the limits around it.
    if (granted && layer === 'identity-based') continue;
    return { allowed: false, layer, explicit: false };
  }
  return { allowed: true };
}

/** A principal as a trust policy sees it: every ARN it may be named by, and its account. */
export interface Trusted {
  readonly arns: readonly string[];
  readonly accountId: string;
}

/**
 * What a trust policy says about a principal: `named` when it names the principal itself (then the principal's own policies need not allow),
 * `account` when it only names the account (then they must).
 */
export function trusts(policy: Policy, who: Trusted, q: Question): 'deny' | 'none' | 'account' | 'named' {
  const names = (p: Principals): 'none' | 'account' | 'named' => {
    if (p.everybody || p.aws.some((a) => who.arns.includes(a))) return 'named';
    return p.aws.some((a) => a === who.accountId || a === `arn:aws:iam::${who.accountId}:root`) ? 'account' : 'none';
  };
  let answer: 'none' | 'account' | 'named' = 'none';
  for (const s of policy.statements) {
    const named =
      s.principals !== undefined
        ? names(s.principals)
        : s.notPrincipals !== undefined && names(s.notPrincipals) === 'none'
          ? 'account'
          : 'none';
    if (named === 'none' || !applies(s, policy, q)) continue;
    if (s.effect === 'Deny') return 'deny';
    if (answer !== 'named') answer = named;
  }
  return answer;
}

/** The principals that a trust policy names, as written. */
export function namedPrincipals(policy: Policy): string[] {
  return policy.statements.flatMap((s) => [...(s.principals?.aws ?? []), ...(s.notPrincipals?.aws ?? [])]);
}
