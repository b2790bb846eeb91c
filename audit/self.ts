import { canonicalJson, type Hash, isHash } from '../domain/canonical.ts';
import type { RecordAs } from '../domain/record-bodies.ts';
import { type OwnThing, type SelfRecord, selfPlace } from '../domain/self.ts';
import { KeyRole, keyAt, type Trust } from '../domain/trust.ts';
import type { Records } from './records.ts';
import type { BlobStore } from './store.ts';

const words = new TextDecoder();

/**
 * Says in the store, signed, what this worker stands on, so that the judge plans around it, whichever account an incident is of. Written anew only where it has changed; a list of names counts up,
 * and the last one holds.
 */
export async function publishSelf(
  deps: {
    readonly store: BlobStore;
    readonly records: Pick<Records, 'read' | 'write'>;
    readonly provider: string;
    readonly account: string;
  },
  things: readonly OwnThing[],
): Promise<void> {
  const place = selfPlace(deps.provider, deps.account);
  const body: SelfRecord = { provider: deps.provider, account: deps.account, things };
  const last = await lastOf(deps.store, place);
  if (last) {
    const there = await deps.records.read(last.hash, 'self').catch(() => undefined);
    if (there && canonicalJson(there.body) === canonicalJson(body)) return;
  }
  const hash = await deps.records.write('self', { incident: place, run: 'none', round: 0, standsOn: [], body });
  for (let n = (last?.n ?? -1) + 1; ; n++) {
    const mark = await deps.store.createIfAbsent(nameOf(place, n), new TextEncoder().encode(hash));
    if (mark.created || words.decode(mark.existing) === hash) return;
  }
}

const nameOf = (place: string, n: number): string => `${place}/${String(n).padStart(6, '0')}`;

async function lastOf(
  store: Pick<BlobStore, 'list' | 'read'>,
  place: string,
): Promise<{ readonly hash: Hash; readonly n: number } | undefined> {
  const name = (await store.list(`${place}/`)).at(-1);
  const bytes = name === undefined ? undefined : await store.read(name);
  const hash = bytes === undefined ? undefined : words.decode(bytes);
  return name !== undefined && isHash(hash) ? { hash, n: Number(name.slice(place.length + 1)) } : undefined;
}

/** Where what workers have said is read from. `read` verifies the record. */
export interface SelfSource {
  readonly store: Pick<BlobStore, 'list' | 'read'>;
  readonly read: (hash: Hash) => Promise<RecordAs<'self'>>;
  readonly trust: Trust;
}

/** What the worker of an account has last said that it stands on; undefined where none has, or where it was signed by somebody else, or of another account. */
export async function saidOf(
  source: SelfSource,
  { provider, account }: { readonly provider: string; readonly account: string },
): Promise<readonly OwnThing[] | undefined> {
  const last = await lastOf(source.store, selfPlace(provider, account));
  const record = last && (await source.read(last.hash).catch(() => undefined));
  if (!record || record.body.provider !== provider || record.body.account !== account) return undefined;
  const key = keyAt(source.trust, record.by, KeyRole.WORKER, record.at);
  return key?.provider === provider && key.account === account ? record.body.things : undefined;
}

/** All that the engine stands on: what its workers have said, each of its own account; its own keys, by their names in the trust file; and what the configuration adds. */
export async function ownThings(
  source: SelfSource,
  accounts: readonly { readonly provider: string; readonly account: string }[],
  stated: readonly string[] = [],
): Promise<readonly OwnThing[]> {
  const said = await Promise.all(accounts.map((each) => saidOf(source, each)));
  return [
    ...source.trust.keys.map((key) => ({ id: key.id, what: `the engine's own key: ${key.role}` })),
    ...stated.map((id) => ({ id, what: 'named in the configuration' })),
    ...said.flatMap((things) => things ?? []),
  ];
}
