import { codeOf, fault } from '../../domain/errors.ts';
import { type Observation, yes } from '../../domain/observation.ts';
import type { StepContext } from '../contract.ts';
import { type GcpAccount, numberOf, readAccount } from './account.ts';
import type { Calls } from './api.ts';
import { type Standstill, standstill } from './log.ts';

/** How an account stood. */
export interface AccountBefore {
  readonly state: 'enabled' | 'disabled' | 'absent';
}

export async function accountBefore(account: GcpAccount, calls: Calls, email: string): Promise<AccountBefore> {
  const row = await readAccount(account, calls, email);
  return { state: row === undefined ? 'absent' : row.disabled ? 'disabled' : 'enabled' };
}

/** Disables an account, or enables it; false where it is gone. */
export async function setAccount(account: GcpAccount, calls: Calls, email: string, to: 'enabled' | 'disabled'): Promise<boolean> {
  const name = account.accountName(email);
  return await calls.writeIfThere(`iam.serviceAccounts.${to === 'enabled' ? 'enable' : 'disable'}`, ({ iam, options }) =>
    to === 'enabled'
      ? iam.projects.serviceAccounts.enable({ name, requestBody: {} }, options)
      : iam.projects.serviceAccounts.disable({ name, requestBody: {} }, options),
  );
}

/**
 * Enables an account, and refuses while a token that was issued before it was disabled may be alive: enabling revives it. The last one can have been issued when the disabling had just gone round, and lives
 * as long as any token here may. Param `maxLifeSeconds`: how long that is, where the plan knows it better than the account entry. Gives false where the account is gone.
 */
export async function enableIfQuiet(
  account: GcpAccount,
  calls: Calls,
  email: string,
  standing: Standstill,
  context: StepContext,
): Promise<boolean> {
  const life = numberOf(context, 'maxLifeSeconds') ?? account.limits.maxTokenLifeSeconds;
  const until = Date.parse(standing.since) + context.timing.propagationMs + life * 1000;
  if (calls.now < until) {
    throw fault('provider.conflict', {
      serviceAccount: email,
      until: new Date(until).toISOString(),
      now: calls.at,
      because: 'a token that was issued before it was disabled may be alive, and enabling it would revive that',
    });
  }
  try {
    return await setAccount(account, calls, email, 'enabled');
  } catch (error) {
    if (codeOf(error) === 'provider.unsupported')
      throw fault('provider.conflict', {
        serviceAccount: email,
        because: 'Google has disabled it, or the organisation forbids it: it cannot be enabled',
      });
    throw error;
  }
}

/** Since when it is disabled, or the fault that says that nobody knows. */
export async function standstillOf(account: GcpAccount, calls: Calls, email: string): Promise<Standstill> {
  const found = await standstill(account, calls, email);
  if (found === undefined)
    throw fault('provider.uncertain', {
      serviceAccount: email,
      because: 'the log does not show when it was disabled, so that a token may be alive',
    });
  return found;
}

export function accountGone(calls: Calls, email: string): Observation {
  return yes(calls.at, 'administrator', `there is no account ${email}; ${calls.requestIds.at(-1)}`);
}
