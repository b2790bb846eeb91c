import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTrust, readEdition, signEdition, type TrustPlace, type TrustSource } from '../../audit/editions.ts';
import { newKey, type PrivateKey, readKey, readStoreKey, trustedKeyOf } from '../../audit/keys.ts';
import { openDirectoryStore } from '../../audit/store.ts';
import { type InitializedTrust, initTrust } from '../../audit/trust.ts';
import { hashOf } from '../../domain/canonical.ts';
import type { ErrorCode } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import type { Edition, People, Trust } from '../../domain/trust.ts';

export const passphrase = new Secret('a passphrase for tests');

/** An engine's trust of serial 1 in a folder, with everybody's private keys at hand: ada and ben may countersign, cleo may not, and nobody knows mallory. */
export interface Cast {
  readonly folder: string;
  readonly made: InitializedTrust;
  readonly root: PrivateKey;
  readonly place: TrustPlace;
  readonly said: { readonly file: string; readonly why: string; readonly code: ErrorCode }[];
  person(id: string): PrivateKey;
  first(): Edition;
  /** A worker's own look at the files, begun now. */
  open(): TrustSource;
  /** What follows an edition, with the changes named; signed by nobody. */
  after(before: Edition, change?: Partial<Trust>, people?: People): Edition;
  /** The same, signed by the root and by the persons named, of whom the first proposes. */
  signed(before: Edition, by: readonly string[], change?: Partial<Trust>, people?: People): Edition;
  text(name: string): string;
  remove(): void;
}

export function castOf(): Cast {
  const folder = mkdtempSync(join(tmpdir(), 'trust-'));
  const at = (...parts: string[]) => join(folder, ...parts);
  const made = initTrust({
    keys: at('keys'),
    trust: at('trust.yaml'),
    people: at('people.yaml'),
    accounts: [{ provider: 'aws', account: '1' }],
    persons: [
      { id: 'ada', name: 'Ada', roles: ['responder', 'approver'], passphrase },
      { id: 'ben', name: 'Ben', roles: ['security-lead'], passphrase },
      { id: 'cleo', name: 'Cleo', roles: ['responder'], passphrase },
    ],
    rootPassphrase: passphrase,
    cost: { n: 2, r: 8, p: 1 },
  });
  const { paths } = made;
  const said: Cast['said'] = [];
  const store = openDirectoryStore(at('store'), readStoreKey(join(paths.judge, 'store.key')));
  const place: TrustPlace = {
    trust: paths.trust,
    people: paths.people,
    root: made.rootPublic,
    engine: made.engine,
    names: store.names,
    say: (words) => said.push(words),
  };
  const root = readKey(join(paths.root, 'root.json'), passphrase);
  const cast: Cast = {
    folder,
    made,
    root,
    place,
    said,
    person: (id) => readKey(paths.persons[id] as string, passphrase),
    first: () => readEdition(place, made.rootPublic),
    open: () => openTrust(place),
    after(before, change = {}, people = before.people) {
      const trust: Trust = {
        ...before.trust,
        serial: before.trust.serial + 1,
        previous: hashOf(before.trust),
        proposedBy: 'ada',
        issuedAt: new Date().toISOString(),
        people: hashOf(people),
        ...change,
      };
      return { trust, people, signatures: [], countersignatures: [] };
    },
    signed(before, by, change = {}, people = before.people) {
      const [proposer = 'ada'] = by;
      const draft = cast.after(before, { proposedBy: proposer, ...change }, people);
      return by.reduce((edition, id) => signEdition(edition, cast.person(id)), signEdition(draft, root));
    },
    text: (name) => readFileSync(at(name), 'utf8'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
  return cast;
}

/** A judge's key that nobody has named yet, and what a trust file says of it. */
export function freshJudge(): { readonly key: PrivateKey; readonly listed: Trust['keys'][number] } {
  const now = Date.now();
  const key = newKey({ role: 'judge', from: new Date(now - 1000).toISOString(), until: new Date(now + 86_400_000).toISOString() });
  return { key, listed: trustedKeyOf(key) };
}
