import { fault } from '../domain/errors.ts';
import { SearchAttribute, WorkflowName } from '../domain/messages.ts';
import { Extent, IncidentState } from '../domain/states.ts';
import type { ClientContext } from './context.ts';
import { faultOf } from './faults.ts';

/** Which incidents to list; all of them where nothing is said. */
export interface ListFilter {
  readonly state?: IncidentState;
  readonly kind?: string;
  readonly contained?: Extent;
  readonly stuck?: boolean;
  /** Only runs that go on, or only such as have ended. */
  readonly open?: boolean;
}

/** One run as visibility has it: a moment behind, and without anything that is encrypted. */
export interface ListedIncident {
  readonly id: string;
  readonly run: string;
  readonly open: boolean;
  readonly state?: string;
  readonly kind?: string;
  readonly contained?: string;
  readonly stuck?: string;
  readonly startedAt: string;
  readonly endedAt?: string;
}

/** The runs that fit, newest first as the server orders them. */
export async function* listIncidents(context: ClientContext, filter: ListFilter = {}): AsyncGenerator<ListedIncident> {
  const terms = [`WorkflowType = '${WorkflowName.LEAK_RESPONSE}'`];
  const word = (name: string, value: string, allowed?: readonly string[]) => {
    // The query is text, so nothing goes into it that could end the quotation.
    if (allowed === undefined ? !/^[A-Za-z0-9._-]{1,120}$/.test(value) : !allowed.includes(value)) {
      throw fault('usage.invalid', { filter: name, ...(allowed === undefined ? {} : { expected: allowed.join(', ') }) });
    }
    terms.push(`${name} = '${value}'`);
  };
  if (filter.state !== undefined) word(SearchAttribute.STATE, filter.state, Object.values(IncidentState));
  if (filter.kind !== undefined) word(SearchAttribute.KIND, filter.kind);
  if (filter.contained !== undefined) word(SearchAttribute.CONTAINED, filter.contained, Object.values(Extent));
  if (filter.stuck !== undefined) word(SearchAttribute.STUCK, filter.stuck ? 'yes' : 'no');
  if (filter.open !== undefined) terms.push(`ExecutionStatus ${filter.open ? '=' : '!='} 'Running'`);
  try {
    for await (const found of context.temporal.workflow.list({ query: terms.join(' AND ') })) {
      const attribute = (name: string): string | undefined => {
        const [value] = found.searchAttributes?.[name] ?? [];
        return typeof value === 'string' ? value : undefined;
      };
      const named = {
        state: attribute(SearchAttribute.STATE),
        kind: attribute(SearchAttribute.KIND),
        contained: attribute(SearchAttribute.CONTAINED),
        stuck: attribute(SearchAttribute.STUCK),
      };
      yield {
        id: found.workflowId,
        run: found.runId,
        open: found.status.name === 'RUNNING',
        ...(Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)) as Partial<ListedIncident>),
        startedAt: found.startTime.toISOString(),
        ...(found.closeTime === undefined ? {} : { endedAt: found.closeTime.toISOString() }),
      };
    }
  } catch (error) {
    throw faultOf(error, { attempted: 'list' });
  }
}

/**
 * The whole id of an incident that a person has named: the id itself, or eight or more characters of its fingerprint. Throws `usage.invalid` for
 * anything else, `engine.not-found` where nothing fits, `engine.ambiguous` where several do.
 */
export async function resolveIncident(context: ClientContext, given: string): Promise<string> {
  const text = given.trim();
  const fingerprint = /^(?:leak\/)?([0-9a-f]{8,64})$/.exec(text)?.[1];
  if (fingerprint === undefined)
    throw fault('usage.invalid', { id: text.slice(0, 80), expected: 'leak/… or eight or more characters of the fingerprint' });
  if (fingerprint.length === 64) return `leak/${fingerprint}`;
  const found = new Set<string>();
  try {
    const query = `WorkflowType = '${WorkflowName.LEAK_RESPONSE}' AND WorkflowId STARTS_WITH 'leak/${fingerprint}'`;
    for await (const { workflowId } of context.temporal.workflow.list({ query })) {
      found.add(workflowId);
      if (found.size > 1) throw fault('engine.ambiguous', { id: text });
    }
  } catch (error) {
    throw faultOf(error, { id: text, attempted: 'look up the id' });
  }
  const [only] = found;
  if (only === undefined) throw fault('engine.not-found', { id: text });
  return only;
}
