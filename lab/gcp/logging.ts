import { may } from './access.ts';
import { Refusal } from './refusal.ts';
import { ok, only, type Route } from './route.ts';
import type { World } from './state.ts';

type Test = (entry: unknown) => boolean;
const bad = (words: string): Refusal => new Refusal('INVALID_ARGUMENT', `Unparseable filter: ${words}`);

/**
 * The part of Cloud Logging's query language that responders use: comparisons of paths with quoted values by `=`, `:` (has), `>=`, `<=`, `>`, `<`, joined by `AND`, `OR`, `NOT`
 * and parentheses. What is not understood is refused and never taken for true ("Logging query language").
 */
export function parseFilter(text: string): Test {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[()]|>=|<=|!=|[=:<>]|[^\s()=:<>!"]+/g) ?? [];
  let at = 0;
  const peek = () => tokens[at];
  const take = () => tokens[at++];
  const either = (): Test => {
    const parts = [both()];
    while (peek() === 'OR') {
      take();
      parts.push(both());
    }
    return (entry) => parts.some((part) => part(entry));
  };
  const both = (): Test => {
    const parts = [single()];
    for (;;) {
      if (peek() === 'AND') take();
      else if (peek() === undefined || peek() === ')' || peek() === 'OR') return (entry) => parts.every((part) => part(entry));
      parts.push(single());
    }
  };
  const single = (): Test => {
    const token = take();
    if (token === undefined) throw bad('it ends too soon');
    if (token === 'NOT') {
      const not = single();
      return (entry) => !not(entry);
    }
    if (token === '(') {
      const inner = either();
      if (take() !== ')') throw bad('a parenthesis is not closed');
      return inner;
    }
    const operator = take();
    const given = take();
    if (
      !/^[A-Za-z][\w.@]*$/.test(token) ||
      operator === undefined ||
      given === undefined ||
      !['=', ':', '>=', '<=', '>', '<', '!='].includes(operator)
    )
      throw bad(`at "${token}"`);
    const value = given.startsWith('"') ? given.slice(1, -1).replace(/\\(.)/g, '$1') : given;
    return (entry) => found(entry, token.split('.')).some((each) => compare(each, operator, value));
  };
  if (tokens.length === 0) return () => true;
  const test = either();
  if (at < tokens.length) throw bad(`after "${tokens[at - 1]}"`);
  return test;
}

/** What stands at a path; a list on the way stands for each of its members. */
function found(value: unknown, path: readonly string[]): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((each) => found(each, path));
  const [name, ...rest] = path;
  if (name === undefined) return value === undefined ? [] : [value];
  if (typeof value !== 'object' || value === null) return [];
  return found((value as Record<string, unknown>)[name], rest);
}

function compare(value: unknown, operator: string, given: string): boolean {
  if (operator === ':') return given === '*' || String(value).toLowerCase().includes(given.toLowerCase());
  const times = [Date.parse(String(value)), Date.parse(given)] as const;
  const [left, right] = times.every((each) => !Number.isNaN(each)) && /T/.test(given) ? times : [String(value), given];
  if (operator === '=') return left === right;
  if (operator === '!=') return left !== right;
  if (operator === '>=') return left >= right;
  if (operator === '<=') return left <= right;
  return operator === '>' ? left > right : left < right;
}

function visible(world: World, project: string, privately: boolean): readonly Readonly<Record<string, unknown>>[] {
  const until = world.clock.now() - world.settings.logLagMs;
  return world.log.filter((each) => each.project === project && each.at <= until && (privately || !each.private)).map((each) => each.entry);
}

export const loggingRoutes: readonly Route[] = [
  {
    service: 'logging.googleapis.com',
    method: 'google.logging.v2.LoggingServiceV2.ListLogEntries',
    verb: 'POST',
    pattern: /^\/v2\/entries:list$/,
    permission: 'logging.logEntries.list',
    auth: 'token',
    run(call) {
      const { world, body } = call;
      only(body, 'resourceNames', 'filter', 'orderBy', 'pageSize', 'pageToken');
      const names = body.resourceNames;
      if (!Array.isArray(names) || names.length === 0) throw new Refusal('INVALID_ARGUMENT', 'resourceNames is required.');
      const {
        filter = '',
        orderBy = 'timestamp asc',
        pageSize = 50,
        pageToken,
      } = body as { filter?: string; orderBy?: string; pageSize?: number; pageToken?: string };
      if (filter.length > 20_000) throw new Refusal('INVALID_ARGUMENT', 'The filter is longer than 20000 characters.');
      if (orderBy !== 'timestamp asc' && orderBy !== 'timestamp desc')
        throw new Refusal('INVALID_ARGUMENT', 'orderBy must be "timestamp asc" or "timestamp desc".');
      if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > 1000)
        throw new Refusal('INVALID_ARGUMENT', 'pageSize must be between 1 and 1000.');
      const minute = world.clock.now() - 60_000;
      while ((world.logReads[0] ?? Number.POSITIVE_INFINITY) < minute) world.logReads.shift();
      if (world.logReads.length >= world.settings.logReadsPerMinute)
        throw new Refusal(
          'RESOURCE_EXHAUSTED',
          "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of service 'logging.googleapis.com'.",
        );
      world.logReads.push(world.clock.now());
      const test = parseFilter(filter);
      const entries = names.flatMap((name) => {
        const project = /^projects\/([^/]+)$/.exec(String(name))?.[1];
        if (project === undefined) throw new Refusal('INVALID_ARGUMENT', 'A resource name must be of a project here.');
        if (!may(world, call.email, 'logging.logEntries.list', project))
          throw new Refusal('PERMISSION_DENIED', "Permission 'logging.logEntries.list' denied on resource (or it may not exist).");
        // Without the second permission the entries of Data Access logs are left out, and nothing says so.
        return visible(world, project, may(world, call.email, 'logging.privateLogEntries.list', project)).filter(test);
      });
      entries.sort((a, b) => String(a.timestamp).localeCompare(String(b.timestamp)));
      if (orderBy.endsWith('desc')) entries.reverse();
      const from = pageToken === undefined ? 0 : Number(pageToken);
      if (!Number.isInteger(from)) throw new Refusal('INVALID_ARGUMENT', 'The page token is invalid.');
      const end = from + pageSize;
      return ok({
        ...(entries.length > from ? { entries: entries.slice(from, end) } : {}),
        ...(end < entries.length ? { nextPageToken: String(end) } : {}),
      });
    },
  },
];
