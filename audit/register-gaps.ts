import type { Hash } from '../domain/canonical.ts';
import { sha256Of } from '../domain/canonical.ts';
import { emptyHead } from '../domain/record.ts';
import type { AnyRecord } from '../domain/record-bodies.ts';
import type { Trust } from '../domain/trust.ts';
import type { BundleFiles } from './bundle.ts';
import { openRecord, parseEnvelope } from './records.ts';
import { kindOf, numbersIn, openEntry, type RegisterEntry, type RegisterHead, RegisterKind, registerName, signerOf } from './register.ts';
import { type Account, accountOf, isRetold } from './register-left-out.ts';
import { type IncidentPredicate, openStatement, signatureProblems, subjectProblems } from './statement.ts';
import type { BlobStore } from './store.ts';

/** What can be wrong with a register. */
export const GapKind = {
  /** Numbers that nobody has. */
  MISSING: 'missing',
  /** What stands at a number is no entry. */
  UNREADABLE: 'unreadable',
  /** An entry follows another one than the one before it. */
  BROKEN: 'broken',
  /** No key of the trust may have signed it, at its time. */
  UNSIGNED: 'unsigned',
  /** It is older than what stands before it. */
  TIME: 'time',
  /** The record it stands for is gone from the store. */
  GONE: 'gone',
  /** The record it stands for is another than it says. */
  FORGED: 'forged',
  /** An incident was reported, and was neither ended nor goes on. */
  UNFINISHED: 'unfinished',
  /** Something exists that no entry tells of. */
  UNREGISTERED: 'unregistered',
  /** A bundle does not hold a record of its run that is registered. */
  LEFT_OUT: 'left-out',
  /** A bundle saw more of the register than is there. */
  CUT_OFF: 'cut-off',
  /** A bundle saw another register. */
  REWRITTEN: 'rewritten',
  /** What was given as a bundle cannot be leant on. */
  ANCHOR: 'anchor',
} as const;
export type GapKind = (typeof GapKind)[keyof typeof GapKind];

/** One gap. `numbers` are spans of entries, both ends included; `from` and `to` the times between which it lies, ISO, UTC. */
export interface Gap {
  readonly kind: GapKind;
  readonly words: string;
  readonly incident?: string;
  readonly run?: string;
  readonly numbers: readonly (readonly [number, number])[];
  readonly from?: string;
  readonly to?: string;
}

/** What the server says of runs. Undefined in its place means that it was not asked. */
export interface RunsAsked {
  /** Of one run: that it goes on, that it has ended, or that there is none. */
  state(incident: string, run: string): Promise<'running' | 'ended' | 'absent'>;
  /** All runs that the server lists. */
  readonly listed: readonly { readonly incident: string; readonly run: string; readonly startedAt: string }[];
}

/** A bundle, by the name it was given under. */
export interface Anchor {
  readonly name: string;
  readonly files: BundleFiles;
}

export interface Examination {
  readonly entries: number;
  readonly head: RegisterHead;
  /** Times of the first and the last entry. */
  readonly from?: string;
  readonly to?: string;
  readonly incidents: { readonly reported: number; readonly ended: number; readonly running: number; readonly unknown: number };
  readonly gaps: readonly Gap[];
  /** What was not looked at, and can therefore not be known. */
  readonly unknown: readonly string[];
}

interface Standing {
  readonly entry: RegisterEntry;
  readonly hash: Hash;
}

interface Course {
  readonly incident: string;
  readonly run: string;
  readonly entries: RegisterEntry[];
}

/** How far the clocks of two writers may be apart, in milliseconds. */
const skewMs = 60_000;
/** How young a run may be that no entry tells of yet, in milliseconds. */
const graceMs = 60_000;

/**
 * Walks the register and names what is missing in it, and what exists that it does not tell of. Reads the store and, through `runs`, the server; changes nothing. Whoever holds the
 * judge's key and the store could write the end of a register anew: only a bundle from before, as an anchor, tells of that.
 */
export async function examineRegister(deps: {
  readonly store: BlobStore;
  readonly trust: Trust;
  readonly engine: string;
  readonly anchors?: readonly Anchor[];
  readonly runs?: RunsAsked;
  readonly now?: Date;
}): Promise<Examination> {
  const { store, trust, engine } = deps;
  const gaps: Gap[] = [];
  const standing = new Map<number, Standing>();
  const numbers = await numbersIn(store);
  const unreadable: number[] = [];
  const unsigned = new Set<number>();
  for (const n of numbers) {
    try {
      const bytes = await store.read(registerName(n));
      if (!bytes) continue;
      const opened = openEntry(bytes);
      if (opened.entry.n !== n) throw new Error(`it says that it is number ${opened.entry.n}`);
      standing.set(n, { entry: opened.entry, hash: sha256Of(bytes) });
      if (opened.entry.engine !== engine || !signerOf(opened, trust)) {
        unsigned.add(n);
        gaps.push({
          ...placeOf([opened.entry]),
          kind: GapKind.UNSIGNED,
          words: `entry ${n}, a ${opened.entry.kind}: ${opened.entry.engine === engine ? `no key that might sign it at ${opened.entry.at} did (${opened.entry.by.slice(0, 80)})` : 'it is of another engine'}`,
        });
      }
    } catch {
      unreadable.push(n);
    }
  }
  const last = numbers.at(-1) ?? 0;
  const at = (n: number): string | undefined => standing.get(n)?.entry.at;
  const readable = [...standing.keys()];
  /** The times next to a span, as far as there are any. */
  const around = ([from, to]: readonly [number, number]): Pick<Gap, 'from' | 'to'> => {
    const behind = readable.findIndex((n) => n > to);
    const before = at(readable.findLast((n) => n < from) ?? 0);
    const after = behind < 0 ? undefined : at(readable[behind] ?? 0);
    return { ...(before && { from: before }), ...(after && { to: after }) };
  };

  numbers.forEach((n, index) => {
    const before = numbers[index - 1] ?? 0;
    if (n === before + 1) return;
    const span = [before + 1, n - 1] as const;
    const times = around(span);
    gaps.push({
      kind: GapKind.MISSING,
      words: `${spanWords([span])} ${one(span) ? 'is' : 'are'} missing${between(times)}`,
      numbers: [span],
      ...times,
    });
  });
  for (const span of spansOf(unreadable)) {
    const times = around(span);
    gaps.push({ kind: GapKind.UNREADABLE, words: `${spanWords([span])} cannot be read${between(times)}`, numbers: [span], ...times });
  }

  let latest: RegisterEntry | undefined;
  for (const [n, { entry }] of standing) {
    const before = standing.get(n - 1);
    if (n === 1 ? entry.prev !== emptyHead : before !== undefined && entry.prev !== before.hash) {
      const times = { ...(before && { from: before.entry.at }), to: entry.at };
      gaps.push({
        kind: GapKind.BROKEN,
        words: `entry ${n} follows another entry ${n - 1} than the one that is there: that one was written anew${between(times)}`,
        numbers: [[n - 1, n]],
        ...times,
      });
    }
    if (latest && Date.parse(entry.at) < Date.parse(latest.at) - skewMs) {
      gaps.push({
        ...placeOf([entry]),
        kind: GapKind.TIME,
        words: `entry ${n} is of ${entry.at}, and entry ${latest.n} before it of ${latest.at}`,
      });
    }
    if (!latest || Date.parse(entry.at) > Date.parse(latest.at)) latest = entry;
  }

  const entries = [...standing.values()].map(({ entry }) => entry);
  const courses = coursesOf(entries);
  gaps.push(...(await recordGaps(deps, entries)));

  const registered = new Set(entries.map((entry) => entry.record));
  const bundles = (deps.anchors ?? []).map((anchor) => openedAnchor(anchor, trust));
  const opened = bundles.flatMap((each) => ('account' in each ? [each] : []));
  for (const bundle of bundles) {
    if (!('account' in bundle)) {
      gaps.push(bundle);
      continue;
    }
    gaps.push(...anchorGaps(bundle, { standing, registered, last, lastAt: at(last) }));
    // What somebody entered without the right to is named for that.
    const signed = entries.filter((entry) => !unsigned.has(entry.n));
    gaps.push(...(await leftOutGaps(deps, signed, bundle, opened)));
  }

  const unknown: string[] = [];
  const open = courses.filter(({ entries: of }) => of.some((each) => each.kind === RegisterKind.REPORT) && !isEnded(of));
  let running = 0;
  if (deps.runs) {
    for (const course of open) {
      const state = await deps.runs.state(course.incident, course.run);
      if (state === 'running') running++;
      // What ended while this looked has its close behind what this has read.
      else if (!(await isEndedSince(store, last, course))) {
        const place = placeOf(course.entries);
        gaps.push({
          ...place,
          kind: GapKind.UNFINISHED,
          words: `${course.incident}, run ${course.run}: reported at ${place.from} (${spanWords(place.numbers)}), never ended, and ${state === 'absent' ? 'the server knows of no such run' : 'the run is over all the same: it was ended from outside'}`,
        });
      }
    }
    const known = new Set(courses.map((course) => `${course.incident}|${course.run}`));
    const first = entries[0]?.at;
    const now = (deps.now ?? new Date()).getTime();
    for (const { incident, run, startedAt } of deps.runs.listed) {
      const began = Date.parse(startedAt);
      // Runs from before there was a register are nobody's gap, and one that has only begun may not have written yet.
      if (known.has(`${incident}|${run}`) || began > now - graceMs || (first !== undefined && began < Date.parse(first) - skewMs)) continue;
      gaps.push({
        kind: GapKind.UNREGISTERED,
        words: `${incident}, run ${run}, began at ${startedAt}, and no entry tells of it`,
        incident,
        run,
        numbers: [],
        from: startedAt,
      });
    }
  } else {
    unknown.push(
      open.length > 0
        ? `whether the ${open.length} incidents that were reported and not ended still run: the server was not asked`
        : 'whether there are runs that the register does not tell of: the server was not asked',
    );
  }
  if ((deps.anchors ?? []).length === 0) {
    unknown.push('whether the end of the register was cut off or written anew: no bundle was given to compare it with');
  }

  const ended = courses.filter(({ entries: of }) => isEnded(of)).length;
  const [firstEntry, lastEntry] = [entries[0], entries.at(-1)];
  return {
    entries: standing.size,
    head: { n: last, hash: standing.get(last)?.hash ?? emptyHead },
    ...(firstEntry && { from: firstEntry.at }),
    ...(lastEntry && { to: lastEntry.at }),
    incidents: { reported: open.length + ended, ended, running, unknown: deps.runs ? 0 : open.length },
    gaps,
    unknown,
  };
}

const isEnded = (entries: readonly RegisterEntry[]): boolean => entries.some((entry) => entry.kind === RegisterKind.CLOSE);

async function isEndedSince(store: BlobStore, last: number, { incident, run }: Course): Promise<boolean> {
  for (let n = last + 1; ; n++) {
    const bytes = await store.read(registerName(n));
    if (!bytes) return false;
    const { entry } = openEntry(bytes);
    if (entry.kind === RegisterKind.CLOSE && entry.incident === incident && entry.run === run) return true;
  }
}

/** Entries by run, in the order of their numbers. */
function coursesOf(entries: readonly RegisterEntry[]): Course[] {
  const courses = new Map<string, Course>();
  for (const entry of entries) {
    if (entry.incident === undefined || entry.run === undefined) continue;
    const key = `${entry.incident}|${entry.run}`;
    const course = courses.get(key) ?? { incident: entry.incident, run: entry.run, entries: [] };
    course.entries.push(entry);
    courses.set(key, course);
  }
  return [...courses.values()];
}

/** Entries whose record is gone, or is another than they say; those of one run together. */
async function recordGaps(
  { store, trust, engine }: { readonly store: BlobStore; readonly trust: Trust; readonly engine: string },
  entries: readonly RegisterEntry[],
): Promise<Gap[]> {
  const gaps: Gap[] = [];
  const gone = new Map<string, RegisterEntry[]>();
  for (const entry of entries) {
    if (!(await store.has(entry.record))) {
      const key = entry.incident === undefined ? `${entry.kind} ${entry.n}` : `${entry.incident}|${entry.run ?? ''}`;
      gone.set(key, [...(gone.get(key) ?? []), entry]);
      continue;
    }
    const words = await forgery(entry);
    if (words !== undefined) gaps.push({ ...placeOf([entry]), kind: GapKind.FORGED, words: `entry ${entry.n}, a ${entry.kind}: ${words}` });
  }
  for (const of of gone.values()) {
    const place = placeOf(of);
    const what = place.incident === undefined ? `what a ${of[0]?.kind} file said` : `${place.incident}, run ${place.run}`;
    const all = of.length === 1 ? 'a record' : `${of.length} records`;
    gaps.push({
      ...place,
      kind: GapKind.GONE,
      words: `${what}: ${all} (${spanWords(place.numbers)}: ${countOf(of)}) ${of.length === 1 ? 'is' : 'are'} gone from the store${between(place)}`,
    });
  }
  return gaps;

  async function forgery(entry: RegisterEntry): Promise<string | undefined> {
    try {
      const bytes = await store.get(entry.record);
      // What files say is kept as it was, under its hash, which the store has compared.
      if (entry.incident === undefined) return undefined;
      const record = openRecord(parseEnvelope(bytes, entry.record), { trust, engine, hash: entry.record }) as AnyRecord;
      if (kindOf(record.type, record.body) !== entry.kind) return `the record is a ${record.type}`;
      if (record.incident !== entry.incident || record.run !== entry.run) return `the record is of ${record.incident}, run ${record.run}`;
      return record.by === entry.by ? undefined : 'the record is by another key';
    } catch (error) {
      return error instanceof Error ? error.message : 'its record cannot be read';
    }
  }
}

/** A bundle that can be leant on. */
interface OpenedAnchor {
  readonly name: string;
  readonly predicate: IncidentPredicate;
  readonly account: Account;
}

/** Opens a bundle that a judge of this trust signed; otherwise the gap that it is. */
function openedAnchor({ name, files }: Anchor, trust: Trust): OpenedAnchor | Gap {
  try {
    const opened = openStatement(files);
    const problems = [...signatureProblems(opened, trust), ...subjectProblems(files, opened.statement)];
    if (problems[0] !== undefined) throw new Error(problems[0]);
    return { name, predicate: opened.statement.predicate, account: accountOf(files) };
  } catch (error) {
    const words = error instanceof Error ? error.message : 'it cannot be read';
    return { kind: GapKind.ANCHOR, words: `${name} says nothing of the register that could be believed: ${words}`, numbers: [] };
  }
}

/** What a bundle tells of the register that made it, and of what it holds that is not entered. */
function anchorGaps(
  { name, predicate, account }: OpenedAnchor,
  register: {
    readonly standing: ReadonlyMap<number, Standing>;
    readonly registered: ReadonlySet<Hash>;
    readonly last: number;
    readonly lastAt: string | undefined;
  },
): Gap[] {
  const place = { incident: predicate.incident, run: predicate.run };
  const gaps: Gap[] = [];
  const { n, hash } = predicate.register;
  const saw = `${name}, made at ${predicate.madeAt}, saw ${n} entries`;
  const there = register.standing.get(n);
  if (n > register.last) {
    gaps.push({
      kind: GapKind.CUT_OFF,
      words: `${saw}, and there are ${register.last}: the end is cut off${between({ ...(register.lastAt && { from: register.lastAt }), to: predicate.madeAt })}`,
      numbers: [[register.last + 1, n]],
      ...(register.lastAt && { from: register.lastAt }),
      to: predicate.madeAt,
    });
  } else if (n > 0 && there !== undefined && there.hash !== hash) {
    gaps.push({
      kind: GapKind.REWRITTEN,
      words: `${saw}, the last of them another than entry ${n} that is there, which is of ${there.entry.at}: the register was written anew`,
      numbers: [[1, n]],
      to: predicate.madeAt,
    });
  }
  const missing = [...account.records].flatMap(([hash, { type, body, at }]) => {
    const kind = kindOf(type, body);
    return kind === undefined || register.registered.has(hash) ? [] : [{ kind, at }];
  });
  if (missing.length > 0) {
    const times = missing.map((each) => each.at).sort();
    const [from = '', to = ''] = [times[0], times.at(-1)];
    gaps.push({
      ...place,
      kind: GapKind.UNREGISTERED,
      words: `${predicate.incident}, run ${predicate.run}: ${name} holds ${missing.length} records (${countOf(missing)}) that no entry tells of${between({ from, to })}`,
      numbers: [],
      from,
      to,
    });
  }
  return gaps;
}

/**
 * The records of a bundle's run that are registered and that it neither holds nor tells of. One that was made while the run went on ends where it ends, and another bundle of the same run may
 * have the rest; one of a run that had ended has to hold them all.
 */
async function leftOutGaps(
  deps: { readonly store: BlobStore; readonly trust: Trust; readonly engine: string },
  entries: readonly RegisterEntry[],
  { name, predicate, account }: OpenedAnchor,
  bundles: readonly OpenedAnchor[],
): Promise<Gap[]> {
  const { incident, run, ended } = predicate;
  const elsewhere = bundles.filter((each) => !ended && each.predicate.incident === incident && each.predicate.run === run);
  const left: RegisterEntry[] = [];
  for (const entry of entries) {
    if (entry.incident !== incident || entry.run !== run || account.records.has(entry.record)) continue;
    if (elsewhere.some((each) => each.account.records.has(entry.record))) continue;
    const record = await recordOf(deps, entry.record);
    const told = [account, ...elsewhere.map((each) => each.account)].some((each) => record !== undefined && isRetold(record, each));
    if (!told) left.push(entry);
  }
  if (left.length === 0) return [];
  const place = placeOf(left);
  const which = `(${spanWords(place.numbers)}: ${countOf(left)})${between(place)}`;
  const many = left.length !== 1;
  const words = ended
    ? `leaves out ${left.length} record${many ? 's' : ''} of it that ${many ? 'are' : 'is'} registered ${which}`
    : `was made while it went on: this bundle ends before ${left.length} record${many ? 's' : ''} that ${many ? 'are' : 'is'} registered ${which}`;
  return [{ ...place, kind: GapKind.LEFT_OUT, words: `${incident}, run ${run}: ${name} ${words}` }];
}

/** A record as the store has it, verified; undefined where it is gone or is none, which is named for that. */
async function recordOf(
  { store, trust, engine }: { readonly store: BlobStore; readonly trust: Trust; readonly engine: string },
  hash: Hash,
): Promise<AnyRecord | undefined> {
  try {
    return openRecord(parseEnvelope(await store.get(hash), hash), { trust, engine, hash }) as AnyRecord;
  } catch {
    return undefined;
  }
}

/** Where entries stand, and of what they are if they are all of one run. */
function placeOf(entries: readonly RegisterEntry[]): Pick<Gap, 'incident' | 'run' | 'numbers' | 'from' | 'to'> {
  const [first, last] = [entries[0], entries.at(-1)];
  return {
    ...(first?.incident === undefined ? {} : { incident: first.incident }),
    ...(first?.run === undefined ? {} : { run: first.run }),
    numbers: spansOf(entries.map((entry) => entry.n)),
    ...(first && { from: first.at }),
    ...(last && { to: last.at }),
  };
}

function spansOf(numbers: readonly number[]): [number, number][] {
  const spans: [number, number][] = [];
  for (const n of numbers) {
    const span = spans.at(-1);
    if (span && span[1] === n - 1) span[1] = n;
    else spans.push([n, n]);
  }
  return spans;
}

const one = ([from, to]: readonly [number, number]): boolean => from === to;

function spanWords(spans: Gap['numbers']): string {
  const single = spans.length === 1 && spans[0] !== undefined && one(spans[0]);
  const shown = spans.slice(0, 8).map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`));
  return `${single ? 'number' : 'numbers'} ${shown.join(', ')}${spans.length > 8 ? `, and ${spans.length - 8} more spans` : ''}`;
}

function between({ from, to }: { readonly from?: string; readonly to?: string }): string {
  if (from && to) return from === to ? `, at ${from}` : `, between ${from} and ${to}`;
  if (from) return `, after ${from}`;
  return to ? `, before ${to}` : '';
}

function countOf(of: readonly { readonly kind: RegisterKind }[]): string {
  const counts = new Map<RegisterKind, number>();
  for (const { kind } of of) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
}
