import type { BlobStore } from '../audit/store.ts';
import { canonicalJson, type Hash, isHash } from '../domain/canonical.ts';
import { type OwnThing, type SelfRecord, selfPlace } from '../domain/self.ts';
import { KeyRole, keyAt } from '../domain/trust.ts';
import type { CommonDeps, ProviderDeps } from './deps.ts';

const words = new TextDecoder();

/**
 * Says in the store, signed, what this worker stands on, so that the judge plans around it, whichever account an incident is of. Written anew only where it has changed; a list of names counts up,
 * and the last one holds.
 */
export async function publishSelf(
  deps: Pick<ProviderDeps, 'store' | 'records' | 'provider' | 'account'>,
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

async function lastOf(store: BlobStore, place: string): Promise<{ readonly hash: Hash; readonly n: number } | undefined> {
  const name = (await store.list(`${place}/`)).at(-1);
  const bytes = name === undefined ? undefined : await store.read(name);
  const hash = bytes === undefined ? undefined : words.decode(bytes);
  return name !== undefined && isHash(hash) ? { hash, n: Number(name.slice(place.length + 1)) } : undefined;
}

/**
 * What the engine stands on: what its workers have said, each of its own account by its own key; its own keys, by their names in the trust file; and what the configuration adds. What was signed by
 * somebody else, or of another account, is as if it were not there.
 */
export async function ownThings(
  deps: Pick<CommonDeps, 'store' | 'records' | 'trust'> & {
    readonly accounts: readonly { readonly provider: string; readonly account: string }[];
    readonly stated?: readonly string[];
  },
): Promise<readonly OwnThing[]> {
  const trust = deps.trust();
  const things: OwnThing[] = [
    ...trust.keys.map((key) => ({ id: key.id, what: `the engine's own key: ${key.role}` })),
    ...(deps.stated ?? []).map((id) => ({ id, what: 'named in the configuration' })),
  ];
  for (const { provider, account } of deps.accounts) {
    const last = await lastOf(deps.store, selfPlace(provider, account));
    if (!last) continue;
    const record = await deps.records.read(last.hash, 'self').catch(() => undefined);
    if (!record || record.body.provider !== provider || record.body.account !== account) continue;
    const key = keyAt(trust, record.by, KeyRole.WORKER, record.at);
    if (key?.provider === provider && key.account === account) things.push(...record.body.things);
  }
  return things;
}
