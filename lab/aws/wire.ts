import type { Input, Service } from './call.ts';
import { jsonCode, Refusal } from './refusal.ts';
import { parameters, type WireRequest } from './sigv4.ts';
import { type Answer, xmlAnswer, xmlError } from './xml.ts';

/** A request after reading its protocol, before anything of it is believed. */
export interface Question {
  readonly service: Service;
  readonly action: string;
  readonly protocol: 'query' | 'json';
  readonly input: Input;
}

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const queryVersions: Readonly<Record<string, Service>> = { '2010-05-08': 'iam', '2011-06-15': 'sts' };
const jsonTargets: Readonly<Record<string, Service>> = {
  secretsmanager: 'secretsmanager',
  'com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101': 'cloudtrail',
  CloudTrail_20131101: 'cloudtrail',
  AWSOrganizationsV20161128: 'organizations',
};
const namespaces: Readonly<Record<string, string>> = {
  iam: 'https://iam.amazonaws.com/doc/2010-05-08/',
  sts: 'https://sts.amazonaws.com/doc/2011-06-15/',
};

type Node = { [name: string]: string | Node };

const blank = (): Node => Object.create(null) as Node;

/** `Tags.member.1.Key=a` and its like, nested; then every element that has a `member` becomes a list in order of its numbers. */
function nested(pairs: Iterable<readonly [string, string]>): Input {
  const root = blank();
  for (const [name, value] of pairs) {
    let node = root;
    const steps = name.split('.');
    const last = steps.pop() ?? '';
    for (const step of steps) {
      const next = node[step];
      const child = typeof next === 'object' ? next : blank();
      node[step] = child;
      node = child;
    }
    node[last] = value;
  }
  return { ...(listed(root) as Record<string, unknown>) };
}

function listed(node: Node): unknown {
  if (typeof node.member === 'object') {
    return Object.entries(node.member)
      .filter(([index]) => /^\d+$/.test(index))
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([, v]) => (typeof v === 'string' ? v : listed(v)));
  }
  // An empty list is sent as the bare name with no value.
  return Object.fromEntries(Object.entries(node).map(([name, v]) => [name, typeof v === 'string' ? v : listed(v)]));
}

/** Reads which operation of which service a request asks for. */
export function readQuestion(request: WireRequest): Question {
  const target = request.headers['x-amz-target'];
  if (target !== undefined) {
    const dot = target.lastIndexOf('.');
    const service = jsonTargets[target.slice(0, dot)];
    if (service === undefined) throw new Refusal('UnknownOperationException', 400, `No service answers to ${target}.`);
    let input: unknown;
    try {
      input = request.body.length === 0 ? {} : JSON.parse(request.body.toString());
    } catch {
      throw new Refusal('SerializationException', 400, 'The body is not JSON.');
    }
    if (typeof input !== 'object' || input === null || Array.isArray(input))
      throw new Refusal('SerializationException', 400, 'The body is not a JSON object.');
    return { service, action: target.slice(dot + 1), protocol: 'json', input: input as Input };
  }
  const at = request.target.indexOf('?');
  const form = (request.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded');
  const pairs = [
    ...(at < 0 ? [] : parameters(request.target.slice(at + 1), true)),
    ...(form ? parameters(request.body.toString(), true) : []),
  ];
  const common = new Map(pairs);
  const service = queryVersions[common.get('Version') ?? ''];
  const action = common.get('Action');
  if (action === undefined) throw new Refusal('MissingAction', 400, 'Could not find operation name in the request.');
  if (service === undefined)
    throw new Refusal(
      'InvalidAction',
      400,
      `Could not find operation ${action} for version ${common.get('Version') ?? 'NO_VERSION_SPECIFIED'}`,
    );
  const input = nested(pairs.filter(([name]) => name !== 'Action' && name !== 'Version' && !name.startsWith('X-Amz-')));
  return { service, action, protocol: 'query', input };
}

/** A successful answer in the protocol that was asked in. */
export function writeAnswer(question: Question, answer: Answer, requestId: string): Reply {
  if (question.protocol === 'json') return { status: 200, type: 'application/x-amz-json-1.1', body: JSON.stringify(answer) };
  return { status: 200, type: 'text/xml', body: xmlAnswer(namespaces[question.service] ?? '', question.action, answer, requestId) };
}

/** An error answer. The JSON services answer 400 whatever the matter, except for a fault of their own. */
export function writeRefusal(question: Pick<Question, 'service' | 'protocol'>, refusal: Refusal, requestId: string): Reply {
  if (question.protocol === 'json') {
    const body = JSON.stringify({ __type: jsonCode(refusal.code), message: refusal.message, Message: refusal.message });
    return { status: refusal.status >= 500 ? 500 : 400, type: 'application/x-amz-json-1.1', body };
  }
  const namespace = namespaces[question.service] ?? '';
  return { status: refusal.status, type: 'text/xml', body: xmlError(namespace, refusal.code, refusal.message, refusal.status, requestId) };
}
