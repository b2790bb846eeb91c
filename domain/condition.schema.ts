import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { type Situation, situationWords } from './situation.ts';

const environment = new Environment({ limits: { maxAstNodes: 500, maxDepth: 50 } })
  .registerVariable('kind', 'string')
  .registerVariable('provider', 'string')
  .registerVariable('account', 'string')
  .registerVariable('proof', 'string')
  .registerVariable('exposure', 'string')
  .registerVariable('live', 'string')
  .registerVariable('misused', 'string')
  .registerVariable('foreign', 'string')
  .registerVariable('privilege', 'string')
  .registerVariable('handled', 'bool')
  .registerVariable('reversible', 'bool')
  .registerVariable('canary', 'bool')
  .registerVariable('protected', 'bool')
  .registerVariable('own', 'bool')
  .registerVariable('unsigned', 'bool')
  .registerVariable('standing', 'int')
  .registerVariable({ name: 'consumers', schema: { total: 'int', production: 'int', internal: 'int', test: 'int' } })
  .registerVariable('tags', 'list<string>')
  .registerVariable({ name: 'budget', schema: { spent: 'bool' } });

/** What is wrong with a condition, in one sentence; undefined where it is a well-typed yes or no over a situation. */
export function problemOfCondition(text: string): string | undefined {
  const checked = environment.check(text);
  if (!checked.valid) {
    const error = checked.error as (Error & { readonly summary?: string; readonly range?: { readonly start: number } }) | undefined;
    const place = error?.range ? `, at character ${error.range.start + 1} of the condition` : '';
    return `${error?.summary ?? 'cannot be understood'}${place}`;
  }
  if (checked.type !== 'bool') return `is a ${checked.type}, and not a yes or no`;
  return strangeWord(environment.parse(text).ast);
}

/** A word that the variable it is compared with can never be: a slip of the pen that would make a rule silently dead. */
function strangeWord(node: unknown): string | undefined {
  if (Array.isArray(node)) {
    for (const each of node) {
      const found = strangeWord(each);
      if (found) return found;
    }
    return undefined;
  }
  if (typeof node !== 'object' || node === null || !('op' in node)) return undefined;
  const { op, args } = node as ASTNode;
  if ((op === '==' || op === '!=' || op === 'in') && Array.isArray(args)) {
    const [left, right] = args as readonly [ASTNode, ASTNode];
    for (const [name, value] of [
      [left, right],
      [right, left],
    ] as const) {
      const words = name.op === 'id' ? (situationWords as Readonly<Record<string, readonly string[]>>)[name.args] : undefined;
      if (!words) continue;
      const literals = value.op === 'list' ? value.args : [value];
      for (const literal of literals) {
        if (literal.op === 'value' && typeof literal.args === 'string' && !words.includes(literal.args))
          return `${String((name as { args: unknown }).args)} is never "${literal.args}", only ${words.join(', ')}`;
      }
    }
  }
  return strangeWord(args);
}

/** Whether a condition holds. The text must have passed {@link problemOfCondition}; throws otherwise. */
export function holds(text: string, situation: Situation): boolean {
  const { consumers } = situation;
  const result: unknown = environment.evaluate(text, {
    kind: situation.kind,
    provider: situation.provider,
    account: situation.account,
    proof: situation.proof,
    exposure: situation.exposure,
    live: situation.live,
    misused: situation.misused,
    foreign: situation.foreign,
    privilege: situation.privilege,
    handled: situation.handled,
    reversible: situation.reversible,
    canary: situation.canary,
    protected: situation.protected,
    own: situation.own,
    unsigned: situation.unsigned,
    standing: BigInt(situation.standing),
    consumers: {
      total: BigInt(consumers.total),
      production: BigInt(consumers.production),
      internal: BigInt(consumers.internal),
      test: BigInt(consumers.test),
    },
    tags: [...(situation.tags ?? [])],
    budget: { spent: situation.budget.spent },
  });
  return result === true;
}
