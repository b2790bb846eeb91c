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

/** Pure data about one system. */
export interface ProviderManifest {
  readonly name: string;
  readonly title: string;
  readonly kinds: readonly {
    readonly kind: string;
    readonly title: string;
    /** Names of the locator's members. */
    readonly locator: readonly string[];
    readonly mints: readonly Mints[];
    /** How many may be valid at once for one principal. */
    readonly overlap: number | 'unlimited';
  }[];
  readonly actions: readonly ActionManifest[];
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
