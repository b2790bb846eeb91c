import type { CredentialNode, CredentialRef } from '../../domain/credential.ts';
import type { Target } from '../../domain/plan.ts';

/** Whatever acts: a user, a role, or a credential that stands for itself. `id` is what a principal-hold is named by; `name` what people call it. */
export interface Principal {
  readonly id: string;
  readonly account: string;
  readonly name: string;
  /** `user`: it has credentials of its own. `role`: whoever it trusts acts as it for a while, and it has none to be replaced. */
  readonly kind: 'user' | 'role';
}

/**
 * Something that can be pulled: an action without its provider's name, on an exact target. `subject` names the target in step ids and titles; `hold` is
 * set where the action hits a whole principal.
 */
export interface Lever {
  readonly action: string;
  readonly target: Target;
  readonly subject: string;
  readonly hold?: string;
}

/** The ways there may be of dealing with a credential, and with its principal. */
export const Part = {
  DISABLE: 'disable',
  REMOVE: 'remove',
  DENY: 'deny',
  LIFT_DENY: 'liftDeny',
  FENCE: 'fence',
  LIFT_FENCE: 'liftFence',
  CUT_OFF: 'cutOff',
  LIFT_CUT_OFF: 'liftCutOff',
  MINT: 'mint',
  WATCH_NEW_USE: 'watchNewUse',
  WATCH_OLD_QUIET: 'watchOldQuiet',
} as const;
export type Part = (typeof Part)[keyof typeof Part];

/**
 * What the planner knows of a system: which action does what to which identifier. AWS has a file of its own; every other system's is made from its manifest. A lever that is undefined
 * is a way there is not, and a person has to do it.
 */
export interface KindKnowledge {
  readonly provider: string;
  /** The names of the actions that do each part, without the provider's. */
  readonly actions: Readonly<Record<Part, readonly string[]>>;
  /** Whether anything is known to be done about a credential of that kind. */
  handles(credential: CredentialRef): boolean;
  /** The principal that a finding or an inventory calls so. Undefined where the text names none that can be held. */
  principal(text: string | undefined, account: string): Principal | undefined;
  /** The principal of a credential, by what it is said to act as. One that belongs to nobody, or can be dealt with though nobody knows whose it is, stands for itself. */
  principalOf(credential: CredentialRef, text: string | undefined, account: string): Principal | undefined;
  /** True for a credential that has a status of its own and is turned off, or removed, by its id. */
  standsAlone(credential: CredentialNode): boolean;
  /** True for one that must be seen off, by its name, before what it might have made is stamped or let go. */
  isKey(credential: CredentialNode): boolean;
  /** What a credential is called among those of its principal. */
  nameOf(credential: CredentialRef): string;
  /** True for a node that a step of ours made, by what the step's record says was made. */
  madeBy(credential: CredentialNode, made: Readonly<Record<string, string>>): boolean;
  /** Actions on its principal that stop this credential, though it lives on. Empty: none does. */
  stoppedBy(credential: CredentialNode): readonly string[];
  /** Actions on the credential that made it which end this one too. Empty: it outlives its maker. */
  diesBy(credential: CredentialNode): readonly string[];
  /** Whether containing it takes a deny of its principal at once: what it may have made unseen is stopped by nothing else, or it is not stopped itself in any other way that can be taken back. */
  needsDeny(credential: CredentialNode): boolean;
  disable(credential: CredentialNode, principal: Principal): Lever | undefined;
  remove(credential: CredentialNode, principal: Principal): Lever | undefined;
  /** For a user only. */
  deny(principal: Principal): Lever | undefined;
  liftDeny(principal: Principal): Lever | undefined;
  /** Refuses what acts as the principal from elsewhere than the networks that its consumers declare, and what takes that off; left out where there is no such way. It stops whatever the deny stops. */
  fence?(principal: Principal): Lever;
  liftFence?(principal: Principal): Lever;
  /** How long what a deny alone stops may live after the deny took effect, in seconds: until then lifting it would wake that. Undefined where a cut-off takes its place. */
  wakesFor(principal: Principal): number | undefined;
  /** Refuses what acts as the principal and was issued before a stamp: for a user or a role, each by an action of its own. */
  cutOff(principal: Principal): Lever | undefined;
  liftCutOff(principal: Principal): Lever | undefined;
  mint(principal: Principal, credential: CredentialRef): Lever | undefined;
  watchNewUse(principal: Principal, consumer: string, credential: CredentialRef): Lever | undefined;
  watchOldQuiet(credential: CredentialNode, principal: Principal): Lever | undefined;
  /** How long a credential may live that was made just before its parent was turned off, in seconds. */
  readonly longestChild: number;
}

/** What turns a credential off: in a way that can be taken back where there is one. */
export function turnOff(knowledge: KindKnowledge, credential: CredentialNode, principal: Principal): Lever | undefined {
  return knowledge.disable(credential, principal) ?? knowledge.remove(credential, principal);
}
