import { canonicalJson, sha256Of } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Probed, StepContext } from '../contract.ts';
import { type Api, type Calls, reasonWord } from './api.ts';

/** What an account of ours may be told beside where it is; times in milliseconds unless they say otherwise. */
export interface Limits {
  /** The longest that a token of an account here can live: twelve hours where the organisation lets any account have that, one otherwise. */
  readonly maxTokenLifeSeconds: number;
  readonly hmacPropagationMs: number;
  readonly apiKeyPropagationMs: number;
  /** How long a deleted API key may go on authenticating. */
  readonly apiKeyLingerMs: number;
  readonly uploadedKeyDays: number;
}

/** A key of a service account as an administrator sees it. */
export interface KeyRow {
  readonly id: string;
  readonly disabled: boolean;
  readonly origin: string;
  readonly type: string;
  readonly createdAt: string;
  readonly expiresAt?: string;
  readonly disableReason?: string;
  /** What Google has marked it with for its life, such as that it was found in public. */
  readonly marks: readonly string[];
}

/** Names a step in few characters, in a certificate and elsewhere. */
export function markOf(context: { readonly incident: string; readonly run: string; readonly step: string }): string {
  return sha256Of(canonicalJson([context.incident, context.run, context.step])).slice('sha256:'.length, 'sha256:'.length + 24);
}

/** When a step's change was accepted, by this process's own clock: it only ever shortens the wait of the probe that follows. */
class Settling {
  readonly #accepted = new Map<string, number>();
  accepted(mark: string): void {
    if (this.#accepted.size > 10_000) this.#accepted.clear();
    this.#accepted.set(mark, performance.now());
  }
  since(mark: string): number {
    const at = this.#accepted.get(mark);
    return at === undefined ? 0 : performance.now() - at;
  }
}

/** What the actions and looks of one connection share. */
export class GcpAccount {
  readonly project: string;
  readonly api: Api;
  readonly limits: Limits;
  readonly settling = new Settling();
  constructor(project: string, api: Api, limits: Limits) {
    this.project = project;
    this.api = api;
    this.limits = limits;
  }

  step(context: StepContext): Calls {
    return this.api.calls(this.stepWord(context), context.signal);
  }
  stepWord(context: Pick<StepContext, 'incident' | 'run' | 'step'>): string {
    return reasonWord(context.incident, context.run, context.step);
  }

  /** The members of a target that an action needs. Refuses another project, anything that could be a wildcard or a path, and whatever the engine itself stands on. */
  async targetOf<Name extends string>(target: Target, ...names: readonly Name[]): Promise<Record<Name, string>> {
    const members: Record<string, string> = {};
    for (const name of names) {
      const value = target[name];
      if (!value || !/^[A-Za-z0-9][A-Za-z0-9@._-]*$/.test(value))
        throw fault('provider.invalid', { target: JSON.stringify(target), missing: name });
      members[name] = value;
    }
    if (target.account !== this.project) throw fault('provider.invalid', { target: JSON.stringify(target), account: this.project });
    if (target.keyId !== undefined && target.keyId === this.api.ownKeyId) throw fault('warrant.own-credential', { keyId: target.keyId });
    if (members.serviceAccount !== undefined) await this.refuseOwn(members.serviceAccount);
    return members as Record<Name, string>;
  }

  async refuseOwn(email: string): Promise<void> {
    if ((await this.api.ownEmail()).toLowerCase() === email.toLowerCase()) throw fault('warrant.own-credential', { serviceAccount: email });
  }

  /** The name of an account, with its project's own id: never the wildcard, under which a missing account is refused as if we lacked the permission. */
  accountName(email: string): string {
    return `projects/${this.project}/serviceAccounts/${email}`;
  }
  keyName(email: string, keyId: string): string {
    return `${this.accountName(email)}/keys/${keyId}`;
  }

  /**
   * The answer of a probe to a change that has been read back: what was read has to have stood for the propagation time, and to stand still then.
   */
  async settled(
    context: StepContext,
    calls: Calls,
    read: () => Promise<{ readonly so: boolean; readonly words: string }>,
  ): Promise<Probed> {
    const first = await read();
    if (!first.so) return { observation: no(calls.at, 'administrator', first.words), requestIds: [...calls.requestIds] };
    const rest = context.timing.propagationMs - this.settling.since(markOf(context));
    if (rest > 0) await context.sleep(rest);
    const second = rest > 0 ? await read() : first;
    if (!second.so) return { observation: no(calls.at, 'administrator', second.words), requestIds: [...calls.requestIds] };
    const words = `${second.words}, as it has been for the ${context.timing.propagationMs} ms that a change takes to be in effect; ${calls.requestIds.at(-1)}`;
    return { observation: yes(calls.at, 'administrator', words), effectiveAt: calls.atMost, requestIds: [...calls.requestIds] };
  }

  /**
   * The same for a change that Google itself dates: it is in effect a set time after `since`. Waits for that as long as the step may, and says that it is not known where that is too short.
   */
  async dated(
    context: StepContext,
    calls: Calls,
    takesMs: number,
    read: () => Promise<{ readonly so: boolean; readonly words: string; readonly since?: string }>,
  ): Promise<Probed> {
    const patience = performance.now() + Math.max(context.timing.giveUpMs, 0);
    for (;;) {
      const seen = await read();
      if (!seen.so) return { observation: no(calls.at, 'administrator', seen.words), requestIds: [...calls.requestIds] };
      const rest = seen.since === undefined ? 0 : Date.parse(seen.since) + takesMs + 1000 - calls.now;
      if (rest <= 0 || seen.since === undefined) {
        const words = `${seen.words}, for more than the ${takesMs} ms that it takes; ${calls.requestIds.at(-1)}`;
        return { observation: yes(calls.at, 'administrator', words), effectiveAt: calls.atMost, requestIds: [...calls.requestIds] };
      }
      if (performance.now() + rest > patience) {
        const why = `${seen.words} since ${seen.since}, and it may take ${takesMs} ms to be in effect`;
        return { observation: unknown(calls.at, 'administrator', why), requestIds: [...calls.requestIds] };
      }
      await context.sleep(rest);
    }
  }
}

/** A service account; undefined where there is none. */
export async function readAccount(
  account: GcpAccount,
  calls: Calls,
  email: string,
): Promise<{ readonly disabled: boolean; readonly uniqueId: string } | undefined> {
  const found = await calls.readIfThere<{ disabled?: boolean | null; uniqueId?: string | null; email?: string | null }>(
    'iam.serviceAccounts.get',
    ({ iam, options }) => iam.projects.serviceAccounts.get({ name: account.accountName(email) }, options),
  );
  if (found === undefined) return undefined;
  // An answer without the account's own name is none about it.
  if (found.email !== email)
    throw fault('provider.uncertain', { call: 'iam.serviceAccounts.get', said: 'an answer about another account' });
  return { disabled: found.disabled === true, uniqueId: found.uniqueId ?? '' };
}

interface RawKey {
  readonly name?: string | null;
  readonly disabled?: boolean | null;
  readonly keyOrigin?: string | null;
  readonly keyType?: string | null;
  readonly validAfterTime?: string | null;
  readonly validBeforeTime?: string | null;
  readonly disableReason?: string | null;
  readonly extendedStatus?: readonly { readonly key?: string | null; readonly value?: string | null }[];
  readonly publicKeyData?: string | null;
}

function rowOf(raw: RawKey): KeyRow {
  return {
    id: raw.name?.split('/').pop() ?? '',
    disabled: raw.disabled === true,
    origin: raw.keyOrigin ?? '',
    type: raw.keyType ?? '',
    createdAt: raw.validAfterTime ?? '',
    ...(raw.validBeforeTime ? { expiresAt: raw.validBeforeTime } : {}),
    ...(raw.disableReason ? { disableReason: raw.disableReason } : {}),
    marks: (raw.extendedStatus ?? []).map(({ key }) => key ?? ''),
  };
}

/** The keys of an account that customers manage; undefined where there is no such account. */
export async function readKeys(account: GcpAccount, calls: Calls, email: string): Promise<readonly KeyRow[] | undefined> {
  const found = await calls.readIfThere<{ keys?: readonly RawKey[] }>('iam.serviceAccountKeys.list', ({ iam, options }) =>
    iam.projects.serviceAccounts.keys.list({ name: account.accountName(email), keyTypes: ['USER_MANAGED'] }, options),
  );
  return found === undefined ? undefined : (found.keys ?? []).map(rowOf);
}

/** One key; undefined where it, or its account, is not there. */
export async function readKey(account: GcpAccount, calls: Calls, email: string, keyId: string): Promise<KeyRow | undefined> {
  const found = await calls.readIfThere<RawKey>('iam.serviceAccountKeys.get', ({ iam, options }) =>
    iam.projects.serviceAccounts.keys.get({ name: account.keyName(email, keyId) }, options),
  );
  if (found === undefined) return undefined;
  const row = rowOf(found);
  if (row.id !== keyId) throw fault('provider.uncertain', { call: 'iam.serviceAccountKeys.get', said: 'an answer about another key' });
  return row;
}

/** The certificate of a key, in PEM; undefined where the key is not there. */
export async function readCertificate(account: GcpAccount, calls: Calls, email: string, keyId: string): Promise<string | undefined> {
  const found = await calls.readIfThere<RawKey>('iam.serviceAccountKeys.get', ({ iam, options }) =>
    iam.projects.serviceAccounts.keys.get({ name: account.keyName(email, keyId), publicKeyType: 'TYPE_X509_PEM_FILE' }, options),
  );
  return found?.publicKeyData ? Buffer.from(found.publicKeyData, 'base64').toString() : undefined;
}

/** Other incidents that hold the principal, as the principal-hold says; empty where none does. */
export function heldBy(context: StepContext): readonly string[] {
  const list = context.params.heldBy;
  return Array.isArray(list) ? list.filter((id): id is string => typeof id === 'string') : [];
}

export function textsOf(context: StepContext, name: string): readonly string[] | undefined {
  const value = context.params[name];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : undefined;
}

export function numberOf(context: StepContext, name: string): number | undefined {
  const value = context.params[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** Yes, by an administrator's look, with the request behind it. */
export function seen(calls: Calls, words: string): Observation {
  return yes(calls.at, 'administrator', `${words}; ${calls.requestIds.at(-1)}`);
}
