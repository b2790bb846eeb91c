import type { CredentialNode } from '../../domain/credential.ts';
import type { Target } from '../../domain/plan.ts';

/** Whatever acts: a user, a role. `id` is what a principal-hold is named by; `name` what people call it. */
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

/**
 * What the planner must know of a system and its manifest cannot say: which action does what to which identifier. One file per system. Undefined: there is
 * no such way, and a person has to do it.
 */
export interface KindKnowledge {
  readonly provider: string;
  /** The principal of a credential, or of a name an inventory wrote. Undefined where the text names none that can be held. */
  principal(text: string | undefined, account: string): Principal | undefined;
  /** True for a credential that has a status of its own and is turned off by its id. */
  standsAlone(credential: CredentialNode): boolean;
  /** True for a node that a step of ours made, by what the step's record says was made. */
  madeBy(credential: CredentialNode, made: Readonly<Record<string, string>>): boolean;
  /** Actions on its principal that stop this credential, though it lives on. Empty: none does. */
  stoppedBy(credential: CredentialNode): readonly string[];
  disable(credential: CredentialNode, principal: Principal): Lever;
  remove(credential: CredentialNode, principal: Principal): Lever;
  /** For a user only. */
  deny(principal: Principal): Lever;
  liftDeny(principal: Principal): Lever;
  /** Refuses what acts as the principal and was issued before a stamp: for a user or a role, each by an action of its own. */
  cutOff(principal: Principal): Lever;
  liftCutOff(principal: Principal): Lever;
  mint(principal: Principal): Lever;
  watchNewUse(principal: Principal, consumer: string): Lever;
  watchOldQuiet(credential: CredentialNode, principal: Principal): Lever;
  /** How long a credential may live that was made just before its parent was turned off, in seconds. */
  readonly longestChild: number;
}
