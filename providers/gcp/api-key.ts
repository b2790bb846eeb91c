import { canonicalJson } from '../../domain/canonical.ts';
import { codeOf, fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { unknown } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, StepContext } from '../contract.ts';
import { type GcpAccount, seen } from './account.ts';
import type { Calls } from './api.ts';
import { expectOwnDoing } from './log.ts';
import { manifest } from './manifest.ts';

const host = 'apikeys.googleapis.com';

/** How an API key stood. Restrictions are no secret. */
export interface ApiKeyBefore {
  readonly state: 'there' | 'deleted' | 'absent';
  readonly restrictions: Readonly<Record<string, unknown>> | null;
  readonly createdAt?: string;
  readonly serviceAccount?: string;
  /** By Google's clock. */
  readonly at: string;
}

export interface ApiKeyRow {
  readonly name: string;
  readonly restrictions: Readonly<Record<string, unknown>> | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly etag: string;
  readonly deletedAt?: string;
  readonly serviceAccount?: string;
}

const nameOf = (account: GcpAccount, key: string): string => `/v2/projects/${account.project}/locations/global/keys/${key}`;

/** An API key by its uid, deleted ones included for as long as Google shows them; undefined where there is none. */
export async function readApiKey(account: GcpAccount, calls: Calls, key: string): Promise<ApiKeyRow | undefined> {
  const found = await calls.readIfThere<Record<string, unknown>>('apikeys.keys.get', ({ request }) =>
    request(host, 'GET', nameOf(account, key)),
  );
  if (found === undefined) return undefined;
  const text = (name: string) => (typeof found[name] === 'string' ? (found[name] as string) : '');
  if (text('uid') !== key) throw fault('provider.uncertain', { call: 'apikeys.keys.get', said: 'an answer about another key' });
  const restrictions = found.restrictions as Record<string, unknown> | undefined;
  return {
    name: text('name'),
    restrictions: restrictions && Object.keys(restrictions).length > 0 ? restrictions : null,
    createdAt: text('createTime'),
    updatedAt: text('updateTime'),
    etag: text('etag'),
    ...(text('deleteTime') ? { deletedAt: text('deleteTime') } : {}),
    ...(text('serviceAccountEmail') ? { serviceAccount: text('serviceAccountEmail') } : {}),
  };
}

export function apiKeyBefore(row: ApiKeyRow | undefined, at: string): ApiKeyBefore {
  if (!row) return { state: 'absent', restrictions: null, at };
  return {
    state: row.deletedAt === undefined ? 'there' : 'deleted',
    restrictions: row.restrictions,
    createdAt: row.createdAt,
    ...(row.serviceAccount ? { serviceAccount: row.serviceAccount } : {}),
    at,
  };
}

/** Reads again until a long-running change is to be seen, since an operation that was begun may be done later; the probe has the last word. */
async function seenDone(
  account: GcpAccount,
  calls: Calls,
  key: string,
  context: StepContext,
  is: (row: ApiKeyRow | undefined) => boolean,
): Promise<boolean> {
  const until = performance.now() + context.timing.giveUpMs;
  for (;;) {
    if (is(await readApiKey(account, calls, key))) return true;
    if (performance.now() > until) return false;
    await context.sleep(context.timing.pollMs);
  }
}

/** Nobody calls from there: a key that is limited to it serves no one (API Keys, "Adding server restrictions"). What services it was limited to before stays. */
function closed(restrictions: ApiKeyBefore['restrictions']): Readonly<Record<string, unknown>> {
  const targets = restrictions?.apiTargets;
  return { serverKeyRestrictions: { allowedIps: ['127.0.0.1'] }, ...(targets ? { apiTargets: targets } : {}) };
}
const same = (a: unknown, b: unknown): boolean => canonicalJson(a ?? null) === canonicalJson(b ?? null);

async function restrict(
  account: GcpAccount,
  calls: Calls,
  key: string,
  row: ApiKeyRow,
  restrictions: ApiKeyBefore['restrictions'],
): Promise<boolean> {
  return await calls.writeIfThere('apikeys.keys.update', ({ request }) =>
    request(host, 'PATCH', nameOf(account, key), {
      query: { updateMask: 'restrictions' },
      body: { etag: row.etag, ...(restrictions ? { restrictions } : {}) },
    }),
  );
}

/** The key of a step as an administrator sees it now, and the calls that it was read with. */
async function apiKeyNow(account: GcpAccount, target: Target, context: StepContext) {
  const { key } = await account.targetOf(target, 'key');
  const calls = account.step(context);
  return { key, calls, row: await readApiKey(account, calls, key) };
}

/** What both actions keep of it before they touch it. */
const captureApiKey =
  (account: GcpAccount): Action<ApiKeyBefore>['capture'] =>
  async (target, context) => {
    const { row, calls } = await apiKeyNow(account, target, context);
    return apiKeyBefore(row, calls.at);
  };

/** Closes a key, as nothing disables one. Applications that bear it stop with it. */
export function restrictApiKey(account: GcpAccount): Action<ApiKeyBefore> {
  return {
    manifest: actionOf(manifest, 'restrict-api-key') as ActionManifest,

    capture: captureApiKey(account),

    async apply(target, before, context) {
      const { key, calls, row } = await apiKeyNow(account, target, context);
      const done = (outcome: 'changed' | 'already' | 'absent') => ({ outcome, acceptedAt: calls.at, requestIds: calls.requestIds });
      if (!row || row.deletedAt !== undefined) return done('absent');
      const wanted = closed(before.restrictions);
      if (same(row.restrictions, wanted)) return done('already');
      if (before.state !== 'there' || !same(row.restrictions, before.restrictions))
        throw fault('provider.conflict', { key, because: 'somebody has changed its restrictions since' });
      if (!(await restrict(account, calls, key, row, wanted))) return done('absent');
      return done('changed');
    },

    async probe(target, before, context) {
      const { key } = await account.targetOf(target, 'key');
      const calls = account.step(context);
      return await account.dated(context, calls, account.limits.apiKeyPropagationMs, async () => {
        const row = await readApiKey(account, calls, key);
        if (!row) return { so: true, words: `there is no API key ${key}` };
        // A key that was deleted goes on for as long as any: that is not this step's to promise.
        if (row.deletedAt !== undefined)
          return {
            so: true,
            words: `API key ${key} is deleted`,
            since: new Date(Date.parse(row.deletedAt) + account.limits.apiKeyLingerMs).toISOString(),
          };
        return same(row.restrictions, closed(before.restrictions))
          ? { so: true, words: `API key ${key} is closed`, since: row.updatedAt }
          : { so: false, words: `API key ${key} is not closed` };
      });
    },

    async revert(target, before, context) {
      const { key, calls, row } = await apiKeyNow(account, target, context);
      const answer = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: seen(calls, words),
      });
      const found = apiKeyBefore(row, calls.at);
      if (before.state !== 'there') return answer('already', `API key ${key} was ${before.state} before us`);
      if (!row || found.state !== 'there') throw fault('provider.conflict', { key, captured: before.state, found: found.state });
      if (same(row.restrictions, before.restrictions)) return answer('already', `the restrictions of API key ${key} are as captured`);
      if (!same(row.restrictions, closed(before.restrictions)))
        throw fault('provider.conflict', { key, because: 'somebody has changed its restrictions since' });
      if (!(await restrict(account, calls, key, row, before.restrictions)))
        throw fault('provider.conflict', { key, captured: before.state, found: 'absent' });
      if (!(await seenDone(account, calls, key, context, (each) => each !== undefined && same(each.restrictions, before.restrictions))))
        throw fault('provider.uncertain', { call: 'apikeys.keys.update', said: 'the operation is not done yet' });
      return answer('changed', `the restrictions of API key ${key} are as captured again`);
    },
  };
}

/**
 * Deletes a key. For half an hour nobody knows whether it is refused: standard keys went on for 8 to 23 minutes, and as servers differ, one that refuses it proves nothing of the next. No probe of ours
 * tries it; time alone settles it. It can be undeleted for 30 days.
 */
export function deleteApiKey(account: GcpAccount): Action<ApiKeyBefore> {
  return {
    manifest: actionOf(manifest, 'delete-api-key') as ActionManifest,

    capture: captureApiKey(account),

    async apply(target, _before, context) {
      const { key, calls, row } = await apiKeyNow(account, target, context);
      const done = (outcome: 'changed' | 'absent') => ({ outcome, acceptedAt: calls.at, requestIds: calls.requestIds });
      if (!row || row.deletedAt !== undefined) return done('absent');
      const there = await calls.writeIfThere('apikeys.keys.delete', ({ request }) =>
        request(host, 'DELETE', nameOf(account, key), { query: { etag: row.etag } }),
      );
      return done(there ? 'changed' : 'absent');
    },

    async probe(target, _before, context) {
      const { key, calls, row } = await apiKeyNow(account, target, context);
      if (!row) {
        const why = `there is no API key ${key}, and nothing says since when: it may go on for ${account.limits.apiKeyLingerMs} ms after its deletion`;
        return { observation: unknown(calls.at, 'administrator', why), requestIds: [...calls.requestIds] };
      }
      return await account.dated(context, calls, account.limits.apiKeyLingerMs, async () => {
        const now = await readApiKey(account, calls, key);
        return now && now.deletedAt === undefined
          ? { so: false, words: `API key ${key} is not deleted` }
          : {
              so: true,
              words: `API key ${key} is deleted, and such keys have been accepted long after,`,
              since: now?.deletedAt ?? calls.at,
            };
      });
    },

    async revert(target, before, context) {
      const { key, calls, row } = await apiKeyNow(account, target, context);
      const answer = (outcome: 'changed' | 'already', words: string) => ({
        outcome,
        requestIds: calls.requestIds,
        observation: seen(calls, words),
      });
      const found = apiKeyBefore(row, calls.at);
      if (found.state === before.state) return answer('already', `API key ${key} is ${found.state}, as captured`);
      if (before.state !== 'there') return answer('already', `API key ${key} was ${before.state} before us`);
      const purged = () =>
        fault('provider.conflict', {
          key,
          captured: before.state,
          found: 'absent',
          because: 'it can be undeleted for 30 days and no longer',
        });
      if (!row) throw purged();
      await expectOwnDoing(account, calls, context, {
        methods: ['google.api.apikeys.v2.ApiKeys.DeleteKey'],
        resource: `keys/${key}`,
        from: before.at,
      });
      try {
        const there = await calls.writeIfThere('apikeys.keys.undelete', ({ request }) =>
          request(host, 'POST', `${nameOf(account, key)}:undelete`, { body: {} }),
        );
        if (!there) throw purged();
      } catch (error) {
        if (codeOf(error) === 'provider.unsupported') throw fault('provider.conflict', { key, because: 'somebody has undeleted it' });
        throw error;
      }
      if (!(await seenDone(account, calls, key, context, (each) => each !== undefined && each.deletedAt === undefined)))
        throw fault('provider.uncertain', { call: 'apikeys.keys.undelete', said: 'the operation is not done yet' });
      return answer('changed', `API key ${key} is there again`);
    },
  };
}
