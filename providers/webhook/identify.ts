import type { Identified } from '../../domain/manifest.ts';

/** Kinds of this provider. `ONE_WAY`: of a system that cannot give back what it has taken away. */
export const Kind = { CREDENTIAL: 'webhook.credential', ONE_WAY: 'webhook.one-way' } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

const form = /^webhook(-one-way)?:([a-z0-9][a-z0-9._-]{0,62})\/([!-~]{1,200})$/;

/**
 * Reads `webhook:SYSTEM/ID` or `webhook-one-way:SYSTEM/ID`, which is what a report names such a credential by. SYSTEM is the account, as tourniquet.yaml calls it, and ID what the team's system calls the credential. A
 * system of which nothing is known has no other form that could be told from a text.
 */
export function identify(text: string): Identified | undefined {
  const [, oneWay, system, id] = form.exec(text.trim()) ?? [];
  if (system === undefined || id === undefined) return undefined;
  return {
    credential: { kind: oneWay === undefined ? Kind.CREDENTIAL : Kind.ONE_WAY, locator: { system, id } },
    provider: 'webhook',
    account: system,
  };
}
