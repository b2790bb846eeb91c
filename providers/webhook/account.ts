import { z } from 'zod';
import { fault } from '../../domain/errors.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import type { Target } from '../../domain/plan.ts';
import type { Probed, StepContext } from '../contract.ts';
import type { Endpoint, Patience, Reply } from './endpoint.ts';
import type { WebhookSettings } from './settings.ts';
import { type Capabilities, type CheckedAnswer, capabilitiesSchema, checkedSchema, type Named, Operation, State } from './wire.ts';

/** What an action stands on: the endpoint of one account, and what its settings say of it. */
export interface WebhookAccount {
  readonly account: string;
  readonly endpoint: Endpoint;
  readonly settings: WebhookSettings;
}

/**
 * The idempotency key of one change: `<incident>:<step>:<run>.<operation>`. It is the same for every attempt of a step and another for every step, run and operation, so that a retry is the first call again
 * and an undo is never taken for it. The endpoint keeps it as the name of a containment, which makes out whose it is.
 */
export function keyOf(context: Pick<StepContext, 'incident' | 'run' | 'step'>, operation: Operation): string {
  return `${context.incident}:${context.step}:${context.run}.${operation}`;
}

/** Which credential a target names, on this account. */
export function namedBy(account: WebhookAccount, target: Target): Named {
  const { account: of, system, id } = target;
  if (of !== account.account) throw fault('provider.invalid', { account: of ?? '', because: 'the target is of another account' });
  if (!system || !id) throw fault('provider.invalid', { because: 'the target names no system and id' });
  return { system, id };
}

/** How the credential stands. */
export async function check(account: WebhookAccount, credential: Named, patience: Patience): Promise<Reply<CheckedAnswer>> {
  return await account.endpoint.ask(Operation.CHECK, { credential }, checkedSchema, patience);
}

/** How the credential stands that was made under a key. `absent`: none was. */
export async function checkMade(
  account: WebhookAccount,
  system: string,
  madeBy: string,
  patience: Patience,
): Promise<Reply<CheckedAnswer>> {
  return await account.endpoint.ask(Operation.CHECK, { system, madeBy }, checkedSchema, patience);
}

export async function capabilitiesOf(account: WebhookAccount, patience: Patience): Promise<Reply<Capabilities>> {
  return await account.endpoint.ask(Operation.CAPABILITIES, {}, capabilitiesSchema, patience);
}

/** Refuses what either side does not vouch for: the settings are a ceiling, and the endpoint's word another. */
export async function expectAble(
  account: WebhookAccount,
  operations: readonly Operation[],
  what: 'reversible' | 'mints',
  patience: Patience,
) {
  if (!account.settings[what])
    throw fault('provider.unsupported', { account: account.account, because: `its settings say ${what}: false` });
  const { value } = await capabilitiesOf(account, patience);
  if (!value[what]) throw fault('provider.unsupported', { account: account.account, because: `its endpoint says ${what}: false` });
  const missing = operations.filter((each) => !value.operations.includes(each));
  if (missing.length > 0)
    throw fault('provider.unsupported', { account: account.account, because: `its endpoint does not offer ${missing.join(', ')}` });
  return value;
}

/** A before-state as it comes back out of its record. */
export const beforeSchema = z.object({ state: z.enum(Object.values(State)), heldBy: z.string().exactOptional() });
export type Before = z.output<typeof beforeSchema>;

export function recalled(before: unknown): Before {
  const parsed = beforeSchema.safeParse(before);
  if (!parsed.success) throw fault('provider.invalid', { because: 'the before-state has not the form that capture gives it' });
  return parsed.data;
}

/** How the credential stands, as a before-state. */
export async function captured(account: WebhookAccount, credential: Named, patience: Patience): Promise<Before> {
  const { value } = await check(account, credential, patience);
  return { state: value.state, ...(value.reversibleBy === undefined ? {} : { heldBy: value.reversibleBy }) };
}

const dead: readonly State[] = [State.REVOKED];
const off: readonly State[] = [State.CONTAINED, State.REVOKED];

/**
 * Whether what an answer says is that the credential is of no use any more: `off` for contained or worse, `dead` for revoked. A change that is dated after the endpoint's own clock is still spreading. An id that the
 * endpoint has never known to us is unknown and not off: a wrong id looks the same as one that is gone.
 */
export function seen(reply: Reply<CheckedAnswer>, wanted: 'off' | 'dead', before: Pick<Before, 'state'>): Probed {
  const { value, at, message } = reply;
  const { state, effectiveAt } = value;
  const tell = (observation: Observation, since?: string): Probed => ({
    observation,
    requestIds: [message],
    ...(since === undefined ? {} : { effectiveAt: since }),
    ...(value.residualUntil === undefined ? {} : { facts: { residualUntil: value.residualUntil } }),
  });
  const words = `the endpoint says ${state}; message ${message}`;
  if (state === State.UNKNOWN) return tell(unknown(at, 'administrator', words));
  if (state === State.ABSENT) {
    return before.state === State.ABSENT || before.state === State.UNKNOWN
      ? tell(unknown(at, 'administrator', `the endpoint knows no such id, and did not at the capture; message ${message}`))
      : tell(yes(at, 'administrator', `the endpoint knew the id at the capture and does not any more; message ${message}`), at);
  }
  if (!(wanted === 'off' ? off : dead).includes(state)) return tell(no(at, 'administrator', words));
  // The clock is told in whole seconds.
  if (effectiveAt !== undefined && Date.parse(effectiveAt) >= Date.parse(at) + 1000)
    return tell(no(at, 'administrator', `the endpoint says ${state} from ${effectiveAt} on; message ${message}`));
  return tell(yes(at, 'administrator', words), effectiveAt ?? at);
}
