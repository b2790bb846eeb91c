import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { canonicalJson, hashOf, sha256Of } from '../domain/canonical.ts';
import { codeOf, type ErrorCode, type Fault, fault, isFault } from '../domain/errors.ts';
import { parseYaml } from '../domain/file.schema.ts';
import { PayloadType } from '../domain/record.ts';
import { editionSchema } from '../domain/trust.schema.ts';
import type { Edition, People, Trust } from '../domain/trust.ts';
import { faultOfEdition, faultOfFirst, faultOfSuccession, type TrustFault } from '../domain/trust-succession.ts';
import type { PrivateKey } from './keys.ts';
import { signerFrom, verifyEnvelope } from './signing.ts';
import type { StoreNames } from './store.ts';
import { parsePeople, parseTrust, peopleText } from './trust.ts';

/*
 * The sequence of trust files. Each that has been accepted is kept in the store under a name that is taken once; a worker follows that sequence, and trust.yaml is the door by which
 * the next one comes in. So an old file put back changes nothing, and a worker whose copy of the file lags follows the others.
 */

const verify = verifyEnvelope;

/** More slots of one serial than anybody fills but on purpose. */
const mostSlots = 64;

/** The folder beside trust.yaml where every published edition is kept in a file of its own, for a store that is lost and for auditors. */
export const historyFolder = (trustPath: string): string => join(dirname(trustPath), 'trust-history');

/** The file of an edition in {@link historyFolder}. */
export const historyFile = (trustPath: string, serial: number): string => join(historyFolder(trustPath), `${serial}.yaml`);

/** Parses an edition in one file, a draft too. Throws `file.syntax` or `file.invalid` with line and column. Says nothing of the signatures. */
export function parseEdition(text: string, file: string): Edition {
  return parseYaml(text, file, editionSchema);
}

/** An edition in one file. */
export function editionText(edition: Edition): string {
  const { trust, people, signatures, countersignatures } = edition;
  const state = signatures.length === 0 ? 'A draft: the root has not signed it.' : 'Signed by the root.';
  return `# Serial ${trust.serial} of the trust of ${trust.engine}. ${state} Read it with \`tourniquet trust show FILE\`.\n${stringify({ trust, people, signatures, countersignatures })}`;
}

/** The text of trust.yaml for an edition. */
export function trustText({ trust, signatures, countersignatures }: Edition): string {
  return `# Signed by the root. An edit needs a new signature, and two persons: see \`tourniquet trust propose\`.\n${stringify({
    trust,
    signatures,
    ...(countersignatures.length > 0 && { countersignatures }),
  })}`;
}

/**
 * The edition in trust.yaml and people.yaml as they lie there. Verified is only that the root signed it and that the people are those it names; whether it may follow the one
 * in force is {@link openTrust}'s to say. Throws the `file.*` faults, `trust.bad-signature` or `trust.people-changed`.
 */
export function readEdition(paths: { readonly trust: string; readonly people: string }, root: string): Edition {
  const file = parseTrust(textOf(paths.trust), paths.trust);
  const edition = {
    trust: file.trust,
    people: parsePeople(textOf(paths.people), paths.people),
    signatures: file.signatures,
    countersignatures: file.countersignatures ?? [],
  };
  expectNone(faultOfEdition(edition, { root, verify }), { file: paths.trust });
  return edition;
}

/** An edition with one more signature: the root's as its one, a person's among the countersignatures. A second one of the same key changes nothing. */
export function signEdition(edition: Edition, key: PrivateKey): Edition {
  const [signature] = signerFrom(key).sign(PayloadType.TRUST, edition.trust).signatures;
  if (signature === undefined) throw fault('engine.unexpected', { key: key.id });
  if (key.role === 'root') return { ...edition, signatures: [signature] };
  const others = edition.countersignatures.filter(({ keyid }) => keyid !== key.id);
  return { ...edition, countersignatures: [...others, signature] };
}

/** The editions that the store has accepted under this root, serial 1 first; each is verified against the one before it, whoever wrote it there. */
export function acceptedEditions(names: Pick<StoreNames, 'read'>, root: string): readonly Edition[] {
  const found: Edition[] = [];
  for (;;) {
    const next = acceptedAfter(names, root, found.at(-1));
    if (next === undefined) return found;
    found.push(next);
  }
}

/** What is taken under a name counts only if it verifies: whoever can write to the store, and has none of the keys, can neither put an edition there nor keep one out. */
function acceptedAfter(names: Pick<StoreNames, 'read'>, root: string, before: Edition | undefined): Edition | undefined {
  const serial = (before?.trust.serial ?? 0) + 1;
  for (let slot = 0; slot < mostSlots; slot++) {
    const bytes = readSlot(names, nameOf(root, serial, slot));
    if (bytes === undefined) return undefined;
    const edition = editionIn(bytes);
    if (edition && follows(before, edition, root) === undefined) return edition;
  }
  return undefined;
}

/** The bytes under a name; none of them where they are not the store's own, so that a file written over by somebody else is passed by like any other rubbish. */
function readSlot(names: Pick<StoreNames, 'read'>, name: string): Uint8Array | undefined {
  try {
    return names.read(name);
  } catch (error) {
    if (isFault(error) && error.code === 'record.unreadable') return new Uint8Array();
    throw error;
  }
}

function follows(before: Edition | undefined, edition: Edition, root: string, now?: string): TrustFault | undefined {
  if (before === undefined) return faultOfFirst(edition, { root, verify });
  return faultOfSuccession(before, edition, { root, verify, now: now ?? new Date().toISOString(), fresh: now !== undefined });
}

const nameOf = (root: string, serial: number, slot: number): string =>
  `trust/${sha256Of(root).slice(7, 23)}/${serial}${slot === 0 ? '' : `-${slot}`}`;

function editionIn(bytes: Uint8Array): Edition | undefined {
  try {
    const parsed = editionSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Enters an edition that follows the one before it. Of two different ones of a serial, in any processes at any moment, one is accepted and the other is told
 * `trust.forked`. Answers the edition as the store has it.
 */
export function acceptEdition(names: StoreNames, root: string, before: Edition | undefined, edition: Edition, now?: string): Edition {
  expectNone(follows(before, edition, root, now), { serial: edition.trust.serial });
  const bytes = Buffer.from(canonicalJson(edition));
  for (let slot = 0; slot < mostSlots; slot++) {
    const name = nameOf(root, edition.trust.serial, slot);
    let taken: Uint8Array;
    try {
      const { created, existing } = names.createIfAbsent(name, bytes);
      if (created) return edition;
      taken = existing ?? new Uint8Array();
    } catch (error) {
      if (!isFault(error) || error.code !== 'record.unreadable') throw error;
      taken = new Uint8Array();
    }
    const there = editionIn(taken);
    if (there === undefined || follows(before, there, root) !== undefined) continue;
    if (hashOf(there.trust) === hashOf(edition.trust)) return there;
    throw fault('trust.forked', { serial: edition.trust.serial, why: 'another file of this serial has been accepted' });
  }
  throw fault('trust.forked', { serial: edition.trust.serial, why: 'every name for it is taken by something else' });
}

export interface TrustPlace {
  /** Paths of trust.yaml and people.yaml. */
  readonly trust: string;
  readonly people: string;
  /** The root's public key as it is pinned. */
  readonly root: string;
  /** The engine's id, where the configuration states it. */
  readonly engine?: string;
  readonly names: StoreNames;
  readonly clock?: () => Date;
  /** Told of each refused state of the files, once. */
  readonly say?: (words: { readonly file: string; readonly why: string; readonly code: ErrorCode }) => void;
}

/** Trust as one worker has it. Every answer is of the edition in force at the call; people and trust are always of the same one. */
export interface TrustSource {
  edition(): Edition;
  trust(): Trust;
  people(): People;
  /** All that have been in force under this root, serial 1 first. */
  editions(): readonly Edition[];
}

/** Files are looked at no more than twice a second: a warrant check must not wait for a disk. */
const restMs = 500;

/**
 * Opens the trust of a worker and enters it in the store where it is new there. Throws what is wrong with the files where nothing has been accepted yet; afterwards a
 * file that is refused leaves the edition in force as it is, and is told of once for each state it is in.
 */
export function openTrust(place: TrustPlace): TrustSource {
  const { names, root } = place;
  const clock = place.clock ?? (() => new Date());
  const accepted: Edition[] = [...acceptedEditions(names, root)];
  let lookedAt = 0;
  let judged = '';

  const inForce = (): Edition => {
    const last = accepted.at(-1);
    if (last === undefined) throw fault('trust.gap', { file: place.trust, why: 'nothing has been accepted yet' });
    return last;
  };
  const look = (): void => {
    for (let next = acceptedAfter(names, root, accepted.at(-1)); next !== undefined; next = acceptedAfter(names, root, next))
      accepted.push(next);
    const state = `${markOf(place.trust)} ${markOf(place.people)} ${accepted.length}`;
    if (state === judged) return;
    try {
      for (const edition of incoming(place, accepted))
        accepted.push(acceptEdition(names, root, accepted.at(-1), edition.edition, edition.now(clock)));
      judged = `${markOf(place.trust)} ${markOf(place.people)} ${accepted.length}`;
    } catch (error) {
      if (accepted.length === 0) throw error;
      // What is wrong with the files stays wrong until they change; a store that is away is asked again.
      if (isFault(error)) judged = state;
      place.say?.({ file: place.trust, why: error instanceof Error ? error.message : 'unreadable', code: codeOf(error) });
    }
  };
  look();
  lookedAt = Date.now();
  const edition = (): Edition => {
    if (Math.abs(Date.now() - lookedAt) >= restMs) {
      lookedAt = Date.now();
      look();
    }
    return inForce();
  };
  return {
    edition,
    trust: () => edition().trust,
    people: () => edition().people,
    editions() {
      edition();
      return [...accepted];
    },
  };
}

interface Incoming {
  readonly edition: Edition;
  now(clock: () => Date): string | undefined;
}

/**
 * What the files bring beyond what is accepted: nothing, the next edition, or, for a store with nothing in it, the whole sequence out of the history beside trust.yaml. Throws
 * why the file in trust.yaml is neither the one in force nor to be the next.
 */
function incoming(place: TrustPlace, accepted: readonly Edition[]): readonly Incoming[] {
  const found = readEdition(place, place.root);
  if (place.engine !== undefined && found.trust.engine !== place.engine)
    throw fault('trust.not-next', {
      file: place.trust,
      why: `it is of the engine ${found.trust.engine}, and ${place.engine} is configured`,
    });
  const last = accepted.at(-1);
  if (last === undefined) {
    const earlier: Incoming[] = [];
    for (let serial = 1; serial < found.trust.serial; serial++) {
      const file = historyFile(place.trust, serial);
      if (!existsSync(file)) throw fault('trust.gap', { file: place.trust, serial: found.trust.serial, missing: file });
      // What was published long ago was signed with keys that may have ended since.
      earlier.push({ edition: parseEdition(textOf(file), file), now: () => undefined });
    }
    return [...earlier, { edition: found, now: () => undefined }];
  }
  if (hashOf(found.trust) === hashOf(last.trust)) return [];
  const wrong = followsNow(last, found, place);
  if (wrong) throw wrong;
  return [{ edition: found, now: (clock) => clock().toISOString() }];
}

function followsNow(last: Edition, found: Edition, place: TrustPlace): Fault | undefined {
  const now = (place.clock ?? (() => new Date()))().toISOString();
  const wrong = faultOfSuccession(last, found, { root: place.root, verify, now, fresh: true });
  return wrong && fault(wrong.code, { file: place.trust, why: wrong.why });
}

/** What is in force by the store, and whether the files agree with it. Changes nothing: what `tourniquet doctor` and `tourniquet trust show` ask. */
export function inspectTrust(
  place: Pick<TrustPlace, 'trust' | 'people' | 'root' | 'engine'> & { readonly names: Pick<StoreNames, 'read'> },
): {
  readonly editions: readonly Edition[];
  /** Why the files are not those in force; undefined where they are, or where nothing has been accepted yet and they would be. */
  readonly trouble?: Fault;
  /** The files hold an edition that no worker has accepted yet, though it may. */
  readonly waiting?: Edition;
} {
  const editions = acceptedEditions(place.names, place.root);
  try {
    const coming = incoming({ ...place, names: { read: place.names.read, createIfAbsent: () => ({ created: false }) } }, editions);
    let before = editions.at(-1);
    for (const { edition } of coming) {
      expectNone(follows(before, edition, place.root), { file: place.trust });
      before = edition;
    }
    return { editions, ...(coming.length > 0 && before !== undefined && { waiting: before }) };
  } catch (error) {
    if (!isFault(error)) throw error;
    return { editions, trouble: error };
  }
}

/**
 * Publishes an edition as a worker would accept it: into the history, then people.yaml, then trust.yaml, then the store. Killed at any point, what is in force is the one
 * before or this one: workers take no trust whose people do not fit, and enter by themselves what they find whole. Answers what was in force, and what is.
 */
export function publishEdition(place: TrustPlace, edition: Edition): { readonly before: Edition; readonly published: Edition } {
  // Where no worker has run yet, what is in force is entered here.
  const before = openTrust(place).edition();
  const now = (place.clock ?? (() => new Date()))().toISOString();
  expectNone(faultOfSuccession(before, edition, { root: place.root, verify, now, fresh: true }), { serial: edition.trust.serial });
  keepInHistory(place.trust, before);
  restoreFiles(place, edition);
  return { before, published: acceptEdition(place.names, place.root, before, edition, now) };
}

/** Writes the files of an edition: people first, so that no reader sees a trust whose people are to come. */
export function restoreFiles(place: Pick<TrustPlace, 'trust' | 'people'>, edition: Edition): void {
  keepInHistory(place.trust, edition);
  replaceFile(place.people, peopleText(edition.people));
  replaceFile(place.trust, trustText(edition));
}

/** Writes an edition into the history. One that is there already is left; another under its name is `trust.forked`. */
export function keepInHistory(trustPath: string, edition: Edition): void {
  const file = historyFile(trustPath, edition.trust.serial);
  if (existsSync(file)) {
    if (hashOf(parseEdition(textOf(file), file).trust) === hashOf(edition.trust)) return;
    throw fault('trust.forked', { file, serial: edition.trust.serial });
  }
  replaceFile(file, editionText(edition));
}

/** Writes a file that anybody may read, whole or not at all. */
export function replaceFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const made = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(made, text, { mode: 0o644, flag: 'wx' });
    renameSync(made, path);
  } catch (cause) {
    rmSync(made, { force: true });
    throw fault('file.unreadable', { file: path, why: 'it cannot be written' }, cause);
  }
}

function markOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.mtimeMs}|${stat.size}|${stat.ino}` : 'absent';
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw fault((cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'file.missing' : 'file.unreadable', { file: path }, cause);
  }
}

function expectNone(wrong: TrustFault | undefined, where: Readonly<Record<string, string | number>>): void {
  if (wrong) throw fault(wrong.code, { ...where, why: wrong.why });
}
