import type { CredentialRef } from './credential.ts';
import type { Phase } from './plan.ts';

/** Pure data about one action: planner, docs and generated policies read it. */
export interface ActionManifest {
  /** Without the provider's name: `disable-key`. In a plan it is `aws/disable-key`. */
  readonly name: string;
  readonly title: string;
  readonly phase: Phase;
  readonly reversibility: 'reversible' | 'irreversible';
  /** Why it cannot be undone, where it cannot. */
  readonly irreversibleBecause?: string;
  /** `principal`: it hits whatever else acts as the same principal and goes through the principal-hold. */
  readonly scope: 'credential' | 'principal' | 'store' | 'none';
  /** True for an action that changes nothing and only waits until something is seen. */
  readonly watches?: boolean;
  /** True for an action that makes a credential. */
  readonly mints?: boolean;
  /** The action of this manifest whose work this one ends: `deny-principal` for `lift-deny`. */
  readonly lifts?: string;
  /** Which of the four identities of a worker may do it; by its phase where it is not said: contain, mint (and distribute), eradicate (revoke), read (verify, watch). */
  readonly part?: Part;
  /** The provider's permissions it exercises, read ones included, in the provider's own words. */
  readonly permissions: readonly string[];
  /** Commands a person would type, with `{placeholders}` of target and params, and their undo. */
  readonly byHand: string;
  readonly byHandUndo?: string;
  /** Where the rule comes from. */
  readonly source: string;
}

/** What a credential of this kind can make, and whether a log would show it. `maxLife` in seconds. */
export interface Mints {
  readonly kind: string;
  readonly via: string;
  readonly logged: 'always' | 'sometimes' | 'never';
  readonly maxLife: number | 'unlimited';
  readonly killedBy: readonly string[];
}

/** The four identities that a provider's permissions are split into, so that its own access control enforces who may approve what. */
export type Part = 'read' | 'contain' | 'mint' | 'eradicate';

/**
 * An action of this manifest and what it is pulled on. `{placeholders}` in target and subject are filled from the credential's locator, `{account}`, `{principal}` (its name), `{principalId}`
 * and, for a watch over a consumer, `{consumer}`. A placeholder that has no value makes the way impossible for that credential.
 */
export interface Way {
  readonly action: string;
  readonly target: Readonly<Record<string, string>>;
  readonly subject: string;
}

/** What can be done to a credential of a kind, as pure data: the planner pulls the levers of a provider that it has never seen. What is not here cannot be done, and goes to a person. */
export interface Ways {
  /** Turns this one credential off, and can be taken back. */
  readonly disable?: Way;
  /** Ends this one credential for good. Where there is no `disable` it is the only containment, and needs an approval or a standing authorisation. */
  readonly remove?: Way;
  /** Stops whatever acts as the principal, and what gives it back. */
  readonly deny?: Way;
  readonly liftDeny?: Way;
  /** Refuses what acts as the principal and was issued before a stamp, and what lifts that. */
  readonly cutOff?: Way;
  readonly liftCutOff?: Way;
  readonly mint?: Way;
  readonly watchNewUse?: Way;
  readonly watchOldQuiet?: Way;
}

/** One kind of credential of a system. */
export interface KindManifest {
  readonly kind: string;
  readonly title: string;
  /** Names of the locator's members. */
  readonly locator: readonly string[];
  /** How one is told and mapped to its owner, in words; with or without the secret. */
  readonly identified?: string;
  readonly mints: readonly Mints[];
  /** How many may be valid at once for one principal. */
  readonly overlap: number | 'unlimited';
  /** What outlives its removal, and what ends that, in words. Empty: nothing does. */
  readonly survives?: readonly string[];
  /** Whether and how its holder learns that it was contained or removed. */
  readonly holderNotices?: string;
  /** Other limits of the system that a response runs into: sizes, rates, windows. */
  readonly limits?: readonly string[];
  /** Whose it is. `pattern` is a regular expression whose group `name`, and `account` where there is one, are read from what a finding or an inventory calls the principal; `id` names the hold. Without it a credential stands for itself. */
  readonly principal?: { readonly pattern: string; readonly id: string };
  /** Actions on its principal that stop this credential, though it lives on. */
  readonly stoppedBy?: readonly string[];
  readonly ways?: Ways;
}

/** Pure data about one system. */
export interface ProviderManifest {
  readonly name: string;
  readonly title: string;
  readonly kinds: readonly KindManifest[];
  readonly actions: readonly ActionManifest[];
  /** The permissions that looking, checking and knowing itself exercise, beside those of any action. They go into the policy of the part `read`. */
  readonly reads?: readonly string[];
  /** Milliseconds, as documented or measured; an account's configuration may state its own. */
  readonly propagationMs: number;
  readonly logs: readonly {
    readonly source: string;
    readonly usualLagMs: number;
    readonly reachDays: number;
    readonly blind: readonly string[];
  }[];
  readonly links: readonly string[];
}

/** The action of a manifest by name; undefined where it has none. */
export function actionOf(manifest: ProviderManifest, name: string): ActionManifest | undefined {
  return manifest.actions.find((action) => action.name === name);
}

/** The queue of a provider worker. One worker per system and account. */
export function queueOf(provider: string, account: string): string {
  return `tourniquet-${provider}-${account}`;
}
/** The queue of the judge: workflows and its own activities. */
export const judgeQueue = 'tourniquet';

/** The id of the entity that holds a principal. */
export function holdId(provider: string, account: string, principal: string): string {
  return `hold/${provider}/${account}/${principal}`;
}

/** What identifies a credential offline: kind, locator and account, or nothing. */
export interface Identified {
  readonly credential: CredentialRef;
  readonly provider: string;
  readonly account?: string;
  readonly canary?: boolean;
}
