import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Call, Operations } from './call.ts';
import { failure } from './refusal.ts';
import type { TrailEntry } from './trail.ts';
import type { AnswerValue } from './xml.ts';

const retentionMs = 90 * 86_400_000;
const perPage = 50;

const attributes: Readonly<Record<string, (e: TrailEntry, value: string) => boolean>> = {
  EventId: (e, v) => e.id === v,
  EventName: (e, v) => e.name === v,
  ReadOnly: (e, v) => String(e.readOnly) === v,
  Username: (e, v) => e.username === v,
  ResourceType: (e, v) => e.resources.some((r) => r.type === v),
  ResourceName: (e, v) => e.resources.some((r) => r.name === v),
  EventSource: (e, v) => e.source === v,
  AccessKeyId: (e, v) => e.keyId === v,
};

interface Lookup {
  readonly matches: (e: TrailEntry) => boolean;
  readonly from: number;
  readonly to: number;
  /** What a page token is bound to. */
  readonly fingerprint: string;
}

function time(call: Call, name: string): number | undefined {
  const value = call.input[name];
  if (value === undefined || value === null) return undefined;
  const ms = typeof value === 'number' ? value * 1000 : typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms)) throw failure('InvalidTimeRangeException', `${name} is not a time.`);
  return ms;
}

function readLookup(call: Call): Lookup {
  const list = call.list('LookupAttributes') as { AttributeKey?: unknown; AttributeValue?: unknown }[];
  if (list.length > 1) throw failure('InvalidLookupAttributesException', 'You can specify only one lookup attribute.');
  const key = list[0]?.AttributeKey;
  const value = list[0]?.AttributeValue;
  let matches: (e: TrailEntry) => boolean = () => true;
  if (list.length === 1) {
    const test = typeof key === 'string' && Object.hasOwn(attributes, key) ? attributes[key] : undefined;
    if (test === undefined || typeof value !== 'string' || value === '')
      throw failure('InvalidLookupAttributesException', 'The lookup attribute is not valid.');
    matches = (e) => test(e, value);
  }
  const from = time(call, 'StartTime');
  const to = time(call, 'EndTime');
  if (from !== undefined && to !== undefined && from > to)
    throw failure('InvalidTimeRangeException', 'The start time is after the end time.');
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([call.region, key, value, from, to]))
    .digest('base64url');
  return { matches, from: from ?? -Infinity, to: to ?? Infinity, fingerprint };
}

/** A page token says where the next page begins, and is bound to the look-up it continues. */
function writeToken(call: Call, lookup: Lookup, before: number): string {
  const mac = createHmac('sha256', call.world.state.account.pageKey).update(`${before} ${lookup.fingerprint}`).digest('base64url');
  return `${Buffer.from(String(before)).toString('base64url')}.${mac}`;
}

function readToken(call: Call, lookup: Lookup): number {
  const token = call.optional('NextToken');
  if (token === undefined) return Infinity;
  const before = Number(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString());
  const expected = Buffer.from(writeToken(call, lookup, before));
  const given = Buffer.from(token);
  if (expected.length !== given.length || !timingSafeEqual(expected, given)) {
    throw failure('InvalidNextTokenException', 'The token is not valid, or the parameters are not those that the token was given for.');
  }
  return before;
}

/** CloudTrail's event history: management events of one Region, newest first, each to be seen only once its lag has passed. */
export const cloudtrail: Operations = {
  LookupEvents: {
    mutates: false,
    need: () => ({ resource: '*' }),
    run: (call) => {
      const { trail, settings } = call.world;
      if (!trail.admit(call.region)) throw failure('ThrottlingException', 'Rate exceeded');
      const size = call.integer('MaxResults', 1, perPage, perPage);
      const lookup = readLookup(call);
      const before = readToken(call, lookup);
      const newest = call.now - settings.logLagMs - trail.behind(call.region);
      const oldest = call.now - retentionMs;
      const events = trail.of(call.region);
      const found: TrailEntry[] = [];
      let more = false;
      for (let i = events.length - 1; i >= 0; i--) {
        const e = events[i];
        if (e === undefined || e.seq >= before || e.at + (e.lateMs ?? 0) > newest) continue;
        if (e.at < oldest) break;
        // Events carry whole seconds, so a range counts in whole seconds too.
        const second = Math.floor(e.at / 1000) * 1000;
        if (second < lookup.from - 999 || second > lookup.to || !lookup.matches(e)) continue;
        if (found.length === size) {
          more = true;
          break;
        }
        found.push(e);
      }
      const last = found.at(-1);
      return {
        Events: found.map(
          (e): AnswerValue => ({
            EventId: e.id,
            EventName: e.name,
            ReadOnly: String(e.readOnly),
            AccessKeyId: e.keyId,
            EventTime: Math.floor(e.at / 1000),
            EventSource: e.source,
            Username: e.username,
            Resources: e.resources.map((r) => ({ ResourceType: r.type, ResourceName: r.name })),
            CloudTrailEvent: e.record,
          }),
        ),
        NextToken: more && last !== undefined ? writeToken(call, lookup, last.seq) : undefined,
      };
    },
  },
  DescribeTrails: { mutates: false, need: () => ({ resource: '*' }), run: () => ({ trailList: [] }) },
};
