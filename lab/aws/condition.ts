import { arnLike, inRange, wildcard } from './match.ts';

/** The values a request has for a condition key. A key that the request does not have is absent, which is not the same as empty. */
export type Context = ReadonlyMap<string, readonly string[]>;

/** One `operator: {key: values}` of a policy, keys in lower case because AWS compares their names without regard to case. */
export interface Condition {
  readonly operator: string;
  readonly key: string;
  readonly values: readonly string[];
}

type Test = (want: string, have: string) => boolean;

const number = (text: string): number => (text.trim() === '' ? Number.NaN : Number(text));
/** ISO 8601, or seconds since 1970, as the policy grammar allows. */
const date = (text: string): number => (/^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text));
/** What cannot be read as a number or date compares as false with everything, negated operators included. */
const compare = (read: (text: string) => number, holds: (have: number, want: number) => boolean): Test => {
  return (want, have) => {
    const a = read(have);
    const b = read(want);
    return !Number.isNaN(a) && !Number.isNaN(b) && holds(a, b);
  };
};

const numbers = {
  Equals: (a: number, b: number) => a === b,
  LessThan: (a: number, b: number) => a < b,
  LessThanEquals: (a: number, b: number) => a <= b,
  GreaterThan: (a: number, b: number) => a > b,
  GreaterThanEquals: (a: number, b: number) => a >= b,
};

const tests: Record<string, Test> = {
  StringEquals: (want, have) => want === have,
  StringEqualsIgnoreCase: (want, have) => want.toLowerCase() === have.toLowerCase(),
  StringLike: wildcard,
  ArnEquals: arnLike,
  ArnLike: arnLike,
  Bool: (want, have) => want.toLowerCase() === have.toLowerCase(),
  IpAddress: inRange,
};
for (const [name, holds] of Object.entries(numbers)) {
  tests[`Numeric${name}`] = compare(number, holds);
  tests[`Date${name}`] = compare(date, holds);
}

/** A negated operator is true when none of the policy's values fits, and true where the key is absent. */
const negations: Readonly<Record<string, string>> = {
  StringNotEquals: 'StringEquals',
  StringNotEqualsIgnoreCase: 'StringEqualsIgnoreCase',
  StringNotLike: 'StringLike',
  ArnNotEquals: 'ArnEquals',
  ArnNotLike: 'ArnLike',
  NumericNotEquals: 'NumericEquals',
  DateNotEquals: 'DateEquals',
  NotIpAddress: 'IpAddress',
};

/** Operators of AWS's grammar that the simulator accepts in a document and cannot judge. */
const unjudged = new Set(['BinaryEquals']);

interface Reading {
  readonly base: string;
  readonly quantifier: 'all' | 'any' | 'none';
  readonly ifExists: boolean;
}

function read(operator: string): Reading {
  const set = /^(ForAllValues|ForAnyValue):(.*)$/.exec(operator);
  const rest = set?.[2] ?? operator;
  const ifExists = rest.endsWith('IfExists');
  return {
    base: ifExists ? rest.slice(0, -'IfExists'.length) : rest,
    quantifier: set === null ? 'none' : set[1] === 'ForAllValues' ? 'all' : 'any',
    ifExists,
  };
}

/** Whether AWS's grammar has the operator at all; a document with another is malformed. */
export function operatorExists(operator: string): boolean {
  const { base, ifExists } = read(operator);
  return base === 'Null' ? !ifExists : Object.hasOwn(tests, base) || Object.hasOwn(negations, base) || unjudged.has(base);
}

/**
 * Whether a condition holds for a request: `unknown` where the operator is one the simulator cannot judge. The caller takes the safe side
 * of unknown: a deny applies, an allow does not.
 */
export function holds(condition: Condition, context: Context): boolean | 'unknown' {
  const { base, quantifier, ifExists } = read(condition.operator);
  const have = context.get(condition.key);
  if (base === 'Null') return condition.values.some((v) => v.toLowerCase() === String(have === undefined));
  const negated = Object.hasOwn(negations, base) ? negations[base] : undefined;
  const plain = negated ?? base;
  const test = Object.hasOwn(tests, plain) ? tests[plain] : undefined;
  if (test === undefined) return 'unknown';
  if (have === undefined || have.length === 0) {
    if (ifExists || quantifier === 'all') return true;
    return quantifier === 'any' ? false : negated !== undefined;
  }
  const fits = (value: string) => condition.values.some((want) => test(want, value)) !== (negated !== undefined);
  if (quantifier === 'all') return have.every(fits);
  if (quantifier === 'any') return have.some(fits);
  // Without a quantifier a key has one value. Should it have several, a negation must hold for all of them and anything else for one.
  return negated === undefined ? have.some(fits) : have.every(fits);
}
