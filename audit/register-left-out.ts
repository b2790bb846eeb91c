import { canonicalJson, type Hash, sha256Of } from '../domain/canonical.ts';
import { openEnvelope } from '../domain/envelope.ts';
import { PayloadType, RecordType } from '../domain/record.ts';
import type { AnyRecord } from '../domain/record-bodies.ts';
import { BundleFile, type BundleFiles } from './bundle.ts';
import { parseHistory, readHistory, recordsNamed } from './history.ts';
import { parseEnvelope } from './records.ts';

/** What a bundle tells of its run, as far as the register can be held against it. */
export interface Account {
  readonly records: ReadonlyMap<Hash, AnyRecord>;
  /** What is said in it, so that the same said twice is known. */
  readonly said: ReadonlySet<string>;
  /** By step and direction: until when, ISO, UTC, its history tells how the step's tries ended. */
  readonly tried: ReadonlyMap<string, string>;
}

/** The part of an activity's argument that names a step. */
interface Named {
  readonly direction?: string;
  readonly warrant?: { readonly plan?: string; readonly step?: string };
  readonly apply?: Named;
  readonly revert?: Named;
}

/** How far the clocks of the server and of a worker may be apart, in milliseconds. */
const skewMs = 60_000;

/** Reads it out of the bundle's records and history. Throws where they are none; says nothing of signatures. */
export function accountOf(files: BundleFiles): Account {
  const records = new Map<Hash, AnyRecord>();
  for (const [path, bytes] of files)
    if (path.startsWith('records/')) records.set(sha256Of(bytes), openEnvelope<AnyRecord>(parseEnvelope(bytes, path), PayloadType.RECORD));
  const said = new Set([...records.values()].flatMap((record) => sayingOf(record) ?? []));
  const tried = new Map<string, string>();
  const history = files.get(BundleFile.HISTORY);
  for (const activity of history ? readHistory(parseHistory(history)).activities : []) {
    if (activity.endedAt === undefined) continue;
    const asked = activity.args[0] as Named | null | undefined;
    const warrant = asked?.warrant ?? asked?.apply?.warrant ?? asked?.revert?.warrant;
    if (!warrant) continue;
    // Its last try has a record, by the clock that the tries before it have; one that timed out, or was called off between two, has none.
    const last = recordsNamed(activity).flatMap((hash) => records.get(hash)?.at ?? [])[0];
    const until = last ?? new Date(Date.parse(activity.endedAt) + skewMs).toISOString();
    const key = keyOf(warrant.plan, warrant.step, asked?.direction ?? activity.type);
    if (until > (tried.get(key) ?? '')) tried.set(key, until);
  }
  return { records, said, tried };
}

/**
 * Whether a record that is registered and not in the bundle is one whose answer was lost or that was tried again: what it says is told there all the same. Each try of an activity leaves a
 * record, and the run hears of the last only, so that without this every honest bundle of a bad day would be called incomplete.
 */
export function isRetold(record: AnyRecord, { said, tried }: Account): boolean {
  if (record.type === RecordType.STEP) {
    const { plan, step, direction } = record.body;
    return record.at <= (tried.get(keyOf(plan, step, direction)) ?? '');
  }
  const saying = sayingOf(record);
  return saying !== undefined && said.has(saying);
}

/** What a record of a kind that is registered says, whoever wrote it and when; undefined for a step, whose tries differ, and for what is not registered. */
function sayingOf({ type, body }: AnyRecord): string | undefined {
  switch (type) {
    case RecordType.REPORT:
      return canonicalJson({ type, report: body.report, signature: body.signature ?? null, issuer: body.issuer ?? null });
    case RecordType.DECISION:
      return canonicalJson({ type, signed: body.signed ?? null, receivedAt: body.receivedAt });
    case RecordType.GATE:
      return canonicalJson({ type, gate: body.gate, planHash: body.planHash, event: body.event });
    case RecordType.REFUSAL:
      return canonicalJson({ type, body });
    case RecordType.REVIEW:
      return canonicalJson({ type, head: body.head });
    default:
      return undefined;
  }
}

const keyOf = (plan: unknown, step: unknown, direction: unknown): string => `${plan} ${step} ${direction}`;
