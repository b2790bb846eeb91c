import {
  DeleteUserPolicyCommand,
  GetAccessKeyLastUsedCommand,
  GetUserCommand,
  GetUserPolicyCommand,
  ListAccessKeysCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { fault } from '../../domain/errors.ts';
import { type Observation, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Secret } from '../../domain/secret.ts';
import type { Probed, StepContext } from '../contract.ts';
import { type Api, agentWord, type Calls } from './api.ts';
import { isGone, nameOf } from './errors.ts';
import type { Log } from './log.ts';
import { markOf } from './policies.ts';

/** A key as an administrator sees it. */
export interface KeyRow {
  readonly accessKeyId: string;
  readonly status: 'Active' | 'Inactive';
  /** ISO 8601. */
  readonly createdAt: string;
}

/** Who the engine itself is in the account. */
export interface Identity {
  readonly arn: string;
  readonly account: string;
}

/**
 * When a step's change was accepted, by this process's monotonic clock and the step's mark. It only ever shortens the wait of the probe that follows; a
 * process that has just been started waits the whole time again. It is per step, since what was seen between two other steps may have changed twice.
 */
export class Settling {
  readonly #accepted = new Map<string, number>();
  accepted(mark: string): void {
    if (this.#accepted.size > 10_000) this.#accepted.clear();
    this.#accepted.set(mark, performance.now());
  }
  /** Milliseconds since the step's change was accepted; 0 where this process did not see that. */
  since(mark: string): number {
    const at = this.#accepted.get(mark);
    return at === undefined ? 0 : performance.now() - at;
  }
}

/** What the actions and looks of one connection share. */
export class AwsAccount {
  readonly accountId: string;
  readonly api: Api;
  readonly log: Log;
  readonly settling = new Settling();
  readonly #watched = new Map<string, Probed>();
  #identity: Promise<Identity> | undefined;
  constructor(accountId: string, api: Api, log: Log) {
    this.accountId = accountId;
    this.api = api;
    this.log = log;
  }

  /** The calls of one step, named after incident, run and step in the user agent and so in the provider's log. */
  step(context: StepContext): Calls {
    return this.api.calls(this.stepWord(context), context.signal);
  }
  stepWord(context: Pick<StepContext, 'incident' | 'run' | 'step'>): string {
    return agentWord(context.incident, context.run, context.step);
  }

  /** Keeps what a watch has seen, by the mark of its step, for the probe that follows in the same process. */
  keepWatched(mark: string, seen: Probed): void {
    if (this.#watched.size > 10_000) this.#watched.clear();
    this.#watched.set(mark, seen);
  }
  watched(mark: string): Probed | undefined {
    return this.#watched.get(mark);
  }

  /** Who we are; asked once, and again only where the asking failed. */
  identity(): Promise<Identity> {
    this.#identity ??= this.#askIdentity().catch((error: unknown) => {
      this.#identity = undefined;
      throw error;
    });
    return this.#identity;
  }
  async #askIdentity(): Promise<Identity> {
    const calls = this.api.calls(agentWord('identity'), new AbortController().signal);
    const answer = await calls.read('sts:GetCallerIdentity', (aws, options) => aws.sts().send(new GetCallerIdentityCommand({}), options));
    if (!answer.Arn || !answer.Account) throw fault('provider.uncertain', { call: 'sts:GetCallerIdentity', said: 'no identity' });
    return { arn: answer.Arn, account: answer.Account };
  }

  /** The members of a target that an action needs. Refuses another account, and whatever the engine itself stands on. */
  async targetOf<Name extends string = 'user'>(target: Target, ...names: readonly Name[]): Promise<Record<Name | 'user', string>> {
    const members: Record<string, string> = {};
    for (const name of ['user', ...names]) {
      const value = target[name];
      if (!value) throw fault('provider.invalid', { target: JSON.stringify(target), missing: name });
      members[name] = value;
    }
    if (target.account !== this.accountId) {
      throw fault('provider.invalid', { target: JSON.stringify(target), account: this.accountId });
    }
    // Our own key is known without a call; our own user is asked once. A role's session is no user, and then no user is ours.
    if (target.accessKeyId === this.api.ownAccessKeyId) throw fault('warrant.own-credential', { accessKeyId: this.api.ownAccessKeyId });
    const { arn } = await this.identity();
    if (userNameIn(arn)?.toLowerCase() === members.user?.toLowerCase()) throw fault('warrant.own-credential', { arn });
    return members as Record<Name | 'user', string>;
  }

  /** The role of a target, by its name. Refuses another account, and the role that the engine itself acts as. */
  async roleOf(target: Target): Promise<string> {
    const { role } = target;
    if (!role) throw fault('provider.invalid', { target: JSON.stringify(target), missing: 'role' });
    if (target.account !== this.accountId) {
      throw fault('provider.invalid', { target: JSON.stringify(target), account: this.accountId });
    }
    const { arn } = await this.identity();
    if (roleNameIn(arn)?.toLowerCase() === role.toLowerCase()) throw fault('warrant.own-credential', { arn });
    return role;
  }

  userArn(user: string): string {
    return `arn:aws:iam::${this.accountId}:user/${user}`;
  }

  /**
   * The answer of a probe to a change that has been read back: what was read has to have stood for the propagation time, and to stand still then.
   * `read` says whether it is as the step wants it.
   */
  async settled(
    context: StepContext,
    calls: Calls,
    read: () => Promise<{ readonly so: boolean; readonly words: string }>,
  ): Promise<Probed> {
    const first = await read();
    if (!first.so) return { observation: notSo(calls, first.words), requestIds: [...calls.requestIds] };
    const rest = context.timing.propagationMs - this.settling.since(markOf(context));
    if (rest > 0) await context.sleep(rest);
    const second = rest > 0 ? await read() : first;
    if (!second.so) return { observation: notSo(calls, second.words), requestIds: [...calls.requestIds] };
    const words = `${second.words}, as it has been for the ${context.timing.propagationMs} ms that a change takes to be in effect; request ${calls.requestIds.at(-1) ?? 'unknown'}`;
    return { observation: yes(calls.at, 'administrator', words), effectiveAt: calls.atMost, requestIds: [...calls.requestIds] };
  }
}

/** No, by an administrator's look. */
function notSo(calls: Calls, words: string): Observation {
  return { state: 'no', at: calls.at, source: 'administrator', evidence: words };
}

/** A principal without its session's name: a role's sessions are one principal, whatever each is called. */
export function withoutSession(arn: string): string {
  return arn.replace(/^(arn:[^:]*:sts::\d{12}:assumed-role\/[^/]+)\/.*$/, '$1');
}

/** The name in a user's ARN; undefined for any other principal. */
export function userNameIn(arn: string): string | undefined {
  return /^arn:aws[a-z-]*:iam::\d{12}:user\/(?:.*\/)?([^/]+)$/.exec(arn)?.[1];
}

/** The name of the role in a session's ARN; undefined for any other principal. */
export function roleNameIn(arn: string): string | undefined {
  return /^arn:aws[a-z-]*:sts::\d{12}:assumed-role\/([^/]+)\/.*$/.exec(arn)?.[1];
}

/** A user's keys; undefined where there is no such user. */
export async function readKeys(calls: Calls, user: string): Promise<readonly KeyRow[] | undefined> {
  try {
    const answer = await calls.read('iam:ListAccessKeys', (aws, options) =>
      aws.iam().send(new ListAccessKeysCommand({ UserName: user }), options),
    );
    return (answer.AccessKeyMetadata ?? []).map((row) => ({
      accessKeyId: row.AccessKeyId ?? '',
      // What is neither of the two words is taken for the one under which a key is accepted.
      status: row.Status === 'Inactive' ? 'Inactive' : 'Active',
      createdAt: row.CreateDate?.toISOString() ?? '',
    }));
  } catch (error) {
    // The call names a user and nothing else, so nothing else can be missing.
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** A user's inline policy of that name: its document, `none`, or `no-user`. */
export async function readPolicy(
  calls: Calls,
  user: string,
  name: string,
): Promise<{ readonly found: 'policy'; readonly document: string } | { readonly found: 'none' | 'no-user' }> {
  try {
    const answer = await calls.read('iam:GetUserPolicy', (aws, options) =>
      aws.iam().send(new GetUserPolicyCommand({ UserName: user, PolicyName: name }), options),
    );
    return { found: 'policy', document: decoded(answer.PolicyDocument ?? '') };
  } catch (error) {
    if (!isGone(error)) throw error;
    // NoSuchEntity is said of a missing user and of a missing policy alike.
    return { found: (await userExists(calls, user)) ? 'none' : 'no-user' };
  }
}

/** IAM sends documents percent-encoded (IAM API reference, GetUserPolicy). */
export function decoded(document: string): string {
  if (document.startsWith('{')) return document;
  try {
    return decodeURIComponent(document);
  } catch {
    return document;
  }
}

export async function userExists(calls: Calls, user: string): Promise<boolean> {
  try {
    await calls.read('iam:GetUser', (aws, options) => aws.iam().send(new GetUserCommand({ UserName: user }), options));
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** What is missing where AWS says `NoSuchEntity` of a thing of a user's: it says the same of both (IAM API reference, errors of the Update and Delete calls). */
export async function whichGone(calls: Calls, user: string, what: string): Promise<string> {
  return (await userExists(calls, user)) ? what : 'user';
}

/** Writes an inline policy; false where the user is gone. */
export async function writePolicy(calls: Calls, user: string, name: string, document: string): Promise<boolean> {
  return await calls.writeIfThere('iam:PutUserPolicy', (iam) =>
    iam.send(new PutUserPolicyCommand({ UserName: user, PolicyName: name, PolicyDocument: document })),
  );
}

/** Takes an inline policy away; one that is not there is taken away already. */
export async function removePolicy(calls: Calls, user: string, name: string): Promise<void> {
  await calls.writeIfThere('iam:DeleteUserPolicy', (iam) => iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName: name })));
}

/** What AWS says of a key's last use, and whose key it is. Undefined where there is no such key. */
export async function readLastUsed(
  calls: Calls,
  accessKeyId: string,
): Promise<{ readonly user: string; readonly at?: string; readonly service?: string; readonly region?: string } | undefined> {
  try {
    const answer = await calls.read('iam:GetAccessKeyLastUsed', (aws, options) =>
      aws.iam().send(new GetAccessKeyLastUsedCommand({ AccessKeyId: accessKeyId }), options),
    );
    const used = answer.AccessKeyLastUsed;
    return {
      user: answer.UserName ?? '',
      ...(used?.LastUsedDate ? { at: used.LastUsedDate.toISOString() } : {}),
      ...(used?.LastUsedDate && used.ServiceName ? { service: used.ServiceName } : {}),
      ...(used?.LastUsedDate && used.Region ? { region: used.Region } : {}),
    };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** What the key's own system says to the key: `accepted`, `refused` (unknown, inactive or deleted), `wrong-secret`, or nothing that can be told. */
export interface Tried {
  readonly answer: 'accepted' | 'refused' | 'wrong-secret' | 'unclear';
  readonly at: string;
  readonly words: string;
  readonly requestId?: string;
  /** The principal, where accepted. */
  readonly arn?: string;
}

/**
 * Tries a key pair at `GetCallerIdentity`, which needs no permission and answers under an explicit deny (STS API reference): it shows whether the
 * pair is accepted and nothing about what it may do. It is logged, and it overwrites the key's last use.
 */
export async function tryPair(account: AwsAccount, accessKeyId: string, secret: Secret, signal: AbortSignal): Promise<Tried> {
  const calls = account.api.callsAs({ accessKeyId, secretAccessKey: secret }, agentWord('probe'), signal);
  try {
    const answer = await calls.read('sts:GetCallerIdentity', (aws, options) => aws.sts().send(new GetCallerIdentityCommand({}), options));
    const requestId = calls.requestIds.at(-1);
    return {
      answer: 'accepted',
      at: calls.at,
      words: `GetCallerIdentity answered ${answer.Arn ?? 'without a name'}; request ${requestId ?? 'unknown'}`,
      ...(requestId ? { requestId } : {}),
      ...(answer.Arn ? { arn: answer.Arn } : {}),
    };
  } catch (error) {
    signal.throwIfAborted();
    const said = String((error as { context?: { said?: unknown } }).context?.said ?? nameOf(error));
    const requestId = calls.requestIds.at(-1);
    const answer =
      said === 'InvalidClientTokenId' || said === 'UnrecognizedClient'
        ? 'refused'
        : said === 'SignatureDoesNotMatch' || said === 'InvalidSignature'
          ? 'wrong-secret'
          : 'unclear';
    return {
      answer,
      at: timeOf(calls),
      words: `GetCallerIdentity said ${said}; request ${requestId ?? 'unknown'}`,
      ...(requestId ? { requestId } : {}),
    };
  }
}

function timeOf(calls: Calls): string {
  try {
    return calls.at;
  } catch {
    return new Date().toISOString();
  }
}

/** Other incidents that hold the principal, as the principal-hold says; empty where none does. */
export function heldBy(context: StepContext): readonly string[] {
  const list = context.params.heldBy;
  return Array.isArray(list) ? list.filter((id): id is string => typeof id === 'string') : [];
}

/** Texts of a list parameter; undefined where it was not given. */
export function textsOf(context: StepContext, name: string): readonly string[] | undefined {
  const value = context.params[name];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : undefined;
}

/** A number parameter; undefined where it was not given. */
export function numberOf(context: StepContext, name: string): number | undefined {
  const value = context.params[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** An observation for a world in which the user is gone. */
export function userGone(calls: Calls, user: string): Observation {
  return yes(calls.at, 'administrator', `there is no user ${user}; request ${calls.requestIds.at(-1) ?? 'unknown'}`);
}
