import { type LookupAttributeKey, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import type { Watermark } from '../../domain/assessment.ts';
import { codeOf } from '../../domain/errors.ts';
import { unknown, yes } from '../../domain/observation.ts';
import type { StepContext } from '../contract.ts';
import type { Calls } from './api.ts';

/** What a wait needs: a sleep that heartbeats and ends on abort, and the account's times. */
export interface Waiting {
  readonly timing: StepContext['timing'];
  heartbeat(detail?: unknown): void;
  sleep(ms: number): Promise<void>;
}

/** One event of CloudTrail without anything secret. `params` and `results` are kept where the call made or changed something, or read a secret. */
export interface LogEvent {
  readonly id: string;
  readonly region: string;
  /** ISO 8601; CloudTrail keeps whole seconds. */
  readonly at: string;
  readonly name: string;
  readonly source: string;
  readonly error?: string;
  readonly agent: string;
  readonly address: string;
  readonly requestId: string;
  readonly by: {
    readonly type: string;
    readonly arn?: string;
    readonly accessKeyId?: string;
    readonly userName?: string;
    /** Whose permissions a session has. */
    readonly issuer?: string;
  };
  readonly params?: Readonly<Record<string, unknown>>;
  readonly results?: Readonly<Record<string, unknown>>;
}

/** Members of a CloudTrail record that may hold a secret: session tokens above all, which AWS writes into the record of the call that made them. */
const secretMember =
  /token|secretaccesskey|secretstring|secretbinary|password|privatekey|assertion|authorization|plaintext|credentialblob/i;

/** A copy without members whose name says secret, at any depth. */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !secretMember.test(name))
      .map(([name, inner]) => [name, withoutSecrets(inner)]),
  );
}

const readsSecrets = new Set(['GetSecretValue', 'BatchGetSecretValue', 'GetParameter', 'GetParameters', 'GetParametersByPath', 'Decrypt']);

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
function membersOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}

/** Reads the record inside an event; undefined where it is none. */
export function readEvent(text: string | undefined, region: string): LogEvent | undefined {
  let record: Record<string, unknown> | undefined;
  try {
    record = membersOf(JSON.parse(text ?? ''));
  } catch {
    return undefined;
  }
  const id = textOf(record?.['eventID']);
  const at = Date.parse(textOf(record?.['eventTime']) ?? '');
  if (!record || !id || Number.isNaN(at)) return undefined;
  const identity = membersOf(record['userIdentity']) ?? {};
  const issuer = membersOf(membersOf(identity['sessionContext'])?.['sessionIssuer']);
  const name = textOf(record['eventName']) ?? '';
  const error = textOf(record['errorCode']);
  const telling = record['readOnly'] !== true || readsSecrets.has(name) || membersOf(record['responseElements']) !== undefined;
  const params = telling ? membersOf(withoutSecrets(record['requestParameters'])) : undefined;
  const results = telling ? membersOf(withoutSecrets(record['responseElements'])) : undefined;
  const optional = { arn: textOf(identity['arn']), accessKeyId: textOf(identity['accessKeyId']), userName: textOf(identity['userName']) };
  const issuerArn = textOf(issuer?.['arn']);
  return {
    id,
    region: textOf(record['awsRegion']) ?? region,
    at: new Date(at).toISOString(),
    name,
    source: textOf(record['eventSource']) ?? '',
    ...(error ? { error } : {}),
    agent: textOf(record['userAgent']) ?? '',
    address: textOf(record['sourceIPAddress']) ?? '',
    requestId: textOf(record['requestID']) ?? '',
    by: {
      type: textOf(identity['type']) ?? '',
      ...(optional.arn ? { arn: optional.arn } : {}),
      ...(optional.accessKeyId ? { accessKeyId: optional.accessKeyId } : {}),
      ...(optional.userName ? { userName: optional.userName } : {}),
      ...(issuerArn ? { issuer: issuerArn } : {}),
    },
    ...(params ? { params } : {}),
    ...(results ? { results } : {}),
  };
}

/**
 * Two look-ups a second for each account and Region (CloudTrail API reference, LookupEvents), shared by everything that runs on one connection.
 * A refusal all the same, since others of the account look too, doubles the distance; each success takes half of that back.
 */
export class Pace {
  readonly #windowMs: number;
  readonly #granted: number[] = [];
  #slow = 1;
  constructor(windowMs = 1050) {
    this.#windowMs = windowMs;
  }
  async turn(sleep: (ms: number) => Promise<void>): Promise<void> {
    const now = performance.now();
    const second = this.#granted.at(-2) ?? Number.NEGATIVE_INFINITY;
    const last = this.#granted.at(-1) ?? Number.NEGATIVE_INFINITY;
    const at = Math.max(now, second + this.#windowMs * this.#slow, this.#slow > 1 ? last + (this.#windowMs / 2) * this.#slow : now);
    this.#granted.push(at);
    if (this.#granted.length > 4) this.#granted.shift();
    if (at > now) await sleep(at - now);
  }
  refused(): void {
    this.#slow = Math.min(this.#slow * 2, 8);
  }
  served(): void {
    this.#slow = Math.max(1, this.#slow / 2);
  }
}

/** Events found, and whether that is all there is in the time asked for. `why` says what was left out. */
export interface Found {
  readonly events: readonly LogEvent[];
  readonly why?: string;
}

export interface Query {
  readonly key: LookupAttributeKey;
  readonly value: string;
  /** Milliseconds; events of that second are included. */
  readonly from: number;
  /** 50 events each. */
  readonly mostPages: number;
  /** Ends the look-up early where it is true of an event. */
  readonly until?: (event: LogEvent) => boolean;
}

const pageSize = 50;
/** A busy key makes more calls than can be paged through at a hundred events a second; beyond this many a person has to ask a better log. */
const mostPagesOfKey = 400;
/** Of how many keys and Regions the calls are kept between looks; what is dropped is read again. */
const mostKeysKept = 256;

/** So many events of a key are read anew at each look, whatever their lag; of more than these what is older than twice the lag is taken for settled. */
const fewEvents = 100;
/** What a log may answer that says nothing but that it cannot be read now. */
const silences: readonly string[] = [
  'provider.unavailable',
  'provider.denied',
  'provider.unsupported',
  'provider.throttled',
  'provider.uncertain',
];

interface Kept {
  from: number;
  through: number;
  readonly events: Map<string, LogEvent>;
}

/** Reads an account's event history in the Regions configured. */
export class Log {
  readonly regions: readonly string[];
  readonly globalRegion: string;
  readonly #ownAccessKeyId: string;
  readonly #paces = new Map<string, Pace>();
  /** Up to when each Region's log is known to be complete, by a marker that was seen. */
  readonly #passed = new Map<string, Seen>();
  readonly #kept = new Map<string, Kept>();
  readonly #perSecond: number;
  /** `perSecond`: how many look-ups the account may make in each Region; AWS gives two. */
  constructor(regions: readonly string[], globalRegion: string, ownAccessKeyId: string, perSecond = 2) {
    this.#perSecond = perSecond;
    // IAM's events are in the global Region whatever is configured (CloudTrail User Guide, "Global service events").
    this.regions = [...new Set([globalRegion, ...regions])];
    this.globalRegion = globalRegion;
    this.#ownAccessKeyId = ownAccessKeyId;
  }

  #pace(region: string): Pace {
    const pace = this.#paces.get(region) ?? new Pace((2 * 1050) / this.#perSecond);
    this.#paces.set(region, pace);
    return pace;
  }

  /**
   * Looks one attribute up in one Region, newest events first, page by page. Throttling is waited out, each refusal longer than the last, until the
   * account's patience ends; then it is the caller's.
   */
  async find(calls: Calls, region: string, query: Query, waiting: Waiting): Promise<Found> {
    const events: LogEvent[] = [];
    let token: string | undefined;
    let failures = 0;
    let restarts = 0;
    let refusedSince: number | undefined;
    for (let page = 0; page < query.mostPages; ) {
      await this.#pace(region).turn((ms) => waiting.sleep(ms));
      waiting.heartbeat({ region, page });
      try {
        const answer = await calls.read('cloudtrail:LookupEvents', (aws, options) =>
          aws.cloudtrail(region).send(
            new LookupEventsCommand({
              LookupAttributes: [{ AttributeKey: query.key, AttributeValue: query.value }],
              StartTime: new Date(Math.floor(query.from / 1000) * 1000),
              MaxResults: pageSize,
              ...(token ? { NextToken: token } : {}),
            }),
            options,
          ),
        );
        this.#pace(region).served();
        failures = 0;
        refusedSince = undefined;
        page++;
        for (const entry of answer.Events ?? []) {
          const event = readEvent(entry.CloudTrailEvent, region);
          if (!event) continue;
          events.push(event);
          if (query.until?.(event)) return { events };
        }
        token = answer.NextToken;
        if (!token) return { events };
      } catch (error) {
        const code = codeOf(error);
        if (code === 'provider.throttled') {
          refusedSince ??= performance.now();
          if (performance.now() - refusedSince > waiting.timing.giveUpMs) throw error;
          this.#pace(region).refused();
        } else if (code === 'provider.invalid' && token !== undefined && restarts++ < 2) {
          // A token is good for its own look-up and not for ever: begin again, events are told apart by their ids.
          token = undefined;
          page = 0;
          events.length = 0;
        } else if (code === 'provider.unavailable' && failures++ < 3) {
          await waiting.sleep(200 * 2 ** failures);
        } else throw error;
      }
    }
    return { events, why: `more than ${query.mostPages * pageSize} events of ${query.value} in ${region}` };
  }

  /**
   * All calls made with one key since `from`, in every Region. Of a busy key, which fills a page of the log every few seconds, what an earlier look of this connection has read and
   * twice the log's lag has since passed is not read again. A Region whose log does not answer is said in `why`, and the others are read all the same.
   */
  async callsWith(calls: Calls, accessKeyId: string, from: number, waiting: Waiting): Promise<Found> {
    const found = await Promise.all(
      this.regions.map(async (region) => {
        const name = `${region} ${accessKeyId}`;
        const earlier = this.#kept.get(name);
        const kept = earlier && earlier.from <= from ? earlier : { from, through: from, events: new Map() };
        // Last used goes last, so that what is dropped is what nobody has asked for in a long while.
        this.#kept.delete(name);
        this.#kept.set(name, kept);
        for (const oldest of this.#kept.keys()) {
          if (this.#kept.size <= mostKeysKept) break;
          this.#kept.delete(oldest);
        }
        const since = kept.events.size <= fewEvents ? from : kept.through;
        const answer = await this.#heard(region, () =>
          this.find(calls, region, { key: 'AccessKeyId', value: accessKeyId, from: since, mostPages: mostPagesOfKey }, waiting),
        );
        for (const event of answer.events) kept.events.set(event.id, event);
        if (!answer.why) {
          // An event's time is when it happened, and it is shown later, some later than the lag: only what is older than twice that is settled.
          const settled = calls.now - 2 * waiting.timing.logLagMs - waiting.timing.marginMs - 1000;
          kept.through = Math.max(kept.through, Math.floor(settled / 1000) * 1000);
        }
        return { events: [...kept.events.values()].filter((event) => Date.parse(event.at) >= from - 1000), why: answer.why };
      }),
    );
    const why = found.map((part) => part.why).filter((part) => part !== undefined);
    return {
      events: found.flatMap((part) => part.events).sort((a, b) => a.at.localeCompare(b.at) || a.id.localeCompare(b.id)),
      ...(why.length > 0 ? { why: why.join('; ') } : {}),
    };
  }

  /** What a Region's log answers, or why it did not. */
  async #heard(region: string, ask: () => Promise<Found>): Promise<Found> {
    try {
      return await ask();
    } catch (error) {
      const code = codeOf(error);
      if (!silences.includes(code)) throw error;
      return { events: [], why: `the log of ${region} could not be read: ${code}` };
    }
  }

  /**
   * The newest calls made with one key, newest first, up to `mostPages` of fifty for each Region, and no further in a Region than the first of which `until` is true. `whole` says
   * that there are no others since `from`.
   */
  async newestCallsWith(
    calls: Calls,
    accessKeyId: string,
    from: number,
    waiting: Waiting,
    on: { readonly mostPages?: number; readonly until?: (event: LogEvent) => boolean } = {},
  ): Promise<{ readonly events: readonly LogEvent[]; readonly whole: boolean }> {
    const { mostPages = 1, until } = on;
    const query = { key: 'AccessKeyId', value: accessKeyId, from, mostPages, ...(until ? { until } : {}) } as const;
    const found = await Promise.all(this.regions.map((region) => this.find(calls, region, query, waiting)));
    return {
      events: found.flatMap((part) => part.events).sort((a, b) => b.at.localeCompare(a.at)),
      whole: found.every((part) => part.why === undefined),
    };
  }

  /**
   * Waits until the log of every Region has passed a moment: a call of our own, made after it, is to be seen there, and the log's usual lag and the
   * margin have gone by, since the log promises no order. Where the call was looked for after that time and not there yet, the log is further behind than it was said to be, and
   * as long as that took is waited for. One watermark for each Region; one that does not answer, or not in time, is unknown, and the others say what they know.
   */
  async passed(calls: Calls, moment: number, waiting: Waiting): Promise<ReadonlyMap<string, Watermark>> {
    const deadline = performance.now() + waiting.timing.giveUpMs;
    const entries = await Promise.all(
      this.regions.map(async (region): Promise<[string, Watermark]> => {
        let marker: Mark | undefined;
        for (;;) {
          let why: string;
          try {
            const answer = await this.#passedIn(calls, region, moment, waiting, { deadline, marker, mark: (made) => (marker = made) });
            if (typeof answer !== 'string') return [region, answer];
            why = answer;
          } catch (error) {
            const code = codeOf(error);
            if (!silences.includes(code)) throw error;
            why = `the log of ${region} could not be read: ${code}`;
          }
          if (performance.now() > deadline) return [region, unknown(calls.at, 'log', why)];
          await waiting.sleep(Math.max(waiting.timing.pollMs, 500));
        }
      }),
    );
    return new Map(entries);
  }

  /** One Region's watermark, or in words why there is none when patience ends. */
  async #passedIn(
    calls: Calls,
    region: string,
    moment: number,
    waiting: Waiting,
    on: { readonly deadline: number; readonly marker: Mark | undefined; readonly mark: (made: Mark) => void },
  ): Promise<Watermark | string> {
    const lag = waiting.timing.logLagMs + waiting.timing.marginMs;
    const overdue = () => performance.now() > on.deadline;
    const mark = async (): Promise<Mark> => {
      const answer = await calls.read('sts:GetCallerIdentity', (aws, options) =>
        aws.sts(region).send(new GetCallerIdentityCommand({}), options),
      );
      return { requestId: answer.$metadata.requestId ?? '', at: calls.now };
    };
    const before = this.#passed.get(region);
    if (before !== undefined && before.at >= moment) {
      await mark();
      if (calls.now >= moment + Math.max(lag, before.lagMs)) return this.#says(calls, region, before);
    }
    let marker = on.marker ?? (await mark());
    while (marker.at < moment) {
      if (overdue()) return `the provider's clock has not reached ${iso(moment)}`;
      await waiting.sleep(Math.max(waiting.timing.pollMs, Math.min(moment - marker.at, 1000)));
      marker = await mark();
    }
    on.mark(marker);
    await waiting.sleep(Math.max(0, Math.min(moment + lag - calls.now, waiting.timing.giveUpMs)));
    let seen: Seen | undefined;
    for (let missed = false; ; ) {
      if (!seen) {
        const found = await this.find(
          calls,
          region,
          {
            key: 'AccessKeyId',
            value: this.#ownAccessKeyId,
            from: marker.at - 1000,
            mostPages: 20,
            until: (event) => event.requestId === marker.requestId,
          },
          waiting,
        );
        if (found.events.some((event) => event.requestId === marker.requestId)) {
          // What was not there after the usual lag, and then was, says how far behind the log is; its other events may be as late.
          const behind = missed ? calls.now - marker.at + waiting.timing.marginMs : 0;
          seen = { ...marker, seenAt: calls.now, lagMs: Math.max(lag, behind) };
          if (marker.at >= (this.#passed.get(region)?.at ?? 0)) this.#passed.set(region, seen);
        } else missed = true;
      } else await mark();
      if (seen && calls.now >= moment + seen.lagMs) return this.#says(calls, region, seen);
      if (overdue())
        return seen
          ? `the log's lag since ${iso(moment)} has not gone by`
          : `our own call ${marker.requestId} of ${iso(marker.at)} is not in the log of ${region}`;
      await waiting.sleep(Math.max(waiting.timing.pollMs, seen ? Math.min(1_000, moment + seen.lagMs - calls.now) : 0));
    }
  }

  /** The log is complete up to the marker, or as far as its lag has gone by since. */
  #says(calls: Calls, region: string, seen: Seen): Watermark {
    const until = iso(Math.min(seen.at, calls.now - seen.lagMs));
    const words = `the log of ${region} shows our own call of ${iso(seen.at)}, and ${seen.lagMs} ms have gone by since ${until}; request ${seen.requestId}`;
    return {
      ...yes(calls.at, 'log', words),
      until,
      marker: { requestId: seen.requestId, at: iso(seen.at), seenAt: iso(seen.seenAt) },
      lagMs: seen.lagMs,
    };
  }
}

/** A call of our own, by the provider's clock. */
interface Mark {
  readonly requestId: string;
  readonly at: number;
}

/** A mark that the log has shown, and how far behind the log was. */
interface Seen extends Mark {
  readonly seenAt: number;
  readonly lagMs: number;
}

const iso = (ms: number): string => new Date(ms).toISOString();
