import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { type Hash, isHash } from '../domain/canonical.ts';
import { fault } from '../domain/errors.ts';
import { historyToJsonValue } from './history-json.ts';

const { History } = proto.temporal.api.history.v1;
const { EventType } = proto.temporal.api.enums.v1;
/** A history as Temporal's libraries have it. */
export type History = proto.temporal.api.history.v1.IHistory;
type HistoryEvent = proto.temporal.api.history.v1.IHistoryEvent;
type IPayloads = proto.temporal.api.common.v1.IPayloads;
type IFailure = proto.temporal.api.failure.v1.IFailure;

/** One activity as the history tells it. Times are ISO, UTC, by the server's clock. */
export interface ActivityEntry {
  readonly seq: number;
  readonly eventId: number;
  readonly activityId: string;
  readonly type: string;
  readonly queue: string;
  readonly args: readonly unknown[];
  readonly scheduledAt: string;
  startedAt?: string;
  endedAt?: string;
  /** The worker that took it, as it called itself; nobody vouches for that. */
  worker?: string;
  /** The event of the workflow task in which the run heard of the end. */
  heardBy?: number;
  state: 'scheduled' | 'completed' | 'failed' | 'timed-out' | 'cancelled';
  result?: unknown;
  failure?: { readonly type: string; readonly message: string; readonly details: readonly unknown[] };
}

/** A message to the run: a signal or an accepted update. */
export interface MessageEntry {
  readonly eventId: number;
  readonly at: string;
  readonly kind: 'signal' | 'update';
  readonly name: string;
  readonly args: readonly unknown[];
}

/** A history as far as the verifier and the report need it. */
export interface HistoryFacts {
  readonly workflowType: string;
  readonly workflowId: string;
  readonly run: string;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly end?: 'completed' | 'failed' | 'timed-out' | 'cancelled' | 'terminated' | 'continued';
  readonly result?: unknown;
  readonly activities: readonly ActivityEntry[];
  readonly messages: readonly MessageEntry[];
  /** `late`: the start of an activity, which the server writes when the activity ends. */
  readonly times: readonly { readonly eventId: number; readonly at: string; readonly late: boolean }[];
  /** When timers are due that were started and neither fired nor were cancelled, ISO, UTC. */
  readonly due: readonly string[];
  /** What updates were answered, by the event in which they were accepted; `undefined` where the answer is a failure. */
  readonly answers: readonly { readonly acceptedEventId: number; readonly eventId: number; readonly result: unknown }[];
  readonly events: number;
}

/** A history with every payload put through the codec, so that it can be read without the key. The given one is left as it is. */
export async function decodeHistory(history: History, codecs: readonly PayloadCodec[]): Promise<History> {
  const copy = History.decode(History.encode(History.fromObject(history)).finish());
  await decodePayloads(copy, codecs);
  return copy;
}

/** The machine's form. */
export function encodeHistory(history: History): Uint8Array {
  return new Uint8Array(History.encode(History.fromObject(history)).finish());
}

/** Reads the machine's form. Throws `audit.broken` where the bytes are no history, or hold what this version does not know. */
export function parseHistory(bytes: Uint8Array): History {
  let history: History;
  try {
    history = History.decode(bytes);
  } catch (cause) {
    throw fault('audit.broken', { file: 'history.pb', why: 'not a history' }, cause);
  }
  if (!Buffer.from(encodeHistory(history)).equals(bytes)) {
    throw fault('audit.broken', { file: 'history.pb', why: 'it holds what is no part of a history' });
  }
  return history;
}

/** The form for people: what the other Temporal tools write, indented. */
export function historyJson(history: History): string {
  return `${JSON.stringify(historyToJsonValue(history), null, 1)}\n`;
}

async function decodePayloads(value: unknown, codecs: readonly PayloadCodec[]): Promise<void> {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  for (const [name, child] of Object.entries(value)) {
    if (isPayload(child)) {
      let payloads: Payload[] = [child];
      for (const codec of [...codecs].reverse()) payloads = await codec.decode(payloads);
      Object.assign(value, { [name]: payloads[0] });
    } else {
      await decodePayloads(child, codecs);
    }
  }
}

function isPayload(value: unknown): value is Payload {
  // The library builds its types by reflection: a message knows its type, and there is no class to ask for.
  return typeof value === 'object' && value !== null && '$type' in value && value.$type === proto.temporal.api.common.v1.Payload;
}

/** The milliseconds of a protobuf time as ISO, UTC; nanoseconds below are dropped. */
function isoOf(time: HistoryEvent['eventTime']): string {
  return new Date(Number(time?.seconds ?? 0) * 1000 + Math.floor((time?.nanos ?? 0) / 1_000_000)).toISOString();
}

function valuesOf(payloads: IPayloads | null | undefined): unknown[] {
  return (payloads?.payloads ?? []).map((payload) => {
    const encoding = Buffer.from(payload.metadata?.encoding ?? []).toString();
    if (encoding === 'binary/null') return undefined;
    if (encoding !== 'json/plain') return { $undecodable: true, encoding };
    try {
      return JSON.parse(Buffer.from(payload.data ?? []).toString('utf8'));
    } catch {
      return { $undecodable: true, encoding };
    }
  });
}

function failureOf(failure: IFailure | null | undefined): NonNullable<ActivityEntry['failure']> {
  const application = failure?.applicationFailureInfo;
  const encoded = failure?.encodedAttributes ? valuesOf({ payloads: [failure.encodedAttributes] })[0] : undefined;
  const hidden = typeof encoded === 'object' && encoded !== null && 'message' in encoded ? String(encoded.message) : undefined;
  return { type: application?.type ?? '', message: hidden ?? failure?.message ?? '', details: valuesOf(application?.details) };
}

/** What a decoded history tells. Throws `audit.broken` where it does not begin with the start of a run or refers to events it has not. */
export function readHistory(history: History): HistoryFacts {
  const events = history.events ?? [];
  const [first] = events;
  const started = first?.workflowExecutionStartedEventAttributes;
  if (first === undefined || !started) throw fault('audit.broken', { file: 'history.pb', why: 'it does not begin with a start' });
  const activities = new Map<number, ActivityEntry>();
  const messages: MessageEntry[] = [];
  const times: { eventId: number; at: string; late: boolean }[] = [];
  const timers = new Map<number, string>();
  const answers: { acceptedEventId: number; eventId: number; result: unknown }[] = [];
  const unheard: ActivityEntry[] = [];
  let end: { end: NonNullable<HistoryFacts['end']>; endedAt: string; result?: unknown } | undefined;
  const activity = (id: unknown): ActivityEntry => {
    const found = activities.get(Number(id));
    if (found === undefined) throw fault('audit.broken', { file: 'history.pb', why: `event ${id} is no scheduled activity` });
    return found;
  };
  for (const event of events) {
    const at = isoOf(event.eventTime);
    const eventId = Number(event.eventId);
    times.push({ eventId, at, late: event.eventType === EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED });
    if (end) throw fault('audit.broken', { file: 'history.pb', why: `event ${eventId} comes after the end` });
    switch (event.eventType) {
      case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: {
        const scheduled = event.activityTaskScheduledEventAttributes;
        activities.set(eventId, {
          seq: activities.size + 1,
          eventId,
          activityId: scheduled?.activityId ?? '',
          type: scheduled?.activityType?.name ?? '',
          queue: scheduled?.taskQueue?.name ?? '',
          args: valuesOf(scheduled?.input),
          scheduledAt: at,
          state: 'scheduled',
        });
        break;
      }
      case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED: {
        const entry = activity(event.activityTaskStartedEventAttributes?.scheduledEventId);
        entry.startedAt = at;
        entry.worker = event.activityTaskStartedEventAttributes?.identity ?? '';
        break;
      }
      case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: {
        const entry = activity(event.activityTaskCompletedEventAttributes?.scheduledEventId);
        entry.endedAt = at;
        entry.state = 'completed';
        unheard.push(entry);
        entry.result = valuesOf(event.activityTaskCompletedEventAttributes?.result)[0];
        break;
      }
      case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: {
        const entry = activity(event.activityTaskFailedEventAttributes?.scheduledEventId);
        entry.endedAt = at;
        entry.state = 'failed';
        unheard.push(entry);
        entry.failure = failureOf(event.activityTaskFailedEventAttributes?.failure);
        break;
      }
      case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: {
        const entry = activity(event.activityTaskTimedOutEventAttributes?.scheduledEventId);
        entry.endedAt = at;
        entry.state = 'timed-out';
        unheard.push(entry);
        entry.failure = failureOf(event.activityTaskTimedOutEventAttributes?.failure);
        break;
      }
      case EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: {
        const entry = activity(event.activityTaskCanceledEventAttributes?.scheduledEventId);
        entry.endedAt = at;
        entry.state = 'cancelled';
        entry.failure = {
          type: 'engine.interrupted',
          message: '',
          details: valuesOf(event.activityTaskCanceledEventAttributes?.details),
        };
        unheard.push(entry);
        break;
      }
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED: {
        const answer = event.workflowExecutionUpdateCompletedEventAttributes;
        answers.push({ acceptedEventId: Number(answer?.acceptedEventId ?? 0), eventId, result: valuesOf(answer?.outcome?.success)[0] });
        break;
      }
      case EventType.EVENT_TYPE_TIMER_STARTED: {
        const wait = event.timerStartedEventAttributes?.startToFireTimeout;
        const ms = Number(wait?.seconds ?? 0) * 1000 + Math.floor((wait?.nanos ?? 0) / 1_000_000);
        timers.set(eventId, new Date(Math.min(Date.parse(at) + ms, 8.64e15)).toISOString());
        break;
      }
      case EventType.EVENT_TYPE_TIMER_FIRED:
        timers.delete(Number(event.timerFiredEventAttributes?.startedEventId));
        break;
      case EventType.EVENT_TYPE_TIMER_CANCELED:
        timers.delete(Number(event.timerCanceledEventAttributes?.startedEventId));
        break;
      case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
        for (const entry of unheard.splice(0)) entry.heardBy = eventId;
        break;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: {
        const signal = event.workflowExecutionSignaledEventAttributes;
        messages.push({ eventId, at, kind: 'signal', name: signal?.signalName ?? '', args: valuesOf(signal?.input) });
        break;
      }
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: {
        const input = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input;
        messages.push({ eventId, at, kind: 'update', name: input?.name ?? '', args: valuesOf(input?.args) });
        break;
      }
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        end = { end: 'completed', endedAt: at, result: valuesOf(event.workflowExecutionCompletedEventAttributes?.result)[0] };
        break;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        end = { end: 'failed', endedAt: at };
        break;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        end = { end: 'timed-out', endedAt: at };
        break;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        end = { end: 'cancelled', endedAt: at };
        break;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        end = { end: 'terminated', endedAt: at };
        break;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        end = { end: 'continued', endedAt: at };
        break;
      default:
        break;
    }
  }
  return {
    workflowType: started.workflowType?.name ?? '',
    workflowId: started.workflowId ?? '',
    run: started.originalExecutionRunId ?? '',
    startedAt: isoOf(first.eventTime),
    ...end,
    activities: [...activities.values()],
    messages,
    times,
    due: end ? [] : [...timers.values()],
    answers,
    events: events.length,
  };
}

/** The hashes of records that an activity's end names, by where the engine's own activities name them. */
export function recordsNamed(activity: ActivityEntry): Hash[] {
  const result = (activity.result ?? {}) as Record<string, unknown>;
  const names: unknown[] = [];
  if (activity.state === 'completed') {
    switch (activity.type) {
      case 'receive':
        names.push(...listOf(result.reports), ...listOf(result.refusals), result.inventory);
        break;
      case 'assess':
        names.push(result.finding, result.snapshot);
        break;
      case 'judge':
        names.push(result.assessment, result.verdict, result.plan);
        break;
      case 'capture':
        names.push(result.snapshot);
        break;
      default:
        names.push(result.record);
    }
  } else if (activity.failure) {
    names.push(activity.failure.details[0]);
  }
  return names.filter(isHash);
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
