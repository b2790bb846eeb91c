import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { canonicalJson, type Hash, hashOf } from '../domain/canonical.ts';
import { fault } from '../domain/errors.ts';
import { parseYaml } from '../domain/file.schema.ts';
import { type Envelope, PayloadType } from '../domain/record.ts';
import type { Secret } from '../domain/secret.ts';
import { peopleSchema, trustFileSchema } from '../domain/trust.schema.ts';
import { KeyRole, type People, type Person, type Trust } from '../domain/trust.ts';
import { newKey, type PrivateKey, type ScryptCost, trustedKeyOf, writeKey, writePrivateFile } from './keys.ts';
import { signerFrom, verifyEnvelope } from './signing.ts';

/** A trust file as parsed: well-formed, and not verified yet. */
export interface TrustFile {
  readonly trust: Trust;
  readonly signatures: Envelope['signatures'];
  /** Of the persons who want the edit; none in serial 1. */
  readonly countersignatures?: Envelope['signatures'];
}

/** Parses a trust file. Throws `file.syntax` or `file.invalid` with line and column. Says nothing of the signature. */
export function parseTrust(text: string, file: string): TrustFile {
  return parseYaml(text, file, trustFileSchema);
}

/** Whether the root of that public key (raw, base64) signed the trust. */
export function isSignedBy({ trust, signatures }: TrustFile, rootPublic: string): boolean {
  const payload = Buffer.from(canonicalJson(trust)).toString('base64');
  return verifyEnvelope({ payloadType: PayloadType.TRUST, payload, signatures }, rootPublic);
}

/**
 * Reads trust.yaml and verifies that the root signed it. The root's public key is pinned by the caller's configuration, so a whole other trust file with
 * a root of its own is refused too. Whether it is the next after the one in force, or an older one put back, is for `openTrust` in editions.ts, which workers use.
 */
export function readTrust(path: string, rootPublic: string): Trust {
  const text = readText(path);
  const file = parseTrust(text, path);
  if (!isSignedBy(file, rootPublic)) {
    throw fault('trust.bad-signature', { file: path, line: lineOf(text, /^signatures:/m), keyid: file.signatures[0]?.keyid ?? '' });
  }
  return file.trust;
}

/** Reads people.yaml and verifies that it is the one the trust names. Throws `trust.people-changed` otherwise, and the `file.*` faults. */
export function readPeople(path: string, trust: Trust): People {
  const people = parsePeople(readText(path), path);
  const found = hashOf(people);
  if (found !== trust.people) throw fault('trust.people-changed', { file: path, line: 1, expected: trust.people, found });
  return people;
}

/** Parses people.yaml. Throws `file.syntax` or `file.invalid` with line and column. */
export function parsePeople(text: string, file: string): People {
  return parseYaml(text, file, peopleSchema);
}

/** The text of a trust file, signed by the root's private key. */
export function signTrust(trust: Trust, root: PrivateKey): string {
  const { signatures } = signerFrom(root).sign(PayloadType.TRUST, trust);
  return `# Signed by the root. An edit needs a new signature; verify it against the root's public key only.\n${stringify({ trust, signatures })}`;
}

/** The text of people.yaml. */
export function peopleText(people: People): string {
  return `# Whoever may decide. An edit counts once the trust file names its hash.\n${stringify(people)}`;
}

/** Writes a file that anybody may read and nobody may mistake for half of itself. */
export function writeText(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o644 });
}

/** What a fresh engine is made of. */
export interface InitTrust {
  /** Where the key folders go: `judge/`, `provider-<provider>-<account>/`, `root/`, `people/`, `operator/`. Made 0700. */
  readonly keys: string;
  readonly trust: string;
  readonly people: string;
  readonly engine?: string;
  readonly accounts: readonly { readonly provider: string; readonly account: string }[];
  /** Each with the passphrase of the key to be made; without one the person is listed and has no key yet. */
  readonly persons: readonly (Person & { readonly passphrase?: Secret })[];
  readonly rootPassphrase: Secret;
  /** The period of all keys, ISO, UTC; from now for a year where it is not said. */
  readonly from?: string;
  readonly until?: string;
  readonly cost?: ScryptCost;
  readonly code?: readonly Hash[];
}

/** Where {@link initTrust} put things. */
export interface InitializedTrust {
  readonly engine: string;
  readonly rootPublic: string;
  readonly trust: Trust;
  readonly people: People;
  readonly paths: {
    readonly trust: string;
    readonly people: string;
    readonly judge: string;
    readonly operator: string;
    readonly root: string;
    /** By `<provider>-<account>`. */
    readonly providers: Readonly<Record<string, string>>;
    /** Key files by person. */
    readonly persons: Readonly<Record<string, string>>;
  };
}

/**
 * Makes a complete set of keys for a fresh engine, with the trust and people files that vouch for them. Each folder holds only what its worker needs. The
 * root's folder is for taking away: nothing the engine runs ever reads it. Existing files are overwritten; whoever calls this looks first.
 */
export function initTrust(wanted: InitTrust): InitializedTrust {
  const engine = wanted.engine ?? `eng_${randomBytes(8).toString('hex')}`;
  const from = wanted.from ?? new Date().toISOString();
  const until = wanted.until ?? new Date(Date.parse(from) + 365 * 24 * 3_600_000).toISOString();
  const period = { from, until };
  const folder = (...parts: string[]): string => {
    const path = join(wanted.keys, ...parts);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
  const storeKey = `${randomBytes(32).toString('base64')}\n`;
  const codecId = `codec-${randomBytes(4).toString('hex')}`;
  const codec = `${JSON.stringify({ current: codecId, keys: { [codecId]: randomBytes(32).toString('base64') } }, null, 2)}\n`;
  const share = (path: string): void => {
    writePrivateFile(join(path, 'store.key'), storeKey);
    writePrivateFile(join(path, 'codec.json'), codec);
  };

  const root = newKey({ role: KeyRole.ROOT, ...period });
  writeKey(join(folder('root'), 'root.json'), root, wanted.rootPassphrase, wanted.cost);
  const keys: PrivateKey[] = [root];

  const judge = folder('judge');
  const judgeKey = newKey({ role: KeyRole.JUDGE, ...period });
  writeKey(join(judge, 'signing.json'), judgeKey);
  share(judge);
  keys.push(judgeKey);

  const providers: Record<string, string> = {};
  for (const { provider, account } of wanted.accounts) {
    const path = folder(`provider-${provider}-${account}`);
    const signing = newKey({ role: KeyRole.WORKER, ...period, provider, account });
    const sealing = newKey({ role: KeyRole.SEALING, ...period, provider, account });
    writeKey(join(path, 'signing.json'), signing);
    writeKey(join(folder(`provider-${provider}-${account}`, 'sealing'), `${sealing.id}.json`), sealing);
    share(path);
    providers[`${provider}-${account}`] = path;
    keys.push(signing, sealing);
  }

  const persons: Record<string, string> = {};
  folder('people');
  for (const { id, passphrase } of wanted.persons) {
    if (passphrase === undefined) continue;
    const path = join(folder('people'), `${id}.json`);
    const key = newKey({ role: KeyRole.PERSON, ...period, person: id });
    writeKey(path, key, passphrase, wanted.cost);
    persons[id] = path;
    keys.push(key);
  }

  const operator = folder('operator');
  share(operator);

  const people: People = { v: 1, people: wanted.persons.map(({ passphrase: _, ...person }) => person) };
  const trust: Trust = {
    v: 1,
    engine,
    serial: 1,
    issuedAt: new Date().toISOString(),
    keys: keys.map(trustedKeyOf),
    people: hashOf(people),
    code: wanted.code ?? [],
  };
  writeText(wanted.people, peopleText(people));
  writeText(wanted.trust, signTrust(trust, root));
  // What was written is read back as the engine will read it, so that a file nobody can use is noticed here and not at the first leak.
  readPeople(wanted.people, readTrust(wanted.trust, root.public));
  return {
    engine,
    rootPublic: root.public,
    trust,
    people,
    paths: { trust: wanted.trust, people: wanted.people, judge, operator, root: join(wanted.keys, 'root'), providers, persons },
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const gone = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    throw fault(gone ? 'file.missing' : 'file.unreadable', { file: path }, cause);
  }
}

function lineOf(text: string, pattern: RegExp): number {
  const at = text.search(pattern);
  return at < 0 ? 1 : text.slice(0, at).split('\n').length;
}
